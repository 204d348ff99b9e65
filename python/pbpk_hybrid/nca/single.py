"""One dose: exposure to the last sample and to infinity, clearance and volumes, of a
block of subjects at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .area import segment_areas, tail_areas, value_at
from .doses import SEVERAL, Plan
from .flags import Flag
from .integral import at_time
from .options import NCAOptions
from .profiles import Block, Profiles, clean
from .terminal import TerminalFit, fit_terminal

INTRAVENOUS = ("iv_bolus", "iv_infusion")


@dataclass(frozen=True, eq=False)
class Start:
    """A profile with a value at the dose time, and how that came about."""

    time: np.ndarray  # (n_subjects, n_points) [h after the dose]
    concentration: np.ndarray  # [mg/L]
    c0: np.ndarray  # (n_subjects,) [mg/L] of a bolus, else NaN
    inserted: np.ndarray  # bool: put in, not measured
    flat: np.ndarray  # bool: C0 taken as the first value


def analyse_single(
    profiles: Profiles, plan: Plan, rows: slice, clear: bool, options: NCAOptions
) -> dict[str, np.ndarray]:
    """Results of a block of subjects that got one dose.

    Parameters
    ----------
    rows
        The block, within the plan's subjects.
    clear
        Whether a dose over this curve's area is a clearance (plasma or blood; the
        compound's own dose).
    """
    route, start_time = plan.route[0], float(plan.time[0])
    until = min(options.last_time, float(plan.stop[0]) - start_time)
    block = clean(profiles, rows, start_time, until, options)
    dose, duration = plan.amount[rows, 0], plan.duration[rows, 0]
    index = np.arange(len(block.time))
    quantifiable = block.last >= 0
    cmax, tmax = peak(block.time, block.concentration)
    cmax = np.where(block.empty, np.nan, cmax)
    tmax = np.where(quantifiable, tmax, np.nan)
    anchor = np.clip(block.last, 0, None)
    tlast = np.where(quantifiable, block.time[index, anchor], np.nan)
    clast = np.where(quantifiable, block.concentration[index, anchor], np.nan)
    bolus = route == "iv_bolus"
    after = duration if (duration > 0).any() else None
    fit = fit_terminal(block.time, block.concentration, block.last, tmax, bolus, options, after)
    start = with_start(block, route, options.steady_state)
    guess = np.zeros(len(index))
    exact = profiles.integral if not options.steady_state else None
    if exact is not None:
        auc_last, aumc_last, guess = _integrated(profiles, rows, block, start_time)
        auc_last = np.where(quantifiable, auc_last, np.nan)
        aumc_last = np.where(quantifiable, aumc_last, np.nan)
    else:
        auc_last, aumc_last = areas_to(start.time, start.concentration, tlast, tmax, options)
    # nothing quantifiable: the area is zero, not unknown
    zero = ~quantifiable & ~block.empty
    auc_last, aumc_last = np.where(zero, 0.0, auc_last), np.where(zero, 0.0, aumc_last)
    out = {
        "cmax": cmax,
        "tmax": tmax,
        "tlast": tlast,
        "clast_obs": clast,
        "clast_pred": fit.clast_pred,
        "auc_last": auc_last,
        "aumc_last": aumc_last,
        **terminal_variables(fit),
    }
    if bolus:
        out["c0"] = start.c0
    for kind, c in (("obs", clast), ("pred", fit.clast_pred)):
        tail, moment = tail_areas(c, fit.lambda_z, tlast, np.inf)
        out[f"auc_inf_{kind}"] = auc_last + tail
        out[f"auc_extrapolated_{kind}"] = 100.0 * tail / (auc_last + tail)
        out[f"aumc_inf_{kind}"] = aumc_last + moment
    if route in INTRAVENOUS:
        share = first_share(start, block, duration if route == "iv_infusion" else None, options)
        out["auc_first_interval"] = share = 100.0 * share / out["auc_inf_obs"]
    else:
        share = np.zeros(len(index))
    if options.tau is not None:
        ends = None
        if exact is not None:
            ends = _integrated_to(profiles, rows, start_time, float(options.tau))
            tail = tail_areas(clast, fit.lambda_z, tlast, options.tau - tlast)
            ends = tuple(
                np.where(np.isnan(e), part + rest, e)
                for e, part, rest in zip(ends, (auc_last, aumc_last), tail, strict=True)
            )
        out.update(
            interval_metrics(start, tmax, tlast, clast, fit, float(options.tau), options, ends)
        )
    out.update(_disposition(out, dose, plan.entered[rows, 0], route, duration, clear, options))
    mask = _flags(block, fit, out, start, exact is not None, options)
    if exact is None:
        mask[share > options.max_first_interval] |= Flag.FIRST_INTERVAL_LARGE.value
        if route == "iv_infusion":
            missed = quantifiable & end_missed(block, duration)
            mask[missed] |= Flag.INFUSION_END_MISSED.value
    else:
        mask[guess > 0.01 * np.nan_to_num(auc_last, nan=np.inf)] |= Flag.DOSE_OFF_GRID.value
        mask &= ~(Flag.START_INSERTED.value)  # nothing was: the area is the solver's
    if route == SEVERAL:
        mask |= Flag.SEVERAL_ROUTES.value
    out["flags"] = mask
    return out


def peak(time: np.ndarray, concentration: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cmax and the time of the first one."""
    filled = np.where(np.isnan(concentration), -np.inf, concentration)
    if not filled.shape[1]:
        nothing = np.full(len(filled), np.nan)
        return nothing, nothing
    at = np.argmax(filled, axis=1)
    rows = np.arange(len(filled))
    return np.maximum(filled[rows, at], 0.0), time[rows, at]


def terminal_variables(fit: TerminalFit) -> dict[str, np.ndarray]:
    """What the terminal fit gives, by the names of the result."""
    return {
        "lambda_z": fit.lambda_z,
        "half_life": np.log(2.0) / fit.lambda_z,
        "lambda_z_first": fit.first,
        "lambda_z_last": fit.last,
        "lambda_z_points": fit.points,
        "lambda_z_r2": fit.r2,
        "lambda_z_adj_r2": fit.adj_r2,
        "span_ratio": (fit.last - fit.first) * fit.lambda_z / np.log(2.0),
    }


def _integrated(profiles: Profiles, rows: slice, block: Block, start: float):
    """(AUC, AUMC) from the dose to tlast by the solver, and the area that had to be guessed."""
    integral = profiles.integral.take(rows)
    curve = profiles.concentration[rows]
    a, m, guess = at_time(integral, curve, start, start, True)
    index = np.arange(len(curve))
    auc = integral.auc[index, block.column] - a
    return auc, integral.aumc[index, block.column] - m - start * auc, guess


def _integrated_to(profiles: Profiles, rows: slice, start: float, tau: float):
    """(AUC, AUMC) from the dose to tau by the solver; NaN where its times end before."""
    integral = profiles.integral.take(rows)
    curve = profiles.concentration[rows]
    a, m, _ = at_time(integral, curve, start, start, True)
    b, q, _ = at_time(integral, curve, start + tau, start, False)
    return b - a, q - m - start * (b - a)


def with_start(
    block: Block, route: str, steady_state: bool, before: np.ndarray | None = None
) -> Start:
    """The profile with a value at the dose time.

    A bolus gets C0 (log-linear through the first two samples; the first sample where
    these do not decline). Other routes get 0, or at steady state the minimum of the
    interval, or `before`, what earlier doses have left (n_subjects,) [mg/L], when the
    first sample is later than the dose.
    """
    rows = np.arange(len(block.time))
    time, concentration = block.time, block.concentration
    has = ~block.empty & (block.last >= 0)
    at_zero = has & (time[:, 0] == 0) if time.shape[1] else has
    flat_start = np.zeros(len(time), dtype=bool)
    c0 = np.full(len(time), np.nan)
    if not time.shape[1]:
        return Start(time, concentration, c0, flat_start, flat_start)
    if route == "iv_bolus":
        measured = at_zero & (concentration[:, 0] > 0)
        if (measured | ~has).all():  # a simulation: nothing to look for
            c0 = np.where(has, concentration[:, 0], np.nan)
            return Start(time, concentration, c0, flat_start, flat_start)
        # the first two quantifiable samples after the dose
        good = (concentration > 0) & (time > 0)
        i = np.argmax(good, axis=1)
        rest = good & (np.arange(time.shape[1]) > i[:, None])
        j = np.argmax(rest, axis=1)
        c1, c2, t1, t2 = (
            concentration[rows, i],
            concentration[rows, j],
            time[rows, i],
            time[rows, j],
        )
        declines = rest.any(axis=1) & (c2 < c1)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            line = c1 * (c1 / c2) ** (t1 / (t2 - t1))
        back = np.where(declines, line, c1)
        c0 = np.where(has, np.where(measured, concentration[:, 0], back), np.nan)
        flat_start = has & ~measured & ~declines
        changed = has & ~measured
        start = c0
    else:
        changed = has & ~at_zero
        if before is not None:
            start = before
        elif steady_state:
            start = np.min(
                np.where(np.isnan(concentration), np.inf, concentration), axis=1, initial=np.inf
            )
        else:
            start = np.zeros(len(time))
    if not changed.any():
        return Start(time, concentration, c0, changed, flat_start)
    shift = changed & ~at_zero
    end = np.full((len(time), 1), np.nan)
    shifted_time = np.concatenate([np.zeros((len(time), 1)), time], axis=1)
    shifted = np.concatenate([start[:, None], concentration], axis=1)
    time = np.where(shift[:, None], shifted_time, np.concatenate([time, end], axis=1))
    concentration = np.where(shift[:, None], shifted, np.concatenate([concentration, end], axis=1))
    replace = changed & at_zero  # a sample at the dose time without drug: taken before the bolus
    concentration[replace, 0] = start[replace]
    return Start(time, concentration, c0, changed, flat_start)


def areas_to(time, concentration, end, tmax, options: NCAOptions) -> tuple[np.ndarray, np.ndarray]:
    """AUC and AUMC from the first sample to the sample at `end`."""
    auc, aumc = segment_areas(time, concentration, options.rule, tmax)
    inside = time[:, 1:] <= end[:, None]
    known = ~np.isnan(end)
    return (
        np.where(known, np.sum(np.where(inside, auc, 0.0), axis=1), np.nan),
        np.where(known, np.sum(np.where(inside, aumc, 0.0), axis=1), np.nan),
    )


def first_share(
    start: Start, block: Block, duration: np.ndarray | None, options: NCAOptions
) -> np.ndarray:
    """(n_subjects,) area [mg/L h] from an intravenous dose to the first sample after it
    (has entered).
    """
    after = np.zeros(len(block.time)) if duration is None else duration
    good = (block.concentration > 0) & (block.time > 0) & (block.time >= after[:, None])
    if not good.shape[1]:
        return np.zeros(len(block.time))
    first = np.where(good.any(axis=1), block.time[np.arange(len(good)), np.argmax(good, axis=1)], 0)
    if duration is not None:  # samples during the infusion follow the curve: only a gap counts
        sampled = ((block.time > 0) & (block.time < after[:, None])).any(axis=1)
        first = np.where(sampled, 0.0, first)
    inside = start.time <= first[:, None]
    width = int(inside.sum(axis=1).max(initial=0))
    auc, _ = segment_areas(
        start.time[:, : width + 1], start.concentration[:, : width + 1], options.rule, after
    )
    return np.sum(np.where(inside[:, 1 : auc.shape[1] + 1], auc, 0.0), axis=1)


def end_missed(block: Block, duration: np.ndarray) -> np.ndarray:
    """(n_subjects,) bool: no sample in the second half of the infusion nor within its
    length after its end.
    """
    near = (block.time >= 0.5 * duration[:, None]) & (block.time <= 2.0 * duration[:, None])
    return ~near.any(axis=1)


def interval_metrics(
    start: Start, tmax, tlast, clast, fit: TerminalFit, tau: float, options: NCAOptions, exact=None
) -> dict[str, np.ndarray]:
    """Metrics of the dosing interval that begins at the dose.

    Parameters
    ----------
    exact
        (AUC, AUMC) of the interval by the solver; None: trapezoids.
    """
    time, concentration = start.time, start.concentration
    at_tau = value_at(time, concentration, tau, options.rule, tmax, fit.lambda_z, clast, tlast)
    # samples before tau and no later than tlast, then the value at tau
    keep = (time < tau) & (time <= tlast[:, None])
    count = keep.sum(axis=1)
    end = np.full((len(time), 1), np.nan)
    t = np.concatenate([np.where(keep, time, np.nan), end], axis=1)
    c = np.concatenate([np.where(keep, concentration, np.nan), end], axis=1)
    rows = np.arange(len(time))
    t[rows, count], c[rows, count] = tau, at_tau
    if exact is not None:
        auc, aumc = exact
    else:  # trapezoids to tlast, then the terminal exponential whatever the rule
        known = np.where(np.isnan(at_tau), np.nan, np.minimum(tlast, tau))
        auc, aumc = areas_to(t, c, known, tmax, options)
        tail, moment = tail_areas(clast, fit.lambda_z, tlast, tau - tlast)
        beyond = tlast < tau
        auc, aumc = np.where(beyond, auc + tail, auc), np.where(beyond, aumc + moment, aumc)
    with np.errstate(invalid="ignore", divide="ignore"):
        highest = np.max(np.where(np.isnan(c), -np.inf, c), axis=1)
        lowest = np.min(np.where(np.isnan(c), np.inf, c), axis=1)
        known = ~np.isnan(auc)
        cavg = auc / tau
        return {
            "auc_tau": auc,
            "aumc_tau": aumc,
            "cavg": cavg,
            "ctrough": at_tau,
            "cmin_tau": np.where(known, lowest, np.nan),
            "fluctuation": np.where(known, 100.0 * (highest - lowest) / cavg, np.nan),
            "swing": np.where(known & (lowest > 0), 100.0 * (highest - lowest) / lowest, np.nan),
            "accumulation": -1.0 / np.expm1(-fit.lambda_z * tau),
        }


def _disposition(
    out, dose, entered, route: str, duration: np.ndarray, clear: bool, options: NCAOptions
) -> dict[str, np.ndarray]:
    auc, aumc = out["auc_inf_obs"], out["aumc_inf_obs"]
    if options.steady_state:
        tau = float(options.tau or 0.0)
        aumc = out["aumc_tau"] + tau * (auc - out["auc_tau"])
        auc = out["auc_tau"]
    result = {"mrt": aumc / auc - duration / 2.0}
    if not clear or route == SEVERAL:
        return result
    return {**result, **clearances(dose, entered, auc, out["lambda_z"], result["mrt"], route)}


def clearances(dose, entered, auc, lambda_z, mrt, route: str) -> dict[str, np.ndarray]:
    """Clearance and volumes: of what entered the blood, or over F of what was given elsewhere."""
    if route in INTRAVENOUS:
        clearance = entered / auc
        return {"cl": clearance, "vz": clearance / lambda_z, "vss": clearance * mrt}
    clearance = dose / auc
    return {"cl_f": clearance, "vz_f": clearance / lambda_z}


def _flags(block: Block, fit: TerminalFit, out, start: Start, exact: bool, options: NCAOptions):
    quantifiable = block.last >= 0
    with np.errstate(invalid="ignore"):
        reasons = {
            **block_reasons(block),
            **terminal_reasons(quantifiable, fit, decline(fit, out["tmax"], exact), options),
            Flag.HIGH_EXTRAPOLATION: out["auc_extrapolated_obs"] > options.max_extrapolated,
            Flag.START_INSERTED: start.inserted,
            Flag.C0_IS_FIRST_VALUE: start.flat,
        }
        if options.tau is not None:
            reasons[Flag.TAU_EXTRAPOLATED] = quantifiable & (out["tlast"] < options.tau)
    mask = np.zeros(len(block.time), dtype=np.int32)
    for flag, where in reasons.items():
        mask[where] |= flag.value
    return mask


def decline(fit: TerminalFit, tmax: np.ndarray, exact: bool) -> np.ndarray:
    """(n_subjects,) half-lives that tell of the terminal slope: of the window; of a
    curve without noise, all since Tmax.
    """
    return (fit.last - (tmax if exact else fit.first)) * fit.lambda_z / np.log(2.0)


def block_reasons(block: Block) -> dict[Flag, np.ndarray]:
    """Doubts about the samples."""
    return {
        Flag.NO_DATA: block.empty,
        Flag.ALL_BELOW_LLOQ: (block.last < 0) & ~block.empty,
        Flag.NEGATIVE_VALUE: block.negative,
    }


def terminal_reasons(
    quantifiable: np.ndarray, fit: TerminalFit, span: np.ndarray, options: NCAOptions
) -> dict[Flag, np.ndarray]:
    """Doubts about the terminal fit."""
    fitted = fit.points > 0
    return {
        Flag.TOO_FEW_POINTS: quantifiable & fit.too_few,
        Flag.NO_DECLINE: quantifiable & fit.rising,
        Flag.LOW_ADJ_R2: fitted & (fit.adj_r2 < options.min_adj_r2),
        Flag.SHORT_SPAN: fitted & (span < options.min_span_ratio),
    }
