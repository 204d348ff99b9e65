"""exp, log and powers of whole vectors, as LLVM instructions.

LLVM turns its intrinsics of these into calls of the C library, lane by lane, which costs
ten times as much as the rest of a rate. Here they are range reduction and a power series
(Muller, Elementary Functions, 3rd ed., 2016, chapters 3 and 11), within 2 units in the
last place; powers within 1e-14 for results between 1e-30 and 1e30. Numbers below 2.5e-308
are zero to exp.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

from llvmlite import ir

from .lanes import LANES, intrinsic, lanes

if TYPE_CHECKING:
    from numba.core import types
    from numba.core.typing import Context

    from .lanes import Typed

_DOUBLE, _INT = ir.DoubleType(), ir.IntType(64)
_VECTOR, _INTS = ir.VectorType(_DOUBLE, LANES), ir.VectorType(_INT, LANES)
_FLAGS = ("contract",)
#: log 2 in two parts: the first has zeros at its end, so that a whole number times it is exact
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
#: added to a whole number it leaves that number in the last bits
_MAGIC = 6755399441055744.0
_EXP_TERMS, _LOG_TERMS = 14, 12
#: e to more is infinite
_LARGEST = 709.782712893384


def vector_function(module: ir.Module, name: str) -> ir.Function:
    """The function "exp", "log" or "pow" of a module, written on first use."""
    full = f"vector_{name}"
    if full in module.globals:
        return module.globals[full]
    arguments = 2 if name == "pow" else 1
    function = ir.Function(module, ir.FunctionType(_VECTOR, [_VECTOR] * arguments), name=full)
    function.linkage = "internal"
    writer = _Writer(module, ir.IRBuilder(function.append_basic_block()))
    out = {"exp": writer.exp, "log": writer.log, "pow": writer.power}[name](*function.args)
    writer.b.ret(out)
    return function


@intrinsic
def lane_pow(typingctx: Context, base: types.Type, exponent: types.Type) -> Typed:
    """base to the power of the exponent, lane by lane, in compiled code."""

    def codegen(context, builder, sig, args):
        return builder.call(vector_function(builder.module, "pow"), args)

    return lanes(lanes, lanes), codegen


def _real(value: float) -> ir.Constant:
    return ir.Constant(_VECTOR, [float(value)] * LANES)


def _bits(value: float) -> int:
    return struct.unpack("<q", struct.pack("<d", value))[0]


def _whole(value: int) -> ir.Constant:
    return ir.Constant(_INTS, [value] * LANES)


class _Writer:
    def __init__(self, module: ir.Module, builder: ir.IRBuilder) -> None:
        self.module, self.b = module, builder

    def add(self, x, y):
        return self.b.fadd(x, y, flags=_FLAGS)

    def mul(self, x, y):
        return self.b.fmul(x, y, flags=_FLAGS)

    def horner(self, x, coefficients):
        """c0 + c1 x + c2 x^2 + ..."""
        out = _real(coefficients[-1])
        for c in reversed(coefficients[:-1]):
            out = self.add(self.mul(out, x), _real(c))
        return out

    def floor(self, x):
        name = f"llvm.floor.v{LANES}f64"
        if name not in self.module.globals:
            ir.Function(self.module, ir.FunctionType(_VECTOR, [_VECTOR]), name=name)
        return self.b.call(self.module.globals[name], [x])

    def as_bits(self, x):
        return self.b.bitcast(x, _INTS)

    def as_real(self, x):
        return self.b.bitcast(x, _VECTOR)

    def exp(self, x):
        """2^k e^r with |r| <= log(2)/2."""
        b = self.b
        inside = b.select(b.fcmp_ordered("<", x, _real(-708.0)), _real(-708.0), x)
        inside = b.select(b.fcmp_ordered(">", inside, _real(_LARGEST)), _real(_LARGEST), inside)
        k = self.floor(self.add(self.mul(inside, _real(1.0 / math.log(2.0))), _real(0.5)))
        r = self.add(inside, self.mul(k, _real(-_LN2_HIGH)))
        r = self.add(r, self.mul(k, _real(-_LN2_LOW)))
        series = self.horner(r, [1.0 / math.factorial(i) for i in range(_EXP_TERMS)])
        shift = b.shl(self.as_bits(b.fadd(k, _real(_MAGIC))), _whole(52))
        out = self.as_real(b.add(self.as_bits(series), shift))
        out = b.select(b.fcmp_ordered("<", x, _real(-708.0)), _real(0.0), out)
        out = b.select(b.fcmp_ordered(">", x, _real(_LARGEST)), _real(math.inf), out)
        return b.select(b.fcmp_unordered("uno", x, x), x, out)

    def log(self, x):
        """k log 2 + log m with m between sqrt(1/2) and sqrt(2); log m as a series of (m -
        1)/(m + 1).
        """
        b = self.b
        small = b.fcmp_ordered("<", x, _real(2.2250738585072014e-308))
        scaled = b.select(small, self.mul(x, _real(2.0**54)), x)
        bits = self.as_bits(scaled)
        power = b.ashr(b.sub(bits, _whole(_bits(math.sqrt(0.5)))), _whole(52))
        m = self.as_real(b.sub(bits, b.shl(power, _whole(52))))
        k = b.fsub(self.as_real(b.add(power, _whole(_bits(_MAGIC)))), _real(_MAGIC))
        k = b.select(small, b.fsub(k, _real(54.0)), k)
        f = b.fsub(m, _real(1.0))
        s = b.fdiv(f, b.fadd(f, _real(2.0)))
        z = self.mul(s, s)
        tail = self.mul(self.horner(z, [1.0 / (2 * i + 3) for i in range(_LOG_TERMS)]), z)
        # 2 s (1 + tail), of which 2 s = f - s f is exact to the last place
        rest = self.add(
            self.mul(k, _real(_LN2_LOW)), self.mul(s, b.fsub(self.mul(_real(2.0), tail), f))
        )
        out = self.add(self.mul(k, _real(_LN2_HIGH)), b.fadd(f, rest))
        out = b.select(b.fcmp_ordered("==", x, _real(0.0)), _real(-math.inf), out)
        out = b.select(b.fcmp_ordered("==", x, _real(math.inf)), x, out)
        return b.select(b.fcmp_unordered("<", x, _real(0.0)), _real(math.nan), out)

    def power(self, base, exponent):
        """|base|^exponent by exp and log; the sign where the exponent is a whole number."""
        b = self.b
        negative = b.fcmp_ordered("<", base, _real(0.0))
        size = b.select(negative, b.fsub(_real(-0.0), base), base)
        log = b.call(vector_function(self.module, "log"), [size])
        out = b.call(vector_function(self.module, "exp"), [self.mul(exponent, log)])
        whole = b.fcmp_ordered("==", self.floor(exponent), exponent)
        half = self.mul(exponent, _real(0.5))
        odd = b.fcmp_ordered("!=", self.floor(half), half)
        signed = b.select(odd, b.fsub(_real(-0.0), out), out)
        signed = b.select(whole, signed, _real(math.nan))
        out = b.select(negative, signed, out)
        return b.select(b.fcmp_ordered("==", exponent, _real(0.0)), _real(1.0), out)
