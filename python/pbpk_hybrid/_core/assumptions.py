"""Numbers without a source that was read: each listed with its reason and date in
``assumptions.toml``, shown on one page.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path

_FILE = Path(__file__).with_name("assumptions.toml")
_HEAD = """# Assumptions

Values of the package and of its benchmarks for which no source was read. All other values have
their source beside them: in the code, in the file of the compound, or in the table. Where this page
names a paper, the value is believed to be that of the paper, but this was not checked. If you have
read it, correct the value or its entry in `python/pbpk_hybrid/_core/assumptions.toml`, from which
this page is made (`python docs/make/assumptions.py`).
"""


@dataclass(frozen=True)
class Assumption:
    """A number that is assumed.

    Parameters
    ----------
    name : what it is
    value : one number or several
    unit : of the numbers, in their order
    reason : why it is taken so
    date : since when it stands here
    used : where: ``"module:expression"`` that gives `value`, or ``"path: text"`` of a benchmark
    """

    name: str
    value: float | tuple[float, ...]
    unit: str
    reason: str
    date: date
    used: tuple[str, ...]


def assumptions() -> tuple[Assumption, ...]:
    """All numbers that are assumed."""
    table = tomllib.loads(_FILE.read_text(encoding="utf-8"))["assumed"]
    out = []
    for row in table:
        value = row["value"]
        out.append(
            Assumption(
                row["name"],
                tuple(value) if isinstance(value, list) else value,
                row["unit"],
                row["reason"],
                row["date"],
                tuple(row["used"]),
            )
        )
    return tuple(out)


def assumptions_page() -> str:
    """The page of the documentation, as Markdown."""
    lines = [_HEAD, "| what | value | unit | why | since | where |", "| --- " * 6 + "|"]
    for a in assumptions():
        values = a.value if isinstance(a.value, tuple) else (a.value,)
        where = dict.fromkeys(u.split(":")[0] for u in a.used)
        cells = [
            a.name,
            ", ".join(f"{v:.4g}" for v in values),
            a.unit,
            a.reason,
            a.date.isoformat(),
            ", ".join(f"`{w}`" for w in where),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


__all__ = ["Assumption", "assumptions", "assumptions_page"]
