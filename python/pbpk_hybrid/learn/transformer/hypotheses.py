"""The hypotheses of the forecaster: 15 raw numbers each, and the disposition curve that
they stand for.

.. math:: C(t) = \\frac{1}{V} \\sum_{j=1}^{3} a_j e^{-\\lambda_j t}, \\qquad \\sum_j a_j = 1,\\;
          \\lambda_1 > \\lambda_2 > \\lambda_3

after a unit bolus; an oral dose enters by a first-order process (ka) and by two stages in a
row (kb). Elimination may saturate: concentrations L of the linear curve become

.. math:: C = \\kappa \\ln(1 + L / \\kappa)

which is one compartment eliminated at the rate :math:`k \\kappa (1 - e^{-C/\\kappa})`, and near L
where L is well below :math:`\\kappa`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

#: added before the logarithm [dose per body weight]: ten decades below the first dose in 1 L/kg
_LOG_FLOOR = 1e-10


#: ln kappa [dose per body weight and L/kg] of raw number 0: as good as linear
_LINEAR = 8.0


class Column:
    """Columns of the 15 raw parameters of a hypothesis, in units of the first dose and body weight.

    Column 13 is read by the decoder "curves" only, column 14 by none: the first shipped weights
    have them, so they stay.
    """

    LOG_INVERSE_VOLUME = 0  # ln(1/V): sum of the three coefficients
    LOG_FASTEST_RATE = 1
    SECOND_RATE_RATIO = 2  # each rate is the one before times exp(-softplus(.))
    THIRD_RATE_RATIO = 3
    COEFFICIENTS = slice(4, 7)  # softmax: how the three exponentials share 1/V
    LOG_BIOAVAILABILITY = 7
    LOG_KA = 8  # first-order absorption
    LOG_KB = 9  # two-stage absorption
    FIRST_ORDER_FRACTION = 10  # logit: fraction of an oral dose absorbed at ka
    LAG_KA = 11
    LAG_KB = 12
    LOG_SATURATION = 13  # ln kappa, less _LINEAR
    COUNT = 15


def curve_parameters(raw: Tensor) -> dict[str, Tensor]:
    """Parameters of :func:`.superposition.responses` from raw numbers of any size, (B, K, 15).

    Rates fall from the first exponential to the third, coefficients are positive and sum to 1/V.
    """
    r = raw.clamp(-12.0, 12.0)
    fastest = torch.exp(r[..., Column.LOG_FASTEST_RATE].clamp(-9.0, 3.5))
    second = fastest * torch.exp(-softplus(r[..., Column.SECOND_RATE_RATIO]))
    third = second * torch.exp(-softplus(r[..., Column.THIRD_RATE_RATIO]))
    inverse_volume = torch.exp(r[..., Column.LOG_INVERSE_VOLUME])[..., None]  # (B, K, 1)
    return {
        "weight": inverse_volume * torch.softmax(r[..., Column.COEFFICIENTS], dim=-1),
        "rate": torch.stack([fastest, second, third], dim=-1),  # (B, K, 3)
        "fraction": torch.exp(r[..., Column.LOG_BIOAVAILABILITY].clamp(-7.0, 1.0)),
        "ka": torch.exp(r[..., Column.LOG_KA].clamp(-6.0, 4.0)),
        "kb": torch.exp(r[..., Column.LOG_KB].clamp(-6.0, 4.0)),
        "split": torch.sigmoid(r[..., Column.FIRST_ORDER_FRACTION]),
        "lag_a": 0.2 * softplus(r[..., Column.LAG_KA]),
        "lag_b": 0.5 * softplus(r[..., Column.LAG_KB]),
    }


def log_saturation(raw: Tensor) -> Tensor:
    """ln kappa of hypotheses (B, K, 15), for :func:`log_concentration`."""
    return (_LINEAR + raw[..., Column.LOG_SATURATION]).clamp(-6.0, 16.0)


def initial_hypotheses(count: int) -> Tensor:
    """Raw parameters before training, (K, 15): drugs of half-lives from hours to days."""
    raw = torch.zeros(count, Column.COUNT)
    position = torch.linspace(-1.0, 1.0, count) if count > 1 else torch.zeros(1)
    raw[:, Column.LOG_INVERSE_VOLUME] = 0.3 + 0.3 * position
    raw[:, Column.LOG_FASTEST_RATE] = 0.3 + 0.8 * position
    raw[:, Column.SECOND_RATE_RATIO] = raw[:, Column.THIRD_RATE_RATIO] = 1.0
    raw[:, Column.LOG_BIOAVAILABILITY] = -0.5
    raw[:, Column.LOG_KA], raw[:, Column.LOG_KB] = 0.0, 0.7
    raw[:, Column.LAG_KA] = raw[:, Column.LAG_KB] = -2.0
    return raw


def log_concentration(concentration: Tensor, log_kappa: Tensor | None = None) -> Tensor:
    """Natural logarithm of concentrations of any shape, with a floor for zero.

    `log_kappa`: where elimination saturates, ln kappa, broadcast to the concentrations.
    """
    if log_kappa is not None:
        kappa = torch.exp(log_kappa)
        concentration = kappa * torch.log1p(concentration / kappa)
    return torch.log(concentration + _LOG_FLOOR)


__all__ = [
    "Column",
    "curve_parameters",
    "initial_hypotheses",
    "log_concentration",
    "log_saturation",
]
