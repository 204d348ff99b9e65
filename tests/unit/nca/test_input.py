"""What goes in: simulations, observations, arrays; and what is refused, with the field and subject named."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from pbpk_hybrid._core import schemas
from pbpk_hybrid._core.errors import InputError, SchemaError, UnitError, UnknownNameError
from pbpk_hybrid.nca import Flag, NCAOptions, nca


def simulation(n=3, failed=()):
    """One-compartment boluses of 100 mg: k = 0.1, 0.2, ... 1/h, V = 10 L; liver at twice the plasma."""
    time = np.linspace(0, 24, 25)
    curve = 10 * np.exp(-0.1 * np.arange(1, n + 1)[:, None] * time)
    status = np.zeros(n, dtype=np.int8)
    for i in failed:
        curve[i], status[i] = np.nan, 1
    return xr.Dataset(
        {
            "concentration": (
                ("subject", "time", "compartment"),
                np.stack([curve, 2 * curve], axis=-1),
                schemas.attrs("simulation", "concentration"),
            ),
            "status": ("subject", status),
        },
        {
            "subject": np.arange(n),
            "time": time,
            "compartment": ["plasma", "liver"],
            "dose": ("subject", np.full(n, 100.0)),
            "body_weight": ("subject", np.full(n, 70.0), {"units": "kg"}),
        },
        attrs={"compound": "test"},
    )


def observation(**columns):
    n = len(columns["time"])
    base = {
        "lloq": np.full(n, np.nan),
        "censored": np.zeros(n, int),
        "matrix": ["plasma"] * n,
        "subject": ["1"] * n,
        "study": ["A"] * n,
        "reference": ["made up"] * n,
    }
    return xr.Dataset({k: ("sample", np.asarray(v)) for k, v in {**base, **columns}.items()})


def test_simulation_brings_its_dose_and_covariates():
    result = nca(simulation(), route="iv_bolus")
    np.testing.assert_allclose(result.cl, [1.0, 2.0, 3.0], rtol=1e-10)
    assert float(result.body_weight[0]) == 70 and result.body_weight.attrs["units"] == "kg"
    assert result.attrs["compound"] == "test"


def test_other_compartments_can_be_analysed():
    np.testing.assert_allclose(nca(simulation(), compartment="liver", route="iv_bolus").cmax, 20.0)


def test_failed_subjects_are_nan_and_flagged_and_the_others_are_not():
    result = nca(simulation(failed=[1]), route="iv_bolus")
    assert result.flags.values[1] == Flag.SIMULATION_FAILED | Flag.NO_DATA
    assert "simulation failed" in str(result.flag_reasons.values[1])
    assert np.isnan(result.cl[1]) and result.flags.values[0] == 0


def test_doses_may_be_text_arrays_or_a_mapping():
    sim = simulation()
    np.testing.assert_allclose(
        nca(sim, dose="0.2 g", route="iv_bolus").cl, [2.0, 4.0, 6.0], rtol=1e-10
    )
    np.testing.assert_allclose(
        nca(sim, dose=[100.0, 50.0, 100.0], route="iv_bolus").cl, [1.0, 1.0, 3.0], rtol=1e-10
    )
    np.testing.assert_allclose(
        nca(sim, dose={0: 100, 1: "50 mg", 2: 100}, route="iv_bolus").cl,
        [1.0, 1.0, 3.0],
        rtol=1e-10,
    )


def test_observations_are_grouped_by_subject_in_order_of_appearance_whatever_the_order_of_samples():
    t = np.tile([0.0, 1, 2, 4, 8], 2)
    subject = np.repeat(["20", "3"], 5)
    value = np.where(subject == "20", 5 * np.exp(-0.5 * t), 8 * np.exp(-0.25 * t))
    order = [0, 5, 3, 2, 1, 4, 9, 8, 7, 6]
    result = nca(
        observation(time=t[order], value=value[order], subject=subject[order]),
        dose=10,
        route="iv_bolus",
    )
    assert list(result.subject.values) == ["20", "3"]
    np.testing.assert_allclose(result.lambda_z, [0.5, 0.25], rtol=1e-10)


def test_the_same_subject_label_in_two_studies_is_two_people():
    t = np.tile([0.0, 1, 2, 4], 2)
    result = nca(
        observation(time=t, value=np.exp(-t), study=np.repeat(["A", "B"], 4)),
        dose=1,
        route="iv_bolus",
    )
    assert list(result.subject.values) == ["A: 1", "B: 1"]


def test_limits_and_censoring_of_the_observations_are_obeyed():
    t = np.array([0.0, 1, 2, 3, 4, 5])
    value = np.array([8.0, 4, 2, 1, 0.2, np.nan])
    lloq = np.array([np.nan, np.nan, np.nan, np.nan, 0.5, 0.5])
    result = nca(
        observation(time=t, value=value, lloq=lloq, censored=[0, 0, 0, 0, 0, 1]),
        dose=1,
        route="iv_bolus",
    )
    assert float(result.tlast[0]) == 3
    np.testing.assert_allclose(result.lambda_z, np.log(2), rtol=1e-10)


def test_other_matrices_are_left_out():
    t = np.array([0.0, 1, 2, 3, 0, 1])
    ds = observation(
        time=t, value=np.array([8.0, 4, 2, 1, 99, 99]), matrix=["plasma"] * 4 + ["blood"] * 2
    )
    assert float(nca(ds, route="iv_bolus").cmax[0]) == 8
    with pytest.raises(UnknownNameError, match="urine"):
        nca(ds, compartment="urine", route="iv_bolus")


def test_input_is_left_as_it_was():
    sim = simulation()
    before = sim.copy(deep=True)
    nca(sim, route="oral")
    xr.testing.assert_identical(sim, before)


@pytest.mark.parametrize(
    ("kwargs", "error", "words"),
    [
        ({"route": "im"}, UnknownNameError, "route"),
        ({"route": "iv_bolis"}, UnknownNameError, "iv_bolus"),
        ({"compartment": "livr"}, UnknownNameError, "liver"),
        ({"dose": 0}, InputError, "dose"),
        ({"dose": -5}, InputError, "-5"),
        ({"dose": [1.0, 2.0]}, InputError, "3 of them"),
        ({"dose": [1.0, -2.0, 1.0]}, InputError, "subject 1"),
        ({"dose": {0: 1, 1: 1}}, InputError, "subject 2"),
        ({"dose": "5 L"}, UnitError, "dose"),
        ({"dose": True}, InputError, "dose"),
        ({"lloq": -1.0}, InputError, "lloq"),
        ({"lloq": np.ones((2, 2))}, InputError, "lloq"),
        ({"lloq": "1 mg"}, UnitError, "lloq"),
        ({"route": "iv_infusion"}, InputError, "infusion_duration"),
        ({"route": "oral", "infusion_duration": 2}, InputError, "infusion_duration"),
        (
            {"route": "iv_infusion", "infusion_duration": [1.0, 2.0]},
            InputError,
            "infusion_duration",
        ),
        ({"options": {"tau": 8}}, InputError, "NCAOptions"),
    ],
)
def test_bad_arguments_are_named(kwargs, error, words):
    with pytest.raises(error, match=words):
        nca(simulation(), **{"route": "iv_bolus", **kwargs})


@pytest.mark.parametrize(
    ("time", "concentration", "words"),
    [
        ([0, 2, 1], [1, 2, 3], r"time\[2\]"),
        ([0, 1, 1], [1, 2, 3], "doubles"),
        ([0, 1], [1, 2, 3], "time"),
        ([0, 1, 2], [1, np.inf, 3], r"concentration\[1\]"),
        ([0, 1, 2], ["a", "b", "c"], "concentration"),
        ([0, 1, np.nan], [1, 2, 3], "time"),
        ([[0, 1, 2], [0, 2, 1]], [[1, 2, 3], [1, 2, 3]], "subject 1"),
    ],
)
def test_bad_arrays_are_named(time, concentration, words):
    with pytest.raises(InputError, match=words):
        nca((time, concentration), route="iv_bolus")


def test_wrong_kinds_of_data_are_refused():
    with pytest.raises(InputError, match="simulation or observation"):
        nca([1, 2, 3], route="iv_bolus")
    with pytest.raises(SchemaError):
        nca(xr.Dataset({"x": ("y", [1.0])}), route="iv_bolus")
    with pytest.raises(SchemaError, match="status"):
        nca(simulation().drop_vars("status"), route="iv_bolus")


def test_repeated_samples_of_one_subject_are_refused_by_name():
    with pytest.raises(InputError, match="subject 1"):
        nca(observation(time=[0.0, 1, 1, 2], value=[4.0, 3, 3, 1]), route="iv_bolus")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"auc_method": "trapezoid"}, "auc_method"),
        ({"blq_middle": "zero"}, "blq_middle"),
        ({"min_points": 2}, "min_points"),
        ({"tau": -1}, "tau"),
        ({"tau": float("nan")}, "tau"),
        ({"steady_state": True}, "tau"),
        ({"lambda_z_range": (8, 2)}, "lambda_z_range"),
        ({"dose_time": float("inf")}, "dose_time"),
    ],
)
def test_bad_options_are_named(options, words):
    with pytest.raises(InputError, match=words):
        NCAOptions(**options)


def test_the_name_in_the_top_package_can_be_called_whichever_was_imported_first():
    import importlib
    import sys

    room = importlib.import_module("pbpk_hybrid.nca")
    assert sys.modules["pbpk_hybrid.nca"] is room
    curve = (np.arange(5.0), np.exp(-np.arange(5.0)))
    xr.testing.assert_equal(room(curve, route="iv_bolus"), nca(curve, route="iv_bolus"))
