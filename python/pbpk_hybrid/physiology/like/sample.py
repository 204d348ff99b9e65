"""n people like a table, with organs, from the survey or a model.

People of the survey are weighted so that the table holds (:mod:`.tilt`). Candidates are drawn
around them by these weights (:mod:`.candidates`), each with the factor that takes the weighting
back, and weighted again: the candidates' own weights are then the least-informative ones, however
the people they come from were chosen. From them n different people are chosen (:mod:`.choice`) and
get organs.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import xarray as xr

from ..._core.errors import InputError, OutOfRangeWarning, SolveError
from ..adults.body import People
from ..adults.fixed_organs import FixedOrgan, log_likelihood, read_organs
from ..adults.population import complete_columns
from ..adults.selection import bounds, ethnicities, female_fraction
from ..adults.survey import ADULT_AGE, said_of_the_oldest
from ..bodies import expected
from ..conditions.enzymes import with_enzymes
from ..dataset import build
from ..growth import MEASURED_FROM, OLDEST_AGE
from .candidates import OLDEST, Pool, adult_pool, everybodys_pool, joined, taken
from .choice import anchor, draw, exchange
from .comparison import ATTRIBUTE, Comparison, compare
from .criteria import Criterion
from .quantities import OF_CREATININE, QUANTITIES, Columns
from .request import Request, Statistic, read_request
from .tilt import Centres, Tilt, achieved_centres, features, tilt

_MANY = 8  # candidates for each person asked for
_FEWEST_CANDIDATES = 8_000
_MOST_CANDIDATES = 400_000
_ROUNDS = 4  # of drawing candidates by better weights
_FEWEST_PARENTS = 20.0  # effective number of survey people to draw around
_SPARSE = 2_000  # people, from whom on neighbours in a quantity are near enough
_BESIDE = 4  # people taken beside each quantile
_WORTHWHILE = 0.8  # squared gap, of that before, with which more candidates are drawn again
_RECENTRED = 3  # times that SDs are taken about new means
_RARE = 50  # survey people within the ranges below which a warning says so
_MARGIN = 0.02  # of a bound: people of the survey so far outside are drawn around, too


@dataclass(frozen=True)
class Options:
    """How people are drawn.

    Parameters
    ----------
    weighted : bool
        Start from the survey's weights, or from each person alike.
    scatter : bool
        Let GFR scatter around its estimate.
    strict : bool
        Refuse a table that cannot be met instead of coming as near as possible.
    """

    weighted: bool = True
    scatter: bool = True
    strict: bool = False


@dataclass(frozen=True)
class Task:
    """A checked request: what holds exactly, and what is met on average.

    Parameters
    ----------
    request : Request
        The table.
    criteria : tuple of Criterion
        Inclusion criteria.
    ethnicity : tuple of str or None
        Those who may be drawn.
    organs : tuple of FixedOrgan
        Organs whose mass is known.
    """

    request: Request
    criteria: tuple[Criterion, ...] = ()
    ethnicity: tuple[str, ...] | None = None
    organs: tuple[FixedOrgan, ...] = ()

    def log_likelihood(self, columns: Columns) -> np.ndarray:
        """(person,) logarithm of the density of the known organs; -inf where they cannot be."""
        names = ("male", "age", "body_weight", "height")
        people = People(*(columns[name] for name in names))
        if not self.organs:
            return np.zeros(people.age.size)
        masses = expected(people).mass
        return log_likelihood(self.organs, people.male, masses, columns["residual"])

    @property
    def balanced(self) -> Request:
        """What the tilt meets: shares of 0 and 1 are conditions on everybody instead."""
        return Request(tuple(s for s in self.request.statistics if not for_all(s)))

    def allowed(self, columns: Columns, margin: float = 0.0) -> np.ndarray:
        """(person,) bool: who may be drawn."""
        keep = self.request.within_ranges(columns, margin)
        for s in self.request.statistics:
            if for_all(s):
                keep &= s.values(columns) == s.value
        for criterion in self.criteria:
            keep &= criterion.holds(columns)
        if self.organs:
            keep &= np.isfinite(self.log_likelihood(columns))
        if self.ethnicity is not None:
            keep &= np.isin(columns["ethnicity"], self.ethnicity)
        return keep


def for_all(s: Statistic) -> bool:
    """Whether a statistic is a share of 0 or 1: a condition on everybody."""
    return s.kind == "share" and s.value in (0.0, 1.0)


def read_task(
    like: Any, filters: Mapping[str, Any], sex: Any, where: Any, organs: Any = None
) -> Task:
    """The table together with the filters and criteria of ``sample_population``.

    Raises
    ------
    InputError
        A table, filter or criterion that cannot be understood, or the share of women twice.
    """
    request = Request(()) if like is None else read_request(like)
    more: list[Statistic] = []
    races = filters.get("ethnicity")
    for name, value in filters.items():
        if value is None or name == "ethnicity":
            continue
        low, high = bounds(name, value)
        more += [Statistic(name, "min", low), Statistic(name, "max", high)]
    women = female_fraction(sex)
    if women is not None:
        if any(s.quantity == "female" for s in request.statistics):
            raise InputError("sex", sex, "the share of women either in like or as sex")
        more.append(Statistic("female", "share", women))
    several = isinstance(where, (list, tuple))
    texts = () if where is None else (tuple(where) if several else (where,))
    criteria = tuple(Criterion(text) for text in texts)
    task = Task(
        Request((*request.statistics, *more)),
        criteria,
        None if races is None else ethnicities(races),
        read_organs(organs),
    )
    return task


class Source(Protocol):
    """Whom people are drawn from.

    ``behind`` is about how many real people lie within the ranges, ``method`` and ``sources`` are
    attributes of those drawn, and ``ages`` says in words how old they may be.
    """

    behind: float
    method: str
    sources: str
    ages: str

    def slope(self, n: int) -> np.ndarray:
        """A first slope of the tilt, (feature,)."""

    def candidates(
        self, size: int, n: int, slope: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """About `size` different candidates who satisfy all conditions, and the logs of their
        weights; they are drawn tilted by `slope`, which the weights take back.
        """


def sample_like(
    n: int,
    rng: np.random.Generator,
    seed: int | None,
    task: Task,
    options: Options,
    source: Source | None = None,
) -> xr.Dataset:
    """What ``sample_population(n, like=...)`` does; `source` None: the survey.

    Raises
    ------
    InputError
        Nobody can satisfy the ranges and criteria; with ``strict``: a table that cannot be met.

    Warns
    -----
    OutOfRangeWarning
        The table cannot be met, or few people of the survey are within its ranges.
    """
    _check_known(task)
    source = source or SurveySource(pool_for(task), rng, task, options)
    columns = choose(n, rng, source, task)
    comparison = compare(task.request, columns)
    _report(comparison, source, n, options.strict)
    data, missing = complete_columns(rng, columns, task.organs)
    if missing.size:
        raise SolveError(
            f"{missing.size} of {n} people could not be given organs that fit their weight and "
            "height: widen the ranges of body_weight, height or bmi"
        )
    mass, flow = data.pop("mass"), data.pop("blood_flow")
    person = data.pop("person")
    if (person > 0).all():
        long_name = "NHANES sequence number of the person that this one was drawn around"
        data["nhanes_person"] = (person, "1", long_name)
    attrs = {
        "method": source.method,
        "seed": seed,
        ATTRIBUTE: task.request.to_json(),
        "organs": ", ".join(
            f"{o.organ} {o.value:g} {'of normal' if o.relative else 'kg'}" for o in task.organs
        )
        or "none",
        "where": " and ".join(f"({c.text})" for c in task.criteria) or "none",
        "survey_people_within_ranges": round(source.behind),
        "sources": source.sources,
    }
    people = build(mass, flow, "human", data, attrs | said_of_the_oldest(data["age"]))
    return with_enzymes(people) if (people["age"].values < ADULT_AGE).any() else people


def pool_for(task: Task) -> Pool:
    """The survey's adults, or everybody where a table or filter names an age that adults of 18 to
    79 years do not have.
    """
    ages = [
        s.value
        for s in task.request.statistics
        if s.quantity == "age"
        and s.kind in ("min", "max", "mean", "geometric_mean", "quantile")
        # an end beyond all people restricts nobody
        and not (s.kind == "min" and s.value <= 0)
        and not (s.kind == "max" and s.value > OLDEST_AGE)
    ]
    outside = any(value < ADULT_AGE or value > OLDEST for value in ages)
    return everybodys_pool() if outside else adult_pool()


def _check_known(task: Task) -> None:
    """
    Raises
    ------
    InputError
        A table of creatinine in children, of whom it was not measured.
    """
    youngest = min(
        (s.value for s in task.request.statistics if s.quantity == "age" and s.kind == "max"),
        default=np.inf,
    )
    for s in task.request.statistics:
        if s.quantity in OF_CREATININE and youngest < MEASURED_FROM["serum_creatinine"]:
            raise InputError(
                "like",
                s.label,
                "people of 12 years or more",
                hint="creatinine of younger children was not measured in the survey; gfr and egfr "
                "follow from weight and age",
            )


def choose(n: int, rng: np.random.Generator, source: Source, task: Task) -> dict[str, np.ndarray]:
    """n different people who meet a task.

    Raises
    ------
    InputError
        Nobody can satisfy the ranges and criteria.
    """
    columns, found = _weighted_candidates(n, source, task)
    centres: Centres = {}
    if not found.met:
        found, centres = _nearest(task.balanced, columns, found, n)
    # what the weights do not meet is not forced upon the n
    f = features(task.balanced, columns, n, centres) - (0.0 if found.met else found.gap)
    chosen = draw(rng, found.weight, n)
    kept = None
    if n < _SPARSE:
        groups = _beside_quantiles(task.request, columns)
        if 2 * _BESIDE * len(groups) < n:
            chosen, kept = anchor(rng, found.weight, chosen, groups)
    chosen = exchange(rng, f, found.weight, chosen, kept)
    return taken(columns, chosen)


def _nearest(request: Request, columns: Columns, found: Tilt, n: int) -> tuple[Tilt, Centres]:
    """Weights as near as possible to a table that cannot be met, with SDs about their own means.

    About the mean asked, people who are all alike and far from it would have the SD asked.
    """
    centres: Centres = {}
    log_prior = np.log(np.maximum(found.prior, 1e-300))
    for _ in range(_RECENTRED):
        centres = achieved_centres(request, columns, found.weight)
        found = tilt(features(request, columns, centres=centres), log_prior, 1.2 * n)
    return found, centres


def _beside_quantiles(request: Request, columns: Columns) -> list[np.ndarray]:
    """Numbers of the candidates right below, and right above, each quantile asked."""
    groups = []
    for s in request.statistics:
        if s.kind != "quantile":
            continue
        distance = np.where(s.members(columns), s.values(columns) - s.value, np.nan)
        for side in (-1, 1):
            there = np.flatnonzero(side * distance > 0)
            nearest = there[np.argsort(np.abs(distance[there]), kind="stable")]
            groups.append(nearest[: 5 * _BESIDE])
    return groups


class SurveySource:
    """Candidates around people of the survey; see :class:`Source`.

    Parameters
    ----------
    pool : Pool
        The survey.
    rng : Generator
        Draws the candidates.
    task, options : Task, Options
        As asked.

    Raises
    ------
    InputError
        Nobody can satisfy the ranges and criteria.
    """

    method = (
        "people around those of NHANES 2013-2018, weighted to meet a table, "
        "with organs by regression and variability"
    )
    sources = (
        "NHANES 2013-2018 (CDC/NCHS) via httk; ICRP 89; McNally et al. 2014; "
        "Hainmueller 2012 (entropy balancing)"
    )

    def __init__(self, pool: Pool, rng: np.random.Generator, task: Task, options: Options) -> None:
        survey = pool.parents(rng, options.scatter)
        weight = pool.survey.weight if options.weighted else np.ones(pool.survey.age.size)
        self.behind = float(np.unique(survey["row"][task.allowed(survey)]).size)
        self.ages = pool.ages
        self._parents = taken(survey, task.allowed(survey, _MARGIN))
        if not self._parents["row"].size:
            raise _nobody(task, survey)
        self._at_parents = task.log_likelihood(self._parents)
        self._log_weight = np.log(weight[self._parents["row"]]) + self._at_parents
        self._pool, self._rng, self._task, self._options = pool, rng, task, options
        self._features = features(task.balanced, self._parents)

    def slope(self, n: int) -> np.ndarray:
        """See :class:`Source`."""
        fewest = min(_FEWEST_PARENTS, 0.5 * len(self._features))
        return tilt(self._features, self._log_weight, fewest).slope

    def candidates(
        self, size: int, n: int, slope: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """See :class:`Source`."""
        exponent = self._features @ slope
        exponent = np.clip(exponent - exponent.max(), -30.0, 0.0)
        log_weight, rng, task = self._log_weight, self._rng, self._task
        cumulative = np.cumsum(np.exp(log_weight - log_weight.max() + exponent))
        parts, logs, kept = [], [], 0
        for _ in range(20):
            place = np.searchsorted(cumulative, rng.random(size) * cumulative[-1], side="right")
            place = np.minimum(place, exponent.size - 1)
            columns = self._pool.draw(rng, self._parents, place, self._options.scatter)
            keep = task.allowed(columns) & self._pool.reached(columns)
            parts.append(taken(columns, keep))
            # what their parents were weighted by is taken back, what they are weighted by put in
            likelihood = task.log_likelihood(taken(columns, keep))
            logs.append(likelihood - self._at_parents[place[keep]] - exponent[place[keep]])
            kept += int(keep.sum())
            if kept >= max(0.5 * size, 4 * n):
                break
        columns, log_prior = joined(parts), np.concatenate(logs)
        first = _first_of_each(columns)
        columns, log_prior = taken(columns, first), log_prior[first]
        if first.size < n:
            raise InputError(
                "n",
                n,
                f"at most about {first.size} people: so many different ones lie within these "
                "ranges",
                hint="widen the ranges or criteria, or ask for fewer people",
            )
        return columns, log_prior


def _weighted_candidates(n: int, source: Source, task: Task) -> tuple[dict[str, np.ndarray], Tilt]:
    """Candidates who satisfy all conditions, with their weights.

    They are drawn tilted by a first slope; where too few carry the weight, more are drawn by the
    slope of the candidates before.
    """
    slope = source.slope(n)
    size = max(_FEWEST_CANDIDATES, _MANY * n)
    best: tuple[dict[str, np.ndarray], Tilt] | None = None
    for turn in range(_ROUNDS):
        columns, log_prior = source.candidates(size, n, slope)
        fewest = 1.2 * n if turn else 2.0 * n
        now = tilt(features(task.balanced, columns), log_prior, fewest, slope)
        before = np.inf if best is None else _error(best[1])
        if now.met or _error(now) < before:
            best = columns, now
        if now.met or _error(now) > _WORTHWHILE * before:
            break
        slope, size = now.slope, min(2 * size, _MOST_CANDIDATES)
    assert best is not None
    return best


def _error(found: Tilt) -> float:
    return float(np.square(found.gap).sum())


def _first_of_each(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Numbers of the people without those who repeat another in all that is measured."""
    names = ("male", "age", "body_weight", "height", "hematocrit", "serum_creatinine")
    table = np.column_stack([np.nan_to_num(columns[name].astype(float)) for name in names])
    return np.sort(np.unique(table, axis=0, return_index=True)[1])


def _nobody(task: Task, survey: Columns) -> InputError:
    """Which condition nobody satisfies, or that they have nobody in common."""
    for s in task.request.statistics:
        if s.kind not in ("min", "max"):
            continue
        values = QUANTITIES[s.quantity].value(survey)
        if not (values >= s.value if s.kind == "min" else values <= s.value).any():
            return InputError(
                "like",
                s.value,
                f"a {s.label} that overlaps {values.min():.4g} to {values.max():.4g} {s.unit}",
                hint="nobody in NHANES 2013-2018 qualifies",
            )
    if task.organs and not np.isfinite(task.log_likelihood(survey)).any():
        organs = {organ.organ: organ.value for organ in task.organs}
        return InputError("organs", organs, "masses [kg] that somebody of NHANES can have")
    for criterion in task.criteria:
        if not criterion.holds(survey).any():
            return InputError(
                "where", criterion.text, "a criterion that somebody of NHANES satisfies"
            )
    return InputError(
        "like",
        [s.label for s in task.request.statistics if s.kind in ("min", "max")],
        "ranges and criteria that somebody satisfies all at once",
        hint="each alone is satisfied; together nobody in NHANES 2013-2018 qualifies",
    )


def _report(comparison: Comparison, source: Source, n: int, strict: bool) -> None:
    """Refuse or warn where a table is not met or little is known."""
    missed = comparison.missed
    if missed:
        text = "; ".join(
            f"{row.statistic.label}: asked {row.statistic.value:.4g} {row.statistic.unit}, "
            f"nearest {row.achieved:.4g}"
            for row in missed
        )
        if strict:
            raise InputError("like", text, "a table that people can meet to 1 %")
        warnings.warn(
            f"like: no {n} different people of {source.ages} years meet the table; {text}",
            OutOfRangeWarning,
            stacklevel=5,
        )
    if source.behind < min(_RARE, n):
        warnings.warn(
            f"like: {source.behind:.0f} people of the survey lie within the ranges; the {n} drawn "
            "are variations of these and of those near them",
            OutOfRangeWarning,
            stacklevel=5,
        )


__all__ = ["Options", "Source", "Task", "choose", "for_all", "read_task", "sample_like"]
