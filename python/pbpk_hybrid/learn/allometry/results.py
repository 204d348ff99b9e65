"""Predictions as Datasets with units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from ..._core.provenance import provenance
from .data import PARAMETERS
from .prediction import Prediction
from .sources import Source, Target

#: parameter -> (name in the result, unit, name per kg, unit per kg)
_NAMES = {
    "clearance": ("clearance", "L/h", "clearance_plasma", "mL/min/kg"),
    "volume": ("volume", "L", "volume_steady_state", "L/kg"),
    "fraction_unbound": ("fraction_unbound_plasma", "1", None, None),
}


def prediction_dataset(
    found: Prediction, limits: np.ndarray, sources: Sequence[Source], target: Target
) -> xr.Dataset:
    """The prediction of one compound, see :meth:`.NeuralAllometry.predict`.

    Parameters
    ----------
    limits : array
        (2, 3) lower and upper ends of the intervals, on the scale of the means: natural
        logarithm, logit for fu
    """
    variables: dict[str, tuple] = {}
    for name, mean, low, high in zip(PARAMETERS, found.mean, *limits, strict=True):
        _put(variables, name, mean, low, high, target.weight)
    coords = {
        "source": [s.species for s in sources if s.known] + ["structure"],
        "parameter": list(PARAMETERS),
    }
    kp = _carried_kp(sources, found.mean[2])
    if kp:
        attrs = {"units": "1", "long_name": "tissue:plasma Kp"}
        variables["partition_coefficient"] = ("organ", list(kp.values()), attrs)
        coords["organ"] = list(kp)
    weights = np.vstack([found.gain, 1 - found.gain.sum(0)])  # (n + 1, 3): the rest is structure's
    variables["source_weight"] = (("source", "parameter"), weights, {"units": "1"})
    return xr.Dataset(variables, coords)


def exponent_dataset(masses: np.ndarray, values: np.ndarray, slopes: np.ndarray) -> xr.Dataset:
    """Local exponents and the values along the curve, see :meth:`.NeuralAllometry.exponent`.

    Parameters
    ----------
    masses : array
        (n,) [kg]
    values, slopes : array
        (n, 2) ln CL and ln V, and their derivatives in ln mass
    """
    out = xr.Dataset(
        coords={"mass": ("mass", masses, {"units": "kg"}), "parameter": list(PARAMETERS[:2])}
    )
    dims = ("mass", "parameter")
    attrs = {"units": "1", "long_name": "local allometric exponent"}
    out["exponent"] = (dims, slopes, attrs)
    long_name = "clearance [L/h], volume [L] along the curve"
    out["value"] = (dims, np.exp(values), {"long_name": long_name})
    out.attrs = provenance(model="neural allometry")
    return out


def draws_dataset(drawn: np.ndarray) -> xr.Dataset:
    """Joint draws, see :meth:`.NeuralAllometry.draws`.

    Parameters
    ----------
    drawn : array
        (n, 3) ln CL [L/h], ln V [L], logit fu
    """
    values = (np.exp(drawn[:, 0]), np.exp(drawn[:, 1]), 1 / (1 + np.exp(-drawn[:, 2])))
    units = ("L/h", "L", "1")
    return xr.Dataset(
        {
            name: ("draw", value, {"units": unit})
            for name, value, unit in zip(PARAMETERS, values, units, strict=True)
        },
        attrs=provenance(model="neural allometry"),
    )


def _put(
    out: dict[str, tuple], name: str, middle: float, low: float, high: float, weight: float
) -> None:
    label, unit, per_kg, per_kg_unit = _NAMES[name]
    numbers = np.array([middle, low, high])
    values = 1 / (1 + np.exp(-numbers)) if name == "fraction_unbound" else np.exp(numbers)
    scale = {"clearance": 0.06 * weight, "volume": weight}.get(name)
    for suffix, i in (("", 0), ("_lower", 1), ("_upper", 2)):
        out[label + suffix] = (
            (),
            float(values[i]),
            {"units": unit, "long_name": label.replace("_", " ") + suffix},
        )
        if per_kg is not None:
            out[per_kg + suffix] = (
                (),
                float(values[i] / scale),
                {"units": per_kg_unit, "long_name": f"{label} per kg{suffix}"},
            )


def _carried_kp(sources: Sequence[Source], fu_logit: float) -> dict[str, float]:
    """Kp of the target: unbound partition Kp/fu is taken as the same in all species
    (geometric mean where several know it).
    """
    fu = 1 / (1 + np.exp(-fu_logit))
    found: dict[str, list[float]] = {}
    for s in sources:
        if s.kp and np.isfinite(s.fraction_unbound):
            for organ, value in s.kp.items():
                found.setdefault(organ, []).append(np.log(value / s.fraction_unbound))
    return {organ: float(np.exp(np.mean(v)) * fu) for organ, v in found.items()}
