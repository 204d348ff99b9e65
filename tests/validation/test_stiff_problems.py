"""Classic stiff tests and the models of the solver comparison: published values, and that the comparison itself runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pbpk_hybrid.solvers.base import SolverOptions
from pbpk_hybrid.solvers.embedded.backend import EmbeddedBackend

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "stiff_solvers"
CLASSICS = ("rober", "orego", "hires", "pollu")


@pytest.fixture(scope="module")
def problems():
    before = list(sys.path)
    sys.path[:0] = [str(FOLDER), str(FOLDER.parent)]
    try:
        import stiff_problems

        yield stiff_problems
    finally:
        sys.path[:] = before


@pytest.mark.parametrize("name", CLASSICS)
def test_the_reference_ends_at_the_published_values(problems, name):
    p = problems.problem(name)
    # published to 15 or 16 digits; two codes at rtol 3e-14 made the reference
    np.testing.assert_allclose(p.reference[0, -1], p.published, rtol=1e-12)


@pytest.mark.parametrize("name", CLASSICS)
@pytest.mark.parametrize("method", ["rodas5p", "rodas4", "rodas4p"])
def test_the_engine_solves_the_classic_stiff_tests(problems, name, method):
    p = problems.problem(name)
    options = SolverOptions(
        method=method, rtol=1e-8, atol=1e-8 * p.atol, max_steps=1_000_000, threads=1
    )
    y = EmbeddedBackend().solve(p.problem(1), options).amount
    # relative to |ref| + a thousandth of the state's largest; local errors of 1e-8 add up over hundreds of steps
    assert p.error(y) < 3e-6


@pytest.mark.parametrize("name", (*CLASSICS, "yardstick", "permeability"))
def test_every_integrator_gets_the_right_hand_side_of_the_system(problems, name):
    p = problems.problem(name)
    rng = np.random.default_rng(1)
    subject = min(2, p.system.n_subjects - 1)
    q = p.parameters(3)[subject]
    y = rng.uniform(0.1, 2.0, p.n_states)
    expected = p.system.rhs(y, subject)
    for state, rate in p.source_rate:
        expected[state] += rate
    size = np.abs(expected).max()
    np.testing.assert_allclose(p.python_rhs()(y, q), expected, rtol=1e-12, atol=1e-14 * size)
    np.testing.assert_allclose(p.numba_rhs()(y, 0.0, q), expected, rtol=1e-12, atol=1e-14 * size)
    assert p.julia_rhs().count("dy[") == p.n_states


def test_the_permeability_limited_model_has_60_states_and_is_linear(problems):
    p = problems.problem("permeability")
    assert p.n_states == 60 and p.system.linear and p.system.closed
    options = SolverOptions(rtol=1e-8, atol=1e-11, threads=1)
    y = EmbeddedBackend().solve(p.problem(problems.N_REFERENCE), options).amount
    # against the matrix exponential, relative to |ref| + 1e-4 mg
    assert p.error(y) < 1e-5


def test_the_comparison_runs_and_names_what_it_skips(tmp_path):
    ask = [
        sys.executable,
        str(FOLDER),
        "--quick",
        "--problems",
        "rober,hires",
        "--families",
        "embedded,scipy,diffeqpy",
        "--python",
        f"diffeqpy={sys.executable}",
        "--out",
        str(tmp_path),
    ]
    done = subprocess.run(ask, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert {p.suffix for p in tmp_path.iterdir()} == {".md", ".json", ".png", ".svg"}
    data = json.loads((tmp_path / "stiff_solvers.json").read_text())
    points = [t for t in data["tables"] if t["title"].endswith("all points")]
    rows = {(t["title"][:5], r[0]) for t in points for r in t["rows"]}
    assert ("ROBER", "embedded, rodas5p") in rows
    assert ("HIRES", "SciPy solve_ivp Radau, Python rhs") in rows
    assert any(who == "embedded, matrix exponential" for who, _, _ in data["skipped"])
    # diffeqpy either ran or is named
    ran = any(name.startswith("diffeqpy") for _, name in rows)
    assert ran or any(who.startswith("diffeqpy") for who, _, _ in data["skipped"])
    assert "# Stiff solvers" in (tmp_path / "stiff_solvers.md").read_text()


def test_an_unknown_problem_is_refused_by_name():
    done = subprocess.run(
        [sys.executable, str(FOLDER), "--problems", "robber"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and "rober" in done.stderr
