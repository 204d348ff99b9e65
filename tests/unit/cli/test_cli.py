"""The command ``pbpk-hybrid``: what it writes, what it says, and its exit codes."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from pbpk_hybrid._core import errors
from pbpk_hybrid.cli.app import app
from pbpk_hybrid.results import open_results, save_results


def run(*words, code=0):
    result = CliRunner().invoke(app, [str(w) for w in words], env={"COLUMNS": "160"})
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A small run of the main job: result and folder."""
    out = tmp_path_factory.mktemp("runs") / "new" / "folder"
    return run("simulate", "theophylline", "--subjects", 12, "--seed", 1, "--out", out), out


def test_main_job_writes_curves_analysis_and_figure_and_nothing_else(simulated):
    _, out = simulated
    assert sorted(p.name for p in out.iterdir()) == ["nca.csv", "profile.png", "simulation.nc"]
    sim = open_results(out / "simulation.nc")
    assert sim.sizes["subject"] == 12 and (sim.status == 0).all()
    assert sim.attrs["regimen"] == "320 mg oral" and sim.attrs["seed"] == 1
    assert float(sim.time[-1]) >= 24.65  # covers the published samples
    with (out / "nca.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12 and all(float(r["cmax"]) > 0 for r in rows)
    assert (out / "profile.png").read_bytes().startswith(b"\x89PNG")


def test_main_job_prints_a_summary_and_whom_it_is_compared_with(simulated):
    text = simulated[0].stdout
    for word in (
        "theophylline, 320 mg oral, 12 virtual human subjects",
        "Cmax",
        "AUC(0-inf)",
        "12 profiles",
        "simulation.nc",
    ):
        assert word in text


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(simulated, tmp_path):
    run("simulate", "theophylline", "-n", 12, "--seed", 1, "-o", tmp_path / "a", "-q")
    run("simulate", "theophylline", "-n", 12, "--seed", 2, "-o", tmp_path / "b", "-q")
    first, same, other = (
        open_results(p / "simulation.nc") for p in (simulated[1], tmp_path / "a", tmp_path / "b")
    )
    np.testing.assert_array_equal(first.concentration, same.concentration)
    assert not np.array_equal(first.concentration, other.concentration)


def test_quiet_prints_nothing(tmp_path):
    result = run("simulate", "warfarin", "-n", 2, "--seed", 1, "-o", tmp_path, "--quiet")
    assert result.stdout == "" and result.stderr == ""


def test_options_reach_the_engine(tmp_path):
    run(
        "simulate",
        "midazolam",
        "--dose",
        "5 mg iv over 0.5 h",
        "-n",
        3,
        "--seed",
        3,
        "--age",
        "20-40",
        "--sex",
        "female",
        "--times",
        "0:12:0.5",
        "--compartments",
        "plasma,liver",
        "--no-variability",
        "--rtol",
        "1e-7",
        "-o",
        tmp_path,
        "-q",
    )
    sim = open_results(tmp_path / "simulation.nc")
    assert list(sim.compartment.values) == ["plasma", "liver"] and sim.sizes["time"] == 25
    assert (sim.sex == "female").all() and ((sim.age >= 20) & (sim.age <= 40)).all()
    assert sim.attrs["variability"] == "none" and sim.attrs["rtol"] == 1e-7
    with (tmp_path / "nca.csv").open() as file:
        assert {"cl", "vss"} <= set(next(csv.reader(file)))


def test_several_doses_are_analysed_after_the_last_one(tmp_path):
    result = run(
        "simulate",
        "midazolam",
        "--dose",
        "10 mg oral q24h x3",
        "-n",
        2,
        "--seed",
        1,
        "-o",
        tmp_path,
    )
    assert "dosing interval 3, from 48 h" in result.stdout and "AUC(tau)" in result.stdout
    with (tmp_path / "nca.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["subject"], r["interval"]) for r in rows] == [
        (s, i) for s in ("0", "1") for i in "123"
    ]
    again = run("nca", tmp_path / "simulation.nc", "-o", tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "nca.csv").read_bytes()
    # the same numbers in the same table
    table = [line for line in result.stdout.splitlines() if "AUC(tau)" in line]
    assert table and table[0] in again.stdout.splitlines()
    time = open_results(tmp_path / "simulation.nc").time.values
    # the last interval is whole, and the curve goes on until 99 % of the area is behind (formerly cut off at 72 h)
    assert 72.0 in time and time[-1] > 72
    assert "99% of the area under the curve" in " ".join(result.stdout.split())


def test_a_compound_of_ones_own_is_read_from_a_file(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "name: mine\nmolar_mass: 325.8\nlog_p: 3.1\npka_base: [6.2]\nfraction_unbound_plasma: 0.035\n"
        "clint_hepatocyte: 12\nabsorption_rate: 1.2\nblood_to_plasma_ratio: 0.8\n"
    )
    result = run(
        "simulate",
        "--compound-file",
        file,
        "--dose",
        "15 mg oral",
        "-n",
        2,
        "--seed",
        1,
        "-o",
        tmp_path / "out",
    )
    assert "mine, 15 mg oral" in result.stdout and "compared" not in result.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["theophyline"], "Theophylline"),
        (["theophylline", "--dose", "5 L oral"], "5 L"),
        (["theophylline", "--species", "humann"], "human"),
        (["theophylline", "--age", "old"], "--age"),
        (["theophylline", "--times", "24:0:1"], "--times"),
        (["theophylline", "--backend", "fortran"], "backend"),
        (["theophylline", "--kind", "bend"], "band"),
        (["theophylline", "--compartments", "plasma,livr"], "liver"),
        (["theophylline", "--observed", "mars"], "--observed"),
        (["ofloxacin"], "--dose"),
        ([], "compound"),
    ],
)
def test_bad_input_is_one_line_on_stderr_and_code_2_and_nothing_is_written(tmp_path, words, says):
    result = run("simulate", *words, "-n", 2, "--seed", 1, "-o", tmp_path / "deep" / "out", code=2)
    assert (
        says in result.stderr
        and result.stderr.startswith("error: ")
        and result.stderr.count("\n") == 1
    )
    assert "Traceback" not in result.output and not list(tmp_path.iterdir())


def test_debug_shows_the_traceback(tmp_path):
    result = run("simulate", "theophyline", "--debug", "-o", tmp_path, code=2)
    assert "Traceback" in result.output or "Traceback" in result.stderr


def test_usage_errors_have_code_2():
    run("simulate", "theophylline", "--subjects", 0, code=2)
    run("simulate", "theophylline", "--no-such-option", code=2)
    run("nonsense", code=2)


def test_failed_subjects_are_code_3_and_the_rest_is_written(tmp_path, monkeypatch):
    from pbpk_hybrid.simulation import single as simulation

    real = simulation.simulate

    def one_fails(*args, **kwargs):
        import warnings

        sim = real(*args, **kwargs)
        sim["status"][1] = 1
        for name in ("concentration", "amount", "mass_balance_error"):
            sim[name][1] = np.nan
        warnings.warn("1 of 3 subjects could not be integrated", errors.SubjectFailedWarning)
        return sim

    monkeypatch.setattr(simulation, "simulate", one_fails)
    result = run("simulate", "theophylline", "-n", 3, "--seed", 1, "-o", tmp_path, code=3)
    # beside it a slow machine may say how far the work is
    said = [line for line in result.stderr.splitlines() if not line.endswith(" s")]
    assert said == ["warning: 1 of 3 subjects could not be integrated"]
    assert "3, of which 1 failed" in result.stdout and (tmp_path / "nca.csv").exists()


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (errors.BackendUnavailableError("no Julia here"), 4, "error: no Julia here"),
        (errors.MissingDependencyError("zarr is needed"), 4, "error: zarr"),
        (errors.SolveError("diverged"), 3, "error: diverged"),
        (OSError("disk full"), 1, "error: disk full"),
        (ZeroDivisionError("oops"), 1, "unexpected error: ZeroDivisionError: oops"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_every_kind_of_error_has_its_code_and_leaves_no_files(
    tmp_path, monkeypatch, error, code, says
):
    from pbpk_hybrid import plots

    def broken(*args, **kwargs):
        raise error

    monkeypatch.setattr(plots, "save_figure", broken)  # the last of the three files
    result = run(
        "simulate", "theophylline", "-n", 2, "--seed", 1, "-o", tmp_path / "out", code=code
    )
    assert says in result.stderr and not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "out").write_text("")
    result = run("simulate", "theophylline", "-n", 2, "--seed", 1, "-o", tmp_path / "out", code=2)
    assert "--out" in result.stderr


def test_older_files_survive_a_failed_run(simulated, tmp_path, monkeypatch):
    from pbpk_hybrid import plots

    (tmp_path / "nca.csv").write_text("old")
    monkeypatch.setattr(
        plots, "save_figure", lambda *a, **k: (_ for _ in ()).throw(OSError("disk full"))
    )
    run("simulate", "theophylline", "-n", 2, "--seed", 1, "-o", tmp_path, code=1)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("nca.csv", "old")]


def test_compounds_are_listed_searched_and_shown():
    assert "midazolam" in run("compounds", "list").stdout.split()
    assert len(run("compounds", "list", "--all").stdout.splitlines()) > 1000
    assert "59467-70-8" in run("compounds", "search", "midaz").stdout
    text = run("compounds", "show", "midazolam").stdout
    assert "fraction_unbound_plasma" in text and "Obach" in text
    assert "midazolam" in run("compounds", "show", "midazolm", code=2).stderr.lower()
    run("compounds", "search", "no such drug", code=2)


def test_population_check_counts_by_rule_and_beside_real_people(tmp_path):
    run("population", 40, "--seed", 4, "-o", tmp_path / "people.nc", "-q")
    result = run("population", "check", tmp_path / "people.nc", "-o", tmp_path / "rules.nc")
    assert "hard rules broken by 0.00 %" in result.stdout and "held out" in result.stdout
    assert xr.open_dataset(tmp_path / "rules.nc").sizes["subject"] == 40
    ds = xr.open_dataset(tmp_path / "people.nc").load()
    ds["volume"][3] *= 1.1
    ds.to_netcdf(tmp_path / "open.nc")
    assert "H2" in run("population", "check", tmp_path / "open.nc", code=3).stdout
    assert "FILE" in run("population", "check", code=2).stderr
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    assert "httk-pop" in run("population", "check", tmp_path / "x.csv", code=2).stderr
    assert "SUBJECTS" in run("population", "none", code=2).stderr


def test_population_is_summarised_and_written(tmp_path):
    result = run("population", 5, "--seed", 4, "--sex", "female", "-o", tmp_path / "people.nc")
    assert "5 human subjects, 5 female, seed 4" in result.stdout and "body weight" in result.stdout
    people = open_results(tmp_path / "people.nc", schema="physiology")
    run("population", 5, "--seed", 4, "--sex", "female", "-o", tmp_path / "people.csv", "-q")
    with (tmp_path / "people.csv").open() as file:
        rows = list(csv.DictReader(file))
    np.testing.assert_allclose([float(r["body_weight"]) for r in rows], people.body_weight)
    assert "--out" in run("population", 5, "-o", tmp_path / "people.txt", code=2).stderr


def test_nca_of_a_simulation_file_is_the_one_of_the_main_job(simulated, tmp_path):
    run("nca", simulated[1] / "simulation.nc", "-o", tmp_path / "nca.csv")
    assert (tmp_path / "nca.csv").read_bytes() == (simulated[1] / "nca.csv").read_bytes()


def test_nca_reads_csv_files_with_blq_as_text(tmp_path):
    file = tmp_path / "data.csv"
    file.write_text(
        "ID,Time,Conc,Dose\n"
        + "".join(
            f"{i},{t},{c},100\n"
            for i in (1, 2)
            for t, c in ((0, 8), (1, 4), (2, 2), (3, 1), (4, "BLQ"), (5, ""))
        )
    )
    result = run("nca", file, "--route", "iv_bolus", "-o", tmp_path / "out.nc")
    assert "CL" in result.stdout
    table = open_results(tmp_path / "out.nc", schema=None)
    np.testing.assert_allclose(table.half_life, 1.0, rtol=1e-10)
    np.testing.assert_allclose(table.tlast, 3.0)
    np.testing.assert_allclose(table.cl, 100 / (8 / np.log(2)), rtol=1e-10)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a,b\n1,2\n", "time"),
        ("time,conc\n0,1\nx,2\n", "line 3"),
        ("time,conc\n0,1\n1,high\n", "line 3"),
        ("", "CSV"),
    ],
)
def test_csv_files_that_cannot_be_read_name_the_row_or_column(tmp_path, content, says):
    file = tmp_path / "data.csv"
    file.write_text(content)
    assert says in run("nca", file, code=2).stderr


def test_plot_draws_profiles_and_organs(simulated, tmp_path):
    file = simulated[1] / "simulation.nc"
    run("plot", file, "-o", tmp_path / "a.svg", "--observed", "theophylline", "--kind", "spaghetti")
    run("plot", file, "-o", tmp_path / "b.png", "--organs", "liver,brain", "--log")
    assert (tmp_path / "a.svg").read_text().count("<path") > 20 and (
        tmp_path / "b.png"
    ).stat().st_size > 5000
    assert "missing.nc" in run("plot", tmp_path / "missing.nc", code=2).stderr
    assert (
        "liver" in run("plot", file, "--organs", "lever", "-o", tmp_path / "c.png", code=2).stderr
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.svg", "b.png"]


def test_plot_of_something_else_is_refused(tmp_path, make_simulation):
    file = save_results(make_simulation().drop_vars(["concentration"]), tmp_path / "a.nc")
    assert "concentration" in run("plot", file, "-o", tmp_path / "b.png", code=2).stderr


def test_doctor_says_which_backend_would_run_and_why():
    text = run("doctor").stdout
    assert "numpy" in text and "embedded" in text and "would run" in text
    facts = json.loads(run("doctor", "--json").stdout)
    assert facts["would_run"] in facts["backends"] and facts["packages"]["numpy"] == np.__version__


def test_doctor_fails_when_the_named_backend_cannot_run(monkeypatch):
    monkeypatch.setenv("PBPK_HYBRID_BACKEND", "fortran")
    assert "no backend would run" in run("doctor", code=4).stdout


def test_version_and_help():
    from pbpk_hybrid import __version__

    assert run("--version").stdout.strip() == __version__
    assert "Exit codes" in run("--help").stdout
    assert '[year], such as "20-60"' in run("simulate", "--help").stdout


def test_the_command_runs_in_a_process_of_its_own_and_help_imports_nothing_heavy(tmp_path):
    code = (
        "import sys; from pbpk_hybrid.cli import main; sys.argv = ['pbpk-hybrid', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'numba', 'scipy', 'pandas', 'xarray', 'matplotlib', 'netCDF4', 'pint'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    command = [
        sys.executable,
        "-m",
        "pbpk_hybrid",
        "simulate",
        "theophylline",
        "-n",
        "2",
        "--seed",
        "1",
        "-o",
        "out",
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DISPLAY": ""},
    )
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "nca.csv",
        "profile.png",
        "simulation.nc",
    ]
