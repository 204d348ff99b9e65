"""What the shell offers after a Tab: names of compounds, species and methods.

Each function imports what it lists from where it is defined, when the shell asks.
"""

from __future__ import annotations


def complete_compound(incomplete: str) -> list[str]:
    """Curated compounds, and measured chemicals once three letters are typed."""
    from ..compounds import list_compounds

    typed = incomplete.lower()
    everything = None if len(typed) >= 3 else True
    return [n for n in list_compounds(everything) if n.lower().startswith(typed)]


def complete_species() -> list[str]:
    """Species with a physiology."""
    from ..physiology import SPECIES

    return list(SPECIES)


def complete_partition_method() -> list[str]:
    """Methods for partition coefficients."""
    from ..models.small_molecules.partition import METHODS

    return list(METHODS)


def complete_hepatic_model() -> list[str]:
    """Models of the liver's extraction."""
    from ..models.small_molecules.clearance import HEPATIC_MODELS

    return list(HEPATIC_MODELS)


def complete_method() -> list[str]:
    """Integrators of the embedded backend."""
    from ..solvers import METHODS

    return list(METHODS)


def complete_basis() -> list[str]:
    """Bases of clearance."""
    return ["in_vivo", "in_vitro"]


def complete_distribution() -> list[str]:
    """Bases of distribution."""
    return ["predicted", "in_vivo"]


def complete_special() -> list[str]:
    """Groups of people."""
    from ..physiology.conditions.special import GROUPS

    return list(GROUPS)


def complete_renal() -> list[str]:
    """Stages of renal impairment."""
    from ..physiology.conditions.disease import RENAL_STAGES

    return list(RENAL_STAGES)


def complete_hepatic() -> list[str]:
    """Child-Pugh classes."""
    from ..physiology.conditions.disease import CIRRHOSIS

    return list(CIRRHOSIS)


def complete_phenotype(incomplete: str) -> list[str]:
    """Polymorphic enzymes and transporters with their phenotypes."""
    from ..physiology.conditions.enzymes import PHENOTYPES
    from ..physiology.conditions.transporters import TRANSPORTER_PHENOTYPES

    known = {**PHENOTYPES, **TRANSPORTER_PHENOTYPES}
    texts = (f"{name}={phenotype}" for name, row in known.items() for phenotype in row)
    return [text for text in texts if text.startswith(incomplete)]


def complete_field(incomplete: str) -> list[str]:
    """Fields of a compound, for ``--set``."""
    import dataclasses

    from ..compounds import Compound

    names = (f.name for f in dataclasses.fields(Compound) if f.name not in ("name", "sources"))
    return [f"{name}=" for name in names if name.startswith(incomplete)]


__all__ = [
    "complete_basis",
    "complete_compound",
    "complete_distribution",
    "complete_field",
    "complete_hepatic",
    "complete_hepatic_model",
    "complete_method",
    "complete_partition_method",
    "complete_phenotype",
    "complete_renal",
    "complete_special",
    "complete_species",
]
