"""How long until something happens: import, help, first simulation on a warm and on an empty numba cache?

    python benchmarks/engine_start.py [--quick]

Every number is from fresh processes. The numba cache of these runs is a folder of their own, so that "cold" means nothing is
compiled yet and "warm" means that exactly one run has been made before.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from _harness import Report, arguments

EMPTY, IMPORT, HELP = (
    "python -c pass (whole process)",
    "import pbpk_hybrid",
    "pbpk-hybrid --help (whole process)",
)
FIRST, SECOND = "first simulate call, warm numba cache", "second simulate call"
COLD = "first simulate call, empty numba cache (compiles)"
_CLOCK = """
import json, time
def now():
    return time.perf_counter(), time.process_time()
def since(start):
    return [b - a for a, b in zip(start, now())]
"""
_IMPORT = (
    _CLOCK
    + """
t = now()
import pbpk_hybrid
print(json.dumps(since(t)))
"""
)
_FIRST = (
    _CLOCK
    + """
import pbpk_hybrid as ph
t = now()
ph.simulate("theophylline", "320 mg oral", compartments=["plasma"])
first = since(t)
t = now()
ph.simulate("theophylline", "320 mg oral", compartments=["plasma"])
print(json.dumps([first, since(t)]))
"""
)
_PARTS = (
    _CLOCK
    + """
out = {}
def part(name, run):
    t = now()
    run()
    out[name] = since(t)
def rooms():
    import pbpk_hybrid.simulation.single, pbpk_hybrid.models.small_molecules.whole_body, pbpk_hybrid.physiology
def people():
    import pbpk_hybrid as ph
    global who
    who = ph.reference_individual("human")
def model():
    import pbpk_hybrid as ph
    ph.whole_body_system(ph.get_compound("theophylline"), who)
def numba():
    import numba
def kernel_modules():
    import pbpk_hybrid.solvers.embedded.rosenbrock, pbpk_hybrid.solvers.embedded.pack
def kernel():
    from pbpk_hybrid.solvers.embedded.backend import warm_up
    warm_up()
def rest():
    import pbpk_hybrid as ph
    ph.simulate("theophylline", "320 mg oral", compartments=["plasma"])
part("import xarray", lambda: __import__("xarray"))
part("import simulation, models, physiology", rooms)
part("reference individual (tables)", people)
part("compound and whole-body system", model)
part("import numba", numba)
part("import of the kernel's modules", kernel_modules)
part("kernel: load from cache, first run", kernel)
part("simulate, all that was left", rest)
print(json.dumps(out))
"""
)


def python(code: str, cache: str):
    """What the code prints as JSON, from a fresh process with that numba cache."""
    env = {**os.environ, "NUMBA_CACHE_DIR": cache}
    got = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    ).stdout
    return json.loads(got) if got else None


def whole(command: list[str]) -> list[float]:
    """[wall, CPU] time of a command [s]."""
    children = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    wall, cpu = time.perf_counter(), children()
    subprocess.run(command, capture_output=True, check=True)
    return [time.perf_counter() - wall, children() - cpu]


def main() -> None:
    asked = arguments(__doc__)
    turns = 2 if asked.quick else 7
    report = Report("engine_start", "Start-up times", __doc__.split("\n\n", 2)[2].strip())
    command = shutil.which(
        "pbpk-hybrid",
        path=os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", ""),
    )
    series: dict[str, list[list[float]]] = {
        name: [] for name in (EMPTY, IMPORT, HELP, FIRST, SECOND)
    }
    parts: dict[str, list[list[float]]] = {}
    with tempfile.TemporaryDirectory() as cache:
        cold = python(_FIRST, cache)[0]
        for _ in range(turns):
            series[EMPTY].append(whole([sys.executable, "-c", "pass"]))
            series[IMPORT].append(python(_IMPORT, cache))
            if command:
                series[HELP].append(whole([command, "--help"]))
            first, second = python(_FIRST, cache)
            series[FIRST].append(first)
            series[SECOND].append(second)
            for name, seconds in python(_PARTS, cache).items():
                parts.setdefault(name, []).append(seconds)
    row = lambda name, v: (
        name,
        min(x[0] for x in v),
        statistics.median(x[0] for x in v),
        min(x[1] for x in v),
    )
    columns = ("what", "wall, fastest [s]", "wall, median [s]", "CPU, fastest [s]")
    report.table(
        "Fresh processes",
        columns,
        [row(k, v) for k, v in series.items() if v] + [row(COLD, [cold])],
    )
    report.text(
        f"{turns} repeats. Targets are about wall time, which on a busy machine is longer than the CPU time the work takes."
    )
    report.table(
        "Where the first call goes (warm cache, one after another in one process)",
        columns,
        [row(k, v) for k, v in parts.items()],
    )
    for name, bound in ((IMPORT, 0.3), (HELP, 0.5), (FIRST, 1.5)):
        report.target(
            name, min(x[0] for x in series[name]) if series[name] else None, bound, unit="s"
        )
    report.finish(asked.out)


if __name__ == "__main__":
    main()
