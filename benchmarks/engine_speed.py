"""How fast is the engine on the yardstick model, next to a hand-written C program and to SciPy, CASADi and diffrax?

    python benchmarks/engine_speed.py [--quick]

15 states, 24 h, 97 saved times, all states saved, rtol 1e-6 (and the engine's default). Contenders take turns; what is not
installed is named and skipped.
"""

from __future__ import annotations

import numpy as np
from _contenders import CONTENDERS
from _harness import Report, Timing, arguments, interleave
from _yardstick import (
    DOSE,
    STATES,
    TIMES,
    Copies,
    CYardstick,
    c_available,
    largest_error,
    ours,
    problem,
    system,
)

import pbpk_hybrid as ph

RTOL = 1e-6
#: subjects per call of the slow ones
SLOW = {
    "SciPy solve_ivp LSODA, Python rhs": 4,
    "SciPy odeint (LSODA), numba rhs": 32,
    "CasADi CVODES": 32,
    "diffrax Kvaerno5, vmap": 16,
}
DEFAULT_RTOL = ph.SolverOptions().rtol
OURS = "ours, rodas5p"
OURS_DEFAULT = f"ours, rodas5p, default rtol {DEFAULT_RTOL:g}"
COPY_LANES = 8
#: least speed-up of two independent processes for which the machine is taken to have had two cores for us
SECOND_CORE = 1.6


def main() -> None:
    asked = arguments(__doc__)
    n, turns = (400, 3) if asked.quick else (2000, 40)
    report = Report(
        "engine_speed", "Speed on the yardstick model", __doc__.split("\n\n", 2)[2].strip()
    )
    runs, subjects, errors, skipped = {}, {}, {}, []

    why = c_available()
    if why:
        skipped.append(f"C yardstick: {why}")
    for lanes in () if why else (1, 4, 8):
        name = f"C yardstick, {lanes} lane{'s' * (lanes > 1)}"
        runs[name], subjects[name] = CYardstick(lanes, n, RTOL), n
        errors[name] = largest_error(runs[name]())
    for name, factory in CONTENDERS.items():
        count = SLOW[name]
        try:
            runs[name] = factory(count, RTOL)
        except ImportError as err:
            skipped.append(f"{name}: {err}")
            continue
        subjects[name] = count
        errors[name] = largest_error(runs[name]())
    p = problem(n)
    for method in ("rodas5p", "rodas4", "rodas4p"):
        name = f"ours, {method}"
        runs[name], subjects[name] = ours(p, method=method, rtol=RTOL, threads=1), n
        errors[name] = largest_error(runs[name]().amount)
    if DEFAULT_RTOL != RTOL:
        runs[OURS_DEFAULT], subjects[OURS_DEFAULT] = ours(p, threads=1), n
        errors[OURS_DEFAULT] = largest_error(runs[OURS_DEFAULT]().amount)
    model, dose = system(n), ph.Regimen.parse(f"{DOSE:g} mg oral")
    options = ph.SolverOptions(rtol=RTOL, threads=1)
    whole = "ours, rodas5p, simulate_system to Dataset"
    runs[whole] = lambda: ph.simulate_system(
        model, dose, TIMES, compartments=STATES, options=options, backend="embedded"
    )
    subjects[whole], errors[whole] = n, largest_error(runs[whole]()["amount"].values)

    repeats = {name: turns if name not in CONTENDERS else max(2, turns // 8) for name in runs}
    times = interleave(runs, repeats)
    per = lambda name, which="cpu": getattr(times[name], which) / subjects[name] * 1e6
    scipy = next((k for k in CONTENDERS if k in times), None)
    rows = [
        (
            name,
            per(name),
            per(name, "wall"),
            per(name, "median_wall"),
            subjects[name],
            per(OURS) / per(name),
            per(scipy) / per(name) if scipy else np.nan,
            errors[name],
        )
        for name in sorted(times, key=per)
    ]
    report.table(
        "One core",
        (
            "integrator",
            "us/subject (CPU time)",
            "wall, fastest",
            "wall, median",
            "subjects",
            "time of ours / its time",
            "times faster than SciPy LSODA, Python rhs",
            "largest relative error",
        ),
        rows,
    )
    report.text(
        "Error: largest |y - ref| / (|ref| + 1e-4 mg) over 16 subjects, 97 times, 15 states, against LSODA at rtol 1e-10. "
        "rtol 1e-6, atol 1e-9 mg where nothing else is said; the same rtol does not mean the same error: see "
        "work_precision.md. All on one core; CPU time, the fastest of the repeats, is compared, since wall time also counts "
        "what others do on the same cores. Compilation is not counted."
    )
    _two_cores(report, why, n, turns)
    if skipped:
        report.text("Skipped: " + "; ".join(skipped) + ".")
    for name in (OURS, OURS_DEFAULT):
        if name in times:
            report.target(
                f"yardstick model on one core, all 15 states saved: {name}",
                per(name),
                40.0,
                unit="us/subject",
            )
            report.target(f"largest relative error: {name}", errors[name], 1e-5)
    report.data["times"] = times
    report.finish(asked.out)


def _two_cores(report: Report, why: str, n: int, turns: int) -> None:
    p = problem(2 * n)
    runs = {"one": ours(p, rtol=RTOL, threads=1), "two": ours(p, rtol=RTOL, threads=2)}
    copies = {}
    if not why:
        copies = {"C one": Copies(1, COPY_LANES, n), "C two": Copies(2, COPY_LANES, n)}
    times: dict[str, Timing] = interleave(runs | copies, 2 * turns)
    for c in copies.values():
        c.close()
    gain = times["one"].wall / times["two"].wall
    rows = [
        (
            "ours, rodas5p, threads",
            times["one"].wall / (2 * n) * 1e6,
            times["two"].wall / (2 * n) * 1e6,
            gain,
        )
    ]
    share = None
    if copies:
        c_gain = 2 * times["C one"].wall / times["C two"].wall
        rows.append(
            (
                f"C yardstick, {COPY_LANES} lanes, two processes",
                times["C one"].wall / n * 1e6,
                times["C two"].wall / (2 * n) * 1e6,
                c_gain,
            )
        )
        share = gain / c_gain if c_gain >= SECOND_CORE else None
    report.table(
        "Two cores", ("integrator", "us/subject on one (wall, fastest)", "on two", "speed-up"), rows
    )
    report.text(
        f"A speed-up under {SECOND_CORE} of the two independent C processes means that others held the second core: then "
        "nothing can be said about ours."
    )
    report.target(
        "speed-up on two cores / speed-up of two copies of the C yardstick",
        share,
        0.9,
        at_least=True,
    )


if __name__ == "__main__":
    main()
