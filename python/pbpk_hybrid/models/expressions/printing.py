"""Expressions as text that the parser reads again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .traversal import postorder

if TYPE_CHECKING:
    from .tree import Expression

_COMPARISONS = {"lt": "<", "le": "<=", "eq": "==", "ne": "!="}
#: how tightly an operation holds its arguments
_LEVEL = {"or": 1, "and": 2, "lt": 4, "le": 4, "eq": 4, "ne": 4, "add": 5, "mul": 6, "div": 6}
_LEVEL |= {"pow": 8}
_ATOM = 10
#: longer texts are cut in the middle by repr
_LIMIT = 2000


def text_of(expression: Expression) -> str:
    """The expression in the notation of the parser; cut in the middle where it is very long."""
    text: dict[Expression, tuple[str, int]] = {}
    for node in postorder([expression]):
        text[node] = _one(node, [text[a] for a in node.args])
    found = text[expression][0]
    if len(found) > _LIMIT:
        return f"{found[: _LIMIT // 2]} ... {found[-_LIMIT // 2 :]}"
    return found


def _one(node: Expression, args: list[tuple[str, int]]) -> tuple[str, int]:
    """(text, level) of one node."""
    op = node.op
    if op == "number":
        shown = (
            f"{node.value:.17g}"
            if float(f"{node.value:.15g}") != node.value
            else f"{node.value:.15g}"
        )
        return shown, _ATOM if node.value >= 0 else 7
    if op == "symbol":
        name = str(node.value)
        return (name if name.isidentifier() else f"`{name}`"), _ATOM
    hold = lambda i, level: args[i][0] if args[i][1] >= level else f"({args[i][0]})"
    level = _LEVEL.get(op, _ATOM)
    if op == "add":
        parts = [hold(0, level)]
        for i in range(1, len(args)):
            piece = hold(i, level + 1) if not args[i][0].startswith("-") else args[i][0]
            parts.append(f" - {piece[1:]}" if piece.startswith("-") else f" + {piece}")
        return "".join(parts), level
    if op == "mul":
        if node.args[0].is_number and node.args[0].value == -1.0:
            return "-" + "*".join(hold(i, level + 1) for i in range(1, len(args))), level
        return "*".join(hold(i, level if i == 0 else level + 1) for i in range(len(args))), level
    if op == "div":
        return f"{hold(0, level)}/{hold(1, level + 1)}", level
    if op == "pow":
        return f"{hold(0, level + 1)}^{hold(1, level)}", level
    if op in _COMPARISONS:
        return f"{hold(0, level + 1)} {_COMPARISONS[op]} {hold(1, level + 1)}", level
    if op in ("and", "or"):
        return f" {op} ".join(hold(i, level + 1) for i in range(len(args))), level
    inside = ", ".join(a[0] for a in args)
    if op == "table":
        kind = "table_slope" if node.value.slope else "table"
        return f"{kind}[{len(node.value.x)} points]({inside})", _ATOM
    return f"{op}({inside})", _ATOM
