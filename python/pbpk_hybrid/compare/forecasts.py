"""`compare_forecasts`: forecaster, most probable parameters and posterior of one patient, in one
call.

They know different things. The forecaster (a network trained on simulated patients) knows no model
of this compound unless it is told the compound; the posterior knows the model and its priors; MAP
is the single most probable point of that posterior. Where they differ by more than their intervals,
at least one of them is wrong about this patient. Research software, not a medical device.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .._core.arguments import check_kind
from .._core.errors import InputError
from .._core.html_table import html_table
from .._core.provenance import provenance
from .._core.units import quantity
from ..compounds import Compound
from ..estimation import Posterior, posterior
from ..estimation.parameters import Prior
from ..estimation.pareto import Weights
from ..estimation.patient import Patient
from ..estimation.posterior_draws import with_residual_error
from ..models.system.system import System

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

NOTICE = "research software, not a medical device: no basis for treating anyone"
#: of every method's result
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_DRAWS = 400
#: method -> what it knows and what its interval holds
METHODS = {
    "forecaster": "a network, told no compound; interval of a measurement",
    "forecaster, told the compound": "the network with the compound's mechanistic curve",
    "MAP": "the most probable parameters of the model; interval of residual error alone",
    "posterior": "all parameters of the model by their probability; interval of a measurement",
}


@dataclass(frozen=True, eq=False)
class ForecastComparison:
    """Forecasts of one patient by several methods.

    Parameters
    ----------
    dataset : xarray.Dataset
        ``concentration`` (approach, time, quantile) [mg/L] of what would be measured;
        ``disagreement`` (time): largest over smallest median.
    patient : Patient
    posterior : Posterior or None
        None where no model was given.
    notes : tuple of str
        What was assumed, certified and warned of, a line each.
    """

    dataset: xr.Dataset
    patient: Patient
    posterior: Posterior | None
    notes: tuple[str, ...] = field(default=())

    @property
    def methods(self) -> tuple[str, ...]:
        """Those that were run."""
        return tuple(self.dataset["approach"].values.tolist())

    @property
    def table(self) -> pd.DataFrame:
        """Time [h] in rows; of each method the median and the ends of the 90 % interval [mg/L]."""
        import pandas as pd

        columns = {}
        for name in self.methods:
            c = self.dataset["concentration"].sel(approach=name)
            for label, q in (("median", 0.5), ("p05", 0.05), ("p95", 0.95)):
                columns[name, label] = c.sel(quantile=q).values
        index = pd.Index(self.dataset["time"].values, name="time [h]")
        return pd.DataFrame(columns, index=index)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Medians, 90 % intervals, and the samples shown."""
        from ..plots.style import axes, legend, quiet

        ax = axes(ax)
        time = self.dataset["time"].values
        for i, name in enumerate(self.methods):
            c = self.dataset["concentration"].sel(approach=name)
            low, middle, high = (c.sel(quantile=q).values for q in (0.05, 0.5, 0.95))
            (line,) = ax.plot(time, middle, label=name, ls=("-", "--", "-.", ":")[i % 4])
            ax.fill_between(time, low, high, color=line.get_color(), alpha=0.12, lw=0)
        observed = self.patient.observations()
        if observed is not None:
            ax.plot(observed["time"], observed["value"], "o", color="0.2", ms=4, label="samples")
        ax.set(xlabel="time [h]", ylabel="concentration in plasma [mg/L]", ylim=(0, None))
        legend(ax)
        quiet(ax)
        return ax

    def __repr__(self) -> str:
        worst = float(self.dataset["disagreement"].max())
        return f"ForecastComparison({', '.join(self.methods)}; medians within {worst:.2g} fold)"

    def __str__(self) -> str:
        worst = self.dataset["disagreement"]
        at = float(self.dataset["time"].values[int(np.argmax(worst.values))])
        lines = [self.table.round(3).to_string(), ""]
        lines += [f"{name}: {METHODS[name]}" for name in self.methods]
        lines += [f"medians differ most at {at:g} h: {float(worst.max()):.2f} fold", *self.notes]
        return "\n".join([*lines, NOTICE])

    def _repr_html_(self) -> str:
        table = self.table
        head = ["time [h]", *(f"{name}, {label}" for name, label in table.columns)]
        rows = [
            [f"{t:g}", *(f"{x:.4g}" for x in row)]
            for t, row in zip(table.index, table.to_numpy(), strict=True)
        ]
        return html_table(f"Forecasts of one patient; {NOTICE}", head, rows)


def compare_forecasts(
    patient: Patient,
    model: System | Compound | str | None = None,
    *,
    times: Sequence[float | str] | np.ndarray,
    priors: Mapping[str, Prior] | None = None,
    error: str | Mapping[str, float] = "proportional",
    methods: Sequence[str] | None = None,
    forecaster: Any = None,
    context: tuple[xr.Dataset, Any, Any] | None = None,
    seed: int = 0,
    **options: Any,
) -> ForecastComparison:
    """What forecaster, MAP and posterior foresee of one patient, beside each other.

    Parameters
    ----------
    patient : Patient
        With the doses that were given and will be given, and the samples so far.
    model : System, Compound, str or None
        As in :func:`pbpk_hybrid.posterior`; None: the forecaster alone. A compound, or its name, is
        also told to a second run of the forecaster.
    times : sequence of float or str, h
        To foresee, increasing, on the patient's clock.
    priors, error, options
        As in :func:`pbpk_hybrid.posterior`.
    methods : sequence of str, optional
        Some of "forecaster", "forecaster, told the compound", "MAP", "posterior"; None: all that
        can be run.
    forecaster : Forecaster, path or None
        None: the shipped one.
    context : tuple, optional
        Other patients on the compound, for the forecaster, as in its ``forecast``.
    seed : int

    Returns
    -------
    ForecastComparison

    Raises
    ------
    InputError and its kin
        Anything that cannot be used.
    MissingDependencyError
        The forecaster is wanted and the extra ``learn`` is not installed.
    """
    check_kind("patient", patient, Patient, 'Patient("320 mg oral q12h x4", {2: 7.1})')
    hours = _times(times)
    wanted = _methods(methods, model, patient)
    curves: dict[str, np.ndarray] = {}
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if any(m.startswith("forecaster") for m in wanted):
            network = _network(forecaster)
            for name in [m for m in wanted if m.startswith("forecaster")]:
                compound = model if name.endswith("compound") else None
                curves[name], note = _by_network(network, patient, compound, hours, context)
                notes.append(f"{name}: {note}")
        found = None
        if {"MAP", "posterior"} & set(wanted):
            found = posterior(model, patient, priors, error=error, seed=seed, **options)
            notes += [f"posterior: {found.certificate}", *found.facts.get("assumed", ())]
            if "MAP" in wanted:
                curves["MAP"] = _measured(_at_mode(found), hours, seed)
            if "posterior" in wanted:
                curves["posterior"] = _measured(found, hours, seed)
    notes += [f"warning: {text}" for text in dict.fromkeys(str(w.message) for w in caught)]
    values = np.stack([curves[name] for name in wanted])
    return ForecastComparison(_dataset(wanted, hours, values, seed), patient, found, tuple(notes))


def _times(times: Any) -> np.ndarray:
    hours = np.array([quantity(t, "h", f"times[{i}]", minimum=0) for i, t in enumerate(times)])
    if not len(hours) or (np.diff(hours) <= 0).any():
        raise InputError("times", list(times), "one or more times [h] that increase")
    return hours


def _methods(methods: Sequence[str] | None, model: Any, patient: Patient) -> tuple[str, ...]:
    """Methods to run, in the order of :data:`METHODS`.

    Raises
    ------
    InputError
        One that does not exist, or that needs a model, compound or sample that is not there.
    """
    can = ["forecaster"]
    if isinstance(model, (Compound, str)):
        can.append("forecaster, told the compound")
    if model is not None:
        can += (["MAP"] if patient.samples is not None else []) + ["posterior"]
    if methods is None:
        return tuple(m for m in METHODS if m in can)
    given = [methods] if isinstance(methods, str) else list(methods)
    for i, name in enumerate(given):
        if name not in METHODS:
            raise InputError(f"methods[{i}]", name, "one of " + ", ".join(map(repr, METHODS)))
        if name not in can:
            need = "samples" if name == "MAP" and model is not None else "a model"
            need = "a compound as model" if name.startswith("forecaster") else need
            raise InputError(f"methods[{i}]", name, f"{need} for this method")
    if not given:
        raise InputError("methods", methods, "at least one method")
    return tuple(m for m in METHODS if m in given)


def _network(forecaster: Any) -> Any:
    from ..learn import Forecaster

    return forecaster if isinstance(forecaster, Forecaster) else Forecaster.load(forecaster)


def _by_network(
    network: Any, patient: Patient, compound: Any, hours: np.ndarray, context: Any
) -> tuple[np.ndarray, str]:
    """(n_times, n_quantiles) [mg/L], and what the network says of itself."""
    if patient.person is not None:
        body = patient.person.assign_coords(subject=["0"])
    else:
        body = {"subject": ["0"], "species": "human"}
        if patient.weight is not None:
            body["body_weight"] = patient.weight.tolist()
    observed = patient.observations()
    if observed is not None and isinstance(patient.samples, xr.Dataset):
        n = observed.sizes["sample"]
        observed = observed.assign(subject=("sample", np.full(n, "0", dtype=object)))
    out = network.forecast(
        observed, patient.doses, body, compound, times=hours, quantiles=QUANTILES, context=context
    )
    values = out["concentration_quantile"].isel(subject=0, compartment=0)
    note = f"ood_score {float(out['ood_score'][0]):.2g}"
    weight = "" if patient.weight is not None else "; body weight not known"
    return values.transpose("time", "quantile").values, note + weight


def _at_mode(found: Posterior) -> Posterior:
    """The same posterior with all draws at its most probable point."""
    n = len(found.u)
    mode = np.broadcast_to(np.asarray(found.facts["mode"]), (n, found.u.shape[1]))
    return replace(found, u=mode.copy(), weights=Weights(np.full(n, -np.log(n)), -np.inf))


def _measured(found: Posterior, hours: np.ndarray, seed: int) -> np.ndarray:
    """(n_times, n_quantiles) of measurements [mg/L]."""
    run = found.simulate(times=hours, compartments=["plasma"], draws=_DRAWS, seed=seed)
    value = run["concentration"].values[:, :, 0]
    rng = np.random.default_rng(seed)
    rows = found.picks(_DRAWS)
    with_error = with_residual_error(value, found.model.error, found.error_values(rows), rng)
    quantiles = np.quantile(with_error, QUANTILES, axis=0).T
    quantiles[:, QUANTILES.index(0.5)] = np.median(value, axis=0)  # free of the error's own noise
    return quantiles


def _dataset(methods: tuple[str, ...], hours: np.ndarray, values: np.ndarray, seed: int):
    medians = values[:, :, QUANTILES.index(0.5)]
    low, high = medians.min(axis=0), medians.max(axis=0)
    fold = np.where(high > 0, high / np.maximum(low, 1e-300), 1.0)
    attrs = {"units": "mg/L", "long_name": "concentration that would be measured in plasma"}
    return xr.Dataset(
        {
            "concentration": (("approach", "time", "quantile"), values, attrs),
            "disagreement": (
                "time",
                fold,
                {"units": "1", "long_name": "largest median over smallest"},
            ),
        },
        {
            "approach": list(methods),
            "time": ("time", hours, {"units": "h"}),
            "quantile": list(QUANTILES),
        },
        attrs=provenance(comparison="forecasts of one patient", seed=seed),
    )


__all__ = ["METHODS", "ForecastComparison", "compare_forecasts"]
