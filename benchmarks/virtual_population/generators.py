"""The generators that are compared. Each is fitted to the same training people and returns covariates, or whole bodies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from pbpk_hybrid.physiology import sample_population

COVARIATES = ("age", "body_weight", "height", "hematocrit", "serum_creatinine")


@dataclass(frozen=True)
class Drawn:
    """Covariates (n, 5), who is male, and the bodies where the generator makes them."""

    covariates: np.ndarray
    male: np.ndarray
    bodies: xr.Dataset | None = None
    weights: np.ndarray | None = None

    @property
    def weight(self) -> np.ndarray:
        """Of each person; 1 for generated people."""
        return np.ones(len(self.male)) if self.weights is None else self.weights


def of_dataset(ds: xr.Dataset) -> Drawn:
    weights = ds["survey_weight"].values if "survey_weight" in ds else None
    return Drawn(np.stack([ds[name].values for name in COVARIATES], 1), ds["sex"].values == "male", ds, weights)


def resampled(train: xr.Dataset, weight: np.ndarray, n: int, rng: np.random.Generator) -> Drawn:
    """The training people themselves, drawn with their weights."""
    return of_dataset(train.isel(subject=rng.choice(len(weight), n, p=weight / weight.sum())).drop_vars("survey_weight"))


def regression_sampler(n: int, seed: int) -> Drawn:
    """The engine's own: survey people (of all splits) with organs by regression."""
    return of_dataset(sample_population(n, seed=seed))


def _by_sex(train: xr.Dataset, weight: np.ndarray, n: int, rng: np.random.Generator, draw) -> Drawn:
    x, male = of_dataset(train).covariates, train["sex"].values == "male"
    men = int(rng.binomial(n, weight[male].sum() / weight.sum()))
    parts = [draw(x[male == sex], weight[male == sex], count) for sex, count in ((True, men), (False, n - men))]
    return Drawn(np.concatenate(parts), np.r_[np.ones(men, bool), np.zeros(n - men, bool)])


def lognormal(train: xr.Dataset, weight: np.ndarray, n: int, rng: np.random.Generator) -> Drawn:
    """Multivariate lognormal by sex."""

    def draw(x: np.ndarray, w: np.ndarray, count: int) -> np.ndarray:
        logs = np.log(x)
        return np.exp(rng.multivariate_normal(np.average(logs, axis=0, weights=w), np.cov(logs.T, aweights=w), count))

    return _by_sex(train, weight, n, rng, draw)


def copula(train: xr.Dataset, weight: np.ndarray, n: int, rng: np.random.Generator) -> Drawn:
    """Gaussian copula with empirical margins, by sex."""
    from scipy.special import ndtr, ndtri

    def draw(x: np.ndarray, w: np.ndarray, count: int) -> np.ndarray:
        scores, tables = np.empty_like(x), []
        for k, column in enumerate(x.T):
            order = np.argsort(column, kind="stable")
            place = (np.cumsum(w[order]) - 0.5 * w[order]) / w.sum()
            scores[order, k] = ndtri(place)
            tables.append((place, column[order]))
        z = rng.multivariate_normal(np.zeros(x.shape[1]), np.corrcoef(scores.T), count)
        return np.stack([np.interp(ndtr(z[:, k]), *table) for k, table in enumerate(tables)], 1)

    return _by_sex(train, weight, n, rng, draw)


def neural_peer(name: str, train: xr.Dataset, weight: np.ndarray, n: int, rng: np.random.Generator) -> Drawn:
    """CTGAN or TVAE of the package ctgan, with its defaults, on people drawn with their weights.

    Raises
    ------
    ImportError : ctgan is not installed
    """
    import ctgan
    import pandas as pd
    import torch

    people = resampled(train, weight, len(weight), rng)
    table = pd.DataFrame(people.covariates, columns=COVARIATES)
    table["male"] = people.male.astype(int).astype(str)
    torch.manual_seed(int(rng.integers(2**31)))
    model = {"CTGAN": ctgan.CTGAN, "TVAE": ctgan.TVAE}[name](epochs=100)
    model.fit(table, ["male"])
    drawn = model.sample(n)
    return Drawn(drawn[list(COVARIATES)].to_numpy(float), drawn["male"].to_numpy() == "1")
