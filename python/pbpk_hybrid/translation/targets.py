"""Targets of exposure as text, ``"AUC 10 mg*h/L"`` or ``"fCmax 0.5 uM"``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .._core.errors import InputError, unknown_name
from .._core.units import quantity

#: metric -> (unit, words)
METRICS = {
    "auc": ("mg*h/L", "AUC of a dose (to infinity, or of an interval at steady state)"),
    "cmax": ("mg/L", "largest concentration"),
    "cavg": ("mg/L", "average concentration of an interval at steady state"),
    "ctrough": ("mg/L", "concentration at the end of an interval at steady state"),
}
_ALIASES = {"auctau": "auc", "peak": "cmax", "average": "cavg", "trough": "ctrough"}
#: those that need an interval
STEADY = ("cavg", "ctrough")
_TEXT = re.compile(
    r"^\s*(?:(?P<word>free|total)\s+)?(?P<metric>[A-Za-z]+\d*)\s*(?:>=|=|at least)?\s*"
    r"(?P<value>[\d.].*)$",
    re.IGNORECASE,
)
_EXAMPLE = '"AUC 10 mg*h/L", "Cmax 0.5 mg/L", "free Cavg 30 nM" or "Ctrough 0.1 mg/L"'


@dataclass(frozen=True)
class ExposureTarget:
    """One metric and the value that is wanted.

    Parameters
    ----------
    metric : str
        One of :data:`METRICS`.
    value : float
        In the metric's unit.
    free : bool
        Of the unbound drug.
    """

    metric: str
    value: float
    free: bool

    @property
    def unit(self) -> str:
        """Of the value."""
        return METRICS[self.metric][0]

    def per_mg(self, exposure: Mapping[str, np.ndarray], free: np.ndarray) -> np.ndarray:
        """(n_people,) the metric per mg of dose."""
        return exposure[self.metric] * (free if self.free else 1.0)

    def __str__(self) -> str:
        return f"{'free ' if self.free else ''}{self.metric.upper()} {self.value:.4g} {self.unit}"


def parse_target(text: str, molar_mass: float | None, interval: float | None) -> ExposureTarget:
    """Read a target of exposure.

    Parameters
    ----------
    text : str
        See the module.
    molar_mass : float or None, g/mol
        For molar units.
    interval : float or None, h
        Between doses; None: one dose.

    Returns
    -------
    ExposureTarget

    Raises
    ------
    InputError, UnitError, UnknownNameError
        Names what is wrong.
    """
    found = _TEXT.match(text) if isinstance(text, str) else None
    if found is None:
        raise InputError("target_exposure", text, _EXAMPLE)
    name, free = found["metric"].lower(), (found["word"] or "").lower() == "free"
    known = (*METRICS, *_ALIASES, "auc24")
    if name not in known and name.startswith("f") and name[1:] in known:
        name, free = name[1:], True
    if name == "auc24":
        if interval is None:
            raise InputError(
                "target_exposure", text, "AUC of a single dose", hint="AUC24 needs interval="
            )
        value = quantity(found["value"], "mg*h/L", "target_exposure", molar_mass=molar_mass)
        return ExposureTarget("cavg", value / 24.0, free)
    name = _ALIASES.get(name, name)
    if name not in METRICS:
        raise unknown_name("target_exposure", found["metric"], METRICS, what="a metric")
    if name in STEADY and interval is None:
        raise InputError(
            "target_exposure", text, "AUC or Cmax of a single dose", hint="give interval= [h]"
        )
    unit = METRICS[name][0]
    value = quantity(found["value"], unit, "target_exposure", molar_mass=molar_mass, positive=True)
    return ExposureTarget(name, value, free)
