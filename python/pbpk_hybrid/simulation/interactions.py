"""Several compounds at once, and the effect of one on the exposure to another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from .._core import schemas
from .._core.arguments import check_choice, check_kind, check_mapping
from .._core.errors import InputError
from .._core.provenance import provenance
from .._core.units import quantity
from ..compounds import Compound
from ..compounds.conversion import as_compound
from ..dosing import Regimen
from ..dosing.conversion import as_regimen
from ..models.small_molecules.absorption import GutAbsorption
from ..models.small_molecules.enzymes import warn_of_phenotypes
from ..models.small_molecules.interactions import interacting_system
from ..models.small_molecules.links import warn_of_strangers
from ..models.system.system import System
from ..solvers.base import SolverOptions
from ..solvers.time_grid import TimeGrid
from .parameters import people_of
from .run import RunDoses, RunSettings, run_system, warn_of_idle_gut

_SETTLED = 240.0  # h: seven half-lives of CYP3A4 in the liver (36 h, the longest usual value)
#: whether `interaction`, which knows the victim, has warned of effects that change nothing
_effects_checked: ContextVar[bool] = ContextVar("effects_checked", default=False)
#: what a caller inside the package does to the system before it is solved (uncertain constants)
_change: ContextVar[Callable[[System], System] | None] = ContextVar("change", default=None)
_OPTIONS = (
    "enzyme_half_lives",
    "partition_method",
    "hepatic_model",
    "absorption",
    "backend",
    "options",
    "sensitivities",
    "raise_on_failure",
    "progress",
)
#: compound, or its name, -> regimen; pairs, or a mapping
CompoundRegimens = Mapping[Any, Any] | Sequence[tuple[Any, Any]]


def simulate_together(
    compounds: CompoundRegimens,
    population: xr.Dataset | None = None,
    times: Sequence[float] | np.ndarray | TimeGrid | None = None,
    *,
    compartments: Sequence[str] | None = None,
    areas: Sequence[str] | None = None,
    enzyme_half_lives: Mapping[str, float] | None = None,
    partition_method: str | None = None,
    hepatic_model: str | None = None,
    absorption: Mapping[str, GutAbsorption] | None = None,
    backend: str = "auto",
    options: SolverOptions | None = None,
    sensitivities: Sequence[str] = (),
    raise_on_failure: bool = False,
    progress: Callable[[int], None] | None = None,
) -> xr.Dataset:
    """Several compounds in every person of a population, with their effects on enzymes.

    People differ by their anatomy and phenotypes alone: unlike :func:`simulate`, this function
    has no `variability`.

    >>> import pbpk_hybrid as ph
    >>> inhibits = [{"enzyme": "CYP3A4", "kind": "competitive", "ki": "1 uM"}]
    >>> inhibitor = ph.get_compound("cimetidine").replace(name="inhibitor", enzyme_effects=inhibits)
    >>> both = ph.simulate_together({"midazolam": "7.5 mg oral", inhibitor: "400 mg oral q12h x3"})
    >>> both["concentration"].sel(compartment="midazolam:plasma").dims
    ('subject', 'time')

    Parameters
    ----------
    compounds : mapping or sequence of pairs
        Compound, or its name, -> regimen; None for a compound that is only formed as a
        metabolite. The interactions follow from the compounds' ``metabolism`` and
        ``enzyme_effects``; see :mod:`pbpk_hybrid.models.small_molecules.interactions`.
    population, times
        As in :func:`simulate`.
    compartments : sequence of str, optional
        ``"<compound>:<compartment>"``; "plasma" and "blood" are those of the first compound.
    areas : sequence of str, optional
        Compartments whose exact AUC and AUMC are kept. None: every "<compound>:plasma" that is
        saved.
    enzyme_half_lives : mapping, h, optional
        Such as ``{"CYP3A4.liver": 36}``, instead of the table.
    absorption : mapping, optional
        Name of a compound -> model of the gut for its oral doses, as in :func:`simulate`; others
        are absorbed by first order.
    partition_method, hepatic_model, backend, options
        As in :func:`simulate`.
    sensitivities, raise_on_failure, progress
        As in :func:`simulate`.

    Returns
    -------
    xarray.Dataset
        Schema ``simulation``; compartments have names such as ``midazolam:plasma``.

    Raises
    ------
    InputError and its kin
        Anything that cannot be used, before any integration starts; steady-state records.

    Warns
    -----
    NoEffectWarning
        Effects and metabolites of a name that no compound here has (with the nearest names); a
        compound with effects that concern none of the others; half-lives, phenotypes or gut
        models that change nothing.
    """
    pairs = [(as_compound(c), None if r is None else as_regimen(r)) for c, r in _pairs(compounds)]
    enzyme_half_lives = check_mapping(
        "enzyme_half_lives", enzyme_half_lives, "a mapping: 'CYP3A4.liver' -> [h]"
    )
    absorption = check_mapping("absorption", absorption, "a mapping: compound -> GutAbsorption")
    for name, gut in absorption.items():
        check_kind(f"absorption[{name!r}]", gut, GutAbsorption, "GutAbsorption(...)")
    people = people_of(population)
    if not _effects_checked.get():
        warn_of_strangers([c for c, _ in pairs], str(people["species"].values[0]))
    system = interacting_system(
        [c for c, _ in pairs],
        people,
        enzyme_half_lives=enzyme_half_lives,
        partition_method=partition_method,
        hepatic_model=hepatic_model,
        absorption=absorption,
    )
    if (change := _change.get()) is not None:
        system = change(system)
    doses = RunDoses(
        _regimen_of_all(pairs, absorption),
        [(c.name, regimen) for c, regimen in pairs if regimen is not None],
        people["body_weight"].values,
    )
    settings = RunSettings(
        compartments, areas, backend, options, sensitivities, raise_on_failure, progress
    )
    attributes = {
        "population_seed": people.attrs.get("seed"),
        "variability": "none",
        **warn_of_phenotypes([c for c, _ in pairs], people),
    }
    return run_system(system, doses, times, settings, attributes, people)


def interaction(
    victim: tuple[Compound | str, Any] | CompoundRegimens,
    perpetrators: CompoundRegimens,
    population: xr.Dataset | None = None,
    *,
    victim_time: float = 0.0,
    duration: float = 96.0,
    compartment: str = "plasma",
    extrapolate: bool = True,
    **options: Any,
) -> xr.Dataset:
    """AUC and Cmax of a drug with others over those of the drug alone, in every person.

    >>> import pbpk_hybrid as ph
    >>> inhibits = [{"enzyme": "CYP3A4", "kind": "competitive", "ki": "1 uM"}]
    >>> inhibitor = ph.get_compound("cimetidine").replace(name="inhibitor", enzyme_effects=inhibits)
    >>> victim = ("midazolam", "7.5 mg oral")
    >>> found = ph.interaction(victim, {inhibitor: "400 mg oral"}, victim_time=2)
    >>> bool(found["auc_ratio"][0] > 1)
    True

    Parameters
    ----------
    victim : tuple
        (compound or its name, regimen that starts at 0 h).
    perpetrators : mapping or sequence of pairs
        Compound, or its name, -> regimen, as in :func:`simulate_together`; None for metabolites.
    population : xarray.Dataset, optional
        Physiology Dataset; None: the reference human.
    victim_time : float, h
        Start of the victim's regimen after the first dose of the perpetrators.
    duration : float, h
        Length of the victim's curve.
    compartment : str
        Compartment of the victim whose concentration is compared.
    extrapolate : bool
        Add C_last/lambda_z to both AUCs, with lambda_z from the last two times.
    **options
        Passed to :func:`simulate_together`.

    Returns
    -------
    xarray.Dataset
        Over subject: ``auc_alone``, ``auc_together`` [mg*h/L], ``auc_ratio``, ``cmax_alone``,
        ``cmax_together`` [mg/L], ``cmax_ratio``, and ``extrapolated``, the larger of the two
        fractions of AUC beyond `duration`.

    Raises
    ------
    InputError
        A time or duration that cannot be used; as :func:`simulate_together`.

    Warns
    -----
    NoEffectWarning
        A perpetrator that does not affect the victim, with the pathways and effects of both.
    """
    from ..physiology import check_physiology

    pairs = _pairs([victim] if isinstance(victim, tuple) else victim)
    if len(pairs) != 1:
        raise InputError("victim", [str(c) for c, _ in pairs], "one compound with its regimen")
    victim_time = quantity(victim_time, "h", "victim_time", minimum=0)
    duration = quantity(duration, "h", "duration", positive=True)
    check_kind("compartment", compartment, str, "the name of a compartment of the victim")
    check_kind("extrapolate", extrapolate, (bool, np.bool_), "True or False")
    drug, regimen = as_compound(pairs[0][0]), as_regimen(pairs[0][1]).shift(victim_time)
    # dense after the dose (geometric) and even later on, with both ends exact
    clock = np.unique(
        np.r_[0.0, np.geomspace(duration * 1e-4, duration, 240), np.linspace(0.0, duration, 97)]
    )
    times = np.unique(np.r_[0.0, victim_time + clock])
    name = f"{drug.name}:{compartment}"
    for key in options:
        check_choice(key, key, _OPTIONS, what="an option of interaction")
    gut = check_mapping(
        "absorption", options.pop("absorption", None), "a mapping: compound -> GutAbsorption"
    )
    compounds = [drug, *(as_compound(c) for c, _ in _pairs(perpetrators))]
    if population is not None:
        population = check_physiology(population)
    species = "human" if population is None else str(population["species"].values[0])
    warn_of_strangers(compounds, species, drug.name)
    runs = []
    for others in ([], _pairs(perpetrators)):
        given = [(drug, regimen), *others]
        # the victim alone needs no gut models of the others
        present = set(gut) if others else {drug.name}
        own = {compound: model for compound, model in gut.items() if compound in present}
        kept = {"compartments": [name], "areas": [name], "absorption": own}
        runs.append(_simulate_checked(given, population, times, **kept, **options))
    alone, both = (_exposure(run, times >= victim_time, clock, extrapolate) for run in runs)
    return _ratios(alone, both, runs[-1], drug.name, victim_time)


def _simulate_checked(*arguments: Any, **options: Any) -> xr.Dataset:
    """:func:`simulate_together` without the warnings that `interaction` has given already."""
    token = _effects_checked.set(True)
    try:
        return simulate_together(*arguments, **options)
    finally:
        _effects_checked.reset(token)


def changed_interaction(
    change: Callable[[System], System] | None, *arguments: Any, **options: Any
) -> xr.Dataset:
    """:func:`interaction` of systems that `change` has had in its hands."""
    token = _change.set(change)
    try:
        return interaction(*arguments, **options)
    finally:
        _change.reset(token)


@dataclass(frozen=True, eq=False)
class _Exposure:
    """Exposure to the victim, (n_subjects,) each: AUC, its part beyond the last time, Cmax."""

    auc: np.ndarray
    tail: np.ndarray
    cmax: np.ndarray


def _exposure(
    run: xr.Dataset, counted: np.ndarray, clock: np.ndarray, extrapolate: bool
) -> _Exposure:
    """Exposure over the `counted` times of a run, which are `clock` [h] after the victim's dose."""
    curve = run["concentration"].values[:, counted, 0]  # (subject, time)
    area = run["cumulative_auc"].values[:, counted, 0]  # (subject, time)
    auc, tail = _extrapolated(clock, curve, area[:, -1] - area[:, 0], extrapolate)
    return _Exposure(auc, tail, curve.max(axis=1))


def _ratios(
    alone: _Exposure, both: _Exposure, run: xr.Dataset, victim: str, victim_time: float
) -> xr.Dataset:
    """AUC and Cmax with the other compounds over those alone."""
    per_subject = {
        "auc_alone": (alone.auc, "mg*h/L"),
        "auc_together": (both.auc, "mg*h/L"),
        "auc_ratio": (both.auc / alone.auc, "1"),
        "cmax_alone": (alone.cmax, "mg/L"),
        "cmax_together": (both.cmax, "mg/L"),
        "cmax_ratio": (both.cmax / alone.cmax, "1"),
        "extrapolated": (np.maximum(alone.tail / alone.auc, both.tail / both.auc), "1"),
    }
    return xr.Dataset(
        {
            name: ("subject", values, {"units": unit, "long_name": name.replace("_", " ")})
            for name, (values, unit) in per_subject.items()
        },
        {"subject": run["subject"].values},
        attrs=provenance(
            victim=victim,
            victim_time=victim_time,
            compounds=run.attrs["compounds"],
            enzymes=run.attrs["enzymes"],
            schema_version=schemas.SCHEMA_VERSION,
        ),
    )


def _extrapolated(
    t: np.ndarray, c: np.ndarray, area: np.ndarray, extrapolate: bool
) -> tuple[np.ndarray, np.ndarray]:
    """AUC to infinity and its part beyond the last time, (n_subjects,) each.

    `area` is what the integrator found up to the last time. The terminal slope is that of the
    last two points, which lie on the curve: there is no scatter for a regression to average.
    """
    tail = np.zeros(len(c))
    if extrapolate:
        with np.errstate(divide="ignore", invalid="ignore"):
            tail = c[:, -1] * (t[-1] - t[-2]) / np.log(c[:, -2] / c[:, -1])
        tail = np.where(np.isfinite(tail) & (tail > 0), tail, 0.0)
    return area + tail, tail


def _pairs(given: CompoundRegimens) -> list[tuple[Any, Any]]:
    known = isinstance(given, (Mapping, list, tuple))
    pairs = list(given.items() if isinstance(given, Mapping) else given) if known else [None]
    if any(not isinstance(p, tuple) or len(p) != 2 for p in pairs):
        raise InputError(
            "compounds", given, "a mapping of compounds to regimens, or (compound, regimen) pairs"
        )
    return pairs


def _regimen_of_all(
    pairs: Sequence[tuple[Compound, Regimen | None]], absorption: Mapping[str, GutAbsorption] | None
) -> Regimen:
    """The doses of all compounds in one regimen, each sent to the states of its compound."""
    regimen = Regimen.empty()
    for compound, doses in pairs:
        if doses is None:
            continue
        gut = (absorption or {}).get(compound.name)
        if gut is not None:
            warn_of_idle_gut(doses, compound.name)
        regimen = regimen + _addressed(doses, compound, gut)
    return regimen


def _refuse_steady_state(regimen: Regimen, compound: Compound) -> None:
    """Refuse steady-state records, with a number of doses that comes close to steady state."""
    c = regimen.columns
    steady = np.flatnonzero(c["steady_state"] != 0)
    if not steady.size:
        return
    every = float(c["interdose_interval"][steady[0]])
    hint = "give the doses before it one by one, until concentrations and enzymes no longer change"
    if every > 0:  # half-lives of enzymes are a day and more
        count = int(np.ceil(_SETTLED / every)) + 1
        hint += f": e.g. 'q{every:g}h x{count}', and use the interval after the last"
    raise InputError(
        "regimen",
        str(regimen),
        "doses, not steady-state records: compounds that change each other's "
        "enzymes have no steady state of their own",
        subject=compound.name,
        hint=hint,
    )


def _addressed(regimen: Regimen, compound: Compound, gut: GutAbsorption | None) -> Regimen:
    """The regimen as its formulation releases it, sent to the states of this compound.

    The compound's lag time is added to oral doses.
    """
    _refuse_steady_state(regimen, compound)
    if gut is not None:
        regimen = gut.release(regimen)
    c = regimen.columns
    if np.any(c["evid"] >= 3):
        raise InputError(
            "regimen",
            str(regimen),
            "doses, no resets: they would reset every compound",
            subject=compound.name,
        )
    target = np.where(c["compartment"] != "", c["compartment"], c["route"])
    if (
        np.any((c["evid"] == 1) & (c["route"] == "oral"))
        and compound.absorption_rate is None
        and gut is None
    ):
        raise InputError(
            "absorption_rate", None, "a number > 0 [1/h] for oral doses", subject=compound.name
        )
    lag = compound.absorption_lag_time or 0.0
    lags = np.where((c["route"] == "oral") & (c["lag_time"] == 0), lag, c["lag_time"])
    sent = np.array([f"{compound.name}:{p}" if p else "" for p in target], dtype=object)
    return Regimen(
        {
            **c,
            "compartment": sent.astype(
                c["compartment"].dtype if c["compartment"].dtype == object else str
            ),
            "lag_time": lags,
        },
        span=regimen.span,
    )


__all__ = ["changed_interaction", "interaction", "simulate_together"]
