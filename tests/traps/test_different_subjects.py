"""Several different subjects in one call: everybody gets what is theirs, not what the first one has."""

from __future__ import annotations

import json
import warnings
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid._core.random import BLOCK
from pbpk_hybrid.interchange import export_sbml
from pbpk_hybrid.models import Observable, Reaction, System

KA, K, V = 0.9, np.array([0.10, 0.20, 0.15, 0.12, 0.30]), 20.0


def one_compartment(reactions=()) -> System:
    """Depot, central, out; five subjects, each with an elimination of their own."""
    ones = np.ones(len(K))
    return System(
        ("depot", "central", "out"),
        [0, 1, 1, 2],
        [0, 0, 1, 1],
        np.stack([-KA * ones, KA * ones, -K, K], axis=1),
        reactions,
        {
            "depot": Observable((0,), np.ones(1)),
            "central": Observable((1,), np.array([1 / V])),
            "out": Observable((2,), np.ones(1)),
        },
        n_subjects=len(K),
    )


def oral(t, dose, k, tau):
    """Concentration t after a dose of a train without beginning."""
    slow, fast = np.exp(-k * t) / (1 - np.exp(-k * tau)), np.exp(-KA * t) / (1 - np.exp(-KA * tau))
    return dose * KA / V / (KA - k) * (slow - fast)


def infused(t, dose, length, k, tau):
    """The same for an infusion of some length."""
    during = np.minimum(t, length)
    own = dose / length / k / V * (1 - np.exp(-k * during)) * np.exp(-k * (t - during))
    end = dose / length / k / V * (1 - np.exp(-k * length)) * np.exp(-k * (tau - length))
    return own + end / (1 - np.exp(-k * tau)) * np.exp(-k * t)


def steady(amount, tau, compartment, **more):
    return ph.Regimen.dose(amount, compartment=compartment, steady_state=1, interval=tau, **more)


def test_everybody_has_the_steady_state_of_their_own_interval_phase_compartment_and_length():
    lag = 2.5
    regimen = ph.Regimen.per_subject(
        [
            steady(100, 24, "depot"),
            steady(100, 8, "depot"),
            steady(300, 12, "central", duration=3),
            steady(100, 12, "central"),
            steady(100, 8, "depot", lag=lag),
        ]
    )
    t = np.linspace(0.0, 7.9, 80)
    ds = ph.simulate_system(one_compartment(), regimen, t)
    expected = [
        oral(t, 100, K[0], 24),
        oral(t, 100, K[1], 8),
        infused(t, 300, 3, K[2], 12),
        100 / V * np.exp(-K[3] * t) / (1 - np.exp(-K[3] * 12)),
        # the dose comes after the lag: before it, the last one's curve
        oral(np.where(t < lag, t - lag + 8, t - lag), 100, K[4], 8),
    ]
    values = ds["concentration"].sel(compartment="central").values
    for who, right in enumerate(expected):
        inside = np.abs(t - lag) > 1e-9
        np.testing.assert_allclose(values[who][inside], right[inside], rtol=1e-5, err_msg=str(who))


def test_saturable_steady_states_are_everybodys_own_too():
    vmax = np.array([30.0, 25.0, 40.0, 20.0, 35.0])
    law = Reaction(
        "mm", "michaelis_menten", (1,), {1: -1.0, 2: 1.0}, np.stack([vmax, 60 + vmax], axis=1)
    )
    system = one_compartment((law,))
    plans = [(100, 24), (60, 8), (80, 12), (40, 6), (90, 24)]
    t = [0.0, 1.0, 3.0, 5.9]
    once = ph.simulate_system(
        system, ph.Regimen.per_subject([steady(a, tau, "depot") for a, tau in plans]), t
    )["concentration"].sel(compartment="central")
    for who, (amount, tau) in enumerate(plans):
        n = int(240 / tau)
        train = ph.Regimen.dose(amount, compartment="depot", additional_doses=n, interval=tau)
        long = ph.simulate_system(system.take([who]), train, [n * tau + x for x in t])
        np.testing.assert_allclose(
            once[who].values, long["concentration"].sel(compartment="central")[0], rtol=2e-5
        )


def test_steady_states_of_people_in_a_data_set(tmp_path):
    """A person on q8h beside one on q24h, as a file has them: each as if the other were not there."""
    from pbpk_hybrid.dosing import read_nonmem

    head, rows = "ID,TIME,AMT,SS,II,EVID\n", ("1,0,200,1,24,1\n", "2,0,200,1,8,1\n")
    people = ph.reference_individual("human", "male"), ph.reference_individual("human", "female")
    import xarray as xr

    both = xr.concat(people, "subject", data_vars="minimal").assign_coords(subject=[1, 2])
    t = [0.5, 4.0, 7.5]
    (tmp_path / "both.csv").write_text(head + "".join(rows))
    data = read_nonmem(tmp_path / "both.csv", route="oral")
    together = ph.simulate("theophylline", data.regimen, both, t, compartments=["plasma"])
    for who, row in enumerate(rows):
        (tmp_path / "one.csv").write_text(head + row)
        one = read_nonmem(tmp_path / "one.csv", route="oral")
        alone = ph.simulate(
            "theophylline", one.regimen, both.isel(subject=[who]), t, compartments=["plasma"]
        )
        np.testing.assert_allclose(
            together["concentration"][who], alone["concentration"][0], rtol=1e-6
        )


# ------------------------------------------------------------------------------------------------------------ exchange
WEIGHTS = np.array([50.0, 64.0, 83.0, 90.0, 120.0])


def _sbml(text):
    root = ElementTree.fromstring(text)
    space = root.tag.split("}")[0] + "}"
    amounts = {s.get("name"): float(s.get("initialAmount")) for s in root.iter(space + "species")}
    values = {p.get("name"): float(p.get("value")) for p in root.iter(space + "parameter")}
    return amounts, values


@pytest.mark.parametrize("subject", [0, 2, 4])
def test_a_dose_per_kg_is_exported_with_the_weight_and_the_constants_of_its_subject(subject):
    pytest.importorskip("libsbml", exc_type=ImportError)
    regimen = ph.Regimen.dose("2 mg/kg", compartment="depot") + ph.Regimen.dose(
        "3 mg/kg", compartment="central", duration=4.0
    )
    amounts, values = _sbml(
        export_sbml(one_compartment(), subject=subject, regimen=regimen, body_weight=WEIGHTS)
    )
    assert amounts["depot"] == pytest.approx(2 * WEIGHTS[subject], rel=1e-12)
    assert values["infusion_central"] == pytest.approx(3 * WEIGHTS[subject] / 4, rel=1e-12)
    assert values["k_out_from_central"] == pytest.approx(K[subject], rel=1e-12)


def test_a_weight_for_some_subjects_only_is_refused():
    pytest.importorskip("libsbml", exc_type=ImportError)
    with pytest.raises(ph.PBPKError, match="2 weights"):
        export_sbml(
            one_compartment(),
            subject=1,
            regimen=ph.Regimen.dose("2 mg/kg", compartment="depot"),
            body_weight=[50.0, 60.0],
        )


# -------------------------------------------------------------------------------------------------------------- chunks
def test_what_a_store_tells_of_everybody_is_of_people_not_of_chunks(tmp_path):
    pytest.importorskip("zarr")
    from pbpk_hybrid.scale import Cohort, draw_cohort

    cohort = Cohort(BLOCK + 25, seed=2, filters={"bmi": (40, 60)})
    parts = [cohort.people(b) for b in (0, 1)]
    shares = [p.attrs["redrawn_fraction"] for p in parts]
    assert abs(shares[0] - shares[1]) > 0.003  # else it could not be told apart
    mean = (BLOCK * shares[0] + 25 * shares[1]) / (BLOCK + 25)
    for chunk in (BLOCK, 2 * BLOCK):
        ds = draw_cohort(cohort, store=tmp_path / f"{chunk}.zarr", chunks=chunk, workers=1)
        assert ds.attrs["redrawn_fraction"] == pytest.approx(mean, rel=1e-12)
        for name in ("soft_rule_exceptions", "replaced_people"):
            assert ds.attrs[name] == sum(p.attrs[name] for p in parts)


def test_a_store_weighs_its_chunks_by_people_and_adds_up_what_is_counted(tmp_path):
    pytest.importorskip("zarr")
    from pbpk_hybrid.scale.store import CohortStore

    store = CohortStore(tmp_path / "x.zarr", BLOCK, BLOCK + 50)
    store.journal.mkdir()
    for i, (share, count) in enumerate(((0.1, 3), (0.9, 4))):
        record = {"averaged": {"rejected_fraction": share}, "summed": {"replaced_people": count}}
        (store.journal / f"chunk-{i:06d}.json").write_text(json.dumps(record))
    told = store._over_all()
    expected = (BLOCK * 0.1 + 50 * 0.9) / (BLOCK + 50)
    assert told["rejected_fraction"] == pytest.approx(expected, rel=1e-12)
    assert told["replaced_people"] == 7


def test_means_over_parts_are_weighted_by_people():
    pytest.importorskip("zarr")
    import xarray as xr

    from pbpk_hybrid.scale.store import over_all

    parts = [
        xr.Dataset(
            coords={"subject": np.arange(n)},
            attrs={"rejected_fraction": share, "replaced_people": count},
        )
        for n, share, count in ((2000, 0.1, 3), (50, 0.9, 4))
    ]
    told = over_all(parts)
    assert told["rejected_fraction"] == pytest.approx((2000 * 0.1 + 50 * 0.9) / 2050, rel=1e-12)
    assert told["replaced_people"] == 7


# ------------------------------------------------------------------------------------------------- doses of one's own
def test_lag_bioavailability_and_weight_are_those_of_each_subject():
    people = ph.sample_population(3, seed=4)
    weight = people["body_weight"].values
    f, lag = np.array([0.2, 0.5, 0.9]), np.array([0.0, 1.0, 2.0])
    regimen = ph.Regimen.parse("2 mg/kg oral").with_bioavailability(f).with_lag(lag)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ph.OutOfRangeWarning)
        ds = ph.simulate("theophylline", regimen, people, [0.5, 1.5, 2.5, 400.0], variability=None)
    given = ds["amount"].sum("compartment").values
    entered = np.array([[0.5, 1.5, 2.5, 400.0]]) >= lag[:, None]
    saved = [c for c in ds["compartment"].values if c not in ("plasma", "blood")]
    given = ds["amount"].sel(compartment=saved).sum("compartment").values
    right = 2 * weight[:, None] * f[:, None] * entered
    np.testing.assert_allclose(given, right, rtol=1e-6)
