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

from ..._core.errors import CheckpointError, InputError, OutOfRangeWarning
from ..._core.random import generator
from ...compounds import Compound
from ...compounds.conversion import as_compound
from ...physiology import SPECIES
from ..checkpoints import (
    check_finite,
    check_sizes,
    load_checkpoint,
    load_weights,
    reading,
    save_checkpoint,
    settings_of,
    with_prefix,
)
from ..devices import OnDevice, as_device, autocast
from ..model_card import Described, ModelCard, n_parameters
from ..threads import over_threads
from ..training import RunOptions, TrainingLog, TrainingOptions, train
from .batch import Batch
from .combination import combined
from .config import ForecasterConfig
from .context_curve import with_context
from .corpus import Corpus
from .data import MOST_OTHERS, Patient, as_regimen, collate, read_patients
from .falling import falling
from .features import prepare
from .likelihood import Mixture
from .mechanistic_curve import describe, reference_curves
from .module import ForecasterModule
from .out_of_distribution import (
    WEIGHTS,
    corpus_reference,
    ood_score,
    reference_from_checkpoint,
)
from .results import Queries, forecast_dataset, has_entered
from .sample_scores import WORDS, sample_scores
from .training import (
    VALIDATION_SEED,
    batch_loss,
    new_module,
    split_patients,
    train_module,
)

KIND, FORMAT = "forecaster", 1
SHIPPED = Path(__file__).parents[1] / "data" / "forecaster" / "forecaster.safetensors"
#: patients at a time on a thread, whose tokens stay in the cache, and most queries and samples of
#: theirs together, which bound the memory
_CHUNK, _MOST_TIMES = 256, 2**14
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


class Forecaster(OnDevice, Described):
    """A pretrained forecaster: one network for all compounds, species and regimens.

    >>> import pbpk_hybrid as ph
    >>> from pbpk_hybrid.learn import Forecaster
    >>> forecaster = Forecaster.load()
    >>> samples = ph.observations("theophylline", "shipped")
    >>> samples = samples.isel(sample=samples["subject"].values == "1").isel(sample=slice(1, 4))
    >>> ahead = forecaster.forecast(samples, "320 mg oral", {"body_weight": 80}, times=range(25))

    Get one by :meth:`load` (the shipped one or a file) or :meth:`fit`; :meth:`fine_tune`
    adapts it to a study.
    """

    def __init__(
        self, module: ForecasterModule, reference: Mapping[str, Any], log: TrainingLog | None = None
    ) -> None:
        self.module = module.eval()
        self.config = module.config
        self.reference = {k: np.asarray(v, dtype=float) for k, v in reference.items()}
        self.log_ = log

    @property
    def log(self) -> TrainingLog | None:
        """The same as `log_`, its name in the other components."""
        return self.log_

    def _networks(self) -> tuple[ForecasterModule, ...]:
        return (self.module,)

    def _card(self) -> ModelCard:
        config = self.config
        entries = {
            "predicts": "quantiles of concentrations in plasma, blood and organs",
            "trained on": "a simulated corpus of " + ", ".join(config.corpus.species),
            "network": f"{config.encoder_layers} + {config.refine_layers} layers of width "
            f"{config.width}, {config.heads} heads",
            "hypotheses": config.hypotheses,
            "reference components": config.anchored,
            "training steps": config.steps,
        }
        return ModelCard("Forecaster", KIND, FORMAT, n_parameters(self.module), entries)

    # ------------------------------------------------------------------ making
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
        device: Any = None,
        precision: str = "float32",
    ) -> Forecaster:
        """Train one on the corpus that is simulated as it goes.

        Parameters
        ----------
        config
            sizes, corpus and course; None: those of the shipped checkpoint
        steps
            optimiser steps instead of the config's
        folder
            of the run: its state and log.csv; a run found there goes on
        max_minutes, threads, progress, tensorboard
            see :func:`pbpk_hybrid.learn.training.train`
        start
            one to go on from, of the same size; such as a constant-rate run
            (:meth:`from_run`) that is to be cooled down with ``schedule="cosine"`` and
            another seed, or one with the decoder "shifted" that is to learn the decoder "curves"
        device, precision
            where and in which numbers to train, see
            :class:`~pbpk_hybrid.learn.training.RunOptions`; untested on CUDA

        Raises
        ------
        CheckpointError
            `folder` holds a run of other settings
        InputError
            a device that is not there
        """
        config = config or ForecasterConfig()
        run = RunOptions(
            folder, max_minutes, threads, progress, tensorboard, as_device(device), precision
        )
        module = new_module(config)
        if start is not None:
            _start_from(module, start.module)
        log = train_module(module.to(run.device), config, run=run, steps=steps)
        return cls(module, corpus_reference(config), log).to(precision=precision)

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
        config
            of the run
        averaged
            its averaged weights; False: those of the last step, to go on from

        Raises
        ------
        CheckpointError
            no run there, or of another network
        """
        from ..training import FORMAT as STATE_FORMAT
        from ..training import KIND as STATE

        config = config or ForecasterConfig()
        tensors, _ = load_checkpoint(
            Path(folder).expanduser() / "state.safetensors", kind=STATE, format_version=STATE_FORMAT
        )
        kind = "average/" if averaged else "now/"
        module = new_module(config)
        load_weights(module, with_prefix(tensors, kind))
        return cls(module, corpus_reference(config))

    @classmethod
    def load(
        cls,
        path: str | os.PathLike | None = None,
        *,
        device: Any = None,
        precision: str = "float32",
    ) -> Forecaster:
        """The shipped forecaster, or one from a file that :meth:`save` wrote.

        `device` and `precision` as in :meth:`to`.

        Raises
        ------
        CheckpointError
            no such file, damaged, of another kind or version
        """
        tensors, config = load_checkpoint(
            SHIPPED if path is None else path, kind=KIND, format_version=FORMAT
        )
        for entry in ("config", "reference"):
            if entry not in config:
                raise CheckpointError("config", sorted(config), f"an entry {entry!r}")
        with reading(path):
            # files written before there were two decoders have the first
            settings = {"decoder": "shifted", **config["config"]}
            corpus = ForecasterConfig.from_dict({"corpus": settings.get("corpus", {})}).corpus
            found = settings_of(ForecasterConfig, settings, _LIMITS, corpus=corpus)
            check_finite(tensors)
            check_sizes(lambda: ForecasterModule(found), tensors)
            module = new_module(found)
            load_weights(module, tensors)
            found = cls(module, reference_from_checkpoint(config["reference"]))
        return found.to(device, precision)

    def save(self, path: str | os.PathLike, overwrite: bool = False) -> Path:
        """Write weights and settings as one safetensors file.

        Raises
        ------
        CheckpointError
            the file is there and `overwrite` is False
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

    # ------------------------------------------------------------------ using
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
        observation
            schema ``observation``, samples of plasma, serum or blood of one or more
            subjects, each in order of time; None: no samples yet. Samples drawn before
            anything has entered are left out; the attribute ``ignored_samples`` counts
            them.
        regimen
            Regimen, its Dataset, or text; subjects by number as in ``simulate``
        physiology
            schema ``physiology``, or a mapping of what is known: species, body_weight [kg],
            age [year], sex, height [cm], hematocrit, gfr [L/h], and subject (labels);
            single values or one per subject. None: a human.
        compound
            a Compound or a name in the database; the mechanistic model is then run for a
            typical subject and the network starts from its curve
        times
            (n_times,) [h], increasing
        compartments
            "plasma", "blood" or organs
        quantiles
            levels, increasing, within (0, 1)
        context
            (observation, regimen, physiology) of other patients on the same compound; the
            curve that they have in common takes the place of the mechanistic model's

        Returns
        -------
        Dataset
            Of schema ``simulation``: ``concentration`` (subject, time, compartment) [mg/L],
            the median; ``concentration_quantile`` (..., quantile); ``ood_score`` (subject):
            above 1, what is told of patient and compound is farther from the corpus than 99
            % of it, or see :meth:`ood_score`.

        Raises
        ------
        InputError
            a sample before the first dose, values that are not positive and have no lloq,
            times that do not increase, more doses, samples or patients than the context
            holds, a compound that is none
        UnknownNameError
            a species, sex, compartment, matrix or subject that does not exist
        SchemaError, UnitError
            a variable missing or in another unit

        Warns
        -----
        OutOfRangeWarning
            an ood_score above 1; a compound that the mechanistic model cannot be run for; a
            context of another species
        """
        queries = Queries.of(times, compartments, quantiles)
        patients, ignored = read_patients(observation, regimen, physiology)
        compound = _compound(compound)
        others = None if context is None else self._context(context, compound)
        _same_species(patients, others)
        reference = None
        if compound is not None:
            reference = _set_references(
                compound, patients, regimen, physiology, queries.times, queries.sites
            )
        batch = collate(patients, queries.times, queries.sites, reference)
        if others is not None:
            with_context(batch, others)
        values = self._quantiles(batch, np.r_[0.5, queries.levels])
        # (B, n_times x n_sites, 1 + n_levels) -> (B, n_times, n_sites, 1 + n_levels)
        shape = (len(patients), len(queries.times), len(queries.sites), -1)
        values = values.reshape(shape)
        for i, patient in enumerate(patients):
            values[i, ~has_entered(patient, queries.times)] = 0.0
        of_samples, unit = sample_scores(batch)
        score = np.maximum(ood_score(batch, self.reference), of_samples)
        _warn_of_unlike(patients, score, unit)
        attrs = {
            "ignored_samples": ignored,
            "compound": "none" if compound is None else compound.name,
            "context_patients": 0 if others is None else len(others),
        }
        return forecast_dataset(patients, queries, values, score, attrs)

    def ood_score(self, batch: Batch) -> np.ndarray:
        """(B,) how far patients are from what the network was trained on.

        Above 1 is outside. The score is the largest of these:

        - the distance (Mahalanobis) of covariates and descriptors from the corpus over that
          of its 99th percentile;
        - how many fold the body weight is outside :data:`WEIGHTS` of the species;
        - the highest sample over what all doses so far would give in the plasma alone (0.03
          L/kg): usually a wrong unit;
        - how far the samples are from every curve of a compound like the corpus', or from the
          curve of the compound or the other patients where these are given (see
          :func:`.sample_scores.sample_scores`).
        """
        return np.maximum(ood_score(batch, self.reference), sample_scores(batch)[0])

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
        """A copy adapted to a study: it learns to forecast each patient's later samples
        from the earlier ones.

        Parameters
        ----------
        observation, regimen, physiology, compound
            as in :meth:`forecast`, every subject with two samples or more
        steps, learning_rate, seed
            of the training
        replay
            share of the steps taken on the corpus, so that what was learned there is not
            lost

        Returns
        -------
        Forecaster
            A new Forecaster; this one stays as it is.
        """
        if not 0.0 <= replay < 1.0:
            raise InputError("replay", replay, "a number in [0, 1)")
        patients, _ = read_patients(observation, regimen, physiology)
        patients = [p for p in patients if len(p.time) >= 2]
        if not patients:
            raise InputError(
                "observation", "no subject with two samples", "subjects with two samples or more"
            )
        compound = _compound(compound)
        if compound is not None:
            first_time = patients[0].time[:1]  # the references at the samples are what is needed
            _set_references(compound, patients, regimen, physiology, first_time, [0])
        module = copy.deepcopy(self.module)
        corpus = Corpus(replace(self.config.corpus, batch_size=64))
        _, base = generator(seed)

        def loss(network, step: int, _: torch.Generator) -> torch.Tensor:
            rng = np.random.default_rng([base, step, 9])
            if rng.random() < replay:
                return batch_loss(network, corpus.batch(VALIDATION_SEED + 1 + base, step))
            rows = rng.choice(len(patients), min(64, len(patients)), replace=False)
            return batch_loss(network, split_patients(rng, [patients[i] for i in rows]))

        options = TrainingOptions(
            steps=steps,
            learning_rate=learning_rate,
            warmup=min(20, steps // 4),
            ema=None,
            seed=base % 2**31,
            evaluate_every=steps,
            precision=self.precision,
        )
        log = train(module, loss, options, progress=progress)
        return Forecaster(module, self.reference, log).to(precision=self.precision)

    # ------------------------------------------------------------------ private
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
            first = np.array([others[0].doses.first])
            _set_references(compound, others, regimen, physiology, first, [0])
        # a canonical order, so that the order in which they are given cannot even change
        # the rounding
        order = sorted(range(len(others)), key=lambda i: _signature(others[i]))
        return collate([others[i] for i in order], np.zeros(0), [0], None)

    def _quantiles(self, batch: Batch, levels: np.ndarray) -> np.ndarray:
        """Quantiles of the concentrations, (B, Q, n_levels) [mg/L]."""
        distinct, which = np.unique(levels, return_inverse=True)
        at = torch.as_tensor(distinct, dtype=torch.float32, device=self.device)

        times = max(batch.query_time.shape[1], batch.obs_time.shape[1], 1)
        size = max(1, min(_CHUNK, _MOST_TIMES // times))

        def chunk(start: int) -> np.ndarray:
            part = batch.take(slice(start, start + size))
            ln_quantiles = self.mixture(part).quantiles(at).double()
            ln_unit = prepare(part, self.device).log_scale.double()[:, None, None]  # (B, 1, 1)
            return torch.exp(ln_quantiles + ln_unit).cpu().numpy()

        parts = over_threads(chunk, range(0, len(batch), size), self.device)
        return np.concatenate(parts)[..., which]

    @torch.no_grad()
    def mixture(self, batch: Batch) -> Mixture:
        """The predictive mixture in the network's units (see :func:`.features.prepare`)."""
        self.module.eval()

        def network(part: Batch) -> Mixture:
            with autocast(self.device, self.precision):
                return self.module(part).float().to("cpu")

        # curves are fitted and medians held on the CPU: they are small
        found = falling(prepare(batch), combined(network, batch))
        return found.to(self.device)


def _start_from(module: ForecasterModule, other: ForecasterModule) -> None:
    """Weights of `other` for `module`.

    Raises
    ------
    CheckpointError
        a network of other sizes
    """
    theirs = replace(module.config, decoder=other.config.decoder)
    if module.config.decoder == "curves" and other.config.decoder == "shifted":
        with torch.device("meta"):
            check_sizes(lambda: ForecasterModule(theirs), other.state_dict())
        module.start_from(other)
    else:
        load_weights(module, other.state_dict())


def _set_references(
    compound: Compound,
    patients: list[Patient],
    regimen: Any,
    physiology: Any,
    times: np.ndarray,
    sites: list[int],
) -> np.ndarray | None:
    """Descriptors and reference curve of the compound, put into the patients; see
    :func:`reference_curves`.
    """
    for patient in patients:
        patient.descriptors = describe(compound, patient.species)
    return reference_curves(compound, patients, as_regimen(regimen), physiology, times, sites)


def _warn_of_unlike(patients: Sequence[Patient], score: np.ndarray, unit: np.ndarray) -> None:
    """Warn of patients outside the corpus; `score` and `unit` (B,)."""
    if not (score > 1).any():
        return
    worst = int(score.argmax())
    text = (
        f"{int((score > 1).sum())} of {len(patients)} subjects are unlike the corpus "
        f"(ood_score {score[worst]:.2g} of subject {patients[worst].label}); "
        "their intervals may be too narrow"
    )
    for code, words in WORDS.items():
        if (unit == code).any():
            labels = [p.label for p, u in zip(patients, unit, strict=True) if u == code]
            shown = ", ".join(labels[:3]) + (", ..." if len(labels) > 3 else "")
            text += f". The samples of subject {shown} are {words}"
    warnings.warn(text, OutOfRangeWarning, stacklevel=3)


def _compound(compound: Compound | str | None) -> Compound | None:
    return None if compound is None else as_compound(compound)


def _same_species(patients: Sequence[Patient], others: Batch | None) -> None:
    """Other patients of another species say little: the corpus has none."""
    if others is None:
        return
    theirs = {SPECIES[i] for i in others.covariates[:, -len(SPECIES) :].argmax(axis=1)}
    if strange := {p.species for p in patients} - theirs:
        warnings.warn(
            f"context: its patients are of {', '.join(sorted(theirs))}, not of "
            f"{', '.join(sorted(strange))}; the forecaster was trained on context of the "
            "same species only",
            OutOfRangeWarning,
            stacklevel=4,
        )


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


__all__ = ["WEIGHTS", "Forecaster", "corpus_reference", "with_context"]
