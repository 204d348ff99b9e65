"""How to eliminate along the organ graph: order, fill-in and the list of operations,
worked out once per model.

Organs hang off arterial and venous blood like a star, so eliminating the organs first and
the blood last creates almost no new entries. Which order is best is found by the
minimum-degree rule; nothing here knows organs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True, eq=False)
class EliminationPlan:
    """LU factorisation of a fixed sparse pattern, as flat lists.

    The matrix is permuted to `order` (``order[i]`` is the state eliminated i-th;
    ``place`` is its inverse). Entry values live in one array of `n_entries` rows: the
    diagonal first (0..n-1), then L by rows, then U by rows.

    For row i in turn, for each L entry p in ``l_ptr[i]:l_ptr[i+1]`` with column
    ``l_col[p]``: multiply it by the inverse pivot of that column, then for each q in
    ``op_ptr[p]:op_ptr[p+1]`` subtract (L entry) x (entry ``op_source[q]``) from entry
    ``op_target[q]``. Position of L entry p is ``n + p``; of U entry p (``u_ptr``,
    ``u_col``) it is ``n + len(l_col) + p``.
    """

    n: int
    order: np.ndarray
    place: np.ndarray
    l_ptr: np.ndarray
    l_col: np.ndarray
    u_ptr: np.ndarray
    u_col: np.ndarray
    op_ptr: np.ndarray
    op_source: np.ndarray
    op_target: np.ndarray
    position: dict  # (row, column) in original numbering -> entry

    @property
    def n_entries(self) -> int:
        """Entries of L, U and the diagonal, fill-in included."""
        return self.n + len(self.l_col) + len(self.u_col)

    @property
    def n_multiply_subtract(self) -> int:
        """Multiply-subtracts of one factorisation (27 in the 15-state yardstick model)."""
        return len(self.op_source)

    def positions(self, rows: Iterable[int], columns: Iterable[int]) -> np.ndarray:
        """Entry numbers of (row, column) pairs in the original numbering; int64 array."""
        # the same pairs are asked for at every solve: those asked for last are kept
        asked = self.__dict__.get("_asked")
        if asked is None or asked[0] is not rows or asked[1] is not columns:
            pairs = zip(np.asarray(rows).tolist(), np.asarray(columns).tolist(), strict=True)
            found = np.array([self.position[pair] for pair in pairs], dtype=np.int64)
            found.flags.writeable = False
            asked = (rows, columns, found)
            self.__dict__["_asked"] = asked
        return asked[2]


def minimum_degree_order(n: int, rows: Iterable[int], columns: Iterable[int]) -> list[int]:
    """Elimination order by the minimum-degree rule on the symmetrised pattern.

    Ties go to the state with the fewest entries of its own, then to the lower number, so
    that the order is the same on every machine. Source: Tinney & Walker (1967) scheme 2;
    George & Liu (1989) SIAM Review 31:1.
    """
    near: list[set[int]] = [set() for _ in range(n)]
    for r, c in zip(rows, columns, strict=True):
        if r != c:
            near[r].add(c)
            near[c].add(r)
    own = [len(neighbours) for neighbours in near]
    left, order = set(range(n)), []
    while left:
        pick = min(left, key=lambda i: (len(near[i]), own[i], i))
        for a in near[pick]:
            near[a] |= near[pick]
            near[a] -= {a, pick}
        left.remove(pick)
        order.append(pick)
        near[pick] = set()
    return order


def plan_elimination(n: int, rows: Iterable[int], columns: Iterable[int]) -> EliminationPlan:
    """Plan the LU factorisation of the pattern (rows, columns) plus the diagonal.

    Cached by pattern.
    """
    key = tuple(
        sorted(
            {(int(r), int(c)) for r, c in zip(rows, columns, strict=True)}
            | {(i, i) for i in range(n)}
        )
    )
    return _plan(n, key)


@lru_cache(maxsize=64)
def _plan(n: int, pattern: tuple[tuple[int, int], ...]) -> EliminationPlan:
    order = minimum_degree_order(n, [r for r, _ in pattern], [c for _, c in pattern])
    place = np.empty(n, dtype=np.int64)
    place[order] = np.arange(n)
    row_sets = _fill_in(n, [(int(place[r]), int(place[c])) for r, c in pattern])
    l_ptr, l_col, u_ptr, u_col = [0], [], [0], []
    for i in range(n):
        l_col += sorted(j for j in row_sets[i] if j < i)
        u_col += sorted(j for j in row_sets[i] if j > i)
        l_ptr.append(len(l_col))
        u_ptr.append(len(u_col))
    where = {(i, i): i for i in range(n)}
    for i in range(n):
        where |= {(i, l_col[p]): n + p for p in range(l_ptr[i], l_ptr[i + 1])}
        where |= {(i, u_col[p]): n + len(l_col) + p for p in range(u_ptr[i], u_ptr[i + 1])}
    op_ptr, source, target = [0], [], []
    for i in range(n):
        for p in range(l_ptr[i], l_ptr[i + 1]):
            k = l_col[p]
            for q in range(u_ptr[k], u_ptr[k + 1]):
                source.append(n + len(l_col) + q)
                target.append(where[i, u_col[q]])
            op_ptr.append(len(source))
    position = {(order[i], order[j]): entry for (i, j), entry in where.items()}
    ints = lambda values: np.array(values, dtype=np.int64)
    return EliminationPlan(
        n,
        ints(order),
        place,
        ints(l_ptr),
        ints(l_col),
        ints(u_ptr),
        ints(u_col),
        ints(op_ptr),
        ints(source),
        ints(target),
        position,
    )


def _fill_in(n: int, pattern: list[tuple[int, int]]) -> list[set[int]]:
    """Columns of every row after elimination, by symbolic factorisation: row i receives
    the upper part of every earlier row that it touches.
    """
    row_sets: list[set[int]] = [set() for _ in range(n)]
    for r, c in pattern:
        row_sets[r].add(c)
    for i in range(n):
        todo = sorted(k for k in row_sets[i] if k < i)
        done = set()
        while todo:
            k = todo.pop(0)
            if k in done:
                continue
            done.add(k)
            new = {j for j in row_sets[k] if j > k} - row_sets[i]
            row_sets[i] |= new
            todo = sorted(set(todo) | {j for j in new if j < i})
    return row_sets
