"""PCDM as its users see it: fit, sample, density, save, load."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from ..._core.errors import CheckpointError, InputError, SchemaError, SolveError
from ..._core.random import generator
from ...physiology import check_physiology
from ...physiology.adults.survey import ETHNICITIES
from ...physiology.dataset import build
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
from ..threads import over_threads
from ..training import TrainingLog, TrainingOptions, train
from .conditions import DERIVED, Condition, check, features, groups, random_features, scores
from .config import PCDMConfig
from .coordinates import (
    KNOTS,
    MEASURED,
    NAMES,
    POOLED,
    RESIDUALS,
    UNITS,
    Coordinates,
    Decoded,
    ethnicity_codes,
)
from .module import CONDITIONS, Denoiser
from .physics_loss import violation
from .ranges import mirror
from .sampler import project, sample

KIND, FORMAT = "pcdm", 2
SHIPPED = Path(__file__).parents[1] / "data" / "pcdm" / "pcdm.safetensors"
#: what a checkpoint may ask for: (least, largest)
_LIMITS: dict[str, tuple[float, float]] = {
    "width": (1, 8192),
    "blocks": (1, 128),
    "steps": (1, 1000),
    "pool": (1, 10_000_000),
    "batch_size": (1, 10_000_000),
    "noise_sd": (0.0, 100.0),
    "sigma_min": (1e-6, 1e3),
    "sigma_max": (1e-6, 1e6),
    "rho": (0.1, 100.0),
    "release": (0.0, 1e6),
    "condition_share": (0.0, 1.0),
    "measured_weight": (0.0, 1e6),
}
SMALLEST = 500  #: people: fewer do not support a joint distribution of this many quantities
_NEEDED = (
    "sex",
    *MEASURED,
    "gfr",
    "cardiac_output",
    "hepatocellularity",
    "microsomal_protein",
    "ethnicity",
)
_BATCH = 20_000  # people at a time: bounds memory
_CHUNK = 1024  # people at a time on a thread: their hidden layers stay in the processor's cache
_FEW = 20  # people of the pool who satisfy a condition: with fewer, the network alone has to know
_ROUNDS = 60


class PCDM:
    """Physiologically constrained diffusion model of human adults.

    >>> from pbpk_hybrid.learn import PCDM
    >>> asked = {"sex": "female", "age": (60, 80), "egfr": (30, 60), "bmi": (30, None)}
    >>> women = PCDM.load().sample(500, asked, seed=1)

    A score-based diffusion model (:mod:`._module`) of a person's measured quantities and organ residuals
    (:mod:`._coordinates`), given sex and ethnicity, trained with the plausibility rules in its loss (:mod:`._physics`) and
    projected onto them when sampled (:mod:`._sampler`). Paper: arXiv 2602.18472.

    Conditions are not left to what the network makes of a range. When it is fitted, the model draws 200,000 people without
    a condition and keeps their measured quantities and filtration (the pool, 2.6 MB of the checkpoint). Who is asked for
    by ranges starts from a member of the pool who satisfies them: held at those values under the noise while the organs
    come to fit, set free at a small noise level, which makes another person of the same distribution; one who has left the
    ranges by then takes the values of the member back (or is mirrored at the bound, :mod:`._ranges`, when the pool has
    fewer such members than were asked for). Nobody is thrown away, and the ranges hold exactly. Where fewer than 20 members
    satisfy a condition, or guidance is asked for, the network is told the ranges, and who fails them is drawn again.

    Only adults: organ masses, fat and flows of children would need regressions of growth that the engine does not have, so
    that populations with children are refused by :meth:`fit` and ages below 18 by :meth:`sample`.

    Attributes
    ----------
    config : :class:`PCDMConfig`
    ranges : name -> (low, high) of the people trained on
    log_ : :class:`~pbpk_hybrid.learn.training.TrainingLog` after :meth:`fit`, else None
    """

    def __init__(
        self,
        config: PCDMConfig,
        module: Denoiser,
        coordinates: Coordinates,
        logs: torch.Tensor,
        shares: torch.Tensor,
        ranges: Mapping[str, tuple[float, float]],
        pool: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        self.config, self.ranges = config, dict(ranges)
        self._module, self._coordinates = module.eval(), coordinates
        self._logs, self._shares = (
            logs,
            shares,
        )  # shares: (2, 5) of sex and ethnicity in the population
        self._pool = dict(
            pool or {}
        )  # coordinates (POOLED) and group of people drawn without a condition
        self._pooled: dict[bool, dict[str, torch.Tensor]] = {}
        self.log_: TrainingLog | None = None

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
    ) -> PCDM:
        """Train on a population.

        Parameters
        ----------
        population : physiology Dataset of human adults with the variables of
        :func:`~pbpk_hybrid.physiology.training_people`; its
            ``survey_weight``, if it has one, says how many people each stands for
        seed : of everything random
        validation : people to stop by; None: a tenth of `population`, by person
        config : settings; None: those of the shipped model
        folder : where the run keeps its state; a run that was killed goes on from it
        max_minutes, threads, progress : see :class:`~pbpk_hybrid.learn.training.TrainingOptions`

        Raises
        ------
        SchemaError : not a physiology Dataset, or without a variable that is needed
        InputError : fewer than 500 people, animals, children, values that are not finite
        CheckpointError : `folder` holds another run
        """
        config = config or PCDMConfig()
        _, seed = generator(seed)
        weight = _check_people(population)
        if validation is None:
            population, weight, validation = _hold_out(population, weight, seed)
        held_weight = _check_people(validation, smallest=1)
        coordinates = Coordinates.fit(population, weight, seed)
        data = _Table(population, weight, coordinates, seed)
        held = _Table(validation, held_weight, coordinates, seed + 1, data.logs)
        torch.manual_seed(seed)
        module = Denoiser(config, len(NAMES), 2 + len(ETHNICITIES))

        def loss(module, step, gen):
            return _loss(module, data, coordinates, config, gen)

        def validate(module):
            gen = torch.Generator().manual_seed(seed + 2)
            with torch.no_grad():
                quiet = replace(config, physics_weight=0.0, batch_size=4096)
                return float(
                    np.mean([float(_loss(module, held, coordinates, quiet, gen)) for _ in range(8)])
                )

        options = TrainingOptions(
            steps=config.training_steps,
            learning_rate=config.learning_rate,
            evaluate_every=config.evaluate_every,
            patience=config.patience,
            weight_decay=1e-3,
            max_minutes=max_minutes,
            seed=seed,
            threads=threads,
        )
        log = train(module, loss, options, validate=validate, folder=folder, progress=progress)
        shares = torch.zeros(2, len(ETHNICITIES), dtype=torch.float64)
        shares.index_put_(
            (data.male.long(), data.ethnicity.long()), torch.tensor(weight), accumulate=True
        )
        self = cls(config, module, coordinates, data.logs, shares / shares.sum(), data.ranges)
        self.log_ = log
        self._make_pool(seed)
        return self

    def sample(
        self,
        n: int,
        condition: Mapping[str, Any] | None = None,
        *,
        seed: int | None,
        extrapolate: bool = False,
        guidance: float = 1.0,
        measured_precision: bool = True,
    ) -> xr.Dataset:
        """Draw virtual people, exactly `n` of them, none of whom breaks a hard rule of physiology.

        Parameters
        ----------
        n : number of people
        condition : quantity -> (low, high), None for an open end: age [year], body_weight [kg], height [cm], hematocrit,
            serum_creatinine [mg/dL], bmi [kg/m^2], egfr [mL/min/1.73 m^2], gfr [L/h]; "sex": "female", "male" or the
            fraction of
            women; "ethnicity": one name or several. Every person handed out satisfies all of it.
        seed : non-negative integer; None draws one, kept in the attributes
        extrapolate : allow ranges beyond the people trained on; the result is marked
        guidance : 1 samples the conditional distribution; more draws people deeper into the asked ranges
        measured_precision : round measured quantities as the survey does (age to a month, weight to .1 kg, ...)

        Returns
        -------
        physiology Dataset, ready for ``simulate``; attributes ``rejected_fraction`` (drawn and thrown away because a
        condition or a hard rule failed), ``projected_fraction`` (organs moved to satisfy a rule), ``mirrored_fraction``
        (moved into an asked range from just outside, see :mod:`._ranges`), ``pool_members`` (how many people of the pool
        satisfy the ranges; 0: the network was told them), ``extrapolated`` (quantities asked for where nobody was trained
        on), ``beyond_training`` (asked ends that reach further than the people trained on: nobody is handed out there)

        Raises
        ------
        InputError and its kin : an impossible, contradictory or unseen condition, naming the field, the value and the range
        SolveError : next to nobody satisfies the condition
        """
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise InputError("n", n, "a whole number of people >= 1")
        asked = check(condition, self.ranges, extrapolate)
        _, seed = generator(seed)
        gen = torch.Generator().manual_seed(seed % 2**63)
        sizes = self._groups(int(n), asked, gen)
        parts, drawn, kept, moved, mirrored, behind = [], 0, 0, 0, 0, 0
        for male, count in sizes:
            shares = self._shares_of(asked, male)
            some = (
                self._of_pool(asked, male, measured_precision)
                if asked.ranges and guidance == 1.0
                else torch.arange(0)
            )
            if len(some) < _FEW:
                some = None
            else:
                behind += len(some)
            got = 0
            for turn in range(_ROUNDS + count // _BATCH):
                want = count - got
                rate = max(kept / drawn, 0.02) if drawn else 1.0
                size = min(
                    _BATCH,
                    int(want / rate * (1.0 if rate > 0.999 else 1.05))
                    + (0 if turn == 0 and rate == 1.0 else 16),
                )
                start = None if some is None else some[_turns(len(some), size, gen)]
                people, code, good, shifted, back = self._draw(
                    size, shares, asked, gen, guidance, measured_precision, start
                )
                drawn, moved, mirrored = drawn + size, moved + shifted, mirrored + back
                index = good.nonzero().ravel()[:want]
                # people drawn beyond the number asked for are not rejected: they were good
                kept += int(good.sum())
                got += len(index)
                parts.append(_columns(people, code, index))
                if got == count:
                    break
                if turn >= 5 and kept < 1e-3 * drawn:
                    break
            if got < count:
                raise SolveError(
                    f"only {kept} of {drawn} people drawn satisfy the condition {dict(condition or {})}: widen it; "
                    "ranges of the people trained on: "
                    + ", ".join(f"{k} {a:.4g}-{b:.4g}" for k, (a, b) in self.ranges.items())
                )
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        order = torch.randperm(int(n), generator=gen).numpy()
        columns = {name: values[order] for name, values in columns.items()}
        mass, flow = columns.pop("mass"), columns.pop("blood_flow")
        facts = {
            "method": "physiologically constrained diffusion model",
            "seed": seed,
            "guidance": guidance,
            "condition": repr(dict(condition or {})),
            "rejected_fraction": 1 - kept / drawn,
            "projected_fraction": moved / drawn,
            "mirrored_fraction": mirrored / drawn,
            "pool_members": behind,
            "extrapolated": "; ".join(asked.extrapolated) or "no",
            "beyond_training": "; ".join(asked.beyond) or "no",
            "sources": "trained on NHANES 2013-2018 (CDC/NCHS) with the engine's regressions; arXiv 2602.18472",
        }
        return check_physiology(build(mass, flow, "human", columns, facts))

    def log_density(
        self, population: xr.Dataset, *, seed: int = 0, steps: int = 48
    ) -> xr.DataArray:
        """Log density of people, in their standardised coordinates, with that of their sex and ethnicity.

        .. math:: \\ln p(x, g) = \\ln p(g) + \\ln \\mathcal N(x_T; 0, \\sigma_{max}^2)
                  + \\int_{\\sigma_{min}}^{\\sigma_{max}} \\nabla\\cdot \\frac{x - D(x; \\sigma, g)}{\\sigma} \\, d\\sigma

        along the probability-flow ODE (Song et al. 2021, arXiv 2011.13456, eq. 39), by Heun's method; the divergence is
        exact, one
        derivative for each coordinate.

        Parameters
        ----------
        population : physiology Dataset of human adults
        seed : of the spreading of rounded measurements over their resolution

        Returns
        -------
        (subject,) [nat]; comparable between people of one model, a small value is an unusual person

        Raises
        ------
        SchemaError, InputError : as :meth:`fit`, but for the number of people
        """
        _check_people(population, smallest=1)
        x = self._coordinates.encode(population, np.random.default_rng(seed)).float()
        male = torch.tensor(population["sex"].values == "male")
        code = torch.tensor(ethnicity_codes(population["ethnicity"].values))
        told = torch.zeros(len(x), len(CONDITIONS), 3)
        group = groups(male, code)
        config = self.config
        levels = torch.exp(
            torch.linspace(np.log(config.sigma_min), np.log(config.sigma_max), steps + 1)
        )
        total = torch.zeros(len(x), dtype=torch.float64)
        dimension = x.shape[1]

        def velocity(x, sigma):
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                v = (x - self._module(x, sigma.expand(len(x)), group, told)) / sigma
                trace = torch.zeros(len(x))
                for k in range(dimension):
                    trace += torch.autograd.grad(v[:, k].sum(), x, retain_graph=k + 1 < dimension)[
                        0
                    ][:, k]
            return v.detach(), trace

        for low, high in pairwise(levels):
            v, t = velocity(x, low)
            v2, t2 = velocity(x + (high - low) * v, high)
            x = x + 0.5 * (high - low) * (v + v2)
            total += 0.5 * (high - low) * (t + t2)
        end = -0.5 * (x.double() ** 2).sum(1) / config.sigma_max**2 - dimension * np.log(
            config.sigma_max * np.sqrt(2 * np.pi)
        )
        value = total + end + torch.log(self._shares[male.long(), code])
        subject = (
            population["subject"].values if "subject" in population.coords else np.arange(len(x))
        )
        return xr.DataArray(
            value.numpy(),
            {"subject": subject},
            "subject",
            "log_density",
            {"units": "1", "long_name": "log density in standardised coordinates [nat]"},
        )

    def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> Path:
        """Write a checkpoint (safetensors, configuration inside).

        Raises
        ------
        CheckpointError : the file is there and `overwrite` is False
        """
        tensors = {f"network/{name}": tensor for name, tensor in self._module.state_dict().items()}
        tensors |= {
            "tables": self._coordinates.tables,
            "mean": self._coordinates.mean,
            "scale": self._coordinates.scale,
            "logs": self._logs,
            "shares": self._shares,
            **{f"pool/{name}": values for name, values in self._pool.items()},
        }
        config = {
            "config": asdict(self.config),
            "names": list(NAMES),
            "ethnicities": list(ETHNICITIES),
            "ranges": {k: list(v) for k, v in self.ranges.items()},
        }
        return save_checkpoint(
            path, tensors, config, kind=KIND, format_version=FORMAT, overwrite=overwrite
        )

    @classmethod
    def load(cls, path: str | os.PathLike | None = None) -> PCDM:
        """Read a checkpoint; None: the one shipped with the package.

        Raises
        ------
        CheckpointError : not a checkpoint of a PCDM, or of another version
        """
        tensors, stored = load_checkpoint(
            SHIPPED if path is None else path, kind=KIND, format_version=FORMAT
        )
        with reading(path):
            return cls._from_checkpoint(tensors, stored)

    @classmethod
    def _from_checkpoint(cls, tensors: dict[str, torch.Tensor], stored: dict[str, Any]) -> PCDM:
        """Everything is looked at before the network is built."""
        if stored.get("names") != list(NAMES) or stored.get("ethnicities") != list(ETHNICITIES):
            raise CheckpointError(
                "names",
                stored.get("names"),
                "the coordinates of this version",
                hint="train it again",
            )
        config = settings_of(PCDMConfig, stored["config"], _LIMITS)
        check_finite(tensors)
        groups = 2 * len(ETHNICITIES)
        tables = check_array("tables", tensors["tables"], (2, len(MEASURED), KNOTS))
        if not (tables.diff(dim=-1) >= 0).all():
            raise CheckpointError("tensor tables", "falling values", "values that rise with z")
        coordinates = Coordinates(
            tables,
            check_array("mean", tensors["mean"], (len(RESIDUALS),)),
            check_array("scale", tensors["scale"], (len(RESIDUALS),), low=1e-9),
        )
        logs = check_array("logs", tensors["logs"], (len(DERIVED), 2))
        check_array("logs", logs[:, 1], (len(DERIVED),), low=1e-9)
        shares = check_array("shares", tensors["shares"], (2, len(ETHNICITIES)), 0.0, 1.0)
        if abs(float(shares.sum()) - 1.0) > 1e-6:
            raise CheckpointError("tensor shares", float(shares.sum()), "shares that add to 1")
        x = check_array("pool/x", tensors["pool/x"], (None, len(POOLED)))
        group = check_array("pool/group", tensors["pool/group"], (len(x),), 0, groups - 1)
        ranges = _ranges_of(stored["ranges"])
        weights = with_prefix(tensors, "network/")
        build = lambda: Denoiser(config, len(NAMES), 2 + len(ETHNICITIES))
        check_sizes(build, weights)
        module = build()
        load_weights(module, weights)
        return cls(config, module, coordinates, logs, shares, ranges, {"x": x, "group": group})

    def _groups(
        self, n: int, asked: Condition, gen: torch.Generator
    ) -> list[tuple[bool | None, int]]:
        """(male, how many); None: both sexes as they come."""
        if isinstance(asked.sex, str):
            return [(asked.sex == "male", n)]
        if asked.sex is None:
            return [(None, n)]
        women = round(n * asked.sex)
        return [(male, count) for male, count in ((False, women), (True, n - women)) if count]

    def _shares_of(self, asked: Condition, male: bool | None) -> torch.Tensor:
        """(2, 5) shares of sex and ethnicity among people who satisfy the ranges.

        P(g | C) is proportional to P(g) P(C | g); the second is counted in people that the model drew without the
        ranges once and for all when it was fitted, quantity by quantity where too few of them satisfy all at once.
        """
        shares = self._shares.clone()
        if male is not None:
            shares[int(not male)] = 0
        if asked.ethnicity is not None:
            for k, name in enumerate(ETHNICITIES):
                if name not in asked.ethnicity:
                    shares[:, k] = 0
        shares = shares / shares.sum()
        if not asked.ranges:
            return shares
        group = self._pool["group"].long()

        def rate(holds: torch.Tensor) -> torch.Tensor:
            total = torch.bincount(group, minlength=2 * len(ETHNICITIES)).double()
            hits = torch.bincount(group[holds], minlength=2 * len(ETHNICITIES)).double()
            overall = (holds.double().mean() * 20).clamp_min(1e-6)
            return (hits + overall) / (total + 20)

        holds = asked.within(self._pool_values(False))
        if holds.sum() >= 100:
            factor = rate(holds)
        else:
            factor = torch.ones(2 * len(ETHNICITIES), dtype=torch.float64)
            for name, bounds in asked.ranges.items():
                factor = factor * rate(Condition({name: bounds}).within(self._pool_values(False)))
        shares = shares * factor.reshape(shares.shape)
        return shares / shares.sum()

    def _draw(
        self,
        n: int,
        shares: torch.Tensor,
        asked: Condition,
        gen: torch.Generator,
        guidance: float,
        rounded: bool,
        pool: torch.Tensor | None = None,
    ) -> tuple[Decoded, torch.Tensor, torch.Tensor, int, int]:
        """n people; their ethnicity codes, who is good, how many were moved by the projection and how many mirrored.

        `pool` (n,) says from whom of the pool they start; None: from noise alone, the network being told the condition.
        """
        if pool is None:
            group = torch.multinomial(shares.flatten(), n, replacement=True, generator=gen)
        else:
            group = self._pool["group"].long()[pool]
        male, code = group >= len(ETHNICITIES), group % len(ETHNICITIES)
        # who leaves the ranges stays as the pool has them, or is mirrored back if the pool has them more than once
        again = pool is not None and len(torch.unique(pool)) < n
        noise = torch.randn(n, len(NAMES), generator=gen)
        told = features(asked if pool is None else Condition(), male, self._coordinates, self._logs)
        kinds = groups(male, code)
        known = None if pool is None else self._pool["x"][pool].float()

        def piece(rows: torch.Tensor) -> tuple[Decoded, torch.Tensor, int, int]:
            start = None if known is None else (POOLED, known[rows])
            x = sample(
                self._module, self.config, noise[rows], kinds[rows], told[rows], guidance, start
            )
            mirrored = 0
            if start is None or again:
                x, mirrored = mirror(self._coordinates, x, male[rows], asked, rounded)
            if start is not None:
                x = self._stay(x, start[1], male[rows], asked, rounded)
            if self.config.projection:
                people, hard, moved = project(self._coordinates, x, male[rows], rounded)
                return people, ~hard, moved, mirrored
            people = self._coordinates.decode(x, male[rows], rounded=rounded)
            # without a repair an organ may come out negative: no Dataset can hold it, so that it is drawn again
            whole = (people.mass > 0).all(1) & (people.flow > 0).all(1)
            return people, whole, 0, mirrored

        parts = over_threads(piece, torch.arange(n).split(_CHUNK))
        people = Decoded.joined([part[0] for part in parts])
        good = torch.cat([part[1] for part in parts])
        return (
            people,
            code,
            good & asked.holds(people),
            sum(p[2] for p in parts),
            sum(p[3] for p in parts),
        )

    def _stay(
        self,
        x: torch.Tensor,
        known: torch.Tensor,
        male: torch.Tensor,
        asked: Condition,
        rounded: bool,
    ) -> torch.Tensor:
        """Who has left the asked ranges keeps the measured quantities and filtration of the one in the pool."""
        x = x.double()
        people = self._coordinates.decode(x, male, rounded=rounded)
        left = (~asked.holds(people)).nonzero().ravel()
        x[left[:, None], torch.tensor(POOLED)] = known[left].double()
        return x

    def _of_pool(self, asked: Condition, male: bool | None, rounded: bool) -> torch.Tensor:
        """Rows of the pool who satisfy a condition."""
        group = self._pool["group"].long()
        values = self._pool_values(rounded)
        good = asked.within(values)
        if male is not None:
            good &= (group >= len(ETHNICITIES)) == male
        if asked.ethnicity is not None:
            wanted = torch.tensor([ETHNICITIES.index(name) for name in asked.ethnicity])
            good &= torch.isin(group % len(ETHNICITIES), wanted)
        return good.nonzero().ravel()

    def _pool_values(self, rounded: bool) -> dict[str, torch.Tensor]:
        """What can be asked for, of everybody in the pool; kept, since it takes a second."""
        if rounded not in self._pooled:
            male = self._pool["group"] >= len(ETHNICITIES)
            parts = []
            for rows in torch.arange(len(male)).split(_BATCH):
                x = torch.zeros(len(rows), len(NAMES), dtype=torch.float64)
                x[:, POOLED] = self._pool["x"][rows].double()
                parts.append(self._coordinates.decode(x, male[rows], rounded=rounded).quantities())
            self._pooled[rounded] = {
                name: torch.cat([part[name] for part in parts]) for name in parts[0]
            }
        return self._pooled[rounded]

    def _make_pool(self, seed: int) -> None:
        """People drawn without a condition, by their measured quantities and filtration."""
        gen = torch.Generator().manual_seed(seed)
        xs, codes = [], []
        for rows in torch.arange(self.config.pool).split(_BATCH):
            people, code, *_ = self._draw(len(rows), self._shares, Condition(), gen, 1.0, False)
            xs.append(self._coordinates.pooled(people).half())
            codes.append((people.people.male.long() * len(ETHNICITIES) + code).to(torch.uint8))
        self._pool = {"x": torch.cat(xs), "group": torch.cat(codes)}


def _ranges_of(stored: Any) -> dict[str, tuple[float, float]]:
    """Name -> (low, high) of the people trained on, from a checkpoint.

    Raises
    ------
    CheckpointError : an unknown name, or no two numbers in order
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


def _turns(people: int, n: int, gen: torch.Generator) -> torch.Tensor:
    """n of `people`, nobody again before everybody else has been taken."""
    return torch.cat([torch.randperm(people, generator=gen) for _ in range(-(-n // people))])[:n]


class _Table:
    """People as tensors, to be drawn from in training."""

    def __init__(
        self,
        ds: xr.Dataset,
        weight: np.ndarray,
        coordinates: Coordinates,
        seed: int,
        logs: torch.Tensor | None = None,
    ):
        self.x = coordinates.encode(ds, np.random.default_rng(seed)).float()
        self.male = torch.tensor(ds["sex"].values == "male")
        self.ethnicity = torch.tensor(ethnicity_codes(ds["ethnicity"].values))
        self.cumulative = torch.cumsum(torch.tensor(weight / weight.sum()), 0)
        values = coordinates.decode(self.x, self.male).quantities()
        if logs is None:
            w = torch.tensor(weight / weight.sum())
            logs = torch.empty(len(DERIVED), 2, dtype=torch.float64)
            for k, name in enumerate(DERIVED):
                value = torch.log(values[name])
                logs[k, 0] = (w * value).sum()
                logs[k, 1] = (w * (value - logs[k, 0]) ** 2).sum().sqrt()
        self.logs = logs
        self.scores = scores(values, self.male, coordinates, logs).float()
        self.ranges = {
            name: (float(values[name].min()), float(values[name].max())) for name in CONDITIONS
        }


def _loss(
    module, data: _Table, coordinates: Coordinates, config: PCDMConfig, gen: torch.Generator
) -> torch.Tensor:
    """Denoising loss of Karras et al. (2022, eq. 8) with their weights, plus the physics loss on the denoised people.

    The physics loss counts most where there is little noise, by 1/(1 + 4 sigma^2): at high noise the denoised estimate is
    an average
    over many people, which no rule is about.
    """
    pick = torch.searchsorted(
        data.cumulative, torch.rand(config.batch_size, generator=gen, dtype=torch.float64)
    )
    pick = pick.clamp_max(len(data.x) - 1)
    x, male = data.x[pick], data.male[pick]
    sigma = torch.exp(config.noise_mean + config.noise_sd * torch.randn(len(x), generator=gen))
    noisy = x + sigma[:, None] * torch.randn(x.shape, generator=gen)
    told = random_features(data.scores[pick], config.condition_share, gen)
    denoised = module(noisy, sigma, groups(male, data.ethnicity[pick]), told)
    weight = (sigma**2 + 1) / sigma**2
    each = torch.ones(x.shape[1])
    each[: len(MEASURED)] = config.measured_weight
    loss = (weight[:, None] * (denoised - x) ** 2 * (each / each.mean())).mean()
    if config.physics_weight:
        part = slice(
            0, len(x) // 4
        )  # a quarter of the batch is enough for the gradient and costs a quarter of the time
        broken = violation(coordinates, denoised[part], male[part])
        loss = loss + config.physics_weight * (broken / (1 + 4 * sigma[part] ** 2)).mean().float()
    return loss


def _check_people(ds: xr.Dataset, smallest: int = SMALLEST) -> np.ndarray:
    """Weights of people that can be learned from."""
    if not isinstance(ds, xr.Dataset):
        raise SchemaError("population", type(ds).__name__, "a physiology Dataset")
    for name in _NEEDED:
        if name not in ds:
            raise SchemaError(
                f"population.{name}",
                sorted(map(str, ds.variables)),
                f"a variable '{name}'",
                hint="physiology.training_people makes such a Dataset",
            )
    subject = ds["subject"].values if "subject" in ds.coords else np.arange(ds.sizes["subject"])
    for name in _NEEDED:
        if ds[name].dtype.kind == "f" and not np.isfinite(ds[name].values).all():
            i = int(np.flatnonzero(~np.isfinite(ds[name].values))[0])
            raise InputError(
                f"population.{name}",
                float(ds[name].values[i]),
                "a finite number",
                subject=subject[i],
            )
    check_physiology(ds)
    if ds.sizes["subject"] < smallest:
        raise InputError(
            "population", f"{ds.sizes['subject']} people", f"at least {smallest} people"
        )
    if "species" in ds and (ds["species"].values != "human").any():
        raise InputError("population.species", sorted(set(map(str, ds["species"].values))), "human")
    if (ds["age"].values < 18).any():
        raise InputError(
            "population.age",
            float(ds["age"].values.min()),
            "adults from 18 years",
            hint="children need growth laws that are not in this model",
        )
    odd = ethnicity_codes(ds["ethnicity"].values) < 0
    if odd.any():
        raise InputError(
            "population.ethnicity",
            str(ds["ethnicity"].values[odd][0]),
            f"one of {', '.join(ETHNICITIES)}",
        )
    weight = ds["survey_weight"].values if "survey_weight" in ds else np.ones(ds.sizes["subject"])
    if not (np.isfinite(weight).all() and (weight > 0).all()):
        raise InputError(
            "population.survey_weight", float(np.min(weight)), "finite positive numbers"
        )
    return np.asarray(weight, dtype=float)


def _hold_out(
    ds: xr.Dataset, weight: np.ndarray, seed: int
) -> tuple[xr.Dataset, np.ndarray, xr.Dataset]:
    """A tenth of the people apart, all copies of a person on one side."""
    person = ds["nhanes_person"].values if "nhanes_person" in ds else np.arange(ds.sizes["subject"])
    names = np.unique(person)
    apart = np.random.default_rng(seed).permutation(names)[: max(1, names.size // 10)]
    held = np.isin(person, apart)
    return ds.isel(subject=~held), weight[~held], ds.isel(subject=held)


def _columns(people: Decoded, code: torch.Tensor, index: torch.Tensor) -> dict[str, np.ndarray]:
    p = people.people

    def take(values: torch.Tensor) -> np.ndarray:
        return values[index].detach().numpy()

    return {
        "mass": take(people.mass),
        "blood_flow": take(people.flow),
        "sex": np.where(take(p.male), "male", "female"),
        "age": take(p.age),
        "body_weight": take(p.weight),
        "height": take(p.height),
        "hematocrit": take(people.hematocrit),
        "gfr": take(people.gfr),
        "cardiac_output": take(people.output),
        "serum_creatinine": take(people.serum_creatinine),
        "body_surface_area": take(p.surface),
        "body_mass_index": take(p.body_mass_index),
        "hepatocellularity": take(people.hepatocellularity),
        "microsomal_protein": take(people.microsomal_protein),
        "ethnicity": np.array(ETHNICITIES)[take(code)],
    }


__all__ = ["PCDM", "UNITS"]
