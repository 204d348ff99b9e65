"""Models whose right-hand side is any expression, on every backend: the same numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.models.expressions.assembly import assemble_model
from pbpk_hybrid.models.expressions.ode_model import Assignment, Event, OdeModel
from pbpk_hybrid.models.expressions.parser import parse_expression as read
from pbpk_hybrid.models.expressions.tree import Table, apply, number, symbol
from pbpk_hybrid.solvers.base import SolverOptions, Status
from pbpk_hybrid.solvers.julia.expressions import OPERATIONS, operation_list
from pbpk_hybrid.solvers.model_runs import run_model
from pbpk_hybrid.solvers.select import get_backend

TIMES = np.array([0.0, 0.5, 1.0, 2.5, 3.0, 8.0])

#: name -> rates and initial values of a model whose terms are no closed law
MODELS = {
    "reversible": (
        {"a": "-vmax*(a/ks - b/kp)/(1 + a/ks + b/kp)", "b": "vmax*(a/ks - b/kp)/(1 + a/ks + b/kp)"},
        {"a": 10.0, "b": 0.5},
    ),
    "powers": (
        {"a": "-k*a^1.3 + exp(-b)/(1 + a^2)", "b": "0.1*sqrt(a)*tanh(a - b) - 0.2*b^-1"},
        {"a": 5.0, "b": 3.0},
    ),
    "corners": (
        {"a": "-k*min(a, 0.5*b)", "b": "1 + min(a, 1)*max(b, 0.2) - abs(b - a)*0.3 - b"},
        {"a": 4.0, "b": 2.0},
    ),
    "time": ({"a": "-k*a*(1 + 0.5*sin(2*time))", "b": "k*a/(1 + time^2)"}, {"a": 1.0, "b": 0.0}),
}
PARAMETERS = {"vmax": 2.0, "ks": 1.5, "kp": 4.0, "k": 0.7}


def model(name: str) -> OdeModel:
    rates, initial = MODELS[name]
    return OdeModel(
        {s: read(r) for s, r in rates.items()},
        {s: number(v) for s, v in initial.items()},
        {p: number(v) for p, v in PARAMETERS.items()},
    )


def run(backend, of: OdeModel, values=None, n_subjects=1, rtol=1e-10, states=("a", "b")):
    assembled = assemble_model(of, values, n_subjects=n_subjects)
    outputs = {s: symbol(s) for s in states}
    return run_model(assembled, TIMES, outputs, backend, SolverOptions(rtol=rtol, threads=1))


@pytest.mark.parametrize("name", MODELS)
def test_every_backend_gives_the_same_numbers(backend, name):
    drawn = np.random.default_rng(3)
    values = {p: PARAMETERS[p] * drawn.uniform(0.5, 2.0, 19) for p in ("k", "vmax")}
    ours = run(backend, model(name), values, 19)
    wanted = run(get_backend("embedded"), model(name), values, 19, rtol=1e-12)
    assert (ours.trajectories.status == Status.SUCCESS).all()
    np.testing.assert_allclose(ours.values, wanted.values, rtol=1e-7, atol=1e-9)


def test_a_rate_of_time_alone_is_its_integral(backend):
    of = OdeModel(
        {"a": read("3*time^2 - exp(-time)")},
        {"a": number(0.0)},
        may_be_negative=frozenset({"a"}),
    )
    found = run(backend, of, states=("a",)).values[0, :, 0]
    np.testing.assert_allclose(found, TIMES**3 - (1 - np.exp(-TIMES)), rtol=1e-8, atol=1e-9)


def test_a_table_of_time_is_followed_over_its_corners(backend):
    table = Table((0.0, 1.0, 3.0, 4.0), (0.0, 2.0, 2.0, 0.0))
    of = OdeModel({"a": apply("table", symbol("time"), table=table)}, {"a": number(1.0)})
    found = run(backend, of, states=("a",)).values[0, :, 0]
    wanted = 1.0 + np.array([0.0, 0.25, 1.0, 4.0, 5.0, 6.0])
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_copies_of_a_state_that_is_not_defined_for_nothing(backend):
    """A rate over a state: zero in the lanes that hold no subject would be a division by zero."""
    of = OdeModel({"a": read("-k*a/sqrt(a)")}, {"a": number(4.0)}, {"k": number(0.1)})
    ours = run(backend, of, {"k": np.array([0.1, 0.2, 0.3])}, 3, states=("a",))
    wanted = (2.0 - 0.5 * np.array([[0.1], [0.2], [0.3]]) * TIMES) ** 2
    np.testing.assert_allclose(ours.values[:, :, 0], wanted, rtol=1e-7)


def decay(condition: str, assignments, once=True, **parameters) -> OdeModel:
    return OdeModel(
        {"a": read("-k*a")},
        {"a": number(10.0)},
        {"k": number(0.5), "dose": number(4.0), **parameters},
        events=(Event("event", read(condition), assignments, once),),
    )


ADD_DOSE = (Assignment("a", read("a + dose")),)


def test_an_event_at_a_time_jumps_there_for_each_subject(backend):
    k = np.array([0.2, 0.5, 0.9])
    found = run(backend, decay("time >= 1", ADD_DOSE), {"k": k}, 3, states=("a",))
    after = np.where(TIMES >= 1.0, 4.0 * np.exp(-k[:, None] * (TIMES - 1.0)), 0.0)
    wanted = 10.0 * np.exp(-k[:, None] * TIMES) + after
    assert (found.trajectories.status == Status.SUCCESS).all()
    np.testing.assert_allclose(found.values[:, :, 0], wanted, rtol=1e-8)


def test_an_event_of_a_state_is_found_where_it_happens(backend):
    k = np.linspace(0.3, 1.2, 11)  # two packs, each lane with its own time
    found = run(backend, decay("a < 2", ADD_DOSE), {"k": k}, 11, states=("a",))
    when = np.log(5.0) / k[:, None]
    before, after = 10.0 * np.exp(-k[:, None] * TIMES), 6.0 * np.exp(-k[:, None] * (TIMES - when))
    wanted = np.where(TIMES < when, before, after)
    np.testing.assert_allclose(found.values[:, :, 0], wanted, rtol=1e-7)


def test_an_event_happens_as_often_as_it_may(backend):
    for once in (True, False):
        found = run(backend, decay("a < 5", ADD_DOSE, once), states=("a",)).values[0, :, 0]
        times, a, t, k = [], 10.0, 0.0, 0.5  # the same by hand: from a to 5, then 9 to 5
        while (step := np.log(a / 5.0) / k) + t < TIMES[-1]:
            times.append(t + step)
            t, a = t + step, 9.0
            if once:
                break
        last = np.searchsorted(times, TIMES, side="right")
        start = np.where(last > 0, 9.0, 10.0)
        since = TIMES - np.r_[0.0, times][last]
        np.testing.assert_allclose(found, start * np.exp(-k * since), rtol=1e-7)


def test_a_threshold_of_a_state_changes_a_rate_there(backend):
    of = OdeModel({"a": read("a > 3 ? -k*a : -0.1*k*a")}, {"a": number(10.0)}, {"k": number(0.5)})
    found = run(backend, of, states=("a",)).values[0, :, 0]
    when = np.log(10.0 / 3.0) / 0.5
    slow = 3.0 * np.exp(-0.05 * (TIMES - when))
    np.testing.assert_allclose(
        found, np.where(TIMES < when, 10.0 * np.exp(-0.5 * TIMES), slow), rtol=1e-7
    )


def test_what_is_reported_at_the_time_of_an_event(backend):
    of = decay("time >= 1", ADD_DOSE)
    at_one = np.flatnonzero(TIMES == 1.0)[0]
    for before, jump in ((True, 0.0), (False, 4.0)):
        assembled = assemble_model(of, reported_before=before)
        options = SolverOptions(rtol=1e-10, threads=1)
        found = run_model(assembled, TIMES, {"a": symbol("a")}, backend, options)
        assert found.values[0, at_one, 0] == pytest.approx(10.0 * np.exp(-0.5) + jump, rel=1e-9)


def test_a_parameter_takes_the_number_that_an_event_gives_it(backend):
    of = decay("time >= 2", (Assignment("k", read("k/5")),))
    found = run(backend, of, states=("a",)).values[0, :, 0]
    late = 10.0 * np.exp(-1.0) * np.exp(-0.1 * (TIMES - 2.0))
    np.testing.assert_allclose(
        found, np.where(TIMES < 2.0, 10.0 * np.exp(-0.5 * TIMES), late), rtol=1e-8
    )


def test_events_that_wait_for_each_other_are_refused_by_name_where_they_cannot_run():
    from dataclasses import replace

    from pbpk_hybrid.models.expressions.events import EventQueue
    from pbpk_hybrid.solvers.base import Problem, StopTable
    from pbpk_hybrid.solvers.julia.backend import JuliaBackend
    from pbpk_hybrid.solvers.select import workload

    system = assemble_model(decay("time >= 1", ADD_DOSE)).system
    queue = EventQueue((number(1.0),), (True,), (True,), (False,))
    system = replace(system, events=replace(system.events, queue=queue))
    none = np.zeros(0)
    stops = StopTable(none.astype(int), none, none.astype(int), none.astype(int), none)
    with pytest.raises(ph.BackendUnavailableError, match="backend='embedded'"):
        JuliaBackend().solve(Problem(system, stops, TIMES, ("a",)), SolverOptions())
    assert workload(system, SolverOptions(), ()).embedded_only == "events that wait for each other"


def test_a_model_with_events_is_not_exported(tmp_path):
    from pbpk_hybrid.solvers.julia.export import save_system

    system = assemble_model(decay("time >= 1", ADD_DOSE)).system
    with pytest.raises(ph.BackendUnavailableError, match="events"):
        save_system(system, tmp_path / "system.json")


def test_the_list_of_operations_is_the_same_in_both_languages():
    import re
    from pathlib import Path

    path = Path(__file__).parents[2] / "julia" / "src" / "expressions.jl"
    listed = re.search(r"const OPERATIONS = \((.*?)\)", path.read_text(), re.DOTALL).group(1)
    assert tuple(re.findall(r":(\w+)", listed)) == OPERATIONS


@pytest.mark.parametrize("name", MODELS)
def test_the_list_gives_the_rates_that_the_tree_gives(name):
    """Walked here by numpy, with the tree's own definition of every operation."""
    from pbpk_hybrid.models.expressions.tree import compute

    system = assemble_model(model(name)).system
    listed = operation_list(system)
    y = np.random.default_rng(1).uniform(0.5, 2.0, system.n_states)
    p = np.concatenate([r.parameters[0] for r in system.reactions])
    found: list[np.ndarray] = []
    ends = np.cumsum(listed.args_per)
    for i, (op, value, index) in enumerate(zip(listed.op, listed.value, listed.index, strict=True)):
        args = [found[a] for a in listed.arg[ends[i] - listed.args_per[i] : ends[i]]]
        kind = OPERATIONS[op]
        leaf = {"number": value, "state": y[index - 1] if kind == "state" else 0.0}
        if kind in leaf:
            found.append(leaf[kind])
        elif kind == "parameter":
            found.append(p[index - 1])
        elif kind == "powi":
            found.append(args[0] ** float(index))
        else:
            found.append(compute(kind, None, *args))
    written = [r for r in system.reactions if r.law == "expression"]
    np.testing.assert_allclose(
        [found[i] for i in listed.rate], [r.rate(y, r.parameters[0]) for r in written], rtol=1e-13
    )
    slopes = iter(listed.slope)
    for r in written:
        for s in r.reactants:
            ahead = y.astype(complex)
            ahead[s] += 1e-30j
            by_step = np.imag(r.rate(ahead, r.parameters[0])) / 1e-30
            assert found[next(slopes)] == pytest.approx(by_step, rel=1e-10, abs=1e-14)


def test_an_exported_model_of_expressions_reads_back_in_julia(tmp_path, backend, backend_name):
    from pbpk_hybrid.solvers.julia.export import save_system

    system = assemble_model(model("powers")).system
    path = save_system(system, tmp_path / "system.json")
    assert json.loads(path.read_text())["expressions"]["rate"]
    if backend_name != "julia":
        return
    from pbpk_hybrid.solvers.julia import runtime

    julia = runtime.start()
    y = np.linspace(1.0, 2.0, system.n_states)
    found = np.asarray(julia.rhs(julia.load_system(str(path)), y, 1))
    np.testing.assert_allclose(found, system.rhs(y, 0), rtol=1e-12)
