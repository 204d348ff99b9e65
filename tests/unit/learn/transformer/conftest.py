import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pbpk_hybrid.learn.transformer import CorpusOptions, Forecaster, ForecasterConfig
from pbpk_hybrid.learn.transformer.training import new_module

sys.path.insert(0, str(Path(__file__).parent))  # for forecaster_samples

TINY = ForecasterConfig(
    width=32,
    heads=2,
    encoder_layers=1,
    refine_layers=1,
    hypotheses=2,
    anchored=1,
    steps=4,
    evaluate_every=2,
    validation_batches=1,
    corpus=CorpusOptions(batch_size=32, observations=4, queries=4, doses=4),
)


@pytest.fixture(scope="session")
def tiny_config():
    return TINY


@pytest.fixture(scope="session")
def untrained(tiny_config):
    """A network of random weights, far from any trained one: what holds for it is built in, not learned."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    module = new_module(tiny_config)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        for p in module.parameters():
            p.data += 0.1 * torch.randn_like(p)
    size = 6 + 11
    yield Forecaster(module, {"mean": np.zeros(size), "covariance": 1e4 * np.eye(size)})
    torch.set_num_threads(threads)
