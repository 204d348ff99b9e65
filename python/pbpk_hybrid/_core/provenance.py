"""What every Dataset says about its own making."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

VERSION = "0.1.0"


def provenance(**attributes: Any) -> dict[str, Any]:
    """Attributes for a Dataset: package version, time of making, and the given facts.

    netCDF knows no None and no bool: None is left out, bool becomes 0 or 1, sequences
    become text.
    """
    attrs: dict[str, Any] = {
        "Conventions": "CF-1.11",
        "pbpk_hybrid_version": VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    for name, value in attributes.items():
        if value is None:
            continue
        if isinstance(value, bool):
            value = int(value)
        elif isinstance(value, (list, tuple, set)):
            value = "; ".join(str(v) for v in value)
        attrs[name] = value
    return attrs
