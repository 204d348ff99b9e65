"""Exposure of special populations relative to a reference population."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from .._core import schemas
from .._core.errors import InputError, NoEffectWarning, unknown_name
from .._core.provenance import provenance
from .._core.random import check_seed, generator, stream
from ..compounds import Compound
from ..compounds.conversion import as_compound
from ..dosing import Regimen
from ..dosing.conversion import as_regimen
from .single import simulate

#: ages [year] of the usual bands of labels, and weeks of pregnancy in the middle of each trimester
ADULTS, ELDERLY = (20, 50), (65, 79)
CHILDREN = {"2 to 5 years": (2, 6), "6 to 11 years": (6, 12), "12 to 17 years": (12, 17.9)}
TRIMESTERS = {"first trimester": 7.0, "second trimester": 20.0, "third trimester": 33.0}
_BOOTSTRAP = 500


@dataclass(frozen=True, eq=False)
class _Scenario:
    """A population to compare, and whether its people are the reference's own, one by one."""

    name: str
    group: str
    people: xr.Dataset
    reference: xr.Dataset | None = None  # None: the common one
    paired: bool = False


def exposure_ratios(
    drug: Compound | str,
    regimen: Regimen | xr.Dataset | str,
    scenarios: Iterable[str] | Mapping[str, xr.Dataset] | str | None = None,
    *,
    reference: xr.Dataset | None = None,
    n: int = 50,
    seed: int | None = None,
    compartment: str = "plasma",
    **options: Any,
) -> xr.Dataset:
    """AUC and Cmax of special populations over those of a reference population.

    Draw with :func:`pbpk_hybrid.plots.forest_plot`; :func:`pbpk_hybrid.results.ratio_table` makes
    one row of each. What changes is the body: GFR, liver, enzymes, organs. Binding to plasma
    proteins stays.

    >>> import pbpk_hybrid as ph
    >>> impaired = ["severe renal impairment"]
    >>> found = ph.exposure_ratios("metformin", "500 mg oral", impaired, n=5, seed=1)
    >>> bool((found["auc_ratio"] > 1.5).all())
    True

    Parameters
    ----------
    drug : Compound or str
        The drug, or its name.
    regimen : Regimen, xarray.Dataset or str
        The same for everybody; give doses per kg where children are among the scenarios.
    scenarios : names or a mapping, optional
        Names of :func:`scenario_names`; or name -> physiology Dataset of people of your own; None:
        all that concern adults, and the phenotypes of the drug's enzymes.
    reference : xarray.Dataset, optional
        Physiology Dataset; None: `n` adults of 20 to 50 years.
    n : int
        People drawn for each population that is not given.
    seed : int, optional
        Of the people and of their variability; None: a new one, in the attributes.
    compartment : str
        Whose concentration counts.
    **options
        As :func:`pbpk_hybrid.simulate`: ``clearance``, ``distribution``, ``backend`` and so on.

    Returns
    -------
    xarray.Dataset
        ``auc_ratio``, ``cmax_ratio`` (scenario, subject): of impairment and phenotypes person by
        person, each over himself without it; of other people over the geometric mean of the
        reference. ``auc_ratio_drawn``, ``cmax_ratio_drawn`` (scenario, draw): geometric means of
        the people drawn again with replacement. AUC is that of the whole regimen to infinity.
        ``group`` of each scenario.

    Raises
    ------
    InputError, UnknownNameError
        A scenario that does not exist; children without doses per kg; a phenotype of an enzyme that
        the drug does not name; as :func:`pbpk_hybrid.simulate`.
    """
    from ..physiology import check_physiology, sample_population

    compound, dose = as_compound(drug), as_regimen(regimen)
    check_seed(seed)
    seed_used = generator(seed)[1]
    count = _count(n)
    _refuse_options(options)
    adults = (
        sample_population(count, seed=seed_used, age=ADULTS)
        if reference is None
        else check_physiology(reference)
    )
    chosen = _scenarios(scenarios, compound, adults, count, seed_used)
    _refuse_animals(adults, chosen)
    _refuse_children(chosen, dose)
    run = _Run(compound, dose, compartment, seed_used, options)
    common = run.exposure(adults)
    rows = [_ratios(run, scenario, common, seed_used, i) for i, scenario in enumerate(chosen)]
    return _dataset(chosen, rows, compound, dose, seed_used, compartment)


def scenario_names(drug: Compound | str | None = None) -> tuple[str, ...]:
    """Names that :func:`exposure_ratios` knows: those of phenotypes for the enzymes of `drug`."""
    compound = None if drug is None else as_compound(drug)
    return tuple(_known(compound))


# ---- populations ---------------------------------------------------------------------------------


def _known(compound: Compound | None) -> dict[str, tuple[str, Callable[..., _Scenario]]]:
    """Name -> (group, maker) of every scenario."""
    from ..physiology.conditions.disease import CIRRHOSIS, RENAL_STAGES
    from ..physiology.conditions.enzymes import PHENOTYPES

    known: dict[str, tuple[str, Callable[..., _Scenario]]] = {}
    for stage in RENAL_STAGES:
        name = "kidney failure" if stage == "failure" else f"{stage} renal impairment"
        known[name] = ("kidney", _renal(stage))
    for grade in CIRRHOSIS:
        known[f"cirrhosis, Child-Pugh {grade}"] = ("liver", _hepatic(grade))
    known["65 to 79 years"] = ("age", _aged(ELDERLY))
    for name, ages in CHILDREN.items():
        known[name] = ("age", _aged(ages))
    for name, weeks in TRIMESTERS.items():
        known[name] = ("pregnancy", _pregnant(weeks))
    enzymes = {m.enzyme for m in compound.metabolism} if compound is not None else ()
    for enzyme in sorted(set(enzymes) & set(PHENOTYPES)):
        for phenotype in PHENOTYPES[enzyme]:
            if phenotype != "normal":
                known[f"{enzyme} {phenotype}"] = ("phenotype", _phenotype(enzyme, phenotype))
    return known


def _renal(stage: str) -> Callable[..., _Scenario]:
    def make(name: str, group: str, adults: xr.Dataset, n: int, seed: int) -> _Scenario:
        from ..physiology import with_renal_impairment

        with warnings.catch_warnings():
            # a person who has less already is as impaired as that
            warnings.simplefilter("ignore", NoEffectWarning)
            people = with_renal_impairment(adults, stage)
        return _Scenario(name, group, people, paired=True)

    return make


def _hepatic(grade: str) -> Callable[..., _Scenario]:
    def make(name: str, group: str, adults: xr.Dataset, n: int, seed: int) -> _Scenario:
        from ..physiology import with_hepatic_impairment

        return _Scenario(name, group, with_hepatic_impairment(adults, grade), paired=True)

    return make


def _phenotype(enzyme: str, phenotype: str) -> Callable[..., _Scenario]:
    def make(name: str, group: str, adults: xr.Dataset, n: int, seed: int) -> _Scenario:
        from ..physiology import with_enzymes

        people = with_enzymes(adults, by_age=False, phenotypes={enzyme: phenotype})
        return _Scenario(name, group, people, paired=True)

    return make


def _aged(ages: tuple[float, float]) -> Callable[..., _Scenario]:
    def make(name: str, group: str, adults: xr.Dataset, n: int, seed: int) -> _Scenario:
        from ..physiology import sample_population

        return _Scenario(name, group, sample_population(n, seed=seed, age=ages))

    return make


def _pregnant(weeks: float) -> Callable[..., _Scenario]:
    def make(name: str, group: str, adults: xr.Dataset, n: int, seed: int) -> _Scenario:
        from ..physiology import reference_individual, reference_pregnancy

        woman = reference_individual("human", sex="female")
        return _Scenario(name, group, reference_pregnancy(weeks), reference=woman, paired=True)

    return make


def _scenarios(
    given: Any, compound: Compound, adults: xr.Dataset, n: int, seed: int
) -> list[_Scenario]:
    from ..physiology import check_physiology

    if isinstance(given, Mapping):
        if not given or not all(isinstance(k, str) for k in given):
            raise InputError("scenarios", given, "name -> physiology Dataset, at least one")
        return [_Scenario(k, "", check_physiology(p)) for k, p in given.items()]
    known = _known(compound)
    if given is None:
        given = [name for name in known if name not in CHILDREN]
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
        raise InputError("scenarios", given, "names, a mapping to populations, or None")
    names = list(names)
    if not names or len(set(names)) < len(names):
        raise InputError("scenarios", names, "at least one name, each once")
    for name in names:
        if name not in known:
            raise unknown_name("scenarios", name, known, what="a scenario")
    return [known[name][1](name, known[name][0], adults, n, seed) for name in names]


def _refuse_animals(adults: xr.Dataset, chosen: list[_Scenario]) -> None:
    for name, people in [("reference", adults), *((s.name, s.people) for s in chosen)]:
        species = sorted(set(people["species"].values.astype(str)))
        if species != ["human"]:
            raise InputError(name, ", ".join(species), "people: ratios across species mean nothing")


def _refuse_children(chosen: list[_Scenario], dose: Regimen) -> None:
    """A child that gets an adult's dose in mg has an exposure that nobody asked for."""
    young = [s.name for s in chosen if "age" in s.people and bool((s.people["age"] < 18).all())]
    if young and not dose.needs_body_weight:
        raise InputError(
            "regimen",
            str(dose),
            f"a dose per kg, such as '5 mg/kg oral', as children are compared ({', '.join(young)})",
            hint="the ratio is then that of equal doses per kg",
        )


def _count(n: Any) -> int:
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or not 2 <= n <= 100_000:
        raise InputError("n", n, "a whole number from 2 to 100,000")
    return int(n)


def _refuse_options(options: Mapping[str, Any]) -> None:
    for key in ("times", "chunks", "store", "client", "compartments", "areas", "seed"):
        if key in options:
            raise InputError(key, options[key], "nothing: exposure_ratios chooses it")


# ---- exposure ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Exposure:
    """AUC to infinity and Cmax, (n_subjects,) each."""

    auc: np.ndarray
    cmax: np.ndarray


@dataclass(frozen=True, eq=False)
class _Run:
    """The same drug and regimen in one population after the other."""

    compound: Compound
    regimen: Regimen
    compartment: str
    seed: int
    options: Mapping[str, Any]

    def exposure(self, people: xr.Dataset) -> _Exposure:
        """AUC and Cmax of everybody."""
        run = simulate(
            self.compound,
            self.regimen,
            people,
            None,
            compartments=[self.compartment],
            areas=[self.compartment],
            seed=self.seed,
            **self.options,
        )
        t, c = run["time"].values, run["concentration"].values[:, :, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            tail = c[:, -1] * (t[-1] - t[-2]) / np.log(c[:, -2] / c[:, -1])
        tail = np.where(np.isfinite(tail) & (tail > 0), tail, 0.0)
        return _Exposure(run["cumulative_auc"].values[:, -1, 0] + tail, np.nanmax(c, axis=1))


def _ratios(
    run: _Run, scenario: _Scenario, common: _Exposure, seed: int, number: int
) -> tuple[np.ndarray, ...]:
    """Ratios of the people and of their means drawn again: AUC and Cmax of both."""
    base = common if scenario.reference is None else run.exposure(scenario.reference)
    found = run.exposure(scenario.people)
    rng = stream(seed, "exposure ratios", number)
    out: list[np.ndarray] = []
    drawn: list[np.ndarray] = []
    for mine, theirs in ((found.auc, base.auc), (found.cmax, base.cmax)):
        mine, theirs = np.log(mine), np.log(theirs)
        log = mine - theirs if scenario.paired else mine - np.nanmean(theirs)
        out.append(np.exp(log))
        drawn.append(_resampled(rng, log, None if scenario.paired else theirs))
    return (*out, *drawn)


def _resampled(rng: np.random.Generator, log: np.ndarray, theirs: np.ndarray | None) -> np.ndarray:
    """Geometric means of people drawn again; of one person, missing."""
    if len(log) < 2:
        return np.full(_BOOTSTRAP, np.nan)
    mean = np.nanmean(rng.choice(log, (_BOOTSTRAP, len(log))), axis=1)
    if theirs is not None and len(theirs) > 1:  # the reference is a sample too
        again = np.nanmean(rng.choice(theirs, (_BOOTSTRAP, len(theirs))), axis=1)
        mean = mean - (again - np.nanmean(theirs))
    return np.exp(mean)


def _dataset(
    chosen: list[_Scenario],
    rows: list[tuple[np.ndarray, ...]],
    compound: Compound,
    dose: Regimen,
    seed: int,
    compartment: str,
) -> xr.Dataset:
    most = max(len(row[0]) for row in rows)
    pad = lambda values: np.pad(values, (0, most - len(values)), constant_values=np.nan)
    one = {"units": "1"}
    return xr.Dataset(
        {
            "auc_ratio": (
                ("scenario", "subject"),
                np.array([pad(row[0]) for row in rows]),
                {**one, "long_name": "AUC over the reference"},
            ),
            "cmax_ratio": (
                ("scenario", "subject"),
                np.array([pad(row[1]) for row in rows]),
                {**one, "long_name": "Cmax over the reference"},
            ),
            "auc_ratio_drawn": (
                ("scenario", "draw"),
                np.array([row[2] for row in rows]),
                {**one, "long_name": "mean AUC ratio of people drawn again"},
            ),
            "cmax_ratio_drawn": (
                ("scenario", "draw"),
                np.array([row[3] for row in rows]),
                {**one, "long_name": "mean Cmax ratio of people drawn again"},
            ),
            "group": ("scenario", [scenario.group for scenario in chosen]),
        },
        {"scenario": [scenario.name for scenario in chosen], "subject": np.arange(most)},
        attrs=provenance(
            compound=compound.name,
            regimen=str(dose),
            compartment=compartment,
            seed=seed,
            schema_version=schemas.SCHEMA_VERSION,
        ),
    )


__all__ = ["exposure_ratios", "scenario_names"]
