"""After the last input concentrations in plasma fall: medians of a forecast are held to that.

Components of a mixture can cross, and the first decoder shifts every query freely, so that medians
may rise again long after the last dose, which no drug does. Here the ln medians of one forecast
after the last input (by mouth: after their peak) are replaced by the nearest falling
sequence (isotonic regression; Barlow et al. 1972). Where the truth falls this can only bring
them nearer to it, in the sum of squares over what is asked. All of a time's distribution moves
along.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import isotonic_regression

from .features import Prepared
from .likelihood import Mixture

#: sites whose concentrations fall: plasma and blood; organs may fill for days
_SITES = 2
#: h of a 70-kg human after the last dose by mouth within which the peak is looked for
_PEAK_WITHIN = 24.0
#: ln rise that is let be
_RISE = 1e-3


def falling(patients: Prepared, mixture: Mixture) -> Mixture:
    """The mixture, its components moved together at each query so that medians fall after the
    last input.
    """
    if mixture.mean.shape[1] < 2:
        return mixture
    median = mixture.quantiles(torch.tensor([0.5]))[..., 0].double().numpy()
    moved = np.zeros_like(median)
    time, site = patients.query_time.numpy(), patients.query_site.numpy()
    mask = patients.query_mask.numpy()
    end, oral = _last_input(patients)
    for which in range(_SITES):
        own = mask & (site == which)
        if own.any():
            moved += _moves(median, time, own, end, oral)
    if not moved.any():
        return mixture
    shift = torch.as_tensor(moved, dtype=mixture.mean.dtype)[..., None]
    return Mixture(mixture.log_weight, mixture.mean + shift, mixture.log_sd)


def _last_input(patients: Prepared) -> tuple[np.ndarray, np.ndarray]:
    """(B,) when the last dose has gone in, and whether one by mouth is being absorbed then."""
    given = patients.dose_mask.numpy()
    stop = np.where(given, (patients.dose_time + patients.dose_duration).numpy(), -np.inf)
    end = stop.max(axis=1)
    near = given & (stop > end[:, None] - _PEAK_WITHIN)
    return end, (near & patients.dose_oral.numpy()).any(axis=1)


def _moves(
    median: np.ndarray, time: np.ndarray, own: np.ndarray, end: np.ndarray, oral: np.ndarray
) -> np.ndarray:
    """(B, Q) by how much ln medians move; `own` (B, Q): those that count."""
    late = own & (time >= end[:, None] - 1e-6)
    order = np.argsort(np.where(late, time, np.inf), axis=1, kind="stable")
    along = lambda a: np.take_along_axis(a, order, axis=1)
    value, when, counts = along(median), along(time), along(late)
    # by mouth the peak comes first
    absorbing = counts & oral[:, None] & (when <= end[:, None] + _PEAK_WITHIN)
    peak = np.where(absorbing, value, -np.inf).argmax(axis=1)
    peak = np.where(absorbing.any(axis=1), peak, 0)
    counts &= np.arange(value.shape[1]) >= peak[:, None]
    rise = np.diff(value, axis=1) > _RISE
    out = np.zeros_like(value)
    for row in np.flatnonzero((rise & counts[:, 1:] & counts[:, :-1]).any(axis=1)):
        at = np.flatnonzero(counts[row])
        nearest = isotonic_regression(value[row, at], increasing=False).x
        out[row, at] = nearest - value[row, at]
    moved = np.zeros_like(out)
    np.put_along_axis(moved, order, out, axis=1)
    return moved


__all__ = ["falling"]
