r"""httk's generic models as Systems: ``pbtk``, ``3compartment``, ``1compartment`` (Pearce
et al. 2017, J Stat Softw 79(4)).

Equations of httk 2.7.4 (modelpbtk.c, model3comp.c, model1comp.c), in hours instead of
days. With R the blood:plasma ratio and f the fraction unbound, tissue t leaves its blood
at C_t R/(K_t2pu f).

- ``httk_pbtk``: the liver metabolises Clmetabolismc BW C_liver/(K_liver2pu f); the
  kidneys filter Q_gfr f C_art/R, taken from the kidney's own amount
- ``httk_3compartment``: portal vein (volume of the gut), liver, and the rest of the body
  in equilibrium with blood, filtered
- ``httk_1compartment``: Vdist and kelim; an oral dose is reduced by the first pass
  through the liver

An oral dose is given whole: what Fabsgut (and, in the last model, the liver) takes of it
goes to ``not_absorbed`` at the rate of absorption, where httk reduces the dose
beforehand. All other states are httk's. ``area`` is the area under the plasma
concentration: a time integral, so the systems are not closed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..._core.errors import InputError, unknown_name
from ...compounds import Compound
from ..system.system import Coefficients, Observable, System
from .parameterisation import (
    HTTK_SPECIES,
    httk_parameters,
    httk_steady_state_parameters,
    steady_state_clearance,
)

#: state -> httk's volume and partition coefficient; blood has none
PBTK_VOLUMES = {
    "gut": ("Vgutc", "Kgut2pu"),
    "liver": ("Vliverc", "Kliver2pu"),
    "venous_blood": ("Vvenc", None),
    "lung": ("Vlungc", "Klung2pu"),
    "arterial_blood": ("Vartc", None),
    "rest": ("Vrestc", "Krest2pu"),
    "kidney": ("Vkidneyc", "Kkidney2pu"),
}
THREE_VOLUMES = {
    "portal_vein": ("Vgutc", None),
    "liver": ("Vliverc", "Kliver2pu"),
    "rest": ("Vrestc", "Krest2pu"),
}
_ORAL = ("kgutabs", "Fabsgut")
_FLOWS = ("Qcardiacc", "Qgfrc", "Qgutf", "Qliverf")
_BINDING = ("BW", "Clmetabolismc", "Funbound.plasma", "Rblood2plasma")

#: what each model needs of httk's parameters
PARAMETERS = {
    "pbtk": (
        *_BINDING,
        *_ORAL,
        *_FLOWS,
        "Qkidneyf",
        *(n for pair in PBTK_VOLUMES.values() for n in pair if n),
    ),
    "3compartment": (
        *_BINDING,
        *_ORAL,
        *_FLOWS,
        *(n for pair in THREE_VOLUMES.values() for n in pair if n),
    ),
    "1compartment": ("BW", "Vdist", "kelim", *_ORAL, "hepatic.bioavailability"),
}

Entries = dict[tuple[str, str], np.ndarray]
Values = Mapping[str, np.ndarray]


def httk_pbtk(
    compound: Compound | str | Mapping[str, Any],
    species: str = "human",
    *,
    changes: Mapping[str, Any] | None = None,
    subjects: np.ndarray | None = None,
) -> System:
    """httk's ``pbtk``: gut, liver, kidney, lung, rest, arterial and venous blood; flow-limited.

    >>> import pbpk_hybrid as ph
    >>> system = ph.httk_pbtk("theophylline")
    >>> oral = ph.Regimen.oral("1 mg/kg")
    >>> result = ph.simulate_system(system, oral, range(25), body_weight=[70.0])

    Parameters
    ----------
    compound : what :func:`httk_parameters` takes, or httk's own parameters: names ->
        numbers or (n,) values
    species : one of human, rat, mouse, dog, rabbit, monkey; not used with parameters
    changes : httk's names -> values that take the place of those, e.g. ``{"BW": weights}``
    subjects : (n,) labels

    Returns
    -------
    System with httk's parameters as its named parameters; routes oral, iv_bolus,
    iv_infusion; observables ``plasma`` (venous) and all organs [dose unit/L]

    Raises
    ------
    InputError, UnknownNameError : a parameter is missing or unknown, or arrays of different lengths
    """
    values = _values("pbtk", compound, species, changes)
    states = ("gut_lumen", *PBTK_VOLUMES, "not_absorbed", "tubules", "metabolised", "area")
    return _system("httk_pbtk", states, "venous_blood", values, _pbtk, subjects, compound, species)


def httk_3compartment(
    compound: Compound | str | Mapping[str, Any],
    species: str = "human",
    *,
    changes: Mapping[str, Any] | None = None,
    subjects: np.ndarray | None = None,
) -> System:
    """httk's ``3compartment``: portal vein, liver, rest of the body.

    Arguments as in :func:`httk_pbtk`.
    """
    values = _values("3compartment", compound, species, changes)
    states = ("gut_lumen", *THREE_VOLUMES, "not_absorbed", "tubules", "metabolised", "area")
    return _system("httk_3compartment", states, "rest", values, _three, subjects, compound, species)


def httk_1compartment(
    compound: Compound | str | Mapping[str, Any],
    species: str = "human",
    *,
    changes: Mapping[str, Any] | None = None,
    subjects: np.ndarray | None = None,
) -> System:
    """httk's ``1compartment``: Vdist, kelim and first-order absorption.

    Arguments as in :func:`httk_pbtk`.
    """
    values = _values("1compartment", compound, species, changes)
    states = ("gut_lumen", "compartment", "not_absorbed", "metabolised", "area")
    return _system(
        "httk_1compartment", states, "compartment", values, _one, subjects, compound, species
    )


def httk_css(
    compound: Compound | str, species: str = "human", model: str = "pbtk", *, dose: float = 1.0
) -> float:
    """httk's analytic steady-state plasma concentration [mg/L] of a constant oral dose
    (``calc_analytic_css``).

    Parameters
    ----------
    compound, species : as in :func:`httk_parameters`
    model : "pbtk", "3compartment", "3compartmentss" or "1compartment"
    dose : [mg/kg/day]
    """
    per_hour = dose / 24
    if model == "3compartmentss":
        p = httk_steady_state_parameters(compound, species)
        return float(
            per_hour * p["Fabsgut"] * p["hepatic.bioavailability"] / steady_state_clearance(p)
        )
    if model not in PARAMETERS:
        raise unknown_name("model", model, (*PARAMETERS, "3compartmentss"), what="a model of httk")
    p = httk_parameters(compound, species, model)
    if model == "1compartment":
        return float(
            per_hour * p["Fabsgut"] * p["hepatic.bioavailability"] / p["kelim"] / p["Vdist"]
        )
    output, filtration = p["Qcardiacc"] / p["BW"] ** 0.25, p["Qgfrc"] / p["BW"] ** 0.25
    liver = output * (p["Qliverf"] + p["Qgutf"])
    metabolism, ratio, fu = p["Clmetabolismc"], p["Rblood2plasma"], p["Funbound.plasma"]
    if model == "3compartment":
        total = fu * filtration + metabolism + metabolism / liver * fu / ratio * filtration
        return float(per_hour * p["Fabsgut"] / total)
    through = liver / (metabolism / ratio + liver)
    leaving = (
        liver - liver * through + filtration * fu / ratio
    )  # output less what every organ gives back
    return float(p["Fabsgut"] * per_hour * through / leaving / ratio)


# ---- building ----
def _values(
    model: str, compound, species: str, changes: Mapping[str, Any] | None
) -> dict[str, np.ndarray]:
    given = (
        dict(compound)
        if isinstance(compound, Mapping)
        else httk_parameters(compound, species, model)
    )
    for name in changes or {}:
        if name not in PARAMETERS[model]:
            raise unknown_name(
                "changes", name, PARAMETERS[model], what=f"a parameter of httk's {model}"
            )
    given |= changes or {}
    out = {}
    for name in PARAMETERS[model]:
        if name not in given:
            raise InputError(f"parameters[{name!r}]", None, f"a value, which httk's {model} needs")
        value = np.atleast_1d(np.asarray(given[name], dtype=float))
        if value.ndim != 1 or not np.isfinite(value).all() or (value < 0).any():
            raise InputError(
                f"parameters[{name!r}]", given[name], "a finite number >= 0, or one per subject"
            )
        out[name] = value
    lengths = {len(v) for v in out.values()} - {1}
    if len(lengths) > 1:
        raise InputError(
            "parameters", sorted(lengths), "one number each, or the same number of subjects"
        )
    return out


def _system(
    name: str,
    states: tuple[str, ...],
    dosed: str,
    values: dict[str, np.ndarray],
    build: Callable[[Values], tuple[Entries, dict[str, np.ndarray]]],
    subjects,
    compound,
    species: str,
) -> System:
    def assemble(p: Values) -> Coefficients:
        entries, factor = build(p)
        k = np.stack(np.broadcast_arrays(*map(np.atleast_1d, entries.values())), axis=1)
        return Coefficients(k, (), {o: np.atleast_1d(f) for o, f in factor.items()})

    n = max(len(v) for v in values.values())
    entries, _ = build(values)
    number = {s: i for i, s in enumerate(states)}
    coefficients = assemble(values)
    observables = {
        o: Observable((number[dosed if o == "plasma" else o],), factor)
        for o, factor in coefficients.observable_factor.items()
    }
    facts: dict[str, Any] = {"model": name}
    if not isinstance(compound, Mapping):
        facts |= {
            "compound": compound if isinstance(compound, str) else compound.name,
            "species": species,
        }
    return System(
        states,
        [number[to] for to, _ in entries],
        [number[of] for _, of in entries],
        coefficients.k_value,
        observables=observables,
        targets={
            "oral": number["gut_lumen"],
            "iv_bolus": number[dosed],
            "iv_infusion": number[dosed],
            "iv": number[dosed],
        },
        n_subjects=n,
        subjects=subjects,
        parameters=values,
        assemble=assemble,
        attrs=facts,
        signed=(),
    )


class _Flows:
    """K's entries, added up: plain arithmetic, so that complex numbers pass through."""

    def __init__(self) -> None:
        self.k: Entries = {}

    def move(self, source: str, target: str, rate) -> None:
        """`rate` [1/h] times the amount in `source` goes to `target`."""
        self.gain(source, target, rate)
        self.gain(source, source, -rate)

    def gain(self, source: str, target: str, rate) -> None:
        """`target` gains `rate` times the amount in `source`, which keeps it."""
        self.k[target, source] = self.k.get((target, source), 0.0) + rate

    def absorb(self, target: str, rate, fraction) -> None:
        self.move("gut_lumen", target, rate * fraction)
        self.move("gut_lumen", "not_absorbed", rate * (1.0 - fraction))


def _leaving(p: Values, volumes) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Per amount in an organ [1/L]: its concentration, and the blood that leaves it."""
    factor = {organ: 1.0 / (p[volume] * p["BW"]) for organ, (volume, _) in volumes.items()}
    ratio, fu = p["Rblood2plasma"], p["Funbound.plasma"]
    blood = {
        o: factor[o] if k is None else factor[o] * ratio / (p[k] * fu)
        for o, (_, k) in volumes.items()
    }
    return factor, blood


def _pbtk(p: Values) -> tuple[Entries, dict[str, np.ndarray]]:
    factor, blood = _leaving(p, PBTK_VOLUMES)
    ratio, fu, weight = p["Rblood2plasma"], p["Funbound.plasma"], p["BW"]
    output = p["Qcardiacc"] * weight**0.75
    flow = {organ: output * p[f"Q{organ}f"] for organ in ("gut", "liver", "kidney")}
    flow["rest"] = output - flow["gut"] - flow["liver"] - flow["kidney"]
    f = _Flows()
    f.absorb("gut", p["kgutabs"], p["Fabsgut"])
    for organ in flow:
        f.move("arterial_blood", organ, flow[organ] * blood["arterial_blood"])
    f.move("gut", "liver", flow["gut"] * blood["gut"])
    f.move("liver", "venous_blood", (flow["gut"] + flow["liver"]) * blood["liver"])
    f.move("liver", "metabolised", p["Clmetabolismc"] * weight * blood["liver"] / ratio)
    f.move("kidney", "venous_blood", flow["kidney"] * blood["kidney"])
    f.move("rest", "venous_blood", flow["rest"] * blood["rest"])
    f.move("venous_blood", "lung", output * blood["venous_blood"])
    f.move("lung", "arterial_blood", output * blood["lung"])
    # filtered out of arterial plasma, taken from the kidney
    filtered = p["Qgfrc"] * weight**0.75 * fu * blood["arterial_blood"] / ratio
    f.gain("arterial_blood", "tubules", filtered)
    f.gain("arterial_blood", "kidney", -filtered)
    factor["plasma"] = factor["venous_blood"] / ratio
    f.gain("venous_blood", "area", factor["plasma"])
    return f.k, factor


def _three(p: Values) -> tuple[Entries, dict[str, np.ndarray]]:
    factor, blood = _leaving(p, THREE_VOLUMES)
    ratio, fu, weight = p["Rblood2plasma"], p["Funbound.plasma"], p["BW"]
    output = p["Qcardiacc"] * weight**0.75
    gut, liver = output * p["Qgutf"], output * p["Qliverf"]
    f = _Flows()
    f.absorb("portal_vein", p["kgutabs"], p["Fabsgut"])
    f.move("rest", "portal_vein", gut * blood["rest"])
    f.move("portal_vein", "liver", gut * blood["portal_vein"])
    f.move("rest", "liver", liver * blood["rest"])
    f.move("liver", "rest", (gut + liver) * blood["liver"])
    f.move("liver", "metabolised", p["Clmetabolismc"] * weight * blood["liver"] / ratio)
    f.move("rest", "tubules", fu / ratio * p["Qgfrc"] * weight**0.75 * blood["rest"])
    factor["plasma"] = blood["rest"] / ratio
    f.gain("rest", "area", factor["plasma"])
    return f.k, factor


def _one(p: Values) -> tuple[Entries, dict[str, np.ndarray]]:
    plasma = 1.0 / (p["Vdist"] * p["BW"])
    f = _Flows()
    f.absorb("compartment", p["kgutabs"], p["Fabsgut"] * p["hepatic.bioavailability"])
    f.move("compartment", "metabolised", p["kelim"])
    f.gain("compartment", "area", plasma)
    return f.k, {"plasma": plasma}


__all__ = ["HTTK_SPECIES", "httk_1compartment", "httk_3compartment", "httk_css", "httk_pbtk"]
