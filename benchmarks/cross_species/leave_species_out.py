"""A species wholly left out of the training, then predicted from the others: how far does the law reach?

python benchmarks/cross_species/leave_species_out.py

The other species' values of the same compounds are in the training, the left-out species' are not, for any compound.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from pbpk_hybrid.learn.allometry import NeuralAllometry, load_table
from pbpk_hybrid.learn.allometry.bodies import KNOT_SPECIES
from pbpk_hybrid.learn.allometry.data import PARAMETERS
from pbpk_hybrid.learn.allometry.encoder import states
from pbpk_hybrid.models import scaling

RESULTS = Path(__file__).resolve().parent / "results"


def main(table=None) -> None:
    torch.set_num_threads(1)
    table = table or load_table()
    out = {}
    for species in ("rat", "dog", "monkey"):
        values = table.values.copy()
        values[:, table.species.index(species)] = np.nan
        model = NeuralAllometry.fit(replace(table, values=values))
        others = [s for s in ("rat", "dog", "monkey", "human") if s != species]
        mean, reach = model.predict_table(table, others, species)
        truth = states(table)[:, KNOT_SPECIES.index(species)]
        for p, parameter in enumerate(PARAMETERS[:2]):
            rows = table.has(parameter, [*others, species])
            error = (mean[:, p] - truth[:, p])[rows]
            known = np.stack([table.parameter(parameter, s) for s in others], 1)[rows]
            weights = np.array([scaling.TABLE_WEIGHT[s] for s in others])
            plain = scaling.fixed_exponent(
                known, weights, scaling.TABLE_WEIGHT[species], (0.75, 1.0)[p]
            )
            classical = np.log(plain) - truth[rows, p]
            out[f"{species} {parameter}"] = {
                "n": int(rows.sum()),
                "AAFE": float(np.exp(np.abs(error).mean())),
                "within_2": float(100 * (np.abs(error) < np.log(2)).mean()),
                "coverage_90": float(100 * (np.abs(error) <= reach[rows, p]).mean()),
                "AAFE_fixed_exponent": float(np.exp(np.abs(classical).mean())),
            }
            print(species, parameter, out[f"{species} {parameter}"], flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "leave_species_out.json").write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
