"""Text of the command line -> values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .._core.errors import InputError

if TYPE_CHECKING:
    import numpy as np

#: more times than this are a slip of the step
MOST_TIMES = 100_000

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"^\s*({_NUMBER})\s*(?:-|:|to)\s*({_NUMBER})\s*$")


def parse_times(text: str, field: str = "--times") -> np.ndarray:
    """``"0:24:0.25"`` (first:last:step, last included) or ``"0,1,2,4,8"`` [h].

    Raises
    ------
    InputError : not of this form, not ascending, or more than 100,000 times
    """
    import numpy as np

    wanted = 'times [h] such as "0:24:0.25" (first:last:step) or "0,1,2,4"'
    parts = [p.strip() for p in text.split(":" if ":" in text else ",") if p.strip()]
    try:
        numbers = [float(p) for p in parts]
    except ValueError as error:
        raise InputError(field, text, wanted) from error
    if not numbers or not np.all(np.isfinite(numbers)):
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
    times = first + step * np.arange(
        int(np.floor(count + 1e-9)) + 1
    )  # 1e-9: 24 / 0.1 is a hair under 240
    return times if abs(times[-1] - last) < 1e-9 * max(1.0, abs(last)) else np.append(times, last)


def parse_range(text: str | None, field: str) -> Any:
    """``"20-60"`` -> (20.0, 60.0); ``"40"`` -> 40.0; None -> None."""
    if text is None:
        return None
    found = _RANGE.match(text)
    if found:
        return float(found[1]), float(found[2])
    try:
        return float(text)
    except ValueError as error:
        raise InputError(field, text, 'one number or a range such as "20-60"') from error


def parse_sex(text: str | None) -> Any:
    """``"female"``, ``"male"``, or the fraction of women."""
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return text


def parse_names(text: str | None) -> tuple[str, ...] | None:
    """``"plasma,liver"`` -> ("plasma", "liver"); None or "all" -> None."""
    if text is None or text.strip() == "all":
        return None
    return tuple(part.strip() for part in text.split(",") if part.strip())
