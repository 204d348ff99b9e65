"""The corpus: endless batches of patients, straight from the solver; nothing is stored.

Batch number `step` of seed `seed` is always the same batch. A group of patients shares a compound and a schedule; each
may be shown the others' full profiles (in-context learning).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..._core.errors import InputError, unknown_name
from ...physiology import SPECIES
from ...solvers.base import ADD, RATE, Problem, SolverOptions, Status, StopTable
from ...solvers.embedded.backend import EmbeddedBackend
from .batch import COVARIATES, DESCRIPTORS, SITES, Batch
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
from .corpus_prior import Pool, clearance_and_volume, pool
from .corpus_whole_body import WholeBody, draw_whole_body

#: what may be drawn as regimen in training; loading and missed doses are left out and serve as the test of generalisation
TRAINED = ("bolus", "infusion", "oral", "repeated")
_LANES = 16  # subjects integrated side by side share a schedule
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class CorpusOptions:
    """What the corpus is made of.

    Parameters
    ----------
    batch_size : patients per batch, a multiple of 32
    group : patients per compound, a divisor of 16
    observations, queries : most per patient; three of five batches have at most four observations per patient
    doses : most per patient; half of the batches have single doses
    whole_body : share of patients from the whole-body model (the rest: compartmental models)
    context : share of batches in which patients see the others of their group; where they do, the typical curve of those
    others takes the place of the mechanistic model's
    regimens : kinds that are drawn, of :data:`~._designs.REGIMENS`
    species : that are drawn
    deviation : size of what no model explains, smooth deviations of curves and one bad sample in fifty; 1 as usual, 0
    for none
    exact : what is told of compounds is the truth, always told, and no pathway saturates; for benchmarks
    split : "train" or "test": which rows of the compound table compounds are drawn near
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
    batch : of n patients
    schedules : one per 16 patients;  lengths : (n,) [h] their horizons;  lag : (n,) [h]
    samples : which points of GRID were drawn
    noise : (n,) sd of ln concentration
    cohort : the parameters, for patients of the whole-body model
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
        seed, step : fix everything
        kind : "whole_body" or "compartmental" for patients of one part alone
        doses : most doses per patient; None: drawn
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
        packs : of 16 patients;  most : doses per patient;  seen : observations per patient
        context : whether patients see the others of their group
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
            # a third of these subjects are of another size, from neonates to giants: allometry is all that is asked of them
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
        batch, noise = _measure(
            rng,
            curves,
            samples,
            schedules,
            lengths,
            weight,
            subjects,
            descriptors,
            people,
            o,
            whole_body,
            context,
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


def _measure(
    rng,
    curves,
    samples: Samples,
    schedules,
    lengths,
    weight,
    subjects,
    descriptors,
    people: Pool,
    o: CorpusOptions,
    whole_body: bool,
    context: bool,
) -> tuple[Batch, np.ndarray]:
    """What a laboratory makes of the curves: samples, errors, limits of quantification; and what is told of the patient."""
    n = len(lengths)
    truth, reference = curves[:n], (curves[n:] if whole_body else None)
    group = np.arange(n) // o.group
    groups = int(group[-1]) + 1
    each = lambda draw: draw(groups)[group]
    # 1 mg/kg is as good as any dose: kinetics do not know the unit
    dose = (
        np.exp(each(lambda k: rng.normal(0.0, 2.5, k)))
        * weight
        * np.exp(rng.choice([0.0, 0.25], n) * rng.standard_normal(n))
    )
    factor = dose / weight
    saturable = np.nan_to_num(descriptors[:, DESCRIPTORS.index("saturable")]) > 0
    factor = np.where(saturable, each(lambda k: np.exp(rng.normal(0.0, 2.5, k))), factor)
    dose = factor * weight

    # matrix: plasma, or for a tenth of the whole-body compounds blood
    site = np.zeros(n, dtype=np.int64)
    if whole_body:
        site = each(lambda k: (rng.random(k) < 0.1).astype(np.int64))
    base = np.take_along_axis(truth, site[:, None, None], axis=2)[..., 0]
    peak = np.nanmax(base, axis=1)
    peak = np.where(np.isfinite(peak) & (peak > 0), peak, 1.0)
    # the model is never quite right: a smooth deviation in log time, of a size of its own
    bend = (
        _wiggle(rng, n) * (each(lambda k: np.abs(rng.normal(0.0, 0.08 * o.deviation, k))))[:, None]
    )
    noise = np.clip(each(lambda k: np.exp(rng.normal(np.log(0.14), 0.6, k))), 0.02, 0.6)[:, None]
    others = _others(rng, n, o.group) if context else None
    typical = _typical(rng, base, peak, weight, others) if context else np.full(base.shape, np.nan)
    lloq = peak * np.exp(
        -np.log(10) * each(lambda k: np.where(rng.random(k) < 0.6, rng.uniform(1.0, 3.5, k), 6.0))
    )

    def assay(index, sites):
        ok = index >= 0
        at = np.maximum(index, 0)
        rows = np.arange(n)[:, None]
        c = truth[rows, at, sites] * np.exp(np.take_along_axis(bend, at, axis=1))
        size = (
            np.where(rng.random(c.shape) < 0.02 * o.deviation, 3.0, 1.0) * noise
        )  # one sample in fifty is a bad one
        y = c * np.exp(size * rng.standard_normal(c.shape)) + 0.15 * lloq[
            :, None
        ] * rng.standard_normal(c.shape)
        limit = np.broadcast_to(lloq[:, None], c.shape)
        censored = ~(y > limit)
        ok = ok & np.isfinite(c)
        known = (
            np.full(c.shape, np.nan)
            if reference is None
            else reference[rows, at, sites] * factor[:, None]
        )
        learned = np.where(sites == site[:, None], typical[rows, at] * factor[:, None], np.nan)
        return (
            ok,
            GRID[at] * lengths[:, None],
            np.where(censored, limit, y) * factor[:, None],
            censored,
            known,
            learned,
        )

    own_site = np.broadcast_to(site[:, None], samples.observed.shape)
    obs = assay(samples.observed, own_site)
    asked_site = np.broadcast_to(site[:, None], samples.asked.shape).copy()
    if whole_body:  # an eighth of the questions is about organs
        elsewhere = rng.random(asked_site.shape) < 0.125
        asked_site = np.where(elsewhere, rng.integers(0, len(SITES), asked_site.shape), asked_site)
    ask = assay(samples.asked, asked_site)
    whole_site = np.broadcast_to(site[:, None], samples.whole.shape)
    whole = assay(samples.whole, whole_site)

    covariates = _covariates(rng, people, subjects, weight)
    known = (each(lambda k: rng.random(k) < 0.6)[:, None] | o.exact) & whole_body
    told = np.where(
        known
        & (rng.random(descriptors.shape) > each(lambda k: rng.choice([0.0, 0.25], k))[:, None]),
        descriptors,
        np.nan,
    )
    # saturability is told together with the compound
    for name in ("saturable", "log_dose_over_km", "clearance_in_vivo", "volume_in_vivo"):
        j = DESCRIPTORS.index(name)
        told[:, j] = np.where(known[:, 0], descriptors[:, j], np.nan)
    doses = _doses(schedules, lengths, dose)
    hide = lambda a: np.where(known, a, np.nan)
    either = lambda a, learned: np.where(np.isfinite(learned), learned, hide(a))
    common = {"body_weight": weight, "covariates": covariates, "descriptors": told, **doses}
    batch = Batch(
        obs_mask=obs[0],
        obs_time=obs[1],
        obs_value=obs[2],
        obs_censored=obs[3],
        obs_reference=either(obs[4], obs[5]),
        obs_site=own_site.copy(),
        query_mask=ask[0],
        query_time=ask[1],
        query_value=ask[2],
        query_censored=ask[3],
        query_reference=either(ask[4], ask[5]),
        query_site=asked_site,
        **common,
    )
    if others is None:
        return batch, noise[:, 0]
    batch.context = others
    nothing = np.zeros((n, 0))
    batch.context_batch = Batch(
        obs_mask=whole[0],
        obs_time=whole[1],
        obs_value=whole[2],
        obs_censored=whole[3],
        obs_reference=hide(whole[4]),
        obs_site=whole_site.copy(),
        query_mask=nothing.astype(bool),
        query_time=nothing,
        query_site=nothing.astype(np.int64),
        query_reference=nothing,
        **common,
    )
    return batch, noise[:, 0]


def _doses(schedules: list[Schedule], lengths, dose) -> dict[str, np.ndarray]:
    n, most = len(lengths), max(len(s.time) for s in schedules)
    time, amount, mask = np.zeros((n, most)), np.zeros((n, most)), np.zeros((n, most), bool)
    duration, oral = np.zeros((n, most)), np.zeros((n, most), bool)
    for i, s in enumerate(schedules):
        who, d = slice(i * _LANES, (i + 1) * _LANES), len(s.time)
        time[who, :d] = s.time * lengths[who, None]
        amount[who, :d] = s.size * dose[who, None]
        duration[who, :d] = s.duration * lengths[who, None]
        oral[who, :d], mask[who, :d] = s.oral, True
    return {
        "dose_time": time,
        "dose_amount": amount,
        "dose_duration": duration,
        "dose_oral": oral,
        "dose_mask": mask,
    }


def _wiggle(rng, n: int) -> np.ndarray:
    """(n, len(GRID)) smooth curves in log time with unit variance."""
    x = np.log(GRID)[None, :]
    out = np.zeros((n, len(GRID)))
    for _ in range(3):
        period = np.exp(rng.uniform(np.log(1.0), np.log(6.0), (n, 1)))
        out += np.sqrt(2 / 3) * np.sin(2 * np.pi * x / period + rng.uniform(0, 2 * np.pi, (n, 1)))
    return out


def _subjects(rng, people: Pool, group: np.ndarray, species: tuple[str, ...]) -> np.ndarray:
    weights = np.array([6.0 if s == "human" else 0.5 for s in species])
    drawn = rng.choice(species, int(group[-1]) + 1, p=weights / weights.sum())
    return np.array([rng.choice(people.rows[str(drawn[g])]) for g in group])


def _covariates(rng, people: Pool, subjects, weight) -> np.ndarray:
    n = len(subjects)
    out = np.full((n, len(COVARIATES)), np.nan)
    real = weight == people.body_weight[subjects]
    hide = lambda a, share: np.where(real & (rng.random(n) > share), a, np.nan)
    out[:, 0] = np.where(rng.random(n) > 0.1, np.log(weight), np.nan)
    for j, (values, share) in enumerate(
        (
            (people.age, 0.5),
            (people.male, 0.5),
            (people.height, 0.6),
            (people.hematocrit, 0.8),
            (np.log(people.gfr / people.body_weight), 0.7),
        ),
        start=1,
    ):
        out[:, j] = hide(values[subjects], share)
    out[:, 6:] = people.species[subjects][:, None] == np.arange(len(SPECIES))[None, :]
    return out


def _others(rng, n: int, group: int) -> np.ndarray:
    """(n, group - 1) the other patients of each one's group, a random part of them."""
    own = np.arange(n)
    place = own % group
    others = (own - place)[:, None] + (place[:, None] + np.arange(1, group)[None, :]) % group
    show = rng.random((n, 1)) < 0.85
    return np.where((rng.random(others.shape) < rng.uniform(0.2, 1.0, (n, 1))) & show, others, -1)


def _typical(
    rng, base: np.ndarray, peak: np.ndarray, weight: np.ndarray, others: np.ndarray
) -> np.ndarray:
    """(n, times) the curve that a fit to the other patients' samples would draw, per unit of dose: their geometric mean,
    a little wrong; NaN where there is nobody or bodies are too different.
    """
    n = len(base)
    floored = np.log(np.maximum(base, 1e-7 * peak[:, None]))
    there = (others >= 0) & np.isfinite(base).all(axis=1)[others]
    shares = there / np.maximum(there.sum(axis=1, keepdims=True), 1)
    mean = np.einsum("np,npt->nt", shares, np.where(there[..., None], floored[others], 0.0))
    w = np.log(weight)
    apart = np.where(there, np.abs(w[others] - w[:, None]), 0.0).max(axis=1)
    off = _wiggle(rng, n) * np.abs(rng.normal(0.0, 0.1, (n, 1))) + rng.normal(0.0, 0.06, (n, 1))
    return np.where((there.any(axis=1) & (apart < 1.1))[:, None], np.exp(mean + off), np.nan)


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
