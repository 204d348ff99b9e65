"""Neural ODEs without Julia: fields, layout of weights, closed solutions, gradients, errors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import pbpk_hybrid as ph
from pbpk_hybrid.learn.neural_ode import (
    GraphField,
    MLPField,
    ScalingField,
    flatten_weights,
    n_weights,
    odeint,
    unflatten_weights,
    weight_layout,
)

DOUBLE = torch.float64


def loop_graph() -> ph.OrganGraph:
    return ph.whole_body_graph(("arterial_blood", "venous_blood", "lung", "liver", "gut"))


def fields() -> list[torch.nn.Module]:
    torch.manual_seed(3)
    graph = loop_graph()
    mlp = MLPField(3, hidden=(5,), n_parameters=2, activation="silu", time_dependent=True)
    edges = torch.rand(len(graph.source), 1)
    organs = GraphField(
        graph,
        n_features=2,
        hidden=(4,),
        n_messages=3,
        n_parameters=1,
        edge_features=edges,
        node_features=torch.eye(5),
    )
    return [mlp.double(), organs.double()]


def solve(field, y0, t, parameters=None, **options):
    return odeint(field, y0, t, parameters, backend="torchdiffeq", **options)


def linear_field(matrix: torch.Tensor) -> MLPField:
    """dy/dt = A y."""
    field = MLPField(len(matrix), hidden=()).double()
    with torch.no_grad():
        field.net.layers[0].weight.copy_(matrix)
        field.net.layers[0].bias.zero_()
    return field


@pytest.mark.parametrize("method", ["dopri5"])
@pytest.mark.parametrize("times", [[0.0, 0.5, 2.0], [2.0, 0.5, 0.0]], ids=["forward", "backward"])
def test_linear_field_gives_the_matrix_exponential(method, times):
    matrix = torch.tensor([[-0.5, 0.2], [0.1, -0.3]], dtype=DOUBLE)
    y0 = torch.tensor([[1.0, 2.0], [0.5, -1.0], [0.0, 3.0]], dtype=DOUBLE)
    y = solve(linear_field(matrix), y0, times, method=method)
    for row, t in enumerate(times):
        exact = y0 @ torch.linalg.matrix_exp(matrix * (t - times[0])).T
        torch.testing.assert_close(y[row], exact, rtol=1e-6, atol=1e-7)  # rtol per step is 1e-7


def test_gradients_of_a_decay_are_those_of_its_exponential():
    rate = torch.tensor([[-0.4]], dtype=DOUBLE)
    field, y0 = linear_field(rate), torch.tensor([[2.0]], dtype=DOUBLE, requires_grad=True)
    solve(field, y0, [0.0, 3.0], rtol=1e-10, atol=1e-12)[-1].sum().backward()
    decayed = np.exp(-0.4 * 3.0)
    np.testing.assert_allclose(y0.grad.item(), decayed, rtol=1e-8)
    np.testing.assert_allclose(
        field.net.layers[0].weight.grad.item(), 2.0 * 3.0 * decayed, rtol=1e-8
    )


@pytest.mark.parametrize("number", [0, 1], ids=["mlp", "graph"])
def test_gradients_are_finite_differences(number):
    field = fields()[number]
    y0 = torch.rand(2, field.n_states, dtype=DOUBLE, requires_grad=True)
    p = torch.rand(2, field.n_parameters, dtype=DOUBLE, requires_grad=True)
    run = lambda y, q: solve(field, y, [0.0, 0.3, 1.0], q, rtol=1e-10, atol=1e-12)
    # differences of steps 1e-5 of a solution good to 1e-10 are good to about 1e-5
    assert torch.autograd.gradcheck(run, (y0, p), eps=1e-5, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("number", [0, 1], ids=["mlp", "graph"])
def test_both_adjoints_agree(number):
    field, grads = fields()[number], []
    y0 = torch.rand(3, field.n_states, dtype=DOUBLE)
    p = torch.rand(3, field.n_parameters, dtype=DOUBLE, requires_grad=True)
    for adjoint in ("discrete", "continuous"):
        y = solve(field, y0, [0.0, 0.4, 1.0], p, adjoint=adjoint, rtol=1e-10, atol=1e-12)
        grads.append(torch.autograd.grad(y.square().sum(), [p, *field.parameters()]))
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(
            a, b, rtol=1e-7, atol=1e-8
        )  # two approximations at a tolerance of 1e-10


def test_a_field_of_ones_own_runs_on_torchdiffeq_and_the_result_says_so():
    class Decay(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rate = torch.nn.Parameter(torch.tensor(0.5))

        def forward(self, t, y, scale):
            return -self.rate * scale * y

    field, scale = Decay(), torch.tensor([[1.0], [2.0]])
    y = odeint(field, torch.ones(2, 1), [0.0, 1.0], scale)
    assert y.dtype == torch.float32 and y.facts["backend"] == "torchdiffeq"
    assert "not a native field" in y.facts["backend_reason"]
    torch.testing.assert_close(y[-1], torch.exp(-0.5 * scale))
    y[-1].sum().backward()
    assert field.rate.grad.dtype == torch.float32


def test_message_passing_is_what_the_docstring_says():
    graph, field = loop_graph(), fields()[1]
    y, p = torch.rand(1, field.n_states, dtype=DOUBLE), torch.rand(1, 1, dtype=DOUBLE)
    h = y.reshape(graph.n_organs, 2)
    arriving = torch.zeros(graph.n_organs, 3, dtype=DOUBLE)
    for e, (s, d) in enumerate(zip(graph.source, graph.target, strict=True)):
        arriving[d] += field.message(torch.cat([h[s], h[d], field.edge_features[e], p[0]]))
    for i in range(graph.n_organs):
        expected = field.update(torch.cat([h[i], arriving[i], field.node_features[i], p[0]]))
        torch.testing.assert_close(field(0.0, y, p).reshape(-1, 2)[i], expected)


def test_subjects_of_a_batch_do_not_touch_each_other():
    for field in fields():
        y0, p = (
            torch.rand(4, field.n_states, dtype=DOUBLE),
            torch.rand(4, field.n_parameters, dtype=DOUBLE),
        )
        together, alone = (
            field(0.2, y0, p),
            torch.cat([field(0.2, y0[i : i + 1], p[i : i + 1]) for i in range(4)]),
        )
        torch.testing.assert_close(together, alone)


@given(st.integers(1, 4), st.lists(st.integers(1, 5), max_size=3), st.integers(0, 3), st.booleans())
def test_weights_flatten_and_unflatten_without_loss(n_states, hidden, n_parameters, time_dependent):
    field = MLPField(n_states, hidden, n_parameters, time_dependent=time_dependent)
    flat = flatten_weights(field)
    assert flat.shape == (n_weights(field),) == (sum(p.numel() for p in field.parameters()),)
    state = dict(field.named_parameters())
    for name, tensor in unflatten_weights(field, flat).items():
        assert torch.equal(tensor, state[name])
    ends = [(b.first, b.first + b.size) for b in weight_layout(field)]
    assert all(a[1] == b[0] for a, b in itertools.pairwise(ends))


@given(st.floats(-2.0, 2.0), st.lists(st.floats(0.1, 1.0), min_size=1, max_size=4))
def test_solving_on_from_a_saved_state_gives_the_same(start, steps):
    field = linear_field(torch.tensor([[-0.7]], dtype=DOUBLE))
    times = [float(t) for t in np.cumsum([0.0, *steps, 0.5])]
    y = solve(field, torch.tensor([[start]], dtype=DOUBLE), times)
    again = solve(field, y[-2], times[-2:])
    torch.testing.assert_close(again[-1], y[-1], rtol=1e-6, atol=1e-7)  # rtol per step is 1e-7


Y0, MLP = torch.ones(2, 3), MLPField(3, hidden=(4,))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"y0": torch.ones(3)}, "two dimensions"),
        ({"y0": torch.ones(2, 4)}, r"\(batch, 3\)"),
        ({"y0": torch.tensor([[1.0, 2, 3], [1, np.nan, 3]])}, "subject 1"),
        ({"y0": [[1.0, 2.0, 3.0]]}, "floating-point"),
        ({"t": [0.0]}, "two or more"),
        ({"t": [0.0, 2.0, 1.0]}, "out of order"),
        ({"t": [0.0, 0.0, 1.0]}, "out of order"),
        ({"t": [0.0, np.inf]}, "finite times"),
        ({"parameters": torch.ones(2, 1)}, "no parameters"),
        ({"parameters": torch.ones(3, 1)}, "two dimensions"),
        ({"rtol": 0.0}, "rtol"),
        ({"max_steps": 0}, "max_steps"),
        ({"method": "dopri6"}, "dopri5"),
        ({"backend": "jula"}, "julia"),
        ({"adjoint": "discreet"}, "discrete"),
        ({"field": lambda t, y: y}, "Module"),
    ],
)
def test_wrong_arguments_are_named(changes, words):
    arguments = {"field": MLP, "y0": Y0, "t": [0.0, 1.0], "parameters": None} | changes
    with pytest.raises(ph.InputError, match=words):
        odeint(**arguments)


@pytest.mark.parametrize(
    "options", [{"hidden": (0,)}, {"n_parameters": -1}, {"activation": "relu"}, {"n_states": 0}]
)
def test_fields_refuse_impossible_shapes(options):
    with pytest.raises(ph.InputError):
        MLPField(**({"n_states": 2} | options))


def test_features_must_fit_the_graph():
    with pytest.raises(ph.InputError, match="node_features"):
        GraphField(loop_graph(), node_features=torch.eye(4))


def test_weights_that_are_not_finite_are_named():
    field = MLPField(3, hidden=())
    with torch.no_grad():
        field.net.layers[0].bias[0] = torch.nan
    with pytest.raises(ph.InputError, match=r"net\.layers\.0\.bias"):
        odeint(field, Y0, [0.0, 1.0])


def test_methods_and_adjoints_of_julia_are_refused_by_torchdiffeq():
    with pytest.raises(ph.BackendUnavailableError, match="Julia's"):
        solve(MLP, Y0, [0.0, 1.0], method="rodas5p")
    with pytest.raises(ph.BackendUnavailableError, match="Julia's"):
        solve(MLP, Y0, [0.0, 1.0], adjoint="sciml")


def test_a_state_that_grows_without_bound_is_a_solve_error_with_advice():
    field = linear_field(torch.tensor([[2000.0]], dtype=DOUBLE))
    with pytest.raises(ph.SolveError, match="weights"):
        solve(field, torch.ones(1, 1, dtype=DOUBLE), [0.0, 10.0])


def test_too_few_steps_are_a_solve_error_with_advice():
    with pytest.raises(ph.SolveError, match="max_steps"):
        solve(
            linear_field(torch.tensor([[-5.0]], dtype=DOUBLE)),
            torch.ones(1, 1, dtype=DOUBLE),
            [0.0, 9.0],
            max_steps=2,
        )


def test_a_scaling_field_that_follows_one_law_is_that_power():
    field = ScalingField(1).double()
    for tensor in field.parameters():
        torch.nn.init.zeros_(tensor)
    with torch.no_grad():  # all the weight on the power law; binding touches neither law nor volume
        field.gate.layers[1].bias.copy_(torch.tensor([50.0, 0.0, 0.0, 0.0]))
    p = torch.zeros(2, field.n_parameters, dtype=DOUBLE)
    p[:, 1], p[:, 5] = (
        torch.tensor([2.0, -1.0]),
        torch.tensor([0.75, 0.6], dtype=DOUBLE),
    )  # span of ln mass, exponent
    y = solve(field, torch.tensor([[1.0, 2.0], [0.0, 0.5]], dtype=DOUBLE), [0.0, 1.0], p)
    torch.testing.assert_close(
        y[-1], torch.tensor([[2.5, 4.0], [-0.6, -0.5]], dtype=DOUBLE), rtol=1e-8, atol=1e-8
    )
