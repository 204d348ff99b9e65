"""What is known in animals: clearance and volume, curves, or in-vitro data, brought to one form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._core.arguments import check_mapping, check_times
from .._core.errors import InputError
from .._core.units import quantity
from ..compounds import Compound
from ..dosing import Regimen
from ..dosing.conversion import as_regimen
from ..physiology import SPECIES, reference_individual

_CURVE = ("dose", "times", "concentrations", "lloq", "method")
_METHODS = ("nca", "fit")
#: extrapolated part of the AUC [%] above which clearance by NCA is said to be doubtful
_MUCH_EXTRAPOLATED = 20.0


def read_animals(
    animals: Mapping[str, Any] | None,
    molar_mass: float | None,
    notes: list[str],
    compound: Compound | None = None,
) -> dict[str, dict[str, Any]]:
    """Sources as :meth:`.NeuralAllometry.predict` takes them; curves become clearance and volume.

    Parameters
    ----------
    animals : mapping or None
        Species -> fields of a source, or ``curve``: a mapping of ``dose`` (intravenous text or
        Regimen), ``times`` [h], ``concentrations`` [mg/L of plasma], and optionally ``lloq``
        and ``method``: "nca", or "fit" (the whole-body model of the species).
    molar_mass : float or None, g/mol
        For molar units.
    notes : list of str
        What was assumed is added to it.
    compound : Compound, optional
        For "fit".

    Returns
    -------
    dict
        Species -> fields without ``curve``.

    Raises
    ------
    InputError and its kin
        Names species, field, value and what was expected.
    """
    table = check_mapping("animals", animals, "a mapping of species to what is known of them")
    out: dict[str, dict[str, Any]] = {}
    for species, values in table.items():
        where = f"animals[{species!r}]"
        fields = check_mapping(where, values, "a mapping such as {'clearance': '12 mL/min/kg'}")
        if "curve" in fields:
            curve = fields.pop("curve")
            for name in ("clearance", "clearance_plasma", "cl", "volume", "volume_steady_state"):
                if name in fields:
                    raise InputError(f"{where}.{name}", fields[name], "nothing beside a curve")
            fields |= _from_curve(
                species, curve, f"{where}.curve", molar_mass, fields, notes, compound
            )
        out[species] = fields
    return out


def _from_curve(
    species: str,
    curve: Any,
    where: str,
    molar_mass: float | None,
    fields: Mapping[str, Any],
    notes: list[str],
    compound: Compound | None,
) -> dict[str, str]:
    """Clearance and volume of one intravenous curve."""
    given = check_mapping(where, curve, f"a mapping with {', '.join(_CURVE[:3])}")
    for name in given:
        if name not in _CURVE:
            raise InputError(f"{where}.{name}", given[name], f"one of {', '.join(_CURVE)}")
    method = given.get("method", "nca")
    if method not in _METHODS:
        raise InputError(f"{where}.method", method, "nca or fit")
    for name in _CURVE[:3]:
        if given.get(name) is None:
            raise InputError(f"{where}.{name}", None, "a value")
    weight = _weight(species, fields, where)
    regimen = as_regimen(given["dose"])
    amount, duration = _single_iv(regimen, where, weight)
    times = check_times(f"{where}.times", given["times"])
    values = _concentrations(
        given["concentrations"], len(times), f"{where}.concentrations", molar_mass
    )
    lloq = given.get("lloq")
    if lloq is not None:
        lloq = quantity(lloq, "mg/L", f"{where}.lloq", molar_mass=molar_mass, positive=True)
    if method == "fit":
        return _fitted(species, compound, (amount / weight, duration), times, values, notes)
    return _by_nca(species, where, (amount, duration), times, values, lloq, notes)


def _by_nca(
    species: str,
    where: str,
    dose: tuple[float, float],
    times: np.ndarray,
    values: np.ndarray,
    lloq: float | None,
    notes: list[str],
) -> dict[str, str]:
    """By noncompartmental analysis; `dose`: amount [mg] and duration [h]."""
    from ..nca import nca

    amount, duration = dose
    route = "iv_infusion" if duration else "iv_bolus"
    found = nca((times, values), amount, route, duration or None, lloq=lloq)
    one = found.isel({d: 0 for d in found.dims})
    clearance, volume = float(one["cl"]), float(one["vss"])
    if not (np.isfinite(clearance) and clearance > 0 and np.isfinite(volume) and volume > 0):
        raise InputError(
            where,
            "no clearance",
            "a curve with a terminal phase of three points or more",
            subject=species,
            hint="give clearance and volume instead",
        )
    beyond = float(one["auc_extrapolated_obs"])
    note = f"{species}: clearance {clearance:.3g} L/h and Vss {volume:.3g} L from the curve (NCA)"
    if beyond > _MUCH_EXTRAPOLATED:
        note += f"; {beyond:.0f} % of the AUC is extrapolated"
    notes.append(note)
    return {"clearance": f"{clearance!r} L/h", "volume": f"{volume!r} L"}


def _fitted(
    species: str,
    compound: Compound | None,
    dose: tuple[float, float],
    times: np.ndarray,
    values: np.ndarray,
    notes: list[str],
) -> dict[str, str]:
    """By least squares of ln concentration, with the whole-body model of the species; `dose`:
    amount [mg/kg] and duration [h].
    """
    from scipy.optimize import least_squares

    from ..learn.allometry.species_system import scaled_system, with_parameters
    from ..simulation.run import simulate_system

    if compound is None or species not in SPECIES:
        raise InputError("method", "fit", f"nca, or a species of {', '.join(SPECIES)}")
    system = scaled_system(compound, species)
    weight = float(reference_individual(species)["body_weight"][0])
    amount, duration = dose[0] * weight, dose[1]
    regimen = Regimen.infusion(amount, duration) if duration else Regimen.bolus(amount)
    seen = (values > 0) & (times > 0)
    if seen.sum() < 3:
        raise InputError("concentrations", int(seen.sum()), "three or more > 0", subject=species)

    def residuals(logs: np.ndarray) -> np.ndarray:
        run = simulate_system(
            with_parameters(system, *np.exp(logs)),
            regimen,
            times[seen],
            compartments=("plasma",),
            body_weight=np.array([weight]),
        )
        found = run["concentration"].values[0, :, 0]
        return np.log(np.maximum(found, 1e-12)) - np.log(values[seen])

    area = np.trapezoid(values[seen], times[seen])
    start = np.log([amount / area, 0.7 * weight])
    bounds = (start - 5.0, start + 5.0)
    best = least_squares(residuals, start, bounds=bounds, loss="soft_l1", f_scale=0.3, max_nfev=40)
    clearance, volume = np.exp(best.x) / weight
    spread = float(np.sqrt(np.mean(residuals(best.x) ** 2)))
    notes.append(
        f"{species}: clearance {clearance / 0.06:.3g} mL/min/kg and Vss {volume:.3g} L/kg by the "
        f"whole-body model (root mean square of ln residuals {spread:.2g})"
    )
    return {
        "clearance": f"{float(clearance / 0.06)!r} mL/min/kg",
        "volume": f"{float(volume)!r} L/kg",
    }


def _weight(species: str, fields: Mapping[str, Any], where: str) -> float:
    """Body weight of the animal [kg]."""
    if fields.get("body_weight") is not None:
        return quantity(fields["body_weight"], "kg", f"{where}.body_weight", positive=True)
    if species not in SPECIES:
        raise InputError(f"{where}.body_weight", None, "a body weight [kg]", subject=species)
    from ..models.scaling import TABLE_WEIGHT

    usual = TABLE_WEIGHT.get(species)
    return float(reference_individual(species)["body_weight"][0]) if usual is None else usual


def _single_iv(regimen: Regimen, where: str, weight: float) -> tuple[float, float]:
    """Amount [mg] and duration [h] of one intravenous dose."""
    rows = regimen.columns
    routes = [str(r) for r in rows["route"]]
    single = len(routes) == 1 and not rows["additional_doses"][0] and not rows["steady_state"][0]
    if not single or routes[0] not in ("iv_bolus", "iv_infusion") or rows["time"][0] != 0:
        raise InputError(
            f"{where}.dose",
            str(regimen),
            'one intravenous dose at time 0, "1 mg/kg iv" or "2 mg/kg iv over 10 min"',
            hint="of an oral curve the clearance is known only up to the bioavailability",
        )
    amount = float(rows["amount"][0] + rows["amount_per_kg"][0] * weight)
    rate = float(rows["rate"][0] + rows["rate_per_kg"][0] * weight)
    return amount, amount / rate if rate > 0 else float(rows["duration"][0])


def _concentrations(values: Any, n: int, where: str, molar_mass: float | None) -> np.ndarray:
    """(n,) [mg/L]."""
    if isinstance(values, (str, Mapping)) or not hasattr(values, "__len__") or len(values) != n:
        raise InputError(where, values, f"one concentration per time, {n} numbers [mg/L]")
    return np.array(
        [
            quantity(v, "mg/L", f"{where}[{i}]", molar_mass=molar_mass, minimum=0.0)
            for i, v in enumerate(values)
        ]
    )
