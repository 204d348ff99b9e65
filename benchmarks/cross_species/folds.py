"""Outer folds of the nested cross-validation: train on nine, predict the tenth, from every set of sources. One file
per fold.

    python benchmarks/cross_species/folds.py --variant full --out build/cross_species

Variants: full (as shipped), no_graph (smooth functions of mass in place of the organ graph), no_ode (one jump in
place of the
integration), trees (random forest and gradient boosting on the same features). Inner scaffold folds serve stacking
and calibration.
"""

from __future__ import annotations

import argparse
import pickle
import time
from pathlib import Path

import numpy as np
import torch

from pbpk_hybrid.learn.allometry import AllometryConfig, NeuralAllometry, baselines, load_table, scaffold_folds
from pbpk_hybrid.learn.allometry._data import N_FOLDS, PARAMETERS
from pbpk_hybrid.learn.allometry._encoder import HUMAN, Encoder, states
from pbpk_hybrid.learn.allometry._structure import Structures

SOURCES = {"none": (), "rat": ("rat",), "rat, dog": ("rat", "dog"), "rat, dog, monkey": ("rat", "dog", "monkey")}
VARIANTS = {
    "full": {},
    "no_graph": {"graph": False, "seeds": 1},
    "no_ode": {"ode": False, "seeds": 1},
    "trees": None,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", choices=VARIANTS, default="full")
    parser.add_argument("--folds", default=f"0-{N_FOLDS - 1}")
    parser.add_argument("--out", type=Path, default=Path("build/cross_species"))
    parser.add_argument("--steps", type=int, default=AllometryConfig().steps)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    first, last = map(int, options.folds.split("-"))
    table = load_table()
    structures = Structures.of(table.features)
    gram = structures.kernel(structures)
    for fold in range(first, last + 1):
        start = time.perf_counter()
        inside, outside = np.flatnonzero(table.folds != fold), np.flatnonzero(table.folds == fold)
        if options.variant == "trees":
            result = trees(table.take(inside), table.take(outside))
        else:
            config = AllometryConfig(steps=options.steps, **VARIANTS[options.variant])
            model = fit(table.take(inside), config, gram[np.ix_(inside, inside)], options.out / f"encoder_{fold}.pkl")
            result = predictions(model, table.take(outside))
        seconds = time.perf_counter() - start
        np.savez(options.out / f"{options.variant}_{fold}.npz", rows=outside, seconds=seconds, **result)
        print(options.variant, fold, f"{seconds:.0f} s", flush=True)


def fit(train, config, gram, kept: Path) -> NeuralAllometry:
    """The variants of a fold see the same structure predictions, which are kept in the output folder."""
    if kept.exists():
        encoder = pickle.loads(kept.read_bytes())  # written by this script
    else:
        encoder = Encoder.fit(train, config.landmarks, scaffold_folds(train.scaffolds, config.folds, config.seed), gram,
                              config.trees, config.seed)  # fmt: skip
        kept.write_bytes(pickle.dumps(encoder))
    return NeuralAllometry.fit(train, config, encoder=encoder)


def predictions(model: NeuralAllometry, test) -> dict[str, np.ndarray]:
    """name -> (n, 3, 2) mean and 90 % half width."""
    out = {}
    for name, sources in SOURCES.items():
        out[name] = np.stack(model.predict_table(test, sources, target_fu=bool(sources)), -1)
        if sources:
            out[f"{name} | no human fu"] = np.stack(model.predict_table(test, sources, target_fu=False), -1)
            out[f"{name} | no structure"] = np.stack(model.predict_table(test, sources, structure=False), -1)
    for target in ("rat", "dog", "monkey"):
        others = tuple(s for s in ("rat", "dog", "monkey", "human") if s != target)
        out[f"to {target}"] = np.stack(model.predict_table(test, others, target), -1)
    return out


def trees(train, test) -> dict[str, np.ndarray]:
    out = {}
    truth = states(train)[:, HUMAN]
    for name, sources in SOURCES.items():
        for learner, make in baselines.learners().items():
            found = np.full((len(test), 3, 2), np.nan)
            for p, parameter in enumerate(PARAMETERS[:2]):
                known = np.isfinite(truth[:, p])
                if sources:
                    known &= np.any([np.isfinite(train.parameter(parameter, s)) for s in sources], axis=0)
                model = make().fit(baselines.design(train, parameter, sources)[known], truth[known, p])
                found[:, p, 0] = model.predict(baselines.design(test, parameter, sources))
            out[f"{learner} | {name}"] = found
    return out


if __name__ == "__main__":
    main()
