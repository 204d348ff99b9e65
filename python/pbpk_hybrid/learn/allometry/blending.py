r"""How far human clearance leans on the best classical method: the monkey's, scaled by
liver blood flow.

.. math::
    \ln CL = (1 - s_n) \ln CL_{law}
    + s_n \left(\ln CL_{monkey} + \ln\frac{Q_{human}}{Q_{monkey}}\right)

Of all classical methods this one is the best where the monkey is known (Ward & Smith 2004,
Drug Metab Dispos 32:603, and this package's benchmark); its errors differ from the law's. The
share s_n for n source species is that with the least mean absolute error on compounds that the
law had not seen: a weighted median. For the volume, and for rat and dog, such shares came out at
zero or so, and there are none.
"""

from __future__ import annotations

import numpy as np

from . import bodies
from .calibration import GROUPS

SPECIES, TARGET = "monkey", "human"
#: sets of sources that the shares are found on
SETS = (("monkey",), ("rat", "monkey"), ("dog", "monkey"), ("rat", "dog", "monkey"))
FEWEST = 20  # compounds; fewer say nothing


def by_liver_flow(
    log_clearance: np.ndarray, weight: float | None = None, target: float | None = None
) -> np.ndarray:
    """ln human clearance [L/h]: the monkey's, scaled by liver blood flow.

    Parameters
    ----------
    log_clearance : (n,)
        Of the monkey.
    weight, target : float, optional
        Body weight of monkey and human [kg]; None: the usual ones.
    """
    given = ((SPECIES, weight), (TARGET, target))
    who = [(name, bodies.WEIGHT[name] if kg is None else kg) for name, kg in given]
    monkey, human = np.log(bodies.Bodies.of(who).liver_flow)
    return log_clearance + human - monkey


def shrink(mean: np.ndarray, monkey: np.ndarray, share: np.ndarray) -> np.ndarray:
    """`mean` (n, 3) with its clearance moved by `share` (n,) towards what the monkey's ln
    clearance (n,) says, where that is known.
    """
    out = mean.copy()
    move = share * (by_liver_flow(monkey) - mean[:, 0])
    out[:, 0] += np.where(np.isfinite(monkey), move, 0.0)
    return out


def share(model: np.ndarray, classical: np.ndarray, observed: np.ndarray) -> float:
    r"""The s in [0, 1] with the least :math:`\sum |y - (1-s) m - s b|`; 0 where there are
    too few rows.
    """
    far = classical - model
    use = np.isfinite(far + observed) & (np.abs(far) > 1e-9)
    if use.sum() < FEWEST:
        return 0.0
    far, wanted = far[use], (observed - model)[use]
    ratio, weight = wanted / far, np.abs(far)
    order = np.argsort(ratio)
    reached = np.cumsum(weight[order])
    return float(np.clip(ratio[order][np.searchsorted(reached, 0.5 * reached[-1])], 0.0, 1.0))


def shares(found: dict[int, list[tuple[np.ndarray, np.ndarray, np.ndarray]]]) -> np.ndarray:
    """(GROUPS,) by number of source species, from lists of (model, classical, observed) of
    left-out compounds.
    """
    out = np.zeros(GROUPS)
    for group, parts in found.items():
        out[group] = share(*(np.concatenate(a) for a in zip(*parts, strict=True)))
    return out
