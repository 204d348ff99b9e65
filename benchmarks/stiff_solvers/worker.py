"""One family of integrators in a process of its own: reads requests and writes answers, one JSON object per line.

Families that would not bear each other in one process (two Julias, JAX, numba) or live in environments of their own can so
take turns in one benchmark. Started by __main__.py; anything a library prints goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from stiff_contenders import NotHere, contender, versions
from stiff_problems import problem

RUNS: dict = {}


def answer(ask: dict) -> dict:
    """prepare: one run and its error; time: one more run, timed; drop: forget; versions."""
    if ask["do"] == "versions":
        return {"versions": versions(ask["family"])}
    key = (ask["problem"], ask["name"], ask["rtol"])
    if ask["do"] == "drop":
        RUNS.clear()
        return {}
    p = problem(ask["problem"])
    if ask["do"] == "prepare":
        c = contender(ask["name"])
        count = c.count(p) if ask["most"] is None else min(c.count(p), ask["most"])
        run = c.prepare(p, count, ask["rtol"])
        error = p.error(run())  # compiles, too
        began = time.perf_counter()
        run()
        lasted = time.perf_counter() - began
        RUNS[key] = run
        return {"count": count, "error": error, "seconds": lasted}
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(ask["inner"]):
        RUNS[key]()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"cpu": cpu / ask["inner"], "wall": wall / ask["inner"]}


def main() -> None:
    warnings.simplefilter("ignore")
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    asks = os.fdopen(os.dup(0))
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)  # Julia would make the pipe one that does not wait
    for line in asks:
        try:
            said = answer(json.loads(line))
        except NotHere as err:
            said = {"skip": str(err)}
        except Exception as err:  # a contender that fails is named in the table, with its own words
            said = {
                "failed": f"{type(err).__name__}: {(str(err).strip() or ' ').splitlines()[0][:200]}"
            }
        out.write(json.dumps(said) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
