"""From a linear System to the packs of :mod:`.propagators`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...models.system.system import System
from .lanes import LANES, aligned_lanes
from .pack import to_lanes
from .propagators import Flow

#: more states are solved one subject at a time: a ladder of matrices would fill the memory
MOST_STATES = 128
#: longer ladders, of rates 2^60 times what the length of a step asks for, are not built
MOST_LEVELS = 60

Terms = Sequence[Sequence[tuple[int, float]]]


@dataclass(frozen=True, eq=False)
class LinearFlow:
    """K of all subjects, with states for infusion rates and for integrals beside its own.

    Parameters
    ----------
    system : System
        Its states; reactions are left out.
    row, column, value : ndarray
        Entries of K, each position at most once; value (n_subjects or 1, n_entries).
    infused : sequence of int
        States that infusions go into.
    sums, areas : sequences of ((state, weight), ...)
        What is saved, and what is integrated over time.
    """

    system: System
    row: np.ndarray
    column: np.ndarray
    value: np.ndarray
    infused: Sequence[int] = ()
    sums: Terms = ()
    areas: Terms = ()

    @cached_property
    def entries(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows, columns and values of the whole matrix.

        States: those of the system, a rate for each infused one, an integral A and its own
        integral B for each area.
        """
        n, n_rates, n_areas = self.system.n_states, len(self.infused), len(self.areas)
        rows, columns, values = list(self.row), list(self.column), []
        rows += list(self.infused)
        columns += range(n, n + n_rates)
        values += [1.0] * n_rates
        for o, terms in enumerate(self.areas):
            weights: dict[int, float] = {}
            for state, weight in terms:
                weights[state] = weights.get(state, 0.0) + weight
            area = n + n_rates + o
            rows += [area] * len(weights) + [area + n_areas]
            columns += [*weights, area]
            values += [*weights.values(), 1.0]
        more = np.broadcast_to(np.array(values), (len(self.value), len(values)))
        return np.array(rows), np.array(columns), np.concatenate([self.value, more], axis=1)

    @property
    def n(self) -> int:
        """Number of states."""
        return self.system.n_states + len(self.infused) + 2 * len(self.areas)

    @cached_property
    def order(self) -> np.ndarray:
        """States in the kernel's order: those of the system that something leaves, rates,
        integrals, and what nothing leaves.
        """
        _, columns, values = self.entries
        leaves = np.zeros(self.n, dtype=bool)
        leaves[columns[(values != 0).any(axis=0)]] = True
        return np.r_[np.flatnonzero(leaves), np.flatnonzero(~leaves)]

    @cached_property
    def place(self) -> np.ndarray:
        """Place of each state in `order`."""
        return np.argsort(self.order)

    @property
    def n_kept(self) -> int:
        """States of the system that something leaves; they are the first."""
        _, columns, values = self.entries
        used = np.unique(columns[(values != 0).any(axis=0)])
        return int((used < self.system.n_states).sum())

    @cached_property
    def packed(self) -> tuple[Flow, np.ndarray, np.ndarray]:
        """The structure, the weights of the saved sums, and K's values (packs, entries, LANES)."""
        rows, columns, values = self.entries
        kept = (values != 0).any(axis=0)
        rows, columns, values = self.place[rows[kept]], self.place[columns[kept]], values[:, kept]
        by_row = np.argsort(rows, kind="stable")
        n, n_rates, n_areas = self.system.n_states, len(self.infused), len(self.areas)
        ints = lambda a: np.ascontiguousarray(a, dtype=np.int64)
        flow = Flow(
            self.n,
            len(np.unique(columns)),
            ints(np.searchsorted(rows[by_row], np.arange(self.n + 1))),
            ints(columns[by_row]),
            ints(np.cumsum([0, *map(len, self.sums)])),
            ints([self.place[s] for terms in self.sums for s, _ in terms]),
            ints(self.place[n + n_rates : n + n_rates + n_areas]),
            ints(self.place[n + n_rates + n_areas :]),
            ints(self.place[:n]),
            ints(self.place[: n + n_rates]),
        )
        weight = np.array([w for terms in self.sums for _, w in terms], dtype=float)
        values = np.ascontiguousarray(values[:, by_row])
        return flow, weight, to_lanes(values, self.system.n_subjects)

    def ladders(self, unit: float, longest: float) -> tuple[np.ndarray, np.ndarray]:
        """Shortest time and length of the ladder of each pack, (packs,).

        Parameters
        ----------
        unit : float, h
            Usual length of a step: it is one rung.
        longest : float, h
            No step is longer.
        """
        _, columns, values = self.entries
        norm = np.zeros((len(values), self.n))
        for e, column in enumerate(columns):
            norm[:, column] += np.abs(values[:, e])
        fastest = norm.max(axis=1)
        n = self.system.n_subjects
        of_packs = np.maximum.reduceat(np.broadcast_to(fastest, (n,)), np.arange(0, n, LANES))
        halvings = np.maximum(np.ceil(np.log2(np.maximum(of_packs * unit, 1e-300))), 0.0)
        delta = unit / 2.0**halvings
        levels = np.floor(np.log2(longest / delta * (1 + 1e-9))) + 1
        return delta, np.maximum(levels, 1).astype(np.int64)

    def scratch(self, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A ladder of matrices and a spare one, for one thread."""
        flow, _, _ = self.packed
        size = flow.n * max(flow.c, 1)
        return aligned_lanes(int(levels.max(initial=1)) * size), aligned_lanes(
            max(size, 2 * flow.n)
        )


def metzler(row: np.ndarray, column: np.ndarray, value: np.ndarray) -> bool:
    """Whether no entry beside the diagonal is negative: amounts stay amounts."""
    return bool((value[:, row != column] >= 0).all())


__all__ = ["MOST_LEVELS", "MOST_STATES", "LinearFlow", "metzler"]
