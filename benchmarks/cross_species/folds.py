"""Outer folds of the nested cross-validation, and species left out: every variant of the law in the same folds.

    python benchmarks/cross_species/folds.py --out build/cross_species [--folds 0-4] [--species rat,dog,monkey,human]

Train on nine folds (of scaffolds, after the join by structure), predict the tenth from every set of sources; or train on all
compounds without one species, predict it from the others. Variants: see VARIANTS; "shipped" is the package's default, whose
intervals are calibrated on inner folds as `NeuralAllometry.fit` does. What exists is not computed again.
"""

from __future__ import annotations

import argparse
import pickle
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from pbpk_hybrid.learn.allometry import AllometryConfig, NeuralAllometry, load_table
from pbpk_hybrid.learn.allometry.cross_validation import calibrate
from pbpk_hybrid.learn.allometry.data import N_FOLDS, SPECIES, Table
from pbpk_hybrid.learn.allometry.encoder import Encoder
from pbpk_hybrid.learn.allometry.law import Law
from pbpk_hybrid.learn.allometry.structure import Structures
from pbpk_hybrid.learn.allometry.training import fit_held_out, fit_law, prepare, pretrain

SOURCES = {
    "none": (),
    "rat": ("rat",),
    "dog": ("dog",),
    "monkey": ("monkey",),
    "rat, dog": ("rat", "dog"),
    "rat, dog, monkey": ("rat", "dog", "monkey"),
}
#: variant -> settings that differ from the default
VARIANTS: dict[str, dict] = {
    "shipped": {},
    "ode": {"ode": True},
    "graph": {"graph": True, "ode": True},
    "graph, no messages": {"graph": True, "ode": True, "messages": False},
    "graph, one step": {"graph": True},
    "graph, shuffled": {"graph": True, "ode": True, "shuffled": True},
    "graph, pre-trained": {"graph": True, "ode": True, "pretrained": 20_000},
    "table": {"table": True},
}
TARGETS = ("rat", "dog", "monkey")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variants", default=";".join(VARIANTS))
    parser.add_argument("--folds", default=f"0-{N_FOLDS - 1}")
    parser.add_argument("--species", default="")
    parser.add_argument("--out", type=Path, default=Path("build/cross_species"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    table, gram = _table(options.out)
    starts: dict[str, Law | None] = {}
    names = options.variants.split(";")
    if options.folds != "none":
        first, last = map(int, options.folds.split("-"))
        for fold in range(first, last + 1):
            for name in names:
                _outer(name, fold, table, gram, options.out, starts)
    for species in filter(None, options.species.split(",")):
        for name in names:
            _left_out(name, species, table, gram, options.out, starts)


def _table(out: Path) -> tuple[Table, np.ndarray]:
    """The table and its structure kernel, kept in the output folder (written by this script)."""
    kept = out / "table.pkl"
    if not kept.exists():
        table = load_table()
        structures = Structures.of(table.features)
        kept.write_bytes(pickle.dumps((table, structures.kernel(structures))))
    return pickle.loads(kept.read_bytes())


def _encoder(key: str, train: Table, gram: np.ndarray, config: AllometryConfig, out: Path):
    """Structure predictions of a training set: the same for every variant."""
    kept = out / f"encoder_{key}.pkl"
    if not kept.exists():
        prepared_inner = _inner(train, config)
        found = Encoder.fit(train, prepared_inner, gram, config.trees, config.seed)
        kept.write_bytes(pickle.dumps(found))
    return pickle.loads(kept.read_bytes())


def _inner(train: Table, config: AllometryConfig) -> np.ndarray:
    from pbpk_hybrid.learn.allometry import scaffold_folds

    return scaffold_folds(train.scaffolds, config.folds, config.seed)


def _start(name: str, config: AllometryConfig, starts: dict[str, Law | None]) -> Law | None:
    if name not in starts:
        starts[name] = pretrain(config)
    return starts[name]


def _outer(name: str, fold: int, table: Table, gram: np.ndarray, out: Path, starts: dict) -> None:
    path = out / f"{name}_{fold}.npz"
    if path.exists():
        return
    began = time.process_time()
    config = AllometryConfig(**VARIANTS[name])
    inside, outside = np.flatnonzero(table.folds != fold), np.flatnonzero(table.folds == fold)
    train = table.take(inside)
    encoder = _encoder(str(fold), train, gram[np.ix_(inside, inside)], config, out)
    prepared = prepare(train, config, encoder=encoder)
    start = _start(name, config, starts)
    law, _ = fit_law(prepared.examples, config, start=start)
    calibration = _plain()
    if name == "shipped":
        calibration = calibrate(prepared.examples, fit_held_out(prepared, config, start))
    model = NeuralAllometry(prepared.encoder, law, *calibration)
    found = predictions(model, table.take(outside))
    found["similarity"] = model._encoder.similarity(table.take(outside).features)
    np.savez(path, rows=outside, seconds=time.process_time() - began, **found)
    print(name, fold, f"{time.process_time() - began:.0f} s", flush=True)


def _plain() -> tuple[np.ndarray, None]:
    """Intervals of a normal distribution, no share of the classical method."""
    from pbpk_hybrid.learn.allometry.calibration import GROUPS, LEVELS

    normal = [0.674, 0.842, 1.036, 1.282, 1.44, 1.645, 1.96, 2.326]
    assert len(normal) == len(LEVELS)
    return np.tile(normal, (3, GROUPS, 1)), None


def predictions(model: NeuralAllometry, test: Table) -> dict[str, np.ndarray]:
    """name -> (n, 3, 2) mean and 90 % half width."""
    out = {}
    for name, sources in SOURCES.items():
        out[name] = _predict(model, test, sources, target_fu=bool(sources))
    plain = NeuralAllometry(model._encoder, model._law, model._calibration)
    out["rat, dog, monkey | law alone"] = _predict(plain, test, SOURCES["rat, dog, monkey"])
    for name in ("rat", "rat, dog, monkey"):
        out[f"{name} | no human fu"] = _predict(model, test, SOURCES[name], target_fu=False)
        out[f"{name} | no structure"] = _predict(model, test, SOURCES[name], structure=False)
    out["fu and hepatocytes"] = _predict(model, test, (), target_fu=True, in_vitro=True)
    for target in TARGETS:
        out[f"to {target}"] = _predict(model, test, _others(target), target=target)
    return out


def _others(target: str) -> tuple[str, ...]:
    return tuple(s for s in ("rat", "dog", "monkey", "human") if s != target)


def _predict(model: NeuralAllometry, test: Table, sources, **keywords) -> np.ndarray:
    return np.stack(model.predict_table(test, sources, **keywords), -1)


def _left_out(
    name: str, species: str, table: Table, gram: np.ndarray, out: Path, starts: dict
) -> None:
    """All compounds, one species never seen; without the human there is no structure model either."""
    path = out / f"without {species} {name}.npz"
    if path.exists():
        return
    began = time.process_time()
    values, in_vitro = table.values.copy(), table.in_vitro.copy()
    values[:, SPECIES.index(species)] = np.nan
    if species == "human":
        in_vitro[:] = np.nan
    shown = replace(
        table,
        values=values,
        in_vitro=in_vitro,
        features=None if species == "human" else table.features,
    )
    config = AllometryConfig(**VARIANTS[name])
    encoder = None
    if species != "human":
        encoder = _encoder("all", table, gram, config, out)
    prepared = prepare(shown, config, encoder=encoder)
    law, _ = fit_law(prepared.examples, config, start=_start(name, config, starts))
    # compounds are seen as in training: structure predictions by folds that left them out
    from pbpk_hybrid.learn.allometry.encoder import states
    from pbpk_hybrid.learn.allometry.readout import as_tensor
    from pbpk_hybrid.learn.allometry.training import Examples, numbers_of, posterior

    sources = _others(species)
    points = (*numbers_of(sources), numbers_of([species])[0])
    values = states(table)[:, points]
    keep = np.zeros(values.shape, dtype=bool)
    keep[:, :-1, :3], keep[:, -1, 2] = True, True
    with torch.no_grad():
        found = posterior(
            law,
            Examples(prepared.examples.compounds, as_tensor(values), points),
            torch.tensor(keep),
        )
        noise = law.noise()[:3].numpy()
    mean = found.y[:, -1, :3].numpy()
    sd = np.sqrt(found.variance(len(points) - 1)[:, :3].numpy() + noise)
    np.savez(path, prediction=np.stack([mean, 1.645 * sd], -1))
    print("without", species, name, f"{time.process_time() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
