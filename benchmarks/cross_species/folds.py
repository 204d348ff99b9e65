"""Outer folds of the nested cross-validation: train on nine, predict the tenth, from every set of sources.

    python benchmarks/cross_species/folds.py --variant full --out build/cross_species

Variants: full (as shipped; its two kinds of members alone are written too: only_ode, those that integrate, and no_ode, those
that go from species to species in one step), no_graph (smooth functions of mass in place of the organ graph), trees (random
forest and gradient boosting on the same features). Inner scaffold folds serve stacking and calibration.
"""

from __future__ import annotations

import argparse
import pickle
import time
from pathlib import Path

import numpy as np
import torch

from pbpk_hybrid.learn.allometry import (
    AllometryConfig,
    NeuralAllometry,
    baselines,
    load_table,
    scaffold_folds,
)
from pbpk_hybrid.learn.allometry.cross_validation import calibrate
from pbpk_hybrid.learn.allometry.data import N_FOLDS, PARAMETERS
from pbpk_hybrid.learn.allometry.encoder import HUMAN, Encoder, states
from pbpk_hybrid.learn.allometry.structure import Structures
from pbpk_hybrid.learn.allometry.training import fit_members

SOURCES = {
    "none": (),
    "rat": ("rat",),
    "rat, dog": ("rat", "dog"),
    "rat, dog, monkey": ("rat", "dog", "monkey"),
}
VARIANTS = {"full": {}, "no_graph": {"graph": False}, "trees": None}


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
            results = {"trees": trees(table.take(inside), table.take(outside))}
        else:
            config = AllometryConfig(steps=options.steps, **VARIANTS[options.variant])
            models = fit(
                table.take(inside),
                config,
                gram[np.ix_(inside, inside)],
                options.out / f"encoder_{fold}.pkl",
            )
            results = {options.variant: predictions(models["full"], table.take(outside))}
            if options.variant == "full":
                results |= {
                    k: predictions(models[k], table.take(outside)) for k in ("only_ode", "no_ode")
                }
        seconds = time.perf_counter() - start
        for name, result in results.items():
            np.savez(options.out / f"{name}_{fold}.npz", rows=outside, seconds=seconds, **result)
        print(options.variant, fold, f"{seconds:.0f} s", flush=True)


def fit(train, config, gram, kept: Path) -> dict[str, NeuralAllometry]:
    """The whole model and each kind of its members alone. Variants of a fold see the same structure predictions, which are
    kept in the output folder.
    """
    if kept.exists():
        encoder = pickle.loads(kept.read_bytes())  # written by this script
    else:
        inner = scaffold_folds(train.scaffolds, config.folds, config.seed)
        encoder = Encoder.fit(train, config.landmarks, inner, gram, config.trees, config.seed)
        kept.write_bytes(pickle.dumps(encoder))
    found, modules, _, problem, inner = fit_members(train, config, encoder=encoder)
    found.structure, found.phi = (
        remembering(found.structure),
        remembering(found.phi),
    )  # the same for every set of sources
    kinds = {"full": modules, "only_ode": modules[:1], "no_ode": modules[1:]}
    return {
        k: NeuralAllometry(found, m, config, *calibrate(m, config, problem, inner, True))
        for k, m in kinds.items()
    }


def remembering(function):
    known: dict = {}

    def remembered(features, *rest):
        key = (id(features), *(r.tobytes() if isinstance(r, np.ndarray) else r for r in rest))
        if key not in known:
            known[key] = (
                features,
                function(features, *rest),
            )  # the features are kept, so that their number stays theirs
        return known[key][1]

    return remembered


def predictions(model: NeuralAllometry, test) -> dict[str, np.ndarray]:
    """name -> (n, 3, 2) mean and 90 % half width."""
    out = {}
    for name, sources in SOURCES.items():
        out[name] = np.stack(model.predict_table(test, sources, target_fu=bool(sources)), -1)
        if sources:
            out[f"{name} | no human fu"] = np.stack(
                model.predict_table(test, sources, target_fu=False), -1
            )
            out[f"{name} | no structure"] = np.stack(
                model.predict_table(test, sources, structure=False), -1
            )
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
                    known &= np.any(
                        [np.isfinite(train.parameter(parameter, s)) for s in sources], axis=0
                    )
                model = make().fit(
                    baselines.design(train, parameter, sources)[known], truth[known, p]
                )
                found[:, p, 0] = model.predict(baselines.design(test, parameter, sources))
            out[f"{learner} | {name}"] = found
    return out


if __name__ == "__main__":
    main()
