"""Reference bodies: one per species, two for humans, put together from the tables, closed,
every number with its source.

Closure. Organ masses add to the body weight and systemic organ flows to the cardiac
output: the compartment ``rest`` (everything that is not an organ of its own, gut
contents included) takes what is left, and must be positive.

Blood. All blood is in ``arterial_blood`` and ``venous_blood``; organ masses are tissue
without blood where the source says so (ICRP 89: heart and lungs "tissue only").
Oxygenated blood (left heart, pulmonary veins, arteries, half the capillaries) is
arterial by ICRP 89 Table 2.14 for humans; animals are split 1:2 (Brown et al. 1997 via
compphysiol).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from .._core.errors import FlowBalanceError
from .organs import ORGANS, PORTAL_ORGANS
from .tables.corrections import httk_rate, notes
from .tables.files import compphysiol, httk_physiology, httk_tissue, mcnally, own_reference

Sourced = dict[str, tuple[float, str]]  # organ or parameter -> (value, source)

_L_PER_H = 0.06  # from mL/min


@dataclass(frozen=True)
class SpeciesReference:
    """One reference body. Arrays run over ``ORGANS``."""

    species: str
    sex: str
    body_weight: float  # kg
    height: float  # cm, NaN for animals
    age: float  # year, NaN for animals
    cardiac_output: float  # L/h
    gfr: float  # L/h
    hematocrit: float
    hepatocellularity: float  # 1e6 cell/g
    microsomal_protein: float  # mg/g, NaN if unknown
    mass: np.ndarray  # kg
    blood_flow: np.ndarray  # L/h
    density: np.ndarray  # kg/L
    sources: dict[str, str]  # "organ.parameter" or "parameter" -> source
    notes: tuple[str, ...]


@cache
def reference(species: str, sex: str) -> SpeciesReference:
    """The reference body of a species.

    Parameters
    ----------
    species : str
        One of ``SPECIES``.
    sex : str
        "male" or "female" for a human; for animals, whose tables do not tell the sexes
        apart, only the label.
    """
    if species == "human":
        return _human(sex)
    return _minipig(sex) if species == "minipig" else _httk_animal(species, sex)


@cache
def density() -> Sourced:
    """Organ densities [kg/L], the same for all species."""
    table: Sourced = {
        organ: (value, f"httk tissue_data.csv ({reference_})")
        for organ, (value, reference_) in httk_tissue("human", "Density (g/cm^3)").items()
        if organ in ORGANS
    }
    for (organ, parameter), row in own_reference("all").items():
        if parameter == "density":
            # bone: the row replaces httk's cortical density, see corrections
            table[organ] = (float(row["value"]), row["source"])
    return table


def _measured(species: str, organ: str, parameter: str) -> tuple[float, str]:
    """A number of the package's own table of references, with its source."""
    row = own_reference(species)[(organ, parameter)]
    return float(row["value"]), row["source"]


def _close(
    species: str,
    sex: str,
    whole: Sourced,
    mass: Sourced,
    flow: Sourced,
    height: float = np.nan,
    age: float = np.nan,
) -> SpeciesReference:
    """Give ``rest`` the remainder of mass and flow and freeze everything.

    `whole` holds what is of the whole body (body weight, cardiac output, ...); `mass` [kg]
    and `flow` [L/h] are by organ.
    """
    weight, output = whole["body_weight"][0], whole["cardiac_output"][0]
    through = "cardiac output"
    for organ in ("arterial_blood", "venous_blood", "lung"):
        flow[organ] = (output, through)
    systemic = sum(value for organ, (value, _) in flow.items() if flow[organ][1] != through)
    mass["rest"] = (weight - sum(value for value, _ in mass.values()), "remainder of body weight")
    flow["rest"] = (output - systemic, "remainder of cardiac output")
    for field, (value, _) in (("volume", mass["rest"]), ("blood_flow", flow["rest"])):
        if value <= 0:
            raise FlowBalanceError(f"{species}.{field}[rest]", value, "a positive remainder")
    dens = density()
    sources = {name: source for name, (_, source) in whole.items()}
    for name, table in (("mass", mass), ("blood_flow", flow), ("density", dens)):
        sources |= {f"{organ}.{name}": source for organ, (_, source) in table.items()}
    return SpeciesReference(
        species=species,
        sex=sex,
        body_weight=weight,
        height=height,
        age=age,
        cardiac_output=output,
        gfr=whole["gfr"][0],
        hematocrit=whole["hematocrit"][0],
        hepatocellularity=whole["hepatocellularity"][0],
        microsomal_protein=whole["microsomal_protein"][0],
        mass=_frozen([mass[o][0] for o in ORGANS]),
        blood_flow=_frozen([flow[o][0] for o in ORGANS]),
        density=_frozen([dens[o][0] for o in ORGANS]),
        sources=sources,
        notes=notes(species),
    )


def _frozen(values: list[float]) -> np.ndarray:
    """An array that cannot be changed: references are shared between callers."""
    array = np.array(values)
    array.setflags(write=False)
    return array


def _liver_cells(species: str) -> Sourced:
    """Hepatocytes [1e6 cell/g liver] and microsomal protein [mg/g liver]."""
    table: Sourced = {"hepatocellularity": _measured(species, "liver", "hepatocellularity")}
    try:
        table["microsomal_protein"] = _measured(species, "liver", "microsomal_protein")
    except KeyError:
        table["microsomal_protein"] = (np.nan, "no published value at hand")
    return table


# ---- humans -------------------------------------------------------------------------------------

ICRP_MASS = {
    "lung": ("lung_tissue_only",),
    "heart": ("heart_tissue_only",),
    "brain": ("brain",),
    "muscle": ("skeletal_muscle",),
    "skin": ("skin",),
    "bone": ("total_skeleton",),
    "kidney": ("kidneys",),
    "gut": (
        "small_intestine_wall",
        "large_intestine_right_colon_wall",
        "large_intestine_left_colon_wall",
        "large_intestine_rectosigmoid_wall",
    ),
    "spleen": ("spleen",),
    "pancreas": ("pancreas",),
    "stomach": ("stomach_wall",),
    "liver": ("liver",),
}
_ICRP_FLOW = {
    "heart": ("coronary_tissue",),
    "brain": ("brain",),
    "muscle": ("skeletal_muscle",),
    "adipose": ("fat",),
    "skin": ("skin",),
    "bone": ("skeleton_total",),
    "kidney": ("kidney",),
    "gut": ("small_intestine", "large_intestine"),
    "spleen": ("spleen",),
    "pancreas": ("pancreas",),
    "stomach": ("stomach_and_oesophagus",),
}


def arterial_share() -> float:
    """Share of the blood that is oxygenated in humans, ICRP 89 Table 2.14 (capillaries
    half and half).
    """
    region = {name: value for name, (value, _) in compphysiol("human35m", "fregVtbl").items()}
    arterial = (
        region["left_heart"]
        + region["pulmonary_veins"]
        + region["systemic_aorta_large_arteries"]
        + region["systemic_small_arteries"]
    )
    venous = (
        region["right_heart"]
        + region["pulmonary_arteries"]
        + region["systemic_large_veins"]
        + region["systemic_small_veins"]
    )
    capillaries = region["systemic_capillaries"] + region["pulmonary_capillaries"]
    return (arterial + capillaries / 2) / (arterial + venous + capillaries)


def _human(sex: str) -> SpeciesReference:
    individual = "human35m" if sex == "male" else "human35f"

    def icrp(parameter: str, tissue: str = "") -> float:
        return compphysiol(individual, parameter)[tissue][0]

    output = float(mcnally(sex)["CO"]["flow_ref"])
    red, plasma = icrp("Vtis", "erythrocyte"), icrp("Vtis", "plasma")
    whole: Sourced = {
        "body_weight": (icrp("BW"), "ICRP 89 Table 2.9 via compphysiol"),
        "cardiac_output": (output, "ICRP 89 via McNally et al. (2014), httk mcnally_dt.csv"),
        "hematocrit": (
            red / (red + plasma),
            "ICRP 89 Table 2.12 via compphysiol: red cells / (red cells + plasma)",
        ),
        "gfr": _human_gfr(sex, icrp("BSA")),
    } | _liver_cells("human")
    mass, flow = _icrp_masses(icrp), _icrp_flows(icrp, output)
    return _close("human", sex, whole, mass, flow, height=icrp("BH"), age=icrp("age"))


def _icrp_masses(icrp: Callable[[str, str], float]) -> Sourced:
    """Organ masses [kg] of a reference individual whose numbers `icrp` looks up."""
    mass: Sourced = {
        organ: (
            sum(icrp("OWtis", part) for part in parts) / 1000,
            "ICRP 89 Table 2.8 via compphysiol",
        )
        for organ, parts in ICRP_MASS.items()
    }
    # yellow marrow is counted in the skeleton and again in adipose tissue upstream; see corrections
    mass["adipose"] = (
        (icrp("OWtis", "adipose_tissue") - icrp("OWtis", "marrow_inactive")) / 1000,
        "ICRP 89 Table 2.8 via compphysiol: adipose tissue less inactive marrow",
    )
    blood, arterial = icrp("OWtbl", "") / 1000, arterial_share()
    source = "ICRP 89 Table 2.8 (mass) and 2.14 (regions) via compphysiol"
    mass["arterial_blood"] = (arterial * blood, source)
    mass["venous_blood"] = ((1 - arterial) * blood, source)
    return mass


def _icrp_flows(icrp: Callable[[str, str], float], output: float) -> Sourced:
    """Organ flows [L/h] of a reference individual with cardiac output `output`."""
    flow: Sourced = {
        organ: (
            sum(icrp("fqbloCO", part) for part in parts) / 100 * output,
            "ICRP 89 Table 2.40 via compphysiol",
        )
        for organ, parts in _ICRP_FLOW.items()
    }
    portal = sum(flow[organ][0] for organ in PORTAL_ORGANS)
    flow["liver"] = (
        icrp("fqbloCO", "liver") / 100 * output - portal,
        "ICRP 89 Table 2.40 via compphysiol: total liver flow less the portal organs",
    )
    return flow


def _human_gfr(sex: str, surface: float) -> tuple[float, str]:
    """GFR [L/h] of the reference individual of a sex, with body surface [m^2]."""
    row = own_reference("human")[("", "gfr")]
    gfr, source = float(row["value"]), row["source"]
    if sex == "female":  # the published reference is a man's; same GFR per body surface
        gfr *= surface / compphysiol("human35m", "BSA")[""][0]
        source += "; scaled by ICRP 89 body surface 1.66/1.90 m2"
    return gfr * _L_PER_H, source


# ---- animals ------------------------------------------------------------------------------------

_HTTK_TISSUES = (
    "lung",
    "heart",
    "brain",
    "muscle",
    "adipose",
    "skin",
    "bone",
    "kidney",
    "spleen",
    "liver",
)
_BROWN = {"mouse": "mouse25", "rat": "rat250"}
_BROWN_TISSUES = {"muscle": "mus", "adipose": "adi", "bone": "bon"}
_ESTIMATED_RABBIT_FLOWS = ("brain", "skin", "bone")  # not in Davies & Morris
#: of body weight or cardiac output, left for the rest of the body where a table overshoots
_MIN_REST = 0.05


def _httk_animal(species: str, sex: str) -> SpeciesReference:
    body = httk_physiology(species)
    weight = body["Average BW"]
    output = httk_rate(species, "Cardiac Output") * _L_PER_H
    whole: Sourced = {
        "body_weight": (weight, "httk physiology_data.csv"),
        "cardiac_output": (output, "httk physiology_data.csv (Davies & Morris 1993)"),
        "hematocrit": (body["Hematocrit"], "httk physiology_data.csv"),
        "gfr": (
            httk_rate(species, "GFR") * _L_PER_H,
            "httk physiology_data.csv (Davies & Morris 1993)",
        ),
    } | _liver_cells(species)
    mass, flow = _httk_masses(species), _httk_flows(species, weight, output)
    return _close(species, sex, whole, mass, flow)


def _httk_masses(species: str) -> Sourced:
    """Organ masses [kg] of an animal of httk's tables."""
    body = httk_physiology(species)
    weight = body["Average BW"]
    volume = httk_tissue(species, "Vol (L/kg)")
    tissue_density = httk_tissue("human", "Density (g/cm^3)")

    def httk_mass(tissue: str) -> tuple[float, str]:
        # httk made its volumes from masses with these densities, so this gives the masses back
        value, source = volume[tissue]
        mass = value * tissue_density[tissue][0] * weight
        return mass, f"httk tissue_data.csv, volume x density ({source})"

    mass: Sourced = {organ: httk_mass(organ) for organ in _HTTK_TISSUES}
    gut, gut_source = httk_mass("gut")
    share, share_source = _measured(species, "stomach", "share_of_gut_mass")
    mass["gut"] = ((1 - share) * gut, f"{gut_source}, less the stomach")
    mass["stomach"] = (share * gut, f"{gut_source}; stomach share {share_source}")
    fraction, source = _measured(species, "pancreas", "mass_fraction")
    mass["pancreas"] = (fraction * weight, source)
    blood = (
        body["Plasma Volume"]
        / 1000
        / (1 - body["Hematocrit"])
        * weight
        * density()["arterial_blood"][0]
    )
    _blood(mass, blood, "httk physiology_data.csv: plasma volume / (1 - hematocrit)")
    if species == "monkey":
        _leave_rest_mass(mass, weight)
    return mass


def _httk_flows(species: str, weight: float, output: float) -> Sourced:
    """Organ flows [L/h] of an animal of httk's tables, body weight [kg], output [L/h]."""
    table = httk_tissue(species, "Flow (mL/min/kg^(3/4))")

    def httk_flow(tissue: str) -> tuple[float, str]:
        value, source = table[tissue]
        return value * weight**0.75 * _L_PER_H, f"httk tissue_data.csv ({source})"

    flow: Sourced = {
        organ: httk_flow(organ) for organ in _HTTK_TISSUES if organ not in ("lung", "liver")
    }
    if species in _BROWN:
        for organ, tissue in _BROWN_TISSUES.items():
            percent, source = compphysiol(_BROWN[species], "fqbloCO")[tissue]
            flow[organ] = (percent / 100 * output, f"{source} via compphysiol")
    if species == "monkey":
        # httk's 1.2 mL/min for half a kilogram of bone is 50 times below any other species
        percent = compphysiol("human35m", "fqbloCO")["skeleton_total"][0]
        flow["bone"] = (
            percent / 100 * output,
            "analogy: share of cardiac output of humans (ICRP 89 Table 2.40)",
        )
    _portal(flow, species, httk_flow("liver"), httk_flow("spleen"))
    _leave_rest(flow, species, output)
    return flow


def _leave_rest_mass(mass: Sourced, weight: float) -> None:
    """Reduce the monkey's bone, which httk gives the human fraction of body weight.

    That leaves 0.1 % of the body for everything that is not an organ of its own.
    """
    value, source = mass["bone"]
    others = sum(kg for kg, _ in mass.values()) - value
    mass["bone"] = (
        (1 - _MIN_REST) * weight - others,
        f"{source}: the human fraction; reduced so that masses close (see corrections)",
    )


def _blood(mass: Sourced, blood: float, source: str) -> None:
    """Split `blood` [kg] into the arterial and the venous pool as in the rat."""
    rat = {name: compphysiol("rat250", name)[""][0] for name in ("fartVtbl", "fvenVtbl")}
    arterial = rat["fartVtbl"] / (rat["fartVtbl"] + rat["fvenVtbl"])
    mass["arterial_blood"] = (
        arterial * blood,
        f"{source}; 1/3 arterial (Brown et al. 1997 via compphysiol)",
    )
    mass["venous_blood"] = (
        (1 - arterial) * blood,
        f"{source}; 2/3 venous (Brown et al. 1997 via compphysiol)",
    )


def _portal(
    flow: Sourced, species: str, liver: tuple[float, str], spleen: tuple[float, str] | None
) -> None:
    """Hepatic artery from Davies & Morris; the portal flow left after the spleen is
    shared as in humans (ICRP 89).
    """
    artery, artery_source = _measured(species, "liver", "flow_hepatic_artery")
    flow["liver"] = (artery * _L_PER_H, artery_source)
    portal = liver[0] - flow["liver"][0]
    share = {
        organ: sum(compphysiol("human35m", "fqbloCO")[p][0] for p in _ICRP_FLOW[organ])
        for organ in PORTAL_ORGANS
    }
    if spleen is not None:
        flow["spleen"] = spleen
        portal -= spleen[0]
        del share["spleen"]
    for organ, part in share.items():
        flow[organ] = (
            portal * part / sum(share.values()),
            f"portal flow = total liver flow ({liver[1]}) less hepatic artery; analogy: "
            "shared as in humans (ICRP 89)",
        )


def _leave_rest(flow: Sourced, species: str, output: float) -> None:
    """Where the organ flows leave nothing for the rest, scale the ones that are
    estimates (rabbit only).
    """
    available = (1 - _MIN_REST) * output - sum(value for value, _ in flow.values())
    if available >= 0 or species != "rabbit":
        return
    estimated = sum(flow[organ][0] for organ in _ESTIMATED_RABBIT_FLOWS)
    factor = (estimated + available) / estimated
    for organ in _ESTIMATED_RABBIT_FLOWS:
        value, source = flow[organ]
        flow[organ] = (
            value * factor,
            f"{source}; x {factor:.3f} so that flows close (see corrections)",
        )


def _minipig(sex: str) -> SpeciesReference:
    table = own_reference("minipig")
    weight = _measured("minipig", "", "body_weight")[0]
    mass: Sourced = {
        organ: (float(row["value"]) * weight, row["source"])
        for (organ, parameter), row in table.items()
        if parameter == "mass_fraction"
    }
    per_kg, source = _measured("minipig", "", "blood_volume")
    _blood(mass, per_kg / 1000 * weight * density()["arterial_blood"][0], source)
    flow: Sourced = {
        organ: (float(row["value"]) * _L_PER_H, row["source"])
        for (organ, parameter), row in table.items()
        if parameter == "flow"
    }
    total, source = _measured("minipig", "liver", "flow_total")
    _portal(flow, "minipig", (total * _L_PER_H, source), None)
    whole: Sourced = {
        "body_weight": _measured("minipig", "", "body_weight"),
        "hematocrit": _measured("minipig", "", "hematocrit"),
    } | _liver_cells("minipig")
    for name in ("cardiac_output", "gfr"):
        value, source = _measured("minipig", "", name)
        whole[name] = (value * _L_PER_H, source)
    return _close("minipig", sex, whole, mass, flow)
