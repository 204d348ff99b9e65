"""`NeuralAllometry`: clearance, volume and unbound fraction in a species without data, from
animals and structure.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from ..._core.errors import CheckpointError, InputError, OutOfRangeWarning, unknown_name
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
from ..devices import OnDevice, as_device, as_precision, seeded
from ..model_card import Described, ModelCard, n_parameters
from ..training import RunOptions, TrainingLog
from . import blending, bodies
from .calibration import GROUPS, LEVELS, factor
from .config import AllometryConfig
from .cross_validation import calibrate
from .data import PARAMETERS, Table, load_table
from .domain import Domain, domain_of
from .encoder import Encoder, states
from .features import Features, features
from .law import Law
from .prediction import Prediction, exponents_along, predict_one, through_the_body
from .readout import as_tensor
from .results import draws_dataset, exponent_dataset, prediction_dataset
from .serialization import encoder_arrays, encoder_from_arrays
from .sources import Source, Target, parse_sources, parse_weight
from .training import Examples, fit_held_out, fit_law, numbers_of, posterior, prepare, pretrain

KIND, FORMAT = "neural allometry", 3
SHIPPED = Path(__file__).resolve().parent.parent / "data" / "allometry" / "allometry.safetensors"
#: what a checkpoint may ask for: (least, largest)
_LIMITS: dict[str, tuple[float, float]] = {
    "folds": (2, 1000),
    "trees": (0, 100_000),
    "hidden": (1, 4096),
    "pretrained": (0, 10_000_000),
}
#: by how much the intervals of a molecule of another kind are widened
OUTSIDE = 1.5


class NeuralAllometry(OnDevice, Described):
    """A law of clearance, volume and binding over the species; see the equations in
    :mod:`pbpk_hybrid.learn.allometry.law` and :mod:`pbpk_hybrid.learn.allometry.readout`.

    >>> from pbpk_hybrid.learn import NeuralAllometry
    >>> model = NeuralAllometry.load()
    >>> found = model.predict("CC(=O)Oc1ccccc1C(=O)O", {"rat": {"clearance": "9 mL/min/kg"}})
    """

    def __init__(
        self,
        encoder: Encoder,
        law: Law,
        calibration: np.ndarray,
        shares: np.ndarray | None = None,
    ) -> None:
        self._encoder, self._law = encoder, law
        self._calibration = calibration  # (3, GROUPS, levels)
        self._shares = np.zeros(GROUPS) if shares is None else np.asarray(shares, dtype=float)
        self.log_: TrainingLog | None = None

    @property
    def config(self) -> AllometryConfig:
        """Sizes and weights."""
        return self._law.config

    @property
    def log(self) -> TrainingLog | None:
        """The same as `log_`, its name in the other components."""
        return self.log_

    def _networks(self) -> list[Law]:
        return [self._law]

    def to(self, device: Any = None, precision: str | None = None) -> NeuralAllometry:
        """This model, with its law on a device; untested on CUDA.

        Parameters
        ----------
        device
            such as "cuda"; None: where it is
        precision
            "float32" or None: the law is solved in double precision whatever is asked for

        Raises
        ------
        InputError
            a device that is not there, or half precision
        """
        _no_half_precision(precision)
        return super().to(device, precision)

    def _card(self) -> ModelCard:
        prior, config = self._encoder.prior, self.config
        n_structures = 0 if prior is None else len(prior.structures.fingerprint)
        entries = {
            "predicts": "clearance, volume, unbound fraction with intervals",
            "species": ", ".join(bodies.KNOT_SPECIES),
            "trained on": f"{n_structures} compounds of known structure"
            if n_structures
            else "compounds without structures",
            "organ graph": "yes" if config.graph else "no",
            "neural ODE": "yes" if config.ode else "no",
        }
        return ModelCard("NeuralAllometry", KIND, FORMAT, n_parameters(self._law), entries)

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
            sizes, weights, seed
        gram
            the structure kernel among the rows, where it was computed already
        folder, progress, max_minutes, threads, tensorboard, device, precision
            see :class:`~pbpk_hybrid.learn.training.RunOptions`; untested on CUDA, and not in
            half precision
        encoder
            of another model fitted to the same table with the same folds and seed, and its
            out-of-fold predictions

        Returns
        -------
        NeuralAllometry
            Model, with the training log as ``model.log_``.
        """
        _no_half_precision(precision)
        table, config = table or load_table(), config or AllometryConfig()
        run = RunOptions(
            folder, max_minutes, threads, progress, tensorboard, as_device(device), precision
        )
        prepared = prepare(table, config, gram, encoder)
        start = pretrain(config)
        law, log = fit_law(prepared.examples, config, start=start, run=run)
        again = RunOptions(threads=threads, device=run.device)
        held_out = fit_held_out(prepared, config, start, again)
        model = cls(prepared.encoder, law, *calibrate(prepared.examples, held_out))
        model.log_ = log
        return model

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
        shares = check_array("shares", arrays["shares"], (GROUPS,), 0.0, 1.0)
        weights = with_prefix(tensors, "law/")
        check_sizes(lambda: Law(settings), weights)
        with seeded(settings.seed):  # first weights are drawn, and replaced
            law = Law(settings)
        load_weights(law, weights)
        return cls(encoder, law.eval(), calibration, shares)

    def save(self, path: str | os.PathLike, overwrite: bool = False) -> Path:
        """Write the model as one safetensors file."""
        arrays = encoder_arrays(self._encoder)
        arrays |= {"calibration": self._calibration, "shares": self._shares}
        tensors = {
            f"encoder/{n}": torch.from_numpy(np.ascontiguousarray(a)) for n, a in arrays.items()
        }
        tensors |= {f"law/{n}": t for n, t in self._law.state_dict().items()}
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
    ) -> xr.Dataset:
        """Parameters of one compound in a species, from what is known in others.

        Every source says something of the compound's states (intrinsic clearance per gram,
        tissue binding, plasma binding), which the law carries to the target; there clearance
        and volume follow by the engine's algebra. The order of sources changes nothing. Where
        the monkey's clearance is known, human clearance then moves towards it, scaled by liver
        blood flow, by a share found on compounds that the law had not seen
        (:mod:`pbpk_hybrid.learn.allometry.blending`).

        Parameters
        ----------
        compound
            a SMILES, or a Compound whose ``identifiers["smiles"]`` holds one; None or a
            Compound without: structure unknown, which widens the intervals
        sources
            species -> values: ``clearance`` [mL/min/kg], ``volume`` [L/kg] (or text with a
            unit, also of the whole animal: "1.2 L/h"), ``fraction_unbound``,
            ``clint_hepatocyte`` [uL/min/1e6 cells], ``kp`` (organ -> value), ``body_weight``
            [kg]. Of the target species values in vitro may be given.
        target
            species to predict; any name when `body_weight` is given
        body_weight
            of the target [kg]; None takes the species' usual one. Another weight of a known
            species is another member of that species.
        level
            of the intervals
        extrapolate
            allow masses outside 5 g to 500 kg

        Returns
        -------
        Dataset
            ``clearance`` [L/h], ``clearance_plasma`` [mL/min/kg], ``volume`` [L],
            ``volume_steady_state`` [L/kg], ``fraction_unbound_plasma``, each with ``_lower``
            and ``_upper``; ``source_weight(source, parameter)``; where sources have kp,
            ``partition_coefficient(organ)``. Attributes: ``similarity`` to the most similar
            training compound, ``domain`` (why the intervals were widened, if so).

        Raises
        ------
        InputError, UnitError, UnknownNameError
            a value that cannot be used, or a structure that is no small organic molecule; the
            message names the field

        Warns
        -----
        OutOfRangeWarning
            a structure outside the domain of the tables: the intervals are widened
        """
        if not 0 < level < 1:
            raise InputError("level", level, "a number between 0 and 1")
        known = parse_sources(sources, _compound_or_none(compound))
        body = Target(target, _target_weight(target, body_weight, extrapolate))
        found, domain = self._predict(compound, known, body)
        group = _group(known, target)
        half_width = [
            factor(self._calibration[p], group, level) * found.sd[p] for p in range(len(PARAMETERS))
        ]
        sides = np.vstack([-np.diag(half_width), np.diag(half_width)])
        ends = self._through_the_body(compound, body, found, sides)
        limits = np.stack([np.diag(ends[:3]), np.diag(ends[3:])])
        out = prediction_dataset(found, limits, known, body)
        out.attrs = provenance(
            model="neural allometry",
            target=target,
            body_weight=body.weight,
            level=level,
            structure="unknown" if domain is None else "known",
            similarity=float("nan") if domain is None else domain.similarity,
            domain="" if domain is None else "; ".join(domain.reasons),
        )
        return out

    def predict_compound(
        self,
        compound: Compound | str,
        sources: Mapping[str, Any] | None = None,
        *,
        target: str = "human",
    ) -> Compound:
        """The same as a Compound that :func:`pbpk_hybrid.simulate` takes.

        Parameters
        ----------
        compound, sources, target
            as in :meth:`predict`; the target is one of the engine's species
        """
        from .engine import prediction_to_compound
        from .features import compound_of_structure

        drug = compound_of_structure(compound) if isinstance(compound, str) else compound
        weight = bodies.reference_weight(target)
        found = self.predict(drug, sources, target=target, body_weight=weight)
        return prediction_to_compound(drug, found)

    def draws(
        self,
        compound: Compound | str | None = None,
        sources: Mapping[str, Any] | None = None,
        n: int = 1000,
        *,
        seed: int = 0,
        target: str = "human",
        body_weight: Any = None,
    ) -> xr.Dataset:
        """Joint draws of what :meth:`predict` says, with its widths.

        Parameters
        ----------
        compound, sources, target, body_weight
            as in :meth:`predict`
        n, seed
            of the draws

        Returns
        -------
        Dataset
            ``clearance`` [L/h], ``volume`` [L] and ``fraction_unbound`` over ``draw``
        """
        if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 1:
            raise InputError("n", n, "an integer >= 1")
        known = parse_sources(sources, _compound_or_none(compound))
        body = Target(target, _target_weight(target, body_weight, False))
        found, _ = self._predict(compound, known, body)
        group = _group(known, target)
        # a normal distribution whose 90 % interval is the calibrated one
        scale = [factor(self._calibration[p], group, 0.9) / 1.6449 for p in range(3)]
        covariance = found.covariance * np.outer(scale, scale)
        rng = np.random.default_rng(seed)
        drawn = rng.multivariate_normal(np.zeros(3), covariance, int(n), method="eigh")
        return draws_dataset(self._through_the_body(compound, body, found, drawn))

    def exponent(
        self,
        compound: Compound | str | None = None,
        sources: Mapping[str, Any] | None = None,
        masses: Sequence[float] | None = None,
        *,
        extrapolate: bool = False,
    ) -> xr.Dataset:
        r"""The local allometric exponent :math:`d\ln P/d\ln BW` along the path of bodies, of the
        curve through the human prediction.

        Parameters
        ----------
        compound, sources
            as in :meth:`predict`
        masses
            [kg]; None: 60 from 20 g to 100 kg

        Returns
        -------
        Dataset
            ``exponent(mass, parameter)`` and the values along the curve.
        """
        grid = np.geomspace(0.02, 100.0, 60)
        if masses is not None:
            grid = np.ravel(np.asarray(masses, dtype=float))
        for m in grid:
            parse_weight(float(m), "masses", extrapolate)
        known = parse_sources(sources, _compound_or_none(compound))
        inputs = self._encoder.compounds(structure_features(compound))
        with torch.no_grad():
            values, slopes = exponents_along(self._law, inputs, known, np.log(grid))
        return exponent_dataset(grid, values, slopes)

    def predict_table(
        self,
        table: Table,
        sources: Sequence[str],
        target: str = "human",
        *,
        structure: bool = True,
        target_fu: bool = True,
        in_vitro: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and calibrated half width of 90 % on the log scale (logit for fu), each (n,
        3), for all rows of a table at once.

        `target_fu`: the target's own unbound fraction, where the table has it, may be used
        for clearance and volume; `in_vitro`: the intrinsic clearance of hepatocytes, too.
        """
        numbers, t = numbers_of(sources), bodies.KNOT_SPECIES.index(target)
        points = tuple(dict.fromkeys([*numbers, t]))
        values = states(table)[:, points]
        place = points.index(t)
        keep = np.zeros(values.shape, dtype=bool)
        keep[:, [points.index(s) for s in numbers], :3] = True
        keep[:, place, :2] = False
        keep[:, place, 2], keep[:, place, 3] = target_fu, in_vitro
        shown = table.features if structure else None
        inputs = self._encoder.compounds(shown, len(table))
        examples = Examples(inputs, as_tensor(values), points)
        with torch.no_grad():
            found = posterior(self._law, examples, torch.tensor(keep))
            noise = self._law.noise()[:3].cpu().numpy()
        mean = found.y[:, place, :3].cpu().numpy()
        sd = np.sqrt(found.variance(place)[:, :3].cpu().numpy() + noise)
        known = np.isfinite(values) & keep
        group = np.minimum(np.delete(known, place, axis=1)[..., :2].any(-1).sum(1), GROUPS - 1)
        if target == blending.TARGET and blending.SPECIES in sources:
            monkey = values[:, points.index(numbers_of([blending.SPECIES])[0]), 0]
            mean = blending.shrink(mean, monkey, self._shares[group])
        half_width = [[factor(self._calibration[p], g, 0.9) for g in group] for p in range(3)]
        return mean, np.stack(half_width, axis=1) * sd  # (n, 3) each

    # ------------------------------------------------------------------ private
    def _predict(
        self, compound: Compound | str | None, sources: list[Source], target: Target
    ) -> tuple[Prediction, Domain | None]:
        """Prediction of one compound, and whether its structure is one that the law knows."""
        shown, domain = structure_features(compound), None
        inputs = self._encoder.compounds(shown)
        if shown is not None:
            smiles = compound if isinstance(compound, str) else compound.identifiers["smiles"]
            domain = domain_of(smiles)
            if self._encoder.prior is None:
                domain = None  # nothing of the structure is used
            else:
                domain = domain.with_similarity(1.0 - float(inputs.distance[0]))
        with torch.no_grad():
            found = predict_one(self._law, inputs, sources, target)
        self._shrink_to_monkey(found, sources, target)
        if domain is not None and domain.reasons:
            found.covariance *= OUTSIDE**2
            warnings.warn(
                f"the structure is outside the domain of the tables ({'; '.join(domain.reasons)}): "
                f"intervals are widened by {OUTSIDE:g}",
                OutOfRangeWarning,
                stacklevel=3,
            )
        return found, domain

    def _through_the_body(
        self,
        compound: Compound | str | None,
        target: Target,
        found: Prediction,
        deviations: np.ndarray,
    ) -> np.ndarray:
        """Values (n, 3) at deviations (n, 3) from a prediction."""
        inputs = self._encoder.compounds(structure_features(compound))
        with torch.no_grad():
            return through_the_body(self._law, inputs, target, found.mean, deviations)

    def _shrink_to_monkey(self, found: Prediction, sources: list[Source], target: Target) -> None:
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
        i = known[blending.SPECIES]
        share = float(self._shares[_group(sources, target.species)])
        scaled = blending.by_liver_flow(np.log(used[i].clearance), used[i].weight, target.weight)
        found.mean[0] += share * (scaled - found.mean[0])
        found.gain[:, 0] *= 1 - share
        found.gain[i, 0] += share


def _no_half_precision(precision: str | None) -> None:
    """
    Raises
    ------
    InputError
        bf16
    """
    if precision is not None and as_precision(precision) != "float32":
        raise InputError(
            "precision",
            precision,
            "float32",
            hint="the law is solved in double precision: its covariances need it",
        )


def _group(sources: list[Source], target: str) -> int:
    """Number of source species whose clearance or volume is known, as the calibration counts."""
    known = [s.species != target and np.isfinite([s.clearance, s.volume]).any() for s in sources]
    return min(sum(known), GROUPS - 1)


def _compound_or_none(compound: Any) -> Compound | None:
    return compound if isinstance(compound, Compound) else None


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


def _target_weight(target: str, body_weight, extrapolate: bool) -> float:
    if body_weight is not None:
        return parse_weight(body_weight, "body_weight", extrapolate)
    if target not in bodies.WEIGHT:
        raise unknown_name(
            "target", target, bodies.WEIGHT, what="a species, or any name with body_weight"
        )
    return bodies.WEIGHT[target]
