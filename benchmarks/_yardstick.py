"""The yardstick model for all contenders: parameters, start, times, reference solution, and the C program if there is one.

The C program is a hand-written integrator of this one model. It is not part of this repository; it is compiled
and run from ``../shared/limit`` beside the checkout if it and a C compiler are there.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np

from pbpk_hybrid.models.system.examples import yardstick_parameters, yardstick_system
from pbpk_hybrid.models.system.system import System
from pbpk_hybrid.solvers.base import ADD, Problem, SolverOptions, StopTable
from pbpk_hybrid.solvers.embedded.backend import EmbeddedBackend

SOURCE = Path(__file__).resolve().parents[2] / "shared" / "limit" / "pbpk15.c"
TIMES = np.linspace(0.0, 24.0, 97)
DOSE = 100.0
N_REFERENCE = 16
MOST = 4096  #: subjects are the first of these, so that every contender sees the same ones whatever its number
#: states of the C program in the names of the System
STATES = (
    "gut_lumen",
    "arterial_blood",
    "venous_blood",
    "lung",
    "heart",
    "brain",
    "muscle",
    "adipose",
    "skin",
    "bone",
    "kidney",
    "gut",
    "spleen",
    "liver",
    "rest",
)


def parameter_table(n: int) -> np.ndarray:
    """(n, 6): body weight, ka, Vmax, Km, renal clearance, Kp scale."""
    return np.ascontiguousarray(np.stack(list(yardstick_parameters(MOST).values()), axis=1)[:n])


def system(n: int) -> System:
    """The yardstick as an ordinary System."""
    return yardstick_system(MOST).take(slice(0, n))


def problem(n: int, saved: tuple[str, ...] = STATES, parameters: tuple[str, ...] = ()) -> Problem:
    """100 mg into the gut lumen at 0 h, for the engine."""
    model = system(n)
    lumen = model.states.index("gut_lumen")
    stop = StopTable(
        np.array([-1]), np.zeros(1), np.array([ADD]), np.array([lumen]), np.array([DOSE])
    )
    return Problem(model, stop, TIMES, saved, parameters=parameters)


def ours(p: Problem, **options):
    """A call that solves `p` with the embedded backend."""
    backend, chosen = EmbeddedBackend(), SolverOptions(**options)
    return lambda: backend.solve(p, chosen)


@lru_cache(maxsize=2)
def reference(rtol: float = 1e-10) -> np.ndarray:
    """(16, 97, 15) amounts by LSODA. At rtol 1e-10 it is itself only good to about 2e-8; at 1e-13 to about 1e-11."""
    from scipy.integrate import solve_ivp

    model = system(N_REFERENCE)
    order = [model.states.index(s) for s in STATES]
    y0 = np.zeros(model.n_states)
    y0[model.states.index("gut_lumen")] = DOSE
    solve = lambda k: solve_ivp(
        lambda t, y: model.rhs(y, k), (0, 24), y0, "LSODA", TIMES, rtol=rtol, atol=rtol * 1e-3
    ).y.T[:, order]
    return np.array([solve(k) for k in range(N_REFERENCE)])


def largest_error(y: np.ndarray, rtol: float = 1e-10) -> float:
    """Largest |y - ref| / (|ref| + 1e-4 mg) of the first subjects (n, 97, 15), against LSODA at `rtol`."""
    m = min(len(y), N_REFERENCE)
    ref = reference(rtol)[:m]
    return float(np.max(np.abs(y[:m] - ref) / (np.abs(ref) + 1e-4)))


def c_available() -> str:
    """Empty, or why the C program cannot run here."""
    if not SOURCE.exists():
        return "no C yardstick beside this checkout (../shared/limit)"
    if shutil.which("cc") is None:
        return "no C compiler (cc)"
    return ""


class CYardstick:
    """The C program with some number of lanes, for the same subjects."""

    def __init__(self, lanes: int, n: int, rtol: float = 1e-6):
        self.n, self.rtol = n, rtol
        self._folder = tempfile.TemporaryDirectory()
        library = str(Path(self._folder.name) / "limit.so")
        subprocess.run(
            [
                "cc",
                "-O3",
                "-march=native",
                "-ffast-math",
                f"-DL={lanes}",
                "-shared",
                "-fPIC",
                str(SOURCE),
                "-o",
                library,
                "-lm",
            ],
            check=True,
        )
        self._run = ctypes.CDLL(library).run
        self._run.restype = ctypes.c_long
        self._parameters = parameter_table(n)
        self.out = np.zeros((n, len(TIMES), len(STATES)))

    def __call__(self) -> np.ndarray:
        at = lambda a: a.ctypes.data_as(ctypes.c_void_p)
        self._run(
            self.n,
            at(self._parameters),
            len(TIMES),
            at(TIMES),
            ctypes.c_double(DOSE),
            ctypes.c_double(self.rtol),
            ctypes.c_double(self.rtol * 1e-3),
            at(self.out),
        )
        return self.out


def _copy(pipe, lanes: int, n: int) -> None:
    run = CYardstick(lanes, n)
    run()
    pipe.send("ready")
    while pipe.recv() == "go":
        run()
        pipe.send("done")


class Copies:
    """Several processes that each run the C program when told to: what two cores can give at best, here and now."""

    def __init__(self, copies: int, lanes: int, n: int):
        spawn = multiprocessing.get_context("spawn")
        self._members = []
        for _ in range(copies):
            here, there = spawn.Pipe()
            process = spawn.Process(target=_copy, args=(there, lanes, n), daemon=True)
            process.start()
            self._members.append((process, here))
        for _, pipe in self._members:
            pipe.recv()

    def __call__(self) -> None:
        for _, pipe in self._members:
            pipe.send("go")
        for _, pipe in self._members:
            pipe.recv()

    def close(self) -> None:
        for process, pipe in self._members:
            pipe.send("stop")
            process.join()
