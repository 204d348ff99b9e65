"""How much memory and time do 100,000 virtual people take, plasma only, 97 times?

    python benchmarks/engine_memory.py [--quick]

One fresh process: `sample_population(100000)`, then `simulate("midazolam", "15 mg oral", ..., compartments=["plasma"])` on
all cores. Peak is the process's largest resident set, Python and libraries included.
"""

from __future__ import annotations

import json
import subprocess
import sys

from _harness import Report, arguments

_CODE = """
import json, resource, sys, time
import numpy as np
import pbpk_hybrid as ph
from pbpk_hybrid.simulation import run, single
from pbpk_hybrid.solvers.embedded import backend

n = int(sys.argv[1])
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
times = np.linspace(0.0, 24.0, 97)
ph.simulate("midazolam", "15 mg oral", times=times, compartments=["plasma"])  # compile or load, not to be counted
spent, peaks, order = {}, {"libraries loaded": peak()}, ["population"]


def watch(owner, attribute, name):
    inner = getattr(owner, attribute)
    order.append(name)

    def outer(*args, **kwargs):
        t = time.perf_counter()
        result = inner(*args, **kwargs)
        spent[name] = spent.get(name, 0.0) + time.perf_counter() - t
        peaks[name] = peak()
        return result

    setattr(owner, attribute, outer)


import pbpk_hybrid.physiology as physiology
watch(physiology, "check_physiology", "check of the population")
watch(single, "assemble_system", "assembly of the system")
watch(run, "dose_stops", "doses")
watch(backend.EmbeddedBackend, "solve", "integration (backend call)")
watch(run, "simulation_dataset", "Dataset")
t = time.perf_counter()
people = ph.sample_population(n, seed=1)
spent["population"] = time.perf_counter() - t
peaks["population"] = peak()
t = time.perf_counter()
result = ph.simulate("midazolam", "15 mg oral", people, times=times, compartments=["plasma"])
total = time.perf_counter() - t
peaks["all of simulate"] = peak()
inside = sum(v for k, v in spent.items() if k != "population")
print(json.dumps({
    "population": spent["population"], "spent": [(k, spent.get(k, 0.0), peaks.get(k)) for k in order[1:]], "simulate": total,
    "rest": total - inside, "peaks": peaks, "peak": peak(), "failed": int((result.status != 0).sum()),
    "steps": float(result.steps.mean()), "result": result.nbytes / 2**30, "population_size": people.nbytes / 2**30,
}))
"""


def main() -> None:
    asked = arguments(__doc__)
    n = 5000 if asked.quick else 100_000
    report = Report(
        "engine_memory", "A hundred thousand people", __doc__.split("\n\n", 2)[2].strip()
    )
    done = subprocess.run(
        [sys.executable, "-c", _CODE, str(n)], capture_output=True, text=True, check=True
    )
    got = json.loads(done.stdout)
    peaks = got["peaks"]
    rows = [("libraries loaded, kernels ready", "-", peaks["libraries loaded"])]
    rows += [("population", got["population"], peaks["population"])]
    rows += [(name, seconds, top) for name, seconds, top in got["spent"]]
    rows += [
        ("rest of simulate", got["rest"], "-"),
        ("simulate, total", got["simulate"], peaks["all of simulate"]),
    ]
    report.table(
        f"{n:,} subjects x 97 times, plasma", ("part", "wall time [s]", "peak so far [GiB]"), rows
    )
    report.text(
        f"Result {got['result']:.2f} GiB, population {got['population_size']:.2f} GiB; {got['steps']:.0f} steps a subject; "
        f"{got['failed']} failed; {got['simulate'] / n * 1e6:.1f} us per subject, simulate alone."
    )
    report.target(f"peak resident memory, {n:,} subjects", got["peak"], 2.0, unit="GiB")
    report.finish(asked.out)


if __name__ == "__main__":
    main()
