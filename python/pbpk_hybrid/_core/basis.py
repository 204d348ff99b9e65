"""The basis of a simulation in words: the same in the table on the screen, under a
figure and in a report.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: attribute -> its value -> words
_WORDS = {
    "clearance_basis": {
        "in_vivo": "clearance measured in vivo",
        "in_vitro": "clearance from in vitro",
        "saturable": "saturable clearance",
        "none": "no clearance",
    },
    "distribution_basis": {
        "predicted": "Kp predicted",
        "in_vivo": "Kp scaled to the volume measured in vivo",
        "given": "Kp given",
    },
}


def basis_in_words(attrs: Mapping[str, Any]) -> str:
    """What clearance and distribution of a simulation stand on; "" where its attributes
    do not tell.

    >>> from pbpk_hybrid._core.basis import basis_in_words
    >>> basis_in_words({"clearance_basis": "in_vivo", "distribution_basis": "predicted"})
    'clearance measured in vivo, Kp predicted'
    """
    found = (words.get(str(attrs.get(name, ""))) for name, words in _WORDS.items())
    return ", ".join(text for text in found if text)
