"""The corpus: endless batches of patients, straight from the solver; nothing is stored.

Batch number `step` of seed `seed` is always the same batch. A group of patients shares a
compound and a schedule; each may be shown the others' full profiles (in-context learning).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..._core.errors import InputError, unknown_name
from ...models.system.system import System
from ...physiology import SPECIES
from .batch import DESCRIPTORS, SITES, Batch
from .corpus_compartmental import compartmental_system, draw_typical, vary
from .corpus_designs import (
    REGIMENS,
    Samples,
    Schedule,
    check_kinds,
    draw_samples,
    draw_schedule,
    horizon,
)
from .corpus_integration import LANES, Absorption, integrate_schedules
from .corpus_measurement import Simulated, measure
from .corpus_prior import Pool, clearance_and_volume, pool
from .corpus_whole_body import WholeBody, draw_whole_body

#: what may be drawn as regimen in training; loading and missed doses are left out and serve
#: as the test of generalisation
TRAINED = ("bolus", "infusion", "oral", "repeated")
#: patients per compound, and how many at most where nobody sees the others
_GROUPS, _USUAL_GROUP = (1, 2, 4, 8, 16, 32, 64), 8
#: share of compounds whose doses by mouth are absorbed to another extent each time, and the
#: ln sd's own sd
_OCCASIONS_SHARE, _OCCASIONS_SD = 0.5, 0.2


@dataclass(frozen=True)
class CorpusOptions:
    """What the corpus is made of.

    Parameters
    ----------
    batch_size
        patients per batch, a multiple of 32
    group
        most patients per compound, a power of two up to 64; where patients see the others of
        their group its size is drawn, else it is at most 8
    observations, queries
        most per patient; three of five batches have at most four observations per patient
    doses
        most per patient; half of the batches have single doses
    whole_body
        share of patients from the whole-body model (the rest: compartmental models)
    context
        share of batches in which patients see the others of their group; where they do, the
        typical curve of those others takes the place of the mechanistic model's
    regimens
        kinds that are drawn, of :data:`~.corpus_designs.REGIMENS`
    species
        that are drawn
    deviation
        size of what no model explains, smooth deviations of curves and one bad sample in
        fifty; 1 as usual, 0 for none
    exact
        what is known of compounds is the truth, always known, and no pathway saturates; for
        benchmarks
    split
        "train" or "test": which rows of the compound table compounds are drawn near
    """

    batch_size: int = 256
    group: int = 64
    observations: int = 12
    queries: int = 8
    doses: int = 24
    whole_body: float = 0.5
    context: float = 0.45
    regimens: tuple[str, ...] = TRAINED
    species: tuple[str, ...] = SPECIES
    deviation: float = 1.0
    exact: bool = False
    split: str = "train"

    def __post_init__(self) -> None:
        if self.batch_size < 32 or self.batch_size % 32:
            raise InputError("batch_size", self.batch_size, "a multiple of 32")
        if self.group not in _GROUPS:
            raise InputError("group", self.group, f"one of {list(_GROUPS)}")
        for name in ("observations", "queries", "doses"):
            if not 1 <= getattr(self, name) <= 64:
                raise InputError(name, getattr(self, name), "an integer from 1 to 64")
        if self.split not in ("train", "test"):
            raise unknown_name("split", self.split, ("train", "test"))
        for species in self.species:
            if species not in SPECIES:
                raise unknown_name("species", species, SPECIES, what="a species")
        check_kinds(self.regimens)


@dataclass(frozen=True)
class Part:
    """A batch with the truth behind it.

    Parameters
    ----------
    batch
        of n patients
    schedules
        one per 16 patients
    lengths
        (n,) [h] their horizons
    lag
        (n,) [h]
    samples
        which points of GRID were drawn
    noise
        (n,) sd of ln concentration
    cohort
        the parameters, for patients of the whole-body model
    """

    batch: Batch
    schedules: list[Schedule]
    lengths: np.ndarray
    lag: np.ndarray
    samples: Samples
    noise: np.ndarray
    cohort: WholeBody | None


@dataclass(frozen=True)
class _Patients:
    """Patients of one part of the corpus, before they are dosed; (n,) each.

    Parameters
    ----------
    subjects
        Rows of the pool of people.
    half_life
        [h], for the horizon.
    system
        The model of all, of n subjects or, with the mechanistic reference, of 2 n.
    descriptors
        (n, len(DESCRIPTORS)) of their compounds, NaN where there is no compound.
    cohort
        The parameters, for patients of the whole-body model.
    """

    subjects: np.ndarray
    weight: np.ndarray
    half_life: np.ndarray
    absorption: Absorption
    system: System
    descriptors: np.ndarray
    cohort: WholeBody | None = None


class Corpus:
    """Batches by number.

    >>> from pbpk_hybrid.learn.transformer import Corpus, CorpusOptions
    >>> batch = Corpus(CorpusOptions(batch_size=64)).batch(seed=1, step=0)
    """

    def __init__(self, options: CorpusOptions | None = None) -> None:
        self.options = options or CorpusOptions()

    def batch(
        self, seed: int, step: int, kind: str | None = None, doses: int | None = None
    ) -> Batch:
        """The patients of one step.

        Parameters
        ----------
        seed, step
            fix everything
        kind
            "whole_body" or "compartmental" for patients of one part alone
        doses
            most doses per patient; None: drawn
        """
        options = self.options
        rng = np.random.default_rng([seed, step, 5])
        most = (
            int(rng.choice([1, min(6, options.doses), options.doses], p=[0.55, 0.3, 0.15]))
            if doses is None
            else doses
        )
        few = rng.random() < 0.6
        seen = min(4, options.observations) if few else options.observations
        packs = options.batch_size // LANES
        by_kind = {"whole_body": packs, "compartmental": 0}
        n_whole = by_kind.get(kind, round(packs * options.whole_body))
        context = bool(rng.random() < options.context) and options.group > 1
        parts = [
            self.part(rng, size, most, seen, whole_body=whole_body, context=context).batch
            for size, whole_body in ((n_whole, True), (packs - n_whole, False))
            if size
        ]
        return _concatenate(parts)

    def part(
        self,
        rng: np.random.Generator,
        packs: int,
        most: int,
        seen: int,
        *,
        whole_body: bool,
        context: bool = False,
    ) -> Part:
        """Patients of one part of the corpus, and what only their maker knows.

        Parameters
        ----------
        packs
            of 16 patients
        most
            doses per patient
        seen
            observations per patient
        whole_body
            of the whole-body model, else compartmental
        context
            whether patients see the others of their group
        """
        options, people = self.options, pool()
        n = packs * LANES
        size = self._group_size(rng, n, context)
        group = np.arange(n) // size
        schedules = _draw_schedules(rng, options.regimens, most, packs, size)
        draw = self._whole_body_patients if whole_body else self._compartmental_patients
        patients = draw(rng, people, group)
        lengths = _horizons(rng, schedules, patients.half_life, size)
        # patients of the whole-body model come with their mechanistic reference
        times = len(patients.system.k_value) // n
        curves = integrate_schedules(
            patients.system,
            schedules,
            np.tile(lengths, times),
            np.tile(patients.weight, times),
            patients.absorption.tile(times),
            SITES if whole_body else ("plasma",),
            None if options.exact else _occasions(rng, schedules, group, times),
        )
        samples = draw_samples(rng, n, seen, options.queries, min(8, options.observations))
        simulated = Simulated(
            curves,
            samples,
            schedules,
            LANES,
            lengths,
            patients.weight,
            patients.subjects,
            patients.descriptors,
            whole_body,
            size,
        )
        batch, noise = measure(
            rng,
            simulated,
            people,
            deviation=options.deviation,
            exact=options.exact,
            context=context,
        )
        lag = patients.absorption.lag
        return Part(batch, schedules, lengths, lag, samples, noise, patients.cohort)

    def _whole_body_patients(
        self, rng: np.random.Generator, people: Pool, group: np.ndarray
    ) -> _Patients:
        options = self.options
        mean_log_vss = clearance_and_volume()[0][1]
        cohort = draw_whole_body(
            rng, people, group, options.species, options.split, mean_log_vss, options.exact
        )
        return _Patients(
            cohort.subjects,
            people.body_weight[cohort.subjects],
            cohort.half_life,
            Absorption.by_model(cohort.lag),
            cohort.system(),
            cohort.descriptors,
            cohort,
        )

    def _compartmental_patients(
        self, rng: np.random.Generator, people: Pool, group: np.ndarray
    ) -> _Patients:
        options, n = self.options, group.size
        subjects = _subjects(rng, people, group, options.species)
        typical = draw_typical(rng, int(group[-1]) + 1, clearance_and_volume())
        values = vary(rng, typical, group)
        # a third of the human groups are of another size, from neonates to giants:
        # allometry is all that is asked of them
        other = np.exp(rng.uniform(np.log(0.5), np.log(150.0), n))
        resized = (rng.random(int(group[-1]) + 1) < 0.3)[group]
        resized &= people.species[subjects] == SPECIES.index("human")
        weight = np.where(resized, other, people.body_weight[subjects])
        slower = (weight / 70.0) ** 0.25
        absorption = Absorption(
            values.lag * slower,
            values.fraction,
            values.stages,
            values.second,
            values.second_delay * slower,
        )
        return _Patients(
            subjects,
            weight,
            typical.half_life[group] * slower,
            absorption,
            compartmental_system(values, 1.0 / slower, weight),
            np.full((n, len(DESCRIPTORS)), np.nan),
        )

    def _group_size(self, rng: np.random.Generator, n: int, context: bool) -> int:
        """Patients per compound of a part of n; it divides n."""
        most = self.options.group
        if context:
            size = int(rng.choice([g for g in _GROUPS if min(2, most) <= g <= most]))
        else:
            size = min(_USUAL_GROUP, most)
        while n % size:
            size //= 2
        return size


def _draw_schedules(
    rng: np.random.Generator, kinds: tuple[str, ...], most: int, packs: int, size: int
) -> list[Schedule]:
    """One schedule a pack; packs of the same compound have the same, as people of a study do."""
    same = max(1, size // LANES)
    drawn = [draw_schedule(rng, kinds, most) for _ in range(-(-packs // same))]
    return [drawn[i // same] for i in range(packs)]


def _horizons(
    rng: np.random.Generator, schedules: list[Schedule], half_life: np.ndarray, size: int
) -> np.ndarray:
    """(n,) [h] one horizon a group of `size`, from the half-life of its first patient."""
    together = max(LANES, size)
    return np.concatenate(
        [
            horizon(rng, schedules[i // LANES], half_life[i : i + together : size]).repeat(size)
            for i in range(0, len(half_life), together)
        ]
    )


def _occasions(
    rng: np.random.Generator, schedules: list[Schedule], group: np.ndarray, times: int
) -> np.ndarray | None:
    """(times n, doses) by what factor each dose by mouth is absorbed otherwise than usual; the
    mechanistic reference, the second n, knows of none. None where there are single doses only.
    """
    most = max(len(s.time) for s in schedules)
    if most == 1:
        return None
    n, groups = len(group), int(group[-1]) + 1
    varies = rng.random(groups) < _OCCASIONS_SHARE
    sd = np.where(varies, np.abs(rng.normal(0.0, _OCCASIONS_SD, groups)), 0.0)[group]
    oral = np.repeat([s.oral for s in schedules], LANES)
    drawn = np.exp(np.where(oral, sd, 0.0)[:, None] * rng.standard_normal((n, most)))
    return np.concatenate([drawn, *[np.ones((n, most))] * (times - 1)])


def _subjects(
    rng: np.random.Generator, people: Pool, group: np.ndarray, species: tuple[str, ...]
) -> np.ndarray:
    """(n,) rows of the pool; a group is of one species, humans most often."""
    weights = np.array([6.0 if s == "human" else 0.5 for s in species])
    of_compound = rng.choice(species, int(group[-1]) + 1, p=weights / weights.sum())
    return np.array([rng.choice(people.rows[str(of_compound[g])]) for g in group])


def _concatenate(parts: list[Batch]) -> Batch:
    if len(parts) == 1:
        return parts[0]
    return _join(parts, contexts=True)


def _join(parts: list[Batch], contexts: bool) -> Batch:
    """One batch after the other; rows of the context are renumbered."""
    values = {}
    for name, first in vars(parts[0]).items():
        if name == "context_batch":
            values[name] = (
                _join([p.context_batch for p in parts], False)
                if contexts and first is not None
                else None
            )
        elif first is None:
            values[name] = None
        elif name == "context":
            before = np.cumsum([0, *(len(p) for p in parts[:-1])])
            most = max(p.context.shape[1] for p in parts)
            values[name] = np.concatenate(
                [
                    np.pad(
                        np.where(p.context >= 0, p.context + k, -1),
                        ((0, 0), (0, most - p.context.shape[1])),
                        constant_values=-1,
                    )
                    for p, k in zip(parts, before, strict=True)
                ]
            )
        else:
            arrays = [getattr(p, name) for p in parts]
            if name.startswith("dose_"):
                most = max(a.shape[1] for a in arrays)
                arrays = [np.pad(a, ((0, 0), (0, most - a.shape[1]))) for a in arrays]
            values[name] = np.concatenate(arrays)
    return Batch(**values)


__all__ = ["REGIMENS", "TRAINED", "Corpus", "CorpusOptions"]
