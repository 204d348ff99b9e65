"""Training and inference of all three components run on a device that is not the CPU, to the same
numbers (on a device that only pretends: nothing here has run on CUDA), and leave the user's
random state as it was.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torch_geometric")

sys.path.insert(0, str(Path(__file__).parent))  # for fake_device

from fake_device import DEVICE, DeviceMixError, fake_device, numbers

from pbpk_hybrid._core.errors import InputError
from pbpk_hybrid.learn.allometry import AllometryConfig, NeuralAllometry
from pbpk_hybrid.learn.allometry.synthetic import power_law_table
from pbpk_hybrid.learn.devices import as_device, as_precision
from pbpk_hybrid.learn.diffusion import PCDM, PCDMConfig
from pbpk_hybrid.learn.transformer import CorpusOptions, Forecaster, ForecasterConfig
from pbpk_hybrid.physiology import training_people

pytestmark = pytest.mark.filterwarnings("ignore:.* people of the pool satisfy the condition")

FORECASTER = ForecasterConfig(
    width=16,
    heads=2,
    encoder_layers=1,
    hypotheses=2,
    anchored=1,
    steps=3,
    evaluate_every=2,
    validation_batches=1,
    corpus=CorpusOptions(batch_size=32, observations=3, queries=3, doses=3),
)
ALLOMETRY = AllometryConfig(steps=4, folds=2)
SOURCES = {"rat": {"clearance": 30.0, "volume": 1.5, "fup": 0.2}, "dog": {"clearance": 12.0}}


@pytest.fixture(scope="module")
def people():
    return training_people("validation")


@pytest.fixture(scope="module")
def compounds():
    return power_law_table(8, (0.7, 0.9), seed=1)


def fit_forecaster(_people, _compounds, **run):
    return Forecaster.fit(FORECASTER, threads=1, progress=False, **run)


def fit_pcdm(people, _compounds, **run):
    config = PCDMConfig(
        width=16, blocks=1, batch_size=64, training_steps=4, evaluate_every=2, steps=6
    )
    return PCDM.fit(people, 1, config=config, threads=1, **run)


def fit_allometry(_people, compounds, **run):
    return NeuralAllometry.fit(compounds, ALLOMETRY, threads=1, **run)


def use_forecaster(model):
    return model.forecast(None, "100 mg oral", {"body_weight": 70}, times=[1.0, 5.0])[
        "concentration_quantile"
    ].values


def use_pcdm(model):
    drawn = model.sample(30, {"age": (40, 60)}, seed=3)
    density = model.log_density(drawn.isel(subject=slice(5)), steps=3)
    return np.concatenate([drawn["body_weight"].values, drawn["gfr"].values, density.values])


def use_allometry(model):
    found = model.predict(None, SOURCES)
    exponent = model.exponent(None, SOURCES, masses=[0.3, 20.0])
    return np.r_[
        float(found["clearance"]),
        float(found["volume_upper"]),
        exponent["value"].values.ravel(),
    ]


COMPONENTS = {
    "forecaster": (fit_forecaster, use_forecaster),
    "pcdm": (fit_pcdm, use_pcdm),
    "allometry": (fit_allometry, use_allometry),
}


@pytest.mark.parametrize("name", COMPONENTS)
def test_another_device_trains_and_predicts_to_the_same_numbers(name, people, compounds, tmp_path):
    fit, use = COMPONENTS[name]
    here = fit(people, compounds)
    path = here.save(tmp_path / "model")
    expected = use(here)
    with fake_device() as device:
        there = fit(people, compounds, device=device)
        assert there.device.type == DEVICE and there.log.device == DEVICE
        for mine, its in zip(here._networks(), there._networks(), strict=True):
            for (n, a), b in zip(mine.state_dict().items(), its.state_dict().values(), strict=True):
                np.testing.assert_allclose(numbers(b), numbers(a), rtol=1e-5, atol=1e-7, err_msg=n)
        np.testing.assert_allclose(use(there), expected, rtol=1e-4)
        loaded = type(here).load(path, device=device)
        np.testing.assert_allclose(use(loaded), expected, rtol=1e-5)
        # what was trained there is read here
        again = type(here).load(there.save(tmp_path / "there"))
    assert again.device.type == "cpu"
    np.testing.assert_allclose(use(again), expected, rtol=1e-4)


def test_a_law_in_double_precision_refuses_half_of_it(compounds):
    with pytest.raises(InputError, match="double precision"):
        fit_allometry(None, compounds, precision="bf16")
    with pytest.raises(InputError, match="double precision"):
        NeuralAllometry.load(precision="bf16")


@pytest.mark.parametrize("name", ["forecaster", "pcdm"])  # the law is in double precision
def test_bf16_reaches_training_and_inference(name, people, compounds, tmp_path):
    fit, use = COMPONENTS[name]
    expected, exact = fit(people, compounds, precision="bf16"), fit(people, compounds)
    assert (expected.log.precision, exact.log.precision) == ("bfloat16", "float32")
    assert expected.log.history["loss"] != exact.log.history["loss"]
    # the shipped networks: one of four steps may still be nothing, in every precision
    kind = type(exact)
    coarse, fine = use(kind.load(precision="bf16")), use(kind.load())
    assert np.isfinite(coarse).all() and not np.array_equal(coarse, fine)


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_users_random_state_and_threads_are_left_alone(name, people, compounds):
    fit, use = COMPONENTS[name]
    torch.manual_seed(11)
    np.random.seed(12)  # noqa: NPY002 - the user's own, of old style
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    before = torch.get_rng_state(), numpy_state, torch.get_num_threads()
    model = fit(people, compounds)
    use(model)
    type(model).load()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert torch.get_num_threads() == before[2]


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_users_random_state_does_not_matter(name, people, compounds):
    fit, use = COMPONENTS[name]
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        found.append(use(fit(people, compounds)))
    assert np.array_equal(*found)


@pytest.mark.parametrize("name", COMPONENTS)
def test_log_and_config_have_one_shape(name, people, compounds):
    model = COMPONENTS[name][0](people, compounds)
    assert model.log is model.log_
    assert (model.log.skipped, model.log.device, model.log.stopped) == (0, "cpu", "steps")
    assert len(model.log.history["skipped"]) == len(model.log.history["step"])
    assert model.config.to_dict()["seed"] == model.log.seed
    assert type(model.config).from_dict(model.config.to_dict()) == model.config


def test_the_fake_device_refuses_what_a_real_one_refuses():
    with fake_device() as device:
        there, here = torch.ones(3, device=device), torch.ones(3)
        with pytest.raises(DeviceMixError):
            there + here
        with pytest.raises((TypeError, RuntimeError)):
            there.numpy()
        assert torch.equal((2 * there).cpu(), 2 * here)
        assert torch.equal(torch.tensor([1.5], device=device).cpu(), torch.tensor([1.5]))


@pytest.mark.parametrize("bad", ["gpu", "cuda:77", 3.5])
def test_a_device_that_is_not_there_is_named(bad):
    with pytest.raises(InputError, match="device"):
        as_device(bad)


def test_precisions_have_two_names_for_one():
    assert as_precision("bf16") == as_precision("bfloat16") == "bfloat16"
    with pytest.raises(InputError, match="bf16"):
        as_precision("float16")
