"""Maximum a posteriori (or maximum likelihood) by least squares on the engine's
sensitivities, from several starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .._core.errors import InputError, SolveError
from .._core.provenance import provenance
from ..dosing import Regimen
from ..models.system.named import with_values
from ..models.system.system import System
from ..simulation.run import simulate_system
from ..solvers.base import SolverOptions
from .error_models import as_error_model
from .model_fits import ModelPredictor, ModelUnderFit, check_regimen, is_fittable
from .objective import Objective
from .parameters import Parameter, Prior, check_priors, resolve
from .predictor import Data, Predictor, read_observations
from .steady import warn_if_unsettled

if TYPE_CHECKING:
    import pandas as pd

    from .posterior_draws import Posterior

_ROUNDS = 30


@dataclass(frozen=True, eq=False)
class Fit:
    """What was found.

    Parameters
    ----------
    names : estimated parameters, those of the error model last
    values : (p,) natural values at the optimum
    u, covariance : (p,), (p, p) on the scale of the search
    minus_two_log : -2 log posterior at the optimum (-2 log likelihood where there are no priors)
    converged : whether the least-squares rounds settled
    starts : (n_starts,) objective reached from each start
    objective : the function that was minimised, for profiles and samplers
    facts : backend, number of model evaluations, how the covariance was made
    """

    names: tuple[str, ...]
    values: np.ndarray
    u: np.ndarray
    covariance: np.ndarray
    minus_two_log: float
    converged: bool
    starts: np.ndarray
    objective: Objective
    facts: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        return float(self.values[self.names.index(name)])

    def intervals(self, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """Laplace intervals: normal on the scale of the search, turned back."""
        from scipy.stats import norm

        half = norm.ppf(0.5 + level / 2) * np.sqrt(np.diag(self.covariance))
        scales = self.objective.scales
        return {
            n: (float(s.back(u - h)), float(s.back(u + h)))
            for n, s, u, h in zip(self.names, scales, self.u, half, strict=True)
        }

    def table(self, level: float = 0.95) -> pd.DataFrame:
        """Value, standard error of the value (delta method), and interval of every parameter."""
        import pandas as pd

        slope = np.array(
            [float(s.slope(u)) for s, u in zip(self.objective.scales, self.u, strict=True)]
        )
        error = np.sqrt(np.diag(self.covariance)) * slope
        bounds = self.intervals(level)
        return pd.DataFrame(
            {
                "value": self.values,
                "standard_error": error,
                "lower": [bounds[n][0] for n in self.names],
                "upper": [bounds[n][1] for n in self.names],
            },
            index=pd.Index(self.names, name="parameter"),
        )

    def posterior(self, *, draws: int = 1000, fallback: str = "nuts", seed: int = 0) -> Posterior:
        """Draws of the posterior around the estimates, certified.

        Parameters
        ----------
        draws : int
            Equally weighted draws of the result; each round proposes twice as many.
        fallback : str
            Where the Pareto k is above 0.7: "nuts", or "none" for a warning only.
        seed : int

        Returns
        -------
        Posterior
            A parameter without a prior has a flat one on the scale of the search.
        """
        from .posterior_sampling import SamplingSettings, sample_objective

        settings = SamplingSettings(draws=draws, fallback=fallback, seed=seed)
        return sample_objective(self.objective, self.u, self.covariance, settings)

    def simulate(
        self,
        regimen: Regimen | xr.Dataset | str | None = None,
        times: Sequence[float] | np.ndarray | None = None,
        *,
        compartments: Sequence[str] | None = None,
        areas: Sequence[str] | None = None,
    ) -> xr.Dataset:
        """Curves of all subjects at the estimates.

        Parameters
        ----------
        regimen : Regimen, xarray.Dataset or str, optional
            None: the doses of the fit.
        times, compartments, areas
            As in :func:`pbpk_hybrid.simulate`.

        Returns
        -------
        xarray.Dataset
            Schema ``simulation``.
        """
        predictor = self.objective.predictor
        values, _ = self.objective.settings(self.u)
        return simulate_system(
            with_values(predictor.system, {**predictor.own, **values}),
            predictor.regimen if regimen is None else regimen,
            times,
            compartments=compartments,
            areas=areas,
            backend="embedded",
            options=predictor.options,
            body_weight=predictor.body_weight,
            lag_time=predictor.lag_time,
            facts={"estimation": self.facts["estimation"]},
        )

    def predictions(self) -> xr.Dataset:
        """Observed, predicted and weighted residual of every observation (censored ones:
        observed is the limit).
        """
        data = self.objective.data
        t, _ = self.objective.terms(self.u)
        return prediction_dataset(data, self.objective.predict(self.u)[0], t.r, self.facts)


def prediction_dataset(
    data: Data,
    predicted: np.ndarray,
    residual: np.ndarray,
    facts: Mapping[str, Any],
    **more: Any,
) -> xr.Dataset:
    """Observed against predicted, as a Dataset over samples.

    Parameters
    ----------
    predicted : (n_samples,) [mg/L]
    residual : (n_samples,) in units of the error model's standard deviation
    more : further variables, as xarray takes them
    """
    unit = {"units": "mg/L"}
    return xr.Dataset(
        {
            "observed": ("sample", np.where(data.censored, data.lloq, data.value), unit),
            "predicted": ("sample", predicted, unit),
            "weighted_residual": ("sample", residual, {"units": "1"}),
            "censored": ("sample", data.censored),
            "time": ("sample", data.time, {"units": "h"}),
            "subject": ("sample", data.labels),
            "compartment": ("sample", np.array(data.compartments)[data.compartment]),
            **more,
        },
        attrs=provenance(**facts),
    )


def fit(
    model: System,
    observation: xr.Dataset,
    parameters: Mapping[str, Parameter | float] | Sequence[str],
    priors: Mapping[str, Prior] | None = None,
    *,
    regimen: Regimen | xr.Dataset | str | None = None,
    error: str | Mapping[str, float] = "proportional",
    body_weight: np.ndarray | None = None,
    lag_time: float = 0.0,
    compartments: Mapping[str, str] | None = None,
    starts: int = 1,
    seed: int = 0,
    backend: str = "embedded",
    options: SolverOptions | None = None,
) -> Fit:
    """Estimate parameters that all subjects share.

    >>> import numpy as np, xarray as xr, pbpk_hybrid as ph
    >>> from pbpk_hybrid.estimation import LogNormal, fit
    >>> person = ph.reference_individual("human")
    >>> system = ph.whole_body_system(ph.get_compound("midazolam"), person)
    >>> given, hours = "5 mg iv over 20 min", [1.0, 2.0, 4.0, 8.0]
    >>> truth = ph.simulate_system(system, given, hours)["concentration"].sel(compartment="plasma")
    >>> observed = xr.Dataset(
    ...     {"time": ("sample", hours), "value": ("sample", 1.1 * truth.values[0])}
    ...     | {n: ("sample", np.full(4, t)) for n, t in (("matrix", "plasma"), ("subject", "0"))}
    ...     | {n: ("sample", np.full(4, "mine")) for n in ("study", "reference")}
    ... )
    >>> prior = {"clint.liver": LogNormal(1000, 0.5)}
    >>> found = fit(system, observed, ["clint.liver"], prior, regimen=given)
    >>> found.converged
    True

    Parameters
    ----------
    model : a System; with one subject all observations are its own, else they are found
        by their subject's label. Or a model that brings its own doses, such as a
        simulation of PK-Sim (one subject; parameters and matrices by path)
    observation : Dataset of schema ``observation``; values marked ``censored`` count by method M3
    parameters : name -> Parameter, or the number to start from; or just names
    priors : name -> Normal, LogNormal or HalfCauchy; names of the error model
        ("error.proportional") may be among them
    regimen : what was given, as in simulate_system; None for a model that brings its own doses
    error : "additive", "proportional", "combined" or "lognormal", estimated; or known
        values, {"proportional": 0.2}
    body_weight, lag_time : as in simulate_system
    compartments : matrix of an observation -> compartment of the model, where they are
        not called alike
    starts : how many; the first is the initial values, others are drawn from the priors
        or within a factor of e^1.5
    seed : of those draws

    Returns
    -------
    Fit

    Raises
    ------
    InputError and its kin : anything that cannot be used, before the first integration
    SolveError : the model cannot be integrated at the initial values
    """
    objective = make_objective(
        model,
        observation,
        parameters,
        priors,
        regimen=regimen,
        error=error,
        body_weight=body_weight,
        lag_time=lag_time,
        compartments=compartments,
        backend=backend,
        options=options,
    )
    if not np.isfinite(objective.minus_two_log(objective.start)):
        raise SolveError("the model cannot be integrated at the initial values of the parameters")
    best, reached = None, []
    for start in starting_points(objective, starts, seed):
        found = minimise(objective, start)
        reached.append(found[1])
        if best is None or found[1] < best[1]:
            best = found
    u, value, converged = best
    warn_if_unsettled(objective, u)
    covariance, how = covariance_at(objective, u)
    facts = {
        "estimation": "maximum a posteriori" if any(objective.priors) else "maximum likelihood",
        "error_model": objective.error.kind,
        "backend": objective.predictor.backend.name,
        "covariance": how,
        "evaluations": objective.predictor.calls,
        "observations": len(objective.data),
        "starts": starts,
        "seed": seed,
        "steady_state_doses": objective.predictor.steady_doses,
    }
    return Fit(
        objective.names,
        objective.values(u),
        u,
        covariance,
        value,
        converged,
        np.array(reached),
        objective,
        facts,
    )


def make_objective(
    model: System,
    observation: xr.Dataset,
    parameters: Mapping[str, Parameter | float] | Sequence[str],
    priors: Mapping[str, Prior] | None,
    *,
    regimen: Regimen | xr.Dataset | str | None,
    error: str | Mapping[str, float] = "proportional",
    body_weight: np.ndarray | None = None,
    lag_time: float = 0.0,
    compartments: Mapping[str, str] | None = None,
    backend: str = "embedded",
    options: SolverOptions | None = None,
    more_names: Sequence[str] = (),
) -> Objective:
    """Check everything and put it together; arguments as in :func:`fit`."""
    brings_doses = is_fittable(model)
    if brings_doses:
        check_regimen(regimen)
        model = ModelUnderFit(model)
    elif not isinstance(model, System):
        hint = "build one with whole_body_system(compound, people)"
        raise InputError("model", type(model).__name__, "a System", hint=hint)
    elif regimen is None:
        raise InputError("regimen", None, "what was given, such as '100 mg oral'")
    error_model = as_error_model(error)
    resolved = resolve(model, parameters, priors)
    check_priors(priors, (*(p.name for p in resolved), *error_model.free, *more_names))
    data = read_observations(
        observation, model, compartments, zero=error_model.kind in ("additive", "combined")
    )
    targets = tuple(t for p in resolved for t in p.targets)
    if brings_doses:
        predictor = ModelPredictor(model, data, targets, backend=backend, options=options)
        return Objective(predictor, resolved, error_model, priors)
    predictor = Predictor(
        model,
        data,
        regimen,
        targets,
        body_weight=body_weight,
        lag_time=lag_time,
        backend=backend,
        options=options,
    )
    return Objective(predictor, resolved, error_model, priors)


def minimise(
    objective: Objective, start: np.ndarray, fixed: Sequence[int] = ()
) -> tuple[np.ndarray, float, bool]:
    """(u, -2 log posterior, settled) from one start; parameters of the numbers in `fixed`
    keep their value.
    """
    from scipy.optimize import least_squares

    free = np.setdiff1d(np.arange(len(start)), fixed)
    low, high = objective.bounds
    u, margin = np.array(start, dtype=float), 1e-9
    u[free] = np.clip(u[free], low[free] + margin, high[free] - margin)
    value, settled = objective.minus_two_log(u), not len(free)
    for step in range(_ROUNDS if len(free) else 0):
        reference = objective.terms(u)[0].l
        at = _Held(objective, u, free, reference, 9.0 if step == 0 else 1.0)
        found = least_squares(
            at.residuals,
            u[free],
            at.jacobian,
            bounds=(low[free], high[free]),
            xtol=1e-10,
            ftol=1e-10,
            gtol=1e-10,
            max_nfev=30 if step == 0 else 15,
        )
        moved = u.copy()
        moved[free] = found.x
        new = objective.minus_two_log(moved)
        if not new < value:  # nothing gained: the rounds have settled
            settled = True
            break
        gain, u, value = value - new, moved, new
        if gain < 1e-7 * (1.0 + abs(value) * 1e-3):
            settled = True
            break
    return u, float(value), settled


@dataclass(frozen=True, eq=False)
class _Held:
    """The squares as functions of the free parameters alone, around a reference of the
    variances.
    """

    objective: Objective
    u: np.ndarray
    free: np.ndarray
    reference: np.ndarray
    c: float

    def _squares(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        full = self.u.copy()
        full[self.free] = x
        return self.objective.squares(full, self.reference, self.c)

    def residuals(self, x: np.ndarray) -> np.ndarray:
        return self._squares(x)[0]

    def jacobian(self, x: np.ndarray) -> np.ndarray:
        return self._squares(x)[1][:, self.free]


def covariance_at(objective: Objective, u: np.ndarray) -> tuple[np.ndarray, str]:
    """Inverse of the observed information (gradients differenced), else of the expected
    one; on the scale of u.
    """
    expected = objective.information(u)
    scale = 1.0 / np.sqrt(np.maximum(np.diag(expected), 1e-12))
    step = np.minimum(0.05 * scale, 0.05)
    observed = np.empty((len(u), len(u)))
    for i in range(len(u)):
        moved = np.zeros(len(u))
        moved[i] = step[i]
        observed[i] = (objective.gradient(u + moved) - objective.gradient(u - moved)) / (
            4.0 * step[i]
        )
    observed = 0.5 * (observed + observed.T)
    if (
        np.isfinite(observed).all()
        and np.linalg.eigvalsh(observed * np.outer(scale, scale)).min() > 1e-8
    ):
        return np.linalg.inv(observed), "observed information"
    return np.linalg.pinv(
        expected
    ), "expected information (the observed one is not positive definite)"


def starting_points(objective: Objective, count: int, seed: int) -> list[np.ndarray]:
    """The initial values, then draws of the priors or from around them, on the search's scale."""
    if not isinstance(count, (int, np.integer)) or count < 1:
        raise InputError("starts", count, "an integer >= 1")
    out = [objective.start]
    if count == 1:
        return out
    from scipy.stats import qmc

    draws = qmc.LatinHypercube(len(objective.start), rng=np.random.default_rng(seed)).random(
        count - 1
    )
    for row in draws:
        u = objective.start.copy()
        for i, (prior, scale) in enumerate(zip(objective.priors, objective.scales, strict=True)):
            if prior is not None:
                x = float(prior.draw(np.array([0.02 + 0.96 * row[i]]))[0])
                if scale.lower < x < scale.upper:
                    u[i] = float(scale.forward(x))
            elif scale.kind == "linear":
                u[i] += (2 * row[i] - 1) * max(abs(u[i]), 1.0)
            else:
                u[i] += 3.0 * row[i] - 1.5
        if np.isfinite(objective.minus_two_log(u)):
            out.append(u)
    return out
