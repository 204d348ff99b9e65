"""The typical curve of other patients on the same compound: what their samples, taken
together, say of the next patient.

The network sees each other patient as a few tokens; that is enough to say "cleared slowly",
not to draw a curve to a few per cent. So the curve is fitted: one hypothesis of the
network's own family (three exponentials, two ways of absorption, superposition over each
patient's true doses), with parameters in units of body weight, to all samples at once. The
corpus shows the network such curves in training (:func:`.corpus_measurement._common_curve`).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .batch import Batch
from .curve_population import people_prior
from .features import Prepared, prepare
from .hypotheses import Column, curve_parameters, log_concentration
from .superposition import responses

#: most other patients that are seen as tokens, about as many as in training; the typical
#: curve is of all
_MOST_TOKENS = 8
_ITERATIONS = 12
#: no typical curve for bodies that differ by more than this in ln weight
_APART = 1.1
#: strength of the pull to the starting point, and where residuals begin to count linearly
_PULL, _ROBUST = 0.02, 0.5


class TypicalCurve:
    """Fitted to `others`; :meth:`put` gives it to patients."""

    def __init__(self, others: Batch) -> None:
        seen = prepare(others)
        #: the prior that all of the others make for the curve of the next patient
        self.people = people_prior(seen)
        self.oral = {bool(o) for o in others.dose_oral[others.dose_mask]}
        self.site = (
            int(np.bincount(others.obs_site[others.obs_mask]).argmax())
            if others.obs_mask.any()
            else -1
        )
        self.log_weight = np.log(others.body_weight)
        self.raw = _fit(seen, self.site, self.people.mean) if self.site >= 0 else None

    @torch.no_grad()
    def put(self, batch: Batch) -> None:
        """Set the reference curve at observations and queries at the site that was fitted,
        where the patient is near enough.
        """
        if self.raw is None:
            return
        near = (
            np.abs(np.log(batch.body_weight)[:, None] - self.log_weight[None, :]).max(axis=1)
            < _APART
        )
        routes = [
            {bool(o) for o in row[mask]} <= self.oral
            for row, mask in zip(batch.dose_oral, batch.dose_mask, strict=True)
        ]
        use = near & np.array(routes)
        asked = prepare(batch)
        parameters = curve_parameters(self.raw[None, None].expand(len(batch), 1, Column.COUNT))
        scale = np.exp(asked.log_scale.numpy().astype(float))[:, None]
        for kind, time in (("obs", asked.obs_time), ("query", asked.query_time)):
            if time.shape[1] == 0:
                continue
            curve = responses(asked, time, parameters)[..., 0].numpy() * scale
            name = f"{kind}_reference"
            where = use[:, None] & (getattr(batch, f"{kind}_site") == self.site)
            setattr(batch, name, np.where(where, curve, getattr(batch, name)))


def _fit(p: Prepared, site: int, people: Tensor) -> Tensor:
    """(15,) raw parameters, descended to from the mean of the curves of the `people`."""
    start = torch.nn.functional.pad(people, (0, Column.COUNT - len(people)))[None]
    raw = start.clone().requires_grad_(True)
    mask = p.obs_mask & (p.obs_site == site)
    count = mask.sum().clamp_min(1)

    def each() -> Tensor:
        curve = log_concentration(
            responses(p, p.obs_time, curve_parameters(raw[None].expand(len(p.static), -1, -1)))
        )
        miss = curve - p.obs_log[..., None]
        miss = torch.where(p.obs_censored[..., None], miss.clamp_min(0), miss)
        robust = _ROBUST**2 * (torch.sqrt(1 + (miss / _ROBUST) ** 2) - 1)
        pull = _PULL * (count / 50).clamp(0.2, 1) * ((raw - start) ** 2).sum(dim=-1)
        return (robust * mask[..., None]).sum(dim=(0, 1)) + pull

    descent = torch.optim.LBFGS(
        [raw], lr=1.0, max_iter=_ITERATIONS, history_size=20, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        descent.zero_grad()
        total = each().sum()
        total.backward()
        return total

    with torch.enable_grad():
        descent.step(closure)
    return torch.where(torch.isfinite(raw.detach()), raw.detach(), start)[0]


def with_context(batch: Batch, others: Batch, typical: TypicalCurve | None = None) -> None:
    """Let every patient of `batch` see the other patients, and the curve they have in
    common (fitted unless given).
    """
    batch.typical = typical or TypicalCurve(others)
    batch.typical.put(batch)
    chosen = np.unique(
        np.linspace(0, len(others) - 1, min(_MOST_TOKENS, len(others))).round().astype(int)
    )
    batch.context_batch = others.take(chosen)
    batch.context = np.broadcast_to(np.arange(len(chosen)), (len(batch), len(chosen)))


__all__ = ["TypicalCurve", "with_context"]
