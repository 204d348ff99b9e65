"""From a prediction to the engine: the compound with its predicted values of the target species put in."""

from __future__ import annotations

import xarray as xr

from ..._core.errors import InputError, SchemaError
from ...compounds import Compound
from ...physiology import SPECIES, reference_individual


def prediction_to_compound(
    compound: Compound, prediction: xr.Dataset, *, species: str | None = None
) -> Compound:
    r"""A compound that `simulate` can run in the target species.

    Clearance and volume become those measured in vivo, Kp are those of the partition method (or the predicted ones, where
    sources had them) times the one factor that gives the volume. Where the compound does not say what share of the
    clearance is renal, it is filtration of the unbound drug, as the engine has it from in-vitro data, at most all of it:

    .. math:: f_e = \min\left(1, \frac{\mathrm{gfr\_fraction} \cdot fu \cdot GFR}{CL}\right)

    Parameters
    ----------
    compound : what is known beside the prediction: molar mass, log_p, pKa, absorption
    prediction : of :meth:`NeuralAllometry.predict`
    species : None takes the prediction's target

    Raises
    ------
    InputError : the target is not one of the engine's species
    SchemaError : `prediction` lacks a variable
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
    if compound.fraction_excreted_renal is None:
        body = reference_individual(species)
        clearance = changes["clearance_plasma"] * 0.06 * float(body["body_weight"][0])  # L/h
        filtered = (
            compound.gfr_fraction * changes["fraction_unbound_plasma"] * float(body["gfr"][0])
        )
        changes["fraction_excreted_renal"] = min(1.0, filtered / clearance)
    return compound.replace(**changes)
