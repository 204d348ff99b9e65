"""Defaults are what was validated: the basis of a curated drug, the spread between people, and the options that change them."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import pbpk_hybrid as ph
from pbpk_hybrid._core.errors import InputError, UnknownNameError
from pbpk_hybrid.cli.app import app
from pbpk_hybrid.compounds import list_compounds
from pbpk_hybrid.models.small_molecules.whole_body import whole_body_system

ROOT = Path(__file__).parents[2]
PROFILES = ROOT / "benchmarks" / "validation" / "results" / "profiles.csv"
WARFARIN = ROOT / "benchmarks" / "data" / "nlmixr2data" / "warfarin.csv.gz"
CURATED = list_compounds(curated=True)
#: column of the validation -> (clearance, distribution); the first of equals wins
BASES = {
    "in_vivo_volume": ("in_vivo", "in_vivo"),
    "in_vivo": ("in_vivo", "predicted"),
    "in_vitro": ("in_vitro", "predicted"),
}
TIMES = np.array([0.0, 0.5, 2.0, 6.0, 24.0])


def geometric_cv(values) -> float:
    """[%]"""
    return float(100 * np.sqrt(np.expm1(np.var(np.log(values), ddof=1))))


# ------------------------------------------------------------------------------ the basis of curated drugs
def aafe(rows) -> dict[str, float]:
    folds = {b: np.array([float(r[f"{b}_fold"]) for r in rows]) for b in BASES}
    return {b: 10 ** f.mean() for b, f in folds.items() if f.size and np.isfinite(f).all()}


@pytest.mark.skipif(not PROFILES.is_file(), reason="the benchmarks are not in an installed package")
@pytest.mark.parametrize("name", CURATED)
def test_the_default_basis_is_the_one_that_the_validation_shows_best(name):
    with PROFILES.open() as file:
        people = [r for r in csv.DictReader(file) if r["species"] == "human"]
    mine = aafe([r for r in people if r["drug"] == name])
    if not mine:  # nobody to judge by: what is best over the others
        others = [aafe([r for r in people if r["drug"] == d]) for d in CURATED]
        mine = {b: 10 ** np.mean([np.log10(o[b]) for o in others if b in o]) for b in BASES}
    compound = ph.get_compound(name)
    if compound.volume_steady_state is None:  # a metabolite: there is nothing to scale to
        mine.pop("in_vivo_volume", None)
    best = min(mine, key=lambda b: (round(mine[b], 2), list(BASES).index(b)))
    assert (compound.resolved_clearance_basis, compound.distribution_basis) == BASES[best]
    if any(r["drug"] == name for r in people):
        # the reason in the file holds the numbers of the table
        assert f"{mine[best]:.2f}" in compound.sources["distribution_basis"]
        assert "optimistic" in compound.sources["distribution_basis"]
    # and the table's row of the default is what a user gets
    for row in (r for r in people if r["drug"] == name):
        assert row["default_auc"] == row[f"{best}_auc"]


def test_a_result_and_a_person_who_reads_it_learn_the_basis(tmp_path):
    people = ph.sample_population(3, seed=1)
    sim = ph.simulate(
        "theophylline", "320 mg oral", people, TIMES, compartments=["plasma", "liver"]
    )
    assert (sim.attrs["clearance_basis"], sim.attrs["distribution_basis"]) == ("in_vivo", "in_vivo")
    words = "clearance measured in vivo, Kp scaled to the volume measured in vivo"

    from rich.console import Console

    from pbpk_hybrid.plots import organ_panels, profile_figure
    from pbpk_hybrid.report.html import write_report
    from pbpk_hybrid.results import simulation_table

    screen = Console(width=160, record=True, file=io.StringIO())
    screen.print(simulation_table(sim))
    text = screen.export_text()
    assert words in text and "intrinsic_clearance=0.17" in text
    assert words in profile_figure(sim).get_supxlabel()
    assert words in np.ravel(organ_panels(sim))[0].figure.get_supxlabel()
    page = write_report(tmp_path / "r.html", sim, compound=ph.get_compound("theophylline"))
    html = page.read_text()
    assert words in html and "Variability(" in html
    # why a basis was chosen is no literature
    assert "AAFE" not in html[html.index("References") :]


def test_keywords_put_the_compound_on_another_basis():
    drug = ph.get_compound("midazolam")
    for keywords, changes in (
        ({"clearance": "in_vitro"}, {"clearance_basis": "in_vitro"}),
        ({"distribution": "predicted"}, {"distribution_basis": "predicted"}),
    ):
        given = ph.simulate(drug, "5 mg iv", None, TIMES, compartments=["plasma"], **keywords)
        same = ph.simulate(drug.replace(**changes), "5 mg iv", None, TIMES, compartments=["plasma"])
        other = ph.simulate(drug, "5 mg iv", None, TIMES, compartments=["plasma"])
        np.testing.assert_array_equal(given["concentration"], same["concentration"])
        assert not np.allclose(given["concentration"], other["concentration"], rtol=0.05)
        (name, value) = next(iter(changes.items()))
        assert given.attrs[name] == value


def test_a_basis_that_cannot_be_is_refused_with_what_is_missing():
    simulate = lambda name, **k: ph.simulate(name, "1 mg oral", None, TIMES, **k)
    with pytest.raises(UnknownNameError, match="in_vivo, in_vitro"):
        simulate("midazolam", clearance="hepatocytes")
    with pytest.raises(UnknownNameError, match="predicted, in_vivo"):
        simulate("midazolam", distribution="measured")
    with pytest.raises(InputError, match="clint_hepatocyte or clint_microsome"):
        simulate("warfarin", clearance="in_vitro")
    bare = ph.get_compound("midazolam", distribution_basis="predicted", volume_steady_state=None)
    with pytest.raises(InputError, match="volume_steady_state"):
        simulate(bare, distribution="in_vivo")


def test_linear_clearance_is_not_added_to_saturable_pathways_by_an_option():
    drug = ph.get_compound(
        "midazolam", saturable=[{"name": "CYP3A4", "organ": "liver", "vmax": 1.0, "km": 0.1}]
    )
    sim = ph.simulate(drug, "1 mg iv", None, TIMES, compartments=["plasma"])
    assert sim.attrs["clearance_basis"] == "saturable"
    with pytest.raises(InputError, match="saturable pathways are all"):
        ph.simulate(drug, "1 mg iv", None, TIMES, clearance="in_vivo")


# ------------------------------------------------------------------------------ variability
def test_people_drawn_at_random_vary_by_default_and_reference_individuals_do_not():
    people = ph.sample_population(6, seed=4)
    run = lambda who, **k: ph.simulate(
        "theophylline", "320 mg oral", who, TIMES, compartments=["plasma"], **k
    )
    silent, said, none = (
        run(people),
        run(people, variability=ph.Variability()),
        run(people, variability=None),
    )
    np.testing.assert_array_equal(silent["concentration"], said["concentration"])
    assert silent.attrs["variability"] == str(ph.Variability())
    assert none.attrs["variability"] == "none"
    assert not np.allclose(silent["concentration"], none["concentration"], rtol=0.01)
    one = ph.reference_individual("human")
    assert run(one).attrs["variability"] == "none"
    np.testing.assert_array_equal(
        run(one)["concentration"], run(one, variability=False)["concentration"]
    )
    # a person of a file has no seed: nothing is drawn for him unless asked
    unknown = people.assign_attrs(seed=None)
    del unknown.attrs["seed"]
    assert run(unknown).attrs["variability"] == "none"


def test_a_part_of_a_population_holds_the_same_people():
    people = ph.sample_population(6, seed=4)
    run = lambda who: ph.simulate(
        "theophylline", "320 mg oral", who, TIMES, compartments=["plasma"]
    )["concentration"]
    whole, order = run(people), [5, 2]
    np.testing.assert_allclose(run(people.isel(subject=order)), whole[order], rtol=1e-5)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (True, ph.Variability()),
        (0.3, ph.Variability(0.3, 0.0, 0.3)),
        (np.float64(0.5), ph.Variability(0.5, 0.0, 0.5)),
        (0, ph.Variability(0.0, 0.0, 0.0)),
        (np.True_, ph.Variability()),
    ],
)
def test_short_forms_of_variability(given, meant):
    people = ph.sample_population(4, seed=4)
    short, long = (
        ph.simulate(
            "theophylline", "320 mg oral", people, TIMES, compartments=["plasma"], variability=v
        )
        for v in (given, meant)
    )
    np.testing.assert_array_equal(short["concentration"], long["concentration"])
    assert short.attrs["variability"] == str(meant)


@pytest.mark.parametrize("given", ["on", "0.3", "30 %", 30, -0.1, float("nan"), [0.3], {"cv": 1}])
def test_a_variability_that_cannot_be_understood_is_refused(given):
    people = ph.sample_population(2, seed=4)
    with pytest.raises(InputError, match=r"variability.*coefficient of variation from 0 to 5"):
        ph.simulate("theophylline", "320 mg oral", people, TIMES, variability=given)


def test_population_and_variability_with_one_seed_share_no_numbers():
    drawn = ph.Variability().draw(5, 3, ("clint.liver",))["clint.liver"]
    sigma = np.sqrt(np.log1p(ph.Variability().intrinsic_clearance ** 2))
    normal = (np.log(drawn) + sigma**2 / 2) / sigma
    assert not np.isclose(normal[0], np.random.default_rng(3).standard_normal(1)[0])
    np.testing.assert_array_equal(
        drawn, ph.Variability().draw(5, 3, ("clint.liver",))["clint.liver"]
    )


# ------------------------------------------------------------------------------ how much people vary
def observed_cv(name: str) -> float:
    """Geometric CV of CL/F of single people [%]."""
    if name == "theophylline":
        table = ph.observations(name, "shipped").to_dataframe().reset_index()
        people = [
            (p["time"].to_numpy(), p["value"].to_numpy(), float(p["dose"].iloc[0]))
            for _, p in table.groupby("profile")
        ]
    else:
        if not WARFARIN.is_file():
            pytest.skip("the benchmarks' data are not in an installed package")
        samples: dict[str, dict[float, list[float]]] = {}
        dose: dict[str, float] = {}
        with gzip.open(WARFARIN, "rt") as file:
            for row in csv.DictReader(file):
                if row["evid"] == "1":
                    dose[row["id"]] = float(row["amt"])
                elif row["dvid"] == "cp":
                    seen = samples.setdefault(row["id"], {})
                    seen.setdefault(float(row["time"]), []).append(float(row["dv"]))
        people = [
            (np.array(list(s)), np.array([np.mean(v) for v in s.values()]), dose[i])
            for i, s in samples.items()
        ]
    return geometric_cv(
        [float(ph.nca((t, c), dose=d, route="oral")["cl_f"].values[0]) for t, c, d in people]
    )


@pytest.mark.parametrize(("name", "n", "hours"), [("theophylline", 12, 100), ("warfarin", 32, 600)])
def test_clearance_differs_between_people_as_much_as_observed(name, n, hours):
    seen = observed_cv(name)
    assert 25 < seen < 33  # 28 and 30 %: the data are read as they should be
    times = np.r_[0.0, np.geomspace(0.1, hours, 80)]
    sim = ph.simulate(
        name, "100 mg oral", ph.sample_population(600, seed=11), times, compartments=["plasma"]
    )
    simulated = geometric_cv(ph.nca(sim, dose=100.0, route="oral")["cl_f"].values)
    assert abs(simulated - seen) < 10  # 53 and 67 % before


def test_cells_per_gram_of_liver_scale_hepatocytes_and_not_clearance_in_people():
    people = ph.sample_population(5, seed=2)
    richer = people.assign(hepatocellularity=2 * people["hepatocellularity"])
    for basis, factor in (("in_vivo", 1.0), ("in_vitro", 2.0)):
        clint = [
            whole_body_system(ph.get_compound("midazolam"), who, clearance=basis).parameters[
                "clint.liver"
            ]
            for who in (people, richer)
        ]
        np.testing.assert_allclose(clint[1] / clint[0], factor, rtol=1e-12)
    # in people a gram of liver clears the same in everybody: that of the reference, by liver mass
    drug, one = ph.get_compound("midazolam"), ph.reference_individual("human")
    mass = lambda who: (who["volume"] * who["density"]).sel(organ="liver").values
    of = lambda who: whole_body_system(drug, who).parameters["clint.liver"]
    np.testing.assert_allclose(of(people) / of(one), mass(people) / mass(one), rtol=1e-12)


# ------------------------------------------------------------------------------ command line, stores and app
def run(*words, code=0):
    result = CliRunner().invoke(app, [str(w) for w in words], env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return result


OPTIONS = {
    "plain": ((), {}),
    "hepatic model": (("--hepatic-model", "parallel_tube"), {"hepatic_model": "parallel_tube"}),
    "partition method": (
        ("--partition-method", "poulin_theil"),
        {"partition_method": "poulin_theil"},
    ),
    "no variability": (("--no-variability",), {"variability": None}),
    "clearance": (("--clearance", "in_vitro"), {"clearance": "in_vitro"}),
    "distribution": (("--distribution", "predicted"), {"distribution": "predicted"}),
}
WORDS = ("simulate", "midazolam", "--dose", "5 mg oral", "-n", 3, "--seed", 3)


@pytest.mark.parametrize("name", OPTIONS)
def test_options_reach_the_store_and_the_folder_with_the_values_of_python(name, tmp_path):
    pytest.importorskip("zarr")
    from pbpk_hybrid.scale import Cohort, simulate_cohort

    words, keywords = OPTIONS[name]
    common = (*WORDS, "--times", "0,0.5,2,6,24", "--compartments", "plasma", *words)
    run(*common, "-o", tmp_path / "c.zarr", "--workers", 1, "-q")
    run(*common, "-o", tmp_path / "folder", "-q")
    python = simulate_cohort(
        "midazolam",
        "5 mg oral",
        Cohort(3, seed=3),
        TIMES,
        store=tmp_path / "p.zarr",
        workers=1,
        **keywords,
    )
    folder = ph.simulate(
        "midazolam",
        "5 mg oral",
        ph.sample_population(3, seed=3),
        TIMES,
        compartments=["plasma"],
        seed=3,
        **keywords,
    )
    store = ph.open_results(tmp_path / "c.zarr")
    np.testing.assert_array_equal(store["concentration"], python["concentration"])
    np.testing.assert_array_equal(
        ph.open_results(tmp_path / "folder" / "simulation.nc")["concentration"],
        folder["concentration"],
    )
    for attr in ("clearance_basis", "distribution_basis", "hepatic_model", "variability"):
        assert store.attrs[attr] == python.attrs[attr] == folder.attrs[attr]
    if keywords:
        plain = simulate_cohort(
            "midazolam",
            "5 mg oral",
            Cohort(3, seed=3),
            TIMES,
            store=tmp_path / "plain.zarr",
            workers=1,
        )
        last = plain["concentration"].values[:, 1:]
        assert not np.allclose(store["concentration"].values[:, 1:], last, rtol=0.01)


def test_a_cohort_varies_by_default(tmp_path):
    pytest.importorskip("zarr")
    from pbpk_hybrid.scale import Cohort, simulate_cohort

    given = ("theophylline", "320 mg oral", Cohort(3, seed=3), TIMES)
    silent = simulate_cohort(*given, store=tmp_path / "a.zarr", workers=1)
    said = simulate_cohort(
        *given, store=tmp_path / "b.zarr", workers=1, variability=ph.Variability()
    )
    np.testing.assert_array_equal(silent["concentration"], said["concentration"])
    assert silent.attrs["variability"] == str(ph.Variability())
    with pytest.raises(InputError, match="variability"):
        simulate_cohort(*given, store=tmp_path / "c.zarr", workers=1, variability="much")


@pytest.mark.parametrize("labels", [None, [f"person {i}" for i in range(2100)]])
def test_a_store_holds_the_same_people_as_a_run_in_memory(labels, tmp_path):
    pytest.importorskip("zarr")
    from pbpk_hybrid.scale import BLOCK

    people = ph.sample_population(BLOCK + 100, seed=8)
    if labels is not None:
        people = people.assign_coords(subject=labels)
    given = ("theophylline", "320 mg oral", people, [0.0, 6.0])
    memory = ph.simulate(*given, compartments=["plasma"])
    store = ph.simulate(*given, chunks=BLOCK, store=tmp_path / "x.zarr")
    np.testing.assert_allclose(store["concentration"], memory["concentration"], rtol=1e-4)
    assert store.attrs["variability"] == memory.attrs["variability"] == str(ph.Variability())


def test_the_command_names_the_basis_and_refuses_another_word(tmp_path):
    text = run(*WORDS, "--distribution", "predicted", "-o", tmp_path).stdout
    assert "clearance measured in vivo, Kp predicted" in text
    pytest.importorskip("zarr")
    words = ("--times", "0,1", "--workers", 1, "--no-variability")
    text = run(*WORDS, *words, "-o", tmp_path / "c.zarr").stdout
    assert "clearance measured in vivo, Kp scaled" in text and "variability: none" in text
    refused = run(*WORDS, "--distribution", "measured", "-o", tmp_path / "no", code=2)
    assert "predicted, in_vivo" in refused.output and not (tmp_path / "no").exists()


def test_the_command_shows_why_a_basis_is_the_default():
    text = " ".join(run("compounds", "show", "omeprazole").stdout.split())
    assert "clearance_basis" in text and "3.44" in text


def test_the_page_takes_a_basis():
    from pbpk_hybrid.app.work import Choice, simulate_choice

    study = simulate_choice(Choice("midazolam", "5 mg oral", 3, distribution="predicted"))
    assert study.simulation.attrs["distribution_basis"] == "predicted"
    assert (
        study.basis()
        == f"clearance measured in vivo, Kp predicted; variability: {ph.Variability()}"
    )
    plain = simulate_choice(Choice("midazolam", "5 mg oral", 3))
    assert plain.simulation.attrs["distribution_basis"] == "in_vivo"
    # the default times differ, since they go by the last area
    peaks = [s.simulation["concentration"].max("time") for s in (study, plain)]
    assert not np.allclose(*peaks, rtol=0.01)
