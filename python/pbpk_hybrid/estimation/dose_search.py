"""`dose`: the regimen that brings one patient to a target, over the whole posterior.

Research software, not a medical device: what it prints is a calculation from a model, no
recommendation for anybody's treatment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.arguments import check_kind
from .._core.errors import InputError, unknown_name
from .._core.html_table import html_table
from .._core.units import quantity, says_per_kg
from ..compounds import Compound
from ..dosing import Regimen
from ..models.system.system import System
from .dose_profiles import (
    Administration,
    ProfileSource,
    draws_of_fraction_unbound,
    last_dose_interval,
    next_dose_time,
)
from .dose_targets import METRICS, IntervalProfile, Target, as_target
from .individual import posterior
from .next_sample import SampleAdvice, advise_next_sample
from .patient import Patient
from .posterior_draws import Posterior

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

NOTICE = "research software, not a medical device: no basis for treating anyone"
#: amounts per decade that tablets, vials and pumps can be set to
_PRACTICAL = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.5, 9.0)
#: loss by name: what is expected of it over the posterior is minimised
LOSSES = ("missed", "distance")
_ROUTES = {"iv": "iv_bolus", "iv_bolus": "iv_bolus", "iv_infusion": "iv_infusion", "oral": "oral"}
_MULTIPLES = re.compile(
    r"^multiples\s+of\s+(?P<step>.+?)(?:\s+up\s+to\s+(?P<most>.+))?$", re.IGNORECASE
)


@dataclass(frozen=True)
class Choice:
    """How candidates are judged.

    Parameters
    ----------
    loss : str or callable
        "missed": 1 where the target is missed; "distance": how far outside on the log scale; or
        ``loss(profile)`` -> (n_draws,), with ``profile.times``, ``.concentration``, ``.auc``.
    confidence : float
        Of a target without upper limit: the smallest daily dose that attains it with this
        probability is chosen.
    error : (str, ndarray) or None
        Kind and parameters (n_error_parameters, n_draws) of the residual error of one measurement
        by which the target is judged; None: the true value decides.
    """

    loss: str | Callable[[IntervalProfile], np.ndarray] = "missed"
    confidence: float = 0.9
    error: tuple[str, np.ndarray] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.loss, str) and self.loss not in LOSSES:
            raise unknown_name("loss", self.loss, LOSSES, what="a loss, or a function")
        if not (isinstance(self.loss, str) or callable(self.loss)):
            raise InputError("loss", self.loss, f"one of {LOSSES}, or a function of the profile")
        if not (isinstance(self.confidence, (int, float)) and 0 < self.confidence < 1):
            raise InputError("confidence", self.confidence, "a number between 0 and 1")

    def probability(self, target: Target, profile: IntervalProfile) -> np.ndarray:
        """(n_draws,) probability of the target: 0 or 1 where the true value decides."""
        if self.error is None:
            return target.attained(profile).astype(float)
        if not target.goals:
            raise InputError("measured", True, "a target in words: a function is of true values")
        each = [g.measured(g.value(profile), *self.error) for g in target.goals]
        return np.prod(each, axis=0)

    def losses(self, target: Target, profile: IntervalProfile) -> np.ndarray:
        """(n_draws,) loss of a profile."""
        if self.loss == "missed":
            return 1.0 - self.probability(target, profile)
        if self.loss == "distance":
            return target.distance(profile)
        found = np.asarray(self.loss(profile), dtype=float)
        if found.shape != (len(profile.concentration),) or not np.isfinite(found).all():
            raise InputError("loss", found, "a function that returns one finite number per draw")
        return found


@dataclass(frozen=True)
class Candidate:
    """One regimen and what is expected of it.

    Parameters
    ----------
    interval : float, h
    amount : float, mg
    attainment : float
        Probability of the target over the posterior.
    loss, distance : float
        Expected loss, and expected distance from the target on the log scale.
    metrics : tuple of (median, lower, upper)
        Of each goal, 90 % interval.
    """

    interval: float
    amount: float
    attainment: float
    loss: float
    distance: float
    metrics: tuple[tuple[float, float, float], ...]

    @property
    def daily(self) -> float:
        """Amount of 24 h [mg]."""
        return self.amount * 24.0 / self.interval


@dataclass(frozen=True, eq=False)
class DoseResult:
    """The best regimen among the candidates, and all of them.

    Parameters
    ----------
    target : Target
    candidates : tuple of Candidate
        By interval, then amount.
    best : Candidate
    loading : Candidate or None
        The first dose, where another than the maintenance dose is expected to do better in the
        first interval; its interval is the length that was judged.
    first : Candidate
        The maintenance dose as first dose, judged in the same time.
    source : ProfileSource
    choice : Choice
    when : float or None
        Hours after the start at which the target was judged; None: at steady state.
    """

    target: Target
    candidates: tuple[Candidate, ...]
    best: Candidate
    loading: Candidate | None
    first: Candidate
    source: ProfileSource
    choice: Choice
    when: float | None

    @property
    def attainment(self) -> float:
        """Expected probability of the target under the best regimen."""
        return self.best.attainment

    @property
    def text(self) -> str:
        """The maintenance doses in words; :class:`.Regimen` reads them with " ss" behind."""
        return f"{self.source.administration.words(self.best.amount)} q{self.best.interval:g}h"

    def regimen(self, n: int = 10) -> Regimen:
        """The best regimen from time 0 on: the first dose and n - 1 maintenance doses.

        ``posterior.simulate(result.regimen(), after=result.start)`` shows what it does.
        """
        give, best = self.source.administration, self.best
        if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 1:
            raise InputError("n", n, "an integer >= 1")
        if self.loading is None:
            return give.train(best.amount, best.interval, n)
        first = give.dose(self.loading.amount)
        rest = give.train(best.amount, best.interval, n - 1, best.interval) if n > 1 else None
        return first if rest is None else first + rest

    @property
    def start(self) -> float:
        """When the first new dose is given [h], on the patient's clock."""
        return self.source.start

    @property
    def table(self) -> pd.DataFrame:
        """Every candidate: amounts [mg], attainment, loss, and each goal's median and interval."""
        import pandas as pd

        rows = []
        for c in self.candidates:
            row = {
                "interval": c.interval,
                "amount": c.amount,
                "daily": c.daily,
                "attainment": c.attainment,
                "loss": c.loss,
            }
            for goal, (median, low, high) in zip(self.target.goals, c.metrics, strict=True):
                row |= {goal.metric: median, f"{goal.metric}_p05": low, f"{goal.metric}_p95": high}
            rows.append(row)
        return pd.DataFrame(rows)

    def pta(self, mic: Sequence[float] | np.ndarray) -> pd.Series:
        """Probability of target attainment of the best regimen over MIC values [mg/L].

        Parameters
        ----------
        mic : sequence of float, mg/L
            In place of the concentration that the target has after "of".

        Raises
        ------
        InputError
            A target of which no goal is a time above a concentration.
        """
        import pandas as pd

        goals = [g for g in self.target.goals if g.metric == "t>"]
        if not goals:
            raise InputError("target", self.target.text, "a target of the time above a MIC")
        profile = _judged(self.source, self.best, self.when)
        values = [quantity(m, "mg/L", f"mic[{i}]", positive=True) for i, m in enumerate(mic)]
        shares = []
        for m in values:
            moved = [replace(g, threshold=m) if g.metric == "t>" else g for g in self.target.goals]
            shares.append(float(Target(tuple(moved)).attained(profile).mean()))
        index = pd.Index(values, name="MIC [mg/L]")
        return pd.Series(shares, index, name="attainment")

    def next_sample(
        self,
        times: Sequence[float] | np.ndarray | None = None,
        *,
        draws: int = 300,
        seed: int = 0,
    ) -> SampleAdvice:
        """Which sample tells most of what decides the dose.

        Parameters
        ----------
        times : sequence of float, h, optional
            Candidate times on the patient's clock, under the doses so far and then the best
            regimen; None: over the first dosing interval.
        draws : int
            Of the posterior.
        seed : int
            Of the samples that might be found.

        Returns
        -------
        SampleAdvice
        """
        start, interval = self.source.start, self.best.interval
        if times is None:
            times = start + interval * np.array([0.02, 0.1, 0.2, 0.3, 0.5, 0.75, 0.999])
        profile = _judged(self.source, self.best, self.when)
        goals = self.target.goals
        value = goals[0].value(profile) if goals else self.target.attained(profile).astype(float)
        hours = [quantity(t, "h", f"times[{i}]", minimum=0) for i, t in enumerate(times)]
        latest = max(hours, default=start)
        regimen = self.regimen(2 + int(max(latest - start, 0.0) // interval))
        post = self.source.posterior
        return advise_next_sample(
            post,
            self.source.rows,
            regimen,
            start,
            times,
            value,
            self.source.compartment,
            draws,
            seed,
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Probability of target attainment over the amount, a line for each interval."""
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

        from ..plots.style import axes, legend, quiet

        ax = axes(ax)
        table = self.table
        for interval, part in table.groupby("interval"):
            ax.plot(part["amount"], 100 * part["attainment"], "o-", ms=3, label=f"q{interval:g}h")
        ax.plot(self.best.amount, 100 * self.best.attainment, "o", ms=9, mfc="none", color="0.2")
        ax.set(xscale="log", ylim=(0, 102), xlabel="dose [mg]", ylabel="target attained [%]")
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_title(str(self.target), fontsize=9)
        legend(ax)
        quiet(ax)
        return ax

    def __repr__(self) -> str:
        return f"DoseResult({self.text!r}, attainment {100 * self.attainment:.0f} %; {NOTICE})"

    def __str__(self) -> str:
        when = "at steady state" if self.when is None else f"{self.when:g} h after the start"
        post = self.source.posterior
        judged = "" if self.choice.error is None else ", by a measurement with residual error"
        lines = [
            f"target: {self.target}, {when}{judged}",
            f"posterior: {post.certificate}",
            *post.facts.get("assumed", ()),
            f"best regimen: {self.text}, attained with probability {self.attainment:.2f}",
        ]
        for goal, (median, low, high) in zip(self.target.goals, self.best.metrics, strict=True):
            unit = METRICS[goal.metric][0]
            lines.append(f"  {goal.metric}: {median:.4g} ({low:.4g} to {high:.4g}) {unit}")
        if self.loading is not None:
            words = self.source.administration.words(self.loading.amount)
            lines.append(
                f"first dose: {words}, {self.loading.attainment:.2f} in the first "
                f"{self.loading.interval:g} h instead of {self.first.attainment:.2f}"
            )
        return "\n".join([*lines, NOTICE])

    def _repr_html_(self) -> str:
        table = self.table
        rows = [[f"{x:.4g}" for x in row] for row in table.to_numpy()]
        return html_table(f"{self.text}: {self.target}; {NOTICE}", list(table.columns), rows)


def dose(
    patient: Patient | Posterior,
    target: Target | str | Callable[[np.ndarray, np.ndarray], np.ndarray],
    *,
    interval: float | str | Sequence[float | str] | None = None,
    route: str | None = None,
    infusion: float | str | None = None,
    amounts: Sequence[float | str] | str | None = None,
    loss: str | Callable[[IntervalProfile], np.ndarray] = "missed",
    confidence: float = 0.9,
    when: float | str | None = None,
    start: float | str | None = None,
    compartment: str = "plasma",
    fraction_unbound: float | None = None,
    draws: int = 500,
    measured: bool = False,
    model: System | Compound | str | None = None,
    **options: Any,
) -> DoseResult:
    """The regimen that is expected to bring one patient to a target.

    >>> import pbpk_hybrid as ph
    >>> patient = ph.Patient("320 mg oral q12h x2", {2: 7.1, 11.9: "3.9 mg/L"})
    >>> found = ph.posterior("theophylline", patient, error={"proportional": 0.1})
    >>> ph.dose(found, "average 8-12 mg/L", interval=12, route="oral").text
    '300 mg oral q12h'

    Every candidate is judged over the whole posterior. Research software, not a medical device.

    Parameters
    ----------
    patient : Patient or Posterior
        Of a Patient the posterior is made first, with `model` and `options`.
    target : str, Target or callable
        ``"trough 10-15 mg/L"``, ``"AUC24 400-600 mg*h/L"``, ``"fT>MIC 100 % of 2 mg/L"``, several
        joined by "and" (grammar: :mod:`.dose_targets`), or ``function(times, concentration)`` with
        times (n_times,) [h] from the dose and concentrations (n_draws, n_times) [mg/L], which
        returns (n_draws,) truth values.
    interval : float, str or sequence, h
        Between doses; several are compared. None: that of the doses so far.
    route : str, optional
        "iv" or "oral"; None: that of the last dose so far.
    infusion : float or str, h, optional
        Duration of intravenous doses; None: at once.
    amounts : sequence, str or None
        What can be given at once: amounts [mg] or text such as ``"15 mg/kg"``; ``"multiples of
        250 mg up to 3000 mg"``; None: 13 amounts per decade around what the target needs (linear
        models only).
    loss : str or callable
        "missed" (the probability of the target is maximised), "distance" (the expected distance
        outside the range on the log scale), or ``loss(profile)`` -> (n_draws,).
    confidence : float
        Of a target without upper limit: the smallest daily dose that attains it with this
        probability.
    when : float or str, h, optional
        Judge the dosing interval (of AUC24: the 24 h) that ends this long after the start; None:
        at steady state.
    start : float or str, h, optional
        When the first new dose is given, on the patient's clock; None: when the next dose is due.
    compartment : str
        Where the target is meant.
    fraction_unbound : float, optional
        For targets of the free drug; None: the model's own.
    draws : int
        Equally weighted draws of the posterior that are simulated.
    measured : bool
        Judge a measurement of the metric, which has the residual error of the samples, in place of
        the true value.
    model : System, Compound or str, optional
        Of a Patient: as in :func:`.posterior`.
    options
        Of a Patient: `priors`, `error` and others of :func:`.posterior`.

    Returns
    -------
    DoseResult

    Raises
    ------
    InputError and its kin
        Anything that cannot be used.
    SolveError
        A candidate cannot be integrated.
    """
    wanted, choice = as_target(target), Choice(loss, confidence)
    post = _as_posterior(patient, model, options)
    if post.brings_doses:
        hint = "set its doses by path and simulate the posterior"
        raise InputError("patient", "an imported model with its own doses", "a System", hint=hint)
    past = post.model.regimen
    give = _administration(post, route, infusion)
    intervals = _intervals(interval, past)
    sampled = [] if post.data is None else post.data.time
    begin = (
        next_dose_time(past, sampled)
        if start is None
        else quantity(start, "h", "start", minimum=0.0)
    )
    rows = post.picks(draws)
    if measured:
        choice = replace(choice, error=(post.model.error.kind, post.error_values(rows)))
    if fraction_unbound is not None:
        fraction_unbound = quantity(fraction_unbound, "1", "fraction_unbound", positive=True)
        if fraction_unbound > 1:
            raise InputError("fraction_unbound", fraction_unbound, "a number from 0 to 1")
    free = (
        draws_of_fraction_unbound(post, rows, fraction_unbound)
        if wanted.needs_fraction_unbound
        else None
    )
    source = ProfileSource(post, give, rows, begin, compartment, free)
    ends = None if when is None else quantity(when, "h", "when", positive=True)
    _check_when(ends, intervals)
    candidates = []
    for tau in intervals:
        for amount in _amounts(amounts, source, wanted, tau, post):
            profile = _profile(source, amount, tau, ends, wanted)
            candidates.append(_judge(wanted, choice, tau, amount, profile))
    best = _best(candidates, wanted, choice)
    loading, first = _loading(source, wanted, choice, best, candidates)
    return DoseResult(wanted, tuple(candidates), best, loading, first, source, choice, ends)


def _as_posterior(
    patient: Patient | Posterior, model: System | Compound | str | None, options: dict[str, Any]
) -> Posterior:
    check_kind("patient", patient, (Patient, Posterior), "a Patient or a Posterior")
    if isinstance(patient, Posterior):
        if model is not None or options:
            given = ["model"] * (model is not None) + sorted(options)
            raise InputError(given[0], "given", "nothing beside a Posterior, which has its own")
        return patient
    if model is None:
        raise InputError("model", None, "a System or a compound for a Patient")
    return posterior(model, patient, **options)


def _administration(
    post: Posterior, route: str | None, infusion: float | str | None
) -> Administration:
    """Route and duration of the new doses, from the arguments or the last dose so far."""
    hours = None if infusion is None else quantity(infusion, "h", "infusion", positive=True)
    if route is not None:
        if route not in _ROUTES:
            raise unknown_name("route", route, ("iv", "oral"), what="a route")
        name = _ROUTES[route]
        if name == "oral" and hours is not None:
            raise InputError("infusion", infusion, "nothing with the route 'oral'")
        if name == "iv_infusion" and hours is None:
            raise InputError("infusion", None, "a duration [h] of the infusion")
        return Administration("iv_infusion" if hours else name, hours or 0.0)
    c = post.model.regimen.columns
    known = np.flatnonzero(np.isin(c["route"], ("iv_bolus", "iv_infusion", "oral")))
    if not known.size:
        raise InputError("route", None, "'iv' or 'oral': there is no dose so far")
    last = known[-1]
    name = str(c["route"][last])
    if hours is not None:
        if name == "oral":
            raise InputError("infusion", infusion, "route='iv', or nothing: doses so far are oral")
        return Administration("iv_infusion", hours)
    if name == "iv_infusion":
        rate, amount = float(c["rate"][last]), float(c["amount"][last])
        hours = float(c["duration"][last]) or (amount / rate if rate > 0 else 0.0)
        if not hours > 0:
            raise InputError("infusion", None, "a duration [h] of the infusion")
        return Administration(name, hours)
    return Administration(name)


def _intervals(interval: Any, past: Regimen) -> list[float]:
    if interval is None:
        if not (tau := last_dose_interval(past)) > 0:
            raise InputError("interval", None, "hours between doses: there are none so far")
        return [tau]
    many = [interval] if isinstance(interval, (int, float, str)) else list(interval)
    found = [
        quantity(tau, "h", f"interval[{i}]" if len(many) > 1 else "interval", positive=True)
        for i, tau in enumerate(many)
    ]
    if not found:
        raise InputError("interval", interval, "at least one interval [h]")
    return sorted(set(found))


def _check_when(when: float | None, intervals: Sequence[float]) -> None:
    """The end of a window is the end of a dosing interval."""
    for tau in intervals:
        if when is not None and abs(when / tau - round(when / tau)) > 1e-6:
            raise InputError("when", when, f"a multiple of the dosing interval of {tau:g} h")


def _amounts(
    given: Any, source: ProfileSource, target: Target, interval: float, post: Posterior
) -> list[float]:
    """Amounts [mg] to try."""
    if given is None:
        return _practical_amounts(source, target, interval)
    weight = post.model.body_weight
    if isinstance(given, str):
        found = _MULTIPLES.match(given.strip())
        if not found:
            hint = '"multiples of 250 mg up to 3000 mg", or a list'
            raise InputError("amounts", given, "text that names a step", hint=hint)
        step = quantity(found["step"], "mg", "amounts", positive=True)
        most = quantity(found["most"], "mg", "amounts") if found["most"] else 12 * step
        count = int(np.floor(most / step * (1 + 1e-12)))
        if not 1 <= count <= 500:
            raise InputError("amounts", given, "from 1 to 500 multiples of the step")
        return [step * (i + 1) for i in range(count)]
    if not isinstance(given, (Sequence, np.ndarray)) or not len(given):
        raise InputError("amounts", given, "a list of amounts, or text such as a step")
    out = []
    for i, amount in enumerate(given):
        field = f"amounts[{i}]"
        if says_per_kg(amount):
            if weight is None:
                raise InputError(field, amount, "an amount in mg: the body weight is not known")
            per_kg = quantity(amount, "mg/kg", field, positive=True)
            out.append(per_kg * float(np.ravel(weight)[0]))
        else:
            out.append(quantity(amount, "mg", field, positive=True))
    return sorted(set(out))


def _practical_amounts(source: ProfileSource, target: Target, interval: float) -> list[float]:
    """Amounts around the one whose median profile meets the first goal."""
    if not source.linear or not target.goals:
        why = "a model that is not linear" if target.goals else "a function as target"
        raise InputError("amounts", None, f"the amounts to try: {why} does not say where to look")
    unit = source.steady_state(1.0, interval)
    needed = []
    for goal in target.goals:
        if goal.metric == "t>":
            average = np.median(unit.auc) / interval
            needed.append(goal.threshold / average)
        else:
            middle = (
                np.sqrt(goal.low * goal.high)
                if goal.low > 0 and np.isfinite(goal.high)
                else goal.low
                if goal.low > 0
                else goal.high
            )
            needed.append(middle / float(np.median(goal.value(unit))))
    lowest, highest = 0.1 * min(needed), (30.0 if target.one_sided else 10.0) * max(needed)
    decades = range(int(np.floor(np.log10(lowest))), int(np.ceil(np.log10(highest))) + 1)
    every = [float(f"{p * 10.0**d:.6g}") for d in decades for p in _PRACTICAL]
    return [a for a in every if lowest <= a <= highest]


def _profile(
    source: ProfileSource,
    amount: float,
    interval: float,
    when: float | None,
    target: Target | None,
    first: float | None = None,
) -> IntervalProfile:
    """The interval that is judged: at steady state, or the last one before `when`."""
    if when is None:
        return source.steady_state(amount, interval)
    days = target is not None and any(g.metric == "auc24" for g in target.goals)
    length = max(24.0, interval) if days else interval
    return source.window(amount, interval, first, max(when - length, 0.0), when)


def _judged(source: ProfileSource, best: Candidate, when: float | None) -> IntervalProfile:
    return _profile(source, best.amount, best.interval, when, None)


def _judge(
    target: Target, choice: Choice, interval: float, amount: float, profile: IntervalProfile
) -> Candidate:
    metrics = tuple(
        tuple(float(x) for x in np.quantile(g.value(profile), (0.5, 0.05, 0.95)))
        for g in target.goals
    )
    return Candidate(
        interval,
        amount,
        float(choice.probability(target, profile).mean()),
        float(choice.losses(target, profile).mean()),
        float(target.distance(profile).mean()),
        metrics,
    )


def _best(candidates: Sequence[Candidate], target: Target, choice: Choice) -> Candidate:
    """Least expected loss; of a target without upper limit the least sufficient dose."""
    if target.one_sided and choice.loss == "missed":
        enough = [c for c in candidates if c.attainment >= choice.confidence]
        if enough:
            return min(enough, key=lambda c: (c.daily, c.amount))
    return min(candidates, key=lambda c: (c.loss, c.distance, c.daily))


def _loading(
    source: ProfileSource,
    target: Target,
    choice: Choice,
    best: Candidate,
    candidates: Sequence[Candidate],
) -> tuple[Candidate | None, Candidate]:
    """The first dose that does best until the second (of AUC24: in the first day)."""
    days = any(g.metric == "auc24" for g in target.goals)
    length = max(24.0, best.interval) if days else best.interval
    amounts = sorted({c.amount for c in candidates if c.interval == best.interval})
    if not source.linear:  # every amount is a run of its own
        amounts = [a for a in amounts if 0.5 <= a / best.amount <= 4.0]
    found = {
        a: _judge(
            target,
            choice,
            length,
            a,
            source.from_start(best.amount, best.interval, length, a),
        )
        for a in sorted({*amounts, best.amount})
    }
    usual = found[best.amount]
    if target.one_sided and choice.loss == "missed":
        chosen = _best(list(found.values()), target, choice)
    else:
        chosen = min(found.values(), key=lambda c: (c.loss, c.distance))
    # another first dose is a complication: it has to be worth five points of the probability
    gain = chosen.attainment - usual.attainment
    return (chosen if chosen.amount != best.amount and gain >= 0.05 else None), usual


__all__ = ["LOSSES", "NOTICE", "Candidate", "Choice", "DoseResult", "dose"]
