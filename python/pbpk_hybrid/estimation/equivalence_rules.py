r"""How a trial is judged: average bioequivalence, ABEL (EMA), RSABE (FDA); for many trials at once.

- **average**: the 100 (1 - 2 alpha) % interval of the ratio lies within 0.80 to 1.25 (Schuirmann
  1987, J Pharmacokinet Biopharm 15:657).
- **EMA**: for Cmax, where the reference's within-subject CV is above 30 %, limits are
  :math:`\exp(\mp 0.760\, s_{wR})`, not wider than at 50 % (0.6984 to 1.4319), and the point
  estimate lies within 0.80 to 1.25. AUC by the average rule (CPMP/EWP/QWP/1401/98 Rev. 1, 2010,
  section 4.1.10).
- **FDA**: where :math:`s_{wR} \ge 0.294` the 95 % upper bound of
  :math:`(\mu_T - \mu_R)^2 - \theta s_{wR}^2`, :math:`\theta = (\ln 1.25/0.25)^2`, is not above 0,
  and the point estimate lies within 0.80 to 1.25; else the average rule. The bound is Howe's
  approximation with the contrasts of the SAS code in the FDA's draft guidance on progesterone
  (2011): the mean of :math:`\bar T - \bar R` over sequences, and the variance of
  :math:`R_1 - R_2` halved. Where a trial is not scaled, the interval is that of the same contrast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._core.errors import InputError, unknown_name
from .._core.units import quantity
from .equivalence_designs import Design

RULES = ("average", "EMA", "FDA")
_LIMITS = (0.8, 1.25)
#: EMA: regulatory constant, CV above which limits widen, CV at which they stop
_EMA_CONSTANT, _EMA_SWITCH, _EMA_CAP = 0.760, 0.30, 0.50
#: FDA: within-subject sd at which scaling starts, and sigma_w0
_FDA_SWITCH, _FDA_SD = 0.294, 0.25


@dataclass(frozen=True, eq=False)
class Judgement:
    """Trials and whether they pass; arrays (n_trials,).

    Parameters
    ----------
    ratio, lower, upper : ndarray
        Of geometric means, test over reference, with the 1 - 2 alpha interval.
    equivalent : ndarray of bool
    low, high : ndarray
        Limits that the interval was held against; NaN where the FDA's scaled criterion was.
    cv_reference : ndarray
        Within-subject coefficient of variation of the reference; NaN where it is not given twice.
    bound : ndarray
        The FDA's criterion, at most 0 to pass; NaN where it was not used.
    """

    ratio: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    equivalent: np.ndarray
    low: np.ndarray
    high: np.ndarray
    cv_reference: np.ndarray
    bound: np.ndarray


def check_rule(rule: str, design: Design) -> str:
    """A rule that can be used with a design.

    Raises
    ------
    InputError, UnknownNameError
    """
    if rule not in RULES:
        raise unknown_name("rule", rule, RULES, what="a rule")
    if rule != "average" and not design.replicate:
        hint = "'2x2x4', '2x2x3' or '2x3x3'"
        raise InputError("design", design.name, f"a replicate design for {rule}", hint=hint)
    return rule


def judge(
    log_values: np.ndarray,
    design: Design,
    rule: str = "average",
    *,
    metric: str = "cmax",
    limits: tuple[float, float] = _LIMITS,
    alpha: float = 0.05,
) -> Judgement:
    """Judge many trials of one design.

    Parameters
    ----------
    log_values : ndarray, (n_subjects, n_periods, n_trials)
        Log of AUC or Cmax.
    design : Design
    rule : str
        "average", "EMA" or "FDA".
    metric : str
        "cmax" or "auc": the EMA widens the limits of Cmax only.
    limits : (float, float)
        Of the ratio, where they are not scaled.
    alpha : float
        Of each one-sided test.

    Returns
    -------
    Judgement
    """
    check_rule(rule, design)
    estimate, error, freedom = _difference(log_values, design, rule)
    from scipy.stats import t as student

    half = student.ppf(1.0 - alpha, freedom) * error
    ends = np.exp([estimate - half, estimate + half])
    ratio, n = np.exp(estimate), len(estimate)
    low, high = np.full(n, limits[0]), np.full(n, limits[1])
    sd = _reference_sd(log_values, design, rule) if design.replicate else np.full(n, np.nan)
    cv, bound = np.sqrt(np.expm1(sd**2)), np.full(n, np.nan)
    close = (ratio >= limits[0]) & (ratio <= limits[1])
    if rule == "EMA" and metric == "cmax":
        wide = np.array([reference_scaled_limits(float(c), "EMA", limits) for c in cv])
        low, high = wide.T
        passed = (ends[0] >= low) & (ends[1] <= high) & close
    else:
        passed = (ends[0] >= low) & (ends[1] <= high)
    if rule == "FDA":
        scaled = sd >= _FDA_SWITCH
        bound = np.where(scaled, _howe(log_values, design, estimate, error, freedom, alpha), np.nan)
        passed = np.where(scaled, (bound <= 0) & close, passed)
        low, high = np.where(scaled, np.nan, low), np.where(scaled, np.nan, high)
    return Judgement(ratio, ends[0], ends[1], passed.astype(bool), low, high, cv, bound)


def reference_scaled_limits(
    cv: float, rule: str = "EMA", limits: tuple[float, float] = _LIMITS
) -> tuple[float, float]:
    """Limits of the ratio for a within-subject CV of the reference.

    >>> from pbpk_hybrid.estimation import reference_scaled_limits
    >>> [round(x, 4) for x in reference_scaled_limits(0.4)]
    [0.7462, 1.3402]

    Parameters
    ----------
    cv : float
    rule : str
        "EMA"; or "FDA", whose criterion implies such limits where the CV is known for certain.
    limits : (float, float)
        Where nothing is scaled.

    Returns
    -------
    low, high : float
    """
    if rule not in RULES[1:]:
        raise unknown_name("rule", rule, RULES[1:], what="a rule that scales")
    cv = quantity(cv, "1", "cv", minimum=0.0)
    sd = np.sqrt(np.log1p(cv**2))
    if rule == "EMA":
        if not cv > _EMA_SWITCH:
            return limits
        width = _EMA_CONSTANT * min(sd, np.sqrt(np.log1p(_EMA_CAP**2)))
    else:
        if not sd >= _FDA_SWITCH:
            return limits
        width = np.log(1.25) / _FDA_SD * sd
    return float(np.exp(-width)), float(np.exp(width))


def _difference(
    log_values: np.ndarray, design: Design, rule: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray | float]:
    """Test minus reference of the logs, its standard error, degrees of freedom."""
    if design.name == "parallel":
        return _welch(log_values[:, 0], design.is_test[:, 0])
    if rule == "FDA":
        test = design.is_test[:, :, None]
        each = np.where(test, log_values, 0).sum(axis=1) / test.sum(axis=1)
        each = each - np.where(test, 0, log_values).sum(axis=1) / (~test).sum(axis=1)
        return _mean_over_sequences(each, design.sequence)
    fit = design.comparison
    values = log_values.reshape(-1, log_values.shape[2])
    error = np.sqrt(fit.factor * fit.residual_variance(values))
    return fit.first(values), error, fit.freedom


def _welch(values: np.ndarray, is_test: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    parts = [values[is_test], values[~is_test]]
    each = [p.var(axis=0, ddof=1) / len(p) for p in parts]
    total = each[0] + each[1]
    spread = sum(e**2 / (len(p) - 1) for e, p in zip(each, parts, strict=True))
    return parts[0].mean(axis=0) - parts[1].mean(axis=0), np.sqrt(total), total**2 / spread


def _mean_over_sequences(
    each: np.ndarray, sequence: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """Mean of the sequences' means of a contrast (n_subjects, n_trials), error, freedom."""
    groups = [each[sequence == s] for s in np.unique(sequence)]
    freedom = len(each) - len(groups)
    square = sum(((g - g.mean(axis=0)) ** 2).sum(axis=0) for g in groups) / freedom
    mean = np.mean([g.mean(axis=0) for g in groups], axis=0)
    error = np.sqrt(square * sum(1.0 / len(g) for g in groups)) / len(groups)
    return mean, error, freedom


def _reference_differences(log_values: np.ndarray, design: Design) -> tuple[np.ndarray, np.ndarray]:
    """R1 - R2 of the subjects who have both (n, n_trials), and their sequence."""
    given = ~design.is_test
    twice = given.sum(axis=1) >= 2
    order = np.argsort(~given[twice], axis=1, kind="stable")[:, :2]
    rows = np.flatnonzero(twice)
    first, second = log_values[rows, order[:, 0]], log_values[rows, order[:, 1]]
    return first - second, design.sequence[twice]


def _reference_sd(log_values: np.ndarray, design: Design, rule: str) -> np.ndarray:
    """(n_trials,) within-subject standard deviation of the reference."""
    if rule == "FDA":
        difference, sequence = _reference_differences(log_values, design)
        return np.sqrt(_within(difference, sequence)[0] / 2.0)
    return np.sqrt(design.reference_fit.residual_variance(log_values[~design.is_test]))


def _within(values: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, int]:
    """Mean square within groups, and its degrees of freedom."""
    groups = [values[group == g] for g in np.unique(group)]
    freedom = len(values) - len(groups)
    return sum(((g - g.mean(axis=0)) ** 2).sum(axis=0) for g in groups) / freedom, freedom


def _howe(
    log_values: np.ndarray,
    design: Design,
    estimate: np.ndarray,
    error: np.ndarray,
    freedom: float,
    alpha: float,
) -> np.ndarray:
    """(n_trials,) upper bound of the FDA's linearised criterion."""
    from scipy.stats import chi2
    from scipy.stats import t as student

    difference, sequence = _reference_differences(log_values, design)
    variance, own_freedom = _within(difference, sequence)
    theta = (np.log(1.25) / _FDA_SD) ** 2
    half = student.ppf(1.0 - alpha, freedom) * error
    x, x_bound = estimate**2 - error**2, (np.abs(estimate) + half) ** 2
    y = -theta * variance / 2.0
    y_bound = y * own_freedom / chi2.ppf(1.0 - alpha, own_freedom)
    return x + y + np.sqrt((x_bound - x) ** 2 + (y_bound - y) ** 2)


__all__ = ["RULES", "Judgement", "check_rule", "judge", "reference_scaled_limits"]
