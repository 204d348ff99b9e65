"""What can be simulated of each known compound, by which route, and on what it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from .._core.errors import InputError
from .compound import Compound
from .curated import curated_compound, curated_names
from .httk_table import httk_compound, httk_table
from .validation import Badge, validation_badge

if TYPE_CHECKING:
    import pandas as pd

ROUTES = ("iv", "oral")
#: quality marks, best first
QUALITIES = ("validated", "in vivo", "in vitro", "incomplete")
_NOT_MEASURED = ("predicted", "calculated", "assumed")


@dataclass(frozen=True, kw_only=True)
class CompoundStatus:
    """What is known of one compound.

    Parameters
    ----------
    name, collection
        Its name, and ``"curated"`` or ``"httk"``.
    iv, oral
        Whether intravenous and oral doses can be simulated in people with the defaults.
    absorption
        How the oral absorption rate was obtained: ``"measured"``, ``"calculated"``, ``"assumed"``,
        ``"predicted"``; "" where there is none.
    quality
        ``"validated"`` (compared with observed profiles), ``"in vivo"`` (clearance measured in
        people), ``"in vitro"`` (from hepatocytes or microsomes) or ``"incomplete"``.
    missing
        What the default model lacks.
    badge
        Of the validation.
    """

    name: str
    collection: str
    iv: bool
    oral: bool
    absorption: str
    quality: str
    missing: tuple[str, ...]
    badge: Badge | None


def compound_status(compound: Compound, collection: str = "") -> CompoundStatus:
    """What can be simulated of a compound, and on what it stands."""
    person = compound.for_species("human")
    missing = _missing(person)
    badge = validation_badge(compound.name) if collection == "curated" else None
    if missing:
        quality = "incomplete"
    elif badge is not None:
        quality = "validated"
    else:
        quality = (person.resolved_clearance_basis or "").replace("_", " ")
    known = person.absorption_rate is not None
    how = str(person.sources.get("absorption_rate", "")).split(",")[0].split(" ")[0].rstrip(":")
    return CompoundStatus(
        name=compound.name,
        collection=collection,
        iv=not missing,
        oral=not missing and known,
        absorption="" if not known else how if how in _NOT_MEASURED else "measured",
        quality=quality,
        missing=missing,
        badge=badge,
    )


def _missing(c: Compound) -> tuple[str, ...]:
    """Fields that the default model of a person needs and the compound does not have."""
    missing = [f for f in ("molar_mass", "fraction_unbound_plasma") if getattr(c, f) is None]
    if c.log_p is None and not c.kp:
        missing.append("log_p")
    if c.resolved_clearance_basis is None:
        missing.append("clearance")
    return tuple(missing)


@cache
def _statuses() -> tuple[CompoundStatus, ...]:
    return tuple(_all())


def _all() -> Iterator[CompoundStatus]:
    seen = set()
    for file in curated_names():
        compound = curated_compound(file)
        seen |= {compound.name.lower(), compound.identifiers.get("cas", "")}
        yield compound_status(compound, "curated")
    for number, row in enumerate(httk_table().rows):
        name, cas = row[0].strip(), row[1]
        if name.lower() in seen or cas in seen:
            continue
        try:
            yield compound_status(httk_compound(number), "httk")
        except InputError:  # no molar mass
            yield CompoundStatus(
                name=name,
                collection="httk",
                iv=False,
                oral=False,
                absorption="",
                quality="incomplete",
                missing=("molar_mass",),
                badge=None,
            )


def compound_overview() -> pd.DataFrame:
    """Every known compound: what can be simulated, by which route, and on what it stands.

    Returns
    -------
    DataFrame
        One row a compound: ``name``, ``collection``, ``iv``, ``oral``, ``absorption``
        (measured, calculated, assumed or predicted), ``quality`` (validated, in vivo, in vitro,
        incomplete), ``missing``, and of the validation ``profiles``, ``auc_gmfe``, ``cmax_gmfe``.
    """
    import pandas as pd

    rows = [
        {
            "name": s.name,
            "collection": s.collection,
            "iv": s.iv,
            "oral": s.oral,
            "absorption": s.absorption,
            "quality": s.quality,
            "missing": ", ".join(s.missing),
            "profiles": 0 if s.badge is None else s.badge.profiles,
            "auc_gmfe": None if s.badge is None else s.badge.auc_gmfe,
            "cmax_gmfe": None if s.badge is None else s.badge.cmax_gmfe,
        }
        for s in _statuses()
    ]
    return pd.DataFrame(rows)


__all__ = ["QUALITIES", "ROUTES", "CompoundStatus", "compound_overview", "compound_status"]
