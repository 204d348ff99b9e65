"""A table of people, from any form in which it comes, as conditions on a population."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..._core.errors import FileFormatError, InputError, NoEffectWarning
from ..._core.table_files import canonical, is_missing, read_table
from ..._core.units import quantity
from .criteria import Criterion
from .printed import (
    STATISTICS,
    read_share,
    read_statistics,
    split_labels,
    statistics_of_mapping,
    tokens,
    unit_factor,
)
from .quantities import GROUPS, QUANTITIES, SHARES, Columns, known_name, unknown_row

#: rows of a table; more are no demographics
MOST_ROWS = 200
_HARD = ("min", "max")
_LARGEST = 1e5  # far above every quantity of a person


@dataclass(frozen=True)
class Statistic:
    """One number of a table.

    Parameters
    ----------
    quantity : str
        A quantity, a share, or a criterion of which a share is asked.
    kind : str
        "mean", "sd", "geometric_mean", "geometric_sd" (of the logarithm), "quantile", "min", "max"
        or "share".
    value : float
        In the quantity's unit.
    probability : float
        Of a quantile.
    group : str
        "male" or "female" where the row is about one sex, "" for all.
    """

    quantity: str
    kind: str
    value: float
    probability: float = np.nan
    group: str = ""

    @property
    def label(self) -> str:
        """Such as "SD of body_weight, female"."""
        names = {"sd": "SD", "min": "smallest", "max": "largest", "geometric_sd": "geometric CV"}
        kind = names.get(self.kind, self.kind.replace("_", " "))
        if self.kind == "quantile":
            kind = "median" if self.probability == 0.5 else f"{100 * self.probability:g} % quantile"
        return f"{kind} of {self.quantity}" + (f", {self.group}" if self.group else "")

    @property
    def unit(self) -> str:
        """Unit of the value; "1" for a share."""
        if self.kind in ("share", "geometric_sd"):
            return "1"
        return QUANTITIES[self.quantity].unit

    def members(self, columns: Columns) -> np.ndarray:
        """(person,) bool, whom the row is about."""
        male = columns["male"]
        if not self.group:
            return np.ones(male.size, dtype=bool)
        return male == (self.group == "male")

    def values(self, columns: Columns) -> np.ndarray:
        """(person,) the quantity, or 1 and 0 for a share."""
        if self.kind != "share":
            return QUANTITIES[self.quantity].value(columns)
        if self.quantity in SHARES:
            return SHARES[self.quantity][1](columns).astype(float)
        return Criterion(self.quantity).holds(columns).astype(float)

    def of(self, columns: Columns) -> float:
        """What a population has; NaN where nobody belongs to the group."""
        values = self.values(columns)[self.members(columns)]
        if not values.size:
            return np.nan
        if self.kind in ("mean", "share"):
            return float(values.mean())
        if self.kind == "sd":
            return float(values.std(ddof=1)) if values.size > 1 else 0.0
        if self.kind == "geometric_mean":
            return float(np.exp(np.log(values).mean()))
        if self.kind == "geometric_sd":
            spread = np.log(values).var(ddof=1) if values.size > 1 else 0.0
            return float(np.sqrt(np.expm1(spread)))
        if self.kind == "quantile":
            return float(np.quantile(values, self.probability))
        return float(values.min() if self.kind == "min" else values.max())


@dataclass(frozen=True)
class Request:
    """All statistics of a table.

    Parameters
    ----------
    statistics : tuple of Statistic
        In the order of the table.
    """

    statistics: tuple[Statistic, ...]

    @property
    def balanced(self) -> tuple[Statistic, ...]:
        """Statistics that the tilt meets: all but the ends of ranges."""
        return tuple(s for s in self.statistics if s.kind not in _HARD)

    def within_ranges(self, columns: Columns, margin: float = 0.0) -> np.ndarray:
        """(person,) bool: inside all ranges; `margin` widens them, as a share of the value."""
        inside = np.ones(columns["male"].size, dtype=bool)
        for s in self.statistics:
            if s.kind not in _HARD:
                continue
            values, others = s.values(columns), ~s.members(columns)
            # a printed end is rounded: what prints as it is inside
            slack = 1e-9 + margin
            good = (
                values >= s.value * (1 - slack)
                if s.kind == "min"
                else values <= s.value * (1 + slack)
            )
            inside &= good | others
        return inside

    def to_json(self) -> str:
        """Text that :meth:`from_json` reads, for attributes."""
        return json.dumps([asdict(s) for s in self.statistics])

    @classmethod
    def from_json(cls, text: str) -> Request:
        """The request of a text of :meth:`to_json`."""
        return cls(tuple(Statistic(**row) for row in json.loads(text)))


def read_request(like: Any, field: str = "like") -> Request:
    """The statistics of a table.

    Parameters
    ----------
    like : mapping, DataFrame, path or text
        Name -> text, number, (low, high) or mapping of statistics; a DataFrame or CSV file with a
        column of names and one of texts, or one column for each statistic (mean, SD, min, ...); or
        the lines of a table, pasted.
    field : str
        Name of the argument, for errors.

    Returns
    -------
    Request

    Raises
    ------
    InputError
        A row that cannot be understood, names nothing, or says something twice.
    FileFormatError
        A file that is no table.

    Warns
    -----
    NoEffectWarning
        Rows of a file or of pasted text about what the survey does not hold.
    """
    strict_names = isinstance(like, Mapping)
    rows = list(_rows(like, field))
    if not rows:
        raise InputError(field, like, "a table with at least one row")
    if len(rows) > MOST_ROWS:
        raise InputError(field, f"{len(rows)} rows", f"at most {MOST_ROWS} rows")
    statistics: list[Statistic] = []
    ignored: list[str] = []
    for name, value in rows:
        try:
            statistics += _row(str(name), value, field)
        except _UnknownRowError as unknown:
            if strict_names:
                raise unknown_row(field, str(name)) from None
            ignored.append(unknown.name)
    if ignored:
        if not statistics:
            raise unknown_row(field, ignored[0])
        warnings.warn(
            f"{field}: rows that the survey knows nothing about were left out: "
            + ", ".join(ignored),
            NoEffectWarning,
            stacklevel=3,
        )
    _refuse_doubles(statistics, field)
    _refuse_spread_without_centre(statistics, field)
    return Request(tuple(_without_male_share(statistics)))


class _UnknownRowError(Exception):
    """A row of which the name is not known."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


# ---- forms of a table ---------------------------------------------------------------------------
def _rows(like: Any, field: str) -> Iterable[tuple[str, Any]]:
    """(name, value) of every row."""
    if isinstance(like, Mapping):
        return list(like.items())
    if isinstance(like, str) and ("\n" in like or not _is_path(like)):
        return _pasted(like, field)
    if isinstance(like, (str, os.PathLike)) or hasattr(like, "columns"):
        return _of_table(like, field)
    raise InputError(
        field,
        type(like).__name__,
        "a mapping, a DataFrame, a path of a CSV file, or the text of a table",
    )


def _is_path(text: str) -> bool:
    return text.lower().endswith((".csv", ".tsv", ".txt", ".csv.gz")) or Path(text).exists()


def _pasted(text: str, field: str) -> list[tuple[str, str]]:
    """Rows of pasted text: name and value, separated by a tab, "|", two blanks, ":" or "="."""
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        plain = line.strip().strip("|").strip()
        if not plain or re.fullmatch(r"[-=+|:\s]+", plain):
            continue
        parts = re.split(r"\s*\t\s*|\s*\|\s*|\s{2,}", plain, maxsplit=1)
        if len(parts) < 2:
            parts = re.split(r"\s*[:=]\s*", plain, maxsplit=1)
        if len(parts) < 2:
            found = re.match(r"(.*?[A-Za-z)\]%])\s+([-+<>≤≥]?\s*\d.*)", plain)
            parts = [found[1], found[2]] if found else parts
        if len(parts) < 2:
            raise InputError(
                f"{field}, line {number}", line, "a name and a value, such as 'Age: 34 ± 8 years'"
            )
        if "\t" in parts[1] or "|" in parts[1]:
            raise InputError(
                f"{field}, line {number}", line, "one value", hint="leave one column of the table"
            )
        if not re.search(r"\d", parts[1]):
            continue  # the line of names
        rows.append((parts[0], parts[1]))
    return rows


def _of_table(source: Any, field: str) -> list[tuple[str, Any]]:
    """Rows of a CSV file or DataFrame: one column of texts, or one for each statistic."""
    table = read_table(source)
    if len(table.header) < 2:
        raise FileFormatError(
            f"{field}, columns", table.header, "a column of names and one of values"
        )
    names, others = table.header[0], table.header[1:]
    units = next((h for h in others if canonical(h) in ("UNIT", "UNITS")), None)
    values = [h for h in others if h != units]
    kinds = {h: _kind_of_column(h) for h in values}
    if len(values) > 1 and not all(kinds.values()):
        strangers = [h for h, kind in kinds.items() if kind is None]
        raise FileFormatError(
            f"{field}, columns",
            strangers,
            "one column of values, or columns named by statistics: " + ", ".join(STATISTICS),
            hint="leave the column of one group of the study",
        )
    rows: list[tuple[str, Any]] = []
    for i in range(len(table)):
        name = table.text[names][i]
        unit = table.text[units][i] if units else ""
        name = f"{name} [{unit}]" if unit and not is_missing(unit) else name
        cells = {h: table.text[h][i] for h in values if not is_missing(table.text[h][i])}
        if not cells:
            continue
        if len(values) == 1 and kinds[values[0]] is None:
            rows.append((name, cells[values[0]]))
        else:
            rows.append((name, {str(kinds[h]): text for h, text in cells.items()}))
    return rows


def _kind_of_column(header: str) -> str | None:
    plain = header.strip().lower().replace(" ", "_").rstrip(".")
    spellings = {"minimum": "min", "maximum": "max", "q1": "q25", "q3": "q75", "std": "sd"}
    kind = spellings.get(plain, plain)
    if kind in ("share", "percent", "%", "fraction"):
        return "share"
    return kind if kind in STATISTICS else None


# ---- one row ------------------------------------------------------------------------------------
def _row(name: str, value: Any, field: str) -> list[Statistic]:
    where = f"{field}[{name!r}]"
    known, group, template, unit = _name_of_row(name, where)
    if known in SHARES:
        if group:
            raise InputError(where, value, "a share of all people, not of one sex")
        share = _share(value, where)
        return [Statistic(known, "share", share)]
    if known == "":
        return [Statistic(Criterion(name).text, "share", _share(value, where))]
    wanted = QUANTITIES[known]
    if isinstance(value, Mapping):
        cells = {k: f"{v} {unit}" if unit and _bare(k, v) else v for k, v in value.items()}
        values = statistics_of_mapping({k: _as_number(v) for k, v in cells.items()}, wanted, where)
    elif isinstance(value, str):
        values = read_statistics(value, wanted, where, template, unit)
    elif isinstance(value, (tuple, list, np.ndarray)):
        values = statistics_of_mapping({"range": value}, wanted, where)
    else:
        raise InputError(
            where,
            value,
            f"text such as 'mean {value}', a pair (low, high), or a mapping of statistics",
        )
    return _statistics(known, values, group, where, value)


def _bare(kind: Any, value: Any) -> bool:
    """Whether a cell is a number that takes the row's unit."""
    return str(kind) not in ("cv", "geometric_cv") and bool(
        re.fullmatch(r"\s*[\d.]+\s*", str(value))
    )


def _as_number(value: Any) -> Any:
    text = str(value).strip()
    return float(text) if re.fullmatch(r"\d+(\.\d*)?|\.\d+", text) else value


def _share(value: Any, where: str) -> float:
    if isinstance(value, Mapping) and len(value) == 1:
        value = next(iter(value.values()))
    if isinstance(value, str):
        return read_share(value, where)
    return quantity(value, "1", where, minimum=0, maximum=1)


def _name_of_row(name: str, where: str) -> tuple[str, str, tuple[str, ...], str]:
    """Quantity or share ("" for a criterion), group, template of statistics, unit.

    "Weight (kg), mean ± SD, women" -> body_weight, female, (mean, sd), kg.
    """
    if re.search(r"[<>=]", name):
        return "", "", (), ""
    plain = known_name(name)
    if plain:
        return plain, "", (), ""
    head, *rest = [p.strip() for p in re.split(r"[,;:()\[\]]|\bin\b", name) if p.strip()] or [""]
    group = ""
    labels, unit, _ = split_labels(tokens(head.replace("-", " "), where), where, head)
    words = head.lower().split()
    known = known_name(head)
    if known is None:
        kept = [w for w in words if w not in GROUPS and w not in ("of", "in")]
        groups = [w for w in words if w in GROUPS]
        bare = " ".join(w for w in kept if w not in _STATISTIC_WORDS)
        known = known_name(bare) or known_name(" ".join(kept))
        if known is None:
            raise _UnknownRowError(name)
        if groups:
            group = "male" if GROUPS[groups[0]] else "female"
    template = list(labels)
    unit = ""
    for part in rest:
        if part.lower() in GROUPS:
            group = "male" if GROUPS[part.lower()] else "female"
            continue
        found, words_left, _ = split_labels(tokens(part, where), where, part)
        template += found
        if not found:
            unit = part if part == "%" or not words_left else words_left
    kinds = tuple(k for k in template if k not in ("n", "percent"))
    return known, group, kinds, _unit(unit, known, where, name)


_STATISTIC_WORDS = frozenset(
    ("mean", "median", "sd", "average", "range", "iqr", "±", "n", "%", "geometric")
)


#: what stands in brackets beside a quantity and is no unit
_REMARKS = frozenset(
    ("baseline", "at baseline", "all", "total", "subjects", "patients", "participants", "screening")
)


def _unit(text: str, known: str, where: str, name: str) -> str:
    """The unit of a row's name; "" where there is none.

    Raises
    ------
    UnitError
        What stands in brackets is neither a unit of the quantity nor a usual remark.
    """
    if not text or known in SHARES or text.lower() in _REMARKS:
        return ""
    unit_factor(text, QUANTITIES[known], where, name)
    return text


def _statistics(
    known: str, values: dict[str, float], group: str, where: str, given: Any
) -> list[Statistic]:
    """Statistics of a row; CVs become SDs."""
    out: list[Statistic] = []
    for kind, value in values.items():
        if not np.isfinite(value) or value < 0:
            raise InputError(where, given, "numbers of zero or more")
        if kind not in _HARD and not 0 < value < _LARGEST:
            raise InputError(
                where, given, f"a {kind.replace('_', ' ')} above zero that people have"
            )
        if kind == "cv":
            if "mean" not in values:
                raise InputError(where, given, "a mean beside the CV")
            if "sd" in values:
                raise InputError(where, given, "an SD or a CV, not both")
            out.append(Statistic(known, "sd", value * values["mean"], group=group))
        elif kind == "geometric_cv":
            out.append(Statistic(known, "geometric_sd", value, group=group))
        elif kind == "median":
            out.append(Statistic(known, "quantile", value, 0.5, group))
        elif kind[0] == "q" and kind[1:].replace(".", "").isdigit():
            out.append(Statistic(known, "quantile", value, float(kind[1:]) / 100, group))
        else:
            out.append(Statistic(known, kind, value, group=group))
    _refuse_disorder(out, where, given)
    return out


def _refuse_disorder(statistics: Sequence[Statistic], where: str, given: Any) -> None:
    """Quantiles and ends must rise; printed ones that do not are a misprint.

    Raises
    ------
    InputError
        A quantile below a lower one, or a smallest value above a largest.
    """
    place = {"min": 0.0, "max": 1.0}
    ordered = sorted(
        (place.get(s.kind, s.probability), s.value, s.label)
        for s in statistics
        if s.kind in ("min", "max", "quantile")
    )
    for (_, low, low_label), (_, high, high_label) in pairwise(ordered):
        if low > high:
            raise InputError(where, given, "values that rise", hint=f"{low_label} > {high_label}")


def _refuse_doubles(statistics: Sequence[Statistic], field: str) -> None:
    seen: dict[tuple[str, str, float, str], Statistic] = {}
    for s in statistics:
        probability = s.probability if s.kind == "quantile" else -1.0
        key = (s.quantity, s.kind, probability, s.group)
        if key in seen:
            raise InputError(field, [seen[key].value, s.value], f"one value for the {s.label}")
        seen[key] = s


def _refuse_spread_without_centre(statistics: Sequence[Statistic], field: str) -> None:
    have = {(s.quantity, s.group, s.kind) for s in statistics}
    for s in statistics:
        if s.kind == "sd" and (s.quantity, s.group, "mean") not in have:
            raise InputError(field, s.value, f"a mean of {s.quantity} beside its SD")
        if s.kind == "geometric_sd" and (s.quantity, s.group, "geometric_mean") not in have:
            raise InputError(field, s.value, f"a geometric mean of {s.quantity} beside its CV")


def _without_male_share(statistics: list[Statistic]) -> list[Statistic]:
    """The share of men as that of women.

    Raises
    ------
    InputError
        Both are given and do not add to 1.
    """
    women = [s for s in statistics if s.quantity == "female"]
    men = [s for s in statistics if s.quantity == "male" and s.kind == "share"]
    if women and men and abs(women[0].value + men[0].value - 1) > 0.011:
        raise InputError("like", [women[0].value, men[0].value], "shares of women and men that add")
    out = [s for s in statistics if s not in men]
    if men and not women:
        out.insert(statistics.index(men[0]), Statistic("female", "share", 1 - men[0].value))
    return out


__all__ = ["Request", "Statistic", "read_request"]
