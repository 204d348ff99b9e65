r"""Areas under the curve and under the first-moment curve between neighbouring samples.

With :math:`L = \ln(C_1/C_2)` and :math:`\Delta = t_2 - t_1`:

.. math::
   \text{linear:}\quad AUC = \tfrac{1}{2}(C_1 + C_2)\Delta,\qquad
   AUMC = \tfrac{1}{2}(t_1 C_1 + t_2 C_2)\Delta

   \text{log:}\quad AUC = (C_1 - C_2)\Delta / L,\qquad
   AUMC = (t_1 C_1 - t_2 C_2)\Delta/L + (C_1 - C_2)\Delta^2/L^2

The log rule is exact for an exponential. Source: Gabrielsson & Weiner (2016)
Pharmacokinetic and Pharmacodynamic Data Analysis, 5th ed., section 2.8.
"""

from __future__ import annotations

import numpy as np

#: below this |L| the closed form of the log moment loses digits to cancellation; ten terms of
#: its series do not
_SMALL = 0.1
_SERIES = [(-1.0) ** n / (float(np.prod(np.arange(1, n + 1))) * (n + 2)) for n in range(10)]


def segment_areas(
    time: np.ndarray, concentration: np.ndarray, method: str, tmax: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """AUC and AUMC of every interval between two neighbouring samples.

    Parameters
    ----------
    time, concentration
        (n_subjects, n_points) [h], [mg/L]; NaN where there is no sample.
    method
        One of ``AUC_METHODS``.
    tmax
        (n_subjects,) [h], needed by "linear_log".

    Returns
    -------
    auc [mg/L h], aumc [mg/L h^2] : (n_subjects, n_points - 1); NaN where an end is missing
    """
    t1, t2 = time[:, :-1], time[:, 1:]  # (subject, segment)
    c1, c2 = concentration[:, :-1], concentration[:, 1:]
    step = t2 - t1
    auc = 0.5 * (c1 + c2) * step
    aumc = 0.5 * (t1 * c1 + t2 * c2) * step
    if method == "linear":
        return auc, aumc
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        # the log rule needs two positive values that differ; elsewhere the linear one holds
        use_log = (c1 > 0) & (c2 > 0) & (c1 != c2)
        if method in ("linear_up_log_down", "linear_log"):
            use_log &= c2 < c1
        if method == "linear_log":
            use_log &= t1 >= tmax[:, None]
        # log1p keeps every digit when the two values are close, where log(c1 / c2) would not
        ratio = np.log1p((c1 - c2) / c2)
        log_auc = (c1 - c2) * step / ratio
        log_aumc = t1 * log_auc + step**2 * c1 * _log_moment(ratio)
    return np.where(use_log, log_auc, auc), np.where(use_log, log_aumc, aumc)


def _log_moment(ratio: np.ndarray) -> np.ndarray:
    r""":math:`(1 - e^{-L}(1 + L))/L^2`: the moment of an exponential about the interval's start."""
    small = np.abs(ratio) < _SMALL
    safe = np.where(small, 1.0, ratio)
    closed = (1.0 - np.exp(-safe) * (1.0 + safe)) / safe**2
    return np.where(
        small, np.polynomial.polynomial.polyval(np.where(small, ratio, 0.0), _SERIES), closed
    )


def value_at(
    time: np.ndarray,
    concentration: np.ndarray,
    at: float,
    method: str,
    tmax: np.ndarray,
    lambda_z: np.ndarray,
    clast: np.ndarray,
    tlast: np.ndarray,
) -> np.ndarray:
    """Concentration at one time: measured, interpolated, or beyond tlast by lambda_z.

    The integration rule interpolates.

    Parameters
    ----------
    time, concentration
        (n_subjects, n_points), left-packed, NaN behind the last sample.
    at
        [h].
    lambda_z, clast, tlast, tmax
        (n_subjects,).

    Returns
    -------
    array
        (n_subjects,) [mg/L], NaN where it cannot be known.
    """
    rows = np.arange(len(time))
    # index of the last sample at or before the time; NaN compares false
    before = np.sum(time <= at, axis=1) - 1
    has_both = (before >= 0) & (before + 1 < time.shape[1])
    i = np.clip(before, 0, time.shape[1] - 1)
    j = np.clip(before + 1, 0, time.shape[1] - 1)
    t1, t2, c1, c2 = time[rows, i], time[rows, j], concentration[rows, i], concentration[rows, j]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = (at - t1) / (t2 - t1)
        linear = c1 + (c2 - c1) * part
        use_log = (c1 > 0) & (c2 > 0) & (method != "linear")
        if method in ("linear_up_log_down", "linear_log"):
            use_log &= c2 < c1
        if method == "linear_log":
            use_log &= t1 >= tmax
        between = np.where(use_log, c1 * (c2 / c1) ** part, linear)
        beyond = clast * np.exp(-lambda_z * (at - tlast))
        inside = np.where(has_both & (at <= tlast), between, np.nan)
        out = np.where(at > tlast, beyond, inside)
    # a sample at this very time is the measured value, whatever the rule
    return np.where((before >= 0) & (t1 == at), c1, out)


def tail_areas(
    clast: np.ndarray, lambda_z: np.ndarray, tlast: np.ndarray, length: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """AUC and AUMC of the terminal exponential from tlast on, for `length` [h] or to infinity.

    As in PKNCA and Phoenix WinNonlin it does not depend on the integration rule: no rule has a
    straight line beyond the last sample.
    """
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        decay = np.exp(-lambda_z * length)
        rest = np.where(
            np.isinf(length),
            0.0,
            decay * (1.0 + lambda_z * np.where(np.isinf(length), 0.0, length)),
        )
        auc = clast * (1.0 - decay) / lambda_z
        return auc, tlast * auc + clast * (1.0 - rest) / lambda_z**2
