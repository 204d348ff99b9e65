"""Model files of PK-Sim's solver kernel against the curves it computes from them at rtol 1e-10 (not shipped: GPL)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pbpk_hybrid.interchange import read_pksim_simulation
from pbpk_hybrid.solvers.base import SolverOptions

SHARED = Path(__file__).parents[3] / "shared" / "data"
FILES = sorted((SHARED / "osp_simmodel" / "models").glob("*.xml.gz")) if SHARED.exists() else []
pytestmark = pytest.mark.skipif(not FILES, reason="the model files are not here")


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name.removesuffix(".xml.gz"))
def test_curves_are_those_of_the_kernel(path):
    """Within 1e-4, plus 1e-6 of the peak, at rtol 1e-6."""
    model = read_pksim_simulation(path)
    name = path.name.removesuffix(".xml.gz")
    with np.load(SHARED / "osp_simmodel" / "reference" / f"{name}.npz") as file:
        reference = {key: file[key] for key in ("ids", "time", "values")}
    known = [int(i) in model.contents.path_of for i in reference["ids"]]
    paths = [model.contents.path_of[int(i)] for i in reference["ids"][known]]
    if not paths:
        pytest.skip("no quantity with a name is marked for output")
    got = (
        model.simulate(
            reference["time"] / 60, outputs=paths, options=SolverOptions(rtol=1e-6, threads=1)
        )["value"]
        .values[0]
        .T
    )
    wanted = reference["values"][known]
    np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
    with np.errstate(invalid="ignore"):
        peak = np.abs(np.where(np.isnan(wanted), 0.0, wanted)).max(axis=1, keepdims=True)
        off = np.abs(got - wanted) > 1e-4 * np.abs(wanted) + 1e-6 * peak
    assert not off.any(), [paths[i] for i in np.flatnonzero(off.any(axis=1))][:5]


def test_a_pkml_and_its_twin_give_the_same_curves():
    folder = SHARED / "osp_pkml"
    tree, flat = (
        read_pksim_simulation(folder / f"RemoveBelowAbsTolTest.{kind}.gz")
        for kind in ("pkml", "xml")
    )
    ours, theirs = tree.simulate(outputs="**"), flat.simulate(outputs="**")
    np.testing.assert_array_equal(tree.times, flat.times)
    assert set(ours["compartment"].values) == set(theirs["compartment"].values)
    same = theirs.sel(compartment=ours["compartment"].values)
    np.testing.assert_allclose(ours["value"].values, same["value"].values, rtol=1e-10)


@pytest.mark.parametrize("name", ["simple", "concentration_based", "octocrylene-gsa"])
def test_every_pkml_runs(name):
    model = read_pksim_simulation(SHARED / "osp_pkml" / f"{name}.pkml.gz")
    got = model.simulate()
    assert (got["status"] == 0).all()
    assert np.isfinite(got["value"]).all()
    if name == "simple":  # 15 l + Q Volume t^2/2
        grown = model.simulate([5.0], outputs="Organism|RHSParameter")["value"].item()
        assert grown == pytest.approx(15 + 10 * 300**2 / 2, rel=1e-9)
        a = model.simulate([5.0], outputs="Organism|Liver|A")["value"].item()
        assert a == pytest.approx(30 * np.exp(-0.01 * 300), rel=1e-6)
