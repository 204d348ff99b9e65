"""The whole-body model: its states, what it asks for, and what it refuses."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.models.small_molecules.whole_body import DEPOT, LUMEN, SINKS, whole_body_system
from pbpk_hybrid.models.system.derivatives import parameter_names
from pbpk_hybrid.physiology.organs import ORGANS, PORTAL_ORGANS, SPECIES


def drug(**more) -> ph.Compound:
    kp = {o: 0.5 + 0.1 * i for i, o in enumerate(ORGANS) if "blood" not in o}
    fields = {
        "name": "drug",
        "molar_mass": 300.0,
        "fraction_unbound_plasma": 0.2,
        "blood_to_plasma_ratio": 0.9,
        "clint_hepatocyte": 10.0,
        "fraction_unbound_hepatocyte": 1.0,
        "gfr_fraction": 1.0,
        "absorption_rate": 1.0,
        "partition_method": "measured",
        "kp": kp,
    }
    return ph.Compound.create(**{**fields, **more})


def person(**more):
    return ph.reference_individual("human", **more)


def flow_out(system, source, target):
    """[1/h] entry of K from source to target."""
    return system.matrix()[system.states.index(target), system.states.index(source)]


def ratio(system):
    """Blood:plasma ratio at the subject's own hematocrit."""
    return system.parameters["blood_to_plasma_ratio"].item()


def test_states_are_lumen_organs_and_sinks():
    assert whole_body_system(drug(), person()).states == (LUMEN, *ORGANS, *SINKS)


def test_transit_compartments_come_before_the_lumen():
    system = whole_body_system(drug(transit_compartments=3, transit_rate=2.0), person())
    assert system.states[:5] == (DEPOT, "transit_1", "transit_2", "transit_3", LUMEN)
    assert system.targets["oral"] == 0
    for a, b in zip(system.states[:4], system.states[1:5], strict=True):
        assert flow_out(system, a, b) == 2.0


@pytest.mark.parametrize("species", SPECIES)
def test_nothing_is_lost_or_made(species):
    # columns of K add up to 0, sinks included: 1e-12 of their entries is round-off
    system = whole_body_system(drug(), ph.reference_individual(species))
    k = system.matrix()
    assert np.abs(k.sum(axis=0)).max() <= 1e-12 * np.abs(k).max()
    assert system.closed
    off = k - np.diag(np.diag(k))
    assert (off >= 0).all()
    assert (np.diag(k) <= 0).all()


def test_blood_flows_where_the_body_says():
    system, body = whole_body_system(drug(gfr_fraction=0.0), person()), person()
    flow = body["blood_flow"].isel(subject=0)
    volume = float(body["volume"].isel(subject=0).sel(organ="arterial_blood"))
    for organ in ORGANS:
        if organ in ("lung", "arterial_blood", "venous_blood"):
            continue
        assert flow_out(system, "arterial_blood", organ) == pytest.approx(
            float(flow.sel(organ=organ)) / volume, rel=1e-14
        )
        drains = "liver" if organ in PORTAL_ORGANS else "venous_blood"
        assert flow_out(system, organ, drains) > 0
        assert flow_out(system, organ, "venous_blood" if drains == "liver" else "lung") == 0


def test_an_organ_leaves_its_blood_at_its_concentration_times_ratio_over_partition():
    compound, body = drug(), person()
    system = whole_body_system(compound, body)
    volume, flow = (
        body[n].isel(subject=0).sel(organ="muscle").item() for n in ("volume", "blood_flow")
    )
    expected = flow / volume * ratio(system) / compound.kp["muscle"]
    assert flow_out(system, "muscle", "venous_blood") == pytest.approx(expected, rel=1e-14)


def test_renal_clearance_takes_plasma_water_from_arterial_blood():
    compound, body = drug(), person()
    system = whole_body_system(compound, body)
    volume = body["volume"].isel(subject=0).sel(organ="arterial_blood").item()
    expected = body["gfr"].item() * compound.fraction_unbound_plasma / ratio(system) / volume
    assert flow_out(system, "arterial_blood", "excreted_renal") == pytest.approx(
        expected, rel=1e-12
    )


def test_saturable_pathways_use_unbound_concentration_and_body_weight():
    pathway = {"name": "CYP", "organ": "kidney", "vmax": 2.0, "km": 0.05}
    compound, body = drug(saturable=[pathway]), person()
    system = whole_body_system(compound, body)
    (reaction,) = system.reactions
    volume = body["volume"].isel(subject=0).sel(organ="kidney").item()
    km = (
        0.05 * volume * compound.kp["kidney"] / compound.fraction_unbound_plasma
    )  # amount at which C_u = Km
    np.testing.assert_allclose(
        reaction.parameters, [[2.0 * body["body_weight"].item(), km]], rtol=1e-13
    )
    assert reaction.reactants == (system.states.index("kidney"),)
    assert dict(reaction.stoichiometry) == {
        system.states.index("kidney"): -1.0,
        system.states.index("metabolised"): 1.0,
    }


def test_plasma_is_venous_blood_over_the_blood_to_plasma_ratio():
    system = whole_body_system(drug(), person())
    ds = ph.simulate_system(system, ph.Regimen.bolus(10.0), [0.0, 1.0, 5.0])
    blood, plasma = (ds["concentration"].sel(compartment=c) for c in ("blood", "plasma"))
    np.testing.assert_allclose(blood, ratio(system) * plasma, rtol=1e-14)


def test_kp_given_for_some_organs_replaces_those_only():
    base, some = (
        whole_body_system(drug(), person()),
        whole_body_system(drug(), person(), kp={"liver": 7.0}),
    )
    assert some.parameters["kp.liver"] == 7.0
    assert all(
        some.parameters[k] == base.parameters[k]
        for k in base.parameters
        if k.startswith("kp.") and k != "kp.liver"
    )
    assert some.attrs["partition_method"] == "given"


def test_every_parameter_can_be_differentiated_and_reassembles_the_system():
    compound = drug(
        saturable=[{"name": "CYP", "vmax": 2.0, "km": 0.05}],
        transit_compartments=2,
        transit_rate=3.0,
    )
    system = whole_body_system(compound, person())
    assert set(parameter_names(system)) == set(system.parameters)
    for name in (
        "kp.adipose",
        "flow.kidney",
        "volume.liver",
        "vmax[CYP]",
        "km[CYP]",
        "clint.liver",
        "transit_rate",
    ):
        assert name in system.parameters
    again = system.assemble(system.parameters)
    np.testing.assert_array_equal(again.k_value, system.k_value)
    np.testing.assert_array_equal(again.reaction_parameters[0], system.reactions[0].parameters)


def test_factors_multiply_parameters_subject_by_subject():
    people = ph.sample_population(3, "human", seed=1)
    plain = whole_body_system(drug(), people)
    changed = whole_body_system(drug(), people, factors={"clint.liver": np.array([1.0, 2.0, 0.5])})
    liver, metabolised = plain.states.index("liver"), plain.states.index("metabolised")
    entry = np.flatnonzero((plain.k_col == liver) & (plain.k_row == metabolised))
    np.testing.assert_allclose(
        changed.k_value[:, entry[0]] / plain.k_value[:, entry[0]], [1.0, 2.0, 0.5], rtol=1e-14
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fraction_unbound_plasma": None}, "fraction_unbound_plasma"),
        ({"clint_hepatocyte": None, "fraction_unbound_hepatocyte": None}, "clearance"),
        ({"transit_compartments": 2}, "transit_rate"),
    ],
)
def test_what_the_model_needs_and_lacks_is_named(change, message):
    with pytest.raises(ph.InputError, match=message):
        whole_body_system(dataclasses.replace(drug(), **change), person())


def test_an_oral_dose_without_absorption_rate_is_refused():
    system = whole_body_system(drug(absorption_rate=None), person())
    with pytest.raises(ph.InputError, match="absorption_rate"):
        ph.simulate_system(system, ph.Regimen.oral(1.0), [0.0, 1.0])


@pytest.mark.parametrize(
    "kp", [{"lver": 1.0}, {"liver": -1.0}, {"liver": np.nan}, {"arterial_blood": 2.0}]
)
def test_a_partition_coefficient_that_cannot_be_is_refused(kp):
    # a value for a blood pool once made the predicted ones disappear (KeyError)
    with pytest.raises(ph.PBPKError, match=next(iter(kp))):
        whole_body_system(drug(), person(), kp=kp)


def test_filtration_above_the_kidneys_blood_flow_names_the_subject():
    people = ph.sample_population(3, "human", seed=1)
    with pytest.raises(ph.InputError, match="renal"):
        whole_body_system(drug(gfr_fraction=200.0), people)


def test_species_may_not_be_mixed():
    import xarray as xr

    rat, man = ph.reference_individual("rat"), person()
    both = xr.concat(
        [rat, man.assign_coords(subject=[1])],
        "subject",
        join="outer",
        coords="minimal",
        compat="override",
        data_vars="all",
    )
    with pytest.raises(ph.InputError, match="one species"):
        whole_body_system(drug(), both)
