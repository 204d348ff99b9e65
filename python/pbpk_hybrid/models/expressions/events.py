"""Events of a System: what happens when a condition over its states becomes true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .tree import Expression


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
    n_switches : so many of the last events only say on which side of a threshold a state is; no amount jumps
    reported_before : what is saved at the time of an event is the state before it (as PK-Sim reports), not after it
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

    def take(self, subjects) -> EventProgram:
        """The same events for some of the subjects."""
        from dataclasses import replace

        values = self.values_of_constants
        return self if len(values) == 1 else replace(self, values_of_constants=values[subjects])
