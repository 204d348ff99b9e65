r"""What the model has wrong besides its parameters: a smooth factor of the concentrations in time.

.. math:: c(t) = f(t; \theta)\, e^{\delta(t)}, \qquad
    \operatorname{cov}(\delta(s), \delta(t)) = \mathrm{sd}^2 (1 + \sqrt3 |s-t|/\ell)\,
    e^{-\sqrt3 |s-t|/\ell}

a Gaussian process with a Matern 3/2 kernel, one for each compartment that was sampled (Kennedy &
O'Hagan 2001, J R Stat Soc B 63:425, on the log scale). At the sampled times it is written in the
eigenvectors of its covariance that hold 99 % of the variance; their coefficients are parameters
with standard normal priors. At other times it is drawn given its values there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._core.errors import InputError
from .._core.units import quantity
from .parameters import Normal, Resolved, Scale
from .predictor import Data, Predictor

_KEPT = 0.99
_PREFIX = "discrepancy."


@dataclass(frozen=True)
class Discrepancy:
    """How far, and for how long, the curve may depart from the model's.

    Parameters
    ----------
    sd : float
        Standard deviation of the log of the factor; 0.2 is about 20 %.
    correlation_time : float or str, h
        Times closer than this share most of the departure.

    Raises
    ------
    InputError
        A value that is not > 0.
    """

    sd: float
    correlation_time: float = 6.0

    def __post_init__(self) -> None:
        sd = quantity(self.sd, "1", "discrepancy.sd", positive=True)
        time = quantity(self.correlation_time, "h", "discrepancy.correlation_time", positive=True)
        object.__setattr__(self, "sd", sd)
        object.__setattr__(self, "correlation_time", time)

    def covariance(self, s: np.ndarray, t: np.ndarray) -> np.ndarray:
        """(len(s), len(t)) covariance of the log factor at times s and t [h]."""
        x = np.sqrt(3.0) * np.abs(s[:, None] - t[None, :]) / self.correlation_time
        return self.sd**2 * (1.0 + x) * np.exp(-x)


def as_discrepancy(given: Discrepancy | float | None) -> Discrepancy | None:
    """None, a standard deviation of the log factor, or a Discrepancy.

    Raises
    ------
    InputError
        Anything else.
    """
    if given is None or isinstance(given, Discrepancy):
        return given
    if isinstance(given, (int, float, np.number)) and not isinstance(given, bool):
        return Discrepancy(float(given))
    raise InputError("discrepancy", given, "None, a standard deviation such as 0.2, or Discrepancy")


class DiscrepancyPredictor:
    """A Predictor whose predictions are multiplied by the factor; all else is the inner one's."""

    def __init__(self, inner: Predictor, discrepancy: Discrepancy):
        self.inner, self.discrepancy = inner, discrepancy
        self.basis = observed_basis(discrepancy, inner.data)
        self.names = tuple(f"{_PREFIX}{i + 1}" for i in range(self.basis.shape[1]))
        self.targets = (*inner.targets, *self.names)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def parameters(self) -> tuple[Resolved, ...]:
        """Its coefficients as parameters to estimate."""
        scale = Scale("linear", -np.inf, np.inf)
        return tuple(
            Resolved(name, 0.0, scale, (name,), False, Normal(0.0, 1.0)) for name in self.names
        )

    def split(self, values: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Values of the model's targets, and the coefficients (n_coefficients, ...)."""
        rest = {k: v for k, v in values.items() if k not in self.names}
        return rest, np.array([values[name] for name in self.names])

    def __call__(
        self, values: Mapping[str, np.ndarray], slopes: bool = True
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Predictions and their derivatives, as :class:`.Predictor` gives them."""
        rest, coefficients = self.split(values)
        value, slope = self.inner(rest, slopes)
        factor = np.exp(self.basis @ coefficients[:, 0])
        value = value * factor
        if slope is None:
            return value, None
        return value, np.concatenate([slope * factor[:, None], value[:, None] * self.basis], axis=1)


def observed_basis(discrepancy: Discrepancy, data: Data) -> np.ndarray:
    """(n_observations, n_coefficients) log factor at the samples per coefficient."""
    covariance = discrepancy.covariance(data.time, data.time)
    covariance = covariance * (data.compartment[:, None] == data.compartment[None, :])
    size, vectors = np.linalg.eigh(covariance)
    size, vectors = size[::-1], vectors[:, ::-1]
    n = int(np.searchsorted(np.cumsum(size) / size.sum(), _KEPT) + 1)
    return vectors[:, :n] * np.sqrt(size[:n])


def factors_at(
    discrepancy: Discrepancy,
    seen: np.ndarray,
    log_factor: np.ndarray,
    times: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Factors at other times, drawn given those at the samples of one compartment.

    Parameters
    ----------
    discrepancy : Discrepancy
    seen : ndarray, (n_seen,), h
        Times of the samples.
    log_factor : ndarray, (n_draws, n_seen)
    times : ndarray, (n_times,), h
    rng : numpy Generator

    Returns
    -------
    ndarray, (n_draws, n_times)
    """
    seen, first = np.unique(seen, return_index=True)
    log_factor = log_factor[:, first]
    jitter = 1e-9 * discrepancy.sd**2
    inside = discrepancy.covariance(seen, seen) + jitter * np.eye(len(seen))
    gain = np.linalg.solve(inside, discrepancy.covariance(seen, times)).T
    rest = discrepancy.covariance(times, times) - gain @ discrepancy.covariance(seen, times)
    size, vectors = np.linalg.eigh(0.5 * (rest + rest.T))
    root = vectors * np.sqrt(np.maximum(size, 0.0))
    noise = rng.standard_normal((len(log_factor), len(times))) @ root.T
    return np.exp(log_factor @ gain.T + noise)


__all__ = ["Discrepancy", "DiscrepancyPredictor", "as_discrepancy", "factors_at", "observed_basis"]
