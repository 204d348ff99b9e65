"""States of the whole-body model of a small molecule, and where each process finds them.

A structure holds no numbers: it says which states there are and in which order. The numbers are
in :mod:`.disposition`, the equations in :mod:`.coefficients`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ..._core.errors import InputError
from ..system.graph import VENOUS, OrganGraph
from .absorption import GutAbsorption
from .permeability import Barriers
from .transport import Carrier

DEPOT, LUMEN, GALLBLADDER, GUT_WALL = "oral_depot", "gut_lumen", "gallbladder", "gut_wall"
METABOLISED, METABOLISED_GUT = "metabolised", "metabolised_gut"
RENAL, FAECES = "excreted_renal", "faeces"
SINKS = (METABOLISED, METABOLISED_GUT, RENAL, FAECES)

#: state that receives the dose of each intravenous route
ROUTE_STATES = {"iv_bolus": VENOUS, "iv_infusion": VENOUS, "iv": VENOUS}


@dataclass(frozen=True, eq=False)
class WholeBodyStructure:
    """States of the model of one compound.

    Parameters
    ----------
    graph : OrganGraph
        Organs and the blood flows between them.
    pathways : tuple of (str, str)
        Name and organ of every saturable pathway.
    transit_compartments : int
        Compartments between the oral depot and the gut lumen; 0: the dose enters the lumen.
    barriers : mapping of str to Barriers
        Permeability-limited organs.
    carriers : tuple of Carrier
        Active transport between states.
    absorption : GutAbsorption or None
        Model of dissolution and transit; None: first-order absorption.
    gallbladder : bool
        Bile is stored before it reaches the gut lumen.
    gut_wall : bool
        The gut wall is a state, and named enzymes and transporters are left to
        :mod:`.interactions`.

    Raises
    ------
    InputError
        A saturable pathway in an organ without tissue.
    """

    graph: OrganGraph
    pathways: tuple[tuple[str, str], ...] = ()
    transit_compartments: int = 0
    barriers: Mapping[str, Barriers] = field(default_factory=dict)
    carriers: tuple[Carrier, ...] = ()
    absorption: GutAbsorption | None = None
    gallbladder: bool = False
    gut_wall: bool = False

    def __post_init__(self) -> None:
        for name, organ in self.pathways:
            self.graph.number(organ)  # raises for an organ that the graph lacks
            if organ in self.graph.blood_pools:
                raise InputError(f"saturable[{name}].organ", organ, "an organ with tissue")

    @cached_property
    def states(self) -> tuple[str, ...]:
        """Names of the states, in order."""
        gut_segments = self.absorption.states if self.absorption else ()
        wall = (GUT_WALL,) if self.gut_wall else ()
        bile = (GALLBLADDER,) if self.gallbladder else ()
        organs = tuple(state for organ in self.graph.organs for state in self.parts(organ))
        return (*gut_segments, *self.oral_chain, *wall, *bile, *organs, *SINKS)

    @cached_property
    def number(self) -> dict[str, int]:
        """State -> its position."""
        return {state: i for i, state in enumerate(self.states)}

    @property
    def oral_chain(self) -> tuple[str, ...]:
        """From the oral depot through the transit compartments to the gut lumen."""
        transit = tuple(f"transit_{i + 1}" for i in range(self.transit_compartments))
        return (DEPOT, *transit, LUMEN) if transit else (LUMEN,)

    @property
    def oral_target(self) -> str:
        """State that receives an oral dose."""
        return self.absorption.target if self.absorption else self.oral_chain[0]

    @property
    def bile_target(self) -> str:
        """State that receives bile."""
        return GALLBLADDER if self.gallbladder else LUMEN

    @property
    def absorbing_tissue(self) -> str:
        """State that receives what is absorbed: the gut, or its interstitium behind barriers."""
        return self.barriers["gut"].interstitium if "gut" in self.barriers else "gut"

    @property
    def saturable_carriers(self) -> tuple[Carrier, ...]:
        """Carriers with a Jmax; none where transport is left to :mod:`.interactions`."""
        return () if self.gut_wall else tuple(c for c in self.carriers if c.saturable)

    @property
    def linear_carriers(self) -> tuple[Carrier, ...]:
        """Carriers with a constant intrinsic clearance, as above."""
        return () if self.gut_wall else tuple(c for c in self.carriers if not c.saturable)

    def parts(self, organ: str) -> tuple[str, ...]:
        """States of an organ: one, or one for each side of its barriers."""
        return self.barriers[organ].states if organ in self.barriers else (organ,)

    @cached_property
    def entry(self) -> dict[str, str]:
        """Organ -> state through which its blood flows."""
        return {o: b.entry if (b := self.barriers.get(o)) else o for o in self.graph.organs}

    @cached_property
    def inside(self) -> dict[str, str]:
        """Organ -> state in which drug is eliminated."""
        return {o: b.inside if (b := self.barriers.get(o)) else o for o in self.graph.organs}


__all__ = ["SINKS", "WholeBodyStructure"]
