"""Posterior distributions by the No-U-Turn sampler (Hoffman & Gelman 2014, JMLR 15:1593),
as the package nutpie runs it.

Gradients come from the engine's forward sensitivities. Where a parameter has no prior its
density is flat on the log scale, uniform between two bounds, or flat. Subjects'
deviations of a hierarchical fit are sampled in the non-centred form.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr

from .._core.errors import InputError
from .._core.optional import require
from .._core.provenance import provenance
from .fitting import Fit
from .objective import Objective
from .parameters import Prior, Scale
from .population import PopulationFit, PopulationObjective


def sample_posterior(
    found: Fit | PopulationFit,
    *,
    draws: int = 1000,
    tune: int = 500,
    chains: int = 4,
    seed: int = 0,
    cores: int = 1,
    progress: bool = False,
) -> xr.Dataset:
    """Draws of the posterior around a fit.

    Parameters
    ----------
    found : what fit or fit_population returned; sampling starts near it
    draws, tune, chains : kept and adapting iterations per chain, and chains
    cores : chains at the same time (the engine's own threads come on top)

    Returns
    -------
    Dataset with one variable per parameter over (chain, draw), ``eta`` over (chain, draw,
    subject, random) for a hierarchical fit, ``diverging``, and ``rhat`` and ``ess`` over
    parameter

    Raises
    ------
    InputError : counts that cannot be used
    MissingDependencyError : nutpie is not installed (extra ``bayes``)
    """
    for name, value, least in (
        ("draws", draws, 10),
        ("tune", tune, 10),
        ("chains", chains, 1),
        ("cores", cores, 1),
    ):
        if not isinstance(value, (int, np.integer)) or value < least:
            raise InputError(name, value, f"an integer >= {least}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # announcements of packages that nutpie imports
        require("nutpie", "bayes", "sampling posteriors")
        from nutpie.compiled_pyfunc import from_pyfunc
    density = _PopulationDensity(found) if isinstance(found, PopulationFit) else _Density(found)
    names = density.names

    def make_logp():
        return density.log_density

    def make_expand(*_seeds: Any):
        return lambda q: {"q": np.asarray(q, dtype=np.float64)}

    def start(seed: int) -> np.ndarray:
        return (
            density.start
            + 0.05 * np.random.default_rng(seed).standard_normal(len(density.start)) * density.width
        )

    model = from_pyfunc(
        len(density.start),
        make_logp,
        make_expand,
        [np.dtype("float64")],
        [(len(density.start),)],
        ["q"],
        make_initial_point_fn=start,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nutpie

        trace = nutpie.sample(
            model,
            draws=draws,
            tune=tune,
            chains=chains,
            cores=cores,
            seed=seed,
            progress_bar=progress,
            save_warmup=False,
        )
    q = np.asarray(trace.posterior["q"].values)[..., : len(density.start)]
    diverging = np.asarray(trace.sample_stats["diverging"].values)
    dims = ("chain", "draw")
    variables: dict[str, Any] = {
        name: (dims, np.asarray(scale.back(q[..., i])))
        for i, (name, scale) in enumerate(zip(names, density.scales, strict=True))
    }
    coords: dict[str, Any] = {"parameter": list(names)}
    if isinstance(found, PopulationFit):
        objective = found.objective
        variables["eta"] = ((*dims, "subject", "random"), density.deviations(q))
        coords |= {
            "subject": objective.shared.predictor.system.subjects,
            "random": list(objective.random),
        }
    parts = q[..., : len(names)]
    variables |= {
        "diverging": (dims, diverging),
        "rhat": ("parameter", np.array([split_rhat(parts[..., i]) for i in range(len(names))])),
        "ess": ("parameter", np.array([effective_size(parts[..., i]) for i in range(len(names))])),
    }
    facts = {
        **found.facts,
        "sampler": "nutpie NUTS",
        "draws": draws,
        "tune": tune,
        "chains": chains,
        "seed": seed,
    }
    return xr.Dataset(variables, coords, attrs=provenance(**facts))


class _Density:
    """log posterior of the shared parameters on the scale of the search, with its gradient."""

    def __init__(self, found: Fit):
        self.objective: Objective = found.objective
        self.names, self.scales, self.start = found.names, found.objective.scales, found.u
        self.width = np.sqrt(np.abs(np.diag(found.covariance)))

    def log_density(self, u: np.ndarray) -> tuple[float, np.ndarray]:
        u = np.asarray(u, dtype=float)
        value = self.objective.minus_two_log(u)
        if not np.isfinite(value):
            return -np.inf, np.zeros(len(u))
        out, gradient = -0.5 * value, -0.5 * self.objective.gradient(u)
        for i, (prior, scale) in enumerate(zip(self.objective.priors, self.scales, strict=True)):
            more, slope = _jacobian(prior, scale, u[i])
            out += more
            gradient[i] += slope
        return float(out), gradient


class _PopulationDensity:
    """log joint density of (x, z), eta = omega z."""

    def __init__(self, found: PopulationFit):
        self.objective: PopulationObjective = found.objective
        self.names, self.scales = found.names, found.objective.scales
        omega = np.exp(found.x[self.objective.n_shared :])
        self.start = np.concatenate([found.x, (found.eta / omega).ravel()])
        width = np.sqrt(np.abs(np.diag(found.covariance)))
        self.width = np.concatenate(
            [np.where(np.isfinite(width), width, 0.1), np.full(found.eta.size, 0.3)]
        )

    def _split(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        n = len(self.names)
        x, z = q[..., :n], q[..., n:].reshape(*q.shape[:-1], self.objective.n_subjects, -1)
        return x, z, np.exp(x[..., self.objective.n_shared :])

    def deviations(self, q: np.ndarray) -> np.ndarray:
        _, z, omega = self._split(q)
        return z * omega[..., None, :]

    def log_density(self, q: np.ndarray) -> tuple[float, np.ndarray]:
        q = np.asarray(q, dtype=float)
        objective, shared = self.objective, self.objective.shared
        x, z, omega = self._split(q)
        t, _, slope = objective.individual(x, z * omega)
        if not np.isfinite(t.r).all():
            return -np.inf, np.zeros(len(q))
        rho, j_rho = objective.prior_rows(x)
        out = -0.5 * ((t.r**2).sum() + t.l.sum() + (z**2).sum() + (rho**2).sum())
        by_f = -(t.r * t.r_f + 0.5 * t.l_f)
        gradient = np.zeros(len(self.names))
        gradient[: shared.n_model] = by_f @ slope
        by_e = -(t.r[:, None] * t.r_e + 0.5 * t.l_e).sum(axis=0)
        gradient[shared.n_model : objective.n_shared] = by_e @ shared._by_error(
            x[: objective.n_shared]
        )
        by_eta = objective._sum(by_f[:, None] * slope[:, objective.which])
        gradient[objective.n_shared :] = (by_eta * z * omega).sum(axis=0)
        if len(rho):
            gradient -= rho @ j_rho
        for i, (name, scale) in enumerate(zip(self.names, self.scales, strict=True)):
            more, more_slope = _jacobian(objective.priors.get(name), scale, x[i])
            out += more
            gradient[i] += more_slope
        return float(out), np.concatenate([gradient, (by_eta * omega - z).ravel()])


def _jacobian(prior: Prior | None, scale: Scale, u: float) -> tuple[float, float]:
    """What turns the prior's density into one on the scale of the search."""
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
    """Potential scale reduction of (chain, draw) values with every chain halved (Gelman
    et al., BDA3, section 11.4).
    """
    half = chains.shape[1] // 2
    parts = np.concatenate([chains[:, :half], chains[:, half : 2 * half]])
    within = parts.var(axis=1, ddof=1).mean()
    between = half * parts.mean(axis=1).var(ddof=1)
    return float(np.sqrt(((half - 1) / half * within + between / half) / within))


def effective_size(chains: np.ndarray) -> float:
    """Effective number of draws of (chain, draw) values, by Geyer's initial positive
    sequence (BDA3, section 11.5).
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
