r"""Rosenbrock methods: coefficients as published, and in the form the integrator uses.

A method is published as A, C, gamma (Hairer & Wanner, Solving ODEs II, eq. IV.7.25), with
W = I/(gamma h) - J:

.. math::
    W U_s = f\Big(y + \sum_{j<s} A_{sj} U_j\Big) + \frac1h \sum_{j<s} C_{sj} U_j

With :math:`\Gamma = (I/\gamma - C)^{-1}`, :math:`\alpha = A \Gamma`,
:math:`\beta = \alpha + \Gamma` and f(u) = J u + g(u), the same stages are, in terms of
z_s = u_s + U_s alone,

.. math::
    (I - \gamma h J)\,z_s = x_s + \gamma h\,g(u_s), \qquad
    x_s = c_s y + \sum_{j<s} D_{sj} z_j, \qquad
    u_s = a_s y + \sum_{j<s} \tilde A_{sj} z_j

where, with B the part of :math:`\beta/\gamma` under the diagonal, D = (I + B)^{-1} B,
:math:`\tilde A = \alpha (I - D)/\gamma`, and c and a make each row's weights add up to 1:
one sum and one solve a stage, no product with J. u is needed only where g is: at the
reactants of saturable terms. All methods here are stiffly accurate: the new value is z_S,
the embedded one z_{S-1}, and their difference U_S the error estimate. Between the ends
the solution at t + theta h is

.. math::
    (1-\theta) y + \theta\,(y_1 + (1-\theta)(D_1 + \theta (D_2 + \theta D_3))), \qquad
    D_m = \sum_j H_{mj} U_j
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..._core.errors import unknown_name


@dataclass(frozen=True, eq=False)
class Tableau:
    """Coefficients of one method; `order` is that of the step, `error_order` that of the
    embedded one.
    """

    name: str
    gamma: float
    A: np.ndarray
    C: np.ndarray
    H: np.ndarray
    order: int
    error_order: int
    reference: str

    @property
    def stages(self) -> int:
        """Number of stages."""
        return len(self.A)

    @cached_property
    def stage_weights(self) -> StageWeights:
        """The coefficients in the integrator's form; see the module's text."""
        gamma_matrix = np.linalg.inv(np.eye(self.stages) / self.gamma - self.C)
        alpha = self.A @ gamma_matrix
        lower = np.tril(alpha + gamma_matrix, -1) / self.gamma
        d = np.linalg.solve(np.eye(self.stages) + lower, lower)
        rest = np.eye(self.stages) - d
        d, a = np.tril(d, -1), np.tril(alpha @ rest / self.gamma, -1)
        h = self.H @ gamma_matrix @ rest / self.gamma
        # y's weights by difference: amounts are then conserved to the last digit
        return StageWeights(
            1.0 - d.sum(axis=1), d, 1.0 - a.sum(axis=1), a, -h.sum(axis=1), np.ascontiguousarray(h)
        )

    @cached_property
    def area_weights(self) -> np.ndarray:
        """(2 + 2 n_dense, stages) weights of the stages' sums in A and B, in turn: at a
        step's end, then in their D_m.
        """
        w = self.stage_weights
        once = self.gamma * np.linalg.inv(np.eye(self.stages) - w.D)
        twice = once @ once
        pairs = [(once[-1], twice[-1]), *zip(w.H @ once, w.H @ twice, strict=True)]
        return np.ascontiguousarray([row for pair in pairs for row in pair])


class StageWeights(NamedTuple):
    """Weights of y (c, a, h) and of z_1..z_S (D, A, H) in x, in u, and in the dense
    output's D_m.
    """

    c: np.ndarray
    D: np.ndarray
    a: np.ndarray
    A: np.ndarray
    h: np.ndarray
    H: np.ndarray


def _square(rows: list[list[float]]) -> np.ndarray:
    size = len(rows)
    out = np.zeros((size, size))
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


_RODAS4_A5 = [1.221224509226641, 6.019134481288629, 12.53708332932087, -0.6878860361058950]
RODAS4 = Tableau(
    name="rodas4",
    gamma=0.25,
    A=_square(
        [
            [],
            [1.544],
            [0.9466785280815826, 0.2557011698983284],
            [3.314825187068521, 2.896124015972201, 0.9986419139977817],
            _RODAS4_A5,
            [*_RODAS4_A5, 1.0],
        ]
    ),
    C=_square(
        [
            [],
            [-5.6688],
            [-2.430093356833875, -0.2063599157091915],
            [-0.1073529058151375, -9.594562251023355, -20.47028614809616],
            [7.496443313967647, -10.24680431464352, -33.99990352819905, 11.70890893206160],
            [
                8.083246795921522,
                -7.981132988064893,
                -31.52159432874371,
                16.31930543123136,
                -6.058818238834054,
            ],
        ]
    ),
    H=np.array(
        [
            [
                10.12623508344586,
                -7.487995877610167,
                -34.80091861555747,
                -7.992771707568823,
                1.025137723295662,
                0.0,
            ],
            [
                -0.6762803392801253,
                6.087714651680015,
                16.43084320892478,
                24.76722511418386,
                -6.594389125716872,
                0.0,
            ],
        ]
    ),
    order=4,
    error_order=3,
    reference=(
        "Hairer & Wanner (1996) Solving Ordinary Differential Equations II, section IV.10, RODAS"
    ),
)

_RODAS4P_A5 = [-7.170454962423024, -4.741636671481785, -16.31002631330971, -1.062004044111401]
RODAS4P = Tableau(
    name="rodas4p",
    gamma=0.25,
    A=_square(
        [
            [],
            [3.0],
            [1.831036793486759, 0.4955183967433795],
            [2.304376582692669, -0.05249275245743001, -1.176798761832782],
            _RODAS4P_A5,
            [*_RODAS4P_A5, 1.0],
        ]
    ),
    C=_square(
        [
            [],
            [-12.0],
            [-8.791795173947035, -2.207865586973518],
            [10.81793056857153, 6.780270611428266, 19.53485944642410],
            [34.19095006749676, 15.49671153725963, 54.74760875964130, 14.16005392148534],
            [
                34.62605830930532,
                15.30084976114473,
                56.99955578662667,
                18.40807009793095,
                -5.714285714285717,
            ],
        ]
    ),
    H=np.array(
        [
            [25.09876703708589, 11.62013104361867, 28.49148307714626, -5.664021568594133, 0.0, 0.0],
            [
                1.638054557396973,
                -0.7373619806678748,
                8.477918219238990,
                15.99253148779520,
                -1.882352941176471,
                0.0,
            ],
        ]
    ),
    order=4,
    error_order=3,
    reference=(
        "Steinebach (1995) Order-reduction of ROW-methods for DAEs and method of lines "
        "applications, RODASP"
    ),
)

_RODAS5P_A6 = [
    -7.502846399306121,
    2.561846144803919,
    -11.627539656261098,
    -0.18268767659942256,
    0.030198172008377946,
]
RODAS5P = Tableau(
    name="rodas5p",
    gamma=0.21193756319429014,
    A=_square(
        [
            [],
            [3.0],
            [2.849394379747939, 0.45842242204463923],
            [-6.954028509809101, 2.489845061869568, -10.358996098473584],
            [2.8029986275628964, 0.5072464736228206, -0.3988312541770524, -0.04721187230404641],
            _RODAS5P_A6,
            [*_RODAS5P_A6, 1.0],
            [*_RODAS5P_A6, 1.0, 1.0],
        ]
    ),
    C=_square(
        [
            [],
            [-14.155112264123755],
            [-17.97296035885952, -2.859693295451294],
            [147.12150275711716, -1.41221402718213, 71.68940251302358],
            [165.43517024871676, -0.4592823456491126, 42.90938336958603, -5.961986721573306],
            [
                24.854864614690072,
                -3.0009227002832186,
                47.4931110020768,
                5.5814197821558125,
                -0.6610691825249471,
            ],
            [
                30.91273214028599,
                -3.1208243349937974,
                77.79954646070892,
                34.28646028294783,
                -19.097331116725623,
                -28.087943162872662,
            ],
            [
                37.80277123390563,
                -3.2571969029072276,
                112.26918849496327,
                66.9347231244047,
                -40.06618937091002,
                -54.66780262877968,
                -9.48861652309627,
            ],
        ]
    ),
    H=np.array(
        [
            [
                25.948786856663858,
                -2.5579724845846235,
                10.433815404888879,
                -2.3679251022685204,
                0.524948541321073,
                1.1241088310450404,
                0.4272876194431874,
                -0.17202221070155493,
            ],
            [
                -9.91568850695171,
                -0.9689944594115154,
                3.0438037242978453,
                -24.495224566215796,
                20.176138334709044,
                15.98066361424651,
                -6.789040303419874,
                -6.710236069923372,
            ],
            [
                11.419903575922262,
                2.8879645146136994,
                72.92137995996029,
                80.12511834622643,
                -52.072871366152654,
                -59.78993625266729,
                -0.15582684282751913,
                4.883087185713722,
            ],
        ]
    ),
    order=5,
    error_order=4,
    reference="Steinebach (2023) Construction of Rosenbrock-Wanner method Rodas5P, BIT 63:27",
)

TABLEAUS = {t.name: t for t in (RODAS4, RODAS4P, RODAS5P)}


def tableau(name: str) -> Tableau:
    """The method of that name.

    Raises
    ------
    UnknownNameError : if there is none
    """
    if name not in TABLEAUS:
        raise unknown_name("method", name, TABLEAUS, what="a Rosenbrock method")
    return TABLEAUS[name]
