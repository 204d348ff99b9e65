"""Annotations of arguments that may be a number or an array."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np

#: a number, or an array that broadcasts with the others; complex ones pass through where
#: derivatives are taken by complex steps
FloatOrArray: TypeAlias = "float | np.ndarray"
