"""Training of the denoiser: the people trained on, the loss, and the run."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import torch
import xarray as xr

from ..._core.errors import InputError, SchemaError
from ...physiology import check_physiology
from ...physiology.adults.survey import ETHNICITIES
from ..devices import device_of, seeded
from ..training import RunOptions, TrainingLog, TrainingOptions, train
from .conditions import DERIVED, groups, random_features, scores
from .config import PCDMConfig
from .coordinates import MEASURED, NAMES, Coordinates, ethnicity_codes
from .module import CONDITIONS, Denoiser
from .physics_loss import violation

SMALLEST = 500  #: people: fewer do not support a joint distribution of this many quantities
_VARIABLES = (
    "sex",
    *MEASURED,
    "gfr",
    "cardiac_output",
    "hepatocellularity",
    "microsomal_protein",
    "ethnicity",
)
_VALIDATION_BATCH, _VALIDATION_BATCHES = 4096, 8
_WEIGHT_DECAY = 1e-3


class TrainingTable:
    """People as tensors, to be drawn from in training.

    Parameters
    ----------
    population : Dataset
        n people
    weight : array
        (n,) how many people each stands for
    coordinates
        Coordinates
    seed : int
        of the spreading of rounded values over their resolution
    log_moments : Tensor, optional
        (len(DERIVED), 2) of another table; None computes those of this one
    """

    def __init__(
        self,
        population: xr.Dataset,
        weight: np.ndarray,
        coordinates: Coordinates,
        seed: int,
        log_moments: torch.Tensor | None = None,
    ) -> None:
        self.x = coordinates.encode(population, np.random.default_rng(seed)).float()
        self.male = torch.tensor(population["sex"].values == "male")
        self.ethnicity = torch.tensor(ethnicity_codes(population["ethnicity"].values))
        self.weight = torch.tensor(weight)
        share = torch.tensor(weight / weight.sum())
        self.cumulative = torch.cumsum(share, 0)
        values = coordinates.decode(self.x, self.male).quantities()
        self.log_moments = _log_moments(values, share) if log_moments is None else log_moments
        self.scores = scores(values, self.male, coordinates, self.log_moments).float()
        self.ranges = {
            name: (float(values[name].min()), float(values[name].max())) for name in CONDITIONS
        }

    def to(self, device: torch.device) -> TrainingTable:
        """The same people on another device."""
        found = copy.copy(self)
        for name in ("x", "male", "ethnicity", "weight", "cumulative", "log_moments", "scores"):
            setattr(found, name, getattr(self, name).to(device))
        return found

    def group_shares(self) -> torch.Tensor:
        """(2, 5) weighted shares of sex and ethnicity."""
        shares = torch.zeros(2, len(ETHNICITIES), dtype=torch.float64, device=self.x.device)
        group = (self.male.long(), self.ethnicity.long())
        shares.index_put_(group, self.weight, accumulate=True)
        return shares / shares.sum()


def _log_moments(values: dict[str, torch.Tensor], share: torch.Tensor) -> torch.Tensor:
    """(len(DERIVED), 2) weighted mean and standard deviation of ln of the derived quantities."""
    moments = torch.empty(len(DERIVED), 2, dtype=torch.float64)
    for k, name in enumerate(DERIVED):
        value = torch.log(values[name])
        moments[k, 0] = (share * value).sum()
        moments[k, 1] = (share * (value - moments[k, 0]) ** 2).sum().sqrt()
    return moments


def train_denoiser(
    table: TrainingTable,
    validation: TrainingTable,
    coordinates: Coordinates,
    config: PCDMConfig,
    seed: int,
    run: RunOptions,
) -> tuple[Denoiser, TrainingLog]:
    """Train a new network; it ends with the weights that are best on the validation people."""
    with seeded(seed):
        module = Denoiser(config, len(NAMES), 2 + len(ETHNICITIES))
    if run.device is not None:
        module.to(run.device)
        table, validation = table.to(run.device), validation.to(run.device)
        coordinates = coordinates.to(run.device)
    validation_config = replace(config, physics_weight=0.0, batch_size=_VALIDATION_BATCH)

    def loss(module, step, generator):
        return denoising_loss(module, table, coordinates, config, generator)

    def validate(module):
        generator = torch.Generator().manual_seed(seed + 2)
        with torch.no_grad():
            losses = [
                denoising_loss(module, validation, coordinates, validation_config, generator)
                for _ in range(_VALIDATION_BATCHES)
            ]
        return float(np.mean([float(value) for value in losses]))

    options = TrainingOptions(
        steps=config.training_steps,
        learning_rate=config.learning_rate,
        evaluate_every=config.evaluate_every,
        patience=config.patience,
        weight_decay=_WEIGHT_DECAY,
        seed=seed,
        **run.kept(),
    )
    return module, train(module, loss, options, validate=validate, **run.shown())


def denoising_loss(
    module: Denoiser,
    table: TrainingTable,
    coordinates: Coordinates,
    config: PCDMConfig,
    generator: torch.Generator,
) -> torch.Tensor:
    r"""Denoising loss of Karras et al. (2022, eq. 8) with their weights, plus the physics loss.

    .. math:: \frac{\sigma^2 + 1}{\sigma^2} \lVert D(x + \sigma\epsilon) - x \rVert^2
              + w \frac{v(D)}{1 + 4 \sigma^2}

    The physics loss v of the denoised people counts most where there is little noise: at high noise
    the denoised estimate is an average over many people, which no rule is about.
    """
    n, device = config.batch_size, device_of(module)
    # everything is drawn on the CPU and then moved: a seed means the same on every device
    draw = torch.rand(n, generator=generator, dtype=torch.float64).to(device)
    rows = torch.searchsorted(table.cumulative, draw).clamp_max(len(table.x) - 1)
    x, male = table.x[rows], table.male[rows]
    normal = torch.randn(len(x), generator=generator).to(device)
    sigma = torch.exp(config.noise_mean + config.noise_sd * normal)
    noisy = x + sigma[:, None] * torch.randn(x.shape, generator=generator).to(device)
    conditions = random_features(table.scores[rows], config.condition_share, generator)
    denoised = module(noisy, sigma, groups(male, table.ethnicity[rows]), conditions)
    weight = (sigma**2 + 1) / sigma**2  # (n,)
    column_weight = torch.ones(x.shape[1], device=device)
    column_weight[: len(MEASURED)] = config.measured_weight
    error = weight[:, None] * (denoised - x) ** 2 * (column_weight / column_weight.mean())
    loss = error.mean()
    if config.physics_weight:
        # a quarter of the batch is enough for the gradient and costs a quarter of the time
        part = slice(0, len(x) // 4)
        broken = violation(coordinates, denoised[part], male[part])
        physics = (broken / (1 + 4 * sigma[part] ** 2)).mean().float()
        loss = loss + config.physics_weight * physics
    return loss


def check_population(population: xr.Dataset, smallest: int = SMALLEST) -> np.ndarray:
    """Weights of people that can be learned from, (n,).

    Raises
    ------
    SchemaError
        not a physiology Dataset, or without a variable that is needed
    InputError
        fewer than `smallest` people, animals, children, values that are not finite
    """
    _check_variables(population)
    check_physiology(population)
    n = population.sizes["subject"]
    if n < smallest:
        raise InputError("population", f"{n} people", f"at least {smallest} people")
    _check_adults(population)
    weight = np.ones(n)
    if "survey_weight" in population:
        weight = population["survey_weight"].values
    if not (np.isfinite(weight).all() and (weight > 0).all()):
        raise InputError(
            "population.survey_weight", float(np.min(weight)), "finite positive numbers"
        )
    return np.asarray(weight, dtype=float)


def _check_variables(population: xr.Dataset) -> None:
    """Every variable that is needed is there, and finite."""
    if not isinstance(population, xr.Dataset):
        raise SchemaError("population", type(population).__name__, "a physiology Dataset")
    for name in _VARIABLES:
        if name not in population:
            raise SchemaError(
                f"population.{name}",
                sorted(map(str, population.variables)),
                f"a variable '{name}'",
                hint="physiology.training_people makes such a Dataset",
            )
    subject = np.arange(population.sizes["subject"])
    if "subject" in population.coords:
        subject = population["subject"].values
    for name in _VARIABLES:
        values = population[name].values
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            i = int(np.flatnonzero(~np.isfinite(values))[0])
            raise InputError(
                f"population.{name}", float(values[i]), "a finite number", subject=subject[i]
            )


def _check_adults(population: xr.Dataset) -> None:
    """Human adults of the survey's ethnicities."""
    if "species" in population and (population["species"].values != "human").any():
        found = sorted(set(map(str, population["species"].values)))
        raise InputError("population.species", found, "human")
    if (population["age"].values < 18).any():
        raise InputError(
            "population.age",
            float(population["age"].values.min()),
            "adults from 18 years",
            hint="children need growth laws that are not in this model",
        )
    unknown = ethnicity_codes(population["ethnicity"].values) < 0
    if unknown.any():
        raise InputError(
            "population.ethnicity",
            str(population["ethnicity"].values[unknown][0]),
            f"one of {', '.join(ETHNICITIES)}",
        )


def hold_out(
    population: xr.Dataset, weight: np.ndarray, seed: int
) -> tuple[xr.Dataset, np.ndarray, xr.Dataset]:
    """A tenth of the people for validation, all copies of a person on one side.

    Returns
    -------
    tuple[xr.Dataset, np.ndarray, xr.Dataset]
        Training people, their weights, validation people.
    """
    person = np.arange(population.sizes["subject"])
    if "nhanes_person" in population:
        person = population["nhanes_person"].values
    names = np.unique(person)
    chosen = np.random.default_rng(seed).permutation(names)[: max(1, names.size // 10)]
    held = np.isin(person, chosen)
    return population.isel(subject=~held), weight[~held], population.isel(subject=held)


__all__ = [
    "SMALLEST",
    "TrainingTable",
    "check_population",
    "denoising_loss",
    "hold_out",
    "train_denoiser",
]
