"""What is estimated: parameters, the scales they are searched on, and what was known of
them before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._core.errors import InputError, unknown_name
from ..models.system.derivatives import parameter_names
from ..models.system.named import own_values
from ..models.system.system import System

SCALES = ("log", "logit", "linear")


@dataclass(frozen=True)
class Parameter:
    """One number to estimate.

    Parameters
    ----------
    initial : where the search starts; None: the model's own value (1 for a factor)
    lower, upper : bounds; with two finite ones the search is on the logit scale, with
        lower = 0 on the log scale, else as is
    scale : "log", "logit" or "linear", to choose otherwise
    targets : parameters of the model that it sets; empty: the one of its own name
    factor : it multiplies the model's own values, subject by subject, instead of taking their place
    """

    initial: float | None = None
    lower: float = 0.0
    upper: float = np.inf
    scale: str | None = None
    targets: tuple[str, ...] = ()
    factor: bool = False


@dataclass(frozen=True)
class Normal:
    """A normal prior of the parameter itself."""

    mean: float
    sd: float
    native: str = field(default="linear", init=False)

    def residual(self, x: float) -> tuple[float, float]:
        """(r, dr/dx) with r^2/2 minus the log density, up to a constant."""
        return (x - self.mean) / self.sd, 1.0 / self.sd

    def draw(self, uniform: np.ndarray) -> np.ndarray:
        """Values at the given quantiles in (0, 1)."""
        from scipy.stats import norm

        return self.mean + self.sd * norm.ppf(uniform)


@dataclass(frozen=True)
class LogNormal:
    """A log-normal prior: log x is normal around log `median` with standard deviation `sd`."""

    median: float
    sd: float
    native: str = field(default="log", init=False)

    def residual(self, x: float) -> tuple[float, float]:
        """Standardised residual of a value, and its derivative by the value."""
        return np.log(x / self.median) / self.sd, 1.0 / (self.sd * x)

    def draw(self, uniform: np.ndarray) -> np.ndarray:
        """Values at the given quantiles in (0, 1)."""
        from scipy.stats import norm

        return self.median * np.exp(self.sd * norm.ppf(uniform))


@dataclass(frozen=True)
class HalfCauchy:
    """A half-Cauchy prior, for standard deviations."""

    scale: float
    native: str = field(default="linear", init=False)

    def residual(self, x: float) -> tuple[float, float]:
        """Residual whose square is minus twice the log density, and its derivative."""
        r = np.sqrt(2.0 * np.log1p((x / self.scale) ** 2))
        slope = 2.0 * x / (self.scale**2 + x**2)
        return r, slope / np.maximum(r, 1e-150)

    def draw(self, uniform: np.ndarray) -> np.ndarray:
        """Values at the given quantiles in (0, 1); at most the 95th percentile."""
        return self.scale * np.tan(0.5 * np.pi * np.minimum(uniform, 0.95))


Prior = Normal | LogNormal | HalfCauchy


@dataclass(frozen=True)
class Scale:
    """The scale a parameter is searched on: u from x and back."""

    kind: str
    lower: float
    upper: float

    def forward(self, x: float | np.ndarray) -> np.ndarray:
        """From a value to the scale of the fit."""
        if self.kind == "log":
            return np.log(x)
        if self.kind == "logit":
            return np.log((x - self.lower) / (self.upper - x))
        return np.asarray(x, dtype=float)

    def back(self, u: float | np.ndarray) -> np.ndarray:
        """x; infinite where u is that of an unidentified parameter's interval."""
        with np.errstate(over="ignore"):
            if self.kind == "log":
                return np.exp(u)
            if self.kind == "logit":
                return self.lower + (self.upper - self.lower) / (1.0 + np.exp(-u))
        return np.asarray(u, dtype=float)

    def slope(self, u: float | np.ndarray) -> np.ndarray:
        """dx/du."""
        if self.kind == "log":
            return np.exp(u)
        if self.kind == "logit":
            share = 1.0 / (1.0 + np.exp(-u))
            return (self.upper - self.lower) * share * (1.0 - share)
        return np.ones_like(np.asarray(u, dtype=float))

    def log_jacobian(self, u: float) -> tuple[float, float]:
        """(log |dx/du|, its derivative): what turns a density of x into one of u."""
        if self.kind == "log":
            return float(u), 1.0
        if self.kind == "logit":
            share = 1.0 / (1.0 + np.exp(-u))
            return float(np.log((self.upper - self.lower) * share * (1.0 - share))), float(
                1.0 - 2.0 * share
            )
        return 0.0, 0.0

    @property
    def bounds(self) -> tuple[float, float]:
        """Of u. A logit scale has none; they are kept 30 away, where x is its bound to 1e-13."""
        if self.kind == "logit":
            return -30.0, 30.0
        with np.errstate(divide="ignore"):
            return float(self.forward(self.lower)), float(self.forward(self.upper))


@dataclass(frozen=True)
class Resolved:
    """A parameter with everything filled in."""

    name: str
    initial: float
    scale: Scale
    targets: tuple[str, ...]
    factor: bool
    prior: Prior | None

    @property
    def start(self) -> float:
        """The initial value on the scale of the fit."""
        return float(self.scale.forward(self.initial))


def resolve(
    system: System,
    parameters: Mapping[str, Any] | Sequence[str],
    priors: Mapping[str, Prior] | None,
) -> tuple[Resolved, ...]:
    """Checked parameters in the order given.

    Raises
    ------
    InputError, UnknownNameError : no parameters, an unknown target, bounds that do not
        hold the initial value
    """
    given = (
        dict(parameters)
        if isinstance(parameters, Mapping)
        else {name: Parameter() for name in parameters}
    )
    if not given:
        raise InputError("parameters", list(given), "at least one parameter to estimate")
    priors = dict(priors or {})
    known = parameter_names(system)
    out: list[Resolved] = []
    taken: dict[str, str] = {}
    for name, spec in given.items():
        spec = _as_parameter(name, spec)
        targets = tuple(spec.targets or (name,))
        for target in targets:
            if target not in known:
                raise unknown_name(
                    f"parameters[{name!r}]", target, known, what="a parameter of the model"
                )
            if target in taken:
                raise InputError(
                    f"parameters[{name!r}]",
                    target,
                    f"a parameter that {taken[target]!r} does not set already",
                )
            taken[target] = name
        initial = _initial(spec, system, targets[0]) if spec.initial is None else spec.initial
        scale = _checked_scale(name, spec, initial)
        out.append(Resolved(name, float(initial), scale, targets, spec.factor, priors.get(name)))
    return tuple(out)


def _initial(spec: Parameter, system: System, target: str) -> float:
    """The model's own value: geometric mean over the subjects where all are > 0, else the mean."""
    own = 1.0 if spec.factor else own_values(system)[target]
    if np.all(np.asarray(own) > 0):
        return float(np.exp(np.mean(np.log(own))))
    return float(np.mean(own))


def _checked_scale(name: str, spec: Parameter, initial: float) -> Scale:
    """The scale of the search, which has to hold the initial value."""
    kind = spec.scale or _usual_scale(spec)
    if kind not in SCALES:
        raise unknown_name(f"parameters[{name!r}].scale", kind, SCALES)
    ok = spec.lower < initial < spec.upper and np.isfinite(initial)
    if (
        not ok
        or (kind == "logit" and not np.isfinite(spec.upper - spec.lower))
        or (kind == "log" and initial <= 0)
    ):
        raise InputError(
            f"parameters[{name!r}].initial",
            initial,
            f"a number inside ({spec.lower:g}, {spec.upper:g})",
            hint="a log scale needs a value > 0, a logit scale two finite bounds"
            if kind != "linear"
            else "",
        )
    lower = max(spec.lower, 0.0) if kind == "log" else spec.lower
    return Scale(kind, lower, spec.upper)


def check_priors(priors: Mapping[str, Prior] | None, names: Sequence[str]) -> None:
    """Refuse a prior of something that is not estimated."""
    for name, prior in (priors or {}).items():
        if name not in names:
            raise unknown_name("priors", name, names, what="an estimated parameter")
        if not isinstance(prior, (Normal, LogNormal, HalfCauchy)):
            raise InputError(f"priors[{name!r}]", prior, "Normal, LogNormal or HalfCauchy")


def _usual_scale(spec: Parameter) -> str:
    if np.isfinite(spec.lower) and np.isfinite(spec.upper):
        return "logit"
    return "log" if spec.lower >= 0 else "linear"


def _as_parameter(name: str, spec: Any) -> Parameter:
    if isinstance(spec, Parameter):
        return spec
    if isinstance(spec, (int, float)) and not isinstance(spec, bool):
        return Parameter(initial=float(spec))
    raise InputError(f"parameters[{name!r}]", spec, "a Parameter, or the number to start from")
