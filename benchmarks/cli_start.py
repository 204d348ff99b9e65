"""What ten commands cost beside the libraries that they need: CPU and wall time of whole processes.

    python benchmarks/cli_start.py [--quick]

Each command runs in a process of its own with a warm numba cache, in turns with a bare import of xarray and matplotlib, which no
tool that writes netCDF and draws can do without.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _harness import Report, arguments

BARE = 'python -c "import xarray, matplotlib"'
ONE = "simulate, one person"
WRONG = "simulate, a dose that cannot be read"
COMMANDS = {
    ONE: ["simulate", "theophylline", "--dose", "320 mg oral", "-n", "1", "--seed", "1", "-q"],
    "simulate, a hundred people": ["simulate", "theophylline", "--seed", "1", "-q"],
    WRONG: ["simulate", "theophylline", "--dose", "320 mgg oral"],
    "nca": ["nca", "SIMULATION"],
    "plot": ["plot", "SIMULATION", "-q", "-o", "FOLDER/again.png"],
    "population 100": ["population", "100", "--seed", "1"],
    "compounds show": ["compounds", "show", "midazolam"],
    "compounds search": ["compounds", "search", "azole"],
    "doctor": ["doctor"],
    "--help": ["--help"],
}


def measure(command: list[str], env: dict[str, str], code: int = 0) -> tuple[float, float]:
    """Wall and CPU time of a process [s]; stops where it does not end as it should."""
    used = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    wall, cpu = time.perf_counter(), used()
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode != code:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-400:]}")
    return time.perf_counter() - wall, used() - cpu


def main() -> None:
    asked = arguments(__doc__)
    turns = 1 if asked.quick else 5
    report = Report("cli_start", "What commands cost", __doc__.split("\n\n", 2)[2].strip())
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in (BARE, *COMMANDS)}
    with tempfile.TemporaryDirectory() as folder:
        # compiled modules are kept, as in any installation; numba's cache belongs to these runs
        env = {
            **os.environ,
            "NUMBA_CACHE_DIR": f"{folder}/numba",
            "PYTHONPYCACHEPREFIX": f"{folder}/python",
        }
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        out = ["--out", f"{folder}/run"]
        words = {"SIMULATION": f"{folder}/run/simulation.nc", "FOLDER/again.png": f"{folder}/p.png"}
        start = [sys.executable, "-m", "pbpk_hybrid"]
        whole = {
            name: [
                *start,
                *(words.get(w, w) for w in command),
                *(out if "simulate" in name else []),
            ]
            for name, command in COMMANDS.items()
        }
        bare = [sys.executable, "-c", "import xarray, matplotlib"]
        for turn in range(turns + 1):  # the first fills the caches
            for name, command in ((BARE, bare), *whole.items()):
                found = measure(command, env, code=2 if name == WRONG else 0)
                if turn:
                    times[name].append(found)
        assert Path(words["SIMULATION"]).is_file()
    cpu = {name: min(t[1] for t in found) for name, found in times.items()}
    rows = [
        (
            name,
            cpu[name],
            cpu[name] / cpu[BARE],
            min(t[0] for t in found),
            statistics.median(t[0] for t in found),
        )
        for name, found in times.items()
    ]
    report.table(
        "Whole processes",
        (
            "command",
            "CPU, fastest [s]",
            "CPU over bare import",
            "wall, fastest [s]",
            "wall, median [s]",
        ),
        rows,
    )
    report.target(f"{ONE}, CPU", cpu[ONE], 1.5, unit="s")
    report.target("--help, CPU", cpu["--help"], 0.5, unit="s")
    report.text(f"{turns} turns. CPU is that of the process and its threads, user and system.")
    report.finish(asked.out)


if __name__ == "__main__":
    main()
