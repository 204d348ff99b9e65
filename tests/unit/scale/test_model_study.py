"""Imported models in populations of any size: the same numbers as at once, for any chunks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pbpk_hybrid._core.errors import InputError, StoreError
from pbpk_hybrid.interchange import example_pksim_simulation, read_pksim_simulation
from pbpk_hybrid.scale import simulate_model_cohort

pytest.importorskip("dask")
pytest.importorskip("zarr")
N, HOURS = 4100, [0.5, 2.0, 8.0]


@pytest.fixture(scope="module")
def model():
    return read_pksim_simulation(example_pksim_simulation())


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    draw = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "IndividualId": np.arange(N) + 10,
            "Organism|Weight": draw.normal(75, 12, N).clip(45, 120),
            "Applications|Tablet twice|Dose": draw.uniform(1e-5, 3e-4, N),
            "Gender": np.where(draw.random(N) < 0.5, "FEMALE", "MALE"),
        }
    )


@pytest.mark.parametrize("chunks", [2000, 10_000])
def test_numbers_do_not_depend_on_chunks(model, people, tmp_path, chunks):
    """Each block of 2,000 has the numbers that it has alone, with the individual's own names."""
    found = simulate_model_cohort(
        model, people, HOURS, store=tmp_path / "x.zarr", chunks=chunks, workers=1
    )
    assert found["subject"].values.tolist() == people["IndividualId"].tolist()
    assert found["Gender"].values.tolist() == people["Gender"].tolist()
    for first in range(0, N, 2000):
        rows = slice(first, min(first + 2000, N))
        alone = model.simulate(HOURS, population=people.iloc[rows])
        for name in ("value", "concentration", "amount"):
            np.testing.assert_array_equal(
                found[name].isel(subject=rows).values, alone[name].values, strict=True
            )


def test_a_store_of_another_model_is_not_gone_on_with(model, people, tmp_path):
    few, store = people.iloc[:20], tmp_path / "x.zarr"
    simulate_model_cohort(model, few, HOURS, store=store, workers=1)
    other = model.set({"Metabolism|Vmax": 2.0})
    with pytest.raises(StoreError, match="another run: model"):
        simulate_model_cohort(other, few, HOURS, store=store, workers=1)


def test_a_compound_is_not_a_model(people, tmp_path):
    with pytest.raises(InputError, match="simulate_cohort"):
        simulate_model_cohort("midazolam", people, store=tmp_path / "x.zarr")


def test_digests_know_all_of_an_event():
    """SBML's priority, or whether an event happens once, change results without any formula."""
    from pbpk_hybrid.models.expressions.ode_model import Assignment, Event, OdeModel
    from pbpk_hybrid.models.expressions.tree import number, symbol

    def model(**changed) -> OdeModel:
        event = Event("e", symbol("time"), (Assignment("A", number(1.0)),), **changed)
        return OdeModel({"A": number(0.0)}, {"A": number(0.0)}, events=(event,))

    others = [{}, {"once": False}, {"queued": True}, {"queued": True, "priority": number(2.0)}]
    others += [{"persistent": False}, {"values_at_trigger": True}, {"true_before": True}]
    digests = [model(**changed).digest() for changed in others]
    assert len(set(digests)) == len(others)
    assert digests == [model(**changed).digest() for changed in others]
