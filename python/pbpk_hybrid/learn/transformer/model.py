"""`Forecaster`: concentrations still to come, from doses and a few samples."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from ..._core import schemas
from ..._core.errors import CheckpointError, InputError, OutOfRangeWarning, unknown_name
from ..._core.provenance import provenance
from ..._core.random import generator
from ...compounds import Compound
from ...compounds.conversion import as_compound
from ...physiology import SPECIES
from ..checkpoints import (
    check_array,
    check_finite,
    check_sizes,
    load_checkpoint,
    load_weights,
    reading,
    save_checkpoint,
    settings_of,
)
from ..threads import over_threads
from ..training import TrainingLog, TrainingOptions, train
from .batch import COVARIATES, DESCRIPTORS, SITES, Batch
from .config import ForecasterConfig
from .context_curve import TypicalCurve
from .corpus import Corpus
from .data import MOST_OTHERS, Patient, as_regimen, check_times, collate, read_patients
from .features import prepare
from .likelihood import Mixture
from .mechanistic_curve import anchors, describe
from .module import ForecasterModule
from .training import VALIDATION_SEED, batch_loss, new_module, train_module

KIND, FORMAT = "forecaster", 1
SHIPPED = Path(__file__).parents[1] / "data" / "forecaster" / "forecaster.safetensors"
_CHUNK = 256  # patients at a time on a thread: their tokens stay in the cache
#: most other patients that are seen as tokens, about as many as in training; the typical curve is of all
_TOKENS = 8
#: body weights [kg] beyond which nothing like it was trained on: the corpus' own range, about a factor of two wider; of
#: people the smallest of its sizes, and more than the heaviest of the survey
WEIGHTS = {
    "mouse": (0.008, 0.05),
    "rat": (0.1, 0.7),
    "rabbit": (1.0, 6.5),
    "minipig": (15.0, 100.0),
    "dog": (4.0, 25.0),
    "monkey": (1.8, 12.5),
    "human": (0.5, 250.0),
}
#: [L/kg] less than any species' plasma
_PLASMA = 0.03
_NUMERIC = [
    *range(6),
    *(len(COVARIATES) + i for i in range(len(DESCRIPTORS)) if DESCRIPTORS[i] != "log_dose_over_km"),
]


#: what a checkpoint may ask for: (least, largest)
_LIMITS: dict[str, tuple[float, float]] = {
    "width": (1, 4096),
    "heads": (1, 256),
    "encoder_layers": (1, 128),
    "refine_layers": (1, 128),
    "hypotheses": (1, 256),
    "anchored": (1, 256),
    "summaries": (1, 256),
    "seed": (0, 2**63 - 1),
}


def _reference_of(stored: Any) -> dict[str, np.ndarray]:
    """Mean and covariance of what the corpus tells of patients, from a checkpoint.

    Raises
    ------
    CheckpointError : other names, shapes, or numbers that are no covariance
    """
    n = len(_NUMERIC)
    mean = check_array("reference/mean", np.array(stored["mean"], dtype=float), (n,))
    cov = check_array("reference/covariance", np.array(stored["covariance"], dtype=float), (n, n))
    if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
        raise CheckpointError("reference", "NaN or infinity", "finite numbers")
    size = np.abs(cov).max()
    if np.abs(cov - cov.T).max() > 1e-6 * size or np.linalg.eigvalsh(cov).min() <= 0:
        raise CheckpointError("reference/covariance", "not one", "a positive definite matrix")
    return {"mean": mean, "covariance": cov}


class Forecaster:
    """A pretrained forecaster: one network for all compounds, species and regimens.

    >>> import pbpk_hybrid as ph
    >>> from pbpk_hybrid.learn import Forecaster
    >>> forecaster = Forecaster.load()
    >>> samples = ph.observations("theophylline", "shipped")
    >>> samples = samples.isel(sample=samples["subject"].values == "1").isel(sample=slice(1, 4))
    >>> ahead = forecaster.forecast(samples, "320 mg oral", {"body_weight": 80}, times=range(25))

    Get one by :meth:`load` (the shipped one or a file) or :meth:`fit`; :meth:`fine_tune` adapts it to a study.
    """

    def __init__(
        self, module: ForecasterModule, reference: Mapping[str, Any], log: TrainingLog | None = None
    ) -> None:
        self.module = module.eval()
        self.config = module.config
        self.reference = {k: np.asarray(v, dtype=float) for k, v in reference.items()}
        self.log_ = log

    # ------------------------------------------------------------------------------------------------ making
    @classmethod
    def fit(
        cls,
        config: ForecasterConfig | None = None,
        *,
        steps: int | None = None,
        folder: str | os.PathLike | None = None,
        max_minutes: float | None = None,
        threads: int | None = None,
        progress: bool = True,
        tensorboard: bool = False,
        start: Forecaster | None = None,
    ) -> Forecaster:
        """Train one on the corpus that is simulated as it goes.

        Parameters
        ----------
        config : sizes, corpus and course; None: those of the shipped checkpoint
        steps : optimiser steps instead of the config's
        folder : of the run: its state and log.csv; a run found there goes on
        max_minutes, threads, progress, tensorboard : see :func:`pbpk_hybrid.learn.training.train`
        start : one to go on from, of the same size; such as a constant-rate run (:meth:`from_run`) that is to be cooled down
            with ``schedule="cosine"`` and another seed

        Raises
        ------
        CheckpointError : `folder` holds a run of other settings
        """
        config = config or ForecasterConfig()
        module = new_module(config)
        if start is not None:
            load_weights(module, start.module.state_dict())
        log = train_module(
            module,
            config,
            folder=folder,
            steps=steps,
            max_minutes=max_minutes,
            threads=threads,
            progress=progress,
            tensorboard=tensorboard,
        )
        return cls(module, corpus_reference(config), log)

    @classmethod
    def from_run(
        cls,
        folder: str | os.PathLike,
        config: ForecasterConfig | None = None,
        *,
        averaged: bool = True,
    ) -> Forecaster:
        """The forecaster as a run in `folder` has it so far, while it goes on.

        Parameters
        ----------
        config : of the run
        averaged : its averaged weights; False: those of the last step, to go on from

        Raises
        ------
        CheckpointError : no run there, or of another network
        """
        from ..training import FORMAT as STATE_FORMAT
        from ..training import KIND as STATE

        config = config or ForecasterConfig()
        tensors, _ = load_checkpoint(
            Path(folder).expanduser() / "state.safetensors", kind=STATE, format_version=STATE_FORMAT
        )
        kind = "average/" if averaged else "now/"
        module = new_module(config)
        load_weights(
            module, {n.removeprefix(kind): t for n, t in tensors.items() if n.startswith(kind)}
        )
        return cls(module, corpus_reference(config))

    @classmethod
    def load(cls, path: str | os.PathLike | None = None) -> Forecaster:
        """The shipped forecaster, or one from a file that :meth:`save` wrote.

        Raises
        ------
        CheckpointError : no such file, damaged, of another kind or version
        """
        tensors, config = load_checkpoint(
            SHIPPED if path is None else path, kind=KIND, format_version=FORMAT
        )
        for entry in ("config", "reference"):
            if entry not in config:
                raise CheckpointError("config", sorted(config), f"an entry {entry!r}")
        with reading(path):
            settings = dict(config["config"])
            corpus = ForecasterConfig.from_dict({"corpus": settings.get("corpus", {})}).corpus
            found = settings_of(ForecasterConfig, settings, _LIMITS, corpus=corpus)
            check_finite(tensors)
            check_sizes(lambda: ForecasterModule(found), tensors)
            module = new_module(found)
            load_weights(module, tensors)
            return cls(module, _reference_of(config["reference"]))

    def save(self, path: str | os.PathLike, overwrite: bool = False) -> Path:
        """Write weights and settings as one safetensors file.

        Raises
        ------
        CheckpointError : the file is there and `overwrite` is False
        """
        config = {
            "config": self.config.to_dict(),
            "reference": {k: v.tolist() for k, v in self.reference.items()},
        }
        return save_checkpoint(
            path,
            self.module.state_dict(),
            config,
            kind=KIND,
            format_version=FORMAT,
            overwrite=overwrite,
        )

    # ------------------------------------------------------------------------------------------------ using
    def forecast(
        self,
        observation: xr.Dataset | None,
        regimen: Any,
        physiology: xr.Dataset | Mapping[str, Any] | None = None,
        compound: Compound | str | None = None,
        *,
        times: Any,
        compartments: Sequence[str] = ("plasma",),
        quantiles: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95),
        context: tuple[xr.Dataset, Any, Any] | None = None,
    ) -> xr.Dataset:
        """Predictive distribution of the concentrations that would be measured.

        Parameters
        ----------
        observation : schema ``observation``, samples of plasma, serum or blood of one or more subjects, each in order of
            time; None: no samples yet. Samples drawn before anything has entered are left out; the attribute
            ``ignored_samples`` counts them.
        regimen : Regimen, its Dataset, or text; subjects by number as in ``simulate``
        physiology : schema ``physiology``, or a mapping of what is known: species, body_weight [kg], age [year], sex, height
            [cm], hematocrit, gfr [L/h], and subject (labels); single values or one per subject. None: a human.
        compound : a Compound or a name in the database; the mechanistic model is then run for a typical subject and the
            network starts from its curve
        times : (n_times,) [h], increasing
        compartments : "plasma", "blood" or organs
        quantiles : levels, increasing, within (0, 1)
        context : (observation, regimen, physiology) of other patients on the same compound; the curve that they have in
            common takes the place of the mechanistic model's

        Returns
        -------
        Dataset of schema ``simulation``: concentration (subject, time, compartment) [mg/L], the median;
        concentration_quantile (..., quantile); ood_score (subject): above 1, what is told of patient and compound is farther
        from the corpus than 99 % of it, or see :meth:`ood_score`

        Raises
        ------
        InputError : a sample before the first dose, values that are not positive and have no lloq, times that do not
            increase, more doses, samples or patients than the context holds, a compound that is none
        UnknownNameError : a species, sex, compartment, matrix or subject that does not exist
        SchemaError, UnitError : a variable missing or in another unit

        Warns
        -----
        OutOfRangeWarning : an ood_score above 1; a compound that the mechanistic model cannot be run for; a context of
            another species
        """
        grid = check_times(times)
        sites = _sites(compartments)
        levels = _levels(quantiles)
        patients, ignored = read_patients(observation, regimen, physiology)
        compound = _compound(compound)
        others = None if context is None else self._context(context, compound)
        _same_species(patients, others)
        known = None
        if compound is not None:
            for p in patients:
                p.descriptors = describe(compound, p.species)
            known = anchors(compound, patients, as_regimen(regimen), physiology, grid, sites)
        batch = collate(patients, grid, sites, known)
        if others is not None:
            with_context(batch, others)
        every = np.unique(np.r_[0.5, levels])
        values = self._quantiles(batch, every).reshape(len(patients), len(grid), len(sites), -1)
        values = values[..., np.searchsorted(every, np.r_[0.5, levels])]
        for i, p in enumerate(patients):
            values[i, ~_entered(p, grid)] = 0.0
        score = self.ood_score(batch)
        if (score > 1).any():
            worst = int(score.argmax())
            warnings.warn(
                f"{int((score > 1).sum())} of {len(patients)} subjects are unlike the corpus "
                f"(ood_score {score[worst]:.2g} of subject {patients[worst].label}); their intervals may be too narrow",
                OutOfRangeWarning,
                stacklevel=2,
            )
        facts = {
            "ignored_samples": ignored,
            "compound": "none" if compound is None else compound.name,
            "context_patients": 0 if others is None else len(others),
        }
        return _dataset(patients, grid, sites, levels, values, score, facts)

    def ood_score(self, batch: Batch) -> np.ndarray:
        """(B,) how far patients are from what the network was trained on; above 1 is outside. The largest of

        - the distance (Mahalanobis) of covariates and descriptors from the corpus over that of its 99th percentile;
        - how many fold the body weight is outside :data:`WEIGHTS` of the species;
        - the highest sample over what all doses so far would give in the plasma alone (0.03 L/kg): usually a wrong unit.
        """
        from scipy.stats import chi2

        values = np.concatenate([batch.covariates, batch.descriptors], axis=1)[:, _NUMERIC]
        mean, cov = self.reference["mean"], self.reference["covariance"]
        out = np.zeros(len(values))
        known = np.isfinite(values)
        for there in np.unique(known, axis=0):
            rows, k = np.flatnonzero((known == there).all(axis=1)), np.flatnonzero(there)
            if k.size:
                off = values[np.ix_(rows, k)] - mean[k]
                square = np.einsum("ij,ji->i", off, np.linalg.solve(cov[np.ix_(k, k)], off.T))
                out[rows] = np.sqrt(square / chi2.ppf(0.99, k.size))
        return np.maximum(out, np.maximum(_weight_outside(batch), _above_the_dose(batch)))

    def fine_tune(
        self,
        observation: xr.Dataset,
        regimen: Any,
        physiology: xr.Dataset | Mapping[str, Any] | None = None,
        compound: Compound | str | None = None,
        *,
        steps: int = 200,
        learning_rate: float = 1e-4,
        seed: int = 0,
        replay: float = 0.5,
        progress: bool = False,
    ) -> Forecaster:
        """A copy adapted to a study: it learns to forecast each patient's later samples from the earlier ones.

        Parameters
        ----------
        observation, regimen, physiology, compound : as in :meth:`forecast`, every subject with two samples or more
        steps, learning_rate, seed : of the training
        replay : share of the steps taken on the corpus, so that what was learned there is not lost

        Returns
        -------
        a new Forecaster; this one stays as it is
        """
        if not 0.0 <= replay < 1.0:
            raise InputError("replay", replay, "a number in [0, 1)")
        patients, _ = read_patients(observation, regimen, physiology)
        patients = [p for p in patients if len(p.time) >= 2]
        if not patients:
            raise InputError(
                "observation", "no subject with two samples", "subjects with two samples or more"
            )
        if compound is not None:
            compound = _compound(compound)
            for p in patients:
                p.descriptors = describe(compound, p.species)
            anchors(compound, patients, as_regimen(regimen), physiology, patients[0].time[:1], [0])
        module = copy.deepcopy(self.module)
        corpus = Corpus(replace(self.config.corpus, batch_size=64))
        _, base = generator(seed)

        def loss(network, step: int, _: torch.Generator) -> torch.Tensor:
            rng = np.random.default_rng([base, step, 9])
            if rng.random() < replay:
                return batch_loss(network, corpus.batch(VALIDATION_SEED + 1 + base, step))
            rows = rng.choice(len(patients), min(64, len(patients)), replace=False)
            return batch_loss(network, _split(rng, [patients[i] for i in rows]))

        options = TrainingOptions(
            steps=steps,
            learning_rate=learning_rate,
            warmup=min(20, steps // 4),
            ema=None,
            seed=base % 2**31,
            evaluate_every=steps,
        )
        log = train(module, loss, options, progress=progress)
        return Forecaster(module, self.reference, log)

    # ------------------------------------------------------------------------------------------------ private
    def _context(self, context: Any, compound: Compound | None) -> Batch:
        if not isinstance(context, tuple | list) or len(context) != 3:
            raise InputError(
                "context",
                type(context).__name__,
                "(observation, regimen, physiology) of the other patients",
            )
        observation, regimen, physiology = context
        others, _ = read_patients(observation, regimen, physiology, "context ")
        if len(others) > MOST_OTHERS:
            raise InputError("context", f"{len(others)} patients", f"at most {MOST_OTHERS}")
        if compound is not None:
            for p in others:
                p.descriptors = describe(compound, p.species)
            anchors(
                compound,
                others,
                as_regimen(regimen),
                physiology,
                np.array([others[0].doses.first]),
                [0],
            )
        # a canonical order, so that the order in which they are given cannot even change the rounding
        order = sorted(range(len(others)), key=lambda i: _signature(others[i]))
        return collate([others[i] for i in order], np.zeros(0), [0], None)

    def _quantiles(self, batch: Batch, levels: np.ndarray) -> np.ndarray:
        """(B, Q, n) [mg/L]."""
        asked = torch.as_tensor(levels, dtype=torch.float32)

        def some(start: int) -> np.ndarray:
            part = batch.take(slice(start, start + _CHUNK))
            q = self.mixture(part).quantiles(asked)
            return torch.exp(q.double() + prepare(part).log_scale.double()[:, None, None]).numpy()

        return np.concatenate(over_threads(some, range(0, len(batch), _CHUNK)))

    @torch.no_grad()
    def mixture(self, batch: Batch) -> Mixture:
        """The predictive mixture in the network's units (see :func:`._features.prepare`)."""
        self.module.eval()
        return self.module(batch)


def _compound(compound: Compound | str | None) -> Compound | None:
    if isinstance(compound, str):
        return as_compound(compound)
    if compound is not None and not isinstance(compound, Compound):
        raise InputError(
            "compound", type(compound).__name__, "a Compound, a name in the database, or None"
        )
    return compound


def _same_species(patients: Sequence[Patient], others: Batch | None) -> None:
    """Other patients of another species say little: the corpus has none."""
    if others is None:
        return
    theirs = {SPECIES[i] for i in others.covariates[:, -len(SPECIES) :].argmax(axis=1)}
    if strange := {p.species for p in patients} - theirs:
        warnings.warn(
            f"context: its patients are of {', '.join(sorted(theirs))}, not of {', '.join(sorted(strange))}; the forecaster "
            "was trained on context of the same species only",
            OutOfRangeWarning,
            stacklevel=4,
        )


def _weight_outside(batch: Batch) -> np.ndarray:
    """(B,) fold by which the body weight lies outside what the corpus has of the species; 0 inside or where not known."""
    low, high = np.array([WEIGHTS[s] for s in SPECIES]).T
    which = batch.covariates[:, -len(SPECIES) :].argmax(axis=1)
    known = np.isfinite(batch.covariates[:, 0]) & batch.covariates[:, -len(SPECIES) :].any(axis=1)
    fold = np.maximum(batch.body_weight / high[which], low[which] / batch.body_weight)
    return np.where(known & (fold > 1), fold, 0.0)


def _above_the_dose(batch: Batch) -> np.ndarray:
    """(B,) highest sample over the concentration that all doses begun by then would give in the plasma alone; 0 below 1."""
    if batch.obs_time.shape[1] == 0:
        return np.zeros(len(batch))
    begun = (batch.dose_time[:, None, :] <= batch.obs_time[:, :, None] + 1e-9) & batch.dose_mask[
        :, None, :
    ]
    most = (begun * batch.dose_amount[:, None, :]).sum(axis=2) / (_PLASMA * batch.body_weight)[
        :, None
    ]
    seen = batch.obs_mask & ~batch.obs_censored & (most > 0)
    fold = np.where(seen, batch.obs_value / np.where(most > 0, most, 1.0), 0.0).max(axis=1)
    return np.where(fold > 1, fold, 0.0)


def with_context(batch: Batch, others: Batch, typical: TypicalCurve | None = None) -> None:
    """Let every patient of `batch` see the other patients, and the curve they have in common (fitted unless given)."""
    (typical or TypicalCurve(others)).put(batch)
    shown = np.unique(
        np.linspace(0, len(others) - 1, min(_TOKENS, len(others))).round().astype(int)
    )
    batch.context_batch = others.take(shown)
    batch.context = np.broadcast_to(np.arange(len(shown)), (len(batch), len(shown)))


def corpus_reference(config: ForecasterConfig, batches: int = 12) -> dict[str, np.ndarray]:
    """Mean and covariance of covariates and descriptors over the corpus, for :meth:`Forecaster.ood_score`."""
    corpus = Corpus(replace(config.corpus, context=0.0))
    rows = []
    for i in range(batches):
        b = corpus.batch(VALIDATION_SEED + 7, i)
        rows.append(np.concatenate([b.covariates, b.descriptors], axis=1)[:, _NUMERIC])
    values = np.concatenate(rows)
    mean = np.nanmean(values, axis=0)
    off = np.nan_to_num(values - mean)
    there = np.isfinite(values).astype(float)
    cov = (off.T @ off) / np.maximum(there.T @ there, 1.0)
    # pairs are seen together in different subsets: the nearest positive definite matrix
    size, vectors = np.linalg.eigh(cov)
    cov = (vectors * np.maximum(size, 1e-3 * size.max() / len(size))) @ vectors.T
    return {"mean": mean, "covariance": cov}


def _split(rng: np.random.Generator, patients: list[Patient]) -> Batch:
    """Patients with a random number of first samples observed and the others asked for."""
    shown, asked = [], []
    for p in patients:
        n = int(rng.integers(0, len(p.time)))
        shown.append(
            replace(
                p,
                time=p.time[:n],
                value=p.value[:n],
                censored=p.censored[:n],
                site=p.site[:n],
                anchor=None if p.anchor is None else p.anchor[:n],
            )
        )
        asked.append(slice(n, None))
    most = max(len(p.time[s]) for p, s in zip(patients, asked, strict=True))
    batch = collate(shown, np.zeros((len(patients), most)), [0], None)
    batch.query_value, batch.query_censored = (
        np.ones((len(patients), most)),
        np.zeros((len(patients), most), bool),
    )
    batch.query_mask = np.zeros((len(patients), most), bool)
    for i, (p, s) in enumerate(zip(patients, asked, strict=True)):
        m = len(p.time[s])
        batch.query_time[i, :m], batch.query_site[i, :m] = p.time[s], p.site[s]
        batch.query_value[i, :m], batch.query_censored[i, :m], batch.query_mask[i, :m] = (
            p.value[s],
            p.censored[s],
            True,
        )
        if p.anchor is not None:
            batch.query_anchor[i, :m] = p.anchor[s]
    return batch


def _signature(p: Patient) -> tuple:
    return (
        p.species,
        p.body_weight,
        tuple(p.time),
        tuple(p.value),
        tuple(p.doses.time),
        tuple(p.doses.amount),
        tuple(np.nan_to_num(p.covariates, nan=-1e9)),
    )


def _entered(p: Patient, grid: np.ndarray) -> np.ndarray:
    """Where some of a dose has entered: after the first dose, or with it where it is a bolus."""
    first = p.doses.time <= p.doses.first
    at_once = bool((first & ~p.doses.oral & (p.doses.duration == 0)).any())
    return grid >= p.doses.first if at_once else grid > p.doses.first


def _sites(compartments: Sequence[str]) -> list[int]:
    names = (compartments,) if isinstance(compartments, str) else tuple(compartments)
    if not names:
        raise InputError("compartments", names, "at least one compartment")
    for name in names:
        if name not in SITES:
            raise unknown_name("compartments", name, SITES, what="plasma, blood or an organ")
    return [SITES.index(n) for n in names]


def _levels(quantiles: Sequence[float]) -> np.ndarray:
    if isinstance(quantiles, str):
        raise InputError("quantiles", quantiles, "increasing numbers between 0 and 1")
    levels = np.atleast_1d(np.asarray(quantiles, dtype=float))
    if (
        levels.ndim != 1
        or not levels.size
        or not (np.all(levels > 0) and np.all(levels < 1))
        or np.any(np.diff(levels) <= 0)
    ):
        raise InputError(
            "quantiles", np.asarray(quantiles).tolist(), "increasing numbers between 0 and 1"
        )
    return levels


def _dataset(patients, grid, sites, levels, values, score, facts) -> xr.Dataset:
    dims = ("subject", "time", "compartment")
    usual = schemas.attrs("simulation", "concentration")
    return xr.Dataset(
        {
            "concentration": (
                dims,
                values[..., 0],
                {**usual, "long_name": "median forecast of the measured concentration"},
            ),
            "concentration_quantile": (
                (*dims, "quantile"),
                values[..., 1:],
                {**usual, "long_name": "quantiles of the forecast"},
            ),
            "status": (
                "subject",
                np.zeros(len(patients), np.int8),
                schemas.attrs("simulation", "status"),
            ),
            "ood_score": (
                "subject",
                score,
                {"units": "1", "long_name": "distance from the corpus; above 1: outside it"},
            ),
        },
        {
            "subject": np.array([p.label for p in patients]),
            "time": ("time", grid, {"units": "h", "long_name": "time"}),
            "compartment": np.array([SITES[s] for s in sites]),
            "quantile": levels,
            "species": ("subject", np.array([p.species for p in patients])),
            "body_weight": (
                "subject",
                np.array([p.body_weight for p in patients]),
                schemas.attrs("physiology", "body_weight"),
            ),
        },
        attrs=provenance(
            model="forecaster", **facts, schema="simulation", schema_version=schemas.SCHEMA_VERSION
        ),
    )


__all__ = ["Forecaster", "corpus_reference", "with_context"]
