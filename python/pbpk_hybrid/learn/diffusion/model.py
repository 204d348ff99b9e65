"""PCDM as its users see it: fit, sample, density, save, load."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from ..._core.errors import CheckpointError, InputError, OutOfRangeWarning, SolveError
from ..._core.random import generator
from ...physiology import check_physiology
from ...physiology.adults.population import complete_columns
from ...physiology.adults.selection import female_fraction
from ...physiology.adults.survey import ADULT_AGE, ETHNICITIES, said_of_the_oldest
from ...physiology.adults.variability import CUT, GFR_SD_LN
from ...physiology.conditions.enzymes import with_enzymes
from ...physiology.conditions.special import filters_with, read_special, with_conditions
from ...physiology.dataset import build
from ...physiology.growth import KNOTS, NODES, QUANTITIES, Growth
from ...physiology.like.candidates import OLDEST
from ...physiology.like.request import Request, Statistic
from ...physiology.like.sample import Options, Task, read_task, sample_like
from ..checkpoints import (
    check_array,
    check_finite,
    check_sizes,
    load_checkpoint,
    load_weights,
    reading,
    save_checkpoint,
    settings_of,
    with_prefix,
)
from ..devices import OnDevice, as_device, seeded
from ..model_card import Described, ModelCard, n_parameters
from ..training import RunOptions, TrainingLog
from .conditions import CONDITIONS, Condition, check
from .config import PCDMConfig
from .coordinates import AGE_KNOTS, MEASURED, UNITS, Coordinates, Measured
from .crowd import Found, Goal, Maker
from .density import log_density
from .goal import goal_of, group_chances
from .module import Denoiser
from .sampler import Flow
from .source import ModelSource
from .training import (
    GROUPS,
    TrainingTable,
    check_population,
    group_shares,
    groups,
    hold_out,
    train_denoiser,
)

KIND, FORMAT = "pcdm", 3
SHIPPED = Path(__file__).parents[1] / "data" / "pcdm" / "pcdm.safetensors"
#: what a checkpoint may ask for: (least, largest)
_LIMITS: dict[str, tuple[float, float]] = {
    "width": (1, 8192),
    "blocks": (1, 128),
    "steps": (1, 1000),
    "copies": (1, 10_000),
    "batch_size": (1, 10_000_000),
    "noise_sd": (0.0, 100.0),
    "sigma_min": (1e-6, 1e3),
    "sigma_max": (1e-6, 1e6),
}
_FEW = (
    50  # people trained on, expected where something was asked for, below which a warning says so
)
_ADULTS = (ADULT_AGE, OLDEST - 1 / 24)


class PCDM(OnDevice, Described):
    """Physiologically constrained diffusion model of people from birth to 89 years.

    >>> from pbpk_hybrid.learn import PCDM
    >>> asked = {"sex": "female", "age": (60, 80), "egfr": (30, 60), "bmi": (30, None)}
    >>> women = PCDM.load().sample(500, asked, seed=1)

    A score-based diffusion model (:mod:`.module`) of what is measured of a person (age, weight,
    height, hematocrit, creatinine) given sex and ethnicity, in normal scores given age
    (:mod:`.coordinates`). Organs, flows and filtration are drawn for each person by the one model
    of bodies (:mod:`pbpk_hybrid.physiology.bodies`): residuals that go together, inside their
    bounds by construction, with masses and flows that add up exactly. After arXiv 2602.18472, which
    diffuses the organs as well and trains with the rules in the loss: of residuals that are drawn
    inside their bounds such a loss has nothing to improve.

    Conditions of any kind hold exactly and without training, because people are moved as the noise
    that they are made of and never out of what was asked (:mod:`.crowd`). There is no stored pool,
    and nobody is handed out twice.

    Attributes
    ----------
    config
        :class:`PCDMConfig`
    ranges
        name -> (low, high) of the people trained on
    n_people
        how many different people were trained on
    log_
        :class:`~pbpk_hybrid.learn.training.TrainingLog` after :meth:`fit`, else None
    """

    def __init__(
        self,
        config: PCDMConfig,
        module: Denoiser,
        coordinates: Coordinates,
        shares: np.ndarray,
        ranges: Mapping[str, tuple[float, float]],
        n_people: int,
    ) -> None:
        self.ranges, self.n_people = dict(ranges), int(n_people)
        self._config, self._module = config, module.eval()
        self._coordinates, self._shares = coordinates, shares
        self.log_: TrainingLog | None = None

    @property
    def config(self) -> PCDMConfig:
        """Settings of the model; people are drawn by the same ones."""
        return self._config

    @config.setter
    def config(self, config: PCDMConfig) -> None:
        self._config = config

    @property
    def log(self) -> TrainingLog | None:
        """The same as `log_`, its name in the other components."""
        return self.log_

    def _networks(self) -> tuple[Denoiser, ...]:
        return (self._module,)

    def _card(self) -> ModelCard:
        config, age = self.config, self.ranges["age"]
        entries = {
            "draws": f"{len(MEASURED)} measured quantities; organs by the model of bodies",
            "trained on": f"{self.n_people:,} people of {age[0]:.0f} to {age[1]:.0f} years",
            "conditions": "sex, ethnicity, "
            + ", ".join(self.ranges)
            + "; criteria, tables, organs",
            "network": f"{config.blocks} blocks of width {config.width}",
            "denoising steps": config.steps,
        }
        return ModelCard("PCDM", KIND, FORMAT, n_parameters(self._module), entries)

    @classmethod
    def fit(
        cls,
        population: xr.Dataset,
        seed: int,
        *,
        validation: xr.Dataset | None = None,
        config: PCDMConfig | None = None,
        folder: str | os.PathLike | None = None,
        max_minutes: float | None = None,
        threads: int | None = None,
        progress: bool = False,
        tensorboard: bool = False,
        device: Any = None,
        precision: str = "float32",
    ) -> PCDM:
        """Train on a population.

        Parameters
        ----------
        population
            physiology Dataset of people to 90 years with sex, ethnicity and what is measured of
            them (hematocrit from 1 year, creatinine from 12); its ``survey_weight``, if it has one,
            says how many people each stands for
        seed
            of everything random
        validation
            people to stop by; None: a tenth of `population`, by person
        config
            settings; None: those of the shipped model
        folder
            where the run keeps its state; a run that was killed goes on from it
        max_minutes, threads, progress, tensorboard, device, precision
            see :class:`~pbpk_hybrid.learn.training.RunOptions`; untested on CUDA

        Raises
        ------
        SchemaError
            not a physiology Dataset, or without a variable that is needed
        InputError
            fewer than 500 people, animals, people over 90, values that are not finite
        CheckpointError
            `folder` holds another run
        """
        _, seed = generator(seed)
        config = replace(config or PCDMConfig(), seed=seed)
        run = RunOptions(
            folder, max_minutes, threads, progress, tensorboard, as_device(device), precision
        )
        people = check_population(population)
        if validation is None:
            population, validation = hold_out(population, seed)
            people = Measured.of(population, _weights(population))
        held_out = check_population(validation, smallest=1)
        of_survey = bool(population.attrs.get("split"))
        coordinates = Coordinates.fit(people, seed, oldest=of_survey)
        table = TrainingTable(people, coordinates, config.copies, seed)
        held = TrainingTable(held_out, coordinates, config.copies, seed + 1)
        module, log = train_denoiser(table, held, config, seed, run)
        named = population["nhanes_person"].values if "nhanes_person" in population else people.male
        n_people = np.unique(named).size if "nhanes_person" in population else len(people)
        self = cls(
            config, module, coordinates, group_shares(people), _ranges_among(people), n_people
        )
        self.log_ = log
        return self.to(precision=precision)

    def sample(
        self,
        n: int,
        condition: Mapping[str, Any] | None = None,
        *,
        seed: int | None,
        extrapolate: bool = False,
        measured_precision: bool = True,
        like: Any = None,
        where: str | Sequence[str] | None = None,
        strict: bool = False,
        organs: Mapping[str, Any] | None = None,
        special: Any = None,
    ) -> xr.Dataset:
        """Draw virtual people, exactly `n` of them, none of whom breaks a hard rule of physiology.

        Parameters
        ----------
        n
            number of people
        condition
            quantity -> (low, high), None for an open end: age [year], body_weight [kg],
            height [cm], hematocrit, serum_creatinine [mg/dL], bmi [kg/m^2], egfr
            [mL/min/1.73 m^2], gfr [L/h]; "sex": "female", "male" or the fraction of women;
            "ethnicity": one name or several. Every person handed out satisfies all of it. Without
            an age: adults of 18 to 79 years.
        seed
            non-negative integer; None draws one, kept in the attributes
        extrapolate
            allow ranges beyond the people trained on; the result is marked
        measured_precision
            round measured quantities as the survey does (age to a month, weight to 0.1 kg,
            ...)
        like, where, strict, organs, special
            as of :func:`pbpk_hybrid.physiology.sample_population`: a table of people to be like,
            inclusion criteria, organs that are known, a special population

        Returns
        -------
        Dataset
            Physiology Dataset, ready for ``simulate``; attributes ``probability`` (share of all
            people who satisfy the condition, sex and ethnicity included),
            ``people_trained_on_like_that`` (how many of those trained on that makes),
            ``levels`` (of subset simulation, :mod:`.crowd`; 0: drawn and taken or left),
            ``extrapolated`` (quantities asked for where nobody was trained on),
            ``beyond_training`` (asked ends that reach further than the people trained on: nobody
            is handed out there).

        Raises
        ------
        InputError and its kin
            an impossible, contradictory or unseen condition, naming the field, the value
            and the range
        SolveError
            next to nobody satisfies the condition

        Warns
        -----
        OutOfRangeWarning
            fewer than 50 people like that are to be expected among those trained on; a table that
            cannot be met
        """
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise InputError("n", n, "a whole number of people >= 1")
        if strict and like is None:
            raise InputError("strict", strict, "a table, given by like")
        asked = read_special(special) if special is not None else None
        if asked is not None:
            condition = filters_with(asked, condition or {})
        request = check(condition, self.ranges, extrapolate)
        rng, seed = generator(seed)
        task = self._task(request, like, where, organs, extrapolate)
        flow = Flow(self._module, self.config, self.precision)
        maker = Maker(flow, self._coordinates, measured_precision)
        if like is not None:
            people = self._sample_like(int(n), rng, seed, task, maker, request, strict)
        else:
            people = self._sample(int(n), rng, task, maker, request, extrapolate)
        people.attrs |= {
            "method": "physiologically constrained diffusion model",
            "seed": seed,
            "condition": repr(dict(request.request)),
            "extrapolated": "; ".join(request.extrapolated) or "no",
            "beyond_training": "; ".join(request.beyond) or "no",
            "sources": "trained on NHANES 2013-2018 (CDC/NCHS); organs: ICRP 89; McNally et al. "
            "2014; arXiv 2602.18472",
        }
        return people if asked is None else with_conditions(people, asked)

    def _task(
        self, request: Condition, like: Any, where: Any, organs: Any, extrapolate: bool
    ) -> Task:
        """What holds for everybody, and the table; ranges end where the people trained on end."""
        ranges = dict(request.ranges)
        if not extrapolate:
            for name, (low, high) in ranges.items():
                least, most = self.ranges[name]
                ranges[name] = (max(low, least), min(high, most))
        filters = {n: (low, min(high, 1e6)) for n, (low, high) in ranges.items()}
        task = read_task(like, filters, None, where, organs)
        if not any(s.quantity == "age" for s in task.request.statistics):
            task = read_task(like, {**filters, "age": _ADULTS}, None, where, organs)
        return task

    def _reach(self, extrapolate: bool) -> dict[str, tuple[float, float]]:
        """Ranges of what is measured that nobody leaves."""
        return {} if extrapolate else {name: self.ranges[name] for name in MEASURED[1:]}

    def _sample(
        self,
        n: int,
        rng: np.random.Generator,
        task: Task,
        maker: Maker,
        request: Condition,
        extrapolate: bool,
    ) -> xr.Dataset:
        """n people by ranges, criteria and organs."""
        parts, probabilities, levels = [], [], 0
        for male, count in _by_sex(n, request.sex):
            chances = group_chances(self._shares, male, request.ethnicity)
            goal = goal_of(task, chances, reach=self._reach(extrapolate))
            found = self._found(maker, count, goal, rng, task, request)
            parts.append(self._bodies(maker, found, goal, rng, task, request))
            probabilities.append(
                found.probability * float(self._shares.ravel()[goal.groups > 0].sum())
            )
            levels = max(levels, found.levels)
        columns = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
        if len(parts) > 1:
            order = rng.permutation(n)
            columns = {name: values[order] for name, values in columns.items()}
        expected = float(np.sum(probabilities)) * self.n_people
        if expected < min(_FEW, n):
            warnings.warn(
                f"about {expected:.2g} of the {self.n_people:,} people trained on are like that; "
                f"the {n} drawn rest on what the model makes of these and of those near them",
                OutOfRangeWarning,
                stacklevel=3,
            )
        attrs = {
            "probability": float(np.sum(probabilities)),
            "people_trained_on_like_that": expected,
            "levels": levels,
            "where": " and ".join(f"({c.text})" for c in task.criteria) or "none",
            "organs": repr({o.organ: o.value for o in task.organs}) if task.organs else "none",
        }
        return _dataset(columns, attrs)

    def _found(
        self,
        maker: Maker,
        n: int,
        goal: Goal,
        rng: np.random.Generator,
        task: Task,
        request: Condition,
    ) -> Found:
        try:
            return maker.find(n, goal, rng)
        except SolveError as error:
            ranges = ", ".join(f"{k} {a:.4g}-{b:.4g}" for k, (a, b) in self.ranges.items())
            criteria = " and ".join(c.text for c in task.criteria)
            what = f"{dict(request.request)} {criteria}".strip()
            raise SolveError(f"{error}; asked: {what}; people trained on: {ranges}") from None

    def _bodies(
        self,
        maker: Maker,
        found: Found,
        goal: Goal,
        rng: np.random.Generator,
        task: Task,
        request: Condition,
    ) -> dict[str, np.ndarray]:
        """Columns of a Dataset; who can be given no organs is replaced.

        Raises
        ------
        SolveError
            Nobody can.
        """
        columns = {**found.crowd.columns, "person": np.zeros(len(found.crowd), int)}
        data, missing = complete_columns(rng, columns, task.organs)
        for _ in range(20):
            if not missing.size:
                data.pop("person")
                return data
            again = self._found(maker, missing.size, goal, rng, task, request).crowd
            some = {**again.columns, "person": np.zeros(len(again), int)}
            part, left = complete_columns(rng, some, task.organs)
            good = np.setdiff1d(np.arange(missing.size), left)
            for name, values in part.items():
                data[name][missing[good]] = values[good]
            missing = missing[left]
        raise SolveError(
            f"{missing.size} people could not be given organs that fit their weight and height: "
            "widen body_weight, height or bmi"
        )

    def _sample_like(
        self,
        n: int,
        rng: np.random.Generator,
        seed: int,
        task: Task,
        maker: Maker,
        request: Condition,
        strict: bool,
    ) -> xr.Dataset:
        """n people like a table."""
        if request.sex is not None:
            women = female_fraction(request.sex)
            more = Statistic("female", "share", women)
            task = replace(task, request=Request((*task.request.statistics, more)))
        chances = group_chances(self._shares, None, request.ethnicity)
        source = ModelSource(maker, rng, task, chances, self.n_people, self.ranges)
        return sample_like(n, rng, seed, task, Options(strict=strict), source)

    def log_density(
        self, population: xr.Dataset, *, seed: int = 0, steps: int = 48
    ) -> xr.DataArray:
        """Log density of what is measured of people, in their standardised coordinates, with that
        of their sex and ethnicity.

        See :mod:`.density`.

        Parameters
        ----------
        population
            physiology Dataset of people to 90 years
        seed
            of the spreading of rounded measurements over their resolution, and of what is not
            measured of children
        steps
            noise levels

        Returns
        -------
        DataArray
            (subject,) [nat]; comparable between people of one model, a small value is an
            unusual person.

        Raises
        ------
        SchemaError, InputError
            as :meth:`fit`, but for the number of people
        """
        people = check_population(population, smallest=1)
        rng = np.random.default_rng(seed)
        x = self._coordinates.encode(people.spread(rng))
        unknown = np.isnan(x)
        x[unknown] = rng.standard_normal(int(unknown.sum()))
        male, code = torch.tensor(people.male), torch.tensor(people.ethnicity)
        start = torch.tensor(x, dtype=torch.float32)
        within = log_density(self._module, self.config, start, groups(male, code), steps)
        # what is not known is independent noise: it says nothing
        noise = np.where(unknown, -0.5 * x**2 - 0.5 * np.log(2 * np.pi), 0.0).sum(axis=1)
        group = np.log(self._shares[people.male.astype(int), people.ethnicity])
        value = within.numpy() - noise + group
        subject = (
            population["subject"].values if "subject" in population.coords else np.arange(len(x))
        )
        return xr.DataArray(
            value,
            {"subject": subject},
            "subject",
            "log_density",
            {"units": "1", "long_name": "log density in standardised coordinates [nat]"},
        )

    def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> Path:
        """Write a checkpoint (safetensors, configuration inside).

        Raises
        ------
        CheckpointError
            the file is there and `overwrite` is False
        """
        growth = self._coordinates.growth
        arrays = {
            "ages": self._coordinates.ages,
            "grid": growth.grid,
            "location": growth.location,
            "spread": growth.spread,
            "shape": growth.shape,
            "shares": self._shares,
        }
        tensors = {f"network/{name}": t for name, t in self._module.state_dict().items()}
        tensors |= {name: torch.tensor(values) for name, values in arrays.items()}
        config = {
            "config": asdict(self.config),
            "names": list(MEASURED),
            "ethnicities": list(ETHNICITIES),
            "ranges": {k: list(v) for k, v in self.ranges.items()},
            "n_people": self.n_people,
        }
        return save_checkpoint(
            path, tensors, config, kind=KIND, format_version=FORMAT, overwrite=overwrite
        )

    @classmethod
    def load(
        cls,
        path: str | os.PathLike | None = None,
        *,
        device: Any = None,
        precision: str = "float32",
    ) -> PCDM:
        """Read a checkpoint; None: the one shipped with the package.

        `device` and `precision` as in :meth:`to`.

        Raises
        ------
        CheckpointError
            not a checkpoint of a PCDM, or of another version
        """
        tensors, stored = load_checkpoint(
            SHIPPED if path is None else path, kind=KIND, format_version=FORMAT
        )
        with reading(path):
            found = cls._from_checkpoint(tensors, stored)
        return found.to(device, precision)

    @classmethod
    def _from_checkpoint(cls, tensors: dict[str, torch.Tensor], stored: dict[str, Any]) -> PCDM:
        """Everything is looked at before the network is built."""
        if stored.get("names") != list(MEASURED) or stored.get("ethnicities") != list(ETHNICITIES):
            raise CheckpointError(
                "names",
                stored.get("names"),
                "the coordinates of this version",
                hint="train it again",
            )
        config = settings_of(PCDMConfig, stored["config"], _LIMITS)
        check_finite(tensors)
        coordinates = _coordinates_of(tensors)
        shares = check_array("shares", tensors["shares"], (2, len(ETHNICITIES)), 0.0, 1.0)
        if abs(float(shares.sum()) - 1.0) > 1e-6:
            raise CheckpointError("tensor shares", float(shares.sum()), "shares that add to 1")
        ranges = _ranges_of(stored["ranges"])
        n_people = int(stored["n_people"])
        if n_people < 1:
            raise CheckpointError("n_people", n_people, "at least 1")
        weights = with_prefix(tensors, "network/")

        def build_network() -> Denoiser:
            return Denoiser(config, len(MEASURED), GROUPS)

        check_sizes(build_network, weights)
        with seeded(config.seed):  # first weights are drawn, and replaced
            module = build_network()
        load_weights(module, weights)
        return cls(config, module, coordinates, shares.numpy(), ranges, n_people)


def _weights(population: xr.Dataset) -> np.ndarray:
    if "survey_weight" in population:
        return np.asarray(population["survey_weight"].values, float)
    return np.ones(population.sizes["subject"])


def _ranges_among(people: Measured) -> dict[str, tuple[float, float]]:
    """Name -> (low, high) of people, of everything that can be asked for."""
    from ...physiology.adults.body import People
    from ...physiology.bodies import expected_gfr

    v = people.values
    body = People(people.male, v["age"], v["body_weight"], v["height"])
    gfr = expected_gfr(body, v["serum_creatinine"])
    known = {
        **v,
        "bmi": body.body_mass_index,
        "gfr": gfr,
        "egfr": gfr / 0.06 * 1.73 / body.surface,
    }
    ranges = {
        name: (float(np.nanmin(known[name])), float(np.nanmax(known[name]))) for name in UNITS
    }
    for name in ("gfr", "egfr"):
        # the individual rate scatters about the expected one
        low, high = ranges[name]
        spread = float(np.exp(CUT * GFR_SD_LN))
        ranges[name] = (low / spread, high * spread)
    return {name: ranges[name] for name in CONDITIONS}


def _by_sex(n: int, sex: str | float | None) -> list[tuple[bool | None, int]]:
    """(male, how many); None: both sexes as they come."""
    if isinstance(sex, str):
        return [(sex == "male", n)]
    if sex is None:
        return [(None, n)]
    women = round(n * sex)
    return [(male, count) for male, count in ((False, women), (True, n - women)) if count]


def _dataset(columns: dict[str, np.ndarray], attrs: dict[str, Any]) -> xr.Dataset:
    """The physiology Dataset; with children among them everybody has the enzymes of the age."""
    mass, flow = columns.pop("mass"), columns.pop("blood_flow")
    attrs = attrs | said_of_the_oldest(columns["age"])
    people = check_physiology(build(mass, flow, "human", columns, attrs))
    return with_enzymes(people) if (people["age"].values < ADULT_AGE).any() else people


def _coordinates_of(tensors: Mapping[str, torch.Tensor]) -> Coordinates:
    """The coordinates of a checkpoint.

    Raises
    ------
    CheckpointError
        tables of another shape, or that fall
    """
    quantities = len(QUANTITIES)
    ages = check_array("ages", tensors["ages"], (2, AGE_KNOTS), 0.0, 200.0)
    grid = check_array("grid", tensors["grid"], (None,))
    curves = (2, quantities, len(grid))
    location = check_array("location", tensors["location"], curves, -20.0, 20.0)
    spread = check_array("spread", tensors["spread"], curves, 1e-6, 20.0)
    shape = check_array("shape", tensors["shape"], (2, quantities, len(NODES), KNOTS))
    for name, table in (("ages", ages), ("grid", grid), ("shape", shape)):
        if not (table.diff(dim=-1) >= 0).all():
            raise CheckpointError(f"tensor {name}", "falling values", "values that rise")
    growth = Growth(*(t.double().numpy() for t in (grid, location, spread, shape)))
    return Coordinates(ages.double().numpy(), growth)


def _ranges_of(stored: Any) -> dict[str, tuple[float, float]]:
    """Name -> (low, high) of the people trained on, from a checkpoint.

    Raises
    ------
    CheckpointError
        an unknown name, or no two numbers in order
    """
    out = {}
    for name, ends in dict(stored).items():
        if name not in UNITS:
            raise CheckpointError("ranges", name, f"one of {', '.join(UNITS)}")
        low, high = (float(v) for v in ends)
        if not (np.isfinite([low, high]).all() and low <= high):
            raise CheckpointError(f"ranges.{name}", ends, "a lower and an upper end")
        out[name] = (low, high)
    return out


__all__ = ["PCDM", "UNITS"]
