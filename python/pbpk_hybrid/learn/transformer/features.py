"""From real units to what the network sees. Here the symmetries of pharmacokinetics are put
in, so that none has to be learned.

- Amounts are in units of the first dose, concentrations in units of (first dose / body
  weight): doubling doses and observations changes nothing the network sees. The size of a
  dose enters for compounds said to be saturable, and only there.
- Times count from the first dose and are divided by (body weight / 70 kg)^(1/4), the
  allometric unit of time (West, Brown & Enquist 1997, Science 276:122): shifting all times
  changes nothing.
- Doses after a time do not enter anything at that time, and the patient is judged by doses
  up to the last observation only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .batch import CENTRE, DESCRIPTORS, Batch

FOURIER = 7
_OVER_KM = DESCRIPTORS.index("log_dose_over_km")


@dataclass
class Prepared:
    """A Batch as tensors in the network's units; shapes as there. `log_scale` (B,): ln of
    the unit of concentration [mg/L].
    """

    dose_time: Tensor
    dose_amount: Tensor
    dose_duration: Tensor
    dose_oral: Tensor
    dose_mask: Tensor
    obs_time: Tensor
    obs_log: Tensor
    obs_censored: Tensor
    obs_mask: Tensor
    obs_site: Tensor
    obs_reference: Tensor
    query_time: Tensor
    query_site: Tensor
    query_mask: Tensor
    query_reference: Tensor
    static: Tensor
    log_scale: Tensor
    query_log: Tensor | None = None
    query_censored: Tensor | None = None


def prepare(batch: Batch, device: torch.device | str = "cpu") -> Prepared:
    """Normalised tensors of a batch."""
    tensor = lambda a: torch.as_tensor(np.ascontiguousarray(a, dtype=np.float32), device=device)
    flag = lambda a: torch.as_tensor(np.ascontiguousarray(a, dtype=bool), device=device)
    whole = lambda a: torch.as_tensor(np.ascontiguousarray(a, dtype=np.int64), device=device)
    first = np.where(batch.dose_mask, batch.dose_time, np.inf).argmin(axis=1)[:, None]
    start = np.take_along_axis(batch.dose_time, first, axis=1)
    dose = np.take_along_axis(batch.dose_amount, first, axis=1)
    unit = (batch.body_weight[:, None] / 70.0) ** 0.25
    scale = dose / batch.body_weight[:, None]
    seen = lambda a, mask: np.where(mask, (a - start) / unit, 0.0)

    def log(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            out = np.log(values / scale)
        return np.where(mask, np.maximum(out, -25.0), 0.0)

    def reference(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            out = np.maximum(np.log(values / scale), -25.0)
        return np.where(mask & np.isfinite(values), out, np.nan)

    extra = {}
    if batch.query_value is not None:
        extra = {
            "query_log": tensor(log(batch.query_value, batch.query_mask)),
            "query_censored": flag(batch.query_censored),
        }
    return Prepared(
        dose_time=tensor(seen(batch.dose_time, batch.dose_mask)),
        dose_amount=tensor(np.where(batch.dose_mask, batch.dose_amount / dose, 0.0)),
        dose_duration=tensor(np.where(batch.dose_mask, batch.dose_duration / unit, 0.0)),
        dose_oral=flag(batch.dose_oral & batch.dose_mask),
        dose_mask=flag(batch.dose_mask),
        obs_time=tensor(seen(batch.obs_time, batch.obs_mask)),
        obs_log=tensor(log(batch.obs_value, batch.obs_mask)),
        obs_censored=flag(batch.obs_censored),
        obs_mask=flag(batch.obs_mask),
        obs_site=whole(batch.obs_site),
        obs_reference=tensor(reference(batch.obs_reference, batch.obs_mask)),
        query_time=tensor(seen(batch.query_time, batch.query_mask)),
        query_site=whole(batch.query_site),
        query_mask=flag(batch.query_mask),
        query_reference=tensor(reference(batch.query_reference, batch.query_mask)),
        static=tensor(_static(batch, scale[:, 0])),
        log_scale=tensor(np.log(scale[:, 0])),
        **extra,
    )


def _static(batch: Batch, scale: np.ndarray) -> np.ndarray:
    """(B, F) covariates and descriptors about their centres, 0 where not known, and which
    are known.
    """
    descriptors = batch.descriptors.copy()
    descriptors[:, _OVER_KM] += np.log(scale)  # NaN unless the compound is saturable
    out = []
    for name, values in (("covariates", batch.covariates), ("descriptors", descriptors)):
        centre, spread = CENTRE[name]
        z = (values - centre) / spread
        out += [np.clip(np.nan_to_num(z), -5.0, 5.0), np.isfinite(z)]
    return np.concatenate(out, axis=1)


def time_features(time: Tensor) -> Tensor:
    """(..., 2 FOURIER + 1) of a time >= 0: waves in ln(time + 2 minutes), from one of 20
    e-folds to one of a third.
    """
    x = torch.log(time.clamp_min(0) + 0.03)
    frequency = (2 * np.pi / 20.0) * 2.0 ** torch.arange(
        FOURIER, dtype=time.dtype, device=time.device
    ) ** 1.0
    angle = x[..., None] * frequency * 0.9
    return torch.cat([x[..., None] / 3.0, torch.sin(angle), torch.cos(angle)], dim=-1)


def since_last_dose(doses: Prepared, time: Tensor) -> Tensor:
    """(B, T) time since the last dose at or before each time."""
    since = time[:, :, None] - doses.dose_time[:, None, :]
    ahead = (since < -1e-6) | ~doses.dose_mask[:, None, :]
    return since.clamp_min(0).masked_fill(ahead, 1e6).amin(dim=2).clamp_max(1e5)


STATIC = 2 * (len(CENTRE["covariates"][0]) + len(CENTRE["descriptors"][0]))

__all__ = ["FOURIER", "STATIC", "Prepared", "prepare", "since_last_dose", "time_features"]
