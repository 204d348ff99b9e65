"""The Julia bridge as far as it goes without Julia: what Python hands over, and what it says when Julia is not there."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.models.system.examples import random_system, yardstick_system
from pbpk_hybrid.solvers.base import ADD, JULIA_METHODS, METHODS, Problem, SolverOptions, StopTable
from pbpk_hybrid.solvers.julia import runtime
from pbpk_hybrid.solvers.julia.convert import flatten
from pbpk_hybrid.solvers.julia.export import FORMAT, save_system
from pbpk_hybrid.solvers.julia.setup import setup, status
from pbpk_hybrid.solvers.select import availability

ROOT = Path(__file__).parent.parent.parent
JULIA = ROOT / "julia"


def one_dose(system: ph.System) -> Problem:
    stop = StopTable(
        np.array([-1]), np.array([0.0]), np.array([ADD]), np.array([0]), np.array([100.0])
    )
    return Problem(system, stop, np.array([0.0, 1.0, 2.0]), system.states)


def test_flat_table_has_julias_order_and_shapes():
    names = re.findall(
        r"(\w+) = :([IFB])", (JULIA / "src" / "flat.jl").read_text().split("const FLAT_TYPES")[0]
    )
    system = yardstick_system(11)
    flat = flatten(one_dose(system), SolverOptions())
    kinds = {"I": np.int64, "F": np.float64, "B": np.int8}
    assert [kinds[k] for _, k in names] == [a.dtype.type for a in flat.arrays]
    at = {name: i for i, (name, _) in enumerate(names)}
    amount = flat.table[at["amount"]]
    assert amount[0] == flat.result.amount.ctypes.data
    assert amount[1:].tolist() == [
        system.n_states,
        3,
        11,
    ]  # Julia's first dimension is NumPy's last
    np.testing.assert_array_equal(flat.arrays[at["k_row"]], system.k_row)
    assert flat.table[at["k_value"]][1:3].tolist() == [len(system.k_row), 11]
    assert all(a.flags.c_contiguous for a in flat.arrays)


def test_large_inputs_are_not_copied():
    system = yardstick_system(50)
    contiguous = ph.System(
        system.states,
        system.k_row,
        system.k_col,
        np.ascontiguousarray(system.k_value),
        n_subjects=50,
    )
    flat = flatten(one_dose(contiguous), SolverOptions())
    assert any(np.shares_memory(a, contiguous.k_value) for a in flat.arrays)


def test_methods_of_julia_are_those_of_the_options():
    text = (JULIA / "src" / "methods.jl").read_text()
    known = re.findall(r'"(\w+)"', re.search(r"const METHODS = \((.*)\)", text).group(1))
    # "auto" becomes a method before it reaches a backend; the exponential is the embedded one's
    assert set(METHODS) - {"expm", "auto"} | set(JULIA_METHODS) == set(known)


def test_status_numbers_are_the_same_in_both_languages():
    text = (JULIA / "src" / "problem.jl").read_text()
    names, numbers = re.search(r"const (SUCCESS, .*) = (Int8\(0\), .*)", text).groups()
    for name, number in zip(names.split(", "), re.findall(r"Int8\((\d)\)", numbers), strict=True):
        assert ph.solvers.Status[name] == int(number)


def test_versions_and_uuid_agree_in_all_files():
    project = tomllib.loads((JULIA / "Project.toml").read_text())
    assert (
        project["version"]
        == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    )
    for path, where in (
        ("python/pbpk_hybrid/juliapkg.json", "../../julia"),
        ("juliapkg-wheel.json", "_julia"),
    ):
        entry = json.loads((ROOT / path).read_text())["packages"]["PBPKHybrid"]
        assert entry == {
            "uuid": project["uuid"],
            "dev": True,
            "path": where,
            "version": f"={project['version']}",
        }
    assert (
        tomllib.loads((ROOT / "Project.toml").read_text())["deps"]["PBPKHybrid"] == project["uuid"]
    )


def test_julia_package_does_not_need_python():
    project = tomllib.loads((JULIA / "Project.toml").read_text())
    assert "PythonCall" not in project["deps"] and set(project["deps"]) <= set(project["compat"])


def test_exported_system_reads_back_exactly(tmp_path):
    system = random_system(6, seed=3)
    path = save_system(system, tmp_path / "system.json")
    data = json.loads(path.read_text())
    assert data["format"] == FORMAT
    np.testing.assert_array_equal(data["k_value"], system.k_value)
    np.testing.assert_array_equal(
        data["reactions"][0]["parameters"], system.reactions[0].parameters
    )
    assert data["observables"][system.states[-1]]["factor"] == [None]  # a sink has no volume
    assert data["targets"]["iv_bolus"] == system.targets["iv_bolus"]
    assert [p.name for p in tmp_path.iterdir()] == ["system.json"]


def test_a_julia_named_by_half_is_refused(monkeypatch):
    monkeypatch.setattr(runtime, "_bridge", None)
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setenv("PYTHON_JULIACALL_EXE", "/nowhere/julia")
    monkeypatch.delenv("PYTHON_JULIACALL_PROJECT", raising=False)
    assert "must be given together" in runtime.available().reason
    monkeypatch.setenv("PYTHON_JULIACALL_PROJECT", "/nowhere")
    state = runtime.available()
    assert not state.ok and "/nowhere/julia" in state.reason


def test_without_juliacall_the_reason_names_the_way_out(monkeypatch):
    monkeypatch.setattr(runtime, "_bridge", None)
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: None)
    state = runtime.available()
    assert (
        not state.ok
        and "pip install" in state.reason
        and "juliacall" in state.reason
        and "julia setup" in state.reason
    )
    with pytest.raises(ph.BackendUnavailableError, match="juliacall is not installed"):
        runtime.start()
    assert status()["ready"] is False


def fake_juliapkg(monkeypatch, folder: Path) -> None:
    """A juliapkg that has set nothing up, and that fails at whatever would resolve or write."""

    def must_not_run(*_, **__):
        raise AssertionError("resolves and installs")

    package, deps, state = (types.ModuleType(f"juliapkg{part}") for part in ("", ".deps", ".state"))
    package.resolve = package.project = package.executable = must_not_run
    deps.can_skip_resolve = lambda: False
    deps.deps_files = lambda: [
        str(ROOT / "python" / "pbpk_hybrid" / "juliapkg.json"),
        str(folder / "other" / "juliapkg.json"),
    ]
    state.STATE = {
        "project": str(folder / "julia_env"),
        "meta": str(folder / "julia_env" / "meta.json"),
        "depot": str(folder / "depot"),
    }
    (folder / "other").mkdir()
    other = {"julia": "1.9", "packages": {"ModelingToolkit": {"uuid": "x", "version": "9"}}}
    (folder / "other" / "juliapkg.json").write_text(json.dumps(other), encoding="utf-8")
    for module in (package, deps, state):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(runtime, "_bridge", None)
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: object())
    for name in ("EXE", "PROJECT"):
        monkeypatch.delenv(f"PYTHON_JULIACALL_{name}", raising=False)


def test_setup_asks_first_and_names_all_that_comes(monkeypatch, tmp_path):
    fake_juliapkg(monkeypatch, tmp_path)
    asked = []
    assert setup(lambda text: bool(asked.append(text))) is False
    text = asked[0]
    for wanted in ("~1.10.3", "ModelingToolkit", "other", str(tmp_path / "julia_env"), "depot"):
        assert wanted in text
    for name in tomllib.loads((JULIA / "Project.toml").read_text())["deps"]:
        assert name in text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other"]  # nothing was made


def test_status_touches_nothing(monkeypatch, tmp_path):
    fake_juliapkg(monkeypatch, tmp_path)
    facts = status()
    assert facts["ready"] is False and facts["project"] == str(tmp_path / "julia_env")
    assert facts["executable"] is None and "julia setup" in facts["reason"]
    assert not (tmp_path / "julia_env").exists()


def test_status_touches_nothing_with_the_juliapkg_that_is_installed(tmp_path):
    if importlib.util.find_spec("juliapkg") is None:
        pytest.skip("juliapkg is not installed")
    project = tmp_path / "env"
    hidden = ("PYTHON_JULIACALL_EXE", "PYTHON_JULIACALL_PROJECT")
    env = {k: v for k, v in os.environ.items() if k not in hidden}
    env |= {"PYTHON_JULIAPKG_PROJECT": str(project), "JULIA_DEPOT_PATH": str(tmp_path / "depot")}
    code = (
        "from pbpk_hybrid.solvers.julia.setup import plan, status; print(status()); print(plan())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and str(project) in done.stdout, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_set_up_of_julia_is_seen_without_a_new_process(monkeypatch, tmp_path):
    fake_juliapkg(monkeypatch, tmp_path)
    assert not availability("julia").ok
    record = tmp_path / "julia_env" / "meta.json"
    record.parent.mkdir()
    record.write_text("{}", encoding="utf-8")  # as another process' set-up leaves it
    ready = {"executable": "/somewhere/julia"}
    monkeypatch.setattr(sys.modules["juliapkg.deps"], "can_skip_resolve", lambda: ready)
    assert availability("julia").ok
    assert status()["executable"] == "/somewhere/julia"


def test_asking_for_availability_imports_neither_juliacall_nor_numba():
    code = (
        "import sys; from pbpk_hybrid.solvers.select import availability; availability('julia');"
        "sys.exit(any(m in sys.modules for m in ('juliacall', 'numba')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
