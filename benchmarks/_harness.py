"""What all benchmarks share: fair timing, facts about the machine, tables with targets, Markdown + JSON + PNG results."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
_PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "xarray", "pandas", "casadi", "jax", "diffrax")


@dataclass(frozen=True)
class Timing:
    """Times of one contender [s]: minima are what the machine can do, the median wall time says how disturbed it was.

    `cpu`, the processor time of all threads, leaves out the time in which others held the core: on a shared machine it is
    what one free core would need, and for contenders on one core it is what is compared.
    """

    cpu: float
    wall: float
    median_wall: float
    repeats: int

    @staticmethod
    def of(walls: Sequence[float], cpus: Sequence[float]) -> Timing:
        return Timing(min(cpus), min(walls), statistics.median(walls), len(walls))


def interleave(
    contenders: Mapping[str, Callable[[], object]],
    repeats: int | Mapping[str, int],
    warm_up: int = 1,
) -> dict[str, Timing]:
    """Time the contenders in turns (a b c, a b c, ...), so that a busy spell of the machine hits all of them alike.

    A contender whose number of `repeats` is smaller than that of others drops out of the later rounds.
    """
    count = dict.fromkeys(contenders, repeats) if isinstance(repeats, int) else dict(repeats)
    for run in contenders.values():
        for _ in range(warm_up):
            run()
    walls = {name: [] for name in contenders}
    cpus = {name: [] for name in contenders}
    for turn in range(max(count.values())):
        for name, run in contenders.items():
            if turn >= count[name]:
                continue
            cpu, wall = time.process_time(), time.perf_counter()
            run()
            walls[name].append(time.perf_counter() - wall)
            cpus[name].append(time.process_time() - cpu)
    return {name: Timing.of(walls[name], cpus[name]) for name in contenders}


def machine() -> dict[str, str]:
    """Processor, cores, system, versions and the state of the source."""
    facts = {
        "processor": _processor(),
        "cores": str(
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        ),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "source": _source(),
    }
    for package in _PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed"
    return facts


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    name = next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        "unknown",
    )
    flags = next((line for line in lines if line.startswith("flags")), "")
    simd = next(
        (
            text
            for flag, text in (("avx512f", "AVX-512"), ("avx2", "AVX2"))
            if flag in flags.split()
        ),
        "no AVX2",
    )
    return f"{name} ({simd})"


def _source() -> str:
    """Commit of the package that is measured."""
    import pbpk_hybrid

    where = Path(pbpk_hybrid.__file__).resolve().parent
    stated = where.parents[1] / "COMMIT"  # an exported copy says where it comes from
    if stated.exists():
        return stated.read_text().strip()
    try:
        ask = lambda *words: subprocess.run(
            ["git", "-C", str(where), *words], capture_output=True, text=True, check=True
        ).stdout.strip()
        return ask("rev-parse", "--short", "HEAD") + (
            " with changes" if ask("status", "--porcelain", str(where)) else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def load() -> str:
    """How many processes wanted a core over the last 1, 5 and 15 minutes, this one included."""
    return " ".join(f"{x:.1f}" for x in os.getloadavg())


def busy(seconds: float = 1.0) -> float:
    """Share of all cores' time that others use, from 0 to 1, while this one sleeps; NaN where /proc/stat is missing.

    Niced work is left out: it gives way.
    """

    def read() -> tuple[int, int]:
        ticks = [int(x) for x in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return sum(ticks), ticks[1] + ticks[3] + ticks[4]

    try:
        total, idle = read()
        time.sleep(seconds)
        later, idle_later = read()
    except OSError:
        return float("nan")
    return 1.0 - (idle_later - idle) / max(1, later - total)


def wait_for_quiet(patience: float) -> None:
    """Wait until others use less than a tenth of the machine, but no longer than `patience` seconds."""
    until = time.monotonic() + patience
    while time.monotonic() < until and busy() > 0.1:
        time.sleep(1.0)


def arguments(text: str) -> argparse.Namespace:
    """The switches every script has."""
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="smaller and fewer repeats: to see that it runs"
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
    asked = parser.parse_args()
    wait_for_quiet(asked.wait)
    if asked.out is None and not asked.quick:
        asked.out = RESULTS
    return asked


class Report:
    """Collects tables and targets of one benchmark; prints them and writes `<name>.md` and `<name>.json`."""

    def __init__(self, name: str, title: str, question: str):
        self.name, self.parts = name, [f"# {title}", question]
        self.data: dict = {
            "name": name,
            "machine": machine(),
            "load_before": load(),
            "busy_before": busy(),
            "tables": [],
            "targets": [],
        }

    def text(self, text: str) -> None:
        self.parts.append(text)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
        lines += ["| " + " | ".join(_show(v) for v in row) + " |" for row in rows]
        self.parts.append(f"## {title}\n\n" + "\n".join(lines))
        self.data["tables"].append(
            {"title": title, "columns": list(columns), "rows": [list(r) for r in rows]}
        )

    def target(
        self,
        what: str,
        value: float | None,
        bound: float,
        *,
        at_least: bool = False,
        unit: str = "",
    ) -> None:
        """One thing that must hold; `value` None: it could not be measured here."""
        if value is None:
            verdict = "not measured"
        else:
            verdict = "met" if (value >= bound if at_least else value <= bound) else "MISSED"
        self.data["targets"].append(
            {
                "what": what,
                "value": value,
                "bound": bound,
                "at_least": at_least,
                "unit": unit,
                "verdict": verdict,
            }
        )

    def picture(self, figure, caption: str, out: Path | None, name: str | None = None) -> None:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            name = name or self.name
            figure.savefig(out / f"{name}.png", dpi=120, bbox_inches="tight")
            self.parts.append(f"![{caption}]({name}.png)")

    def finish(self, out: Path | None) -> None:
        self.data["load_after"], self.data["busy_after"] = load(), busy()
        targets = self.data["targets"]
        if targets:
            rows = [
                (
                    t["what"],
                    t["value"] if t["value"] is not None else "-",
                    t["unit"],
                    ("at least " if t["at_least"] else "at most ") + _show(t["bound"]),
                    t["verdict"],
                )
                for t in targets
            ]
            kept = len(self.data["tables"])
            self.table("Targets", ("what", "measured", "unit", "target", "verdict"), rows)
            self.parts.insert(2, self.parts.pop())
            del self.data["tables"][kept:]
        facts = "; ".join(f"{k} {v}" for k, v in self.data["machine"].items())
        self.parts.append(
            f"Machine: {facts}. Load average (1, 5, 15 min) {self.data['load_before']} before, {self.data['load_after']} "
            f"after; others used {self.data['busy_before']:.0%} of the machine just before and "
            f"{self.data['busy_after']:.0%} just after."
        )
        page = "\n\n".join(self.parts) + "\n"
        print(page)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            _write(out / f"{self.name}.md", page)
            _write(
                out / f"{self.name}.json", json.dumps(self.data, indent=1, default=_plain) + "\n"
            )


def _write(path: Path, text: str) -> None:
    half = path.with_suffix(path.suffix + ".part")
    half.write_text(text, encoding="utf-8")
    half.replace(path)


def _plain(value):
    return (
        asdict(value) if isinstance(value, Timing) else getattr(value, "item", lambda: str(value))()
    )


def _show(value: object) -> str:
    if isinstance(value, bool) or (
        not isinstance(value, (int, float)) and not hasattr(value, "dtype")
    ):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    value = float(value)
    if value != value:
        return "-"
    if value != 0 and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.1e}"
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2 if abs(value) >= 10 else 3
    return f"{value:,.{digits}f}"
