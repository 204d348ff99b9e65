r"""Power of two one-sided tests: exactly where there is a formula, else by simulated trials.

The estimate of the log ratio is normal with variance :math:`b\sigma^2` and independent of the
residual variance, :math:`s^2 \nu/\sigma^2 \sim \chi^2_\nu`, so that

.. math:: P = \int_0^{s_{max}} \left[
    \Phi\left(\frac{\ln\theta_2 - \delta - t s\sqrt b}{\sigma\sqrt b}\right)
    - \Phi\left(\frac{\ln\theta_1 - \delta + t s\sqrt b}{\sigma\sqrt b}\right)\right] f(s)\,ds

which is the difference of two values of Owen's Q (Owen 1965, Biometrika 52:437; Phillips 1990,
J Pharmacokinet Biopharm 18:137).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._core.errors import InputError
from .._core.units import quantity
from .equivalence_designs import Design
from .equivalence_rules import check_rule, judge


def tost_power(
    cv: float | str,
    ratio: float | str = 0.95,
    subjects: int = 24,
    design: str = "2x2x2",
    *,
    limits: tuple[float, float] = (0.8, 1.25),
    alpha: float = 0.05,
) -> float:
    """Exact power of average bioequivalence.

    >>> from pbpk_hybrid.estimation import tost_power
    >>> round(tost_power(0.3, 0.95, 40), 4)
    0.8158

    Parameters
    ----------
    cv : float or str
        Within-subject coefficient of variation of a crossover, total one of parallel groups (equal
        variances); 0.3 or "30 %".
    ratio : float or str
        True ratio of geometric means.
    subjects : int
        In all.
    design : str
        "2x2x2", "2x2x3", "2x2x4", "2x3x3" or "parallel".
    limits, alpha
        As in :func:`.two_one_sided_tests`.

    Returns
    -------
    float

    Raises
    ------
    InputError, UnknownNameError
        Anything that cannot be used.
    """
    from scipy.integrate import quad
    from scipy.stats import chi2, norm
    from scipy.stats import t as student

    cv = quantity(cv, "1", "cv", positive=True)
    delta = np.log(quantity(ratio, "1", "ratio", positive=True))
    low, high = (np.log(x) for x in check_limits(limits))
    plan = Design(design, subjects)
    freedom, factor = _freedom_and_factor(plan)
    root = np.sqrt(np.log1p(cv**2) * factor)
    t = student.ppf(1.0 - check_alpha(alpha), freedom)
    widest = (high - low) / (2.0 * t * root)

    def integrand(x: float) -> float:
        """Over x = s/sigma, whose square times the freedom is chi-squared."""
        density = 2.0 * x * freedom * chi2.pdf(x * x * freedom, freedom)
        upper = norm.cdf((high - delta) / root - t * x)
        return density * (upper - norm.cdf((low - delta) / root + t * x))

    # the density of x is narrow around 1: nothing is left beyond these quantiles
    ends = np.sqrt(chi2.ppf([1e-13, 1.0 - 1e-13], freedom) / freedom)
    start, stop = ends[0], min(widest, ends[1])
    if stop <= start:
        return 0.0
    value = quad(integrand, start, stop, epsabs=1e-10, epsrel=1e-10, limit=200)[0]
    return float(min(max(value, 0.0), 1.0))


def _freedom_and_factor(plan: Design) -> tuple[int, float]:
    """Degrees of freedom of the residuals, and variance of the difference for variance 1."""
    if plan.name != "parallel":
        return plan.freedom_and_factor
    test = int(plan.is_test.sum())
    return plan.subjects - 2, 1.0 / test + 1.0 / (plan.subjects - test)


def tost_sample_size(
    cv: float | str,
    ratio: float | str = 0.95,
    power: float = 0.8,
    design: str = "2x2x2",
    *,
    limits: tuple[float, float] = (0.8, 1.25),
    alpha: float = 0.05,
    most: int = 2000,
) -> int:
    """Smallest balanced number of subjects with at least this exact power.

    >>> from pbpk_hybrid.estimation import tost_sample_size
    >>> tost_sample_size(0.3, 0.95, 0.8)
    40

    Parameters
    ----------
    cv, ratio, design, limits, alpha
        As in :func:`tost_power`.
    power : float
        Wanted, between 0 and 1.
    most : int
        Where the search ends.

    Returns
    -------
    int

    Raises
    ------
    InputError
        No number up to `most` is enough.
    """
    if not 0 < power < 1:
        raise InputError("power", power, "a number between 0 and 1")
    low, high = check_limits(limits)
    if not low < quantity(ratio, "1", "ratio", positive=True) < high:
        raise InputError("ratio", ratio, f"a ratio within the limits of {low:g} to {high:g}")
    step = len(Design(design, 12).sequences)
    for n in range(2 * step, most + 1, step):
        if tost_power(cv, ratio, n, design, limits=limits, alpha=alpha) >= power:
            return n
    raise InputError("power", power, f"a power that {most} subjects reach")


@dataclass(frozen=True)
class SimulatedPower:
    """Share of simulated trials that pass.

    Parameters
    ----------
    power : float
    trials : int
    """

    power: float
    trials: int

    @property
    def standard_error(self) -> float:
        """Of the power, by the number of trials."""
        return float(np.sqrt(max(self.power * (1.0 - self.power), 1e-12) / self.trials))

    def __repr__(self) -> str:
        return (
            f"SimulatedPower({self.power:.4f} +- {self.standard_error:.4f}, {self.trials} trials)"
        )


def simulated_power(
    cv: float | tuple[float, float],
    ratio: float = 0.95,
    subjects: int = 24,
    design: str = "2x2x2",
    rule: str = "average",
    *,
    cv_between: float = 0.3,
    trials: int = 20_000,
    limits: tuple[float, float] = (0.8, 1.25),
    alpha: float = 0.05,
    seed: int = 0,
) -> SimulatedPower:
    """Power of any rule by trials of log-normal values.

    Parameters
    ----------
    cv : float or (float, float)
        Within-subject coefficients of variation, of both or of (test, reference).
    ratio : float
        True ratio of geometric means.
    subjects, design, limits, alpha
        As in :func:`tost_power`.
    rule : str
        "average", "EMA" (of Cmax) or "FDA".
    cv_between : float
        Between subjects; it matters in parallel groups only.
    trials, seed : int

    Returns
    -------
    SimulatedPower

    Raises
    ------
    InputError, UnknownNameError
        Anything that cannot be used.
    """
    plan = Design(design, subjects)
    check_rule(rule, plan)
    if isinstance(trials, bool) or not isinstance(trials, (int, np.integer)) or trials < 1:
        raise InputError("trials", trials, "an integer >= 1")
    both = (cv, cv) if np.ndim(cv) == 0 else tuple(cv)
    if len(both) != 2:
        raise InputError("cv", cv, "one coefficient of variation, or (test, reference)")
    sds = [np.sqrt(np.log1p(quantity(c, "1", "cv", positive=True) ** 2)) for c in both]
    between = np.sqrt(np.log1p(quantity(cv_between, "1", "cv_between", minimum=0.0) ** 2))
    log_ratio = np.log(quantity(ratio, "1", "ratio", positive=True))
    check_limits(limits)
    check_alpha(alpha)
    rng, passed = np.random.default_rng(seed), 0
    size = max(1, 2_000_000 // plan.is_test.size)  # trials at a time, against memory
    for first in range(0, trials, size):
        n = min(size, trials - first)
        z = rng.standard_normal((*plan.is_test.shape, n))
        test = plan.is_test[:, :, None]
        values = np.where(test, log_ratio + sds[0] * z, sds[1] * z)
        values += between * rng.standard_normal((plan.subjects, 1, n))
        found = judge(values, plan, rule, metric="cmax", limits=limits, alpha=alpha)
        passed += int(found.equivalent.sum())
    return SimulatedPower(passed / trials, int(trials))


def check_limits(limits: tuple[float, float]) -> tuple[float, float]:
    """Two numbers > 0 on either side of 1.

    Raises
    ------
    InputError
        Anything else.
    """
    if np.size(limits) != 2 or not 0 < limits[0] < 1 < limits[1]:
        raise InputError("limits", limits, "two numbers > 0 on either side of 1")
    return float(limits[0]), float(limits[1])


def check_alpha(alpha: float) -> float:
    """A level of a one-sided test.

    Raises
    ------
    InputError
        Not between 0 and 0.5.
    """
    if not 0 < alpha < 0.5:
        raise InputError("alpha", alpha, "a number between 0 and 0.5")
    return float(alpha)


__all__ = [
    "SimulatedPower",
    "check_alpha",
    "check_limits",
    "simulated_power",
    "tost_power",
    "tost_sample_size",
]
