"""The generators that are compared. Each is fitted to the same training people and returns covariates, or whole bodies."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
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
    return Drawn(
        np.stack([ds[name].values for name in COVARIATES], 1),
        ds["sex"].values == "male",
        ds,
        weights,
    )


def resampled(train: xr.Dataset, weight: np.ndarray, n: int, rng: np.random.Generator) -> Drawn:
    """The training people themselves, drawn with their weights."""
    return of_dataset(
        train.isel(subject=rng.choice(len(weight), n, p=weight / weight.sum())).drop_vars(
            "survey_weight"
        )
    )


def regression_sampler(n: int, seed: int) -> Drawn:
    """The engine's own: survey people (of all splits) with organs by regression."""
    return of_dataset(sample_population(n, seed=seed))


def _by_sex(train: xr.Dataset, weight: np.ndarray, n: int, rng: np.random.Generator, draw) -> Drawn:
    x, male = of_dataset(train).covariates, train["sex"].values == "male"
    men = int(rng.binomial(n, weight[male].sum() / weight.sum()))
    parts = [
        draw(x[male == sex], weight[male == sex], count)
        for sex, count in ((True, men), (False, n - men))
    ]
    return Drawn(np.concatenate(parts), np.r_[np.ones(men, bool), np.zeros(n - men, bool)])


def lognormal(train: xr.Dataset, weight: np.ndarray, n: int, rng: np.random.Generator) -> Drawn:
    """Multivariate lognormal by sex."""

    def draw(x: np.ndarray, w: np.ndarray, count: int) -> np.ndarray:
        logs = np.log(x)
        return np.exp(
            rng.multivariate_normal(
                np.average(logs, axis=0, weights=w), np.cov(logs.T, aweights=w), count
            )
        )

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


def before(path: Path, n: int, rng: np.random.Generator) -> Callable[[int], Drawn]:
    """Number of the draw -> n of the people in a file, others each time."""
    with np.load(path) as file:
        covariates, male = file["covariates"], file["male"].astype(bool)

    def draw(k: int) -> Drawn:
        rows = rng.permutation(len(male))[:n]
        return Drawn(covariates[rows], male[rows])

    return draw


class Peer:
    """A neural generator in a process of its own, with its package's defaults, fitted beside the others and sampled once.

    CTGAN and TVAE (Xu et al. 2019) of the package ctgan; TabDDPM (Kotelnikov et al. 2023) of synthcity, whose versions of
    torch and numpy are others than ours, in the environment of `python`.
    """

    def __init__(
        self, name: str, python: str, train: xr.Dataset, weight: np.ndarray, n: int, rng
    ) -> None:
        self._name, self._folder, self._n, self._rng = name, Path(tempfile.mkdtemp()), n, rng
        people = resampled(train, weight, len(weight), rng)
        table = pd.DataFrame(people.covariates, columns=COVARIATES)
        table["male"] = people.male.astype(int)
        table.to_csv(self._folder / "people.csv", index=False)
        worker = [
            python,
            Path(__file__).parent / "peer.py",
            name,
            "people.csv",
            "drawn.csv",
            str(n),
        ]
        self._run = subprocess.Popen(
            worker,
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=dict(os.environ) | {"PYTHONPATH": ""},
        )

    def ready(self) -> tuple[Callable[[int], Drawn], float]:
        """n -> that many of its people, others each time; and the seconds it took to sample 10,000.

        Raises
        ------
        ImportError : it could not be run
        """
        text, _ = self._run.communicate()
        if self._run.returncode:
            raise ImportError("it ended with an error")
        fitting, sampling = (float(v) for v in text.split()[-2:])
        print(
            f"{self._name} fitted in {fitting:.0f} s, {self._n} people in {sampling:.1f} s",
            flush=True,
        )
        table = pd.read_csv(self._folder / "drawn.csv")
        shutil.rmtree(self._folder)

        def draw(k: int) -> Drawn:
            some = table.sample(k, random_state=int(self._rng.integers(2**31)))
            return Drawn(
                some[list(COVARIATES)].to_numpy(float), some["male"].to_numpy().round() == 1
            )

        return draw, sampling / self._n * 10_000
