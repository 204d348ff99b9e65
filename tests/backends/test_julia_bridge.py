"""Julia in one process with everything else: torch, dask, pytest-xdist, threads, Ctrl-C, Python's lock, NumPy's memory."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from pbpk_hybrid._core.errors import InputError, SolveError
from pbpk_hybrid.models.system.examples import yardstick_system
from pbpk_hybrid.solvers.base import ADD, Problem, SolverOptions, StopTable
from pbpk_hybrid.solvers.select import availability, get_backend

STATE = availability("julia")
pytestmark = [
    pytest.mark.julia,
    pytest.mark.skipif(not STATE.ok, reason=f"backend julia: {STATE.reason}"),
    pytest.mark.filterwarnings(
        "ignore:torch was imported"
    ),  # by a test that ran before in this process
]

#: what every script below starts with; `solve(n)` is one solve of n people on Julia
PRELUDE = """
import os, signal, sys, threading, time
import numpy as np
from pbpk_hybrid.models.system.examples import yardstick_system
from pbpk_hybrid.solvers.base import ADD, Problem, SolverOptions, StopTable
from pbpk_hybrid.solvers.select import get_backend

def problem(n, hours=24):
    stop = StopTable(np.array([-1]), np.array([0.0]), np.array([ADD]), np.array([0]), np.array([100.0]))
    return Problem(yardstick_system(n), stop, np.linspace(0, hours, 5), ("liver", "brain"))

def solve(n, **options):
    return get_backend("julia").solve(problem(n), SolverOptions(**options)).amount
"""


def run_script(tmp_path: Path, code: str, timeout: float = 300.0) -> str:
    """Standard output of a script in a process of its own; it must end by itself and well."""
    script = tmp_path / "script.py"
    script.write_text(PRELUDE + code, encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, str(script)],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def one_dose(n_subjects: int, n_times: int = 25) -> Problem:
    system = yardstick_system(n_subjects)
    stop = StopTable(
        np.array([-1]), np.array([0.0]), np.array([ADD]), np.array([0]), np.array([100.0])
    )
    return Problem(system, stop, np.linspace(0, 24, n_times), system.states)


TORCH = """
def train():
    import torch
    layer = torch.nn.Linear(64, 64)
    for _ in range(5):
        layer(torch.randn(256, 64)).square().mean().backward()
    return torch.linalg.lu_factor(torch.randn(64, 64))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "order",
    ["train(); a = solve(20)", "a = solve(20); train()"],
    ids=["torch first", "julia first"],
)
def test_torch_trains_and_julia_solves_in_turn_whichever_came_first(tmp_path, order):
    if (
        importlib.util.find_spec("torch") is None
    ):  # not imported here: this process is to start Julia too
        pytest.skip("torch is not installed")
    code = f"{TORCH}\n{order}\ntrain(); b = solve(20); train()\nassert (a == b).all() and np.isfinite(a).all()\n"
    run_script(tmp_path, code)


@pytest.mark.slow
@pytest.mark.parametrize(
    "processes, threads", [(True, 2), (False, 2)], ids=["process workers", "a worker's threads"]
)
def test_dask_workers_solve_on_julia(tmp_path, processes, threads):
    pytest.importorskip("distributed")
    workers = 2 if processes else 1
    run_script(
        tmp_path,
        f"""
if __name__ == "__main__":
    from distributed import Client, LocalCluster

    shape = dict(n_workers={workers}, threads_per_worker={threads}, processes={processes}, dashboard_address=None)
    sizes = [9, 17, 24, 40] * 4
    with LocalCluster(**shape) as cluster, Client(cluster) as client:
        found = client.gather(client.map(solve, sizes, pure=False))
    for n, amount in zip(sizes, found):
        expected = get_backend("embedded").solve(problem(n), SolverOptions()).amount
        np.testing.assert_allclose(amount, expected, rtol=1e-4, atol=1e-4)
""",
    )


@pytest.mark.slow
def test_two_xdist_processes_solve_on_julia_at_once(tmp_path):
    pytest.importorskip("xdist")
    test = tmp_path / "test_both.py"
    body = """
def test_{0}():
    assert np.isfinite(solve(50)).all()
    with open({1!r} + os.environ["PYTEST_XDIST_WORKER"], "w"):
        pass
"""
    test.write_text(
        PRELUDE + "".join(body.format(i, str(tmp_path / "ran_")) for i in range(4)),
        encoding="utf-8",
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            "2",
            "-p",
            "no:faulthandler",
            "-p",
            "no:cacheprovider",
            str(test),
        ],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(tmp_path.glob("ran_gw*"))) == 2


@pytest.mark.slow
def test_a_thread_that_did_not_start_julia_may_solve_for_as_long_as_it_likes(tmp_path):
    """Garbage is collected many times on the way, while the thread that started Julia waits in Python."""
    run_script(
        tmp_path,
        """
solve(64)
worker = threading.Thread(target=lambda: [solve(64, rtol=1e-3) for _ in range(1500)], daemon=True)
worker.start()
worker.join(240)
assert not worker.is_alive(), "the thread hangs"
solve(64)
sys.stdout.flush()
""",
    )


@pytest.mark.slow
def test_julia_started_by_another_thread_serves_the_main_thread(tmp_path):
    run_script(
        tmp_path,
        """
found = []
worker = threading.Thread(target=lambda: found.append(solve(40)))
worker.start()
worker.join()
np.testing.assert_array_equal(found[0], solve(40))
""",
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent the POSIX way")
def test_ctrl_c_stops_a_long_solve_and_leaves_julia_usable(tmp_path):
    run_script(
        tmp_path,
        """
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job is started with it ignored
before = solve(30)
threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
began = time.perf_counter()
try:
    get_backend("julia").solve(problem(300_000, hours=240), SolverOptions(rtol=1e-9))
except KeyboardInterrupt:
    pass
else:
    sys.exit("no KeyboardInterrupt")
took = time.perf_counter() - began
assert took < 20, f"Ctrl-C was served after {took:.1f} s; the whole solve would take minutes"
np.testing.assert_array_equal(before, solve(30))
""",
    )


def test_other_python_threads_go_on_while_julia_solves():
    from pbpk_hybrid.solvers.julia import runtime
    from pbpk_hybrid.solvers.julia.convert import flatten

    ticks, stop = [], threading.Event()

    def tick():
        while not stop.wait(0.002):
            ticks.append(time.perf_counter())

    runtime.start()
    flat = flatten(one_dose(6000), SolverOptions(rtol=1e-9))  # one call of about a second
    other = threading.Thread(target=tick)
    other.start()
    began = time.perf_counter()
    runtime.call("solve_flat", flat.address, "rodas5p", 1, 1, 60_000)
    ended = time.perf_counter()
    stop.set()
    other.join()
    # with the lock held there would be none; a busy machine may leave few
    assert sum(began < t < ended for t in ticks) >= 10


def test_an_argument_julia_refuses_is_an_input_error_with_julias_trace_as_cause():
    from pbpk_hybrid.solvers.julia import runtime
    from pbpk_hybrid.solvers.julia.convert import flatten

    flat = flatten(one_dose(1), SolverOptions())
    with pytest.raises(InputError, match="method") as caught:
        runtime.call("solve_flat", flat.address, "euler", 1, 1, 60_000)
    assert "with_method" in str(caught.value.__cause__)


def test_any_other_julia_error_is_a_solve_error_with_julias_trace_as_cause():
    from pbpk_hybrid.solvers.julia import runtime
    from pbpk_hybrid.solvers.julia.convert import flatten

    flat = flatten(one_dose(1), SolverOptions())
    laws = flat.arrays[3]
    laws.fill(99)
    with pytest.raises(SolveError, match="KeyError: key 99") as caught:
        runtime.call("solve_flat", flat.address, "rodas5p", 1, 1, 60_000)
    assert "flat_system" in str(caught.value.__cause__)


def test_julia_writes_into_the_memory_numpy_owns():
    from pbpk_hybrid.solvers.julia import runtime
    from pbpk_hybrid.solvers.julia.convert import flatten

    problem = one_dose(9)
    flat = flatten(problem, SolverOptions())
    amount = flat.result.amount
    address = amount.ctypes.data
    amount.fill(-1.0)
    runtime.start()
    runtime.call("solve_flat", flat.address, "rodas5p", 1, 1, 60_000)
    assert flat.result.amount is amount and amount.ctypes.data == address and amount.flags.owndata
    assert (amount >= 0).any(axis=(1, 2)).all() and (amount != -1.0).all()
    # the system's coefficients are read where they are, not copied
    shared = [a for a in flat.arrays if np.shares_memory(a, problem.system.k_value)]
    assert len(shared) == 1


def test_a_call_that_may_last_no_time_does_one_pack_and_the_next_goes_on_from_there():
    from pbpk_hybrid.solvers.julia import runtime
    from pbpk_hybrid.solvers.julia.convert import flatten

    runtime.start()
    whole, parts = flatten(one_dose(20), SolverOptions()), flatten(one_dose(20), SolverOptions())
    runtime.call("solve_flat", whole.address, "rodas5p", 1, 1, 60_000)
    assert whole.last_done == 20
    done = [0]
    while done[-1] < 20:
        runtime.call("solve_flat", parts.address, "rodas5p", 1, done[-1] + 1, 0)
        done.append(parts.last_done)
    assert done == [0, 8, 16, 20]
    np.testing.assert_array_equal(parts.result.amount, whole.result.amount)


def test_a_second_solve_of_a_model_compiles_nothing():
    from pbpk_hybrid.solvers.julia import runtime
    from pbpk_hybrid.solvers.julia.convert import flatten

    runtime.start()
    import juliacall

    flat = flatten(one_dose(20), SolverOptions())
    compiling = juliacall.Main.seval("() -> Base.cumulative_compile_time_ns()[1]")
    juliacall.Main.seval("Base.cumulative_compile_timing(true)")
    try:
        for _ in range(2):
            before = int(compiling())
            runtime.call("solve_flat", flat.address, "rodas5p", 1, 1, 60_000)
            spent = int(compiling()) - before
    finally:
        juliacall.Main.seval("Base.cumulative_compile_timing(false)")
    assert spent == 0


def test_first_julia_solve_of_a_process_agrees_with_embedded_on_the_yardstick():
    problem = one_dose(9, 97)
    julia, embedded = (
        get_backend(name).solve(problem, SolverOptions(rtol=1e-10)).amount
        for name in ("julia", "embedded")
    )
    # relative to the amount, amounts under 1e-6 of the dose counting as that much
    assert np.max(np.abs(julia - embedded) / (np.abs(embedded) + 1e-4)) < 1e-8
