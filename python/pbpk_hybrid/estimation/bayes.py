"""Posterior distributions by the No-U-Turn sampler (Hoffman & Gelman 2014, JMLR 15:1593),
as the package nutpie runs it.

Gradients come from the engine's forward sensitivities. Where a parameter has no prior its
density is flat on the log scale, uniform between two bounds, or flat. Subjects'
deviations of a hierarchical fit are sampled in the non-centred form.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from .._core.provenance import provenance
from .fitting import Fit
from .nuts import (
    ChainSettings,
    ObjectiveDensity,
    effective_size,
    log_jacobian,
    run_nuts,
    split_rhat,
)
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
    subject, random) for a hierarchical fit, with occasions ``kappa`` over (chain, draw, row,
    between_occasions), ``diverging``, and ``rhat`` and ``ess`` over
    parameter

    Raises
    ------
    InputError : counts that cannot be used
    MissingDependencyError : nutpie is not installed (extra ``bayes``)
    """
    settings = ChainSettings(draws, tune, chains, seed, cores, progress)
    density = (
        _PopulationDensity(found)
        if isinstance(found, PopulationFit)
        else ObjectiveDensity(found.objective, found.u, found.covariance)
    )
    names = density.names
    q, diverging = run_nuts(density, settings)
    dims = ("chain", "draw")
    variables: dict[str, Any] = {
        name: (dims, np.asarray(scale.back(q[..., i])))
        for i, (name, scale) in enumerate(zip(names, density.scales, strict=True))
    }
    coords: dict[str, Any] = {"parameter": list(names)}
    if isinstance(found, PopulationFit):
        objective, deviations = found.objective, density.deviations(q)
        n_random = len(objective.random)
        variables["eta"] = ((*dims, "subject", "random"), deviations[..., :n_random])
        coords |= {"subject": found.subjects, "random": list(objective.random)}
        if objective.occasion:
            rows = objective.occasions
            kappa = deviations[..., rows.subject[:, None], objective.columns]
            variables |= {
                "kappa": ((*dims, "row", "between_occasions"), kappa),
                "row_subject": ("row", found.subjects[rows.subject]),
                "row_occasion": ("row", rows.labels),
            }
            coords["between_occasions"] = list(objective.occasion)
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


class _PopulationDensity:
    """log joint density of (x, z), eta = omega z."""

    def __init__(self, found: PopulationFit):
        self.objective: PopulationObjective = found.objective
        self.names, self.scales = found.names, found.objective.scales
        omega = self.objective.sds(found.x)
        self.start = np.concatenate([found.x, (found.eta / omega).ravel()])
        width = np.sqrt(np.abs(np.diag(found.covariance)))
        self.width = np.concatenate(
            [np.where(np.isfinite(width), width, 0.1), np.full(found.eta.size, 0.3)]
        )

    def _split(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        n = len(self.names)
        x, z = q[..., :n], q[..., n:].reshape(*q.shape[:-1], self.objective.n_subjects, -1)
        return x, z, self.objective.sds(x)

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
        by_eta = objective._sum(by_f[:, None] * objective.by_deviations(slope))
        by_sd = (by_eta * z * omega).sum(axis=0)
        np.add.at(gradient, objective.n_shared + objective.sd_of, by_sd)
        if len(rho):
            gradient -= rho @ j_rho
        for i, (name, scale) in enumerate(zip(self.names, self.scales, strict=True)):
            more, more_slope = log_jacobian(objective.priors.get(name), scale, x[i])
            out += more
            gradient[i] += more_slope
        return float(out), np.concatenate([gradient, (by_eta * omega - z).ravel()])
