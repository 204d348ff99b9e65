"""From parameter values to predictions of the observations, with derivatives by the
engine's forward sensitivities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from .._core import schemas
from .._core.errors import InputError, unknown_name
from ..dosing import Regimen, just_before
from ..dosing.conversion import as_regimen
from ..models.system.named import named, own_values, with_values
from ..models.system.system import System
from ..solvers.base import Problem, SolverOptions
from ..solvers.doses import dose_stops, steady_state_stops
from ..solvers.select import choose_backend
from .steady import SETTLED, TRIED, check, has_steady_state, written_out


@dataclass(frozen=True)
class Data:
    """The observations as arrays: value, lloq [mg/L], censored, and where each is found
    in a simulation.

    `at` is the time at which to look: just before `time` where the sample was taken
    before a dose of the same time.
    """

    value: np.ndarray
    lloq: np.ndarray
    censored: np.ndarray
    time: np.ndarray
    subject: np.ndarray  # number of the subject
    compartment: np.ndarray  # number in `compartments`
    compartments: tuple[str, ...]
    labels: np.ndarray
    at: np.ndarray

    def __len__(self) -> int:
        return len(self.value)


def read_observations(
    observation: xr.Dataset,
    system: System,
    compartments: Mapping[str, str] | None,
    zero: bool = False,
) -> Data:
    """Check the observations and find their subject and compartment in the system.

    Raises
    ------
    SchemaError, InputError, UnknownNameError : no observation, one of a subject or matrix
        that the model does not have, or a value of 0 that is not marked as censored,
        unless `zero` allows it
    """
    schemas.validate(observation, "observation")
    n = observation.sizes["sample"]
    if n == 0:
        raise InputError("observation", 0, "at least one observation")
    value = observation["value"].values.astype(float)
    censored = np.zeros(n, dtype=bool)
    if "censored" in observation:
        censored = observation["censored"].values.astype(bool)
    lloq = observation["lloq"].values.astype(float) if "lloq" in observation else np.full(n, np.nan)
    keep = censored | np.isfinite(value)
    time = observation["time"].values.astype(float)
    _check_values(value, lloq, censored, keep, time, zero)
    who = observation["subject"].values.astype(str)
    used, where = _matrices(observation["matrix"].values.astype(str), system, compartments, keep)
    return Data(
        value[keep],
        lloq[keep],
        censored[keep],
        time[keep],
        _subjects(who, system, keep)[keep],
        where[keep],
        used,
        who[keep],
        _when(observation, time)[keep],
    )


def _check_values(
    value: np.ndarray,
    lloq: np.ndarray,
    censored: np.ndarray,
    keep: np.ndarray,
    time: np.ndarray,
    zero: bool,
) -> None:
    """Refuse observations that no error model takes; all arrays are (n_samples,)."""
    if not keep.any():
        raise InputError("observation.value", "NaN", "at least one value")
    if (bad := np.flatnonzero(censored & ~(lloq > 0))).size:
        raise InputError(
            f"observation.lloq[{bad[0]}]",
            float(lloq[bad[0]]),
            "a number > 0 where the value is censored",
        )
    with np.errstate(invalid="ignore"):
        low = ~((value >= 0) if zero else (value > 0))
    if (bad := np.flatnonzero(keep & ~censored & low)).size:
        raise InputError(
            f"observation.value[{bad[0]}]",
            float(value[bad[0]]),
            "a number > 0 [mg/L] with this error model",
            hint="mark values below quantification with censored = 1 and their lloq (--lloq)",
        )
    if (bad := np.flatnonzero(time < 0)).size:
        raise InputError(f"observation.time[{bad[0]}]", float(time[bad[0]]), "a time >= 0 h")


def _subjects(who: np.ndarray, system: System, keep: np.ndarray) -> np.ndarray:
    """(n_samples,) positions of the samples' subjects in the system."""
    if system.n_subjects == 1:
        return np.zeros(len(who), dtype=int)
    number = {str(s): i for i, s in enumerate(system.subjects)}
    for label in dict.fromkeys(who[keep]):
        if label not in number:
            raise unknown_name("observation.subject", label, number, what="a subject of the model")
    return np.array([number.get(w, 0) for w in who])


def _matrices(
    matrix: np.ndarray,
    system: System,
    compartments: Mapping[str, str] | None,
    keep: np.ndarray,
) -> tuple[tuple[str, ...], np.ndarray]:
    """Compartments that were sampled, and (n_samples,) which of them each sample is of."""
    given = {"serum": "plasma", **(compartments or {})}
    names = np.array([given.get(m, m) for m in matrix])
    used = tuple(dict.fromkeys(names[keep]))
    for name in used:
        if name not in system.observables:
            raise unknown_name(
                "observation.matrix", name, system.observables, what="a compartment of the model"
            )
    return used, np.array([used.index(m) if m in used else 0 for m in names])


def _when(observation: xr.Dataset, time: np.ndarray) -> np.ndarray:
    if "before_dose" not in observation:
        return time
    return np.where(observation["before_dose"].values.astype(bool), just_before(time), time)


def _of_the_only_one(system: System, regimen: Regimen, data: Data) -> Regimen:
    """The doses of one patient for a model of one subject, whatever number either has.

    Raises
    ------
    InputError : doses of several patients, or samples of others than the one who has the doses
    """
    who = regimen.columns["subject"]
    own = np.unique(who[who >= 0])
    if system.n_subjects > 1 or not own.size:
        return regimen
    labels = list(dict.fromkeys(data.labels.tolist()))
    if own.size > 1 or len(labels) > 1:
        raise InputError(
            "model",
            "1 subject",
            f"one subject for each patient: doses are for {own.size}, samples from {len(labels)}",
            hint="build the model from one person per ID, with their IDs as coordinate subject",
        )
    if labels[0].isdigit() and int(labels[0]) != own[0] and own[0] != 0:
        raise InputError(
            "observation.subject", labels[0], f"the subject of the doses, {int(own[0])}"
        )
    return Regimen({**regimen.columns, "subject": np.full(len(who), -1)}, span=regimen.span)


class Predictor:
    """Concentrations at the observations, and their derivatives by the model's parameters.

    Parameters
    ----------
    targets : the system's parameters that change and by which to differentiate
    """

    def __init__(
        self,
        system: System,
        data: Data,
        regimen: Regimen | str | xr.Dataset,
        targets: tuple[str, ...],
        *,
        body_weight: np.ndarray | None = None,
        lag_time: float = 0.0,
        backend: str = "embedded",
        options: SolverOptions | None = None,
    ):
        self.system, self.data, self.targets = named(system), data, targets
        chosen = options or SolverOptions()
        # one method for values and gradients
        self.options = replace(chosen, method=chosen.integrator)
        if self.options.method == "expm":
            raise InputError(
                "options.method", "expm", "a method with sensitivities, such as 'rodas5p'"
            )
        self.backend, _ = choose_backend(backend)
        regimen = _of_the_only_one(system, as_regimen(regimen), data)
        self.regimen, self.body_weight, self.lag_time = regimen, body_weight, lag_time
        self.own = own_values(self.system)
        self.calls = 0
        self.steady_doses = 0
        how = {"system": system, "body_weight": body_weight, "lag_time": lag_time}
        if has_steady_state(regimen):
            self._settle(regimen, how)
        else:
            self._dose(regimen, 0.0, how)

    def _dose(self, regimen: Regimen, later: float, how: Mapping[str, Any]) -> None:
        """Take these doses, `later` [h] than the observations count."""
        time = self.data.time + later
        at = np.where(self.data.at < self.data.time, just_before(time), time)
        self.times, self.row = np.unique(at, return_inverse=True)
        doses = dose_stops(regimen=regimen, horizon=self.times[-1], **how)
        self.stops, _ = steady_state_stops(how["system"], doses, self.backend, self.options)
        self.start = float(min(self.times[0], doses.first_time))

    def _settle(self, regimen: Regimen, how: Mapping[str, Any]) -> None:
        """Write steady states out as doses, as many as the predictions need, and as many again.

        Raises
        ------
        InputError : a steady state in the middle of a record, or one that is not near
            after 512 doses
        """
        labels = np.asarray(self.system.subjects)
        check(regimen, self.data, labels if labels.dtype.kind in "iu" else np.arange(len(labels)))
        self._given, self._how = regimen, how
        last = None
        for n in TRIED:
            self._dose(*written_out(regimen, n), how)
            value, _ = self({}, slopes=False)
            if not np.isfinite(value).all():
                return  # the fit says that the model cannot be integrated at its initial values
            if last is not None and np.abs(value - last).max() <= SETTLED * np.abs(value).max():
                self.steady_doses = n
                return
            last = value
        raise InputError(
            "regimen",
            "a steady-state record (SS)",
            f"a steady state that {TRIED[-1]} doses reach",
            hint="give the doses that were taken one by one, or by ADDL and II",
        )

    def unsettled(self, values: Mapping[str, np.ndarray]) -> float:
        """By how much, relative to the largest, predictions change with twice as many
        doses before the steady states.
        """
        if not self.steady_doses:
            return 0.0
        value, _ = self(values, slopes=False)
        kept = self.times, self.row, self.stops, self.start
        self._dose(*written_out(self._given, 2 * self.steady_doses), self._how)
        more, _ = self(values, slopes=False)
        self.times, self.row, self.stops, self.start = kept
        return float(np.abs(more - value).max() / np.abs(more).max())

    def __call__(
        self, values: Mapping[str, np.ndarray], slopes: bool = True
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Predictions (n_observations,) and derivatives (n_observations, n_targets) at
        values of the targets.

        `values`: target -> (n_subjects or 1,). A subject that cannot be integrated has NaN.
        """
        self.calls += 1
        system = with_values(self.system, {**self.own, **values})
        names = self.targets if slopes else ()
        problem = Problem(
            system, self.stops, self.times, self.data.compartments, self.start, None, names
        )
        result = self.backend.solve(problem, self.options)
        s, t, o = self.data.subject, self.row, self.data.compartment
        factors = np.stack(
            [
                np.broadcast_to(system.observables[n].factor, (system.n_subjects,))
                for n in self.data.compartments
            ],
            axis=1,
        )
        amount, factor = result.amount[s, t, o], factors[s, o]
        value = amount * factor
        for number, name in enumerate(self.data.compartments):
            if (offset := system.observables[name].offset) is not None:
                mine = o == number
                value[mine] += np.broadcast_to(offset, (system.n_subjects,))[s[mine]]
        if not slopes:
            return value, None
        slope = result.sensitivity[s, t, o] * factor[:, None]
        for q, d in enumerate(result.derivatives):
            for number, name in enumerate(self.data.compartments):
                if name in d.factor:
                    mine = o == number
                    moved = np.broadcast_to(d.factor[name], (system.n_subjects,))
                    slope[mine, q] += amount[mine] * moved[s[mine]]
                if name in d.offset:
                    mine = o == number
                    slope[mine, q] += np.broadcast_to(d.offset[name], (system.n_subjects,))[s[mine]]
        return value, slope
