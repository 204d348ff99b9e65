"""The contract between a problem and a backend: plain arrays in, plain arrays out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, Protocol

import numpy as np

from .._core.arguments import check_choice, check_real
from .._core.errors import InputError
from ..models.system.derivatives import ParameterDerivative
from ..models.system.system import System

#: methods every backend may offer; "expm" is exact for linear systems, "auto" takes it where it
#: is the quicker one, and else "rodas5p"
METHODS = ("auto", "rodas5p", "rodas4", "rodas4p", "expm")
#: methods that only the Julia backend has
JULIA_METHODS = ("fbdf", "kencarp47", "tsit5")


class Status(IntEnum):
    """How the integration of one subject ended."""

    SUCCESS = 0
    MAX_STEPS = 1
    STEP_TOO_SMALL = 2
    NOT_FINITE = 3
    NO_STEADY_STATE = 4
    NEGATIVE_AMOUNT = 5

    @property
    def advice(self) -> str:
        """What the status means and what to change, as text."""
        return {
            Status.SUCCESS: "integrated to the last time",
            Status.MAX_STEPS: (
                "the maximum number of steps was reached; raise max_steps or loosen rtol"
            ),
            Status.STEP_TOO_SMALL: (
                "the step became too small; look for parameters of extreme size in this subject"
            ),
            Status.NOT_FINITE: (
                "a value became infinite or NaN; look at this subject's parameters and doses"
            ),
            Status.NO_STEADY_STATE: (
                "no steady state was found; the drug accumulates without end in this subject"
            ),
            Status.NEGATIVE_AMOUNT: (
                "an amount fell below zero, beyond what the tolerance explains; take a "
                "smaller rtol (1e-10), or a larger constant (Km) where it is many decades "
                "below the dose"
            ),
        }[self]


@dataclass(frozen=True)
class SolverOptions:
    """How to integrate.

    Parameters
    ----------
    method : "auto" (default), "rodas5p", "rodas4", "rodas4p", or "expm" (exact, linear systems
        only). "auto" is "rodas5p", and "expm" for linear systems with doses at many times, which
        it solves sooner (attribute ``method`` of the result); with the Julia backend also
        "fbdf", "kencarp47", "tsit5"
    rtol : relative tolerance per step; with the default, amounts agree with exact solutions to 1e-6
    atol : absolute tolerance [mg]; None: rtol x 1e-5 x the subject's largest single dose
        (so that the accuracy of a linear model does not depend on the dose), never under
        1e-14 of it
    max_steps : steps allowed between the first and the last time
    max_step : [h]
    threads : packs integrated at the same time; None: all cores (or PBPK_HYBRID_THREADS)

    Raises
    ------
    InputError, UnknownNameError : a value that cannot be used
    """

    method: str = "auto"
    rtol: float = 2e-7
    atol: float | None = None
    max_steps: int = 100_000
    max_step: float = np.inf
    threads: int | None = None

    def __post_init__(self) -> None:
        known = (*METHODS, *JULIA_METHODS)
        check_choice("method", self.method, known)
        check_real("rtol", self.rtol, "a number from 1e-13 to 0.1")
        if self.atol is not None:
            check_real("atol", self.atol, "a number > 0 [mg]")
        check_real("max_step", self.max_step, "a number > 0 [h]")
        if not 1e-13 <= self.rtol <= 0.1:
            raise InputError("rtol", self.rtol, "a number from 1e-13 to 0.1")
        if self.atol is not None and not (np.isfinite(self.atol) and self.atol > 0):
            raise InputError("atol", self.atol, "a number > 0 [mg]")
        if not (isinstance(self.max_steps, (int, np.integer)) and self.max_steps > 0):
            raise InputError("max_steps", self.max_steps, "an integer > 0")
        if not self.max_step > 0:
            raise InputError("max_step", self.max_step, "a number > 0 [h]")
        if self.threads is not None and not (
            isinstance(self.threads, (int, np.integer)) and self.threads > 0
        ):
            raise InputError("threads", self.threads, "an integer > 0")

    @property
    def integrator(self) -> str:
        """The method by which what is not solved exactly is integrated."""
        return "rodas5p" if self.method == "auto" else self.method

    @property
    def atol_fact(self) -> float | str:
        """The absolute tolerance as provenance states it."""
        return "rtol x 1e-5 x largest dose" if self.atol is None else self.atol

    def tolerance(self, dose_scale: np.ndarray) -> np.ndarray:
        """Absolute tolerance per subject [mg] for the largest single dose of each."""
        if self.atol is not None:
            return np.full_like(dose_scale, self.atol)
        scale = np.where(dose_scale > 0, dose_scale, 1.0)
        return scale * max(self.rtol * 1e-5, 1e-14)


#: What happens to the state at a stop. KEEP multiplies all amounts and infusion rates (0
#: resets, 1 keeps).
ADD, RATE, KEEP = 0, 1, 2


@dataclass(frozen=True, eq=False)
class StopTable:
    """What happens when, as the integrator needs it: sorted by subject, time, then KEEP
    before ADD and RATE.

    Parameters
    ----------
    subject : (n,) subject number, or -1 for every subject
    time : (n,) [h]
    kind : (n,) ADD (amount, mg), RATE (change of infusion rate, mg/h) or KEEP
    state : (n,) state number (ignored by KEEP)
    value : (n,) for all subjects alike, or (n_subjects, n) where all rows are shared
        (subject == -1)
    """

    subject: np.ndarray
    time: np.ndarray
    kind: np.ndarray
    state: np.ndarray
    value: np.ndarray

    @property
    def shared(self) -> bool:
        """Whether every row holds for all subjects."""
        return bool(np.all(self.subject == -1))

    def take(self, start: int, stop: int) -> StopTable:
        """The stops of subjects start..stop, renumbered from 0."""
        if self.shared:
            value = (
                self.value
                if self.value.ndim == 1 or len(self.value) == 1
                else self.value[start:stop]
            )
            return StopTable(self.subject, self.time, self.kind, self.state, value)
        keep = (self.subject == -1) | ((self.subject >= start) & (self.subject < stop))
        subject = self.subject[keep]
        subject = np.where(subject >= 0, subject - start, -1)
        return StopTable(
            subject, self.time[keep], self.kind[keep], self.state[keep], self.value[keep]
        )

    def _running(self) -> np.ndarray:
        """(n,) for RATE: time [h] until a rate of the same subject changes again, at most
        1; else 1.
        """
        out = np.ones(len(self.time))
        rates = np.flatnonzero(self.kind == RATE)
        if not rates.size:
            return out
        when, which = np.unique(
            np.stack([self.subject[rates], self.time[rates]]), axis=1, return_inverse=True
        )
        gap = np.full(when.shape[1], 1.0)
        same = when[0, 1:] == when[0, :-1]
        gap[:-1][same] = np.minimum(np.diff(when[1])[same], 1.0)
        out[rates] = gap[which.ravel()]
        return out

    def dose_scale(self, n_subjects: int) -> np.ndarray:
        """Largest single dose per subject [mg], for tolerances: (n_subjects,).

        An infusion counts with what it gives in its first hour, or until the next change
        of a rate if that is sooner.
        """
        scale = np.zeros(n_subjects)
        moved = np.where(
            self.kind == RATE, np.maximum(self.value, 0.0) * self._running(), np.abs(self.value)
        )
        size = np.where(self.kind == KEEP, 0.0, moved)
        if self.shared:
            if size.size:
                np.maximum(scale, size.max(axis=-1), out=scale)
            return scale
        everyone = self.subject == -1
        if everyone.any():
            scale[:] = size[everyone].max()
        np.maximum.at(scale, self.subject[~everyone], size[~everyone])
        return scale


@dataclass(frozen=True, eq=False)
class Problem:
    """One integration: system, stops, start, and what to save.

    Parameters
    ----------
    system : System
    stops : StopTable
    times : (n_times,) [h], strictly increasing
    saved : names of the system's observables
    start_time : [h] time at which `y0` holds; at most times[0] and the first stop
    y0 : (n_subjects or 1, n_states) [mg], None for zero
    parameters : names of the system's parameters to differentiate the saved sums by
    areas : names of the system's observables to integrate over time, from `start_time` on
    start_slope : (n_subjects or 1, n_states, n_parameters) d y0/d parameter; None where
        y0 does not depend on them
    """

    system: System
    stops: StopTable
    times: np.ndarray
    saved: tuple[str, ...]
    start_time: float = 0.0
    y0: np.ndarray | None = None
    parameters: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    start_slope: np.ndarray | None = None

    @property
    def start(self) -> np.ndarray:
        """(n_subjects or 1, n_states) [mg] amounts at the start."""
        if self.y0 is None:
            return np.zeros((1, self.system.n_states))
        return np.atleast_2d(np.asarray(self.y0, dtype=float))

    def tolerance(self, options: SolverOptions) -> np.ndarray:
        """(n_subjects,) [mg] absolute tolerance of each subject, from what it gets and
        what it starts with.
        """
        return options.tolerance(
            np.maximum(self.stops.dose_scale(self.system.n_subjects), self.start.max(axis=1))
        )

    def take(self, subject: int) -> Problem:
        """The same problem for one subject."""
        pick = slice(subject, subject + 1)
        of_one = lambda a: a if a is None or len(a) == 1 else a[pick]
        return replace(
            self,
            system=self.system.take(pick),
            stops=self.stops.take(subject, subject + 1),
            y0=of_one(self.y0),
            start_slope=of_one(self.start_slope),
        )

    def saved_terms(self) -> list[tuple[tuple[int, float], ...]]:
        """(state, factor) terms of each saved observable."""
        return [self.system.observables[name].terms for name in self.saved]

    def area_terms(self) -> list[tuple[tuple[int, float], ...]]:
        """(state, factor) terms of each observable whose area is asked for."""
        return [self.system.observables[name].terms for name in self.areas]


@dataclass(frozen=True, eq=False)
class Trajectories:
    """What a backend returns.

    Parameters
    ----------
    amount : (n_subjects, n_times, n_saved) [mg]; NaN for failed subjects
    balance : (n_subjects, n_times) [mg] sum of all states minus what was given since the
        last reset; None for a system that is not closed
    given : (n_subjects, n_times) [mg] what was given since the last reset
    final : (n_subjects, n_states) [mg] state at the last time
    status : (n_subjects,) int8, see Status
    steps : (n_subjects, 2) accepted and refused steps of the subject's pack
    facts : attributes for provenance (backend, method, ...)
    sensitivity : (n_subjects, n_times, n_saved, n_parameters) d(amount)/d(parameter);
        None if none was asked for
    derivatives : how the coefficients depend on those parameters
    area, moment : (n_subjects, n_times, n_areas) [mg*h], [mg*h^2] integrals of the
        problem's area sums and of time x the sums, from the problem's start to each time
        (time counted from 0 h); None if none was asked for. They go on through doses and
        resets. As integrals of concentrations: :func:`.areas.of_concentrations`
    """

    amount: np.ndarray
    balance: np.ndarray | None
    given: np.ndarray
    final: np.ndarray
    status: np.ndarray
    steps: np.ndarray
    facts: dict[str, Any] = field(default_factory=dict)
    sensitivity: np.ndarray | None = None
    derivatives: tuple[ParameterDerivative, ...] = ()
    area: np.ndarray | None = None
    moment: np.ndarray | None = None


def smallest_problem() -> Problem:
    """One dose in two compartments: what a backend integrates to compile and load
    everything it needs.
    """
    system = System(("depot", "body"), [0, 1, 1], [0, 0, 1], [[-1.0, 1.0, -0.1]])
    stop = StopTable(
        np.array([-1]), np.array([0.0]), np.array([ADD]), np.array([0]), np.array([1.0])
    )
    return Problem(system, stop, np.array([0.0, 1.0]), ("body",))


@dataclass(frozen=True)
class Availability:
    ok: bool
    reason: str


class Backend(Protocol):
    """What every backend offers; one contract test suite runs over all of them.

    Where `integrates_areas` is not set, :func:`.areas.solve` makes states of a problem's
    areas; `solve` does not see them.
    """

    name: str
    integrates_areas: bool

    def available(self) -> Availability:
        """Whether the backend can run here; if not, the reason."""
        ...

    def solve(
        self,
        problem: Problem,
        options: SolverOptions,
        progress: Callable[[int], None] | None = None,
    ) -> Trajectories:
        """Amounts, areas and a status for each subject; `progress` gets numbers of subjects."""
        ...
