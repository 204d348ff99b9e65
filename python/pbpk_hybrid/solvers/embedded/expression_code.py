"""Expressions as machine code on lanes: one function of a model, written as LLVM vectors.

A compiled function reads rows of lanes from up to `N_INPUTS` arrays and writes one row
per expression. It holds every shared node once. Compiling through numba would take
minutes for a whole-body model (it infers a type for each of thousands of variables);
LLVM's own text is compiled in a second, and the object is kept on disk under the hash of
what it was made from.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import llvmlite
import numpy as np
from llvmlite import binding, ir

from ...models.expressions.tree import Expression, Table, postorder
from .lanes import LANES
from .vector_math import vector_function

_DOUBLE = ir.DoubleType()
_VECTOR = ir.VectorType(_DOUBLE, LANES)
_MASK = ir.VectorType(ir.IntType(1), LANES)
_POINTER = _VECTOR.as_pointer()
_INT = ir.IntType(64)
#: arrays a function may read; the last argument is what it writes
N_INPUTS = 6
#: two numbers become one fused instruction; nothing that changes NaN or infinity (as in .lanes)
_FLAGS = ("contract",)
_VERSION = "3"

_COMPARE = {"lt": "<", "le": "<=", "eq": "==", "ne": "!="}
#: LLVM has vector intrinsics of these; exp, log and powers are in .vector_math, the
#: others are functions of the C library
_INTRINSICS = {
    "abs": "fabs",
    "sqrt": "sqrt",
    "floor": "floor",
    "ceil": "ceil",
    "sin": "sin",
    "cos": "cos",
}
_LIBRARY = ("tan", "asin", "acos", "atan", "sinh", "cosh", "tanh")


class Row(NamedTuple):
    """Where a symbol lies: in row `index` of input array `array`."""

    array: int
    index: int


@dataclass(frozen=True, eq=False)
class CompiledFunction:
    """Machine code of a list of expressions.

    Parameters
    ----------
    address : of ``void f(input_0, ..., input_5, int64 stride, output)``; inputs and
        output point to rows of lanes, `stride` is the distance between two rows of the
        inputs, in rows
    count : number of rows that it writes
    library : keeps the code alive
    """

    address: int
    count: int
    library: object


def compile_expressions(
    roots: Sequence[Expression], rows: Mapping[str, Row], strided: frozenset[int] = frozenset()
) -> CompiledFunction:
    """Compile expressions, or load them from disk if this structure was compiled before.

    Parameters
    ----------
    roots : one per row of the output
    rows : symbol -> where its lanes lie
    strided : numbers of the input arrays whose rows lie `stride` apart instead of one
        behind the other

    Raises
    ------
    KeyError : a symbol without a row (callers check their models before)
    """
    text = str(_module(roots, rows, strided))
    key = _key(text)
    with _lock:
        if key not in _loaded:
            _loaded[key] = _load(key, text, len(roots))
        return _loaded[key]


_lock = threading.Lock()
_loaded: dict[str, CompiledFunction] = {}
_jit: list = []


def _module(
    roots: Sequence[Expression], rows: Mapping[str, Row], strided: frozenset[int]
) -> ir.Module:
    module = ir.Module(name="expressions")
    kind = ir.FunctionType(ir.VoidType(), [_POINTER] * N_INPUTS + [_INT, _POINTER])
    function = ir.Function(module, kind, name="evaluate")
    for argument in function.args:
        if isinstance(argument.type, ir.PointerType):
            argument.add_attribute("noalias")
    writer = _Writer(module, function, rows, strided)
    for i, root in enumerate(roots):
        target = writer.builder.gep(function.args[-1], [ir.Constant(_INT, i)])
        writer.stores.append((target, root))
    writer.write(roots)
    return module


class _Writer:
    """Writes one LLVM instruction after the other, each node once."""

    def __init__(self, module, function, rows, strided) -> None:
        self.module, self.function = module, function
        self.rows, self.strided = rows, strided
        self.builder = ir.IRBuilder(function.append_basic_block())
        self.stores: list = []
        self.values: dict[Expression, ir.Value] = {}
        self.masks: dict[Expression, ir.Value] = {}  # of what is true or false
        self.tables: dict[Table, tuple[ir.Value, ir.Value, int]] = {}

    def write(self, roots: Sequence[Expression]) -> None:
        for node in postorder(roots):
            self.values[node] = self.one(node)
        for target, root in self.stores:
            self.builder.store(self.values[root], target, align=8)
        self.builder.ret_void()

    def one(self, node: Expression) -> ir.Value:
        op, b = node.op, self.builder
        if op == "number":
            return ir.Constant(_VECTOR, [float(node.value)] * LANES)
        if op == "symbol":
            return self.symbol(str(node.value))
        x = [self.values[a] for a in node.args]
        if op in ("add", "mul"):
            return self.chain(b.fadd if op == "add" else b.fmul, x)
        if op == "div":
            return b.fdiv(*x, flags=_FLAGS)
        if op == "pow":
            return self.power(node, x)
        if op in _COMPARE:
            test = b.fcmp_unordered if op == "ne" else b.fcmp_ordered
            return self.as_number(node, test(_COMPARE[op], *x))
        if op in ("and", "or"):
            tests = [self.truth(a) for a in node.args]
            for t in tests[1:]:
                tests[0] = (b.and_ if op == "and" else b.or_)(tests[0], t)
            return self.as_number(node, tests[0])
        if op == "not":
            return self.as_number(node, b.not_(self.truth(node.args[0])))
        if op == "if":
            return b.select(self.truth(node.args[0]), x[1], x[2])
        if op in ("min", "max"):
            return self.extreme(op, x)
        if op == "table":
            return self.table(node.value, x[0])
        if op in ("exp", "log"):
            return b.call(vector_function(self.module, op), x)
        if op in _INTRINSICS:
            return self.intrinsic(_INTRINSICS[op], x)
        return self.library(op, x)

    def symbol(self, name: str) -> ir.Value:
        row = self.rows[name]
        b, index = self.builder, ir.Constant(_INT, row.index)
        if row.array in self.strided:
            index = b.mul(index, self.function.args[N_INPUTS])
        return b.load(b.gep(self.function.args[row.array], [index]), align=8)

    def chain(self, instruction, values: list[ir.Value]) -> ir.Value:
        out = values[0]
        for v in values[1:]:
            out = instruction(out, v, flags=_FLAGS)
        return out

    def truth(self, node: Expression) -> ir.Value:
        """Whether a node is not zero, lane by lane."""
        if node not in self.masks:
            zero = ir.Constant(_VECTOR, [0.0] * LANES)
            self.masks[node] = self.builder.fcmp_unordered("!=", self.values[node], zero)
        return self.masks[node]

    def as_number(self, node: Expression, mask: ir.Value) -> ir.Value:
        self.masks[node] = mask
        one, zero = (ir.Constant(_VECTOR, [v] * LANES) for v in (1.0, 0.0))
        return self.builder.select(mask, one, zero)

    def extreme(self, op: str, values: list[ir.Value]) -> ir.Value:
        """numpy's minimum and maximum, but that NaN is not kept (a NaN elsewhere stops
        the subject).
        """
        out = values[0]
        for v in values[1:]:
            better = self.builder.fcmp_ordered("<" if op == "min" else ">", v, out)
            out = self.builder.select(better, v, out)
        return out

    def power(self, node: Expression, x: list[ir.Value]) -> ir.Value:
        exponent = node.args[1]
        if exponent.is_number and float(exponent.value).is_integer() and abs(exponent.value) <= 8:
            out = x[0]
            for _ in range(int(abs(exponent.value)) - 1):
                out = self.builder.fmul(out, x[0], flags=_FLAGS)
            if exponent.value < 0:
                out = self.builder.fdiv(ir.Constant(_VECTOR, [1.0] * LANES), out, flags=_FLAGS)
            return out
        return self.builder.call(vector_function(self.module, "pow"), x)

    def intrinsic(self, name: str, x: list[ir.Value]) -> ir.Value:
        full = f"llvm.{name}.v{LANES}f64"
        if full not in self.module.globals:
            ir.Function(self.module, ir.FunctionType(_VECTOR, [_VECTOR] * len(x)), name=full)
        return self.builder.call(self.module.globals[full], x)

    def library(self, name: str, x: list[ir.Value]) -> ir.Value:
        """A function of the C library on one lane after the other."""
        if name not in self.module.globals:
            ir.Function(self.module, ir.FunctionType(_DOUBLE, [_DOUBLE]), name=name)
        out = ir.Constant(_VECTOR, ir.Undefined)
        for l in range(LANES):
            place = ir.Constant(ir.IntType(32), l)
            one = self.builder.extract_element(x[0], place)
            out = self.builder.insert_element(
                out, self.builder.call(self.module.globals[name], [one]), place
            )
        return out

    def table(self, table: Table, x: ir.Value) -> ir.Value:
        """Straight lines between points, as the sum over the pieces of what each adds: no
        branch, no search.

        A table has a handful of points; one of hundreds costs hundreds of operations.
        """
        b = self.builder
        constant = lambda v: ir.Constant(_VECTOR, [float(v)] * LANES)
        out = constant(0.0 if table.slope else table.y[0])
        for i in range(len(table.x) - 1):
            x0, x1 = table.x[i], table.x[i + 1]
            rise = (table.y[i + 1] - table.y[i]) / (x1 - x0)
            if rise == 0.0:
                continue
            if table.slope:
                inside = b.and_(
                    b.fcmp_ordered(">=", x, constant(x0)), b.fcmp_ordered("<", x, constant(x1))
                )
                out = b.select(inside, constant(rise), out)
                continue
            cut = self.extreme("min", [self.extreme("max", [x, constant(x0)]), constant(x1)])
            part = b.fmul(b.fsub(cut, constant(x0)), constant(rise), flags=_FLAGS)
            out = b.fadd(out, part, flags=_FLAGS)
        return out


def _key(text: str) -> str:
    """What the machine code depends on."""
    host = f"{binding.get_host_cpu_name()} {sorted(binding.get_host_cpu_features().items())}"
    parts = (_VERSION, llvmlite.__version__, host, str(LANES), text)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def cache_folder() -> Path:
    """Where compiled models are kept: ``PBPK_HYBRID_CACHE``, else the user's cache folder."""
    own = os.environ.get("PBPK_HYBRID_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "pbpk_hybrid" / "models"


def _load(key: str, text: str, count: int) -> CompiledFunction:
    if not _jit:
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        _jit.append(binding.create_lljit_compiler(_machine()))
    path = cache_folder() / f"{key}.o"
    try:
        code = path.read_bytes()
    except OSError:
        code = _object_code(text)
        _keep(path, code)
    library = (
        binding.JITLibraryBuilder()
        .add_object_img(code)
        .add_current_process()
        .export_symbol("evaluate")
        .link(_jit[0], key)
    )
    return CompiledFunction(library["evaluate"], count, library)


def _machine():
    target = binding.Target.from_default_triple()
    return target.create_target_machine(
        cpu=binding.get_host_cpu_name(),
        features=binding.get_host_cpu_features().flatten(),
        opt=2,
        jit=True,
        codemodel="jitdefault",
        reloc="pic",
    )


def _object_code(text: str) -> bytes:
    module = binding.parse_assembly(text)
    module.verify()
    return _machine().emit_object(module)


def _keep(path: Path, code: bytes) -> None:
    """Whole or not at all; a folder that cannot be written only means compiling again next time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(code)
        os.replace(scratch, path)
    except OSError:
        pass


def evaluate_compiled(
    function: CompiledFunction, inputs: Sequence[np.ndarray], stride: int = 1
) -> np.ndarray:
    """Run a compiled function from Python, for tests: inputs (rows, LANES) -> (count, LANES)."""
    import ctypes

    out = np.empty((function.count, LANES))
    given = [np.ascontiguousarray(a, dtype=float) for a in inputs]
    addresses = [a.ctypes.data for a in given]
    addresses += [0] * (N_INPUTS - len(addresses))
    signature = ctypes.CFUNCTYPE(
        None, *([ctypes.c_void_p] * N_INPUTS), ctypes.c_int64, ctypes.c_void_p
    )
    signature(function.address)(*addresses, stride, out.ctypes.data)
    return out
