"""Which drug changes which: victims by perpetrators, with what is uncertain about constants."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from .._core import schemas
from .._core.arguments import check_kind
from .._core.errors import InputError, NoEffectWarning, OutOfRangeWarning
from .._core.provenance import provenance
from .._core.random import generator
from .._core.units import quantity
from ..compounds import Compound
from ..compounds.conversion import as_compound
from ..compounds.curated import curated_names
from ..compounds.database import get_compound
from ..compounds.usual_doses import usual_doses
from ..dosing import Regimen
from ..dosing.conversion import as_regimen
from ..models.small_molecules.disposition import resolve_disposition
from ..models.small_molecules.links import acts_on
from ..solvers.doses import last_dose_time
from .constants import ConstantSpread, Drawn, as_spread, shifted
from .interactions import changed_interaction, simulate_together
from .parameters import people_of
from .static_interaction import Perpetrator, static_ratio

#: an AUC of which more than this lies beyond the simulated time is warned of
_MOST_EXTRAPOLATED = 0.2


@dataclass(frozen=True, eq=False)
class _Victim:
    """A drug whose exposure is asked for."""

    compound: Compound
    regimen: Regimen
    text: str


@dataclass(frozen=True, eq=False)
class _Column:
    """What is given beside the victims: one perpetrator, or several together."""

    label: str
    members: tuple[tuple[Compound, Regimen | None], ...]  # None: a metabolite
    text: str
    victim_time: float  # [h]

    @property
    def compounds(self) -> list[Compound]:
        return [compound for compound, _ in self.members]


def interactions(
    victims: Any,
    perpetrators: Any,
    population: xr.Dataset | None = None,
    *,
    together: bool = False,
    delays: Sequence[float] = (0.0,),
    victim_time: float | None = None,
    duration: float = 96.0,
    variability: bool | str = "default",
    constants: ConstantSpread | str | None = "default",
    draws: int = 100,
    seed: int | None = None,
    **options: Any,
) -> xr.Dataset:
    """Does drug A change drug B? AUC and Cmax ratios of victims by perpetrators.

    Every pair is simulated in every person, with the perpetrator and without. Beside these ratios
    stand those of one person with constants drawn from what is uncertain about Ki, KI, EC50 and the
    share of the enzyme, and the ratio of the mechanistic static model. Draw with
    :func:`pbpk_hybrid.plots.forest_plot`; :func:`pbpk_hybrid.results.ratio_table` makes one row of
    each.

    >>> import pbpk_hybrid as ph
    >>> found = ph.interactions("midazolam", ["itraconazole", "fluconazole"], draws=10, seed=1)
    >>> found["auc_ratio"].dims
    ('victim', 'perpetrator', 'delay', 'subject')
    >>> bool((found["auc_ratio"] > 1.25).all())
    True

    Parameters
    ----------
    victims : str, Compound, sequence of them or mapping to regimens
        Drugs whose exposure is asked for. One without a regimen is given as in published studies of
        interactions, where one is known (attribute ``victim_dose`` says how).
    perpetrators : str, Compound, sequence of them or mapping to regimens
        One column each. Metabolites that the library knows to act on enzymes are followed with
        them.
    population : xarray.Dataset, optional
        Physiology Dataset of people; None: the reference human.
    together : bool
        One column in which all perpetrators are given at once.
    delays : sequence of float
        [h] by which the victim is given later (earlier, below 0): staggered doses.
    victim_time : float, optional
        [h] after the first dose of the perpetrators; None: as in the study whose regimen is taken,
        else with the last dose.
    duration : float
        [h] of the victim's curve that is simulated; the rest of its AUC is extrapolated.
    variability : bool or "default"
        Whether the activity of enzymes differs between people, by the coefficient of variation of
        :func:`pbpk_hybrid.with_enzymes`; "default": in people drawn at random whose enzymes are not
        given.
    constants : ConstantSpread, "default" or None
        Spread of the constants: that which the package's comparison with published ratios found;
        None: none, and no draws.
    draws : int
        Number of draws of the constants.
    seed : int, optional
        Of the draws; None: a new one, in the attributes.
    **options
        As :func:`pbpk_hybrid.interaction`: ``absorption``, ``enzyme_half_lives`` and so on.

    Returns
    -------
    xarray.Dataset
        ``auc_ratio``, ``cmax_ratio`` (victim, perpetrator, delay, subject): with over without;
        ``auc_ratio_drawn``, ``cmax_ratio_drawn`` (victim, perpetrator, delay, draw) of the person
        whose ratio is the median, relative to his own with the constants as they are;
        ``auc_ratio_static`` (victim, perpetrator) of that kind of model in the reference person;
        ``linked`` (victim, perpetrator): whether the perpetrator reaches the victim at all;
        ``extrapolated``: share of the AUC beyond `duration` in the median person; doses as text.

    Raises
    ------
    InputError, UnknownNameError
        A drug without a usual dose that is given none; a drug that is its own perpetrator; numbers
        that make no sense; as :func:`pbpk_hybrid.interaction`.

    Warns
    -----
    NoEffectWarning
        Perpetrators that have nothing to do with a victim as far as both files know, all in one
        warning; their ratio is missing.
    OutOfRangeWarning
        More than a fifth of the AUC is extrapolated in the median person.
    """
    duration = quantity(duration, "h", "duration", positive=True)
    check_kind("together", together, (bool, np.bool_), "True or False")
    waits = _waits(delays)
    spread = as_spread(constants)
    count = _count(draws) if spread is not None else 0
    seed_used = generator(seed)[1]
    rows = _victims(victims)
    columns = _columns(perpetrators, together, victim_time, duration, waits)
    _refuse_same(rows, columns)
    people = people_of(population)
    people = _with_enzymes(people, variability, seed_used)
    cells = {}
    with _once():
        for row in rows:
            for column in columns:
                for wait in waits:
                    cell = _Cell(row, column, column.victim_time + wait, duration, options)
                    key = (row.compound.name, column.label, wait)
                    cells[key] = cell.ratios(people, spread, count, seed_used)
        static = _static(rows, columns, duration, spread, options)
    found = _dataset(rows, columns, waits, people, count, cells)
    found["auc_ratio_static"] = (
        ("victim", "perpetrator"),
        static,
        {"units": "1", "long_name": "AUC ratio, mechanistic static model"},
    )
    _warn(found)
    return found.assign_attrs(
        provenance(
            constants="none" if spread is None else str(spread),
            draws=count,
            seed=seed_used,
            duration=duration,
            population_seed=people.attrs.get("seed"),
            schema_version=schemas.SCHEMA_VERSION,
        )
    )


# ---- what was asked for --------------------------------------------------------------------------


def _listed(field: str, given: Any) -> list[tuple[Compound, Any]]:
    """(compound, regimen or None) of what a user gives."""
    if isinstance(given, (str, Compound)):
        given = [given]
    if isinstance(given, Mapping):
        items = list(given.items())
    elif isinstance(given, Sequence):
        # a pair that names its regimen, as `interaction` takes it
        items = [x if isinstance(x, tuple) and len(x) == 2 else (x, None) for x in given]
    else:
        raise InputError(field, given, "names of drugs, Compounds, or a mapping to regimens")
    if not items:
        raise InputError(field, given, "at least one drug")
    out = [(as_compound(c), r) for c, r in items]
    names = [c.name for c, _ in out]
    if len(set(names)) < len(names):
        raise InputError(field, names, "each drug once")
    return out


def _victims(given: Any) -> list[_Victim]:
    out = []
    for compound, regimen in _listed("victims", given):
        if regimen is None:
            usual = usual_doses().get(compound.name)
            if usual is None or usual.victim is None:
                raise _no_dose("victims", compound, "victim")
            regimen = usual.victim
        out.append(_Victim(compound, as_regimen(regimen), _text(regimen)))
    return out


def _columns(
    given: Any, together: bool, victim_time: Any, duration: float, waits: tuple[float, ...]
) -> list[_Column]:
    asked = None if victim_time is None else quantity(victim_time, "h", "victim_time", minimum=0)
    single = [
        _column(compound, regimen, asked, duration + max(0.0, *waits))
        for compound, regimen in _listed("perpetrators", given)
    ]
    if together and len(single) > 1:
        members: dict[str, tuple[Compound, Regimen | None]] = {}
        for column in single:
            for compound, regimen in column.members:
                if members.get(compound.name, (None, None))[1] is None:
                    members[compound.name] = (compound, regimen)
        label = " + ".join(c.label for c in single)
        when = max(c.victim_time for c in single)
        single = [_Column(label, tuple(members.values()), "; ".join(c.text for c in single), when)]
    for column in single:
        if column.victim_time + min(waits) < 0:
            raise InputError(
                "delays",
                min(waits),
                f"delays of at least {-column.victim_time:g} h",
                hint="the victim would be given before the simulation starts; give a later "
                "victim_time",
            )
    return single


def _column(compound: Compound, regimen: Any, asked: float | None, after: float) -> _Column:
    when = asked
    if regimen is None:
        usual = usual_doses().get(compound.name)
        if usual is None or usual.perpetrator is None:
            raise _no_dose("perpetrators", compound, "perpetrator")
        when = usual.victim_time if asked is None else asked
        regimen = usual.perpetrator_until(when + after)  # on while the victim is there
    parsed = as_regimen(regimen)
    if when is None:
        when = last_dose_time(parsed)
    members = [(compound, parsed), *((m, None) for m in _metabolites(compound))]
    return _Column(compound.name, tuple(members), _text(regimen), float(when))


def _metabolites(compound: Compound) -> list[Compound]:
    """Metabolites in the library that act on enzymes or transporters."""
    names = dict.fromkeys(m.metabolite for m in compound.metabolism if m.metabolite)
    known = [get_compound(n, collection="curated") for n in names if n in curated_names()]
    return [m for m in known if m.enzyme_effects]


def _refuse_same(rows: Sequence[_Victim], columns: Sequence[_Column]) -> None:
    for row in rows:
        for column in columns:
            if row.compound.name in [c.name for c in column.compounds]:
                raise InputError(
                    "perpetrators",
                    row.compound.name,
                    "drugs other than the victims",
                    hint="what a drug does to itself shows in repeated doses of it alone",
                )


def _no_dose(field: str, compound: Compound, role: str) -> InputError:
    known = sorted(n for n, u in usual_doses().items() if getattr(u, role) is not None)
    return InputError(
        f"{field}[{compound.name!r}]",
        None,
        "a regimen, such as '100 mg oral q24h x5'",
        hint=f"usual doses as a {role} are known of {', '.join(known)}",
    )


def _text(regimen: Any) -> str:
    return regimen if isinstance(regimen, str) else str(as_regimen(regimen))


def _waits(delays: Any) -> tuple[float, ...]:
    values = [delays] if np.ndim(delays) == 0 else list(delays)
    if not values:
        raise InputError("delays", delays, "at least one delay [h]")
    found = tuple(quantity(v, "h", "delays") for v in values)
    if len(set(found)) < len(found):
        raise InputError("delays", list(found), "each delay once")
    return found


def _with_enzymes(people: xr.Dataset, variability: Any, seed: int) -> xr.Dataset:
    """People whose enzymes differ, where that is wanted."""
    from ..physiology import with_enzymes
    from ..physiology.conditions.enzymes import VARIATION

    if not isinstance(variability, (bool, np.bool_)) and variability != "default":
        raise InputError("variability", variability, "'default', True or False")
    given = "enzyme_activity" in people
    drawn = people.attrs.get("seed") is not None
    if not variability or (variability == "default" and (given or not drawn)):
        return people
    own = people.attrs.get("seed")
    return with_enzymes(
        people, by_age=False, variation=VARIATION, seed=seed if own is None else own
    )


def _count(draws: Any) -> int:
    whole = isinstance(draws, (int, np.integer)) and not isinstance(draws, bool)
    if not whole or not 1 <= draws <= 100_000:
        raise InputError("draws", draws, "a whole number from 1 to 100,000")
    return int(draws)


# ---- one pair ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Ratios:
    """Ratios of one pair: (n_subjects,), (n_draws,), and whether there is a link."""

    auc: np.ndarray
    cmax: np.ndarray
    auc_drawn: np.ndarray
    cmax_drawn: np.ndarray
    extrapolated: float
    linked: bool


@dataclass(frozen=True, eq=False)
class _Cell:
    """A victim with a column of perpetrators."""

    victim: _Victim
    column: _Column
    victim_time: float
    duration: float
    options: Mapping[str, Any]

    @property
    def linked(self) -> bool:
        return _reaches(self.column.compounds, self.victim.compound)

    def ratios(
        self, people: xr.Dataset, spread: ConstantSpread | None, draws: int, seed: int
    ) -> _Ratios:
        """The ratios of everybody, and of one person with drawn constants."""
        if not self.linked:
            nothing, n = np.full(people.sizes["subject"], np.nan), np.full(draws, np.nan)
            return _Ratios(nothing, nothing.copy(), n, n.copy(), 0.0, False)
        found = self._run(people, None if spread is None else self._drawn(spread, 0, seed))
        auc, cmax = found["auc_ratio"].values, found["cmax_ratio"].values
        extrapolated = float(np.nanmedian(found["extrapolated"].values))
        if draws == 0:
            none = np.empty(0)
            return _Ratios(auc, cmax, none, none.copy(), extrapolated, True)
        typical = int(np.argsort(auc)[len(auc) // 2])
        copies = people.isel(subject=np.full(draws + 1, typical))
        copies = copies.assign_coords(subject=np.arange(draws + 1))
        drawn = self._run(copies, self._drawn(spread, draws, seed))
        relative = [drawn[v].values[1:] / drawn[v].values[0] for v in ("auc_ratio", "cmax_ratio")]
        return _Ratios(auc, cmax, *relative, extrapolated, True)

    def _drawn(self, spread: ConstantSpread, draws: int, seed: int) -> Drawn:
        drug = self.victim.compound.for_species("human")
        effects = {
            f"{c.name}:": tuple((e.enzyme, e.kind) for e in c.for_species("human").enzyme_effects)
            for c in self.column.compounds
        }
        pathways = {f"{drug.name}:": tuple(m.organ for m in drug.metabolism)}
        return Drawn(spread, effects, pathways, draws, seed)

    def _run(self, people: xr.Dataset, change: Drawn | None) -> xr.Dataset:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NoEffectWarning)  # said once, for the whole matrix
            return changed_interaction(
                change,
                (self.victim.compound, self.victim.regimen),
                list(self.column.members),
                people,
                victim_time=self.victim_time,
                duration=self.duration,
                **self.options,
            )


def _reaches(sources: Sequence[Compound], victim: Compound) -> bool:
    target = victim.for_species("human")
    return any(acts_on(source.for_species("human"), target) for source in sources)


# ---- all pairs -----------------------------------------------------------------------------------


def _dataset(rows, columns, waits, people: xr.Dataset, draws: int, cells) -> xr.Dataset:
    names = [row.compound.name for row in rows], [column.label for column in columns]
    gather = lambda part: np.array(
        [[[getattr(cells[v, p, w], part) for w in waits] for p in names[1]] for v in names[0]]
    )
    dims, one = ("victim", "perpetrator", "delay"), {"units": "1"}
    return xr.Dataset(
        {
            "auc_ratio": ((*dims, "subject"), gather("auc"), {**one, "long_name": "AUC ratio"}),
            "cmax_ratio": ((*dims, "subject"), gather("cmax"), {**one, "long_name": "Cmax ratio"}),
            "auc_ratio_drawn": (
                (*dims, "draw"),
                gather("auc_drawn").reshape(len(rows), len(columns), len(waits), draws),
                {**one, "long_name": "AUC ratio with drawn constants, relative"},
            ),
            "cmax_ratio_drawn": (
                (*dims, "draw"),
                gather("cmax_drawn").reshape(len(rows), len(columns), len(waits), draws),
                {**one, "long_name": "Cmax ratio with drawn constants, relative"},
            ),
            "extrapolated": (dims, gather("extrapolated"), {**one, "long_name": "beyond duration"}),
            "linked": (dims[:2], gather("linked")[:, :, 0]),
            "victim_dose": ("victim", [row.text for row in rows]),
            "perpetrator_dose": ("perpetrator", [column.text for column in columns]),
            "victim_time": (
                "perpetrator",
                [column.victim_time for column in columns],
                {"units": "h", "long_name": "time of the victim without delay"},
            ),
        },
        {
            "victim": names[0],
            "perpetrator": names[1],
            "delay": ("delay", np.array(waits), {"units": "h"}),
            "subject": people["subject"].values,
        },
    )


@contextlib.contextmanager
def _once() -> Iterator[None]:
    """Warnings of the block, each once: a perpetrator is simulated for every victim."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for kind, text in dict.fromkeys((w.category, str(w.message)) for w in caught):
        warnings.warn(text, kind, stacklevel=4)


def _static(
    rows, columns, duration: float, spread: ConstantSpread | None, options: Mapping[str, Any]
) -> np.ndarray:
    """(victim, perpetrator) ratios of the static model in the reference human."""
    from ..physiology.individual import standard_individual

    person = standard_individual("human")
    half_lives = dict(options.get("enzyme_half_lives") or {})
    out = np.full((len(rows), len(columns)), np.nan)
    for j, column in enumerate(columns):
        perpetrators = _static_perpetrators(column, duration, spread)
        for i, row in enumerate(rows):
            if _reaches(column.compounds, row.compound):
                oral = bool(np.any(row.regimen.columns["route"] == "oral"))
                victim = resolve_disposition(row.compound, person)
                out[i, j] = static_ratio(victim, oral, perpetrators, half_lives)
    return out


def _static_perpetrators(
    column: _Column, duration: float, spread: ConstantSpread | None
) -> list[Perpetrator]:
    """Each with its largest plasma concentration beside the victim, constants shifted."""
    times = np.linspace(0.0, column.victim_time + duration, 600)
    names = [f"{c.name}:plasma" for c in column.compounds]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoEffectWarning)
        run = simulate_together(list(column.members), None, times, compartments=names, areas=[])
    late = times >= min(column.victim_time, times[-2])
    peak = run["concentration"].values[0, late].max(axis=0)
    return [
        Perpetrator(shifted(compound.for_species("human"), spread), float(cmax), *_dose_of(regimen))
        for (compound, regimen), cmax in zip(column.members, peak, strict=True)
    ]


def _dose_of(regimen: Regimen | None) -> tuple[float, bool]:
    """Largest dose [mg] and whether it is swallowed."""
    if regimen is None or not len(regimen):
        return 0.0, False
    c = regimen.columns
    return float(np.max(c["amount"])), bool(np.any(c["route"] == "oral"))


def _warn(found: xr.Dataset) -> None:
    idle = [
        f"{p} on {v}"
        for v in found["victim"].values
        for p in found["perpetrator"].values
        if not bool(found["linked"].sel(victim=v, perpetrator=p))
    ]
    if idle:
        warnings.warn(
            f"no ratio of {', '.join(idle)}: the perpetrator has no effect on an enzyme or "
            "transporter that the victim names; whether there is none or nobody entered it the "
            "files do not say",
            NoEffectWarning,
            stacklevel=3,
        )
    most = float(found["extrapolated"].max())
    if most > _MOST_EXTRAPOLATED:
        warnings.warn(
            f"{100 * most:.0f} % of the AUC lies beyond the simulated time in the median person "
            "and was extrapolated; give a longer `duration`",
            OutOfRangeWarning,
            stacklevel=3,
        )


__all__ = ["interactions"]
