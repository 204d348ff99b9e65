"""The circulation as a graph: what flows in flows out, and portal organs drain into the liver."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbpk_hybrid import FlowBalanceError, InputError
from pbpk_hybrid._core.errors import UnknownNameError
from pbpk_hybrid.models.system.graph import OrganGraph, whole_body_graph
from pbpk_hybrid.physiology.organs import ORGANS, PORTAL_ORGANS

GRAPH = whole_body_graph(ORGANS)
FLOWS = {o: 1.0 + i for i, o in enumerate(GRAPH.perfused)}


def edges(graph):
    return {
        (graph.organs[a], graph.organs[b]) for a, b in zip(graph.source, graph.target, strict=True)
    }


def test_every_organ_is_fed_by_arterial_blood_and_drains_into_veins_or_the_liver():
    found = edges(GRAPH)
    assert ("venous_blood", "lung") in found
    assert ("lung", "arterial_blood") in found
    for organ in GRAPH.perfused:
        assert ("arterial_blood", organ) in found
        assert ((organ, "liver") in found) == (organ in PORTAL_ORGANS)
        assert ((organ, "venous_blood") in found) == (organ not in PORTAL_ORGANS)
    assert len(found) == 2 + 2 * len(GRAPH.perfused)


def test_blood_pools_and_lung_have_no_arterial_flow_of_their_own():
    assert set(ORGANS) - set(GRAPH.perfused) == {"arterial_blood", "venous_blood", "lung"}


@given(
    st.lists(st.floats(0, 1e3), min_size=13, max_size=13),
    st.sets(st.sampled_from(sorted(GRAPH.perfused))),
)
def test_inflow_equals_outflow_at_every_organ_whatever_drains_where(values, portal):
    graph = whole_body_graph(ORGANS, portal=tuple(sorted(portal - {"liver"})))
    flows = dict(zip(graph.perfused, values, strict=True))
    net = np.zeros(graph.n_organs)
    for e, flow in enumerate(graph.edge_flows(flows)):
        net[graph.target[e]] += flow
        net[graph.source[e]] -= flow
    assert np.abs(net).max() <= 1e-12 * max(sum(values), 1.0)
    for pool in ("lung", "arterial_blood", "venous_blood"):
        assert graph.inflow(pool, flows) == pytest.approx(sum(values), rel=1e-12)


def test_the_livers_inflow_is_hepatic_artery_and_portal_vein():
    assert GRAPH.inflow("liver", FLOWS) == FLOWS["liver"] + sum(FLOWS[o] for o in PORTAL_ORGANS)


def test_flows_may_be_arrays_over_subjects_and_complex():
    flows = {o: np.array([f, 2 * f]) + 1e-30j for o, f in FLOWS.items()}
    into = GRAPH.inflow("lung", flows)
    np.testing.assert_allclose(
        into.real, [sum(FLOWS.values()), 2 * sum(FLOWS.values())], rtol=1e-14
    )
    np.testing.assert_allclose(into.imag, 1e-30 * len(FLOWS), rtol=1e-12)


def test_edge_index_is_sources_over_targets():
    np.testing.assert_array_equal(GRAPH.edge_index, [GRAPH.source, GRAPH.target])
    assert GRAPH.edge_index.shape == (2, len(GRAPH.edge_weights))


def test_a_graph_that_loses_blood_is_refused_and_the_organ_named():
    weights = np.zeros((2, 3))
    weights[:, 2] = [1.0, 0.5]
    with pytest.raises(FlowBalanceError, match=r"kidney|venous_blood|arterial_blood"):
        OrganGraph(
            ("arterial_blood", "venous_blood", "kidney"),
            np.array([0, 2]),
            np.array([2, 1]),
            weights,
        )


def test_organs_may_not_be_named_twice():
    with pytest.raises(InputError, match="differ"):
        whole_body_graph((*ORGANS, "heart"))


@pytest.mark.parametrize("missing", ["arterial_blood", "venous_blood", "lung", "liver"])
def test_the_circulation_needs_its_four_parts(missing):
    with pytest.raises(InputError, match=missing):
        whole_body_graph(tuple(o for o in ORGANS if o != missing))


def test_an_unknown_organ_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'kidney'"):
        GRAPH.number("kidny")
