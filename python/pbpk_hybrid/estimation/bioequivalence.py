r"""Bioequivalence: two one-sided tests, and virtual trials.

The 100 (1 - 2 alpha) % confidence interval of the ratio of geometric means, from paired differences
of log values,

.. math:: \exp\left(\bar d \pm t_{1-\alpha, n-1}\, s_d/\sqrt n\right)

must lie within the limits (Schuirmann 1987, J Pharmacokinet Biopharm 15:657; FDA and EMA guidance:
80.00 to 125.00 %). Designs are in :mod:`.equivalence_designs`, the agencies' rules in
:mod:`.equivalence_rules`, power in :mod:`.equivalence_power`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from .._core.errors import InputError
from .._core.provenance import provenance
from .._core.random import generator, stream
from ..compounds import Compound
from ..models.small_molecules.absorption import GutAbsorption
from ..nca import nca
from ..results import last_interval
from ..simulation.single import simulate
from ..simulation.variability import Variability, resolve_variability
from .equivalence_designs import Design
from .equivalence_power import check_alpha, check_limits
from .equivalence_rules import check_rule, judge

METRICS = ("auc", "cmax")


@dataclass(frozen=True)
class Equivalence:
    """Result of the two tests.

    Parameters
    ----------
    ratio, lower, upper : of geometric means, test over reference, with the 1 - 2 alpha interval
    p_lower, p_upper : of the two one-sided tests
    cv_within : within-subject coefficient of variation
    equivalent : whether the interval lies within the limits
    """

    ratio: float
    lower: float
    upper: float
    p_lower: float
    p_upper: float
    cv_within: float
    equivalent: bool
    n: int


def two_one_sided_tests(
    test: Sequence[float] | np.ndarray,
    reference: Sequence[float] | np.ndarray,
    *,
    limits: tuple[float, float] = (0.8, 1.25),
    alpha: float = 0.05,
) -> Equivalence:
    """TOST on log values of the same subjects in both periods.

    Parameters
    ----------
    test, reference : (n,) AUC or Cmax, > 0
    limits : of the ratio
    alpha : of each test

    Raises
    ------
    InputError : fewer than two subjects, values not > 0, limits that are none
    """
    a, b = np.asarray(test, dtype=float).ravel(), np.asarray(reference, dtype=float).ravel()
    if a.shape != b.shape or a.size < 2:
        raise InputError("test", a.shape, f"as many values as reference ({b.size}), at least 2")
    for name, values in (("test", a), ("reference", b)):
        if (bad := np.flatnonzero(~(np.isfinite(values) & (values > 0)))).size:
            raise InputError(f"{name}[{bad[0]}]", float(values[bad[0]]), "a number > 0")
    low, high = check_limits(limits)
    check_alpha(alpha)
    from scipy.stats import t as student

    d = np.log(a / b)
    n, mean, spread = d.size, d.mean(), d.std(ddof=1)
    error = spread / np.sqrt(n)
    half = student.ppf(1 - alpha, n - 1) * error
    lower, upper = np.exp(mean - half), np.exp(mean + half)
    with np.errstate(divide="ignore", invalid="ignore"):
        p_lower = student.sf((mean - np.log(low)) / error, n - 1)
        p_upper = student.cdf((mean - np.log(high)) / error, n - 1)
    return Equivalence(
        float(np.exp(mean)),
        float(lower),
        float(upper),
        float(p_lower),
        float(p_upper),
        float(np.sqrt(np.expm1(spread**2 / 2))),
        bool(low <= lower and upper <= high),
        n,
    )


@dataclass(frozen=True, eq=False)
class Formulation:
    """A treatment of a trial.

    Parameters
    ----------
    compound : Compound or str
    regimen : Regimen, xarray.Dataset or str
    absorption : GutAbsorption, optional
        How the dose is released, dissolved and absorbed; None: at the compound's own rate.
    """

    compound: Compound | str
    regimen: Any
    absorption: GutAbsorption | None = None


def as_formulation(given: Formulation | Sequence[Any], field: str) -> Formulation:
    """A Formulation from one, or from (compound, regimen) or (compound, regimen, GutAbsorption).

    Raises
    ------
    InputError
        Anything else.
    """
    if isinstance(given, Formulation):
        return given
    if isinstance(given, (tuple, list)) and len(given) in (2, 3):
        return Formulation(*given)
    raise InputError(field, given, "a Formulation, or (compound, regimen)")


def virtual_bioequivalence(
    reference: Formulation | tuple[Any, ...],
    test: Formulation | tuple[Any, ...],
    population: xr.Dataset,
    times: Sequence[float] | np.ndarray,
    *,
    design: str = "2x2x2",
    rule: str = "average",
    within_cv: float | tuple[float, float] = 0.15,
    subjects: int = 24,
    trials: int = 500,
    seed: int = 0,
    variability: Variability | float | bool | str | None = "default",
    limits: tuple[float, float] = (0.8, 1.25),
    alpha: float = 0.05,
) -> xr.Dataset:
    """Many virtual trials of two formulations in the same people.

    Both formulations are simulated in the whole population, on as many occasions as the design has
    periods where `variability` has occasions; each person keeps anatomy and enzymes. Each trial
    draws `subjects` people and gives them the design's sequences. Of one dose the AUC is that to
    the last time, of several doses that of the last dosing interval.

    Parameters
    ----------
    reference, test : Formulation or tuple
        (compound, regimen) or (compound, regimen, GutAbsorption).
    population : xarray.Dataset
        The people trials draw from, at least as many as `subjects`.
    times : sequence of float, h
        Of the samples.
    design : str
        "2x2x2" (TR, RT), "2x2x3" (TRT, RTR), "2x2x4" (TRTR, RTRT), "2x3x3" (TRR, RTR, RRT) or
        "parallel"; treatments x sequences x periods.
    rule : str
        "average", "EMA" (expanded limits of Cmax) or "FDA" (reference-scaled); the last two need a
        replicate design. See :mod:`.equivalence_rules`.
    within_cv : float or (float, float)
        Within-subject coefficient of variation (log-normal) of both, or of (test, reference),
        besides what the occasions of `variability` bring.
    subjects, trials, seed : int
    variability : Variability, float, bool, str or None
        Between people, and with ``Variability(occasion=...)`` between occasions, in clearance and
        absorption, as in :func:`pbpk_hybrid.simulate`.
    limits, alpha
        As in :func:`two_one_sided_tests`.

    Returns
    -------
    xarray.Dataset
        Over metric (auc, cmax) and trial: ratio, lower, upper, equivalent, the limits that the
        interval was held against, cv_reference, and bound of the FDA's criterion; ``power`` over
        metric, and attribute ``power`` for both at once.

    Raises
    ------
    InputError, UnknownNameError
        Anything that cannot be used.
    """
    limits, alpha = check_limits(limits), check_alpha(alpha)
    plan = Design(design, subjects)
    check_rule(rule, plan)
    people = population.sizes.get("subject", 0)
    if subjects > people:
        raise InputError("subjects", subjects, f"at most the {people} people of the population")
    if isinstance(trials, bool) or not isinstance(trials, (int, np.integer)) or trials < 1:
        raise InputError("trials", trials, "an integer >= 1")
    sds = _within_sds(within_cv)
    _, used = generator(seed)
    rng = stream(used, "trials")  # the population may have been drawn with the same seed
    both = {
        "test": as_formulation(test, "test"),
        "reference": as_formulation(reference, "reference"),
    }
    occasions = _occasions(variability, population, plan.periods)
    exposure = {
        label: [_exposures(f, population, times, draws, used) for draws in occasions]
        for label, f in both.items()
    }
    who = np.stack([rng.permutation(people)[:subjects] for _ in range(trials)], axis=1)
    found = {
        metric: judge(
            _log_values(exposure, metric, plan, who, sds, rng),
            plan,
            rule,
            metric=metric,
            limits=limits,
            alpha=alpha,
        )
        for metric in METRICS
    }
    names = ("ratio", "lower", "upper", "equivalent", "low", "high", "cv_reference", "bound")
    data: dict[str, Any] = {
        name: (("metric", "trial"), np.array([getattr(found[m], name) for m in METRICS]))
        for name in names
    }
    passed = data["equivalent"][1]
    data["power"] = ("metric", passed.mean(axis=1))
    attributes = provenance(
        power=float(passed.all(axis=0).mean()),
        design=design,
        rule=rule,
        subjects=int(subjects),
        trials=int(trials),
        seed=used,
        within_cv=np.ravel(within_cv).tolist() if np.ndim(within_cv) else float(within_cv),
        occasions=len(occasions),
        limits=list(limits),
        alpha=alpha,
    )
    return xr.Dataset(data, {"metric": list(METRICS)}, attrs=attributes)


def _within_sds(given: Any) -> tuple[float, float]:
    """Standard deviations of log values, of (test, reference)."""
    both = (given, given) if np.ndim(given) == 0 else tuple(given)
    if len(both) != 2:
        raise InputError("within_cv", given, "a number, or (test, reference)")
    for cv in both:
        number = isinstance(cv, (int, float, np.number)) and not isinstance(cv, bool)
        if not (number and np.isfinite(cv) and 0 <= cv <= 2):
            raise InputError("within_cv", given, "numbers from 0 to 2")
    return tuple(float(np.sqrt(np.log1p(cv**2))) for cv in both)


def _occasions(variability: Any, population: xr.Dataset, periods: int) -> list[Any]:
    """What varies people in each period; one entry where every period is alike."""
    draws = resolve_variability(variability, population)
    if not isinstance(draws, Variability) or draws.between_occasions is None:
        return [variability]
    return [draws.at_occasion(k) for k in range(periods)]


def _exposures(
    formulation: Formulation, population: xr.Dataset, times: Any, variability: Any, seed: int
) -> dict[str, np.ndarray]:
    """Metric -> (n_people,) of one formulation on one occasion."""
    run = simulate(
        formulation.compound,
        formulation.regimen,
        population,
        times,
        compartments=["plasma"],
        variability=variability,
        seed=seed,
        absorption=formulation.absorption,
        raise_on_failure=True,
    )
    table = last_interval(nca(run))
    area = "auc_tau" if "auc_tau" in table else "auc_last"
    return {"auc": table[area].values, "cmax": table["cmax"].values}


def _log_values(
    exposure: dict[str, list[dict[str, np.ndarray]]],
    metric: str,
    plan: Design,
    who: np.ndarray,
    sds: tuple[float, float],
    rng: np.random.Generator,
) -> np.ndarray:
    """(n_subjects, n_periods, n_trials) logs of a metric as the trials measure it."""
    out = np.empty((*plan.is_test.shape, who.shape[1]))
    for period in range(plan.periods):
        given = plan.is_test[:, period]
        for label, sd, rows in (("test", sds[0], given), ("reference", sds[1], ~given)):
            runs = exposure[label]
            values = np.log(runs[min(period, len(runs) - 1)][metric])[who[rows]]
            out[rows, period] = values + sd * rng.standard_normal(values.shape)
    return out
