"""From a reaction's law code to its kernels, inside compiled code.

Numba calls no function out of a table, so the choice is written out here, with the codes
of :mod:`pbpk_hybrid.models.laws.registry`. Laws that a System lacks are left out of its
integrator where they would make it larger: ``st.hill`` and ``st.enzymatic`` are None then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ....models.laws.registry import LAWS
from ..compiled import kernel
from ..expressions import Expressions, add_expressions, call
from ..kernel_arrays import BLOCK, Structure
from ..lanes import entry, load, store
from . import enzymatic, hill, hill_product, mass_action, michaelis_menten


@dataclass(frozen=True)
class Kernels:
    """What the integrator needs of a law.

    Parameters
    ----------
    rate : v at amounts of a stage
    derivative : dv/d(reactant) at the start of a step
    sensitivity : its part in the stage of a sensitivity
    """

    rate: Callable
    derivative: Callable
    sensitivity: Callable


#: law -> kernels; those of ``expression`` call the code of the model
KERNELS: dict[str, Kernels] = {
    "michaelis_menten": Kernels(
        michaelis_menten.rate, michaelis_menten.derivative, michaelis_menten.add_sensitivity
    ),
    "mass_action": Kernels(mass_action.rate, mass_action.derivative, mass_action.add_sensitivity),
    "hill": Kernels(hill.rate, hill.linearise, hill.add_sensitivity),
    "hill_product": Kernels(
        hill_product.rate, hill_product.linearise, hill_product.add_sensitivity
    ),
    "enzymatic": Kernels(enzymatic.rate, enzymatic.linearise, enzymatic.add_sensitivity),
    "expression": Kernels(call, call, add_expressions),
}

# numba takes global numbers as constants
MICHAELIS_MENTEN = LAWS["michaelis_menten"].code
MASS_ACTION = LAWS["mass_action"].code
HILL = LAWS["hill"].code
ENZYMATIC = LAWS["enzymatic"].code
EXPRESSION = LAWS["expression"].code


@kernel(forceinline=True)
def _rate(law, first, reactants, state, par, p, u, at):
    """v of a reaction whose law is always compiled in."""
    if law == MICHAELIS_MENTEN:
        return michaelis_menten.rate(first, reactants, state, par, p, u, at)
    return mass_action.rate(first, state, par, p, u, at)


@kernel(forceinline=True)
def _rate_derivative(law, first, reactants, state, par, p, u, which):
    """d v / d (reactant `which`) of such a reaction."""
    if law == MICHAELIS_MENTEN:
        return michaelis_menten.derivative(first, reactants, state, par, p, u, which)
    return mass_action.derivative(first, state, par, p, u, which)


@kernel(forceinline=True)
def linearise(
    st: Structure, par: np.ndarray, y: np.ndarray, slope: np.ndarray, expr: Expressions | None
) -> None:
    """slope = d v / d reactant of every reaction at y."""
    if expr is not None:
        if expr.slopes != 0:
            call(expr.slopes, y, 0, y, par, slope, expr.slope_row)
    for m in range(len(st.law)):
        if expr is not None and entry(st.law, m) == EXPRESSION:
            continue
        first = entry(st.r_ptr, m)
        reactants = entry(st.r_ptr, m + 1) - first
        if st.enzymatic is not None and entry(st.law, m) == ENZYMATIC:
            enzymatic.linearise(m, st, par, y, slope)
            continue
        if st.hill is not None and entry(st.law, m) >= HILL:
            hill.linearise(m, st, par, y, slope)
            continue
        for j in range(reactants):
            d = _rate_derivative(
                entry(st.law, m), first, reactants, st.r_state, par, entry(st.p_ptr, m), y, j
            )
            store(slope, first + j, d)


@kernel(forceinline=True)
def add_curvature(
    st: Structure,
    stoich: np.ndarray,
    par: np.ndarray,
    y: np.ndarray,
    u: np.ndarray,
    at: int,
    slope: np.ndarray,
    gamma_h: float,
    z: np.ndarray,
    at_z: int,
    expr: Expressions | None,
) -> None:
    """z += gamma h S (v(u) - v'(y) u): what the linear part of the step does not know of
    the reactions.
    """
    if expr is not None:
        call(expr.rates, u, at, y, par, expr.v, 0)
    for m in range(len(st.law)):
        first = entry(st.r_ptr, m)
        reactants = entry(st.r_ptr, m + 1) - first
        if expr is not None and entry(st.law, m) == EXPRESSION:
            v = load(expr.v, m - expr.first)
        elif st.enzymatic is not None and entry(st.law, m) == ENZYMATIC:
            v = enzymatic.rate(m, st, par, u, at)
        elif st.hill is not None and entry(st.law, m) >= HILL:
            v = hill.rate(m, st, par, u, at)
        else:
            v = _rate(
                entry(st.law, m), first, reactants, st.r_state, par, entry(st.p_ptr, m), u, at
            )
        for j in range(reactants):
            v = v - load(slope, first + j) * load(u, at + entry(st.r_state, first + j))
        v = gamma_h * v
        for q in range(entry(st.s_ptr, m), entry(st.s_ptr, m + 1)):
            i = at_z + entry(st.s_state, q)
            store(z, i, load(z, i) + stoich[q] * v)


@kernel(forceinline=True)
def add_sensitivities(
    st: Structure,
    stoich: np.ndarray,
    par: np.ndarray,
    n_par: int,
    y: np.ndarray,
    u: np.ndarray,
    at: int,
    d: np.ndarray,
    s: np.ndarray,
    at_s: int,
    w: np.ndarray,
    dpar: np.ndarray,
    at_d: int,
    slope: np.ndarray,
    gamma_h: float,
    z: np.ndarray,
    at_z: int,
    expr: Expressions | None,
) -> None:
    """What every reaction adds to the stage of a block of sensitivities; see
    :func:`.michaelis_menten.add_sensitivity`.
    """
    if expr is not None:
        add_expressions(
            st,
            stoich,
            par,
            n_par,
            y,
            u,
            at,
            d,
            s,
            at_s,
            w,
            dpar,
            at_d,
            slope,
            gamma_h,
            z,
            at_z,
            BLOCK,
            expr,
        )
    for m in range(len(st.law)):
        if expr is not None and entry(st.law, m) == EXPRESSION:
            continue
        if st.enzymatic is not None and entry(st.law, m) == ENZYMATIC:
            enzymatic.add_sensitivity(
                m,
                st,
                stoich,
                par,
                n_par,
                y,
                u,
                at,
                d,
                s,
                at_s,
                w,
                dpar,
                at_d,
                slope,
                gamma_h,
                z,
                at_z,
            )
        elif entry(st.law, m) == MICHAELIS_MENTEN:
            michaelis_menten.add_sensitivity(
                m,
                st,
                stoich,
                par,
                n_par,
                y,
                u,
                at,
                d,
                s,
                at_s,
                w,
                dpar,
                at_d,
                slope,
                gamma_h,
                z,
                at_z,
            )
        elif st.hill is None or entry(st.law, m) == MASS_ACTION:
            mass_action.add_sensitivity(
                m,
                st,
                stoich,
                par,
                n_par,
                y,
                u,
                at,
                d,
                s,
                at_s,
                w,
                dpar,
                at_d,
                slope,
                gamma_h,
                z,
                at_z,
            )
        else:
            hill.add_sensitivity(
                m,
                st,
                stoich,
                par,
                n_par,
                y,
                u,
                at,
                d,
                s,
                at_s,
                w,
                dpar,
                at_d,
                slope,
                gamma_h,
                z,
                at_z,
            )
