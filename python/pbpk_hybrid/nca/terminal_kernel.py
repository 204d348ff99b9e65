"""The windows of the terminal slope, compiled: the same sums in the same order as
:mod:`.terminal`'s arrays, so that both give the same numbers to the last bit.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: columns of what is found for each subject
COLUMNS = ("slope", "mean_x", "mean_y", "first", "last", "points", "r2", "adj_r2")


@njit(cache=True, nogil=True, error_model="numpy")
def best_windows(
    time: np.ndarray,
    log_concentration: np.ndarray,
    usable: np.ndarray,
    anchor: np.ndarray,
    min_points: int,
    whole: bool,
    factor: float,
    found: np.ndarray,
    fitted: np.ndarray,
) -> None:
    """Fit every window of last points of every subject, and keep the best.

    Parameters
    ----------
    time, log_concentration, usable : (n_subjects, n_points)
    anchor : (n_subjects,) the last quantifiable sample, from which x and y are counted
    whole : only the window of all usable points counts
    factor : windows whose adjusted R2 is within this of the best are equal
    found : (n_subjects, 8) is written, by :data:`COLUMNS`; NaN and 0 points where there is none
    fitted : (n_subjects,) is written: whether any window has enough points
    """
    n_points = time.shape[1]
    slope, adjusted = np.empty(n_points), np.empty(n_points)
    count, r2 = np.empty(n_points), np.empty(n_points)
    sum_x, sum_y = np.empty(n_points), np.empty(n_points)
    declining = np.empty(n_points, np.bool_)
    for s in range(len(time)):
        t0, y0 = time[s, anchor[s]], log_concentration[s, anchor[s]]
        all_points = 0
        for i in range(n_points):
            if usable[s, i]:
                all_points += 1
        k = sx = sy = sxx = sxy = syy = 0.0
        best = -np.inf
        enough_somewhere = False
        last = -1
        for i in range(n_points - 1, -1, -1):
            declining[i] = False
            if not usable[s, i]:
                continue
            if last < 0:
                last = i
            x, y = time[s, i] - t0, log_concentration[s, i] - y0
            k += 1.0
            sx += x
            sy += y
            sxx += x * x
            sxy += x * y
            syy += y * y
            vxx = sxx - sx * sx / k
            if k < min_points or not vxx > 0.0 or (whole and k != all_points):
                continue
            enough_somewhere = True
            vxy = sxy - sx * sy / k
            vyy = syy - sy * sy / k
            slope[i] = vxy / vxx
            share = 0.0
            if vyy > 0.0:
                share = min(max(vxy * vxy / (vxx * vyy), 0.0), 1.0)
            r2[i] = share
            adjusted[i] = 1.0 - (1.0 - share) * (k - 1.0) / (k - 2.0)
            count[i], sum_x[i], sum_y[i] = k, sx, sy
            if slope[i] < 0.0:
                declining[i] = True
                best = max(best, adjusted[i])
        fitted[s] = enough_somewhere
        found[s, :] = np.nan
        found[s, 5] = 0.0
        for i in range(n_points):
            if declining[i] and adjusted[i] >= best - factor:
                found[s, 0] = slope[i]
                found[s, 1] = sum_x[i] / count[i]
                found[s, 2] = sum_y[i] / count[i]
                found[s, 3] = time[s, i]
                found[s, 4] = time[s, last]
                found[s, 5] = count[i]
                found[s, 6] = r2[i]
                found[s, 7] = adjusted[i]
                break


__all__ = ["COLUMNS", "best_windows"]
