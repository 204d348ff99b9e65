"""How long do a million virtual people take, in how much memory, on how many cores, and does it survive being killed?

    python benchmarks/scale_cohort.py [--quick]

Theophylline, 320 mg oral, plasma at 49 times, streamed into a zarr store by `pbpk-hybrid simulate --out NAME.zarr`. Memory
is the largest sum, over all processes of the run, of their memory, shared pages counted once (PSS), looked at ten times a
second. Two workers are compared with what two copies of the hand-written C yardstick reach at once on the same cores, in the
same run.
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from _harness import Report, arguments, interleave
from _yardstick import Copies, c_available

TIMES = "0:24:0.5"


def command(store: Path, n: int, workers: int, chunk: int = 10_000) -> list[str]:
    return [
        sys.executable,
        "-m",
        "pbpk_hybrid",
        "simulate",
        "theophylline",
        "--dose",
        "320 mg oral",
        "--subjects",
        str(n),
        "--seed",
        "1",
        "--times",
        TIMES,
        "--chunk",
        str(chunk),
        "--workers",
        str(workers),
        "--quiet",
        "--out",
        str(store),
    ]


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found, rest = [], [pid]
    while rest:
        one = rest.pop()
        found.append(one)
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                rest += [int(x) for x in task.read_text().split()]
            except OSError:
                continue
    return found


def memory(pids: list[int]) -> float:
    """GiB held by the processes, shared pages counted once."""
    total = 0
    for pid in pids:
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            continue
    return total / 2**20


def run(store: Path, n: int, workers: int) -> tuple[float, float]:
    """Wall time [s] and peak memory [GiB] of one run."""
    peak, done = [0.0], threading.Event()
    start = time.perf_counter()
    process = subprocess.Popen(command(store, n, workers))

    def watch() -> None:
        while not done.wait(0.1):
            peak[0] = max(peak[0], memory(family(process.pid)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    done.set()
    watcher.join()
    if code:
        raise SystemExit(f"the run of {n} subjects ended with exit code {code}")
    return time.perf_counter() - start, peak[0]


def contents(store: Path) -> dict[str, bytes]:
    """Every file of numbers; the attributes hold the time of making."""
    return {
        str(f.relative_to(store)): f.read_bytes()
        for f in store.rglob("*")
        if f.is_file() and f.name[0] != "."
    }


def killed_at_random(folder: Path, n: int, times: int) -> tuple[int, int]:
    """Runs of two workers, one worker killed -9 at a random moment of each; how many were hit, how many ended equal."""
    store, chance = folder / "undisturbed.zarr", random.Random(7)
    start = time.perf_counter()
    subprocess.run(command(store, n, 2, 2000), check=True)
    usual, expected = time.perf_counter() - start, contents(store)
    hit = equal = 0
    for i in range(times):
        target = folder / f"killed-{i}.zarr"
        process = subprocess.Popen(command(target, n, 2, 2000))
        while process.poll() is None and len(workers := worker_processes(process.pid)) < 2:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.6 * usual))
        workers = worker_processes(process.pid) if process.poll() is None else []
        if workers:
            try:
                subprocess.run(
                    ["kill", f"-{signal.SIGKILL.value}", str(chance.choice(workers))], check=True
                )
                hit += 1
            except subprocess.CalledProcessError:  # it had just ended by itself
                pass
        equal += process.wait() == 0 and contents(target) == expected
        shutil.rmtree(target)
    return hit, equal


def worker_processes(pid: int) -> list[int]:
    """The worker processes of a run: forked from the process that has loaded the engine for them."""
    found = []
    for child in family(pid)[1:]:
        try:
            if b"forkserver" in Path(f"/proc/{child}/cmdline").read_bytes():
                found += family(child)[1:]
        except OSError:
            continue
    return sorted(set(found))


def second_copy_gains() -> float | None:
    """Speed-up that two copies of the C yardstick get on these cores; None where it cannot be compiled."""
    if c_available():
        return None
    copies = {"one": Copies(1, 8, 4000), "two": Copies(2, 8, 4000)}
    times = interleave(copies, 9)
    for c in copies.values():
        c.close()
    return 2 * times["one"].wall / times["two"].wall


def main() -> None:
    asked = arguments(__doc__)
    small, large, cohort, kills = (
        (4_000, 20_000, 12_000, 2) if asked.quick else (10_000, 1_000_000, 60_000, 20)
    )
    report = Report("scale_cohort", "A million people", __doc__.split("\n\n", 2)[2].strip())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        run(folder / "warm.zarr", 4000, 2)
        rows, seconds = [], {}
        gains = [second_copy_gains()]
        for n, workers in ((small, 1), (small, 2), (large, 1), (large, 2)):
            wall, peak = run(folder / "x.zarr", n, workers)
            seconds[n, workers] = wall
            rows.append((f"{n:,}", workers, wall, wall / n * 1e6, peak))
            shutil.rmtree(folder / "x.zarr")
            shutil.rmtree(folder / "x.zarr.run")
        gains.append(second_copy_gains())
        report.table(
            "Whole command, start of Python and of the workers included",
            ("subjects", "workers", "wall time [s]", "us per subject", "peak memory [GiB]"),
            rows,
        )
        speed_up = seconds[large, 1] / seconds[large, 2]
        hit, equal = killed_at_random(folder, cohort, kills)
    report.target(f"{large:,} subjects, two workers", seconds[large, 2], 240.0, unit="s")
    report.target("peak memory of all processes", rows[-1][-1], 4.0, unit="GiB")
    cost = (seconds[large, 2] / large) / (seconds[small, 2] / small)
    report.target(f"cost per subject at {large:,} / at {small:,}", cost, 1.2)
    c_gain = None if None in gains else sum(gains) / 2
    gain = None if c_gain is None else speed_up / c_gain
    report.target(
        "speed-up of two workers / of two copies of the C yardstick", gain, 0.9, at_least=True
    )
    report.target(
        f"of {kills} runs with a worker killed -9, stores equal bit for bit",
        equal,
        kills,
        at_least=True,
    )
    more = (seconds[large, 2] - seconds[small, 2]) / (large - small) * 1e6
    copies = "were not run" if c_gain is None else f"{c_gain:.3f} times"
    report.text(
        f"One more subject costs {more:.1f} us on two workers. Two workers are {speed_up:.3f} times as fast as one; two "
        f"copies of the yardstick {copies}. In {hit} of the {kills} runs a worker was there to be killed; in the others the "
        "run had ended."
    )
    report.finish(asked.out)


if __name__ == "__main__":
    main()
