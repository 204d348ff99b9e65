"""Clock times and dates as elapsed hours, by the rules of NM-TRAN.

NONMEM help, data items TIME and DATE: if any time holds a colon, or there is a date,
all times become hours since the first record of the individual. The date's name is its
order: DATE month day year, DAT1 day month year, DAT2 year month day, DAT3 year day
month; one number alone is a day; two are month and day in that order. Beyond NM-TRAN, a
date that begins with a year of four digits is read as year month day under every name,
for it can be nothing else.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Sequence

import numpy as np

from .errors import FileFormatError
from .table_files import is_missing, parse_number

#: name of the column -> its order
DATE_ORDERS = {
    "DATE": ("month", "day", "year"),
    "DAT1": ("day", "month", "year"),
    "DAT2": ("year", "month", "day"),
    "DAT3": ("year", "day", "month"),
}
_CLOCK = re.compile(
    r"(?P<h>\d{1,4}):(?P<m>\d{2})(?::(?P<s>\d{2}(?:\.\d*)?))?\s*(?P<half>[aApP][mM])?"
)
_MOMENT = re.compile(r"(?P<date>\d{4}-\d{1,2}-\d{1,2})[T\s]+(?P<clock>\S.*)")
#: years of two digits up to this one are 20xx (LAST20 of NM-TRAN)
_LAST20 = 50
#: dates without a year are counted in one that is not a leap year
_PLAIN_YEAR = 2001


def needs_translation(times: Sequence[str]) -> bool:
    """Whether a colon in some time makes all of them clock times."""
    return any(":" in t for t in times)


def elapsed_hours(
    times: Sequence[str],
    dates: Sequence[str] | None,
    order: str,
    who: Sequence[str],
    where: Callable[[int], str],
) -> np.ndarray:
    """(n,) [h] since the first record of each subject.

    Parameters
    ----------
    times
        Clock times or hours.
    dates
        Days or dates, or None.
    order
        Name of the column of dates, one of DATE_ORDERS.
    who
        Subject of each record.
    where
        Of a row, for messages.

    Raises
    ------
    FileFormatError
        What is no time or date, dates of two kinds, or elapsed times beside dates.
    """
    days, seconds = np.zeros(len(times)), np.empty(len(times))
    kinds: dict[str, int] = {}
    for i, text in enumerate(times):
        moment = _MOMENT.fullmatch(text)
        if moment and dates is not None:
            raise FileFormatError(
                f"{where(i)}, TIME", text, "a time of day", hint="the date stands in two columns"
            )
        clock = _seconds(moment["clock"] if moment else text, where(i))
        day, kind = 0.0, "none"
        if moment:
            day, kind = _day(moment["date"], "DAT2", where(i)), "calendar"
        elif dates is not None:
            day = _day(dates[i], order, where(i))
            kind = "number" if parse_number(dates[i]) is not None else "calendar"
        kinds.setdefault(kind, i)
        days[i], seconds[i] = day, clock
    if len(kinds) > 1:
        first, second = list(kinds)[:2]
        raise FileFormatError(
            f"{where(kinds[second])}, {order}",
            (dates or times)[kinds[second]],
            f"dates of one kind; the first is {(dates or times)[kinds[first]]!r}",
        )
    _refuse_elapsed(times, dates, who, where)
    first: dict[str, int] = {}
    begin = np.array([first.setdefault(subject, i) for i, subject in enumerate(who)], np.int64)
    # in whole seconds, so that 8:20 and 20:20 are 12 h apart to the last digit
    return (86400.0 * (days - days[begin]) + (seconds - seconds[begin])) / 3600.0


def _seconds(text: str, where: str) -> float:
    """Seconds since midnight."""
    found = _CLOCK.fullmatch(text.strip())
    if not found:
        number = parse_number(text.strip())
        if number is None or not np.isfinite(number):
            raise FileFormatError(f"{where}, TIME", text, "a clock time such as 8:30, or hours")
        return 3600.0 * number
    hour, minute, second = int(found["h"]), int(found["m"]), float(found["s"] or 0)
    half = (found["half"] or "").lower()
    if minute > 59 or second >= 60 or (half and not 1 <= hour <= 12):
        raise FileFormatError(f"{where}, TIME", text, "a clock time such as 8:30")
    if half:
        hour = hour % 12 + 12 * (half == "pm")
    return 3600.0 * hour + 60.0 * minute + second


def _day(text: str, order: str, where: str) -> float:
    """Number of the day."""
    field = f"{where}, {order}"
    if is_missing(text):
        raise FileFormatError(field, text, "a date or the number of a day")
    number = parse_number(text)
    if number is not None:
        if number != np.floor(number):
            raise FileFormatError(field, text, "a whole number of a day")
        return number
    text = re.sub(r"[T\s]+00:00(:00(\.0*)?)?$", "", text)  # a date as a DataFrame writes it
    parts = re.split(r"[^0-9]+", text)
    if len(parts) not in (2, 3) or not all(parts):
        raise FileFormatError(field, text, "a date such as " + _example(order))
    names = DATE_ORDERS[order]
    if len(parts) == 2:
        names = tuple(n for n in names if n != "year")
    elif len(parts[0]) == 4:
        names = names if names[0] == "year" else DATE_ORDERS["DAT2"]
    at = dict(zip(names, map(int, parts), strict=True))
    year = at.get("year", _PLAIN_YEAR)
    if len(parts) == 3 and year < 100:
        year += 2000 if year <= _LAST20 else 1900
    try:
        return float(datetime.date(year, at["month"], at["day"]).toordinal())
    except ValueError as err:
        raise FileFormatError(
            field,
            text,
            f"{' '.join(names)}, such as {_example(order)}",
            hint="DATE is month day year, DAT1 day month year, DAT2 year month day, DAT3 "
            "year day month",
        ) from err


def _example(order: str) -> str:
    part = {"month": "3", "day": "25", "year": "2024"}
    return "-".join(part[n] for n in DATE_ORDERS[order])


def _refuse_elapsed(times, dates, who, where) -> None:
    """Hours beyond a day beside dates that move on are elapsed already; the dates would
    count them twice.
    """
    if dates is None:
        return
    first: dict[str, str] = {}
    for i, subject in enumerate(who):
        number = parse_number(times[i])
        first.setdefault(subject, dates[i])
        if number is not None and number >= 24 and dates[i] != first[subject]:
            raise FileFormatError(
                f"{where(i)}, TIME",
                times[i],
                "a time of day below 24 h beside a date",
                hint="leave the column of dates out if TIME is elapsed time already",
            )
