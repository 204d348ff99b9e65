"""The corpus: endless batches of patients, straight from the solver; nothing is stored.

Batch number `step` of seed `seed` is always the same batch. A group of patients shares a
compound and a schedule; each may be shown the others' full profiles (in-context learning).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..._core.errors import InputError, unknown_name
from ...physiology import SPECIES
from ...solvers.base import ADD, RATE, Problem, SolverOptions, Status, StopTable
from ...solvers.embedded.backend import EmbeddedBackend
from .batch import DESCRIPTORS, SITES, Batch
from .corpus_compartmental import compartmental_system, draw_typical, vary
from .corpus_designs import (
    GRID,
    REGIMENS,
    Samples,
    Schedule,
    check_kinds,
    draw_samples,
    draw_schedule,
    horizon,
)
from .corpus_measurement import Simulated, measure
from .corpus_prior import Pool, clearance_and_volume, pool
from .corpus_whole_body import WholeBody, draw_whole_body

#: what may be drawn as regimen in training; loading and missed doses are left out and serve
#: as the test of generalisation
TRAINED = ("bolus", "infusion", "oral", "repeated")
_LANES = 16  # subjects integrated side by side share a schedule
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class CorpusOptions:
    """What the corpus is made of.

    Parameters
    ----------
    batch_size
        patients per batch, a multiple of 32
    group
        patients per compound, a divisor of 16
    observations, queries
        most per patient; three of five batches have at most four observations per patient
    doses
        most per patient; half of the batches have single doses
    whole_body
        share of patients from the whole-body model (the rest: compartmental models)
    context
        share of batches in which patients see the others of their group; where they do, the
        typical curve of those
    others takes the place of the mechanistic model's
    regimens
        kinds that are drawn, of :data:`~.corpus_designs.REGIMENS`
    species
        that are drawn
    deviation
        size of what no model explains, smooth deviations of curves and one bad sample in
        fifty; 1 as usual, 0
    for none
    exact
        what is known of compounds is the truth, always known, and no pathway saturates; for
        benchmarks
    split
        "train" or "test": which rows of the compound table compounds are drawn near
    """

    batch_size: int = 256
    group: int = 8
    observations: int = 12
    queries: int = 8
    doses: int = 12
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
        if self.group < 1 or _LANES % self.group:
            raise InputError("group", self.group, f"a divisor of {_LANES}")
        for name in ("observations", "queries", "doses"):
            if not 1 <= getattr(self, name) <= 64:
                raise InputError(name, getattr(self, name), "an integer from 1 to 64")
        if self.split not in ("train", "test"):
            raise unknown_name("split", self.split, ("train", "test"))
        for s in self.species:
            if s not in SPECIES:
                raise unknown_name("species", s, SPECIES, what="a species")
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


class Corpus:
    """Batches by number.

    >>> from pbpk_hybrid.learn.transformer import Corpus, CorpusOptions
    >>> batch = Corpus(CorpusOptions(batch_size=64)).batch(seed=1, step=0)
    """

    def __init__(self, options: CorpusOptions | None = None) -> None:
        self.options = options or CorpusOptions()
        self._solver = EmbeddedBackend()

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
        o = self.options
        rng = np.random.default_rng([seed, step, 5])
        most = (
            int(rng.choice([1, min(6, o.doses), o.doses], p=[0.55, 0.3, 0.15]))
            if doses is None
            else doses
        )
        seen = min(4, o.observations) if rng.random() < 0.6 else o.observations
        packs = o.batch_size // _LANES
        n_whole = {"whole_body": packs, "compartmental": 0}.get(kind, round(packs * o.whole_body))
        context = bool(rng.random() < o.context) and o.group > 1
        parts = []
        if n_whole:
            parts.append(
                self.part(rng, n_whole, most, seen, whole_body=True, context=context).batch
            )
        if packs - n_whole:
            parts.append(
                self.part(rng, packs - n_whole, most, seen, whole_body=False, context=context).batch
            )
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
        context
            whether patients see the others of their group
        """
        o, people = self.options, pool()
        n = packs * _LANES
        group = np.arange(n) // o.group
        schedules = [draw_schedule(rng, o.regimens, most) for _ in range(packs)]
        cl_v = clearance_and_volume()
        if whole_body:
            cohort = draw_whole_body(rng, people, group, o.species, o.split, cl_v[0][1], o.exact)
            subjects, half_life, lag = cohort.subjects, cohort.half_life, cohort.lag
            weight, system, descriptors = (
                people.body_weight[subjects],
                cohort.system(),
                cohort.descriptors,
            )
            fraction, stages, second = np.ones(n), np.ones(n, int), np.zeros(n)
            delay = np.zeros(n)
        else:
            subjects = _subjects(rng, people, group, o.species)
            typical = draw_typical(rng, int(group[-1]) + 1, cl_v)
            values = vary(rng, typical, group)
            weight = people.body_weight[subjects]
            # a third of these subjects are of another size, from neonates to giants:
            # allometry is all that is asked of them
            other = np.exp(rng.uniform(np.log(0.5), np.log(150.0), n))
            odd = np.repeat(rng.random(n // o.group) < 0.3, o.group) & (
                people.species[subjects] == SPECIES.index("human")
            )
            weight = np.where(odd, other, weight)
            slower = (weight / 70.0) ** 0.25
            half_life, lag, delay = (
                typical.half_life[group] * slower,
                values.lag * slower,
                values.second_delay * slower,
            )
            fraction, stages, second = values.fraction, values.stages, values.second
            system = compartmental_system(values, 1.0 / slower, weight)
            descriptors = np.full((n, len(DESCRIPTORS)), np.nan)
        lengths = np.concatenate(
            [
                horizon(rng, s, half_life[i * _LANES : (i + 1) * _LANES : o.group]).repeat(o.group)
                for i, s in enumerate(schedules)
            ]
        )
        twice = len(system.k_value) // n
        curves = self.integrate(
            system,
            schedules,
            np.tile(lengths, twice),
            np.tile(weight, twice),
            np.tile(lag, twice),
            np.tile(fraction, twice),
            np.tile(stages, twice),
            np.tile(second, twice),
            np.tile(delay, twice),
            whole_body,
        )
        samples = draw_samples(rng, n, seen, o.queries, min(8, o.observations))
        simulated = Simulated(
            curves,
            samples,
            schedules,
            _LANES,
            lengths,
            weight,
            subjects,
            descriptors,
            whole_body,
            o.group,
        )
        batch, noise = measure(
            rng, simulated, people, deviation=o.deviation, exact=o.exact, context=context
        )
        return Part(batch, schedules, lengths, lag, samples, noise, cohort if whole_body else None)

    def integrate(
        self, system, schedules, lengths, weight, lag, fraction, stages, second, delay, whole_body
    ):
        """(n, times, saved) [mg/L] for 1 mg/kg as first dose; NaN where the integration failed."""
        n = system.n_subjects
        scaled = replace(
            system,
            k_value=system.k_value * lengths[:, None],
            reactions=tuple(
                replace(r, parameters=r.parameters * np.stack([lengths, np.ones(n)], axis=1))
                for r in system.reactions
            ),
            parameters={},
            assemble=None,  # its named parameters are in hours still
        )
        stops = _stops(scaled, schedules, lengths, weight, lag, fraction, stages, second, delay)
        saved = SITES if whole_body else ("plasma",)
        problem = Problem(scaled, stops, GRID, saved)
        result = self._solver.solve(
            problem, SolverOptions(rtol=_TOLERANCE, threads=1, max_steps=20_000)
        )
        factors = np.stack(
            [np.broadcast_to(scaled.observables[s].factor, (n,)) for s in saved], axis=1
        )
        curves = np.maximum(result.amount * factors[:, None, :], 0.0)
        curves[result.status != Status.SUCCESS] = np.nan
        return curves


def _stops(
    system, schedules: list[Schedule], lengths, weight, lag, fraction, stages, second, delay
) -> StopTable:
    rows: list[tuple[np.ndarray, ...]] = []
    per_pack = np.arange(system.n_subjects).reshape(-1, _LANES)
    oral_state = system.targets.get("oral")
    for i, who in enumerate(per_pack):
        s = schedules[i % len(schedules)]
        for time, size in zip(s.time, s.size, strict=True):
            full = size * weight[who]
            at = np.full(len(who), time)
            if s.oral:
                target = (
                    np.full(len(who), oral_state) if oral_state is not None else 3 - stages[who]
                )
                late = lag[who] / lengths[who]
                rows.append(
                    (
                        who,
                        at + late,
                        np.full(len(who), ADD),
                        target,
                        full * fraction[who] * (1 - second[who]),
                    )
                )
                twice = who[second[who] > 0]
                if twice.size:
                    k = second[who] > 0
                    rows.append(
                        (
                            twice,
                            (at + late)[k] + delay[twice] / lengths[twice],
                            np.full(len(twice), ADD),
                            target[k],
                            (full * fraction[who] * second[who])[k],
                        )
                    )
            elif s.duration:
                target = np.full(len(who), system.targets["iv"])
                rows.append((who, at, np.full(len(who), RATE), target, full / s.duration))
                rows.append(
                    (who, at + s.duration, np.full(len(who), RATE), target, -full / s.duration)
                )
            else:
                rows.append(
                    (who, at, np.full(len(who), ADD), np.full(len(who), system.targets["iv"]), full)
                )
    subject, time, kind, state, value = (np.concatenate([r[k] for r in rows]) for k in range(5))
    keep = time <= GRID[-1]
    subject, time, kind, state, value = (
        subject[keep],
        time[keep],
        kind[keep],
        state[keep],
        value[keep],
    )
    order = np.lexsort((kind, time, subject))
    return StopTable(
        subject[order],
        time[order],
        kind[order].astype(np.int64),
        state[order].astype(np.int64),
        value[order],
    )


def _subjects(rng, people: Pool, group: np.ndarray, species: tuple[str, ...]) -> np.ndarray:
    weights = np.array([6.0 if s == "human" else 0.5 for s in species])
    of_compound = rng.choice(species, int(group[-1]) + 1, p=weights / weights.sum())
    return np.array([rng.choice(people.rows[str(of_compound[g])]) for g in group])


def _concatenate(parts: list[Batch]) -> Batch:
    if len(parts) == 1:
        return parts[0]
    return _join(parts, contexts=True)


def _join(parts: list[Batch], contexts: bool) -> Batch:
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
            values[name] = np.concatenate(
                [
                    np.where(p.context >= 0, p.context + k, -1)
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
