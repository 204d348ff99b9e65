"""The rules that every row of a dose table obeys, in the order in which they are checked.

The columns are those of :mod:`.table`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

ROUTES = ("iv_bolus", "iv_infusion", "oral", "compartment")
EVERYONE = -1


def is_dose(table: Mapping[str, np.ndarray]) -> np.ndarray:
    """(row,) True where a row gives a dose: EVID 1 or 4."""
    return (table["evid"] == 1) | (table["evid"] == 4)


class Rows:
    """The columns of a dose table, each (row,), and what several rules ask of them."""

    def __init__(self, columns: Mapping[str, np.ndarray]) -> None:
        self._columns = columns

    def __getitem__(self, column: str) -> np.ndarray:
        return self._columns[column]

    @cached_property
    def dose(self) -> np.ndarray:
        """(row,) gives a dose: EVID 1 or 4."""
        return is_dose(self._columns)

    @cached_property
    def rated(self) -> np.ndarray:
        """(row,) an infusion given by its rate."""
        return (self["rate"] > 0) | (self["rate_per_kg"] > 0)

    @cached_property
    def no_amount(self) -> np.ndarray:
        """(row,) neither an amount [mg] nor one per kg."""
        return (self["amount"] == 0) & (self["amount_per_kg"] == 0)

    @cached_property
    def no_interval(self) -> np.ndarray:
        """(row,) no interval between doses."""
        return self["interdose_interval"] == 0

    @cached_property
    def constant(self) -> np.ndarray:
        """(row,) constant infusion to steady state that ends here: AMT 0, RATE > 0, SS 1, II 0."""
        at_steady_state = self.dose & (self["steady_state"] == 1)
        return at_steady_state & self.no_interval & self.rated & self.no_amount


@dataclass(frozen=True)
class RowRule:
    """One rule: ``broken(rows)`` is True for the rows that break it.

    Parameters
    ----------
    column : str
        The column that the message blames.
    broken : callable
        :class:`Rows` -> (row,) bool.
    expected, hint : str
        For the message.
    """

    column: str
    broken: Callable[[Rows], np.ndarray]
    expected: str
    hint: str = ""


#: columns that only a dose may fill
_OF_A_DOSE = (
    "amount",
    "amount_per_kg",
    "rate",
    "rate_per_kg",
    "duration",
    "interdose_interval",
    "additional_doses",
    "steady_state",
)


def _given_without_dose(column: str) -> RowRule:
    return RowRule(
        column,
        lambda r: ~r.dose & (r[column] != 0),
        "0 for evid 2 and 3, which give no dose",
    )


#: codes and names
_CODES = (
    RowRule(
        "subject",
        lambda r: r["subject"] < EVERYONE,
        "a subject id >= 0, or -1 for every subject",
    ),
    RowRule(
        "evid",
        lambda r: ~np.isin(r["evid"], (1, 2, 3, 4)),
        "1 dose, 2 other, 3 reset, or 4 reset and dose",
    ),
    RowRule(
        "route",
        lambda r: r.dose & ~np.isin(r["route"], ROUTES),
        "one of " + ", ".join(ROUTES),
    ),
    RowRule(
        "compartment",
        lambda r: r.dose & (r["route"] == "compartment") & (r["compartment"] == ""),
        "the name of a compartment for route 'compartment'",
    ),
    RowRule("steady_state", lambda r: ~np.isin(r["steady_state"], (0, 1, 2)), "0, 1 or 2"),
    RowRule("additional_doses", lambda r: r["additional_doses"] < 0, "a whole number >= 0"),
)

#: amount, rate and duration of a dose
_AMOUNTS = (
    RowRule(
        "amount_per_kg",
        lambda r: (r["amount"] > 0) & (r["amount_per_kg"] > 0),
        "0 where `amount` is given",
        "give one of the two",
    ),
    RowRule(
        "rate_per_kg",
        lambda r: (r["rate"] > 0) & (r["rate_per_kg"] > 0),
        "0 where `rate` is given",
        "give one of the two",
    ),
    RowRule(
        "duration",
        lambda r: r.rated & (r["duration"] > 0),
        "0 where a rate is given",
        "give the rate or the duration, not both",
    ),
    RowRule(
        "rate_per_kg",
        lambda r: (r["rate_per_kg"] > 0) & (r["amount"] > 0),
        "a dose per body weight (amount_per_kg) beside it",
        "a rate per kg with an amount in mg would give each subject another duration",
    ),
    RowRule(
        "amount",
        lambda r: r.rated & ~r.constant & r.no_amount,
        "an amount > 0 for an infusion given by its rate",
        "only steady_state=1 with interval 0 may leave the amount at 0 "
        "(constant infusion until the record)",
    ),
    RowRule(
        "route",
        lambda r: (r["route"] == "iv_bolus") & (r.rated | (r["duration"] > 0)),
        "iv_infusion where a rate or duration is given",
    ),
    RowRule(
        "duration",
        lambda r: r.dose & (r["route"] == "iv_infusion") & ~r.rated & (r["duration"] == 0),
        "a duration or a rate > 0 for an infusion",
        "use a bolus for a dose that enters at once",
    ),
)

#: additional doses and steady state
_REPEATS = (
    RowRule(
        "interdose_interval",
        lambda r: (r["additional_doses"] > 0) & r.no_interval,
        "an interval > 0 [h] with additional doses",
    ),
    RowRule(
        "interdose_interval",
        lambda r: (r["steady_state"] > 0) & r.no_interval & ~r.constant,
        "an interval > 0 [h] with steady_state",
    ),
    RowRule(
        "additional_doses",
        lambda r: r.constant & (r["additional_doses"] > 0),
        "0 for the steady state of a constant infusion",
    ),
    RowRule(
        "additional_doses",
        lambda r: ~r.no_interval & (r["additional_doses"] == 0) & (r["steady_state"] == 0),
        "a number > 0 (or steady_state) with an interval",
        "an interval alone would be ignored",
    ),
)

ROW_RULES: tuple[RowRule, ...] = (
    *_CODES,
    *(_given_without_dose(column) for column in _OF_A_DOSE),
    *_AMOUNTS,
    *_REPEATS,
)
