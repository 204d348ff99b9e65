r"""The terminal slope: log-linear regression over the best window of last points.

.. math:: \ln C = a - \lambda_z t

Every window of the last k quantifiable points, k >= 3, that begins after Tmax and after
the end of the last infusion (as PKNCA does since 0.12: the input that still runs hides
the elimination) is fitted; among the windows that decline, those whose adjusted R2 is
within 1e-4 of the best are equal, and the one with most points wins (the rule of
Phoenix WinNonlin and PKNCA). All windows of all subjects are fitted at once from
running sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .options import NCAOptions


@dataclass(frozen=True, eq=False)
class TerminalFit:
    """One window per subject: arrays (n_subjects,), NaN (0 points) where none could be fitted."""

    lambda_z: np.ndarray  # [1/h]
    clast_pred: np.ndarray  # [mg/L] fitted value at tlast
    first: np.ndarray  # [h]
    last: np.ndarray  # [h]
    points: np.ndarray  # int
    r2: np.ndarray
    adj_r2: np.ndarray
    too_few: np.ndarray  # bool: fewer points than a fit needs
    rising: np.ndarray  # bool: enough points, but no window declines


def fit_terminal(
    time: np.ndarray,
    concentration: np.ndarray,
    last: np.ndarray,
    tmax: np.ndarray,
    bolus: bool,
    options: NCAOptions,
    after: np.ndarray | None = None,
) -> TerminalFit:
    """Terminal fit of every subject.

    Parameters
    ----------
    time, concentration
        (n_subjects, n_points) [h after dose], [mg/L], left-packed, NaN behind the last
        sample.
    last
        (n_subjects,) index of the last quantifiable sample, -1 where there is none.
    tmax
        (n_subjects,) [h].
    bolus
        An iv bolus, where the window may begin at Tmax.
    after
        (n_subjects,) [h] end of the infusion: only later points are used; None: no
        infusion.
    """
    n_subjects, n_points = time.shape
    rows = np.arange(n_subjects)
    index = np.arange(n_points)
    usable = (index <= last[:, None]) & (concentration > 0)
    if options.lambda_z_range is not None:
        lower, upper = options.lambda_z_range
        usable &= (time >= lower) & (time <= upper)
    elif options.include_tmax or (options.include_tmax is None and bolus):
        usable &= time >= tmax[:, None]
    else:
        usable &= time > tmax[:, None]
    if after is not None:
        usable &= time > after[:, None]
    # Both axes are counted from the last point: its neighbours are then near zero and the sums
    # keep their digits.
    anchor = np.clip(last, 0, None)
    with np.errstate(divide="ignore", invalid="ignore"):
        x = np.where(usable, time - time[rows, anchor][:, None], 0.0)
        log_last = np.log(concentration[rows, anchor])
        y = np.where(usable, np.log(concentration) - log_last[:, None], 0.0)
    k, sx, sy, sxx, sxy, syy = (
        _from_the_end(v) for v in (usable.astype(float), x, y, x * x, x * y, y * y)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        vxx, vxy, vyy = sxx - sx * sx / k, sxy - sx * sy / k, syy - sy * sy / k
        slope = vxy / vxx
        # a flat window has no variance to explain
        r2 = np.where(vyy > 0, np.clip(vxy * vxy / (vxx * vyy), 0.0, 1.0), 0.0)
        adj_r2 = 1.0 - (1.0 - r2) * (k - 1.0) / (k - 2.0)
    enough = usable & (k >= options.min_points) & (vxx > 0)
    if options.lambda_z_range is not None:  # one window only: all of its points
        enough &= k == k[:, :1]
    declining = enough & (slope < 0)
    score = np.where(declining, adj_r2, -np.inf)
    best = score.max(axis=1, initial=-np.inf)
    equal = declining & (score >= best[:, None] - (options.adj_r2_factor or 0.0))
    start = np.argmax(equal, axis=1)  # the first true one has the most points
    found = equal.any(axis=1)

    def pick(values: np.ndarray) -> np.ndarray:
        return np.where(found, values[rows, start], np.nan)

    lambda_z = -pick(slope)
    mean_x, mean_y = pick(sx) / pick(k), pick(sy) / pick(k)
    final = n_points - 1 - np.argmax(usable[:, ::-1], axis=1)
    return TerminalFit(
        lambda_z=lambda_z,
        clast_pred=np.exp(mean_y + lambda_z * mean_x + np.where(found, log_last, np.nan)),
        first=pick(time),
        last=np.where(found, time[rows, final], np.nan),
        points=np.where(found, k[rows, start], 0).astype(np.int32),
        r2=pick(r2),
        adj_r2=pick(adj_r2),
        too_few=~enough.any(axis=1),
        rising=enough.any(axis=1) & ~found,
    )


def _from_the_end(values: np.ndarray) -> np.ndarray:
    """Sum of each row from each column to the last."""
    return np.cumsum(values[:, ::-1], axis=1)[:, ::-1]
