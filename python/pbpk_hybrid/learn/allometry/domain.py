"""Whether a molecule is of the kind that the tables hold: small, organic, one piece.

Training compounds are drugs of up to 1,000 g/mol or so; what is no such molecule is refused where
nothing can be said (no carbon, a repeating unit), else its intervals are widened.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ..._core.errors import InputError
from ..._core.optional import require

LARGEST_MASS = 900.0  # [g/mol]: 98 % of the training compounds are smaller
PEPTIDE_BONDS = 4  # more of them make a peptide
LEAST_SIMILAR = 0.2  # to the most similar training compound: 95 % of them are closer to another
_PEPTIDE = "[NX3][CX4][CX3](=O)[NX3]"
_METALS = "[!#1;!#5;!#6;!#7;!#8;!#9;!#14;!#15;!#16;!#17;!#34;!#35;!#53]"
_SMALL_IONS = 8  # heavy atoms of a counter-ion at most


@dataclass(frozen=True)
class Domain:
    """How far a molecule is from the training compounds.

    Parameters
    ----------
    similarity : float
        To the most similar of them, 0 to 1.
    reasons : tuple of str
        Why its intervals are widened; empty within the domain.
    """

    similarity: float
    reasons: tuple[str, ...]

    def with_similarity(self, similarity: float) -> Domain:
        """The same, with how similar the nearest training compound is."""
        far = ("unlike every training compound",) if similarity < LEAST_SIMILAR else ()
        return Domain(similarity, (*self.reasons, *far))


def domain_of(smiles: str) -> Domain:
    """Judge a molecule by itself.

    Raises
    ------
    InputError
        A molecule without carbon, with dummy atoms (a polymer's unit), or of two large pieces.
    """
    return Domain(float("nan"), _reasons(smiles))


@lru_cache(maxsize=256)
def _reasons(smiles: str) -> tuple[str, ...]:
    chem = require("rdkit.Chem", "learn", "structures")
    descriptors = require("rdkit.Chem.Descriptors", "learn", "structures")
    whole = chem.MolFromSmiles(smiles)
    atoms = [a.GetAtomicNum() for a in whole.GetAtoms()]
    if 0 in atoms:
        raise InputError(
            "smiles", smiles, "one molecule", hint="'*' marks the repeating unit of a polymer"
        )
    if 6 not in atoms:
        raise InputError("smiles", smiles, "an organic molecule: one with carbon")
    pieces = sorted(chem.GetMolFrags(whole, asMols=True), key=lambda m: -m.GetNumHeavyAtoms())
    if len(pieces) > 1 and pieces[1].GetNumHeavyAtoms() > _SMALL_IONS:
        same = chem.MolToSmiles(pieces[0]) == chem.MolToSmiles(pieces[1])
        if not same:
            raise InputError(
                "smiles",
                smiles,
                "one molecule, or one with small counter-ions",
                hint="a mixture has no clearance of its own: predict each compound by itself",
            )
    largest = pieces[0]
    reasons = []
    mass = descriptors.MolWt(largest)
    if mass > LARGEST_MASS:
        reasons.append(f"{mass:.0f} g/mol, above {LARGEST_MASS:g}")
    bonds = len(largest.GetSubstructMatches(chem.MolFromSmarts(_PEPTIDE)))
    if bonds >= PEPTIDE_BONDS:
        reasons.append(f"a peptide: {bonds} peptide bonds")
    if largest.HasSubstructMatch(chem.MolFromSmarts(_METALS)):
        reasons.append("holds a metal or another element that the tables do not")
    return tuple(reasons)
