"""No number without a source or an entry among the assumptions; each entry stands where it says and has its value."""

from __future__ import annotations

import datetime
import importlib
import re
from pathlib import Path

import pytest

from pbpk_hybrid._core.assumptions import assumptions, assumptions_page

ROOT = Path(__file__).parents[2]
LISTED = assumptions()
#: what stood beside numbers nobody had looked up
_UNREAD = re.compile(r"from\s+memory|to\s+check(?=\s*(?:[.;:,)\"']|$))|as\s+commonly\s+quoted")
_KINDS = {".py", ".toml", ".md", ".yml", ".yaml", ".csv", ".jl"}


def _texts():
    for folder in ("python", "benchmarks", "docs", "julia", "tests"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path != Path(__file__) and path.suffix in _KINDS and path.stat().st_size < 1e6:
                yield path, path.read_text(encoding="utf-8")


def test_nothing_is_quoted_without_having_been_read():
    # comment signs and line breaks must not hide a phrase
    found = [
        str(path.relative_to(ROOT))
        for path, text in _texts()
        if _UNREAD.search(re.sub(r"\n\s*(#:?)?\s*", " ", text))
    ]
    assert not found


def test_the_search_for_unread_numbers_finds_them():
    for text in ("quoted from memory", "(1991), to check", "as commonly quoted", "to  check"):
        assert _UNREAD.search(text), text
    assert not _UNREAD.search('or "check", to check those of FILE')


@pytest.mark.parametrize("one", LISTED, ids=lambda a: a.name)
def test_an_assumption_is_dated_reasoned_and_is_the_number_in_use(one):
    assert isinstance(one.date, datetime.date) and one.date >= datetime.date(2026, 11, 1)
    assert len(one.reason) > 10 and one.unit and one.used
    for where in one.used:
        place, what = where.split(":", 1)
        if place.endswith(".py"):
            assert what.strip() in (ROOT / place).read_text(encoding="utf-8"), where
            continue
        found = eval(what, vars(importlib.import_module(place)))
        expected = one.value if isinstance(found, (list, tuple)) else [one.value]
        found = found if isinstance(found, (list, tuple)) else [found]
        assert list(found) == pytest.approx(list(expected), rel=1e-12), where


def test_assumptions_have_names_of_their_own():
    assert len({a.name for a in LISTED}) == len(LISTED) > 20


def test_the_page_of_the_documentation_is_the_list():
    page = (ROOT / "docs" / "assumptions.md").read_text(encoding="utf-8")
    assert page == assumptions_page()
    assert "assumptions.md" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


def test_what_the_code_calls_assumed_on_that_page_is_listed():
    used = {w.split(":")[0] for a in LISTED for w in a.used}
    for path, text in _texts():
        if (
            path.suffix == ".py"
            and "docs/assumptions.md" in text
            and not {"_core", "tests"} & set(path.parts)
        ):
            inside = path.relative_to(ROOT)
            module = ".".join(inside.with_suffix("").parts[1:])
            if "make" not in inside.parts:
                assert {module, str(inside)} & used, inside
