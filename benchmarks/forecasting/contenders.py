"""Contenders on patients: networks (with or without other patients) and fits, all scored alike."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch
from baselines import MapForecaster
from scipy.special import ndtr
from scipy.stats import norm
from scores import mixture_crps, table_row

from pbpk_hybrid.learn.transformer.context_curve import TypicalCurve
from pbpk_hybrid.learn.transformer.data import collate
from pbpk_hybrid.learn.transformer.features import prepare
from pbpk_hybrid.learn.transformer.model import with_context

LEVELS = torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95])
FOLDS = 5
_MOST_OTHERS = 64


def first(patient, n: int):
    """The patient with the first n samples."""
    reference = None if patient.reference is None else patient.reference[:n]
    return replace(
        patient,
        time=patient.time[:n],
        value=patient.value[:n],
        censored=patient.censored[:n],
        site=patient.site[:n],
        reference=reference,
    )


class Points:
    """Scored points of one contender: ln measured, five quantiles, CRPS, and where in its distribution the value lies."""

    def __init__(self) -> None:
        self.rows: list[np.ndarray] = []
        self.seconds, self.patients = 0.0, 0

    def keep(self) -> np.ndarray:
        """All of it as one array, for another process; :meth:`of` is the inverse."""
        return np.concatenate([np.array([[self.seconds, self.patients, *[0.0] * 6]]), *self.rows])

    @classmethod
    def of(cls, kept: np.ndarray) -> Points:
        points = cls()
        points.rows, points.seconds, points.patients = (
            [kept[1:]],
            float(kept[0, 0]),
            int(kept[0, 1]),
        )
        return points

    def add(self, other: Points) -> None:
        self.rows += other.rows
        self.seconds, self.patients = self.seconds + other.seconds, self.patients + other.patients

    def row(self) -> dict[str, float]:
        r = np.concatenate(self.rows)
        out = table_row(r[:, 0], r[:, 3], r[:, 2], r[:, 4], r[:, 1], r[:, 5], r[:, 6])
        return {**out, "ms_per_patient": 1e3 * self.seconds / self.patients}


def by_network(
    model, patients, shown: list[int], others=None, typical: TypicalCurve | None = None
) -> Points:
    """Forecast all patients at once; what is asked for differs between them, so it is padded."""
    points = Points()
    who = [(p, n) for p, n in zip(patients, shown, strict=True) if len(p.time) > n]
    if not who:
        return points
    most = max(len(p.time) - n for p, n in who)
    # first the patients come together, then the clock starts: reading data is not forecasting
    asked = np.stack([np.pad(p.time[n:], (0, most - len(p.time) + n), mode="edge") for p, n in who])
    known = None
    if who[0][0].reference is not None:
        known = np.stack(
            [np.pad(p.reference[n:], (0, most - len(p.time) + n), mode="edge") for p, n in who]
        )[..., None]
    start = time.process_time()
    batch = collate([first(p, n) for p, n in who], asked, [0], known)
    if others is not None:
        with_context(batch, others, typical)
    mixture = model.mixture(batch)
    with torch.no_grad():
        q = mixture.quantiles(LEVELS).numpy()
    points.seconds, points.patients = time.process_time() - start, len(who)
    scale = prepare(batch).log_scale.numpy()
    for i, (p, n) in enumerate(who):
        m = len(p.time) - n
        y = np.log(p.value[n:])
        w, mu, sd = (
            a[i, :m].numpy() for a in (mixture.log_weight.exp(), mixture.mean, mixture.log_sd.exp())
        )
        at = (w * ndtr((y[:, None] - scale[i] - mu) / sd)).sum(axis=1)
        points.rows.append(np.c_[y, q[i, :m] + scale[i], mixture_crps(w, mu + scale[i], sd, y), at])
    return points


def in_folds(patients, folds: int = FOLDS):
    """(members of a fold, all the others) in turn; the others are what context and priors are made of."""
    folds = min(folds, len(patients))
    for f in range(folds):
        mine = [i for i in range(len(patients)) if i % folds == f]
        yield mine, [p for i, p in enumerate(patients) if i % folds != f]


def by_context(model, patients, shown: list[int], fitted: dict) -> Points:
    """The network with the patients of the other folds as context; `fitted` keeps what is the same for all cuts."""
    points = Points()
    for f, (mine, theirs) in enumerate(in_folds(patients)):
        if f not in fitted:
            others = collate(theirs[:_MOST_OTHERS], np.zeros(0), [0], None)
            fitted[f] = (others, TypicalCurve(others))
        others, typical = fitted[f]
        points.add(
            by_network(
                model, [patients[i] for i in mine], [shown[i] for i in mine], others, typical
            )
        )
    return points


def by_typical(patients, shown: list[int], fitted: dict) -> Points:
    """The common curve of the other folds by itself."""
    points = Points()
    for f, (mine, _) in enumerate(in_folds(patients)):
        for i in mine:
            p, n = patients[i], shown[i]
            if len(p.time) <= n:
                continue
            batch = collate([first(p, n)], p.time[n:], [0], None)
            fitted[f][1].put(batch)
            curve = np.log(batch.query_reference[0])
            if np.isfinite(curve).all():
                rows = np.full((len(curve), 8), np.nan)
                rows[:, 0], rows[:, 3] = np.log(p.value[n:]), curve
                points.rows.append(rows)
                points.patients += 1
    return points


def by_map(patients, shown: list[int], priors: dict) -> Points:
    """Two-compartment MAP with the population prior of the other folds: what the network with context has to go by."""
    points = Points()
    for f, (mine, theirs) in enumerate(in_folds(patients)):
        if f not in priors:
            priors[f] = MapForecaster(theirs[:_MOST_OTHERS])
        points.add(by_baseline(priors[f], [patients[i] for i in mine], [shown[i] for i in mine]))
    return points


def by_baseline(predict, patients, shown: list[int]) -> Points:
    """A ``predict(patient, n, times) -> (median, sd)`` of ln concentration."""
    points = Points()
    z = norm.ppf(LEVELS.numpy())
    for p, n in zip(patients, shown, strict=True):
        if len(p.time) <= n or n == 0:
            continue
        start = time.process_time()
        median, sd = predict(p, n, p.time[n:])
        points.seconds += time.process_time() - start
        points.patients += 1
        points.rows.append(normal_rows(np.log(p.value[n:]), median, sd, z))
    return points


def normal_rows(y, median, sd, z) -> np.ndarray:
    """Rows of a contender that gives a normal distribution, or a median alone (sd NaN)."""
    rows = np.c_[
        y,
        median[:, None] + np.where(np.isnan(sd), 0.0, sd)[:, None] * z,
        np.full((len(y), 2), np.nan),
    ]
    if np.isnan(sd).any():
        rows[:, [1, 2, 4, 5]] = np.nan
    else:
        rows[:, 6] = mixture_crps(np.ones((len(y), 1)), median[:, None], sd[:, None], y)
        rows[:, 7] = ndtr((y - median) / sd)
    return rows
