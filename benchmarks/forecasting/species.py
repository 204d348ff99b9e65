"""Forecasts of a species that the network has never seen.

    python benchmarks/forecasting --held-out-species [--folder FOLDER] [--steps 1500] [--patients 768]

Small networks (width 64, two layers before the first guess) are trained from scratch with the same seed, steps and batch
size: one on all seven species, and for each held-out species one on the other six. They are scored on patients of that
species, with compounds that are held out from the training corpus. The networks get the exact properties of the compound,
and the oracle is the true model with the true prior, as in the virtual benchmark. The network without the species in
training gets its patients in two ways: with the species' own input (which was 0 in all its training), and without the
species, so that only body weight and the mechanistic curve tell it. Both are given.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import numpy as np
import torch
from virtual import RESULTS, TRAINED, Scores, scored

from pbpk_hybrid.learn.transformer import Corpus, CorpusOptions, Forecaster, ForecasterConfig
from pbpk_hybrid.physiology import SPECIES

HELD_OUT = ("monkey", "dog")
ALL = "all species"
_FIRST_MARK = 6  # of the covariates, the first that says of which species a patient is


def config(left_out: str | None, steps: int) -> ForecasterConfig:
    """The small network; `left_out`: a species it does not see."""
    species = tuple(s for s in SPECIES if s != left_out)
    return ForecasterConfig(
        width=64,
        encoder_layers=2,
        steps=steps,
        learning_rate=1e-3,
        schedule="cosine",
        ema=0.99,
        warmup=100,
        evaluate_every=250,
        seed=11,
        validation_batches=4,
        corpus=CorpusOptions(batch_size=64, species=species),
    )


class Unmarked:
    """A forecaster whose patients come without their species."""

    def __init__(self, model: Forecaster) -> None:
        self.model = model

    def mixture(self, batch):
        covariates = batch.covariates.copy()
        covariates[:, _FIRST_MARK:] = 0.0
        return self.model.mixture(replace(batch, covariates=covariates))


def trained(folder: Path, name: str | None, steps: int) -> Forecaster:
    """The small network of one training, from its file where that is there."""
    label = "all" if name is None else f"without_{name}"
    file = folder / f"{label}.safetensors"
    if file.exists():
        return Forecaster.load(file)
    model = Forecaster.fit(config(name, steps), folder=folder / label, threads=1, progress=False)
    model.save(file)
    return model


def score(species: str, models: dict, patients: int) -> list[dict]:
    """Rows of all contenders on patients of one species."""
    corpus = Corpus(
        CorpusOptions(regimens=TRAINED, species=(species,), deviation=0.0, exact=True, split="test")
    )
    scores = Scores()
    for step in range(max(1, patients // 128)):
        part = corpus.part(np.random.default_rng([78, step]), 8, 1, 12, whole_body=True)
        scored(models, part, scores)
    return scores.table(species)


def summary(rows: list[dict]) -> list[str]:
    """log-RMSE over the numbers of samples 1, 2, 3, 5 (geometric mean), against the network of all species."""
    lines = [
        "| species | contender | log-RMSE with 1 / 2 / 3 / 5 samples | over all-species network |",
        "|---|---|---|---|",
    ]
    for species in dict.fromkeys(r["case"] for r in rows):
        of = {(r["contender"], r["samples"]): r["log_rmse"] for r in rows if r["case"] == species}
        for who in dict.fromkeys(w for w, _ in of):
            values = [of[who, n] for n in (1, 2, 3, 5)]
            ratio = np.exp(np.mean(np.log([of[who, n] / of[ALL, n] for n in (1, 2, 3, 5)])))
            lines.append(
                f"| {species} | {who} | {' / '.join(f'{v:.3f}' for v in values)} | {ratio:.2f} |"
            )
    return lines


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("results/held_out_species"),
        help="Of the trained networks.",
    )
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--patients", type=int, default=768)
    parser.add_argument("--species", nargs="*", default=list(HELD_OUT))
    parser.add_argument("--name", default="forecasting_species")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    everything = trained(args.folder, None, args.steps)
    rows: list[dict] = []
    for species in args.species:
        without = trained(args.folder, species, args.steps)
        models = {
            ALL: everything,
            f"without {species}": without,
            f"without {species}, species not told": Unmarked(without),
        }
        rows += score(species, models, args.patients)
        print(species, flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{args.name}.json").write_text(json.dumps(rows, indent=1))
    head = list(rows[0])
    cell = lambda v: v if isinstance(v, str) else "" if np.isnan(v) else f"{v:.3g}"
    lines = [
        "# Forecasts of species that were never trained on",
        "",
        *__doc__.split("\n\n")[2].splitlines(),
        "",
        f"{args.steps} steps of 64 patients, seed 11, for every network. They are much smaller and shorter trained than "
        "the shipped forecaster: compare them with each other.",
        "",
        *summary(rows),
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(cell(v) for v in r.values()) + " |" for r in rows),
    ]
    (RESULTS / f"{args.name}.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
