"""Paths of a simulation: patterns, tables of parameters, and the tree that they make."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from .simulation_file import DELIMITER


def pattern_of(text: str) -> re.Pattern[str]:
    """A path with wildcards as a regular expression: ``*`` is any part of one name,
    ``**`` any names, as in ospsuite.
    """
    parts = re.split(r"(\*\*|\*)", text)
    known = {"**": ".*", "*": f"[^{re.escape(DELIMITER)}]*"}
    return re.compile("".join(known.get(p, re.escape(p)) for p in parts), re.DOTALL)


@dataclass(frozen=True)
class ModelParameter:
    """One parameter of a simulation.

    Parameters
    ----------
    path : where it is
    value : at the start of the simulation, in `unit`
    unit, dimension : base unit and dimension, as PK-Sim has them
    formula : what it is calculated from, as text; "" for a plain number
    """

    path: str
    value: float
    unit: str = ""
    dimension: str = ""
    formula: str = ""

    def __str__(self) -> str:
        made = f"   = {_shortened(self.formula, 60)}" if self.formula else ""
        return f"{self.path}   {self.value:.6g} {self.unit}".rstrip() + made


class ParameterTable(Mapping[str, ModelParameter]):
    """Parameters by path; prints as a table."""

    def __init__(self, parameters: Iterable[ModelParameter]) -> None:
        self._of = {p.path: p for p in parameters}

    def __getitem__(self, path: str) -> ModelParameter:
        return self._of[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)

    @property
    def values_by_path(self) -> dict[str, float]:
        """Path -> value, as :meth:`PKSimModel.set` takes them."""
        return {path: p.value for path, p in self._of.items()}

    def __repr__(self) -> str:
        shown = [str(p) for p in list(self._of.values())[:40]]
        more = len(self) - len(shown)
        return "\n".join(shown + ([f"... and {more} more"] if more > 0 else [])) or "no parameters"


@dataclass
class Branch:
    """One name in the tree and what is below it."""

    name: str
    note: str = ""
    below: dict[str, Branch] = field(default_factory=dict)

    def put(self, path: str, note: str) -> None:
        """Add a path below this one, with a note at its end."""
        at = self
        for part in path.split(DELIMITER):
            at = at.below.setdefault(part, Branch(part))
        at.note = note

    def count(self) -> int:
        """Names below this one."""
        total, todo = 0, [self]
        while todo:
            inside = todo.pop().below.values()
            total += len(inside)
            todo += inside
        return total

    def text(self, depth: int | None) -> str:
        """The tree as text, a name a line; below `depth` levels the number of names is given."""
        lines = [f"{self.name} {self.note}".rstrip()]
        todo = [(b, 1) for b in reversed(self.below.values())]
        while todo:
            branch, level = todo.pop()
            note = branch.note
            if branch.below and depth is not None and level >= depth:
                note = f"{note}   ({branch.count()} below)"
            else:
                todo += [(b, level + 1) for b in reversed(branch.below.values())]
            lines.append(f"{'  ' * level}{branch.name}   {note}".rstrip())
        return "\n".join(lines)

    def html(self, depth: int = 12) -> str:
        """Nested lists that open on a click."""
        label = html.escape(f"{self.name}   {self.note}".strip())
        if not self.below or depth == 0:
            return f"<div style='margin-left:1.2em'>{label}</div>"
        inside = "".join(b.html(depth - 1) for b in self.below.values())
        return f"<details style='margin-left:1.2em'><summary>{label}</summary>{inside}</details>"


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
