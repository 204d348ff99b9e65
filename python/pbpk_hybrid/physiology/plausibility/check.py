"""Every subject against every rule, and the ranks of a population."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..._core.provenance import provenance
from ..._core.schemas import validate
from ..adults.survey import ADULT_AGE
from ..dataset import body_surface_area
from .body import Body, body_of
from .rules import RULES, Rule, child_rule


def check_plausibility(ds: xr.Dataset, rules: tuple[Rule, ...] = RULES) -> xr.Dataset:
    """Every subject against every rule.

    Parameters
    ----------
    ds
        Physiology Dataset; it need not be closed (that is what H2 and H3 find out).
    rules
        Rules to apply, default all.

    Returns
    -------
    Dataset
        Dataset over ``rule`` and ``subject``: ``residual`` (positive: broken; NaN: does
        not apply), ``violated`` (bool); coordinates ``kind``, ``text``, ``unit``,
        ``source`` over ``rule``; attributes ``hard_violation_rate`` and
        ``soft_violation_rate``, the fractions of subjects that break at least one rule
        of the kind.

    Raises
    ------
    SchemaError
        Not a physiology Dataset.
    """
    validate(ds, "physiology")
    subject = ds["subject"].values if "subject" in ds.coords else None
    return check_bodies(body_of(ds), rules, human=ds["species"].values == "human", subject=subject)


def check_bodies(
    body: Body,
    rules: tuple[Rule, ...] = RULES,
    *,
    human: np.ndarray | None = None,
    subject: np.ndarray | None = None,
) -> xr.Dataset:
    """As :func:`check_plausibility`, for arrays.

    Parameters
    ----------
    body
        Of n subjects.
    rules
        Rules to apply.
    human
        (subject,) bool or None Where the soft rules apply; None: everywhere.
    subject
        (subject,) or None Coordinate of the result; None: numbers from 0.
    """
    human = np.ones(len(body.male), dtype=bool) if human is None else human
    residual = _residuals(body, rules, human)
    violated = residual > 0
    kind = np.array([rule.kind for rule in rules])
    rates = {name: float(violated[kind == name].any(axis=0).mean()) for name in ("hard", "soft")}
    return xr.Dataset(
        {
            "residual": (
                ("rule", "subject"),
                residual,
                {"long_name": "distance beyond the bound, unit by rule"},
            ),
            "violated": (("rule", "subject"), violated, {"long_name": "rule broken"}),
        },
        coords={
            "rule": [rule.id for rule in rules],
            "subject": np.arange(human.size) if subject is None else subject,
            **{
                name: ("rule", [getattr(rule, name) for rule in rules])
                for name in ("kind", "text", "unit", "source")
            },
            "text_children": ("rule", [_text_for_children(rule) for rule in rules]),
        },
        attrs=provenance(
            title="plausibility",
            hard_violation_rate=rates["hard"],
            soft_violation_rate=rates["soft"],
        ),
    )


def _residuals(body: Body, rules: tuple[Rule, ...], human: np.ndarray) -> np.ndarray:
    """(rule, subject) residuals: adults by the rules, children by theirs, NaN where
    none applies.
    """
    # an age that is not known counts as adult
    young = human & (body.age < ADULT_AGE) if body.age is not None else np.zeros_like(human)
    children = body.subset(young) if young.any() else None
    residual = np.full((len(rules), human.size), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        for row, rule in zip(residual, rules, strict=True):
            adult = ~young if rule.kind == "hard" else human & ~young
            if adult.any():
                row[adult] = rule.residual(body)[adult]
            child = child_rule(rule)
            if children is not None and child is not None:
                row[young] = child.residual(children)
    return residual


def _text_for_children(rule: Rule) -> str:
    child = child_rule(rule)
    return "not evaluated" if child is None else child.text


def check_ranks(population: xr.Dataset) -> xr.Dataset:
    """S9: how quantities go together in the adults of a population.

    Heavier people have more adipose tissue (rank correlation above 0.5), older people
    filter less per body surface (below 0), men have the higher mean hematocrit. A
    filtered population (one age, one weight) may rightly break them.

    Parameters
    ----------
    population
        Physiology Dataset.

    Returns
    -------
    Dataset
        Dataset over ``rule``: ``value``, ``bound``, ``violated``; NaN and False where
        there are not at least 20 adults (or 20 of each sex) with the quantities.

    Raises
    ------
    SchemaError
        Not a physiology Dataset.
    """
    validate(population, "physiology")
    body = body_of(population)
    adult = (population["species"].values == "human") & ~(body.age < ADULT_AGE)
    body = body.subset(adult & np.isfinite(body.weight))
    surface = body_surface_area(body.weight, body.height)
    values = np.array(
        [
            _rank_correlation(body.weight, body.organ("adipose")),
            _rank_correlation(body.age, body.gfr / surface),
            _hematocrit_difference(body),
        ]
    )
    bounds = np.array([0.5, 0.0, 0.0])
    with np.errstate(invalid="ignore"):
        violated = np.array(
            [values[0] <= bounds[0], values[1] >= bounds[1], values[2] <= bounds[2]]
        )
    return xr.Dataset(
        {
            "value": (
                "rule",
                values,
                {"long_name": "rank correlation, rank correlation, difference of fractions"},
            ),
            "bound": ("rule", bounds),
            "violated": ("rule", violated, {"long_name": "rule broken"}),
        },
        coords={
            "rule": ["S9_adipose", "S9_filtration", "S9_hematocrit"],
            "text": (
                "rule",
                [
                    "weight and adipose tissue rise together, rho > 0.5",
                    "filtration falls with age, rho < 0",
                    "men have the higher mean hematocrit",
                ],
            ),
        },
        attrs=provenance(title="ranks", source="NHANES 2013-2018"),
    )


#: adults, or adults of each sex, below which a rank or a mean says nothing
_FEWEST = 20


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's correlation of two quantities (subject,); NaN where it is not defined."""
    from scipy.stats import spearmanr

    known = np.isfinite(a) & np.isfinite(b)
    # a quantity that is equal in everybody has no ranks
    if known.sum() < _FEWEST or not np.ptp(a[known]) or not np.ptp(b[known]):
        return np.nan
    return float(spearmanr(a[known], b[known])[0])


def _hematocrit_difference(body: Body) -> float:
    """Mean hematocrit of men less that of women; NaN where too few are known."""
    known = np.isfinite(body.hematocrit)
    men, women = body.hematocrit[known & body.male], body.hematocrit[known & ~body.male]
    return men.mean() - women.mean() if min(men.size, women.size) >= _FEWEST else np.nan
