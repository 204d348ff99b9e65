"""The Julia backend beyond the contract: agreement with embedded, threads, Ctrl-C, errors, the Julia package's own tests."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.models.examples import random_system, yardstick_system
from pbpk_hybrid.solvers.base import ADD, Problem, SolverOptions, Status, StopTable
from pbpk_hybrid.solvers.select import availability, get_backend

STATE = availability("julia")
pytestmark = [pytest.mark.julia, pytest.mark.skipif(not STATE.ok, reason=f"backend julia: {STATE.reason}")]
ROOT = Path(__file__).parent.parent.parent


def one_dose(system: ph.System, saved=None) -> Problem:
    into = np.array([system.targets.get("iv_bolus", 0)])
    stop = StopTable(np.array([-1]), np.array([0.0]), np.array([ADD]), into, np.array([100.0]))
    return Problem(system, stop, np.linspace(0, 24, 25), saved or system.states)


@pytest.mark.parametrize("seed", range(4))
def test_both_backends_agree_to_1e8_at_a_tolerance_of_1e10(seed):
    problem = one_dose(random_system(8 + 9 * seed, seed, n_subjects=9))
    options = SolverOptions(rtol=1e-10)
    julia, embedded = (get_backend(name).solve(problem, options).amount for name in ("julia", "embedded"))
    # relative to the amount, amounts under 1e-6 of the dose counting as that much
    assert np.max(np.abs(julia - embedded) / (np.abs(embedded) + 1e-4)) < 1e-8


@pytest.mark.parametrize("method", ["rodas4", "rodas4p", "fbdf", "kencarp47", "tsit5"])
def test_every_method_agrees_with_the_default(method):
    problem = one_dose(yardstick_system(9))
    expected = get_backend("julia").solve(problem, SolverOptions(rtol=1e-9)).amount
    result = get_backend("julia").solve(problem, SolverOptions(method=method, rtol=1e-6))
    assert (result.status == Status.SUCCESS).all()
    # FBDF and Tsit5 accumulate local errors of 1e-6 over hundreds of steps
    assert np.max(np.abs(result.amount - expected) / (np.abs(expected) + 1e-2)) < 1e-2


def test_a_thread_that_did_not_start_julia_gets_the_same_answer():
    problem = one_dose(yardstick_system(40))
    backend, found = get_backend("julia"), []
    here = backend.solve(problem, SolverOptions())
    worker = threading.Thread(target=lambda: found.append(backend.solve(problem, SolverOptions()).amount))
    worker.start()
    worker.join()
    np.testing.assert_array_equal(found[0], here.amount)


def test_sensitivities_come_from_the_embedded_backend_and_the_facts_say_so():
    system = random_system(5, seed=1)
    name = next(iter(system.parameters), None) or "K[lung,venous_blood]"
    problem = one_dose(system, ("liver",))
    problem = Problem(system, problem.stops, problem.times, problem.saved, parameters=(name,))
    result = get_backend("julia").solve(problem, SolverOptions())
    assert result.sensitivity is not None and "embedded" in result.facts["backend_note"]


def test_an_error_in_julia_arrives_in_words_with_julias_own_behind_it():
    from pbpk_hybrid.solvers.julia import runtime

    with pytest.raises(ph.InputError, match="euler") as caught:
        from pbpk_hybrid.solvers.julia.convert import flatten

        flat = flatten(one_dose(yardstick_system(1)), SolverOptions())
        runtime.call("solve_flat", flat.address, "euler", 1, 1, 1)
    assert "Stacktrace" in str(caught.value.__cause__)


def test_exported_system_gives_the_same_in_julia(tmp_path):
    from pbpk_hybrid.solvers.julia import runtime
    from pbpk_hybrid.solvers.julia.export import save_system

    system = random_system(6, seed=3, n_subjects=2)
    julia = runtime.start()
    loaded = julia.load_system(str(save_system(system, tmp_path / "system.json")))
    y = np.linspace(1, 2, system.n_states)
    np.testing.assert_allclose(np.asarray(julia.rhs(loaded, y, 2)), system.rhs(y, 1), rtol=1e-12, atol=1e-12)


def run_python(code: str, **kwargs) -> subprocess.CompletedProcess:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False, timeout=300, **kwargs
    )


SOLVE = "from pbpk_hybrid.solvers.julia.backend import warm_up; warm_up()"


TORCH = "import torch; torch.ones(3) @ torch.ones(3)"


@pytest.mark.parametrize("code", [f"{SOLVE}; {TORCH}", f"{TORCH}; {SOLVE}"], ids=["julia first", "torch first"])
def test_julia_and_torch_live_in_one_process_in_either_order(code):
    pytest.importorskip("torch")
    done = run_python(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent the POSIX way")
def test_ctrl_c_stops_a_long_solve():
    code = (
        "import os, signal, sys, threading, numpy as np\n"
        f"{SOLVE}\n"
        "from pbpk_hybrid.models.examples import yardstick_system\n"
        "from pbpk_hybrid.solvers.base import *\n"
        "from pbpk_hybrid.solvers.select import get_backend\n"
        "s = yardstick_system(200000)\n"
        "stop = StopTable(np.array([-1]), np.array([0.0]), np.array([ADD]), np.array([0]), np.array([1.0]))\n"
        "threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "try:\n"
        "    get_backend('julia').solve(Problem(s, stop, np.linspace(0, 240, 3), ('liver',)), SolverOptions(rtol=1e-9))\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(7)\n"
    )
    done = run_python(code)
    assert done.returncode == 7, done.stderr


@pytest.mark.slow
def test_the_julia_package_passes_its_own_tests():
    import juliacall

    exe = os.environ.get("PYTHON_JULIACALL_EXE") or juliacall.CONFIG["exepath"]
    project = os.environ.get("PYTHON_JULIACALL_PROJECT") or juliacall.CONFIG["project"]
    done = subprocess.run(
        [str(exe), "--startup-file=no", "--threads=2", f"--project={project}", str(ROOT / "julia" / "test" / "runtests.jl")],
        capture_output=True, text=True, check=False, timeout=1800,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
