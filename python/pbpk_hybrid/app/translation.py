"""From animals to the first dose in people, from what was typed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from .._core.errors import InputError
from ..cli.scale import parse as parse_sources

if TYPE_CHECKING:
    from ..translation import FirstInHuman


def first_dose(
    animals: str, compound: str, dose: str, target: str, noael: str, *, n: int = 100
) -> FirstInHuman:
    """Human curves, the dose for a target, and the dose to start with.

    Parameters
    ----------
    animals
        Lines such as "rat: clearance=35 mL/min/kg, volume=1.1 L/kg".
    compound
        Structure (SMILES) or name.
    dose, target
        One of them: "100 mg oral", or "AUC 30 mg*h/L".
    noael
        Lines such as "rat: 50 mg/kg"; "" for none.
    n
        People.

    Raises
    ------
    InputError and its kin
        Anything that cannot be used; the message names the field.
    """
    from ..translation import first_in_human

    sources = parse_sources([line for line in map(str.strip, animals.splitlines()) if line])
    doses = {}
    for line in filter(None, map(str.strip, noael.splitlines())):
        species, mark, value = line.partition(":")
        if not (mark and value.strip()):
            raise InputError("NOAEL", line, 'a species and its dose, such as "rat: 50 mg/kg"')
        doses[species.strip()] = value.strip()
    return first_in_human(
        compound.strip(),
        sources,
        dose=dose.strip() or None,
        target_exposure=target.strip() or None,
        safety={"noael": doses} if doses else None,
        n=n,
    )


def report_of(found: FirstInHuman) -> bytes:
    """The page of a first dose, as one HTML file."""
    with tempfile.TemporaryDirectory() as folder:
        return found.report(Path(folder) / "first_in_human.html").read_bytes()
