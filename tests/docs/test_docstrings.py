"""Every example in a docstring runs as it stands, by itself, and gives what it says; only the numbers of people are smaller."""

from __future__ import annotations

import ast
import doctest
import re
from pathlib import Path

import pytest

import pbpk_hybrid

PACKAGE = Path(pbpk_hybrid.__file__).parent
#: numbers of people as the examples have them -> as they run here
FEWER = (
    (r"Cohort\(1_000_000\b", "Cohort(6"),
    (r"sample_population\(1000\b", "sample_population(4"),
    (r"\.sample\(500\b", ".sample(4"),
    (r", generator=\"pcdm\"", ""),  # which draws a block of 2,000 at once
)
NEEDS = {"learn": ("torch", "torch_geometric", "rdkit"), "scale": ("zarr", "distributed")}
_PARSER = doctest.DocTestParser()


def documented() -> list[tuple[str, str]]:
    """(where, docstring) of every docstring with an example."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
                text = ast.get_docstring(node)
                if text and ">>>" in text:
                    found.append((f"{name}:{getattr(node, 'name', 'module')}", text))
    return found


EXAMPLES = documented()


def test_there_are_examples_and_none_is_skipped():
    assert len(EXAMPLES) > 15
    assert not [where for where, text in EXAMPLES if "doctest: +SKIP" in text]


@pytest.mark.parametrize(("where", "text"), EXAMPLES, ids=[where for where, _ in EXAMPLES])
def test_the_example_runs(where, text, tmp_path, monkeypatch):
    for needed in NEEDS.get(where.split("/")[0], ()):
        pytest.importorskip(needed)
    monkeypatch.chdir(tmp_path)
    for pattern, fewer in FEWER:
        text = re.sub(pattern, fewer, text)
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(_PARSER.get_doctest(text, {}, where, None, 0), out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)
