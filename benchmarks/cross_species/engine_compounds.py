"""Made-up drugs, simulated by the engine in every species: are human curves foretold from rat, dog and monkey?

python benchmarks/cross_species/engine_compounds.py

Trains on 180 of them, predicts 80 others, simulates both truth and prediction in the reference human (intravenous bolus and
oral), and compares AUC and Cmax. Beside it Wajima's transposition of the three animals' intravenous curves, with the human
clearance and volume by fixed exponents (0.75 and 1) and with those of the model.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
import torch

from pbpk_hybrid import simulate
from pbpk_hybrid._core.errors import OutOfRangeWarning
from pbpk_hybrid.learn.allometry import AllometryConfig, NeuralAllometry, prediction_to_compound
from pbpk_hybrid.learn.allometry.synthetic import engine_compounds, engine_table
from pbpk_hybrid.models import scaling
from pbpk_hybrid.physiology import reference_individual

RESULTS = Path(__file__).resolve().parent / "results"
TRAINING, TEST = 180, 80
TIMES = np.r_[0.0, np.geomspace(0.01, 240.0, 160)]
ANIMALS = ("rat", "dog", "monkey")
TRANSPOSED = ("fixed exponents", "clearance and volume of the model")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument(
        "--model", type=Path, help="a checkpoint trained before on the same compounds"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter(
        "ignore", OutOfRangeWarning
    )  # made-up drugs include odd ones; the engine says so of each
    drugs = engine_compounds(TRAINING + TEST, seed=3)
    table = engine_table(drugs[TRAINING:])
    if options.model is None:
        config = AllometryConfig(steps=options.steps, seeds=1, folds=2, learning_rate=0.05)
        model = NeuralAllometry.fit(engine_table(drugs[:TRAINING]), config)
    else:
        model = NeuralAllometry.load(options.model)
    ratios: dict[str, list[float]] = {
        f"{what} {dose}": [] for dose in ("iv", "oral") for what in ("AUC", "Cmax")
    }
    ratios |= {
        f"{what} iv, transposed curves, {how}": [] for how in TRANSPOSED for what in ("AUC", "Cmax")
    }
    for i, drug in enumerate(drugs[TRAINING:]):
        sources = {
            s: {
                "clearance": f"{float(table.parameter('clearance', s)[i])!r} L/h",
                "volume": f"{float(table.parameter('volume', s)[i])!r} L",
                "fup": float(table.parameter("fraction_unbound", s)[i]),
            }
            for s in ANIMALS
        }
        sources["human"] = {
            "fup": drug.fraction_unbound_plasma
        }  # plasma binding is measured in vitro
        found = model.predict(None, sources)
        ready = prediction_to_compound(drug, found)
        for dose in ("iv", "oral"):
            true, mine = (curve(c, f"100 mg {dose}") for c in (drug, ready))
            if dose == "iv":
                for how, values in zip(TRANSPOSED, transposed(drug, table, i, found), strict=True):
                    seen = np.isfinite(values)  # as far as the animals' curves reach
                    area = np.trapezoid(values[seen], TIMES[seen]) / np.trapezoid(
                        true[seen], TIMES[seen]
                    )
                    ratios[f"AUC iv, transposed curves, {how}"].append(area)
                    late = seen & (TIMES > 0.08)
                    ratios[f"Cmax iv, transposed curves, {how}"].append(
                        values[late].max() / true[late].max()
                    )
            ratios[f"AUC {dose}"].append(np.trapezoid(mine, TIMES) / np.trapezoid(true, TIMES))
            after = TIMES > 0.08  # the first five minutes after a bolus are mixing
            ratios[f"Cmax {dose}"].append(mine[after].max() / true[after].max())
    summary = {
        name: {
            "n": len(r),
            "AAFE": float(np.exp(np.abs(np.log(r)).mean())),
            "within_1.25": float(100 * np.mean(np.abs(np.log(r)) < np.log(1.25))),
        }
        for name, r in ratios.items()
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "engine_compounds.json").write_text(json.dumps(summary, indent=1) + "\n")
    for name, row in summary.items():
        print(
            f"{name}: n {row['n']}, AAFE {row['AAFE']:.3f}, within 1.25-fold {row['within_1.25']:.1f} %"
        )


def curve(drug, dose: str, species: str = "human") -> np.ndarray:
    person = reference_individual(species)
    return simulate(drug, dose, person, times=TIMES, compartments=("plasma",))[
        "concentration"
    ].values[0, :, 0]


def transposed(drug, table, i: int, found) -> list[np.ndarray]:
    """Human curves after 100 mg by Wajima's transposition: mean of the animals', on the log scale."""
    human = scaling.TABLE_WEIGHT["human"]
    known = {
        p: np.array([float(table.parameter(p, s)[i]) for s in ANIMALS])
        for p in ("clearance", "volume")
    }
    weights = np.array([scaling.TABLE_WEIGHT[s] for s in ANIMALS])
    targets = [
        tuple(
            float(scaling.fixed_exponent(known[p], weights, human, b))
            for p, b in (("clearance", 0.75), ("volume", 1.0))
        ),
        (float(found["clearance"]), float(found["volume"])),
    ]
    animals = [curve(drug, "1 mg iv", s) for s in ANIMALS]
    return [
        np.exp(
            np.mean(
                [
                    np.log(
                        scaling.wajima_curve(
                            TIMES,
                            np.maximum(c, 1e-30),
                            1.0,
                            known["clearance"][k],
                            known["volume"][k],
                            TIMES,
                            target_dose=100.0,
                            target_clearance=clearance,
                            target_volume=volume,
                        )
                    )
                    for k, c in enumerate(animals)
                ],
                axis=0,
            )
        )
        for clearance, volume in targets
    ]


if __name__ == "__main__":
    main()
