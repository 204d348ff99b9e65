"""The training loop learns, stops, and goes on after a kill as if nothing had happened."""

from __future__ import annotations

import csv
import math

import pytest

torch = pytest.importorskip("torch")

from pbpk_hybrid._core.errors import CheckpointError, InputError, SolveError
from pbpk_hybrid.learn.training import COLUMNS, TrainingOptions, train


def network(width: int = 8):
    torch.manual_seed(3)
    return torch.nn.Sequential(
        torch.nn.Linear(2, width), torch.nn.Tanh(), torch.nn.Dropout(0.1), torch.nn.Linear(width, 1)
    )


def sine_loss(module, step, generator):
    x = torch.rand(64, 2, generator=generator)
    return ((module(x) - torch.sin(3 * x.sum(1, keepdim=True))) ** 2).mean()


def weights(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def options(**changes):
    return TrainingOptions(
        **{"steps": 60, "warmup": 5, "evaluate_every": 20, "seed": 4, "ema": 0.9} | changes
    )


def test_the_loss_falls_and_the_log_says_so():
    log = train(
        network(),
        sine_loss,
        options(steps=300, learning_rate=1e-2, evaluate_every=100),
        progress=False,
    )
    assert log.history["loss"][-1] < 0.5 * log.history["loss"][0]
    assert log.history["step"] == [100, 200, 300]
    assert log.stopped == "steps"


def test_a_run_that_was_killed_goes_on_to_the_same_weights_bit_for_bit(tmp_path):
    whole = network()
    train(whole, sine_loss, options(), progress=False)

    class Killed(Exception):
        pass

    def interrupted(module, step, generator):
        if step == 47:  # after the evaluation at 40: seven steps are lost and taken again
            raise Killed
        return sine_loss(module, step, generator)

    with pytest.raises(Killed):
        train(network(), interrupted, options(), folder=tmp_path, progress=False)
    resumed = network()
    log = train(resumed, sine_loss, options(), folder=tmp_path, progress=False)
    assert torch.equal(weights(resumed), weights(whole))
    assert log.history["step"] == [20, 40, 60]
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(r["step"]) for r in rows] == [20, 40, 60]
    assert set(rows[0]) == set(COLUMNS)


def test_a_finished_run_takes_no_more_steps(tmp_path):
    first, second = network(), network()
    train(first, sine_loss, options(), folder=tmp_path, progress=False)

    def never(module, step, generator):
        raise AssertionError("no step should be taken")

    train(second, never, options(), folder=tmp_path, progress=False)
    assert torch.equal(weights(first), weights(second))


def test_other_options_are_refused_on_resumption(tmp_path):
    train(network(), sine_loss, options(), folder=tmp_path, progress=False)
    with pytest.raises(CheckpointError, match="learning_rate"):
        train(network(), sine_loss, options(learning_rate=0.5), folder=tmp_path, progress=False)
    with pytest.raises(CheckpointError, match="shape"):
        train(network(9), sine_loss, options(), folder=tmp_path, progress=False)


def test_patience_stops_and_the_best_weights_are_kept():
    scores = iter([3.0, 1.0, 2.0, 2.5, 9.0, 9.0])
    seen = []

    def validate(module):
        seen.append(weights(module).clone())
        return next(scores)

    module = network()
    log = train(
        module, sine_loss, options(steps=200, patience=2), validate=validate, progress=False
    )
    assert log.stopped == "patience"
    assert (log.best, log.best_step, len(seen)) == (1.0, 40, 4)
    assert torch.equal(weights(module), seen[1])


def test_averaged_weights_are_the_recursion_of_their_definition():
    module, path = network(), []

    def loss(module, step, generator):
        path.append(weights(module).clone())
        return sine_loss(module, step, generator)

    def validate(module):
        path.append(weights(module).clone())  # the averaged ones
        return -len(path)  # always the best so far

    train(module, loss, options(steps=20), validate=validate, progress=False)
    *visited, averaged = path
    expected = visited[0]
    # the weights after the last step are not in `visited`; the loop sees them before validation only
    for step, now in enumerate(visited[1:]):
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * now
    # one more update by the last weights: what is left of the difference is parallel to it and small
    assert torch.linalg.norm(averaged - expected) < 0.02 * torch.linalg.norm(expected)
    assert not torch.equal(averaged, visited[-1])


def test_a_loss_that_is_never_finite_is_an_error_that_says_what_to_do():
    def broken(module, step, generator):
        return sine_loss(module, step, generator) * math.nan

    with pytest.raises(SolveError, match="learning_rate"):
        train(network(), broken, options(), progress=False)


def test_the_schedule_warms_up_and_ends_near_zero():
    o = options(steps=1000, warmup=99, learning_rate=2.0)
    assert o.rate(0) == pytest.approx(0.02)
    assert max(o.rate(s) for s in range(1000)) == pytest.approx(2.0, rel=1e-3)
    assert o.rate(999) < 1e-4


@pytest.mark.parametrize(
    "bad", [{"steps": 0}, {"ema": 1.0}, {"learning_rate": -1.0}, {"schedule": "linear"}]
)
def test_bad_options_are_named(bad):
    with pytest.raises(InputError, match=next(iter(bad))):
        options(**bad)


def sometimes(broken_steps, how):
    """A loss whose value, or gradient, is not finite in some steps."""

    def loss(module, step, generator):
        value = sine_loss(module, step, generator)
        if step not in broken_steps:
            return value
        if how == "loss":
            return value * math.nan
        first = next(module.parameters())
        return value + (torch.zeros(()) * first.flatten()[0]).sqrt()  # d sqrt(x)/dx at 0 is inf

    return loss


@pytest.mark.parametrize("how", ["loss", "gradient"])
def test_steps_that_are_not_finite_are_skipped_and_counted(how, tmp_path):
    module = network()
    log = train(module, sometimes({3, 4, 27}, how), options(), folder=tmp_path, progress=False)
    assert (log.skipped, log.history["skipped"]) == (3, [2, 3, 3])
    assert all(math.isfinite(x) for x in log.history["loss"] + log.history["gradient_norm"])
    assert torch.isfinite(weights(module)).all()
    again = train(network(), sine_loss, options(), folder=tmp_path, progress=False)
    assert again.skipped == 3  # kept over a resumption


@pytest.mark.parametrize("how", ["loss", "gradient"])
def test_too_many_such_steps_running_stop_the_run_and_say_what_was_wrong(how):
    with pytest.raises(SolveError, match=f"the {how} was not finite in 4 steps running"):
        train(network(), sometimes(range(10, 99), how), options(most_skipped=4), progress=False)


def test_too_many_of_all_steps_stop_the_run():
    every_tenth = range(0, 1000, 10)
    with pytest.raises(SolveError, match=r"not finite in \d+ of \d+ steps"):
        train(network(), sometimes(every_tenth, "loss"), options(steps=1000), progress=False)


def test_an_evaluation_without_any_finite_step_is_not_the_best(tmp_path):
    log = train(
        network(),
        sometimes(range(20, 40), "loss"),
        options(steps=60, most_skipped=30),
        progress=False,
    )
    assert math.isnan(log.history["loss"][1]) and log.best_step != 40


def test_a_run_of_before_that_counted_nothing_goes_on(tmp_path):
    from pbpk_hybrid.learn.checkpoints import load_checkpoint, save_checkpoint
    from pbpk_hybrid.learn.training import FORMAT, KIND

    train(network(), sine_loss, options(), folder=tmp_path, progress=False)
    path = tmp_path / "state.safetensors"
    tensors, config = load_checkpoint(path, kind=KIND, format_version=FORMAT)
    del config["skipped"], config["history"]["skipped"], config["options"]["most_skipped"]
    save_checkpoint(path, tensors, config, kind=KIND, format_version=FORMAT, overwrite=True)
    log = train(network(), sine_loss, options(), folder=tmp_path, progress=False)
    assert log.history["skipped"] == [0, 0, 0]
