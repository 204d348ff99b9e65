"""Events of a System: what happens when a condition over its states becomes true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .tree import Expression


@dataclass(frozen=True, eq=False)
class EventQueue:
    """What decides which of several events happens next; one entry per event that is no switch.

    Parameters
    ----------
    priorities : the highest goes first; those that are equal, in order
    persistent : it happens even if its condition is no longer true when its turn comes
    at_trigger : it sets the values of when its condition became true
    true_before : its condition counts as true before the start
    """

    priorities: tuple[Expression, ...]
    persistent: tuple[bool, ...]
    at_trigger: tuple[bool, ...]
    true_before: tuple[bool, ...]


@dataclass(frozen=True, eq=False)
class EventProgram:
    """The events of an assembled model.

    Parameters
    ----------
    conditions : one per event, over states, discrete states, time and `constants`
    targets : per event, names of the states that it sets
    values : per event, what they become
    once : per event
    constants : names of the rows of `values_of_constants`
    values_of_constants : (n_subjects or 1, n_constants)
    still : names of the states that only events change
    time : name of the state that is time
    n_switches : so many of the last events only say on which side of a threshold a state
        is; no amount jumps
    reported_before : what is saved at the time of an event is the state before it (as
        PK-Sim reports), not after it
    queue : how events of one time wait for each other, as in SBML; None: each happens at
        once, in order
    """

    conditions: tuple[Expression, ...]
    targets: tuple[tuple[str, ...], ...]
    values: tuple[tuple[Expression, ...], ...]
    once: tuple[bool, ...]
    constants: tuple[str, ...]
    values_of_constants: np.ndarray
    still: tuple[str, ...]
    time: str
    reported_before: bool = False
    n_switches: int = 0
    queue: EventQueue | None = None

    def take(self, subjects: slice | Sequence[int] | np.ndarray) -> EventProgram:
        """The same events for some of the subjects."""
        from dataclasses import replace

        values = self.values_of_constants
        return self if len(values) == 1 else replace(self, values_of_constants=values[subjects])
