"""One dose: exposure to the last sample and to infinity, clearance and volumes.

A block of subjects is analysed at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .area import segment_areas, tail_areas, value_at
from .doses import SEVERAL, Plan
from .flags import Flag, flag_mask
from .integral import OFF_GRID, at_time
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


@dataclass(frozen=True, eq=False)
class _Curve:
    """A block of profiles after one dose, and what is read off them; arrays (n_subjects,)."""

    block: Block
    start: Start
    fit: TerminalFit
    route: str
    start_time: float  # [h]
    duration: np.ndarray  # [h] of the infusion
    cmax: np.ndarray  # [mg/L]
    tmax: np.ndarray  # [h]
    tlast: np.ndarray  # [h]
    clast: np.ndarray  # [mg/L]

    @property
    def quantifiable(self) -> np.ndarray:
        """Whether any sample is above the limit of quantification."""
        return self.block.last >= 0


def analyse_single(
    profiles: Profiles, plan: Plan, rows: slice, clear: bool, options: NCAOptions
) -> dict[str, np.ndarray]:
    """Results of a block of subjects that got one dose.

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

    Returns
    -------
    dict
        Name of a variable -> values (n_subjects,).
    """
    curve = _read_curve(profiles, plan, rows, options)
    exact = profiles.integral is not None and not options.steady_state
    auc_last, aumc_last, estimated = _areas_to_last(profiles, rows, curve, exact, options)
    out = {
        "cmax": curve.cmax,
        "tmax": curve.tmax,
        "tlast": curve.tlast,
        "clast_obs": curve.clast,
        "clast_pred": curve.fit.clast_pred,
        "auc_last": auc_last,
        "aumc_last": aumc_last,
        **terminal_variables(curve.fit),
        **_areas_to_infinity(curve, auc_last, aumc_last),
    }
    if curve.route == "iv_bolus":
        out["c0"] = curve.start.c0
    if curve.route in INTRAVENOUS:
        duration = curve.duration if curve.route == "iv_infusion" else None
        share = 100.0 * first_share(curve.start, curve.block, duration, options)
        out["auc_first_interval"] = share / out["auc_inf_obs"]
    if options.tau is not None:
        areas = (auc_last, aumc_last)
        ends = _integrated_interval(profiles, rows, curve, areas, options) if exact else None
        c, tau = curve, float(options.tau)
        out.update(interval_metrics(c.start, c.tmax, c.tlast, c.clast, c.fit, tau, options, ends))
    dose, entered = plan.amount[rows, 0], plan.entered[rows, 0]
    out.update(_disposition(out, dose, entered, curve.route, curve.duration, clear, options))
    out["flags"] = _flags(curve, out, estimated if exact else None, options)
    return out


def _read_curve(profiles: Profiles, plan: Plan, rows: slice, options: NCAOptions) -> _Curve:
    """The samples of a block after the dose, with their peak, last point and terminal fit."""
    route, start_time = plan.route[0], float(plan.time[0])
    until = min(options.last_time, float(plan.stop[0]) - start_time)
    block = clean(profiles, rows, start_time, until, options)
    duration = plan.duration[rows, 0]
    index = np.arange(len(block.time))
    quantifiable = block.last >= 0
    cmax, tmax = peak(block.time, block.concentration)
    tmax = np.where(quantifiable, tmax, np.nan)
    anchor = np.clip(block.last, 0, None)
    bolus, after = route == "iv_bolus", duration if (duration > 0).any() else None
    return _Curve(
        block,
        with_start(block, route, options.steady_state),
        fit_terminal(block.time, block.concentration, block.last, tmax, bolus, options, after),
        route,
        start_time,
        duration,
        cmax=np.where(block.empty, np.nan, cmax),
        tmax=tmax,
        tlast=np.where(quantifiable, block.time[index, anchor], np.nan),
        clast=np.where(quantifiable, block.concentration[index, anchor], np.nan),
    )


def _areas_to_last(
    profiles: Profiles, rows: slice, curve: _Curve, exact: bool, options: NCAOptions
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """AUC and AUMC to tlast, and the estimated part of AUC; (n_subjects,) each."""
    estimated = np.zeros(len(curve.tlast))
    if exact:
        auc, aumc, estimated = _integrated(profiles, rows, curve.block, curve.start_time)
        auc = np.where(curve.quantifiable, auc, np.nan)
        aumc = np.where(curve.quantifiable, aumc, np.nan)
    else:
        start = curve.start
        auc, aumc = areas_to(start.time, start.concentration, curve.tlast, curve.tmax, options)
    # nothing quantifiable: the area is zero, not unknown
    zero = ~curve.quantifiable & ~curve.block.empty
    return np.where(zero, 0.0, auc), np.where(zero, 0.0, aumc), estimated


def _areas_to_infinity(
    curve: _Curve, auc_last: np.ndarray, aumc_last: np.ndarray
) -> dict[str, np.ndarray]:
    """Areas from the observed and from the fitted last concentration on."""
    out = {}
    for kind, c in (("obs", curve.clast), ("pred", curve.fit.clast_pred)):
        tail, moment = tail_areas(c, curve.fit.lambda_z, curve.tlast, np.inf)
        out[f"auc_inf_{kind}"] = auc_last + tail
        out[f"auc_extrapolated_{kind}"] = 100.0 * tail / (auc_last + tail)
        out[f"aumc_inf_{kind}"] = aumc_last + moment
    return out


def _integrated_interval(
    profiles: Profiles,
    rows: slice,
    curve: _Curve,
    to_last: tuple[np.ndarray, np.ndarray],
    options: NCAOptions,
) -> tuple[np.ndarray, ...]:
    """(AUC, AUMC) of the dosing interval by the solver; beyond its times the terminal fit."""
    tau = float(options.tau or 0.0)
    ends = _integrated_to(profiles, rows, curve.start_time, tau)
    tail = tail_areas(curve.clast, curve.fit.lambda_z, curve.tlast, tau - curve.tlast)
    return tuple(
        np.where(np.isnan(e), part + rest, e)
        for e, part, rest in zip(ends, to_last, tail, strict=True)
    )


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
    """AUC and AUMC from the dose to tlast by the solver, and the estimated part of AUC."""
    integral = profiles.integral.take(rows)
    curve = profiles.concentration[rows]
    a, m, estimated = at_time(integral, curve, start, start, True)
    index = np.arange(len(curve))
    auc = integral.auc[index, block.column] - a
    return auc, integral.aumc[index, block.column] - m - start * auc, estimated


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
    has = ~block.empty & (block.last >= 0)
    at_zero = has & (block.time[:, 0] == 0) if block.time.shape[1] else has
    nobody = np.zeros(len(block.time), dtype=bool)
    c0 = np.full(len(block.time), np.nan)
    if not block.time.shape[1]:
        return Start(block.time, block.concentration, c0, nobody, nobody)
    if route == "iv_bolus":
        c0, measured, flat = _back_extrapolated(block, has, at_zero)
        return _insert(block, c0, has & ~measured, at_zero, c0, flat)
    if before is not None:
        start = before
    elif steady_state:
        filled = np.where(np.isnan(block.concentration), np.inf, block.concentration)
        start = np.min(filled, axis=1, initial=np.inf)
    else:
        start = np.zeros(len(block.time))
    return _insert(block, start, has & ~at_zero, at_zero, c0, nobody)


def _back_extrapolated(
    block: Block, has: np.ndarray, at_zero: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """C0 of a bolus [mg/L]; whether it was measured; whether it is the first value.

    (n_subjects,) each. `has`: there are samples; `at_zero`: the first is at the dose time.
    """
    time, concentration = block.time, block.concentration
    measured = at_zero & (concentration[:, 0] > 0)
    if (measured | ~has).all():  # a simulation: nothing to extrapolate
        return np.where(has, concentration[:, 0], np.nan), measured, np.zeros(len(time), bool)
    # the first two quantifiable samples after the dose
    good = (concentration > 0) & (time > 0)
    i = np.argmax(good, axis=1)
    later = good & (np.arange(time.shape[1]) > i[:, None])
    j = np.argmax(later, axis=1)
    rows = np.arange(len(time))
    c1, c2, t1, t2 = concentration[rows, i], concentration[rows, j], time[rows, i], time[rows, j]
    declines = later.any(axis=1) & (c2 < c1)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        line = c1 * (c1 / c2) ** (t1 / (t2 - t1))
    back = np.where(declines, line, c1)
    c0 = np.where(has, np.where(measured, concentration[:, 0], back), np.nan)
    return c0, measured, has & ~measured & ~declines


def _insert(
    block: Block,
    start: np.ndarray,
    changed: np.ndarray,
    at_zero: np.ndarray,
    c0: np.ndarray,
    flat: np.ndarray,
) -> Start:
    """The profiles with the value `start` at the dose time, where they are `changed`."""
    time, concentration = block.time, block.concentration
    if not changed.any():
        return Start(time, concentration, c0, changed, flat)
    shift = changed & ~at_zero
    zero, end = np.zeros((len(time), 1)), np.full((len(time), 1), np.nan)
    # (subject, time + 1): shifted by one sample, or with an empty one at the end
    shifted_time = np.concatenate([zero, time], axis=1)
    shifted = np.concatenate([start[:, None], concentration], axis=1)
    time = np.where(shift[:, None], shifted_time, np.concatenate([time, end], axis=1))
    concentration = np.where(shift[:, None], shifted, np.concatenate([concentration, end], axis=1))
    replace = changed & at_zero  # a sample at the dose time without drug: taken before the bolus
    concentration[replace, 0] = start[replace]
    return Start(time, concentration, c0, changed, flat)


def areas_to(
    time: np.ndarray,
    concentration: np.ndarray,
    end: np.ndarray,
    tmax: np.ndarray,
    options: NCAOptions,
) -> tuple[np.ndarray, np.ndarray]:
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
    """Area (n_subjects,) [mg/L h] from an intravenous dose to the first sample after its end."""
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
    """Whether (n_subjects,) no sample is near the end of the infusion.

    Near: in the second half of the infusion, or within its length after its end.
    """
    near = (block.time >= 0.5 * duration[:, None]) & (block.time <= 2.0 * duration[:, None])
    return ~near.any(axis=1)


def interval_metrics(
    start: Start,
    tmax: np.ndarray,
    tlast: np.ndarray,
    clast: np.ndarray,
    fit: TerminalFit,
    tau: float,
    options: NCAOptions,
    exact: tuple[np.ndarray, ...] | None = None,
) -> dict[str, np.ndarray]:
    """Metrics of the dosing interval that begins at the dose.

    Parameters
    ----------
    start : Start
        The profiles with a value at the dose time.
    tmax, tlast : ndarray, (n_subjects,), h
    clast : ndarray, (n_subjects,), mg/L
    fit : TerminalFit
    tau : float, h
        Length of the interval.
    options : NCAOptions
    exact : tuple of ndarray, optional
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
        cavg = auc / tau  # fluctuation and swing are relative to Cavg and Cmin
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
        # Perrier & Mayersohn (1982): AUMC over tau, and tau times the area beyond it
        aumc = out["aumc_tau"] + tau * (auc - out["auc_tau"])
        auc = out["auc_tau"]
    result = {"mrt": aumc / auc - duration / 2.0}
    if not clear or route == SEVERAL:
        return result
    return {**result, **clearances(dose, entered, auc, out["lambda_z"], result["mrt"], route)}


def clearances(
    dose: np.ndarray,
    entered: np.ndarray,
    auc: np.ndarray,
    lambda_z: np.ndarray,
    mrt: np.ndarray,
    route: str,
) -> dict[str, np.ndarray]:
    """Clearance and volumes: of the amount that entered the blood, or of other routes over F."""
    if route in INTRAVENOUS:
        clearance = entered / auc
        return {"cl": clearance, "vz": clearance / lambda_z, "vss": clearance * mrt}
    clearance = dose / auc
    return {"cl_f": clearance, "vz_f": clearance / lambda_z}


def _flags(
    curve: _Curve, out: dict[str, np.ndarray], estimated: np.ndarray | None, options: NCAOptions
) -> np.ndarray:
    """Bit mask (n_subjects,). `estimated` is that of the solver's areas; None: trapezoids."""
    block, fit, exact = curve.block, curve.fit, estimated is not None
    with np.errstate(invalid="ignore"):
        reasons = {
            **block_reasons(block),
            **terminal_reasons(curve.quantifiable, fit, decline(fit, curve.tmax, exact), options),
            Flag.HIGH_EXTRAPOLATION: out["auc_extrapolated_obs"] > options.max_extrapolated,
            Flag.C0_IS_FIRST_VALUE: curve.start.flat,
        }
        if options.tau is not None:
            reasons[Flag.TAU_EXTRAPOLATED] = curve.quantifiable & (curve.tlast < options.tau)
        if exact:
            limit = OFF_GRID * np.nan_to_num(out["auc_last"], nan=np.inf)
            reasons[Flag.DOSE_OFF_GRID] = estimated > limit
        else:
            reasons[Flag.START_INSERTED] = curve.start.inserted
    if not exact and curve.route in INTRAVENOUS:
        reasons[Flag.FIRST_INTERVAL_LARGE] = out["auc_first_interval"] > options.max_first_interval
    if not exact and curve.route == "iv_infusion":
        missed = end_missed(block, curve.duration)
        reasons[Flag.INFUSION_END_MISSED] = curve.quantifiable & missed
    if curve.route == SEVERAL:
        reasons[Flag.SEVERAL_ROUTES] = np.ones(len(block.time), dtype=bool)
    return flag_mask(len(block.time), reasons)


def decline(fit: TerminalFit, tmax: np.ndarray, exact: bool) -> np.ndarray:
    """Half-lives (n_subjects,) that the terminal slope rests on.

    The length of the window; of a curve without noise the whole decline since Tmax.
    """
    return (fit.last - (tmax if exact else fit.first)) * fit.lambda_z / np.log(2.0)


def block_reasons(block: Block) -> dict[Flag, np.ndarray]:
    """Flags of the samples."""
    return {
        Flag.NO_DATA: block.empty,
        Flag.ALL_BELOW_LLOQ: (block.last < 0) & ~block.empty,
        Flag.NEGATIVE_VALUE: block.negative,
    }


def terminal_reasons(
    quantifiable: np.ndarray, fit: TerminalFit, span: np.ndarray, options: NCAOptions
) -> dict[Flag, np.ndarray]:
    """Flags of the terminal fit."""
    fitted = fit.points > 0
    return {
        Flag.TOO_FEW_POINTS: quantifiable & fit.too_few,
        Flag.NO_DECLINE: quantifiable & fit.rising,
        Flag.LOW_ADJ_R2: fitted & (fit.adj_r2 < options.min_adj_r2),
        Flag.SHORT_SPAN: fitted & (span < options.min_span_ratio),
    }
