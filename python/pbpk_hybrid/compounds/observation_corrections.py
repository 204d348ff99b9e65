"""What the Open Systems Pharmacology collection says elsewhere about its own profiles,
and its slips.

Only what the source itself shows is used: another row of the same study, a protocol of
the model that a profile belongs to, or a curve that contradicts its label. Every
correction leaves a note in the column ``group``.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

#: (label, right label, why), by data set
DOSE = {
    "Bovill 1984 - mean - Sufentanil - IV - 5 mg/kg - Plasma - agg. (n=10)": (
        "5 mg/kg",
        "5 µg/kg",
        "dose corrected from 5 mg/kg, which would be 7 L of the 50 µg/mL solution (Bovill "
        "et al. 1984: 5 µg/kg)",
    ),
}
_RODIN = (
    "S0-T12-26",
    "S0-T12-R28",
    "28 doses as in the urine rows of the study; with 26 the last one would be 12 h before "
    "a curve that rises at once",
)
_HASSAN_ALIN = (
    "",
    "S0-T24-R5",
    "day 1 and day 5 of once daily doses in one profile (Hassan-Alin et al. (2005) Eur J "
    "Clin Pharmacol 60:779: single and repeated doses); the curve rises again at 96 h",
)
TIMES = {
    "Rodin 1988 - 2x0.25mg po md - Digoxin - PO - 0.25 mg - Plasma - agg. (n=10)": _RODIN,
    "Rodin 1988 - 2x0.25mg po md - Digoxin - PO - 0.25 mg - Plasma - agg. (n=9)": _RODIN,
    "Hassan-Alin2005.Omeprazole.20mg.po": _HASSAN_ALIN,
    "Hassan-Alin2005.Omeprazole.40mg.po": _HASSAN_ALIN,
}

#: share of base in a dose that is labelled as salt
SALT = {
    # 454.61/491.07; the model's protocols give 2 x 4.628836 mg of base for "10 mg"
    "verapamil": (
        0.9257672,
        "dose given as hydrochloride; base 0.926 of it, as in the model's protocols",
    ),
}

DURATIONS = "osp_infusion_durations.csv"


def corrected(table: dict[str, tuple[str, str, str]], dataset: str, label: str) -> tuple[str, str]:
    """The label to use and a note; the label itself and an empty note where nothing is wrong."""
    if dataset in table and label == table[dataset][0]:
        return table[dataset][1:]
    return label, ""


@cache
def infusion_durations(folder: Path) -> dict[str, float | None]:
    """Data set -> infusion duration [h] of the protocol by which its model simulates
    it; None for several steps.
    """
    path = folder / DURATIONS
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        r["dataset"]: float(r["infusion_min"]) / 60.0 if r["infusion_min"] else None for r in rows
    }
