"""What a laboratory makes of simulated curves, and what is known of patient and compound.

Errors of the assay, limits of quantification, bad samples, a smooth deviation that no model
explains; covariates and descriptors that are missing at random.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...physiology import SPECIES
from .batch import COVARIATES, DESCRIPTORS, SITES, Batch
from .corpus_designs import GRID, Samples, Schedule
from .corpus_prior import Pool

#: sd of the ln of doses [mg/kg] and of concentrations: kinetics do not know the unit
_UNIT_SD = 2.5
#: median sd of the ln of concentrations, its own spread, and its limits
_NOISE, _NOISE_SPREAD, _NOISE_LIMITS = 0.14, 0.6, (0.02, 0.6)
#: share of bad samples, and by how much their error is larger
_BAD_SHARE, _BAD_FACTOR = 0.02, 3.0
#: sd of the additive error, in units of the limit of quantification
_ADDITIVE = 0.15
#: most other patients that are shown one by one; their common curve is of all
_MOST_SHOWN = 16
#: descriptors that are known whenever the compound is
_WITH_COMPOUND = ("saturable", "log_dose_over_km", "clearance_in_vivo", "volume_in_vivo")


@dataclass(frozen=True)
class Simulated:
    """Curves of n patients, and the design that they were simulated for.

    Parameters
    ----------
    curves : array
        (n, times, sites) per 1 mg/kg; for patients of the whole-body model (2 n, times, sites), the
        truth and then the mechanistic model's typical subject
    samples
        Samples
    schedules : list of Schedule
        one per `lanes` patients
    lanes
        int
    lengths, weight : array
        (n,) [h], [kg]
    subjects : array
        (n,) rows of the pool of people
    descriptors : array
        (n, len(DESCRIPTORS))
    whole_body
        bool
    group : int
        patients per compound
    """

    curves: np.ndarray
    samples: Samples
    schedules: list[Schedule]
    lanes: int
    lengths: np.ndarray
    weight: np.ndarray
    subjects: np.ndarray
    descriptors: np.ndarray
    whole_body: bool
    group: int

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def truth(self) -> np.ndarray:
        """(n, times, sites)."""
        return self.curves[: len(self)]

    @property
    def mechanistic(self) -> np.ndarray | None:
        """(n, times, sites) of the mechanistic model, None for compartmental patients."""
        return self.curves[len(self) :] if self.whole_body else None

    def per_compound(self, draw: Callable[[int], np.ndarray]) -> np.ndarray:
        """(n,) of numbers drawn once for each compound; `draw(k)` gives k of them."""
        compound = np.arange(len(self)) // self.group
        return draw(int(compound[-1]) + 1)[compound]


@dataclass(frozen=True)
class Assayed:
    """Samples after the assay, (n, samples) each; concentrations [mg/L], times [h].

    Parameters
    ----------
    mask
        where there is a sample
    time, value, censored
        `value` is the limit where censored
    mechanistic
        typical curve of the mechanistic model, NaN without
    common
        curve that the other patients have in common, NaN without
    """

    mask: np.ndarray
    time: np.ndarray
    value: np.ndarray
    censored: np.ndarray
    mechanistic: np.ndarray
    common: np.ndarray

    def fields(self, prefix: str) -> dict[str, np.ndarray]:
        """As fields of a Batch, "obs" or "query"."""
        names = ("mask", "time", "value", "censored")
        return {f"{prefix}_{name}": getattr(self, name) for name in names}


class _Laboratory:
    """The assay of n patients: the same deviations and limits for all their samples."""

    def __init__(
        self, rng: np.random.Generator, simulated: Simulated, deviation: float, context: bool
    ) -> None:
        self.rng, self.simulated, self.deviation = rng, simulated, deviation
        n, each = len(simulated), simulated.per_compound
        self.dose, self.factor = _draw_dose(rng, simulated)
        self.site = np.zeros(n, dtype=np.int64)  # plasma, or blood for a tenth of the compounds
        if simulated.whole_body:
            self.site = each(lambda k: (rng.random(k) < 0.1).astype(np.int64))
        # (n, times) at the site
        base = np.take_along_axis(simulated.truth, self.site[:, None, None], axis=2)[..., 0]
        peak = np.nanmax(base, axis=1)
        peak = np.where(np.isfinite(peak) & (peak > 0), peak, 1.0)
        # the model is never quite right: a smooth deviation in log time, of a size of its own
        smooth = _wiggle(rng, n)
        self.bend = smooth * each(lambda k: np.abs(rng.normal(0.0, 0.08 * deviation, k)))[:, None]
        noise = each(lambda k: np.exp(rng.normal(np.log(_NOISE), _NOISE_SPREAD, k)))
        self.noise = np.clip(noise, *_NOISE_LIMITS)
        self.others, self.common = None, np.full(base.shape, np.nan)
        if context and simulated.group > 1:
            others = _others(rng, n, simulated.group)
            self.common = _common_curve(rng, base, peak, simulated.weight, others)
            self.others = others[:, :_MOST_SHOWN]
        # six of ten compounds have a limit within 3.5 decades of the peak
        decades = each(lambda k: np.where(rng.random(k) < 0.6, rng.uniform(1.0, 3.5, k), 6.0))
        self.lloq = peak * np.exp(-np.log(10) * decades)

    def measure(self, index: np.ndarray, sites: np.ndarray) -> Assayed:
        """Measure at points of GRID; index (n, samples), -1 for none; sites (n, samples)."""
        rng, simulated = self.rng, self.simulated
        at, rows = np.maximum(index, 0), np.arange(len(simulated))[:, None]
        truth = simulated.truth[rows, at, sites]
        truth = truth * np.exp(np.take_along_axis(self.bend, at, axis=1))
        bad = rng.random(truth.shape) < _BAD_SHARE * self.deviation
        sd = np.where(bad, _BAD_FACTOR, 1.0) * self.noise[:, None]
        value = truth * np.exp(sd * rng.standard_normal(truth.shape))
        value = value + _ADDITIVE * self.lloq[:, None] * rng.standard_normal(truth.shape)
        limit = np.broadcast_to(self.lloq[:, None], truth.shape)
        censored = ~(value > limit)
        factor = self.factor[:, None]
        mechanistic = np.full(truth.shape, np.nan)
        if simulated.mechanistic is not None:
            mechanistic = simulated.mechanistic[rows, at, sites] * factor
        at_site = sites == self.site[:, None]
        return Assayed(
            (index >= 0) & np.isfinite(truth),
            GRID[at] * simulated.lengths[:, None],
            np.where(censored, limit, value) * factor,
            censored,
            mechanistic,
            np.where(at_site, self.common[rows, at] * factor, np.nan),
        )

    def query_sites(self, shape: tuple[int, ...]) -> np.ndarray:
        """Sites of the queries: an eighth of those of the whole-body model are organs."""
        site = np.broadcast_to(self.site[:, None], shape).copy()
        if self.simulated.whole_body:
            elsewhere = self.rng.random(shape) < 0.125
            site = np.where(elsewhere, self.rng.integers(0, len(SITES), shape), site)
        return site


def measure(
    rng: np.random.Generator,
    simulated: Simulated,
    people: Pool,
    *,
    deviation: float,
    exact: bool,
    context: bool,
) -> tuple[Batch, np.ndarray]:
    """The batch of a laboratory, and the sd of ln concentration (n,).

    Parameters
    ----------
    deviation, exact
        see :class:`.CorpusOptions`
    context : bool
        whether patients see the others of their group
    """
    lab, samples = _Laboratory(rng, simulated, deviation, context), simulated.samples
    obs_site = np.broadcast_to(lab.site[:, None], samples.observed.shape)
    observed = lab.measure(samples.observed, obs_site)
    query_site = lab.query_sites(samples.asked.shape)
    queried = lab.measure(samples.asked, query_site)
    whole_site = np.broadcast_to(lab.site[:, None], samples.whole.shape)
    whole = lab.measure(samples.whole, whole_site)
    covariates = _covariates(rng, people, simulated.subjects, simulated.weight)
    known, descriptors = _known_descriptors(rng, simulated, exact)

    def if_known(values: np.ndarray) -> np.ndarray:
        return np.where(known, values, np.nan)

    def reference(assayed: Assayed) -> np.ndarray:
        """The others' common curve where there is one, else the mechanistic model's."""
        common = np.isfinite(assayed.common)
        return np.where(common, assayed.common, if_known(assayed.mechanistic))

    patient = {
        "body_weight": simulated.weight,
        "covariates": covariates,
        "descriptors": descriptors,
        **_doses(simulated.schedules, simulated.lanes, simulated.lengths, lab.dose),
    }
    batch = Batch(
        **observed.fields("obs"),
        obs_reference=reference(observed),
        obs_site=obs_site.copy(),
        **queried.fields("query"),
        query_reference=reference(queried),
        query_site=query_site,
        **patient,
    )
    if lab.others is not None:
        empty = np.zeros((len(simulated), 0))
        batch.context = lab.others
        batch.context_batch = Batch(
            **whole.fields("obs"),
            obs_reference=if_known(whole.mechanistic),
            obs_site=whole_site.copy(),
            query_mask=empty.astype(bool),
            query_time=empty,
            query_site=empty.astype(np.int64),
            query_reference=empty,
            **patient,
        )
    return batch, lab.noise


def _draw_dose(rng: np.random.Generator, simulated: Simulated) -> tuple[np.ndarray, np.ndarray]:
    """First doses (n,) [mg], and the factor (n,) from curves per 1 mg/kg to concentrations.

    1 mg/kg is as good as any dose for linear kinetics. Saturable compounds were simulated at it, so
    that their factor is only a unit of concentration.
    """
    each, weight, n = simulated.per_compound, simulated.weight, len(simulated)

    def log_normal(k: int) -> np.ndarray:
        return rng.normal(0.0, _UNIT_SD, k)

    dose = np.exp(each(log_normal)) * weight
    # in half of the patients the dose differs from that of the others
    dose = dose * np.exp(rng.choice([0.0, 0.25], n) * rng.standard_normal(n))
    factor = dose / weight
    saturable = simulated.descriptors[:, DESCRIPTORS.index("saturable")]
    common = each(lambda k: np.exp(log_normal(k)))
    factor = np.where(np.nan_to_num(saturable) > 0, common, factor)
    return factor * weight, factor


def _known_descriptors(
    rng: np.random.Generator, simulated: Simulated, exact: bool
) -> tuple[np.ndarray, np.ndarray]:
    """For whom the compound is known (n, 1), and the descriptors (n, len(DESCRIPTORS)), NaN
    where not.
    """
    each, descriptors = simulated.per_compound, simulated.descriptors
    known = (each(lambda k: rng.random(k) < 0.6)[:, None] | exact) & simulated.whole_body
    chance = rng.random(descriptors.shape)
    missing = each(lambda k: rng.choice([0.0, 0.25], k))[:, None]
    out = np.where(known & (chance > missing), descriptors, np.nan)
    for name in _WITH_COMPOUND:
        j = DESCRIPTORS.index(name)
        out[:, j] = np.where(known[:, 0], descriptors[:, j], np.nan)
    return known, out


def _doses(
    schedules: list[Schedule], lanes: int, lengths: np.ndarray, dose: np.ndarray
) -> dict[str, np.ndarray]:
    """Doses of all patients as fields of a Batch, (n, most doses) each."""
    n, most = len(lengths), max(len(s.time) for s in schedules)
    time, amount, mask = np.zeros((n, most)), np.zeros((n, most)), np.zeros((n, most), bool)
    duration, oral = np.zeros((n, most)), np.zeros((n, most), bool)
    for i, s in enumerate(schedules):
        rows, d = slice(i * lanes, (i + 1) * lanes), len(s.time)
        time[rows, :d] = s.time * lengths[rows, None]
        amount[rows, :d] = s.size * dose[rows, None]
        duration[rows, :d] = s.duration * lengths[rows, None]
        oral[rows, :d], mask[rows, :d] = s.oral, True
    return {
        "dose_time": time,
        "dose_amount": amount,
        "dose_duration": duration,
        "dose_oral": oral,
        "dose_mask": mask,
    }


def _covariates(rng, people: Pool, subjects, weight) -> np.ndarray:
    """(n, len(COVARIATES)) of the patients, NaN where not known; only of subjects of their
    own size.
    """
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
    out[:, -len(SPECIES) :] = people.species[subjects][:, None] == np.arange(len(SPECIES))[None, :]
    return out


def _others(rng, n: int, group: int) -> np.ndarray:
    """(n, group - 1) the other patients of each one's group in a random order, a random part
    of them.
    """
    index = np.arange(n)
    position = index % group
    step = 1 + rng.random((n, group - 1)).argsort(axis=1)
    others = (index - position)[:, None] + (position[:, None] + step) % group
    any_shown = rng.random((n, 1)) < 0.85
    return np.where(
        (rng.random(others.shape) < rng.uniform(0.2, 1.0, (n, 1))) & any_shown, others, -1
    )


def _wiggle(rng, n: int) -> np.ndarray:
    """(n, len(GRID)) smooth curves in log time with unit variance."""
    x = np.log(GRID)[None, :]
    out = np.zeros((n, len(GRID)))
    for _ in range(3):
        period = np.exp(rng.uniform(np.log(1.0), np.log(6.0), (n, 1)))
        out += np.sqrt(2 / 3) * np.sin(2 * np.pi * x / period + rng.uniform(0, 2 * np.pi, (n, 1)))
    return out


def _common_curve(
    rng, base: np.ndarray, peak: np.ndarray, weight: np.ndarray, others: np.ndarray
) -> np.ndarray:
    """(n, times) the curve that a fit to the other patients' samples would draw, per unit
    of dose: their geometric mean, a little wrong; NaN where present is nobody or bodies are
    too different.
    """
    n = len(base)
    floored = np.log(np.maximum(base, 1e-7 * peak[:, None]))
    present = (others >= 0) & np.isfinite(base).all(axis=1)[others]
    shares = present / np.maximum(present.sum(axis=1, keepdims=True), 1)
    # (n, others) and (n, others, times) -> (n, times)
    mean = np.einsum("np,npt->nt", shares, np.where(present[..., None], floored[others], 0.0))
    log_mass = np.log(weight)
    difference = np.abs(log_mass[others] - log_mass[:, None])  # (n, others)
    distance = np.where(present, difference, 0.0).max(axis=1)
    error = _wiggle(rng, n) * np.abs(rng.normal(0.0, 0.1, (n, 1))) + rng.normal(0.0, 0.06, (n, 1))
    return np.where((present.any(axis=1) & (distance < 1.1))[:, None], np.exp(mean + error), np.nan)


__all__ = ["Simulated", "measure"]
