"""Hypothesis strategies for the package's own objects, for property tests of a model or a backend.

>>> from hypothesis import given
>>> from pbpk_hybrid.testing import compounds, regimens
>>> @given(compounds(), regimens())
... def test_my_model(compound, regimen): ...
"""

from __future__ import annotations

from math import log10

import xarray as xr
from hypothesis import strategies as st

from ..compounds import Compound
from ..dosing import Regimen
from ..models.system.examples import random_system
from ..models.system.system import System
from ..physiology import SPECIES, reference_individual, sample_population

_SEEDS = st.integers(0, 2**31 - 1)


def _log_uniform(low: float, high: float) -> st.SearchStrategy[float]:
    """Positive numbers, each decade as likely as the next."""
    return st.floats(log10(low), log10(high)).map(lambda exponent: float(f"{10**exponent:.6g}"))


def systems(
    max_organs: int = 30, max_subjects: int = 3, max_reactions: int = 4, closed: bool = True
) -> st.SearchStrategy[System]:
    """Random circulations with saturable reactions; small ones when a test fails.

    Parameters
    ----------
    max_organs : int
        Largest number of organs besides the blood pools; the smallest is 3.
    max_subjects : int
        Largest number of subjects.
    max_reactions : int
        Largest number of Michaelis-Menten reactions; 0 gives linear systems.
    closed : bool
        Whether eliminated drug goes to a sink state, so that the mass balance can be checked.

    Returns
    -------
    SearchStrategy of System
        See :func:`pbpk_hybrid.models.system.examples.random_system`.
    """
    return st.builds(
        random_system,
        st.integers(3, max_organs),
        _SEEDS,
        n_subjects=st.integers(1, max_subjects),
        n_reactions=st.integers(0, max_reactions),
        closed=st.just(closed),
    )


@st.composite
def regimens(
    draw: st.DrawFn,
    routes: tuple[str, ...] = ("iv_bolus", "iv_infusion", "oral"),
    max_doses: int = 4,
) -> Regimen:
    """Regimens of one to `max_doses` records, some of them repeated, in the order of time.

    Parameters
    ----------
    routes : tuple of str
        Any of ``"iv_bolus"``, ``"iv_infusion"``, ``"oral"``.
    max_doses : int
        Largest number of records; a record stands for up to five doses.

    Returns
    -------
    SearchStrategy of Regimen
        Amounts of 0.1 to 1,000 mg within the first 48 h, infusions of 0.1 to 12 h.
    """
    parts = []
    for _ in range(draw(st.integers(1, max_doses))):
        amount, time = draw(_log_uniform(0.1, 1000.0)), draw(st.integers(0, 48)) * 1.0
        route = draw(st.sampled_from(routes))
        if route == "iv_infusion":
            part = Regimen.infusion(amount, time=time, duration=draw(_log_uniform(0.1, 12.0)))
        else:
            make = Regimen.oral if route == "oral" else Regimen.bolus
            part = make(amount, time=time)
        n = draw(st.integers(1, 5))
        parts.append(part.repeat(float(draw(st.integers(12, 24))), n) if n > 1 else part)
    whole = parts[0]
    for part in parts[1:]:
        whole = whole + part
    return whole


@st.composite
def compounds(draw: st.DrawFn, oral: bool = True) -> Compound:
    """Small molecules: acids, bases and neutrals, CLint of hepatocytes or microsomes.

    Parameters
    ----------
    oral : bool
        Whether they have an absorption rate.

    Returns
    -------
    SearchStrategy of Compound
        Molar mass 150 to 800 g/mol, log P -1 to 5, fraction unbound 0.005 to 1.
    """
    hepatic = draw(st.sampled_from(("clint_hepatocyte", "clint_microsome")))
    fields: dict[str, object] = {
        "molar_mass": draw(st.floats(150.0, 800.0)),
        "log_p": draw(st.floats(-1.0, 5.0)),
        "fraction_unbound_plasma": draw(_log_uniform(0.005, 1.0)),
        hepatic: draw(_log_uniform(0.5, 200.0)),
    }
    ionised = draw(st.sampled_from(("neutral", "pka_acid", "pka_base")))
    if ionised != "neutral":
        fields[ionised] = [draw(st.floats(2.0, 11.0))]
    if oral:
        fields["absorption_rate"] = draw(_log_uniform(0.1, 5.0))
    return Compound.create(name="drawn", **fields)


def populations(
    max_subjects: int = 5, species: tuple[str, ...] = ("human",)
) -> st.SearchStrategy[xr.Dataset]:
    """Physiology Datasets: random people of the survey, random animals, and reference individuals.

    Parameters
    ----------
    max_subjects : int
        Largest number of subjects.
    species : tuple of str
        Which species; see :data:`pbpk_hybrid.physiology.SPECIES`.

    Returns
    -------
    SearchStrategy of Dataset
        Each closes on body weight and cardiac output.
    """
    unknown = set(species) - set(SPECIES)
    if unknown:
        raise ValueError(f"species: {sorted(unknown)}; there are {', '.join(SPECIES)}")
    which = st.sampled_from(species)
    populations = st.builds(
        lambda n, name, seed: sample_population(n, name, seed=seed),
        st.integers(1, max_subjects),
        which,
        _SEEDS,
    )
    return which.map(reference_individual) | populations
