"""Makes the ``physiology`` Dataset and checks one: schema, closures, names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from .._core.errors import FlowBalanceError, SchemaError, unknown_name
from .._core.provenance import provenance
from .._core.schemas import attrs, validate
from .arrays import Array, sqrt
from .organs import FULL_FLOW_ORGANS, ORGANS, SYSTEMIC_ORGANS
from .species import density

CLOSURE_TOLERANCE = 1e-6
"""Largest relative gap between the sum of organs and the whole that
:func:`check_physiology` lets pass.
"""


def build(
    mass: np.ndarray,
    blood_flow: np.ndarray,
    species: str,
    covariates: Mapping[str, np.ndarray],
    attributes: Mapping[str, Any],
) -> xr.Dataset:
    """A physiology Dataset from organ masses and flows.

    Parameters
    ----------
    mass, blood_flow : (subject, organ), kg and L/h
        In the order of ``ORGANS``.
    species : str
        Of all subjects.
    covariates : mapping
        Name -> (subject,) values; a name outside the schema brings its own
        (values, units, long_name).
    attributes : mapping
        Of the Dataset, beside its provenance.
    """
    rho = np.array([density()[organ][0] for organ in ORGANS])
    n = mass.shape[0]
    variables: dict[str, Any] = {
        "volume": (("subject", "organ"), mass / rho, attrs("physiology", "volume")),
        "blood_flow": (("subject", "organ"), blood_flow, attrs("physiology", "blood_flow")),
        "density": (("organ",), rho, attrs("physiology", "density")),
        "species": (("subject",), np.full(n, species), attrs("physiology", "species")),
    }
    for name, value in covariates.items():
        if isinstance(value, tuple):
            values, units, long_name = value
            variables[name] = (("subject",), values, {"units": units, "long_name": long_name})
        else:
            variables[name] = (("subject",), value, attrs("physiology", name))
    return xr.Dataset(
        variables,
        coords={"subject": np.arange(n), "organ": list(ORGANS)},
        attrs=provenance(title="physiology", **attributes),
    )


def body_surface_area(body_weight: Array, height: Array) -> Array:
    """Body surface [m^2] of an adult, Mosteller (N Engl J Med 317:1098, 1987): sqrt(W
    [kg] H [cm] / 3600).
    """
    return sqrt(body_weight * height / 3600.0)


def check_physiology(ds: xr.Dataset) -> xr.Dataset:
    """Check a physiology Dataset and return it unchanged.

    The schema (dims, units, finite and positive values), the organ names, and three
    closures per subject, each to 1e-6 relative:

    .. math::

        \\sum_t V_t \\rho_t = BW, \\qquad \\sum_{t\\,systemic} Q_t = Q_{CO},
        \\qquad Q_{lung} = Q_{art} = Q_{ven} = Q_{CO}

    Fractions lie inside (0, 1) and the filtered plasma does not exceed the plasma flow
    of the kidney.

    Parameters
    ----------
    ds
        Physiology Dataset, dims subject and organ.

    Returns
    -------
    Dataset
        The same Dataset.

    Raises
    ------
    SchemaError
        A variable, dim, unit, organ or value that the schema does not allow.
    UnknownNameError
        An organ that does not exist.
    FlowBalanceError
        Organ masses that do not add to the body weight, organ flows that do not add to
        the cardiac output; names the subject with the largest gap.
    """
    validate(ds, "physiology")
    _check_organs(ds)
    subject = ds["subject"].values if "subject" in ds.coords else np.arange(ds.sizes["subject"])
    volume = ds["volume"].transpose("subject", "organ").values
    flow = ds["blood_flow"].transpose("subject", "organ").values
    rho = np.broadcast_to(
        ds["density"].values
        if ds["density"].ndim == 1
        else ds["density"].transpose("subject", "organ").values,
        volume.shape,
    )
    organs = [str(o) for o in ds["organ"].values]
    weight, output = ds["body_weight"].values, ds["cardiac_output"].values
    _check_closure(
        "volume", np.einsum("so,so->s", volume, rho), weight, "body_weight", "kg", subject
    )
    systemic = [organs.index(o) for o in SYSTEMIC_ORGANS]
    _check_closure(
        "blood_flow", flow[:, systemic].sum(axis=1), output, "cardiac_output", "L/h", subject
    )
    for organ in FULL_FLOW_ORGANS:
        _check_closure(
            f"blood_flow[{organ}]",
            flow[:, organs.index(organ)],
            output,
            "cardiac_output",
            "L/h",
            subject,
        )
    hematocrit = ds["hematocrit"].values
    if (hematocrit >= 1).any():
        worst = int(np.argmax(hematocrit))
        raise SchemaError(
            "physiology.hematocrit",
            float(hematocrit[worst]),
            "a fraction below 1",
            subject=subject[worst],
        )
    plasma_flow = flow[:, organs.index("kidney")] * (1 - hematocrit)
    excess = ds["gfr"].values > plasma_flow
    if excess.any():
        worst = int(np.argmax(excess))
        raise SchemaError(
            "physiology.gfr",
            float(ds["gfr"].values[worst]),
            f"at most the plasma flow of the kidney, {plasma_flow[worst]:.6g} L/h",
            subject=subject[worst],
        )
    return ds


def _check_organs(ds: xr.Dataset) -> None:
    if "organ" not in ds.coords:
        raise SchemaError("physiology.organ", list(ds.coords), "a coordinate of organ names")
    names = [str(o) for o in ds["organ"].values]
    for name in names:
        if name not in ORGANS:
            raise unknown_name("physiology.organ", name, ORGANS, what="an organ")
    missing = [organ for organ in ORGANS if organ not in names]
    if missing:
        raise SchemaError(
            "physiology.organ", names, f"all {len(ORGANS)} organs; missing: {', '.join(missing)}"
        )
    if len(names) != len(ORGANS):
        raise SchemaError("physiology.organ", names, "each organ once")


def _check_closure(field, total, whole, whole_name, unit, subject) -> None:
    gap = np.abs(total - whole) / whole
    i = int(np.argmax(gap))
    if gap[i] > CLOSURE_TOLERANCE:
        raise FlowBalanceError(
            f"physiology.{field}",
            float(total[i]),
            f"a sum of {whole[i]:.6g} {unit} ({whole_name}) to {CLOSURE_TOLERANCE:g} relative",
            subject=subject[i],
        )
