"""Several forecasts of the same patient, weighted by how each predicted the samples shown.

- The network as it is told: with the compound, or the other patients, where they are given.
- The network told nothing of them, so that a compound named wrongly, or others unlike the patient,
  cannot spoil the forecast.
- With other patients: curves fitted to the samples under the prior that all of them make
  (:mod:`.curve_population`).

The last samples are forecast by each from the samples before them; the weights are prior weights
times a power of the density that each gave these samples (prequential; Dawid 1984, J R Stat Soc A
147:278). Where nothing is told the network forecasts alone. Prior weights and power were chosen
on virtual patients: see ``benchmarks/forecasting/choices.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .batch import Batch
from .curve_fit import CurvePrior, Fitted, fit_curves, predict_curves
from .curve_population import starts
from .features import Prepared, prepare
from .likelihood import Mixture

#: sites that curves are fitted to: plasma and blood
_CURVE_SITES = 2
#: most of the last samples that each forecast is judged by; a density counts at least this (ln)
_JUDGED, _LEAST_LOG_DENSITY = 3, -6.0


@dataclass(frozen=True)
class Weights:
    """Prior weights of the forecasts beside the network as it is told, whose weight is 1.

    Parameters
    ----------
    untold_compound, untold_others
        of the network told nothing, where a compound or where other patients are given
    people
        of curves with the prior of other patients
    power
        of the density of the samples
    """

    untold_compound: float = 0.3
    untold_others: float = 0.1
    people: float = 0.6
    power: float = 0.3


#: mixture at the queries of a batch, on the CPU
Forecast = Callable[[Batch], Mixture]


@torch.no_grad()
def combined(network: Forecast, batch: Batch, weights: Weights | None = None) -> Mixture:
    """The predictive mixture (B, Q, M) of all forecasts of a batch; `network` gives its own."""
    weights = weights or Weights()
    told = network(batch)
    others = batch.typical is not None
    named = any(
        np.isfinite(known).any()
        for known in (batch.descriptors, batch.query_reference, batch.obs_reference)
    )
    seen = batch.obs_mask.any(axis=1) if batch.obs_mask.shape[1] else np.zeros(len(batch), bool)
    rows = np.flatnonzero(seen)
    if not (others or named) or not rows.size or batch.query_time.shape[1] == 0:
        return told
    part = batch.take(rows)
    untold = weights.untold_others if others else weights.untold_compound
    forecasts: list[tuple[float, Forecast]] = [
        (1.0, network),
        (untold, lambda b: network(_untold(b))),
    ]
    if others:
        people = batch.typical.people
        forecasts.append((weights.people, lambda b: _by_people(b, people)))
    made = [_taken(told, rows), *(forecast(part) for _, forecast in forecasts[1:])]
    log_weight = torch.log(torch.tensor([w for w, _ in forecasts]))
    log_weight = log_weight + weights.power * _judged(part, [f for _, f in forecasts])
    return _put(told, rows, _mixed(made, torch.log_softmax(log_weight, dim=1), part))


def _judged(batch: Batch, forecasts: list[Forecast]) -> Tensor:
    """(B, forecasts) ln density of the last samples, each given those before it."""
    count = batch.obs_mask.sum(axis=1)
    most = min(_JUDGED, int(count.max()))
    # every patient once for each of the last samples, so that one call forecasts all
    back = np.repeat(np.arange(1, most + 1), len(batch))
    every = batch.take(np.tile(np.arange(len(batch)), most))
    count = np.tile(count, most)
    at = np.maximum(count - back, 0)
    shown = replace(
        every,
        obs_mask=every.obs_mask & (np.arange(every.obs_mask.shape[1]) < at[:, None]),
        **{f"query_{name}": _at(getattr(every, f"obs_{name}"), at) for name in _ASKED},
    )
    asked, applies = prepare(shown), torch.as_tensor(count >= back)
    out = []
    for forecast in forecasts:
        mixture = forecast(shown)
        density = torch.where(
            asked.query_censored,
            mixture.log_probability_below(asked.query_log),
            mixture.log_density(asked.query_log),
        )[:, 0]
        density = torch.nan_to_num(density, nan=_LEAST_LOG_DENSITY).clamp_min(_LEAST_LOG_DENSITY)
        out.append(torch.where(applies, density, 0.0).unflatten(0, (most, -1)).sum(dim=0))
    return torch.stack(out, dim=1)


_ASKED = ("time", "site", "mask", "reference", "value", "censored")


def _at(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """(B, 1) the column of each row."""
    return np.take_along_axis(values, index[:, None], axis=1)


def _untold(batch: Batch) -> Batch:
    """The same patients without compound and without others."""
    none = lambda a: np.full(a.shape, np.nan)
    return replace(
        batch,
        descriptors=none(batch.descriptors),
        obs_reference=none(batch.obs_reference),
        query_reference=none(batch.query_reference),
        context=None,
        context_batch=None,
    )


def _by_people(batch: Batch, prior: CurvePrior) -> Mixture:
    patients, use = _curve_samples(batch)
    fitted = fit_curves(patients, prior, starts(prior, len(batch)), use)
    return _from_fits(patients, prior, fitted)


def _curve_samples(batch: Batch) -> tuple[Prepared, Tensor]:
    patients = prepare(batch)
    return patients, patients.obs_mask & (patients.obs_site < _CURVE_SITES)


def _from_fits(patients: Prepared, prior: CurvePrior, fitted: Fitted) -> Mixture:
    mean, sd = predict_curves(patients, patients.query_time, fitted, prior)
    weight = torch.log_softmax(fitted.log_evidence, dim=1)[:, None, :].expand_as(mean)
    return Mixture(weight, mean, torch.log(sd))


def _mixed(made: list[Mixture], log_weight: Tensor, batch: Batch) -> Mixture:
    """One mixture of all; in organs, which the fits do not know, the network's alone."""
    organ = torch.as_tensor(batch.query_site >= _CURVE_SITES)[..., None]
    parts = []
    for k, mixture in enumerate(made):
        weight = mixture.log_weight + log_weight[:, k, None, None]
        elsewhere = mixture.log_weight if k == 0 else torch.full_like(weight, _NOTHING)
        parts.append(torch.where(organ, elsewhere, weight))
    return Mixture(
        torch.cat(parts, dim=-1),
        torch.cat([m.mean for m in made], dim=-1),
        torch.cat([m.log_sd for m in made], dim=-1),
    )


_NOTHING = -1e4


def _taken(mixture: Mixture, rows: np.ndarray) -> Mixture:
    return Mixture(mixture.log_weight[rows], mixture.mean[rows], mixture.log_sd[rows])


def _put(whole: Mixture, rows: np.ndarray, part: Mixture) -> Mixture:
    """`whole` with the rows of `part`, which has more components."""
    if len(rows) == len(whole.mean):
        return part
    more = part.mean.shape[-1] - whole.mean.shape[-1]
    pad = lambda a, value: torch.nn.functional.pad(a, (0, more), value=value)
    log_weight, mean, log_sd = (
        pad(whole.log_weight, _NOTHING),
        pad(whole.mean, 0.0),
        pad(whole.log_sd, 0.0),
    )
    log_weight[rows], mean[rows], log_sd[rows] = part.log_weight, part.mean, part.log_sd
    return Mixture(log_weight, mean, log_sd)


__all__ = ["Forecast", "Weights", "combined"]
