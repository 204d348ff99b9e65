"""Active transport across the barriers of an organ, and out of its cells to bile, urine
and the gut lumen.

A transporter takes from one side by the unbound concentration there, beside the passive
exchange of :mod:`.permeability`. With the amount A and the capacity c of that side,
:math:`C_u = f_u A/c`,

.. math:: J = CL_{int,T}\\,C_u, \\qquad J = \\frac{J_{max} C_u}{K_m + C_u}

both proportional to the organ's mass and to the subject's activity of the transporter
(``enzyme_activity`` of a physiology Dataset, see
:mod:`pbpk_hybrid.physiology.conditions.transporters`). Cells then hold unbound drug in
another concentration than plasma (Kp,uu is not 1): Kp stays what it is without transport.
In a liver of well-stirred blood with passive PS, uptake U, efflux E and secretion B, at
low concentration,

.. math::
    CL_h = \\frac{Q_h\\,f_{u,b}\\,CL_{u}}{Q_h + f_{u,b}\\,CL_{u}}, \\qquad
    CL_{u} = (PS + U)\\,\\frac{CL_{int} + B}{PS + E + CL_{int} + B}

(extended clearance, the steady state of the two equations above; the tests derive it).
With clearance measured in vivo CLint is what gives, at a normal activity of the
transporters, the unbound clearance that it would give without barrier; secretion comes on
top, as `biliary_clearance` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._core.errors import InputError
from ..system.graph import LIVER
from .enzymes import activity

if TYPE_CHECKING:
    import xarray as xr

    from ...compounds import Compound
    from ...compounds.transporters import Transporter
    from .permeability import Barriers


@dataclass(frozen=True)
class Carrier:
    """One transporter between two states of the model."""

    transporter: Transporter
    source: str
    target: str

    @property
    def label(self) -> str:
        """Name of the transport, as parameters have it: ``jmax[label]``."""
        return self.transporter.label

    @property
    def saturable(self) -> bool:
        """Whether it has a Jmax and a Km; else it is a clearance."""
        return self.transporter.jmax is not None

    @property
    def key(self) -> str:
        """Its name where enzymes and transporters change: ``OATP1B1.liver``."""
        return f"{self.transporter.name}.{self.transporter.organ}"


def side(barriers: Mapping[str, Barriers], transporter: Transporter) -> str:
    """The state of a compound with these barriers from which a transporter takes; the
    organ where it has none.
    """
    organ = transporter.organ
    if organ not in barriers:
        return organ
    barrier, out = barriers[organ], transporter.direction != "uptake"
    if transporter.barrier == "capillary":
        return barrier.interstitium if out else barrier.entry
    return barrier.inside if out else barrier.interstitium


def choose_carriers(
    compound: Compound,
    barriers: Mapping[str, Barriers],
    organs: tuple[str, ...],
    lumina: Mapping[str, str],
) -> tuple[Carrier, ...]:
    """The carriers of a compound; transporters that carry nothing are left out.

    Parameters
    ----------
    lumina : organ -> the state its secretion goes to

    Raises
    ------
    InputError : the organ has no barrier to carry across, or secretion to a lumen from
        which nothing is absorbed
    """
    out = []
    for t in compound.transporters:
        where = f"transporters[{t.name}]"
        if t.organ not in organs:
            raise InputError(
                f"{where}.organ", t.organ, f"a tissue of the model: {organs}", subject=compound.name
            )
        if t.direction == "secretion":
            if t.organ != "kidney" and compound.absorption_rate is None:
                raise InputError(
                    "absorption_rate",
                    None,
                    "a number > 0 [1/h] with secretion into bile or the gut lumen",
                    subject=compound.name,
                    hint="fraction_absorbed=0 sends all of it to faeces",
                )
            target = lumina[t.organ]
        else:
            barrier = barriers.get(t.organ)
            if barrier is None or (t.barrier == "capillary" and barrier.capillary is None):
                needed = (
                    "two, of cell membranes and capillary wall"
                    if t.barrier == "capillary"
                    else "one"
                )
                raise InputError(
                    f"{where}.organ",
                    t.organ,
                    f"a permeability-limited organ ({needed})",
                    subject=compound.name,
                    hint=f"give permeability_surface_area (or permeability_limited) for {t.organ}",
                )
            if t.barrier == "capillary":
                target = barrier.entry if t.direction == "efflux" else barrier.interstitium
            else:
                target = barrier.interstitium if t.direction == "efflux" else barrier.inside
        if not t.none:
            out.append(Carrier(t, side(barriers, t), target))
    return tuple(out)


def transport_parameters(
    carriers: tuple[Carrier, ...], physiology: xr.Dataset
) -> dict[str, np.ndarray]:
    """``transport[label]`` [L/h], or ``jmax[label]`` [mg/h] and ``km[label]`` [mg/L],
    each (n_subjects,) or (1,).
    """
    p = {}
    for c in carriers:
        t = c.transporter
        mass = (
            (physiology["volume"] * physiology["density"]).sel(organ=t.organ).values.astype(float)
        )
        much = mass * activity(physiology, t.name, t.organ)
        if c.saturable:
            p[f"jmax[{c.label}]"], p[f"km[{c.label}]"] = t.jmax * much, np.array([t.km])
        else:
            p[f"transport[{c.label}]"] = t.clint * much
    return p


def clint_behind_transport(
    clint: np.ndarray,
    barrier: Barriers,
    p: Mapping[str, np.ndarray],
    carriers: tuple[Carrier, ...],
    physiology: xr.Dataset,
    compound: str,
) -> np.ndarray:
    """Intrinsic clearance in the liver's cells that clears as much as `clint` does
    without a barrier [L/h, unbound].

    .. math:: CL' = CL\\,(PS + E)/(PS + U - CL)

    with uptake and efflux at low concentration and normal activity, so that people of
    another activity clear otherwise.

    Raises
    ------
    InputError : more is cleared than can enter the cells; transport across the liver's
        capillary wall
    """
    mass = (physiology["volume"] * physiology["density"]).sel(organ=LIVER).values.astype(float)
    both = {"uptake": 0.0, "efflux": 0.0, "secretion": 0.0}
    for c in carriers:
        if c.transporter.organ == LIVER:
            if c.transporter.barrier == "capillary":
                raise InputError(
                    f"transporters[{c.transporter.name}].barrier",
                    "capillary",
                    "'cells' in the liver with in vivo clearance",
                    subject=compound,
                )
            both[c.transporter.direction] = (
                both[c.transporter.direction] + c.transporter.slope * mass
            )
    if barrier.capillary is not None:  # what has to cross the wall too
        wall = p[f"ps_capillary.{LIVER}"]
        # 1/CL = 1/wall + 1/CL of what is behind it; none is enough behind a wall that is too slow
        behind = wall > clint
        clint = np.where(behind, wall * clint / np.where(behind, wall - clint, 1.0), np.inf)
    into, back = p[f"ps_cells.{LIVER}"] + both["uptake"], p[f"ps_cells.{LIVER}"] + both["efflux"]
    if np.any(clint >= into):
        s = int(np.flatnonzero(np.broadcast_to(clint >= into, into.shape))[0])
        raise InputError(
            "transporters (liver uptake)",
            float(into[s]),
            "PS and uptake above the intrinsic clearance from "
            f"clearance_plasma, {np.broadcast_to(clint, into.shape)[s]:.4g} L/h",
            subject=compound,
        )
    return clint * back / (into - clint)


__all__ = ["Carrier", "choose_carriers", "clint_behind_transport", "side", "transport_parameters"]
