"""How fast is the Julia backend on the yardstick model, next to a hand-written C program, on two cores, and at first?

    python benchmarks/engine_julia.py [--quick]

15 states, 24 h, 97 saved times, all states saved. The C program (Rodas4, eight lanes, rtol 1e-6, atol 1e-9 mg) runs in turns
with the backend. Needs a Julia that is set up; without one there is nothing to measure.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

from _harness import Report, arguments, interleave
from _yardstick import Copies, CYardstick, c_available, largest_error, problem

from pbpk_hybrid.solvers.base import SolverOptions
from pbpk_hybrid.solvers.select import availability, get_backend

#: (method, rtol); the first has a largest error of 1e-5
SETTINGS = (
    ("rodas5p", 3e-5),
    ("rodas5p", 1e-6),
    ("rodas4p", 5e-6),
    ("fbdf", 1e-6),
    ("kencarp47", 1e-8),
    ("tsit5", 1e-5),
)
SECOND_CORE = 1.6  #: as in engine_speed.py
#: solves before the first timing: a model's stages are written out once 20,000 of its subjects have been solved
WARM_UP = 14
_FIRST = """
import json, time
from pbpk_hybrid.models.system.examples import yardstick_system
from pbpk_hybrid.solvers.base import ADD, Problem, SolverOptions, StopTable
from pbpk_hybrid.solvers.select import get_backend
import numpy as np
stop = StopTable(np.array([-1]), np.array([0.0]), np.array([ADD]), np.array([0]), np.array([100.0]))
problem = Problem(yardstick_system(200), stop, np.linspace(0, 24, 97), ("liver",))
backend, times = get_backend("julia"), []
for _ in range(2):
    began = time.perf_counter()
    backend.solve(problem, SolverOptions())
    times.append(time.perf_counter() - began)
print(json.dumps(times))
"""


def main() -> None:
    asked = arguments(__doc__)
    state = availability("julia")
    if not state.ok:
        sys.exit(f"nothing to measure: {state.reason}")
    n, turns = (400, 3) if asked.quick else (2000, 25)
    report = Report(
        "engine_julia", "Speed of the Julia backend", __doc__.split("\n\n", 2)[2].strip()
    )
    _one_core(report, n, turns)
    _two_cores(report, n, turns)
    _first_solve(report, 1 if asked.quick else 5)
    from pbpk_hybrid.solvers.julia.runtime import versions

    report.text("; ".join(f"{name} {version}" for name, version in versions().items()) + ".")
    report.finish(asked.out)


def solve(p, method: str, rtol: float, threads: int = 1):
    backend, options = (
        get_backend("julia"),
        SolverOptions(method=method, rtol=rtol, threads=threads),
    )
    return lambda: backend.solve(p, options)


def _one_core(report: Report, n: int, turns: int) -> None:
    p, why = problem(n), c_available()
    runs = {f"{method}, rtol {rtol:g}": solve(p, method, rtol) for method, rtol in SETTINGS}
    first = next(iter(runs))
    for _ in range(WARM_UP):
        result = runs[first]()
    errors = {name: largest_error(run().amount) for name, run in runs.items()}
    if not why:
        runs["C yardstick, 8 lanes"] = CYardstick(8, n)
        errors["C yardstick, 8 lanes"] = largest_error(runs["C yardstick, 8 lanes"]())
    times = interleave(
        runs,
        {name: turns if "rodas5p" in name or "C " in name else max(2, turns // 5) for name in runs},
    )
    per = lambda name, which="cpu": getattr(times[name], which) / n * 1e6
    report.table(
        "One core",
        (
            "integrator",
            "us/subject (CPU time)",
            "wall, fastest",
            "wall, median",
            "largest relative error",
        ),
        [
            (name, per(name), per(name, "wall"), per(name, "median_wall"), errors[name])
            for name in sorted(runs, key=per)
        ],
    )
    report.text(
        f"Steps of {first}: {result.steps[:, 0].mean():.1f} on average, {result.steps[:, 1].mean():.1f} refused."
    )
    report.target(f"one core, {first}", per(first), 20.0, unit="us/subject")
    report.target(f"largest relative error, {first}", errors[first], 1e-5)
    ratio = None if why else per(first) / per("C yardstick, 8 lanes")
    report.target(f"{first} / C yardstick, 8 lanes", ratio, 1.0)


def _two_cores(report: Report, n: int, turns: int) -> None:
    p = problem(2 * n)
    runs = {"one": solve(p, *SETTINGS[0]), "two": solve(p, *SETTINGS[0], threads=2)}
    copies = {} if c_available() else {"C one": Copies(1, 8, n), "C two": Copies(2, 8, n)}
    times = interleave(runs | copies, turns)
    for c in copies.values():
        c.close()
    gain, share = times["one"].wall / times["two"].wall, None
    rows = [
        (
            "rodas5p, two threads",
            times["one"].wall / (2 * n) * 1e6,
            times["two"].wall / (2 * n) * 1e6,
            gain,
        )
    ]
    if copies:
        c_gain = 2 * times["C one"].wall / times["C two"].wall
        one, two = times["C one"].wall / n * 1e6, times["C two"].wall / (2 * n) * 1e6
        rows.append(("C yardstick, 8 lanes, two processes", one, two, c_gain))
        share = gain / c_gain if c_gain >= SECOND_CORE else None
    report.table(
        "Two cores", ("integrator", "us/subject on one (wall, fastest)", "on two", "speed-up"), rows
    )
    report.target(
        "speed-up of two threads / of two copies of the C yardstick", share, 0.9, at_least=True
    )


def _first_solve(report: Report, repeats: int) -> None:
    found = []
    for _ in range(repeats):
        done = subprocess.run(
            [sys.executable, "-c", _FIRST], capture_output=True, text=True, check=True
        )
        found.append(json.loads(done.stdout.splitlines()[-1]))
    first, second = (sorted(column) for column in zip(*found, strict=True))
    report.table(
        "A fresh process, 200 subjects",
        ("what", "fastest [s]", "median [s]"),
        [
            (
                "first solve: Julia starts and loads, then solves",
                first[0],
                statistics.median(first),
            ),
            ("second solve", second[0], statistics.median(second)),
        ],
    )
    report.target("first solve in a fresh process, median", statistics.median(first), 5.0, unit="s")


if __name__ == "__main__":
    main()
