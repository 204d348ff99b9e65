"""Checks of arguments: their type and order, before anything is done with them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .errors import InputError, unknown_name
from .units import quantity


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


def check_times(field: str, times: Any) -> np.ndarray:
    """Times as numbers or texts such as "30 min", as an array (n_times,) [h].

    Raises
    ------
    InputError, UnitError
        Something that is no time, no time at all, or times that do not increase.
    """
    if isinstance(times, (str, bytes, Mapping)) or hasattr(times, "data_vars"):
        raise InputError(field, times, "numbers [h]")
    hours = np.array([quantity(t, "h", field) for t in np.ravel(np.asarray(times, dtype=object))])
    if not hours.size:
        raise InputError(field, [], "at least one time [h]")
    check_increasing(field, hours)
    return hours


def check_increasing(field: str, times: np.ndarray, subject: Any = None) -> None:
    """
    Raises
    ------
    InputError
        A time (n_times,) [h] that is not after the one before.
    """
    back = np.flatnonzero(np.diff(times) <= 0)
    if back.size:
        i = int(back[0])
        raise InputError(
            f"{field}[{i + 1}]",
            float(times[i + 1]),
            f"a time after {field}[{i}] = {times[i]:g} h",
            subject=subject,
            hint="sort the times and leave out doubles",
        )


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
