"""The backend cuda without a device: a thread's algorithm compiled for the CPU keeps the contract of
all backends; the launch runs in numba's simulator; without a device the error says so.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numba
import numpy as np
import pytest

from pbpk_hybrid import BackendUnavailableError, InputError
from pbpk_hybrid.models.system.examples import yardstick_system
from pbpk_hybrid.solvers.base import ADD, KEEP, RATE, Problem, SolverOptions, StopTable
from pbpk_hybrid.solvers.cuda.backend import CudaBackend
from pbpk_hybrid.solvers.cuda.integrator import Control, Work, make_integrator
from pbpk_hybrid.solvers.embedded.backend import EmbeddedBackend
from pbpk_hybrid.solvers.select import availability, choose_backend, get_backend
from pbpk_hybrid.testing import BackendContract

_COMPILED: dict[bool, object] = {}


class ThreadsOnTheCPU(CudaBackend):
    """The same threads, one after the other."""

    def _batch(self, run) -> int:
        return 37

    def _integrate(self, run, first, count):
        if self.single not in _COMPILED:
            integrate = make_integrator(numba.njit, self.real)

            @numba.njit
            def all_threads(count, *groups):
                for i in range(count):
                    integrate(i, *groups)

            _COMPILED[self.single] = all_threads
        work, results = run.empty(count)
        scratch = Work(*(np.full(shape, np.nan, self.real) for shape in work))
        st, w, values, doses, times = run.arrays(first, count)
        control = Control(*(float(c) for c in run.control))
        _COMPILED[self.single](count, st, w, values, doses, times, control, scratch, results)
        return results


class TestThreadsKeepTheContract(BackendContract):
    """All that every backend has to do."""

    @pytest.fixture
    def backend(self):
        return ThreadsOnTheCPU()


def several_doses(n: int, single: bool = False) -> Problem:
    """Boluses, an infusion and a reset, other ones for each subject."""
    system = yardstick_system(n)
    lumen, blood = system.states.index("gut_lumen"), system.states.index("venous_blood")
    rows = []
    for s in range(n):
        rows += [(s, 0.0, ADD, lumen, 50.0 + s), (s, 3.0, RATE, blood, 5.0)]
        rows += [(s, 5.0, RATE, blood, -5.0), (s, 8.0, KEEP, 0, float(s % 2))]
        rows += [(s, 8.0, ADD, lumen, 20.0)]
    subject, time, kind, state, value = (np.array(c) for c in zip(*rows, strict=True))
    return Problem(
        system,
        StopTable(subject, time, kind, state, value.astype(float)),
        np.array([0.0, 1.0, 4.0, 5.0, 8.0, 9.5, 24.0]),
        ("venous_blood", "liver", "gut_lumen"),
    )


def test_threads_agree_with_the_embedded_backend():
    problem = several_doses(5)
    options = SolverOptions(rtol=1e-9)
    ours, theirs = (
        ThreadsOnTheCPU().solve(problem, options),
        EmbeddedBackend().solve(problem, options),
    )
    np.testing.assert_allclose(ours.amount, theirs.amount, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(ours.given, theirs.given, rtol=1e-12)
    assert ours.balance is None and not problem.system.closed
    assert (ours.status == 0).all() and (ours.steps[:, 0] > 10).all()


def test_single_precision_is_good_to_three_digits_of_the_dose_and_says_what_it_is():
    problem = several_doses(5)
    exact = EmbeddedBackend().solve(problem, SolverOptions(rtol=1e-9))
    single = ThreadsOnTheCPU(single=True).solve(problem, SolverOptions(rtol=1e-5))
    assert np.abs(single.amount - exact.amount).max() < 1e-3 * 50.0
    assert np.abs(single.amount - exact.amount).max() > 0.0
    assert single.facts["precision"] == "float32" and single.facts["backend"] == "cuda32"
    with pytest.raises(InputError, match="at least 1e-05 in single precision"):
        CudaBackend(single=True).solve(problem, SolverOptions())


def test_what_a_thread_does_not_know_is_refused_with_the_way_out():
    problem = several_doses(2)
    with pytest.raises(InputError, match=r"sensitivities.*backend='embedded'"):
        ThreadsOnTheCPU().solve(
            Problem(
                problem.system, problem.stops, problem.times, problem.saved, parameters=("km",)
            ),
            SolverOptions(),
        )


@pytest.mark.skipif(CudaBackend().available().ok, reason="there is a device")
def test_without_a_device_the_error_is_typed_and_says_why():
    for name in ("cuda", "cuda32"):
        assert get_backend(name).name == name
        assert not availability(name).ok
        with pytest.raises(BackendUnavailableError, match=f"backend '{name}' was asked for.*CUDA"):
            choose_backend(name)


def test_auto_never_takes_a_backend_that_no_device_has_run():
    assert choose_backend("auto")[0].name == "embedded"


SIMULATED = """
import numpy as np
from pbpk_hybrid.solvers.base import ADD, Problem, SolverOptions, StopTable
from pbpk_hybrid.models.system.system import Reaction, System
from pbpk_hybrid.solvers.cuda.backend import CudaBackend
from pbpk_hybrid.solvers.embedded.backend import EmbeddedBackend

law = Reaction("cl", "michaelis_menten", (1,), {1: -1.0, 2: 1.0}, np.array([[2.0, 3.0]] * 3))
k = np.array([[-1.0, 1.0], [-0.5, 0.5], [-2.0, 2.0]])
system = System(("depot", "body", "gone"), [0, 1], [0, 0], k, (law,), n_subjects=3)
stop = StopTable(*(np.array(a) for a in ([-1], [0.0], [ADD], [0], [10.0])))
problem = Problem(system, stop, np.array([0.0, 1.0, 6.0]), ("body",))
for single, rtol, tolerance in ((False, 1e-6, 1e-6), (True, 1e-4, 1e-3)):
    found = CudaBackend(single).solve(problem, SolverOptions(rtol=rtol))
    exact = EmbeddedBackend().solve(problem, SolverOptions(rtol=1e-9))
    assert (found.status == 0).all(), found.status
    np.testing.assert_allclose(found.amount, exact.amount, atol=10 * tolerance)
assert CudaBackend().available().ok
print("simulated")
"""


def test_the_launch_runs_in_the_simulator_of_a_device():
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SIMULATED],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "simulated" in done.stdout
