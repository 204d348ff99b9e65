"""Other names of chemicals: American and international names that differ, and everyday ones."""

from __future__ import annotations

#: lower-case name -> name under which the package has the chemical
SYNONYMS: dict[str, str] = {
    "paracetamol": "acetaminophen",
    "acetylsalicylic acid": "aspirin",
    "salbutamol": "albuterol (salbutamol)",
    "albuterol": "albuterol (salbutamol)",
    "adrenaline": "epinephrine",
    "noradrenaline": "norepinephrine",
    "frusemide": "furosemide",
    "lignocaine": "lidocaine",
    "pethidine": "meperidine",
    "glibenclamide": "glyburide",
    "phenobarbitone": "phenobarbital",
    "ciclosporin": "cyclosporin a",
    "cyclosporine": "cyclosporin a",
    "mesalamine": "mesalazine",
    "torasemide": "torsemide",
    "bpa": "bisphenol-a",
    "bisphenol a": "bisphenol-a",
    "hydroxy-itraconazole": "hydroxyitraconazole",
}

__all__ = ["SYNONYMS"]
