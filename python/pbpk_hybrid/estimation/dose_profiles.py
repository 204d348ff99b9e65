"""Profiles of candidate doses over the draws of a posterior: by superposition where it is exact.

A model of first-order processes alone answers to a sum of doses with the sum of the answers, so one
run of the engine per dosing interval serves all amounts. Any other model is run for each amount.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .._core.errors import InputError
from ..dosing import Regimen
from ..models.system.system import System
from ..simulation.run import simulate_system
from ..solvers.doses import last_dose_time, last_interval
from .dose_targets import IntervalProfile
from .patient import doses_before
from .posterior_draws import Posterior

#: points of a dosing interval; crossings of a threshold are found between them on straight lines
_POINTS = 96
#: amount of the runs that are scaled [mg]; the engine's tolerance is relative to it
_UNIT = 100.0
#: dosing intervals over which the answer to one dose is followed
_INTERVALS = (12, 48, 160)


@dataclass(frozen=True)
class Administration:
    """How a dose is given.

    Parameters
    ----------
    route : str
        "iv_bolus", "iv_infusion" or "oral".
    infusion : float, h
        Of an infusion.
    """

    route: str
    infusion: float = 0.0

    def dose(self, amount: float, time: float = 0.0, **options) -> Regimen:
        """One dose [mg] at a time [h]."""
        if self.route == "iv_infusion":
            return Regimen.infusion(amount, self.infusion, time, **options)
        make = Regimen.oral if self.route == "oral" else Regimen.bolus
        return make(amount, time, **options)

    def train(self, amount: float, interval: float, n: int, time: float = 0.0) -> Regimen:
        """The same dose n times."""
        if n == 1:
            return self.dose(amount, time)
        return self.dose(amount, time, interval=interval, additional_doses=n - 1)

    def words(self, amount: float) -> str:
        """A dose in the words that :meth:`.Regimen.parse` reads."""
        if self.route == "iv_infusion":
            return f"{amount:g} mg iv over {self.infusion:g} h"
        return f"{amount:g} mg {'oral' if self.route == 'oral' else 'iv'}"


@dataclass(eq=False)
class ProfileSource:
    """Runs of one posterior's draws; what has been run once is kept.

    Parameters
    ----------
    posterior : Posterior
    administration : Administration
    rows : ndarray, (n_draws,)
        Draws that are simulated.
    start : float, h
        On the patient's clock: when the first new dose is given.
    compartment : str
    fraction_unbound : ndarray, (n_draws,) or None
    """

    posterior: Posterior
    administration: Administration
    rows: np.ndarray
    start: float
    compartment: str = "plasma"
    fraction_unbound: np.ndarray | None = None
    _system: System | None = field(default=None, repr=False)
    _kept: dict[tuple, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._system = self.posterior.system(self.rows)
        if self.compartment not in self._system.observables:
            known = list(self._system.observables)
            raise InputError("compartment", self.compartment, f"one of {known}")
        routes = [r for r in ("iv_bolus", "iv_infusion", "oral") if r in self._system.targets]
        if self.administration.route not in routes:
            hint = f"the model has {', '.join(routes)}"
            raise InputError("route", self.administration.route, "a route of the model", hint=hint)
        self.linear = is_linear(self._system)

    def grid(self, length: float, interval: float | None = None) -> np.ndarray:
        """Times [h] of one interval, or of several in `length`.

        Dense after each dose, with the end of its infusion, and just before the next.
        """
        if interval is not None and interval < length * (1.0 - 1e-9):
            starts = np.arange(0.0, length * (1.0 - 1e-9), interval)
            within = self.grid(interval)
            within[-1] *= 1.0 - 1e-6  # before the next dose
            times = (starts[:, None] + within).ravel()
            return np.unique(np.r_[times[times < length], length])
        early = length * np.geomspace(1e-3, 1.0, _POINTS // 2)
        even = np.linspace(0.0, length, _POINTS // 2)
        ends = [self.administration.infusion] if 0 < self.administration.infusion < length else []
        return np.unique(np.r_[early, even, ends])

    def steady_state(self, amount: float, interval: float) -> IntervalProfile:
        """The interval that every later one repeats."""
        key = ("steady", interval) if self.linear else ("steady", interval, amount)
        if key not in self._kept:
            kept = self._summed_answer(interval) if self.linear else None
            if kept is None:
                given = _UNIT if self.linear else amount
                regimen = self.administration.dose(given, interval=interval, steady_state=1)
                kept = self._run(regimen, self.grid(interval))
            self._kept[key] = kept
        scale = amount / _UNIT if self.linear else 1.0
        return self._profile(self._kept[key], scale, self.grid(interval))

    def _summed_answer(self, interval: float) -> tuple[np.ndarray, np.ndarray] | None:
        """The steady state of a linear model: the answers to one dose in all intervals, summed.

        From where an answer shrinks by the same factor from interval to interval, the rest is the
        sum of a geometric series. None where that is not reached in the intervals tried.
        """
        grid = self.grid(interval)
        for n in _INTERVALS:
            starts = interval * np.arange(n + 1)
            times = np.unique(np.r_[(starts[:-1, None] + grid[:-1]).ravel(), starts[-1]])
            curve, area = self._run(self.administration.dose(_UNIT), times, whole=False)
            # (n_draws, n intervals, n_times of one), the end of each from the start of the next
            parts = curve[:, :-1].reshape(len(curve), n, len(grid) - 1)
            last = np.concatenate([parts[:, 1:, 0], curve[:, -1:]], axis=1)
            parts = np.concatenate([parts, last[:, :, None]], axis=2)
            areas = np.diff(area[:, np.searchsorted(times, starts)], axis=1)
            rest, settled = _geometric_rest(parts)
            rest_area, settled_area = _geometric_rest(areas[:, :, None])
            if settled and settled_area:
                return parts.sum(axis=1) + rest, areas.sum(axis=1) + rest_area[:, 0]
        return None

    def from_start(
        self, amount: float, interval: float, length: float, first: float | None = None
    ) -> IntervalProfile:
        """The time from the first new dose on, on top of what the doses so far have left.

        Parameters
        ----------
        amount : float, mg
        interval, length : float, h
            Between doses, and how long the profile is.
        first : float, mg, optional
            The first dose, where it is another.
        """
        grid = self.grid(length, interval)
        first = amount if first is None else first
        n = max(int(np.ceil(length / interval * (1.0 - 1e-9))), 1)
        if not self.linear:
            new = self.administration.dose(first, self.start)
            if n > 1:
                new = new + self.administration.train(
                    amount, interval, n - 1, self.start + interval
                )
            regimen = self.posterior.model.regimen
            curve, area = self._run(_past(regimen, self.start) + new, self.start + grid)
            return self._profile((curve, area), 1.0, grid)
        curve, area = self._history(grid, (length, interval))
        parts = [(first, 0.0, 1)] + ([(amount, interval, n - 1)] if n > 1 else [])
        for dose, time, count in parts:
            key = ("dose", interval, length, time, count)
            if key not in self._kept:
                regimen = self.administration.train(_UNIT, interval, count, time)
                self._kept[key] = self._run(regimen, grid)
            c, a = self._kept[key]
            curve, area = curve + c * (dose / _UNIT), area + a * (dose / _UNIT)
        return self._profile((curve, area), 1.0, grid)

    def window(
        self, amount: float, interval: float, first: float | None, begin: float, end: float
    ) -> IntervalProfile:
        """A part [h after the start] of :meth:`from_start`."""
        whole = self.from_start(amount, interval, end, first)
        if begin <= 0:
            return whole
        inside = whole.times >= begin
        times = np.r_[begin, whole.times[inside]]
        curve = np.stack([np.interp(times, whole.times, c) for c in whole.concentration])
        area = np.trapezoid(curve, times, axis=1)
        return IntervalProfile(times - begin, curve, area, self.fraction_unbound)

    def _history(self, grid: np.ndarray, key: tuple) -> tuple[np.ndarray, np.ndarray]:
        past = _past(self.posterior.model.regimen, self.start)
        if not len(past):
            n = len(self.rows)
            return np.zeros((n, len(grid))), np.zeros(n)
        key = ("history", *key)
        if key not in self._kept:
            self._kept[key] = self._run(past, self.start + grid)
        return self._kept[key]

    def _run(
        self, regimen: Regimen, times: np.ndarray, whole: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """(n_draws, n_times) concentrations and (n_draws,) the area between first and last time;
        not `whole`: the area up to each time.
        """
        model = self.posterior.model
        weight = model.body_weight
        run = simulate_system(
            self._system,
            regimen,
            times,
            compartments=[self.compartment],
            areas=[self.compartment],
            backend="embedded",
            options=model.options,
            body_weight=None if weight is None else np.broadcast_to(weight, (len(self.rows),)),
            lag_time=model.lag_time,
            raise_on_failure=True,
        )
        area = run["cumulative_auc"].values[:, :, 0]
        curve = run["concentration"].values[:, :, 0]
        return (curve, area[:, -1] - area[:, 0]) if whole else (curve, area)

    def _profile(
        self, kept: tuple[np.ndarray, np.ndarray], scale: float, grid: np.ndarray
    ) -> IntervalProfile:
        """A run times a number, and times the factor of a discrepancy, which a dosing interval is
        taken to have as a whole.
        """
        factor = np.full(len(self.rows), scale)
        if (discrepancy := self.posterior.model.discrepancy) is not None:
            z = np.random.default_rng(len(self.rows)).standard_normal(len(self.rows))
            factor = factor * np.exp(discrepancy.sd * z)
        curve, area = kept
        return IntervalProfile(grid, curve * factor[:, None], area * factor, self.fraction_unbound)


def _geometric_rest(parts: np.ndarray) -> tuple[np.ndarray, bool]:
    """What intervals after the last add (n_draws, n_times), and whether that is known.

    Parameters
    ----------
    parts : ndarray, (n_draws, n_intervals, n_times)
        Answers to one dose, interval by interval.
    """
    last, before, earlier = parts[:, -1], parts[:, -2], parts[:, -3]
    total = np.abs(parts).sum(axis=1)
    small = np.abs(last) <= 1e-9 * total  # nothing is left: round-off has no factor
    with np.errstate(divide="ignore", invalid="ignore"):
        factor, other = last / before, before / earlier
        rest = np.where(small, 0.0, last * factor / (1.0 - factor))
        # by how much the rest would be another with the factor of the interval before
        error = np.abs(last * (factor / (1.0 - factor) - other / (1.0 - other)))
    known = small | ((factor > 0) & (factor < 1) & (error <= 1e-5 * total))
    return rest, bool(known.all())


def _past(regimen: Regimen | None, start: float) -> Regimen:
    return Regimen.empty() if regimen is None else doses_before(regimen, start)


def is_linear(system: System) -> bool:
    """Whether the answer to a sum of doses is the sum of the answers: first-order processes."""
    offsets = [o.offset is not None for o in system.observables.values()]
    return not system.reactions and system.events is None and not any(offsets)


def draws_of_fraction_unbound(
    posterior: Posterior, rows: np.ndarray, given: float | None
) -> np.ndarray:
    """(n_draws,) fraction unbound in plasma: as given, or the model's own.

    Raises
    ------
    InputError
        Neither is there.
    """
    if given is not None:
        return np.full(len(rows), given)
    name = "fraction_unbound_plasma"
    values = posterior.target_values(rows)
    if name in values:
        return values[name]
    own = posterior.model.system.parameters
    if name not in own:
        raise InputError("fraction_unbound", None, "a number for a target of the free drug")
    return np.full(len(rows), float(np.ravel(own[name])[0]))


def last_dose_interval(regimen: Regimen) -> float:
    """[h] between the last doses so far; 0 where there is no such thing."""
    return last_interval(regimen)


def next_dose_time(regimen: Regimen | None, sampled: Sequence[float]) -> float:
    """[h] when the next dose is due: an interval after the last, not before the last sample."""
    latest = max(sampled, default=0.0)
    if regimen is None or not len(regimen):
        return float(latest)
    due = last_dose_time(regimen) + last_dose_interval(regimen)
    return float(max(due, latest))


__all__ = [
    "Administration",
    "ProfileSource",
    "draws_of_fraction_unbound",
    "is_linear",
    "last_dose_interval",
    "next_dose_time",
]
