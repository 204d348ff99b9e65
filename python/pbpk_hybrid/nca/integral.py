"""Areas of a simulated curve between any two times, from the solver's integrals."""

from __future__ import annotations

import numpy as np

from .area import segment_areas
from .profiles import Integral

#: largest fraction of an interval's area that may be estimated where a dose is between two saved
#: times
OFF_GRID = 0.01


def at_time(
    integral: Integral, concentration: np.ndarray, when: float, start: float, dose: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The integrals up to one time.

    Parameters
    ----------
    integral : Integral
    concentration : ndarray, (n_subjects, n_points), mg/L
        At the integral's times.
    when : float, h
    start : float, h
        First dose: the areas before it are zero.
    dose : bool
        A dose enters at `when`, so that the curve before it does not determine the curve
        after it.

    Returns
    -------
    auc, aumc : ndarray, (n_subjects,), mg/L h and mg/L h^2
        NaN outside the integral's times.
    estimated : ndarray, (n_subjects,), mg/L h
        The part of `auc` that is estimated.
    """
    n, last = len(concentration), len(integral.time) - 1
    zero = np.zeros(n)
    i = int(np.searchsorted(integral.time, when, side="right")) - 1
    if i >= 0 and integral.time[i] == when:
        return integral.auc[:, i], integral.aumc[:, i], zero
    if when <= start:
        return zero, zero, zero
    if i < 0 or i == last:
        return zero + np.nan, zero + np.nan, zero
    part, moment = _part(integral, concentration, i, when, dose)
    return integral.auc[:, i] + part, integral.aumc[:, i] + moment, part


def _part(integral: Integral, concentration, i: int, when: float, dose: bool):
    """Areas from the saved time i to `when`, before the next saved time."""
    time = integral.time
    total = integral.auc[:, i + 1] - integral.auc[:, i]
    before, after = concentration[:, i], concentration[:, i + 1]
    share = (when - time[i]) / (time[i + 1] - time[i])
    with np.errstate(invalid="ignore", divide="ignore"):
        if dose:  # the decline of the last two times goes on until the dose
            slope = np.zeros(len(before))
            if i > 0:
                slope = np.log(before / concentration[:, i - 1]) / (time[i] - time[i - 1])
            end = before * np.exp(
                np.where(np.isfinite(slope) & (slope < 0), slope, 0.0) * (when - time[i])
            )
        else:
            exponential = (before > 0) & (after > 0)
            end = np.where(
                exponential, before * (after / before) ** share, before + (after - before) * share
            )
    area, moment = _segment(time[i], when, before, end)
    if not dose:  # both sides are known: the whole segment fixes the scale
        whole, _ = _segment(time[i], time[i + 1], before, after)
        with np.errstate(invalid="ignore", divide="ignore"):
            scale = np.where(whole > 0, total / whole, 1.0)
    else:
        with np.errstate(invalid="ignore", divide="ignore"):
            scale = np.where(area > total, total / area, 1.0)
    return area * scale, moment * scale


def _segment(t1: float, t2: float, c1: np.ndarray, c2: np.ndarray):
    time = np.broadcast_to(np.array([t1, t2]), (len(c1), 2))
    auc, aumc = segment_areas(time, np.stack([c1, c2], axis=1), "log")
    return auc[:, 0], aumc[:, 0]
