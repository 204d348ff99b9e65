"""Neural ODEs in Julia against torchdiffeq: same fields, same solutions, same gradients."""

from __future__ import annotations

import gc

import pytest

from pbpk_hybrid.solvers.select import availability

STATE = availability("julia")
pytestmark = [
    pytest.mark.julia,
    pytest.mark.skipif(not STATE.ok, reason=f"backend julia: {STATE.reason}"),
    # torch makes the fields, so it is often there first; both orders are tested in processes of their own
    pytest.mark.filterwarnings(
        "ignore:torch was imported before:RuntimeWarning", "ignore::UserWarning:juliacall"
    ),
]
torch = pytest.importorskip("torch")

import pbpk_hybrid as ph
from pbpk_hybrid.learn.neural_ode import (
    GraphField,
    MLPField,
    ScalingField,
    flatten_weights,
    odeint,
    weight_layout,
)
from pbpk_hybrid.physiology import ORGANS
from pbpk_hybrid.solvers.julia import neural, runtime

DOUBLE = torch.float64
TIMES = [0.0, 0.3, 1.0, 1.4, 2.0]


def make(kind: str, activation: str = "tanh", time_dependent: bool = True) -> torch.nn.Module:
    torch.manual_seed(7)
    if kind == "mlp":
        return MLPField(4, (9, 6), 3, activation, time_dependent).double()
    if kind == "scaling":
        return ScalingField(5).double()
    graph = ph.whole_body_graph(ORGANS)
    return GraphField(
        graph,
        n_features=2,
        hidden=(8,),
        n_messages=5,
        n_parameters=2,
        activation=activation,
        time_dependent=time_dependent,
        edge_features=torch.rand(len(graph.source), 2),
        node_features=torch.eye(graph.n_organs),
    ).double()


def gradients(field, backend, times=TIMES, **options):
    """(saved states, gradients to y0, parameters and flat weights) of a random loss."""
    draw = torch.Generator().manual_seed(1)
    y0 = torch.randn(6, field.n_states, dtype=DOUBLE, generator=draw, requires_grad=True)
    p = torch.randn(6, field.n_parameters, dtype=DOUBLE, generator=draw, requires_grad=True)
    weight = torch.randn(len(times), 6, field.n_states, dtype=DOUBLE, generator=draw)
    y = odeint(field, y0, times, p, backend=backend, **options)
    assert y.facts["backend"] == backend
    by = torch.autograd.grad((weight * y).sum(), [y0, p, *field.parameters()])
    return [y.detach(), by[0], by[1], torch.cat([g.reshape(-1) for g in by[2:]])]


def worst(a, b) -> float:
    """Largest difference relative to the largest entry, over solution, y0, parameters and weights."""
    return max(float((x - z).abs().max() / z.abs().max()) for x, z in zip(a, b, strict=True))


KINDS = [(k, a) for k in ("mlp", "graph") for a in ("tanh", "softplus", "silu")] + [
    ("scaling", "tanh")
]


@pytest.mark.parametrize(("kind", "activation"), KINDS)
def test_gradients_agree_with_torchdiffeq_to_1e6_at_default_tolerances(kind, activation):
    field = make(kind, activation)
    times = (
        [t / 2 for t in TIMES] if kind == "scaling" else TIMES
    )  # its t goes from 0 to 1, and its cubics grow beyond
    assert worst(gradients(field, "julia", times), gradients(field, "torchdiffeq", times)) < 1e-6


@pytest.mark.parametrize("kind", ["mlp", "graph", "scaling"])
@pytest.mark.parametrize(
    ("method", "adjoint"),
    [("tsit5", "discrete"), ("tsit5", "continuous"), ("rodas5p", "continuous")],
)
def test_every_method_and_adjoint_agrees_to_2e8_at_a_tolerance_of_1e10(kind, method, adjoint):
    field, tight = make(kind), {"rtol": 1e-10, "atol": 1e-12}
    ours = gradients(field, "julia", method=method, adjoint=adjoint, **tight)
    assert (
        worst(ours, gradients(field, "torchdiffeq", **tight)) < 2e-8
    )  # our methods are all 1.60e-8 to 1.62e-8 from it


@pytest.mark.parametrize("kind", ["mlp", "graph", "scaling"])
def test_integration_backward_in_time_agrees(kind):
    field = make(kind)
    assert (
        worst(gradients(field, "julia", TIMES[::-1]), gradients(field, "torchdiffeq", TIMES[::-1]))
        < 1e-6
    )


@pytest.mark.parametrize("time_dependent", [False, True])
@pytest.mark.parametrize(
    "kind", ["mlp", "graph", "scaling"]
)  # the last has an activation and a time of its own
def test_both_languages_mean_the_same_field_and_the_same_layout(kind, time_dependent):
    field = make(kind, "silu", time_dependent)
    blocks = [
        (b.name, b.first, b.shape[0], b.shape[1] if len(b.shape) > 1 else 1)
        for b in weight_layout(field)
    ]
    runtime.start()
    assert neural.layout(field.spec()) == blocks
    y, p = (
        torch.randn(5, field.n_states, dtype=DOUBLE),
        torch.randn(5, field.n_parameters, dtype=DOUBLE),
    )
    found = neural.evaluate(field.spec(), flatten_weights(field), y, p, 0.7)
    torch.testing.assert_close(found, field(0.7, y, p).detach(), rtol=1e-12, atol=1e-12)


def test_float32_goes_in_and_out_and_no_gradient_keeps_nothing():
    field = MLPField(3, hidden=(4,))
    with torch.no_grad():
        y = odeint(field, torch.ones(2, 3), [0.0, 1.0], backend="julia")
    assert y.dtype == torch.float32 and not y.requires_grad
    assert int(runtime.start().neural_kept()) == 0


def test_auto_takes_julia_and_what_a_solve_kept_is_let_go(monkeypatch):
    monkeypatch.delenv("PBPK_HYBRID_BACKEND", raising=False)
    field = make("mlp")
    y0, p = torch.ones(2, 4, dtype=DOUBLE), torch.ones(2, 3, dtype=DOUBLE)
    results = [odeint(field, y0, [0.0, 1.0], p) for _ in range(3)]
    assert all(y.facts["backend"] == "julia" for y in results)
    del results
    gc.collect()
    odeint(field, y0, [0.0, 1.0], p).sum().backward()
    assert int(runtime.start().neural_kept()) <= 1


def test_a_stiff_field_needs_few_steps_of_rodas5p():
    field = MLPField(2, hidden=()).double()
    with torch.no_grad():
        field.net.layers[0].weight.copy_(torch.tensor([[-1e4, 1e4], [0.0, -1.0]]))
        field.net.layers[0].bias.zero_()
    y0 = torch.tensor([[0.0, 1.0]], dtype=DOUBLE, requires_grad=True)
    y = odeint(field, y0, [0.0, 5.0], backend="julia", method="rodas5p")
    assert y.facts["steps"] < 300
    y[-1, 0, 1].backward()
    # d y2(5) / d y2(0) = exp(-5); the adjoint's tolerance is 1e-8
    assert abs(y0.grad[0, 1].item() / torch.exp(torch.tensor(-5.0, dtype=DOUBLE)).item() - 1) < 1e-6


def test_a_failed_integration_names_the_subject_and_the_way_out():
    field = MLPField(1, hidden=(), n_parameters=1).double()
    with torch.no_grad():
        field.net.layers[0].weight.copy_(torch.tensor([[400.0, 0.0]]))
        field.net.layers[0].bias.zero_()
    y0, p = torch.tensor([[0.0], [1.0]], dtype=DOUBLE), torch.zeros(2, 1, dtype=DOUBLE)
    with pytest.raises(ph.SolveError, match=r"subject 1.*weights"):
        odeint(field, y0, [0.0, 10.0], p, backend="julia")
    with pytest.raises(ph.SolveError, match="max_steps"):
        odeint(field, y0, [0.0, 0.1], p, backend="julia", max_steps=2)


def test_what_julia_cannot_do_is_said():
    field, y0 = MLPField(1, hidden=()), torch.ones(1, 1)
    with pytest.raises(ph.BackendUnavailableError, match="native"):
        odeint(torch.nn.Identity(), y0, [0.0, 1.0], backend="julia")
    with pytest.raises(ph.BackendUnavailableError, match="torchdiffeq's"):
        odeint(field, y0, [0.0, 1.0], backend="julia", method="bosh3")
    with pytest.raises(ph.InputError, match="continuous"):
        odeint(field, y0, [0.0, 1.0], backend="julia", method="rodas5p", adjoint="discrete")
    found = odeint(field, y0, [0.0, 1.0], method="bosh3")
    assert found.facts["backend"] == "torchdiffeq"


def test_a_thread_that_did_not_start_julia_gets_the_same_gradients():
    import threading

    runtime.start()
    field, found = make("mlp"), []
    here = gradients(field, "julia")
    worker = threading.Thread(target=lambda: found.append(gradients(field, "julia")))
    worker.start()
    worker.join()
    assert worst(found[0], here) == 0.0
