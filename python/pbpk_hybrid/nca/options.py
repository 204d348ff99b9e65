"""How a noncompartmental analysis is done: all choices in one place."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._core.errors import InputError, unknown_name

#: integration rules between two samples; see :mod:`.area`
AUC_METHODS = ("linear_up_log_down", "linear", "linear_log", "log")
ROUTES = ("iv_bolus", "iv_infusion", "oral")
BLQ_RULES = ("keep", "drop")


@dataclass(frozen=True)
class NCAOptions:
    """Rules of the analysis.

    The defaults are those of PKNCA 0.12 and, where it has none, of Phoenix WinNonlin.

    Parameters
    ----------
    auc_method
        None: areas of a simulation as the solver integrated them, and
        "linear_up_log_down" where there are none; or by name "linear_up_log_down",
        "linear", "linear_log" (log after Tmax) or "log", for simulations too.
    min_points
        Points that a terminal fit needs at least.
    adj_r2_factor
        Windows whose adjusted R2 is within this of the best count as equal; the longest
        of them wins. None: 1e-4, and 1e-6 for a simulation with the solver's areas,
        where no noise is to be averaged out and a long window only takes in the end of
        distribution.
    include_tmax
        Let the terminal fit start at Tmax; None: only after an iv bolus.
    lambda_z_range
        (first, last) time after the dose [h]: fit all points in it, choose nothing.
    min_adj_r2, min_span_ratio, max_extrapolated
        Limits beyond which a subject is flagged (adjusted R2; window length in
        half-lives, of a simulation with the solver's areas the length of the whole
        decline; extrapolated part of AUC_inf [%]).
    max_first_interval
        [%] of AUC_inf: an intravenous dose is flagged if the area before its first sample is
        larger, because a trapezoid does not follow the curve there.
    steady_state_tolerance
        [%] of repeated equal doses: by how much AUC_tau may still rise, judged from its
        last differences, for clearance to be computed from it.
    blq_first, blq_middle, blq_last
        "keep" (as 0) or "drop" values below the limit of quantification that come
        before the first, between, and after the last quantifiable value.
    dose_time
        [h] time of the dose; earlier samples are left out, and times in the result
        count from it. None: 0, or what the dose records say; of several doses in the
        records a time selects one.
    end
        [h] after the dose, last time used; None: all (at steady state: tau).
    tau
        [h] dosing interval; adds the interval's metrics.
    steady_state
        The profile is one dosing interval at steady state: clearance comes from
        AUC_tau, MRT from the steady-state formula.

    Raises
    ------
    InputError, UnknownNameError
        A value that cannot be used.
    """

    auc_method: str | None = None
    min_points: int = 3
    adj_r2_factor: float | None = None
    include_tmax: bool | None = None
    lambda_z_range: tuple[float, float] | None = None
    min_adj_r2: float = 0.9
    min_span_ratio: float = 2.0
    max_extrapolated: float = 20.0
    max_first_interval: float = 20.0
    steady_state_tolerance: float = 0.5
    blq_first: str = "keep"
    blq_middle: str = "drop"
    blq_last: str = "keep"
    dose_time: float | None = None
    end: float | None = None
    tau: float | None = None
    steady_state: bool = False

    def __post_init__(self) -> None:
        if self.auc_method is not None and self.auc_method not in AUC_METHODS:
            raise unknown_name("auc_method", self.auc_method, AUC_METHODS)
        for name in ("blq_first", "blq_middle", "blq_last"):
            if getattr(self, name) not in BLQ_RULES:
                raise unknown_name(name, getattr(self, name), BLQ_RULES)
        if (
            isinstance(self.min_points, bool)
            or not isinstance(self.min_points, int)
            or self.min_points < 3
        ):
            raise InputError("min_points", self.min_points, "an integer >= 3")
        if self.dose_time is not None:
            _finite("dose_time", self.dose_time)
        if self.adj_r2_factor is not None:
            _at_least("adj_r2_factor", self.adj_r2_factor, 0.0)
        _at_least("min_span_ratio", self.min_span_ratio, 0.0)
        _at_least("max_extrapolated", self.max_extrapolated, 0.0)
        _at_least("max_first_interval", self.max_first_interval, 0.0)
        _at_least("steady_state_tolerance", self.steady_state_tolerance, 0.0)
        _finite("min_adj_r2", self.min_adj_r2)
        for name in ("end", "tau"):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and math.isfinite(value) and value > 0):
                raise InputError(name, value, "a number > 0 [h]")
        if self.lambda_z_range is not None:
            window = self.lambda_z_range
            if not (
                isinstance(window, tuple)
                and len(window) == 2
                and all(map(_is_number, window))
                and 0 <= window[0] < window[1]
            ):
                raise InputError(
                    "lambda_z_range",
                    window,
                    "(first, last) with 0 <= first < last [h after the dose]",
                )
        if self.steady_state and self.tau is None:
            raise InputError("tau", None, "the dosing interval [h], since steady_state is set")

    @property
    def rule(self) -> str:
        """Integration rule between samples."""
        return self.auc_method or AUC_METHODS[0]

    @property
    def last_time(self) -> float:
        """[h] after the dose, beyond which samples are left out."""
        if self.end is not None:
            return float(self.end)
        return float(self.tau) if self.steady_state and self.tau is not None else math.inf


def _is_number(value: object) -> bool:
    import numbers

    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _finite(name: str, value: object) -> None:
    if not (_is_number(value) and math.isfinite(value)):
        raise InputError(name, value, "a finite number")


def _at_least(name: str, value: object, minimum: float) -> None:
    if not (_is_number(value) and math.isfinite(value) and value >= minimum):
        raise InputError(name, value, f"a number >= {minimum:g}")
