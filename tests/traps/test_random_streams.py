"""One seed: the same people through every door, and no two things that are drawn with the same numbers."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

import pbpk_hybrid as ph
from pbpk_hybrid._core.random import BLOCK, PURPOSES, block_seed, stream
from pbpk_hybrid.cli.app import app
from pbpk_hybrid.physiology import with_enzymes, with_transporters

DOSE = ("theophylline", "320 mg oral")


def run(*words, code=0):
    result = CliRunner().invoke(app, [str(w) for w in words], env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output


def same_people(a: xr.Dataset, b: xr.Dataset) -> None:
    for name in ("subject", "body_weight", "age", "sex", "gfr", "volume", "blood_flow"):
        np.testing.assert_array_equal(a[name].values, b[name].values, err_msg=name)


# ------------------------------------------------------------------------------------------- the same people everywhere
@pytest.mark.parametrize("n", [7, BLOCK + 300], ids=["less than a block", "more than a block"])
@pytest.mark.parametrize(
    ("words", "filters"),
    [((), {}), (("--sex", "0.2011", "--age", "30-60"), {"sex": 0.2011, "age": (30.0, 60.0)})],
    ids=["anybody", "filtered"],
)
def test_a_population_is_the_same_in_a_file_a_store_and_python(n, words, filters, tmp_path):
    pytest.importorskip("zarr")
    common = ("population", n, "--seed", 11, "-q", *words)
    run(*common, "-o", tmp_path / "people.nc")
    run(*common, "-o", tmp_path / "people.zarr", "--workers", 1)
    python = ph.sample_population(n, seed=11, **filters)
    file = ph.open_results(tmp_path / "people.nc", schema="physiology")
    store = ph.open_results(tmp_path / "people.zarr", schema="physiology")
    same_people(file, python)
    same_people(store, python)
    for told in ("seed", "filters", "soft_rule_exceptions", "replaced_people"):
        assert store.attrs[told] == file.attrs[told] == python.attrs[told]
    if filters:
        assert int((python["sex"] == "female").sum()) == round(0.2011 * n)


@pytest.mark.parametrize("n", [7, BLOCK + 300], ids=["less than a block", "more than a block"])
def test_a_simulation_is_the_same_in_a_folder_a_store_and_python(n, tmp_path):
    pytest.importorskip("zarr")
    words = ("simulate", *DOSE[:1], "--dose", DOSE[1], "-n", n, "--seed", 11, "-q")
    words += ("--times", "0,2,12", "--compartments", "plasma")
    run(*words, "-o", tmp_path / "folder")
    run(*words, "-o", tmp_path / "x.zarr", "--workers", 1)
    people = ph.sample_population(n, seed=11)
    python = ph.simulate(*DOSE, people, [0, 2, 12], compartments=["plasma"])["concentration"]
    folder = ph.open_results(tmp_path / "folder" / "simulation.nc")["concentration"]
    store = ph.open_results(tmp_path / "x.zarr")["concentration"]
    np.testing.assert_array_equal(folder.values, python.values)
    # a block is integrated by itself, with other neighbours: equal to the tolerance
    np.testing.assert_allclose(store.values, python.values, rtol=1e-6)


def test_people_of_the_diffusion_model_are_the_same_in_a_file_and_a_store(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("zarr")
    n = BLOCK + 40
    words = ("population", n, "--seed", 4, "--generator", "pcdm", "-q")
    run(*words, "-o", tmp_path / "p.nc")
    run(*words, "-o", tmp_path / "p.zarr", "--workers", 1)
    file = ph.open_results(tmp_path / "p.nc", schema="physiology")
    store = ph.open_results(tmp_path / "p.zarr", schema="physiology")
    same_people(file, store)
    for told in ("seed", "probability", "people_trained_on_like_that"):
        assert file.attrs[told] == pytest.approx(store.attrs[told], rel=1e-12)


def test_blocks_are_different_people():
    people = ph.sample_population(2 * BLOCK, seed=11)
    weight = people["body_weight"].values
    assert abs(np.corrcoef(weight[:BLOCK], weight[BLOCK:])[0, 1]) < 0.1
    assert block_seed(11, 0) == 11
    assert len({block_seed(s, b) for s in (0, 1, 2**40) for b in range(50)}) == 150


# ------------------------------------------------------------------------------------------------- streams of their own
def test_no_two_purposes_blocks_or_seeds_share_a_stream():
    streams = [stream(s, p, b) for s in (0, 1) for p in PURPOSES for b in (0, 1, 2)]
    drawn = np.array([rng.random(4000) for rng in streams])
    # 4 standard errors
    assert np.abs(np.corrcoef(drawn) - np.eye(len(drawn))).max() < 4 / np.sqrt(4000) + 0.02
    for a, b in combinations(drawn, 2):
        assert not np.isin(a, b).any()


def test_the_variability_of_clearance_is_not_drawn_with_the_numbers_of_the_people():
    n = 6
    factor = ph.Variability(0.5, 0.4, 0.3).draw(
        n, 7, ("clint.liver", "fraction_unbound_plasma", "absorption_rate")
    )
    z = np.random.default_rng((7, 1)).standard_normal((n, 3)).T
    for values, cv, normal in zip(factor.values(), (0.5, 0.4, 0.3), z, strict=True):
        sigma = np.sqrt(np.log(1 + cv**2))
        np.testing.assert_allclose(values, np.exp(sigma * normal - sigma**2 / 2), rtol=1e-12)
    # the first numbers of the seed itself choose the people
    people = np.random.default_rng(7)
    assert not np.isin(
        people.standard_normal(50), np.random.default_rng((7, 1)).standard_normal(50)
    ).any()


def test_a_subject_has_his_own_row_of_variability_whoever_else_is_drawn():
    names = ("clint.liver", "absorption_rate")
    whole = ph.Variability().draw(2 * BLOCK + 5, 3, names)
    rows = np.array([2 * BLOCK + 4, 17, BLOCK, BLOCK - 1])
    some = ph.Variability().draw_rows(rows, 3, names)
    for name in names:
        np.testing.assert_array_equal(some[name], whole[name][rows])
        assert len(np.unique(whole[name])) == 2 * BLOCK + 5
        few = ph.Variability().draw(50, 3, names)[name]
        np.testing.assert_array_equal(few, whole[name][:50])


def _dependence(one: np.ndarray, other: np.ndarray) -> float:
    """Cramer's V of two columns of labels: 0 independent, 1 the same."""
    table = np.array(
        [[((one == a) & (other == b)).sum() for b in np.unique(other)] for a in np.unique(one)]
    )
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    chi = ((table - expected) ** 2 / expected).sum()
    return float(np.sqrt(chi / table.sum() / (min(table.shape) - 1)))


@pytest.fixture(scope="module")
def genotyped():
    people = ph.sample_population(BLOCK, seed=5)
    people = with_enzymes(people, phenotypes="population", variation=0.3)
    activity = people["enzyme_activity"].sel(enzyme=["CYP1A2", "CYP2E1"]).values
    return with_transporters(people, phenotypes="population", variation=0.3), activity


def test_genes_are_drawn_independently_of_each_other(genotyped):
    people, _ = genotyped
    genes = [v for v in people.data_vars if str(v).startswith("phenotype_")]
    assert len(genes) == 5
    for a, b in combinations(genes, 2):
        # chi-squared / n of independent labels is about 8 / 2000: V about .06
        assert _dependence(people[a].values, people[b].values) < 0.1, (a, b)


def test_genes_and_activities_do_not_depend_on_who_the_person_is(genotyped):
    people, activity = genotyped
    limit = 4 / np.sqrt(BLOCK)
    person = people["nhanes_person"].values.argsort().argsort()
    for gene, kind in (("CYP2D6", "poor"), ("CYP2C19", "normal"), ("OATP1B1", "normal")):
        has = people[f"phenotype_{gene}"].values == kind
        assert abs(np.corrcoef(has, person)[0, 1]) < limit, gene
    carriers = people["enzyme_activity"].sel(enzyme=["P-gp", "MATE1"]).values
    columns = np.column_stack([np.log(activity), np.log(carriers), people["gfr"].values])
    assert np.abs(np.corrcoef(columns.T) - np.eye(5)).max() < limit
