"""`NeuralAllometry`: clearance, volume and unbound fraction in a species without data, from animals and structure."""

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
)
from ..training import TrainingLog
from . import blending as _blend
from . import bodies as _path
from .calibration import GROUPS, LEVELS, factor
from .config import AllometryConfig
from .cross_validation import calibrate, classical, combine, leant, posteriors
from .data import PARAMETERS, Table, load_table
from .encoder import HUMAN, N_BLOCK, Encoder, logit
from .features import SLICES, Features, features
from .integration import adaptive
from .module import AllometryModule, Way
from .sources import Source, parse_sources, parse_weight
from .structure import StructurePrior, Structures
from .training import Problem, build, build_cases, fit_members, module_jump
from .trees import Trees

KIND, FORMAT = "neural allometry", 2
INTEGRATORS = ("rk4", "adaptive", "julia", "torchdiffeq")
SHIPPED = Path(__file__).resolve().parent.parent / "data" / "allometry" / "allometry.safetensors"
#: parameter -> (name in the result, unit, name per kg, unit per kg)
_NAMES = {
    "clearance": ("clearance", "L/h", "clearance_plasma", "mL/min/kg"),
    "volume": ("volume", "L", "volume_steady_state", "L/kg"),
    "fraction_unbound": ("fraction_unbound_plasma", "1", None, None),
}


#: what a checkpoint may ask for: (least, largest)
_LIMITS: dict[str, tuple[float, float]] = {
    "folds": (2, 1000),
    "seeds": (1, 1000),
    "landmarks": (0, 100_000),
    "trees": (0, 100_000),
    "hidden": (1, 4096),
}
_MOST_STRUCTURES = 100_000


class NeuralAllometry:
    """A continuous law from mouse to man; see the equations in :mod:`pbpk_hybrid.learn.allometry.module`.

    >>> from pbpk_hybrid.learn import NeuralAllometry
    >>> model = NeuralAllometry.load()
    >>> found = model.predict("CC(=O)Oc1ccccc1C(=O)O", {"rat": {"clearance": "9 mL/min/kg"}})
    """

    def __init__(
        self,
        encoder: Encoder,
        modules: list[AllometryModule],
        config: AllometryConfig,
        calibration,
        shares=None,
    ) -> None:
        self._encoder, self._modules, self.config, self._calibration = (
            encoder,
            list(modules),
            config,
            calibration,
        )
        self._shares = np.zeros(GROUPS) if shares is None else np.asarray(shares, dtype=float)

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
        encoder: tuple[Encoder, np.ndarray] | None = None,
    ) -> NeuralAllometry:
        """Train on a table of compounds; None takes the shipped one.

        Parameters
        ----------
        table : see :func:`load_table`; structures are optional
        config : sizes, priors, seed
        gram : the structure kernel among the rows, where it was computed already
        folder, progress, max_minutes, threads : as in :func:`pbpk_hybrid.learn.train`
        encoder : of another model fitted to the same table with the same folds and seed, and its out-of-fold predictions

        Returns
        -------
        model, with the training log as ``model.log``
        """
        table, config = table or load_table(), config or AllometryConfig()
        encoder, modules, log, problem, inner = fit_members(
            table, config, gram, folder, progress, max_minutes, threads, encoder
        )
        model = cls(
            encoder,
            modules,
            config,
            *calibrate(modules, config, problem, inner, table.features is not None),
        )
        model.log: TrainingLog = log
        return model

    @classmethod
    def load(cls, path: str | os.PathLike | None = None) -> NeuralAllometry:
        """A checkpoint; None loads the one that comes with the package.

        Raises
        ------
        CheckpointError : not a checkpoint of this kind and version
        """
        tensors, config = load_checkpoint(
            SHIPPED if path is None else path, kind=KIND, format_version=FORMAT
        )
        with reading(path):
            return cls._from_checkpoint(tensors, config)

    @classmethod
    def _from_checkpoint(
        cls, tensors: dict[str, torch.Tensor], stored: dict[str, Any]
    ) -> NeuralAllometry:
        """Everything is looked at before a network is built."""
        settings = settings_of(AllometryConfig, stored["config"], _LIMITS)
        for name, own in (("species", list(_path.KNOT_SPECIES)), ("levels", list(LEVELS))):
            if stored.get(name) != own:
                raise CheckpointError(name, stored.get(name), f"those of this version: {own}")
        check_finite(tensors, infinite=("encoder/scale",))
        arrays = {
            n.removeprefix("encoder/"): t.numpy()
            for n, t in tensors.items()
            if n.startswith("encoder/")
        }
        encoder = _encoder_of(arrays)
        calibration = check_array(
            "calibration", arrays["calibration"], (3, GROUPS, len(LEVELS)), 0.0
        )
        shares = arrays.get("shares")  # models of before have none
        if shares is not None:
            check_array("shares", shares, (GROUPS,), 0.0, 1.0)
        modules = []
        for i, kind in enumerate(settings.kinds):
            prefix = f"module{i}/"
            weights = {
                n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)
            }
            check_sizes(lambda kind=kind: build(settings, encoder, kind), weights)
            modules.append(build(settings, encoder, kind))
            load_weights(modules[i], weights)
            modules[i].eval()
        return cls(encoder, modules, settings, calibration, shares)

    def save(self, path: str | os.PathLike, overwrite: bool = False) -> Path:
        """Write the model as one safetensors file."""
        e = self._encoder
        arrays = {
            "centre": e.centre,
            "told_scale": e.scale,
            **_packed("landmark_prints", e.landmark_prints),
            "projection": e.projection.astype(np.float32),
            "offset": e.offset,
            "calibration": self._calibration,
            "shares": self._shares,
        }
        if e.prior is not None:
            s = e.prior.structures
            arrays |= {
                **_packed("fingerprint", s.fingerprint),
                "descriptors": s.descriptors,
                "mean": s.mean,
                "scale": s.scale,
                "coefficients": e.prior.coefficients.astype(np.float32),
                "prior_mean": e.prior.mean,
            }
        if e.trees is not None:
            arrays |= {f"trees/{n}": a for n, a in e.trees.arrays().items()}
        tensors = {
            f"encoder/{n}": torch.from_numpy(np.ascontiguousarray(a)) for n, a in arrays.items()
        }
        for i, module in enumerate(self._modules):
            tensors |= {f"module{i}/{n}": t for n, t in module.state_dict().items()}
        config = {
            "config": asdict(self.config),
            "species": list(_path.KNOT_SPECIES),
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

        Each source is carried along the path of bodies to the target's mass; there all of them and the prediction from
        structure are weighed by the learned covariance of their errors. The order of sources changes nothing. Where the
        monkey's clearance is known, human clearance then moves towards it, scaled by liver blood flow, by a share found
        on compounds that the members had not seen (:mod:`pbpk_hybrid.learn.allometry.blending`).

        Parameters
        ----------
        compound : a SMILES, or a Compound whose ``identifiers["smiles"]`` holds one; None or a Compound without: structure
            unknown, which widens the intervals
        sources : species -> values: ``clearance`` [mL/min/kg], ``volume`` [L/kg] (or text with a unit, also of the whole
            animal: "1.2 L/h"), ``fraction_unbound``, ``kp`` (organ -> value), ``body_weight`` [kg]. Of the target species a
            measured unbound fraction may be given.
        target : species to predict; any name when `body_weight` is given
        body_weight : of the target [kg]; None takes the species' usual one
        level : of the intervals
        extrapolate : allow masses outside 5 g to 500 kg
        integrator : "rk4" (fixed steps from species to species), or adaptive to 1e-8: "julia", "torchdiffeq", and
            "adaptive" for Julia where it is set up and torchdiffeq where not

        Returns
        -------
        Dataset: clearance [L/h], clearance_plasma [mL/min/kg], volume [L], volume_steady_state [L/kg],
        fraction_unbound_plasma, each with _lower and _upper; source_weight(source, parameter); where sources have kp,
        partition_coefficient(organ)

        Raises
        ------
        InputError, UnitError, UnknownNameError : a value that cannot be used; the message names the field
        """
        if not 0 < level < 1:
            raise InputError("level", level, "a number between 0 and 1")
        given = parse_sources(sources)
        weight = _target_weight(target, body_weight, extrapolate)
        found = _structure_of(compound)
        if integrator not in INTEGRATORS:
            raise unknown_name("integrator", integrator, INTEGRATORS)
        ran: list[str] = [integrator] if integrator == "rk4" else []
        mean, sd, gain = self._posterior(found, given, target, weight, integrator, ran)
        group = sum(
            bool(s.species != target and np.isfinite([s.clearance, s.volume]).any()) for s in given
        )
        self._lean(mean, gain, given, target, weight, min(group, GROUPS - 1))
        variables: dict[str, tuple] = {}
        for p, name in enumerate(PARAMETERS):
            reach = factor(self._calibration[p], group, level) * sd[p]
            _put(variables, name, mean[p], mean[p] - reach, mean[p] + reach, weight)
        coords = {
            "source": [s.species for s in given if s.known] + ["structure"],
            "parameter": list(PARAMETERS),
        }
        kp = _carried_kp(given, mean[2])
        if kp:
            attrs = {"units": "1", "long_name": "tissue:plasma Kp"}
            variables["partition_coefficient"] = ("organ", list(kp.values()), attrs)
            coords["organ"] = list(kp)
        shares = np.vstack([gain, 1 - gain.sum(0)])
        variables["source_weight"] = (("source", "parameter"), shares, {"units": "1"})
        out = xr.Dataset(variables, coords)
        out.attrs = provenance(
            model="neural allometry",
            target=target,
            body_weight=weight,
            level=level,
            integrator=ran[0] if ran else integrator,
            structure="known" if found is not None else "unknown",
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
        r"""The local allometric exponent :math:`d\ln P/d\ln BW` along the path, of the curve through the human prediction
        of the members that integrate.

        Parameters
        ----------
        compound, sources : as in :meth:`predict`
        masses : [kg]; None: 60 from 20 g to 100 kg

        Returns
        -------
        Dataset: exponent(mass, parameter), its 5 and 95 % quantiles over the members, and parameter values along the curve
        """
        grid = (
            np.geomspace(0.02, 100.0, 60)
            if masses is None
            else np.ravel(np.asarray(masses, dtype=float))
        )
        for m in grid:
            parse_weight(float(m), "masses", extrapolate)
        given, found = parse_sources(sources), _structure_of(compound)
        human = _path.WEIGHT["human"]
        module, n = self._modules[0], len(grid)
        with torch.no_grad():
            mean, _, _ = self._members(module, self._inputs(found), given, "human", human)
        mean = mean.numpy()
        x = np.log(grid)
        with torch.no_grad():
            phi, _, block, _ = self._inputs(found)
            bodies = module.embeddings()
            way = Way(np.full(n, np.log(human)), x)
            w = module.compound(phi).expand(-1, -1, n, -1)
            shift = module.binding_shift(way, w, bodies)
            here = torch.tensor(mean[:, 2:3], dtype=torch.float32)
            start, fu_end = here.mean(0).expand(n), (here + shift).mean(0)
            y0 = torch.tensor(mean[:, None, :2], dtype=torch.float32).expand(-1, n, -1).contiguous()
            y1 = module.transport(y0, way, start, fu_end, block.expand(n, -1), w, bodies)
            value, slope = (torch.tensor(a, dtype=torch.float32) for a in _path.basis(x))
            body = torch.einsum("ns,esh->enh", value, bodies)
            slope_fu = (w[:, 2] * body).sum(-1)
            rates = module.rates(
                y1,
                torch.tensor(x, dtype=torch.float32),
                fu_end,
                slope_fu,
                block.expand(n, -1),
                w,
                body,
                value @ module.processes.T,
                slope @ module.processes.T,
            )
        every = rates.numpy()
        out = xr.Dataset(
            coords={"mass": ("mass", grid, {"units": "kg"}), "parameter": list(PARAMETERS[:2])}
        )
        dims, attrs = (
            ("mass", "parameter"),
            {"units": "1", "long_name": "local allometric exponent"},
        )
        out["exponent"] = (dims, every.mean(0), attrs)
        out["exponent_lower"], out["exponent_upper"] = (
            (dims, np.quantile(every, 0.05, 0)),
            (dims, np.quantile(every, 0.95, 0)),
        )
        out["value"] = (
            dims,
            np.exp(y1.numpy().mean(0)),
            {"long_name": "clearance [L/h], volume [L] along the curve"},
        )
        out.attrs = provenance(model="neural allometry")
        return out

    def predict_table(
        self,
        table: Table,
        sources: Sequence[str],
        target: str = "human",
        *,
        structure: bool = True,
        target_fu: bool = True,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and calibrated half width of 90 % on the log scale (logit for fu), each (n, 3), for all rows of a
        table at once.

        `target_fu`: the target's own unbound fraction, where the table has it, may be used for clearance and volume.
        """
        from .encoder import states

        numbers = [_path.KNOT_SPECIES.index(s) for s in sources]
        t = _path.KNOT_SPECIES.index(target)
        values = states(table)
        hide = [s for s in range(len(_path.KNOT_SPECIES)) if s not in numbers and s != t]
        values[:, hide] = np.nan
        values[:, t, :2] = np.nan
        if not target_fu:
            values[:, t] = np.nan
        told = self._encoder.structure(table.features if structure else None, len(table))
        problem = Problem(
            self._encoder, table, told, build_cases(values, targets=[t], sources=numbers), values
        )
        known = torch.full(
            (len(table),),
            structure and table.features is not None and self._encoder.prior is not None,
        )
        with torch.no_grad():
            mean, sd = posteriors(self._modules, problem, problem.present, known)
        group = np.minimum(problem.present[..., :2].any(-1).sum(1).numpy(), GROUPS - 1)
        centre, spread = combine(mean, sd)
        centre = leant(centre, classical(problem, problem.present), self._shares[group])
        reach = np.stack(
            [[factor(self._calibration[p], g, 0.9) for g in group] for p in range(3)], axis=1
        )
        return centre, reach * spread

    # ------------------------------------------------------------------ inside
    def _inputs(self, found: Features | None):
        told = self._encoder.structure(found)
        phi = torch.tensor(self._encoder.phi(found, told), dtype=torch.float32)
        known = torch.tensor([found is not None and self._encoder.prior is not None])
        return phi, told, phi[:, 4 : 4 + N_BLOCK], known

    def _posterior(
        self,
        found,
        given: list[Source],
        target: str,
        weight: float,
        integrator: str,
        ran: list[str],
    ):
        """ln CL, ln V, logit fu at the target: mean and standard deviation (3,), weights (n_sources, 3). The backend that
        integrated is appended to `ran`.
        """
        with torch.no_grad():
            inputs = self._inputs(found)
            parts = [
                self._members(m, inputs, given, target, weight, integrator, ran)
                for m in self._modules
            ]
        mean, sd, gain = (torch.cat(part) for part in zip(*parts, strict=True))
        centre, spread = combine(mean[:, None], sd[:, None])
        return centre[0], spread[0], gain.mean(0).T.numpy()

    def _lean(
        self,
        mean: np.ndarray,
        gain: np.ndarray,
        given: list[Source],
        target: str,
        weight: float,
        group: int,
    ) -> None:
        """Human clearance moved towards the monkey's by liver blood flow, in place, and the weights of the sources with it;
        not where man's own clearance is known.
        """
        used = [s for s in given if s.known]
        known = {s.species: i for i, s in enumerate(used) if np.isfinite(s.clearance)}
        if target != _blend.TARGET or target in known or _blend.SPECIES not in known:
            return
        i, share = known[_blend.SPECIES], float(self._shares[group])
        scaled = _blend.by_liver_flow(
            np.log(used[i].clearance), np.log(used[i].weight), np.log(weight)
        )[0]
        mean[0] += share * (scaled - mean[0])
        gain[:, 0] *= 1 - share
        gain[i, 0] += share

    def _members(
        self,
        module: AllometryModule,
        inputs: tuple,
        given: list[Source],
        target: str,
        weight: float,
        integrator: str = "rk4",
        ran: list[str] | None = None,
    ):
        """The same of every member of a module as tensors, through which gradients reach its weights: (E, 3), (E, 3),
        (E, 3, n_sources). `inputs` of :meth:`_inputs`.
        """
        used = [s for s in given if s.known]
        n = len(used)
        x_human, x_target = np.log(_path.WEIGHT["human"]), np.log(weight)
        x = np.array([np.log(s.weight) for s in used] + [x_human])
        phi, told, block, known = inputs
        observed = np.array(
            [[np.log(s.clearance), np.log(s.volume), logit(s.fraction_unbound)] for s in used]
        ).reshape(n, 3)
        places = _path.basis(np.r_[x[:n], x_target])[0]
        processes = _path.processes()
        flow = places @ processes[0] - processes[0][HUMAN]
        seen = np.isfinite(observed)
        binding = {s.species: observed[i, 2] for i, s in enumerate(used) if seen[i, 2]}
        usual = float(np.mean(list(binding.values()))) if binding else float(told[0, 2])
        fu = np.array([binding.get(s.species, usual) for s in used] + [binding.get("human", usual)])
        fu_target = binding.get(target, usual)
        start = np.where(
            seen[:, :2],
            observed[:, :2],
            np.stack([told[0, 0] + flow[:n], told[0, 1] + x[:n] - x_human], -1),
        ).reshape(n, 2)
        own = np.zeros((n + 1, len(_path.KNOT_SPECIES)))
        for i, species in enumerate([*(s.species for s in used), target]):
            if species in _path.KNOT_SPECIES:
                own[i, _path.KNOT_SPECIES.index(species)] = 1.0
        as_tensor = lambda a: torch.tensor(np.asarray(a), dtype=torch.float32)
        bodies = module.embeddings()
        prior = module.prior(phi, as_tensor(told), known)  # (E, 1, 3)
        y0 = torch.cat([as_tensor(start).expand(module.members, n, 2), prior[..., :2]], dim=1)
        way = Way(x, np.full(n + 1, x_target))
        w = module.compound(phi).expand(-1, -1, n + 1, -1)
        ends, blocks = as_tensor(np.full(n + 1, fu_target)), block.expand(n + 1, -1)
        if not module.ode:
            y1 = module_jump(module)(y0, way, as_tensor(fu), ends, blocks, w, bodies)
        elif integrator == "rk4":
            y1 = module.transport(y0, way, as_tensor(fu), ends, blocks, w, bodies)
        else:
            y1, backend = adaptive(
                module, y0, way, as_tensor(fu), ends, blocks, w, bodies, integrator
            )
            if ran is not None:
                ran.append(backend)
        fu0 = torch.cat([as_tensor(observed[:, 2]).expand(module.members, n), prior[..., 2]], dim=1)
        arrived = torch.cat([y1, (fu0 + module.binding_shift(way, w, bodies))[..., None]], dim=-1)
        covariance = module.covariance(
            bodies, as_tensor(places), as_tensor(own), known=bool(known[0])
        ).double()
        mask = torch.tensor(seen.T.astype(float))[None]  # (1, 3, n)
        inner = covariance[..., :n, :n] * mask[..., None] * mask[..., None, :] + torch.diag_embed(
            1 - mask
        )
        inner = inner + 1e-9 * torch.eye(n, dtype=torch.float64)
        cross = covariance[..., :n, n] * mask
        gain = torch.linalg.solve(inner, cross) if n else cross
        innovation = torch.where(
            torch.tensor(seen), arrived[:, :n] - arrived[:, n:], torch.zeros(())
        ).double()
        mean = arrived[:, n].double() + (gain * innovation.transpose(1, 2)).sum(-1)
        variance = covariance[..., n, n] - (cross * gain).sum(-1)
        sd = variance.clamp(min=1e-10).sqrt() * torch.exp(
            module.log_spread(block, known)[..., 0].double()
        )
        return mean, sd, gain


def _packed(name: str, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Fingerprints are mostly zeros: where the others are, how many in each row, and what they are."""
    rows, columns = np.nonzero(counts)
    return {
        f"{name}/columns": columns.astype(np.int16),
        f"{name}/counts": counts[rows, columns],
        f"{name}/rows": np.bincount(rows, minlength=len(counts)).astype(np.int32),
        f"{name}/width": np.array([counts.shape[1]], dtype=np.int32),
    }


def _encoder_of(arrays: Mapping[str, np.ndarray]) -> Encoder:
    """
    Raises
    ------
    CheckpointError, KeyError : arrays whose shapes or values do not fit together
    """
    prior, told = None, 0
    if "coefficients" in arrays:
        prints = _unpacked("fingerprint", arrays, SLICES["maccs"].stop)
        mean = check_array("mean", arrays["mean"], (None,))
        n, told = len(prints), len(mean)
        scale = check_array("scale", arrays["scale"], (told,), 1e-12)
        descriptors = check_array("descriptors", arrays["descriptors"], (n, told), -5.0, 5.0)
        coefficients = check_array("coefficients", arrays["coefficients"], (n, 3))
        prior = StructurePrior(
            Structures(prints, descriptors, mean, scale),
            coefficients.astype(float),
            check_array("prior_mean", arrays["prior_mean"], (3,)),
        )
    landmarks = _unpacked("landmark_prints", arrays, SLICES["pharmacophore"].stop)
    projection = check_array("projection", arrays["projection"], (len(landmarks), None))
    return Encoder(
        prior,
        check_array("centre", arrays["centre"], (3,)),
        check_array("told_scale", arrays["told_scale"], (3,), 1e-12),
        landmarks,
        projection.astype(float),
        check_array("offset", arrays["offset"], (projection.shape[1],)),
        _trees(arrays, told),
    )


def _unpacked(name: str, arrays: Mapping[str, np.ndarray], width: int) -> np.ndarray:
    """
    Raises
    ------
    CheckpointError, KeyError : not the counts of fingerprints of this width
    """
    of_row = check_array(f"{name}/rows", arrays[f"{name}/rows"], (None,), 0, width)
    columns = check_array(f"{name}/columns", arrays[f"{name}/columns"], (None,), 0, width - 1)
    check_array(f"{name}/counts", arrays[f"{name}/counts"], (len(columns),), 0, 255)
    check_array(f"{name}/width", arrays[f"{name}/width"], (1,), width, width)
    if len(of_row) > _MOST_STRUCTURES or int(of_row.sum()) != len(columns):
        raise CheckpointError(
            f"tensor {name}/rows",
            f"{len(of_row)} rows of {int(of_row.sum())} entries",
            f"at most {_MOST_STRUCTURES} rows of {len(columns)} entries",
        )
    out = np.zeros((len(of_row), int(arrays[f"{name}/width"][0])), dtype=np.uint8)
    out[np.repeat(np.arange(len(of_row)), of_row), arrays[f"{name}/columns"]] = arrays[
        f"{name}/counts"
    ]
    return out


def _trees(arrays: Mapping[str, np.ndarray], descriptors: int) -> Trees | None:
    """
    Raises
    ------
    CheckpointError : trees that are none, see :meth:`Trees.check`
    """
    found = {n.removeprefix("trees/"): a for n, a in arrays.items() if n.startswith("trees/")}
    if not found:
        return None
    trees = Trees(**found)
    trees.check(descriptors + SLICES["maccs"].stop)
    return trees


@lru_cache(maxsize=32)
def _features_of(smiles: str, name: str | None = None) -> Features:
    """The same compound is asked for again with other sources or bodies."""
    return features([smiles], None if name is None else [name])


def _structure_of(compound) -> Features | None:
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
    if target not in _path.WEIGHT:
        raise unknown_name(
            "target", target, _path.WEIGHT, what="a species, or any name with body_weight"
        )
    return _path.WEIGHT[target]


def _put(
    out: dict[str, tuple], name: str, middle: float, low: float, high: float, weight: float
) -> None:
    label, unit, per_kg, per_kg_unit = _NAMES[name]
    numbers = np.array([middle, low, high])
    values = 1 / (1 + np.exp(-numbers)) if name == "fraction_unbound" else np.exp(numbers)
    scale = {"clearance": 0.06 * weight, "volume": weight}.get(name)
    for suffix, i in (("", 0), ("_lower", 1), ("_upper", 2)):
        out[label + suffix] = (
            (),
            float(values[i]),
            {"units": unit, "long_name": label.replace("_", " ") + suffix},
        )
        if per_kg is not None:
            out[per_kg + suffix] = (
                (),
                float(values[i] / scale),
                {"units": per_kg_unit, "long_name": f"{label} per kg{suffix}"},
            )


def _carried_kp(given: list[Source], fu_logit: float) -> dict[str, float]:
    """Kp of the target: unbound partition Kp/fu is taken as the same in all species (geometric mean where several
    know it).
    """
    fu = 1 / (1 + np.exp(-fu_logit))
    found: dict[str, list[float]] = {}
    for s in given:
        if s.kp and np.isfinite(s.fraction_unbound):
            for organ, value in s.kp.items():
                found.setdefault(organ, []).append(np.log(value / s.fraction_unbound))
    return {organ: float(np.exp(np.mean(v)) * fu) for organ, v in found.items()}
