"""The mechanistic static model of an interaction: constant concentrations at each organ.

With A, B, C the factors of reversible inhibition, inactivation and induction in gut wall (g) and
liver (h),

.. math::
    A = \\frac{1}{1 + I/K_i}, \\quad B = \\frac{k_{deg}}{k_{deg} + k_{inact} I/(K_I + I)}, \\quad
    C = 1 + \\frac{E_{max} I}{EC_{50} + I}

an enzyme works at A B C of its rate. Concentrations are those of the net effect model of FDA's
guidance (2020, figure 7), in

.. math:: I_h = f_u \\left(C_{max} + \\frac{F_a F_g k_a D}{Q_h R_B}\\right), \\quad I_g = \\frac{F_a
k_a D}{Q_{en}}

(read in: documentation of the R package ddir, key_concentrations; Fahmi et al. (2009) Drug Metab
Dispos 37:1658 as quoted there and by FDA), C_max that of the perpetrator's whole-body model over
the time that the victim is followed. The liver is well stirred here, so that the ratio holds for
intravenous doses and for drugs that the kidney shares: CL_h = Q X/(Q + X) with X = f_u CLint/R_B,
and AUC = F_a F_g (1 - CL_h/Q) D/(CL_h + CL_r).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..compounds import Compound
from ..models.small_molecules.disposition import Disposition
from ..models.small_molecules.enzymes import GUT_WALL_FLOW, turnover_rate

_REVERSIBLE = ("competitive", "noncompetitive", "uncompetitive")


@dataclass(frozen=True, eq=False)
class Perpetrator:
    """What the static model needs of one perpetrator.

    Parameters
    ----------
    compound
        With its effects.
    cmax
        Largest plasma concentration [mg/L].
    dose
        One dose [mg]; 0 for a metabolite.
    oral
        Whether it is swallowed.
    """

    compound: Compound
    cmax: float
    dose: float
    oral: bool

    def concentrations(self, liver_flow: float) -> dict[str, float]:
        """Unbound [mg/L] at the liver's inlet and in the gut wall; `liver_flow` in L/h."""
        c = self.compound
        fu = 1.0 if c.fraction_unbound_plasma is None else c.fraction_unbound_plasma
        if not (self.oral and c.absorption_rate):
            return {"liver": fu * self.cmax, "gut": 0.0}
        fa = 1.0 if c.fraction_absorbed is None else c.fraction_absorbed
        fg = 1.0 if c.fraction_gut is None else c.fraction_gut
        rate = fa * c.absorption_rate * self.dose
        ratio = c.blood_to_plasma_ratio or 1.0
        return {
            "liver": fu * (self.cmax + fg * rate / (liver_flow * ratio)),
            "gut": rate / GUT_WALL_FLOW,
        }


def activity_left(
    enzyme: str,
    organ: str,
    perpetrators: Sequence[Perpetrator],
    liver_flow: float,
    half_lives: dict[str, float] | None = None,
) -> float:
    """A B C of one enzyme in one organ, all perpetrators together."""
    crowd, loss, gain, changed = 0.0, 0.0, 0.0, False
    for p in perpetrators:
        at = p.concentrations(liver_flow)[organ]
        for e in p.compound.enzyme_effects:
            if e.enzyme != enzyme:
                continue
            if e.kind in _REVERSIBLE:
                crowd += at / e.ki
            elif e.kind == "inactivation":
                loss, changed = loss + e.kinact * at / (e.ki + at), True
            else:
                gain, changed = gain + e.emax * at / (e.ec50 + at), True
    left = 1.0 / (1.0 + crowd)
    if changed:
        kdeg = turnover_rate(enzyme, organ, half_lives or {})
        left *= (1.0 + gain) * kdeg / (kdeg + loss)
    return left


def static_ratio(
    victim: Disposition,
    oral: bool,
    perpetrators: Sequence[Perpetrator],
    half_lives: dict[str, float] | None = None,
) -> float:
    """AUC with the perpetrators over that alone, of one person.

    Parameters
    ----------
    victim
        Resolved in that person.
    oral
        Whether the victim is swallowed.
    perpetrators
        With their concentrations.
    half_lives
        ``"CYP3A4.liver"`` -> [h], instead of the table.

    Returns
    -------
    float
        NaN where the person has no clearance at all.
    """
    value = lambda name: float(np.atleast_1d(victim.entries[name].value)[0])
    compound = victim.compound
    flow = sum(
        value(f"flow.{organ}")
        for organ in ("liver", "gut", "spleen", "pancreas", "stomach")
        if f"flow.{organ}" in victim.entries
    )
    ratio = value("blood_to_plasma_ratio")
    x = value("clint.liver") * value("fraction_unbound_plasma") / ratio  # blood [L/h]
    renal = value("clearance_renal") / ratio if "clearance_renal" in victim.entries else 0.0

    def left(organ: str) -> float:
        total = 1.0
        for m in compound.metabolism:
            if m.organ == organ:
                share = activity_left(m.enzyme, organ, perpetrators, flow, half_lives)
                total += m.fraction * (share - 1.0)
        return total

    def auc(liver: float, gut: float) -> float:
        hepatic = flow * x * liver / (flow + x * liver) if flow > 0 else 0.0
        if hepatic + renal <= 0:
            return float("nan")
        if not oral:
            return 1.0 / (hepatic + renal)
        fg = 1.0 if compound.fraction_gut is None else compound.fraction_gut
        fg = (
            fg / (fg + (1.0 - fg) * gut)
            if any(m.organ == "gut" for m in compound.metabolism)
            else fg
        )
        return fg * (1.0 - hepatic / flow) / (hepatic + renal)

    return auc(left("liver"), left("gut")) / auc(1.0, 1.0)


__all__ = ["Perpetrator", "activity_left", "static_ratio"]
