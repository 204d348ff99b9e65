"""PCDM as its users see it: fit, sample, density, save, load."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from ..._core.errors import CheckpointError, InputError, OutOfRangeWarning
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
from ..devices import OnDevice, as_device, seeded
from ..model_card import Described, ModelCard, n_parameters
from ..training import RunOptions, TrainingLog
from .conditions import DERIVED, Condition, check, groups
from .config import PCDMConfig
from .coordinates import (
    KNOTS,
    MEASURED,
    NAMES,
    POOLED,
    RESIDUALS,
    UNITS,
    Coordinates,
    ethnicity_codes,
)
from .density import log_density
from .drawing import DrawCounts, PopulationSampler, SamplingOptions, ordered
from .module import Denoiser
from .pool import N_GROUPS, Pool
from .training import TrainingTable, check_population, hold_out, train_denoiser

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


class PCDM(OnDevice, Described):
    """Physiologically constrained diffusion model of human adults.

    >>> from pbpk_hybrid.learn import PCDM
    >>> asked = {"sex": "female", "age": (60, 80), "egfr": (30, 60), "bmi": (30, None)}
    >>> women = PCDM.load().sample(500, asked, seed=1)

    A score-based diffusion model (:mod:`.module`) of a person's measured quantities and
    organ residuals (:mod:`.coordinates`), given sex and ethnicity, trained with the
    plausibility rules in its loss (:mod:`.physics_loss`) and projected onto them when sampled
    (:mod:`.sampler`). Paper: arXiv 2602.18472.

    Conditions are not left to what the network makes of a range. When it is fitted, the
    model draws 200,000 people without a condition and keeps their measured quantities and
    filtration (the pool, 2.6 MB of the checkpoint). Who is asked for by ranges starts from
    a member of the pool who satisfies them: held at those values under the noise while the
    organs come to fit, set free at a small noise level, which makes another person of the
    same distribution; one who has left the ranges by then takes the values of the member
    back (or is mirrored at the bound, :mod:`.ranges`, when the pool has fewer such members
    than were asked for). Nobody is thrown away, and the ranges hold exactly. Where fewer
    than 20 members satisfy a condition, or guidance is asked for, the network is told the
    ranges, and who fails them is drawn again.

    Only adults: organ masses, fat and flows of children would need regressions of growth
    that the engine does not have, so that populations with children are refused by
    :meth:`fit` and ages below 18 by :meth:`sample`.

    Attributes
    ----------
    config
        :class:`PCDMConfig`
    ranges
        name -> (low, high) of the people trained on
    log_
        :class:`~pbpk_hybrid.learn.training.TrainingLog` after :meth:`fit`, else None
    """

    def __init__(
        self,
        config: PCDMConfig,
        module: Denoiser,
        coordinates: Coordinates,
        log_moments: torch.Tensor,
        shares: torch.Tensor,
        ranges: Mapping[str, tuple[float, float]],
        pool: Pool | None = None,
    ) -> None:
        self.ranges = dict(ranges)
        self._sampler = PopulationSampler(
            config, module.eval(), coordinates, log_moments, shares, self.ranges, pool
        )
        self.log_: TrainingLog | None = None

    @property
    def config(self) -> PCDMConfig:
        """Settings of the model; the sampler draws by the same ones."""
        return self._sampler.config

    @config.setter
    def config(self, config: PCDMConfig) -> None:
        self._sampler.config = config

    @property
    def log(self) -> TrainingLog | None:
        """The same as `log_`, its name in the other components."""
        return self.log_

    @property
    def precision(self) -> str:
        """Of the network: "float32", or "bfloat16" for automatic mixed precision."""
        return self._sampler.precision

    @precision.setter
    def precision(self, precision: str) -> None:
        self._sampler.precision = precision

    def _networks(self) -> tuple[Denoiser, ...]:
        return (self._sampler.module,)

    def _card(self) -> ModelCard:
        pool, config = self._sampler.pool, self.config
        age = self.ranges["age"]
        entries = {
            "draws": f"{len(MEASURED)} measured quantities and {len(RESIDUALS)} of organs "
            "and kidney",
            "trained on": f"human adults of {age[0]:.0f} to {age[1]:.0f} years",
            "conditions": "sex, ethnicity, " + ", ".join(self.ranges),
            "network": f"{config.blocks} blocks of width {config.width}",
            "denoising steps": config.steps,
            "pool": f"{0 if pool is None else len(pool):,} people",
        }
        return ModelCard("PCDM", KIND, FORMAT, n_parameters(self._sampler.module), entries)

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
            physiology Dataset of human adults with the variables of
            :func:`~pbpk_hybrid.physiology.training_people`; its ``survey_weight``, if it
            has one, says how many people each stands for
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
            fewer than 500 people, animals, children, values that are not finite
        CheckpointError
            `folder` holds another run
        """
        _, seed = generator(seed)
        config = replace(config or PCDMConfig(), seed=seed)
        run = RunOptions(
            folder, max_minutes, threads, progress, tensorboard, as_device(device), precision
        )
        weight = check_population(population)
        if validation is None:
            population, weight, validation = hold_out(population, weight, seed)
        validation_weight = check_population(validation, smallest=1)
        coordinates = Coordinates.fit(population, weight, seed)
        table = TrainingTable(population, weight, coordinates, seed)
        held_out = TrainingTable(
            validation, validation_weight, coordinates, seed + 1, table.log_moments
        )
        module, log = train_denoiser(table, held_out, coordinates, config, seed, run)
        shares = table.group_shares()
        self = cls(config, module, coordinates, table.log_moments, shares, table.ranges)
        self.log_ = log
        self.to(precision=precision)
        self._sampler.pool = self._sampler.draw_pool(seed)
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
        n
            number of people
        condition
            quantity -> (low, high), None for an open end: age [year], body_weight [kg],
            height [cm], hematocrit, serum_creatinine [mg/dL], bmi [kg/m^2], egfr
            [mL/min/1.73 m^2], gfr [L/h]; "sex": "female", "male" or the fraction of women;
            "ethnicity": one name or several. Every person handed out satisfies all of it.
        seed
            non-negative integer; None draws one, kept in the attributes
        extrapolate
            allow ranges beyond the people trained on; the result is marked
        guidance
            1 samples the conditional distribution; more draws people deeper into the asked
            ranges
        measured_precision
            round measured quantities as the survey does (age to a month, weight to 0.1 kg,
            ...)

        Returns
        -------
        Dataset
            Physiology Dataset, ready for ``simulate``; attributes ``rejected_fraction``
            (drawn and thrown away because a condition or a hard rule failed),
            ``projected_fraction`` (organs moved to satisfy a rule), ``mirrored_fraction``
            (moved into an asked range from just outside, see :mod:`.ranges`),
            ``pool_members`` (how many people of the pool satisfy the ranges; 0: the network
            was told them), ``extrapolated`` (quantities asked for where nobody was trained
            on), ``beyond_training`` (asked ends that reach further than the people trained
            on: nobody is handed out there).

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
            fewer people of the pool than were asked for satisfy the ranges
        """
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise InputError("n", n, "a whole number of people >= 1")
        request = check(condition, self.ranges, extrapolate)
        _, seed = generator(seed)
        gen = torch.Generator().manual_seed(seed % 2**63)
        options = SamplingOptions(guidance, measured_precision)
        parts, counts = self._sampler.draw_accepted(int(n), request, options, gen)
        if counts.scarce:
            warnings.warn(
                f"{counts.pool_members} people of the pool satisfy the condition; the {n} drawn "
                "are variations of these",
                OutOfRangeWarning,
                stacklevel=2,
            )
        columns = ordered(parts, int(n), gen)
        attrs = _provenance(request, counts, seed, guidance)
        mass, flow = columns.pop("mass"), columns.pop("blood_flow")
        return check_physiology(build(mass, flow, "human", columns, attrs))

    def log_density(
        self, population: xr.Dataset, *, seed: int = 0, steps: int = 48
    ) -> xr.DataArray:
        """Log density of people, in their standardised coordinates, with that of their sex
        and ethnicity.

        .. math:: \\ln p(x, g) = \\ln p(g) + \\ln \\mathcal N(x_T; 0, \\sigma_{max}^2)
                  + \\int_{\\sigma_{min}}^{\\sigma_{max}}
                  \\nabla\\cdot \\frac{x - D(x; \\sigma, g)}{\\sigma} \\, d\\sigma

        along the probability-flow ODE (Song et al. 2021, arXiv 2011.13456, eq. 39), by
        Heun's method; the divergence is exact, one derivative for each coordinate.

        Parameters
        ----------
        population
            physiology Dataset of human adults
        seed
            of the spreading of rounded measurements over their resolution

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
        check_population(population, smallest=1)
        sampler = self._sampler
        x = sampler.coordinates.encode(population, np.random.default_rng(seed)).float()
        male = torch.tensor(population["sex"].values == "male")
        code = torch.tensor(ethnicity_codes(population["ethnicity"].values))
        within = log_density(sampler.module, self.config, x, groups(male, code), steps)
        value = within + torch.log(sampler.shares[male.long(), code])
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
        CheckpointError
            the file is there and `overwrite` is False
        """
        sampler = self._sampler
        tensors = {f"network/{name}": t for name, t in sampler.module.state_dict().items()}
        tensors |= {
            "tables": sampler.coordinates.tables,
            "mean": sampler.coordinates.mean,
            "scale": sampler.coordinates.scale,
            "logs": sampler.log_moments,
            "shares": sampler.shares,
        }
        if sampler.pool is not None:
            tensors |= {f"pool/{name}": values for name, values in sampler.pool.tensors().items()}
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
        if stored.get("names") != list(NAMES) or stored.get("ethnicities") != list(ETHNICITIES):
            raise CheckpointError(
                "names",
                stored.get("names"),
                "the coordinates of this version",
                hint="train it again",
            )
        config = settings_of(PCDMConfig, stored["config"], _LIMITS)
        check_finite(tensors)
        coordinates = _coordinates_of(tensors)
        log_moments = check_array("logs", tensors["logs"], (len(DERIVED), 2))
        check_array("logs", log_moments[:, 1], (len(DERIVED),), low=1e-9)
        shares = check_array("shares", tensors["shares"], (2, len(ETHNICITIES)), 0.0, 1.0)
        if abs(float(shares.sum()) - 1.0) > 1e-6:
            raise CheckpointError("tensor shares", float(shares.sum()), "shares that add to 1")
        x = check_array("pool/x", tensors["pool/x"], (None, len(POOLED)))
        group = check_array("pool/group", tensors["pool/group"], (len(x),), 0, N_GROUPS - 1)
        ranges = _ranges_of(stored["ranges"])
        weights = with_prefix(tensors, "network/")

        def build_network() -> Denoiser:
            return Denoiser(config, len(NAMES), 2 + len(ETHNICITIES))

        check_sizes(build_network, weights)
        with seeded(config.seed):  # first weights are drawn, and replaced
            module = build_network()
        load_weights(module, weights)
        pool = Pool(x, group, coordinates)
        return cls(config, module, coordinates, log_moments, shares, ranges, pool)


def _provenance(
    condition: Condition, counts: DrawCounts, seed: int, guidance: float
) -> dict[str, Any]:
    """Attributes of a sample, see :meth:`PCDM.sample`."""
    return {
        "method": "physiologically constrained diffusion model",
        "seed": seed,
        "guidance": guidance,
        "condition": repr(dict(condition.request)),
        "rejected_fraction": 1 - counts.accepted / counts.drawn,
        "projected_fraction": counts.projected / counts.drawn,
        "mirrored_fraction": counts.mirrored / counts.drawn,
        "pool_members": counts.pool_members,
        "extrapolated": "; ".join(condition.extrapolated) or "no",
        "beyond_training": "; ".join(condition.beyond) or "no",
        "sources": "trained on NHANES 2013-2018 (CDC/NCHS) with the engine's regressions; "
        "arXiv 2602.18472",
    }


def _coordinates_of(tensors: Mapping[str, torch.Tensor]) -> Coordinates:
    """The coordinates of a checkpoint.

    Raises
    ------
    CheckpointError
        tables of another shape, or that fall
    """
    tables = check_array("tables", tensors["tables"], (2, len(MEASURED), KNOTS))
    if not (tables.diff(dim=-1) >= 0).all():
        raise CheckpointError("tensor tables", "falling values", "values that rise with z")
    return Coordinates(
        tables,
        check_array("mean", tensors["mean"], (len(RESIDUALS),)),
        check_array("scale", tensors["scale"], (len(RESIDUALS),), low=1e-9),
    )


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
