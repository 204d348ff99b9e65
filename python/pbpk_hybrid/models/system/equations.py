"""A System in print: one line, equations with units, and a table for notebooks.

Terms of a state y are written with its name in brackets, ``[liver]``; its unit is the System's
amount (mg unless the attribute ``amount_unit`` says otherwise).
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from ..._core.errors import InputError

if TYPE_CHECKING:
    from .system import Observable, Reaction, System


@dataclass(frozen=True)
class EquationRow:
    """One line of the print: what it defines, its equation and the unit of the left side."""

    kind: str
    name: str
    equation: str
    unit: str


def summary(system: System) -> str:
    """One line: model, subjects, states, flows and reactions."""
    model = system.attrs.get("model", "model")
    compound = system.attrs.get("compounds") or system.attrs.get("compound")
    what = f"{model} of {compound}" if compound else str(model)
    flows = int(np.sum(system.k_row != system.k_col))
    counts = (
        (system.n_subjects, "subject"),
        (system.n_states, "state"),
        (flows, "flow"),
        (len(system.reactions), "reaction"),
    )
    text = ", ".join(f"{n} {name}{'s' * (n != 1)}" for n, name in counts)
    return f"System({what}: {text})"


def equation_rows(system: System, subject: int = 0) -> list[EquationRow]:
    """States, reactions and observables of one subject as equations.

    Parameters
    ----------
    system : System
    subject : int
        Position of the subject whose numbers are shown.

    Raises
    ------
    InputError
        No subject at this position.
    """
    if isinstance(subject, bool) or not isinstance(subject, (int, np.integer)):
        raise InputError("subject", subject, "the position of a subject, a whole number")
    if not 0 <= subject < system.n_subjects:
        expected = f"a position from 0 to {system.n_subjects - 1}"
        raise InputError("subject", int(subject), expected)
    amount = system.attrs.get("amount_unit", "mg")
    rows = [
        EquationRow("state", name, _state(system, i, subject), f"{amount}/h")
        for i, name in enumerate(system.states)
    ]
    rows += [
        EquationRow("reaction", f"v[{r.name}]", _rate(system, r, subject), f"{amount}/h")
        for r in system.reactions
    ]
    rows += [
        EquationRow("observable", f"C[{name}]", _observable(system, o, subject), f"{amount}/L")
        for name, o in system.observables.items()
        if np.isfinite(_of(o.factor, subject))
    ]
    return rows


def equations_text(system: System, subject: int = 0) -> str:
    """The equations as text, a line each; doses are added to the states that receive them."""
    amount = system.attrs.get("amount_unit", "mg")
    rows = equation_rows(system, subject)
    head = f"{summary(system)}, subject {system.subjects[subject]}; [state]: amount in {amount}"
    lines = []
    for row in rows:
        left = f"d[{row.name}]/dt" if row.kind == "state" else row.name
        lines.append(f"{left} = {row.equation}  ({row.unit})")
    return "\n".join([head, *lines])


def equations_html(system: System) -> str:
    """The equations of the first subject as an HTML table."""
    body = "".join(
        f"<tr><td>{row.kind}</td><td>{escape(row.name)}</td>"
        f"<td>{escape(row.equation)}</td><td>{escape(row.unit)}</td></tr>"
        for row in equation_rows(system)
    )
    head = "".join(f"<th>{h}</th>" for h in ("", "name", "equation", "unit"))
    return f"<p>{escape(summary(system))}</p><table><tr>{head}</tr>{body}</table>"


def _of(values: np.ndarray, subject: int) -> np.ndarray:
    """The row of a subject in values of shape (n_subjects or 1, ...)."""
    return values[subject if len(values) > 1 else 0]


def _state(system: System, state: int, subject: int) -> str:
    """dy/dt of one state: linear terms in K, then reactions."""
    k = _of(system.k_value, subject)
    terms = [
        (float(k[e]), f"[{system.states[system.k_col[e]]}]")
        for e in np.flatnonzero(system.k_row == state)
    ]
    terms += [
        (float(r.stoichiometry[state]), f"v[{r.name}]")
        for r in system.reactions
        if state in r.stoichiometry
    ]
    return _sum(terms)


def _sum(terms: list[tuple[float, str]]) -> str:
    """Terms with their signs; those of factor 0 are left out."""
    text = ""
    for factor, symbol in terms:
        if factor == 0.0:
            continue
        sign = "-" if factor < 0 else "+"
        size = "" if abs(factor) == 1.0 else f"{abs(factor):.4g} "
        text += f" {sign} {size}{symbol}" if text else f"{sign.strip('+')}{size}{symbol}"
    return text or "0"


def _rate(system: System, r: Reaction, subject: int) -> str:
    """The rate law with its numbers."""
    return r.rate_law.shown(r, system.states, _of(r.parameters, subject))


def _observable(system: System, o: Observable, subject: int) -> str:
    """(weighted sum of amounts) x factor + offset."""
    total = _sum([(weight, f"[{system.states[state]}]") for state, weight in o.terms])
    total = f"({total})" if len(o.terms) > 1 else total
    text = f"{_of(o.factor, subject):.4g} {total}"
    if o.offset is not None:
        text += f" + {_of(np.atleast_1d(o.offset), subject):.4g}"
    return text


__all__ = ["EquationRow", "equation_rows", "equations_html", "equations_text", "summary"]
