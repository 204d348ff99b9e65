"""What goes in, what comes out, and what is refused."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from forecaster_samples import observed

from pbpk_hybrid import Regimen, reference_individual, sample_population
from pbpk_hybrid._core.errors import (
    CheckpointError,
    FileFormatError,
    InputError,
    OutOfRangeWarning,
    SchemaError,
    UnknownNameError,
)
from pbpk_hybrid._core.schemas import validate
from pbpk_hybrid.learn.checkpoints import save_checkpoint
from pbpk_hybrid.learn.transformer import Forecaster, ForecasterConfig
from pbpk_hybrid.learn.transformer.data import MOST_DOSES, MOST_OBSERVATIONS, read_patients

GRID = [1.0, 4.0, 12.0]
DOSE = Regimen.oral(100.0)


def test_the_result_is_a_simulation_with_quantiles_in_order(untrained):
    ds = observed([1, 3, 2], [2.0, 1.0, 3.0], ["7", "7", "9"])
    out = untrained.forecast(
        ds,
        DOSE,
        {"subject": ["9", "7", "8"], "body_weight": [60, 70, 80]},
        times=GRID,
        compartments=("plasma", "liver"),
        quantiles=(0.1, 0.5, 0.9),
    )
    validate(out, "simulation")
    assert out["subject"].values.tolist() == ["9", "7", "8"]
    assert dict(out.sizes) == {"subject": 3, "time": 3, "compartment": 2, "quantile": 3}
    q = out["concentration_quantile"].values
    assert np.all(np.diff(q, axis=-1) > 0) and np.all(q > 0)
    np.testing.assert_allclose(out["concentration"].values, q[..., 1], rtol=1e-6)


def test_subjects_do_not_depend_on_each_other(untrained):
    together = untrained.forecast(
        observed([1, 3, 2], [2.0, 1.0, 3.0], ["a", "a", "b"]), DOSE, times=GRID
    )
    single = untrained.forecast(observed([1, 3], [2.0, 1.0], "a"), DOSE, times=GRID)
    np.testing.assert_allclose(
        together["concentration"].values[0], single["concentration"].values[0], rtol=1e-5
    )


def test_no_samples_and_nothing_known_is_a_forecast_too(untrained):
    assert np.isfinite(
        untrained.forecast(None, "100 mg oral", times=GRID)["concentration"].values
    ).all()


def test_a_population_dataset_gives_covariates_and_regimens_of_its_own(untrained):
    people = sample_population(2, seed=1)
    regimen = Regimen.per_subject([Regimen.bolus(50), Regimen.bolus("1 mg/kg")])
    out = untrained.forecast(None, regimen, people, times=GRID)
    np.testing.assert_allclose(out["body_weight"].values, people["body_weight"].values)


def test_a_compound_moves_the_forecast(untrained):
    plain = untrained.forecast(None, DOSE, times=GRID)
    known = untrained.forecast(
        None, DOSE, times=GRID, compound="theophylline", compartments=("plasma", "muscle")
    )
    assert not np.allclose(
        plain["concentration"].values[..., 0], known["concentration"].values[..., 0]
    )
    assert known.attrs["compound"] == "theophylline"


def test_a_compound_without_clearance_goes_without_its_curve(untrained):
    from pbpk_hybrid import Compound

    with pytest.warns(OutOfRangeWarning, match="cannot be run for mine"):
        untrained.forecast(
            None, DOSE, times=GRID, compound=Compound.create(name="mine", molar_mass=300, log_p=2)
        )


def test_body_weight_scales_the_organs_behind_the_curve(untrained):
    own = untrained.forecast(
        None, Regimen.bolus(100), reference_individual("human"), "theophylline", times=GRID
    )
    weight = float(reference_individual("human")["body_weight"][0])
    same = untrained.forecast(
        None, Regimen.bolus(100), {"body_weight": weight}, "theophylline", times=GRID
    )
    # age, sex and height are told in the first only, so the network may say something else; the curve is the same
    assert own["body_weight"].values == pytest.approx(same["body_weight"].values)


def test_predose_samples_are_left_out_and_counted(untrained):
    out = untrained.forecast(observed([0.0, 2.0], [0.3, 1.0]), DOSE, times=GRID)
    assert out.attrs["ignored_samples"] == 1
    np.testing.assert_array_equal(
        out["concentration"],
        untrained.forecast(observed([2.0], [1.0]), DOSE, times=GRID)["concentration"],
    )


def test_values_below_the_limit_are_censored_at_it():
    ds = observed([1.0, 2.0, 3.0], [2.0, 0.01, 0.0], lloq=[0.05] * 3, censored=[0, 0, 1])
    (patient,), _ = read_patients(ds, DOSE, None)
    assert patient.censored.tolist() == [False, True, True]
    assert patient.value.tolist() == [2.0, 0.05, 0.05]


def test_additional_doses_and_steady_states_are_written_out():
    (patient,), _ = read_patients(None, Regimen.oral(10, interval=12, additional_doses=3), None)
    assert patient.doses.time.tolist() == [0.0, 12.0, 24.0, 36.0]
    (patient,), _ = read_patients(
        None, Regimen.oral(10, time=100, interval=12, steady_state=True), None
    )
    assert (
        len(patient.doses.time) == 61
        and patient.doses.time[-1] == 100.0
        and patient.doses.time[-2] == 88.0
    )
    again = Regimen.oral(5) + Regimen.oral(10, time=50, interval=12, steady_state=1)
    (patient,), _ = read_patients(None, again, None)
    assert patient.doses.time.tolist() == [0.0, 2.0, 14.0, 26.0, 38.0, 50.0]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: (observed([-1.0], [1.0]), DOSE, None),
            InputError,
            r"observation\.time\[0\].*after the first dose",
        ),
        (
            lambda: (observed([3.0, 2.0], [1.0, 1.0]), DOSE, None),
            InputError,
            r"observation\.time\[1\].*sort the samples",
        ),
        (
            lambda: (observed([3.0], [-1.0]), DOSE, None),
            SchemaError,
            r"observation\.value.*values >= 0",
        ),
        (
            lambda: (observed([3.0], [0.0]), DOSE, None),
            InputError,
            r"observation\.value\[0\].*lloq",
        ),
        (
            lambda: (observed([3.0], [1.0]), DOSE, {"species": "humen"}),
            UnknownNameError,
            "did you mean 'human'",
        ),
        (
            lambda: (observed([3.0], [1.0]), DOSE, {"sex": "femal"}),
            UnknownNameError,
            "did you mean 'female'",
        ),
        (
            lambda: (observed([3.0], [1.0]), DOSE, {"body_wight": 3}),
            UnknownNameError,
            "did you mean 'body_weight'",
        ),
        (
            lambda: (observed([3.0], [1.0]), DOSE, {"body_weight": "3 h"}),
            InputError,
            r"physiology\.body_weight",
        ),
        (
            lambda: (observed([3.0], [1.0], "x"), DOSE, {"subject": ["y"]}),
            UnknownNameError,
            "observation.subject",
        ),
        (lambda: (observed([3.0], [1.0]), Regimen.empty(), None), InputError, "at least one dose"),
        (
            lambda: (observed([3.0], [1.0]), Regimen.reset(5.0) + DOSE, None),
            InputError,
            "split the study",
        ),
        (
            lambda: (observed([3.0], [1.0]), Regimen.dose(5, compartment="liver"), None),
            InputError,
            "iv_bolus, iv_infusion or oral",
        ),
        (lambda: (observed([3.0], [1.0]), 5, None), InputError, "a Regimen"),
        (
            lambda: (observed([3.0], [1.0]), DOSE.repeat(1, MOST_DOSES + 1), None),
            InputError,
            f"at most {MOST_DOSES}",
        ),
        (
            lambda: (
                observed(np.arange(1, MOST_OBSERVATIONS + 2), np.ones(MOST_OBSERVATIONS + 1)),
                DOSE,
                None,
            ),
            InputError,
            f"at most {MOST_OBSERVATIONS}",
        ),
    ],
)
def test_bad_input_is_refused_by_name(untrained, make, error, words):
    with pytest.raises(error, match=words):
        untrained.forecast(*make(), times=GRID)


def test_samples_in_another_unit_are_refused(untrained):
    ds = observed([1.0], [1.0])
    ds["time"].attrs["units"] = "min"
    with pytest.raises(SchemaError, match=r"observation\.time.*units 'h'"):
        untrained.forecast(ds, DOSE, times=GRID)
    ds = observed([1.0], [1.0])
    ds["matrix"].values[:] = "urine!"[:6]
    with pytest.raises(UnknownNameError, match="plasma, serum or blood"):
        untrained.forecast(ds, DOSE, times=GRID)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"times": [2.0, 1.0]}, r"times\[1\]"),
        ({"times": []}, "at least one time"),
        ({"times": ["1 kg"]}, "times"),
        ({"compartments": ("livr",)}, "did you mean 'liver'"),
        ({"quantiles": (0.9, 0.1)}, "quantiles"),
        ({"quantiles": (0.0, 0.5)}, "quantiles"),
        ({"quantiles": "0.5"}, "quantiles"),
        ({"compound": 5}, "compound: got 5"),
        ({"context": 5}, "context"),
        ({"compound": "theofylline"}, "did you mean .Theophylline"),
    ],
)
def test_what_is_asked_for_must_make_sense(untrained, change, words):
    with pytest.raises(InputError, match=words):
        untrained.forecast(None, DOSE, **({"times": GRID} | change))


def test_what_lies_outside_the_corpus_is_flagged(untrained):
    narrow = Forecaster(
        untrained.module,
        {**untrained.reference, "mean": np.full(17, 50.0), "covariance": np.eye(17)},
    )
    with pytest.warns(OutOfRangeWarning, match="unlike the corpus"):
        out = narrow.forecast(None, DOSE, {"body_weight": [20.0, 60.0]}, times=GRID)
    assert (
        np.all(out["ood_score"].values > 1)
        and out["ood_score"].values[0] > out["ood_score"].values[1]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert float(untrained.forecast(None, DOSE, times=GRID)["ood_score"][0]) < 1


def test_impossible_weights_and_samples_are_flagged(untrained):
    for people in ({"body_weight": 5000.0}, {"species": "rat", "body_weight": 70.0}):
        with pytest.warns(OutOfRangeWarning, match="unlike the corpus"):
            assert untrained.forecast(None, DOSE, people, times=GRID)["ood_score"].values[0] > 10
    # 100 mg in 70 kg cannot give 1,200 mg/L: it was ug/L
    with pytest.warns(OutOfRangeWarning, match="unlike the corpus"):
        out = untrained.forecast(observed([1.0], [1200.0]), DOSE, {"body_weight": 70.0}, times=GRID)
    assert out["ood_score"].values[0] == pytest.approx(1200 / (100 / (0.03 * 70)))


def test_the_corpus_has_no_weight_that_is_flagged():
    from pbpk_hybrid.learn.transformer.corpus_prior import pool
    from pbpk_hybrid.learn.transformer.model import WEIGHTS

    people = pool()
    for species, (low, high) in WEIGHTS.items():
        weight = people.body_weight[people.rows[species]]
        assert low < weight.min() and weight.max() < high < 6 * np.median(weight)


def test_context_of_another_species_is_warned_of(untrained):
    rats = (observed([1.0, 3.0], [1.0, 0.5]), DOSE, {"species": "rat", "body_weight": 0.25})
    with pytest.warns(OutOfRangeWarning, match="context: its patients are of rat, not of human"):
        untrained.forecast(None, DOSE, times=GRID, context=rats)


def test_saving_and_loading_changes_no_digit(untrained, tmp_path):
    path = untrained.save(tmp_path / "mine")
    again = Forecaster.load(path)
    assert again.config == untrained.config
    a, b = (f.forecast(observed([1.0], [2.0]), DOSE, times=GRID) for f in (untrained, again))
    assert np.array_equal(a["concentration_quantile"], b["concentration_quantile"])
    with pytest.raises(CheckpointError, match="overwrite"):
        untrained.save(path)


def test_checkpoints_of_another_kind_or_version_are_refused(untrained, tmp_path):
    path = save_checkpoint(
        tmp_path / "other", {"x": torch.zeros(1)}, {}, kind="pcdm", format_version=1
    )
    with pytest.raises(CheckpointError, match="kind"):
        Forecaster.load(path)
    path = save_checkpoint(
        tmp_path / "newer", {"x": torch.zeros(1)}, {}, kind="forecaster", format_version=99
    )
    with pytest.raises(CheckpointError, match="format_version"):
        Forecaster.load(path)
    path = save_checkpoint(
        tmp_path / "empty", {"x": torch.zeros(1)}, {}, kind="forecaster", format_version=1
    )
    with pytest.raises(CheckpointError, match="config"):
        Forecaster.load(path)


def test_settings_come_from_one_file(tmp_path):
    file = tmp_path / "large.toml"
    file.write_text('width = 64\nsteps = 9\n[corpus]\nbatch_size = 64\nregimens = ["oral"]\n')
    config = ForecasterConfig.from_toml(file)
    assert (config.width, config.corpus.batch_size, config.corpus.regimens) == (64, 64, ("oral",))
    assert ForecasterConfig.from_dict(config.to_dict()) == config
    file.write_text("wdth = 64")
    with pytest.raises(UnknownNameError, match="did you mean 'width'"):
        ForecasterConfig.from_toml(file)
    file.write_text("width = 'a'")
    with pytest.raises(InputError, match=r"config\.width"):
        ForecasterConfig.from_toml(file)
    file.write_text("width = ")
    with pytest.raises(FileFormatError, match="TOML"):
        ForecasterConfig.from_toml(file)


def test_a_short_training_learns_and_a_resumed_one_is_the_same(tiny_config, tmp_path):
    config = replace(
        tiny_config, steps=30, evaluate_every=10, warmup=2, learning_rate=3e-3, ema=0.5
    )
    whole = Forecaster.fit(config, folder=tmp_path / "a", progress=False, threads=1)
    losses = whole.log_.history["validation"]
    assert losses[-1] < losses[0]
    Forecaster.fit(config, steps=20, folder=tmp_path / "b", progress=False, threads=1)
    resumed = Forecaster.fit(config, folder=tmp_path / "b", progress=False, threads=1)
    for name, weight in whole.module.state_dict().items():
        assert torch.equal(weight, resumed.module.state_dict()[name]), name
    last = Forecaster.from_run(tmp_path / "b", config, averaged=False)
    colder = replace(config, schedule="cosine", warmup=0, steps=4, seed=9, learning_rate=1e-9)
    cooled = Forecaster.fit(colder, start=last, progress=False, threads=1)
    for name, weight in last.module.state_dict().items():
        torch.testing.assert_close(cooled.module.state_dict()[name], weight, atol=1e-6, rtol=0)


def test_fine_tuning_moves_towards_the_study_and_leaves_the_original(untrained):
    times, n = [1.0, 3.0, 6.0, 10.0], 6
    values = [20.0 * np.exp(-0.1 * t) for t in times]
    ds = observed(times * n, values * n, [str(i) for i in range(n) for _ in times])
    before = {k: v.clone() for k, v in untrained.module.state_dict().items()}
    tuned = untrained.fine_tune(
        ds, Regimen.bolus(100.0), steps=25, learning_rate=3e-3, replay=0.0, seed=1
    )
    assert all(torch.equal(v, before[k]) for k, v in untrained.module.state_dict().items())

    def error(model):
        out = model.forecast(observed(times[:2], values[:2]), Regimen.bolus(100.0), times=times[2:])
        return float(np.abs(np.log(out["concentration"].values.ravel() / values[2:])).mean())

    assert error(tuned) < error(untrained)
    with pytest.raises(InputError, match="two samples"):
        untrained.fine_tune(observed([1.0], [1.0]), DOSE, steps=1)
