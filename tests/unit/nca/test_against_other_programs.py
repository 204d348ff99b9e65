"""Numbers of other people's programs: pynca (NonCompart), Phoenix WinNonlin, PKNCA."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from pbpk_hybrid.compounds import observations
from pbpk_hybrid.nca import NCAOptions, nca

DATA = Path(__file__).parents[2] / "data" / "nca"
NAMES = {
    "CMAX": "cmax",
    "TMAX": "tmax",
    "TLST": "tlast",
    "CLST": "clast_obs",
    "CLSTP": "clast_pred",
    "C0": "c0",
    "AUCLST": "auc_last",
    "AUCIFO": "auc_inf_obs",
    "AUCIFP": "auc_inf_pred",
    "AUCPEO": "auc_extrapolated_obs",
    "AUMCLST": "aumc_last",
    "AUMCIFO": "aumc_inf_obs",
    "AUMCIFP": "aumc_inf_pred",
    "LAMZ": "lambda_z",
    "LAMZHL": "half_life",
    "LAMZLL": "lambda_z_first",
    "LAMZUL": "lambda_z_last",
    "LAMZNPT": "lambda_z_points",
    "R2": "lambda_z_r2",
    "R2ADJ": "lambda_z_adj_r2",
    "CLO": "cl",
    "VZO": "vz",
    "VSSO": "vss",
    "MRTIVIFO": "mrt",
    "CLFO": "cl_f",
    "VZFO": "vz_f",
    "MRTEVIFO": "mrt",
}


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open() as file:
        return list(csv.DictReader(file))


def theophylline():
    return observations("theophylline", "shipped")


def made_up(route: str):
    """time, concentration, subjects of the made-up profiles of one route."""
    table = [r for r in rows("profiles.csv") if r["route"] == route]
    subjects = list(dict.fromkeys(r["subject"] for r in table))
    shape = (len(subjects), -1)
    time = np.array([float(r["time_h"]) for r in table]).reshape(shape)
    return (
        time,
        np.array([float(r["concentration_mg_per_L"]) for r in table]).reshape(shape),
        subjects,
    )


@pytest.mark.parametrize("method", ["linear", "linear_up_log_down"])
@pytest.mark.parametrize("route", ["iv_bolus", "iv_infusion", "oral"])
def test_every_number_of_pynca_is_reproduced(route, method):
    options = NCAOptions(auc_method=method)
    if route == "oral":
        result = nca(theophylline(), dose=320, route=route, options=options)
    else:
        time, concentration, subjects = made_up(route)
        result = nca(
            (time, concentration),
            dose=100,
            route=route,
            options=options,
            infusion_duration=2 if route == "iv_infusion" else 0,
        ).assign_coords(subject=subjects)
    compared = 0
    for reference in (
        r for r in rows("pynca_1.2.3.csv") if r["route"] == route and r["auc_method"] == method
    ):
        mine = result.sel(subject=reference["subject"])
        for theirs, ours in NAMES.items():
            if not reference[theirs] or (route == "iv_infusion" and ours in ("cl_f", "vz_f")):
                continue
            expected = float(reference[theirs])
            if route == "iv_infusion" and ours == "mrt":
                expected -= (
                    1.0  # half of the two hours: their infusion mode does not run, see SOURCE.md
                )
            # both programs work in double precision; 1e-10 allows for another order of summation
            np.testing.assert_allclose(
                mine[ours], expected, rtol=1e-10, err_msg=f"{reference['subject']} {ours}"
            )
            compared += 1
    assert compared >= 6 * 19


@pytest.mark.parametrize("method", ["linear", "linear_up_log_down"])
def test_theophylline_agrees_with_winnonlin_in_all_twelve_people(method):
    result = nca(theophylline(), dose=320, route="oral", options=NCAOptions(auc_method=method))
    references = [r for r in rows("winnonlin_theoph.csv") if r["auc_method"] == method]
    assert len(references) == 12
    for reference in references:
        mine = result.sel(subject=reference["subject"])
        for name, text in reference.items():
            if text and name not in ("auc_method", "subject"):
                # published with six decimals
                np.testing.assert_allclose(
                    mine[name], float(text), rtol=0, atol=1.01e-6, err_msg=name
                )


def test_theophylline_agrees_with_what_the_pknca_vignette_prints():
    result = nca(theophylline(), dose=320, route="oral")
    first = result.sel(subject="1")
    # "Computing NCA Parameters for Theophylline": subject 1
    assert f"{float(first.auc_last):.7f}" == "147.2347485"
    assert f"{float(first.lambda_z):.7f}" == "0.0484570"
    assert f"{float(first.lambda_z_r2):.7f}" == "0.9999997"
    # its summary: geometric mean [geometric CV %] of AUClast, Cmax, AUCinf; arithmetic mean [SD] of half-life
    assert geometric(result.auc_last) == ("98.7", "22.5")
    assert geometric(result.cmax) == ("8.65", "17.0")
    assert geometric(result.auc_inf_obs) == ("115", "28.4")
    assert f"{float(result.half_life.mean()):.2f}" == "8.18"
    assert f"{float(result.half_life.std(ddof=1)):.2f}" == "2.12"


def geometric(values):
    logs = np.log(values.values)
    return f"{np.exp(logs.mean()):.3g}", f"{100 * np.sqrt(np.expm1(logs.var(ddof=1))):.1f}"
