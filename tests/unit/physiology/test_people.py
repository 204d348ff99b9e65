"""The people to learn from: split once by person, completed reproducibly; and rules that tensors can pass through."""

from __future__ import annotations

import numpy as np
import pytest

from pbpk_hybrid._core.errors import InputError
from pbpk_hybrid.physiology import RULES, check_physiology, check_plausibility, training_people
from pbpk_hybrid.physiology.adults.survey import adults
from pbpk_hybrid.physiology.adults.training_people import SPLITS, people_of
from pbpk_hybrid.physiology.plausibility.body import Body, body_of


def test_every_adult_is_in_exactly_one_split():
    parts = [people_of(name) for name in SPLITS]
    together = np.concatenate(parts)
    assert np.array_equal(np.sort(together), np.sort(adults().person))
    shares = [part.size / together.size for part in parts]
    assert shares == pytest.approx([0.7, 0.1, 0.2], abs=0.015)  # a hash, not a quota


def test_they_are_the_survey_people_with_bodies_that_close():
    people = check_physiology(training_people("validation"))
    survey = adults()
    at = {int(p): i for i, p in enumerate(survey.person)}
    index = [at[int(p)] for p in people["nhanes_person"].values]
    np.testing.assert_array_equal(people["body_weight"].values, survey.body_weight[index])
    np.testing.assert_array_equal(people["survey_weight"].values, survey.weight[index])
    assert check_plausibility(people).attrs["hard_violation_rate"] == 0.0


def test_copies_differ_in_organs_only_and_seeds_reproduce():
    one, two = (
        training_people("validation", copies=2, seed=3),
        training_people("validation", copies=2, seed=3),
    )
    np.testing.assert_array_equal(one["volume"].values, two["volume"].values)
    n = people_of("validation").size
    np.testing.assert_array_equal(one["height"].values[:n], one["height"].values[n:])
    assert not np.array_equal(one["volume"].values[:n], one["volume"].values[n:])


@pytest.mark.parametrize("bad", [{"split": "tset"}, {"split": "test", "copies": 0}])
def test_bad_requests_are_refused(bad):
    with pytest.raises(InputError):
        training_people(**bad)


def test_rules_give_tensors_what_they_give_arrays_and_can_be_differentiated():
    torch = pytest.importorskip("torch")
    body = body_of(training_people("validation"))
    tensor = Body(
        **{
            name: torch.tensor(
                np.asarray(value, bool if name == "male" else float), requires_grad=name != "male"
            )
            for name, value in vars(body).items()
        }
    )
    for rule in RULES:
        expected, got = rule.residual(body), rule.residual(tensor)
        np.testing.assert_allclose(
            got.detach().numpy(), expected, rtol=1e-9, atol=1e-12, err_msg=rule.id
        )
        got.sum().backward()
    assert torch.isfinite(tensor.mass.grad).all() and (tensor.mass.grad != 0).any()


def test_a_child_is_not_judged_by_the_bounds_of_adults():
    people = training_people("validation").isel(subject=slice(0, 3)).copy(deep=True)
    people["age"][1] = 9.0
    residual = check_plausibility(people)["residual"]
    soft = residual["kind"].values == "soft"
    adults_only = np.isin(
        residual["rule"].values, ["S4_lean", "S6_output", "S6_index", "S7_kidney", "S7_muscle"]
    )
    assert (
        np.isnan(residual.values[adults_only, 1]).all()
        and np.isfinite(residual.values[soft][:, [0, 2]]).all()
    )
    assert residual.sel(rule="S2_height").values[1] > 0  # nobody of nine is as tall as that adult
    assert np.isfinite(residual.values[~soft, 1]).all()
