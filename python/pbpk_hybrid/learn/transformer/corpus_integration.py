"""Curves of the corpus: Systems in units of each subject's horizon, integrated with the doses
of each pack.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np

from ...models.system.system import System
from ...solvers.base import ADD, RATE, Problem, SolverOptions, Status, StopTable
from ...solvers.embedded.backend import EmbeddedBackend
from .corpus_designs import GRID, Schedule

LANES = 16  # subjects integrated side by side share a schedule
TOLERANCE = 1e-3  # relative


@dataclass(frozen=True)
class Absorption:
    """How an oral dose enters, (n,) each.

    Parameters
    ----------
    lag : h
        Before the dose enters.
    fraction
        Of the dose, that enters.
    stages : int
        Compartments that it passes, 1 to 3; models with a gut of their own have no use for it.
    second
        Share that enters later.
    second_delay : h
        By how much later.
    """

    lag: np.ndarray
    fraction: np.ndarray
    stages: np.ndarray
    second: np.ndarray
    second_delay: np.ndarray

    @classmethod
    def by_model(cls, lag: np.ndarray) -> Absorption:
        """The whole dose after a lag: the model has a gut of its own."""
        one, none = np.ones(lag.size), np.zeros(lag.size)
        return cls(lag, one, one.astype(int), none, none)

    def tile(self, times: int) -> Absorption:
        """For the same subjects several times over, (times n,) each."""
        return Absorption(*(np.tile(getattr(self, f.name), times) for f in fields(self)))


class _Stops(NamedTuple):
    """Jumps and changes of rate of some subjects, (k,) each."""

    subject: np.ndarray
    time: np.ndarray
    kind: np.ndarray
    state: np.ndarray
    value: np.ndarray


def integrate_schedules(
    system: System,
    schedules: list[Schedule],
    lengths: np.ndarray,
    weight: np.ndarray,
    absorption: Absorption,
    saved: tuple[str, ...],
    occasions: np.ndarray | None = None,
) -> np.ndarray:
    """Concentrations for 1 mg/kg as first dose.

    Parameters
    ----------
    system
        Of n subjects, rates per h.
    schedules
        One per pack of :data:`LANES` subjects; they start over where there are more packs.
    lengths, weight : (n,), h and kg
        Horizon and body weight.
    saved
        Names of observables.
    occasions : (n, doses)
        Factors on the amount of each dose that enters; None: 1.

    Returns
    -------
    (n, times, saved), mg/L
        At the points of the grid; NaN where the integration failed.
    """
    n = system.n_subjects
    per_horizon = np.stack([lengths, np.ones(n)], axis=1)  # (n, 2): Vmax is a rate, Km is not
    scaled = replace(
        system,
        k_value=system.k_value * lengths[:, None],  # (n, coefficient)
        reactions=tuple(
            replace(reaction, parameters=reaction.parameters * per_horizon)
            for reaction in system.reactions
        ),
        parameters={},
        assemble=None,  # its named parameters are in hours still
    )
    stops = stop_table(scaled, schedules, lengths, weight, absorption, occasions)
    options = SolverOptions(rtol=TOLERANCE, threads=1, max_steps=20_000)
    result = EmbeddedBackend().solve(Problem(scaled, stops, GRID, saved), options)
    factors = np.stack(  # (n, saved)
        [np.broadcast_to(scaled.observables[site].factor, (n,)) for site in saved], axis=1
    )
    curves = np.maximum(result.amount * factors[:, None, :], 0.0)
    curves[result.status != Status.SUCCESS] = np.nan
    return curves


def stop_table(
    system: System,
    schedules: list[Schedule],
    lengths: np.ndarray,
    weight: np.ndarray,
    absorption: Absorption,
    occasions: np.ndarray | None = None,
) -> StopTable:
    """What the doses of all subjects do, in units of each subject's horizon.

    Parameters are those of :func:`integrate_schedules`.
    """
    parts: list[_Stops] = []
    packs = np.arange(system.n_subjects).reshape(-1, LANES)  # (pack, lane)
    for number, subjects in enumerate(packs):
        schedule = schedules[number % len(schedules)]
        for dose, (time, size) in enumerate(zip(schedule.time, schedule.size, strict=True)):
            times, amount = np.full(len(subjects), time), size * weight[subjects]
            if occasions is not None:
                amount = amount * occasions[subjects, dose]
            if schedule.oral:
                parts += _oral(system, subjects, times, amount, lengths, absorption)
            else:
                state = np.full(len(subjects), system.targets["iv"])
                parts += _intravenous(subjects, times, amount, state, schedule.duration)
    stops = _Stops(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    inside = stops.time <= GRID[-1]
    stops = _Stops(*(column[inside] for column in stops))
    order = np.lexsort((stops.kind, stops.time, stops.subject))
    return StopTable(
        stops.subject[order],
        stops.time[order],
        stops.kind[order].astype(np.int64),
        stops.state[order].astype(np.int64),
        stops.value[order],
    )


def _intravenous(
    subjects: np.ndarray, times: np.ndarray, amount: np.ndarray, state: np.ndarray, duration: float
) -> list[_Stops]:
    """A bolus, or the start and the end of an infusion; all (lane,)."""
    if not duration:
        return [_Stops(subjects, times, np.full(len(subjects), ADD), state, amount)]
    kind = np.full(len(subjects), RATE)
    return [
        _Stops(subjects, times, kind, state, amount / duration),
        _Stops(subjects, times + duration, kind, state, -amount / duration),
    ]


def _oral(
    system: System,
    subjects: np.ndarray,
    times: np.ndarray,
    amount: np.ndarray,
    lengths: np.ndarray,
    absorption: Absorption,
) -> list[_Stops]:
    """A dose by mouth, and what of it enters a second time."""
    own_gut = system.targets.get("oral")
    state = (
        np.full(len(subjects), own_gut)
        if own_gut is not None
        else 3 - absorption.stages[subjects]  # the chain ends in the centre: fewer stages, later in
    )
    entry = times + absorption.lag[subjects] / lengths[subjects]
    entering, second = amount * absorption.fraction[subjects], absorption.second[subjects]
    kind = np.full(len(subjects), ADD)
    first = _Stops(subjects, entry, kind, state, entering * (1 - second))
    twice = second > 0
    if not twice.any():
        return [first]
    again = subjects[twice]
    later = entry[twice] + absorption.second_delay[again] / lengths[again]
    return [first, _Stops(again, later, kind[twice], state[twice], (entering * second)[twice])]


__all__ = ["LANES", "TOLERANCE", "Absorption", "integrate_schedules", "stop_table"]
