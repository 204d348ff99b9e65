"""Options that belong together, as one parameter of a command.

typer makes an option of each parameter of a function. :func:`with_groups` lets a parameter be a
frozen dataclass instead: each of its fields becomes an option, and the command gets the filled
dataclass. Options that several commands share are then defined once, with their defaults.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """`command` as typer needs it: every field of its dataclass parameters is an option.

    Parameters
    ----------
    command : callable
        Its parameters are annotated as typer wants them, or with a dataclass whose fields are.

    Returns
    -------
    callable
        Takes the fields by keyword, in the order of the parameters of `command`.

    Raises
    ------
    TypeError
        Two fields, or a field and a parameter, have the same name.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, tuple[type, list[str]]] = {}  # parameter -> (dataclass, names of its fields)
    options: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        kind = hints[parameter.name]
        if dataclasses.is_dataclass(kind):
            members = _members(kind)
            groups[parameter.name] = (kind, [member.name for member in members])
            options += members
        else:
            options.append(_option(parameter.name, kind, parameter.default))
    names = [option.name for option in options]
    if len(set(names)) < len(names):
        raise TypeError(f"{command.__name__}: an option is defined twice, of {sorted(names)}")

    def run(**values: Any) -> None:
        filled = {
            parameter: kind(**{name: values.pop(name) for name in members})
            for parameter, (kind, members) in groups.items()
        }
        command(**values, **filled)

    run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, __name__
    run.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    run.__annotations__ = {option.name: option.annotation for option in options}
    return run


def _members(group: type) -> list[inspect.Parameter]:
    """The fields of a dataclass as options."""
    hints = get_type_hints(group, include_extras=True)
    return [
        _option(field.name, hints[field.name], field.default) for field in dataclasses.fields(group)
    ]


def _option(name: str, kind: Any, default: Any) -> inspect.Parameter:
    if default in (dataclasses.MISSING, inspect.Parameter.empty):
        default = inspect.Parameter.empty
    # by keyword only: options without a default may follow those that have one
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


__all__ = ["with_groups"]
