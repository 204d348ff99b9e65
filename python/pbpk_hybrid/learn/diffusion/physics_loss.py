"""The physics-informed part of the loss: how far a denoised person breaks the plausibility
rules.
"""

from __future__ import annotations

import torch

from ...physiology import RULES
from .coordinates import Coordinates

#: rules that decoding satisfies identically have no gradient worth computing
_CLOSED = ("H2", "H3", "H4")


def violation(coordinates: Coordinates, x: torch.Tensor, male: torch.Tensor) -> torch.Tensor:
    """(n,) sum over the rules of the residual beyond the bound, each in units of its own
    typical size, at most 1 each.

    A rule's residual has its own unit (kg, cm, a fraction); divided by the scale it becomes
    a number of order one for a person who is clearly beyond the bound. The cap keeps one
    absurd person from ruling a batch.
    """
    body = coordinates.decode(x, male).body()
    total = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for rule in RULES:
        if rule.id not in _CLOSED:
            beyond = torch.nan_to_num(rule.residual(body), nan=0.0, posinf=1e3, neginf=-1e3)
            total = total + torch.tanh(torch.relu(beyond) / _SCALE.get(rule.unit, 1.0))
    return total


#: what counts as clearly beyond, by the unit of the rule
_SCALE = {
    "kg": 0.5,
    "cm": 2.0,
    "kg/m^2": 1.0,
    "mg/dL": 0.1,
    "mL/min/1.73 m^2": 5.0,
    "1": 0.02,
    "L/min": 0.2,
    "L/min/m^2": 0.1,
    "kg or L/h": 0.1,
}
