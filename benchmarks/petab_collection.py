"""Do log-likelihoods of PEtab problems agree with published ones?

    PBPK_HYBRID_PETAB_TESTS=.../petab_test_suite/cases PBPK_HYBRID_PETAB_MODELS=.../Benchmark-Models \\
        PBPK_HYBRID_PETAB_REFERENCE=.../benchmark_models.yaml python benchmarks/petab_collection.py

Neither collection is part of this repository. The test suite (github.com/PEtab-dev/petab_test_suite) states the log-likelihood
of each of its cases, with a tolerance of 1e-3. The benchmark collection (github.com/Benchmarking-Initiative/Benchmark-Models-PEtab)
gives for most problems the values that a published simulation has at every measurement: from these the log-likelihood follows.
For 18 of them the test suite of AMICI (tests/benchmark_models/benchmark_models.yaml) states it, and those are compared directly:
equal within 1e-3 + 1e-5 of the value.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import yaml

from pbpk_hybrid._core.errors import PBPKError
from pbpk_hybrid.interchange import read_petab

RESULTS = Path(__file__).with_name("results")


def test_cases(folder: Path) -> list[dict]:
    """One row per case of the test suite."""
    rows = []
    for version in ("v1.0.0", "v2.0.0"):
        for case in sorted(p for p in (folder / version / "sbml").iterdir() if p.is_dir()):
            stated = yaml.safe_load((case / f"_{case.name}_solution.yaml").read_text())
            row = {"version": version, "case": case.name, "stated": float(stated["llh"])}
            try:
                problem = read_petab(case / f"_{case.name}.yaml")
                row["ours"] = problem.log_likelihood()
                row["equal"] = abs(row["ours"] - row["stated"]) <= 1e-3
            except PBPKError as error:
                row["refused"] = str(error)
            rows.append(row)
    return rows


def from_published_simulation(problem, folder: Path) -> float | None:
    """Log-likelihood of what the collection says a simulation gives; None: no such file, or not row by row."""
    import numpy as np
    import pandas as pd

    from pbpk_hybrid.interchange.petab import _likelihood
    from pbpk_hybrid.interchange.petab_simulation import Values

    files = [*folder.glob("simulatedData*.tsv"), *folder.glob("simulations.tsv")]
    if not files:
        return None
    table = pd.read_csv(files[0], sep="\t", dtype=str, keep_default_na=False)
    if "simulation" not in table:
        return None
    given = _by_key(table)
    (raw,) = problem.tables.raw["measurement"].values()
    keys = _keys(raw, table.columns)
    if given is None or any(k not in given for k in keys):
        return None
    simulated = np.array([given[k] for k in keys])
    own = problem.simulate()
    total = 0.0
    for name in dict.fromkeys(own["observable"]):
        at = np.flatnonzero(own["observable"] == name)
        rows = [problem.measurements[i] for i in at]
        none = np.zeros((len(at), 0))
        noise = Values(own["noise"].to_numpy()[at], none)
        published = Values(simulated[at], none)
        measured = np.array([m.value for m in rows])
        found = _likelihood(problem.observables[name], measured, published, noise, rows)
        total += float(found["log_likelihood"].value.sum())
    return total


def _keys(table, columns) -> list[tuple]:
    """What tells the rows of a table of measurements apart, as far as another table has it too."""
    names = ["observableId", "simulationConditionId", "preequilibrationConditionId"]
    names += ["observableParameters", "noiseParameters"]
    shared = [n for n in names if n in table and n in columns]
    rows = zip(*(table[n].str.strip() for n in shared), table["time"].astype(float), strict=True)
    return list(rows)


def _by_key(table) -> dict[tuple, float] | None:
    """Key -> simulation; None: one key has two values."""
    found: dict[tuple, float] = {}
    for key, text in zip(_keys(table, table.columns), table["simulation"], strict=True):
        value = float(text)
        if abs(found.setdefault(key, value) - value) > 1e-9 * abs(value):
            return None
    return found


def models(folder: Path, reference: dict) -> list[dict]:
    """One row per problem of the benchmark collection."""
    rows = []
    for problem_folder in sorted(folder.iterdir()):
        name = problem_folder.name
        found = [*problem_folder.glob(f"{name}.yaml"), *problem_folder.glob("problem.yaml")]
        if not found:
            continue
        row = {"problem": name, "stated": reference.get(name, {}).get("llh")}
        try:
            begin = time.perf_counter()
            problem = read_petab(found[0])
            row["ours"] = problem.log_likelihood()
            row["first"] = time.perf_counter() - begin
            begin = time.perf_counter()
            problem.log_likelihood()
            row["again"] = time.perf_counter() - begin
            row["simulation"] = from_published_simulation(problem, problem_folder)
        except PBPKError as error:
            row["refused"] = str(error)
        print(row, flush=True)
        rows.append(row)
    return rows


def near(a: float | None, b: float | None) -> str:
    """Whether two log-likelihoods agree, as text."""
    if a is None or b is None:
        return "-"
    return "yes" if abs(a - b) <= 1e-3 + 1e-5 * abs(b) else f"{abs(a - b) / max(1.0, abs(b)):.1e}"


def main() -> None:
    tests, collection = (os.environ.get(f"PBPK_HYBRID_PETAB_{k}") for k in ("TESTS", "MODELS"))
    if not tests or not collection:
        sys.exit("set PBPK_HYBRID_PETAB_TESTS and PBPK_HYBRID_PETAB_MODELS to the collections")
    stated = os.environ.get("PBPK_HYBRID_PETAB_REFERENCE")
    reference = yaml.safe_load(Path(stated).read_text()) if stated else {}
    suite = test_cases(Path(tests))
    problems = models(Path(collection), reference)
    lines = ["# PEtab: log-likelihoods against published ones", "", "## Test suite", ""]
    lines += [
        "| version | cases | equal within 1e-3 | refused by name |",
        "| --- | --- | --- | --- |",
    ]
    for version in ("v1.0.0", "v2.0.0"):
        own = [r for r in suite if r["version"] == version]
        equal = sum(r.get("equal", False) for r in own)
        refused = [r["case"] for r in own if "refused" in r]
        lines.append(f"| {version} | {len(own)} | {equal} | {', '.join(refused) or '-'} |")
    lines += ["", "## Benchmark collection", ""]
    lines.append(
        "| problem | log-likelihood | stated by AMICI | agrees | from the published simulation | agrees | first, with compiling [s] "
        "| again [s] |"
    )
    lines.append("| --- | --- | --- | --- | --- | --- | --- | --- |")
    shown = lambda v: "-" if v is None else f"{v:.6g}"
    for r in problems:
        if "refused" in r:
            lines.append(
                f"| {r['problem']} | refused: {r['refused'][:100]} | - | - | - | - | - | - |"
            )
            continue
        lines.append(
            f"| {r['problem']} | {shown(r['ours'])} | {shown(r['stated'])} | {near(r['ours'], r['stated'])} | "
            f"{shown(r['simulation'])} | {near(r['ours'], r['simulation'])} | {r['first']:.1f} | {r['again']:.2f} |"
        )
    text = "\n".join([*lines, ""])
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "petab_collection.md").write_text(text, encoding="utf-8")
    (RESULTS / "petab_collection.json").write_text(json.dumps([suite, problems], indent=1))


if __name__ == "__main__":
    main()
