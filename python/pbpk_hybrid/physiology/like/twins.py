"""Virtual twins: people of whom some is measured, completed by what others like them have.

What is known of a person is kept exactly. What is missing comes from a donor: one of the survey's
people of the same sex, drawn by survey weight times a normal kernel of the distance in what is
known. The donor's values are moved along the linear regression, among the nearest people, of what
is missing on what is known (as in Beaumont et al. 2002, Genetics 162:2025), so that a twin is not
pulled towards the middle of the survey. Several imputations of a person have other donors and
other organs: their spread says what is not known.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from ..._core.columns import ALIASES, SEXES
from ..._core.errors import InputError, NoEffectWarning, OutOfRangeWarning, unknown_name
from ..._core.random import generator
from ..adults import regressions as r
from ..adults.population import complete_columns
from ..adults.selection import ethnicities
from ..adults.survey import ADULT_AGE
from ..adults.variability import GFR_SD_LN
from ..dataset import body_surface_area, build
from ..individual import HUMAN_AGE, HUMAN_BMI, HUMAN_HEIGHT, HUMAN_WEIGHT
from .candidates import adult_pool
from .quantities import QUANTITIES, known_name

NEAREST = 1000  #: people among whom donors are drawn and the regression is fitted
BANDWIDTH = 1.0  #: of the kernel, in units of the distance of the 200th nearest
_NEAR = 200
_FARTHEST = 2.0  # standard deviations: with nobody nearer, a warning says so
MOST_TWINS = 100_000
#: quantities that may be known, with the range in which they make sense
_RANGES = {
    "age": HUMAN_AGE,
    "body_weight": HUMAN_WEIGHT,
    "height": HUMAN_HEIGHT,
    "bmi": HUMAN_BMI,
    "hematocrit": (0.1, 0.7),
    "serum_creatinine": (0.1, 30.0),
    "creatinine_clearance": (1.0, 400.0),
    "gfr": (0.05, 30.0),
    "egfr": (1.0, 300.0),
}


@dataclass(frozen=True)
class Known:
    """What is known of some people; NaN and "" where nothing is.

    Parameters
    ----------
    label : ndarray
        (person,) names.
    values : dict
        Quantity -> (person,).
    sex, ethnicity : ndarray
        (person,) text.
    """

    label: np.ndarray
    values: dict[str, np.ndarray]
    sex: np.ndarray
    ethnicity: np.ndarray

    @property
    def size(self) -> int:
        """Number of people."""
        return int(self.label.size)


def virtual_twins(
    people: Any,
    *,
    seed: int | np.random.Generator | None,
    imputations: int = 1,
    sex_codes: Mapping[Any, str] | None = None,
) -> xr.Dataset:
    """A virtual twin of each person of a table, or several.

    Parameters
    ----------
    people : DataFrame or Dataset
        A row for each adult: any of age [year], weight [kg], height [cm], bmi, hematocrit [1],
        serum creatinine [mg/dL], creatinine clearance [mL/min], egfr, gfr [L/h], sex, ethnicity;
        missing values allowed. Or the ``covariates`` of ``read_nonmem``.
    seed : int, Generator or None
        Of the imputations and organs.
    imputations : int
        Twins of each person.
    sex_codes : mapping, optional
        What numbers in the column of sexes mean, such as ``{0: "male", 1: "female"}``.

    Returns
    -------
    Dataset
        Physiology; variables ``twin_of`` (the person's label) and ``imputation``.

    Raises
    ------
    InputError
        No known column, a value out of range, numbers for sexes without their meaning, a person
        whom no body fits; names the person.

    Warns
    -----
    NoEffectWarning
        Columns that say nothing about a body.
    OutOfRangeWarning
        People who are unlike everybody of the survey.
    """
    k = imputations
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise InputError("imputations", k, "a whole number >= 1")
    rng, seed = generator(seed)
    known = read_people(people, sex_codes)
    if known.size * k > MOST_TWINS:
        raise InputError("imputations", k, f"at most {MOST_TWINS} twins in all")
    row = np.repeat(np.arange(known.size), k)
    columns = _imputed(rng, known, row)
    bmi = columns["body_weight"] / (columns["height"] / 100) ** 2
    outside = (bmi < HUMAN_BMI[0]) | (bmi > HUMAN_BMI[1])
    if outside.any():
        i = int(np.argmax(outside))
        raise InputError(
            "people",
            float(bmi[i]),
            f"a body mass index of {HUMAN_BMI[0]:g} to {HUMAN_BMI[1]:g} kg/m^2",
            subject=known.label[row[i]],
        )
    data, missing = complete_columns(rng, columns)
    if missing.size:
        raise InputError(
            "people",
            {n: float(columns[n][missing[0]]) for n in ("age", "body_weight", "height")},
            "a weight and height that leave room for organs and muscle",
            subject=known.label[row[missing[0]]],
        )
    mass, flow = data.pop("mass"), data.pop("blood_flow")
    person = data.pop("person")
    data["nhanes_person"] = (person, "1", "NHANES sequence number of the donor")
    data["twin_of"] = (known.label[row], "", "person whose twin this is")
    data["imputation"] = (np.tile(np.arange(k), known.size), "1", "number of the imputation")
    attrs = {
        "method": "virtual twins: known measurements kept, others from people of NHANES who are "
        "near, organs by regression and variability",
        "seed": seed,
        "imputations": int(k),
        "sources": "NHANES 2013-2018 (CDC/NCHS) via httk; ICRP 89; McNally et al. 2014; "
        "Beaumont et al. 2002 (regression adjustment)",
    }
    return build(mass, flow, "human", data, attrs)


def is_people(like: Any) -> bool:
    """Whether something is a table with a row for each person, rather than for each quantity."""
    if isinstance(like, xr.Dataset):
        return True
    if not hasattr(like, "columns"):
        return False
    return any(known_name(str(name)) in _RANGES for name in like.columns)


def read_people(people: Any, sex_codes: Mapping[Any, str] | None = None) -> Known:
    """What a table says of each person; see :func:`virtual_twins`."""
    columns, label = _columns(people)
    values: dict[str, np.ndarray] = {}
    sex = ethnicity = np.full(label.size, "", dtype=object)
    ignored = []
    for name, column in columns.items():
        known = known_name(name)
        if name.lower() in ("sex", "gender"):
            sex = _sexes(column, sex_codes, label)
        elif name.lower() in ("ethnicity", "race"):
            ethnicity = _ethnicities(column)
        elif known in _RANGES:
            if known in values:
                raise InputError("people", name, f"one column of {known}")
            values[known] = _numbers(name, column, *_RANGES[known], label)
        else:
            ignored.append(name)
    if not values:
        raise InputError("people", list(columns), f"a column of {', '.join(_RANGES)}")
    if ignored:
        warnings.warn(
            f"people: columns that say nothing about a body were left out: {', '.join(ignored)}",
            NoEffectWarning,
            stacklevel=3,
        )
    _refuse_overdetermined(values, label)
    return Known(label, values, sex, ethnicity)


def _columns(people: Any) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Columns by name, without that of labels, and the labels."""
    if isinstance(people, xr.Dataset):
        if "subject" not in people.dims:
            raise InputError("people", list(people.dims), "a Dataset over subject")
        label = np.asarray(people["subject"].values if "subject" in people.coords else [])
        names = [str(v) for v in people.data_vars if people[v].dims == ("subject",)]
        return {n: np.asarray(people[n].values) for n in names}, label
    if not hasattr(people, "columns"):
        raise InputError("people", type(people).__name__, "a DataFrame or a Dataset over subject")
    columns = {str(name): np.asarray(people[name]) for name in people.columns}
    ids = [name for name in columns if name.upper() in ALIASES["ID"]]
    n = len(next(iter(columns.values()), ()))
    if not n:
        raise InputError("people", "no rows", "at least one person")
    label = columns.pop(ids[0]) if ids else np.asarray(getattr(people, "index", np.arange(n)))
    return columns, np.asarray(label)


def _numbers(
    name: str, column: np.ndarray, low: float, high: float, label: np.ndarray
) -> np.ndarray:
    """A column as numbers, NaN where missing.

    Raises
    ------
    InputError
        Text, or a number out of range.
    """
    out = np.full(column.size, np.nan)
    for i, value in enumerate(column.tolist()):
        if value is None or value != value or (isinstance(value, str) and value in ("", ".", "NA")):
            continue
        try:
            out[i] = float(value)
        except (TypeError, ValueError):
            raise InputError(name, value, "a number, or nothing", subject=label[i]) from None
        if not low <= out[i] <= high:
            raise InputError(name, value, f"{low:g} to {high:g}", subject=label[i])
    return out


def _sexes(column: np.ndarray, codes: Mapping[Any, str] | None, label: np.ndarray) -> np.ndarray:
    out = np.full(column.size, "", dtype=object)
    for i, value in enumerate(column.tolist()):
        if value is None or value != value or value == "":
            continue
        if codes is not None and value in codes:
            value = codes[value]
        if not isinstance(value, str):
            raise InputError(
                "sex",
                value,
                "'male' or 'female'",
                subject=label[i],
                hint="say what the numbers mean: sex_codes={0: 'male', 1: 'female'}",
            )
        if value.lower() not in SEXES:
            raise unknown_name("sex", value, tuple(SEXES))
        out[i] = SEXES[value.lower()]
    return out


def _ethnicities(column: np.ndarray) -> np.ndarray:
    out = np.full(column.size, "", dtype=object)
    for i, value in enumerate(column.tolist()):
        if isinstance(value, str) and value:
            out[i] = ethnicities(value)[0]
    return out


def _refuse_overdetermined(values: Mapping[str, np.ndarray], label: np.ndarray) -> None:
    """
    Raises
    ------
    InputError
        A BMI that is not that of weight and height, or two measures of filtration.
    """
    if {"bmi", "body_weight", "height"} <= values.keys():
        bmi = values["body_weight"] / (values["height"] / 100) ** 2
        off = np.abs(values["bmi"] / bmi - 1) > 0.02
        if off.any():
            i = int(np.argmax(off))
            raise InputError(
                "bmi",
                float(values["bmi"][i]),
                f"{bmi[i]:.4g} kg/m^2, by weight and height",
                subject=label[i],
            )
    for pair in (("gfr", "egfr"), ("serum_creatinine", "creatinine_clearance")):
        if set(pair) <= values.keys():
            both = np.isfinite(values[pair[0]]) & np.isfinite(values[pair[1]])
            if both.any():
                raise InputError("people", list(pair), f"either {pair[0]} or {pair[1]} of a person")


# ---- donors -------------------------------------------------------------------------------------
_SCORES = ("age", "body_weight", "height", "serum_creatinine", "hematocrit")
_LOG = ("body_weight", "serum_creatinine")


def _imputed(rng: np.random.Generator, known: Known, row: np.ndarray) -> dict[str, np.ndarray]:
    """Columns (twin,) for :func:`complete_columns`."""
    pool = adult_pool()
    parents = pool.parents(rng, scatter=True)
    feature = {name: _transformed(name, QUANTITIES[name].value(parents)) for name in _RANGES}
    spread = {name: values.std() for name, values in feature.items()}
    weight = pool.survey.weight[parents["row"]]
    out = {name: np.empty(row.size) for name in (*_SCORES, "gfr")}
    male = np.empty(row.size, dtype=bool)
    race = np.empty(row.size, dtype=parents["ethnicity"].dtype)
    person = np.empty(row.size, dtype=int)
    strangers = []
    for i in range(known.size):
        twins = np.flatnonzero(row == i)
        eligible = _eligible(parents, known.sex[i], known.ethnicity[i])
        told = [n for n, v in known.values.items() if np.isfinite(v[i])]
        target = np.array([_transformed(n, known.values[n][i : i + 1])[0] for n in told])
        x = np.column_stack([feature[n][eligible] for n in told]) if told else None
        scale = np.array([spread[n] for n in told])
        near, chance, distance = _nearest(x, target, scale, weight[eligible])
        if distance > _FARTHEST:
            strangers.append(known.label[i])
        donor = eligible[near[rng.choice(near.size, twins.size, p=chance)]]
        among = eligible[near]
        shift = _regression(feature, told, among, chance, target, donor)
        for name in _SCORES:
            values = feature[name][donor] + shift[name]
            out[name][twins] = np.exp(values) if name in _LOG else values
        male[twins], race[twins] = parents["male"][donor], parents["ethnicity"][donor]
        person[twins], out["gfr"][twins] = parents["person"][donor], parents["residual"][donor]
    columns = {**out, "male": male, "ethnicity": race, "person": person}
    if strangers:
        warnings.warn(
            f"people: nobody of the survey is near {len(strangers)} of them "
            f"({', '.join(map(str, strangers[:5]))}); their twins are extrapolated",
            OutOfRangeWarning,
            stacklevel=4,
        )
    return _consistent(columns, known, row)


def _transformed(name: str, values: np.ndarray) -> np.ndarray:
    positive = (*_LOG, "bmi", "creatinine_clearance", "gfr", "egfr")
    return np.log(values) if name in positive else values


def _eligible(parents: Mapping[str, np.ndarray], sex: str, ethnicity: str) -> np.ndarray:
    keep = np.ones(parents["male"].size, dtype=bool)
    if sex:
        keep &= parents["male"] == (sex == "male")
    if ethnicity:
        keep &= parents["ethnicity"] == ethnicity
    return np.flatnonzero(keep)


def _nearest(
    x: np.ndarray | None, target: np.ndarray, scale: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Numbers of the nearest people, their chances as donors, and the distance of the nearest."""
    if x is None:  # nothing is known: anybody, by survey weight
        near = np.arange(weight.size)
        return near, weight / weight.sum(), 0.0
    distance = np.sqrt(np.square((x - target) / scale).sum(axis=1))
    near = np.argsort(distance, kind="stable")[:NEAREST]
    width = max(BANDWIDTH * distance[near[min(_NEAR, near.size) - 1]], 1e-9)
    excess = np.square(distance[near] / width) - np.square(distance[near[0]] / width)
    chance = weight[near] * np.exp(-0.5 * np.minimum(excess, 700.0))
    return near, chance / chance.sum(), float(distance[near[0]])


def _regression(
    feature: Mapping[str, np.ndarray],
    told: list[str],
    among: np.ndarray,
    chance: np.ndarray,
    target: np.ndarray,
    donor: np.ndarray,
) -> dict[str, np.ndarray]:
    """How each score of the donors (twin,) moves when what is known becomes the person's own."""
    missing = [name for name in _SCORES if name not in told]
    shift = {name: np.zeros(donor.size) for name in _SCORES}
    if not told or not missing:
        return shift
    x = np.column_stack([feature[n][among] for n in told])
    y = np.column_stack([feature[n][among] for n in missing])
    # ridge: people who are alike in what is known say nothing about a slope
    w = chance + 0.1 / chance.size
    mean_x, mean_y = w @ x / w.sum(), w @ y / w.sum()
    dx, dy = x - mean_x, y - mean_y
    spread = np.maximum(np.sqrt(w @ np.square(dx) / w.sum()), 1e-9)
    dx = dx / spread
    gram = (dx * w[:, None]).T @ dx / w.sum() + 0.05 * np.eye(len(told))
    slope = np.linalg.solve(gram, (dx * w[:, None]).T @ dy / w.sum())  # (told, missing)
    own = np.column_stack([feature[n][donor] for n in told])
    moved = ((target - own) / spread) @ slope
    limit = 2.0 * dy.std(axis=0)
    for j, name in enumerate(missing):
        shift[name] = np.clip(moved[:, j], -limit[j], limit[j])
    return shift


def _consistent(
    columns: dict[str, np.ndarray], known: Known, row: np.ndarray
) -> dict[str, np.ndarray]:
    """Known values exactly, others rounded as the survey's and within the ranges of bodies."""
    columns["age"] = np.clip(np.round(columns["age"] * 12) / 12, ADULT_AGE, HUMAN_AGE[1])
    columns["body_weight"] = np.clip(np.round(columns["body_weight"], 1), *HUMAN_WEIGHT)
    columns["height"] = np.clip(np.round(columns["height"], 1), *HUMAN_HEIGHT)
    columns["hematocrit"] = np.clip(np.round(columns["hematocrit"] * 1000) / 10 / 100, 0.1, 0.7)
    columns["serum_creatinine"] = np.clip(np.round(columns["serum_creatinine"], 2), 0.1, 30.0)

    def told(name: str) -> np.ndarray:
        return known.values.get(name, np.full(known.size, np.nan))[row]

    for name in ("age", "body_weight", "height", "hematocrit", "serum_creatinine"):
        columns[name] = np.where(np.isfinite(told(name)), told(name), columns[name])
    squared = (columns["height"] / 100) ** 2
    by_height = np.isfinite(told("bmi")) & ~np.isfinite(told("body_weight"))
    columns["body_weight"] = np.where(by_height, told("bmi") * squared, columns["body_weight"])
    by_weight = np.isfinite(told("bmi") + told("body_weight")) & ~np.isfinite(told("height"))
    height = 100 * np.sqrt(columns["body_weight"] / np.where(by_weight, told("bmi"), 1.0))
    columns["height"] = np.where(by_weight, height, columns["height"])
    clearance = told("creatinine_clearance")
    factor = np.where(columns["male"], 1.0, 0.85) * (140 - columns["age"]) * columns["body_weight"]
    creatinine = factor / (72 * np.where(np.isfinite(clearance), clearance, 1.0))
    columns["serum_creatinine"] = np.where(
        np.isfinite(clearance), creatinine, columns["serum_creatinine"]
    )
    surface = body_surface_area(columns["body_weight"], columns["height"])
    estimate = r.ckd_epi_2021(columns["male"], columns["age"], columns["serum_creatinine"])
    # columns["gfr"] is the donor's residual until here
    gfr = estimate * np.exp(GFR_SD_LN * columns["gfr"]) * surface / 1.73 * 0.06
    gfr = np.where(np.isfinite(told("egfr")), told("egfr") * surface / 1.73 * 0.06, gfr)
    columns["gfr"] = np.where(np.isfinite(told("gfr")), told("gfr"), gfr)
    return columns


__all__ = ["is_people", "read_people", "virtual_twins"]
