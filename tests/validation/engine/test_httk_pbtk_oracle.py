"""httk's `pbtk`, from the name on, against the same runs by matrix exponential and against httk's own time courses."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.models import httk_parameters
from pbpk_hybrid.models.httk.presets import PARAMETERS

NEEDED = PARAMETERS["pbtk"]

DATA = Path(__file__).parents[2] / "data" / "httk"
ROUTES = {"oral": ph.Regimen.oral, "iv": ph.Regimen.bolus}


def read(name):
    with (DATA / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def runs(name, column):
    """(species, compound, route) -> {time [day]: {column: number}}"""
    out = defaultdict(dict)
    for row in read(name):
        values = {
            k: float(v)
            for k, v in row.items()
            if k not in ("species", "compound", "route", "solver", column) and v
        }
        out[row["species"], row["compound"], row["route"]][float(row[column])] = values
    return dict(out)


EXACT = runs("pbtk_matrix_exponential.csv", "time_d")
THEIRS = runs("pbtk_timecourses.csv", "time")


@pytest.fixture(scope="module")
def theirs():
    """(species, compound) -> httk's own parameters of the runs."""
    out = defaultdict(dict)
    for row in read("pbtk_parameters.csv"):
        try:
            out[row["species"], row["compound"]][row["parameter"]] = float(row["value"])
        except ValueError:  # pKa lists and distributions
            continue
    return dict(out)


@pytest.fixture(scope="module")
def parameters(theirs):
    """The same as this package makes them from the compound's name."""
    return {(species, name): httk_parameters(name, species) for species, name in theirs}


def dose(run, values):
    """[umol] of 1 mg/kg, as the run's own first row has it, to 8 decimals, which both references start from."""
    first = THEIRS[run][0.0]
    given = first["Agutlumen"] / values["Fabsgut"] if run[2] == "oral" else first["Aven"]
    assert given == pytest.approx(values["BW"] / values["MW"] * 1000, rel=1e-6)
    return given


#: 1e-20 umol is twenty digits under the doses: what is compared is then accurate relative to itself however small it is
OPTIONS = {
    "rodas5p": ph.SolverOptions(rtol=1e-11, atol=1e-20),
    "expm": ph.SolverOptions(method="expm"),
}


def run_all(parameters, options):
    """(species, compound, route) -> Dataset of 1 subject; all parameter sets of a route are solved together."""
    sets = list(parameters)
    system = ph.httk_pbtk({name: np.array([parameters[s][name] for s in sets]) for name in NEEDED})
    out = {}
    for route, build in ROUTES.items():
        days = sorted({t for run, values in EXACT.items() if run[2] == route for t in values})
        each = ph.Regimen.per_subject([build(dose((*s, route), parameters[s])) for s in sets])
        ds = ph.simulate_system(system, each, np.array(days) * 24, options=options)
        assert (ds["status"] == 0).all()
        ds = ds.assign_coords(time=days)
        out |= {(*s, route): ds.isel(subject=i) for i, s in enumerate(sets)}
    return out


@pytest.fixture(scope="module", params=OPTIONS)
def simulated(request, theirs):
    return run_all(theirs, OPTIONS[request.param])


@pytest.fixture(scope="module")
def from_names(parameters):
    return run_all(parameters, ph.SolverOptions())


def test_the_files_hold_what_they_should(theirs):
    assert len(theirs) == 24
    assert len(EXACT) == len(THEIRS) == 48
    assert all(len(v) == 13 for v in EXACT.values())


def test_every_parameter_of_every_run_is_httks(theirs, parameters):
    # the file has 12 digits, in inputs and outputs
    for run, values in theirs.items():
        for name in values.keys() & parameters[run].keys():
            assert parameters[run][name] == pytest.approx(values[name], rel=1e-11), (run, name)
        assert set(NEEDED) <= parameters[run].keys()


@pytest.mark.parametrize("run", EXACT, ids="-".join)
def test_every_run_agrees_with_the_matrix_exponential_to_1e8(simulated, run):
    # the reference has 12 digits. Amounts under 1e-12 of the largest (some runs fall to 1e-60) are not held against the
    # integrator, whose errors are absolute there
    ours, days = simulated[run], list(EXACT[run])
    amount = ours["amount"].sel(time=days)
    got = {
        "Cplasma_uM": ours["concentration"].sel(time=days, compartment="plasma"),
        "AUC_uM_d": amount.sel(compartment="area") / 24,
        "Atubules_umol": amount.sel(compartment="tubules"),
        "Ametabolized_umol": amount.sel(compartment="metabolised"),
    }
    for name, values in got.items():
        expected = [EXACT[run][t][name] for t in days]
        np.testing.assert_allclose(
            values, expected, rtol=1e-8, atol=1e-20 * max(expected), err_msg=name
        )


@pytest.mark.parametrize("run", THEIRS, ids="-".join)
def test_every_run_from_the_name_agrees_with_httks_own_solution(from_names, run):
    # httk's solver stops at an absolute tolerance: before 0.01 day and below 1e-4 of the maximum its own error shows
    ours, days = from_names[run], np.array(list(THEIRS[run]))
    theirs = np.array([THEIRS[run][t]["Cplasma"] for t in days])
    plasma = ours["concentration"].sel(time=days, compartment="plasma").values
    clear = (days >= 0.01) & (theirs > 1e-4 * theirs.max())
    assert clear.sum() >= 4
    np.testing.assert_allclose(plasma[clear], theirs[clear], rtol=5e-4)
    area = ours["amount"].sel(time=days[-1], compartment="area") / 24
    assert float(area) == pytest.approx(THEIRS[run][days[-1]]["AUC"], rel=1e-6)
    for organ in ("gut", "liver", "lung", "rest", "kidney"):
        tissue = ours["concentration"].sel(time=days, compartment=organ).values
        other = np.array([THEIRS[run][t][f"C{organ}"] for t in days])
        clear = (days >= 0.01) & (other > 1e-4 * other.max())
        np.testing.assert_allclose(tissue[clear], other[clear], rtol=5e-4, err_msg=organ)


@pytest.mark.parametrize("run", EXACT, ids="-".join)
def test_lumen_body_tubules_and_metabolites_hold_the_dose(simulated, parameters, run):
    ds = simulated[run]
    amounts = [c for c in ds["compartment"].values if c not in ("area", "plasma")]
    total = ds["amount"].sel(compartment=amounts).sum("compartment")
    np.testing.assert_allclose(total, dose(run, parameters[run[:2]]), rtol=1e-10)
