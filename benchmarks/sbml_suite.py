"""Which cases of the SBML Test Suite does the SBML reader pass?

    PBPK_HYBRID_SBML_SUITE=.../sbml-test-suite/cases/semantic python benchmarks/sbml_suite.py [--quick]

The semantic cases of the public suite (sbml.org, github.com/sbmlteam/sbml-test-suite), which are not part of this repository.
Each case is read at the highest level and version that it has, run with rtol 1e-9, and compared with the suite's own results
within the tolerances that its settings state. A case that the reader refuses by name (a delay, an algebraic rule, a fast
reaction, a package) is out of scope; one that it refuses for another reason, or gives another number for, has failed.
"""

from __future__ import annotations

import csv
import json
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

RESULTS = Path(__file__).with_name("results")

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
    components: tuple[str, ...]
    tests: tuple[str, ...]
    packages: str
    settings: dict[str, str]

    @property
    def model(self) -> Path:
        """The file of the highest level and version."""
        return max(self.folder.glob("*-sbml-l[23]v*.xml"))

    @property
    def excluded(self) -> str:
        """Why it is out of scope; "" where it is not."""
        return next(
            (why for tag, why in OUT_OF_SCOPE.items() if tag in (*self.tags, *self.used)), ""
        )

    @property
    def tags(self) -> tuple[str, ...]:
        """Component and test tags."""
        return (*self.components, *self.tests)

    @property
    def used(self) -> list[str]:
        """Packages."""
        return [w.strip().partition("_")[0] for w in self.packages.split(",") if w.strip()]


def cases(folder: Path) -> list[Case]:
    """All time courses of the suite."""
    out = []
    for case in sorted(p for p in folder.iterdir() if p.name.isdigit()):
        head = (case / f"{case.name}-model.m").read_text(errors="replace")
        parts = {}
        for key in ("componentTags", "testTags", "packagesPresent"):
            found = re.search(rf"^{key}:(.*)$", head, re.MULTILINE)
            parts[key] = found[1].replace("\r", "").strip() if found else ""
        tagged = [tuple(dict.fromkeys(listed(parts[k]))) for k in ("componentTags", "testTags")]
        settings = {}
        for line in (case / f"{case.name}-settings.txt").read_text().splitlines():
            name, _, value = line.partition(":")
            settings[name.strip()] = value.strip()
        out.append(Case(case, *tagged, parts["packagesPresent"], settings))
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


def judged(case: Case) -> str:
    """ "" where a case passes; else why not."""
    try:
        return run(case)
    except PBPKError as error:
        return f"refused: {error}"
    except Exception as error:  # a crash is a failure of the reader, and named as one
        return f"crashed: {type(error).__name__}: {error}"


def table(rows: dict[str, list[int]], head: str) -> list[str]:
    """Markdown of passed and tried by tag."""
    lines = [f"| {head} | passed | of | share |", "| --- | --- | --- | --- |"]
    for name, (passed, tried) in sorted(rows.items()):
        lines.append(f"| {name} | {passed} | {tried} | {100 * passed / tried:.1f} % |")
    return lines


def report(every: list[Case], outcome: dict[str, str]) -> str:
    """The result as Markdown."""
    component, test = {}, {}
    for case in every:
        if case.folder.name not in outcome:
            continue
        for tag in case.tags:
            rows = component if tag in case.components else test
            row = rows.setdefault(tag, [0, 0])
            row[0] += not outcome[case.folder.name]
            row[1] += 1
    left = Counter(c.excluded for c in every if c.excluded)
    passed = sum(not v for v in outcome.values())
    lines = [
        "# SBML Test Suite: semantic cases",
        "",
        f"{passed} of {len(outcome)} cases in scope pass ({100 * passed / len(outcome):.1f} %), each at the highest level and "
        "version that it has, at rtol 1e-9, within the tolerances of its own settings.",
        "",
        "Out of scope, refused by name: "
        + ", ".join(f"{n} cases of {why}" for why, n in left.most_common())
        + ".",
        "",
        "## Not passed",
        "",
        "| case | what |",
        "| --- | --- |",
    ]
    for name, what in sorted(outcome.items()):
        if what:
            lines.append(f"| {name} | {what[:160].replace('|', '/')} |")
    lines += ["", "## By component", "", *table(component, "component tag")]
    lines += ["", "## By test", "", *table(test, "test tag"), ""]
    return "\n".join(lines)


def main() -> None:
    folder = os.environ.get("PBPK_HYBRID_SBML_SUITE")
    if not folder:
        sys.exit("PBPK_HYBRID_SBML_SUITE is not set: the folder cases/semantic of the suite")
    every = cases(Path(folder))
    chosen = every[::20] if "--quick" in sys.argv else every
    outcome = {}
    for case in chosen:
        if not case.excluded:
            outcome[case.folder.name] = judged(case)
    text = report(chosen, outcome)
    print(text.split("## By component")[0])
    if chosen is every:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "sbml_suite.md").write_text(text, encoding="utf-8")
        facts = {"cases": len(outcome), "passed": sum(not v for v in outcome.values())}
        facts["failed"] = {k: v for k, v in outcome.items() if v}
        (RESULTS / "sbml_suite.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
