"""The nodes of an expression in order, without recursion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .tree import Expression


def postorder(roots: Iterable[Expression]) -> list[Expression]:
    """Every node below the roots once, arguments before what uses them."""
    done: dict[Expression, None] = {}
    stack: list[tuple[Expression, Iterator[Expression]]] = []
    for root in roots:
        if root in done:
            continue
        stack.append((root, iter(root.args)))
        while stack:
            node, rest = stack[-1]
            for argument in rest:
                if argument not in done:
                    stack.append((argument, iter(argument.args)))
                    break
            else:
                stack.pop()
                done.setdefault(node)
    return list(done)
