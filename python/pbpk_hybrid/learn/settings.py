"""Settings of the learned components: frozen dataclasses that become plain values and come back."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from .._core.errors import InputError, unknown_name

T = TypeVar("T")


class Settings:
    """A frozen dataclass of settings whose values are plain.

    Every config of a component has ``to_dict``, ``from_dict``, ``seed`` and the settings of its
    training; a model's ``config`` is the one it was trained with.
    """

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the inverse of :meth:`from_dict`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls: type[T], values: dict[str, Any]) -> T:
        """From plain values, with all checks.

        Raises
        ------
        UnknownNameError
            a name that is no setting
        InputError
            a value of another type or out of range
        """
        return make_settings(cls, values, "config")


def make_settings(cls: type[T], values: dict[str, Any], where: str, **more: Any) -> T:
    """A dataclass of settings from plain values; `more` were read already.

    Raises
    ------
    UnknownNameError
        a name that is no setting
    InputError
        a value of another type or out of range
    """
    known = {f.name: f for f in dataclasses.fields(cls)}
    default = cls()
    given = {}
    for name, value in values.items():
        if name not in known:
            raise unknown_name(f"{where}.{name}", name, known, what="a setting")
        usual = getattr(default, name)
        if isinstance(usual, tuple):
            value = tuple(value) if isinstance(value, list | tuple) else value
        kinds = (int, float) if isinstance(usual, float) else type(usual)
        if value is None and name in _MAY_BE_NONE:
            given[name] = None
            continue
        if not isinstance(value, kinds) or isinstance(value, bool) != isinstance(usual, bool):
            raise InputError(f"{where}.{name}", value, f"a value like {usual!r}")
        given[name] = value
    return cls(**given, **more)


_MAY_BE_NONE = ("patience",)

__all__ = ["Settings", "make_settings"]
