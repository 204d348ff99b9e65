"""Draws of one patient's parameters, with their certificate: simulated forward, summarised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .._core.arguments import check_names
from .._core.errors import InputError, unknown_name
from .._core.html_table import html_table
from .._core.provenance import provenance
from .._core.units import quantity
from ..dosing import Regimen
from ..dosing.conversion import as_regimen
from ..models.system.named import named, own_values
from ..models.system.system import System
from ..results import last_interval
from ..simulation.run import simulate_system
from ..solvers.base import SolverOptions
from ..solvers.time_grid import TimeGrid
from .discrepancy import Discrepancy, factors_at
from .draw_systems import system_of_draws
from .error_models import ErrorModel
from .model_fits import ModelUnderFit, check_regimen
from .parameters import Prior, Resolved, Scale
from .pareto import LARGEST_K, Weights
from .patient import doses_before
from .predictor import Data

if TYPE_CHECKING:
    import pandas as pd

_FORWARD_DRAWS = 400


@dataclass(frozen=True, eq=False)
class PatientModel:
    """The model of one patient, without data: what draws of its parameters can be simulated with.

    Parameters
    ----------
    system : System or ModelUnderFit
        Of one subject; the latter brings its own doses.
    parameters : tuple of Resolved
        Estimated parameters of the model.
    error : ErrorModel
    regimen : Regimen or None
        The doses so far; None where the model brings its own.
    body_weight : ndarray, (1,), kg, optional
    lag_time : float, h
    options : SolverOptions
    discrepancy : Discrepancy or None
    """

    system: System | ModelUnderFit
    parameters: tuple[Resolved, ...]
    error: ErrorModel
    regimen: Regimen | None
    body_weight: np.ndarray | None = None
    lag_time: float = 0.0
    options: SolverOptions | None = None
    discrepancy: Discrepancy | None = None


@dataclass(frozen=True, eq=False)
class Posterior:
    """Weighted draws of a patient's parameters.

    Parameters
    ----------
    names : tuple of str
        Parameters, those of the error model last.
    u : ndarray, (n_draws, n_parameters)
        On the scale of the search.
    weights : Weights
        Smoothed importance weights with their Pareto k; equal for draws of a Markov chain.
    model : PatientModel
    scales, priors : tuple
        Of the parameters.
    data : Data or None
        The observations; None: these are draws of the prior.
    predicted, log_likelihood : ndarray, (n_draws, n_observations)
    facts : dict
        Method, rounds, Pareto k of the importance weights, effective size, chains.
    n_equal : int
        Equally weighted draws that :attr:`dataset` has.
    discrepancy_basis : ndarray, (n_observations, n_coefficients), optional
        Log factor at the samples per coefficient of the discrepancy.
    """

    names: tuple[str, ...]
    u: np.ndarray
    weights: Weights
    model: PatientModel
    scales: tuple[Scale, ...]
    priors: tuple[Prior | None, ...]
    data: Data | None
    predicted: np.ndarray
    log_likelihood: np.ndarray
    facts: dict[str, Any] = field(default_factory=dict)
    n_equal: int = 1000
    discrepancy_basis: np.ndarray | None = None

    # ---- what is known of the parameters --------------------------------------------------------

    @property
    def pareto_k(self) -> float:
        """Shape of the importance weights' tail; above 0.7 they are not relied on."""
        return float(self.facts["pareto_k"])

    @property
    def effective_size(self) -> float:
        """Number of independent draws that know a mean as well."""
        return float(self.facts["effective_size"])

    @property
    def reliable(self) -> bool:
        """Whether the certificate holds: k <= 0.7, or a Markov chain took over."""
        return self.facts["method"] != "importance" or self.pareto_k <= LARGEST_K

    @property
    def values(self) -> np.ndarray:
        """(n_draws, n_parameters) natural values of all weighted draws."""
        return np.stack([s.back(x) for s, x in zip(self.scales, self.u.T, strict=True)], axis=1)

    @property
    def dataset(self) -> xr.Dataset:
        """Equally weighted draws: one variable per parameter over (chain, draw)."""
        values = self.values[self.picks(self.n_equal)]
        variables = {
            name: (("chain", "draw"), values[None, :, i]) for i, name in enumerate(self.names)
        }
        coords = {"chain": [0], "draw": np.arange(len(values))}
        return xr.Dataset(
            variables,
            coords,
            attrs=provenance(**{**self.facts, "assumed": "; ".join(self.facts.get("assumed", ()))}),
        )

    def picks(self, n: int) -> np.ndarray:
        """(n,) numbers of draws, each as often as its weight says.

        Systematic resampling along the longest direction of the draws, so that the chosen have
        the distribution of all as nearly as n points can.
        """
        if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 1:
            raise InputError("draws", n, "an integer >= 1")
        weight = self.weights.values
        moved = self.u - weight @ self.u
        direction = np.linalg.eigh((moved * weight[:, None]).T @ moved)[1][:, -1]
        order = np.argsort(moved @ direction)
        ends = np.cumsum(weight[order])
        place = (np.arange(n) + 0.5) / n * ends[-1]
        chosen = order[np.minimum(np.searchsorted(ends, place), len(ends) - 1)]
        return np.random.default_rng(n).permutation(chosen)  # no trend from draw to draw

    def __getitem__(self, name: str) -> xr.DataArray:
        if name not in self.names:
            raise unknown_name("name", name, self.names, what="an estimated parameter")
        return self.dataset[name]

    def mean(self) -> dict[str, float]:
        """Weighted mean of every parameter."""
        mean = self.weights.values @ self.values
        return dict(zip(self.names, (float(x) for x in mean), strict=True))

    def sd(self) -> dict[str, float]:
        """Weighted standard deviation of every parameter."""
        w, x = self.weights.values, self.values
        sd = np.sqrt(w @ (x - w @ x) ** 2)
        return dict(zip(self.names, (float(x) for x in sd), strict=True))

    def table(self, level: float = 0.90) -> pd.DataFrame:
        """Mean, standard deviation and equal-tailed interval of every parameter."""
        import pandas as pd

        ends = (0.5, *_tails(level))
        rows = np.array([_quantiles(x, self.weights.values, ends) for x in self.values.T])
        columns = {
            "mean": list(self.mean().values()),
            "sd": list(self.sd().values()),
            "median": rows[:, 0],
            "lower": rows[:, 1],
            "upper": rows[:, 2],
        }
        return pd.DataFrame(columns, index=pd.Index(self.names, name="parameter"))

    def to_datatree(self) -> xr.DataTree:
        """Groups ``posterior``, ``posterior_predictive``, ``log_likelihood``, ``observed_data``.

        ArviZ reads it as it is from version 1 on; before, by
        ``arviz.InferenceData.from_datatree``.
        """
        groups = {"posterior": self.dataset}
        if self.data is not None:
            rows = self.picks(self.n_equal)
            dims = ("chain", "draw", "sample")
            coords = {"chain": [0], "draw": np.arange(len(rows))}
            drawn = self._observed_again(rows, np.random.default_rng(0))
            groups["posterior_predictive"] = xr.Dataset({"value": (dims, drawn[None])}, coords)
            likelihood = self.log_likelihood[rows]
            groups["log_likelihood"] = xr.Dataset({"value": (dims, likelihood[None])}, coords)
            seen = np.where(self.data.censored, self.data.lloq, self.data.value)
            groups["observed_data"] = xr.Dataset(
                {"value": ("sample", seen), "time": ("sample", self.data.time)}
            )
        return xr.DataTree.from_dict(groups)

    def _observed_again(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(n, n_observations) new samples at the times of the old, with residual error."""
        return with_residual_error(
            self.predicted[rows], self.model.error, self.error_values(rows), rng
        )

    def error_values(self, rows: np.ndarray) -> np.ndarray:
        """(n_error_parameters, n) of the drawn rows; of a known error model the known values."""
        error, n_model = self.model.error, len(self.names) - len(self.model.error.free)
        free = iter(self.values[rows][:, n_model:].T)
        fixed = error.fixed
        return np.array(
            [np.full(len(rows), fixed[n]) if n in fixed else next(free) for n in error.names]
        )

    # ---- forward --------------------------------------------------------------------------------

    def system(self, rows: np.ndarray) -> System:
        """The model with one subject for each drawn row.

        Raises
        ------
        InputError
            The model has several subjects, who share the parameters.
        """
        if (n := self.model.system.n_subjects) != 1:
            hint = "fit(...).simulate() has all of them at the estimates"
            raise InputError("model", f"{n} subjects", "one subject to simulate", hint=hint)
        values = self.target_values(rows)
        return system_of_draws(self.model.system, values, len(rows))

    def target_values(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Named parameter of the model -> its values (n,) in the drawn rows."""
        values, own = {}, self._own
        for i, p in enumerate(self.model.parameters):
            x = np.asarray(p.scale.back(self.u[rows, i]), dtype=float)
            for target in p.targets:
                values[target] = x * (float(own[target][0]) if p.factor else 1.0)
        return values

    @cached_property
    def _own(self) -> dict[str, np.ndarray]:
        """The model's own values of its named parameters."""
        system = self.model.system
        return system.parameters if self.brings_doses else own_values(named(system))

    @property
    def brings_doses(self) -> bool:
        """Whether the model is an imported one with doses of its own."""
        return isinstance(self.model.system, ModelUnderFit)

    def regimen(self, regimen: Regimen | xr.Dataset | str | None, after: Any) -> Regimen:
        """The doses so far, or these instead, or both one after the other."""
        past = self.model.regimen
        if regimen is None:
            if after is not None:
                raise InputError("after", after, "a regimen that starts then")
            return past
        given = as_regimen(regimen)
        if after is None:
            return given
        start = quantity(after, "h", "after", minimum=0)
        return doses_before(past, start) + given.shift(start)

    def simulate(
        self,
        regimen: Regimen | xr.Dataset | str | None = None,
        times: Sequence[float] | np.ndarray | TimeGrid | None = None,
        *,
        after: float | str | None = None,
        compartments: Sequence[str] | None = None,
        areas: Sequence[str] | None = None,
        draws: int = _FORWARD_DRAWS,
        discrepancy: bool = True,
        seed: int = 0,
    ) -> xr.Dataset:
        """Curves of the patient under a regimen, one for each of equally weighted draws.

        Parameters
        ----------
        regimen : Regimen, xarray.Dataset or str, optional
            None: the doses so far.
        times : sequence of float, TimeGrid or None
            [h], as in :func:`pbpk_hybrid.simulate`.
        after : float or str, h, optional
            The doses so far up to this time, then `regimen`, whose times count from there; None:
            `regimen` alone.
        compartments, areas : sequence of str, optional
            As in :func:`pbpk_hybrid.simulate`; organs too, where the model has them.
        draws : int
        discrepancy : bool
            Multiply sampled compartments by the factor of a discrepancy, where there is one.
        seed : int
            Of the discrepancy at times without a sample.

        Returns
        -------
        xarray.Dataset
            Schema ``simulation``, a subject for each draw, so that NCA, plots and ``.pk`` work.
        """
        rows = self.picks(draws)
        if self.brings_doses:
            return self._simulate_imported(rows, regimen, after, times, compartments)
        given = self.regimen(regimen, after)
        weight = self.model.body_weight
        run = simulate_system(
            self.system(rows),
            given,
            times,
            compartments=compartments,
            areas=areas,
            backend="embedded",
            options=self.model.options,
            body_weight=None if weight is None else np.broadcast_to(weight, (len(rows),)),
            lag_time=self.model.lag_time,
            facts={"posterior": self.facts["method"], "draws": int(draws)},
        )
        if discrepancy and self.model.discrepancy is not None and self.data is not None:
            run = self._with_discrepancy(run, rows, seed)
        return run

    def _simulate_imported(
        self,
        rows: np.ndarray,
        regimen: Any,
        after: Any,
        times: Sequence[float] | np.ndarray | None,
        compartments: Sequence[str] | None,
    ) -> xr.Dataset:
        """Curves of a model that brings its own doses, an individual for each draw."""
        import pandas as pd

        if after is not None:
            raise InputError("after", after, "None: the model has its own doses")
        check_regimen(regimen)
        return self.model.system.model.simulate(
            times,
            population=pd.DataFrame(self.target_values(rows)),
            outputs=self.data.compartments if compartments is None else compartments,
            options=self.model.options,
        )

    def _with_discrepancy(self, run: xr.Dataset, rows: np.ndarray, seed: int) -> xr.Dataset:
        """Concentrations of the compartments that were sampled times their factors."""
        rng = np.random.default_rng(seed)
        first = len(self.names) - len(self.model.error.free)
        names = [i for i, n in enumerate(self.names[:first]) if n.startswith("discrepancy.")]
        coefficients = self.u[rows][:, names]
        concentration = run["concentration"].values.copy()
        labels = [str(c) for c in run["compartment"].values]
        for number, name in enumerate(self.data.compartments):
            if name not in labels:
                continue
            mine = self.data.compartment == number
            log_factor = coefficients @ self.discrepancy_basis[mine].T
            factor = factors_at(
                self.model.discrepancy, self.data.time[mine], log_factor, run["time"].values, rng
            )
            concentration[:, :, labels.index(name)] *= factor
        return run.assign(concentration=(run["concentration"].dims, concentration))

    def exposure(
        self,
        regimen: Regimen | xr.Dataset | str | None = None,
        *,
        after: float | str | None = None,
        times: Sequence[float] | np.ndarray | TimeGrid | None = None,
        compartments: Sequence[str] = ("plasma",),
        draws: int = _FORWARD_DRAWS,
        level: float = 0.90,
    ) -> pd.DataFrame:
        """AUC, Cmax and trough of the last dosing interval, with intervals, by compartment.

        Parameters
        ----------
        regimen, after, times, draws
            As in :meth:`simulate`.
        compartments : sequence of str
            Plasma, blood or organs of the model.
        level : float
            Of the equal-tailed intervals.

        Returns
        -------
        pandas.DataFrame
            Median, lower and upper over (compartment, metric). Of several doses the AUC is that of
            the last interval and the trough the concentration at its end, of one dose the AUC to
            the last time and the concentration then.
        """
        import pandas as pd

        from ..nca import nca

        compartments = check_names("compartments", compartments, "names of compartments")
        run = self.simulate(
            regimen, times, after=after, compartments=compartments, areas=compartments, draws=draws
        )
        rows = {}
        for name in compartments:
            table = last_interval(nca(run, compartment=name))
            area = "auc_tau" if "auc_tau" in table else "auc_last"
            trough = "ctrough" if "ctrough" in table else None
            curve = run["concentration"].sel(compartment=name).values
            metrics = {
                area: table[area].values,
                "cmax": table["cmax"].values,
                "trough": table[trough].values if trough else curve[:, -1],
            }
            for metric, x in metrics.items():
                rows[name, metric] = np.nanquantile(x, (0.5, *_tails(level)))
        index = pd.MultiIndex.from_tuples(list(rows), names=("compartment", "metric"))
        return pd.DataFrame(list(rows.values()), index, ["median", "lower", "upper"])

    # ---- shown ----------------------------------------------------------------------------------

    @property
    def certificate(self) -> str:
        """The certificate in words: method, Pareto k, effective size."""
        f = self.facts
        if f["method"] == "prior":
            return f"no samples: {len(self.u)} draws of the prior"
        k = f"Pareto k {self.pareto_k:.2f}"
        if f["method"] == "importance":
            words = f"importance sampling, {len(self.u)} draws in {f['rounds']} rounds: {k}, "
            words += f"effective size {self.effective_size:.0f}"
            return words if self.reliable else words + " (NOT RELIABLE: k > 0.7)"
        return (
            f"NUTS took over from importance sampling ({k} > {LARGEST_K}): {f['chains']} chains, "
            f"R-hat {f['rhat']:.3f}, effective size {self.effective_size:.0f}, "
            f"{f['divergences']} divergences"
        )

    def __repr__(self) -> str:
        seen = "no" if self.data is None else len(self.data)
        return f"Posterior({', '.join(self.names)}; {seen} samples; {self.certificate})"

    def __str__(self) -> str:
        lines = [self.certificate, *self.facts.get("assumed", ())]
        return "\n".join([*lines, self.table().to_string(float_format="{:.4g}".format)])

    def _repr_html_(self) -> str:
        table = self.table()
        rows = [
            [n, *(f"{x:.4g}" for x in row)]
            for n, row in zip(table.index, table.to_numpy(), strict=True)
        ]
        return html_table(self.certificate, ["parameter", *table.columns], rows)


def with_residual_error(
    predicted: np.ndarray, error: ErrorModel, values: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Predictions with residual error added.

    Parameters
    ----------
    predicted : ndarray, (n_draws, ...), mg/L
    error : ErrorModel
    values : ndarray, (n_error_parameters, n_draws)
    rng : numpy Generator

    Returns
    -------
    ndarray
        Of the same shape; never below 0, as an assay reports it.
    """
    z = rng.standard_normal(predicted.shape)
    shape = (-1, *(1,) * (predicted.ndim - 1))
    each = [v.reshape(shape) for v in values]
    if error.kind == "lognormal":
        return predicted * np.exp(each[0] * z)
    return np.maximum(predicted + residual_sd(predicted, error, values) * z, 0.0)


def residual_sd(predicted: np.ndarray, error: ErrorModel, values: np.ndarray) -> np.ndarray:
    """Standard deviation of a sample around each prediction (n_draws, ...) [mg/L]; of a
    log-normal error that of the log times the prediction.
    """
    shape = (-1, *(1,) * (predicted.ndim - 1))
    each = [v.reshape(shape) for v in values]
    if error.kind == "additive":
        return np.broadcast_to(each[0], predicted.shape)
    if error.kind in ("proportional", "lognormal"):
        return each[0] * predicted
    return np.sqrt(each[0] ** 2 + (each[1] * predicted) ** 2)


def _tails(level: float) -> tuple[float, float]:
    if not (isinstance(level, (int, float)) and 0 < level < 1):
        raise InputError("level", level, "a number between 0 and 1")
    return 0.5 - level / 2, 0.5 + level / 2


def _quantiles(x: np.ndarray, weight: np.ndarray, ends: Sequence[float]) -> np.ndarray:
    """Quantiles of weighted draws: midpoints of the steps of their distribution."""
    order = np.argsort(x)
    share = np.cumsum(weight[order]) - 0.5 * weight[order]
    return np.interp(ends, share, x[order])


__all__ = ["PatientModel", "Posterior", "residual_sd", "with_residual_error"]
