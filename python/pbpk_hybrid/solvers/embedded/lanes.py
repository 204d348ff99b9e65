"""Eight subjects in one vector register: a numba type for packs of doubles.

The integrator advances `LANES` subjects together. Inside numba a value of type `lanes` is
one LLVM vector ``<8 x double>``; adding, multiplying or dividing two of them is one
machine instruction on AVX-512, two on AVX2, four on SSE2 or NEON. Numba alone would have
to prove that short loops over eight numbers can be vectorised, and mostly cannot (the
arrays might overlap); here nothing has to be proved.

Arrays that hold lanes are C-contiguous float64 of shape ``(rows, LANES)`` from
:func:`aligned_lanes`; ``load(a, i)`` reads row i, ``store(a, i, x)`` writes it. There is
no bounds check.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir
from numba import extending
from numba.core import cgutils, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model

if TYPE_CHECKING:
    from numba.core.typing import Context
    from numba.core.typing.templates import Signature

    #: what an intrinsic answers: its types, and a function that writes its code
    Typed = tuple[Signature, Callable[..., Any]]

#: compiled code calls an intrinsic without its first argument and with values for types,
#: which no type checker can follow
intrinsic: Any = extending.intrinsic

LANES = 8
_VECTOR = ir.VectorType(ir.DoubleType(), LANES)
# a*b+c may become one fused instruction; nothing that changes NaN or infinity
_FLAGS = ("contract",)


class LanesType(types.Type):
    """The type in compiled code; Python has no values of it."""

    def __init__(self):
        super().__init__(name=f"lanes{LANES}")


lanes = LanesType()
#: annotation of a pack of doubles in compiled code
Lanes = Any


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _VECTOR)


def aligned_lanes(*rows: int) -> np.ndarray:
    """Zeroed float64 array of shape ``(*rows, LANES)`` whose every row starts on a cache line."""
    shape = (*rows, LANES)
    count = int(np.prod(shape))
    raw = np.zeros(count + LANES)
    offset = (-raw.ctypes.data % 64) // 8
    return raw[offset : offset + count].reshape(shape)


def _row_pointer(builder, context, array_type, array, index):
    data = cgutils.create_struct_proxy(array_type)(context, builder, array).data
    base = builder.bitcast(data, _VECTOR.as_pointer())
    return builder.gep(base, [index])


@intrinsic
def load(typingctx: Context, array: types.Type, index: types.Type) -> Typed:
    """Row `index` of a (rows, LANES) array as lanes."""

    def codegen(context, builder, sig, args):
        pointer = _row_pointer(builder, context, sig.args[0], args[0], args[1])
        return builder.load(pointer, align=8)

    return lanes(array, types.intp), codegen


@intrinsic
def store(typingctx: Context, array: types.Type, index: types.Type, value: types.Type) -> Typed:
    """Write lanes into row `index` of a (rows, LANES) array."""

    def codegen(context, builder, sig, args):
        pointer = _row_pointer(builder, context, sig.args[0], args[0], args[1])
        builder.store(args[2], pointer, align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), codegen


@intrinsic
def entry(typingctx: Context, array: types.Type, index: types.Type) -> Typed:
    """Element `index` of a 1-D contiguous integer array: plain indexing without the test
    for negative numbers.
    """

    def codegen(context, builder, sig, args):
        data = cgutils.create_struct_proxy(sig.args[0])(context, builder, args[0]).data
        return builder.load(builder.gep(data, [args[1]]))

    return types.int64(array, types.intp), codegen


@intrinsic
def splat(typingctx: Context, value: types.Type) -> Typed:
    """The same number in every lane."""

    def codegen(context, builder, sig, args):
        return _broadcast(builder, args[0])

    return lanes(types.float64), codegen


def _broadcast(builder, scalar):
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, undefined, zeros)


@intrinsic
def lane_abs(typingctx: Context, value: types.Type) -> Typed:
    """Absolute value, lane by lane."""

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(_VECTOR, [_VECTOR])
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fabs.v{LANES}f64")
        return builder.call(function, [args[0]])

    return lanes(lanes), codegen


@intrinsic
def lane_max(typingctx: Context, a: types.Type, b: types.Type) -> Typed:
    """The larger of two, lane by lane; NaN in `a` gives `b`."""

    def codegen(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered(">", args[0], args[1]), args[0], args[1])

    return lanes(lanes, lanes), codegen


@intrinsic
def lane_min(typingctx: Context, a: types.Type, b: types.Type) -> Typed:
    """The smaller of two, lane by lane; NaN in `a` gives `b`."""

    def codegen(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[0], args[1])

    return lanes(lanes, lanes), codegen


@intrinsic
def where_above(
    typingctx: Context, x: types.Type, bound: types.Type, yes: types.Type, no: types.Type
) -> Typed:
    """`yes` where x > bound, else `no`, lane by lane."""

    def codegen(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered(">", args[0], args[1]), args[2], args[3])

    return lanes(lanes, lanes, lanes, lanes), codegen


@intrinsic
def lane(typingctx: Context, value: types.Type, index: types.Type) -> Typed:
    """One lane as a float."""

    def codegen(context, builder, sig, args):
        position = builder.trunc(args[1], ir.IntType(32))
        return builder.extract_element(args[0], position)

    return types.float64(lanes, types.intp), codegen


@intrinsic
def with_lane(
    typingctx: Context, value: types.Type, index: types.Type, number: types.Type
) -> Typed:
    """The same lanes with another number in one of them."""

    def codegen(context, builder, sig, args):
        position = builder.trunc(args[1], ir.IntType(32))
        return builder.insert_element(args[0], args[2], position)

    return lanes(lanes, types.intp, types.float64), codegen


def _binary(op, instruction):
    @infer_global(op)
    class _Template(AbstractTemplate):
        def generic(self, args, kws):
            if kws or len(args) != 2 or lanes not in args:
                return None
            left, right = (lanes if a is lanes else types.float64 for a in args)
            if all(a is lanes or isinstance(a, (types.Float, types.Integer)) for a in args):
                return signature(lanes, left, right)
            return None

    def codegen(context, builder, sig, args):
        left, right = (
            value if kind is lanes else _broadcast(builder, value)
            for value, kind in zip(args, sig.args, strict=True)
        )
        return getattr(builder, instruction)(left, right, flags=_FLAGS)

    for pair in ((lanes, lanes), (lanes, types.float64), (types.float64, lanes)):
        lower_builtin(op, *pair)(codegen)


_binary(operator.add, "fadd")
_binary(operator.sub, "fsub")
_binary(operator.mul, "fmul")
_binary(operator.truediv, "fdiv")
