"""The people of NHANES 2013-2018 from whom human populations are drawn.

The US National Health and Nutrition Examination Survey (CDC/NCHS, public domain), as prepared by httk: sex, ethnicity, age
in months, weight, height, serum creatinine, hematocrit and the six-year examination weight. Adults of 18 to 79 years with
all measurements: 12,713 people in the shipped file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .tables import rows

ETHNICITIES = ("Mexican American", "Non-Hispanic Black", "Non-Hispanic White", "Other", "Other Hispanic")
ADULT_AGE = 18.0  # year


@dataclass(frozen=True)
class Survey:
    """Columns of the survey, one entry per adult with all measurements."""

    person: np.ndarray  # NHANES sequence number
    male: np.ndarray  # bool
    age: np.ndarray  # year, from months
    body_weight: np.ndarray  # kg
    height: np.ndarray  # cm
    serum_creatinine: np.ndarray  # mg/dL
    hematocrit: np.ndarray  # fraction
    ethnicity: np.ndarray  # text
    weight: np.ndarray  # people of the US population this person stands for

    @property
    def body_mass_index(self) -> np.ndarray:
        return self.body_weight / (self.height / 100) ** 2


@lru_cache(maxsize=1)
def adults() -> Survey:
    """All adults with weight, height, creatinine and hematocrit measured."""
    table = rows("nhanes")

    def column(name: str) -> np.ndarray:
        return np.array([float(row[name]) if row[name] not in ("", "NA") else np.nan for row in table])

    months, creatinine, hematocrit = column("ridexagm"), column("lbxscr"), column("lbxhct")
    weight, height = column("bmxwt"), column("bmxhtlenavg")
    keep = months >= 12 * ADULT_AGE
    for values in (creatinine, hematocrit, weight, height):
        keep &= np.isfinite(values) & (values > 0)
    text = {name: np.array([row[name] for row in table])[keep] for name in ("riagendr", "ridreth1")}
    return Survey(
        person=column("seqn")[keep].astype(np.int64),
        male=text["riagendr"] == "Male",
        age=months[keep] / 12,
        body_weight=weight[keep],
        height=height[keep],
        serum_creatinine=creatinine[keep],
        hematocrit=hematocrit[keep] / 100,
        ethnicity=text["ridreth1"],
        weight=column("wtmec6yr")[keep],
    )
