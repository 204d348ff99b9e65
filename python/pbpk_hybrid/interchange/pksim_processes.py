"""Processes of a PK-Sim snapshot as fields of a Compound: each reader takes one, or says
why it does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..models.small_molecules.clearance import MICROSOMAL_PROTEIN, gfr_fraction_from_clearance
from ..physiology import reference_individual
from .pksim_file import text_of, value_of

if TYPE_CHECKING:
    from .pksim import CompoundReader

_LIVER_PER_KG = 1800.0 / 73.0  # g: ICRP liver 1.8 kg of 73 kg
_PROTEIN_PER_GRAM = MICROSOMAL_PROTEIN["human"][0]  # mg/g, Barter et al. (2007)
_CONTENT = (
    108.0  # pmol of enzyme per mg of microsomal protein: PK-Sim's default, of its documentation
)

_DISPLAY = {
    "GlomerularFiltration": "Glomerular Filtration",
    "LiverClearance": "Total Hepatic Clearance",
    "KidneyClearance": "Renal Clearances",
    "BiliaryClearance": "Biliary Clearance",
}


def process_names(process: Mapping[str, Any], where: str, kind: str) -> set[str]:
    """What a process may be called: its data source, and as PK-Sim names it in simulations."""
    source = text_of(process, "DataSource", where)
    stems = [text_of(process, "Molecule", where), _DISPLAY.get(kind, ""), kind]
    return {n for n in (source, *(f"{s}-{source}" for s in stems if s)) if n}


def clears_in_liver(kind: str) -> bool:
    """Whether a process clears in the liver (or wherever its enzyme is)."""
    return kind.startswith(("Liver", "Metaboliz", "rCYP", "Hepatocyte", "Intrinsic", "InVitro"))


def eliminates(kind: str) -> bool:
    """Whether a kind of process removes drug from the body."""
    renal = ("GlomerularFiltration", "Kidney", "Tubular", "Biliary", "ActiveTransport")
    return clears_in_liver(kind) or kind.startswith(renal)


def reason_for(kind: str) -> str:
    """Why a process that is known to PK-Sim is not taken."""
    for start, why in {
        "TubularSecretion": (
            "secretion by the kidney, a rate per volume of its cells: give a transporter "
            "or gfr_fraction"
        ),
        "BiliaryClearance": (
            "biliary plasma clearance: give biliary_clearance, the intrinsic one of unbound drug"
        ),
        "ActiveTransport": "active transport: give a transporter",
        "Metabolization": "metabolism per volume of cells and enzyme concentration",
        "rCYP450": "metabolism by recombinant enzyme and its concentration",
        "SpecificBinding": "binding to a target",
        "Competitive": "inhibition: give an enzyme effect",
        "Noncompetitive": "inhibition: give an enzyme effect",
        "Uncompetitive": "inhibition: give an enzyme effect",
        "Mixed": "inhibition: give an enzyme effect",
        "Irreversible": "inactivation: give an enzyme effect",
        "Induction": "induction: give an enzyme effect",
    }.items():
        if kind.startswith(start):
            return f"process {kind}, {why}"
    return f"process {kind}"


def _filtration(c: CompoundReader, process, p, species: str) -> str | None:
    c.unread(p, ("GFR fraction",))
    if "GFR fraction" not in p:
        return "glomerular filtration without a GFR fraction"
    return c.set(
        species,
        "gfr_fraction",
        value_of(p["GFR fraction"][0], "1", p["GFR fraction"][1]),
        "glomerular filtration",
    )


def _plasma_clearance(c: CompoundReader, p, species: str, what: str) -> float | str:
    """The plasma clearance of a systemic process [mL/min/kg], or why it does not act."""
    if "Plasma clearance" not in p:
        return f"{what} without a plasma clearance"
    if "Specific clearance" in p:
        return (
            f"{what} whose specific clearance was set by hand or fitted; it acts instead of the "
            "plasma clearance of the file, and refers to volumes of PK-Sim's organs"
        )
    c.unread(p, ("Plasma clearance", "Fraction unbound (experiment)"))
    name = "Fraction unbound (experiment)"
    own = c.values_of(species)[0].get("fraction_unbound_plasma")
    if name in p and own is not None:
        measured = value_of(p[name][0], "1", p[name][1])
        if not math.isclose(measured, own, rel_tol=1e-6):
            c.no(
                p[name][1].removeprefix(c.where + "."),
                f"{name} {measured:g} is not the compound's {own:g}: the plasma clearance is "
                "taken as measured",
            )
    return value_of(p["Plasma clearance"][0], "mL/min/kg", p["Plasma clearance"][1])


def _hepatic(c: CompoundReader, process, p, species: str) -> str | None:
    value = _plasma_clearance(c, p, species, "hepatic clearance")
    if isinstance(value, str):
        return value
    return c.set(species, "clearance_hepatic", value, "hepatic plasma clearance")


def _kidney(c: CompoundReader, process, p, species: str) -> str | None:
    """A kidney plasma clearance as a multiple of filtration, beside filtration itself."""
    value = _plasma_clearance(c, p, species, "kidney clearance")
    holder, prefix = c.values_of(species)
    fu = holder.get("fraction_unbound_plasma")
    if isinstance(value, str) or not fu:
        return value if isinstance(value, str) else "kidney clearance without a fraction unbound"
    person = reference_individual(species)
    renal = value * 0.06 * float(person["body_weight"][0])  # L/h
    more = float(gfr_fraction_from_clearance(renal, float(person["gfr"][0]), fu))
    holder["gfr_fraction"] = holder.get("gfr_fraction", 0.0) + more
    before = c.sources.get(f"{prefix}gfr_fraction")
    c.sources[f"{prefix}gfr_fraction"] = (
        f"{before + '; ' if before else ''}kidney plasma clearance of {value:g} mL/min/kg"
    )
    return None


def _microsomes_first_order(c: CompoundReader, process, p, species: str) -> str | None:
    """Several enzymes add up."""
    name = "In vitro CL for liver microsomes"
    if name not in p:
        return f"{process['InternalName']} without {name}"
    if "CLspec/[Enzyme]" in p:
        return (
            f"{process['InternalName']} whose clearance per enzyme was set by hand or fitted; "
            "it acts "
            "instead of the measured one of the file"
        )
    c.unread(p, (name, "Content of CYP proteins in liver microsomes"))
    c.values["clint_microsome"] = c.values.get("clint_microsome", 0.0) + value_of(
        p[name][0], "uL/min/mg", p[name][1]
    )
    before = c.sources.get("clint_microsome", "MetabolizationLiverMicrosomes_FirstOrder")
    c.sources["clint_microsome"] = f"{before}, {process.get('Molecule') or 'unnamed enzyme'}"
    return None


def _microsomes_mm(c: CompoundReader, process, p, species: str) -> str | None:
    names = ("In vitro Vmax for liver microsomes", "Km")
    if any(n not in p for n in names):
        return "Michaelis-Menten metabolism without Vmax and Km"
    mass = c.values.get("molar_mass")
    if mass is None:
        return "Michaelis-Menten metabolism of a compound without molar mass"
    c.unread(p, (*names, "kcat", "Content of CYP proteins in liver microsomes"))
    enzyme = str(process.get("Molecule") or f"pathway {len(c.values.get('saturable', ())) + 1}")
    rate = _rate_per_gram(c, p, enzyme)  # of the whole liver, per body weight
    if rate <= 0:
        return "Michaelis-Menten metabolism with a Vmax of 0"
    per_weight = rate * mass * 1e-9 * 60.0 * _LIVER_PER_KG
    km = value_of(p["Km"][0], "mg/L", p["Km"][1], molar_mass=mass)
    known = c.values.setdefault("saturable", [])
    name = enzyme
    if any(s["name"] == enzyme for s in known):
        name = f"{enzyme} ({process.get('DataSource') or len(known) + 1})"
        c.note(f"a second pathway of {enzyme} is named {name!r}; both act")
    if any(s["name"] == name for s in known):
        return f"Michaelis-Menten metabolism: a second process {name}"
    known.append({"name": name, "vmax": per_weight, "km": km})
    c.sources["saturable"] = (
        "MetabolizationLiverMicrosomes_MM; 40 mg protein per g of liver (Barter et al. 2007)"
    )
    return None


def _rate_per_gram(c: CompoundReader, p, enzyme: str) -> float:
    """Vmax of a gram of liver [pmol/min/g]: kcat x enzyme where the file has a kcat,
    which PK-Sim then uses, else the measured one."""
    name = "In vitro Vmax for liver microsomes"
    measured = value_of(p[name][0], "pmol/min/mg", p[name][1]) * _PROTEIN_PER_GRAM
    if "kcat" not in p:
        return measured
    kcat = value_of(p["kcat"][0], "1/min", p["kcat"][1])
    found, content = (
        c.choice.concentrations_of(enzyme),
        p.get("Content of CYP proteins in liver microsomes"),
    )
    if len(found) == 1:  # umol/L is pmol/uL; a gram of liver as a mL
        (concentration,) = found
        amount, how = (
            concentration * 1000.0,
            f"its reference concentration, {concentration:g} umol/L",
        )
    else:
        own = _CONTENT if content is None else value_of(content[0], "pmol/mg", content[1])
        kind = "PK-Sim's default content" if content is None else "its content"
        amount, how = own * _PROTEIN_PER_GRAM, f"{kind} in microsomes, {own:g} pmol/mg"
    rate = kcat * amount
    c.note(
        f"{enzyme}: Vmax is kcat, {kcat:g}/min, times {how}: {rate / _PROTEIN_PER_GRAM:.4g} "
        "pmol/min/mg of protein, "
        f"where {measured / _PROTEIN_PER_GRAM:.4g} were measured"
    )
    return rate


PROCESSES = {
    "GlomerularFiltration": _filtration,
    "LiverClearance": _hepatic,
    "KidneyClearance": _kidney,
    "MetabolizationLiverMicrosomes_FirstOrder": _microsomes_first_order,
    "MetabolizationLiverMicrosomes_MM": _microsomes_mm,
}
BY_SPECIES = (_filtration, _hepatic, _kidney)
