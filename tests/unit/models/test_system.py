"""System: what it accepts, what it refuses, and that its right-hand side is what its text says."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.models.system.examples import random_system, yardstick_system
from pbpk_hybrid.models.system.system import Reaction, System


def two_states(**changes) -> System:
    given = {
        "states": ("a", "b"),
        "k_row": [0, 1],
        "k_col": [0, 0],
        "k_value": [[-1.0, 1.0]],
    } | changes
    return System(**given)


def test_rhs_of_a_linear_system_is_matrix_times_amounts():
    system = random_system(8, seed=1, n_reactions=0)
    y = np.random.default_rng(0).random(system.n_states)
    np.testing.assert_allclose(system.rhs(y, 1), system.matrix(1) @ y, rtol=1e-13)


def test_michaelis_menten_rate_with_an_inhibitor_is_the_textbook_formula():
    r = Reaction("e", "michaelis_menten", (0, 1), {0: -1.0}, np.array([[10.0, 2.0, 0.5]]))
    assert r.rate(np.array([3.0, 1.0]), r.parameters[0]) == pytest.approx(
        10 * 3 / (2 * (1 + 1 / 0.5) + 3)
    )
    assert r.parameter_names == ("vmax[e]", "km[e]", "ki1[e]")


def test_mass_action_rate_is_the_product():
    r = Reaction("b", "mass_action", (0, 1), {0: -1.0}, np.array([[0.3]]))
    assert r.rate(np.array([3.0, 2.0]), r.parameters[0]) == pytest.approx(1.8)


def test_jacobian_pattern_covers_every_derivative():
    system = random_system(9, seed=3, n_reactions=4)
    pattern = set(zip(*(a.tolist() for a in system.jacobian_pattern()), strict=True))
    y = np.random.default_rng(1).random(system.n_states) + 0.1
    for j in range(system.n_states):
        moved = y.astype(complex)
        moved[j] += 1e-30j
        slope = system.rhs(moved).imag / 1e-30
        assert {(i, j) for i in np.flatnonzero(slope)} <= pattern


def test_yardstick_has_the_sizes_the_design_states():
    system = yardstick_system(1)
    assert len(system.k_row) == 40 and system.plan.n_entries == 42
    # 13 updates and 14 divisions by a pivot make the 27 operations of one factorisation
    assert system.plan.n_multiply_subtract + len(system.plan.l_col) == 27


def test_closed_is_true_only_if_all_that_leaves_arrives():
    assert random_system(7, seed=1, closed=True).closed
    assert not random_system(7, seed=1, closed=False).closed
    assert not yardstick_system(1).closed


def test_take_keeps_numbers_of_the_chosen_subjects():
    system = yardstick_system(10)
    part = system.take([2, 7])
    y = np.random.default_rng(2).random(system.n_states)
    np.testing.assert_array_equal(part.rhs(y, 1), system.rhs(y, 7))
    assert part.n_subjects == 2 and part.subjects.tolist() == [2, 7]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"states": ()}, "states"),
        ({"states": ("a", "a")}, "states"),
        ({"k_row": [0, 5]}, "k_row"),
        ({"k_value": [[1.0]]}, "k_value"),
        ({"k_value": [[-1.0, np.nan]]}, r"K\[b,a\]"),
        ({"k_row": [0, 0]}, "k_row, k_col"),
        ({"k_value": np.ones((3, 2)), "n_subjects": 2}, "k_value"),
        ({"reactions": (Reaction("e", "michaelis", (0,), {0: -1.0}, np.ones((1, 2))),)}, "law"),
        (
            {"reactions": (Reaction("e", "michaelis_menten", (0,), {0: -1.0}, np.ones((1, 3))),)},
            "parameters",
        ),
        (
            {"reactions": (Reaction("e", "mass_action", (0,), {0: -1.0}, np.ones((1, 1))),)},
            "reactants",
        ),
        (
            {"reactions": (Reaction("e", "michaelis_menten", (4,), {0: -1.0}, np.ones((1, 2))),)},
            "reaction e",
        ),
        (
            {
                "reactions": (
                    Reaction("e", "michaelis_menten", (0,), {0: -1.0}, np.array([[np.inf, 1]])),
                )
            },
            "vmax",
        ),
    ],
)
def test_a_system_that_makes_no_sense_is_refused_by_name(changes, field):
    with pytest.raises(ph.InputError, match=field):
        two_states(**changes)


def test_an_unknown_rate_law_suggests_the_nearest():
    with pytest.raises(ph.UnknownNameError, match="michaelis_menten"):
        two_states(reactions=(Reaction("e", "michaelis_mentn", (0,), {0: -1.0}, np.ones((1, 2))),))


def test_not_finite_values_name_the_subject():
    k = np.ones((3, 2))
    k[2, 1] = np.inf
    with pytest.raises(ph.InputError, match="subject 2"):
        two_states(k_value=k, n_subjects=3)
