"""A System prints itself: one line, equations with units, a table."""

from __future__ import annotations

import re

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.models.system.equations import equation_rows
from pbpk_hybrid.models.system.system import Observable, Reaction, System


def small(n: int = 2) -> System:
    """Two states, first-order exchange and a saturable loss; 0.5 and 1/h in the subjects."""
    return System(
        ("central", "bound & lost"),
        [0, 1],
        [0, 0],
        np.array([[-0.5, 0.5], [-1.0, 1.0]])[:n],
        (Reaction("loss", "michaelis_menten", (0,), {0: -1.0, 1: 1.0}, np.array([[3.0, 4.0]])),),
        {"plasma": Observable((0,), np.array([0.25]))},
        n_subjects=n,
    )


def test_repr_is_one_line_with_the_counts():
    assert repr(small()) == "System(model: 2 subjects, 2 states, 1 flow, 1 reaction)"
    drug = ph.get_compound("midazolam")
    text = repr(ph.whole_body_system(drug, ph.reference_individual("human")))
    assert "\n" not in text and "midazolam" in text and "1 subject," in text


def test_equations_hold_the_numbers_of_the_subject():
    first, second = small().equations(), small().equations(1)
    assert "d[central]/dt = -0.5 [central] - v[loss]  (mg/h)" in first
    assert "d[central]/dt = -[central] - v[loss]  (mg/h)" in second
    assert "v[loss] = 3 [central] / (4 + [central])  (mg/h)" in first
    assert "C[plasma] = 0.25 [central]  (mg/L)" in first


def test_every_state_and_reaction_of_a_whole_body_model_is_there():
    drug = ph.get_compound("midazolam")
    system = ph.whole_body_system(drug, ph.reference_individual("human"))
    text, html = system.equations(), system._repr_html_()
    assert [r.name for r in equation_rows(system) if r.kind == "state"] == list(system.states)
    assert all(f"d[{s}]/dt" in text and s in html for s in system.states)


def test_printed_linear_terms_are_the_right_hand_side():
    drug = ph.get_compound("midazolam")
    system = ph.whole_body_system(drug, ph.reference_individual("human"))
    y = np.linspace(1.0, 2.0, system.n_states)
    amount = dict(zip(system.states, y, strict=True))
    want = system.rhs(y)
    for i, row in enumerate(r for r in equation_rows(system) if r.kind == "state"):
        terms = re.findall(r"(-|\+)? ?([\d.e+-]+ )?\[(\w+)\]", row.equation)
        got = [(-1 if s == "-" else 1) * float(k or 1) * amount[name] for s, k, name in terms]
        assert sum(got) == pytest.approx(want[i], rel=2e-3, abs=2e-3 * sum(map(abs, got)))


def test_html_escapes_names():
    assert "bound &amp; lost" in small()._repr_html_()


@pytest.mark.parametrize("subject", [2, -1, True, "first"])
def test_equations_of_nobody_are_refused(subject):
    with pytest.raises(ph.InputError, match="subject"):
        small().equations(subject)
