"""The elimination plan factorises any pattern, without more work than the graph needs."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pbpk_hybrid.models.system.elimination_order import minimum_degree_order, plan_elimination


def factorise(plan, matrix):
    """The plan carried out in plain Python: entries of L and U, diagonal not inverted."""
    entry = np.zeros(plan.n_entries)
    for (i, j), at in plan.position.items():
        entry[at] = matrix[i, j]
    for i in range(plan.n):
        for p in range(plan.l_ptr[i], plan.l_ptr[i + 1]):
            entry[plan.n + p] /= entry[plan.l_col[p]]
            for q in range(plan.op_ptr[p], plan.op_ptr[p + 1]):
                entry[plan.op_target[q]] -= entry[plan.n + p] * entry[plan.op_source[q]]
    lower, upper = np.eye(plan.n), np.diag(entry[: plan.n])
    for i in range(plan.n):
        for p in range(plan.l_ptr[i], plan.l_ptr[i + 1]):
            lower[i, plan.l_col[p]] = entry[plan.n + p]
        for p in range(plan.u_ptr[i], plan.u_ptr[i + 1]):
            upper[i, plan.u_col[p]] = entry[plan.n + len(plan.l_col) + p]
    return lower, upper


@given(n=st.integers(1, 14), density=st.floats(0.0, 0.6), seed=st.integers(0, 10_000))
def test_lower_times_upper_is_the_permuted_matrix(n, density, seed):
    rng = np.random.default_rng(seed)
    matrix = np.where(rng.random((n, n)) < density, rng.normal(size=(n, n)), 0.0)
    matrix += np.diag(
        n + np.abs(matrix).sum(axis=1)
    )  # diagonally dominant: no pivoting needed, as in I/(gamma h) - J
    plan = plan_elimination(n, *np.nonzero(matrix))
    lower, upper = factorise(plan, matrix)
    permuted = matrix[np.ix_(plan.order, plan.order)]
    np.testing.assert_allclose(lower @ upper, permuted, rtol=1e-12, atol=1e-12)


def test_a_star_has_no_fill_in():
    n = 30
    rows = [*range(1, n), *[0] * (n - 1)]
    columns = [*[0] * (n - 1), *range(1, n)]
    plan = plan_elimination(n, rows, columns)
    assert plan.n_entries == n + 2 * (n - 1)
    assert (
        plan.order[-1] == 0 or plan.order[-2] == 0
    )  # the centre goes last (or ties with the last leaf)


def test_order_is_a_permutation_and_does_not_depend_on_the_order_of_entries():
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(0, 20, 60), rng.integers(0, 20, 60)
    shuffle = rng.permutation(60)
    a = minimum_degree_order(20, rows.tolist(), columns.tolist())
    b = minimum_degree_order(20, rows[shuffle].tolist(), columns[shuffle].tolist())
    assert a == b and sorted(a) == list(range(20))
