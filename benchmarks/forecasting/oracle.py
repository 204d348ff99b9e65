"""The oracle: the true mechanistic model, with the true prior and the true error of a sample, fitted by its exact gradient.

Six parameters vary between people of the corpus (:data:`FREE`; "kp" is one factor on all partition coefficients). Their ln
factors, in units of their standard deviations, have a standard normal prior. Derivatives are the engine's sensitivities.
:class:`Oracle` fits all patients of a part at once, which no clinic does but is the fastest way; :func:`fit_one` is what
one would run for one patient: a single call of :func:`pbpk_hybrid.estimation.fit`.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import xarray as xr

from pbpk_hybrid import Regimen, simulate_system
from pbpk_hybrid.estimation import LogNormal, Parameter, fit
from pbpk_hybrid.learn.transformer.batch import SITES
from pbpk_hybrid.learn.transformer.corpus import Part
from pbpk_hybrid.learn.transformer.corpus_designs import GRID
from pbpk_hybrid.learn.transformer.corpus_integration import TOLERANCE, Absorption, stop_table
from pbpk_hybrid.models import mixed_cohort_system
from pbpk_hybrid.models.system.named import own_values, with_values
from pbpk_hybrid.models.system.system import Coefficients, System
from pbpk_hybrid.physiology import ORGANS
from pbpk_hybrid.physiology.organs import TISSUES
from pbpk_hybrid.solvers.base import Problem, SolverOptions
from pbpk_hybrid.solvers.embedded.backend import EmbeddedBackend

FREE = (
    "clint.liver",
    "clearance_renal",
    "fraction_unbound_plasma",
    "absorption_rate",
    "fraction_absorbed",
    "kp",
)


class Oracle:
    """Maximum a posteriori of all patients of a part by Gauss-Newton, side by side."""

    def __init__(self, part: Part) -> None:
        self.part, self.n = part, len(part.batch)
        self.cohort = part.cohort
        self.between_subject_sd = (
            np.stack([self.cohort.between_subject_sd[name] for name in FREE], axis=1) + 1e-6
        )
        self.fixed = {name: values[: self.n] for name, values in self.cohort.parameters.items()}
        b, each = part.batch, self.n // len(part.schedules)
        first = np.repeat(
            [s.size[0] for s in part.schedules], each
        )  # the engine is given 1 mg/kg times this
        self.scale = (b.dose_amount[:, 0] / first / b.body_weight)[:, None, None]
        self.solver = EmbeddedBackend()
        system = self.system(np.zeros((self.n, len(FREE))))
        self.stops = stop_table(
            system, part.schedules, part.lengths, b.body_weight, Absorption.by_model(part.lag)
        )

    def parameters(self, z: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The model's parameters from ln factors in units of their sd; complex numbers pass through."""
        p = dict(self.fixed)
        for j, name in enumerate(FREE):
            factor = np.exp(z[name] * self.between_subject_sd[:, j])
            if name == "kp":
                p |= {
                    f"kp.{organ}": self.cohort.typical[f"kp.{organ}"] * factor for organ in TISSUES
                }
                continue
            value = self.cohort.typical[name] * factor
            p[name] = (
                np.where(value.real < 1.0, value, 1.0) if name.startswith("fraction") else value
            )
        return p

    def system(self, z: np.ndarray) -> System:
        """In units of each patient's horizon, as the corpus integrates; its named parameters are the ln factors."""
        values = {name: z[:, j] for j, name in enumerate(FREE)}
        base = mixed_cohort_system(self.parameters(values), ORGANS)
        lengths = self.part.lengths[:, None]

        def assemble(moved) -> Coefficients:
            c = base.assemble(self.parameters(moved))
            return Coefficients(c.k_value * lengths, c.reaction_parameters, c.observable_factor)

        return replace(base, k_value=base.k_value * lengths, parameters=values, assemble=assemble)

    def curves(self, z: np.ndarray, slopes: bool = True) -> tuple[np.ndarray, np.ndarray | None]:
        """ln concentration (n, times, sites) [mg/L], and its slopes by z (..., 6) from the engine's sensitivities."""
        system = self.system(z)
        problem = Problem(system, self.stops, GRID, SITES, parameters=FREE if slopes else ())
        result = self.solver.solve(
            problem, SolverOptions(rtol=TOLERANCE, threads=1, max_steps=20_000)
        )
        factor = np.stack(
            [np.broadcast_to(system.observables[s].factor, (self.n,)) for s in SITES], axis=1
        )[:, None, :]
        value = np.maximum(result.amount * factor * self.scale, 1e-30)
        if not slopes:
            return np.log(value), None
        slope = result.sensitivity * factor[..., None]
        for j, d in enumerate(result.derivatives):
            for k, site in enumerate(SITES):
                if site in d.factor:
                    slope[..., k, j] += (
                        result.amount[..., k] * np.broadcast_to(d.factor[site], (self.n,))[:, None]
                    )
        return np.log(value), np.where(
            value[..., None] > 1e-30, slope * self.scale[..., None] / value[..., None], 0.0
        )

    def at(
        self, z: np.ndarray, index: np.ndarray, site: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """ln concentration (n, N) at points of the grid, and slopes (n, N, 6)."""
        value, slope = self.curves(z)
        rows = np.arange(self.n)[:, None]
        there = np.maximum(index, 0)
        return value[rows, there, site], slope[rows, there, site]

    def fit(self, iterations: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """Median of ln concentration at the queries (n, Q), and its sd by Laplace, the error of a sample included."""
        b, n = self.part.batch, self.n
        y = np.where(b.obs_mask, np.log(b.obs_value), 0.0)
        weight = np.where(b.obs_mask & ~b.obs_censored, 1.0 / self.part.noise[:, None], 0.0)
        z, damping = np.zeros((n, len(FREE))), np.full(n, 1e-2)
        seen = lambda z: self.at(z, self.part.samples.observed, b.obs_site)
        cost = lambda value, z: (((value - y) * weight) ** 2).sum(axis=1) + (z**2).sum(axis=1)
        value, jac = seen(z)
        now = cost(value, z)
        for _ in range(iterations):
            jw = jac * weight[..., None]
            normal = np.einsum("nij,nik->njk", jw, jw) + np.eye(len(FREE)) * (
                1 + damping[:, None, None]
            )
            gradient = np.einsum("nij,ni->nj", jw, (value - y) * weight) + z
            trial = np.clip(z - np.linalg.solve(normal, gradient[..., None])[..., 0], -4, 4)
            tried, slopes = seen(trial)
            then = cost(tried, trial)
            better = then < now
            z, value, jac = (
                np.where(better.reshape(-1, *[1] * (a.ndim - 1)), a, old)
                for a, old in ((trial, z), (tried, value), (slopes, jac))
            )
            now, damping = (
                np.where(better, then, now),
                np.where(better, damping * 0.3, damping * 8.0),
            )
        jw = jac * weight[..., None]
        cov = np.linalg.inv(np.einsum("nij,nik->njk", jw, jw) + np.eye(len(FREE)))
        median, slope = self.at(z, self.part.samples.asked, b.query_site)
        self.z = z
        return median, np.sqrt(
            np.einsum("nqj,njk,nqk->nq", slope, cov, slope) + self.part.noise[:, None] ** 2
        )


def fit_one(part: Part, i: int) -> tuple[np.ndarray, float]:
    """ln concentration in plasma at the queries of patient i after one call of ``fit``, and its CPU seconds."""
    b, cohort = part.batch, part.cohort
    p = {name: values[i : i + 1] for name, values in cohort.parameters.items()}
    p |= {name: values[i : i + 1] for name, values in cohort.typical.items()}
    system = mixed_cohort_system(p, ORGANS)
    search, priors = {}, {}
    for name in FREE:
        sd = float(cohort.between_subject_sd[name][i])
        if sd < 1e-3:  # this one does not vary in this compound
            continue
        if name == "kp":
            search[name] = Parameter(1.0, targets=tuple(f"kp.{o}" for o in TISSUES), factor=True)
            priors[name] = LogNormal(1.0, sd)
        else:
            usual = float(cohort.typical[name][i])
            if usual <= 0:
                continue
            search[name] = Parameter(usual, upper=1.0 if name.startswith("fraction") else np.inf)
            priors[name] = LogNormal(usual, sd)
    given, seen = b.dose_mask[i], b.obs_mask[i]
    duration, oral = b.dose_duration[i, given], b.dose_oral[i, given]
    route = np.where(oral, "oral", np.where(duration > 0, "iv_infusion", "iv_bolus"))
    regimen = Regimen(
        {
            "time": b.dose_time[i, given],
            "amount": b.dose_amount[i, given],
            "route": route,
            "duration": duration,
        }
    )
    n = int(seen.sum())
    text = lambda value: ("sample", np.full(n, value))
    observation = xr.Dataset(
        {
            "time": ("sample", b.obs_time[i, seen], {"units": "h"}),
            "value": ("sample", b.obs_value[i, seen], {"units": "mg/L"}),
            "matrix": ("sample", np.array([SITES[s] for s in b.obs_site[i, seen]])),
            "subject": text("0"),
            "study": text("s"),
            "reference": text("r"),
        }
    )
    start = time.process_time()
    lag = float(part.lag[i]) if oral.any() else 0.0
    found = fit(
        system,
        observation,
        search,
        priors,
        regimen=regimen,
        error={"lognormal": float(part.noise[i])},
        lag_time=lag,
    )
    values = {name: np.array([found[name]]) for name in search if name != "kp"}
    if "kp" in search:
        values |= {f"kp.{o}": p[f"kp.{o}"] * found["kp"] for o in TISSUES}
    grid, back = np.unique(b.query_time[i], return_inverse=True)
    curve = simulate_system(
        with_values(system, own_values(system) | values),
        regimen,
        grid,
        compartments=["plasma"],
        lag_time=lag,
    )
    return np.log(np.maximum(curve["concentration"].values.ravel(), 1e-30))[
        back
    ], time.process_time() - start


__all__ = ["FREE", "Oracle", "fit_one"]
