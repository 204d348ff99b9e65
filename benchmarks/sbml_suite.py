"""Which cases of the SBML Test Suite does the SBML reader pass?

    PBPK_HYBRID_SBML_SUITE=.../sbml-test-suite/cases/semantic python benchmarks/sbml_suite.py [--quick]

The semantic cases of the public suite (sbml.org, github.com/sbmlteam/sbml-test-suite), which are not part of this repository.
Each case is read at the highest level and version that it has, run with rtol 1e-9, and compared with the suite's own results
within the tolerances that its settings state. A case that the reader refuses by name (a delay, an algebraic rule, a fast
reaction, a package) is out of scope; one that it refuses for another reason, or gives another number for, has failed.
"""

from __future__ import annotations

import csv
import os
import re
import sys
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pbpk_hybrid._core.errors import PBPKError
from pbpk_hybrid.interchange import read_sbml_model
from pbpk_hybrid.interchange.sbml_model import SBMLModel
from pbpk_hybrid.solvers.base import SolverOptions

#: tags of what is refused by name: the scope ends here
OUT_OF_SCOPE = {
    "AlgebraicRule": "algebraic rules",
    "FastReaction": "fast reactions",
    "EventWithDelay": "events with delay",
    "DelayInTrigger": "delays in formulas",
    "DelayInEventAssignment": "delays in formulas",
    "CSymbolDelay": "delays in formulas",
    "comp": "hierarchical models (package comp)",
    "fbc": "flux balance (package fbc)",
}


@dataclass(frozen=True)
class Case:
    """One case: its number, tags and settings."""

    folder: Path
    tags: tuple[str, ...]
    settings: dict[str, str]

    @property
    def model(self) -> Path:
        """The file of the highest level and version."""
        return max(self.folder.glob("*-sbml-l[23]v*.xml"))

    @property
    def excluded(self) -> str:
        """Why it is out of scope; "" where it is not."""
        found = [
            why
            for tag, why in OUT_OF_SCOPE.items()
            if tag in self.tags or tag + ":" in str(self.tags)
        ]
        return found[0] if found else ""


def cases(folder: Path) -> list[Case]:
    """All time courses of the suite."""
    out = []
    for case in sorted(p for p in folder.iterdir() if p.name.isdigit()):
        head = (case / f"{case.name}-model.m").read_text(errors="replace")
        listed = re.findall(
            r"^(?:componentTags|testTags|packagesPresent):(.*)$", head, re.MULTILINE
        )
        tags = [t.strip() for line in listed for t in line.split(",") if t.strip()]
        settings = {}
        for line in (case / f"{case.name}-settings.txt").read_text().splitlines():
            name, _, value = line.partition(":")
            settings[name.strip()] = value.strip()
        out.append(Case(case, tuple(dict.fromkeys(tags)), settings))
    return out


def listed(text: str) -> list[str]:
    """Names separated by commas."""
    return [w.strip() for w in text.split(",") if w.strip()]


def column_of(model: SBMLModel, name: str, case: Case) -> str:
    """The quantity that the suite's column means: it asks for amounts of some species, concentrations of others."""
    if name not in model.species:
        return name
    wanted = "amount" if name in listed(case.settings.get("amount", "")) else "concentration"
    for side in model.sides(name):
        if model.measures[side].kind == wanted:
            return side
    return name


def run(case: Case) -> str:
    """ "" where the case passes, else what is wrong."""
    with (case.folder / f"{case.folder.name}-results.csv").open() as file:
        rows = [r for r in csv.reader(file) if r]
    names = [n.strip() for n in rows[0]]
    expected = np.array([[_number(v) for v in row] for row in rows[1:]])
    model = read_sbml_model(case.model)
    columns = {n: column_of(model, n, case) for n in names[1:]}
    hours = expected[:, 0] / model.units_per_hour
    absolute, relative = (float(case.settings[k]) for k in ("absolute", "relative"))
    tight = SolverOptions(rtol=1e-9, atol=min(1e-12, 1e-4 * absolute), threads=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got = values_of(model, hours, list(columns.values()), tight)
    wrong = []
    for i, name in enumerate(columns, start=1):
        ours, theirs = got[columns[name]], expected[:, i]
        close = np.isclose(ours, theirs, rtol=relative, atol=absolute, equal_nan=True)
        if not close.all():
            at = int(np.flatnonzero(~close)[0])
            wrong.append(f"{name} at {expected[at, 0]:g}: {ours[at]:.8g}, not {theirs[at]:.8g}")
    return "; ".join(wrong[:3])


def values_of(
    model: SBMLModel, hours: np.ndarray, names: list[str], options
) -> dict[str, np.ndarray]:
    """Name -> values over time."""
    from pbpk_hybrid.solvers.model_runs import run_model
    from pbpk_hybrid.solvers.select import choose_backend

    assembled = model.assembled({})
    outputs = {n: model.expression(n, assembled) for n in names}
    backend, _ = choose_backend("embedded")
    out = run_model(assembled, hours * model.units_per_hour, outputs, backend, options)
    if out.trajectories.status[0] != 0:
        return {n: np.full(len(hours), np.inf) for n in names}
    return {n: out.values[0, :, i] for i, n in enumerate(outputs)}


def _number(text: str) -> float:
    words = {"INF": np.inf, "-INF": -np.inf, "NaN": np.nan, "nan": np.nan}
    return words[text.strip()] if text.strip() in words else float(text)


def main() -> None:
    folder = Path(os.environ["PBPK_HYBRID_SBML_SUITE"])
    out: dict[str, str] = {}
    every = cases(folder)
    if len(sys.argv) > 1 and sys.argv[1].startswith("/"):
        wanted = set(Path(sys.argv[1]).read_text().split())
        every = [c for c in every if c.folder.name in wanted]
    why = Counter()
    for case in every:
        if case.excluded:
            why[case.excluded] += 1
            continue
        try:
            out[case.folder.name] = run(case)
        except PBPKError as error:
            out[case.folder.name] = f"refused: {error}"
        except Exception as error:
            out[case.folder.name] = f"CRASH {type(error).__name__}: {error}"
        if out[case.folder.name]:
            print(case.folder.name, case.tags, out[case.folder.name][:300], flush=True)
    passed = sum(not v for v in out.values())
    print(why)
    print(f"{passed} of {len(out)} pass ({100 * passed / max(1, len(out)):.1f} %)")


if __name__ == "__main__":
    main()
