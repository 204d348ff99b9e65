"""Training of the denoiser: the people trained on, the loss, and the run."""

from __future__ import annotations

import copy

import numpy as np
import torch
import xarray as xr

from ..._core.errors import InputError, SchemaError
from ...physiology import check_physiology
from ...physiology.adults.survey import ETHNICITIES
from ...physiology.growth import MEASURED_FROM, OLDEST_AGE
from ..devices import device_of, seeded
from ..training import RunOptions, TrainingLog, TrainingOptions, train
from .config import PCDMConfig
from .coordinates import MEASURED, Coordinates, Measured, ethnicity_codes
from .module import Denoiser

SMALLEST = 500  #: people: fewer do not support a joint distribution of this many quantities
GROUPS = 2 + len(ETHNICITIES)
_VARIABLES = ("sex", *MEASURED, "ethnicity")
_VALIDATION_BATCH, _VALIDATION_BATCHES = 8192, 8
_WEIGHT_DECAY = 1e-3


class TrainingTable:
    """People as tensors, to be drawn from in training.

    Parameters
    ----------
    people : Measured
        As measured.
    coordinates : Coordinates
        Of the model.
    copies : int
        How often everybody is spread over the rounding of what was measured.
    seed : int
        Of that spreading.
    """

    def __init__(self, people: Measured, coordinates: Coordinates, copies: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        x = np.concatenate([coordinates.encode(people.spread(rng)) for _ in range(copies)])
        unknown = np.isnan(x)
        x[unknown] = rng.standard_normal(int(unknown.sum()))
        self.x = torch.tensor(x, dtype=torch.float32)
        self.group = groups(
            torch.tensor(np.tile(people.male, copies)),
            torch.tensor(np.tile(people.ethnicity, copies)),
        )
        weight = np.tile(people.weight, copies)
        self.cumulative = torch.cumsum(torch.tensor(weight / weight.sum()), 0)

    def to(self, device: torch.device) -> TrainingTable:
        """The same people on another device."""
        found = copy.copy(self)
        for name in ("x", "group", "cumulative"):
            setattr(found, name, getattr(self, name).to(device))
        return found

    def draw(self, n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Coordinates (n, dimension) and groups (n, GROUPS) of people drawn by weight."""
        # drawn on the CPU and then moved: a seed means the same on every device
        at = torch.rand(n, generator=generator, dtype=torch.float64).to(self.x.device)
        rows = torch.searchsorted(self.cumulative, at).clamp_max(len(self.x) - 1)
        return self.x[rows], self.group[rows]


def groups(male: torch.Tensor, ethnicity: torch.Tensor) -> torch.Tensor:
    """(n, GROUPS) one-hot: sex (2) and ethnicity (5)."""
    sex = torch.nn.functional.one_hot(male.long(), 2)
    return torch.cat(
        [sex, torch.nn.functional.one_hot(ethnicity.long(), len(ETHNICITIES))], 1
    ).float()


def group_shares(people: Measured) -> np.ndarray:
    """(2, 5) weighted shares of sex and ethnicity."""
    shares = np.zeros((2, len(ETHNICITIES)))
    np.add.at(shares, (people.male.astype(int), people.ethnicity), people.weight)
    return shares / shares.sum()


def train_denoiser(
    table: TrainingTable,
    validation: TrainingTable,
    config: PCDMConfig,
    seed: int,
    run: RunOptions,
) -> tuple[Denoiser, TrainingLog]:
    """Train a new network; it ends with the weights that are best on the validation people."""
    with seeded(seed):
        module = Denoiser(config, len(MEASURED), GROUPS)
    if run.device is not None:
        module.to(run.device)
        table, validation = table.to(run.device), validation.to(run.device)

    def loss(module, step, generator):
        return denoising_loss(module, table, config, config.batch_size, generator)

    def validate(module):
        generator = torch.Generator().manual_seed(seed + 2)
        with torch.no_grad():
            losses = [
                denoising_loss(module, validation, config, _VALIDATION_BATCH, generator)
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
    config: PCDMConfig,
    n: int,
    generator: torch.Generator,
) -> torch.Tensor:
    r"""Denoising loss of Karras et al. (2022, eq. 8) with their weights.

    .. math:: \frac{\sigma^2 + 1}{\sigma^2} \lVert D(x + \sigma\epsilon) - x \rVert^2
    """
    (x, group), device = table.draw(n, generator), device_of(module)
    normal = torch.randn(len(x), generator=generator).to(device)
    sigma = torch.exp(config.noise_mean + config.noise_sd * normal)
    noisy = x + sigma[:, None] * torch.randn(x.shape, generator=generator).to(device)
    denoised = module(noisy, sigma, group)
    weight = (sigma**2 + 1) / sigma**2  # (n,)
    return (weight[:, None] * (denoised - x) ** 2).mean()


def check_population(population: xr.Dataset, smallest: int = SMALLEST) -> Measured:
    """People that can be learned from.

    Raises
    ------
    SchemaError
        not a physiology Dataset, or without a variable that is needed
    InputError
        fewer than `smallest` people, animals, people over 90, values that are not finite
    """
    _check_variables(population)
    check_physiology(population)
    n = population.sizes["subject"]
    if n < smallest:
        raise InputError("population", f"{n} people", f"at least {smallest} people")
    _check_people(population)
    weight = np.ones(n)
    if "survey_weight" in population:
        weight = population["survey_weight"].values
    if not (np.isfinite(weight).all() and (weight > 0).all()):
        raise InputError(
            "population.survey_weight", float(np.min(weight)), "finite positive numbers"
        )
    return Measured.of(population, weight)


def _check_variables(population: xr.Dataset) -> None:
    """Every variable that is needed is there, and finite at ages at which it is measured."""
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
    age = population["age"].values
    for name in MEASURED:
        values = np.asarray(population[name].values, float)
        needed = age >= MEASURED_FROM.get(name, 0.0)
        least = 0.0
        if name == "age":
            needed, least = np.ones(age.size, bool), -1e-12
        bad = needed & ~(np.isfinite(values) & (values > least))
        if bad.any():
            i = int(np.flatnonzero(bad)[0])
            raise InputError(
                f"population.{name}",
                float(values[i]),
                "a finite positive number",
                subject=subject[i],
            )


def _check_people(population: xr.Dataset) -> None:
    """Humans to 90 years of the survey's ethnicities."""
    if "species" in population and (population["species"].values != "human").any():
        found = sorted(set(map(str, population["species"].values)))
        raise InputError("population.species", found, "human")
    oldest = float(population["age"].values.max())
    if oldest > OLDEST_AGE:
        raise InputError("population.age", oldest, f"at most {OLDEST_AGE:g} years")
    unknown = ethnicity_codes(population["ethnicity"].values) < 0
    if unknown.any():
        raise InputError(
            "population.ethnicity",
            str(population["ethnicity"].values[unknown][0]),
            f"one of {', '.join(ETHNICITIES)}",
        )


def hold_out(population: xr.Dataset, seed: int) -> tuple[xr.Dataset, xr.Dataset]:
    """People to train on, and a tenth for validation, all copies of a person on one side."""
    person = np.arange(population.sizes["subject"])
    if "nhanes_person" in population:
        person = population["nhanes_person"].values
    names = np.unique(person)
    chosen = np.random.default_rng(seed).permutation(names)[: max(1, names.size // 10)]
    held = np.isin(person, chosen)
    return population.isel(subject=~held), population.isel(subject=held)


__all__ = [
    "GROUPS",
    "SMALLEST",
    "TrainingTable",
    "check_population",
    "denoising_loss",
    "group_shares",
    "groups",
    "hold_out",
    "train_denoiser",
]
