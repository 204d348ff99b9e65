r"""Noncompartmental analysis of every subject of a Dataset at once.

.. math::
   AUC_\infty = AUC_{last} + C_{last}/\lambda_z,\qquad
   AUMC_\infty = AUMC_{last} + t_{last} C_{last}/\lambda_z + C_{last}/\lambda_z^2

   CL = D/AUC_\infty,\quad V_z = CL/\lambda_z,\quad MRT = AUMC_\infty/AUC_\infty - T_{inf}/2,\quad V_{ss} = CL \cdot MRT

Sources: Gabrielsson & Weiner (2016) Pharmacokinetic and Pharmacodynamic Data Analysis, 5th ed., section 2.8; rules for
samples below quantification and choice of the terminal window as documented for PKNCA 0.12 and Phoenix WinNonlin.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from .._core.arguments import check_choice, check_kind
from .._core.errors import InputError
from .._core.provenance import provenance
from .area import segment_areas, value_at
from .flags import Flag, flag_variables
from .options import ROUTES, NCAOptions
from .profiles import Block, blocks, read_dose, read_profiles
from .terminal import TerminalFit, fit_terminal

# name -> (units, long_name), in the order of the result
VARIABLES: dict[str, tuple[str, str]] = {
    "cmax": ("mg/L", "maximum concentration"),
    "tmax": ("h", "time of the (first) maximum, after the dose"),
    "tlast": ("h", "time of the last quantifiable concentration, after the dose"),
    "clast_obs": ("mg/L", "last quantifiable concentration"),
    "clast_pred": ("mg/L", "concentration at tlast by the terminal fit"),
    "c0": (
        "mg/L",
        "concentration at the dose time, back-extrapolated from the first two samples if not measured",
    ),
    "auc_last": ("mg*h/L", "AUC from the dose to tlast"),
    "auc_inf_obs": ("mg*h/L", "AUC to infinity, from the observed last concentration"),
    "auc_inf_pred": ("mg*h/L", "AUC to infinity, from the fitted last concentration"),
    "auc_extrapolated_obs": ("%", "part of auc_inf_obs that is extrapolated"),
    "auc_extrapolated_pred": ("%", "part of auc_inf_pred that is extrapolated"),
    "aumc_last": ("mg*h^2/L", "AUMC from the dose to tlast"),
    "aumc_inf_obs": ("mg*h^2/L", "AUMC to infinity, from the observed last concentration"),
    "aumc_inf_pred": ("mg*h^2/L", "AUMC to infinity, from the fitted last concentration"),
    "lambda_z": ("1/h", "terminal rate constant"),
    "half_life": ("h", "terminal half-life"),
    "lambda_z_first": ("h", "first time of the terminal window"),
    "lambda_z_last": ("h", "last time of the terminal window"),
    "lambda_z_points": ("1", "points in the terminal window"),
    "lambda_z_r2": ("1", "R2 of the terminal fit"),
    "lambda_z_adj_r2": ("1", "adjusted R2 of the terminal fit"),
    "span_ratio": ("1", "length of the terminal window in half-lives"),
    "mrt": ("h", "mean residence time (of an oral dose: absorption included)"),
    "cl": ("L/h", "clearance"),
    "vz": ("L", "volume of distribution of the terminal phase"),
    "vss": ("L", "volume of distribution at steady state"),
    "cl_f": ("L/h", "apparent clearance CL/F"),
    "vz_f": ("L", "apparent volume of distribution of the terminal phase Vz/F"),
    "auc_tau": ("mg*h/L", "AUC over the dosing interval"),
    "aumc_tau": ("mg*h^2/L", "AUMC over the dosing interval"),
    "cavg": ("mg/L", "average concentration over the dosing interval"),
    "cmin_tau": ("mg/L", "minimum concentration in the dosing interval"),
    "ctrough": ("mg/L", "concentration at the end of the dosing interval"),
    "fluctuation": ("%", "(Cmax - Cmin) / Cavg over the dosing interval"),
    "swing": ("%", "(Cmax - Cmin) / Cmin over the dosing interval"),
    "accumulation": ("1", "accumulation ratio 1 / (1 - exp(-lambda_z tau))"),
}


def nca(
    data: Any,
    dose: Any = None,
    route: str = "iv_bolus",
    infusion_duration: Any = 0.0,
    *,
    lloq: Any = None,
    compartment: str = "plasma",
    compound: str | None = None,
    options: NCAOptions | None = None,
) -> xr.Dataset:
    """Noncompartmental analysis of each subject.

    >>> import numpy as np
    >>> t = np.arange(25.0)
    >>> result = nca((t, 10 * np.exp(-0.1 * t)), dose=100, route="iv_bolus")
    >>> round(float(result.cl[0]), 6)
    1.0

    Parameters
    ----------
    data : Dataset of schema ``simulation`` or ``observation`` (grouped by profile or subject, serum taken as plasma), or
        ``(time, concentration)``: time (n_points,) or (n_subjects, n_points) [h], strictly increasing, concentration
        (n_points,) or (n_subjects, n_points) [mg/L], NaN where there is no sample
    dose : [mg] one number, text such as "320 mg", (n_subjects,), or a mapping subject -> dose; None: the Dataset's own
        ``dose``. Without a dose the results that need one are left out.
    route : "iv_bolus", "iv_infusion" or "oral"
    infusion_duration : [h] one number or (n_subjects,), for "iv_infusion"
    lloq : [mg/L] limit of quantification: one number, one per subject, or like the concentrations; None: an observation
        Dataset's own. Values at or below zero are always below quantification.
    compartment : compartment of the simulation, or matrix of the observations
    compound : where a simulation has more than one
    options : rules of the analysis

    Returns
    -------
    Dataset over ``subject`` with the variables of ``VARIABLES`` that the route, dose and options allow, ``flags`` and
    ``flag_reasons``. What cannot be computed for a subject is NaN, and a flag says why.

    Raises
    ------
    InputError, SchemaError, UnknownNameError : input that cannot be used; names the field and the subject
    """
    options = options if options is not None else NCAOptions()
    if not isinstance(options, NCAOptions):
        raise InputError("options", type(options).__name__, "NCAOptions")
    check_choice("route", route, ROUTES)
    check_kind("compartment", compartment, str, "the name of a compartment")
    check_kind("compound", compound, (str, type(None)), "the name of a compound")
    profiles = read_profiles(data, compartment, lloq, compound)
    n = len(profiles.subject)
    doses = read_dose(dose, profiles)
    duration = _duration(infusion_duration, route, n)
    parts = []
    for block in blocks(profiles, options):
        failed = profiles.failed[block.rows] if profiles.failed is not None else None
        part_dose = None if doses is None else doses[block.rows]
        parts.append(_analyse(block, part_dose, route, duration[block.rows], failed, options))
    names = parts[0] if parts else {}
    data_vars: dict[str, Any] = {
        name: (
            "subject",
            np.concatenate([p[name] for p in parts]),
            {"units": VARIABLES[name][0], "long_name": VARIABLES[name][1]},
        )
        for name in VARIABLES
        if name in names
    }
    mask = np.concatenate([p["flags"] for p in parts]) if parts else np.zeros(0, dtype=np.int32)
    data_vars.update(flag_variables(mask))
    coords: dict[str, Any] = {"subject": profiles.subject, **profiles.coords}
    if doses is not None:
        coords["dose"] = ("subject", doses, {"units": "mg", "long_name": "dose"})
    source = data.attrs if isinstance(data, xr.Dataset) else {}
    return xr.Dataset(
        data_vars,
        coords,
        attrs=provenance(
            title="noncompartmental analysis",
            route=route,
            compartment=compartment,
            auc_method=options.auc_method,
            dose_time=options.dose_time,
            tau=options.tau,
            steady_state=options.steady_state,
            compound=source.get("compound", source.get("compounds")),
        ),
    )


def _duration(value: Any, route: str, n: int) -> np.ndarray:
    from .._core.units import quantity

    if isinstance(value, (Mapping, xr.Dataset)):
        raise InputError("infusion_duration", value, f"one number [h] or {n} of them")
    if isinstance(value, str) or np.ndim(value) == 0:
        value = quantity(value, "h", "infusion_duration", minimum=0)
    elif np.asarray(value).dtype.kind not in "fiu":
        each = np.ravel(np.asarray(value, dtype=object))
        value = [quantity(v, "h", "infusion_duration", minimum=0) for v in each]
    duration = np.asarray(value, dtype=float)
    if duration.ndim and duration.shape != (n,):
        raise InputError(
            "infusion_duration", duration.shape, f"one number [h] or {n} of them, one per subject"
        )
    if route == "iv_infusion":
        if not np.all(duration > 0):
            raise InputError("infusion_duration", value, "a number > 0 [h] for route 'iv_infusion'")
    elif np.any(duration != 0):
        raise InputError(
            "infusion_duration", value, f"0 for route '{route}'", hint="use route='iv_infusion'"
        )
    return np.broadcast_to(duration, (n,))


def _analyse(
    block: Block,
    dose: np.ndarray | None,
    route: str,
    duration: np.ndarray,
    failed: np.ndarray | None,
    options: NCAOptions,
) -> dict[str, np.ndarray]:
    rows = np.arange(len(block.time))
    quantifiable = block.last >= 0
    cmax = np.where(
        block.empty,
        np.nan,
        np.max(np.nan_to_num(block.concentration, nan=-np.inf), axis=1, initial=0.0),
    )
    peak = np.argmax(np.nan_to_num(block.concentration, nan=-np.inf), axis=1)
    tmax = np.where(quantifiable, block.time[rows, peak], np.nan)
    anchor = np.clip(block.last, 0, None)
    tlast = np.where(quantifiable, block.time[rows, anchor], np.nan)
    clast = np.where(quantifiable, block.concentration[rows, anchor], np.nan)
    fit = fit_terminal(
        block.time, block.concentration, block.last, tmax, route == "iv_bolus", options
    )
    time, concentration, c0, inserted, flat_start = _with_start(block, route, options)
    auc_last, aumc_last = _areas_to(time, concentration, tlast, tmax, options)
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
        "lambda_z": fit.lambda_z,
        "half_life": np.log(2.0) / fit.lambda_z,
        "lambda_z_first": fit.first,
        "lambda_z_last": fit.last,
        "lambda_z_points": fit.points,
        "lambda_z_r2": fit.r2,
        "lambda_z_adj_r2": fit.adj_r2,
        "span_ratio": (fit.last - fit.first) * fit.lambda_z / np.log(2.0),
    }
    if route == "iv_bolus":
        out["c0"] = c0
    for kind, c in (("obs", clast), ("pred", fit.clast_pred)):
        tail = c / fit.lambda_z
        out[f"auc_inf_{kind}"] = auc_last + tail
        out[f"auc_extrapolated_{kind}"] = 100.0 * tail / (auc_last + tail)
        out[f"aumc_inf_{kind}"] = aumc_last + tail * tlast + tail / fit.lambda_z
    if options.tau is not None:
        out.update(_interval(time, concentration, tmax, tlast, clast, fit, options))
    out.update(_disposition(out, dose, route, duration, options))
    out["flags"] = _flags(block, fit, out, dose, inserted, flat_start, failed, options)
    return out


def _with_start(block: Block, route: str, options: NCAOptions):
    """The profile with a value at the dose time.

    A bolus gets C0 (log-linear through the first two samples; the first sample where these do not decline). Other
    routes get 0, or at steady state the minimum of the interval, when the first sample is later than the dose.
    """
    rows = np.arange(len(block.time))
    time, concentration = block.time, block.concentration
    has = ~block.empty & (block.last >= 0)
    at_zero = has & (time[:, 0] == 0)
    flat_start = np.zeros(len(time), dtype=bool)
    c0 = np.full(len(time), np.nan)
    if route == "iv_bolus":
        measured = at_zero & (concentration[:, 0] > 0)
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
        minimum = np.min(
            np.where(np.isnan(concentration), np.inf, concentration), axis=1, initial=np.inf
        )
        start = minimum if options.steady_state else np.zeros(len(time))
    if not changed.any():
        return time, concentration, c0, changed, flat_start
    shift = changed & ~at_zero
    end = np.full((len(time), 1), np.nan)
    shifted_time = np.concatenate([np.zeros((len(time), 1)), time], axis=1)
    shifted = np.concatenate([start[:, None], concentration], axis=1)
    time = np.where(shift[:, None], shifted_time, np.concatenate([time, end], axis=1))
    concentration = np.where(shift[:, None], shifted, np.concatenate([concentration, end], axis=1))
    replace = changed & at_zero  # a sample at the dose time without drug: taken before the bolus
    concentration[replace, 0] = start[replace]
    return time, concentration, c0, changed, flat_start


def _areas_to(time, concentration, end, tmax, options: NCAOptions) -> tuple[np.ndarray, np.ndarray]:
    """AUC and AUMC from the first sample to the sample at `end`."""
    auc, aumc = segment_areas(time, concentration, options.auc_method, tmax)
    inside = time[:, 1:] <= end[:, None]
    known = ~np.isnan(end)
    return (
        np.where(known, np.sum(np.where(inside, auc, 0.0), axis=1), np.nan),
        np.where(known, np.sum(np.where(inside, aumc, 0.0), axis=1), np.nan),
    )


def _interval(
    time, concentration, tmax, tlast, clast, fit: TerminalFit, options: NCAOptions
) -> dict[str, np.ndarray]:
    """Metrics of the dosing interval that begins at the dose."""
    tau = float(options.tau or 0.0)
    at_tau = value_at(
        time, concentration, tau, options.auc_method, tmax, fit.lambda_z, clast, tlast
    )
    # samples before tau and no later than tlast, then the value at tau
    keep = (time < tau) & (time <= tlast[:, None])
    count = keep.sum(axis=1)
    end = np.full((len(time), 1), np.nan)
    t = np.concatenate([np.where(keep, time, np.nan), end], axis=1)
    c = np.concatenate([np.where(keep, concentration, np.nan), end], axis=1)
    rows = np.arange(len(time))
    t[rows, count], c[rows, count] = tau, at_tau
    auc, aumc = _areas_to(t, c, np.where(np.isnan(at_tau), np.nan, tau), tmax, options)
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
    out, dose, route: str, duration: np.ndarray, options: NCAOptions
) -> dict[str, np.ndarray]:
    auc, aumc = out["auc_inf_obs"], out["aumc_inf_obs"]
    if options.steady_state:
        tau = float(options.tau or 0.0)
        aumc = out["aumc_tau"] + tau * (auc - out["auc_tau"])
        auc = out["auc_tau"]
    result = {"mrt": aumc / auc - duration / 2.0}
    if dose is None:
        return result
    clearance = dose / auc
    volume = clearance / out["lambda_z"]
    if route == "oral":
        return {**result, "cl_f": clearance, "vz_f": volume}
    return {**result, "cl": clearance, "vz": volume, "vss": clearance * result["mrt"]}


def _flags(
    block: Block, fit: TerminalFit, out, dose, inserted, flat_start, failed, options: NCAOptions
) -> np.ndarray:
    mask = np.zeros(len(block.time), dtype=np.int32)
    quantifiable = block.last >= 0
    fitted = fit.points > 0
    with np.errstate(invalid="ignore"):
        reasons = {
            Flag.NO_DATA: block.empty,
            Flag.ALL_BELOW_LLOQ: ~quantifiable & ~block.empty,
            Flag.TOO_FEW_POINTS: quantifiable & fit.too_few,
            Flag.NO_DECLINE: quantifiable & fit.rising,
            Flag.LOW_ADJ_R2: fitted & (fit.adj_r2 < options.min_adj_r2),
            Flag.SHORT_SPAN: fitted & (out["span_ratio"] < options.min_span_ratio),
            Flag.HIGH_EXTRAPOLATION: fitted
            & (out["auc_extrapolated_obs"] > options.max_extrapolated),
            Flag.START_INSERTED: inserted,
            Flag.C0_IS_FIRST_VALUE: flat_start,
            Flag.NEGATIVE_VALUE: block.negative,
        }
        if options.tau is not None:
            reasons[Flag.TAU_EXTRAPOLATED] = quantifiable & (out["tlast"] < options.tau)
    if failed is not None:
        reasons[Flag.SIMULATION_FAILED] = failed
    if dose is not None:
        reasons[Flag.DOSE_UNKNOWN] = np.isnan(dose)
    for flag, where in reasons.items():
        mask[where] |= flag.value
    return mask
