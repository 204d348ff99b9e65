r"""Targets of a dose: text such as ``"trough 10-15 mg/L"``, and what a profile attains of it.

Grammar, without regard to case::

    target  = part { "and" part }
    part    = metric range [ "of" concentration ]
    metric  = trough | peak | cmax | average | AUC24 | AUCtau
            | AUC24/MIC | AUCtau/MIC | Cmax/MIC | T>MIC | T>4xMIC      each with "f" before it: free
    range   = number "-" number unit | number "to" number unit
            | ( ">=" | ">" | "at least" | "<=" | "<" | "at most" ) number unit
            | number unit                                              of T>MIC: at least this share

"MIC" is the concentration after "of", which these metrics need. Free concentrations are those in
plasma times the fraction unbound.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .._core.errors import InputError, unknown_name
from .._core.units import quantity

#: metric -> (unit of its value, words)
METRICS = {
    "trough": ("mg/L", "concentration at the end of the dosing interval"),
    "peak": ("mg/L", "largest concentration of the dosing interval"),
    "average": ("mg/L", "AUC over the dosing interval by its length"),
    "auc24": ("mg*h/L", "AUC of 24 h"),
    "auctau": ("mg*h/L", "AUC of the dosing interval"),
    "t>": ("1", "share of the dosing interval above a concentration"),
}
_ALIASES = {
    "cmax": "peak",
    "cmin": "trough",
    "ctrough": "trough",
    "cavg": "average",
}
_PART = re.compile(
    r"^(?P<free>f)?(?P<metric>t>|auc24|auctau|trough|ctrough|cmin|peak|cmax|average|cavg)"
    r"(?P<multiple>\d+(?:\.\d+)?)?x?(?P<mic>/?mic)?(?=[\s<>=\d])\s*(?P<rest>.*)$",
    re.IGNORECASE,
)
_NUMBER = r"\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_BETWEEN = re.compile(
    rf"^(?P<low>{_NUMBER})\s*(?:-|–|to)\s*(?P<high>{_NUMBER})\s*(?P<unit>.*)$", re.IGNORECASE
)
_ONE_SIDE = re.compile(
    rf"^(?P<side>>=|<=|>|<|at least|at most|above|below)?\s*(?P<value>{_NUMBER})\s*(?P<unit>.*)$",
    re.IGNORECASE,
)
_EXAMPLES = '"trough 10-15 mg/L", "AUC24 400-600 mg*h/L" or "fT>MIC 100 % of 2 mg/L"'


@dataclass(frozen=True, eq=False)
class IntervalProfile:
    """One dosing interval of many draws, from a dose to just before the next.

    Parameters
    ----------
    times : ndarray, (n_times,), h
        From the dose; the last is the length of the interval.
    concentration : ndarray, (n_draws, n_times), mg/L
    auc : ndarray, (n_draws,), mg*h/L
        Over the whole interval.
    fraction_unbound : ndarray, (n_draws,) or None
    """

    times: np.ndarray
    concentration: np.ndarray
    auc: np.ndarray
    fraction_unbound: np.ndarray | None = None


@dataclass(frozen=True)
class Goal:
    """One metric and the range it should lie in.

    Parameters
    ----------
    metric : str
        One of :data:`METRICS`.
    low, high : float
        In the metric's unit; 0 and infinity where there is no limit.
    free : bool
        Of the unbound drug.
    threshold : float, mg/L
        Of ``t>``.
    """

    metric: str
    low: float = 0.0
    high: float = np.inf
    free: bool = False
    threshold: float = 0.0

    def value(self, profile: IntervalProfile) -> np.ndarray:
        """(n_draws,) the metric of a profile, in its unit."""
        c, t, auc = profile.concentration, profile.times, profile.auc
        if self.free:
            c, auc = c * profile.fraction_unbound[:, None], auc * profile.fraction_unbound
        length = t[-1] - t[0]
        if self.metric == "trough":
            return c[:, -1]
        if self.metric == "peak":
            return c.max(axis=1)
        if self.metric == "average":
            return auc / length
        if self.metric == "auc24":
            return auc * 24.0 / length
        if self.metric == "auctau":
            return auc
        return share_above(t, c, self.threshold)

    def attained(self, value: np.ndarray) -> np.ndarray:
        """(n_draws,) whether the metric lies in the range, to round-off."""
        return (value >= self.low * (1.0 - 1e-9)) & (value <= self.high * (1.0 + 1e-9))

    def measured(self, value: np.ndarray, kind: str, error: np.ndarray) -> np.ndarray:
        """(n_draws,) probability that one measurement of the metric lies in the range.

        Parameters
        ----------
        value : ndarray, (n_draws,)
        kind : str
            Of the residual error, one of :data:`.error_models.KINDS`.
        error : ndarray, (n_error_parameters, n_draws)

        Raises
        ------
        InputError
            A share of time, or an area with an additive error: no concentration is measured.
        """
        from scipy.special import ndtr

        concentration = self.metric in ("trough", "peak", "average")
        if self.metric == "t>" or (kind in ("additive", "combined") and not concentration):
            hint = "a trough, peak or average, or a proportional or lognormal error for an AUC"
            raise InputError("measured", f"{self.metric} with {kind} error", "a target", hint=hint)
        with np.errstate(divide="ignore", invalid="ignore"):
            if kind == "lognormal":
                ends = [(np.log(end) - np.log(value)) / error[0] for end in (self.low, self.high)]
            else:
                slope = 0.0 if kind == "additive" else error[-1]
                floor = 0.0 if kind == "proportional" else error[0]
                sd = np.sqrt(floor**2 + (slope * value) ** 2)
                ends = [(end - value) / sd for end in (self.low, self.high)]
        # there is nothing below 0: a measurement without lower limit cannot miss it
        return ndtr(ends[1]) - (ndtr(ends[0]) if self.low > 0 else 0.0)

    def distance(self, value: np.ndarray) -> np.ndarray:
        """(n_draws,) how far outside the range: |log| of the factor to its nearer end, 0 inside.

        A share of time counts in its own unit.
        """
        if self.metric == "t>":
            return np.maximum(self.low - value, 0.0) + np.maximum(value - self.high, 0.0)
        with np.errstate(divide="ignore"):
            x = np.log(np.maximum(value, 1e-300))
            return np.maximum(np.log(self.low) - x, 0.0) + np.maximum(x - np.log(self.high), 0.0)

    def __str__(self) -> str:
        unit, _ = METRICS[self.metric]
        free = "free " if self.free else ""
        if self.metric == "t>":
            name = f"{free}time above {self.threshold:g} mg/L"
            ends = [f"{100 * x:g} %" for x in (self.low, self.high)]
        else:
            name, ends = free + self.metric, [f"{x:g} {unit}" for x in (self.low, self.high)]
        if self.high == np.inf or (self.metric == "t>" and self.high >= 1):
            return f"{name} at least {ends[0]}"
        return f"{name} at most {ends[1]}" if self.low == 0 else f"{name} {ends[0]} to {ends[1]}"


@dataclass(frozen=True, eq=False)
class Target:
    """Goals that are all to be attained, or a function of the profile.

    Parameters
    ----------
    goals : tuple of Goal
    function : callable or None
        ``function(times, concentration)`` -> (n_draws,) bool.
    text : str
        As it was given.
    """

    goals: tuple[Goal, ...]
    function: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    text: str = ""

    @property
    def one_sided(self) -> bool:
        """Whether more drug never does harm: no goal has an upper limit."""
        upper = [g.high < (1.0 if g.metric == "t>" else np.inf) for g in self.goals]
        return bool(self.goals) and not any(upper)

    @property
    def needs_fraction_unbound(self) -> bool:
        """Whether any goal is of the free drug."""
        return any(g.free for g in self.goals)

    def attained(self, profile: IntervalProfile) -> np.ndarray:
        """(n_draws,) whether all goals are attained.

        Raises
        ------
        InputError
            A function that does not give a truth value for each draw.
        """
        if self.function is None:
            return np.all([g.attained(g.value(profile)) for g in self.goals], axis=0)
        found = np.asarray(self.function(profile.times, profile.concentration))
        n = len(profile.concentration)
        if found.shape != (n,) or found.dtype != bool:
            expected = f"a function that returns {n} truth values, one for each draw"
            raise InputError("target", f"{found.dtype} of shape {found.shape}", expected)
        return found

    def distance(self, profile: IntervalProfile) -> np.ndarray:
        """(n_draws,) how far outside, summed over goals; of a function 1 where it is missed."""
        if self.function is not None:
            return (~self.attained(profile)).astype(float)
        return np.sum([g.distance(g.value(profile)) for g in self.goals], axis=0)

    def __str__(self) -> str:
        return " and ".join(str(g) for g in self.goals) if self.goals else self.text


def as_target(target: Target | str | Callable) -> Target:
    """A Target from text or a function.

    Parameters
    ----------
    target : Target, str or callable
        Text as the module's grammar has it, or ``function(times, concentration)`` with times
        (n_times,) [h] from the dose and concentrations (n_draws, n_times) [mg/L], which returns
        (n_draws,) truth values.

    Returns
    -------
    Target

    Raises
    ------
    InputError, UnitError
        Text that is no target; names the part.
    """
    if isinstance(target, Target):
        return target
    if callable(target):
        return Target((), target, getattr(target, "__name__", "a function"))
    if not isinstance(target, str) or not target.strip():
        raise InputError("target", target, f"text such as {_EXAMPLES}, or a function")
    parts = re.split(r"\s+and\s+", target.strip(), flags=re.IGNORECASE)
    return Target(tuple(_read_part(part) for part in parts), None, target.strip())


def _read_part(text: str) -> Goal:
    """One goal."""
    head, of, tail = _split_of(text)
    found = _PART.match(head.replace("≥", ">=").replace("≤", "<=").replace("×", "x"))
    if not found:
        first = head.split()[0] if head.split() else head
        known = (*METRICS, *_ALIASES, "fT>MIC", "AUC24/MIC")
        if first.lower() in known:
            raise InputError("target", text, f"a range behind {first!r}, as in {_EXAMPLES}")
        error = unknown_name("target", first, known, what=f"a metric, as in {_EXAMPLES}")
        raise InputError("target", text, error.expected, hint=error.hint)
    name = found["metric"].lower()
    metric = _ALIASES.get(name, name)
    mic = 1.0
    by_mic = found["mic"] is not None
    _check_mic(text, metric, (found["mic"] or "").lower(), of)
    if of:
        mic = quantity(tail, "mg/L", f"target {text!r}: of", positive=True)
    if metric == "t>":
        low, high = _read_range(found["rest"], "1", text, lone=">=")
        if high == np.inf:
            high = 1.0
        if not 0 < low <= 1 or not low <= high <= 1:
            raise InputError("target", text, "a share of the interval of at most 100 %")
        times = float(found["multiple"]) if found["multiple"] else 1.0
        return Goal(metric, low, high, bool(found["free"]), times * mic)
    if found["multiple"]:
        raise InputError("target", text, f"a metric such as {_EXAMPLES}")
    unit = METRICS[metric][0]
    if by_mic:
        low, high = _read_range(found["rest"], "h" if unit == "mg*h/L" else "1", text)
        return Goal(metric, low * mic, high * mic, bool(found["free"]))
    return Goal(metric, *_read_range(found["rest"], unit, text), bool(found["free"]))


def _split_of(text: str) -> tuple[str, bool, str]:
    """What stands before " of " and after it."""
    parts = re.split(r"\s+of\s+", text.strip(), flags=re.IGNORECASE)
    if len(parts) > 2:
        raise InputError("target", text, 'one "of" in a part')
    return parts[0], len(parts) == 2, parts[-1]


def _check_mic(text: str, metric: str, mic: str, of: bool) -> None:
    """Refuse a metric by MIC without its value, and a value without such a metric."""
    if metric == "t>" and mic != "mic":
        raise InputError("target", text, '"T>MIC" or "fT>MIC", with the MIC after "of"')
    if mic and not of:
        hint = f'"{text.strip()} of 2 mg/L"'
        raise InputError("target", text, 'the MIC after "of"', hint=hint)
    if of and not mic:
        raise InputError("target", text, '"of" with a metric by MIC only')


def _read_range(rest: str, unit: str, text: str, lone: str = "") -> tuple[float, float]:
    """(low, high) of "10-15 mg/L", ">= 10 mg/L", "at most 15 mg/L"."""
    rest = rest.strip()
    field = f"target {text!r}"
    read = lambda number, of: quantity(f"{number} {of}".strip(), unit, field, minimum=0)
    if found := _BETWEEN.match(rest):
        of = _unit(found["unit"], unit)
        low, high = read(found["low"], of), read(found["high"], of)
        if not low < high:
            raise InputError("target", text, "a range whose first number is the smaller")
        return low, high
    if found := _ONE_SIDE.match(rest):
        value = read(found["value"], _unit(found["unit"], unit))
        side = (found["side"] or lone).lower()
        if side in (">=", ">", "at least", "above"):
            return value, np.inf
        if side in ("<=", "<", "at most", "below"):
            return 0.0, value
    raise InputError("target", text, f"a range with its unit [{unit}], as in {_EXAMPLES}")


def _unit(found: str, unit: str) -> str:
    """The unit of a number in text; a ratio to the MIC may be without."""
    return found.strip() or ("" if unit == "1" else unit if unit == "h" else "")


def share_above(times: np.ndarray, concentration: np.ndarray, threshold: float) -> np.ndarray:
    """(n_draws,) share of the time in which a curve is above a concentration.

    Parameters
    ----------
    times : ndarray, (n_times,), h
    concentration : ndarray, (n_draws, n_times), mg/L
        Straight between the times.
    threshold : float, mg/L

    Returns
    -------
    ndarray
    """
    over = concentration - threshold
    a, b = over[:, :-1], over[:, 1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.maximum(a, b) / np.abs(a - b)
    # both above: all of the segment; both below: none; else the part beyond the crossing
    share = np.where((a >= 0) & (b >= 0), 1.0, np.where((a < 0) & (b < 0), 0.0, part))
    return (share * np.diff(times)).sum(axis=1) / (times[-1] - times[0])


__all__ = ["METRICS", "Goal", "IntervalProfile", "Target", "as_target", "share_above"]
