"""How strange the samples are, whatever is known of patient and compound, and whether their unit
explains it.

Samples are compared with the curves of compounds at large (:mod:`.curve_alternatives`): twice the
negative log posterior of the best fit, over what 99 % of the corpus' patients stay below with as
many samples. Where they are far likelier a thousand times lower or higher, the unit was mistaken.
Where a curve is given, of the compound or of other patients, a distance of a thousand from it says
the same.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from .batch import Batch
from .curve_alternatives import alternatives, least_miss
from .curve_population import shipped_priors
from .features import Prepared, prepare

#: 99th percentile of the best fit's objective over 1,400 held-out patients of the corpus: constant,
#: and per sample
USUAL = (3.0, 5.5)
#: least miss of the corpus' curves per sample above which samples are looked at closely (a tenth of
#: the corpus' patients), and by how much the objective falls where a unit is named: 150 times
#: likelier
_SCREEN, _BETTER = 0.8, 10.0
#: ln of what a mistaken prefix makes, how near to it a distance must be, and how far off a curve
#: is before its unit is asked about (a compound told wrongly is off by up to 30)
_THOUSAND, _NEAR, _FAR = float(np.log(1000.0)), 2.0, 4.5

TOO_HIGH, TOO_LOW = 1, -1
WORDS = {
    TOO_HIGH: "about 1,000 times too high for the dose: these look like ng/mL given as mg/L",
    TOO_LOW: "about 1,000 times too low for the dose: these look like mg/L given as ng/mL (ug/L)",
}


@torch.no_grad()
def sample_scores(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """(B,) distance of each patient's samples from the corpus, above 1 outside and 0 where nothing
    is strange, and which unit they look like: :data:`TOO_HIGH`, :data:`TOO_LOW` or 0.
    """
    score, unit = np.zeros(len(batch)), np.zeros(len(batch), dtype=int)
    if batch.obs_time.shape[1] == 0:
        return score, unit
    patients = prepare(batch)
    use = patients.obs_mask & (patients.obs_site < 2)
    strange = _screened(patients, use)
    if strange.any():
        rows = np.flatnonzero(strange)
        score[rows], unit[rows] = _looked_at(batch.take(rows))
    off = _off_reference(batch)
    near = np.abs(np.abs(off) - _THOUSAND) < _NEAR
    far = np.abs(off) > _FAR
    score = np.maximum(score, np.where(far, np.abs(off) / _FAR, 0.0))
    return score, np.where(far & near, np.sign(off).astype(int), unit)


def _screened(patients: Prepared, use: Tensor) -> np.ndarray:
    """(B,) whose samples no curve at large comes near."""
    count = use.sum(dim=1)
    miss = least_miss(patients, shipped_priors(), use)
    return ((count > 0) & (miss > _SCREEN * count)).numpy()


def _looked_at(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Score and unit of strange patients."""
    patients = prepare(batch)
    use = patients.obs_mask & (patients.obs_site < 2)
    usual = USUAL[0] + USUAL[1] * use.sum(dim=1)
    of = lambda ln: _objective(replace(patients, obs_log=patients.obs_log - ln), use)
    as_is, lower, higher = of(0.0), of(_THOUSAND), of(-_THOUSAND)
    unit, score = torch.zeros(len(as_is), dtype=torch.int64), as_is / usual
    for code, other in ((TOO_HIGH, lower), (TOO_LOW, higher)):
        named = (as_is - other > _BETTER) & (other < usual)
        unit = torch.where(named, code, unit)
        score = torch.where(named, torch.maximum(score, as_is / _BETTER), score)
    return score.sqrt().double().numpy(), unit.numpy()


def _objective(patients: Prepared, use: Tensor) -> Tensor:
    _, fitted = alternatives(patients, shipped_priors(), use)
    return fitted.objective.amin(dim=1)


def _off_reference(batch: Batch) -> np.ndarray:
    """(B,) median ln distance of the samples from the reference curve, 0 without."""
    use = batch.obs_mask & ~batch.obs_censored & (batch.obs_reference > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.where(use, np.log(batch.obs_value / batch.obs_reference), np.nan)
    known = use.any(axis=1)
    out = np.zeros(len(batch))
    out[known] = np.nanmedian(off[known], axis=1)
    return out


__all__ = ["TOO_HIGH", "TOO_LOW", "USUAL", "WORDS", "sample_scores"]
