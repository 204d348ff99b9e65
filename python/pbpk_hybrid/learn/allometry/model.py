"""`NeuralAllometry`: clearance, volume and unbound fraction in a species without data, from
animals and structure.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from ..._core.errors import CheckpointError, InputError, unknown_name
from ..._core.provenance import provenance
from ...compounds import Compound
from ..checkpoints import (
    check_array,
    check_finite,
    check_sizes,
    load_checkpoint,
    load_weights,
    reading,
    save_checkpoint,
    settings_of,
    with_prefix,
)
from ..devices import OnDevice, as_device, autocast, seeded
from ..model_card import Described, ModelCard, n_parameters
from ..training import RunOptions, TrainingLog
from . import blending, bodies
from .calibration import GROUPS, LEVELS, factor
from .config import AllometryConfig
from .cross_validation import calibrate, classical, combine, posteriors, shrink_to_classical
from .data import PARAMETERS, Table, load_table
from .encoder import Encoder, states
from .features import Features, features
from .module import AllometryModule
from .posterior import CompoundInputs, Posterior, Target, exponents_along, member_posterior
from .results import exponent_dataset, prediction_dataset
from .serialization import encoder_arrays, encoder_from_arrays
from .sources import Source, parse_sources, parse_weight
from .training import Problem, build, build_cases, fit_members

KIND, FORMAT = "neural allometry", 2
INTEGRATORS = ("rk4", "adaptive", "julia", "torchdiffeq")
SHIPPED = Path(__file__).resolve().parent.parent / "data" / "allometry" / "allometry.safetensors"
#: what a checkpoint may ask for: (least, largest)
_LIMITS: dict[str, tuple[float, float]] = {
    "folds": (2, 1000),
    "seeds": (1, 1000),
    "landmarks": (0, 100_000),
    "trees": (0, 100_000),
    "hidden": (1, 4096),
}


class NeuralAllometry(OnDevice, Described):
    """A continuous law from mouse to human; see the equations in
    :mod:`pbpk_hybrid.learn.allometry.module`.

    >>> from pbpk_hybrid.learn import NeuralAllometry
    >>> model = NeuralAllometry.load()
    >>> found = model.predict("CC(=O)Oc1ccccc1C(=O)O", {"rat": {"clearance": "9 mL/min/kg"}})
    """

    def __init__(
        self,
        encoder: Encoder,
        modules: Sequence[AllometryModule],
        config: AllometryConfig,
        calibration: np.ndarray,
        shares: np.ndarray | None = None,
    ) -> None:
        self._encoder, self._modules, self.config = encoder, list(modules), config
        self._calibration = calibration  # (3, GROUPS, levels)
        self._shares = np.zeros(GROUPS) if shares is None else np.asarray(shares, dtype=float)
        self.log_: TrainingLog | None = None

    @property
    def log(self) -> TrainingLog | None:
        """The same as `log_`, its name in the other components."""
        return self.log_

    def _networks(self) -> list[AllometryModule]:
        return self._modules

    def _card(self) -> ModelCard:
        n_members = len(self._modules) * self.config.members
        prior = self._encoder.prior
        n_structures = 0 if prior is None else len(prior.structures.fingerprint)
        entries = {
            "predicts": "clearance, volume, unbound fraction with intervals",
            "species": ", ".join(bodies.KNOT_SPECIES),
            "trained on": f"{n_structures} compounds of known structure"
            if n_structures
            else "compounds without structures",
            "members": f"{n_members} in {len(self._modules)} modules",
            "kernel directions": self._encoder.projection.shape[1],
        }
        return ModelCard("NeuralAllometry", KIND, FORMAT, n_parameters(*self._modules), entries)

    # ------------------------------------------------------------------ making
    @classmethod
    def fit(
        cls,
        table: Table | None = None,
        config: AllometryConfig | None = None,
        *,
        gram: np.ndarray | None = None,
        folder: str | os.PathLike | None = None,
        progress: bool = False,
        max_minutes: float | None = None,
        threads: int | None = None,
        tensorboard: bool = False,
        device: Any = None,
        precision: str = "float32",
        encoder: tuple[Encoder, np.ndarray] | None = None,
    ) -> NeuralAllometry:
        """Train on a table of compounds; None takes the shipped one.

        Parameters
        ----------
        table
            see :func:`load_table`; structures are optional
        config
            sizes, priors, seed
        gram
            the structure kernel among the rows, where it was computed already
        folder, progress, max_minutes, threads, tensorboard, device, precision
            see :class:`~pbpk_hybrid.learn.training.RunOptions`; untested on CUDA
        encoder
            of another model fitted to the same table with the same folds and seed, and its
            out-of-fold predictions

        Returns
        -------
        NeuralAllometry
            Model, with the training log as ``model.log_``.
        """
        table, config = table or load_table(), config or AllometryConfig()
        run = RunOptions(
            folder, max_minutes, threads, progress, tensorboard, as_device(device), precision
        )
        encoder, modules, log, problem, inner = fit_members(table, config, gram, run, encoder)
        model = cls(
            encoder,
            modules,
            config,
            *calibrate(modules, config, problem, inner, table.features is not None),
        )
        model.log_ = log
        return model.to(precision=precision)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike | None = None,
        *,
        device: Any = None,
        precision: str = "float32",
    ) -> NeuralAllometry:
        """A checkpoint; None loads the one that comes with the package.

        `device` and `precision` as in :meth:`to`.

        Raises
        ------
        CheckpointError
            not a checkpoint of this kind and version
        """
        tensors, config = load_checkpoint(
            SHIPPED if path is None else path, kind=KIND, format_version=FORMAT
        )
        with reading(path):
            found = cls._from_checkpoint(tensors, config)
        return found.to(device, precision)

    @classmethod
    def _from_checkpoint(
        cls, tensors: dict[str, torch.Tensor], stored: dict[str, Any]
    ) -> NeuralAllometry:
        """Everything is looked at before a network is built."""
        settings = settings_of(AllometryConfig, stored["config"], _LIMITS)
        for name, expected in (("species", list(bodies.KNOT_SPECIES)), ("levels", list(LEVELS))):
            if stored.get(name) != expected:
                raise CheckpointError(name, stored.get(name), f"those of this version: {expected}")
        check_finite(tensors, infinite=("encoder/scale",))
        arrays = {n: t.numpy() for n, t in with_prefix(tensors, "encoder/").items()}
        encoder = encoder_from_arrays(arrays)
        calibration = check_array(
            "calibration", arrays["calibration"], (3, GROUPS, len(LEVELS)), 0.0
        )
        shares = arrays.get("shares")  # models of before have none
        if shares is not None:
            check_array("shares", shares, (GROUPS,), 0.0, 1.0)
        modules = []
        for i, kind in enumerate(settings.kinds):
            prefix = f"module{i}/"
            weights = with_prefix(tensors, prefix)
            check_sizes(lambda kind=kind: build(settings, encoder, kind), weights)
            with seeded(settings.seed):  # first weights are drawn, and replaced
                modules.append(build(settings, encoder, kind))
            load_weights(modules[i], weights)
            modules[i].eval()
        return cls(encoder, modules, settings, calibration, shares)

    def save(self, path: str | os.PathLike, overwrite: bool = False) -> Path:
        """Write the model as one safetensors file."""
        arrays = encoder_arrays(self._encoder)
        arrays |= {"calibration": self._calibration, "shares": self._shares}
        tensors = {
            f"encoder/{n}": torch.from_numpy(np.ascontiguousarray(a)) for n, a in arrays.items()
        }
        for i, module in enumerate(self._modules):
            tensors |= {f"module{i}/{n}": t for n, t in module.state_dict().items()}
        config = {
            "config": asdict(self.config),
            "species": list(bodies.KNOT_SPECIES),
            "levels": list(LEVELS),
        }
        return save_checkpoint(
            path, tensors, config, kind=KIND, format_version=FORMAT, overwrite=overwrite
        )

    # ------------------------------------------------------------------ using
    def predict(
        self,
        compound: Compound | str | None = None,
        sources: Mapping[str, Any] | None = None,
        *,
        target: str = "human",
        body_weight: Any = None,
        level: float = 0.9,
        extrapolate: bool = False,
        integrator: str = "rk4",
    ) -> xr.Dataset:
        """Parameters of one compound in a species, from what is known in others.

        Each source is carried along the path of bodies to the target's mass; there all of
        them and the prediction from structure are weighed by the learned covariance of
        their errors. The order of sources changes nothing. Where the monkey's clearance is
        known, human clearance then moves towards it, scaled by liver blood flow, by a share
        found on compounds that the members had not seen
        (:mod:`pbpk_hybrid.learn.allometry.blending`).

        Parameters
        ----------
        compound
            a SMILES, or a Compound whose ``identifiers["smiles"]`` holds one; None or a
            Compound without: structure unknown, which widens the intervals
        sources
            species -> values: ``clearance`` [mL/min/kg], ``volume`` [L/kg] (or text with a
            unit, also of the whole animal: "1.2 L/h"), ``fraction_unbound``, ``kp`` (organ
            -> value), ``body_weight`` [kg]. Of the target species a measured unbound
            fraction may be given.
        target
            species to predict; any name when `body_weight` is given
        body_weight
            of the target [kg]; None takes the species' usual one
        level
            of the intervals
        extrapolate
            allow masses outside 5 g to 500 kg
        integrator
            "rk4" (fixed steps from species to species), or adaptive to 1e-8: "julia",
            "torchdiffeq", and "adaptive" for Julia where it is set up and torchdiffeq where
            not

        Returns
        -------
        Dataset
            ``clearance`` [L/h], ``clearance_plasma`` [mL/min/kg], ``volume`` [L],
            ``volume_steady_state`` [L/kg], ``fraction_unbound_plasma``, each with ``_lower``
            and ``_upper``; ``source_weight(source, parameter)``; where sources have kp,
            ``partition_coefficient(organ)``.

        Raises
        ------
        InputError, UnitError, UnknownNameError
            a value that cannot be used; the message names the field
        """
        if not 0 < level < 1:
            raise InputError("level", level, "a number between 0 and 1")
        if integrator not in INTEGRATORS:
            raise unknown_name("integrator", integrator, INTEGRATORS)
        known = parse_sources(sources)
        body = Target(target, _target_weight(target, body_weight, extrapolate))
        structure = structure_features(compound)
        found = self._posterior(structure, known, body, integrator)
        group = sum(
            bool(s.species != target and np.isfinite([s.clearance, s.volume]).any()) for s in known
        )
        self._shrink_to_monkey(found, known, body, min(group, GROUPS - 1))
        half_width = [
            factor(self._calibration[p], group, level) * found.sd[p] for p in range(len(PARAMETERS))
        ]
        out = prediction_dataset(found, half_width, known, body)
        out.attrs = provenance(
            model="neural allometry",
            target=target,
            body_weight=body.weight,
            level=level,
            integrator=found.backend,
            structure="known" if structure is not None else "unknown",
            members=len(self._modules) * self.config.members,
        )
        return out

    def exponent(
        self,
        compound: Compound | str | None = None,
        sources: Mapping[str, Any] | None = None,
        masses: Sequence[float] | None = None,
        *,
        extrapolate: bool = False,
    ) -> xr.Dataset:
        r"""The local allometric exponent :math:`d\ln P/d\ln BW` along the path, of the
        curve through the human prediction of the members that integrate.

        Parameters
        ----------
        compound, sources
            as in :meth:`predict`
        masses
            [kg]; None: 60 from 20 g to 100 kg

        Returns
        -------
        Dataset
            ``exponent(mass, parameter)``, its 5 and 95 % quantiles over the members, and
            parameter values along the curve.
        """
        grid = np.geomspace(0.02, 100.0, 60)
        if masses is not None:
            grid = np.ravel(np.asarray(masses, dtype=float))
        for m in grid:
            parse_weight(float(m), "masses", extrapolate)
        compound_inputs = CompoundInputs.of(self._encoder, structure_features(compound))
        with torch.no_grad(), autocast(self.device, self.precision):
            states, slopes = exponents_along(
                self._modules[0], compound_inputs, parse_sources(sources), np.log(grid)
            )
        return exponent_dataset(grid, _numbers(states), _numbers(slopes))

    def predict_table(
        self,
        table: Table,
        sources: Sequence[str],
        target: str = "human",
        *,
        structure: bool = True,
        target_fu: bool = True,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and calibrated half width of 90 % on the log scale (logit for fu), each (n,
        3), for all rows of a table at once.

        `target_fu`: the target's own unbound fraction, where the table has it, may be used
        for clearance and volume.
        """
        species = list(bodies.KNOT_SPECIES)
        numbers, t = [species.index(s) for s in sources], species.index(target)
        values = states(table)
        values[:, [s for s in range(len(species)) if s not in numbers and s != t]] = np.nan
        values[:, t, :2] = np.nan
        if not target_fu:
            values[:, t] = np.nan
        features = table.features if structure else None
        predicted = self._encoder.predict_structure(features, len(table))
        cases = build_cases(values, targets=[t], sources=numbers)
        problem = Problem(self._encoder, table, predicted, cases, values).to(self.device)
        has_structure = features is not None and self._encoder.prior is not None
        known = torch.full((len(table),), has_structure, device=self.device)
        with torch.no_grad(), autocast(self.device, self.precision):
            mean, sd = posteriors(self._modules, problem, problem.present, known)
        group = np.minimum(_numbers(problem.present[..., :2].any(-1).sum(1)), GROUPS - 1)
        centre, mixture_sd = combine(mean, sd)
        by_monkey = classical(problem, problem.present)
        centre = shrink_to_classical(centre, by_monkey, self._shares[group])
        half_width = [[factor(self._calibration[p], g, 0.9) for g in group] for p in range(3)]
        return centre, np.stack(half_width, axis=1) * mixture_sd  # (n, 3) each

    # ------------------------------------------------------------------ private
    def _posterior(
        self,
        structure: Features | None,
        sources: list[Source],
        target: Target,
        integrator: str,
    ) -> Posterior:
        """The mixture of all members' posteriors at the target."""
        with torch.no_grad(), autocast(self.device, self.precision):
            compound = CompoundInputs.of(self._encoder, structure)
            parts = [
                member_posterior(module, compound, sources, target, integrator)
                for module in self._modules
            ]
        mean, sd, gain = (torch.cat(part) for part in list(zip(*parts, strict=True))[:3])
        centre, mixture_sd = combine(mean[:, None], sd[:, None])
        integrated = [part[3] for part, m in zip(parts, self._modules, strict=True) if m.ode]
        # (members, 3, n) -> (n, 3)
        weights = _numbers(gain.mean(0).T)
        return Posterior(centre[0], mixture_sd[0], weights, (integrated or [integrator])[0])

    def _shrink_to_monkey(
        self, found: Posterior, sources: list[Source], target: Target, group: int
    ) -> None:
        """Move human clearance towards the monkey's by liver blood flow, in place, with the
        weights.

        Not where the human's own clearance is known; see :mod:`.blending`.
        """
        used = [s for s in sources if s.known]
        known = {s.species: i for i, s in enumerate(used) if np.isfinite(s.clearance)}
        if (
            target.species != blending.TARGET
            or target.species in known
            or blending.SPECIES not in known
        ):
            return
        i, share = known[blending.SPECIES], float(self._shares[group])
        scaled = blending.by_liver_flow(
            np.log(used[i].clearance), np.log(used[i].weight), np.log(target.weight)
        )[0]
        found.mean[0] += share * (scaled - found.mean[0])
        found.gain[:, 0] *= 1 - share
        found.gain[i, 0] += share


@lru_cache(maxsize=32)
def _features_of(smiles: str, name: str | None = None) -> Features:
    """The same compound is asked for again with other sources or bodies."""
    return features([smiles], None if name is None else [name])


def structure_features(compound: Compound | str | None) -> Features | None:
    """Features of the compound's structure, None where it is unknown.

    Raises
    ------
    InputError
        neither a SMILES nor a Compound, or a SMILES that cannot be read
    """
    if compound is None:
        return None
    if isinstance(compound, Compound):
        smiles = compound.identifiers.get("smiles")
        return None if smiles is None else _features_of(smiles, compound.name)
    if isinstance(compound, str):
        return _features_of(compound)
    raise InputError("compound", type(compound).__name__, "a SMILES, a Compound or None")


def _numbers(tensor: torch.Tensor) -> np.ndarray:
    """As numpy, which has no bfloat16."""
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).cpu().numpy()


def _target_weight(target: str, body_weight, extrapolate: bool) -> float:
    if body_weight is not None:
        return parse_weight(body_weight, "body_weight", extrapolate)
    if target not in bodies.WEIGHT:
        raise unknown_name(
            "target", target, bodies.WEIGHT, what="a species, or any name with body_weight"
        )
    return bodies.WEIGHT[target]
