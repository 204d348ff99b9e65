"""The reference individual has the literature's clearance and volume: by steady state, by AUC and by residence time.

Linear models are solved directly: with dA/dt = K A, the areas under the amounts after a bolus are -K^-1 D and the first
moments K^-2 D. No integration error is left, so 1e-6 is generous round-off.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid._core.errors import InputError, OutOfRangeWarning
from pbpk_hybrid.compounds import Compound, get_compound, list_compounds
from pbpk_hybrid.models.small_molecules.disposition import acts_on_itself
from pbpk_hybrid.models.small_molecules.whole_body import whole_body_system
from pbpk_hybrid.physiology.organs import PORTAL_ORGANS

BLOOD = ("arterial_blood", "venous_blood")
OTHERS = (
    "heart",
    "brain",
    "muscle",
    "adipose",
    "skin",
    "bone",
    "rest",
)  # neither eliminate nor drain into the liver


#: the closed forms below are of linear drugs with a measured volume
LINEAR = [
    name
    for name in list_compounds(curated=True)
    if not get_compound(name).saturable
    and not acts_on_itself(get_compound(name))
    and get_compound(name).volume_steady_state is not None
]


def cases(field: str) -> list[tuple[str, str]]:
    out = []
    for name in LINEAR:
        compound = get_compound(name)
        for species in ph.physiology.SPECIES:
            if getattr(compound.for_species(species), field) is not None:
                out.append((name, species))
    return out


def system_of(compound: Compound, species: str):
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", OutOfRangeWarning
        )  # curated drugs outside a method's usual range; tested elsewhere
        # the closed forms are of organs that mix at once, and of one factor for all of them
        mixed = compound.replace(binding_organs=())
        return whole_body_system(mixed, ph.reference_individual(species), permeability_limited={})


def moments(system) -> tuple[float, float]:
    """AUC [h/L] and AUMC [h^2/L] of venous plasma after a unit bolus into venous blood."""
    k = np.zeros((len(system.states),) * 2)
    k[system.k_row, system.k_col] = system.k_value[0]
    body = [
        i for i, s in enumerate(system.states) if s in ph.physiology.ORGANS
    ]  # without lumen and sinks: regular
    k = k[np.ix_(body, body)]
    venous = body.index(system.targets["iv_bolus"])
    area = np.linalg.solve(-k, np.eye(len(body))[venous])
    moment = np.linalg.solve(-k, area)
    factor = float(np.broadcast_to(system.observables["plasma"].factor, (1,))[0])
    return area[venous] * factor, moment[venous] * factor


def bolus(compound: Compound):
    """Plasma of the reference human after 100 mg, on a grid fine at the start and long at the end."""
    times = np.concatenate([[0.0], np.geomspace(1e-4, 1, 1500), np.linspace(1, 400, 4000)[1:]])
    ds = ph.simulate(
        compound,
        ph.Regimen.bolus(100),
        ph.reference_individual("human"),
        times,
        compartments=["plasma"],
    )
    return times, ds["concentration"].values[0, :, 0]


def parameter(system, name: str) -> float:
    return float(np.broadcast_to(system.parameters[name], (1,))[0])


def residence_volume(system) -> float:
    """CL x MRT of the model in closed form (models/distribution.py) [L of plasma]."""

    def p(name):
        return parameter(system, name)

    bp = p("blood_to_plasma_ratio")
    flow_liver = p("flow.liver") + sum(p(f"flow.{o}") for o in PORTAL_ORGANS)
    intrinsic = p("clint.liver") * p("fraction_unbound_plasma") / bp
    liver = flow_liver / (flow_liver + intrinsic)  # 1 - E_h
    kidney = 1 - p("clearance_renal") / bp / p("flow.kidney")
    flow = flow_liver + p("flow.kidney") + sum(p(f"flow.{o}") for o in OTHERS)
    body = 1 - (flow_liver * (1 - liver) + p("clearance_renal") / bp) / flow

    def held(organ):
        return p(f"volume.{organ}") * p(f"kp.{organ}")

    return (
        p("volume.venous_blood") * bp
        + body * (p("volume.arterial_blood") * bp + held("lung"))
        + sum(held(o) for o in OTHERS)
        + liver * sum(held(o) for o in PORTAL_ORGANS)
        + liver**2 * held("liver")
        + kidney * held("kidney")
    )


# ------------------------------------------------------------------------------------------------- clearance
@pytest.mark.parametrize(("name", "species"), cases("clearance_plasma"))
def test_the_reference_individual_has_the_clearance_of_the_literature(name, species):
    compound = get_compound(name).for_species(species)
    auc, _ = moments(system_of(compound, species))
    weight = float(ph.reference_individual(species)["body_weight"][0])
    assert 1 / auc / weight / 0.06 == pytest.approx(compound.clearance_plasma, rel=1e-6)


def test_animals_are_among_the_clearances():
    assert {"rat", "dog", "monkey"} <= {s for _, s in cases("clearance_plasma")}


# metoprolol: verapamil saturates and inactivates its enzyme now
@pytest.mark.parametrize("name", ["theophylline", "metoprolol", "cimetidine"])
def test_the_simulation_has_that_clearance_too(name):
    """Low and high extraction and a renal drug, through `simulate`."""
    compound = get_compound(name)
    times, c = bolus(compound)
    # trapezoids on a fine grid: 1e-3
    assert 100 / np.trapezoid(c, times) / 73 / 0.06 == pytest.approx(
        compound.clearance_plasma, rel=1e-3
    )


# ------------------------------------------------------------------------------------------------- volume
def in_vivo(name: str, species: str) -> Compound:
    return get_compound(name).for_species(species).replace(distribution_basis="in_vivo")


@pytest.mark.parametrize(
    ("name", "species"), [c for c in cases("volume_steady_state") if c in cases("clearance_plasma")]
)
def test_with_the_in_vivo_basis_all_kp_have_one_factor_and_the_volume_is_that_of_the_literature(
    name, species
):
    compound = in_vivo(name, species)
    system, plain = (
        system_of(compound, species),
        system_of(compound.replace(distribution_basis="predicted"), species),
    )
    weight = float(ph.reference_individual(species)["body_weight"][0])
    tissues = [o for o in ph.physiology.ORGANS if o not in BLOOD]
    ratios = [parameter(system, f"kp.{o}") / parameter(plain, f"kp.{o}") for o in tissues]
    assert ratios == pytest.approx([system.attrs["kp_factor"]] * len(tissues), rel=1e-12)
    volume = sum(parameter(system, f"volume.{o}") * parameter(system, f"kp.{o}") for o in tissues)
    volume += sum(parameter(system, f"volume.{o}") for o in BLOOD) * parameter(
        system, "blood_to_plasma_ratio"
    )
    assert volume / weight == pytest.approx(compound.volume_steady_state, rel=1e-12)
    assert system.attrs["distribution_basis"] == "in_vivo" and plain.attrs["kp_factor"] == 1


@pytest.mark.parametrize(
    ("name", "species"), [c for c in cases("volume_steady_state") if c in cases("clearance_plasma")]
)
def test_clearance_times_residence_time_is_the_closed_form(name, species):
    system = system_of(in_vivo(name, species), species)
    auc, aumc = moments(system)
    assert aumc / auc**2 == pytest.approx(residence_volume(system), rel=1e-6)


@pytest.mark.parametrize("name", LINEAR)
def test_what_extraction_takes_from_clearance_times_residence_time_is_small(name):
    """At most what lungs, arterial blood and eliminating organs hold: an eighth here, nothing at low extraction."""
    compound = in_vivo(name, "human")
    auc, aumc = moments(system_of(compound, "human"))
    volume = aumc / auc**2 / 73
    assert 0.85 * compound.volume_steady_state < volume < compound.volume_steady_state
    slow = compound.replace(clearance_plasma=1e-3 * compound.clearance_plasma)
    auc, aumc = moments(system_of(slow, "human"))
    assert aumc / auc**2 / 73 == pytest.approx(compound.volume_steady_state, rel=1e-3)


def test_a_simulated_bolus_has_the_volume_of_the_literature():
    """Theophylline, hardly extracted: CL x MRT of the simulated curve; trapezoids and what elimination takes leave 1 %."""
    compound = in_vivo("theophylline", "human")
    times, c = bolus(compound)
    auc, aumc = np.trapezoid(c, times), np.trapezoid(c * times, times)
    assert 100 * aumc / auc**2 / 73 == pytest.approx(compound.volume_steady_state, rel=1e-2)
    ds = ph.simulate(compound, ph.Regimen.bolus(100), times=[0.0, 1.0])
    assert ds.attrs["distribution_basis"] == "in_vivo"
    assert ds.attrs["kp_factor"] == pytest.approx(system_of(compound, "human").attrs["kp_factor"])


def test_the_factor_is_that_of_the_reference_individual_in_everyone():
    compound = in_vivo("midazolam", "human")
    people = ph.sample_population(5, seed=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutOfRangeWarning)
        system = whole_body_system(compound, people)
    assert system.attrs["kp_factor"] == system_of(compound, "human").attrs["kp_factor"]


def test_a_given_kp_is_used_as_it_stands():
    compound = in_vivo("midazolam", "human")
    person = ph.reference_individual("human")
    system = whole_body_system(compound, person, kp={"liver": 7.0})
    assert parameter(system, "kp.liver") == 7
    everything = {o: 1.0 for o in ph.physiology.ORGANS if o not in BLOOD}
    given = whole_body_system(compound, person, kp=everything)
    assert (given.attrs["distribution_basis"], given.attrs["kp_factor"]) == ("given", 1)


def test_a_measured_kp_of_the_compound_takes_the_factor_too():
    compound = in_vivo("midazolam", "human").replace(kp={"liver": 3.0})
    system = whole_body_system(compound, ph.reference_individual("human"))
    assert parameter(system, "kp.liver") == pytest.approx(3 * system.attrs["kp_factor"], rel=1e-12)


def test_a_volume_that_the_blood_alone_fills_is_refused():
    compound = in_vivo("midazolam", "human").replace(volume_steady_state=0.03)
    with pytest.raises(
        InputError,
        match=r"volume_steady_state.*midazolam.*0\.0401 L/kg, which the blood alone holds",
    ):
        whole_body_system(compound, ph.reference_individual("human"))


def test_a_species_without_a_volume_is_refused_if_its_own_values_ask_for_one():
    compound = get_compound("midazolam", species_values={"rat": {"distribution_basis": "in_vivo"}})
    with pytest.raises(InputError, match=r"volume_steady_state.*rat"):
        whole_body_system(compound, ph.reference_individual("rat"))


@pytest.mark.parametrize("volume", [0.08, 40])
def test_a_factor_beyond_ten_warns_with_its_size(volume):
    compound = in_vivo("midazolam", "human").replace(volume_steady_state=volume)
    with pytest.warns(OutOfRangeWarning, match="midazolam: the factor"):
        whole_body_system(compound, ph.reference_individual("human"))
