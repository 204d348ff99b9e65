"""Which stiff solver gives which error for which time? Work-precision diagrams of this package's backends beside others.

    python benchmarks/stiff_solvers [--quick] [--problems rober,...] [--families scipy,...] [--python
    diffeqpy=/venv/bin/python]

The yardstick model, a 60-state permeability-limited model and four classic stiff tests (ROBER, OREGO, HIRES, POLLU), rtol
1e-4 to 1e-10, by every method of both backends, SciPy, CasADi CVODES, diffrax and diffeqpy. What is not installed is
named and skipped; a family of integrators can be run by another interpreter with `--python`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import numpy as np
from _harness import RESULTS, Report, Timing, wait_for_quiet
from stiff_contenders import CONTENDERS, FAMILIES, contender
from stiff_problems import PROBLEMS, problem

TOLERANCES = tuple(10.0**-k for k in range(4, 11))
GIVEN_ERRORS = (1e-3, 1e-5, 1e-7, 1e-9)
#: a single call may last this long [s]; the next tighter tolerance is then not tried
LONGEST = 3.0
WORTH_TIMING = 0.03  # [s] of calls per timing


class Worker:
    """A family of integrators in its own process, started when first asked."""

    def __init__(self, family: str, python: str):
        self.family, self.python, self.process = family, python, None
        self.said = tempfile.TemporaryFile("w+")  # noqa: SIM115 (as long as the process)

    def ask(self, **request) -> dict:
        if self.process is None:
            self.process = subprocess.Popen(
                [self.python, str(HERE / "worker.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                stderr=self.said,
                env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.process.kill()
            self.process = None
            self.said.seek(0)
            last = [text.strip() for text in self.said if text.strip()][-1:]
            return {"failed": f"its process ended ({''.join(last)[:200] or 'without a word'})"}
        return json.loads(line)

    def close(self) -> None:
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait(30)
            self.process = None


def measure(
    name: str,
    workers: dict[str, Worker],
    tolerances,
    turns: int,
    most: int | None,
    skipped: dict,
    quick: bool,
):
    """{contender: [(rtol, us per subject, error)]} for one problem; contenders take turns at each tolerance."""
    curves: dict[str, list] = {}
    out: set[str] = set()
    for rtol in tolerances:
        ready = {}
        for c in CONTENDERS:
            if c.family not in workers or c.name in out or rtol < c.tightest * 0.999:
                continue
            said = workers[c.family].ask(
                do="prepare", problem=name, name=c.name, rtol=rtol, most=most
            )
            why = said.get("skip") or said.get("failed")
            if why:
                skipped.setdefault((c.name, why), []).append(name)
                out.add(c.name)
                continue
            ready[c.name] = said
            if said["seconds"] > LONGEST:
                out.add(c.name)
                why = f"a call lasted more than {LONGEST:g} s: tighter ones not tried"
                skipped.setdefault((c.name, why), []).append(name)
        times: dict[str, list] = {k: [] for k in ready}
        for turn in range(turns):
            for k, said in ready.items():
                if turn and said["seconds"] > 0.3:  # long enough to be its own average
                    continue
                inner = max(1, int(WORTH_TIMING / max(said["seconds"], 1e-6)))
                took = workers[contender(k).family].ask(
                    do="time", problem=name, name=k, rtol=rtol, inner=1 if quick else inner
                )
                if "cpu" in took:
                    times[k].append((took["wall"], took["cpu"]))
        for k, said in ready.items():
            if times[k]:
                best = Timing.of(*zip(*times[k], strict=True))
                curves.setdefault(k, []).append(
                    (rtol, best.cpu / said["count"] * 1e6, said["error"], said["count"])
                )
        for w in workers.values():
            if w.process is not None:
                w.ask(do="drop")
    return {c.name: curves[c.name] for c in CONTENDERS if c.name in curves}


def time_for(points, error: float) -> float:
    """us/subject at which a curve first falls to `error`, between measured points on logarithmic scales; NaN if never."""
    before = None
    for time, reached in sorted((t, max(e, 1e-16)) for _, t, e, _ in points if np.isfinite(e)):
        if reached <= error:
            if before is None or before[1] <= reached:
                return time
            share = np.log(before[1] / error) / np.log(before[1] / reached)
            return float(np.exp(np.log(before[0]) + share * np.log(time / before[0])))
        before = (time, reached)
    return float("nan")


def tables(report: Report, name: str, curves: dict) -> None:
    p = problem(name)
    report.table(
        f"{p.title}: us per subject for an error of ...",
        ("integrator", "subjects per call", *(f"{e:.0e}" for e in GIVEN_ERRORS)),
        [(k, v[0][3], *(time_for(v, e) for e in GIVEN_ERRORS)) for k, v in curves.items()],
    )
    report.data["tables"].append(
        {
            "title": f"{p.title}: all points",
            "columns": ["integrator", "rtol", "us per subject", "largest relative error"],
            "rows": [
                [k, r, t, e if np.isfinite(e) else None]
                for k, v in curves.items()
                for r, t, e, _ in v
            ],
        }
    )


COLOURS = {
    "embedded": "C3",
    "julia": "C4",
    "scipy": "C0",
    "numba": "C9",
    "casadi": "C2",
    "diffrax": "C1",
    "diffeqpy": "C7",
}


def draw(report: Report, results: dict, out: Path | None) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = min(3, len(results))
    rows = -(-len(results) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(5.2 * columns, 4.2 * rows), squeeze=False, layout="constrained"
    )
    marks, seen = "osDv^<>", {}
    for ax, (name, curves) in zip(axes.flat, results.items(), strict=False):
        for k, points in curves.items():
            family = contender(k).family
            mine = [c.name for c in CONTENDERS if c.family == family]
            good = [(t, e) for _, t, e, _ in points if np.isfinite(e) and e > 0]
            if not good:
                continue
            own = family in ("embedded", "julia")
            line = ax.plot(
                *zip(*good, strict=True),
                marker=marks[mine.index(k) % len(marks)],
                color=COLOURS[family],
                lw=1.8 if own else 0.9,
                ls="-" if own else "--",
                ms=4,
                label=k,
            )
            seen.setdefault(k, line[0])
        ax.set(
            xscale="log",
            yscale="log",
            title=problem(name).title,
            xlabel="us per subject",
            ylabel="error",
        )
        ax.grid(alpha=0.3)
    for ax in list(axes.flat)[len(results) :]:
        ax.axis("off")
    order = [c.name for c in CONTENDERS if c.name in seen]
    figure.legend(
        [seen[k] for k in order],
        order,
        loc="outside lower center",
        ncols=4,
        frameon=False,
        fontsize=8,
    )
    report.picture(figure, "error against time", out)
    if out is not None:
        figure.savefig(out / f"{report.name}.svg", bbox_inches="tight")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick",
        action="store_true",
        help="two loose tolerances, few subjects: to see that it runs",
    )
    parser.add_argument(
        "--out", type=Path, default=None, help="folder of the results (--quick alone writes none)"
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="wait this long for a quiet machine",
    )
    parser.add_argument("--problems", default=",".join(PROBLEMS), help=f"of {', '.join(PROBLEMS)}")
    parser.add_argument("--families", default=",".join(FAMILIES), help=f"of {', '.join(FAMILIES)}")
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="FAMILY=EXE",
        help="interpreter of a family",
    )
    asked = parser.parse_args()
    asked.problems, asked.families = asked.problems.split(","), asked.families.split(",")
    for kind, given, known in (
        ("problem", asked.problems, PROBLEMS),
        ("family", asked.families, FAMILIES),
    ):
        for name in given:
            if name not in known:
                parser.error(f"unknown {kind} {name!r}; known: {', '.join(known)}")
    if asked.out is None and not asked.quick:
        asked.out = RESULTS
    return asked


def main() -> None:
    asked = arguments()
    wait_for_quiet(asked.wait)
    python = dict(pair.split("=", 1) for pair in asked.python)
    workers = {f: Worker(f, python.get(f, sys.executable)) for f in FAMILIES if f in asked.families}
    report = Report(
        "stiff_solvers", "Stiff solvers: error against time", __doc__.split("\n\n", 2)[2].strip()
    )
    tolerances, turns, most = (TOLERANCES[1:3], 1, 8) if asked.quick else (TOLERANCES, 4, None)
    skipped: dict[tuple[str, str], list[str]] = {}
    results = {}
    for name in asked.problems:
        results[name] = measure(name, workers, tolerances, turns, most, skipped, asked.quick)
        tables(report, name, results[name])
    draw(report, results, asked.out)
    report.text(TEXT)
    ran = {contender(k).family for curves in results.values() for k in curves}
    said = {
        f: workers[f].ask(do="versions", family=f).get("versions", "?") for f in workers if f in ran
    }
    report.data["versions"] = said
    report.text("Versions. " + "; ".join(f"{f}: {v}" for f, v in said.items()) + ".")
    if skipped:
        lines = [
            f"- {who}: {why} ({', '.join(dict.fromkeys(where))})"
            for (who, why), where in skipped.items()
        ]
        report.text("Skipped or ended early:\n\n" + "\n".join(lines))
    report.data["skipped"] = [[who, why, where] for (who, why), where in skipped.items()]
    for w in workers.values():
        w.close()
    report.finish(asked.out)


TEXT = """\
Time: processor time per subject on one core, the fastest of several turns, compilation not counted; - where no tolerance
gave that error. Error: largest |y - ref| / (|ref| + floor) over subjects, saved times and states; the floor is 1e-4 mg
for the body models and a thousandth of each state's largest value for the classic tests. References: SciPy's Radau IIA
and LSODA near rounding, which agree to 2e-11 or better and with the published end values to 4e-13; matrix exponentials
for the linear model. All integrators use rtol and an atol in a fixed ratio to it (1e-3 mg for body models, 1e-4 for
HIRES, 1e-6 for the other tests).

The engine integrates populations. Its rows for the classic tests, which have one subject, are for 64 copies in packs of
eight that share a step size; "one subject" rows are single calls, with what a call costs. CasADi, odeint, diffeqpy and
solve_ivp are called subject by subject, diffrax by vmap. SciPy's `solve_ivp` spends its time in Python. A single call for
one small problem costs ours about what it costs diffeqpy with a right-hand side in Julia: what is gained is gained by
packs, and by models of more states. All problems are expressible in the engine's rate laws.

KenCarp47's values between steps are OrdinaryDiffEq's cubic Hermite interpolation, far less exact than its steps, and the
errors here are of saved times. The 60-state model's permeabilities are illustrative. "Matrix exponential" is the
reference of the linear model itself, so its error is zero by definition.

The diffeqpy rows are its own `from diffeqpy import ode` with `ode.ODEProblem`, `ode.remake` and `ode.solve`: dense
Jacobians by forward differentiation (finite differences for a right-hand side in Python, which Julia cannot
differentiate). See `examples/from_diffeqpy.py` for the same model both ways."""


if __name__ == "__main__":
    main()
