"""`simulate`: compound + regimen + population -> simulation Dataset."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from ._core import schemas
from ._core.arguments import check_kind, check_mapping, check_names
from ._core.errors import InputError, SolveError, SubjectFailedWarning, unknown_name
from ._core.provenance import provenance
from ._core.random import check_seed
from ._core.units import quantity
from .compounds import Compound, get_compound
from .dosing import Regimen
from .models.absorption import GutAbsorption
from .models.enzymes import warn_of_phenotypes
from .models.system import System
from .solvers.base import Problem, SolverOptions, Status, Trajectories
from .solvers.doses import dose_stops, last_dose_time, steady_state_stops
from .solvers.select import choose_backend
from .variability import Variability

#: covariates that go along into the result
COVARIATES = (
    "species",
    "sex",
    "age",
    "body_weight",
    "height",
    "hematocrit",
    "gfr",
    "cardiac_output",
)


def simulate(
    compound: Compound | str,
    regimen: Regimen | xr.Dataset | str,
    population: xr.Dataset | None = None,
    times: Sequence[float] | np.ndarray | None = None,
    *,
    compartments: Sequence[str] | None = None,
    backend: str = "auto",
    options: SolverOptions | None = None,
    variability: Variability | None = None,
    seed: int | None = None,
    sensitivities: Sequence[str] = (),
    partition_method: str | None = None,
    kp: Mapping[str, float] | None = None,
    hepatic_model: str | None = None,
    permeability_limited: Mapping[str, float | tuple[float, float]] | float | str | None = None,
    absorption: GutAbsorption | None = None,
    raise_on_failure: bool = False,
    progress: Callable[[int], None] | None = None,
    chunks: int | None = None,
    store: str | None = None,
    client: Any = None,
) -> xr.Dataset:
    """Concentrations of a compound over time in every person (or animal) of a population.

    >>> import pbpk_hybrid as ph
    >>> people = ph.sample_population(1000, seed=1)                                       # doctest: +SKIP
    >>> ph.simulate("theophylline", "320 mg oral", people, times=range(25))               # doctest: +SKIP

    Parameters
    ----------
    compound : a Compound or the name of one in the database
    regimen : a Regimen, its Dataset, or text such as ``"100 mg iv over 2 h q24h x7"``
    population : physiology Dataset (one species); None: the reference human
    times : (n_times,) [h], ascending; None: 97 times over 24 h after the last dose
    compartments : what to save: "plasma", "blood", organs, sinks such as "metabolised"; None: all of them. For large
        populations name what you need: memory is subjects x times x compartments x 8 bytes.
    backend : "auto", "embedded" or "julia"
    options : tolerances and method, see SolverOptions
    variability : differences between subjects in clearance and absorption; None: none
    seed : of the variability; None takes the population's own seed
    sensitivities : parameters to differentiate the concentrations by, e.g. "clint.liver", "kp.adipose"
    partition_method, kp, hepatic_model, permeability_limited : override the compound's; see whole_body_system
    absorption : model of the gut (dissolution, transit, permeation) for oral doses; None: first-order absorption
    raise_on_failure : raise SolveError instead of flagging failed subjects
    progress : called with numbers of subjects done
    chunks, store, client : for cohorts larger than memory: subjects per chunk, the ``.zarr`` store that the result is
        streamed into, and the ``distributed.Client`` whose workers do it (None: processes on this machine). `population` may
        then be a :class:`pbpk_hybrid.scale.Cohort`, whose people are drawn by the workers. See
        :func:`pbpk_hybrid.scale.simulate_cohort`.

    Returns
    -------
    Dataset of schema ``simulation``: concentration(subject, time, compartment) [mg/L], amount [mg], mass_balance_error,
    status, and with `sensitivities` also concentration_sensitivity(subject, time, compartment, parameter)

    Raises
    ------
    InputError and its kin : anything that cannot be used, before any integration starts
    SolveError : a subject failed and `raise_on_failure` is set

    Warns
    -----
    SubjectFailedWarning : subjects whose integration failed; their values are NaN and `status` says why
    NoEffectWarning : phenotypes in the population of enzymes that the compound does not name
    """
    from .models.whole_body import whole_body_system
    from .physiology import check_physiology, reference_individual

    _check_arguments(compound, options, variability, absorption, kp, store, seed)
    if chunks is not None or store is not None or client is not None:
        from .scale import (
            simulate_cohort,
        )  # on call only: this room knows nothing of stores and workers

        if absorption is not None:
            raise InputError(
                "absorption", str(absorption), "nothing with `chunks`, `store` or `client`"
            )
        if store is None:
            raise InputError(
                "store",
                None,
                "the name of a .zarr store",
                hint="`chunks` and `client` stream into a store",
            )
        return simulate_cohort(
            compound,
            regimen,
            population,
            times,
            store=store,
            chunks=10_000 if chunks is None else chunks,
            client=client,
            compartments=compartments or ("plasma",),
            backend=backend,
            options=options,
            variability=variability,
            seed=seed,
            sensitivities=sensitivities,
            partition_method=partition_method,
            kp=kp,
            hepatic_model=hepatic_model,
            permeability_limited=permeability_limited,
            raise_on_failure=raise_on_failure,
            progress=progress,
        )
    if isinstance(compound, str):
        compound = get_compound(compound)
    people = reference_individual("human") if population is None else check_physiology(population)
    n_subjects = people.sizes["subject"]
    factors: dict[str, np.ndarray] = {}
    used_seed = None
    if variability is not None:
        used_seed = _seed(seed, people)
        names = ("clint.liver", "fraction_unbound_plasma", "absorption_rate")
        names += ("transit_rate",) if compound.transit_compartments else ()
        names += tuple(f"vmax[{p.name}]" for p in compound.saturable)
        factors = variability.draw(n_subjects, used_seed, names)
    system = whole_body_system(
        compound,
        people,
        partition_method=partition_method,
        kp=kp,
        hepatic_model=hepatic_model,
        factors=factors,
        permeability_limited=permeability_limited,
        absorption=absorption,
    )
    if absorption is not None:
        regimen = absorption.release(as_regimen(regimen))
    facts: dict[str, Any] = {"seed": used_seed, "population_seed": people.attrs.get("seed")}
    if variability is not None:
        facts["variability"] = str(variability)
    facts |= warn_of_phenotypes((compound.for_species(str(people["species"].values[0])),), people)
    ds = simulate_system(
        system,
        regimen,
        times,
        compartments=compartments,
        backend=backend,
        options=options,
        sensitivities=sensitivities,
        body_weight=people["body_weight"].values,
        lag_time=compound.absorption_lag_time,
        raise_on_failure=raise_on_failure,
        progress=progress,
        facts=facts,
    )
    return ds.assign_coords(
        {c: ("subject", people[c].values, people[c].attrs) for c in COVARIATES if c in people}
    )


def _check_arguments(compound, options, variability, absorption, kp, store, seed) -> None:
    check_seed(seed)
    check_kind("compound", compound, (Compound, str), "a Compound or the name of one")
    check_kind("options", options, (SolverOptions, type(None)), "SolverOptions(rtol=1e-8) or None")
    check_kind(
        "variability",
        variability,
        (Variability, type(None)),
        "Variability(...) or None",
        hint="such as Variability(intrinsic_clearance=0.3, absorption_rate=0.3)",
    )
    check_kind("absorption", absorption, (GutAbsorption, type(None)), "GutAbsorption(...) or None")
    check_mapping("kp", kp, "a mapping: organ -> tissue:plasma partition coefficient")
    check_kind("store", store, (str, os.PathLike, type(None)), "the name of a .zarr store")


def simulate_system(
    system: System,
    regimen: Regimen | xr.Dataset | str,
    times: Sequence[float] | np.ndarray | None = None,
    *,
    compartments: Sequence[str] | None = None,
    backend: str = "auto",
    options: SolverOptions | None = None,
    sensitivities: Sequence[str] = (),
    body_weight: np.ndarray | None = None,
    lag_time: float | None = None,
    raise_on_failure: bool = False,
    progress: Callable[[int], None] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """The same for any System: what :func:`simulate` does once the model is built.

    Parameters
    ----------
    body_weight : (n_subjects,) [kg], for doses per kg
    lag_time : [h] added to doses of route "oral"
    facts : further attributes of the result
    Others as in :func:`simulate`.
    """
    options = SolverOptions() if options is None else options
    check_kind("options", options, SolverOptions, "SolverOptions(rtol=1e-8) or None")
    sensitivities = check_names("sensitivities", sensitivities, "names of parameters")
    check_kind("raise_on_failure", raise_on_failure, (bool, np.bool_), "True or False")
    regimen = as_regimen(regimen)
    _check_amount_unit(system, regimen)
    chosen, reason = choose_backend(backend)
    grid = _times(times, regimen)
    saved = _saved(system, compartments)
    doses = dose_stops(system, regimen, grid[-1], body_weight=body_weight, lag_time=lag_time or 0.0)
    if sensitivities and doses.steady_state:
        raise InputError(
            "sensitivities",
            list(sensitivities),
            "a regimen without steady-state records",
            hint="give enough doses before the time of interest instead of SS",
        )
    start = float(min(grid[0], doses.first_time))
    stops, failed = steady_state_stops(system, doses, chosen, options)
    problem = Problem(system, stops, grid, saved, start, None, tuple(sensitivities))
    result = chosen.solve(problem, options, progress)
    result.status[failed] = Status.NO_STEADY_STATE
    result.amount[failed] = np.nan
    _report_failures(system, result, raise_on_failure)
    return _dataset(
        system, problem, result, regimen, {"backend_reason": reason, **(facts or {})}, doses
    )


def _check_amount_unit(system: System, regimen: Regimen) -> None:
    """Refuse doses in another unit of amount than the model's; an imported model may be in moles."""
    unit, theirs = system.attrs.get("amount_unit", "mg"), getattr(regimen, "unit", "mg")
    if unit != theirs and len(regimen):
        raise InputError(
            "regimen",
            f"doses in {theirs}",
            f"doses in the unit of the model, {unit}",
            hint="use the imported model's regimen and dose(), or import it in mg "
            "(import_sbml with molar_mass= or substance_unit=)",
        )


def _label_amounts(dataset: xr.Dataset, unit: str) -> xr.Dataset:
    """Units of a model whose amounts are not in mg, in place of those of the schema."""
    if unit == "mg":
        return dataset
    for name in ("amount", "dose", "concentration", "concentration_sensitivity"):
        if name in dataset.variables:
            attrs = dataset[name].attrs
            attrs["units"] = attrs["units"].replace("mg", unit)
    return dataset


def as_regimen(regimen: Regimen | xr.Dataset | str) -> Regimen:
    """A regimen from whatever describes one."""
    if isinstance(regimen, Regimen):
        return regimen
    if isinstance(regimen, str):
        return Regimen.parse(regimen)
    if isinstance(regimen, xr.Dataset):
        return Regimen.from_dataset(regimen)
    raise InputError(
        "regimen",
        type(regimen).__name__,
        "a Regimen, a regimen Dataset or text such as '100 mg oral'",
    )


def _times(times, regimen: Regimen) -> np.ndarray:
    if times is None:
        last = last_dose_time(regimen)
        return np.unique(
            np.r_[np.linspace(0.0, last, max(2, int(last) + 1)), last + np.linspace(0.0, 24.0, 97)]
        )
    if isinstance(times, (str, bytes, Mapping, xr.Dataset)):
        raise InputError("times", times, "numbers [h]")
    grid = np.array([quantity(t, "h", "times") for t in np.ravel(np.asarray(times, dtype=object))])
    if grid.size == 0:
        raise InputError("times", [], "at least one time [h]")
    back = np.flatnonzero(np.diff(grid) <= 0)
    if back.size:
        i = int(back[0])
        raise InputError(
            f"times[{i + 1}]",
            float(grid[i + 1]),
            f"a time after times[{i}] = {grid[i]:g} h",
            hint="sort the times and leave out doubles",
        )
    if grid[0] < 0:
        raise InputError("times[0]", float(grid[0]), "a time >= 0 h")
    return grid


def _saved(system: System, compartments: Sequence[str] | None) -> tuple[str, ...]:
    if compartments is None:
        return tuple(system.observables)
    names = check_names("compartments", compartments, "names of compartments, such as 'plasma'")
    if not names:
        raise InputError("compartments", names, "at least one compartment")
    for name in names:
        if name not in system.observables:
            raise unknown_name(
                "compartments", name, system.observables, what="a compartment of the model"
            )
    return names


def _seed(seed: int | None, people: xr.Dataset) -> int:
    if seed is not None:
        return seed
    own = people.attrs.get("seed")
    if own is None:
        raise InputError(
            "seed", None, "a non-negative integer, for the variability between subjects"
        )
    return int(own)


def _report_failures(system: System, result: Trajectories, raise_on_failure: bool) -> None:
    failed = np.flatnonzero(result.status != Status.SUCCESS)
    if not failed.size:
        return
    first = failed[0]
    status = Status(int(result.status[first]))
    names = ", ".join(str(system.subjects[s]) for s in failed[:5]) + (
        ", ..." if failed.size > 5 else ""
    )
    text = (
        f"{failed.size} of {system.n_subjects} subjects could not be integrated ({names}); "
        f"subject {system.subjects[first]}: {status.advice}"
    )
    if raise_on_failure:
        raise SolveError(text)
    warnings.warn(text + "; their values are NaN", SubjectFailedWarning, stacklevel=4)


def _dataset(
    system, problem: Problem, result: Trajectories, regimen: Regimen, facts, doses
) -> xr.Dataset:
    factors = np.stack(
        [
            np.broadcast_to(system.observables[n].factor, (system.n_subjects,))
            for n in problem.saved
        ],
        axis=1,
    )
    dims = ("subject", "time", "compartment")
    concentration = result.amount * factors[:, None, :]
    for o, name in enumerate(problem.saved):
        if (offset := system.observables[name].offset) is not None:
            concentration[:, :, o] += np.reshape(offset, (-1, 1))
    variables: dict[str, Any] = {
        "concentration": (dims, concentration, schemas.attrs("simulation", "concentration")),
        "amount": (dims, result.amount, schemas.attrs("simulation", "amount")),
        "status": (
            "subject",
            result.status,
            {
                **schemas.attrs("simulation", "status"),
                "flag_values": np.array([s.value for s in Status], dtype=np.int8),
                "flag_meanings": " ".join(s.name.lower() for s in Status),
            },
        ),
        "steps": (
            "subject",
            result.steps[:, 0].astype(np.int32),
            {"units": "1", "long_name": "accepted solver steps"},
        ),
    }
    if result.balance is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = np.where(result.given > 0, result.balance / result.given, result.balance)
        variables["mass_balance_error"] = (
            dims[:2],
            relative,
            schemas.attrs("simulation", "mass_balance_error"),
        )
    if result.sensitivity is not None:
        slope = result.sensitivity * factors[:, None, :, None]
        for q, d in enumerate(result.derivatives):
            for o, name in enumerate(problem.saved):
                if name in d.factor:
                    slope[:, :, o, q] += (
                        result.amount[:, :, o]
                        * np.broadcast_to(d.factor[name], (system.n_subjects,))[:, None]
                    )
                if name in d.offset:
                    slope[:, :, o, q] += np.reshape(d.offset[name], (-1, 1))
        variables["concentration_sensitivity"] = (
            (*dims, "parameter"),
            slope,
            {
                "units": "(mg/L)/(unit of the parameter)",
                "long_name": "derivative of the concentration by the parameter",
            },
        )
    coords = {
        "subject": system.subjects,
        "time": ("time", problem.times, {"units": "h", "long_name": "time"}),
        "compartment": np.array(problem.saved, dtype=str),
        "dose": ("subject", doses.first_dose, {"units": "mg", "long_name": "first dose"}),
    }
    if problem.parameters:
        coords["parameter"] = np.array(problem.parameters, dtype=str)
    dataset = xr.Dataset(
        variables,
        coords,
        attrs=provenance(
            **system.attrs,
            **result.facts,
            **facts,
            regimen=str(regimen),
            failed_subjects=int((result.status != Status.SUCCESS).sum()),
            schema="simulation",
            schema_version=schemas.SCHEMA_VERSION,
        ),
    )
    return _label_amounts(dataset, system.attrs.get("amount_unit", "mg"))
