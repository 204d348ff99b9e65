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

#: subjects from which on compiled code is worth loading; the numbers are the same bit for bit
COMPILED_FROM = 64


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
    time, concentration : ndarray, (n_subjects, n_points), h after dose and mg/L
        Left-packed, NaN behind the last sample.
    last : ndarray, (n_subjects,)
        Index of the last quantifiable sample, -1 where there is none.
    tmax : ndarray, (n_subjects,), h
    bolus : bool
        An iv bolus, where the window may begin at Tmax.
    options : NCAOptions
    after : ndarray, (n_subjects,), h, optional
        End of the infusion: only later points are used. None: no infusion.
    """
    usable = _usable(time, concentration, last, tmax, bolus, options, after)
    if len(time) >= COMPILED_FROM:
        return _compiled(time, concentration, last, usable, options)
    return _by_arrays(time, concentration, last, usable, options)


def _compiled(
    time: np.ndarray,
    concentration: np.ndarray,
    last: np.ndarray,
    usable: np.ndarray,
    options: NCAOptions,
) -> TerminalFit:
    """The fits by a compiled loop: many subjects in a fifth of the time."""
    from .terminal_kernel import COLUMNS, best_windows  # loads the compiler

    rows, anchor = np.arange(len(time)), np.clip(last, 0, None)
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithm = np.log(concentration)
    found, fitted = np.empty((len(time), len(COLUMNS))), np.empty(len(time), dtype=bool)
    best_windows(
        np.ascontiguousarray(time),
        logarithm,
        usable,
        anchor,
        options.min_points,
        options.lambda_z_range is not None,
        options.adj_r2_factor or 0.0,
        found,
        fitted,
    )
    slope, mean_x, mean_y, first, final, points, r2, adj_r2 = found.T.copy()
    lambda_z = -slope
    some = points > 0
    log_last = np.where(some, logarithm[rows, anchor], np.nan)
    return TerminalFit(
        lambda_z=lambda_z,
        clast_pred=np.exp(mean_y + lambda_z * mean_x + log_last),
        first=first,
        last=final,
        points=points.astype(np.int32),
        r2=r2,
        adj_r2=adj_r2,
        too_few=~fitted,
        rising=fitted & ~some,
    )


def _by_arrays(
    time: np.ndarray,
    concentration: np.ndarray,
    last: np.ndarray,
    usable: np.ndarray,
    options: NCAOptions,
) -> TerminalFit:
    """The fits by running sums over arrays: a few subjects without the compiler."""
    sums = _Sums.of(time, concentration, last, usable)
    slope, r2, adj_r2 = sums.regression()  # (subject, first point of the window)
    enough = usable & (sums.k >= options.min_points) & (sums.variance > 0)
    if options.lambda_z_range is not None:  # one window only: all of its points
        enough &= sums.k == sums.k[:, :1]
    start, found = _best_window(enough & (slope < 0), adj_r2, options.adj_r2_factor or 0.0)
    fitted = np.asarray(enough.any(axis=1))  # whether any window has enough points
    rows = np.arange(len(time))

    def pick(values: np.ndarray) -> np.ndarray:
        return np.where(found, values[rows, start], np.nan)

    lambda_z = -pick(slope)
    mean_x, mean_y = pick(sums.x) / pick(sums.k), pick(sums.y) / pick(sums.k)
    final = time.shape[1] - 1 - np.argmax(usable[:, ::-1], axis=1)  # last usable point
    return TerminalFit(
        lambda_z=lambda_z,
        clast_pred=np.exp(mean_y + lambda_z * mean_x + np.where(found, sums.log_last, np.nan)),
        first=pick(time),
        last=np.where(found, time[rows, final], np.nan),
        points=np.where(found, sums.k[rows, start], 0).astype(np.int32),
        r2=pick(r2),
        adj_r2=pick(adj_r2),
        too_few=~fitted,
        rising=fitted & ~found,
    )


def _usable(
    time: np.ndarray,
    concentration: np.ndarray,
    last: np.ndarray,
    tmax: np.ndarray,
    bolus: bool,
    options: NCAOptions,
    after: np.ndarray | None,
) -> np.ndarray:
    """Points (n_subjects, n_points) that a terminal window may hold, as bool."""
    usable = (np.arange(time.shape[1]) <= last[:, None]) & (concentration > 0)
    if options.lambda_z_range is not None:
        lower, upper = options.lambda_z_range
        usable &= (time >= lower) & (time <= upper)
    elif options.include_tmax or (options.include_tmax is None and bolus):
        usable &= time >= tmax[:, None]
    else:
        usable &= time > tmax[:, None]
    if after is not None:
        usable &= time > after[:, None]
    return usable


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums over each window of last points, (n_subjects, n_points) by its first point.

    x is the time and y the log concentration, both counted from the last quantifiable point: its
    neighbours are then near zero and the sums keep their digits.
    """

    k: np.ndarray  # number of points
    x: np.ndarray
    y: np.ndarray
    xx: np.ndarray
    xy: np.ndarray
    yy: np.ndarray
    log_last: np.ndarray  # (n_subjects,) log of the last quantifiable concentration

    @classmethod
    def of(
        cls, time: np.ndarray, concentration: np.ndarray, last: np.ndarray, usable: np.ndarray
    ) -> _Sums:
        """Running sums of the usable points."""
        rows, anchor = np.arange(len(time)), np.clip(last, 0, None)
        with np.errstate(divide="ignore", invalid="ignore"):
            x = np.where(usable, time - time[rows, anchor][:, None], 0.0)
            log_last = np.log(concentration[rows, anchor])
            y = np.where(usable, np.log(concentration) - log_last[:, None], 0.0)
        k, sx, sy, sxx, sxy, syy = (
            _from_the_end(v) for v in (usable.astype(float), x, y, x * x, x * y, y * y)
        )
        return cls(k, sx, sy, sxx, sxy, syy, log_last)

    @property
    def variance(self) -> np.ndarray:
        """Sum of squared differences of x from its mean."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.xx - self.x * self.x / self.k

    def regression(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Slope, R2 and adjusted R2 of each window."""
        vxx = self.variance
        with np.errstate(divide="ignore", invalid="ignore"):
            vxy = self.xy - self.x * self.y / self.k
            vyy = self.yy - self.y * self.y / self.k
            # a flat window has no variance to explain
            r2 = np.where(vyy > 0, np.clip(vxy * vxy / (vxx * vyy), 0.0, 1.0), 0.0)
            return vxy / vxx, r2, 1.0 - (1.0 - r2) * (self.k - 1.0) / (self.k - 2.0)


def _best_window(
    declining: np.ndarray, adj_r2: np.ndarray, factor: float
) -> tuple[np.ndarray, np.ndarray]:
    """First point of the best declining window, and whether there is one; (n_subjects,) each."""
    score = np.where(declining, adj_r2, -np.inf)
    best = score.max(axis=1, initial=-np.inf)
    equal = declining & (score >= best[:, None] - factor)
    return np.argmax(equal, axis=1), equal.any(axis=1)  # the first true one has the most points


def _from_the_end(values: np.ndarray) -> np.ndarray:
    """Sum of each row from each column to the last, (subject, point)."""
    return np.cumsum(values[:, ::-1], axis=1)[:, ::-1]
