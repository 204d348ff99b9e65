"""The No-U-Turn sampler (Hoffman & Gelman 2014, JMLR 15:1593) on a density, as nutpie runs it.

Gradients come from the engine's forward sensitivities. Where a parameter has no prior its density
is flat on the log scale, uniform between two bounds, or flat.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .._core.errors import InputError
from .._core.optional import require
from .objective import Objective
from .parameters import Prior, Scale


class LogDensity(Protocol):
    """What the sampler needs: a log density with its gradient, and where to start."""

    start: np.ndarray
    width: np.ndarray

    def log_density(self, q: np.ndarray) -> tuple[float, np.ndarray]:
        """Log density at q (n,) and its gradient (n,)."""
        ...


@dataclass(frozen=True)
class ChainSettings:
    """Kept and adapting iterations per chain, chains, and how they run.

    Parameters
    ----------
    draws, tune, chains : int
        Kept and adapting iterations per chain, and chains.
    seed : int
        Of the sampler.
    cores : int
        Chains at the same time; the engine's own threads come on top.
    progress : bool
        Show a progress bar.

    Raises
    ------
    InputError
        A count that cannot be used.
    """

    draws: int = 1000
    tune: int = 500
    chains: int = 4
    seed: int = 0
    cores: int = 1
    progress: bool = False

    def __post_init__(self) -> None:
        for name, least in (("draws", 10), ("tune", 10), ("chains", 1), ("cores", 1)):
            value = getattr(self, name)
            if not isinstance(value, (int, np.integer)) or value < least:
                raise InputError(name, value, f"an integer >= {least}")


def run_nuts(density: LogDensity, settings: ChainSettings) -> tuple[np.ndarray, np.ndarray]:
    """Draws of a density.

    Returns
    -------
    q : ndarray, (chain, draw, n)
    diverging : ndarray of bool, (chain, draw)

    Raises
    ------
    MissingDependencyError
        nutpie is not installed (extra ``bayes``).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # announcements of packages that nutpie imports
        require("nutpie", "bayes", "sampling posteriors")
        from nutpie.compiled_pyfunc import from_pyfunc
    n = len(density.start)

    def make_logp():
        return density.log_density

    def make_expand(*_seeds: Any):
        return lambda q: {"q": np.asarray(q, dtype=np.float64)}

    def start(seed: int) -> np.ndarray:
        jitter = np.random.default_rng(seed).standard_normal(n)
        return density.start + 0.05 * jitter * density.width

    model = from_pyfunc(
        n,
        make_logp,
        make_expand,
        [np.dtype("float64")],
        [(n,)],
        ["q"],
        make_initial_point_fn=start,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nutpie

        trace = nutpie.sample(
            model,
            draws=settings.draws,
            tune=settings.tune,
            chains=settings.chains,
            cores=settings.cores,
            seed=settings.seed,
            progress_bar=settings.progress,
            save_warmup=False,
        )
    q = np.asarray(trace.posterior["q"].values)[..., :n]
    return q, np.asarray(trace.sample_stats["diverging"].values)


class ObjectiveDensity:
    """Log posterior of the shared parameters on the scale of the search, with its gradient.

    Parameters
    ----------
    objective : Objective
    u : ndarray, (n,)
        Where to start.
    covariance : ndarray, (n, n)
        Its diagonal is the width of the starts.
    """

    def __init__(self, objective: Objective, u: np.ndarray, covariance: np.ndarray):
        self.objective = objective
        self.names, self.scales, self.start = objective.names, objective.scales, u
        self.width = np.sqrt(np.abs(np.diag(covariance)))

    def log_density(self, q: np.ndarray) -> tuple[float, np.ndarray]:
        """Log density at q (n,), without its constant, and its gradient (n,)."""
        u = np.asarray(q, dtype=float)
        value = self.objective.minus_two_log(u)
        if not np.isfinite(value):
            return -np.inf, np.zeros(len(u))
        more, slope = log_jacobians(self.objective, u)
        return float(-0.5 * value + more), -0.5 * self.objective.gradient(u) + slope


def log_jacobians(objective: Objective, u: np.ndarray) -> tuple[float, np.ndarray]:
    """What turns the priors' densities into one on the scale of the search, and its slope."""
    parts = [
        log_jacobian(prior, scale, x)
        for prior, scale, x in zip(objective.priors, objective.scales, u, strict=True)
    ]
    return float(sum(p[0] for p in parts)), np.array([p[1] for p in parts])


def log_jacobian(prior: Prior | None, scale: Scale, u: float) -> tuple[float, float]:
    """What turns a prior's density into one on the scale of the search, and its slope."""
    if prior is None:
        return scale.log_jacobian(u) if scale.kind == "logit" else (0.0, 0.0)
    if prior.native == "log":
        if scale.kind == "log":
            return 0.0, 0.0
        x, slope = float(scale.back(u)), float(scale.slope(u))
        more, more_slope = scale.log_jacobian(u)
        return more - np.log(x), more_slope - slope / x
    return scale.log_jacobian(u)


def split_rhat(chains: np.ndarray) -> float:
    """Potential scale reduction of (chain, draw) values with every chain halved.

    Gelman et al., Bayesian Data Analysis, 3rd edition, section 11.4.
    """
    half = chains.shape[1] // 2
    parts = np.concatenate([chains[:, :half], chains[:, half : 2 * half]])
    within = parts.var(axis=1, ddof=1).mean()
    between = half * parts.mean(axis=1).var(ddof=1)
    return float(np.sqrt(((half - 1) / half * within + between / half) / within))


def effective_size(chains: np.ndarray) -> float:
    """Effective number of draws of (chain, draw) values, by Geyer's initial positive sequence.

    Gelman et al., Bayesian Data Analysis, 3rd edition, section 11.5.
    """
    m, n = chains.shape
    centred = chains - chains.mean(axis=1, keepdims=True)
    size = 2 ** int(np.ceil(np.log2(2 * n)))
    spectrum = np.fft.rfft(centred, size, axis=1)
    autocovariance = np.fft.irfft(spectrum * spectrum.conj(), size, axis=1)[:, :n].mean(axis=0) / n
    within = autocovariance[0] * n / (n - 1)
    total = autocovariance[0] + (chains.mean(axis=1).var(ddof=1) if m > 1 else 0.0)
    rho = 1.0 - (within - autocovariance) / total
    pairs = rho[0 : 2 * (n // 2) : 2] + rho[1 : 2 * (n // 2) : 2]
    negative = np.flatnonzero(pairs < 0)
    pairs = np.minimum.accumulate(pairs[: negative[0]] if negative.size else pairs)
    return float(
        min(
            m * n / max(-1.0 + 2.0 * pairs.sum(), 1.0 / np.log10(max(m * n, 11))),
            m * n * np.log10(m * n),
        )
    )
