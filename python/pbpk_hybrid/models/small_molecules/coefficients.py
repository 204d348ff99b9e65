"""Parameters of the whole-body model -> coefficients of its equations, one function per process.

The symbols are those of :mod:`.whole_body`. Everything here is plain arithmetic on arrays of
shape (n_subjects,) or (1,), so that complex numbers pass through: derivatives by named parameters
are complex steps (:mod:`pbpk_hybrid.models.system.derivatives`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ..system.graph import ARTERIAL, LIVER, VENOUS, OrganGraph
from ..system.system import Coefficients
from .permeability import Barriers
from .structure import (
    FAECES,
    GALLBLADDER,
    GUT_WALL,
    LUMEN,
    METABOLISED,
    METABOLISED_GUT,
    RENAL,
    WholeBodyStructure,
)
from .transport import Carrier

if TYPE_CHECKING:
    from ..._core.numeric import FloatOrArray

Parameters = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Transfers:
    """First-order transfers between states: the entries of K, in the order in which they came."""

    number: Mapping[str, int]
    entries: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)

    def add(self, source: str, target: str, rate: FloatOrArray) -> None:
        """Drug leaves `source` for `target` at `rate` [1/h] times the amount in `source`."""
        i, j = self.number[target], self.number[source]
        self.entries[i, j] = self.entries.get((i, j), 0.0) + rate
        self.entries[j, j] = self.entries.get((j, j), 0.0) - rate

    @property
    def pattern(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the entries, each (n_entries,)."""
        rows, columns = zip(*self.entries, strict=True)
        return np.array(rows), np.array(columns)

    @property
    def values(self) -> np.ndarray:
        """(n_subjects or 1, n_entries) [1/h]"""
        return _columns(*(np.atleast_1d(value) for value in self.entries.values()))


@dataclass(frozen=True)
class Concentrations:
    """Concentrations per amount [1/L], each (n_subjects,) or (1,).

    Parameters
    ----------
    plasma : dict of str to ndarray
        State -> plasma concentration in equilibrium with it, per amount in the state.
    leaving : dict of str to ndarray
        Organ -> blood concentration that leaves it, per amount in its state of entry.
    """

    plasma: dict[str, np.ndarray]
    leaving: dict[str, np.ndarray]


def concentrations(structure: WholeBodyStructure, p: Parameters) -> Concentrations:
    """Concentrations per amount: 1/(V Kp) in tissue, BP times that in the blood that leaves it."""
    bp = p["blood_to_plasma_ratio"]
    plasma, leaving = {}, {}
    for organ in structure.graph.organs:
        volume = p[f"volume.{organ}"]
        if organ in structure.graph.blood_pools:
            leaving[organ], plasma[organ] = 1.0 / volume, 1.0 / (volume * bp)
        elif organ in structure.barriers:
            for state, capacity in structure.barriers[organ].capacities(p).items():
                plasma[state] = 1.0 / capacity
            leaving[organ] = bp * plasma[structure.entry[organ]]
        else:
            plasma[organ] = 1.0 / (volume * p[f"kp.{organ}"])
            leaving[organ] = bp * plasma[organ]
    return Concentrations(plasma, leaving)


@dataclass(frozen=True, eq=False)
class WholeBodyCoefficients:
    """Assembles the coefficients of a structure from its parameters: ``assemble`` of a System.

    Parameters
    ----------
    structure : WholeBodyStructure
        States and where each process finds them.
    """

    structure: WholeBodyStructure

    @property
    def graph(self) -> OrganGraph:
        """Organs and blood flows."""
        return self.structure.graph

    @property
    def barriers(self) -> Mapping[str, Barriers]:
        """Permeability-limited organs."""
        return self.structure.barriers

    @property
    def carriers(self) -> tuple[Carrier, ...]:
        """Active transport."""
        return self.structure.carriers

    @property
    def inside(self) -> dict[str, str]:
        """Organ -> state in which drug is eliminated."""
        return self.structure.inside

    def unbound(self, p: Parameters, organ: str) -> np.ndarray:
        """Unbound concentration at an organ's enzymes, per amount there [1/L].

        Enterocytes of the gut wall bind nothing.
        """
        if organ == GUT_WALL:
            return 1.0 / p["volume.gut_wall"]
        return self.unbound_in(p, self.inside[organ])

    def unbound_in(self, p: Parameters, state: str) -> np.ndarray:
        """Unbound concentration in a state of an organ, per amount there [1/L]."""
        return p["fraction_unbound_plasma"] * concentrations(self.structure, p).plasma[state]

    def __call__(self, p: Parameters) -> Coefficients:
        """Coefficients at `p`: name -> (n_subjects,) or (1,)."""
        c = concentrations(self.structure, p)
        return self.coefficients(p, c, self.transfers(p, c))

    def transfers(self, p: Parameters, c: Concentrations) -> Transfers:
        """All first-order transfers, process by process."""
        transfers = Transfers(self.structure.number)
        # The order sets the order of K's entries: results are bit for bit the same only in it.
        for process in (
            _blood_flow,
            _exchange_across_barriers,
            _hepatic_metabolism,
            _biliary_excretion,
            _active_transport,
            _oral_transit,
            _gut_wall_passage,
            _absorption,
        ):
            process(self.structure, p, c, transfers)
        return transfers

    def coefficients(self, p: Parameters, c: Concentrations, transfers: Transfers) -> Coefficients:
        """The same from concentrations and transfers that are known already."""
        return Coefficients(
            transfers.values,
            tuple(_saturation(self.structure, p, c)),
            _observable_factors(self.structure, p, c),
        )


def _blood_flow(s: WholeBodyStructure, p: Parameters, c: Concentrations, to: Transfers) -> None:
    """Q C of every blood flow; the kidney filters plasma water from the arterial blood it gets."""
    flows = {organ: p[f"flow.{organ}"] for organ in s.graph.perfused}
    for edge, flow in enumerate(s.graph.edge_flows(flows)):
        source = s.graph.organs[s.graph.source[edge]]
        target = s.graph.organs[s.graph.target[edge]]
        if source == ARTERIAL and target == "kidney":
            filtered = p["clearance_renal"] / p["blood_to_plasma_ratio"]
            to.add(source, s.entry[target], (flow - filtered) * c.leaving[source])
            to.add(source, RENAL, filtered * c.leaving[source])
        else:
            to.add(s.entry[source], s.entry[target], flow * c.leaving[source])


def _exchange_across_barriers(
    s: WholeBodyStructure, p: Parameters, c: Concentrations, to: Transfers
) -> None:
    """PS C_u in both directions across every barrier."""
    fu = p["fraction_unbound_plasma"]
    for barrier in s.barriers.values():
        for one, other, ps in barrier.exchanges(p):
            to.add(one, other, ps * fu * c.plasma[one])
            to.add(other, one, ps * fu * c.plasma[other])


def _hepatic_metabolism(
    s: WholeBodyStructure, p: Parameters, c: Concentrations, to: Transfers
) -> None:
    """CLint C_u in the liver; with a gut wall only what no named enzyme does."""
    liver = s.inside[LIVER]
    share = 1.0 - p["share.liver"] if s.gut_wall else 1.0
    rate = p["clint.liver"] * share * p["fraction_unbound_plasma"] * c.plasma[liver]
    to.add(liver, METABOLISED, rate)


def _biliary_excretion(
    s: WholeBodyStructure, p: Parameters, c: Concentrations, to: Transfers
) -> None:
    """CL_bile C_u from the liver, and the gallbladder's emptying into the gut lumen."""
    liver = s.inside[LIVER]
    if "clint.biliary" in p:
        rate = p["clint.biliary"] * p["fraction_unbound_plasma"] * c.plasma[liver]
        to.add(liver, s.bile_target, rate)
    if s.gallbladder:
        to.add(GALLBLADDER, LUMEN, p["gallbladder_emptying_rate"])


def _active_transport(
    s: WholeBodyStructure, p: Parameters, c: Concentrations, to: Transfers
) -> None:
    """CL_int,T C_u of every transporter that does not saturate."""
    fu = p["fraction_unbound_plasma"]
    for carrier in s.linear_carriers:
        rate = p[f"transport[{carrier.label}]"] * fu * c.plasma[carrier.source]
        to.add(carrier.source, carrier.target, rate)


def _oral_transit(s: WholeBodyStructure, p: Parameters, c: Concentrations, to: Transfers) -> None:
    """First-order transit from the depot to the gut lumen."""
    for before, after in pairwise(s.oral_chain):
        to.add(before, after, p["transit_rate"])


def _gut_wall_passage(
    s: WholeBodyStructure, p: Parameters, c: Concentrations, to: Transfers
) -> None:
    """Blood takes drug from the gut wall; what no named enzyme metabolises there goes to a sink."""
    if not s.gut_wall:
        return
    fg = p["fraction_gut"]
    rate = p["flow.gut_wall"] / p["volume.gut_wall"]
    to.add(GUT_WALL, s.absorbing_tissue, rate)
    to.add(GUT_WALL, METABOLISED_GUT, rate * (1.0 - fg) / fg * (1.0 - p["share.gut"]))


def _absorption(s: WholeBodyStructure, p: Parameters, c: Concentrations, to: Transfers) -> None:
    """Absorption from the gut lumen: first order with Fa and Fg, or by the model of the gut."""
    ka, fa, fg = p["absorption_rate"], p["fraction_absorbed"], p["fraction_gut"]

    def absorb(source: str, rate) -> None:
        """Drug leaves a lumen for the gut wall, which metabolises its share."""
        if s.gut_wall:
            to.add(source, GUT_WALL, rate)
        else:
            to.add(source, s.absorbing_tissue, rate * fg)
            to.add(source, METABOLISED_GUT, rate * (1.0 - fg))

    if s.absorption is not None:
        s.absorption.build(p, to.add, absorb, FAECES, LUMEN)
    else:
        absorb(LUMEN, ka * fa)
        to.add(LUMEN, FAECES, ka * (1.0 - fa))


def _saturation(s: WholeBodyStructure, p: Parameters, c: Concentrations) -> list[np.ndarray]:
    """Parameters of every reaction, (n_subjects or 1, n_parameters): pathways, carriers, gut.

    Km is an unbound concentration; the amount that gives it is Km/(fu x plasma per amount).
    """
    fu = p["fraction_unbound_plasma"]
    reactions = []
    for name, organ in s.pathways:
        km_amount = p[f"km[{name}]"] / (fu * c.plasma[s.inside[organ]])
        reactions.append(_columns(p[f"vmax[{name}]"], km_amount))
    for carrier in s.saturable_carriers:
        km_amount = p[f"km[{carrier.label}]"] / (fu * c.plasma[carrier.source])
        reactions.append(_columns(p[f"jmax[{carrier.label}]"], km_amount))
    if s.absorption is not None:
        reactions += s.absorption.reaction_parameters(p)
    return reactions


def _observable_factors(
    s: WholeBodyStructure, p: Parameters, c: Concentrations
) -> dict[str, np.ndarray]:
    """Concentration per amount [1/L]: of whole organs, their parts, venous plasma and blood."""
    factor = {organ: 1.0 / p[f"volume.{organ}"] for organ in s.graph.organs}
    for barrier in s.barriers.values():
        factor |= barrier.part_factors(p)
    factor |= {"plasma": c.plasma[VENOUS], "blood": c.leaving[VENOUS]}
    return {name: np.atleast_1d(value) for name, value in factor.items()}


def _columns(*values: np.ndarray) -> np.ndarray:
    """Arrays of shape (n_subjects,) or (1,) as columns: (n_subjects or 1, n_values)."""
    return np.stack(np.broadcast_arrays(*values), axis=1)


__all__ = ["Concentrations", "Transfers", "WholeBodyCoefficients", "concentrations"]
