"""Requalification: does a new version give what the old one gave?

Both versions run one frozen matrix of scenarios (:mod:`.scenarios`) with the same seeds. Each
person's AUC and Cmax are compared; the two one-sided t-tests (Schuirmann 1987, J Pharmacokinet
Biopharm 15:657) decide whether the geometric mean ratio lies within the margin.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .._core.arguments import check_real
from .._core.errors import FileFormatError, InputError
from .._core.files import atomic_path
from .._core.limits import parse_json, read_text
from .blocks import Block, Heading, Table, Text
from .render import write_document, writer
from .scenarios import RUNNER, SCENARIOS, SEED, SUBJECTS

#: far above the integrator's error of 1e-6, and far below what a clinic would notice
MARGIN = 0.01
#: of the one-sided tests; the interval shown holds 1 - 2 x this
ALPHA = 0.05
_METRICS = ("auc", "cmax")


@dataclass(frozen=True, eq=False)
class Requalification:
    """Equivalence of two versions, scenario by scenario.

    Parameters
    ----------
    table : DataFrame
        A row for each scenario and metric: ``ratio`` (geometric mean of new over old), ``low`` and
        ``high`` (90 % interval), ``largest`` (the person who differs most), ``p`` of the two
        one-sided tests, ``equivalent``, and ``remark`` where one version could not run it.
    old, new : str
        The versions.
    margin : float
        Share by which a ratio may differ from 1.
    """

    table: pd.DataFrame
    old: str
    new: str
    margin: float

    @property
    def equivalent(self) -> bool:
        """Whether every scenario and metric is."""
        return bool(self.table["equivalent"].all())

    def __str__(self) -> str:
        n = int((~self.table["equivalent"]).sum())
        verdict = "equivalent" if self.equivalent else f"NOT equivalent in {n} comparisons"
        return f"{self.old} and {self.new}: {verdict} within {100 * self.margin:g} %"

    def write(self, path: str | os.PathLike) -> Path:
        """The certificate as ``.html``, ``.docx`` or ``.pdf``."""
        return write_document(path, f"Requalification: {self.new}", self._blocks())

    def _blocks(self) -> list[Block]:
        rows = tuple(
            (
                str(r["scenario"]),
                {"auc": "AUC", "cmax": "Cmax"}[r["metric"]],
                *(_text(r[key]) for key in ("ratio", "low", "high", "largest")),
                "-" if r["p"] != r["p"] else f"{r['p']:.1e}",
                "yes" if r["equivalent"] else "NO",
                str(r["remark"]),
            )
            for r in self.table.to_dict("records")
        )
        head = (
            "scenario",
            "",
            "ratio",
            "90 % low",
            "90 % high",
            "most different person",
            "p",
            "equivalent",
            "remark",
        )
        return [
            Heading(f"Requalification of {self.new} against {self.old}", 1),
            Text(str(self), warning=not self.equivalent),
            Text(
                "Both versions ran the same scenarios with the same seeds. Two one-sided t-tests "
                "of the logarithms of each person's ratio, new over old, at the level "
                f"{ALPHA:g}; a scenario that one version cannot run is not equivalent."
            ),
            Table(
                head,
                rows,
                f"Equivalence within {100 * self.margin:g} %",
                f"run: report.requalify, {SUBJECTS} people per scenario, seed {SEED}; Schuirmann "
                "(1987) J Pharmacokinet Biopharm 15:657",
            ),
        ]


def requalify(
    old: str | os.PathLike,
    new: str | os.PathLike = "this",
    *,
    out: str | os.PathLike | None = None,
    store: str | os.PathLike | None = None,
    margin: float = MARGIN,
    scenarios: Sequence[str] | None = None,
) -> Requalification:
    """Compare two versions of the package over the frozen matrix of scenarios.

    Parameters
    ----------
    old, new : path or "this"
        A Python interpreter or the folder of a virtual environment in which a version is
        installed; ``"this"`` for the running one; or a ``.json`` that `store` wrote.
    out : path, optional
        Certificate to write: ``.html``, ``.docx`` or ``.pdf``.
    store : path, optional
        ``.json`` for the results of `new`, to compare the next version with.
    margin : float
        Share by which the geometric mean ratio may differ from 1.
    scenarios : sequence of str, optional
        Names of some of the scenarios; None: all.

    Returns
    -------
    Requalification

    Raises
    ------
    InputError, FileFormatError
        An interpreter or file that is not there or cannot be used; a margin outside (0, 0.25).
    """
    check_real("margin", margin, "a number between 0 and 0.25")
    if not 0 < margin <= 0.25:
        raise InputError("margin", margin, "a number between 0 and 0.25")
    if out is not None:
        writer(Path(out))
    asked = {"scenarios": _chosen(scenarios), "subjects": SUBJECTS, "seed": SEED}
    results = [_results(name, source, asked) for name, source in (("old", old), ("new", new))]
    if store is not None:
        with atomic_path(Path(store)) as draft:
            draft.write_text(json.dumps(results[1], indent=1), encoding="utf-8")
    rows = [
        _compare(scenario["name"], metric, results[0]["results"], results[1]["results"], margin)
        for scenario in asked["scenarios"]
        for metric in _METRICS
    ]
    labels = (f"pbpk_hybrid {r['version']} (Python {r['python']})" for r in results)
    found = Requalification(pd.DataFrame(rows), *labels, margin)
    if out is not None:
        found.write(out)
    return found


def _chosen(names: Sequence[str] | None) -> list[dict[str, Any]]:
    if names is None:
        return list(SCENARIOS)
    from .._core.errors import unknown_name

    known = {s["name"]: s for s in SCENARIOS}
    for name in names:
        if name not in known:
            raise unknown_name("scenarios", name, known, what="a scenario")
    return [known[name] for name in names]


def _results(field: str, source: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """What a version gives: of a file, or of an interpreter that runs now."""
    path = Path(source).expanduser()
    if path.suffix == ".json":
        return _stored(field, path, asked)
    this = str(source) == "this"
    environment = dict(os.environ)
    if not this:  # it would make both versions the same
        environment.pop("PYTHONPATH", None)
    try:
        done = subprocess.run(
            [sys.executable if this else str(_interpreter(field, path)), "-c", RUNNER],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
    except OSError as error:
        raise InputError(field, str(source), "a Python interpreter", hint=str(error)) from error
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise InputError(
            field, str(source), "an interpreter with pbpk_hybrid installed", hint=last[0]
        )
    return json.loads(done.stdout)


def _interpreter(field: str, path: Path) -> Path:
    """The Python of a folder of a virtual environment, or the file itself.

    Raises
    ------
    InputError
        Neither is there.
    """
    for candidate in (path / "bin" / "python", path / "Scripts" / "python.exe", path):
        if candidate.is_file():
            return candidate
    raise InputError(
        field,
        str(path),
        'a Python interpreter, a virtual environment, "this", or a .json of results',
    )


def _stored(field: str, path: Path, asked: dict[str, Any]) -> dict[str, Any]:
    try:
        found = parse_json(read_text(path, "json_bytes", field=field), str(path), field=field)
        same = {s["name"]: s for s in found["asked"]["scenarios"]}
        size = (found["asked"]["subjects"], found["asked"]["seed"])
        found["version"], found["python"], found["results"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(str(path), field, "results that requalify stored") from error
    if size != (asked["subjects"], asked["seed"]):
        raise InputError(
            field, str(path), f"results of {asked['subjects']} people, seed {asked['seed']}"
        )
    for scenario in asked["scenarios"]:
        if same.get(scenario["name"], scenario) != scenario:
            raise InputError(field, scenario["name"], "the scenario as it is now; it has changed")
    return found


def _compare(
    name: str, metric: str, old: dict[str, Any], new: dict[str, Any], margin: float
) -> dict[str, Any]:
    """Two one-sided tests of one metric in one scenario."""
    row: dict[str, Any] = {"scenario": name, "metric": metric}
    row |= dict.fromkeys(("ratio", "low", "high", "largest", "p"), float("nan"))
    row |= {"equivalent": False, "remark": ""}
    for label, results in (("old", old), ("new", new)):
        given = results.get(name, {"error": "not in these results"})
        if "error" in given:
            return row | {"remark": f"{label}: {given['error']}"}
    a, b = (np.asarray(r[name][metric], dtype=float) for r in (old, new))
    good = np.isfinite(a) & np.isfinite(b) & (a > 0) & (b > 0)
    if a.shape != b.shape or not good.all():
        return row | {"remark": "not every person has a value in both"}
    log = np.log(b / a)
    mean, low, high, p = _two_one_sided(log, np.log1p(margin))
    return row | {
        "ratio": float(np.exp(mean)),
        "low": float(np.exp(low)),
        "high": float(np.exp(high)),
        "largest": float(np.exp(log[np.argmax(np.abs(log))])),
        "p": p,
        "equivalent": p <= ALPHA,
    }


def _two_one_sided(log: np.ndarray, margin: float) -> tuple[float, float, float, float]:
    """Mean, 1 - 2 ALPHA interval, and p of the two one-sided t-tests against +-`margin`."""
    from scipy.stats import t

    n, mean = log.size, float(log.mean())
    error = float(log.std(ddof=1)) / np.sqrt(n)
    if error <= 1e-15:  # nobody differs from anybody: the mean is known
        return mean, mean, mean, 0.0 if abs(mean) < margin else 1.0
    half = float(t.ppf(1 - ALPHA, n - 1)) * error
    p = max(
        float(t.sf((mean + margin) / error, n - 1)), float(t.sf((margin - mean) / error, n - 1))
    )
    return mean, mean - half, mean + half, p


def _text(value: float) -> str:
    return "-" if value != value else f"{value:.6f}"


__all__ = ["MARGIN", "Requalification", "requalify"]
