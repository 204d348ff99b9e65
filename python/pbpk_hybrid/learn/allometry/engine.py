"""From a prediction to the engine: the compound with its predicted values of the target
species put in.
"""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from ..._core.errors import InputError, OutOfRangeWarning, SchemaError
from ...compounds import Compound
from ...models.small_molecules.partition import blood_to_plasma_ratio
from ...physiology import ORGANS, PORTAL_ORGANS, SPECIES, reference_individual

#: shares of an organ's blood flow that it can clear at most
LARGEST_EXTRACTION = 0.95


def prediction_to_compound(
    compound: Compound, prediction: xr.Dataset, *, species: str | None = None
) -> Compound:
    r"""A compound that `simulate` can run in the target species.

    Clearance and volume become those measured in vivo, Kp are those of the partition method
    (or the predicted ones, where sources had them) times the one factor that gives the
    volume. Where the compound does not say what share of the clearance is renal, it is
    filtration of the unbound drug, as the engine has it from in-vitro data, at most all of
    it:

    .. math:: f_e = \min\left(1, \frac{\mathrm{gfr\_fraction} \cdot fu \cdot GFR}{CL}\right)

    What 95 % of the liver's blood flow cannot clear is put on the kidney.

    Parameters
    ----------
    compound
        what is known beside the prediction: molar mass, log_p, pKa, absorption
    prediction
        of :meth:`NeuralAllometry.predict`
    species
        None takes the prediction's target

    Raises
    ------
    InputError
        the target is not one of the engine's species
    SchemaError
        `prediction` lacks a variable

    Warns
    -----
    OutOfRangeWarning
        a clearance above 95 % of the blood flow of liver and kidney: these are taken
    """
    species = species or str(prediction.attrs.get("target", ""))
    if species not in SPECIES:
        raise InputError(
            "species",
            species,
            f"one of {', '.join(SPECIES)}",
            hint="say whose body to simulate with species=",
        )
    for name in ("clearance_plasma", "volume_steady_state", "fraction_unbound_plasma"):
        if name not in prediction:
            raise SchemaError(
                f"prediction.{name}",
                sorted(map(str, prediction.variables)),
                "a prediction's variables",
            )
    changes = {
        "species": species,
        "clearance_plasma": float(prediction["clearance_plasma"]),
        "clearance_hepatic": None,  # the prediction is a total clearance
        "volume_steady_state": float(prediction["volume_steady_state"]),
        "fraction_unbound_plasma": float(prediction["fraction_unbound_plasma"]),
        "clearance_basis": "in_vivo",
        "distribution_basis": "in_vivo",
        "species_values": {},
    }
    if "partition_coefficient" in prediction:
        changes["kp"] = dict(
            zip(
                prediction["organ"].values.tolist(),
                map(float, prediction["partition_coefficient"]),
                strict=True,
            )
        )
    return _physical(compound, compound.replace(**changes), species)


def _physical(given: Compound, drug: Compound, species: str) -> Compound:
    """The compound with a renal share, and with a clearance that its organs can have: no more
    than 95 % of the blood flow of liver and kidney.
    """
    body = reference_individual(species)
    flow = {organ: float(body["blood_flow"].sel(organ=organ)[0]) for organ in ORGANS}  # L/h
    ratio = float(np.ravel(blood_to_plasma_ratio(drug, species))[0])
    liver = LARGEST_EXTRACTION * ratio * sum(flow[o] for o in (*PORTAL_ORGANS, "liver"))
    kidney = LARGEST_EXTRACTION * ratio * flow["kidney"]
    per_kg = 0.06 * float(body["body_weight"][0])
    clearance = drug.clearance_plasma * per_kg  # L/h
    filtered = given.gfr_fraction * drug.fraction_unbound_plasma * float(body["gfr"][0])
    share = given.fraction_excreted_renal
    renal = filtered if share is None else share * clearance
    renal = min(max(renal, clearance - liver), clearance, kidney)
    total = min(clearance, renal + liver)
    if total < clearance:
        warnings.warn(
            f"{given.name}: the clearance of {clearance:.3g} L/h is above what flows through liver "
            f"and kidney of the {species}; {total:.3g} L/h are taken",
            OutOfRangeWarning,
            stacklevel=3,
        )
    return drug.replace(
        clearance_plasma=total / per_kg, fraction_excreted_renal=min(1.0, renal / total)
    )
