"""A pathway of an enzyme whose amount changes, inhibited at the free enzyme and at its complex."""

from __future__ import annotations

from collections.abc import Sequence

from .law import RateLaw, Value


class Enzymatic(RateLaw):
    r""":math:`v = k (1 + e)\,a\,/\,(1 + \sum_j c_j i_j + s a (1 + \sum_j u_j i_j))`.

    Reactants (a, e, i_1, i_2, ...), constants (k, s, c1, u1, c2, u2, ...). e is how far
    an enzyme is from its baseline, as a fraction of it (a state that starts at zero);
    k = Vmax/Km [1/h] and s = 1/Km, zero for a pathway that does not saturate; c_j, u_j
    are the reciprocals of the inhibition constants of the free enzyme and of the
    enzyme-substrate complex: u = 0 competitive, c = u non-competitive, c = 0
    uncompetitive. With e among the products and the inhibitor as a it is mechanism-based
    inactivation.
    """

    name = "enzymatic"
    code = 4
    n_reactants = 2
    n_constants = 2
    per_inhibitor = 2

    def constants(self, n_inhibitors: int) -> tuple[str, ...]:
        """k, s, c1, u1, c2, u2, ..."""
        pairs = ((f"c{j + 1}", f"u{j + 1}") for j in range(n_inhibitors))
        return ("k", "s", *(name for pair in pairs for name in pair))

    def value(self, amounts: Sequence[Value], constants: Sequence[Value]) -> Value:
        """v [amount/h]."""
        a, e = amounts[0], amounts[1]
        free, bound = _inhibition(amounts, constants)
        return constants[0] * (1.0 + e) * a / (free + constants[1] * a * bound)

    def derivative(self, amounts: Sequence[Value], constants: Sequence[Value]) -> list[Value]:
        """By a, by e, and by every i_j; D = F + s a B is v's denominator."""
        a, e = amounts[0], amounts[1]
        k, s = constants[0], constants[1]
        free, bound = _inhibition(amounts, constants)
        over = 1.0 / (free + s * a * bound)
        active = k * (1.0 + e) * over * over
        by_inhibitor = (
            -active * a * (c + s * a * u)
            for c, u in zip(constants[2::2], constants[3::2], strict=True)
        )
        return [active * free, k * a * over, *by_inhibitor]

    def formula(self, amounts: Sequence[str], constants: Sequence[str]) -> str:
        """As SBML text."""
        a, enzyme, *inhibitors = amounts
        free, bound = (
            "1"
            + "".join(
                f" + {c} * {i}" for c, i in zip(constants[2 + k :: 2], inhibitors, strict=True)
            )
            for k in (0, 1)
        )
        k, s = constants[0], constants[1]
        return f"{k} * (1 + {enzyme}) * {a} / ({free} + {s} * {a} * ({bound}))"

    def equation(self, amounts: Sequence[str], constants: Sequence[str]) -> str:
        """For a reader; terms whose constant is 0 are left out."""
        a, enzyme, *inhibitors = amounts
        free, bound = (
            "".join(
                f" + {c} {i}"
                for c, i in zip(constants[2 + k :: 2], inhibitors, strict=True)
                if float(c)
            )
            for k in (0, 1)
        )
        saturation = ""
        if float(constants[1]):
            saturation = f" + {constants[1]} {a}" + (f" (1{bound})" if bound else "")
        below = f" / (1{free}{saturation})" if free or saturation else ""
        return f"{constants[0]} (1 + {enzyme}) {a}{below}"

    def initial_slope(self, gain: float, constants: Sequence[float]) -> float:
        """`gain` k [1/h]."""
        return gain * constants[0]

    def half_constant(
        self, constants: Sequence[float], names: Sequence[str], reaction: str
    ) -> tuple[float, str] | None:
        """1/s, called km; None where s is 0."""
        return (1.0 / constants[1], f"km[{reaction}]") if constants[1] > 0 else None


def _inhibition(amounts: Sequence[Value], constants: Sequence[Value]) -> tuple[Value, Value]:
    """(1 + sum c_j i_j, 1 + sum u_j i_j)."""
    free: Value = 1.0
    bound: Value = 1.0
    for j, i in enumerate(amounts[2:]):
        free = free + constants[2 + 2 * j] * i
        bound = bound + constants[3 + 2 * j] * i
    return free, bound
