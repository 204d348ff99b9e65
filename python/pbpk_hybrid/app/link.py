"""What was typed on the page, in its address: a link restores it. Nothing leaves the machine."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

#: characters that browsers and chat programs still take as one address
LONGEST = 6000


def packed(values: Mapping[str, Any]) -> str:
    """Values of the fields as text for an address; "" where they are too long for one."""
    text = json.dumps(dict(values), sort_keys=True, separators=(",", ":"))
    code = base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode().rstrip("=")
    return code if len(code) <= LONGEST else ""


def unpacked(code: str) -> dict[str, Any]:
    """The values again; {} for a text that is none of ours."""
    if len(code) > LONGEST:
        return {}
    try:
        raw = base64.urlsafe_b64decode(code + "=" * (-len(code) % 4))
        unzip = zlib.decompressobj()
        text = unzip.decompress(raw, 200_000)  # a link is no archive
        found = json.loads(text.decode()) if unzip.eof else {}
    except (ValueError, zlib.error):
        return {}
    return found if isinstance(found, dict) else {}
