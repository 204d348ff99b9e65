"""Rate laws of Systems recognised in terms of formulas, and in amounts of another unit."""

from __future__ import annotations

import numpy as np

from ..models.system.system import Observable, Reaction
from .sbml_math import Polynomial, Unsupported


def saturable(n: Polynomial, d: Polynomial) -> tuple[str, tuple[int, ...], list[float]]:
    """Recognise V a/(K (1 + sum i/Ki) + a) and k [b] a^g/(K^g + a^g)."""
    ((monomial, v),) = n.items()
    zero = d.get((), 0.0)
    others = {m: x for m, x in d.items() if m}
    if any(len(m) != 1 for m in others) or zero <= 0:
        raise Unsupported("a denominator that is not a constant plus a sum over species")
    slopes = {m[0]: x for m, x in others.items()}
    if any(x <= 0 for x in slopes.values()):
        raise Unsupported("a denominator with negative terms")
    substrate = [(s, p) for s, p in monomial if (s, p) in slopes]
    product = [(s, p) for s, p in monomial if (s, p) not in slopes]
    if len(substrate) == 2 and all(p == 1.0 for _, p in substrate):
        raise Unsupported("a product of two saturating species")
    if len(substrate) != 1 or len(product) > 1 or any(p != 1.0 for _, p in product):
        raise Unsupported("a saturable law that is neither Michaelis-Menten nor Hill")
    (a, g), alpha = substrate[0], slopes[substrate[0]]
    if g <= 0:
        raise Unsupported("a Hill law with a negative power")
    inhibitors = [(s, x) for (s, p), x in slopes.items() if (s, p) != (a, g)]
    if any(p != 1.0 for (s, p) in slopes if (s, p) != (a, g)):
        raise Unsupported("an inhibitor that does not act in proportion")
    if g == 1.0 and not product:
        km = zero / alpha
        constants = [km * alpha / x for _, x in inhibitors]
        return "michaelis_menten", (a, *(s for s, _ in inhibitors)), [v / alpha, km, *constants]
    if inhibitors:
        raise Unsupported("inhibition of a Hill law")
    law = "hill_product" if product else "hill"
    return law, (a, *(s for s, _ in product)), [v / alpha, (zero / alpha) ** (1.0 / g), g]


def vanishing(r: Reaction) -> tuple[int, ...]:
    """The reactants without which a reaction stands still."""
    if r.law in ("mass_action", "hill_product"):
        return r.reactants
    return r.reactants[:1]


def scaled(r: Reaction, scale: np.ndarray) -> Reaction:
    """A reaction in amounts `scale` times as large, state by state."""
    f = scale[list(r.reactants)]
    if np.all(scale == 1.0):
        return r
    p = r.parameters[0].copy()
    if r.law == "mass_action":
        p[0] /= f[0] * f[1]
    else:
        p[1] *= f[0]
        if r.law == "michaelis_menten":
            p[2:] *= f[1:]
        elif r.law == "hill_product":
            p[0] /= f[1]
    first = scale[
        next(iter(r.stoichiometry))
    ]  # with one molar mass the stoichiometry stays as it is
    p[0] *= first
    gains = {s: g * float(scale[s] / first) for s, g in r.stoichiometry.items()}
    return Reaction(r.name, r.law, r.reactants, gains, p[None, :])


def scaled_observable(o: Observable, scale: np.ndarray) -> Observable:
    """An observable of scaled amounts: a species' concentration in the new unit, a rule's
    value as the file has it.
    """
    if not o.weights:
        return o
    weights = tuple(w / float(scale[s]) for s, w in o.terms)
    return Observable(o.states, o.factor, weights, o.offset)
