r"""Minus twice the log posterior as a sum of squares, so that least squares minimises it.

.. math::
    -2 \log p = \sum_i r_i^2 + \sum_i \log \sigma_i^2 + \sum_k \rho_k^2 + const

log sigma^2 is written as a square around a reference value: with
:math:`s_i^2 = c + \log\sigma_i^2 - \log\sigma_{i,ref}^2` the sum of all squares is the
objective, up to a constant, as long as every s_i^2 is positive. With c = 1 and the
reference near the optimum the Gauss-Newton matrix is Fisher's information of the mean and
of the variance, so that convergence is that of Fisher scoring.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .error_models import ErrorModel, Terms, terms
from .parameters import Prior, Resolved, Scale
from .predictor import Data, Predictor

ERROR_SCALE = Scale("log", 0.0, np.inf)


class Objective:
    """The posterior of parameters that all subjects share."""

    def __init__(
        self,
        predictor: Predictor,
        parameters: Sequence[Resolved],
        error: ErrorModel,
        priors: Mapping[str, Prior] | None,
    ):
        self.predictor, self.parameters, self.error = predictor, tuple(parameters), error
        data: Data = predictor.data
        self.data = data
        self.names = (*(p.name for p in parameters), *error.free)
        self.scales = (*(p.scale for p in parameters), *(ERROR_SCALE for _ in error.free))
        self.priors = [(priors or {}).get(n) for n in self.names]
        usual = error.initial(np.where(data.censored, data.lloq, data.value))
        self.start = np.array([*(p.start for p in parameters), *np.log(usual)])
        # further than e^+-20 from where it starts nothing is sought
        wide = [20.0 if s.kind == "log" else np.inf for s in self.scales]
        ends = zip(self.scales, self.start, wide, strict=True)
        self.bounds = tuple(
            np.array(b)
            for b in zip(
                *((max(s.bounds[0], u - w), min(s.bounds[1], u + w)) for s, u, w in ends),
                strict=True,
            )
        )
        self._memory: tuple[bytes, tuple] | None = None

    @property
    def n_model(self) -> int:
        """Number of model parameters, without those of the error model."""
        return len(self.parameters)

    def values(self, u: np.ndarray) -> np.ndarray:
        """Natural values of the parameters at u."""
        return np.array([s.back(x) for s, x in zip(self.scales, u, strict=True)], dtype=float)

    def predict(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predictions (n,) and their derivatives by u of the model's parameters (n, n_model)."""
        key = np.ascontiguousarray(u[: self.n_model]).tobytes()
        if self._memory is None or self._memory[0] != key:
            values, columns = self.settings(u)
            f, by_target = self.predictor(values)
            slope = np.zeros((len(f), self.n_model))
            for q, (owner, inner) in enumerate(columns):
                inner = (
                    inner if np.ndim(inner) == 0 or len(inner) == 1 else inner[self.data.subject]
                )
                slope[:, owner] += by_target[:, q] * inner
            self._memory = (key, (f, slope))
        return self._memory[1]

    def settings(self, u: np.ndarray) -> tuple[dict[str, np.ndarray], list[tuple[int, np.ndarray]]]:
        """Values of the model's targets, and for each target its parameter and d(target)/du."""
        values: dict[str, np.ndarray] = {}
        columns = []
        for i, p in enumerate(self.parameters):
            x, slope = p.scale.back(u[i]), p.scale.slope(u[i])
            for target in p.targets:
                own = self.predictor.own[target] if p.factor else 1.0
                values[target] = np.atleast_1d(x * own)
                columns.append((target, i, slope * own))
        order = {t: n for n, t in enumerate(self.predictor.targets)}
        columns.sort(key=lambda c: order[c[0]])
        return values, [(i, inner) for _, i, inner in columns]

    def terms(self, u: np.ndarray) -> tuple[Terms, np.ndarray]:
        """Terms of the observations and the predictions' derivatives."""
        f, slope = self.predict(u)
        e = self.error.values(np.exp(u[self.n_model :]))
        d = self.data
        return terms(self.error, f, e, d.value, d.lloq, d.censored), slope

    def prior_rows(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Residuals of the priors and their Jacobian."""
        rows, jacobian = [], []
        for i, prior in enumerate(self.priors):
            if prior is None:
                continue
            r, slope = prior.residual(float(self.scales[i].back(u[i])))
            row = np.zeros(len(u))
            row[i] = slope * float(self.scales[i].slope(u[i]))
            rows.append(r)
            jacobian.append(row)
        return np.array(rows), np.array(jacobian).reshape(-1, len(u))

    def squares(
        self, u: np.ndarray, reference: np.ndarray, c: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """All residuals and their Jacobian. Where the model cannot be solved: large and flat."""
        t, slope = self.terms(u)
        if not np.isfinite(t.r).all():
            n = 2 * len(self.data) + sum(p is not None for p in self.priors)
            return np.full(n, 1e8), np.zeros((n, len(u)))
        by_error = self._by_error(u)
        j = np.concatenate([t.r_f[:, None] * slope, t.r_e @ by_error], axis=1)
        s = np.sqrt(np.maximum(c + t.l - reference, 1e-12))
        j_s = np.concatenate([t.l_f[:, None] * slope, t.l_e @ by_error], axis=1) / (
            2.0 * s[:, None]
        )
        rho, j_rho = self.prior_rows(u)
        return np.concatenate([t.r, s, rho]), np.concatenate([j, j_s, j_rho])

    def _by_error(self, u: np.ndarray) -> np.ndarray:
        """d(all error parameters)/d(free ones on the log scale)."""
        out = np.zeros((len(self.error.names), len(self.error.free)))
        for j, name in enumerate(self.error.free):
            out[self.error.names.index(name), j] = np.exp(u[self.n_model + j])
        return out

    def minus_two_log(self, u: np.ndarray) -> float:
        """-2 log posterior, without the priors' constants; inf where the model cannot be solved."""
        t, _ = self.terms(u)
        value = (
            float((t.r**2).sum() + t.l.sum() + (self.prior_rows(u)[0] ** 2).sum()) + self.constant
        )
        return value if np.isfinite(value) else np.inf

    @property
    def constant(self) -> float:
        """n log 2 pi, and the log-normal's Jacobian: makes it -2 log of a density of the
        observations.
        """
        seen = ~self.data.censored
        out = seen.sum() * np.log(2 * np.pi)
        if self.error.kind == "lognormal":
            out += 2.0 * np.log(self.data.value[seen]).sum()
        return float(out)

    def gradient(self, u: np.ndarray) -> np.ndarray:
        """Of minus_two_log."""
        t, slope = self.terms(u)
        by_f, by_e = 2.0 * t.r * t.r_f + t.l_f, (2.0 * t.r[:, None] * t.r_e + t.l_e).sum(axis=0)
        rho, j_rho = self.prior_rows(u)
        out = np.concatenate([by_f @ slope, by_e @ self._by_error(u)])
        return out + 2.0 * rho @ j_rho if len(rho) else out

    def information(self, u: np.ndarray) -> np.ndarray:
        """Expected information of u (half the curvature of minus_two_log), priors included."""
        t, slope = self.terms(u)
        by_error = self._by_error(u)
        mean = np.concatenate(
            [t.weight[:, None] * slope, np.zeros((len(t.r), by_error.shape[1]))], axis=1
        )
        spread = np.concatenate([t.l_f[:, None] * slope, t.l_e @ by_error], axis=1) / np.sqrt(2.0)
        _, j_rho = self.prior_rows(u)
        rows = np.concatenate([mean, spread, j_rho])
        return rows.T @ rows
