"""Is an argument of the kind that a function needs? Said by name before anything is
done with it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .errors import InputError, unknown_name


def check_kind(field: str, value: Any, kinds: type | tuple, expected: str, hint: str = "") -> None:
    """
    Raises
    ------
    InputError
        `value` is of none of the `kinds`.
    """
    if not isinstance(value, kinds):
        raise InputError(field, value, expected, hint=hint)


def check_mapping(field: str, value: Any, expected: str) -> dict:
    """A dictionary of `value`; empty for None.

    Raises
    ------
    InputError
        It is no mapping of names.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(k, str) for k in value):
        raise InputError(field, value, expected)
    return dict(value)


def check_names(field: str, value: Any, expected: str) -> tuple[str, ...]:
    """One name or several as a tuple.

    Raises
    ------
    InputError
        Something that is no text among them.
    """
    if isinstance(value, str):
        return (str(value),)
    names = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(names, (list, tuple, set, frozenset)) and not (
        isinstance(names, Iterable)
        and hasattr(names, "__len__")
        and not isinstance(names, (Mapping, bytes))
    ):
        raise InputError(field, value, expected)
    names = tuple(names)
    if not all(isinstance(n, str) for n in names):
        raise InputError(field, value, expected)
    return tuple(map(str, names))


def check_choice(field: str, value: Any, known: Iterable[str], what: str = "") -> str:
    """`value` if it is one of `known`.

    Raises
    ------
    UnknownNameError
        It is not; the nearest names are suggested.
    """
    known = tuple(known)
    if not isinstance(value, str) or value not in known:
        raise unknown_name(field, value, known, what=what)
    return value


def check_real(field: str, value: Any, expected: str) -> float:
    """A plain number (not text, not True) as a float; NaN and infinity pass.

    Raises
    ------
    InputError
        Anything else.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(
        value, (int, float, np.integer, np.floating)
    ):
        raise InputError(field, value, expected)
    try:
        return float(value)
    except OverflowError as err:
        raise InputError(field, "an integer of hundreds of digits", expected) from err


def check_path(field: str, value: Any, expected: str) -> None:
    """
    Raises
    ------
    InputError
        `value` is no path.
    """
    check_kind(field, value, (str, os.PathLike), expected)
