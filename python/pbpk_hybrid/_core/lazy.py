"""Public names of a room, loaded on first use, so that importing the room costs nothing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def lazy_names(
    package: str, where: Mapping[str, Sequence[str]]
) -> tuple[list[str], Callable[[str], Any]]:
    """``__all__`` and ``__getattr__`` of a package.

    Parameters
    ----------
    package
        Its ``__name__``.
    where
        Submodule -> names it defines.
    """
    module_of = {name: module for module, names in where.items() for name in names}

    def load(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f".{module_of[name]}", package), name)
        # a function may be named as its room (`nca`): importing the room put the module there,
        # the function wins
        setattr(sys.modules[package], name, value)
        return value

    return list(module_of), load
