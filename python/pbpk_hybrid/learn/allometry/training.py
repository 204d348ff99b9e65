"""Training: every compound and species is a target; its sources come and go at random."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..devices import as_device, seeded
from ..training import RunOptions, TrainingLog, TrainingOptions, train
from . import bodies
from .conditioning import NU, Conditioned, condition
from .config import AllometryConfig
from .data import Table, scaffold_folds
from .encoder import (
    Encoder,
    known_compounds,
    out_of_fold_similarity,
    states,
    unknown_compounds,
)
from .law import HUMAN, Compounds, Law
from .readout import Places, as_tensor
from .synthetic import engine_examples

_BATCH = 256  # compounds of the engine in a step of pre-training
_FU = 2


@dataclass(frozen=True)
class Examples:
    """Compounds with what is known of them at the usual bodies of some species.

    Parameters
    ----------
    compounds : Compounds
    values : Tensor
        (n, P, 4), NaN where unknown
    points : tuple of int
        P numbers of species, the human last
    """

    compounds: Compounds
    values: Tensor
    points: tuple[int, ...]

    def take(self, rows: np.ndarray | Tensor) -> Examples:
        """Some of the compounds."""
        return Examples(self.compounds.take(rows), self.values[rows], self.points)

    def at(self, points: Sequence[int]) -> Examples:
        """The same at some of the species."""
        columns = [self.points.index(p) for p in points]
        return Examples(self.compounds, self.values[:, columns], tuple(points))

    def to(self, device: torch.device) -> Examples:
        """The same on another device."""
        return Examples(self.compounds.to(device), self.values.to(device), self.points)


def examples_of(compounds: Compounds, values: np.ndarray) -> Examples:
    """Examples from states of a table, at the species of which anything is known."""
    known = np.isfinite(values).any((0, 2))
    points = tuple(s for s in range(len(bodies.KNOT_SPECIES)) if known[s] or s == HUMAN)
    return Examples(compounds, as_tensor(values[:, points]), points)


def posterior(law: Law, examples: Examples, keep: Tensor) -> Conditioned:
    """States and readouts at all points, given the measurements that are kept.

    Parameters
    ----------
    keep : Tensor
        (n, P, 4) bool
    """
    at = bodies.Bodies.of_species(examples.points)
    return posterior_at(law, examples.compounds, at, examples.values, keep)


def posterior_at(
    law: Law, compounds: Compounds, at: bodies.Bodies, values: Tensor, keep: Tensor
) -> Conditioned:
    """As :func:`posterior`, at any bodies."""
    device = law.device
    compounds, values, keep = compounds.to(device), values.to(device), keep.to(device)
    places, elimination = Places.of(at, device), law.elimination(compounds)
    mean, kappa = law.along(law.start(compounds, elimination), compounds, at.log_mass)
    return condition(
        mean,
        law.covariance(compounds, at),
        values,
        keep & torch.isfinite(values),
        lambda z: law.measured(z, compounds, places, elimination, kappa),
        law.noise(),
    )


def student(error: Tensor, sd: Tensor) -> Tensor:
    """Minus log density of a Student-t with NU degrees of freedom."""
    constant = math.lgamma(NU / 2) - math.lgamma((NU + 1) / 2) + 0.5 * math.log(NU * math.pi)
    return constant + torch.log(sd) + 0.5 * (NU + 1) * torch.log1p((error / sd) ** 2 / NU)


def fit_law(
    examples: Examples,
    config: AllometryConfig,
    *,
    start: Law | None = None,
    run: RunOptions = RunOptions(),  # noqa: B008 - frozen
) -> tuple[Law, TrainingLog]:
    """Train one law.

    Parameters
    ----------
    start : Law, optional
        Whose weights to start from.
    run : RunOptions
        Where and for how long.
    """
    device = as_device(run.device)
    with seeded(config.seed):
        law = Law(config).to(device)
    if start is not None:
        law.load_state_dict(start.state_dict())
    law.centre = _centre(examples, law.centre.cpu()).to(device)
    objective = _Objective(examples, config, device)
    options = TrainingOptions(
        steps=config.steps,
        learning_rate=config.learning_rate,
        warmup=min(10, config.steps // 4),
        gradient_clip=5.0,
        ema=None,
        evaluate_every=max(1, config.steps // 4),
        seed=config.seed,
        **run.kept(),
    )
    log = train(law, objective, options, validate=objective.minus_last_step, **run.shown())
    return law.eval(), log


def _centre(examples: Examples, default: Tensor) -> Tensor:
    """Medians of what is known in the human; where nothing is, those of the other species by
    body weight to the power 3/4 (clearance) and 1 (volume).
    """
    middle = torch.nanmedian(examples.values[..., :3], 0).values  # (P, 3)
    power = torch.tensor([0.75, 1.0, 0.0], dtype=torch.float64)
    x = as_tensor(bodies.KNOTS[list(examples.points)])
    scaled = middle + (bodies.KNOTS[HUMAN] - x)[:, None] * power
    human = middle[examples.points.index(HUMAN)]
    found = torch.where(torch.isfinite(human), human, torch.nanmean(scaled, 0))
    return torch.where(torch.isfinite(found), found, default.to(found))


class _Objective:
    """Minus log posterior of the weights with sources and structures left out at random."""

    def __init__(
        self, examples: Examples, config: AllometryConfig, device: torch.device | str = "cpu"
    ) -> None:
        self.config, self.last_step = config, 0
        human = examples.points.index(HUMAN)
        known = torch.isfinite(examples.values)
        others = [i for i in range(len(examples.points)) if i != human]
        animal = known[:, others, :2].any(-1).any(-1)
        self.rich = examples.take(animal).to(device)
        self.poor = examples.take(~animal).at((HUMAN,)).to(device)
        weights = [1.0 if s == HUMAN else config.animal_weight for s in examples.points]
        by_species = torch.tensor(weights, dtype=torch.float64)[None, :, None]
        self.weights = by_species.to(device)
        self.total = float(
            (known[animal][..., :3] * by_species).sum()
        ) + config.human_only_weight * float(known[~animal][:, human, :3].sum())

    def __call__(self, law: Law, step: int, generator: torch.Generator) -> Tensor:
        self.last_step = step
        loss = law.penalty()
        if len(self.rich.compounds):
            loss = loss + self._rich(law, generator)
        if len(self.poor.compounds) and step % 3 == 0:
            loss = loss + 3 * self.config.human_only_weight * self._poor(law, generator)
        return loss / max(self.total, 1.0)

    def _rich(self, law: Law, generator: torch.Generator) -> Tensor:
        """One species of each compound is the target, the human half of the time; half of the
        compounds keep all sources, 4 in 10 each source by a coin, 1 in 10 none.
        """
        examples = self.rich
        n, points, _ = examples.values.shape
        rand = lambda *shape: torch.rand(*shape, generator=generator)
        target = torch.randint(0, points, (n,), generator=generator)
        human = torch.tensor(examples.points.index(HUMAN))
        target = torch.where(rand(n) < 0.5, human, target)
        hidden = torch.nn.functional.one_hot(target, points).bool()
        draw, coin = rand(n, 1), rand(n, points) < 0.5
        keep = (((draw < 0.5) | ((draw < 0.9) & coin)) & ~hidden)[..., None].expand(-1, -1, 4)
        keep = keep.clone()
        keep[..., _FU] |= hidden & (rand(n, 1) < 0.6)  # binding is often known in vitro
        keep[..., 3] = rand(n, points) < 0.5
        use = hidden[..., None] & ~keep[..., :3]
        return (
            points / 2 * self._loss(law, self._blinded(examples, rand(n)), keep, use, self.weights)
        )

    def _poor(self, law: Law, generator: torch.Generator) -> Tensor:
        """Compounds without animals: the human from structure, with fu known half of the time."""
        n = len(self.poor.compounds)
        keep = torch.zeros(n, 1, 4, dtype=torch.bool)
        keep[:, 0, _FU] = torch.rand(n, generator=generator) < 0.5
        keep[:, 0, 3] = torch.rand(n, generator=generator) < 0.5
        one = self.weights.new_ones(())
        examples = self._blinded(self.poor, torch.rand(n, generator=generator))
        return self._loss(law, examples, keep, ~keep[..., :3], one)

    @staticmethod
    def _blinded(examples: Examples, draw: Tensor) -> Examples:
        """One structure in ten is not told."""
        c = examples.compounds
        known = c.known * (draw < 0.9).to(c.known)
        there = (known > 0)[:, None]
        blank = unknown_compounds(len(c), np.zeros(3)).to(known.device)
        return Examples(
            Compounds(
                c.structure,
                torch.where(there, c.descriptors, blank.descriptors),
                torch.where(there, c.composition, blank.composition),
                c.distance,
                known,
            ),
            examples.values,
            examples.points,
        )

    @staticmethod
    def _loss(law: Law, examples: Examples, keep: Tensor, use: Tensor, weights: Tensor) -> Tensor:
        found = posterior(law, examples, keep)
        use = use.to(law.device)
        n, points, _ = examples.values.shape
        variance = torch.diagonal(found.covariance, dim1=-2, dim2=-1).reshape(n, points, 4)
        sd = (variance + law.noise()).clamp(min=1e-6).sqrt()[..., :3]
        use = use & torch.isfinite(examples.values[..., :3])
        error = torch.where(use, examples.values[..., :3] - found.y[..., :3], torch.zeros_like(sd))
        return (student(error, sd) * use * weights).sum()

    def minus_last_step(self, law: Law) -> float:
        """Validation that always prefers the latest weights: the prior guards them, nothing
        else chooses.
        """
        return -float(self.last_step)


def pretrain(config: AllometryConfig, steps: int | None = None) -> Law | None:
    """A law trained on compounds of the engine in all species; None where the settings have
    none.
    """
    if not config.pretrained:
        return None
    with seeded(config.seed):
        law = Law(config)
    parts = engine_examples(config.pretrained, config.seed)
    examples = Examples(*parts, tuple(range(len(bodies.KNOT_SPECIES))))
    law.centre = _centre(examples, law.centre)
    optimizer = torch.optim.Adam(law.parameters(), lr=config.learning_rate)
    generator = torch.Generator().manual_seed(config.seed)
    for _ in range(config.steps if steps is None else steps):
        rows = torch.randint(0, config.pretrained, (_BATCH,), generator=generator)
        objective = _Objective(examples.take(rows), config)
        loss = objective(law, 1, generator)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(law.parameters(), 5.0)
        optimizer.step()
    return law


@dataclass(frozen=True)
class Prepared:
    """A table ready for training: encoder, examples, inner folds."""

    encoder: Encoder
    examples: Examples
    inner: np.ndarray


def prepare(
    table: Table,
    config: AllometryConfig,
    gram: np.ndarray | None = None,
    encoder: tuple[Encoder, np.ndarray] | None = None,
) -> Prepared:
    """Fit the encoder and see every compound as one that was not in its training.

    Parameters
    ----------
    gram : array, optional
        The structure kernel among the rows.
    encoder : tuple, optional
        What :meth:`Encoder.fit` returned before.
    """
    inner = scaffold_folds(table.scaffolds, config.folds, config.seed)
    encoder, structure = encoder or Encoder.fit(table, inner, gram, config.trees, config.seed)
    if table.features is None:
        compounds = unknown_compounds(len(table), encoder.centre)
    else:
        distance = 1.0 - out_of_fold_similarity(table.features, inner)
        compounds = known_compounds(table.features, structure, distance)
    return Prepared(encoder, examples_of(compounds, states(table)), inner)


def fit_held_out(
    prepared: Prepared,
    config: AllometryConfig,
    start: Law | None,
    run: RunOptions = RunOptions(),  # noqa: B008 - frozen
) -> list[tuple[np.ndarray, Law]]:
    """For every inner fold: its rows, and a law trained without them."""
    out = []
    for fold in range(config.folds):
        rows = np.flatnonzero(prepared.inner == fold)
        others = np.flatnonzero(prepared.inner != fold)
        law, _ = fit_law(prepared.examples.take(others), config, start=start, run=run)
        out.append((rows, law))
    return out


def numbers_of(species: Collection[str]) -> list[int]:
    """Numbers of species on the path."""
    return [bodies.KNOT_SPECIES.index(s) for s in species]


__all__ = [
    "Examples",
    "Prepared",
    "examples_of",
    "fit_held_out",
    "fit_law",
    "numbers_of",
    "posterior",
    "posterior_at",
    "prepare",
    "pretrain",
    "student",
]
