r"""Which sample to take next: by the information that is expected of it.

For a sample y at time t the mutual information with the parameters is

.. math:: I(t) = \mathrm{E}_{\theta, y}\left[\log p(y | \theta, t) - \log \tfrac1M \sum_j
    p(y | \theta_j, t)\right]

over draws of the posterior and samples that each might give (Lindley 1956, Ann Math Stat 27:986;
nested Monte Carlo as in Ryan 2003, J Comput Graph Stat 12:585). Beside it stands what decides:
the standard deviation of log(target metric) that is expected to be left after the sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .._core.errors import InputError
from .._core.units import quantity
from ..dosing import Regimen
from ..simulation.run import simulate_system
from .posterior_draws import Posterior, residual_sd

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class SampleAdvice:
    """What samples at candidate times are expected to tell.

    Parameters
    ----------
    times : ndarray, (n_times,), h
        On the patient's clock.
    information : ndarray, (n_times,), nat
        Expected, about all parameters.
    sd_after : ndarray, (n_times,)
        Expected standard deviation of the log of the target's metric after the sample.
    sd_now : float
        The same now.
    """

    times: np.ndarray
    information: np.ndarray
    sd_after: np.ndarray
    sd_now: float

    @property
    def best(self) -> float:
        """Time [h] of the sample that leaves the least uncertainty in the target's metric."""
        return float(self.times[int(np.argmin(self.sd_after))])

    @property
    def table(self) -> pd.DataFrame:
        """One row for each candidate time."""
        import pandas as pd

        columns = {
            "time": self.times,
            "information": self.information,
            "sd_after": self.sd_after,
        }
        return pd.DataFrame(columns)

    def __repr__(self) -> str:
        left = float(self.sd_after.min())
        return (
            f"SampleAdvice(best at {self.best:g} h: sd of log(metric) {self.sd_now:.3f} now, "
            f"{left:.3f} expected after)"
        )


def advise_next_sample(
    posterior: Posterior,
    rows: np.ndarray,
    regimen: Regimen,
    start: float,
    times: Sequence[float] | np.ndarray,
    metric: np.ndarray,
    compartment: str,
    draws: int,
    seed: int,
) -> SampleAdvice:
    """Expected information of samples at candidate times.

    Parameters
    ----------
    posterior : Posterior
    rows : ndarray, (n,)
        Draws whose `metric` is known.
    regimen : Regimen
        New doses from `start` [h] on.
    times : sequence of float, h
        On the patient's clock.
    metric : ndarray, (n,)
        What the target is about.
    compartment : str
        Where the sample is taken.
    draws : int
        At most n of the draws are used.
    seed : int

    Returns
    -------
    SampleAdvice

    Raises
    ------
    InputError
        Times that are no times, or from before the last sample.
    """
    wanted = np.array([quantity(t, "h", f"times[{i}]", minimum=0) for i, t in enumerate(times)])
    if not wanted.size:
        raise InputError("times", times, "at least one time [h]")
    wanted = np.unique(wanted)
    seen = 0.0 if posterior.data is None else float(posterior.data.time.max())
    if wanted[0] < seen:
        raise InputError("times", float(wanted[0]), f"times from the last sample on, {seen:g} h")
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(draws, len(rows))).astype(int))
    rows, metric = rows[chosen], metric[chosen]
    predicted = _predict(posterior, rows, regimen, start, wanted, compartment)
    values = posterior.error_values(rows)
    log_error = posterior.model.error.kind == "lognormal"
    sd = residual_sd(predicted, posterior.model.error, values)
    if log_error:
        sd, predicted = sd / predicted, np.log(np.maximum(predicted, 1e-300))
    sd = np.maximum(sd, 1e-12 * max(float(np.abs(predicted).max()), 1e-300))
    with np.errstate(divide="ignore"):
        q = np.log(metric) if (metric > 0).all() else metric
    z = np.random.default_rng(seed).standard_normal(predicted.shape)
    information, after = [], []
    for f, s, noise in zip(predicted.T, sd.T, z.T, strict=True):
        y = f + s * noise
        log_p = -0.5 * ((y[:, None] - f) / s) ** 2 - np.log(s)  # (sample, draw)
        shift = log_p.max(axis=1, keepdims=True)
        p = np.exp(log_p - shift)
        log_mean = np.log(p.mean(axis=1)) + shift[:, 0]
        information.append(float((np.diag(log_p) - log_mean).mean()))
        weight = p / p.sum(axis=1, keepdims=True)
        mean = weight @ q
        variance = np.maximum(weight @ q**2 - mean**2, 0.0)
        after.append(float(np.sqrt(variance).mean()))
    return SampleAdvice(wanted, np.array(information), np.array(after), float(q.std()))


def _predict(
    posterior: Posterior,
    rows: np.ndarray,
    regimen: Regimen,
    start: float,
    times: np.ndarray,
    compartment: str,
) -> np.ndarray:
    """(n, n_times) concentrations under the doses so far and then the regimen."""
    weight = posterior.model.body_weight
    run = simulate_system(
        posterior.system(rows),
        posterior.regimen(regimen, start),
        times,
        compartments=[compartment],
        backend="embedded",
        options=posterior.model.options,
        body_weight=None if weight is None else np.broadcast_to(weight, (len(rows),)),
        lag_time=posterior.model.lag_time,
        raise_on_failure=True,
    )
    return run["concentration"].values[:, :, 0]


__all__ = ["SampleAdvice", "advise_next_sample"]
