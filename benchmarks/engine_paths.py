"""Where people wait beside the integration itself: how much faster than an earlier release?

    python benchmarks/engine_paths.py [--quick] [--base COMMIT] [--rows NAME ...]

Every path is run by two processes in turns (this source, then the earlier one, then this one again, ...), one with each source
tree, and the CPU times of the fastest runs are compared. The earlier source is a copy of `--base` (the last tag; without tags
commit b3c2055), which is kept in the system's temporary folder so that its kernels are compiled once. Warm-up runs, which
compile, are not counted. One core each, where nothing else is said.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FALLBACK = "b3c2055"


@dataclass(frozen=True)
class Row:
    """One path: what is run, in which unit its time is given, and what is to be reached.

    `reach` is a bound of the time itself; with `of` it is a bound of the ratio to another row,
    and with `to_base` of that to the earlier source.
    """

    name: str
    label: str
    unit: str
    per: Callable[[bool], float]
    build: Callable[[bool], Callable[[], object]]
    reach: float
    of: str = ""
    to_base: bool = False
    at_least: bool = False
    kind: str = "cpu"


def _people(quick: bool):
    import pbpk_hybrid as ph

    return ph.sample_population(_n(quick), seed=1)


def _n(quick: bool) -> int:
    return 200 if quick else 1000


def _per_subject(quick: bool) -> float:
    return 1e6 / _n(quick)


def _simulation(compound: str, dose: str, times, **keywords):
    """A call of `simulate` for the people."""

    def build(quick: bool):
        import pbpk_hybrid as ph

        people = _people(quick)
        return lambda: ph.simulate(compound, dose, people, times, **keywords)

    return build


def _grid(end: float, step: float = 1.0) -> list[float]:
    return [i * step for i in range(round(end / step) + 1)]


def _single(quick: bool):
    import pbpk_hybrid as ph

    return lambda: ph.simulate("theophylline", "320 mg oral", times=_grid(24))


def _yardstick_steady(quick: bool):
    import pbpk_hybrid as ph
    from pbpk_hybrid.models.system.examples import yardstick_system

    model = yardstick_system(_n(quick))
    text = "100 mg oral q12h ss"
    return lambda: ph.simulate_system(model, text, _grid(12), compartments=["venous_blood"])


def _own_times(shared: bool):
    """Three doses each: at the same times for all, or moved by up to 3 h from person to person."""

    def build(quick: bool):
        import numpy as np

        import pbpk_hybrid as ph

        n, people = _n(quick), _people(quick)
        moved = np.zeros((n, 3)) if shared else np.random.default_rng(0).uniform(0, 3, (n, 3))
        times = np.array([0.0, 12.0, 24.0]) + moved
        if shared:
            regimen = "100 mg oral q12h x3"
        else:
            regimen = ph.Regimen(
                {
                    "time": times.ravel(),
                    "amount": np.full(3 * n, 100.0),
                    "route": np.full(3 * n, "oral"),
                    "subject": np.repeat(people["subject"].values, 3),
                }
            )
        return lambda: ph.simulate(
            "theophylline", regimen, people, _grid(48), compartments=["plasma"]
        )

    return build


def _expm(quick: bool):
    import pbpk_hybrid as ph

    people, exact = _people(quick), ph.SolverOptions(method="expm")
    return lambda: ph.simulate("theophylline", "320 mg oral", people, _grid(24), options=exact)


def _together(quick: bool):
    import pbpk_hybrid as ph

    people = _people(quick)
    both = {"midazolam": "7.5 mg oral", "fluconazole": "400 mg oral"}
    return lambda: ph.simulate_together(
        both, people, _grid(24), compartments=["midazolam:plasma", "fluconazole:plasma"]
    )


def _response(quick: bool):
    import pbpk_hybrid as ph
    from pbpk_hybrid.models.effects import with_effect_compartment, with_indirect_response

    model = ph.whole_body_system(ph.get_compound("theophylline"), _people(quick))
    model = with_effect_compartment(model, 0.5)
    model = with_indirect_response(
        model,
        "inhibit_loss",
        kin=10.0,
        kout=0.2,
        maximum=0.9,
        half=5.0,
        power=1.5,
        compartment="effect",
    )
    return lambda: ph.simulate_system(
        model, "320 mg oral", _grid(24), compartments=["plasma", "effect", "response"]
    )


def _antibody(quick: bool):
    import pbpk_hybrid as ph

    people = _people(quick)
    drug = ph.Antibody(name="antibody", target=1.0)
    model = ph.two_pore_system(drug, people)
    return lambda: ph.simulate_system(model, "300 mg iv", _grid(672, 12.0), compartments=["plasma"])


def _nca(times_more: int):
    def build(quick: bool):
        import pbpk_hybrid as ph

        people = ph.sample_population(times_more * _n(quick), seed=1)
        result = ph.simulate("theophylline", "320 mg oral", people, compartments=["plasma"])
        return lambda: ph.nca(result)

    return build


NAMED = [
    "clint.liver",
    "fraction_unbound_plasma",
    "blood_to_plasma_ratio",
    "absorption_rate",
    "kp.adipose",
    "kp.muscle",
    "kp.liver",
    "kp.kidney",
    "kp.gut",
    "kp.skin",
    "kp.brain",
    "kp.lung",
    "flow.liver",
    "flow.kidney",
    "flow.muscle",
    "flow.gut",
    "volume.adipose",
    "volume.muscle",
    "volume.liver",
    "clearance_renal",
]


def _midazolam(parameters: list[str]):
    """The integration alone, with and without sensitivities."""

    def build(quick: bool):
        import numpy as np

        import pbpk_hybrid as ph
        from pbpk_hybrid.solvers.base import ADD, Problem, StopTable
        from pbpk_hybrid.solvers.embedded.backend import EmbeddedBackend

        model = ph.whole_body_system(ph.get_compound("midazolam"), _people(quick))
        lumen = np.array([model.targets["oral"]])
        stop = StopTable(np.array([-1]), np.zeros(1), np.array([ADD]), lumen, np.array([100.0]))
        times = np.linspace(0.0, 24.0, 97)
        problem = Problem(model, stop, times, ("plasma",), parameters=tuple(parameters))
        return lambda: EmbeddedBackend().solve(problem, ph.SolverOptions(threads=1))

    return build


def _netcdf(quick: bool):
    import tempfile

    import pbpk_hybrid as ph

    result = ph.simulate("theophylline", "320 mg oral", _people(quick), _grid(24))
    folder = tempfile.TemporaryDirectory()
    name = Path(folder.name) / "result.nc"

    def run(keep=folder) -> None:
        result.pk.save(name)

    return run


def _netcdf_dense(quick: bool):
    import tempfile

    import pbpk_hybrid as ph

    result = ph.simulate("theophylline", "320 mg oral", _people(quick), _grid(24, 0.25))
    folder = tempfile.TemporaryDirectory()
    name = Path(folder.name) / "result.nc"

    def run(keep=folder) -> None:
        result.pk.save(name)

    return run


def _memory(quick: bool):
    """MB that a result of ten times the people keeps."""
    import gc
    import tracemalloc

    import pbpk_hybrid as ph

    people = ph.sample_population(10 * _n(quick), seed=1)

    def run() -> float:
        gc.collect()
        tracemalloc.start()
        result = ph.simulate("theophylline", "320 mg oral", people, _grid(24, 0.25))
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0] / 1e6
        tracemalloc.stop()
        del result
        return kept

    return run


def _yardstick(quick: bool):
    """The kernel itself: 15 states, 24 h, 97 times, all saved (see engine_speed.py)."""
    import numpy as np

    import pbpk_hybrid as ph
    from pbpk_hybrid.models.system.examples import yardstick_system
    from pbpk_hybrid.solvers.base import ADD, Problem, StopTable
    from pbpk_hybrid.solvers.embedded.backend import EmbeddedBackend

    model = yardstick_system(_n(quick))
    lumen = np.array([model.states.index("gut_lumen")])
    stop = StopTable(np.array([-1]), np.zeros(1), np.array([ADD]), lumen, np.array([100.0]))
    problem = Problem(model, stop, np.linspace(0.0, 24.0, 97), model.states)
    options = ph.SolverOptions(method="rodas5p", rtol=1e-6, threads=1)
    return lambda: EmbeddedBackend().solve(problem, options)


_MILLI = lambda quick: 1e3
_ONE = lambda quick: 1.0
PLASMA = {"compartments": ["plasma"]}
Q12H = _grid(28 * 12)
ROWS = (
    Row("single", "one `simulate` in a warm process", "ms", _MILLI, _single, 4),
    Row(
        "thousand",
        "1,000 people, all organs",
        "us/subject",
        _per_subject,
        _simulation("theophylline", "320 mg oral", _grid(24)),
        30,
    ),
    Row(
        "memory",
        "result of 10,000 people, 97 times, all organs",
        "MB",
        _ONE,
        _memory,
        0.5,
        to_base=True,
        kind="value",
    ),
    Row(
        "steady-linear",
        "q12h at steady state, linear",
        "us/subject",
        _per_subject,
        _simulation("theophylline", "100 mg oral q12h ss", _grid(12), **PLASMA),
        40,
    ),
    Row(
        "steady-saturable",
        "q12h at steady state, saturable (15 states)",
        "us/subject",
        _per_subject,
        _yardstick_steady,
        250,
    ),
    Row(
        "q12h",
        "q12h x 28, linear, hourly",
        "us/subject",
        _per_subject,
        _simulation("theophylline", "100 mg oral q12h x28", Q12H, **PLASMA),
        120,
    ),
    Row("shared", "three doses at shared times", "us/subject", _per_subject, _own_times(True), 1e9),
    Row(
        "own",
        "three doses at times of one's own",
        "us/subject",
        _per_subject,
        _own_times(False),
        1.3,
        of="shared",
    ),
    Row("expm", '`method="expm"`, all organs', "us/subject", _per_subject, _expm, 60),
    Row(
        "together",
        "two drugs, one inhibits the other",
        "us/subject",
        _per_subject,
        _together,
        0.5,
        to_base=True,
    ),
    Row(
        "response",
        "indirect response with a power",
        "us/subject",
        _per_subject,
        _response,
        0.5,
        to_base=True,
    ),
    Row(
        "antibody",
        "antibody with target, two-pore",
        "us/subject",
        _per_subject,
        _antibody,
        0.5,
        to_base=True,
    ),
    Row("nca", "nca of 1,000 simulated curves", "us/profile", _per_subject, _nca(1), 3),
    Row(
        "nca-many",
        "nca of 10,000 simulated curves",
        "us/profile",
        lambda quick: 0.1 * _per_subject(quick),
        _nca(10),
        3,
    ),
    Row("plain", "midazolam, 97 times, solve", "us/subject", _per_subject, _midazolam([]), 1e9),
    Row(
        "sensitivities",
        "the same with 20 sensitivities",
        "us/subject",
        _per_subject,
        _midazolam(NAMED),
        8,
        of="plain",
    ),
    Row(
        "yardstick",
        "the kernel on 15 states, nothing else",
        "us/subject",
        _per_subject,
        _yardstick,
        1.02,
        to_base=True,
    ),
    Row("netcdf", "netCDF of 1,000 x all organs, 25 times", "s", _ONE, _netcdf, 0.3),
    Row("netcdf-dense", "netCDF of 1,000 x all organs, 97 times", "s", _ONE, _netcdf_dense, 0.3),
)
BY_NAME = {row.name: row for row in ROWS}


# ---- one process per source tree ----
def serve() -> None:
    """Build and run rows as told by lines of JSON: {"row": name, "quick": bool} or {"run": name}."""
    warnings.simplefilter("ignore")
    ready: dict[str, Callable[[], object]] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        if "drop" in asked:
            ready.pop(asked["drop"], None)
            answer: object = "dropped"
        elif "row" in asked:
            row = BY_NAME[asked["row"]]
            start = time.process_time()
            try:
                ready[row.name] = row.build(asked["quick"])
                ready[row.name]()  # compiles
                answer = time.process_time() - start
            except Exception as err:
                answer = f"{type(err).__name__}: {err}"
        else:
            wall, cpu = time.perf_counter(), _cpu()
            value = ready[asked["run"]]()
            answer = {
                "cpu": _cpu() - cpu,
                "wall": time.perf_counter() - wall,
                "value": value if isinstance(value, float) else None,
            }
        print(json.dumps(answer), flush=True)


def _cpu() -> float:
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


class Server:
    """A process that imports one source tree."""

    def __init__(self, tree: Path):
        env = {
            **os.environ,
            "PYTHONPATH": str(tree / "python"),
            "PBPK_HYBRID_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve"],
            env=env,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def ask(self, **what: object):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit("a measured process ended early")
        return json.loads(answer)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def earlier_source(commit: str) -> Path:
    """A copy of the repository as it was at `commit`."""
    git = lambda *words: (
        subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, check=True).stdout
    )
    full = git("rev-parse", "--short", commit).decode().strip()
    folder = Path(tempfile.gettempdir()) / f"pbpk_hybrid-{full}"
    if not (folder / "COMMIT").exists():
        folder.mkdir(exist_ok=True)
        archive = git("archive", commit, "python")
        subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
        (folder / "COMMIT").write_text(full + "\n")
    return folder


def last_tag() -> str:
    found = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--tags", "--abbrev=0"], capture_output=True, text=True
    )
    return found.stdout.strip() if found.returncode == 0 else FALLBACK


def measure(row: Row, servers: dict[str, Server], quick: bool) -> dict[str, float]:
    """Fastest time of each source, in the unit of the row, and the warm-up (compiling) [s]."""
    out: dict[str, float] = {}
    for side, server in servers.items():
        answer = server.ask(row=row.name, quick=quick)
        if isinstance(answer, str):
            print(f"  {side}: {answer}", file=sys.stderr)
            return {}
        out[f"{side} first"] = answer
    best = dict.fromkeys(servers, math.inf)
    one = 0.0
    seconds = 1.0 if quick else 6.0
    turns, spent = 0, 0.0
    while turns < (1 if row.kind == "value" else 3) or (spent < seconds and turns < 40):
        turns += 1
        for side, server in servers.items():
            answer = server.ask(run=row.name)
            one = answer["value"] if row.kind == "value" else answer[row.kind]
            best[side] = min(best[side], one * row.per(quick))
            spent += answer["wall"]
        if row.kind == "value":
            break
    for server in servers.values():
        server.ask(drop=row.name)
    return {**out, **best}


def verdict(row: Row, all_times: dict[str, dict[str, float]], times: dict[str, float]):
    """(what is compared with the target, its value)."""
    if row.of:
        return f"{row.label} / {BY_NAME[row.of].label}", times["now"] / all_times[row.of]["now"]
    if row.to_base:
        return f"{row.label} / earlier", times["now"] / times["earlier"]
    return row.label, times["now"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer people: to see that it runs")
    parser.add_argument("--out", type=Path, default=None, help="folder of the results")
    parser.add_argument("--base", default=None, help="commit or tag to compare with")
    parser.add_argument("--rows", nargs="*", choices=sorted(BY_NAME), help="only these")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        serve()
        return
    from _harness import RESULTS, Report

    if asked.out is None and not asked.quick and not asked.rows:
        asked.out = RESULTS
    commit = asked.base or last_tag()
    report = Report(
        "engine_paths",
        "Where people wait, beside the integration",
        __doc__.split("\n\n", 2)[2].strip(),
    )
    servers = {"now": Server(ROOT), "earlier": Server(earlier_source(commit))}
    chosen = [row for row in ROWS if not asked.rows or row.name in asked.rows]
    for row in list(chosen):
        if row.of and BY_NAME[row.of] not in chosen:
            chosen.insert(chosen.index(row), BY_NAME[row.of])
    found, rows = {}, []
    for row in chosen:
        times = measure(row, servers, asked.quick)
        if not times:
            report.target(row.label, None, row.reach, unit=row.unit)
            continue
        found[row.name] = times
        rows.append(
            (row.label, row.unit, times["now"], times["earlier"], times["earlier"] / times["now"])
        )
        print(f"{row.label}: {times['now']:.4g} {row.unit}, earlier {times['earlier']:.4g}")
        if row.reach < 1e9:
            what, value = verdict(row, found, times)
            unit = "times" if row.of or row.to_base else row.unit
            report.target(what, value, row.reach, unit=unit, at_least=row.at_least)
    for server in servers.values():
        server.close()
    report.table(
        "Both sources in turns", ("path", "unit", "now", f"at {commit}", "times faster"), rows
    )
    report.data["times"] = found
    report.finish(asked.out)


if __name__ == "__main__":
    main()
