"""Weights under the names of earlier versions load; models say in one line and in a table what they are."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from pbpk_hybrid._core.errors import CheckpointError
from pbpk_hybrid.learn import PCDM, Forecaster, NeuralAllometry
from pbpk_hybrid.learn.checkpoints import load_checkpoint, load_weights
from pbpk_hybrid.learn.parameter_names import RENAMED, present_names
from pbpk_hybrid.learn.training import TrainingOptions, train
from pbpk_hybrid.learn.transformer import ForecasterConfig
from pbpk_hybrid.learn.transformer.module import ForecasterModule


def network():
    return ForecasterModule(ForecasterConfig(width=16, heads=2, encoder_layers=1, refine_layers=1))


def networks():
    return [network()]


def old_names(module):
    """State of a network under the names of before the renaming."""
    back = {new: old for old, new in RENAMED[type(module).__name__].items()}
    out = {}
    for name, tensor in module.state_dict().items():
        for new in sorted(back, key=len, reverse=True):
            if name == new or name.startswith(new + "."):
                name = back[new] + name[len(new) :]
                break
        out[name] = tensor.clone()
    return out


@pytest.mark.parametrize("module", networks(), ids=lambda m: type(m).__name__)
def test_every_renamed_weight_is_one_of_the_network(module):
    names = list(module.state_dict())
    for new in RENAMED[type(module).__name__].values():
        assert any(n == new or n.startswith(new + ".") for n in names), new


@pytest.mark.parametrize("module", networks(), ids=lambda m: type(m).__name__)
def test_old_names_load_and_present_names_stay(module):
    before = old_names(module)
    assert set(before) != set(module.state_dict())
    assert set(present_names(type(module).__name__, before)) == set(module.state_dict())
    assert set(present_names(type(module).__name__, module.state_dict())) == set(
        module.state_dict()
    )
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    load_weights(module, before)
    for name, tensor in present_names(type(module).__name__, before).items():
        assert torch.equal(module.state_dict()[name], tensor), name
    before.pop(next(iter(before)))
    with pytest.raises(CheckpointError, match="missing"):
        load_weights(module, before)


def test_a_training_state_under_old_names_goes_on(tmp_path, monkeypatch):
    def loss(module, step, generator):
        return sum((p**2).sum() for p in module.parameters())

    options = TrainingOptions(steps=4, warmup=0, evaluate_every=2, ema=0.9)
    whole, first, resumed = (network() for _ in range(3))
    start = {n: t.clone() for n, t in whole.state_dict().items()}
    for module in (first, resumed):
        module.load_state_dict(start)
    train(whole, loss, options, progress=False)

    def killed(module, step, generator):
        if step == 3:
            raise KeyboardInterrupt
        return loss(module, step, generator)

    with pytest.raises(KeyboardInterrupt):
        train(first, killed, options, folder=tmp_path, progress=False)
    with monkeypatch.context() as patch:  # the state as a version with the old names wrote it
        from pbpk_hybrid.learn import training

        def read(*args, **kwargs):
            tensors, config = load_checkpoint(*args, **kwargs)
            back = {new: old for old, new in RENAMED["ForecasterModule"].items()}
            renamed = {}
            for name, tensor in tensors.items():
                kind, _, rest = name.partition("/")
                first, dot, more = rest.partition(".")
                renamed[f"{kind}/{back.get(first, first)}{dot}{more}"] = tensor
            return renamed, config

        patch.setattr(training, "load_checkpoint", read)
        train(resumed, loss, options, folder=tmp_path, progress=False)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Forecaster, ("corpus", "forecaster, version 1")),
        (PCDM, ("people of 0 to 90 years", "pcdm, version 3")),
        (NeuralAllometry, ("compounds", "neural allometry, version 3")),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_models_print_what_they_were_trained_on_and_their_checkpoint(model, words):
    shipped = model.load()
    line, table = repr(shipped), shipped._repr_html_()
    assert line.startswith(f"<{model.__name__}: ") and "\n" not in line
    for word in words:
        assert word in line and word in table
    assert table.startswith("<table>") and table.count("<tr>") >= 5
