"""The steady states that dose records ask for, as a table; semantics in :mod:`.events`.

For each record the solver has to find the periodic state of

    dy/dt = f(y) + base_rate + pulse_rate [phase < pulse_duration],     y gains `amount`
    at phase 0, period `interval`

at ``phase``, counted from the moment the previous implied dose entered; 0 < phase <=
interval, so the dose at the end of the period is not in it. ``interval`` 0 means a
constant input: f(y) + base_rate = 0. For linear kinetics dy/dt = M y + u the state at
phase ``interval`` is (I - e^(M II))^-1 times what one period's input has become by the
end of the period.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np

#: relative distance at which a duration counts as a multiple of the interval
SAME = 1e-9


@dataclass(frozen=True, eq=False)
class SteadyStates:
    """One row per record with SS > 0.

    Parameters
    ----------
    subject
        (m,) index, or -1 if shared.
    time
        (m,) [h] time of the record, at which the state holds.
    compartment
        (m,) index into the events' compartments.
    flag
        (m,) SS: 1 (a RESET event comes first) or 2.
    amount
        (m,) [mg] bolus at phase 0, after F; 0 for an infusion.
    rate
        (m,) [mg/h] of one infusion, after F; 0 for a bolus.
    duration
        (m,) [h] of one infusion, after F.
    interval
        (m,) [h]; 0 for a constant infusion.
    lag
        (m,) [h].
    bioavailability
        (m,) already in `amount`, `rate` and `duration`.
    phase
        (m,) [h] phase of the periodic state that holds at `time`.
    base_rate
        (m,) [mg/h] rate that never stops, from infusions longer than the interval.
    pulse_rate
        (m,) [mg/h] rate on top of it from phase 0 to `pulse_duration`.
    pulse_duration
        (m,) [h] in [0, interval).
    n_running
        (m,) implied infusions still running at `time`.
    n_on_their_way
        (m,) implied doses that have not entered yet at `time` (lag >= interval).
    per_kg
        (m,) True where amount and rates have to be multiplied by body weight.
    record
        (m,) row of the expanded regimen.
    """

    subject: np.ndarray
    time: np.ndarray
    compartment: np.ndarray
    flag: np.ndarray
    amount: np.ndarray
    rate: np.ndarray
    duration: np.ndarray
    interval: np.ndarray
    lag: np.ndarray
    bioavailability: np.ndarray
    phase: np.ndarray
    base_rate: np.ndarray
    pulse_rate: np.ndarray
    pulse_duration: np.ndarray
    n_running: np.ndarray
    n_on_their_way: np.ndarray
    per_kg: np.ndarray
    record: np.ndarray

    def __len__(self) -> int:
        return int(self.time.size)

    def take(self, rows: np.ndarray, body_weight: float | None = None) -> SteadyStates:
        """Some rows, as shared ones, with one subject's body weight multiplied in."""
        out = {f.name: getattr(self, f.name)[rows] for f in fields(self)}
        if body_weight is not None:
            for name in ("amount", "rate", "base_rate", "pulse_rate"):
                out[name] = np.where(out["per_kg"], out[name] * body_weight, out[name])
        out["per_kg"] = np.zeros(len(rows), bool)
        out["subject"] = np.full(len(rows), -1)
        return SteadyStates(**out)

    def stop_times(self, row: int) -> np.ndarray:
        """When the implied infusions that run at the record's time end [h], last first:
        (n_running,).
        """
        first = self._last_entry(np.asarray([row]))[0]
        return first - self.interval[row] * np.arange(self.n_running[row]) + self.duration[row]

    def running(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Rate events of implied infusions: (record, time, change of rate), first all
        starts, then all ends.
        """
        n = self.n_running
        some = n > 0
        yield self.record[some], self.time[some], n[some] * self.rate[some]
        rows = np.repeat(np.arange(len(self)), n)
        k = np.arange(rows.size) - np.repeat(np.cumsum(n) - n, n)
        ends = self._last_entry(rows) - k * self.interval[rows] + self.duration[rows]
        yield self.record[rows], ends, -self.rate[rows]

    def on_their_way(self) -> tuple[np.ndarray, np.ndarray]:
        """Implied doses that enter at or after the record's time: (record, time of entry)."""
        n = self.n_on_their_way
        rows = np.repeat(np.arange(len(self)), n)
        k = np.arange(rows.size) - np.repeat(np.cumsum(n) - n, n) + 1
        wait = np.maximum(
            self.lag[rows] - k * self.interval[rows], 0.0
        )  # not before the record by round-off
        return self.record[rows], self.time[rows] + wait

    def _last_entry(self, rows: np.ndarray) -> np.ndarray:
        """When the last implied dose entered before the record's time [h]."""
        return self.time[rows] - self.phase[rows]


STEADY_COLUMNS = tuple(f.name for f in fields(SteadyStates))


def steady_states(
    table: Mapping[str, np.ndarray],
    rows: np.ndarray,
    index: np.ndarray,
    state: np.ndarray,
    size: np.ndarray,
    per_kg: np.ndarray,
    rate: np.ndarray,
    duration: np.ndarray,
) -> SteadyStates:
    """The steady states that `rows` of a dose table ask for.

    Size, rate and duration are those after bioavailability.
    """
    ii, lag = table["interdose_interval"][rows], table["lag_time"][rows]
    r, t = rate[rows], duration[rows]
    constant = ii == 0
    period = np.where(constant, 1.0, ii)  # only to divide by
    n_way = np.where(constant, 0, np.floor(lag / period * (1 + SAME))).astype(np.int64)
    rest = np.maximum(lag - n_way * period, 0.0)
    phase = np.where(constant, 0.0, period - rest)
    overlap = np.floor(t / period * (1 + SAME))
    pulse = t - overlap * period
    pulse = np.where(pulse > SAME * period, pulse, 0.0)  # no pulse of no length
    # implied infusion k entered phase + k II ago; it runs if that is less than its length
    running = np.where(constant | (r == 0), 0, np.ceil((t - phase) / period - SAME)).astype(
        np.int64
    )
    infused = r > 0
    return SteadyStates(
        subject=index[rows],
        time=table["time"][rows],
        compartment=state[rows],
        flag=table["steady_state"][rows],
        amount=np.where(infused, 0.0, size[rows]),
        rate=r,
        duration=np.where(constant, 0.0, t),
        interval=ii,
        lag=lag,
        bioavailability=table["bioavailability"][rows],
        phase=phase,
        base_rate=np.where(constant, r, overlap * r),
        pulse_rate=np.where(constant | (pulse == 0), 0.0, r),
        pulse_duration=np.where(constant, 0.0, pulse),
        n_running=np.maximum(running, 0),
        n_on_their_way=n_way,
        per_kg=per_kg[rows],
        record=np.asarray(rows, dtype=np.int64),
    )
