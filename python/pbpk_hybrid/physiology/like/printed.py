"""What papers print of a quantity, such as "34 ± 8 (21-52)" or "median 62 [IQR 50-75]".

Grammar::

    text      = item { ["," | ";"] item }          brackets group, they mean nothing by themselves
    item      = label number                       "mean 34", "SD 8", "CV 20 %", "max 52"
              | number "±" number                  mean and SD; also "+/-", "+-"
              | label number dash number           "IQR 50-75", "range 21 to 52"
              | number dash number                 a range, after mean ± SD or alone
              | comparison number                  ">= 18", "< 65"
              | template values                    "mean (SD) 34 (8)", "median [range] 62 [50-75]"
    label     = mean | SD | CV | geometric mean | geometric CV | median | IQR | range | min | max
              | Q1 | Q3 | P5 | P95 | 5th percentile ...
    share     = number "%" | fraction | n "/" N | n "of" N | n "(" number "%)"

Every number may carry the unit of the quantity; all of a text have one unit. What could mean two
things ("34 (8)", "median 62 (50-75)") is refused with both ways to say it, and what cannot be
used without the number of subjects (standard errors, confidence intervals) with what to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..._core.errors import InputError, UnitError
from ..._core.numbers_in_text import meant
from ..._core.units import quantity
from .quantities import Quantity

LONGEST = 200
_NUMBER = r"[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|\.[0-9]+"
_TOKEN = re.compile(
    rf"""
    (?P<space>\s+)
  | (?P<plusminus>±|\+\s*/\s*[-−–]|\+[-−–])
  | (?P<unit_of_gfr>(?:mL|ml|L)\s*/\s*(?:min|h)(?:\s*/\s*1\.73\s*m\s*(?:\^\s*2|²|2))?)
  | (?P<ordinal>[0-9]{{1,2}}(?:\.5)?(?:st|nd|rd|th))
  | (?P<number>{_NUMBER})
  | (?P<dash>[-–—−~]|\bto\b)
  | (?P<compare><=|>=|≤|≥|<|>)
  | (?P<percent>%)
  | (?P<slash>/)
  | (?P<open>[(\[])
  | (?P<close>[)\]])
  | (?P<separator>[,;:=|])
  | (?P<word>[A-Za-zµμ](?:[\w²³^*µμ.]|[-/](?=[A-Za-z])|/(?=1\.73))*)
    """,
    re.VERBOSE,
)
#: words -> what the number after them is; the longest phrase wins
_LABELS: dict[tuple[str, ...], str] = {
    ("mean",): "mean",
    ("average",): "mean",
    ("arithmetic", "mean"): "mean",
    ("geometric", "mean"): "geometric_mean",
    ("geomean",): "geometric_mean",
    ("gm",): "geometric_mean",
    ("geometric", "cv"): "geometric_cv",
    ("gcv",): "geometric_cv",
    ("geocv",): "geometric_cv",
    ("sd",): "sd",
    ("s.d.",): "sd",
    ("s.d",): "sd",
    ("std",): "sd",
    ("standard", "deviation"): "sd",
    ("cv",): "cv",
    ("coefficient", "of", "variation"): "cv",
    ("median",): "median",
    ("iqr",): "iqr",
    ("interquartile", "range"): "iqr",
    ("interquartile",): "iqr",
    ("quartiles",): "iqr",
    ("q1-q3",): "iqr",
    ("range",): "range",
    ("min-max",): "range",
    ("min",): "min",
    ("minimum",): "min",
    ("max",): "max",
    ("maximum",): "max",
    ("q1",): "q25",
    ("q3",): "q75",
    ("p5",): "q5",
    ("p10",): "q10",
    ("p25",): "q25",
    ("p75",): "q75",
    ("p90",): "q90",
    ("p95",): "q95",
    ("n",): "n",
    ("no.",): "n",
    ("no",): "n",
    ("number",): "n",
}
_NEEDS_N = {
    "se": "a standard error",
    "sem": "a standard error",
    "s.e.": "a standard error",
    "s.e.m.": "a standard error",
    "s.e.m": "a standard error",
    "ci": "a confidence interval",
    "95ci": "a confidence interval",
}
#: kinds with two numbers -> what the two are
_PAIRS = {"range": ("min", "max"), "iqr": ("q25", "q75")}
#: what is only printed beside a mean
_SPREADS = ("sd", "cv")
#: keys of a mapping that gives the statistics one by one
STATISTICS = (
    "mean",
    "sd",
    "cv",
    "geometric_mean",
    "geometric_cv",
    "median",
    "min",
    "max",
    "range",
    "iqr",
    "q5",
    "q10",
    "q25",
    "q75",
    "q90",
    "q95",
)


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    number: float = np.nan


@dataclass
class _Reading:
    """Values found so far, in the unit of the text: kind -> number."""

    values: dict[str, float] = field(default_factory=dict)
    strict_ends: set[str] = field(default_factory=set)


def read_statistics(
    text: str, wanted: Quantity, where: str, template: tuple[str, ...] = (), unit: str = ""
) -> dict[str, float]:
    """Statistics of one quantity, in its unit; CVs as fractions.

    Parameters
    ----------
    text : str
        What is printed, see the module's grammar.
    wanted : Quantity
        Whose statistics these are.
    where : str
        Name of the field, for errors.
    template : tuple of str
        What the row's name says that the numbers are, such as ("mean", "sd").
    unit : str
        Unit that the row's name says, "" for none.

    Returns
    -------
    dict
        Of "mean", "sd", "cv", "geometric_mean", "geometric_cv", "median", "min", "max", "q5" ...
        "q95".

    Raises
    ------
    InputError
        A text that cannot be understood, or can be in two ways.
    UnitError
        A unit of another dimension.
    """
    parser = _Parser(text, where, wanted)
    return parser.statistics(template, unit)


def read_share(text: str, where: str) -> float:
    """A share of people from "45 %", "0.45", "12/27", "12 of 27" or "12 (44 %)".

    Raises
    ------
    InputError
        Something else, or a share outside 0 to 1.
    """
    plain = text.strip()
    number = rf"({_NUMBER})"
    patterns: tuple[tuple[str, Callable[..., float]], ...] = (
        (rf"(?:n\s*=\s*)?{number}\s*[(\[]\s*{number}\s*%\s*[)\]]", lambda n, p: float(p) / 100),
        (rf"{number}\s*%", lambda p: float(p) / 100),
        (rf"{number}\s*%\s*[(\[]\s*(?:n\s*=\s*)?\d+\s*[)\]]", lambda p: float(p) / 100),
        (
            rf"(\d+)\s*(?:/|of|out of)\s*(\d+)(?:\s*[(\[]\s*{_NUMBER}\s*%\s*[)\]])?",
            lambda n, total: float(n) / float(total) if float(total) else np.nan,
        ),
        (r"([01](?:\.\d*)?|\.\d+)", float),
    )
    for pattern, value in patterns:
        found = re.fullmatch(pattern, plain, re.IGNORECASE)
        if found:
            share = value(*found.groups())
            break
    else:
        raise InputError(where, text, _SHARE, hint=meant(plain))
    if not 0 <= share <= 1:
        raise InputError(where, text, "a share from 0 to 100 %")
    return share


_SHARE = "a share such as '45 %', '12/27', '12 (44 %)' or a fraction from 0 to 1"


def tokens(text: str, where: str) -> list[_Token]:
    """The tokens of a text, spaces left out.

    Raises
    ------
    InputError
        A character that belongs to no token.
    """
    if len(text) > LONGEST:
        raise InputError(where, text, f"at most {LONGEST} characters")
    comma = re.search(r"\d+,\d+(?:\.\d+)?", text)
    if comma:
        raise InputError(where, text, _EXPECTED, hint=_comma_hint(comma[0]))
    out, at = [], 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise InputError(where, text, _EXPECTED, hint=f"{text[at]!r} cannot be read here")
        at = found.end()
        kind = found.lastgroup or ""
        if kind == "space":
            continue
        number = float(found[0]) if kind == "number" else np.nan
        out.append(_Token("word" if kind == "unit_of_gfr" else kind, found[0], number))
    return out


def _comma_hint(number: str) -> str:
    return meant(number) or f"{number!r} can be a decimal comma, thousands or two numbers"


_EXPECTED = "a text such as '34 ± 8 (21-52)', 'mean 34, SD 8' or 'median 62 [IQR 50-75]'"


def split_labels(
    found: list[_Token], where: str, text: str
) -> tuple[tuple[str, ...], str, list[_Token]]:
    """Labels, unit text and the tokens from the first number on, of the start of a text."""
    labels: list[str] = []
    units: list[str] = []
    i = 0
    while i < len(found) and found[i].kind not in ("number", "compare"):
        size, label = _label_at(found, i, where, text)
        if label:
            labels.append(label)
        elif found[i].kind == "word":
            units.append(found[i].text.rstrip("."))
        elif found[i].kind == "percent" and labels and labels[-1] == "n":
            labels.append("percent")
        i += size
    return tuple(labels), " ".join(units), found[i:]


def _label_at(found: list[_Token], i: int, where: str, text: str) -> tuple[int, str]:
    """How many tokens from `i` on are one label, and which; (1, "") for none."""
    words: list[str] = []
    for token in found[i : i + 3]:
        if token.kind != "word":
            break
        words.append(token.text.lower())
    if words and words[0] in _NEEDS_N:
        raise _needs_n(_NEEDS_N[words[0]], where, text)
    for size in range(len(words), 0, -1):
        label = _LABELS.get(tuple(words[:size]))
        if label:
            return size, label
    token = found[i]
    if token.kind == "ordinal":
        return _percentile_at(found, i, where, text)
    return 1, ""


def _percentile_at(found: list[_Token], i: int, where: str, text: str) -> tuple[int, str]:
    """ "5th percentile", "25th-75th percentile" """
    first = re.sub(r"[a-z]+", "", found[i].text)
    size, label = 1, f"q{first}"
    rest = found[i + 1 : i + 3]
    if len(rest) == 2 and rest[0].kind == "dash" and rest[1].kind == "ordinal":
        second = re.sub(r"[a-z]+", "", rest[1].text)
        size, label = 3, f"q{first}-q{second}"
    if i + size < len(found) and found[i + size].text.lower() in ("percentile", "percentiles"):
        size += 1
    ends = label.replace("q", "").split("-")
    if any(not 0 < float(end) < 100 for end in ends):
        raise InputError(where, text, "percentiles between the 1st and the 99th")
    return size, label


def _needs_n(what: str, where: str, text: str) -> InputError:
    return InputError(
        where,
        text,
        "a spread between people (SD, CV, IQR or range)",
        hint=f"{what} says how well the mean is known: give the SD (SE x sqrt(N))",
    )


class _Parser:
    """Reads one text from left to right."""

    def __init__(self, text: str, where: str, wanted: Quantity) -> None:
        self.text, self.where, self.wanted = text, where, wanted
        self.found = tokens(text, where)
        self.reading = _Reading()
        self.units: list[str] = []
        self.percents: list[str] = []  # kinds whose number was written with %

    # ---- result -------------------------------------------------------------------------------
    def statistics(self, template: tuple[str, ...], unit: str) -> dict[str, float]:
        for token in self.found:
            if token.kind == "word" and token.text.lower() in _NEEDS_N:
                raise _needs_n(_NEEDS_N[token.text.lower()], self.where, self.text)
        if self.found and self.found[0].kind in ("dash", "slash", "percent"):
            raise self.error("no quantity here is negative")
        labels, head_unit, rest = split_labels(self.found, self.where, self.text)
        if not rest:
            raise self.error(meant(self.text))
        self.units += [head_unit] if head_unit else []
        kinds = tuple(k for k in (labels or template) if k != "n")
        if len(kinds) > 1:
            self._by_template(kinds, rest)
        else:
            self._by_labels(kinds[0] if kinds else "", rest)
        return self._in_unit(unit)

    def error(self, hint: str = "") -> InputError:
        return InputError(self.where, self.text, _EXPECTED, hint=hint)

    def _put(self, kind: str, value: float) -> None:
        if kind in self.reading.values:
            raise self.error(f"two values for {kind}")
        self.reading.values[kind] = value

    def _put_pair(self, kind: str, low: float, high: float) -> None:
        if kind in _PAIRS:
            names = _PAIRS[kind]
        elif "-" in kind and kind.startswith("q"):
            names = tuple(kind.split("-"))
        else:
            raise self.error(f"{low:g}-{high:g} cannot be the {kind.replace('_', ' ')}")
        if low > high:
            raise self.error(f"{low:g} is above {high:g}")
        self._put(names[0], low)
        self._put(names[1], high)

    # ---- "mean (SD) [range] 34 (8) [21-52]" ----------------------------------------------------
    def _by_template(self, kinds: tuple[str, ...], rest: list[_Token]) -> None:
        groups = self._groups(rest)
        if len(groups) != len(kinds):
            raise self.error(f"{len(kinds)} labels but {len(groups)} values")
        for kind, group in zip(kinds, groups, strict=True):
            pair = kind in _PAIRS or "-" in kind
            if pair and len(group) != 2:
                raise self.error(f"the {kind} has two numbers, such as 50-75")
            if not pair and len(group) != 1:
                raise self.error(f"the {kind} is one number")
            if pair:
                self._put_pair(kind, group[0], group[1])
            else:
                self._put(kind, group[0])

    def _groups(self, rest: list[_Token]) -> list[tuple[float, ...]]:
        """Numbers and pairs of numbers in their order."""
        groups: list[tuple[float, ...]] = []
        i = 0
        while i < len(rest):
            token = rest[i]
            if token.kind == "number":
                pair = self._pair_at(rest, i)
                groups.append(pair or (token.number,))
                i += 3 if pair else 1
                continue
            if token.kind == "word":
                self._unit_word(token)
            elif token.kind == "percent":
                self.percents.append("template")
            elif token.kind not in ("open", "close", "separator", "plusminus"):
                raise self.error(f"{token.text!r} cannot be read here")
            i += 1
        return groups

    @staticmethod
    def _pair_at(rest: list[_Token], i: int) -> tuple[float, float] | None:
        """Two numbers with a dash, "to" or a comma inside brackets between them."""
        if i + 2 >= len(rest) or rest[i + 2].kind != "number":
            return None
        if rest[i + 1].kind == "dash":
            return rest[i].number, rest[i + 2].number
        bracketed = i > 0 and rest[i - 1].kind == "open"
        closed = i + 3 < len(rest) and rest[i + 3].kind == "close"
        if rest[i + 1].kind == "separator" and bracketed and closed:
            return rest[i].number, rest[i + 2].number
        return None

    # ---- "34 ± 8 (21-52)", "mean 34, SD 8" ----------------------------------------------------
    def _by_labels(self, label: str, rest: list[_Token]) -> None:
        i, depth = 0, 0
        while i < len(rest):
            token = rest[i]
            size, named = _label_at(rest, i, self.where, self.text)
            if named:
                label, i = named, i + size
                continue
            if token.kind in ("open", "close"):
                depth += 1 if token.kind == "open" else -1
            elif token.kind == "number":
                i += self._number(rest, i, label, depth)
                label = ""
                continue
            elif token.kind == "compare":
                i += self._bound(rest, i)
                continue
            elif token.kind == "plusminus":
                i += self._spread(rest, i)
                continue
            elif token.kind == "word":
                self._unit_word(token)
            elif token.kind == "percent":
                self._percent(rest, i)
            elif token.kind != "separator":
                raise self.error(meant(self.text) or f"{token.text!r} cannot be read here")
            i += 1
        if label:
            raise self.error(f"no number after {label}")

    def _number(self, rest: list[_Token], i: int, label: str, depth: int) -> int:
        """One number or pair at `i`; how many tokens it takes."""
        pair = self._pair_at(rest, i)
        if pair:
            self._put_pair(label or self._unlabelled_pair(depth), *pair)
            return 3
        if label in _PAIRS or "-" in label:
            raise self.error(f"the {label} has two numbers, such as 50-75")
        self._put(label or self._unlabelled_number(rest, i, depth), rest[i].number)
        return 1

    def _unlabelled_pair(self, depth: int) -> str:
        values = self.reading.values
        if not values or "sd" in values or "cv" in values:
            return "range"
        number = next(iter(values.values()))
        raise self.error(
            f"write 'median {number:g} [IQR ...]' or '... [range ...]': it may be both"
        )

    def _unlabelled_number(self, rest: list[_Token], i: int, depth: int) -> str:
        following = rest[i + 1 :]
        after = next((t for t in following if t.kind not in ("word",)), None)
        if not self.reading.values and after is not None:
            label = _label_at(rest, rest.index(after) + 1, self.where, self.text)[1]
            if after.kind == "plusminus" or (
                after.kind in ("open", "separator") and label in _SPREADS
            ):
                return "mean"
        percent = bool(following) and following[0].kind == "percent"
        if percent and len(following) > 1 and _LABELS.get((following[1].text.lower(),)) == "cv":
            rest[i + 2] = _Token("separator", ",")  # "20 % CV"
            return "cv"
        number = rest[i].number
        if depth and self.reading.values:
            raise self.error(f"say what {number:g} is: 'SD {number:g}', 'CV {number:g} %', ...")
        if self.reading.values:
            raise self.error(f"say what {number:g} is")
        raise self.error(f"say what {number:g} is: 'mean {number:g}' or 'median {number:g}'")

    def _spread(self, rest: list[_Token], i: int) -> int:
        if i + 1 >= len(rest) or rest[i + 1].kind != "number":
            raise self.error("no number after ±")
        if "mean" not in self.reading.values:
            raise self.error("± gives an SD, which needs a mean before it")
        self._put("sd", rest[i + 1].number)
        return 2

    def _bound(self, rest: list[_Token], i: int) -> int:
        if i + 1 >= len(rest) or rest[i + 1].kind != "number":
            raise self.error(f"no number after {rest[i].text}")
        kind = "max" if rest[i].text in ("<", "<=", "≤") else "min"
        self._put(kind, rest[i + 1].number)
        if rest[i].text in ("<", ">"):
            self.reading.strict_ends.add(kind)
        return 2

    def _percent(self, rest: list[_Token], i: int) -> None:
        last = next(reversed(self.reading.values), "")
        if not last or rest[i - 1].kind != "number":
            raise self.error("% must follow a number")
        self.percents.append(last)

    def _unit_word(self, token: _Token) -> None:
        if token.text.lower() in ("and", "with"):
            return
        self.units.append(token.text.rstrip("."))

    # ---- units --------------------------------------------------------------------------------
    def _in_unit(self, row_unit: str) -> dict[str, float]:
        relative = ("cv", "geometric_cv")
        unit = self._unit(row_unit)
        factor = 1.0
        if unit:
            factor = unit_factor(unit, self.wanted, self.where, self.text)
        if "geometric_mean" in self.reading.values and "mean" not in self.reading.values:
            self._rename("cv", "geometric_cv")
        values: dict[str, float] = {}
        for kind, value in self.reading.values.items():
            if kind in relative:
                values[kind] = self._relative(kind, value)
                continue
            step = float(np.spacing(value)) * 4
            inside = {"min": step, "max": -step}.get(kind, 0.0)
            value = value + inside if kind in self.reading.strict_ends else value
            values[kind] = value * factor
        return values

    def _rename(self, old: str, new: str) -> None:
        """A CV beside a geometric mean is a geometric one."""
        if old in self.reading.values:
            self.reading.values[new] = self.reading.values.pop(old)
            self.percents = [new if kind == old else kind for kind in self.percents]

    def _unit(self, row_unit: str) -> str:
        stated = dict.fromkeys(self.units)
        percent = [k for k in self.percents if k not in ("cv", "geometric_cv", "template")]
        if percent:
            if self.wanted.unit != "1":
                raise self.error(
                    f"% where {self.wanted.unit} is expected; a CV is written 'CV 20 %'"
                )
            stated["%"] = None
        elif "template" in self.percents and self.wanted.unit == "1":
            stated["%"] = None
        if len(stated) > 1:
            raise self.error(f"more than one unit: {', '.join(stated)}")
        unit = next(iter(stated), "")
        if unit and row_unit and unit != row_unit:
            raise self.error(f"the row's name says {row_unit}")
        return unit or row_unit

    def _relative(self, kind: str, value: float) -> float:
        """A CV as a fraction; papers print it in percent, with or without the sign."""
        if kind not in self.percents and "template" not in self.percents and value <= 1:
            return value
        return value / 100


def unit_factor(unit: str, wanted: Quantity, where: str, text: str) -> float:
    """By what to multiply values in `unit` to have them in the quantity's.

    Raises
    ------
    UnitError
        A unit that is not known, or of another dimension.
    """
    try:
        return quantity(
            f"1 {unit}", wanted.unit, where, molar_mass=wanted.molar_mass, positive=True
        )
    except InputError:
        raise UnitError(
            where, text, f"a value in {wanted.unit} or a unit that converts to it; not {unit!r}"
        ) from None


def statistics_of_mapping(
    values: Mapping[Any, Any], wanted: Quantity, where: str
) -> dict[str, float]:
    """Statistics that are given one by one, such as ``{"mean": 34, "sd": 8}``.

    Parameters
    ----------
    values : mapping
        Name of the statistic (:data:`STATISTICS`) -> number in the quantity's unit, text with a
        unit, or (low, high) for "range" and "iqr".
    wanted : Quantity
        Whose they are.
    where : str
        Name of the field, for errors.

    Raises
    ------
    InputError
        An unknown statistic, or a value that is no number.
    """
    out: dict[str, float] = {}
    for key, value in values.items():
        label = _LABELS.get(tuple(str(key).lower().replace("_", " ").split()))
        kind = str(key).lower() if str(key).lower() in STATISTICS else label
        if kind is None or kind == "n":
            raise InputError(f"{where}.{key}", value, f"one of {', '.join(STATISTICS)}")
        if kind in _PAIRS:
            if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != 2:
                raise InputError(f"{where}.{key}", value, "a pair (low, high)")
            for name, end in zip(_PAIRS[kind], value, strict=True):
                out[name] = _number(end, wanted, f"{where}.{key}")
        elif kind in ("cv", "geometric_cv"):
            out[kind] = quantity(value, "1", f"{where}.{key}", minimum=0)
        else:
            out[kind] = _number(value, wanted, f"{where}.{key}")
    return out


def _number(value: Any, wanted: Quantity, where: str) -> float:
    return quantity(value, wanted.unit, where, molar_mass=wanted.molar_mass, minimum=0)


__all__ = [
    "STATISTICS",
    "read_share",
    "read_statistics",
    "split_labels",
    "statistics_of_mapping",
    "tokens",
    "unit_factor",
]
