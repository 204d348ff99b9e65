"""The decoder "curves": what it promises holds for any weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from forecaster_samples import observed

from pbpk_hybrid._core.errors import CheckpointError, UnknownNameError
from pbpk_hybrid.dosing import Regimen
from pbpk_hybrid.learn import Forecaster
from pbpk_hybrid.learn.transformer import ForecasterConfig
from pbpk_hybrid.learn.transformer.data import collate, read_patients
from pbpk_hybrid.learn.transformer.hypotheses import log_concentration
from pbpk_hybrid.learn.transformer.model import _start_from
from pbpk_hybrid.learn.transformer.training import new_module

GRID = np.geomspace(0.6, 400.0, 120)


def shaken(config, seed):
    module = new_module(config)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for p in module.parameters():
            p.data += 0.1 * torch.randn_like(p)
    return module.eval()


@pytest.mark.parametrize("seed", range(4))
def test_after_the_last_infusion_no_component_rises(tiny_config, seed):
    module = shaken(tiny_config, seed)
    regimen = Regimen.infusion(50.0, duration=0.5) + Regimen.bolus(20.0, time=0.2)
    patients, _ = read_patients(observed([0.1, 0.3], [3.0, 4.0]), regimen, None)
    falling = 5.0 * np.exp(-0.05 * GRID)
    patients[0].reference = np.array([6.0, 7.0])
    for reference in (None, falling[None, :, None]):
        batch = collate(patients, GRID, [0], reference)
        with torch.no_grad():
            mixture = module(batch)
        mean = mixture.mean[0]
        if reference is None:
            mean = mean[:, : tiny_config.hypotheses]
        assert float(mean.diff(dim=0).max()) < 1e-4
        weight = mixture.log_weight[0].exp()
        torch.testing.assert_close(weight, weight[:1].expand_as(weight))


def test_the_shifted_decoder_makes_no_such_promise(tiny_config):
    module = shaken(replace(tiny_config, decoder="shifted"), 0)
    patients, _ = read_patients(observed([0.1], [3.0]), Regimen.bolus(50.0), None)
    with torch.no_grad():
        mixture = module(collate(patients, GRID, [0], None))
    assert float(mixture.log_weight[0].diff(dim=0).abs().max()) > 1e-3


def test_a_component_that_misses_the_samples_loses_its_weight(tiny_config):
    module = shaken(tiny_config, 1)
    patients, _ = read_patients(observed([1.0, 2.0], [3.0, 2.0]), Regimen.bolus(50.0), None)
    weights = []
    for factor in (1.0, 30.0):
        patients[0].reference = factor * np.array([3.0, 2.0])
        batch = collate(patients, np.array([4.0]), [0], np.full((1, 1, 1), factor))
        with torch.no_grad():
            # the network's own opinion aside: what the gate does
            module.mixture_logits.weight.zero_()
            module.misfit_gate.fill_(1.0)
            module.reference_bend.weight.zero_()
            weights.append(
                float(module(batch).log_weight[0, 0, tiny_config.hypotheses :].exp().sum())
            )
    assert weights[1] < 0.2 * weights[0]


def test_a_curve_saturates_at_high_concentrations_and_is_linear_at_low():
    linear = torch.tensor([1e-3, 1.0, 100.0])
    same = log_concentration(linear, torch.tensor(16.0))
    torch.testing.assert_close(same, log_concentration(linear), rtol=0, atol=1e-4)
    bent = log_concentration(linear, torch.tensor(0.0)).exp()
    # one compartment eliminated at k kappa (1 - exp(-C / kappa)): d ln L/dC = 1 / (kappa (1 - ..))
    torch.testing.assert_close(bent, torch.log1p(linear), rtol=1e-5, atol=1e-9)


def test_a_network_of_the_first_decoder_is_a_start_for_the_second(tiny_config):
    first = new_module(replace(tiny_config, decoder="shifted"))
    second = new_module(replace(tiny_config, seed=5))
    _start_from(second, first)
    assert torch.equal(second.decoder.query.weight, first.decoder.query.weight)
    patients, _ = read_patients(observed([1.0], [3.0]), Regimen.bolus(50.0), None)
    batch = collate(patients, np.array([4.0]), [0], None)
    with torch.no_grad():
        assert torch.isfinite(second(batch).mean).all()
    wider = new_module(replace(tiny_config, width=64, decoder="shifted"))
    with pytest.raises(CheckpointError):
        _start_from(second, wider)


def test_decoders_are_named(tiny_config):
    with pytest.raises(UnknownNameError, match="did you mean 'curves'"):
        ForecasterConfig(decoder="curve")


def test_a_file_keeps_its_decoder(untrained, tmp_path):
    path = untrained.save(tmp_path / "mine")
    assert Forecaster.load(path).config.decoder == "curves"
    assert Forecaster.load().config.decoder in ("curves", "shifted")
