"""The columns of observed concentrations, whatever collection they come from."""

from __future__ import annotations

from typing import Any

import numpy as np

#: name -> (unit, meaning); text where the unit is None. The first eight belong to the schema.
COLUMNS: dict[str, tuple[str | None, str]] = {
    "time": ("h", "time after the first dose"),
    "value": ("mg/L", "observed concentration"),
    "lloq": ("mg/L", "lower limit of quantification"),
    "censored": ("1", "1 where the value is below lloq"),
    "matrix": (None, "plasma, blood or serum"),
    "subject": (None, "subject label; 'mean' for a group mean"),
    "study": (None, "study"),
    "reference": (None, "bibliographic source"),
    "profile": (None, "label of the concentration-time profile the sample belongs to"),
    "collection": (None, "where the data were collected"),
    "compound": (None, "compound measured"),
    "species": (None, "species"),
    "route": (None, "iv_bolus, iv_infusion, iv (bolus or infusion, not said) or oral"),
    "dose": ("mg", "one dose; NaN where not reported or per body weight with no weight known"),
    "dose_per_body_weight": ("mg/kg", "one dose per body weight, where given so"),
    "body_weight": ("kg", "body weight"),
    "infusion_duration": ("h", "duration of the infusion; NaN where not reported, 0 for a bolus"),
    "dose_times": (None, "times of all doses [h], separated by ';'; empty where not reported"),
    "standard_deviation": ("mg/L", "standard deviation between people of a mean value"),
    "n_subjects": ("1", "number of people or animals behind a mean value"),
    "group": (None, "arm of the study as labelled in the source"),
    "interaction": (
        "1",
        "1 where another drug was given that may change the curve (judged from the label)",
    ),
    "special_population": (
        "1",
        "1 for children, old age, organ impairment or poor metabolisers (judged from the label)",
    ),
}
TEXT = tuple(k for k, (unit, _) in COLUMNS.items() if unit is None)
INTEGER = ("censored", "interaction", "special_population")


def record(**values: Any) -> dict[str, Any]:
    """One sample: `values`, and for the other columns empty text, 0 or NaN."""
    empty = {name: "" if name in TEXT else 0 if name in INTEGER else np.nan for name in COLUMNS}
    return empty | values


def text(value: Any) -> str:
    """A cell as text, "" where it is empty, NaN or "."."""
    stripped = "" if value is None or value != value else str(value).strip()
    return "" if stripped == "." else stripped
