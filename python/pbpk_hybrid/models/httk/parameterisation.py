r"""The parameters of httk's models, made as httk makes them: from a compound to its lists
``parameterize_*``.

Names and units are httk's (R package httk 2.7.4, MIT, US EPA; Pearce et al. 2017, J Stat
Softw 79(4)), so that its users can compare line by line: flows Q*c [L/h/kg^0.75] and Q*f
(fractions of cardiac output), volumes V*c [L/kg], K*2pu tissue to unbound plasma,
clearances [L/h/kg], kgutabs and kelim [1/h]. Where httk does what this package's own
models do not, httk's way is kept here: one liver density and cell count for all species,
the gut clearance multiplied by the fraction unbound twice, the raw species table with its
known slips.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from ..._core.errors import InputError, unknown_name
from ...compounds import Compound, get_compound
from ...compounds.httk_table import httk_bioavailability, httk_table
from ...physiology.tables.files import httk_physiology, httk_tissue
from ..small_molecules import binding
from ..small_molecules import partition_equations as eq
from ..small_molecules.clearance import clint_liver_from_hepatocytes, hepatic_clearance
from ..small_molecules.ionisation import distribution_coefficient, ionisation
from ..small_molecules.partition import PEARCE_REGRESSION

#: species of httk's physiology table
HTTK_SPECIES = ("human", "rat", "mouse", "dog", "rabbit", "monkey")
#: model -> organs with a compartment of their own; all others are lumped into ``rest``
LUMPING = {
    "pbtk": ("liver", "kidney", "lung", "gut"),
    "3compartment": ("liver", "gut"),
    "1compartment": (),
}
TISSUES = (
    "adipose",
    "bone",
    "brain",
    "gut",
    "heart",
    "kidney",
    "liver",
    "lung",
    "muscle",
    "skin",
    "spleen",
    "rest",
)
LIVER_DENSITY, CELLS_PER_GRAM = 1.05, 110.0  # g/mL (ICRP 1975); 1e6 cells/g (Carlile et al. 1997)
DEFAULT_CACO2 = 1.6  # [1e-6 cm/s], httk's median
LEAST_FRACTION_UNBOUND = 1e-4
PLASMA_PH = 7.4
_SCHMITT = {
    "fraction_cells": "Fcell",
    "fraction_interstitium": "Fint",
    "fraction_water_cells": "FWc",
    "fraction_lipid_cells": "FLc",
    "fraction_protein_cells": "FPc",
    "neutral_lipid_fraction_of_lipid": "Fn_Lc",
    "neutral_phospholipid_fraction": "Fn_PLc",
    "acidic_phospholipid_fraction": "Fa_PLc",
    "ph_cells": "pH",
}


def httk_parameters(
    compound: Compound | str, species: str = "human", model: str = "pbtk"
) -> dict[str, float]:
    """httk's parameter list of one compound in one species, with httk's defaults
    (``default.to.human=TRUE``).

    Parameters
    ----------
    compound : a name, CAS number or DTXSID of httk's table, or a Compound; a Compound of
        your own has no measured oral bioavailability, so that absorption is predicted
        from ``caco2_permeability`` (1.6e-6 cm/s if it has none)
    species : one of :data:`HTTK_SPECIES`; what is not measured there is taken from
        humans, as httk does on request
    model : "pbtk", "3compartment" or "1compartment"

    Returns
    -------
    httk's names -> numbers

    Raises
    ------
    UnknownNameError : a species, model or compound that httk does not have
    InputError : log P, fraction unbound, intrinsic clearance or molar mass is missing
    """
    species = _species(species)
    if model not in LUMPING:
        raise unknown_name("model", model, LUMPING, what="a model of httk")
    drug, measured = _drug(compound, species)
    if model == "1compartment":
        return _one_compartment(drug, measured, species)
    p = _chemistry(drug, species)
    p |= _lumped(p, species, LUMPING[model])
    p |= _whole_body(species)
    p["Clmetabolismc"] = p["Funbound.plasma"] * _liver_clint(p)
    p |= _absorption(drug, measured, p, species)
    return p


def httk_steady_state_parameters(
    compound: Compound | str, species: str = "human"
) -> dict[str, float]:
    """httk's list for its steady-state model ``3compartmentss``
    (``parameterize_steadystate``): see httk_parameters.
    """
    species = _species(species)
    drug, measured = _drug(compound, species)
    return _steady_state(drug, measured, species)


# ---- the compound ----
def _species(species: str) -> str:
    name = str(species).strip().lower()
    if name not in HTTK_SPECIES:
        raise unknown_name("species", species, HTTK_SPECIES, what="a species of httk")
    return name


def _drug(
    compound: Compound | str, species: str
) -> tuple[Compound, tuple[float | None, float | None, bool]]:
    """The compound with the species' values put in, its measured (Foral, Fhep), and
    whether Fabs and Fgut count.
    """
    foral = fhep = None
    if isinstance(compound, str):
        name, compound = compound, get_compound(compound, collection="httk")
        if name.strip().lower() in httk_table().index:
            foral, fhep = httk_bioavailability(name, species)
    for field in ("log_p", "molar_mass"):
        _needed(compound, field)
    drug = compound.for_species(species)
    for field in ("fraction_unbound_plasma", "clint_hepatocyte"):
        _needed(drug, field)
    return drug, (foral, fhep, species == "human")


def _needed(compound: Compound, field: str) -> None:
    if getattr(compound, field) is None:
        raise InputError(field, None, "a value, which httk's models need", subject=compound.name)


def _chemistry(drug: Compound, species: str) -> dict[str, float]:
    """Ionisation, binding and clearance per cells: what ``parameterize_schmitt`` and
    ``get_clint`` give.
    """
    body = httk_physiology(species)
    pow_ = 10.0**drug.log_p
    charge = ionisation(PLASMA_PH, drug.pka_acid, drug.pka_base)
    capped = min(pow_, binding.LARGEST_PARTITION)
    given = max(drug.fraction_unbound_plasma, LEAST_FRACTION_UNBOUND)
    lipid = body["Plasma Effective Neutral Lipid Volume Fraction"]
    corrected = float(
        binding.corrected_fraction_unbound(
            given, distribution_coefficient(capped, charge.charged), lipid
        )
    )
    affinity = drug.log_membrane_affinity
    x = np.log10(
        capped if charge.positive > 0.5 else distribution_coefficient(capped, charge.charged)
    )
    in_assay = float(binding.fraction_unbound_hepatocytes(x))
    p = {
        "BW": body["Average BW"],
        "MW": drug.molar_mass,
        "Pow": pow_,
        "hematocrit": body["Hematocrit"],
        "MA": float(eq.membrane_affinity(drug.log_p)) if affinity is None else 10.0**affinity,
        "Funbound.plasma": max(corrected, LEAST_FRACTION_UNBOUND),
        "Funbound.plasma.adjustment": corrected / given,
        "unadjusted.Funbound.plasma": given,
        "Clint": drug.clint_hepatocyte / in_assay,
        "Fhep.assay.correction": in_assay,
        "million.cells.per.gliver": CELLS_PER_GRAM,
        "liver.density": LIVER_DENSITY,
        "Vliverc": httk_tissue(species, "Vol (L/kg)")["liver"][0],
        "Qtotal.liverc": httk_tissue(species, "Flow (mL/min/kg^(3/4))")["liver"][0] / 1000 * 60,
    }
    p |= _partition(drug, p, species)
    ratio = drug.blood_to_plasma_ratio
    p["Rblood2plasma"] = (
        float(binding.blood_to_plasma(p["Krbc2pu"], p["Funbound.plasma"], p["hematocrit"]))
        if ratio is None
        else ratio
    )
    return p


@cache
def _composition(species: str) -> dict[str, dict[str, float]]:
    """Schmitt's descriptors by tissue; ``rest`` is the mean of all tissues but red cells,
    placenta and thyroid included.
    """
    measured = species if species in ("rat", "human") else "human"
    out: dict[str, dict[str, float]] = {}
    for ours, theirs in _SCHMITT.items():
        found = {t: v for t, (v, _) in httk_tissue(measured, theirs).items()}
        found["rest"] = float(np.mean([v for t, v in found.items() if t != "red blood cells"]))
        for tissue, value in found.items():
            out.setdefault(tissue, {})[ours] = value
    human = {
        t: {o: httk_tissue("human", h)[t][0] for o, h in _SCHMITT.items()}
        for t in httk_tissue("human", "Fcell")
    }
    return human | {t: {o: v.get(o, 0.0) for o in _SCHMITT} for t, v in out.items()}


def _partition(drug: Compound, p: dict[str, float], species: str) -> dict[str, float]:
    """Schmitt's coefficients with the regression of Pearce et al. (2017) where there is one."""
    protein, fu = httk_physiology(species)["Plasma Protein Volume Fraction"], p["Funbound.plasma"]
    out = {}
    for tissue in (*TISSUES, "red blood cells"):
        kpu = float(
            eq.schmitt_kpu(
                drug.log_p,
                fu,
                pka_acid=drug.pka_acid,
                pka_base=drug.pka_base,
                affinity=p["MA"],
                plasma_protein_fraction=protein,
                **_composition(species)[tissue],
            )
        )
        if tissue in PEARCE_REGRESSION:
            kpu = float(eq.pearce_regression(kpu, fu, *PEARCE_REGRESSION[tissue][0]))
        out["Krbc2pu" if tissue == "red blood cells" else f"K{tissue}2pu"] = kpu
    return out


# ---- the body ----
def _lumped(p: dict[str, float], species: str, own: tuple[str, ...]) -> dict[str, float]:
    """Volumes, flows and partition of the model's compartments; ``rest`` holds the
    others, by volume.
    """
    volumes = httk_tissue(species, "Vol (L/kg)")
    flows = httk_tissue(species, "Flow (mL/min/kg^(3/4))")
    output = httk_physiology(species)["Cardiac Output"]
    out: dict[str, float] = {}
    for organ in own:
        out[f"V{organ}c"] = volumes[organ][0]
        out[f"K{organ}2pu"] = p[f"K{organ}2pu"]
    others = [t for t in TISSUES if t not in own]
    total = sum(volumes[t][0] for t in others)
    out["Vrestc"] = total
    out["Krest2pu"] = sum(volumes[t][0] * p[f"K{t}2pu"] for t in others) / total
    fraction = {o: flows[o][0] / output for o in ("liver", "gut", "kidney")}
    out |= {
        "Qgutf": fraction["gut"],
        "Qliverf": fraction["liver"] - fraction["gut"],
        "Qkidneyf": fraction["kidney"],
    }
    return out


def _whole_body(species: str) -> dict[str, float]:
    body = httk_physiology(species)
    blood = body["Plasma Volume"] / (1 - body["Hematocrit"]) / 2 / 1000
    return {
        "Qcardiacc": body["Cardiac Output"] / 1000 * 60,
        "Qgfrc": body["GFR"] / 1000 * 60,
        "Vartc": blood,
        "Vvenc": blood,
    }


def _liver_clint(p: dict[str, float]) -> float:
    """Intrinsic clearance of the whole liver [L/h/kg body weight]."""
    return clint_liver_from_hepatocytes(
        p["Clint"], p["Vliverc"] * 1000 * LIVER_DENSITY, CELLS_PER_GRAM
    )


# ---- absorption ----
def effective_permeability(caco2: float, species: str) -> float:
    """P_eff [1e-4 cm/s] of human or rat jejunum from Caco-2 (Yang et al. 2007; Honda et
    al. in httk's calc_peff).
    """
    human = 10.0 ** (0.4926 * math.log10(caco2) - 0.1454)
    return max((human + 0.1815) / 1.039 / 10, 0.0) if species == "rat" else human


def _predicted_absorption(drug: Compound, p: dict[str, float], species: str) -> dict[str, float]:
    """Fabs (compartmental transit), Fgut (Q_gut model) and kgutabs from Caco-2
    permeability alone.
    """
    caco2 = DEFAULT_CACO2 if drug.caco2_permeability is None else drug.caco2_permeability
    body, rat = httk_physiology(species), httk_physiology("rat")
    radius = body.get("Small Intestine Radius", rat["Small Intestine Radius"])
    transit = body.get(
        "Small Intestine Mean Residence Time", rat["Small Intestine Mean Residence Time"]
    )
    peff = effective_permeability(caco2, species)
    fabs = min(1 - (1 + 2 * peff * transit / 7 / radius * 60 / 1e4) ** -7, 1.0)
    weight = p["BW"]
    gut_clint = p["Funbound.plasma"] * _liver_clint(p) * weight / 100  # ratio of CYP abundances
    area = 71 / 100**2 if species == "rat" else _significant(0.66 / 70 * weight, 4)  # m2
    transport = 0.1 * (weight / 70) ** 0.75
    small_intestine = 38.7 / 1000 * 60 * 15.8757  # L/h, average human
    if "Qgutf" in p:
        flow = small_intestine / 68.99 * p["Qgutf"] * p["Qcardiacc"] * weight**0.75
    else:
        flow = small_intestine / 68.99 * 68.99 / 86.96 * p["Qtotal.liverc"] * weight**0.75
    villi = 18 / small_intestine * flow
    permeation = peff * area * 1000 / 1e4 / 100 * 3600
    q_gut = villi * permeation / (villi + permeation)
    # httk multiplies by the fraction unbound although its gut clearance already has it: kept
    fgut = q_gut / (q_gut + p["Funbound.plasma"] * gut_clint) * (q_gut / (transport + q_gut))
    return {
        "Caco2.Pab": caco2,
        "Fabs": fabs,
        "Fgut": min(fgut, 1.0),
        "kgutabs": 2 * peff / radius * 3600 / 1e4,
    }


def _absorption(drug: Compound, measured, p: dict[str, float], species: str) -> dict[str, float]:
    """Measured oral bioavailability first, then measured Fabs and Fgut, then Caco-2, as
    ``get_fbio`` does it.
    """
    foral, fhep, human_values = measured
    out = _predicted_absorption(drug, p, species)
    if fhep is None:
        fhep = _passes_liver(p)
    # a fraction that this package predicted is no measurement: httk's own prediction is meant
    predicted = str(drug.sources.get("fraction_absorbed", "")).startswith("predicted from")
    measured_fraction = None if predicted or not human_values else drug.fraction_absorbed
    fabs = out["Fabs"] if measured_fraction is None else measured_fraction
    fgut = drug.fraction_gut if human_values else None
    both = None if foral is None else foral / fhep
    if fgut is None:
        fgut = out["Fgut"] if both is None else both / fabs
    both = fabs * fgut if both is None else both
    return out | {"Fabs": min(fabs, 1.0), "Fgut": min(fgut, 1.0), "Fabsgut": min(both, 1.0)}


def _passes_liver(p: dict[str, float]) -> float:
    """Fraction that passes the liver once, Q/(Q + CL/Rb2p)."""
    flow = p["Qcardiacc"] * (p["Qliverf"] + p["Qgutf"]) if "Qcardiacc" in p else p["Qtotal.liverc"]
    flow = flow / p["BW"] ** 0.25
    return flow / (flow + p["Funbound.plasma"] * _liver_clint(p) / p["Rblood2plasma"])


def _significant(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


# ---- steady state and one compartment ----
def _steady_state(drug: Compound, measured, species: str) -> dict[str, float]:
    p = _chemistry(drug, species)
    p["Qgfrc"] = httk_physiology(species)["GFR"] / 1000 * 60
    p["hepatic.bioavailability"] = _passes_liver(p)
    return p | _absorption(drug, measured, p, species)


def steady_state_clearance(p: dict[str, float]) -> float:
    """Renal filtration plus well-stirred liver, plasma [L/h/kg], of the list of
    httk_steady_state_parameters.
    """
    flow = p["Qtotal.liverc"] / p["BW"] ** 0.25
    fu, ratio = p["Funbound.plasma"], p["Rblood2plasma"]
    return p["Qgfrc"] / p["BW"] ** 0.25 * fu + ratio * hepatic_clearance(
        _liver_clint(p), flow, fu / ratio
    )


def volume_of_distribution(p: dict[str, float], species: str) -> float:
    """httk's Vdist [L/kg]: plasma + red cells + all tissues in equilibrium (``calc_vdist``)."""
    body = httk_physiology(species)
    plasma, fu = body["Plasma Volume"] / 1000, p["Funbound.plasma"]
    cells = plasma / (1 - body["Hematocrit"]) * body["Hematocrit"]
    lumped = _lumped(p, species, ())
    return plasma + cells * p["Krbc2pu"] * fu + lumped["Krest2pu"] * lumped["Vrestc"] * fu


def _one_compartment(drug: Compound, measured, species: str) -> dict[str, float]:
    p = _steady_state(drug, measured, species)
    predicted = _predicted_absorption(drug, p, species)
    # httk divides the predicted bioavailability by a Css made with the measured one
    if p["Fabsgut"] == 0:
        raise InputError(
            "Fabsgut",
            0.0,
            "a number > 0: httk's one-compartment model divides by it",
            subject=drug.name,
        )
    clearance = predicted["Fabs"] * predicted["Fgut"] / p["Fabsgut"] * steady_state_clearance(p)
    p["Vdist"] = volume_of_distribution(p, species)
    p["kelim"] = clearance / p["Vdist"]
    p["kgutabs"] = 2.18  # Wambaugh et al. (2018), for all compounds
    return p
