"""References and small helpers for the engine's tests."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
from hypothesis import settings
from scipy.integrate import solve_ivp

import pbpk_hybrid as ph
from pbpk_hybrid.models.system.system import Observable

TIGHT = ph.SolverOptions(rtol=1e-10)
EXACT = ph.SolverOptions(method="expm")


def few(examples: int) -> settings:
    """Few examples, to stay fast; a thousand with HYPOTHESIS_PROFILE=search."""
    return settings() if "HYPOTHESIS_PROFILE" in os.environ else settings(max_examples=examples)


def jacobian(system: ph.System, y: np.ndarray, subject: int) -> np.ndarray:
    """d(dy/dt)/dy by the complex step through the System's own right-hand side."""
    out = np.empty((len(y), len(y)))
    for j in range(len(y)):
        moved = y.astype(complex)
        moved[j] += 1e-30j
        out[:, j] = system.rhs(moved, subject).imag / 1e-30
    return out


def reference(system, subject, y0, times, *, method="LSODA", rtol=1e-10, atol=None, rate=None):
    """Amounts (n_times, n_states) by scipy; y0 holds at times[0], `rate` is a constant infusion [mg/h] per state."""
    matrix, u = system.matrix(subject), 0.0 if rate is None else np.asarray(rate)
    pick = lambda p: p[subject if len(p) > 1 else 0]
    reactions = [
        (r, pick(r.parameters), list(r.stoichiometry), np.array([*r.stoichiometry.values()]))
        for r in system.reactions
    ]

    def rhs(_t, y):
        out = matrix @ y + u
        for r, p, states, gain in reactions:
            out[states] += gain * r.rate(y, p)
        return out

    options = {"jac": lambda _t, y: jacobian(system, y, subject)} if method == "Radau" else {}
    atol = 1e-13 * (np.abs(y0).max() or 1.0) if atol is None else atol
    found = solve_ivp(
        rhs, (times[0], times[-1]), y0, method, times, rtol=rtol, atol=atol, **options
    )
    assert found.success, found.message
    return found.y.T


def relative_error(amount, expected, dose) -> float:
    """Largest |y - reference|/(|reference| + 1e-6 dose): amounts under a millionth of the dose count as that much."""
    dose = (
        np.asarray(dose, dtype=float).reshape(-1, *(1,) * (np.ndim(amount) - 1))
        if np.ndim(dose)
        else dose
    )
    return float(np.max(np.abs(amount - expected) / (np.abs(expected) + 1e-6 * dose)))


def states_of(system: ph.System, ds, subject=slice(None)) -> np.ndarray:
    """Amounts of all states, in the System's order: (..., n_times, n_states)."""
    return ds["amount"].sel(compartment=list(system.states)).values[subject]


def with_area(system: ph.System, name: str) -> ph.System:
    """The same system with two more states: ``area``, the integral of observable `name`, and ``area_twice``, that of area.

    The second gives the first moment: AUMC to T = T area(T) - area_twice(T).
    """
    ((state, weight),) = system.observables[name].terms
    n, area = system.n_subjects, system.n_states
    factor = np.broadcast_to(weight * system.observables[name].factor, (n,))
    values = np.broadcast_to(system.k_value, (n, len(system.k_row)))
    return replace(
        system,
        states=(*system.states, "area", "area_twice"),
        k_row=[*system.k_row, area, area + 1],
        k_col=[*system.k_col, state, area],
        k_value=np.column_stack([values, factor, np.ones(n)]),
        observables={k: v for k, v in system.observables.items() if isinstance(v, Observable)},
        parameters={},
        assemble=None,
    )


def slowest_rate(system: ph.System, subject: int = 0) -> float:
    """Slowest rate [1/h] at which the states that empty at all do so (reactions linearised at zero)."""
    k = jacobian(system, np.zeros(system.n_states), subject)
    leaves = np.diag(k) < 0
    return float(-np.linalg.eigvals(k[np.ix_(leaves, leaves)]).real.max())
