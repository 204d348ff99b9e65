"""The engine against the 16-state model of mavoglurant solved elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mavoglurant import BLOOD_TO_PLASMA, ORGANS, clearance_blood, mavoglurant_system

import pbpk_hybrid as ph

FILE = Path(__file__).parents[2] / "data" / "mavoglurant" / "reference_matrix_exponential.csv"
WEIGHTS = np.array([60.0, 73.0, 90.0])
#: the file rounds times to 12 digits: give the infusion's end and the output the exact twelfths of an hour
TWELFTHS = 1 / 12
DOSE, DURATION = 25.0, 4 * TWELFTHS


@pytest.fixture(scope="module")
def reference() -> pd.DataFrame:
    return pd.read_csv(FILE)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(ph.SolverOptions(method="rodas5p", rtol=1e-11), id="rodas5p"),
        pytest.param(ph.SolverOptions(method="expm"), id="expm"),
    ],
)
def test_all_states_and_plasma_agree_to_1e8(reference, options):
    times = np.round(reference["t_h"].unique() / TWELFTHS, 6) * TWELFTHS
    system = mavoglurant_system(WEIGHTS)
    run = ph.simulate_system(system, ph.Regimen.infusion(DOSE, DURATION), times, options=options)
    for s, weight in enumerate(WEIGHTS):
        theirs = reference[reference["WT_kg"] == weight]
        assert len(theirs) == len(times) == 11
        for organ, (code, *_) in ORGANS.items():
            ours = run["amount"].sel(compartment=organ)[s].values
            np.testing.assert_allclose(
                ours, theirs[f"A_{code}_mg"], rtol=1e-8, err_msg=f"{organ}, {weight} kg"
            )
        plasma = 1000 * run["concentration"].sel(compartment="plasma")[s].values
        np.testing.assert_allclose(
            plasma, theirs["Cven_plasma_ng_mL"], rtol=1e-8, err_msg=f"plasma, {weight} kg"
        )


@pytest.mark.parametrize(
    "options",
    [ph.SolverOptions(rtol=1e-11), ph.SolverOptions(method="expm")],
    ids=["rodas5p", "expm"],
)
def test_area_under_plasma_is_dose_over_blood_clearance_and_blood_to_plasma_ratio(options):
    # the slowest rate is 0.066 1/h: after 1000 h what is left is e^-66 of the whole
    run = ph.simulate_system(
        mavoglurant_system(WEIGHTS),
        ph.Regimen.infusion(DOSE, DURATION),
        [1000.0],
        options=options,
        compartments=["area"],
    )
    expected = DOSE / clearance_blood(WEIGHTS) / BLOOD_TO_PLASMA
    np.testing.assert_allclose(run["amount"][:, 0, 0], expected, rtol=1e-10)
    # the same areas as published with the reference [ng h/mL]
    np.testing.assert_allclose(1000 * expected, [1161.35, 1085.01, 1015.86], atol=0.005)
