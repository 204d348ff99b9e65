"""The published hierarchical fit of mavoglurant's 16-state model to 20 people, again: estimates in the published intervals.

Wendling et al. (2016) Front Pharmacol 6:285; data, model, priors and posteriors of the BayesPBPK tutorial (Elmokadem et al.
2023, CPT Pharmacometrics Syst Pharmacol 12:1362), sampled there in hours by Stan/Torsten and Turing.
"""

from __future__ import annotations

import csv
import gzip
import sys
from pathlib import Path

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.dosing import read_nonmem
from pbpk_hybrid.estimation import HalfCauchy, LogNormal, fit_population

sys.path.insert(0, str(Path(__file__).parent / "engine"))
from mavoglurant import mavoglurant_system

#: published posterior of the linear-ODE model in Torsten: 5 and 95 %
PUBLISHED = {
    "clint": (1238.685, 1604.3025),
    "kb.brain": (3.641444, 6.3619875),
    "kb.muscle": (1.4861035, 2.0418),
    "kb.adipose": (9.3103285, 11.50705),
    "kb.bone": (0.73891565, 1.472335),
    "kb.rest": (1.256518, 2.4588345),
    "error.lognormal": (0.29768275, 0.34459985),
    "omega.clint": (0.26295945, 0.4988838),
}
PRIOR_LOG_MEDIANS = {
    "clint": 7.1,
    "kb.brain": 1.1,
    "kb.muscle": 0.3,
    "kb.adipose": 2.0,
    "kb.bone": 0.03,
    "kb.rest": 0.3,
}


@pytest.fixture(scope="module")
def twenty_people(nlmixr2data, tmp_path_factory):
    """The first 20 people, who had one infusion each: NonmemData and body weights."""
    with gzip.open(nlmixr2data / "mavoglurant.csv.gz", "rt") as file:
        rows = [r for r in csv.DictReader(file) if int(r["ID"]) <= 812]
    path = tmp_path_factory.mktemp("mavoglurant") / "data.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    data = read_nonmem(path, concentration_unit="ng/mL", compartments={1: "iv", 2: "venous_blood"})
    return data, {int(r["ID"]): float(r["WT"]) for r in rows}


def test_estimates_lie_within_the_published_intervals(twenty_people):
    data, weights = twenty_people
    assert len(weights) == 20 and data.observations.sizes["sample"] == 268
    system = mavoglurant_system(np.array(list(weights.values())), subjects=np.array(list(weights)))
    priors = {n: LogNormal(np.exp(m), 0.25) for n, m in PRIOR_LOG_MEDIANS.items()}
    found = fit_population(
        system,
        data.observations,
        {n: float(np.exp(m)) for n, m in PRIOR_LOG_MEDIANS.items()},
        ["clint"],
        {**priors, "error.lognormal": HalfCauchy(0.5), "omega.clint": HalfCauchy(0.5)},
        regimen=data.regimen,
        error="lognormal",
        options=ph.SolverOptions(rtol=1e-6),
    )
    assert found.converged
    for name, (low, high) in PUBLISHED.items():
        assert low < found[name] < high, name
    # the Laplace intervals are those of the sampled posterior: their ends within 10 %, those of omega, which is skewed, 15 %
    for name, ends in found.intervals(0.90).items():
        np.testing.assert_allclose(
            ends, PUBLISHED[name], rtol=0.15 if name == "omega.clint" else 0.10, err_msg=name
        )
