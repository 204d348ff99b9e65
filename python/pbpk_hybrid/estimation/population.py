r"""Hierarchical fits: every subject has its own parameters, drawn around typical ones.

With u_i the parameters on the scale of the search,
:math:`u_i = u + \eta_i,\ \eta_i \sim N(0, \Omega)`, the likelihood of subject i is an
integral over eta. Laplace's approximation at the mode :math:`\hat\eta_i`, with Fisher's
information of the subject's observations as curvature, is the objective called FOCE with
interaction:

.. math::
    -2\log L = \sum_i \Big[ \sum_j (r_{ij}^2 + \log\sigma_{ij}^2)
    + \hat\eta_i^T \Omega^{-1} \hat\eta_i + \log|\Omega|
    + \log\Big|\Omega^{-1} + \sum_j \frac{f'_{ij} f'^T_{ij}}{\sigma_{ij}^2}
    + \frac12 (\log\sigma_{ij}^2)' (\log\sigma_{ij}^2)'^T\Big| \Big]

(Wang 2007, J Pharmacokinet Pharmacodyn 34:575). All subjects' modes are found together by
Fisher scoring on the engine's sensitivities; the outer problem is solved by BFGS after a
few rounds of an EM algorithm.

Parameters may also differ between the occasions k of a subject, :math:`u_{ik} = u + \eta_i +
\kappa_{ik},\ \kappa_{ik} \sim N(0, \Pi)` (Karlsson & Sheiner 1993, J Pharmacokinet Biopharm
21:735). The deviations of all occasions of a subject then stand beside :math:`\eta_i` in one
vector, and everything above holds for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .._core.errors import InputError, SolveError, unknown_name
from ..dosing import Regimen
from ..models.system.named import with_values
from ..models.system.system import System
from ..simulation.run import simulate_system
from ..solvers.base import SolverOptions
from .error_models import Terms, terms
from .fitting import make_objective, prediction_dataset
from .objective import Objective
from .occasions import Occasions, warn_if_carried
from .parameters import Parameter, Prior, Scale
from .steady import warn_if_unsettled

if TYPE_CHECKING:
    import pandas as pd

_OMEGA = Scale("log", 0.0, np.inf)


class PopulationObjective:
    """FOCE with interaction of one model and data set; `x` is (u of the parameters, log
    of the error's, log sd of eta, log sd of the deviations between occasions).

    The deviations of a subject are one row of `eta`, (n_subjects, n_random + n_occasions x
    n_occasion): those between subjects, then those of its first occasion, and so on. A subject with
    fewer occasions than others has deviations that nothing depends on; they add nothing to the
    objective.
    """

    def __init__(
        self,
        shared: Objective,
        random: Sequence[str],
        occasion: Sequence[str] = (),
        occasions: Occasions | None = None,
    ):
        self.shared, self.random, self.occasion = shared, tuple(random), tuple(occasion)
        self.which = np.array([shared.names.index(n) for n in random], dtype=int)
        self.which_occasion = np.array([shared.names.index(n) for n in occasion], dtype=int)
        self.names = (
            *shared.names,
            *(f"omega.{n}" for n in random),
            *(f"occasion.{n}" for n in occasion),
        )
        self.scales = (*shared.scales, *(_OMEGA for _ in (*random, *occasion)))
        self.occasions = occasions or Occasions.single(shared.predictor.system.subjects)
        self.n_subjects = int(self.occasions.subject.max()) + 1
        #: columns of `eta` that belong to each row's occasion, (n_rows, n_occasion)
        begin = len(self.random) + len(self.occasion) * self.occasions.number
        self.columns = begin[:, None] + np.arange(len(self.occasion))
        #: column of `eta` -> number of its standard deviation
        self.sd_of = np.r_[
            np.arange(len(self.random)),
            np.tile(len(self.random) + np.arange(len(self.occasion)), self.occasions.most),
        ].astype(int)
        self.eta = np.zeros((self.n_subjects, len(self.sd_of)))

    def sds(self, x: np.ndarray) -> np.ndarray:
        """(n_deviations,) standard deviation of every column of `eta`."""
        return np.exp(x[..., self.n_shared :])[..., self.sd_of]

    def of_rows(self, x: np.ndarray, eta: np.ndarray) -> np.ndarray:
        """(n_rows, n_model) u of every row."""
        subject = self.occasions.subject
        u = np.tile(x[: self.shared.n_model], (len(subject), 1))
        u[:, self.which] += eta[subject, : len(self.random)]
        if len(self.occasion):
            u[:, self.which_occasion] += eta[subject[:, None], self.columns]
        return u

    def by_deviations(self, slope: np.ndarray) -> np.ndarray:
        """(n_observations, n_deviations) from derivatives (n_observations, n_model)."""
        s = np.zeros((len(slope), len(self.sd_of)))
        s[:, : len(self.random)] = slope[:, self.which]
        if len(self.occasion):
            columns = self.columns[self.shared.data.subject]
            np.put_along_axis(s, columns, slope[:, self.which_occasion], axis=1)
        return s

    @property
    def n_shared(self) -> int:
        """Number of parameters that all subjects share."""
        return len(self.shared.names)

    def individual(self, x: np.ndarray, eta: np.ndarray) -> tuple[Terms, np.ndarray, np.ndarray]:
        """Terms, predictions, and derivatives of the predictions by each subject's u of
        the model (n, n_model).
        """
        shared = self.shared
        predictor, n_model = shared.predictor, shared.n_model
        u = self.of_rows(x, eta)
        values, inner = {}, {}
        for i, p in enumerate(shared.parameters):
            own_u = u[:, i]
            for target in p.targets:
                own = predictor.own[target] if p.factor else 1.0
                values[target] = p.scale.back(own_u) * own
                inner[target] = (i, p.scale.slope(own_u) * own)
        f, by_target = predictor(values)
        slope = np.zeros((len(f), n_model))
        for q, target in enumerate(predictor.targets):
            owner, chain = inner[target]
            slope[:, owner] += by_target[:, q] * chain[shared.data.subject]
        e = shared.error.values(np.exp(x[n_model : self.n_shared]))
        d = shared.data
        return terms(shared.error, f, e, d.value, d.lloq, d.censored), f, slope

    def targets(self, x: np.ndarray, eta: np.ndarray) -> dict[str, np.ndarray]:
        """Each row's values of the model's targets, (n_rows,) each."""
        shared, found = self.shared, {}
        u = self.of_rows(x, eta)
        for i, p in enumerate(shared.parameters):
            for target in p.targets:
                own = shared.predictor.own[target] if p.factor else 1.0
                found[target] = p.scale.back(u[:, i]) * own
        return found

    def precision(self, x: np.ndarray) -> np.ndarray:
        """1/omega^2 (n_deviations,)."""
        return self.sds(x) ** -2.0

    def _sum(self, rows: np.ndarray) -> np.ndarray:
        out = np.zeros((self.n_subjects, *rows.shape[1:]))
        np.add.at(out, self.occasions.subject[self.shared.data.subject], rows)
        return out

    def subjects(
        self, t: Terms, slope: np.ndarray, eta: np.ndarray, precision: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Per subject: 2 g (n,), gradient of g (n, n_deviations), Fisher curvature of g (n,
        n_deviations, n_deviations).
        """
        s = self.by_deviations(slope)
        value = self._sum(t.r**2 + t.l) + (precision * eta**2).sum(axis=1)
        gradient = self._sum((t.r * t.r_f + 0.5 * t.l_f)[:, None] * s) + precision * eta
        curve = (t.weight**2 + 0.5 * t.l_f**2)[:, None, None] * s[:, :, None] * s[:, None, :]
        return value, gradient, self._sum(curve) + np.diag(precision)

    def modes(
        self, x: np.ndarray, eta: np.ndarray, most: int = 50, tolerance: float = 1e-9
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, Terms, np.ndarray] | None:
        """Modes of all subjects by Fisher scoring with step halving.

        Returns
        -------
        (eta, 2 g, curvature, terms, slope), or None where a subject cannot be integrated
        """
        precision = self.precision(x)
        t, _, slope = self.individual(x, eta)
        value, gradient, curve = self.subjects(t, slope, eta, precision)
        if not np.isfinite(value).all():
            return None
        length = np.ones(self.n_subjects)
        for _ in range(most):
            step = np.linalg.solve(curve, gradient[:, :, None])[:, :, 0]
            decrement = (step * gradient).sum(axis=1)
            if decrement.max() < tolerance:
                break
            trial = eta - length[:, None] * step
            t_new, _, slope_new = self.individual(x, trial)
            value_new, gradient_new, curve_new = self.subjects(t_new, slope_new, trial, precision)
            better = np.isfinite(value_new) & (value_new <= value + 1e-9 * np.abs(value))
            if not better.any() and length.max() < 1e-6:
                break
            eta = np.where(better[:, None], trial, eta)
            value = np.where(better, value_new, value)
            gradient = np.where(better[:, None], gradient_new, gradient)
            curve = np.where(better[:, None, None], curve_new, curve)
            length = np.where(better, np.minimum(1.0, 2.0 * length), 0.3 * length)
            if better.all():
                t, slope = t_new, slope_new
            else:
                t, _, slope = self.individual(x, eta)
        return eta, value, curve, t, slope

    def minus_two_log(
        self, x: np.ndarray, eta: np.ndarray | None = None, most: int = 50, keep: bool = True
    ) -> float:
        """-2 log posterior by Laplace's approximation; remembers the modes for the next call."""
        found = self.modes(x, self.eta if eta is None else eta, most)
        if found is None:
            return np.inf
        modes, value, curve, *_ = found
        if keep:
            self.eta = modes
        _, log_det = np.linalg.slogdet(curve)
        total = value.sum() + log_det.sum() + 2.0 * self.n_subjects * np.log(self.sds(x)).sum()
        return float(total + self.shared.constant + (self.prior_rows(x)[0] ** 2).sum())

    def prior_rows(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Residuals of the priors and their derivatives by x."""
        rows, jacobian = [], []
        for i, name in enumerate(self.names):
            prior = self.priors.get(name)
            if prior is None:
                continue
            r, slope = prior.residual(float(self.scales[i].back(x[i])))
            row = np.zeros(len(x))
            row[i] = slope * float(self.scales[i].slope(x[i]))
            rows.append(r)
            jacobian.append(row)
        return np.array(rows), np.array(jacobian).reshape(-1, len(x))

    priors: Mapping[str, Prior] = {}

    def variances(self, eta: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """(n_sds,) mean squares of the deviations, with their conditional variance; of occasions
        over those that there are.
        """
        square = eta**2 + np.diagonal(spread, axis1=1, axis2=2)
        n = len(self.random)
        between = square[:, :n].mean(axis=0)
        within = square[self.occasions.subject[:, None], self.columns].mean(axis=0)
        return np.concatenate([between, within])

    def gradient(self, x: np.ndarray, h: float = 1e-3) -> np.ndarray:
        """Central differences; the modes follow by Fisher steps from those at x."""
        out = np.empty(len(x))
        for i in range(len(x)):
            moved = np.zeros(len(x))
            moved[i] = h
            ahead = self.minus_two_log(x + moved, self.eta, most=3, keep=False)
            behind = self.minus_two_log(x - moved, self.eta, most=3, keep=False)
            out[i] = (ahead - behind) / (2.0 * h)
        return out


@dataclass(frozen=True, eq=False)
class PopulationFit:
    """What a hierarchical fit found.

    Parameters
    ----------
    names : parameters, those of the error model, and ``omega.NAME``: standard deviations
        of eta on the scale of the search
    values, x : natural values, and those on the scale of the search
    covariance : (p, p) of x
    eta : (n_subjects, n_deviations) modes, first those between subjects, then occasion by
        occasion;  eta_covariance : (n_subjects, n_deviations, n_deviations)
    minus_two_log : -2 log posterior by Laplace's approximation
    """

    names: tuple[str, ...]
    values: np.ndarray
    x: np.ndarray
    covariance: np.ndarray
    eta: np.ndarray
    eta_covariance: np.ndarray
    minus_two_log: float
    converged: bool
    objective: PopulationObjective
    facts: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        return float(self.values[self.names.index(name)])

    def intervals(self, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """Laplace intervals: normal on the scale of the search, turned back."""
        from scipy.stats import norm

        half = norm.ppf(0.5 + level / 2) * np.sqrt(np.diag(self.covariance))
        triples = zip(self.names, self.objective.scales, self.x, half, strict=True)
        return {n: (float(s.back(u - h)), float(s.back(u + h))) for n, s, u, h in triples}

    def table(self, level: float = 0.95) -> pd.DataFrame:
        """Value, standard error (delta method) and interval of every parameter."""
        import pandas as pd

        slope = np.array(
            [float(s.slope(u)) for s, u in zip(self.objective.scales, self.x, strict=True)]
        )
        bounds = self.intervals(level)
        return pd.DataFrame(
            {
                "value": self.values,
                "standard_error": np.sqrt(np.diag(self.covariance)) * slope,
                "lower": [bounds[n][0] for n in self.names],
                "upper": [bounds[n][1] for n in self.names],
            },
            index=pd.Index(self.names, name="parameter"),
        )

    def individuals(self) -> xr.Dataset:
        """Parameters of each subject (posterior mode) and eta, over subject and parameter."""
        objective = self.objective
        scales = objective.shared.scales
        eta = self.eta[:, : len(objective.random)]
        u = self.x[objective.which] + eta
        columns = zip(objective.which, u.T, strict=True)
        values = np.stack([scales[i].back(column) for i, column in columns], axis=1)
        dims = ("subject", "parameter")
        return xr.Dataset(
            {"value": (dims, values), "eta": (dims, eta)},
            {"subject": self.subjects, "parameter": list(objective.random)},
        )

    @property
    def subjects(self) -> np.ndarray:
        """Labels of the subjects."""
        return self.objective.occasions.subjects

    def occasions(self) -> xr.Dataset:
        """Parameters of each subject on each occasion (posterior mode), and kappa.

        Raises
        ------
        InputError
            A fit without occasions.
        """
        objective = self.objective
        if not objective.occasion:
            raise InputError("occasion", (), "a fit of parameters that differ between occasions")
        rows, which = objective.occasions, objective.which_occasion
        u = objective.of_rows(self.x, self.eta)[:, which]
        scales = objective.shared.scales
        value = np.stack([scales[i].back(v) for i, v in zip(which, u.T, strict=True)], axis=1)
        kappa = self.eta[rows.subject[:, None], objective.columns]
        dims = ("row", "parameter")
        return xr.Dataset(
            {
                "value": (dims, value),
                "kappa": (dims, kappa),
                "subject": ("row", self.subjects[rows.subject]),
                "occasion": ("row", rows.labels),
            },
            {"parameter": list(objective.occasion)},
        )

    def simulate(
        self,
        regimen: Regimen | xr.Dataset | str | None = None,
        times: Sequence[float] | np.ndarray | None = None,
        *,
        typical: bool = False,
        compartments: Sequence[str] | None = None,
    ) -> xr.Dataset:
        """Curves of all subjects, each by its own parameters; with occasions one for each of them,
        with coordinates ``person`` and ``occasion``.

        Parameters
        ----------
        regimen : Regimen, xarray.Dataset or str, optional
            None: the doses of the fit.
        times, compartments
            As in :func:`pbpk_hybrid.simulate`.
        typical : bool
            By the typical parameters instead of each subject's own.

        Returns
        -------
        xarray.Dataset
            Schema ``simulation``.
        """
        predictor = self.objective.shared.predictor
        eta = 0.0 * self.eta if typical else self.eta
        values = self.objective.targets(self.x, eta)
        run = simulate_system(
            with_values(predictor.system, {**predictor.own, **values}),
            predictor.regimen if regimen is None else regimen,
            times,
            compartments=compartments,
            backend="embedded",
            options=predictor.options,
            body_weight=predictor.body_weight,
            lag_time=predictor.lag_time,
            facts={"estimation": self.facts["estimation"]},
        )
        if not self.objective.occasion:
            return run
        rows = self.objective.occasions
        return run.assign_coords(
            person=("subject", rows.subjects[rows.subject]), occasion=("subject", rows.labels)
        )

    def predictions(self) -> xr.Dataset:
        """Observed; predicted by each subject's own parameters, and by the typical ones;
        weighted residual.
        """
        shared = self.objective.shared
        t, own, _ = self.objective.individual(self.x, self.eta)
        _, typical, _ = self.objective.individual(self.x, 0.0 * self.eta)
        extra = {"predicted_typical": ("sample", typical, {"units": "mg/L"})}
        return prediction_dataset(shared.data, own, t.r, self.facts, **extra)


def fit_population(
    model: System,
    observation: xr.Dataset,
    parameters: Mapping[str, Parameter | float] | Sequence[str],
    random: Sequence[str],
    priors: Mapping[str, Prior] | None = None,
    *,
    regimen: Regimen | xr.Dataset | str,
    error: str | Mapping[str, float] = "proportional",
    omega: float | Mapping[str, float] = 0.3,
    body_weight: np.ndarray | None = None,
    lag_time: float = 0.0,
    compartments: Mapping[str, str] | None = None,
    backend: str = "embedded",
    options: SolverOptions | None = None,
    standard_errors: bool = True,
    occasion: Sequence[str] = (),
) -> PopulationFit:
    """Estimate typical parameters, how subjects scatter around them, and each subject's own.

    Parameters
    ----------
    model : a System with one subject per individual, labelled as in the observations
    parameters : as in :func:`fit`
    random : those of them that differ between subjects (normal on the scale of the
        search: log-normal for a log scale)
    priors : as in :func:`fit`; also of ``omega.NAME``
    omega : standard deviations to start from
    occasion : those of the parameters that differ between the occasions of a subject as well;
        which sample is of which occasion says the variable ``occasion`` of the observations (a
        column OCC or PERIOD of the data set). Their standard deviations are ``occasion.NAME``.
        Drug that is left of an earlier occasion is calculated with the parameters of the present
        one; that is exact where the body is empty between occasions, and a warning says by how
        much it is not
    standard_errors : compute the covariance (a second derivative of the objective)
    Others as in :func:`fit`.

    Raises
    ------
    InputError and its kin : anything that cannot be used, a subject without observations among it
    SolveError : the model cannot be integrated at the initial values
    """
    random = _checked_random(random, list(parameters))
    occasion = _checked_occasion(occasion, list(parameters))
    rows = None
    if occasion:
        _check_several(model)
        rows = Occasions.of(model, observation)
        regimen = rows.regimen(model, regimen)
        observation, model = rows.observations(observation), rows.model(model)
        if body_weight is not None and np.size(body_weight) > 1:
            body_weight = np.asarray(body_weight)[rows.subject]
    shared = make_objective(
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
        more_names=(*(f"omega.{n}" for n in random), *(f"occasion.{n}" for n in occasion)),
    )
    _check_individuals(model, shared)
    objective = PopulationObjective(shared, random, occasion, rows)
    objective.priors = dict(priors or {})
    spread = np.concatenate([_omega_start(omega, random), _omega_start(omega, occasion, 0.7)])
    x = np.concatenate([shared.start, np.log(spread)])
    if not np.isfinite(objective.minus_two_log(x)):
        raise SolveError("the model cannot be integrated at the initial values of the parameters")
    x = _em(objective, x)
    x, value, converged = _bfgs(objective, x)
    value = objective.minus_two_log(x)
    covariance = _covariance(objective, x) if standard_errors else np.full((len(x), len(x)), np.nan)
    eta, _, curve, *_ = objective.modes(x, objective.eta)
    warn_if_unsettled(shared, x)
    values = np.array([float(s.back(v)) for s, v in zip(objective.scales, x, strict=True)])
    return PopulationFit(
        objective.names,
        values,
        x,
        covariance,
        eta,
        np.linalg.inv(curve),
        value,
        converged,
        objective,
        _facts(shared, model) | _facts_of_occasions(objective, x),
    )


def _checked_random(random: Sequence[str] | str, names: Sequence[str]) -> tuple[str, ...]:
    """Names of the parameters that differ between subjects."""
    random = (random,) if isinstance(random, str) else tuple(random)
    if not random:
        raise InputError(
            "random",
            random,
            "at least one parameter that differs between subjects",
            hint="or use fit",
        )
    for name in random:
        if name not in names:
            raise unknown_name("random", name, names, what="an estimated parameter")
    return random


def _checked_occasion(occasion: Sequence[str] | str, names: Sequence[str]) -> tuple[str, ...]:
    """Names of the parameters that differ between occasions."""
    occasion = (occasion,) if isinstance(occasion, str) else tuple(occasion)
    for name in occasion:
        if name not in names:
            raise unknown_name("occasion", name, names, what="an estimated parameter")
    return occasion


def _facts_of_occasions(objective: PopulationObjective, x: np.ndarray) -> dict[str, Any]:
    """What a fit with occasions says of them; warns where earlier ones reach into later ones."""
    if not objective.occasion:
        return {}
    rows = objective.occasions
    targets = objective.targets(x, objective.eta)
    share = rows.carried(objective.shared.predictor, targets)
    warn_if_carried(share)
    return {
        "subjects": objective.n_subjects,
        "occasions": len(rows.subject),
        "carried_over": share,
    }


def _check_several(model: System) -> None:
    """
    Raises
    ------
    InputError
        A model of one subject.
    """
    if model.n_subjects < 2:
        raise InputError(
            "model", model.n_subjects, "a System with one subject per individual, at least 2"
        )


def _check_individuals(model: System, shared: Objective) -> None:
    """At least two subjects, each with observations."""
    _check_several(model)
    absent = np.setdiff1d(np.arange(model.n_subjects), shared.data.subject)
    if absent.size:
        raise InputError(
            "observation", None, "observations of every subject", subject=model.subjects[absent[0]]
        )


def _omega_start(
    omega: float | Mapping[str, float], random: Sequence[str], factor: float = 1.0
) -> np.ndarray:
    """(n_random,) standard deviations of eta to start from; `factor` of those between subjects
    for occasions.
    """
    sizes = factor * np.array(
        [omega.get(n, 0.3) if isinstance(omega, Mapping) else omega for n in random], dtype=float
    )
    if not (np.isfinite(sizes).all() and (sizes > 0).all()):
        raise InputError("omega", omega, "numbers > 0")
    return sizes


def _facts(shared: Objective, model: System) -> dict[str, Any]:
    """What a fit says of itself."""
    return {
        "estimation": "Laplace's approximation, conditional with interaction",
        "error_model": shared.error.kind,
        "backend": shared.predictor.backend.name,
        "evaluations": shared.predictor.calls,
        "observations": len(shared.data),
        "subjects": model.n_subjects,
        "steady_state_doses": shared.predictor.steady_doses,
    }


def _em(objective: PopulationObjective, x: np.ndarray, rounds: int = 12) -> np.ndarray:
    """EM with Gaussian conditional distributions: near the optimum in a few rounds, from
    far away.
    """
    shared, n_shared = objective.shared, objective.n_shared
    x = x.copy()
    best, best_value = x.copy(), objective.minus_two_log(x)
    for _ in range(rounds):
        found = objective.modes(x, objective.eta)
        if found is None:
            break
        eta, _, curve, t, slope = found
        spread = np.linalg.inv(curve)
        x[n_shared:] = 0.5 * np.log(np.maximum(objective.variances(eta, spread), 1e-6))
        # all shared numbers: one Fisher step on the conditional likelihood at the modes
        by_error = shared._by_error(x[:n_shared])
        mean = np.concatenate(
            [t.weight[:, None] * slope, np.zeros((len(t.r), by_error.shape[1]))], axis=1
        )
        log_sd = np.concatenate([t.l_f[:, None] * slope, t.l_e @ by_error], axis=1) / np.sqrt(2.0)
        gradient = np.concatenate(
            [
                (t.r * t.r_f + 0.5 * t.l_f) @ slope,
                (t.r[:, None] * t.r_e + 0.5 * t.l_e).sum(axis=0) @ by_error,
            ]
        )
        gradient[objective.which] = 0.0
        information = mean.T @ mean + log_sd.T @ log_sd
        rho, j_rho = objective.prior_rows(x)
        if len(rho):
            gradient = gradient + (rho @ j_rho)[:n_shared]
            information = information + (j_rho.T @ j_rho)[:n_shared, :n_shared]
        keep = np.setdiff1d(np.arange(n_shared), objective.which)
        step = np.zeros(n_shared)
        step[keep] = np.linalg.lstsq(information[np.ix_(keep, keep)], gradient[keep], rcond=None)[0]
        x[:n_shared] -= np.clip(step, -0.5, 0.5)
        centre = np.where(np.arange(eta.shape[1]) < len(objective.random), eta.mean(axis=0), 0.0)
        x[objective.which] += centre[: len(objective.random)]
        objective.eta = eta - centre
        value = objective.minus_two_log(x)
        if value < best_value:
            gain, best, best_value = best_value - value, x.copy(), value
            if gain < 0.1:
                break
        else:
            break
    objective.eta = np.zeros_like(objective.eta)
    objective.minus_two_log(best)
    return best


def _bfgs(
    objective: PopulationObjective, x: np.ndarray, most: int = 100
) -> tuple[np.ndarray, float, bool]:
    """Quasi-Newton from a diagonal of second differences, with a backtracking line search."""
    value = objective.minus_two_log(x)
    gradient = objective.gradient(x)
    curvature = np.array([_second(objective, x, i, value) for i in range(len(x))])
    inverse = np.diag(1.0 / curvature)
    for _ in range(most):
        step = -inverse @ gradient
        largest = np.abs(step).max()
        step *= min(1.0, 0.5 / largest) if largest > 0 else 1.0
        expected = float(step @ gradient)
        if -expected < 1e-4:
            return x, value, True
        length, eta = 1.0, objective.eta
        while True:
            new = objective.minus_two_log(x + length * step, eta)
            if new < value + 1e-4 * length * expected:
                break
            length *= 0.4
            if length < 1e-3:
                objective.minus_two_log(x, eta)
                return x, value, -expected < 0.05
        moved = length * step
        x, value = x + moved, new
        fresh = objective.gradient(x)
        change = fresh - gradient
        gradient, curve = fresh, float(moved @ change)
        if curve > 1e-10:
            rho = 1.0 / curve
            left = np.eye(len(x)) - rho * np.outer(moved, change)
            inverse = left @ inverse @ left.T + rho * np.outer(moved, moved)
    return x, value, False


def _second(
    objective: PopulationObjective, x: np.ndarray, i: int, value: float, h: float = 0.02
) -> float:
    moved = np.zeros(len(x))
    moved[i] = h
    ahead = objective.minus_two_log(x + moved, objective.eta, most=4, keep=False)
    behind = objective.minus_two_log(x - moved, objective.eta, most=4, keep=False)
    return max((ahead - 2.0 * value + behind) / h**2, 1.0)


def _covariance(objective: PopulationObjective, x: np.ndarray) -> np.ndarray:
    """Twice the inverse Hessian of -2 log posterior, by differences of its gradient."""
    value = objective.minus_two_log(x)
    steps = [0.1 / np.sqrt(_second(objective, x, i, value)) for i in range(len(x))]
    hessian = np.empty((len(x), len(x)))
    home = objective.eta
    for i, h in enumerate(steps):
        moved = np.zeros(len(x))
        moved[i] = h
        sides = []
        for sign in (1.0, -1.0):
            objective.eta = home
            objective.minus_two_log(x + sign * moved)
            sides.append(objective.gradient(x + sign * moved))
        hessian[i] = (sides[0] - sides[1]) / (2.0 * h)
    objective.eta = home
    hessian = 0.5 * (hessian + hessian.T)
    return 2.0 * np.linalg.pinv(hessian)
