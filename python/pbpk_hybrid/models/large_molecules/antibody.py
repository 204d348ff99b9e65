"""Monoclonal antibodies: minimal whole-body model with FcRn salvage and target-mediated
disposition.

Plasma, lumped tissues with tight and with leaky capillaries, lymph (structure and
volumes: Cao, Balthasar & Jusko 2013, J Pharmacokinet Pharmacodyn 40:597), and the
endosomes that take up plasma, degrade what is free in them at k_deg and give back what
FcRn holds at k_rec. With L the lymph flow and C_t in the available interstitial fluid of
tissue t

.. math::
    V_t \\dot C_t = L_t \\left((1 - \\sigma_t) C_p - (1 - \\sigma_L) C_t\\right), \\qquad
    V_l \\dot C_l = \\sum_t (1 - \\sigma_L) L_t C_t - L C_l

    \\dot A_e = CL_{up} C_p - k_{deg} A_e - k_{on} F A_e, \\quad
    \\dot A_b = k_{on} F A_e - k_{rec} A_b, \\quad F = F_0 - A_b

While FcRn is in excess the share :math:`FR = k_{on} F_0/(k_{deg} + k_{on} F_0)` is saved,
and CL = CL_up (1 - FR).

A target T in plasma is made, lost and bound, and its complex R internalised (Mager &
Jusko 2001, J Pharmacokinet Pharmacodyn 28:507):

.. math::
    \\dot T = k_{out} (T_0 - T) - k_{on} C_p T + k_{off} R, \\qquad
    \\dot R = k_{on} C_p T - (k_{off} + k_{int}) R

Amounts are mg of antibody; FcRn and target count as the antibody they can bind, and are
states of change from the baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from ..._core.errors import InputError
from ..system.system import Observable, Reaction, System

STATES = (
    "plasma_pool",
    "tight",
    "leaky",
    "lymph",
    "endosome",
    "endosome_bound",
    "degraded",
    "fcrn_change",
    "fcrn_balance",
    "subcutaneous",
    "not_absorbed",
)
TARGET_STATES = ("complex", "target_change", "target_balance", "internalised")

#: of a person of 70 kg, Cao et al. (2013), read in: the model files Cao_2013_*.R of
#: nlmixr2lib and public code of minimal models (lymph volume): plasma and lymph volume,
#: interstitial fluid [L], lymph flow [L/h]; shares of tight tissues in volume and flow,
#: available share of the fluid, reflection where lymph leaves the tissues
WEIGHT, PLASMA, LYMPH, INTERSTITIUM, LYMPH_FLOW = 70.0, 2.6, 5.2, 15.6, 2.9 / 24
TIGHT_VOLUME, TIGHT_FLOW, AVAILABLE, LYMPH_REFLECTION = 0.65, 0.33, 0.8, 0.2


@dataclass(frozen=True, kw_only=True)
class Antibody:
    """A therapeutic antibody.

    The reflections lie in the ranges of the abstract of Cao et al. (2013), 0.883 to 0.987
    and 0.311 to 0.837. Defaults without a source that was read are assumed
    (docs/assumptions.md).

    Parameters
    ----------
    name : e.g. "trastuzumab";  molar_mass : [g/mol]
    clearance : linear clearance of a person of 70 kg [L/h]; default 0.22 L/day, assumed
    salvage : FR, share of what endosomes take up that FcRn gives back while in excess;
        default 0.87, assumed
    reflection_tight, reflection_leaky : of the capillaries; 0.95 (assumed so by Cao et
        al. 2013, table 1) and 0.60 (assumed)
    degradation_rate, recycling_rate : of free and of bound antibody in endosomes [1/h];
        42.9 of Shah & Betts (2012) J Pharmacokinet Pharmacodyn 39:67, read in:
        Shah_2012_mAb_PBPK.R of nlmixr2lib; recycling assumed
    fcrn_capacity : antibody that free FcRn of the body can hold [mg]; assumed, large
        against any dose of a drug
    absorption_rate : of a subcutaneous dose [1/h];  bioavailability : of it; both assumed
    target : baseline concentration in plasma [nmol/L]; None: none
    target_on : [1/(nmol/L)/h];  target_off, target_turnover, internalisation : [1/h]; no
        defaults are meant to be anybody's
    hydrodynamic_radius : Stokes radius [nm]; None: by molar mass.  sieving : glomerular
        sieving coefficient; None: 0 where FcRn salvages, else by molar mass. Both, and
        not the reflections, are for :func:`.two_pore.two_pore_system`, which takes other
        proteins too
    """

    name: str
    molar_mass: float = 148_000.0
    clearance: float = 0.22 / 24
    salvage: float = 0.87
    reflection_tight: float = 0.95
    reflection_leaky: float = 0.60
    degradation_rate: float = 42.9
    recycling_rate: float = 26.6
    fcrn_capacity: float = 1000.0
    absorption_rate: float = 0.01
    bioavailability: float = 0.65
    target: float | None = None
    target_on: float = 1.0
    target_off: float = 0.1
    target_turnover: float = 0.03
    internalisation: float = 0.03
    hydrodynamic_radius: float | None = None
    sieving: float | None = None

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name == "name" or (
                f.name in ("target", "hydrodynamic_radius", "sieving") and value is None
            ):
                continue
            low_ok = f.name in ("salvage", "reflection_tight", "reflection_leaky", "sieving")
            if isinstance(value, (bool, str)) or not (
                np.isfinite(value) and (value > 0 or (low_ok and value == 0))
            ):
                raise InputError(f"antibody.{f.name}", value, "a number > 0", subject=self.name)
        for name in (
            "salvage",
            "reflection_tight",
            "reflection_leaky",
            "bioavailability",
            "sieving",
        ):
            value = getattr(self, name) or 0.0
            if value > 1 or (value == 1 and name not in ("bioavailability", "sieving")):
                raise InputError(f"antibody.{name}", value, "a share below 1", subject=self.name)


def antibody_system(antibody: Antibody, body_weight: Sequence[float] | float = WEIGHT) -> System:
    """The System of one antibody in people of these body weights.

    Volumes scale with weight, flows and clearance with its 3/4 power.

    Parameters
    ----------
    body_weight : [kg], one or (n_subjects,)

    Returns
    -------
    System; doses "iv_bolus", "iv_infusion" and "subcutaneous"; observables ``plasma``
    (free antibody; the complex is ``complex``), ``tight``, ``leaky`` (in interstitial
    fluid), ``lymph`` [mg/L]

    Raises
    ------
    InputError : a weight that is not > 0
    """
    weight = np.atleast_1d(np.asarray(body_weight, dtype=float))
    if weight.ndim != 1 or not (np.isfinite(weight).all() and (weight > 0).all()):
        raise InputError("body_weight", body_weight, "numbers > 0 [kg]")
    states = STATES + (TARGET_STATES if antibody.target is not None else ())
    build = _Minimal(antibody, weight / WEIGHT, {s: i for i, s in enumerate(states)})
    build.lymph_and_tissues()
    reactions = [build.endosomes()]
    if antibody.target is not None:
        reactions.append(build.target(antibody.target))
    number, volume = build.number, build.volume
    rows, columns = zip(*build.entries, strict=True)
    observables = {"plasma": Observable((number["plasma_pool"],), 1 / volume["plasma_pool"])}
    observables |= {s: Observable((number[s],), 1 / volume[s]) for s in ("tight", "leaky", "lymph")}
    if antibody.target is not None:
        observables["complex"] = Observable((number["complex"],), 1 / volume["plasma_pool"])
    return System(
        states,
        rows,
        columns,
        np.stack(np.broadcast_arrays(*build.entries.values()), axis=1),  # (subject, entry)
        tuple(reactions),
        observables,
        {r: number["plasma_pool"] for r in ("iv_bolus", "iv_infusion", "iv")},
        n_subjects=len(weight),
        attrs={"model": "minimal_antibody", "compound": antibody.name},
        signed=tuple(s for s in states if s.endswith(("_change", "_balance"))),
    )


class _Minimal:
    """Entries of K and reactions of one antibody in people `size` times 70 kg."""

    def __init__(self, antibody: Antibody, size: np.ndarray, number: dict[str, int]):
        self.antibody, self.size, self.number = antibody, size, number
        self.slow, self.one = size**0.75, np.ones_like(size)
        self.volume = {
            "plasma_pool": PLASMA * size,
            "lymph": LYMPH * size,
            "tight": INTERSTITIUM * AVAILABLE * TIGHT_VOLUME * size,
            "leaky": INTERSTITIUM * AVAILABLE * (1 - TIGHT_VOLUME) * size,
        }
        self.entries: dict[tuple[int, int], np.ndarray] = {}

    def _move(self, source: str, target: str, rate: np.ndarray) -> None:
        """Antibody leaves `source` for `target` at `rate` [1/h] times the amount in `source`."""
        i, j, k = self.number[target], self.number[source], self.entries
        k[i, j] = k.get((i, j), 0.0) + rate
        k[j, j] = k.get((j, j), 0.0) - rate

    def lymph_and_tissues(self) -> None:
        """Convection from plasma through the tissues to lymph and back."""
        a, volume = self.antibody, self.volume
        flow = {
            "tight": LYMPH_FLOW * TIGHT_FLOW * self.slow,
            "leaky": LYMPH_FLOW * (1 - TIGHT_FLOW) * self.slow,
        }
        for tissue, sigma in (("tight", a.reflection_tight), ("leaky", a.reflection_leaky)):
            self._move("plasma_pool", tissue, (1 - sigma) * flow[tissue] / volume["plasma_pool"])
            self._move(tissue, "lymph", (1 - LYMPH_REFLECTION) * flow[tissue] / volume[tissue])
        self._move("lymph", "plasma_pool", LYMPH_FLOW * self.slow / volume["lymph"])

    def endosomes(self) -> Reaction:
        """Uptake, degradation and salvage, absorption; what binds to FcRn as it is used up."""
        a, number, one = self.antibody, self.number, self.one
        uptake = a.clearance / (1 - a.salvage) * self.slow
        self._move("plasma_pool", "endosome", uptake / self.volume["plasma_pool"])
        self._move("endosome", "degraded", a.degradation_rate * one)
        binding = a.degradation_rate * a.salvage / (1 - a.salvage)  # kon F0 [1/h]
        self._move("endosome", "endosome_bound", binding * one)
        self._move("endosome_bound", "plasma_pool", a.recycling_rate * one)
        absorbed = a.absorption_rate * a.bioavailability * one
        self._move("subcutaneous", "plasma_pool", absorbed)
        lost = a.absorption_rate * (1 - a.bioavailability) * one
        self._move("subcutaneous", "not_absorbed", lost)
        # F = F0 + change, and the change is minus what is bound: both follow the same two steps
        change, balance = number["fcrn_change"], number["fcrn_balance"]
        free, bound = number["endosome"], number["endosome_bound"]
        for state, sign in ((change, -1.0), (balance, 1.0)):
            self.entries[state, free] = sign * binding * one
            self.entries[state, bound] = -sign * a.recycling_rate * one
        per_mg = (binding / (a.fcrn_capacity * self.size))[:, None]
        gain = {free: -1.0, bound: 1.0, change: -1.0, balance: 1.0}
        return Reaction("fcrn", "mass_action", (free, change), gain, per_mg)

    def target(self, baseline: float) -> Reaction:
        """Turnover of the target, and what binds to it as it is used up; `baseline` [nmol/L]."""
        a, one, k = self.antibody, self.one, self.entries
        plasma = self.volume["plasma_pool"]
        on = a.target_on / (a.molar_mass * 1e-6) / plasma  # 1/(nmol/L)/h -> 1/(mg h)
        total = baseline * a.molar_mass * 1e-6 * plasma  # mg of antibody that the baseline binds
        names = ("plasma_pool", "complex", "target_change", "target_balance")
        free, r, t, rest = (self.number[s] for s in names)
        self._move("plasma_pool", "complex", on * total)
        self._move("complex", "plasma_pool", a.target_off * one)
        self._move("complex", "internalised", a.internalisation * one)
        self._move("target_change", "target_balance", a.target_turnover * one)
        for state, sign in ((t, -1.0), (rest, 1.0)):
            k[state, free] = k.get((state, free), 0.0) + sign * on * total
            k[state, r] = k.get((state, r), 0.0) - sign * a.target_off * one
        gain = {free: -1.0, r: 1.0, t: -1.0, rest: 1.0}
        return Reaction("target", "mass_action", (free, t), gain, on[:, None])


__all__ = ["Antibody", "antibody_system"]
