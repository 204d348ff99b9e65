"""Mean profiles of two antibodies in people by the default IgG1: AUC and Cmax within 2-fold (validation/antibody.md)."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import pbpk_hybrid as ph

DATA = Path(__file__).parents[2] / "benchmarks" / "data" / "osp_antibodies"
if not DATA.exists():
    pytest.skip("benchmarks/data/osp_antibodies is not in this checkout", allow_module_level=True)


def rows(name: str) -> list[dict]:
    with (DATA / name).open() as file:
        return list(csv.DictReader(file))


PROFILES = list(dict.fromkeys((r["antibody"], r["dose_mg_per_kg"]) for r in rows("antibodies.csv")))


@pytest.mark.parametrize(("name", "dose"), PROFILES)
@pytest.mark.parametrize("model", ["two_pore", "minimal"])
def test_auc_and_cmax_are_within_twofold(model, name, dose):
    body, drug = ph.reference_individual("human"), ph.Antibody(name="IgG1")
    weight = float(body["body_weight"][0])
    seen = [
        r for r in rows("antibodies.csv") if (r["antibody"], r["dose_mg_per_kg"]) == (name, dose)
    ]
    time, observed = (
        np.array([float(r[k]) for r in seen]) for k in ("time_h", "concentration_mg_per_L")
    )
    regimen = ph.Regimen.empty()
    for i in rows("infusions.csv"):
        if (i["antibody"], i["dose_mg_per_kg"]) == (name, dose):
            one = ph.Regimen.infusion(float(i["amount_mg_per_kg"]) * weight, float(i["duration_h"]))
            regimen = regimen + one.shift(float(i["start_h"]))
    system = (
        ph.two_pore_system(drug, body) if model == "two_pore" else ph.antibody_system(drug, weight)
    )
    predicted = ph.simulate_system(system, regimen, time, compartments=["plasma"])[
        "concentration"
    ].values[0, :, 0]
    assert 0.5 < np.trapezoid(predicted, time) / np.trapezoid(observed, time) < 2
    assert 0.5 < predicted.max() / observed.max() < 2
