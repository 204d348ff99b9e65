"""Every exception the package raises on purpose.

All derive from :class:`PBPKError`; bad input also derives from :class:`ValueError`, so
``except ValueError`` works for users who do not know the tree. A message says which
field, the value got, what was expected, which subject (when one is to blame), and the
way out.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class PBPKError(Exception):
    """Root of all errors raised on purpose by this package."""


class InputError(PBPKError, ValueError):
    """A value that cannot be used.

    Parameters
    ----------
    field
        The name of the offending field, as the user typed or would type it.
    value
        The value got.
    expected
        What is allowed, in words with units.
    subject
        The subject to blame, when there is one.
    hint
        What to do instead.
    """

    def __init__(
        self,
        field: str,
        value: Any = None,
        expected: str = "",
        *,
        subject: Any = None,
        hint: str = "",
    ) -> None:
        self.field, self.value, self.expected, self.subject, self.hint = (
            field,
            value,
            expected,
            subject,
            hint,
        )
        where = f" (subject {subject})" if subject is not None else ""
        text = f"{field}{where}: got {_short(value)}"
        if expected:
            text += f", expected {expected}"
        if hint:
            text += f"; {hint}"
        super().__init__(text)

    def __reduce__(self):  # keeps the fields when the error crosses a process border
        return (
            _rebuild,
            (type(self), self.field, self.value, self.expected, self.subject, self.hint),
        )


def _rebuild(cls, field, value, expected, subject, hint):
    return cls(field, value, expected, subject=subject, hint=hint)


class UnitError(InputError):
    """A unit that is unknown or of the wrong dimension."""


class SchemaError(InputError):
    """A Dataset that does not follow its schema."""


class FlowBalanceError(InputError):
    """Organ flows that do not add up to the cardiac output, or volumes to the body weight."""


class UnknownNameError(InputError, KeyError):
    """A species, organ, compound, state, parameter or option that does not exist."""

    def __str__(self) -> str:  # KeyError would print the repr of the message
        return Exception.__str__(self)


class FileFormatError(InputError):
    """A file that cannot be read as what it should be."""


class CheckpointError(InputError):
    """A checkpoint of a learned component that cannot be read, or not by this version,
    or not for this use.
    """


class MissingDependencyError(PBPKError, ImportError):
    """An optional package is needed and not installed."""


class BackendUnavailableError(PBPKError, RuntimeError):
    """The solver backend asked for by name cannot run here; the message says why."""


class SolveError(PBPKError, RuntimeError):
    """An integration failed and the caller asked for failures to be raised."""


class StoreError(PBPKError, RuntimeError):
    """A store on disk that is damaged, full, in use, or belongs to another run."""


class SubjectFailedWarning(UserWarning):
    """Some subjects could not be integrated; their values are NaN and their status says why."""


class OutOfRangeWarning(UserWarning):
    """A value is usable but outside the range in which its method was developed."""


class NoEffectWarning(UserWarning):
    """Something that was asked for changes nothing here."""


def unknown_name(
    field: str, value: Any, known: Iterable[str], *, what: str = ""
) -> UnknownNameError:
    """An :class:`UnknownNameError` that suggests the nearest known names."""
    known = [str(k) for k in known]
    near = nearest_names(value, known, 0.55)
    if near:
        hint = "did you mean " + " or ".join(map(repr, near)) + "?"
    elif len(known) <= 25:
        hint = "known: " + ", ".join(known)
    else:
        hint = f"{len(known)} names are known"
    return UnknownNameError(field, value, what or "a known name", hint=hint)


def nearest_names(value: Any, known: Iterable[str], cutoff: float = 0.75) -> list[str]:
    """At most three of the known names that `value` may be another spelling of, the
    nearest first.
    """
    lowered = {str(k).lower(): str(k) for k in known}
    near = difflib.get_close_matches(str(value).lower(), list(lowered), n=3, cutoff=cutoff)
    return [lowered[k] for k in near]


def _short(value: Any, limit: int = 120) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
