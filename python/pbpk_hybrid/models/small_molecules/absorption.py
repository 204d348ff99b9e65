"""Oral absorption along the gut: compartmental absorption and transit with dissolution.

Stomach, seven segments of small intestine with equal transit, colon. In each, solid drug
X_s dissolves (Noyes & Whitney 1897, spheres of constant radius r behind a layer
h = min(r, 30 um), Hintz & Johnson 1989, Int J Pharm 51:9) and dissolved drug X_d is
absorbed (small intestine, and the colon if asked for):

.. math::
    \\dot X_s = -\\frac{3D}{\\rho h r} X_s (S - X_d/V) + \\text{transit}, \\qquad
    \\dot X_d = +\\frac{3D}{\\rho h r} X_s (S - X_d/V) - k_a X_d + \\text{transit}, \\qquad
    k_a = 2 P_{eff}/R

with k_t = 7/3.32 h, R = 1.75 cm (Yu & Amidon 1999, Int J Pharm 186:119): a solution
absorbed from the small intestine alone has :math:`F_a = 1 - (1 + k_a/k_t)^{-7}`.
Solubility of a segment, with S_0 that of the neutral form, f_n its share at the segment's
pH and bile salts [BS] (Mithani et al. 1996, Pharm Res 13:163):

.. math::
    S = \\frac{S_0}{f_n(pH)} \\left(1 + \\frac{[BS]}{55.5\\,mol/L} 10^{2.23 + 0.61 \\log P}\\right)

Diffusion coefficient at 37 degrees: 9.9e-5 M^-0.453 cm^2/s (Avdeef 2010, Pharm Res
27:480). A solution stays dissolved: there is no nucleation. Release by a Weibull function
or at constant rate enters the segment where an intact tablet is at that time.

What of the segments' numbers was read stands beside them; the others are assumed
(docs/assumptions.md), after the papers named.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from ..._core.arguments import check_choice, check_real
from ..._core.errors import InputError, NoEffectWarning
from ...compounds import Compound
from .clearance import absorption_rate_from_caco2
from .ionisation import ionisation

FORMULATIONS = ("solution", "immediate_release", "weibull", "zero_order")
SEGMENTS = ("stomach", *(f"small_intestine_{i + 1}" for i in range(7)), "colon")
SMALL_INTESTINE = SEGMENTS[1:8]

#: food -> pH of SEGMENTS; fasted small intestine as in Agoram et al. (2001) Adv Drug
#: Deliv Rev 50:S41 (ACAT), the fourth and sixth segment interpolated; fed: the same
#: source's fed state
PH = {
    "fasted": (1.3, 6.0, 6.2, 6.4, 6.6, 6.9, 7.15, 7.4, 6.8),
    "fed": (4.9, 5.4, 5.4, 6.0, 6.6, 6.9, 7.15, 7.4, 6.8),
}
#: food -> fluid [L] of stomach, whole small intestine, colon: Schiller et al. (2005)
#: Aliment Pharmacol Ther 22:971; a glass of 0.24 L that is drunk with the dose is added to
#: the stomach
FLUID = {"fasted": (0.045 + 0.24, 0.105, 0.013), "fed": (0.686 + 0.24, 0.054, 0.011)}
#: mean residence in the stomach [h]: Yu & Amidon (1999) fasted; fed Agoram et al. (2001)
GASTRIC_RESIDENCE = {"fasted": 0.25, "fed": 1.0}
#: bile salts of the small intestine [mol/L]: Galia et al. (1998) Pharm Res 15:698 (FaSSIF, FeSSIF)
BILE_SALTS = {"fasted": 0.003, "fed": 0.015}
SMALL_INTESTINAL_TRANSIT = 3.32  # h, 199 min: abstract of doi 10.1016/0378-5173(96)04592-9
COLONIC_RESIDENCE = 16.8  # h, caecum and ascending colon, Agoram et al. (2001)
# cm; with 3.32 h it gives (2 Peff/R) 3.32/7 = 0.54 Peff of Yu & Amidon (1999), whose
# abstract has F = 1 - (1 + 0.54 Peff)^-7
INTESTINAL_RADIUS = 1.75
LAYER = 30e-4  # cm, Hintz & Johnson (1989)
WATER = 55.5  # mol/L
_RELEASE_PIECES = 60


@dataclass(frozen=True, kw_only=True)
class GutAbsorption:
    """How an oral dose is released, dissolved and absorbed.

    Parameters
    ----------
    formulation : ``"solution"``; ``"immediate_release"`` (particles from the start);
        ``"zero_order"`` (released dissolved at a constant rate over `release_time`);
        ``"weibull"`` (released share 1 - exp(-(t/release_time)^release_shape))
    food : ``"fasted"`` or ``"fed"``
    effective_permeability : Peff of the jejunum [1e-4 cm/s]; None: from the compound's
        Caco-2 permeability
    solubility : [mg/L] at `solubility_ph` without bile salts; needed for particles
    particle_radius : [um];  particle_density : [g/mL]
    release_time : [h];  release_shape : of the Weibull function
    colon_permeability : of the colon relative to the small intestine; 0: nothing is
        absorbed there, as in the CAT model
    """

    formulation: str = "solution"
    food: str = "fasted"
    effective_permeability: float | None = None
    solubility: float | None = None
    solubility_ph: float = 7.0
    particle_radius: float = 10.0
    particle_density: float = 1.2
    release_time: float | None = None
    release_shape: float = 1.0
    colon_permeability: float = 0.0

    def __post_init__(self) -> None:
        check_choice("formulation", self.formulation, FORMULATIONS)
        check_choice("food", self.food, PH)
        for name in (
            "effective_permeability",
            "solubility",
            "particle_radius",
            "particle_density",
            "release_time",
            "release_shape",
        ):
            value = getattr(self, name)
            if value is not None:
                value = check_real(f"absorption.{name}", value, "a number > 0")
                if not (np.isfinite(value) and value > 0):
                    raise InputError(f"absorption.{name}", value, "a number > 0")
        for name in ("colon_permeability", "solubility_ph"):
            check_real(f"absorption.{name}", getattr(self, name), "a number >= 0")
        if not (np.isfinite(self.colon_permeability) and self.colon_permeability >= 0):
            raise InputError(
                "absorption.colon_permeability", self.colon_permeability, "a number >= 0"
            )
        if not 0 <= self.solubility_ph <= 14:
            raise InputError("absorption.solubility_ph", self.solubility_ph, "a pH from 0 to 14")
        if self.solid and self.solubility is None:
            raise InputError("absorption.solubility", None, "a number > 0 [mg/L] for particles")
        if self.formulation in ("weibull", "zero_order") and self.release_time is None:
            raise InputError(
                "absorption.release_time", None, f"a number > 0 [h] for {self.formulation}"
            )

        self._warn_of_idle_fields()

    def _warn_of_idle_fields(self) -> None:
        """
        Warns
        -----
        NoEffectWarning : values that this formulation does not read
        """
        usual = {f.name: f.default for f in fields(self)}
        idle = [] if self.solid else ["particle_radius", "particle_density"]
        idle += [] if self.formulation in ("weibull", "zero_order") else ["release_time"]
        idle += [] if self.formulation == "weibull" else ["release_shape"]
        given = [n for n in idle if getattr(self, n) != usual[n]]
        if given:
            warnings.warn(
                f"{', '.join(given)} of the gut model changes nothing with the formulation "
                f"{self.formulation!r}; others: "
                f"{', '.join(f for f in FORMULATIONS if f != self.formulation)}",
                NoEffectWarning,
                stacklevel=4,
            )

    @property
    def solid(self) -> bool:
        """Whether the dose enters as particles, which have to dissolve."""
        return self.formulation == "immediate_release"

    @cached_property
    def states(self) -> tuple[str, ...]:
        """Names of the gut's states, ``<segment>.<kind>``: solid (if any) and dissolved drug."""
        kinds = ("solid", "dissolved") if self.solid else ("dissolved",)
        return tuple(f"{segment}.{kind}" for segment in SEGMENTS for kind in kinds)

    @property
    def target(self) -> str:
        """Where an oral dose goes."""
        return "stomach.solid" if self.solid else "stomach.dissolved"

    # ---- numbers ----
    def parameters(self, compound: Compound) -> dict[str, np.ndarray]:
        """Every number of this model by name, each (1,)."""
        if self.effective_permeability is not None:
            ka = 2 * self.effective_permeability * 1e-4 * 3600 / INTESTINAL_RADIUS
        elif compound.caco2_permeability:
            ka = float(absorption_rate_from_caco2(compound.caco2_permeability, INTESTINAL_RADIUS))
        else:
            raise InputError(
                "effective_permeability",
                None,
                "a number > 0 [1e-4 cm/s], or caco2_permeability",
                subject=compound.name,
            )
        p = {
            "permeation": ka,
            "permeation.colon": ka * self.colon_permeability,
            "emptying.stomach": 1 / GASTRIC_RESIDENCE[self.food],
            "transit.small_intestine": 7 / SMALL_INTESTINAL_TRANSIT,
            "transit.colon": 1 / COLONIC_RESIDENCE,
        }
        if self.solid:
            p["dissolution"] = self._dissolution(compound)
            fluid = FLUID[self.food]
            for i, segment in enumerate(SEGMENTS):
                small = segment in SMALL_INTESTINE
                p[f"fluid.{segment}"] = fluid[1] / 7 if small else fluid[0 if i == 0 else 2]
                p[f"solubility.{segment}"] = self.solubility_at(
                    compound, PH[self.food][i], BILE_SALTS[self.food] if small else 0.0
                )
        return {k: np.array([float(v)]) for k, v in p.items()}

    def solubility_at(self, compound: Compound, ph: float, bile_salts: float = 0.0) -> float:
        """[mg/L] at a pH and a concentration of bile salts [mol/L]."""
        if self.solubility is None:
            raise InputError(
                "absorption.solubility", None, "a number > 0 [mg/L]", subject=compound.name
            )
        neutral = lambda at: 1 - float(ionisation(at, compound.pka_acid, compound.pka_base).charged)
        aqueous = self.solubility * neutral(self.solubility_ph) / max(neutral(ph), 1e-12)
        if bile_salts == 0.0:
            return aqueous
        if compound.log_p is None:
            raise InputError(
                "log_p", None, "a number: bile salts dissolve by it", subject=compound.name
            )
        return aqueous * (1 + bile_salts / WATER * 10 ** (2.23 + 0.61 * compound.log_p))

    def _dissolution(self, compound: Compound) -> float:
        """3 D/(rho h r) [L/(mg h)]."""
        if compound.molar_mass is None:
            raise InputError(
                "molar_mass", None, "a number > 0: diffusion follows from it", subject=compound.name
            )
        diffusion = 9.9e-5 * compound.molar_mass**-0.453 * 3600  # cm^2/h
        r = self.particle_radius * 1e-4  # cm
        return (
            3 * diffusion / (self.particle_density * 1000 * min(r, LAYER) * r) * 1e-3
        )  # mL/(mg h) -> L/(mg h)

    # ---- structure; plain arithmetic ----
    def build(
        self, p: Mapping[str, np.ndarray], move: Any, absorb: Any, faeces: str, lumen: str
    ) -> None:
        """Put the entries of K in: `move(source, target, rate)`, `absorb(source, rate)`."""
        kt = p["transit.small_intestine"]
        leaves = [p["emptying.stomach"], *[kt] * 7, p["transit.colon"]]
        for i, segment in enumerate(SEGMENTS):
            onward = SEGMENTS[i + 1] if i + 1 < len(SEGMENTS) else None
            for kind in ("solid", "dissolved") if self.solid else ("dissolved",):
                move(f"{segment}.{kind}", f"{onward}.{kind}" if onward else faeces, leaves[i])
            if segment in SMALL_INTESTINE:
                absorb(f"{segment}.dissolved", p["permeation"])
            if segment == "colon":
                absorb(f"{segment}.dissolved", p["permeation.colon"])
            if self.solid:
                move(
                    f"{segment}.solid",
                    f"{segment}.dissolved",
                    p["dissolution"] * p[f"solubility.{segment}"],
                )
        move(lumen, f"{SMALL_INTESTINE[0]}.dissolved", kt)  # bile

    def reactions(self) -> list[tuple[str, str, tuple[str, str], dict[str, float]]]:
        """(name, law, reactants, stoichiometry) by state name: saturation of the fluid
        slows dissolution.
        """
        if not self.solid:
            return []
        pairs = [(f"{s}.solid", f"{s}.dissolved") for s in SEGMENTS]
        return [
            (f"saturation[{s}]", "mass_action", pair, {pair[0]: 1.0, pair[1]: -1.0})
            for s, pair in zip(SEGMENTS, pairs, strict=True)
        ]

    def reaction_parameters(self, p: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Constant of each reaction of :meth:`reactions`, (n_subjects or 1, 1) [1/(mg h)].

        `p` holds ``dissolution`` and the ``fluid.<segment>`` [L].
        """
        if not self.solid:
            return []
        return [np.atleast_1d(p["dissolution"] / p[f"fluid.{s}"])[:, None] for s in SEGMENTS]

    # ---- release ----
    def release(self, regimen: Any) -> Any:
        """The regimen with every oral dose as it is released: pieces of constant rate
        where the tablet then is.
        """
        if self.formulation not in ("weibull", "zero_order"):
            return regimen
        kind = type(regimen)  # the models know no regimens: this one says how it is built
        edges, shares = self._pieces()
        columns = regimen.columns
        out = kind.empty()
        for row in range(len(regimen)):
            one = kind({k: v[row : row + 1] for k, v in columns.items()}, span=regimen.span)
            if columns["route"][row] != "oral" or columns["evid"][row] != 1:
                out = out + one
                continue
            if columns["steady_state"][row]:
                raise InputError(
                    "regimen", str(regimen), "doses, not steady-state records, with timed release"
                )
            for start, end, share in zip(edges[:-1], edges[1:], shares, strict=True):
                piece = {k: v.copy() for k, v in one.columns.items()}
                piece["time"] = piece["time"] + start
                for key in ("amount", "amount_per_kg"):
                    piece[key] = piece[key] * share
                piece["duration"] = np.full(1, end - start)
                piece["route"] = np.array(["compartment"], dtype=object)
                piece["compartment"] = np.array(
                    [f"{self.segment_at((start + end) / 2)}.dissolved"], dtype=object
                )
                out = out + kind(piece, span=regimen.span)
        return out

    def _pieces(self) -> tuple[np.ndarray, np.ndarray]:
        """Times and released shares; the last share of a Weibull function beyond its 99.9
        % is given with the last piece.
        """
        if self.formulation == "zero_order":
            edges = np.linspace(0, self.release_time, max(12, round(self.release_time / 0.25)) + 1)
            return edges, np.full(len(edges) - 1, 1 / (len(edges) - 1))
        share = np.linspace(0, 0.999, _RELEASE_PIECES + 1)
        edges = self.release_time * (-np.log1p(-share)) ** (1 / self.release_shape)
        parts = np.diff(share)
        return edges, parts / parts.sum()

    def segment_at(self, time: float) -> str:
        """Where an intact tablet is [h] after the dose, in the mean."""
        entry = GASTRIC_RESIDENCE[self.food]
        if time < entry:
            return "stomach"
        step = int((time - entry) // (SMALL_INTESTINAL_TRANSIT / 7))
        return SMALL_INTESTINE[step] if step < 7 else "colon"


__all__ = ["GutAbsorption"]
