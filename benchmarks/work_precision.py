"""Which method gives which error for which time?

    python benchmarks/work_precision.py [--quick]

The yardstick model at rtol 1e-4 to 1e-10 (atol = rtol/1000 mg), CPU time on one core: the engine's methods, the C program,
SciPy, CASADi and diffrax. Down and to the left is better. Error: largest |y - ref| / (|ref| + 1e-4 mg) over subjects, times
and states, against LSODA at rtol 1e-13.
"""

from __future__ import annotations

import numpy as np
from _contenders import CONTENDERS
from _harness import Report, arguments, interleave
from _yardstick import CYardstick, c_available, largest_error, ours, problem

TOLERANCES = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10)
SLOW = {
    "SciPy solve_ivp LSODA, Python rhs": 2,
    "SciPy odeint (LSODA), numba rhs": 16,
    "CasADi CVODES": 16,
    "diffrax Kvaerno5, vmap": 16,
}
#: LSODA at 1e-10 would be no better than what is to be judged
REFERENCE = 1e-13
#: diffrax compiles anew for each tolerance and needs thousands of steps at the tightest
DIFFRAX_FROM = 1e-7


def main() -> None:
    asked = arguments(__doc__)
    n, turns = (160, 2) if asked.quick else (480, 8)
    tolerances = TOLERANCES[::3] if asked.quick else TOLERANCES
    report = Report("work_precision", "Error against time", __doc__.split("\n\n", 2)[2].strip())
    p = problem(n)
    runs, subjects, errors, skipped = {}, {}, {}, []

    def add(name: str, rtol: float, count: int, run, amounts=lambda y: y) -> None:
        runs[name, rtol], subjects[name, rtol] = run, count
        errors[name, rtol] = largest_error(amounts(run()), REFERENCE)

    for rtol in tolerances:
        for method in ("rodas5p", "rodas4", "rodas4p"):
            run = ours(p, method=method, rtol=rtol, atol=rtol * 1e-3, threads=1)
            add(f"ours, {method}", rtol, n, run, lambda result: result.amount)
        if not c_available():
            add("C yardstick (rodas4), 8 lanes", rtol, n, CYardstick(8, n, rtol))
        for name, factory in CONTENDERS.items():
            if "diffrax" in name and (rtol < DIFFRAX_FROM or asked.quick):
                continue
            try:
                add(name, rtol, SLOW[name], factory(SLOW[name], rtol))
            except ImportError as err:
                skipped.append(f"{name}: {err}")
    times = interleave(
        runs, {key: turns if key[0] not in CONTENDERS else 2 for key in runs}, warm_up=0
    )
    names = list(dict.fromkeys(name for name, _ in runs))
    curve = {
        name: [(times[k].cpu / subjects[k] * 1e6, errors[k]) for k in runs if k[0] == name]
        for name in names
    }
    rows = [
        (
            name,
            f"{rtol:.0e}",
            times[name, rtol].cpu / subjects[name, rtol] * 1e6,
            errors[name, rtol],
        )
        for name, rtol in runs
    ]
    report.table(
        "Time and error",
        ("integrator", "rtol", "us/subject", "largest relative error"),
        sorted(rows, key=lambda r: (names.index(r[0]), -float(r[1]))),
    )
    report.table(
        "Time needed for a given error [us/subject]",
        ("integrator", "1e-4", "1e-5", "1e-6", "1e-7"),
        [(name, *(_time_for(curve[name], e) for e in (1e-4, 1e-5, 1e-6, 1e-7))) for name in names],
    )
    report.text(
        "The second table reads between the measured points on logarithmic scales; - where no run was that good."
    )
    if not asked.quick:
        best = errors["ours, rodas5p", 1e-6]
        report.target("error of rodas5p at rtol 1e-6", best, 1e-5)
    if skipped:
        report.text("Skipped: " + "; ".join(sorted(set(skipped))) + ".")
    _draw(report, curve, asked.out)
    report.finish(asked.out)


def _time_for(points: list[tuple[float, float]], error: float) -> float:
    """Time at which a curve first falls to `error`; NaN if it never does."""
    before = None
    for time, reached in sorted(points):
        if reached <= error:
            if before is None:
                return time
            share = np.log(before[1] / error) / np.log(before[1] / reached)
            return float(np.exp(np.log(before[0]) + share * np.log(time / before[0])))
        before = (time, reached)
    return float("nan")


def _draw(report: Report, curve, out) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5))
    for name, points in curve.items():
        time, error = zip(*points, strict=True)
        own = name.startswith("ours")
        axes.plot(time, error, "o-" if own else "s--", label=name, lw=2 if own else 1, ms=4)
    axes.axhline(1e-5, color="grey", lw=0.8, ls=":")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="us per subject, one core",
        ylabel="largest relative error",
    )
    axes.legend(frameon=False, fontsize=8)
    report.picture(figure, "error against time", out)


if __name__ == "__main__":
    main()
