"""Expression reactions and events in the embedded backend: machine code, jumps, located events, sensitivities."""

from __future__ import annotations

import numpy as np
import pytest

from pbpk_hybrid._core import errors
from pbpk_hybrid.models.expressions.assembly import assemble_model
from pbpk_hybrid.models.expressions.ode_model import Assignment, Event, OdeModel
from pbpk_hybrid.models.expressions.parser import parse_expression
from pbpk_hybrid.models.expressions.tree import Table, apply, evaluate, number, symbol
from pbpk_hybrid.solvers.base import SolverOptions
from pbpk_hybrid.solvers.embedded.backend import EmbeddedBackend
from pbpk_hybrid.solvers.embedded.expression_code import (
    Row,
    compile_expressions,
    evaluate_compiled,
)
from pbpk_hybrid.solvers.embedded.lanes import LANES
from pbpk_hybrid.solvers.model_runs import run_model

read = parse_expression


def run(model, times, outputs, sensitivities=(), values=None, rtol=1e-8, subjects=None, **more):
    assembled = assemble_model(model, values, n_subjects=len(subjects or [0]), **more)
    formulas = {
        o: symbol(o) if o in assembled.system.states else assembled.formulas[o] for o in outputs
    }
    return run_model(
        assembled,
        np.asarray(times, dtype=float),
        formulas,
        EmbeddedBackend(),
        SolverOptions(rtol=rtol, threads=1),
        sensitivities=sensitivities,
    )


FUNCTIONS = [
    "exp(x)",
    "log(abs(x))",
    "sqrt(abs(x))",
    "abs(x)^y",
    "x^3",
    "x^-2",
    "abs(x)^0.7",
    "sin(x)",
    "cos(x)",
    "tan(x)",
    "atan(x)",
    "tanh(x)",
    "floor(x)",
    "ceil(x)",
    "min(x, y)",
    "max(x, y, 1)",
    "x < y ? x : y",
    "x <= y and not(x = 1)",
    "if(x > 0 or y > 0, x/(1 + y^2), -x)",
    "log10(abs(x) + 1)",
    "(0 - abs(x))^2",
    "abs(y)^x",
]


@pytest.mark.parametrize("text", FUNCTIONS)
def test_compiled_code_is_numpys_function_on_every_lane(text):
    x = np.linspace(-3.3, 4.1, LANES)[None]
    y = np.linspace(2.0, -1.7, LANES)[None]
    code = compile_expressions([read(text)], {"x": Row(0, 0), "y": Row(1, 0)})
    wanted = evaluate([read(text)], {"x": x[0], "y": y[0]})[0]
    np.testing.assert_allclose(evaluate_compiled(code, [x, y])[0], wanted, rtol=1e-13, atol=1e-15)


def test_ends_of_exp_and_log():
    x = np.array([[0.0, -800.0, 800.0, np.inf, -np.inf, np.nan, 709.78, 1e-310]])
    code = compile_expressions([read("exp(x)"), read("log(x)")], {"x": Row(0, 0)})
    with np.errstate(all="ignore"):
        wanted = np.stack([np.exp(x[0]), np.log(x[0])])
    np.testing.assert_allclose(evaluate_compiled(code, [x]), wanted, rtol=1e-12)


def test_tables_and_their_slopes():
    table = Table((0.0, 1.0, 3.0), (1.0, 3.0, -1.0))
    slopes = Table(table.x, table.y, slope=True)
    x = np.array([[-1.0, 0.0, 0.5, 1.0, 2.0, 2.999, 3.0, 9.0]])
    nodes = [apply("table", symbol("x"), table=t) for t in (table, slopes)]
    code = compile_expressions(nodes, {"x": Row(0, 0)})
    np.testing.assert_allclose(evaluate_compiled(code, [x]), np.stack([table(x[0]), slopes(x[0])]))


def decay(condition, assignments, once=True, **parameters):
    return OdeModel(
        {"y": read("-k*y")},
        {"y": number(10.0)},
        {"k": number(0.5), "dose": number(4.0), "limit": number(2.0), **parameters},
        events=(Event("event", read(condition), assignments, once),),
    )


def test_an_event_at_a_time_and_on_which_side_it_is_reported():
    model = decay("time >= 2", (Assignment("y", read("y + dose")),))
    times = [0.0, 2.0, 3.0]
    before = 10.0 * np.exp(-1.0)
    for side, at in ((True, before), (False, before + 4.0)):
        got = run(model, times, ["y"], reported_before=side).values[0, :, 0]
        np.testing.assert_allclose(got, [10.0, at, (before + 4.0) * np.exp(-0.5)], rtol=1e-6)


def test_an_event_found_in_the_state_and_repeated():
    model = decay("y < limit", (Assignment("y", read("y + dose")),), once=False)
    period = np.log(3.0) / 0.5  # from 6 down to 2
    first = np.log(5.0) / 0.5
    times = [first + period * i + 1.0 for i in range(4)]
    got = run(model, times, ["y"]).values[0, :, 0]
    np.testing.assert_allclose(got, 6.0 * np.exp(-0.5), rtol=1e-5)


def test_two_events_in_one_step_both_happen_at_their_time():
    """A step that is cut at the first says nothing about its end."""
    model = OdeModel(
        {"y": number(1.0), "z": read("up")},
        {"y": number(0.0), "z": number(0.0)},
        {"up": number(0.0)},
        events=(
            Event("on", read("y > 1"), (Assignment("up", number(1.0)),)),
            Event("off", read("y > 1.5"), (Assignment("up", number(0.0)),)),
        ),
    )
    got = run(model, [0.0, 1.25, 5.0], ["y", "z"]).values[0]
    np.testing.assert_allclose(got, [[0, 0], [1.25, 0.25], [5.0, 0.5]], atol=1e-6)


def test_a_parameter_keeps_a_number_or_follows_a_formula():
    times = [0.0, 1.0, 3.0]
    for follows, late in ((True, 10.0 * np.exp(-2.0 - 0.0)), (False, None)):
        model = decay("time >= 1", (Assignment("k", read("0.1*time"), follows),))
        got = run(model, times, ["y"]).values[0, 2, 0]
        exponent = 0.5 + (0.05 * (9 - 1) if follows else 0.1 * 2)
        np.testing.assert_allclose(got, 10.0 * np.exp(-exponent), rtol=1e-6)
        assert late is None or got != late


def test_a_rate_that_jumps_at_a_threshold_is_not_stepped_across():
    """y' is 1 up to 3 and 0.001 beyond: without a stop at 3 a step can look accurate and stand still there."""
    model = OdeModel({"y": read("if(y < 3, 1, 0.001)")}, {"y": number(0.0)})
    for rtol in (1e-4, 1e-6, 1e-7, 1e-9):
        got = run(model, [0.0, 2.0, 3.5, 10.0], ["y"], rtol=rtol)
        np.testing.assert_allclose(
            got.values[0, :, 0], [0, 2, 3.0005, 3.007], rtol=2e-4 * rtol**0.3
        )
        assert got.trajectories.steps[0].sum() < 200


def test_subjects_have_events_at_their_own_times():
    model = decay("time >= start", (Assignment("y", read("y + dose")),), start=number(1.0))
    start = np.array([1.0, 1.5, 2.0, 2.5, 3.0])
    got = run(model, [0.0, 4.0], ["y"], values={"start": start}, subjects=list(range(5)))
    wanted = 10.0 * np.exp(-2.0) + 4.0 * np.exp(-0.5 * (4.0 - start))
    np.testing.assert_allclose(got.values[:, 1, 0], wanted, rtol=1e-6)


def test_sensitivities_through_events_starts_and_formulas_of_outputs():
    model = OdeModel(
        {"y": read("-v*y/(km + y)")},
        {"y": read("2*first")},
        {"v": number(1.0), "km": number(2.0), "first": number(3.0), "twice": read("y*y*km")},
        events=(Event("e", read("time >= 1"), (Assignment("y", read("y + first*km")),)),),
    )
    names = ("v", "km", "first")
    own = {"v": 1.0, "km": 2.0, "first": 3.0}
    times = [0.5, 1.5, 3.0]
    got = run(model, times, ["y", "twice"], names, own, rtol=1e-10)
    for q, name in enumerate(names):
        step = 1e-4 * own[name]
        up, down = (
            run(
                model, times, ["y", "twice"], values={**own, name: own[name] + s}, rtol=1e-11
            ).values
            for s in (step, -step)
        )
        np.testing.assert_allclose(got.slopes[..., q], (up - down) / (2 * step), rtol=1e-5)


@pytest.mark.parametrize("by", ["start", "limit", "k"])
def test_sensitivities_that_would_miss_the_moving_time_of_an_event_are_refused(by):
    condition = "time >= start" if by == "start" else "y < limit"
    model = decay(condition, (Assignment("y", read("y + dose")),), start=number(1.0))
    with pytest.raises(errors.InputError, match="no event's time depends") as caught:
        run(model, [0.0, 9.0], ["y"], (by,), {by: 1.0 if by != "k" else 0.5})
    assert "difference" in str(caught.value)
    allowed = run(model, [0.0, 9.0], ["y"], ("dose",), {"dose": 4.0}) if by == "start" else None
    assert allowed is None or np.isfinite(allowed.slopes).all()


def test_other_subjects_of_an_assembled_model_are_those_of_a_new_one():
    model = decay("time >= start", (Assignment("y", read("y + dose")),), start=number(1.0))
    first = assemble_model(model, {"start": 1.0, "k": 0.5})
    values = {"start": np.array([1.0, 2.0]), "k": np.array([0.3, 0.6])}
    again = first.with_values(values, ["a", "b"])
    new = assemble_model(model, values, n_subjects=2, subjects=np.array(["a", "b"]))
    np.testing.assert_array_equal(again.system.k_value, new.system.k_value)
    np.testing.assert_array_equal(
        np.broadcast_to(again.system.events.values_of_constants, (2, 1)),
        np.broadcast_to(new.system.events.values_of_constants, (2, 1)),
    )
    assert list(again.system.subjects) == ["a", "b"]
    with pytest.raises(errors.InputError, match="the names"):
        first.with_values({"k": 1.0})
