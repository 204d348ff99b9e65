"""Known slips of the shipped tables, corrected here and nowhere else.

The tables under ``data/`` stay as they were published upstream; every function below
that changes a number says why, :data:`CORRECTIONS` lists them for the notes of each
Dataset, and a test pins each one.
"""

from __future__ import annotations

from dataclasses import dataclass

from .files import httk_physiology, mcnally


@dataclass(frozen=True)
class Correction:
    """One slip or disagreement: what the table says, what is used, and why."""

    id: str
    species: str
    text: str


CORRECTIONS: tuple[Correction, ...] = (
    Correction(
        "rabbit_per_kg",
        "rabbit",
        "httk labels the rabbit's cardiac output, GFR and urine flow mL/min/kg^0.75, but "
        "they are per kg: times 2.5 kg they are the 530, 7.8 and 0.104 mL/min of Davies & "
        "Morris (1993); used per kg",
    ),
    Correction(
        "monkey_gfr_per_kg",
        "monkey",
        "httk labels the monkey's GFR mL/min/kg^0.75, but it is per kg: times 5 kg it is "
        "the 10.4 mL/min of Davies & Morris (1993); used per kg",
    ),
    Correction(
        "rabbit_cardiac_output_sources",
        "rabbit",
        "sources disagree: PK-Sim's organ flows for the rabbit add to 729 mL/min with 230 "
        "mL/min through the hepatic artery; Davies & Morris give 530 and 37 mL/min, which "
        "are used",
    ),
    Correction(
        "rabbit_flow_overshoot",
        "rabbit",
        "httk's organ flows of the rabbit add to 1.05 of the cardiac output; those that "
        "Davies & Morris do not report (brain, skin, bone: httk estimates) are scaled down "
        "in proportion so that 5 % is left for the rest",
    ),
    Correction(
        "female_skin",
        "human",
        "McNally et al. (2014) as held by httk give the woman's skin 3.3 kg, the man's "
        "value; ICRP 89 has 2.3 kg, which is used",
    ),
    Correction(
        "adipose_yellow_marrow",
        "human",
        "ICRP 89 counts inactive (yellow) marrow both in total adipose tissue and in the "
        "skeleton; it is kept in the skeleton and taken off adipose tissue",
    ),
    Correction(
        "hepatocellularity_log",
        "human",
        "httk returns the logarithm of hepatocellularity when variability is switched off, "
        "and derives its spread from an R2 that leaves out the degrees of freedom; the number "
        "itself and the spread of Wilson et al. (2003) are used",
    ),
    Correction(
        "bone_loss_step",
        "human",
        "httk subtracts slope x age from bone mineral after 50 years, a step of 13 % on a "
        "woman's 50th birthday; slope x (age - 50) is used",
    ),
    Correction(
        "rodent_muscle_flow",
        "mouse",
        "Davies & Morris' muscle and adipose flows leave 29 % of the mouse's cardiac output "
        "to no organ; Brown et al. (1997) are used for muscle, adipose and bone",
    ),
    Correction(
        "rodent_muscle_flow",
        "rat",
        "Davies & Morris' muscle and adipose flows leave 34 % of the rat's cardiac output "
        "to no organ; Brown et al. (1997) are used for muscle, adipose and bone",
    ),
    Correction(
        "monkey_bone",
        "monkey",
        "httk's bone of the monkey is the human fraction of body weight (14 %), with which "
        "organs and blood add to 99.9 %, and its bone flow is 0.1 % of cardiac output; bone "
        "mass gives way so that 5 % is left for the rest, and the human 5 % of cardiac output "
        "is used",
    ),
    Correction(
        "monkey_rest_flow",
        "monkey",
        "Davies & Morris' organ flows of the monkey add to 65 % of its cardiac output; the "
        "remainder goes to the rest of the body, where it acts as a shunt",
    ),
    Correction(
        "bone_density",
        "all",
        "httk's bone density 1.976 kg/L is that of cortical bone; the whole skeleton with "
        "marrow and cartilage has 1.36 kg/L (ICRP 110)",
    ),
)

# rows of httk's physiology_data.csv whose values are per kg although labelled per kg^(3/4); see
# CORRECTIONS
_PER_KG = {
    ("rabbit", "Cardiac Output"),
    ("rabbit", "GFR"),
    ("rabbit", "Urine"),
    ("monkey", "GFR"),
}


def httk_rate(species: str, parameter: str) -> float:
    """Cardiac output, GFR or urine flow of an animal of httk's average weight [mL/min],
    label slips corrected.
    """
    table = httk_physiology(species)
    exponent = 1.0 if (species, parameter) in _PER_KG else 0.75
    return table[parameter] * table["Average BW"] ** exponent


def mcnally_reference_mass(sex: str, tissue: str) -> float:
    """Reference mass of McNally et al. [kg], with the woman's skin set right."""
    if (sex, tissue) == ("female", "Skin"):
        return 2.3  # ICRP Publication 89, Table 2.8; the table repeats the man's 3.3
    return float(mcnally(sex)[tissue]["mass_ref"])


def notes(species: str) -> tuple[str, ...]:
    """The corrections that touch one species, as text."""
    return tuple(f"{c.id}: {c.text}" for c in CORRECTIONS if c.species in (species, "all"))
