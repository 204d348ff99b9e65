"""Why a subject's numbers deserve a second look: a bit mask and its meaning in words."""

from __future__ import annotations

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
}

#: flags that put a number in doubt; the others tell of ordinary steps of the method
DOUBTS = ~(Flag.START_INSERTED)


def describe(mask: int) -> str:
    """The reasons of one subject, separated by semicolons; empty where there is none."""
    return "; ".join(WORDS[f] for f in Flag if int(mask) & f)


def flag_variables(mask: np.ndarray) -> dict[str, xr.Variable]:
    """``flags`` (CF flag_masks) and ``flag_reasons`` (text), over subject."""
    kinds, where = np.unique(mask, return_inverse=True)
    words = np.array([describe(int(k)) for k in kinds], dtype=str)
    attrs = {
        "units": "1",
        "long_name": "flags of the analysis",
        "flag_masks": np.array([f.value for f in Flag], dtype=np.int32),
        "flag_meanings": " ".join(f.name.lower() for f in Flag),
    }
    return {
        "flags": xr.Variable("subject", mask.astype(np.int32), attrs),
        "flag_reasons": xr.Variable(
            "subject", words[where], {"units": "", "long_name": "flags in words"}
        ),
    }
