"""Priors of PEtab as log-densities with their derivative.

Version 1: normal, laplace, uniform of the value; logNormal and logLaplace of its logarithm, as a
density of the value; parameterScale... of the parameter on its own scale. Version 2: densities of
the value; a distribution is cut at the parameter's bounds and renormalised.
"""

from __future__ import annotations

import math

from .petab_tables import PetabParameter

_NAMES = {"logNormal": "log-normal", "logLaplace": "log-laplace"}
_LOG_10 = math.log(10.0)


def log_prior(parameter: PetabParameter, value: float, version: int = 1) -> tuple[float, float]:
    """Log-density at a value (linear scale), and its derivative by the value.

    Parameters
    ----------
    parameter : without a prior: version 1 none, version 2 uniform between its bounds
    value : on the linear scale
    version : of PEtab
    """
    if parameter.prior is None:
        width = parameter.upper - parameter.lower
        if version == 1 or not math.isfinite(width) or width <= 0:
            return 0.0, 0.0
        return _uniform(value, parameter.lower, parameter.upper)
    kind, numbers = parameter.prior
    if kind.startswith("parameterScale"):
        unit = {"lin": 0.0, "log": 1.0, "log10": _LOG_10}[parameter.scale]
        x = value if unit == 0.0 else math.log(value) / unit
        out, slope = _density(kind.removeprefix("parameterScale").lower(), x, numbers)
        return out, slope if unit == 0.0 else slope / (value * unit)
    kind = _NAMES.get(kind, kind)
    out, slope = _density(kind, value, numbers)
    return (out - _inside_bounds(kind, numbers, parameter) if version == 2 else out), slope


def _inside_bounds(kind: str, numbers: tuple[float, ...], parameter: PetabParameter) -> float:
    """Logarithm of the share of a distribution that lies between the bounds."""
    from scipy import stats

    a, b = numbers[0], numbers[-1]
    frozen = {
        "uniform": lambda: stats.uniform(a, b - a),
        "normal": lambda: stats.norm(a, b),
        "laplace": lambda: stats.laplace(a, b),
        "cauchy": lambda: stats.cauchy(a, b),
        "gamma": lambda: stats.gamma(a, scale=b),
        "chisquare": lambda: stats.chi2(a),
        "exponential": lambda: stats.expon(scale=a),
        "rayleigh": lambda: stats.rayleigh(scale=a),
        "log-normal": lambda: stats.norm(a, b),
        "log-laplace": lambda: stats.laplace(a, b),
        "log-uniform": lambda: stats.uniform(math.log(a), math.log(b) - math.log(a)),
    }[kind]()
    low, high = parameter.lower, parameter.upper
    if kind in _ON_LOGARITHM:
        low, high = (math.log(v) if v > 0 else -math.inf for v in (low, high))
    share = frozen.cdf(high) - frozen.cdf(low)
    return math.log(share) if share > 0 else -math.inf


def _density(kind: str, x: float, p: tuple[float, ...]) -> tuple[float, float]:
    if kind in _ON_LOGARITHM:
        if x <= 0:
            return -math.inf, 0.0
        out, slope = _DENSITIES[_ON_LOGARITHM[kind]](math.log(x), *_logs(kind, p))
        return out - math.log(x), (slope - 1.0) / x
    return _DENSITIES[kind](x, *p)


def _logs(kind: str, p: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(map(math.log, p)) if kind == "log-uniform" else p


def _uniform(x: float, low: float, high: float) -> tuple[float, float]:
    return (-math.log(high - low) if low <= x <= high else -math.inf), 0.0


def _normal(x: float, mean: float, sd: float) -> tuple[float, float]:
    z = (x - mean) / sd
    return -0.5 * z * z - math.log(sd) - 0.5 * math.log(2 * math.pi), -z / sd


def _laplace(x: float, mean: float, b: float) -> tuple[float, float]:
    sign = (x > mean) - (x < mean)
    return -abs(x - mean) / b - math.log(2 * b), -sign / b


def _cauchy(x: float, mean: float, b: float) -> tuple[float, float]:
    z = (x - mean) / b
    return -math.log(math.pi * b * (1 + z * z)), -2 * z / (b * (1 + z * z))


def _gamma(x: float, shape: float, scale: float) -> tuple[float, float]:
    if x <= 0:
        return -math.inf, 0.0
    out = (shape - 1) * math.log(x) - x / scale - math.lgamma(shape) - shape * math.log(scale)
    return out, (shape - 1) / x - 1 / scale


def _exponential(x: float, scale: float) -> tuple[float, float]:
    return (-math.log(scale) - x / scale, -1 / scale) if x >= 0 else (-math.inf, 0.0)


def _rayleigh(x: float, scale: float) -> tuple[float, float]:
    if x <= 0:
        return -math.inf, 0.0
    out = math.log(x) - 2 * math.log(scale) - 0.5 * (x / scale) ** 2
    return out, 1 / x - x / scale**2


_DENSITIES = {
    "uniform": _uniform,
    "normal": _normal,
    "laplace": _laplace,
    "cauchy": _cauchy,
    "gamma": _gamma,
    "chisquare": lambda x, k: _gamma(x, k / 2, 2.0),
    "exponential": _exponential,
    "rayleigh": _rayleigh,
}
_ON_LOGARITHM = {"log-normal": "normal", "log-laplace": "laplace", "log-uniform": "uniform"}

__all__ = ["log_prior"]
