"""Flags of the analysis: a bit mask for each subject, and its meaning in words."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntFlag

import numpy as np
import xarray as xr


class Flag(IntFlag):
    """Reasons; several can hold at once."""

    NO_DATA = 1
    ALL_BELOW_LLOQ = 2
    TOO_FEW_POINTS = 4
    NO_DECLINE = 8
    LOW_ADJ_R2 = 16
    SHORT_SPAN = 32
    HIGH_EXTRAPOLATION = 64
    START_INSERTED = 128
    C0_IS_FIRST_VALUE = 256
    SIMULATION_FAILED = 512
    NEGATIVE_VALUE = 1024
    DOSE_UNKNOWN = 2048
    TAU_EXTRAPOLATED = 4096
    FIRST_INTERVAL_LARGE = 8192
    INFUSION_END_MISSED = 16384
    NOT_STEADY_STATE = 32768
    UNEQUAL_DOSES = 65536
    SEVERAL_ROUTES = 131072
    DOSE_OFF_GRID = 262144
    OTHER_COMPOUND = 524288
    NOT_PLASMA = 1048576
    INTERVAL_UNKNOWN = 2097152


WORDS = {
    Flag.NO_DATA: "no sample",
    Flag.ALL_BELOW_LLOQ: "all samples below quantification",
    Flag.TOO_FEW_POINTS: "too few points for a terminal fit",
    Flag.NO_DECLINE: "no window of last points declines",
    Flag.LOW_ADJ_R2: "adjusted R2 of the terminal fit is low",
    Flag.SHORT_SPAN: "terminal window spans few half-lives",
    Flag.HIGH_EXTRAPOLATION: "much of AUC_inf is extrapolated",
    Flag.START_INSERTED: "value at the dose time inserted",
    Flag.C0_IS_FIRST_VALUE: "C0 taken as the first value, the first two do not decline",
    Flag.SIMULATION_FAILED: "simulation failed",
    Flag.NEGATIVE_VALUE: "negative value taken as below quantification",
    Flag.DOSE_UNKNOWN: "dose unknown",
    Flag.TAU_EXTRAPOLATED: "last part of the dosing interval extrapolated",
    Flag.FIRST_INTERVAL_LARGE: "much of AUC lies before the first sample after the dose",
    Flag.INFUSION_END_MISSED: "no sample near the end of the infusion, its peak is missed",
    Flag.NOT_STEADY_STATE: "not at steady state: no clearance from this interval",
    Flag.UNEQUAL_DOSES: "doses differ in amount, route or interval: no clearance",
    Flag.SEVERAL_ROUTES: "doses by several routes at once: no clearance",
    Flag.DOSE_OFF_GRID: "a dose lies between two times of the curve, its area is split by estimate",
    Flag.OTHER_COMPOUND: "no dose of this compound was given: no clearance",
    Flag.NOT_PLASMA: "not plasma or blood: no clearance",
    Flag.INTERVAL_UNKNOWN: "length of the dosing interval unknown: no AUC_tau, no clearance",
}

#: flags that put a number in doubt; the others report ordinary steps of the method
DOUBTS = ~(Flag.START_INSERTED)


def describe(mask: int) -> str:
    """The reasons of one subject, separated by semicolons; empty where there is none."""
    return "; ".join(WORDS[f] for f in Flag if int(mask) & f)


def flag_mask(n: int, reasons: Mapping[Flag, np.ndarray]) -> np.ndarray:
    """Bit mask (n,) of the reasons, each an array (n,) of bool."""
    mask = np.zeros(n, dtype=np.int32)
    for flag, where in reasons.items():
        mask[where] |= flag.value
    return mask


def flag_variables(
    mask: np.ndarray, dims: tuple[str, ...] = ("subject",)
) -> dict[str, xr.Variable]:
    """``flags`` (CF flag_masks) and ``flag_reasons`` (text).

    Over subject, and with several doses over interval too.
    """
    kinds, where = np.unique(mask, return_inverse=True)
    words = np.array([describe(int(k)) for k in kinds], dtype=str)
    attrs = {
        "units": "1",
        "long_name": "flags of the analysis",
        "flag_masks": np.array([f.value for f in Flag], dtype=np.int32),
        "flag_meanings": " ".join(f.name.lower() for f in Flag),
    }
    return {
        "flags": xr.Variable(dims, mask.astype(np.int32), attrs),
        "flag_reasons": xr.Variable(
            dims, words[where].reshape(mask.shape), {"units": "", "long_name": "flags in words"}
        ),
    }
