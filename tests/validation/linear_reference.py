"""Exact play-back of DoseEvents through dy/dt = K y + u by matrix exponentials: a test oracle for event handling.

One subject, one event after the other, no step control: slow, and wrong only if the events are.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.linalg import expm

from pbpk_hybrid.dosing.events import BOLUS, RATE, RESET, STEADY, DoseEvents


@lru_cache(maxsize=100_000)
def _propagators(k_bytes: bytes, n: int, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """exp(K dt) and its integral from 0 to dt, from one exponential of a block matrix (Van Loan 1978)."""
    block = np.zeros((2 * n, 2 * n))
    block[:n, :n], block[:n, n:] = np.frombuffer(k_bytes).reshape(n, n), np.eye(n)
    whole = expm(block * dt)
    return whole[:n, :n], whole[:n, n:]


def advance(k: np.ndarray, y: np.ndarray, u: np.ndarray, dt: float) -> np.ndarray:
    """State after `dt` [h] of dy/dt = K y + u, with u constant."""
    if dt == 0:
        return y
    keep, gain = _propagators(np.ascontiguousarray(k, float).tobytes(), len(k), float(dt))
    return keep @ y + gain @ u


def steady_state(k: np.ndarray, events: DoseEvents, row: int, place: dict[str, int]) -> np.ndarray:
    """Amounts at the record of row `row` of events.steady."""
    s = events.steady
    into = np.zeros(len(k))
    into[place[events.compartments[s.compartment[row]]]] = 1.0
    base, pulse = into * s.base_rate[row], into * s.pulse_rate[row]
    if s.interval[row] == 0:
        return np.linalg.solve(-k, base)

    def from_dose_to(phase: float, y: np.ndarray) -> np.ndarray:
        wet = min(phase, s.pulse_duration[row])
        y = advance(k, y + into * s.amount[row], base + pulse, wet)
        return advance(k, y, base, phase - wet)

    one_period = from_dose_to(s.interval[row], np.zeros(len(k)))
    trough = np.linalg.solve(np.eye(len(k)) - expm(k * s.interval[row]), one_period)
    return from_dose_to(s.phase[row], trough)


def play(k: np.ndarray, events: DoseEvents, times: np.ndarray, place: dict[str, int]) -> np.ndarray:
    """Amounts (n_times, n_states) at `times` (ascending), after all events of the same time.

    Parameters
    ----------
    k : (n_states, n_states) [1/h]
    events : of a single subject, see DoseEvents.for_subject
    place : compartment name -> state number
    """
    y, u = np.zeros(len(k)), np.zeros(len(k))
    now, i, out = min(events.start, float(times[0])), 0, []
    for time in times:
        while i < len(events) and events.time[i] <= time:
            y = advance(k, y, u, events.time[i] - now)
            now, kind = events.time[i], events.kind[i]
            if kind == RESET:
                y, u = np.zeros(len(k)), np.zeros(len(k))
            elif kind == STEADY:
                y = y + steady_state(k, events, int(events.value[i]), place)
            elif kind in (BOLUS, RATE):
                into = np.zeros(len(k))
                into[place[events.compartments[events.compartment[i]]]] = events.value[i]
                y, u = (y + into, u) if kind == BOLUS else (y, u + into)
            i += 1
        y, now = advance(k, y, u, time - now), time
        out.append(y)
    return np.array(out)
