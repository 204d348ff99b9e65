"""`OrganGraph`: the body as organs joined by blood flow.

Nothing else knows which organ drains into which.

The ODE's flow terms, the sparsity of its Jacobian, the elimination order of the linear
solves and the message passing of graph networks are all read off this one object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from ..._core.errors import FlowBalanceError, InputError, unknown_name
from ...physiology.organs import PORTAL_ORGANS

ARTERIAL, VENOUS, LUNG, LIVER = "arterial_blood", "venous_blood", "lung", "liver"


@dataclass(frozen=True, eq=False)
class OrganGraph:
    """Organs and the blood flows between them.

    The flow of an edge is a sum of *arterial flows of organs*, so that inflow equals
    outflow at every organ whatever the numbers: `edge_weights[e, o]` counts how often
    organ o's arterial flow runs through edge e.

    Parameters
    ----------
    organs : names, in order
    source, target : (n_edges,) organ numbers
    edge_weights : (n_edges, n_organs)
    blood_pools : names of organs that are blood (their outflow concentration is their own)

    Raises
    ------
    FlowBalanceError : inflow and outflow of an organ are not the same sum of flows
    """

    organs: tuple[str, ...]
    source: np.ndarray
    target: np.ndarray
    edge_weights: np.ndarray
    blood_pools: tuple[str, ...] = (ARTERIAL, VENOUS)

    def __post_init__(self) -> None:
        if len(set(self.organs)) != len(self.organs):
            raise InputError("organs", self.organs, "names that differ")
        gain = np.zeros((len(self.organs), len(self.organs)))
        np.add.at(gain, self.target, self.edge_weights)
        np.add.at(gain, self.source, -self.edge_weights)
        if np.abs(gain).max(initial=0.0) > 1e-12:
            organ = self.organs[int(np.abs(gain).max(axis=1).argmax())]
            raise FlowBalanceError(f"flows of {organ}", None, "the same blood flow in as out")

    @property
    def n_organs(self) -> int:
        """Number of organs."""
        return len(self.organs)

    @property
    def edge_index(self) -> np.ndarray:
        """(2, n_edges) source and target numbers, as graph-network libraries expect them."""
        return np.stack([self.source, self.target])

    def number(self, organ: str) -> int:
        """Position of an organ in `organs`.

        Raises
        ------
        UnknownNameError
            No organ of this name.
        """
        if organ not in self.organs:
            raise unknown_name("organ", organ, self.organs, what="an organ of the graph")
        return self.organs.index(organ)

    def edge_flows(self, arterial_flow: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Flow of every edge [L/h] from the arterial flows of the organs; works on
        complex numbers.
        """
        flows = []
        for terms in self._edge_terms:
            total = 0.0
            for organ, weight in terms:
                total = total + weight * arterial_flow[organ]
            flows.append(total)
        return flows

    @cached_property
    def _edge_terms(self) -> list[list[tuple[str, np.float64]]]:
        """Organs, with their weights, whose arterial flows make up the flow of each edge."""
        return [
            [(self.organs[o], weights[o]) for o in np.flatnonzero(weights)]
            for weights in self.edge_weights
        ]

    @cached_property
    def perfused(self) -> tuple[str, ...]:
        """Organs with an arterial flow of their own (all but the blood pools and the lung)."""
        used = np.flatnonzero(self.edge_weights.any(axis=0))
        return tuple(self.organs[o] for o in used)

    def inflow(self, organ: str, arterial_flow: Mapping[str, np.ndarray]) -> np.ndarray:
        """Total blood flow into an organ [L/h]: for the liver, hepatic artery plus portal vein."""
        number, total = self.number(organ), 0.0
        for e, flow in enumerate(self.edge_flows(arterial_flow)):
            if self.target[e] == number:
                total = total + flow
        return total


@lru_cache(maxsize=32)
def whole_body_graph(organs: Sequence[str], portal: Sequence[str] = PORTAL_ORGANS) -> OrganGraph:
    """The mammalian circulation for the given organs.

    Venous blood -> lung -> arterial blood -> every organ -> venous blood; portal organs
    drain into the liver.

    Parameters
    ----------
    organs : must hold arterial_blood, venous_blood, lung and liver
    portal : those of them that drain into the liver

    Raises
    ------
    InputError : one of the four is missing
    """
    organs = tuple(organs)
    for needed in (ARTERIAL, VENOUS, LUNG, LIVER):
        if needed not in organs:
            raise InputError("organs", organs, f"a list that contains {needed!r}")
    number = {o: i for i, o in enumerate(organs)}
    perfused = [o for o in organs if o not in (ARTERIAL, VENOUS, LUNG)]
    edges: list[tuple[str, str, list[str]]] = [(VENOUS, LUNG, perfused), (LUNG, ARTERIAL, perfused)]
    portal_here = [o for o in organs if o in portal]
    for organ in perfused:
        edges.append((ARTERIAL, organ, [organ]))
        if organ in portal_here:
            edges.append((organ, LIVER, [organ]))
        elif organ == LIVER:
            edges.append((LIVER, VENOUS, [LIVER, *portal_here]))
        else:
            edges.append((organ, VENOUS, [organ]))
    weights = np.zeros((len(edges), len(organs)))
    for e, (_, _, through) in enumerate(edges):
        for organ in through:
            weights[e, number[organ]] += 1.0
    return OrganGraph(
        organs,
        np.array([number[a] for a, _, _ in edges]),
        np.array([number[b] for _, b, _ in edges]),
        weights,
    )
