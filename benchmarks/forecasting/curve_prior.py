"""Fit the priors of curves to the corpus, and write ``curve_prior.json`` beside the forecaster's checkpoint.

    python benchmarks/forecasting/curve_prior.py [--batches 12]

Single doses by all routes, all species, training compounds only, 28 samples a patient: the prior of compounds at large by
expectation and maximisation over one patient of each compound, and the covariance between the eight people on each compound
about their own mean. See learn/transformer/curve_population.py.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
import torch

from pbpk_hybrid.learn.transformer import Corpus, CorpusOptions
from pbpk_hybrid.learn.transformer.corpus import _join
from pbpk_hybrid.learn.transformer.curve_fit import CurvePrior, fit_curves
from pbpk_hybrid.learn.transformer.curve_population import FILE, rough_prior, starts
from pbpk_hybrid.learn.transformer.features import prepare

GROUP = 8


def dense(batches: int):
    """Patients of the corpus with all their samples as observations."""
    corpus = Corpus(
        CorpusOptions(
            batch_size=256, group=GROUP, observations=12, queries=16, context=0.0, deviation=0.5
        )
    )
    parts = []
    for step in range(batches):
        b = corpus.batch(500_009, step, doses=1)
        plasma = b.query_mask & (b.query_site == b.obs_site[:, :1])
        blank = np.zeros((len(b), 12 - b.obs_time.shape[1]))
        for name, query, fill in (("time", b.query_time, 0.0), ("value", b.query_value, 1.0)):
            setattr(
                b,
                f"obs_{name}",
                np.concatenate([getattr(b, f"obs_{name}"), blank + fill, query], axis=1),
            )
        off = blank.astype(bool)
        b.obs_mask = np.concatenate([b.obs_mask, off, plasma], axis=1)
        b.obs_censored = np.concatenate([b.obs_censored, off, b.query_censored], axis=1)
        b.obs_site = np.repeat(b.obs_site[:, :1], b.obs_mask.shape[1], axis=1)
        b.obs_reference = np.full(b.obs_mask.shape, np.nan)
        parts.append(b)
    return _join(parts, contexts=False)


def best_of(found):
    rows = torch.arange(len(found.theta))
    best = found.objective.argmin(dim=1)
    return found.theta[rows, best], found.covariance[rows, best]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args()
    torch.set_num_threads(1)
    batch = dense(args.batches)
    first = np.arange(0, len(batch), GROUP)
    one = prepare(batch.take(first))
    prior = rough_prior()
    theta = None
    for turn in range(args.rounds):
        start = starts(prior, len(first))
        start = start if theta is None else torch.cat([start[:, :1], theta[:, None]], dim=1)
        theta, spread = best_of(fit_curves(one, prior, start, one.obs_mask, iterations=5))
        mean = theta.mean(dim=0)
        off = theta - mean
        covariance = off.T @ off / len(off) + spread.mean(dim=0)
        prior = CurvePrior(mean, covariance, 0.2)
        print(turn, "sd", covariance.diagonal().sqrt().numpy().round(2), flush=True)
    everyone = prepare(batch)
    groups = len(first)
    people = 0.05 * prior.covariance
    mean = theta  # (groups, P)
    each = theta.repeat_interleave(GROUP, dim=0)
    for turn in range(args.rounds):
        # each patient about the mean of his compound: the prior's mean is moved to zero by shifting
        found = _about(everyone, mean.repeat_interleave(GROUP, dim=0), people, each)
        each, spread = best_of(found)
        by_group = each.unflatten(0, (groups, GROUP))
        precision, between = torch.linalg.inv(prior.covariance), torch.linalg.inv(people)
        together = torch.linalg.inv(precision + GROUP * between)
        mean = (precision @ prior.mean + by_group.sum(dim=1) @ between) @ together
        off = by_group - mean[:, None]
        moment = torch.einsum("gip,giq->pq", off, off) / (groups * GROUP)
        people = moment + spread.mean(dim=0) + together
        print(turn, "people sd", people.diagonal().sqrt().numpy().round(2), flush=True)
    kept = {
        "source": "benchmarks/forecasting/curve_prior.py",
        "compounds": groups,
        "mean": prior.mean.tolist(),
        "covariance": prior.covariance.tolist(),
        "sigma": prior.sigma,
        "people": people.tolist(),
        "curves": theta.numpy().round(3).tolist(),
    }
    FILE.write_text(json.dumps(kept, indent=None) + "\n")


def _about(patients, mean, covariance, start):
    """Fits with a prior mean (B, P) of each patient's own."""
    return fit_curves(
        patients,
        CurvePrior(mean[:, None], covariance, 0.2),
        start[:, None],
        patients.obs_mask,
        iterations=3,
    )


if __name__ == "__main__":
    main()
