"""The training of the network on the corpus, and its validation on compounds the corpus never draws near."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from ..training import TrainingLog, TrainingOptions, train
from .batch import Batch
from .config import ForecasterConfig
from .corpus import Corpus
from .features import prepare
from .likelihood import negative_log_likelihood
from .module import ForecasterModule

#: seed of the validation patients; training seeds are far below
VALIDATION_SEED = 1_000_003


def new_module(config: ForecasterConfig) -> ForecasterModule:
    """A network with the starting weights of the config's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return ForecasterModule(config)


def batch_loss(module: ForecasterModule, batch: Batch) -> torch.Tensor:
    """Mean negative log likelihood of the queries of a batch."""
    queries = prepare(batch, module.device)
    return negative_log_likelihood(
        module(batch), queries.query_log, queries.query_censored, queries.query_mask
    )


def train_module(
    module: ForecasterModule,
    config: ForecasterConfig,
    *,
    folder: str | Path | None = None,
    steps: int | None = None,
    max_minutes: float | None = None,
    threads: int | None = None,
    progress: bool = True,
    tensorboard: bool = False,
    precision: str = "float32",
) -> TrainingLog:
    """Train in place; see :func:`pbpk_hybrid.learn.training.train`, whose folder makes the run resumable."""
    options = TrainingOptions(
        steps=steps or config.steps,
        learning_rate=config.learning_rate,
        warmup=config.warmup,
        schedule=config.schedule,
        weight_decay=config.weight_decay,
        ema=config.ema,
        evaluate_every=config.evaluate_every,
        seed=config.seed,
        max_minutes=max_minutes,
        threads=threads,
        precision=precision,
    )
    corpus = Corpus(config.corpus)
    held_out = Corpus(replace(config.corpus, split="test"))
    batches = [held_out.batch(VALIDATION_SEED, i) for i in range(config.validation_batches)]

    def loss(network, step: int, generator: torch.Generator) -> torch.Tensor:
        return batch_loss(network, corpus.batch(config.seed, step))

    @torch.no_grad()
    def validate(network) -> float:
        return sum(float(batch_loss(network, b)) for b in batches) / len(batches)

    return train(
        module,
        loss,
        options,
        validate=validate,
        folder=folder,
        progress=progress,
        tensorboard=tensorboard,
    )


__all__ = ["VALIDATION_SEED", "batch_loss", "new_module", "train_module"]
