"""Every classical method and every simpler learner on the same table: natural log of the
human value, NaN where a method cannot say.

A method that regresses is fitted on the training rows alone; the others ignore them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..._core.optional import require
from ...models import scaling
from .data import Table
from .features import FINGERPRINT_SIZE

ANIMALS = ("rat", "dog", "monkey")
_HUMAN = scaling.TABLE_WEIGHT["human"]
#: hand-picked shares of rat, dog and monkey in the weighted mean of flow-scaled clearances
WEIGHTED = (0.15, 0.25, 0.60)


def classical(table: Table, parameter: str, sources: Sequence[str]) -> dict[str, np.ndarray]:
    """Methods without training: name -> (n,) ln human value [L/h or L]. Rows that lack a
    needed species are NaN.
    """
    known = [species for species in ANIMALS if species in sources]
    if not known:
        return {}
    weights = np.array([scaling.TABLE_WEIGHT[species] for species in known])
    values = np.stack(
        [table.parameter(parameter, species) for species in known], axis=1
    )  # (n, species)
    whole = np.isfinite(values).all(1)
    values = np.where(whole[:, None], values, np.nan)
    out: dict[str, np.ndarray] = {}
    usual = 0.75 if parameter == "clearance" else 1.0
    with np.errstate(invalid="ignore", divide="ignore"):
        out[f"fixed exponent {usual:g}"] = scaling.fixed_exponent(values, weights, _HUMAN, usual)
        for i, species in enumerate(known):
            one = values[:, i : i + 1]
            out[f"{species}, exponent {usual:g}"] = scaling.fixed_exponent(
                one, weights[i : i + 1], _HUMAN, usual
            )
        if len(known) > 1:
            out["simple allometry"] = scaling.simple_allometry(values, weights, _HUMAN)
        fu = np.stack([table.parameter("fraction_unbound", species) for species in known], axis=1)
        human_fu = table.parameter("fraction_unbound", "human")
        if parameter == "clearance":
            out |= _clearance(table, known, values, weights, fu, human_fu)
        else:
            out |= _volume(known, values, weights, fu, human_fu)
        return {name: np.log(value) for name, value in out.items()}


def _clearance(table, known, values, weights, fu, human_fu) -> dict[str, np.ndarray]:
    out = {}
    flows = np.array(
        [scaling.HEPATIC_FLOW[species] * scaling.TABLE_WEIGHT[species] for species in known]
    )
    target = scaling.HEPATIC_FLOW["human"] * _HUMAN
    scaled = scaling.flow_scaling(values, flows, target)
    for i, species in enumerate(known):
        out[f"{species}, liver blood flow"] = scaled[:, i]
    if len(known) == 1:
        return out
    out["liver blood flow, mean"] = np.exp(np.log(scaled).mean(1))
    brain = np.array([scaling.BRAIN_WEIGHT[species] for species in known])
    human_brain = scaling.BRAIN_WEIGHT["human"]
    lifespan = scaling.maximum_lifespan(brain, weights)
    human_lifespan = float(scaling.maximum_lifespan(human_brain, _HUMAN))
    out["MLP"] = scaling.corrected_allometry(values, weights, _HUMAN, lifespan, human_lifespan)
    out["BrW"] = scaling.corrected_allometry(values, weights, _HUMAN, brain, human_brain)
    out["rule of exponents"] = scaling.rule_of_exponents(
        values, weights, _HUMAN, brain, human_brain
    )
    out["fu-corrected allometry"] = scaling.fu_corrected_allometry(
        values, fu, weights, _HUMAN, human_fu
    )
    out["FCIM"] = (
        scaling.fcim(values, weights, fu[:, known.index("rat")], human_fu)
        if "rat" in known
        else np.full(len(values), np.nan)
    )
    if "dog" in known and "rat" in known:
        descriptors = _mass_and_acceptors(table)
        if descriptors is not None:
            per_kg = [
                table.parameter("clearance", species, per_kg=True) / 0.06
                for species in ("rat", "dog")
            ]
            out["Wajima regression"] = (
                scaling.wajima_clearance(*per_kg, *descriptors) * 0.06 * _HUMAN
            )
    if len(known) == 3:
        out["liver blood flow, weighted .15/.25/.60"] = np.exp(np.log(scaled) @ np.array(WEIGHTED))
    return out


def _volume(known, values, weights, fu, human_fu) -> dict[str, np.ndarray]:
    out = {}
    tissue = np.stack(  # (n, species)
        [
            scaling.oie_tozer_tissue_binding(values[:, i] / weights[i], fu[:, i], species)
            for i, species in enumerate(known)
        ],
        axis=1,
    )
    mean = np.where(
        np.isfinite(tissue).any(1),
        np.nan_to_num(tissue).sum(1) / np.maximum(np.isfinite(tissue).sum(1), 1),
        np.nan,
    )
    out["Oie-Tozer"] = scaling.oie_tozer_volume(human_fu, mean, "human") * _HUMAN
    if "rat" in known and "dog" in known:
        rat, dog = (
            values[:, known.index(species)] / scaling.TABLE_WEIGHT[species]
            for species in ("rat", "dog")
        )
        out["Wajima regression"] = scaling.wajima_volume(rat, dog) * _HUMAN
    return out


def _mass_and_acceptors(table: Table):
    if table.features is None:
        return None
    from .features import molecule

    module = require("rdkit.Chem.Descriptors", "learn", "structures")
    mols = [molecule(smiles) for smiles in table.smiles]
    return np.array([module.MolWt(m) for m in mols]), np.array(
        [module.NumHAcceptors(m) for m in mols]
    )


def learners() -> dict[str, Callable]:
    """Tree ensembles of scikit-learn on animals (missing: the training median, and a flag)
    and descriptors.
    """
    ensemble = require("sklearn.ensemble", "test", "the tree baselines")
    return {
        "random forest": lambda: ensemble.RandomForestRegressor(
            60, min_samples_leaf=2, max_features=0.1, random_state=0
        ),
        "gradient boosting": lambda: ensemble.HistGradientBoostingRegressor(
            max_iter=120,
            learning_rate=0.08,
            max_leaf_nodes=12,
            l2_regularization=1.0,
            max_features=0.2,
            random_state=0,
        ),
    }


def design(table: Table, parameter: str, sources: Sequence[str]) -> np.ndarray:
    """(n, columns) for :func:`learners`: ln per-kg values and fu of the sources, missing
    flags, descriptors.
    """
    parts = []
    for species in sources:
        for name in (parameter, "fraction_unbound"):
            value = np.log(table.parameter(name, species, per_kg=True))
            flag = np.isfinite(value)
            parts += [
                np.where(flag, value, np.nanmedian(value[flag]) if flag.any() else 0.0),
                flag.astype(float),
            ]
    columns = np.stack(parts, 1) if parts else np.zeros((len(table), 0))  # (n, 4 per source)
    return np.hstack(
        [columns, table.features.descriptors, table.features.fingerprint[:, :FINGERPRINT_SIZE]]
    ).astype(np.float32)


def ivive(table: Table, parameter: str) -> np.ndarray:
    """(n,) ln human value from in-vitro data of the compound library, by name: well-stirred
    liver and filtration; Kp for the volume.
    """
    from ..._core.errors import PBPKError
    from ...compounds import get_compound
    from .synthetic import engine_values

    out, column = np.full(len(table), np.nan), ("clearance", "volume").index(parameter)
    for i, name in enumerate(table.names):
        try:
            drug = get_compound(name)
        except PBPKError:
            continue
        if drug.clint_hepatocyte is None or drug.fraction_unbound_plasma is None:
            continue
        try:
            plain = drug.replace(
                clearance_basis="in_vitro", distribution_basis="predicted", saturable=()
            )
            out[i] = engine_values(plain, "human")[column]
        except PBPKError:
            continue
    return np.log(out)
