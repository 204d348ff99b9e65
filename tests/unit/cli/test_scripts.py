"""What a script gets: JSON on stdout, files of one's own, progress in pipes, fast starts."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pbpk_hybrid._core.progress import progress
from pbpk_hybrid.cli import in_memory, without
from pbpk_hybrid.cli.app import COMMANDS, app, build

ROOT = Path(__file__).parents[3]


def run(*arguments, code=0):
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    assert done.exit_code == code, done.output
    return done


# ---- JSON ---------------------------------------------------------------------------------------


def test_a_simulation_as_json_says_what_the_files_say(tmp_path):
    arguments = ("simulate", "theophylline", "--dose", "320 mg oral", "-n", 3, "--seed", 1)
    found = json.loads(run(*arguments, "--out", tmp_path, "--json").stdout)
    assert found["seed"] == 1 and found["subjects"] == 3 and found["failed"] == 0
    assert found["largest_mass_balance_error"] < 1e-9
    assert all(Path(file).is_file() for file in found["files"])
    again = json.loads(run("nca", tmp_path / "simulation.nc", "--json").stdout)
    cmax = {row["variable"]: row for row in again["nca"]}["cmax"]
    assert cmax["median"] == pytest.approx(
        {row["variable"]: row for row in found["nca"]}["cmax"]["median"]
    )


def test_other_commands_as_json(tmp_path):
    shown = json.loads(run("compounds", "show", "midazolam", "--json").stdout)
    fields = {row["field"]: row for row in shown["fields"]}
    assert fields["clint_hepatocyte"]["unit"] == "uL/min/1e6 cells"
    assert fields["clint_hepatocyte"]["value"] == 12.1
    assert "midazolam" in json.loads(run("compounds", "list", "--json").stdout)["compounds"]
    found = json.loads(run("compounds", "search", "midazolam", "--json").stdout)["compounds"]
    assert any(row["name"].lower() == "midazolam" for row in found)
    people = json.loads(run("population", 5, "--seed", 1, "--json").stdout)
    assert people["subjects"] == 5 and people["variables"]["age"]["units"] == "year"


def test_what_is_not_finite_is_null():
    from pbpk_hybrid.cli.terminal import _plain

    assert _plain({"a": float("nan"), "b": [float("inf"), 1.5, True]}) == {
        "a": None,
        "b": [None, 1.5, True],
    }


def test_json_of_a_store_is_refused(tmp_path):
    out = tmp_path / "x.zarr"
    done = run("simulate", "theophylline", "-n", 2, "--out", out, "--json", code=2)
    assert "--json" in done.stderr and not out.exists()


# ---- observations of one's own ------------------------------------------------------------------


def test_own_samples_are_drawn_and_the_curve_reaches_them(tmp_path):
    table = tmp_path / "own.csv"
    table.write_text("subject,time (h),conc (ng/mL)\n1,1,5000\n1,80,10\n2,1,6000\n")
    arguments = ("simulate", "theophylline", "--dose", "320 mg oral", "-n", 2, "--seed", 1)
    done = run(*arguments, "--out", tmp_path / "out", "--observed", table, "--json")
    found = json.loads(done.stdout)
    assert found["compared_samples"] == 3 and found["times_h"][1] >= 80
    run("plot", tmp_path / "out" / "simulation.nc", "--observed", table, "-o", tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_size > 5000


def test_own_samples_that_are_not_there_or_without_a_dose_are_refused(tmp_path):
    done = run("simulate", "theophylline", "--observed", tmp_path / "no.csv", code=2)
    assert "a file that exists" in done.stderr
    table = tmp_path / "own.csv"
    table.write_text("subject,time,concentration\n1,1,5\n")
    done = run("simulate", "theophylline", "--observed", table, code=2)
    assert "--dose" in done.stderr and "how the dose was given" in done.stderr


# ---- progress -----------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_short_work_says_nothing_and_long_work_says_how_far_it_is():
    pipe = io.StringIO()
    with progress("working", 4, stream=pipe) as done:
        done(1)
    assert pipe.getvalue() == ""
    with progress("working", 4, stream=pipe) as done:
        done(3)
        time.sleep(1.3)
    assert re.fullmatch(r"working: 3 of 4, 1 s, about \d s left\n", pipe.getvalue())


def test_a_terminal_gets_one_line_that_is_cleared_and_quiet_nothing():
    screen = Terminal()
    with progress("working", stream=screen):
        time.sleep(1.3)
    assert "\n" not in screen.getvalue() and "working: 1 s" in screen.getvalue()
    assert screen.getvalue().endswith("\r")
    quiet = io.StringIO()
    with progress("working", stream=quiet, quiet=True):
        time.sleep(1.2)
    assert quiet.getvalue() == ""


# ---- start --------------------------------------------------------------------------------------


def test_commands_in_memory_do_without_lazy_arrays():
    assert in_memory(["simulate", "theophylline"])
    assert not in_memory(["simulate", "theophylline", "--out", "x.zarr"])
    assert (
        not in_memory(["nca", "x.zarr"]) and not in_memory(["fit", "x.csv"]) and not in_memory([])
    )


def test_what_is_hidden_comes_back():
    import numpy

    with without(("colorsys_not_there", "numpy")):
        assert sys.modules["colorsys_not_there"] is None
        assert sys.modules["numpy"] is numpy
    assert "colorsys_not_there" not in sys.modules


def test_simulating_imports_no_library_that_is_only_probed(tmp_path):
    code = (
        "import sys; from pbpk_hybrid.cli import main\n"
        "sys.argv = ['pbpk-hybrid', 'simulate', 'theophylline', '-n', '1', '-q', '--dose',"
        f" '320 mg oral', '--out', {str(tmp_path / 'out')!r}]\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "names = ('dask', 'distributed', 'pint', 'torch', 'rich.progress', 'streamlit', 'zarr')\n"
        "print([n for n in names if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert (tmp_path / "out" / "profile.png").is_file()


def test_only_the_command_that_is_asked_for_is_loaded():
    assert [c.name for c in build("doctor").registered_commands] == ["doctor"]
    whole = {c.name for c in app.registered_commands} | {g.name for g in app.registered_groups}
    assert whole == set(COMMANDS)


# ---- every documented option exists -------------------------------------------------------------


def _commands():
    """(words of a command, its options) for every command there is."""
    from typer.main import get_command

    def walk(command, path):
        below = getattr(command, "commands", None)
        if below:
            for name, child in below.items():
                yield from walk(child, (*path, name))
        else:
            options = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
            yield path, options | {"--help", "-h"}

    yield from walk(get_command(app), ())


def _documented():
    """(page, line, words) for every command line that a page shows."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    for page in sorted(pages):
        if page.name == "CHANGELOG.md":
            continue
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for n, line in enumerate(text.splitlines(), 1):
            for found in re.finditer(r"pbpk-hybrid ((?:[^`|&;]|\|(?=\w))+)", line):
                yield page.relative_to(ROOT), n, found[1]


def test_every_documented_flag_exists():
    known = dict(_commands())
    checked, wrong = 0, []
    for page, line, words in _documented():
        parts = re.sub(r'"[^"]*"|\'[^\']*\'', "TEXT", words).split()
        path = next((tuple(parts[:k]) for k in (2, 1) if tuple(parts[:k]) in known), None)
        if path is None:
            continue
        for part in parts:
            if re.fullmatch(r"--?[A-Za-z][\w-]*(=.*)?", part):
                checked += 1
                if part.split("=")[0] not in known[path]:
                    wrong.append(f"{page}:{line}: {' '.join(path)} has no {part}")
    assert not wrong, "\n".join(wrong)
    assert checked > 50
