"""The training of the network on the corpus, and its validation on compounds the corpus
never draws near.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ..devices import seeded
from ..training import RunOptions, TrainingLog, TrainingOptions, train
from .batch import Batch
from .config import ForecasterConfig
from .corpus import Corpus
from .data import Patient, collate
from .features import prepare
from .likelihood import negative_log_likelihood
from .module import ForecasterModule

#: seed of the validation patients; training seeds are far below
VALIDATION_SEED = 1_000_003


def new_module(config: ForecasterConfig) -> ForecasterModule:
    """A network with the starting weights of the config's seed."""
    with seeded(config.seed):
        return ForecasterModule(config)


def batch_loss(module: ForecasterModule, batch: Batch) -> torch.Tensor:
    """Mean negative log likelihood of the queries of a batch."""
    queries = prepare(batch, module.device)
    return negative_log_likelihood(
        module(batch).float(), queries.query_log, queries.query_censored, queries.query_mask
    )


def train_module(
    module: ForecasterModule,
    config: ForecasterConfig,
    *,
    run: RunOptions | None = None,
    steps: int | None = None,
) -> TrainingLog:
    """Train in place, on the device where `module` is; see
    :func:`pbpk_hybrid.learn.training.train`, whose folder makes the run resumable.
    """
    run = run or RunOptions()
    options = TrainingOptions(
        steps=steps or config.steps,
        learning_rate=config.learning_rate,
        warmup=config.warmup,
        schedule=config.schedule,
        weight_decay=config.weight_decay,
        ema=config.ema,
        evaluate_every=config.evaluate_every,
        seed=config.seed,
        **run.kept(),
    )
    corpus = Corpus(config.corpus)
    held_out = Corpus(replace(config.corpus, split="test"))
    batches = [held_out.batch(VALIDATION_SEED, i) for i in range(config.validation_batches)]

    def loss(network, step: int, generator: torch.Generator) -> torch.Tensor:
        return batch_loss(network, corpus.batch(config.seed, step))

    @torch.no_grad()
    def validate(network) -> float:
        return sum(float(batch_loss(network, b)) for b in batches) / len(batches)

    return train(module, loss, options, validate=validate, **run.shown())


def split_patients(rng: np.random.Generator, patients: list[Patient]) -> Batch:
    """Patients with a random number of their first samples observed and the others as queries."""
    observed, later = [], []
    for patient in patients:
        n = int(rng.integers(0, len(patient.time)))
        observed.append(_first_samples(patient, n))
        later.append(slice(n, None))
    n_queries = max(len(p.time[rest]) for p, rest in zip(patients, later, strict=True))
    shape = (len(patients), n_queries)
    batch = collate(observed, np.zeros(shape), [0], None)
    batch.query_value, batch.query_censored = np.ones(shape), np.zeros(shape, bool)
    batch.query_mask = np.zeros(shape, bool)
    for i, (patient, rest) in enumerate(zip(patients, later, strict=True)):
        row = (i, slice(len(patient.time[rest])))
        batch.query_time[row], batch.query_site[row] = patient.time[rest], patient.site[rest]
        batch.query_value[row] = patient.value[rest]
        batch.query_censored[row] = patient.censored[rest]
        batch.query_mask[row] = True
        if patient.reference is not None:
            batch.query_reference[row] = patient.reference[rest]
    return batch


def _first_samples(patient: Patient, n: int) -> Patient:
    """The patient with the first n samples only."""
    return replace(
        patient,
        time=patient.time[:n],
        value=patient.value[:n],
        censored=patient.censored[:n],
        site=patient.site[:n],
        reference=None if patient.reference is None else patient.reference[:n],
    )


__all__ = ["VALIDATION_SEED", "batch_loss", "new_module", "split_patients", "train_module"]
