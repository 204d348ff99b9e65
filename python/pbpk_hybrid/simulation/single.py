"""`simulate`: compound + regimen + population -> simulation Dataset."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from .._core.arguments import check_kind, check_mapping
from .._core.errors import InputError
from .._core.random import check_seed
from ..compounds import Compound
from ..compounds.conversion import as_compound
from ..dosing import Regimen
from ..dosing.conversion import as_regimen
from ..models.small_molecules.absorption import GutAbsorption
from ..models.small_molecules.disposition import DispositionChoices, changes_own_enzymes
from ..models.small_molecules.enzymes import warn_of_phenotypes
from ..models.small_molecules.whole_body import assemble_system
from ..solvers.base import SolverOptions
from ..solvers.time_grid import TimeGrid
from .parameters import VariabilityChoice, people_of, resolve_parameters
from .run import RunDoses, RunSettings, run_system, simulate_system, warn_of_idle_gut
from .variability import Variability


@dataclass(frozen=True, eq=False)
class _Streaming:
    """Where a cohort larger than memory goes, and who computes it; see `chunks` of simulate."""

    chunks: int | None = None
    store: str | os.PathLike | None = None
    client: Any = None

    @property
    def wanted(self) -> bool:
        return any(value is not None for value in (self.chunks, self.store, self.client))


def simulate(
    compound: Compound | str,
    regimen: Regimen | xr.Dataset | str,
    population: xr.Dataset | None = None,
    times: Sequence[float] | np.ndarray | TimeGrid | None = None,
    *,
    compartments: Sequence[str] | None = None,
    areas: Sequence[str] | None = None,
    backend: str = "auto",
    options: SolverOptions | None = None,
    variability: Variability | float | bool | str | None = "default",
    seed: int | None = None,
    sensitivities: Sequence[str] = (),
    clearance: str | None = None,
    distribution: str | None = None,
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
    >>> people = ph.sample_population(1000, seed=1)
    >>> result = ph.simulate("theophylline", "320 mg oral", people, times=range(25))

    Parameters
    ----------
    compound : Compound or str
        A Compound or the name of one in the database.
    regimen : Regimen, xarray.Dataset or str
        A Regimen, its Dataset, or text such as ``"100 mg iv over 2 h q24h x7"``.
    population : xarray.Dataset, optional
        Physiology Dataset (one species); None: the reference human.
    times : sequence of float, TimeGrid or None
        (n_times,) [h], ascending. None: dense after every dose and just before the next, until
        99 % of the area under the curve that the last dose leaves is reached in the median
        subject (attribute ``time_grid`` says until when); a
        :class:`pbpk_hybrid.solvers.TimeGrid` for the same with another end.
    compartments : sequence of str, optional
        What to save: "plasma", "blood", organs, sinks such as "metabolised"; None: all of them.
        For large populations name what you need: memory is subjects x times x compartments x
        8 bytes.
    areas : sequence of str, optional
        Compartments whose exact AUC and AUMC the integrator keeps beside the curves; None:
        "plasma" where it is saved.
    backend : str
        "auto", "embedded" or "julia".
    options : SolverOptions, optional
        Tolerances and method.
    variability : Variability, float, bool, str or None
        Differences between subjects in enzyme activity and absorption: "default"
        (``Variability()`` for people drawn at random, none for reference individuals and people
        of a file), None or False (none), True, a coefficient of variation for both (0.3 for
        30 %), or a Variability; attribute ``variability`` says which.
    seed : int, optional
        Of the variability; None takes the population's own seed.
    sensitivities : sequence of str
        Parameters to differentiate the concentrations by, e.g. "clint.liver", "kp.adipose".
    clearance : str, optional
        "in_vivo" (from the literature) or "in_vitro" (from hepatocytes or microsomes); None: the
        compound's own basis, for curated drugs the one that was validated best (its file says
        so); attribute ``clearance_basis``.
    distribution : str, optional
        "predicted" (Kp by the partition method) or "in_vivo" (Kp scaled to the measured volume);
        None: the compound's own; attribute ``distribution_basis``.
    partition_method, kp, hepatic_model, permeability_limited
        Override the compound's; see :func:`pbpk_hybrid.whole_body_system`.
    absorption : GutAbsorption, optional
        Model of the gut (dissolution, transit, permeation) for oral doses; None: first-order
        absorption.
    raise_on_failure : bool
        Raise SolveError instead of flagging failed subjects.
    progress : callable, optional
        Called with numbers of subjects done.
    chunks, store, client
        For cohorts larger than memory: subjects per chunk, the ``.zarr`` store that the result is
        streamed into, and the ``distributed.Client`` whose workers do it (None: processes on this
        machine). `population` may then be a :class:`pbpk_hybrid.scale.Cohort`, whose people are
        drawn by the workers. See :func:`pbpk_hybrid.scale.simulate_cohort`.

    Returns
    -------
    xarray.Dataset
        Schema ``simulation``: concentration(subject, time, compartment) [mg/L], amount [mg],
        mass_balance_error, status, cumulative_auc(subject, time, auc_compartment) [mg*h/L] and
        cumulative_aumc [mg*h^2/L] (integrals of C and of t x C from the start, by the
        integrator), the dose records dose_time, dose_amount, dose_route, ... (see
        :func:`pbpk_hybrid.results.dose_records`), and with `sensitivities` also
        concentration_sensitivity(subject, time, compartment, parameter).

    Raises
    ------
    InputError and its kin
        Anything that cannot be used, before any integration starts.
    SolveError
        A subject failed and `raise_on_failure` is set.

    Warns
    -----
    SubjectFailedWarning
        Subjects whose integration failed; their values are NaN and `status` says why.
    NoEffectWarning
        Phenotypes in the population of enzymes that the compound does not name; a gut model
        without oral doses.

    See Also
    --------
    pbpk_hybrid.disposition : the parameters that the simulation uses, as a table
    """
    choices = DispositionChoices(
        clearance,
        distribution,
        partition_method,
        kp,
        hepatic_model,
        permeability_limited,
        absorption,
    )
    settings = RunSettings(
        compartments, areas, backend, options, sensitivities, raise_on_failure, progress
    )
    varied, streaming = VariabilityChoice(variability, seed), _Streaming(chunks, store, client)
    _check_arguments(compound, choices, settings, varied, streaming)
    if streaming.wanted:
        return _simulate_in_chunks(
            compound, regimen, population, times, choices, settings, varied, streaming
        )
    return _simulate_in_memory(
        as_compound(compound), regimen, population, times, choices, settings, varied
    )


def _check_arguments(
    compound: Compound | str,
    choices: DispositionChoices,
    settings: RunSettings,
    varied: VariabilityChoice,
    streaming: _Streaming,
) -> None:
    """Refuse arguments of the wrong kind before anything is computed."""
    check_seed(varied.seed)
    check_kind("compound", compound, (Compound, str), "a Compound or the name of one")
    solver = (SolverOptions, type(None))
    check_kind("options", settings.options, solver, "SolverOptions(rtol=1e-8) or None")
    gut = (GutAbsorption, type(None))
    check_kind("absorption", choices.absorption, gut, "GutAbsorption(...) or None")
    check_mapping("kp", choices.kp, "a mapping: organ -> tissue:plasma partition coefficient")
    path = (str, os.PathLike, type(None))
    check_kind("store", streaming.store, path, "the name of a .zarr store")


def _simulate_in_memory(
    compound: Compound,
    regimen: Regimen | xr.Dataset | str,
    population: xr.Dataset | None,
    times: Sequence[float] | np.ndarray | TimeGrid | None,
    choices: DispositionChoices,
    settings: RunSettings,
    varied: VariabilityChoice,
) -> xr.Dataset:
    """:func:`simulate` with its keywords grouped, the whole population at once."""
    people = people_of(population)
    parameters = resolve_parameters(compound, people, choices, varied)
    system = assemble_system(parameters.disposition)
    given = released = as_regimen(regimen)
    _refuse_own_steady_state(parameters.disposition.compound, given)
    if choices.absorption is not None:
        warn_of_idle_gut(given, compound.name)
        released = choices.absorption.release(given)
    of_species = compound.for_species(parameters.disposition.species)
    attributes = {**parameters.attributes, **warn_of_phenotypes((of_species,), people)}
    weight = people["body_weight"].values
    doses = RunDoses(released, [("", given)], weight, compound.absorption_lag_time)
    return run_system(system, doses, times, settings, attributes, people)


def _refuse_own_steady_state(compound: Compound, regimen: Regimen) -> None:
    """A compound whose enzymes move for days has no steady state that one interval tells."""
    c = regimen.columns
    if not (changes_own_enzymes(compound) and np.any(c["steady_state"] != 0)):
        return
    raise InputError(
        "regimen",
        str(regimen),
        "doses, not steady-state records: the compound changes the enzymes of its own metabolism",
        subject=compound.name,
        hint="give the doses before it one by one, e.g. 'q8h x31', and look after the last",
    )


def _simulate_in_chunks(
    compound: Compound | str,
    regimen: Regimen | xr.Dataset | str,
    population: Any,
    times: Sequence[float] | np.ndarray | TimeGrid | None,
    choices: DispositionChoices,
    settings: RunSettings,
    varied: VariabilityChoice,
    streaming: _Streaming,
) -> xr.Dataset:
    """:func:`simulate` of a cohort that is streamed into a store."""
    from ..scale import simulate_cohort  # on call only: stores and workers are its business

    if choices.absorption is not None:
        expected = "nothing with `chunks`, `store` or `client`"
        raise InputError("absorption", str(choices.absorption), expected)
    if streaming.store is None:
        hint = "`chunks` and `client` stream into a store"
        raise InputError("store", None, "the name of a .zarr store", hint=hint)
    return simulate_cohort(
        compound,
        regimen,
        population,
        times,
        store=streaming.store,
        chunks=10_000 if streaming.chunks is None else streaming.chunks,
        client=streaming.client,
        compartments=settings.compartments or ("plasma",),
        areas=settings.areas,
        backend=settings.backend,
        options=settings.options,
        variability=varied.variability,
        seed=varied.seed,
        sensitivities=settings.sensitivities,
        clearance=choices.clearance,
        distribution=choices.distribution,
        partition_method=choices.partition_method,
        kp=choices.kp,
        hepatic_model=choices.hepatic_model,
        permeability_limited=choices.permeability_limited,
        raise_on_failure=settings.raise_on_failure,
        progress=settings.progress,
    )


__all__ = ["simulate", "simulate_system"]
