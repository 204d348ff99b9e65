"""What a molecule looks like to the model: descriptors, groups that ionise, fingerprint,
scaffold. RDKit, imported on use.

The structure is standardised first (largest fragment, neutral form, no stereochemistry), so
that salts, charge states and ways of writing the same SMILES give the same features.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..._core.errors import InputError
from ..._core.optional import require
from ...compounds import Compound
from .composition import composition, ionisation

if TYPE_CHECKING:
    from rdkit.Chem import Mol

FINGERPRINT_SIZE = 1024
#: fingerprints, one after the other: Morgan counts (radius 2), Morgan counts of
#: pharmacophoric atoms (radius 3), MACCS keys
SLICES = {"morgan": slice(0, 1024), "pharmacophore": slice(1024, 2048), "maccs": slice(2048, 2215)}

#: groups counted by SMARTS: those that are ionised at pH 7.4 or mark a way of elimination
GROUPS = {
    "carboxylic_acid": "[CX3](=O)[OX2H1,OX1-]",
    "sulfonic_acid": "S(=O)(=O)[OX2H1,OX1-]",
    "phosphoric_acid": "P(=O)[OX2H1,OX1-]",
    "tetrazole": "c1nnn[nH]1",
    "acyl_sulfonamide": "S(=O)(=O)[NX3H1,NX2-]C(=O)",
    "phenol": "c[OX2H1]",
    "sulfonamide": "S(=O)(=O)[NX3H1]",
    "primary_amine": "[NX3;H2;!$(NC=[O,S,N]);!$(N[a]);!$(NS);!$(NN);!$(NC#N)][CX4]",
    "secondary_amine": "[NX3;H1;!$(NC=[O,S,N]);!$(N[a]);!$(NS);!$(NN)]([CX4])[CX4]",
    "tertiary_amine": "[NX3;H0;!$(NC=[O,S,N]);!$(N[a]);!$(NS);!$(NN)]([CX4])([CX4])[CX4]",
    "quaternary_amine": "[NX4+]",
    "aniline": "[NX3;H1,H2][c]",
    "amidine": "[NX3]C(=[NX2])[!N]",
    "guanidine": "[NX3]C(=[NX2])[NX3]",
    "pyridine_like": "[n;H0;X2]",
    "imidazole": "c1cnc[nH,n]1",
    "ester": "[CX3](=O)[OX2][CX4]",
    "beta_lactam": "O=C1CCN1",
    "cephem": "O=C1C2SCC=CN12",
    "nucleoside": "[OX2]1[CX4][CX4][CX4][CX4]1n",
    "steroid": "C1CCC2C(C1)CCC3C2CCC4C3CCC4",
    "enol": "[#6]=[#6][OX2H1]",
}
ACIDS = ("carboxylic_acid", "sulfonic_acid", "phosphoric_acid", "tetrazole", "acyl_sulfonamide")
BASES = (
    "primary_amine",
    "secondary_amine",
    "tertiary_amine",
    "quaternary_amine",
    "amidine",
    "guanidine",
)
#: the few numbers that the vector field itself sees (the rest reaches it through kernels)
BLOCK = (
    "log_p",
    "polar_surface",
    "log_molar_mass",
    "acids",
    "bases",
    "net_charge",
    "beta_lactam",
    "rotatable",
)


@dataclass(frozen=True)
class Features:
    """Of n molecules. `descriptors` (n, d) float, `fingerprint` (n, 2215) counts up to 255,
    `block` (n, 8), `keys`, `scaffolds`, `compounds` (:func:`compound_key`), `composition` (n,
    31) of :mod:`.composition`.
    """

    keys: tuple[str, ...]
    scaffolds: tuple[str, ...]
    compounds: tuple[str, ...]
    descriptors: np.ndarray
    fingerprint: np.ndarray
    block: np.ndarray
    composition: np.ndarray

    def take(self, rows: ArrayLike) -> Features:
        """Some of the molecules, by number."""
        rows = np.asarray(rows, dtype=int)
        return Features(
            tuple(self.keys[i] for i in rows),
            tuple(self.scaffolds[i] for i in rows),
            tuple(self.compounds[i] for i in rows),
            self.descriptors[rows],
            self.fingerprint[rows],
            self.block[rows],
            self.composition[rows],
        )


def molecule(smiles: str, *, subject: str | None = None) -> Mol:
    """A standardised RDKit molecule.

    Raises
    ------
    InputError
        the text is not a SMILES that parses, or holds no atom
    """
    chem = require("rdkit.Chem", "learn", "structures")
    if not isinstance(smiles, str) or not smiles.strip():
        raise InputError("smiles", smiles, "a SMILES string", subject=subject)
    rd_base = require("rdkit.rdBase", "learn", "structures")
    with rd_base.BlockLogs():  # the library writes to stderr; the error below says it better
        parsed = chem.MolFromSmiles(smiles.strip())
        if parsed is None or parsed.GetNumAtoms() == 0:
            raise InputError("smiles", smiles, "a SMILES string that parses", subject=subject)
        chooser, uncharger = _standardisers()
        neutral = uncharger.uncharge(chooser.choose(parsed))
        chem.RemoveStereochemistry(neutral)
    return neutral


def structure_key(mol: Mol) -> str:
    """First block of the InChIKey: the connectivity, without stereochemistry, charge or
    isotopes.
    """
    chem = require("rdkit.Chem", "learn", "structures")
    rd_base = require("rdkit.rdBase", "learn", "structures")
    with rd_base.BlockLogs():
        return chem.MolToInchiKey(mol)[:14]


def skeleton(mol: Mol) -> str:
    """Heavy atoms and which of them are bonded, without bond orders, charges and hydrogens,
    as SMILES.

    Tautomers, which InChI does not always recognise (tetracycline, deferasirox), have one.
    """
    chem = require("rdkit.Chem", "learn", "structures")
    plain = chem.RWMol(mol)
    for bond in plain.GetBonds():
        bond.SetBondType(chem.BondType.SINGLE)
        bond.SetIsAromatic(False)
    for atom in plain.GetAtoms():
        atom.SetFormalCharge(0)
        atom.SetIsAromatic(False)
        atom.SetNoImplicit(True)
        atom.SetNumExplicitHs(0)
        atom.SetNumRadicalElectrons(0)
    return chem.MolToSmiles(plain)


def compound_key(mol: Mol) -> str:
    """What is one compound: the formula and the skeleton, so that salts, charge states,
    stereoisomers and tautomers are one.
    """
    descriptors = require("rdkit.Chem.rdMolDescriptors", "learn", "structures")
    return f"{descriptors.CalcMolFormula(mol)}:{skeleton(mol)}"


def scaffold(mol: Mol, key: str) -> str:
    """Bemis-Murcko scaffold (1996, J Med Chem 39:2887) without bond orders, as SMILES; a
    molecule without rings is a scaffold of its own.

    Without bond orders hydrogenated relatives (codeine and dihydrocodeine) share a scaffold.
    """
    murcko = require("rdkit.Chem.Scaffolds.MurckoScaffold", "learn", "structures")
    found = murcko.GetScaffoldForMol(mol)
    return skeleton(found) if found.GetNumAtoms() else f"acyclic:{key}"


def features(smiles: list[str], subjects: list[str] | None = None) -> Features:
    """Features of some molecules, in order.

    Raises
    ------
    InputError
        a SMILES that does not parse; names the subject
    """
    mols = [
        molecule(s, subject=None if subjects is None else subjects[i]) for i, s in enumerate(smiles)
    ]
    keys = tuple(structure_key(m) for m in mols)
    rows = [_row(m) for m in mols]
    return Features(
        keys,
        tuple(scaffold(m, k) for m, k in zip(mols, keys, strict=True)),
        tuple(compound_key(m) for m in mols),
        np.array([r[0] for r in rows]),
        np.array([r[1] for r in rows], dtype=np.uint8),
        np.array([r[2] for r in rows]),
        np.array([composition(*ionisation(m, group_counts(m))) for m in mols]),
    )


@lru_cache(maxsize=1)
def _standardisers():
    standard = require("rdkit.Chem.MolStandardize.rdMolStandardize", "learn", "structures")
    return standard.LargestFragmentChooser(), standard.Uncharger()


@lru_cache(maxsize=1)
def _patterns():
    chem = require("rdkit.Chem", "learn", "structures")
    return {name: chem.MolFromSmarts(text) for name, text in GROUPS.items()}


@lru_cache(maxsize=1)
def _generators():
    fingerprints = require("rdkit.Chem.rdFingerprintGenerator", "learn", "structures")
    return (
        fingerprints.GetMorganGenerator(radius=2, fpSize=FINGERPRINT_SIZE),
        fingerprints.GetMorganGenerator(
            radius=3,
            fpSize=FINGERPRINT_SIZE,
            atomInvariantsGenerator=fingerprints.GetMorganFeatureAtomInvGen(),
        ),
    )


def group_counts(mol: Mol) -> dict[str, int]:
    """How often each of :data:`GROUPS` is in a molecule."""
    return {name: len(mol.GetSubstructMatches(pattern)) for name, pattern in _patterns().items()}


def compound_of_structure(smiles: str) -> Compound:
    """A Compound with molar mass, log P and pKa from its structure.

    Raises
    ------
    InputError
        not a SMILES that parses
    """
    mol = molecule(smiles)
    mass = require("rdkit.Chem.Descriptors", "learn", "structures").MolWt(mol)
    log_p, acids, bases = ionisation(mol, group_counts(mol))
    return Compound.create(
        name=smiles.strip(),
        molar_mass=mass,
        log_p=log_p,
        pka_acid=acids,
        pka_base=bases,
        identifiers={"smiles": smiles.strip()},
    )


def _row(mol) -> tuple[list[float], np.ndarray, list[float]]:
    module = require("rdkit.Chem.Descriptors", "learn", "structures")
    found = module.CalcMolDescriptors(mol, missingVal=0.0)
    counts = group_counts(mol)
    raw = np.array([*found.values(), *counts.values()], dtype=float)
    raw = np.where(np.isfinite(raw), raw, 0.0)
    raw = np.sign(raw) * np.log1p(np.abs(raw))  # counts and sums have long tails
    acids, bases = sum(counts[a] for a in ACIDS), sum(counts[b] for b in BASES)
    block = [
        (found["MolLogP"] - 2.0) / 2.0,
        (found["TPSA"] - 90.0) / 60.0,
        np.log(found["MolWt"] / 350.0) / 0.4,
        float(min(acids, 2)),
        float(min(bases, 2)),
        float(np.clip(bases - acids, -2, 2)),
        float(counts["beta_lactam"] > 0),
        (found["NumRotatableBonds"] - 5.0) / 4.0,
    ]
    maccs = require("rdkit.Chem.MACCSkeys", "learn", "structures").GenMACCSKeys(mol)
    prints = [np.minimum(g.GetCountFingerprintAsNumPy(mol), 255) for g in _generators()]
    return raw.tolist(), np.concatenate([*prints, np.array(list(maccs))]), block
