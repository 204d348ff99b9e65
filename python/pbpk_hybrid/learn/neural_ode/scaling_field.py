"""The native field of scaling across body masses: a learned mixture of known laws for
clearance, and a volume that follows binding as far as tissue holds the drug.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...solvers.julia.neural import FieldSpec
from .fields import DenseNet, NativeField, activation_code, whole_number

#: columns of a subject's parameters before its cubics and its block
FIXED = ("x", "span", "fu", "fu_change", "fu_slope", "exponent")
#: cubics in t, four coefficients each from the constant on
CUBICS = (
    "flow",
    "filtration",
    "flow_slope",
    "filtration_slope",
    "liver_slope",
    "clearance",
    "volume",
)
N_FIXED = len(FIXED) + 4 * len(CUBICS)


class ScalingField(NativeField):
    r"""Change of ln clearance and ln volume with log body mass over one piece of the way, t
    from 0 to 1.

    With :math:`x = x_0 + \Delta x\, t`, :math:`f = f_0 + f_1 t` the logit of the unbound
    fraction, and cubics in t for the logs of liver flow Q and filtration G, for the slopes
    in x of Q, G and liver mass, and for the deviations d:

    .. math::
        z &= [\tanh \tfrac12 (y_1 - Q), \tanh \tfrac12 (\ln fu + G - y_1), \tfrac13 \ln fu, c] \\
        g &= \mathrm{softmax}(\mathrm{gate}(z)) \\
        \beta &= (1 - fu) f', \qquad \alpha = \sigma(\mathrm{share}([y_2 - x, c])) \\
        \frac{dy_1}{dt} &= \Delta x\,
            (g_1 b + g_2 Q' + g_3 (G' + \beta) + g_4 (L' + \beta) + d_{CL}) \\
        \frac{dy_2}{dt} &= \Delta x\,(1 + \alpha \beta + d_V)

    Parameters per subject are the columns :data:`FIXED`, :data:`CUBICS` and then the block c.

    Parameters
    ----------
    n_block
        length of c
    hidden
        width of the gate's one hidden layer
    """

    def __init__(self, n_block: int, hidden: int = 8) -> None:
        n_block = whole_number("n_block", n_block, 0)
        super().__init__(hidden, N_FIXED + n_block, "tanh", True)
        self.n_states, self.n_block = 2, n_block
        self.gate = DenseNet((3 + n_block, *self.hidden, 4), "tanh")
        self.share = DenseNet((1 + n_block, 1), "tanh")

    def forward(self, t: Tensor | float, y: Tensor, parameters: Tensor | None = None) -> Tensor:
        """dy/dt (batch, 2), ln clearance and ln volume, from y and parameters (batch, k)."""
        x0, span, fu0, change, fu_slope, exponent = parameters[:, : len(FIXED)].unbind(1)
        t = torch.as_tensor(t, dtype=y.dtype, device=y.device)
        powers = torch.stack([torch.ones_like(t), t, t**2, t**3])  # (4,)
        # (batch, cubic x 4) -> (batch, cubic, 4) @ (4,) -> (batch, cubic)
        cubics = parameters[:, len(FIXED) : N_FIXED].reshape(len(y), len(CUBICS), 4) @ powers
        flow, filtration, flow_slope, filtration_slope, liver_slope, d_clearance, d_volume = (
            cubics.unbind(1)
        )
        block, fu = parameters[:, N_FIXED:], fu0 + change * t
        log_fu = torch.nn.functional.logsigmoid(fu)
        binding = torch.sigmoid(-fu) * fu_slope
        seen = [
            torch.tanh(0.5 * (y[:, 0] - flow)),
            torch.tanh(0.5 * (log_fu + filtration - y[:, 0])),
            log_fu / 3.0,
        ]
        # (batch, 3 + n_block) -> (batch, 4), the share of each law
        gate = torch.softmax(self.gate(torch.cat([torch.stack(seen, 1), block], 1)), dim=1)
        laws = torch.stack(
            [exponent, flow_slope, filtration_slope + binding, liver_slope + binding], 1
        )
        share = torch.sigmoid(
            self.share(torch.cat([(y[:, 1] - x0 - span * t)[:, None], block], 1))
        )[:, 0]
        rates = [(gate * laws).sum(1) + d_clearance, 1.0 + share * binding + d_volume]
        return span[:, None] * torch.stack(rates, 1)  # (batch, 2)

    def networks(self) -> dict[str, DenseNet]:
        """``gate`` and ``share``."""
        return {"gate": self.gate, "share": self.share}

    def spec(self) -> FieldSpec:
        """What Julia has to know to build the same field."""
        return FieldSpec.scaling(
            self.n_block, self.n_parameters, activation_code(self), self.hidden
        )

    def __repr__(self) -> str:
        return f"ScalingField({self.n_block}, hidden={self.hidden})"
