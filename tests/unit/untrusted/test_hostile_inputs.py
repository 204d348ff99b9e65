"""Every reader and every text door, against inputs made to cost much: an error of ours in words,
within seconds and megabytes, and nothing executed.

The corpus runs once, in a process of its own, each input in a child with bounds on processor time
and memory (hostile_run.py); what is asserted here is what was measured there.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pbpk_hybrid import FileFormatError, InputError, PBPKError
from pbpk_hybrid._core.limits import (
    LIMITS,
    border,
    check,
    check_nesting,
    environment_name,
    limit,
    parse_json,
    read_text,
)

pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("torch_geometric")
pytest.importorskip("zarr")
pytest.importorskip("netCDF4")
pytest.importorskip("libsbml", exc_type=ImportError)


HERE = Path(__file__).parent
_SPEC = importlib.util.spec_from_file_location("hostile_corpus", HERE / "hostile_corpus.py")
corpus = sys.modules[_SPEC.name] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(corpus)
CASES = corpus.CASES
SECONDS, BYTES = 10.0, 600e6


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    out = folder / "out.json"
    script = [sys.executable, str(HERE / "hostile_run.py"), str(folder / "inputs"), str(out)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PBPK_HYBRID_LIMIT")}
    done = subprocess.run(
        script, capture_output=True, text=True, timeout=1500, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(out.read_text())


def test_the_corpus_is_as_large_as_it_says():
    assert len(CASES) >= 200
    doors = {name.partition(":")[0].split()[0].strip(",") for name in CASES}
    assert doors >= {
        *("number", "unit", "regimen", "formula", "like", "compound", "data", "profiles"),
        *("individuals", "snapshot", "simulation", "sbml", "petab", "netcdf", "zarr", "cohort"),
        "checkpoint",
    }


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_in_words_within_seconds_and_megabytes(name, found):
    case, one = CASES[name], found[name]
    assert "broken" not in one, one["broken"]
    assert one["signal"] == 0, "the process was ended"
    assert not one["pwned"]
    assert not one["memory_error"], one["trace"]
    assert one["seconds"] < SECONDS
    assert one["bytes"] < BYTES
    if case.sound:
        assert not one["raised"] or one["ours"], one["trace"]
        assert case.words or not name.endswith(("sound", "packed")) or not one["raised"]
        return
    assert one["raised"], "it was read"
    assert one["ours"], one["trace"]
    assert re.search(case.words, one["words"]), one["words"]


# ---- the limits themselves ------------------------------------------------------------------------
def test_an_environment_variable_sets_another_limit(monkeypatch, tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("x" * 2000)
    assert len(read_text(path, "settings_bytes")) == 2000
    monkeypatch.setenv(environment_name("settings_bytes"), "1e3")
    assert limit("settings_bytes") == 1000
    with pytest.raises(FileFormatError, match="PBPK_HYBRID_LIMIT_SETTINGS_BYTES sets another"):
        read_text(path, "settings_bytes")
    monkeypatch.setenv(environment_name("settings_bytes"), "many")
    with pytest.raises(InputError, match="PBPK_HYBRID_LIMIT_SETTINGS_BYTES"):
        limit("settings_bytes")


def test_the_message_says_what_was_found_and_what_is_allowed():
    with pytest.raises(FileFormatError, match=r"x\.xml: got '501 levels', expected at most 500"):
        check("xml_depth", 501, "x.xml")
    check("xml_depth", 500, "x.xml")


def test_the_border_keeps_the_cause_and_lets_our_errors_pass():
    with (
        pytest.raises(FileFormatError, match=r"KeyError: 'shape'") as caught,
        border("path", "x.zarr", "a zarr store"),
    ):
        {}["shape"]
    assert isinstance(caught.value.__cause__, KeyError)
    ours = PBPKError("as it is")
    with pytest.raises(PBPKError) as again, border("path", "x", "y"):
        raise ours
    assert again.value is ours
    with pytest.raises(KeyboardInterrupt), border("path", "x", "y"):
        raise KeyboardInterrupt


def test_brackets_in_words_are_not_levels_of_json():
    assert parse_json('{"a": "' + "[" * 5000 + '"}', "x.json") == {"a": "[" * 5000}
    with pytest.raises(FileFormatError, match="levels"):
        parse_json('{"a": ' + "[" * 5000, "x.json")
    check_nesting("- a\n- b [c]\n" * 1000, "x.yaml")  # beside each other
    check_nesting('about = "see [1] and [2]"\n' * 1000, "x.toml")


def test_every_limit_stands_in_the_documentation():
    page = HERE.parents[2] / "docs" / "howto" / "limits.md"
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d ,]+) ", page.read_text(), re.MULTILINE))
    assert {k: int(v.replace(",", "")) for k, v in rows.items()} == {
        k: one.value for k, one in LIMITS.items()
    }
