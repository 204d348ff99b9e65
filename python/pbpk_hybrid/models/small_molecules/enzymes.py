"""Enzymes of a population: how active they are, how fast they turn over, and what share
of a clearance they do.

A physiology Dataset may hold ``enzyme_activity(subject, enzyme)``: the activity per gram
of organ relative to the adult with two normal alleles (1). Ontogeny, phenotypes, disease
and differences between people all come in through it
(:mod:`pbpk_hybrid.physiology.conditions.enzymes`). Enzymes it does not name have activity
1.

The clearance of an organ with pathways of shares f_e and activities a_e is

.. math:: CL = CL_{ref} \\left(1 - \\sum_e f_e + \\sum_e f_e a_e\\right)
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from ..._core.errors import InputError, NoEffectWarning, unknown_name
from ...physiology.columns import of_organ
from ...physiology.individual import standard_individual

if TYPE_CHECKING:
    import xarray as xr

    from ...compounds import Compound

_RATES = (
    "kdeg [1/h] of public whole-body model code (mrgsolve, kdeg_1a2 0.018, kdeg_2c9 "
    "0.0067, kdeg_2c19 0.027); read there"
)
_OSP_2C8 = "t1/2 (liver) of CYP2C8 in the cimetidine model of Open Systems Pharmacology; read there"
_ASSUMED = "assumed, see docs/assumptions.md"
_WANG = (
    "kdeg 0.03/h: Wang (2010) Drug Metab Dispos 38:1094, better in 54 trials than "
    "0.0077/h; read in: its abstract and table 6"
)
#: enzyme -> organ -> (half-life of the protein [h], source)
TURNOVER: dict[str, dict[str, tuple[float, str]]] = {
    "CYP3A4": {"liver": (23.1, _WANG), "gut": (23.1, _WANG)},
    "CYP1A2": {"liver": (39.0, _RATES)},
    "CYP2B6": {"liver": (32.0, _ASSUMED)},
    "CYP2C8": {"liver": (23.0, _OSP_2C8)},
    "CYP2C9": {"liver": (104.0, _RATES)},
    "CYP2C19": {"liver": (26.0, _RATES)},
    "CYP2D6": {"liver": (51.0, _ASSUMED)},
    "CYP2E1": {"liver": (50.0, _ASSUMED)},
}
#: blood flow of the villi [L/h] and volume of the enterocytes [L] of the reference man.
#: Flow: of the microvilli of a person of about 70 kg, read in: httk (Qvilli of its model
#: of gut availability); the volume is assumed, and only sets how fast the wall fills, in
#: seconds to minutes, not what it metabolises (docs/assumptions.md)
GUT_WALL_FLOW, GUT_WALL_VOLUME = 18.0, 0.12


def turnover_rate(enzyme: str, organ: str, half_lives: dict[str, float] | None = None) -> float:
    """First-order loss of an enzyme [1/h].

    Parameters
    ----------
    half_lives : ``"CYP3A4.liver"`` -> [h], instead of the table

    Raises
    ------
    UnknownNameError, InputError : no half-life is known, or one that is not > 0
    """
    given = (half_lives or {}).get(f"{enzyme}.{organ}")
    if given is None:
        if enzyme not in TURNOVER:
            raise unknown_name("enzyme", enzyme, TURNOVER, what="an enzyme whose turnover is known")
        table = TURNOVER[enzyme]
        given = table.get(organ, table["liver"])[0]
    if not (np.isfinite(given) and given > 0):
        raise InputError(f"enzyme_half_life[{enzyme}.{organ}]", given, "a number > 0 [h]")
    return float(np.log(2.0) / given)


def activity(physiology: xr.Dataset, enzyme: str, organ: str = "liver") -> np.ndarray:
    """(n_subjects,) activity of an enzyme in an organ: ``CYP3A4.gut`` before ``CYP3A4``;
    ones where neither is named.
    """
    if "enzyme_activity" in physiology:
        for name in (f"{enzyme}.{organ}", enzyme):
            if name in physiology.variables["enzyme"].values:
                return physiology["enzyme_activity"].sel(enzyme=name).values.astype(float)
    return np.ones(physiology.sizes["subject"])


def activity_factor(compound: Compound, physiology: xr.Dataset, organ: str) -> np.ndarray:
    """(n_subjects,) intrinsic clearance of an organ relative to full activity of all enzymes."""
    total = np.ones(physiology.sizes["subject"])
    for m in compound.metabolism:
        if m.organ == organ:
            total = total + m.fraction * (activity(physiology, m.enzyme, organ) - 1.0)
    if (
        organ == "liver" and "liver_function" in physiology
    ):  # of all metabolism, with and without a named enzyme
        total = total * physiology.variables["liver_function"].values
    return total


def pathway_shares(compound: Compound, physiology: xr.Dataset, organ: str) -> list[np.ndarray]:
    """Of each of the compound's pathways, the share (n_subjects,) of the organ's
    clearance as it is in each subject.

    Zero for pathways of other organs.
    """
    whole = activity_factor(compound, physiology, organ)
    if (
        organ == "liver" and "liver_function" in physiology
    ):  # it concerns every pathway alike, so no share
        whole = whole / physiology.variables["liver_function"].values
    whole = np.where(whole > 0, whole, 1.0)  # nothing is metabolised: shares of nothing
    zero = np.zeros(physiology.sizes["subject"])
    return [
        m.fraction * activity(physiology, m.enzyme, organ) / whole if m.organ == organ else zero
        for m in compound.metabolism
    ]


def enzyme_shares(compound: Compound, physiology: xr.Dataset) -> dict[str, np.ndarray]:
    """``liver`` and ``gut`` -> (n_subjects,) share of all named enzymes together."""
    zero = np.zeros(physiology.sizes["subject"])
    return {
        organ: sum(pathway_shares(compound, physiology, organ), zero) for organ in ("liver", "gut")
    }


def without_effect(compounds: Iterable[Compound], physiology: xr.Dataset) -> tuple[str, ...]:
    """Enzymes and transporters whose activity is not 1 in somebody and that none of the
    compounds names.

    Empty if the compounds name any of those that differ: an enzyme of no interest beside
    one that counts is nothing to say.
    """
    if "enzyme_activity" not in physiology:
        return ()
    table = physiology["enzyme_activity"].transpose("subject", "enzyme").values
    differ = {
        str(e).split(".")[0]
        for e, a in zip(physiology.variables["enzyme"].values, table.T, strict=True)
        if np.any(a != 1.0)
    }
    named = {m.enzyme for c in compounds for m in c.metabolism} | {
        t.name for c in compounds for t in c.transporters
    }
    return () if differ & named else tuple(sorted(differ))


def _phenotypes_without_effect(
    compounds: Iterable[Compound], physiology: xr.Dataset
) -> tuple[str, ...]:
    """Enzymes and transporters of phenotypes that no compound names.

    All of them where none is named; else those of a phenotype that everybody has, and
    that was therefore asked for.
    """
    prefix = "phenotype_"
    asked = [str(v)[len(prefix) :] for v in physiology.data_vars if str(v).startswith(prefix)]
    named = {m.enzyme for c in compounds for m in c.metabolism}
    named |= {t.name for c in compounds for t in c.transporters}
    labels = {e: set(physiology[prefix + e].values.tolist()) for e in asked if e not in named}
    idle = [e for e, given in labels.items() if given != {"normal"}]
    if len(labels) < len(asked):
        idle = [e for e in idle if physiology.sizes["subject"] > 1 and len(labels[e]) == 1]
    return tuple(idle)


def warn_of_phenotypes(compounds: Iterable[Compound], physiology: xr.Dataset) -> dict[str, str]:
    """The attribute ``enzymes_without_effect`` of a result, and a warning where
    phenotypes were given to no avail.

    Warns
    -----
    NoEffectWarning : phenotypes in the population of which no compound names the enzyme
        or transporter
    """
    compounds = tuple(compounds)
    idle = without_effect(compounds, physiology)
    asked = _phenotypes_without_effect(compounds, physiology)
    if asked:
        names = ", ".join(c.name for c in compounds)
        warnings.warn(
            f"the phenotypes of {', '.join(asked)} change nothing: {names} names no such "
            "enzyme or transporter; give it in "
            "`metabolism` or `transporters`",
            NoEffectWarning,
            stacklevel=4,
        )
    return {"enzymes_without_effect": ", ".join(idle)} if idle else {}


def fraction_gut(compound: Compound, physiology: xr.Dataset) -> np.ndarray:
    """Fg with each subject's enzymes: (1 - Fg)/Fg is proportional to the intrinsic
    clearance of the wall.
    """
    reference = 1.0 if compound.fraction_gut is None else compound.fraction_gut
    if not any(m.organ == "gut" for m in compound.metabolism):
        return np.array([reference])
    return reference / (
        reference + (1.0 - reference) * activity_factor(compound, physiology, "gut")
    )


def gut_wall(physiology: xr.Dataset) -> dict[str, np.ndarray]:
    """``flow.gut_wall`` [L/h] and ``volume.gut_wall`` [L]: those of a person of 70 kg, scaled by
    the flow and volume of the subject's gut.
    """
    man = standard_individual("human")
    scale = lambda v: of_organ(physiology, v, "gut") / of_organ(man, v, "gut")[0]
    return {
        "flow.gut_wall": GUT_WALL_FLOW * scale("blood_flow"),
        "volume.gut_wall": GUT_WALL_VOLUME * scale("volume"),
    }


__all__ = ["TURNOVER", "activity", "activity_factor", "turnover_rate"]
