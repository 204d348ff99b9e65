"""httk's generic model `pbtk` as a System (Pearce et al. 2017, J Stat Softw 79(4); equations of httk 2.7.4, model_pbtk).

With amounts A, partition K_t2pu of tissue to unbound plasma, R the blood:plasma ratio and f the fraction unbound, an organ
leaves its blood at C_t R/(K_t2pu f):

- the liver metabolises ``Clmetabolismc`` BW times the plasma concentration C_liver/(K_liver2pu f)
- the kidneys filter Q_gfr f C_art/R out of what the artery brought them, from the *kidney's* own amount
- oral doses are given to ``gut_lumen``, reduced by ``Fabsgut``

Amounts are whatever unit the dose has (httk: umol), times are hours (httk: days).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pbpk_hybrid import Observable, System
from pbpk_hybrid.models.system import Coefficients

#: our state -> httk's volume (L/kg of body weight), partition coefficient; blood has none
VOLUMES = {
    "gut": ("Vgutc", "Kgut2pu"), "liver": ("Vliverc", "Kliver2pu"), "venous_blood": ("Vvenc", None),
    "lung": ("Vlungc", "Klung2pu"), "arterial_blood": ("Vartc", None), "rest": ("Vrestc", "Krest2pu"),
    "kidney": ("Vkidneyc", "Kkidney2pu"),
}  # fmt: skip
STATES = ("gut_lumen", *VOLUMES, "tubules", "metabolised", "area")

#: what the model needs from httk's parameter list
PARAMETERS = (
    "BW", "Clmetabolismc", "Funbound.plasma", "kgutabs", "Qcardiacc", "Qgfrc", "Qgutf", "Qkidneyf", "Qliverf",
    "Rblood2plasma", *(name for pair in VOLUMES.values() for name in pair if name),
)  # fmt: skip


def pbtk_system(parameters: Mapping[str, np.ndarray], subjects: np.ndarray | None = None) -> System:
    """The System of any number of parameter sets.

    Parameters
    ----------
    parameters : httk's names -> (n,) values in httk's units: BW [kg], flows Q*c [L/h/kg^0.75] and Q*f (fractions of cardiac
        output), volumes V*c [L/kg], K*2pu, kgutabs [1/h], Clmetabolismc [L/h/kg]; others are ignored
    subjects : (n,) labels

    Returns
    -------
    System with states :data:`STATES`, where ``area`` is the area under the venous plasma concentration (a time integral, not
    an amount: the system is not closed); observable ``plasma``; routes iv_bolus, iv_infusion and oral
    """
    p = {name: np.atleast_1d(np.asarray(parameters[name], dtype=float)) for name in PARAMETERS}
    n = max(len(v) for v in p.values())
    entries = _entries(p)
    number = {s: i for i, s in enumerate(STATES)}
    k_row = np.array([number[to] for to, _ in entries])
    k_col = np.array([number[of] for _, of in entries])
    coefficients = _assemble(p)
    venous = number["venous_blood"]
    observables = {
        name: Observable((number["venous_blood" if name == "plasma" else name],), factor)
        for name, factor in coefficients.observable_factor.items()
    }
    return System(
        STATES, k_row, k_col, coefficients.k_value, observables=observables,
        targets={"oral": number["gut_lumen"], "iv_bolus": venous, "iv_infusion": venous},
        n_subjects=n, subjects=subjects, parameters=p, assemble=_assemble, attrs={"model": "httk_pbtk"},
    )  # fmt: skip


def _assemble(p: Mapping[str, np.ndarray]) -> Coefficients:
    factor = {organ: 1.0 / (p[volume] * p["BW"]) for organ, (volume, _) in VOLUMES.items()}
    factor["plasma"] = factor["venous_blood"] / p["Rblood2plasma"]
    values = np.stack(np.broadcast_arrays(*_entries(p).values()), axis=1)
    return Coefficients(values, (), factor)


def _entries(p: Mapping[str, np.ndarray]) -> dict[tuple[str, str], np.ndarray]:
    """(to, from) -> rate [1/h]; plain arithmetic, so that complex numbers pass through."""
    weight, fu, ratio = p["BW"], p["Funbound.plasma"], p["Rblood2plasma"]
    output = p["Qcardiacc"] * weight**0.75
    flow = {organ: output * p[f"Q{organ}f"] for organ in ("gut", "liver", "kidney")}
    flow["rest"] = output - flow["gut"] - flow["liver"] - flow["kidney"]
    plasma, blood = {}, {}  # concentration in plasma and in blood leaving the organ, per amount in it [1/L]
    for organ, (volume, partition) in VOLUMES.items():
        per_amount = 1.0 / (p[volume] * weight)
        blood[organ] = per_amount if partition is None else per_amount * ratio / (p[partition] * fu)
        plasma[organ] = blood[organ] / ratio
    k: dict[tuple[str, str], np.ndarray] = {}

    def move(source: str, target: str, rate: np.ndarray) -> None:
        k[target, source] = k.get((target, source), 0.0) + rate
        k[source, source] = k.get((source, source), 0.0) - rate

    move("gut_lumen", "gut", p["kgutabs"])
    for organ in flow:
        move("arterial_blood", organ, flow[organ] * blood["arterial_blood"])
    move("gut", "liver", flow["gut"] * blood["gut"])
    move("liver", "venous_blood", (flow["gut"] + flow["liver"]) * blood["liver"])
    move("liver", "metabolised", p["Clmetabolismc"] * weight * plasma["liver"])
    move("kidney", "venous_blood", flow["kidney"] * blood["kidney"])
    move("rest", "venous_blood", flow["rest"] * blood["rest"])
    move("venous_blood", "lung", output * blood["venous_blood"])
    move("lung", "arterial_blood", output * blood["lung"])
    # filtered out of arterial plasma, taken from the kidney
    filtered = p["Qgfrc"] * weight**0.75 * fu * plasma["arterial_blood"]
    k["tubules", "arterial_blood"] = filtered
    k["kidney", "arterial_blood"] = k["kidney", "arterial_blood"] - filtered
    k["area", "venous_blood"] = plasma["venous_blood"]
    return k
