"""The cross-species table: clearance, volume and unbound fraction per species, joined by
structure, split by scaffold.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ..._core.errors import FileFormatError, InputError, PBPKError
from ..._core.limits import table_file
from ...compounds import Compound, get_compound
from ...models.scaling import TABLE_WEIGHT
from ...models.small_molecules.binding import fraction_unbound_hepatocytes
from ...models.small_molecules.clearance import HEPATOCELLULARITY, clint_liver_from_hepatocytes
from ...models.small_molecules.elimination_parameters import log_p_or_d
from .features import Features, features

FOLDER = Path(__file__).resolve().parent.parent / "data" / "pksmart"
PARAMETERS = ("clearance", "volume", "fraction_unbound")
#: species of a table's columns, in the order of arrays
SPECIES = ("mouse", "rat", "rabbit", "monkey", "dog", "human")
N_FOLDS = 10
#: largest unbound fraction that the logit takes; tables round to 1
LARGEST_FU = 0.99
_COLUMN = {"clearance": "CL_mL_min_kg", "volume": "VDss_L_kg", "fraction_unbound": "fup"}


@dataclass(frozen=True)
class Table:
    """n compounds. `values` (n, species, parameter) in L/h, L and 1, of whole animals of
    `weights` [kg]; `in_vitro` (n, species) intrinsic clearance by hepatocytes [L/h per gram of
    liver, of the unbound drug]; NaN where unknown.
    """

    names: tuple[str, ...]
    smiles: tuple[str | None, ...]
    keys: tuple[str, ...]
    scaffolds: tuple[str, ...]
    folds: np.ndarray
    values: np.ndarray
    species: tuple[str, ...]
    weights: np.ndarray
    features: Features | None
    in_vitro: np.ndarray = None  # type: ignore[assignment]  # None: nothing

    def __post_init__(self) -> None:
        if self.in_vitro is None:
            object.__setattr__(self, "in_vitro", np.full(self.values.shape[:2], np.nan))

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: ArrayLike) -> Table:
        """Some of the compounds, by number or mask."""
        rows = (
            np.flatnonzero(rows) if np.asarray(rows).dtype == bool else np.asarray(rows, dtype=int)
        )
        pick = lambda values: tuple(values[i] for i in rows)
        return replace(
            self,
            names=pick(self.names),
            smiles=pick(self.smiles),
            keys=pick(self.keys),
            scaffolds=pick(self.scaffolds),
            folds=self.folds[rows],
            values=self.values[rows],
            in_vitro=self.in_vitro[rows],
            features=None if self.features is None else self.features.take(rows),
        )

    def parameter(self, name: str, species: str, *, per_kg: bool = False) -> np.ndarray:
        """(n,) one parameter in one species [L/h, L or 1], or per kg of body weight."""
        s = self.species.index(species)
        values = self.values[:, s, PARAMETERS.index(name)]
        return values / self.weights[s] if per_kg and name != "fraction_unbound" else values

    def has(self, name: str, species: Iterable[str]) -> np.ndarray:
        """(n,) whether a parameter is known in all of `species`."""
        return np.all([np.isfinite(self.parameter(name, s)) for s in species], axis=0)


@lru_cache(maxsize=1)
def load_table() -> Table:
    """Animal and human table as one, one row per compound (salts, charge states,
    stereoisomers and tautomers are one); duplicates are averaged on the log scale.

    Left out: values of zero or less (7-hydroxystaurosporine's human clearance is rounded to 0).
    """
    rows: dict[str, dict] = {}
    texts, entries = [], []
    for name in ("Animal_PK_data.csv", "Human_PK_data.csv"):
        for row in read_csv(FOLDER / name):
            texts.append(row["smiles_r"])
            entries.append(row)
    found = features(texts, texts)
    first: dict[str, int] = {}
    key_of: dict[str, str] = {}  # tautomers that InChI tells apart share the first one's key
    for i, (row, compound_id) in enumerate(zip(entries, found.compounds, strict=True)):
        key = key_of.setdefault(compound_id, found.keys[i])
        first.setdefault(key, i)
        compound = rows.setdefault(
            key, {"name": "", "smiles": texts[i], "values": {}, "from_animal_table": False}
        )
        compound["name"] = compound["name"] or row.get("NAME", "")
        animal = "rat_fup" in row
        for species in SPECIES:
            for parameter, column in _COLUMN.items():
                number = _positive(row.get(f"{species}_{column}"))
                # both tables hold the human values of shared compounds: the animal table's
                # are taken once
                if number is not None and not (
                    species == "human"
                    and not animal
                    and (species, parameter, "animal") in compound["values"]
                ):
                    compound["values"].setdefault(
                        (species, parameter, "animal" if animal else "human"), []
                    ).append(number)
    values = np.full((len(rows), len(SPECIES), len(PARAMETERS)), np.nan)
    weights = np.array([TABLE_WEIGHT[species] for species in SPECIES])
    for i, compound in enumerate(rows.values()):
        for (species, parameter, _), numbers in compound["values"].items():
            j, k = SPECIES.index(species), PARAMETERS.index(parameter)
            scale = {"clearance": 0.06 * weights[j], "volume": weights[j], "fraction_unbound": 1.0}[
                parameter
            ]
            values[i, j, k] = np.exp(np.mean(np.log(numbers))) * scale
    keys = tuple(rows)
    names = tuple(r["name"] or r["smiles"] for r in rows.values())
    part = found.take([first[k] for k in keys])
    folds = _folds(keys)
    return Table(
        names,
        tuple(r["smiles"] for r in rows.values()),
        keys,
        part.scaffolds,
        folds,
        values,
        SPECIES,
        weights,
        part,
        np.array([_hepatocytes(name) for name in names]),
    )


def in_vitro_clearance(compound: Compound, species: str) -> float:
    """Intrinsic clearance of unbound drug by hepatocytes [L/h per gram of liver]; NaN where the
    compound has none, or none above the limit of detection.
    """
    drug = compound.for_species(species)
    if not drug.clint_hepatocyte:
        return np.nan
    fu = drug.fraction_unbound_hepatocyte
    if fu is None:
        fu = fraction_unbound_hepatocytes(log_p_or_d(drug))
    return float(
        clint_liver_from_hepatocytes(drug.clint_hepatocyte, 1.0, HEPATOCELLULARITY[species][0], fu)
    )


def _hepatocytes(name: str) -> list[float]:
    """:func:`in_vitro_clearance` of the compound of this name in the library, human alone."""
    row = [np.nan] * len(SPECIES)
    if name:
        with contextlib.suppress(PBPKError):
            row[SPECIES.index("human")] = in_vitro_clearance(get_compound(name), "human")
    return row


def scaffold_folds(scaffolds: Sequence[str], n_folds: int, seed: int) -> np.ndarray:
    """(n,) fold of each compound; compounds of one scaffold share it, and folds are about
    equally large.

    Scaffolds go in random order, each to the fold that is smallest so far.
    """
    names, group, counts = np.unique(np.asarray(scaffolds), return_inverse=True, return_counts=True)
    if len(names) < n_folds:
        raise InputError("n_folds", n_folds, f"at most the number of scaffolds, {len(names)}")
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-np.minimum(counts[order], 5), kind="stable")]  # the big ones first
    size, fold = np.zeros(n_folds, dtype=int), np.empty(len(names), dtype=int)
    for g in order:
        fold[g] = int(np.argmin(size))
        size[fold[g]] += counts[g]
    return fold[group]


def _folds(keys) -> np.ndarray:
    table = {row["key"]: int(row["fold"]) for row in read_csv(FOLDER / "splits.csv")}
    return np.array([table.get(k, -1) for k in keys])


def _positive(text: str | None) -> float | None:
    if text is None or not text.strip():
        return None
    number = float(text)
    return number if number > 0 else None


def read_csv(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file as dictionaries."""
    try:
        return list(csv.DictReader(table_file(path, expected="a CSV file")))
    except csv.Error as error:
        raise FileFormatError("path", str(path), "a CSV file", hint=str(error)) from error
