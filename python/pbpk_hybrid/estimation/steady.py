"""Steady-state records (SS) in a fit: the doses that led there are written out, because
their sensitivities are known.

The engine finds a steady state by a search, through which it carries no derivatives. A
train of doses has them. As many doses are taken as the predictions at the initial values
need to settle, and as many again, since parameters move.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from .._core.errors import InputError, OutOfRangeWarning
from ..dosing import Regimen
from ..dosing.table import EVERYONE, is_dose

if TYPE_CHECKING:
    from .objective import Objective
    from .predictor import Data

#: change of the predictions, relative to the largest, at which they have settled
SETTLED = 1e-5
#: the same at the estimates, above which a warning is due
STILL_SETTLED = 1e-3
#: numbers of doses tried
TRIED = (8, 16, 32, 64, 128, 256, 512)


def has_steady_state(regimen: Regimen) -> bool:
    """Whether any dose record asks for a steady state."""
    return bool((regimen.columns["steady_state"] > 0).any())


def check(regimen: Regimen, data: Data, numbers: np.ndarray) -> None:
    """Refuse steady states that doses before a subject's first record do not give.

    Parameters
    ----------
    numbers : (n_subjects,) by which the regimen names the subjects of `data`

    Raises
    ------
    InputError : a steady state after other records or samples, or of a constant infusion
    """
    c = regimen.columns
    for i in np.flatnonzero(c["steady_state"] > 0):
        who = c["subject"][i]
        mine = (c["subject"] == who) | (c["subject"] == EVERYONE) | (who == EVERYONE)
        seen = (who == EVERYONE) | (numbers[data.subject] == who)
        late = (c["time"][mine] < c["time"][i]).any() or (data.at[seen] < c["time"][i]).any()
        if late or c["interdose_interval"][i] == 0:
            raise InputError(
                "regimen",
                f"a steady-state record (SS) at {c['time'][i]:g} h",
                "SS with an interval in the first record of a subject",
                subject=None if who == EVERYONE else int(who),
                hint="give the doses that led to the steady state one by one, or by ADDL and II",
            )


def written_out(regimen: Regimen, n: int) -> tuple[Regimen, float]:
    """The regimen with `n` doses before each steady-state record instead of it, and by
    how much it is later [h].
    """
    c = {name: column.copy() for name, column in regimen.columns.items()}
    ss = (c["steady_state"] > 0) & is_dose(c)
    before = {name: column[ss].copy() for name, column in c.items()}
    before["time"] = before["time"] - n * before["interdose_interval"]
    before["additional_doses"][:] = n - 1
    before["steady_state"][:] = 0
    before["evid"][:] = 1
    before["interdose_interval"] = np.where(n > 1, before["interdose_interval"], 0.0)
    c["steady_state"][:] = 0
    c["interdose_interval"] = np.where(
        ss & (c["additional_doses"] == 0), 0.0, c["interdose_interval"]
    )
    whole = {name: np.concatenate([before[name], c[name]]) for name in c}
    later = float(max(0.0, -whole["time"].min()))
    whole["time"] = whole["time"] + later
    return Regimen(whole, span=regimen.span + later), later


def warn_if_unsettled(objective: Objective, u: np.ndarray) -> None:
    """Warn where the estimates are so far from the initial values that the steady states
    are not reached any more.
    """
    change = objective.predictor.unsettled(objective.settings(u)[0])
    if not change <= STILL_SETTLED:
        n = objective.predictor.steady_doses
        warnings.warn(
            OutOfRangeWarning(
                f"steady states (SS) are written out as {n} doses, which are too few at these "
                "estimates: predictions "
                f"change by {100 * change:.2g} % with {2 * n}; start from values near these, "
                "or give the doses by ADDL"
            ),
            stacklevel=3,
        )
