"""Text that holds one decimal number and perhaps a unit: taken apart, or refused with
what was probably meant.

Grammar::

    text   = [space] number [space] [unit] [space]
    number = [sign] digits ["." digits] [("e" | "E") [sign] digits]
           | the same, then "x 10^" [sign] digits
    unit   = see units.read_unit

The sign is - or +; ".5" and "5." are numbers too, and so is "2 x 10^-6".

Nothing is evaluated and nothing is left out: two numbers, a range, a limit, a spread, a
separator of thousands and a decimal comma are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from .errors import InputError, UnitError

#: characters; far above any number with its unit
LONGEST = 200

_DECIMAL = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
#: one decimal number, nothing else
NUMBER = re.compile(_DECIMAL, re.ASCII)
_START = re.compile(
    rf"\s*({_DECIMAL})(?:\s*[x×*·]\s*10\s*(?:\^|\*\*)\s*([-+]?\d+))?(.*)", re.ASCII | re.DOTALL
)
_SUPERSCRIPT_POWER = re.compile(r"([x×*·]\s*10)([⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_SPACES = {0xA0: " ", 0x2009: " ", 0x202F: " "}  # of print: no-break and thin
#: what starts a unit, after the number
_UNIT_START = re.compile(r"\s*(?:[A-Za-zµμ%(/]|1\s*/\s*[A-Za-zµμ(])", re.ASCII)
_MORE = re.compile(r"\s*(?:x|to|and|or)\s*[-+.]?\d", re.ASCII)  # "5 x 100 mg", "5 to 7 mg"
_LARGEST_EXPONENT = 400  # the largest float is 1.8e308; mantissa and unit may bring it back

_GROUPED = re.compile(
    r"[-+]?\d{1,3}(?:[ _'’`\u00a0\u2009\u202f]\d{3})+(?![\d])(?:\.\d+)?", re.ASCII
)
_COMMAS = re.compile(r"[-+]?[\d.]*\d,[\d.,]*", re.ASCII)
_LIMIT = re.compile(r"\s*(?:[<>≤≥]|&lt;|below\b|above\b|under\b|over\b)", re.IGNORECASE)
_NOT_FINITE = re.compile(r"\s*[-+]?(?:nan|inf|infinity)\b", re.IGNORECASE)
_SPREAD = re.compile(r"\+\s*/?\s*-|±")
_RANGE = re.compile(r"\s*(?:[-–—−~]|\.\.+|to\b)\s*\d", re.ASCII)


@dataclass(frozen=True)
class Split:
    """The number of a text as an exact fraction and as written, and the text of its
    unit ("" for none).
    """

    text: str
    number: Fraction
    digits: str
    unit: str


def split_number(text: str, field: str, expected: str, example: str, subject: Any = None) -> Split:
    """Number and unit of `text`.

    Raises
    ------
    InputError
        Not exactly one decimal number with, perhaps, a unit; the hint says what was
        probably meant.
    UnitError
        Text without any digit.
    """
    text = str(text)
    wanted = f"{expected}, or a number and a unit such as {example!r}"
    if len(text) > LONGEST:
        raise InputError(field, text, f"at most {LONGEST} characters: {wanted}", subject=subject)
    found = _START.fullmatch(_SUPERSCRIPT_POWER.sub(_typed, text.translate(_SPACES)))
    if found is not None:
        digits, ten, rest = found.groups()
        if not rest.strip() or (_UNIT_START.match(rest) and not _MORE.match(rest)):
            return Split(text, _exact(digits, ten, text, field, subject), digits, rest.strip())
    # text without a digit is most often a unit or a word in the wrong place
    plain = re.search(r"\d", text) or not text.strip() or _NOT_FINITE.match(text)
    kind = InputError if plain else UnitError
    raise kind(field, text, wanted, subject=subject, hint=meant(text))


def _typed(found: re.Match) -> str:
    return f"{found[1]}^{found[2].translate(_SUPERSCRIPTS)}"


def _exact(digits: str, ten: str | None, text: str, field: str, subject: Any) -> Fraction:
    exponents = [p for p in (re.split("[eE]", digits)[1:] or ["0"]) + [ten or "0"]]
    if any(len(p.lstrip("-+0")) > 3 or abs(int(p)) > _LARGEST_EXPONENT for p in exponents):
        raise InputError(field, text, "a number of a size that a computer holds", subject=subject)
    return Fraction(digits) * Fraction(10) ** int(ten or 0)


def meant(text: str) -> str:
    """What was probably meant by text that is not one number and a unit; "" if that
    cannot be told.
    """
    text = text.strip()
    if not text:
        return "the text is empty"
    if any(c.isdigit() and c not in "0123456789⁰¹²³⁴⁵⁶⁷⁸⁹" for c in text):
        return "write the digits 0 to 9"
    if _LIMIT.match(text):
        return (
            "this is a limit, not a value: give a number, or mark the sample as below the limit "
            "(censored)"
        )
    if _NOT_FINITE.match(text):
        return "a finite number; leave out what is not known"
    if text[0] in "~≈" or re.match(r"(?:ca\.?|about|approx\.?)\s*\d", text, re.IGNORECASE):
        return "give the number alone"
    if text[0] in "−–—":
        return "write the minus sign as '-'"
    if (found := _COMMAS.match(text)) and "," in (number := found[0].rstrip(",.")):
        return _commas(number, text[len(number) :])
    if found := _GROUPED.match(text):
        plain = re.sub(r"[^\d.+-]", "", found[0], flags=re.ASCII)
        return f"write the number without separators: {_joined(plain, text[found.end() :])!r}"
    start = NUMBER.match(text)
    if start is None:
        return ""
    rest = text[start.end() :]
    if _SPREAD.search(rest):
        return f"one number without its spread, such as {start[0]!r}"
    if re.match(r"\s*:\s*\d", rest):
        return "a decimal number, such as '1.5 h', not a time of the clock"
    if _RANGE.match(rest):
        return "one number, not a range"
    if rest.lstrip().startswith("*") or re.match(r"\s*[x×]\s*\d", rest):
        return "one number, nothing to compute; a power of ten as 1e3 or x 10^3"
    return f"one number and a unit; {rest.strip()[:30]!r} after the number is neither"


def _commas(number: str, rest: str) -> str:
    """What a number with commas can mean."""
    whole = number.replace(",", "")
    if "." in number:
        decimal = number.rfind(",") > number.rfind(".")
        probable = number.replace(".", "").replace(",", ".") if decimal else whole
        return f"write {_joined(probable, rest)!r}: a decimal point, no separators of thousands"
    if number.count(",") > 1:
        return f"write {_joined(whole, rest)!r}, without separators of thousands"
    point = number.replace(",", ".")
    head, tail = number.lstrip("-+").split(",")
    if len(tail) == 3 and len(head) <= 3 and head.lstrip("0"):
        return (
            f"the comma can be a decimal comma or a separator of thousands: write "
            f"{_joined(point, rest)!r} or {_joined(whole, rest)!r}"
        )
    return f"the decimal sign is a point: did you mean {_joined(point, rest)!r}?"


def _joined(number: str, rest: str) -> str:
    return number + rest.rstrip()
