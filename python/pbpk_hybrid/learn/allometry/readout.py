r"""Clearance and volume of a body from the compound's own numbers: the algebra of the engine.

States of a compound in a body: a = ln of the unbound intrinsic clearance per gram of liver
[L/h/g], k = ln of a factor on all Kp, b = logit of the fraction unbound in plasma. With B the
blood:plasma ratio and :math:`u = f_u/B`,

.. math::
    CL = B \sum_i \frac{Q_i X_i}{Q_i + X_i}, \qquad
    X_{liver} = (1 - s) M_{liver} e^a u, \quad
    X_{kidney} = s\, GFR \frac{M_{liver,h}}{GFR_h} e^a u, \quad
    X_{other} = \epsilon M_{other} e^a u

    V = B V_{blood} + e^k \sum_t V_t e^{\kappa_t} K_{p,t}(f_u)

s is the renal share of the intrinsic clearance in the human, :math:`\epsilon` the intrinsic
clearance per gram outside the liver (blood, lung, gut), :math:`\kappa` corrections per tissue.
Every organ is well stirred, so no organ clears more than flows through it, and the whole body no
more than its cardiac output: a clearance far above the liver's blood flow means that other tissue
eliminates, or an error.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from .bodies import Bodies
from .composition import N_TISSUES

#: lowest and highest a and k that are looked for
LOW, HIGH = (-25.0, -5.0), (12.0, 6.0)


def as_tensor(values: np.ndarray, device: torch.device | None = None) -> Tensor:
    """Double precision throughout."""
    return torch.tensor(np.asarray(values), dtype=torch.float64, device=device)


@dataclass(frozen=True)
class Places:
    """:class:`.Bodies` as tensors, (P,) or (P, tissues)."""

    log_mass: Tensor
    volume: Tensor
    blood: Tensor
    hematocrit: Tensor
    liver_flow: Tensor
    kidney_flow: Tensor
    other_flow: Tensor
    gfr: Tensor
    liver_mass: Tensor
    other_mass: Tensor

    @classmethod
    def of(cls, bodies: Bodies, device: torch.device | None = None) -> Places:
        """The same numbers, on a device."""
        return cls(*(as_tensor(getattr(bodies, f.name), device) for f in fields(cls)))


@dataclass(frozen=True)
class Elimination:
    """How intrinsic clearance is divided.

    Parameters
    ----------
    renal_share : Tensor
        (n,) s
    extrahepatic : Tensor
        () epsilon
    per_filtration : float
        liver mass over GFR of the human [g/(L/h)]
    """

    renal_share: Tensor
    extrahepatic: Tensor
    per_filtration: float


def readout(
    z: Tensor, composition: Tensor, places: Places, elimination: Elimination, kappa: Tensor | None
) -> tuple[Tensor, Tensor]:
    """(ln CL, ln V, b) at states z, and their Jacobian.

    Parameters
    ----------
    z : Tensor
        (n, P, 3) states a, k, b
    composition : Tensor
        (n, WIDTH) of :mod:`.composition`
    places : Places
        P bodies
    elimination : Elimination
    kappa : Tensor, optional
        (n, P, tissues)

    Returns
    -------
    y : Tensor
        (n, P, 3)
    jacobian : Tensor
        (n, P, 3, 3)
    """
    a, k, b = z.unbind(-1)
    fu = torch.sigmoid(b)
    per_kp, rest, lipid, strong, cells = _parts(composition)
    slope = (1 - strong) * places.hematocrit * cells
    ratio = strong + (1 - strong) * (1 - places.hematocrit) + slope * fu
    d_ratio = slope * fu * (1 - fu)  # by b
    log_cl, of_a, of_b = _clearance(a, fu, ratio, d_ratio, places, elimination)
    f = fu[..., None]
    bound = 1 - f * lipid
    kp = f * per_kp + torch.clamp(bound, min=0.0) * rest
    d_kp = f * (1 - f) * (per_kp - (bound > 0) * lipid * rest)
    weight = places.volume if kappa is None else places.volume * torch.exp(kappa)
    scale = torch.exp(k)
    tissue, d_tissue = scale * (kp * weight).sum(-1), scale * (d_kp * weight).sum(-1)
    volume = tissue + ratio * places.blood
    of_fu = (d_tissue + d_ratio * places.blood) / volume
    zero, one = torch.zeros_like(a), torch.ones_like(a)
    rows = ((of_a, zero, of_b), (zero, tissue / volume, of_fu), (zero, zero, one))
    jacobian = torch.stack([torch.stack(row, -1) for row in rows], -2)
    return torch.stack([log_cl, torch.log(volume), b], -1), jacobian


def _parts(composition: Tensor) -> tuple[Tensor, ...]:
    """Columns of the composition, shaped to go with (n, P) and (n, P, tissues)."""
    n = N_TISSUES
    return (
        composition[:, None, :n],
        composition[:, None, n : 2 * n],
        composition[:, None, 2 * n : 2 * n + 1],
        composition[:, 2 * n + 1, None],
        composition[:, 2 * n + 2, None],
    )


def _clearance(
    a: Tensor, fu: Tensor, ratio: Tensor, d_ratio: Tensor, places: Places, elimination: Elimination
) -> tuple[Tensor, Tensor, Tensor]:
    """ln CL and its derivatives by a and b, (n, P) each."""
    share = elimination.renal_share[:, None]
    unbound = torch.exp(a) * fu / ratio
    filtered = elimination.per_filtration * places.gfr
    total, moving = 0.0, 0.0
    for intrinsic, flow in (
        ((1 - share) * places.liver_mass, places.liver_flow),
        (share * filtered, places.kidney_flow),
        (elimination.extrahepatic * places.other_mass, places.other_flow),
    ):
        x = intrinsic * unbound
        cleared = flow * x / (flow + x)
        total = total + cleared
        moving = moving + cleared * flow / (flow + x)  # by ln x
    of_unbound = moving / total
    d_log_unbound = (1 - fu) - d_ratio / ratio
    return (
        torch.log(ratio * total),
        of_unbound,
        of_unbound * d_log_unbound + d_ratio / ratio,
    )


def states_with(
    y: Tensor, composition: Tensor, place: Places, elimination: Elimination, kappa: Tensor | None
) -> Tensor:
    """(n, 3) states whose readout in one body is y (n, 3).

    Newton's method without gradient, then one step with it, which gives the derivatives of the
    solution.
    """
    with torch.no_grad():
        z = torch.stack([torch.full_like(y[:, 0], -6.0), torch.zeros_like(y[:, 0]), y[:, 2]], -1)
        z = z[:, None]
        for _ in range(40):
            h, jacobian = readout(z, composition, place, elimination, kappa)
            step = _newton(y[:, None] - h, jacobian, 3.0)
            z = z + step
            z = torch.cat([_within(z[..., :2]), z[..., 2:]], -1)
            if float(step.abs().max()) < 1e-9:
                break
    z = torch.cat([z[..., :2].detach(), y[:, None, 2:]], -1)
    h, jacobian = readout(z, composition, place, elimination, kappa)
    return (z + _newton(y[:, None] - h, jacobian.detach(), 1.0))[:, 0]


def _newton(residual: Tensor, jacobian: Tensor, most: float) -> Tensor:
    """Step of a and k; b is given."""
    slope = torch.stack([jacobian[..., 0, 0], jacobian[..., 1, 1]], -1).clamp(min=0.02)
    step = (residual[..., :2] / slope).clamp(-most, most)
    return torch.cat([step, torch.zeros_like(step[..., :1])], -1)


def _within(z: Tensor) -> Tensor:
    """a and k within what is looked for."""
    return torch.stack([z[..., i].clamp(LOW[i], HIGH[i]) for i in range(2)], -1)


def within(z: Tensor) -> Tensor:
    """States within what is looked for; of b, fractions from 6e-6 to 0.9997."""
    return torch.cat([_within(z[..., :2]), z[..., 2:].clamp(-12.0, 8.0)], -1)
