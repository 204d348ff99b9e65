"""Text of the command line -> values."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer

from .._core.errors import InputError
from .._core.numbers_in_text import NUMBER, split_number
from .._core.units import quantity

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from ..compounds import Compound

#: more times than this are a slip of the step
MOST_TIMES = 100_000

#: "20-60", "20 to 60 kg", "6 months-2 years"
_RANGE = re.compile(
    rf"\s*({NUMBER.pattern})\s*([a-zA-Z][^-:]*?)?\s*(?:-|–|:|\bto\b)"
    rf"\s*({NUMBER.pattern})\s*([a-zA-Z].*?)?\s*",
    re.ASCII,
)


def parse_times(text: str, field: str = "--times") -> np.ndarray:
    """``"0:24:0.25"`` (first:last:step, last included) or ``"0,1,2,4,8"`` [h].

    Raises
    ------
    InputError
        Not of this form, not ascending, or more than 100,000 times.
    """
    import numpy as np

    wanted = 'times [h] such as "0:24:0.25" (first:last:step) or "0,1,2,4"'
    parts = [p.strip() for p in text.split(":" if ":" in text else ",") if p.strip()]
    try:
        numbers = [quantity(p, "h", field) for p in parts]
    except InputError as error:
        raise InputError(field, text, wanted, hint=error.hint) from error
    if not numbers:
        raise InputError(field, text, wanted)
    if ":" not in text:
        return np.array(numbers)
    if len(numbers) not in (2, 3):
        raise InputError(field, text, wanted)
    first, last = numbers[:2]
    step = numbers[2] if len(numbers) == 3 else (last - first) / 96
    if not (step > 0 and last > first):
        raise InputError(field, text, "a last time after the first, and a step > 0")
    count = (last - first) / step
    if count > MOST_TIMES:
        raise InputError(field, text, f"at most {MOST_TIMES} times")
    # 1e-9: 24 / 0.1 is slightly less than 240
    times = first + step * np.arange(int(np.floor(count + 1e-9)) + 1)
    return times if abs(times[-1] - last) < 1e-9 * max(1.0, abs(last)) else np.append(times, last)


def parse_settings(settings: list[str] | None, ka: str | None = None) -> dict[str, str]:
    """``["log_p=2"]`` and the text of ``--ka`` -> fields of a compound, as text.

    Raises
    ------
    InputError
        Not of the form FIELD=VALUE, or a field twice.
    """
    found: dict[str, str] = {}
    for text in settings or ():
        field, sign, value = text.partition("=")
        field, value = field.strip().replace("-", "_"), value.strip()
        if not (sign and field and value):
            raise InputError("--set", text, "FIELD=VALUE, such as fraction_unbound_plasma=0.03")
        if field in found:
            raise InputError("--set", text, f"each field once ({field} stands twice)")
        found[field] = value
    if ka is not None:
        if "absorption_rate" in found:
            raise InputError("--ka", ka, "the absorption rate once, by --ka or by --set")
        # the option's own unit, as --age and --times have theirs
        plain = re.fullmatch(rf"\s*{NUMBER.pattern}\s*", ka, re.ASCII)
        found["absorption_rate"] = f"{ka.strip()} 1/h" if plain else ka
    return found


def parse_range(text: str | None, field: str) -> Any:
    """``"20-60"`` -> (20.0, 60.0); ``"40"`` -> 40.0; None -> None.

    Numbers with units stay text: ("6 months", "2 years"). A unit after the second number is that
    of both.

    Raises
    ------
    InputError
        Neither one number nor two.
    """
    if text is None:
        return None
    wanted = 'one number or a range such as "20-60"'
    found = _RANGE.fullmatch(text)
    if found is None:
        try:
            number = split_number(text, field, wanted, "40")
        except InputError as error:
            raise InputError(field, text, wanted, hint=error.hint) from error
        return text if number.unit else quantity(text, "1", field)
    low, low_unit, high, high_unit = found.groups()
    if high_unit is None and low_unit is None:
        return quantity(low, "1", field), quantity(high, "1", field)
    if high_unit is None:
        raise InputError(
            field, text, wanted, hint=f"give the unit after the second number: {high} {low_unit}"
        )
    return f"{low} {low_unit or high_unit}", f"{high} {high_unit}"


def parse_sex(text: str | None) -> Any:
    """``"female"``, ``"male"``, or the fraction of women.

    Raises
    ------
    InputError
        Something with a digit in it that is not one number.
    """
    if text is None or not re.search(r"\d", text):
        return text
    return quantity(text, "1", "--sex", minimum=0, maximum=1)


def number_option(unit: str) -> Callable[[str], float]:
    """A parser for typer: a number in `unit`, read by the rules of all texts.

    typer's own number type accepts "nan", "inf" and "1_0".
    """

    def read(text: str | float) -> float:
        try:
            return quantity(text, unit, "it")
        except InputError as error:
            expected = f"expected {error.expected}; {error.hint}".rstrip("; ")
            raise typer.BadParameter(f"got {text!r}, {expected}") from error

    read.__name__ = "NUMBER"  # shown in the help
    return read


def read_compound(name: str | None, file: Path | str | None = None) -> Compound:
    """A compound of the database by its name, or one from a YAML or TOML file.

    Parameters
    ----------
    name : str, optional
        Name, alias, CAS number or DTXSID; ignored where `file` is given.
    file : path, optional
    """
    from ..compounds import get_compound, load_compound_file

    return get_compound(name or "") if file is None else load_compound_file(file)


def parse_names(text: str | None) -> tuple[str, ...] | None:
    """``"plasma,liver"`` -> ("plasma", "liver"); None or "all" -> None."""
    if text is None or text.strip() == "all":
        return None
    return tuple(part.strip() for part in text.split(",") if part.strip())
