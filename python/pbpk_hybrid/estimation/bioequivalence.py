r"""Bioequivalence: two one-sided tests, and virtual crossover trials.

The 100 (1 - 2 alpha) % confidence interval of the ratio of geometric means, from paired
differences of log values,

.. math:: \exp\left(\bar d \pm t_{1-\alpha, n-1}\, s_d/\sqrt n\right)

must lie within the limits (Schuirmann 1987, J Pharmacokinet Biopharm 15:657; FDA and EMA
guidance: 80.00 to 125.00 %).
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
from ..nca import nca
from ..results import last_interval
from ..simulation.single import simulate
from ..simulation.variability import Variability


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
    low, high = _limits(limits)
    if not 0 < alpha < 0.5:
        raise InputError("alpha", alpha, "a number between 0 and 0.5")
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


def virtual_bioequivalence(
    reference: tuple[Compound | str, Any],
    test: tuple[Compound | str, Any],
    population: xr.Dataset,
    times: Sequence[float] | np.ndarray,
    *,
    within_cv: float = 0.15,
    subjects: int = 24,
    trials: int = 500,
    seed: int = 0,
    variability: Variability | float | bool | str | None = "default",
    limits: tuple[float, float] = (0.8, 1.25),
    alpha: float = 0.05,
) -> xr.Dataset:
    """Many virtual two-period crossover trials of two formulations in the same people.

    Both formulations are simulated in the whole population, with the same anatomy and
    enzymes of each person in both periods; each trial draws `subjects` of them, and every
    AUC and Cmax varies by `within_cv` between periods. Of one dose the AUC is that to the
    last time, of several doses that of the last dosing interval.

    Parameters
    ----------
    reference, test : (compound, regimen) as simulate takes them, for instance two
        Compounds with other absorption rates
    population : the people trials draw from, at least as many as `subjects`
    times : [h] of the samples
    within_cv : within-subject coefficient of variation (log-normal)
    variability : between people, in clearance and absorption, as in :func:`pbpk_hybrid.simulate`

    Returns
    -------
    Dataset over metric (auc, cmax) and trial: ratio, lower, upper, equivalent; ``power``
    over metric, and attribute ``power`` for both at once

    Raises
    ------
    InputError
    """
    _limits(limits)
    people = population.sizes.get("subject", 0)
    for name, value, least in (("subjects", subjects, 4), ("trials", trials, 1)):
        if not isinstance(value, (int, np.integer)) or value < least:
            raise InputError(name, value, f"an integer >= {least}")
    if subjects > people:
        raise InputError("subjects", subjects, f"at most the {people} people of the population")
    if not (np.isfinite(within_cv) and 0 <= within_cv <= 2):
        raise InputError("within_cv", within_cv, "a number from 0 to 2")
    _, used = generator(seed)
    rng = stream(used, "trials")  # the population may have been drawn with the same seed
    exposure = {}
    for label, (compound, regimen) in (("reference", reference), ("test", test)):
        run = simulate(
            compound,
            regimen,
            population,
            times,
            compartments=["plasma"],
            variability=variability,
            seed=used,
            raise_on_failure=True,
        )
        table = last_interval(nca(run))
        area = "auc_tau" if "auc_tau" in table else "auc_last"
        exposure[label] = {"auc": table[area].values, "cmax": table["cmax"].values}
    sd = np.sqrt(np.log1p(within_cv**2))
    who = np.stack([rng.permutation(people)[:subjects] for _ in range(trials)])
    noise = sd * rng.standard_normal((2, 2, trials, subjects))
    rows: dict[str, list] = {k: [] for k in ("ratio", "lower", "upper", "equivalent")}
    for m, metric in enumerate(("auc", "cmax")):
        seen = [
            exposure[label][metric][who] * np.exp(noise[m, i])
            for i, label in enumerate(("test", "reference"))
        ]
        found = [
            two_one_sided_tests(a, b, limits=limits, alpha=alpha)
            for a, b in zip(*seen, strict=True)
        ]
        for key, values in rows.items():
            values.append([getattr(f, key) for f in found])
    dims = ("metric", "trial")
    data = {k: (dims, np.array(v)) for k, v in rows.items()}
    passed = np.array(rows["equivalent"])
    data["power"] = ("metric", passed.mean(axis=1))
    return xr.Dataset(
        data,
        {"metric": ["auc", "cmax"]},
        attrs=provenance(
            power=float(passed.all(axis=0).mean()),
            subjects=int(subjects),
            trials=int(trials),
            seed=used,
            within_cv=within_cv,
            limits=list(limits),
            alpha=alpha,
        ),
    )


def _limits(limits: tuple[float, float]) -> tuple[float, float]:
    low, high = limits
    if not 0 < low < 1 < high:
        raise InputError("limits", limits, "two numbers > 0 on either side of 1")
    return float(low), float(high)
