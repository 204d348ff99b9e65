"""Permeability-limited tissues: an organ as blood, interstitium and cells with barriers
between them.

Unbound drug crosses a barrier by its concentration difference. With A the amount in a
part, and c its *capacity* [L] (the amount it holds at equilibrium per plasma
concentration), the unbound concentration there is fu A/c, and

.. math::
    J_{a \\to b} = PS\\,f_u \\left(\\frac{A_a}{c_a} - \\frac{A_b}{c_b}\\right)

Parts of an organ with volume V, vascular fraction f_v and interstitial fraction f_i:

.. math::
    c_{blood} = V f_v BP, \\quad c_{int} = V f_i K_{int}, \\quad
    c_{cells} = V Kp - c_{blood} - c_{int},
    \\quad K_{int} = f_u \\left(F_w + 0.37 (1/f_u - F_w)\\right)

so that the organ as a whole reaches its tissue:plasma partition coefficient Kp, and an
infinite PS gives the flow-limited organ. Blood cells are in equilibrium with their plasma
(BP). Blood leaves the organ at :math:`A_{blood} BP/c_{blood}`.

- PS of the cell membranes alone: blood and interstitium are one well-stirred space
  (``<organ>.extracellular``) beside ``<organ>.cells``
- PS of the capillary wall too: ``<organ>.blood``, ``<organ>.interstitium``, ``<organ>.cells``

Metabolism and biliary excretion happen in the cells. Drug absorbed from the gut lumen
enters the interstitium of the gut wall: what enterocytes hold back is in the fractions
absorbed and metabolised. There is no lymph flow.

Sources
-------
Equations: Thompson & Beard (2011) J Pharmacokinet Pharmacodyn 38:405; structure as in
Willmann et al. (2003) Biosilico 1:121. Interstitial protein is 37 % of plasma's: Schmitt
(2008) Toxicol In Vitro 22:457. Vascular fractions: rat, Kawai et al. (1994) J
Pharmacokinet Biopharm 22:327, for every species (none is openly published by organ for
the others on the same footing); cells and interstitium share the rest as in Schmitt's
table (human; rat: Ruark et al. 2014).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from ..._core.errors import InputError, unknown_name
from ..._core.units import quantity
from ...compounds import Compound
from ...physiology import tissue_composition
from ..system.graph import OrganGraph

#: interstitial over plasma protein, Schmitt (2008)
INTERSTITIAL_PROTEIN = 0.37


@dataclass(frozen=True)
class Barriers:
    """The barriers of one organ: PS per kg of tissue [L/h/kg]; no value for the capillary
    wall: it is no barrier.
    """

    organ: str
    cells: float
    capillary: float | None = None

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the organ's states, from the blood to the cells."""
        outside = ("extracellular",) if self.capillary is None else ("blood", "interstitium")
        return tuple(f"{self.organ}.{part}" for part in (*outside, "cells"))

    @property
    def entry(self) -> str:
        """Where blood flows through."""
        return self.states[0]

    @property
    def interstitium(self) -> str:
        """What the cells are in: the state beside theirs."""
        return self.states[-2]

    @property
    def inside(self) -> str:
        """The cells, where drug is eliminated."""
        return self.states[-1]

    def capacities(self, p: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """State -> amount at equilibrium per plasma concentration [L]; plain arithmetic."""
        volume, bp, fu, water = (
            p[k]
            for k in (
                f"volume.{self.organ}",
                "blood_to_plasma_ratio",
                "fraction_unbound_plasma",
                "plasma_water",
            )
        )
        blood = volume * p[f"fraction_vascular.{self.organ}"] * bp
        protein = INTERSTITIAL_PROTEIN
        interstitium = (
            volume
            * p[f"fraction_interstitium.{self.organ}"]
            * (fu * water * (1.0 - protein) + protein)
        )
        cells = volume * p[f"kp.{self.organ}"] - blood - interstitium
        outside = (blood + interstitium,) if self.capillary is None else (blood, interstitium)
        return dict(zip(self.states, (*outside, cells), strict=True))

    def part_factors(self, p: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """State -> 1/volume [1/L], for its concentration; plain arithmetic."""
        volume = p[f"volume.{self.organ}"]
        blood, interstitium = (
            p[f"fraction_vascular.{self.organ}"],
            p[f"fraction_interstitium.{self.organ}"],
        )
        outside = (blood + interstitium,) if self.capillary is None else (blood, interstitium)
        shares = (*outside, 1.0 - blood - interstitium)
        return {
            state: 1.0 / (volume * share) for state, share in zip(self.states, shares, strict=True)
        }

    def exchanges(self, p: Mapping[str, np.ndarray]) -> list[tuple[str, str, np.ndarray]]:
        """(one side, other side, PS [L/h]) of each barrier."""
        out = [(self.interstitium, self.inside, p[f"ps_cells.{self.organ}"])]
        if self.capillary is not None:
            out.append((self.entry, self.interstitium, p[f"ps_capillary.{self.organ}"]))
        return out

    def total(self, p: Mapping[str, np.ndarray]) -> np.ndarray:
        """PS of all barriers in series [L/h]."""
        return 1.0 / sum(1.0 / ps for _, _, ps in self.exchanges(p))


def choose_barriers(
    compound: Compound,
    graph: OrganGraph,
    asked: Mapping[str, float | tuple[float, float]] | float | str | None,
) -> dict[str, Barriers]:
    """Which organs are permeability-limited, and how much.

    Parameters
    ----------
    compound : with the values of its species put in
    asked : None: the organs of the compound's ``permeability_surface_area``; ``"all"``:
        every tissue, with the compound's values; a number: every tissue with this PS of
        the cell membranes; a mapping organ -> PS of the cell membranes, or (cell
        membranes, capillary wall) [L/h per kg of tissue]; an empty mapping: none

    Raises
    ------
    InputError, UnknownNameError : a PS that is not > 0, an organ that is no tissue, a
        tissue without a value under ``"all"``
    """
    tissues = [o for o in graph.organs if o not in graph.blood_pools]
    out = {}
    for organ, given in _permeabilities(compound, tissues, asked).items():
        graph.number(organ)  # a typed error for an organ that is not there
        if organ in graph.blood_pools:
            raise InputError(
                f"permeability_limited.{organ}",
                given,
                f"a tissue: {tissues}",
                subject=compound.name,
            )
        out[organ] = _barriers(organ, given, compound.name)
    return {o: out[o] for o in tissues if o in out}


def _permeabilities(
    compound: Compound,
    tissues: Sequence[str],
    asked: Mapping[str, float | tuple[float, float]] | float | str | None,
) -> dict[str, tuple]:
    """Organ -> (PS of the cell membranes, of the capillary wall or None), as given."""
    own, walls = compound.permeability_surface_area, compound.capillary_permeability_surface_area
    if isinstance(asked, str):
        if asked != "all":
            raise unknown_name("permeability_limited", asked, ("all",))
        missing = [o for o in tissues if o not in own]
        if missing:
            raise InputError(
                "permeability_surface_area",
                sorted(own),
                f"a value for every tissue; none for {missing}",
                subject=compound.name,
                hint="give permeability_limited={organ: PS} for some organs only",
            )
        asked = None
    if asked is None:
        return {o: (ps, walls.get(o)) for o, ps in own.items()}
    if isinstance(asked, Mapping):
        return {
            o: tuple(v) if isinstance(v, (tuple, list)) else (v, walls.get(o))
            for o, v in asked.items()
        }
    return {o: (asked, walls.get(o)) for o in tissues}


def _barriers(organ: str, given: tuple, compound: str) -> Barriers:
    """The barriers of an organ from two PS, checked and in L/h/kg."""
    if len(given) != 2:
        raise InputError(
            f"permeability_limited.{organ}",
            given,
            "one PS, or two: cell membranes, capillary wall",
            subject=compound,
        )
    for which, ps in zip(("cell membranes", "capillary wall"), given, strict=True):
        if ps is None and which == "capillary wall":
            continue
        what = f"permeability_limited.{organ} ({which})"
        quantity(ps, "L/h/kg", what, positive=True, subject=compound)
    cells, wall = (None if v is None else quantity(v, "L/h/kg", "PS") for v in given)
    return Barriers(organ, cells, wall)


def barrier_parameters(
    barriers: Mapping[str, Barriers], species: str, physiology: xr.Dataset
) -> dict[str, np.ndarray]:
    """PS [L/h], fractions of blood and interstitium of every permeability-limited organ,
    and the water of plasma.
    """
    if not barriers:
        return {}
    vascular = tissue_composition(species, "rodgers_rowland")["fraction_vascular"]
    parts = tissue_composition(species, "schmitt")
    p = {"plasma_water": np.array([float(parts["fraction_water_cells"].sel(organ="plasma"))])}
    for organ, barrier in barriers.items():
        of = {
            k: float(parts[k].sel(organ=organ)) for k in ("fraction_cells", "fraction_interstitium")
        }
        blood = float(vascular.sel(organ=organ))
        mass = (physiology["volume"] * physiology["density"]).sel(organ=organ).values.astype(float)
        p[f"fraction_vascular.{organ}"] = np.array([blood])
        p[f"fraction_interstitium.{organ}"] = np.array(
            [(1.0 - blood) * of["fraction_interstitium"] / sum(of.values())]
        )
        p[f"ps_cells.{organ}"] = barrier.cells * mass
        if barrier.capillary is not None:
            p[f"ps_capillary.{organ}"] = barrier.capillary * mass
    return p


def check_barriers(
    barriers: Mapping[str, Barriers],
    p: Mapping[str, np.ndarray],
    compound: str,
    subjects: np.ndarray,
) -> None:
    """Every part of every organ holds drug.

    Raises
    ------
    InputError : Kp of an organ is below what its blood and interstitium alone hold
    """
    for organ, barrier in barriers.items():
        capacities = barrier.capacities(p)
        cells = np.atleast_1d(capacities[barrier.inside])
        if np.all(cells > 0):
            continue
        s = int(np.flatnonzero(~(cells > 0))[0])
        outside = sum(np.atleast_1d(c) for k, c in capacities.items() if k != barrier.inside)
        least = float((outside / p[f"volume.{organ}"])[s])
        raise InputError(
            f"kp.{organ}",
            float(p[f"kp.{organ}"][0]),
            f"more than {least:.3g}, which its blood and interstitium alone hold",
            subject=compound if len(cells) == 1 else f"{compound}, subject {subjects[s]}",
            hint="leave this organ flow-limited: such a drug hardly enters its cells",
        )


def clint_behind_barrier(clint: np.ndarray, ps: np.ndarray, compound: str) -> np.ndarray:
    """Intrinsic clearance in cells behind a barrier that clears as much as `clint` does
    without one [L/h, unbound].

    .. math:: CL' = PS\\,CL/(PS - CL)

    At steady state drug that is eliminated has crossed the barrier, so 1/CL = 1/PS +
    1/CL' (extended clearance: Sirianni & Pang 1997, J Pharmacokinet Biopharm 25:449). It
    keeps a clearance that was measured in vivo what it was measured to be.

    Raises
    ------
    InputError : the barrier lets less drug through than is cleared
    """
    clint, ps = np.broadcast_arrays(clint, ps)
    if np.any(ps <= clint):
        s = int(np.flatnonzero(ps <= clint)[0])
        raise InputError(
            "permeability_limited.liver",
            float(ps[s]),
            f"a PS above the intrinsic clearance from clearance_plasma, {clint[s]:.4g} L/h",
            subject=compound,
            hint=(
                "with in vivo clearance the liver's barrier cannot be slower than the "
                "drug is cleared"
            ),
        )
    return ps * clint / (ps - clint)


__all__ = [
    "Barriers",
    "barrier_parameters",
    "check_barriers",
    "choose_barriers",
    "clint_behind_barrier",
]
