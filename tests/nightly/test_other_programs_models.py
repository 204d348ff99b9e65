"""Public collections that are not part of this repository: the SBML Test Suite and PEtab's problems.

Each test takes the folder of its collection from an environment variable, and is skipped without.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import petab_collection
import sbml_suite

from pbpk_hybrid._core.errors import PBPKError
from pbpk_hybrid.interchange import read_sbml_model

pytestmark = pytest.mark.nightly


def folder(variable: str) -> Path:
    """The folder that an environment variable names; skips the test where there is none."""
    if not os.environ.get(variable):
        pytest.skip(f"{variable} is not set")
    return Path(os.environ[variable])


def test_cases_of_the_sbml_test_suite_in_scope_pass():
    every = sbml_suite.cases(folder("PBPK_HYBRID_SBML_SUITE"))
    outcome = {c.folder.name: sbml_suite.judged(c) for c in every if not c.excluded}
    failed = {name: what for name, what in outcome.items() if what}
    assert len(failed) <= 0.05 * len(outcome), failed
    assert not [what for what in failed.values() if what.startswith("crashed")]


def test_cases_out_of_scope_are_refused_by_name():
    read = []
    for case in sbml_suite.cases(folder("PBPK_HYBRID_SBML_SUITE")):
        if case.excluded:
            try:
                read_sbml_model(case.model)
            except PBPKError:
                continue
            if sbml_suite.judged(case):  # read, and another number
                read.append((case.folder.name, case.excluded))
    assert not read


def test_cases_of_petabs_test_suite_agree():
    rows = petab_collection.test_cases(folder("PBPK_HYBRID_PETAB_TESTS"))
    assert not [r for r in rows if not r.get("equal", True)]
    assert sum("refused" in r for r in rows) <= 3
