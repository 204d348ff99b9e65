"""What a dossier shows, made on the spot: verification, validation, sensitivity.

Every function runs the model and returns numbers with what they came from; nothing here is
looked up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from .._core.errors import InputError, MissingDependencyError
from ..compounds import Compound, observations
from ..dosing import Regimen
from ..estimation import elasticity, sobol
from ..models import Observable, System, whole_body_system
from ..simulation.run import simulate_system
from ..simulation.single import simulate
from ..solvers import SolverOptions

#: relative tolerance of the run that the solver's error is measured against
TIGHT = 1e-11
#: [1] share by which the tornado changes each parameter, and half of the range of Sobol's indices
CHANGE = 0.2
#: parameters whose indices are computed: those with the largest elasticities
SOBOL_PARAMETERS = 6


@dataclass(frozen=True)
class Check:
    """One check of the numbers: what was compared with what, the largest difference, the limit."""

    what: str
    against: str
    difference: float  # relative
    limit: float

    @property
    def passed(self) -> bool:
        """Whether the difference is within the limit."""
        return self.difference <= self.limit


# ---- verification -------------------------------------------------------------------------------


def verify(system: System, regimen: Regimen, body_weight: np.ndarray, hours: float) -> list[Check]:
    """Mass balance, error of the integrator, and exact solutions, all run now.

    Parameters
    ----------
    system : System
        The model.
    regimen : Regimen
    body_weight : array
        (n_subjects,) [kg].
    hours : float
        [h] length of the runs.
    """
    times = np.linspace(0.0, hours, 193)

    def run(**options: Any) -> xr.Dataset:
        return simulate_system(
            system,
            regimen,
            times,
            compartments=["plasma"],
            backend="embedded",
            options=SolverOptions(**options),
            body_weight=body_weight,
            raise_on_failure=True,
        )

    usual, tight = run(), run(rtol=TIGHT)
    balance = float(np.nanmax(np.abs(usual["mass_balance_error"].values)))
    checks = [
        Check("mass balance of this study", "the dose, at every time", balance, 1e-9),
        Check(
            "plasma curves of this study",
            f"the same integrator at a relative tolerance of {TIGHT:g}",
            _difference(usual, tight),
            1e-5,
        ),
    ]
    if system.linear:
        exact = run(method="expm")
        text = "the matrix exponential, which is exact for this linear model"
        checks.append(Check("plasma curves of this study", text, _difference(usual, exact), 1e-5))
    return [*checks, *_one_compartment()]


def _difference(a: xr.Dataset, b: xr.Dataset) -> float:
    """Largest difference of two curves, relative to each subject's largest concentration."""
    x, y = (d["concentration"].values[..., 0] for d in (a, b))
    return float((np.abs(x - y).max(axis=1) / y.max(axis=1)).max())


def _one_compartment() -> list[Check]:
    """One compartment, V 10 L, CL 1 L/h: bolus and first-order absorption, in closed form."""
    volume, rate, ka, dose = 10.0, 0.1, 1.2, 100.0  # [L], [1/h], [1/h], [mg]
    times = np.linspace(0.0, 48.0, 97)
    # states depot, body, out; the depot drains into the body, the body out
    system = System(
        ("depot", "body", "out"),
        [0, 1, 1, 2],
        [0, 0, 1, 1],
        np.array([[-ka, ka, -rate, rate]]),
        observables={"plasma": Observable((1,), np.array([1.0 / volume]))},
        n_subjects=1,
    )
    bolus = dose / volume * np.exp(-rate * times)
    absorbed = dose / volume * ka / (ka - rate) * (np.exp(-rate * times) - np.exp(-ka * times))
    found = []
    for state, expected, name in (("body", bolus, "bolus"), ("depot", absorbed, "absorption")):
        run = simulate_system(
            system,
            Regimen.dose(dose, compartment=state),
            times,
            compartments=["plasma"],
            backend="embedded",
        )
        got = run["concentration"].values[0, :, 0]
        difference = float(np.abs(got - expected).max() / expected.max())
        law = "dose/V exp(-kt)" if name == "bolus" else "Bateman's function"
        found.append(Check(f"one compartment, {name}", f"{law}, in closed form", difference, 1e-6))
    return found


# ---- validation ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Validation:
    """Predicted against observed exposure of every profile, and the curves of one dose.

    Parameters
    ----------
    profiles : DataFrame
        A row for each profile: study, route, dose [mg], predicted and observed ``auc`` [mg*h/L]
        and ``cmax`` [mg/L], reference.
    compared : Dataset or None
        The observations of the dossier's own dose, for the visual predictive check.
    """

    profiles: pd.DataFrame
    compared: xr.Dataset | None

    def fold_errors(self) -> pd.DataFrame:
        """GMFE, bias and shares within the usual bounds, of AUC and Cmax."""
        rows = []
        for metric in ("auc", "cmax"):
            ratio = (self.profiles[f"{metric}_predicted"] / self.profiles[metric]).to_numpy()
            log = np.log10(ratio[np.isfinite(ratio) & (ratio > 0)])
            inside = lambda fold, log=log: float((np.abs(log) <= np.log10(fold)).mean())
            rows.append(
                {
                    "metric": metric,
                    "n": len(log),
                    "gmfe": 10 ** float(np.abs(log).mean()),
                    "mean_ratio": 10 ** float(log.mean()),
                    "within_1.25": inside(1.25),
                    "within_1.5": inside(1.5),
                    "within_2": inside(2.0),
                }
            )
        return pd.DataFrame(rows).set_index("metric")


def published_profiles(compound: Compound) -> xr.Dataset | None:
    """Published plasma samples of single doses of the compound alone, in healthy people; None
    where there are none.
    """
    try:
        ds = observations(compound.name)
    except InputError:
        return None
    route = ds["route"].values.astype(str)
    keep = (ds["species"].values == "human") & (ds["interaction"].values == 0)
    keep &= ds["special_population"].values == 0
    keep &= np.isin(ds["matrix"].values.astype(str), ["plasma", "serum"])
    keep &= np.isin(ds["dose_times"].values.astype(str), ["", "0", "0.0"])
    keep &= np.isin(route, ["oral", "iv_bolus", "iv_infusion"]) & (ds["dose"].values > 0)
    keep &= np.isfinite(ds["time"].values) & np.isfinite(ds["value"].values)
    keep &= (route != "iv_infusion") | (ds["infusion_duration"].values > 0)
    return ds.isel(sample=np.flatnonzero(keep)) if keep.any() else None


def own_profiles(ds: xr.Dataset, regimen: Regimen) -> xr.Dataset:
    """One's own samples, all after the single dose of `regimen`.

    Raises
    ------
    InputError
        A regimen of several doses: which dose a profile belongs to is then not known.
    """
    c = regimen.columns
    if len(regimen) != 1 or c["additional_doses"][0] or c["steady_state"][0]:
        raise InputError("observed", "samples", "a single dose, to compare AUC and Cmax after it")
    size = ds.sizes["sample"]
    full = lambda value: ("sample", np.full(size, value))
    more = {
        "route": full(str(c["route"][0])),
        "dose": full(float(c["amount"][0])),
        "infusion_duration": full(float(c["duration"][0])),
    }
    if "profile" not in ds:
        more["profile"] = ("sample", ds["subject"].values.astype(str))
    keep = np.isfinite(ds["value"].values)
    return ds.assign(more).isel(sample=np.flatnonzero(keep))


def validate(
    compound: Compound, people: xr.Dataset, data: xr.Dataset, choices: Mapping[str, Any]
) -> pd.DataFrame:
    """Simulate every dose that was given, and compare each profile's AUC and Cmax.

    Predicted are medians of the people, over the sampling times of the profile; areas by the
    linear-up, log-down rule up to its last sample, alike for both.
    """
    from ..nca.area import segment_areas

    keys = list(zip(*(data[n].values for n in ("route", "dose", "infusion_duration")), strict=True))
    rows: list[dict[str, Any]] = []
    for key in dict.fromkeys((str(r), float(d), float(t) if t == t else 0.0) for r, d, t in keys):
        mine = np.array(
            [(str(r), float(d), float(t) if t == t else 0.0) == key for r, d, t in keys]
        )
        samples = data.isel(sample=np.flatnonzero(mine))
        times = np.unique(np.append(samples["time"].values, 0.0))
        if times.size < 2:
            continue
        run = simulate(compound, _words(*key), people, times, compartments=["plasma"], **choices)
        curve = np.nanmedian(run["concentration"].values[:, :, 0], axis=0)
        for profile in np.unique(samples["profile"].values):
            own = samples.isel(sample=np.flatnonzero(samples["profile"].values == profile))
            order = np.argsort(own["time"].values, kind="stable")
            t, c = own["time"].values[order], own["value"].values[order]
            if key[0] == "iv_bolus":  # a sample of time 0 was taken before the dose
                t, c = t[t > 0], c[t > 0]
            t, first = np.unique(t, return_index=True)
            c = c[first]
            if t.size < 4 or not (c > 0).any():
                continue
            predicted = curve[np.searchsorted(times, t)]
            area = lambda y, t=t: float(
                np.sum(segment_areas(t[None], y[None], "linear_up_log_down")[0])
            )
            rows.append(
                {
                    "profile": str(profile),
                    "route": key[0],
                    "dose_mg": key[1],
                    "auc": area(c),
                    "auc_predicted": area(predicted),
                    "cmax": float(c.max()),
                    "cmax_predicted": float(predicted.max()),
                    "reference": str(own["reference"].values[0]),
                }
            )
    return pd.DataFrame(rows)


def _words(route: str, dose: float, duration: float) -> str:
    """The dose in words that a Regimen reads."""
    if route == "iv_infusion":
        return f"{dose!r} mg iv over {duration!r} h"
    return f"{dose!r} mg {'oral' if route == 'oral' else 'iv'}"


# ---- sensitivity --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sensitivity:
    """Elasticities of every parameter (exact derivatives), and Sobol's indices of the largest."""

    elasticities: xr.Dataset
    indices: xr.Dataset | None  # None: SALib is not installed
    ranges: dict[str, tuple[float, float]]


def analyse_sensitivity(
    compound: Compound,
    person: xr.Dataset,
    regimen: Regimen,
    hours: float,
    choices: Mapping[str, Any],
    seed: int,
) -> Sensitivity:
    """What AUC and Cmax of one person depend on."""
    from ..models.system.derivatives import parameter_names
    from ..models.system.named import own_values

    system = whole_body_system(compound, person, **choices)
    names = [n for n in parameter_names(system) if np.all(own_values(system)[n] > 0)]
    common = {
        "regimen": regimen,
        "times": np.linspace(0.0, hours, 193),
        "body_weight": person["body_weight"].values,
        "lag_time": compound.absorption_lag_time or 0.0,
    }
    found = elasticity(system, names, **common)
    strength = np.abs(found["elasticity"].values).max(axis=(0, 1))
    chosen = [names[i] for i in np.argsort(-strength, kind="stable")[:SOBOL_PARAMETERS]]
    own = own_values(system)
    ranges = {n: _range(n, float(np.ravel(own[n])[0])) for n in chosen}
    try:
        indices = sobol(system, ranges, samples=256, seed=seed, **common)
    except MissingDependencyError:
        indices = None
    return Sensitivity(found, indices, ranges)


def _range(name: str, value: float) -> tuple[float, float]:
    """`value` less and more :data:`CHANGE`; a fraction stays below 1."""
    high = value * (1 + CHANGE)
    return value * (1 - CHANGE), min(high, 1.0) if name.startswith("fraction") else high


__all__ = [
    "CHANGE",
    "Check",
    "Sensitivity",
    "Validation",
    "analyse_sensitivity",
    "own_profiles",
    "published_profiles",
    "validate",
    "verify",
]
