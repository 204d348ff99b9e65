r"""Several doses, or one at steady state: one result per dosing interval.

The area of an interval, :math:`AUC_\tau`, holds what earlier doses left. It gives a
clearance only at steady state: after a record that starts there, or after equal doses
at equal intervals whose areas have stopped rising. How far they still have to rise is
judged from their last differences :math:`d_n = AUC_{\tau,n} - AUC_{\tau,n-1}`, which
fall in a geometric series once one exponential is left,

.. math:: AUC_{\tau,\infty} - AUC_{\tau,n} = d_n \frac{r}{1 - r},\qquad r = d_n/d_{n-1}

(Aitken 1926, Proc R Soc Edinb 46:289; for one exponential it is the accumulation of
Gabrielsson & Weiner 2016, section 2.3). MRT at steady state: Perrier & Mayersohn (1982)
J Pharm Sci 71:372,

.. math:: MRT = \frac{AUMC_\tau + \tau \int_\tau^\infty C\,dt}{AUC_\tau} - T_{inf}/2
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .area import tail_areas
from .doses import SEVERAL, Plan
from .flags import Flag, flag_mask
from .integral import OFF_GRID, at_time
from .options import NCAOptions
from .profiles import Block, Profiles, clean
from .single import (
    INTRAVENOUS,
    Start,
    areas_to,
    block_reasons,
    clearances,
    decline,
    end_missed,
    first_share,
    interval_metrics,
    peak,
    terminal_reasons,
    terminal_variables,
    with_start,
)
from .terminal import TerminalFit, fit_terminal

_SAME = 1e-6  # amounts, durations and lengths of intervals closer than this (relative) are equal
_COUNTS = ("flags", "lambda_z_points")
_STILL = 1e-6  # relative differences below this are the solver's, not accumulation


def analyse_repeated(
    profiles: Profiles, plan: Plan, rows: slice, clear: bool, options: NCAOptions
) -> dict[str, np.ndarray]:
    """Results of a block of subjects, each (n_subjects, n_intervals).

    Parameters
    ----------
    profiles : Profiles
    plan : Plan
    rows : slice
        The block, within the plan's subjects.
    clear : bool
        Whether a dose over this curve's area is a clearance (plasma or blood; the
        compound's own dose).
    options : NCAOptions
    """
    lengths = interval_lengths(plan, options)
    columns = [
        _analyse_interval(profiles, plan, k, rows, float(lengths[k]), options)
        for k in range(len(plan.time))
    ]
    names = {name for c in columns for name in c}
    n = len(columns[0]["cmax"])
    out = {}
    for name in names:
        empty = np.zeros(n, int) if name in _COUNTS else np.full(n, np.nan)
        out[name] = np.stack([c.get(name, empty) for c in columns], axis=1)  # (subject, interval)
    _clear(out, plan, rows, lengths, clear, options)
    del out["rest"], out["beyond"]
    if plan.only is not None:
        out = {name: values[:, plan.only : plan.only + 1] for name, values in out.items()}
    return out


def interval_lengths(plan: Plan, options: NCAOptions) -> np.ndarray:
    """Lengths (n_doses,) [h]: to the next dose; the last by its steady state or the one before.

    NaN where it is unknown: a last dose by another route than the one before.
    """
    out = plan.stop - plan.time
    if np.isfinite(out[-1]):
        return out
    out[-1] = np.nan
    if plan.steady[-1] and plan.interval[-1] > 0:
        out[-1] = plan.interval[-1]
    elif options.tau is not None:
        out[-1] = float(options.tau)
    elif len(plan.time) > 1 and plan.route[-1] == plan.route[-2] != SEVERAL:
        out[-1] = plan.time[-1] - plan.time[-2]
    return out


@dataclass(frozen=True, eq=False)
class _Interval:
    """Dose k of a plan and the samples up to the next dose; a block of subjects."""

    k: int
    route: str
    final: bool  # no dose follows
    steady: bool  # at steady state by its record
    jump: bool  # the curve leaps at the end of the interval: a bolus follows
    length: float  # [h], NaN where unknown
    duration: np.ndarray  # (n_subjects,) [h] of the infusion
    block: Block
    tail: Block  # of the last dose: the samples beyond the interval too
    fit: TerminalFit  # of `tail`
    start: Start


def _read_interval(
    profiles: Profiles, plan: Plan, k: int, rows: slice, length: float, options: NCAOptions
) -> _Interval:
    """The samples of an interval, and its terminal fit."""
    start_time, final = float(plan.time[k]), k == len(plan.time) - 1
    route, duration = plan.route[k], plan.duration[rows, k]
    jump = bool(plan.leaps[k])
    ends = {"first": plan.simulated or k == 0 or route != "iv_bolus", "last": not jump}
    reach = length if np.isfinite(length) else np.inf
    block = clean(profiles, rows, start_time, reach, options, **ends)
    tail, until = block, float(plan.stop[k]) - start_time
    if final and until > reach:
        tail = clean(profiles, rows, start_time, until, options, **ends)
    top = peak(tail.time, tail.concentration)[1]
    after = duration if (duration > 0).any() else None
    bolus = route == "iv_bolus"
    fit = fit_terminal(tail.time, tail.concentration, tail.last, top, bolus, options, after)
    if not final and plan.simulated:
        fit = _last_slope(block, fit)
    steady = bool(plan.steady[k])
    left = None if plan.fresh[k] and not steady else _left(profiles, plan, k, rows, options)
    start = with_start(block, route, steady and left is None, left)
    return _Interval(k, route, final, steady, jump, length, duration, block, tail, fit, start)


def _analyse_interval(
    profiles: Profiles, plan: Plan, k: int, rows: slice, length: float, options: NCAOptions
) -> dict[str, np.ndarray]:
    """Results of the interval after dose k, (n_subjects,) each.

    `rest` is the AUC from the end of the interval on, `beyond` the extrapolated fraction of
    AUC_tau.
    """
    interval = _read_interval(profiles, plan, k, rows, length, options)
    block, start, n = interval.block, interval.start, len(interval.block.time)
    out = _observed(interval) | {"dose_time": np.full(n, float(plan.time[k]))}
    reasons = block_reasons(block)
    if interval.final:
        out.update(terminal_variables(interval.fit))
        reasons.update(_terminal_reasons(interval, profiles.integral is not None, options))
    exact = None
    out["rest"], out["beyond"] = np.full(n, np.nan), np.zeros(n)
    if profiles.integral is not None:
        exact, out["rest"], estimated = _integrated(profiles, plan, rows, interval)
        limit = OFF_GRID * np.nan_to_num(exact[0], nan=np.inf)
        reasons[Flag.DOSE_OFF_GRID] = estimated > limit
    else:
        reasons |= {Flag.START_INSERTED: start.inserted, Flag.C0_IS_FIRST_VALUE: start.flat}
    if np.isfinite(length):
        out.update(_areas(interval, exact, options))
        reasons.update(_area_reasons(interval, exact is not None, out["auc_tau"], options))
    else:
        reasons[Flag.INTERVAL_UNKNOWN] = np.ones(n, bool)
    out["flags"] = flag_mask(n, reasons)
    return out


def _observed(interval: _Interval) -> dict[str, np.ndarray]:
    """Cmax and Tmax of the interval, and C0 of a bolus."""
    block = interval.block
    cmax, tmax = peak(block.time, block.concentration)
    out = {
        "cmax": np.where(block.empty, np.nan, cmax),
        "tmax": np.where(block.last >= 0, tmax, np.nan),
    }
    if interval.route == "iv_bolus":
        out["c0"] = interval.start.c0
    return out


def _terminal_reasons(
    interval: _Interval, exact: bool, options: NCAOptions
) -> dict[Flag, np.ndarray]:
    """Flags of the terminal fit after the last dose."""
    tail, fit = interval.tail, interval.fit
    span = decline(fit, peak(tail.time, tail.concentration)[1], exact)
    return terminal_reasons(tail.last >= 0, fit, span, options)


def _areas(
    interval: _Interval, exact: tuple[np.ndarray, np.ndarray] | None, options: NCAOptions
) -> dict[str, np.ndarray]:
    """Metrics of an interval of known length; `exact` (AUC, AUMC) by the solver, or None."""
    start, fit, length = interval.start, interval.fit, interval.length
    tlast, clast = _last(interval.block)
    tmax = _observed(interval)["tmax"]
    out = interval_metrics(start, tmax, tlast, clast, fit, length, options, exact)
    if not interval.final:
        del out["accumulation"]
    # beyond the last sample the curve follows its own last slope
    far, cfar = _last(interval.tail)
    beyond, _ = tail_areas(cfar, fit.lambda_z, far, length - far)
    out["beyond"] = np.where(far < length, beyond / out["auc_tau"], 0.0)
    if exact is None:
        out["rest"] = _rest(start, interval.tail, far, cfar, fit, out["auc_tau"], options)
    return out


def _area_reasons(
    interval: _Interval, exact: bool, auc_tau: np.ndarray, options: NCAOptions
) -> dict[Flag, np.ndarray]:
    """Flags of the areas of an interval of known length."""
    block, length, route = interval.block, interval.length, interval.route
    quantifiable, (tlast, _) = block.last >= 0, _last(block)
    short = quantifiable & (tlast < length * (1 - 1e-6))
    short &= ~(interval.jump & (tlast > 0.99 * length))
    if exact and not interval.final:
        short &= False
    reasons = {Flag.TAU_EXTRAPOLATED: short}
    if not exact and route in INTRAVENOUS:
        duration = interval.duration if route == "iv_infusion" else None
        share = 100.0 * first_share(interval.start, block, duration, options) / auc_tau
        reasons[Flag.FIRST_INTERVAL_LARGE] = share > options.max_first_interval
        if duration is not None:
            reasons[Flag.INFUSION_END_MISSED] = quantifiable & end_missed(block, duration)
    return reasons


def _last(block: Block) -> tuple[np.ndarray, np.ndarray]:
    """Time and value of the last quantifiable sample, (n_subjects,) each; NaN for none."""
    rows = np.arange(len(block.time))
    anchor = np.clip(block.last, 0, None)
    known = block.last >= 0
    if not block.time.shape[1]:
        return np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    return (
        np.where(known, block.time[rows, anchor], np.nan),
        np.where(known, block.concentration[rows, anchor], np.nan),
    )


def _last_slope(block: Block, fit: TerminalFit) -> TerminalFit:
    """The decline of the last two samples.

    A simulated curve has no noise that more samples would average out.
    """
    rows = np.arange(len(block.time))
    j = np.clip(block.last, 1, None)
    known = block.last >= 1
    if block.time.shape[1] < 2:
        return fit
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.log(block.concentration[rows, j - 1] / block.concentration[rows, j]) / (
            block.time[rows, j] - block.time[rows, j - 1]
        )
    return replace(fit, lambda_z=np.where(known & (slope > 0), slope, fit.lambda_z))


def _left(
    profiles: Profiles, plan: Plan, k: int, rows: slice, options: NCAOptions
) -> np.ndarray | None:
    """Concentration (n_subjects,) [mg/L] at the time of dose k from earlier doses.

    The last sample before the dose, extrapolated by the decline of the last two. Never 0
    (humanpred/pknca#241). None for the first dose, where the interval itself has to tell.
    """
    if k == 0:
        return None
    before = clean(
        profiles,
        rows,
        float(plan.time[k - 1]),
        float(plan.time[k] - plan.time[k - 1]),
        options,
        last=not plan.simulated,
    )
    time, value = _last(before)
    with np.errstate(invalid="ignore"):
        slope = _last_slope(before, _no_fit(len(time))).lambda_z
        gone = float(plan.time[k] - plan.time[k - 1]) - time
        return np.nan_to_num(value * np.exp(-np.nan_to_num(slope) * gone))


def _no_fit(n: int) -> TerminalFit:
    nan = np.full(n, np.nan)
    return TerminalFit(nan, nan, nan, nan, np.zeros(n, int), nan, nan, nan > 0, nan > 0)


def _integrated(
    profiles: Profiles, plan: Plan, rows: slice, interval: _Interval
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray, np.ndarray]:
    """(AUC, AUMC) of the interval, AUC from its end on, and estimated area, by the solver.

    Beyond the last saved time the terminal exponential goes on.
    """
    k, length, tail_block, fit = interval.k, interval.length, interval.tail, interval.fit
    integral = profiles.integral.take(rows)
    curve = profiles.concentration[rows]
    start, first = float(plan.time[k]), float(plan.time[0])
    nan = np.full(len(curve), np.nan)
    a, m, estimated = at_time(integral, curve, start, first, True)
    if not np.isfinite(length):
        return (nan, nan), nan, estimated
    b, q, more = at_time(integral, curve, start + length, first, not interval.final)
    auc, aumc = b - a, q - m - start * (b - a)
    rest = nan
    if interval.final:
        tlast, clast = _last(tail_block)
        index = np.arange(len(curve))
        total = integral.auc[index, tail_block.column] - a
        moment = integral.aumc[index, tail_block.column] - m - start * total
        beyond, more_moment = tail_areas(clast, fit.lambda_z, tlast, length - tlast)
        short = np.isnan(auc)
        auc = np.where(short, total + beyond, auc)
        aumc = np.where(short, moment + more_moment, aumc)
        tail, _ = tail_areas(clast, fit.lambda_z, tlast, np.inf)
        rest = total + tail - auc
        more = np.zeros(len(curve))  # no dose there: both sides of the time are known
    return (auc, aumc), rest, estimated + more


def _rest(
    start: Start,
    tail_block: Block,
    tlast: np.ndarray,
    clast: np.ndarray,
    fit: TerminalFit,
    auc_tau: np.ndarray,
    options: NCAOptions,
) -> np.ndarray:
    """AUC from the end of the interval on, by trapezoids."""
    if len(tail_block.time[0]) >= start.time.shape[1]:
        whole = with_start(
            tail_block,
            "oral",
            False,
            np.where(np.isnan(start.c0), start.concentration[:, 0], start.c0),
        )
    else:
        whole = start
    auc, _ = areas_to(whole.time, whole.concentration, tlast, np.zeros(len(tlast)), options)
    tail, _ = tail_areas(clast, fit.lambda_z, tlast, np.inf)
    return auc + tail - auc_tau


def _clear(
    out, plan: Plan, rows: slice, lengths: np.ndarray, clear: bool, options: NCAOptions
) -> None:
    """Add clearance at steady state; elsewhere a flag says why there is none."""
    if "auc_tau" not in out:
        out["auc_tau"] = np.full(out["cmax"].shape, np.nan)
    area = out["auc_tau"]
    steady, equal, single = _steady(plan, rows, lengths, area, options)
    several = np.array([r == SEVERAL for r in plan.route])
    steady &= ~several
    extrapolated = out["beyond"] * 100.0 > options.max_extrapolated
    steady &= ~extrapolated
    out["flags"][extrapolated] |= Flag.HIGH_EXTRAPOLATION.value
    flags = out["flags"]
    flags[:, several] |= Flag.SEVERAL_ROUTES.value
    known = ~np.isnan(area)
    flags[~steady & ~equal & ~several & known] |= Flag.UNEQUAL_DOSES.value
    flags[~steady & equal & ~several & known] |= Flag.NOT_STEADY_STATE.value
    nan = np.full(area.shape, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        # Perrier & Mayersohn (1982); `rest` is the AUC from the end of the interval on
        mrt = (out.get("aumc_tau", nan) + lengths * out["rest"]) / area - plan.duration[rows] / 2.0
        out["mrt"] = np.where(steady, mrt, np.nan)
        base = np.where(equal, area[:, :1], np.nan) if single else nan
        out["accumulation_auc"] = area / base
        if not clear:
            return
        lambda_z = out.get("lambda_z", nan)
        entered = np.where(steady, plan.entered[rows], np.nan)
        dose = np.where(steady, plan.amount[rows], np.nan)
        for k, route in enumerate(plan.route):
            if several[k]:
                continue
            found = clearances(
                dose[:, k], entered[:, k], area[:, k], lambda_z[:, k], out["mrt"][:, k], route
            )
            for name, values in found.items():
                out.setdefault(name, nan.copy())[:, k] = values


def _steady(plan: Plan, rows: slice, lengths, area, options: NCAOptions):
    """Whether an interval is at steady state, and whether all doses up to it were equal.

    (n_subjects, n_doses) each; and whether nothing was given before the first dose.
    """
    amount, duration = plan.amount[rows], plan.duration[rows]
    n, doses = amount.shape
    steady, equal = np.zeros((n, doses), bool), np.zeros((n, doses), bool)
    run = np.zeros(n, dtype=int)  # equal intervals up to this one
    begun = np.zeros(n, dtype=bool)  # the run began with nothing left of earlier doses
    settled = np.zeros(n, dtype=bool)  # the run began at steady state
    whole = np.zeros(n, dtype=bool)  # equal since the first dose
    for k in range(doses):
        # is dose k the continuation of equal doses at equal intervals?
        if k == 0 or plan.fresh[k] or plan.steady[k]:
            same = np.zeros(n, bool)
        else:
            same = (
                _close(amount[:, k], amount[:, k - 1])
                & _close(duration[:, k], duration[:, k - 1])
                & (plan.route[k] == plan.route[k - 1] != SEVERAL)
                & bool(_close(lengths[k], lengths[k - 1]))
            )
        starts = plan.steady[k] == 1 and bool(_close(lengths[k], plan.interval[k]))
        fresh = bool(plan.fresh[k]) and not plan.steady[k]
        run = np.where(same, run + 1, 1)
        begun = np.where(same, begun, fresh)
        settled = np.where(same, settled, starts)
        whole = np.where(same, whole, k == 0 and plan.steady[k] != 2)
        steady[:, k] = settled | _level(area, k, run, begun, options)
        equal[:, k] = whole | begun
    return steady, equal, bool(plan.fresh[0]) and not plan.steady[0]


def _level(area, k: int, run, begun, options: NCAOptions) -> np.ndarray:
    """(n_subjects,) whether the areas of equal doses have stopped rising."""
    limit = options.steady_state_tolerance / 100.0
    # areas of this interval and of the two before; 0 before the first dose of the run
    now = area[:, k]
    one = area[:, k - 1] if k else np.zeros(len(area))
    one = np.where(begun & (run == 1), 0.0, one)
    two = area[:, k - 2] if k > 1 else np.zeros(len(area))
    two = np.where(begun & (run <= 2), 0.0, two)
    # a ratio needs two differences: three intervals, or two from an empty body
    enough = (run >= 3) | (begun & (run >= 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        last, before = now - one, one - two
        ratio = last / before
        series = np.where(ratio < 1, ratio / (1 - ratio), np.inf)
        rest = np.abs(last) * np.where(ratio < 0, 1.0, series)  # up and down again: no series
        still = np.abs(last) <= _STILL * now
        return enough & (still | (rest <= limit * now)) & (now > 0)


def _close(a, b):
    with np.errstate(invalid="ignore"):
        return np.abs(np.asarray(a) - b) <= _SAME * np.maximum(np.abs(a), np.abs(b))
