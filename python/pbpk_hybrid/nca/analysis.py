r"""Noncompartmental analysis of every subject of a Dataset at once.

.. math::
   AUC_\infty = AUC_{last} + C_{last}/\lambda_z,\qquad
   AUMC_\infty = AUMC_{last} + t_{last} C_{last}/\lambda_z + C_{last}/\lambda_z^2

   CL = D/AUC_\infty,\quad V_z = CL/\lambda_z,\quad MRT = AUMC_\infty/AUC_\infty -
   T_{inf}/2,\quad V_{ss} = CL \cdot MRT

The areas of a simulation are those that the solver integrated; of other data,
trapezoids. Several doses, and doses at steady state: :mod:`.repeated`.

Sources: Gabrielsson & Weiner (2016) Pharmacokinetic and Pharmacodynamic Data Analysis,
5th ed., section 2.8; rules for samples below quantification and choice of the terminal
window as documented for PKNCA 0.12 (lambda_z never from before the end of an infusion:
humanpred/pknca#440) and Phoenix WinNonlin.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from .._core.arguments import check_kind
from .._core.errors import InputError
from .._core.provenance import provenance
from .doses import CENTRAL, Plan, plans_for
from .flags import Flag, flag_variables
from .options import NCAOptions
from .profiles import Profiles, blocks, read_profiles
from .repeated import analyse_repeated
from .single import analyse_single

# name -> (units, long_name), in the order of the result
VARIABLES: dict[str, tuple[str, str]] = {
    "cmax": ("mg/L", "maximum concentration"),
    "tmax": ("h", "time of the (first) maximum, after the dose"),
    "tlast": ("h", "time of the last quantifiable concentration, after the dose"),
    "clast_obs": ("mg/L", "last quantifiable concentration"),
    "clast_pred": ("mg/L", "concentration at tlast by the terminal fit"),
    "c0": (
        "mg/L",
        "concentration at the dose time, back-extrapolated from the first two samples if not "
        "measured",
    ),
    "auc_last": ("mg*h/L", "AUC from the dose to tlast"),
    "auc_inf_obs": ("mg*h/L", "AUC to infinity, from the observed last concentration"),
    "auc_inf_pred": ("mg*h/L", "AUC to infinity, from the fitted last concentration"),
    "auc_extrapolated_obs": ("%", "part of auc_inf_obs that is extrapolated"),
    "auc_extrapolated_pred": ("%", "part of auc_inf_pred that is extrapolated"),
    "auc_first_interval": (
        "%",
        "part of auc_inf_obs (of several doses: auc_tau) before the first sample after an "
        "intravenous dose, by the trapezoid from C0",
    ),
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
    "accumulation_auc": ("1", "AUC over the dosing interval over that of the first"),
}


def nca(
    data: Any,
    dose: Any = None,
    route: str | None = None,
    infusion_duration: Any = None,
    *,
    lloq: Any = None,
    compartment: str = "plasma",
    compound: str | None = None,
    options: NCAOptions | None = None,
) -> xr.Dataset:
    """Noncompartmental analysis of each subject; of several doses, of each dosing interval.

    A simulation carries its dose records, and its analysis needs nothing else:

    >>> import pbpk_hybrid as ph
    >>> clearance = ph.nca(ph.simulate("theophylline", "320 mg oral"))["cl_f"]

    For other data, say how the dose was given:

    >>> import numpy as np
    >>> from pbpk_hybrid import nca
    >>> t = np.arange(25.0)
    >>> result = nca((t, 10 * np.exp(-0.1 * t)), dose=100, route="iv_bolus")
    >>> round(float(result.cl[0]), 6)
    1.0

    Parameters
    ----------
    data
        Dataset of schema ``simulation`` or ``observation`` (grouped by profile or
        subject, serum taken as plasma), or ``(time, concentration)``: time (n_points,)
        or (n_subjects, n_points) [h], strictly increasing, concentration (n_points,) or
        (n_subjects, n_points) [mg/L], NaN where there is no sample. Or a table (pandas, polars,
        path of a .csv) that :func:`pbpk_hybrid.nca.tables.read_profile_table` reads.
    dose
        [mg] of data without dose records: one number, text such as "320 mg",
        (n_subjects,), or a mapping subject -> dose; None: the samples' own ``dose``.
        Without a dose the results that need one are left out.
    route
        Of data without dose records: "iv_bolus", "iv_infusion" or "oral"; None: the
        samples' own ``route``. There is no default.
    infusion_duration
        [h] of data without dose records: one number or (n_subjects,), for
        "iv_infusion"; None: the samples' own ``infusion_duration``.
    lloq
        [mg/L] limit of quantification: one number, one per subject, or like the
        concentrations; None: an observation Dataset's own. Values at or below zero are
        always below quantification.
    compartment
        Compartment of the simulation, or matrix of the observations. Clearance comes
        from plasma or blood only.
    compound
        Where a simulation has more than one.
    options
        Rules of the analysis.

    Returns
    -------
    Dataset
        Dataset with the variables of ``VARIABLES`` that the routes, doses and options
        allow, ``flags`` and ``flag_reasons``. One dose: over ``subject``, with a
        coordinate ``dose``. Several doses: over (``subject``, ``interval``), the dosing
        intervals counted from 1, with coordinates ``dose`` and ``dose_time``; a subject
        with fewer doses has NaN at the end. Clearance is given where an interval is at
        steady state (a record with SS, or equal doses whose ``auc_tau`` rises by no
        more than ``options.steady_state_tolerance``), the terminal slope after the last
        dose. One dose at steady state: the same variables over ``subject``. What cannot
        be computed is NaN, and a flag says why.

    Raises
    ------
    InputError, SchemaError, UnknownNameError
        Input that cannot be used; no route where the data hold none; a dose, route,
        interval or duration that contradicts the dose records. Names the field and the
        subject.
    """
    options = options if options is not None else NCAOptions()
    if not isinstance(options, NCAOptions):
        raise InputError("options", type(options).__name__, "NCAOptions")
    check_kind("compartment", compartment, str, "the name of a compartment")
    check_kind("compound", compound, (str, type(None)), "the name of a compound")
    profiles = read_profiles(data, compartment, lloq, compound)
    if options.auc_method is not None:  # a rule by name replaces the solver's areas
        profiles = replace(profiles, integral=None)
    if options.adj_r2_factor is None:  # a curve without noise has a sharper optimum
        options = replace(options, adj_r2_factor=1e-4 if profiles.integral is None else 1e-6)
    plans = plans_for(data, profiles, dose, route, infusion_duration, compartment, options)
    central = compartment.split(":")[-1] in CENTRAL or not _is_tissue(data)
    repeated = any(p.repeated for p in plans)
    columns = max([1 if p.only is not None else len(p.time) for p in plans], default=1)
    several = repeated and columns > 1
    # (subject, interval) with several doses, else (subject,)
    shape = (len(profiles.subject), max(columns, 1)) if several else (len(profiles.subject),)
    dims = ("subject", "interval")[: len(shape)]
    found, doses, starts = _run(profiles, plans, shape, central, repeated, options)
    data_vars: dict[str, Any] = {
        name: (dims, found[name], {"units": unit, "long_name": text})
        for name, (unit, text) in VARIABLES.items()
        if name in found
    }
    data_vars.update(flag_variables(found["flags"], dims))
    coords: dict[str, Any] = {"subject": profiles.subject}
    if several:
        coords["interval"] = (
            "interval",
            np.arange(1, shape[1] + 1),
            {"units": "1", "long_name": "number of the dosing interval"},
        )
        coords["dose_time"] = (dims, starts, {"units": "h", "long_name": "time of the dose"})
    if not np.isnan(doses).all():
        coords["dose"] = (dims, doses, {"units": "mg", "long_name": "dose"})
    coords |= profiles.coords
    return xr.Dataset(data_vars, coords, attrs=_attrs(data, profiles, plans, compartment, options))


def _is_tissue(data: Any) -> bool:
    """Whether the data come from a body with organs: other names than plasma are tissues."""
    if not isinstance(data, xr.Dataset):
        return False
    if "sample" in data.dims or "species" in data.coords:
        return True
    names = data["compartment"].values if "compartment" in data.coords else ()
    return any(str(c).split(":")[-1] in CENTRAL for c in names)


def _run(profiles: Profiles, plans: list[Plan], shape, central: bool, repeated: bool, options):
    """(name -> values of `shape`, doses, dose times) of all plans, block by block."""
    found: dict[str, np.ndarray] = {"flags": np.zeros(shape, dtype=np.int32)}
    doses, starts = np.full(shape, np.nan), np.full(shape, np.nan)
    for plan in plans:
        of_plan = profiles.take(plan.rows)
        numbers = np.arange(shape[0])[plan.rows]
        for rows in blocks(len(numbers)):
            subjects = numbers[rows]
            part, dose, when = _block(of_plan, plan, rows, central, repeated, options)
            if profiles.failed is not None:
                part["flags"][of_plan.failed[rows]] |= Flag.SIMULATION_FAILED.value
            for name, values in part.items():
                _put(found, name, subjects, values, shape)
            _put({"x": doses}, "x", subjects, dose, shape)
            _put({"x": starts}, "x", subjects, when, shape)
    if (
        not repeated and np.isnan(doses).all() and all(len(p.time) for p in plans)
    ):  # nothing known: left out instead of NaN
        found["flags"] &= ~Flag.DOSE_UNKNOWN.value
        for name in ("cl", "vz", "vss", "cl_f", "vz_f"):
            found.pop(name, None)
    return found, doses, starts


def _block(profiles: Profiles, plan: Plan, rows: slice, central: bool, repeated: bool, options):
    clear = central and plan.own
    if not len(plan.time):  # nothing was given
        n = len(profiles.concentration[rows])
        nothing = np.full(n, np.nan)
        return {"flags": np.full(n, Flag.DOSE_UNKNOWN.value, dtype=np.int32)}, nothing, nothing
    dose = plan.amount[rows] if plan.own else np.full(plan.amount[rows].shape, np.nan)
    time = np.broadcast_to(plan.time, dose.shape)
    if repeated and plan.repeated:
        part = analyse_repeated(profiles, plan, rows, clear, options)
        if plan.only is not None:
            dose, time = (x[:, plan.only : plan.only + 1] for x in (dose, time))
    else:
        part = {
            k: v[:, None] for k, v in analyse_single(profiles, plan, rows, clear, options).items()
        }
    part.pop("dose_time", None)
    if plan.own:
        part["flags"][np.isnan(dose)] |= Flag.DOSE_UNKNOWN.value
    else:
        part["flags"] |= Flag.OTHER_COMPOUND.value
    if not central:
        part["flags"] |= Flag.NOT_PLASMA.value
    return part, dose, time


def _put(
    found: dict[str, np.ndarray], name: str, subjects: np.ndarray, values: np.ndarray, shape
) -> None:
    if name not in found:
        whole = values.dtype.kind in "iu"
        found[name] = np.zeros(shape, values.dtype) if whole else np.full(shape, np.nan)
    if len(shape) == 1:
        found[name][subjects] = values[:, 0] if values.ndim == 2 else values
    elif values.ndim == 1:
        found[name][subjects] = values[:, None]
    else:
        found[name][subjects, : values.shape[1]] = values


def _attrs(data, profiles: Profiles, plans: list[Plan], compartment: str, options: NCAOptions):
    source = data.attrs if isinstance(data, xr.Dataset) else {}
    exact = profiles.integral is not None
    routes = dict.fromkeys(r for p in plans for r in p.route)
    times = {float(p.time[p.only or 0]) for p in plans if p.only is not None or len(p.time) == 1}
    intervals = {float(x) for p in plans for x in p.interval[p.steady > 0]} if plans else set()
    tau = (
        options.tau
        if options.tau is not None
        else (intervals.pop() if len(intervals) == 1 else None)
    )
    return provenance(
        title="noncompartmental analysis",
        route=", ".join(routes),
        compartment=compartment,
        auc_method="integrated by the solver" if exact else options.rule,
        dose_time=times.pop() if len(times) == 1 else None,
        tau=tau,
        steady_state=options.steady_state,
        compound=source.get("compound", source.get("compounds")),
    )
