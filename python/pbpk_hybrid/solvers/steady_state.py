"""The state that a dose repeated for ever has led to.

With Phi(y) the state one interval after y (dose included), the steady state is
y = Phi(y). For linear systems Phi(y) = E y + b and y = (I - E)^-1 b, exactly. Saturable
systems start from the linearised answer and iterate with Anderson's acceleration
(Anderson 1965; Walker & Ni 2011, SIAM J Numer Anal 49:1715), all subjects at once.

Sinks (eliminated drug) have no steady state; what was eliminated before the record counts as 0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..models.system.system import System
from .base import ADD, RATE, Backend, Problem, SolverOptions, StopTable
from .expm import step

if TYPE_CHECKING:
    from .doses import Doses

_MEMORY = 8  # differences kept by Anderson's acceleration
_MAX_ITERATIONS = 120
_TOLERANCE = 1e-9  # of y = Phi(y), relative to the largest amount
# Where elimination cannot keep up, y grows without end until the gap looks small beside
# it. Amounts beyond this many intervals' doses are no steady state: with it, a gap of
# _TOLERANCE is at most 1e-4 of what one interval gives.
_MOST_INTERVALS_HELD = 1e5
# The linear answer is exact; where nothing is eliminated, round-off may leave the matrix
# invertible and amounts near 1/eps.
_MOST_HELD_LINEAR = 1e10


def find_steady_states(
    system: System, doses: Doses, backend: Backend, options: SolverOptions
) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """Amounts of every steady state of `doses`.

    Returns
    -------
    amounts : row of ``doses.events.steady`` -> (n_subjects, n_states) [mg] for shared
        events, (1, n_states) for those of one subject
    failed : (n_subjects,) True where none was found
    """
    steady = doses.events.steady
    amounts: dict[int, np.ndarray] = {}
    failed = np.zeros(system.n_subjects, dtype=bool)
    shared = doses.events.shared
    sized = {
        name: doses.events.steady_values_for(name) for name in ("amount", "base_rate", "pulse_rate")
    }
    # rows alike but for subject and size are found together
    groups: dict[tuple, list[int]] = {}
    for row in range(len(steady)):
        key = (
            steady.interval[row],
            steady.phase[row],
            steady.pulse_duration[row],
            steady.compartment[row],
        )
        groups.setdefault((*key, row if shared else -1), []).append(row)
    for (interval, phase, pulse_duration, compartment, _), rows in groups.items():
        subjects = np.arange(system.n_subjects) if shared else steady.subject[rows]
        n = len(subjects)
        size = {k: np.broadcast_to(v[..., rows].reshape(-1), (n,)) for k, v in sized.items()}
        part = system if n == system.n_subjects and shared else system.take(subjects)
        one = _Dosing(
            part,
            int(doses.state[compartment]),
            float(interval),
            float(phase),
            float(pulse_duration),
            **size,
        )
        y, lost = one.steady_state(backend, options)
        failed[subjects[lost]] = True
        if shared:
            amounts[rows[0]] = y
        else:
            amounts |= {row: y[i : i + 1] for i, row in enumerate(rows)}
    return amounts, failed


class _Dosing:
    """One repeated dose into one state of every subject of `system`."""

    def __init__(
        self, system: System, state, interval, phase, pulse_duration, amount, base_rate, pulse_rate
    ):
        self.system, self.state = system, state
        self.interval, self.phase, self.pulse_duration = interval, phase, pulse_duration
        self.amount, self.base_rate, self.pulse_rate = amount, base_rate, pulse_rate
        self.lasting = _lasting_states(system)
        self.amounts = ~_signed_states(system)

    def steady_state(
        self, backend: Backend, options: SolverOptions
    ) -> tuple[np.ndarray, np.ndarray]:
        """((n_subjects, n_states) at `phase`, (n_subjects,) True where there is none)."""
        y, lost = self._linear()
        if not self.system.linear:
            y = self._not_below_zero(np.where(np.isfinite(y), y, 0.0))
            y, lost = self._newton(y) if self.interval == 0 else self._anderson(y, backend, options)
        elif self.interval and self.phase < self.interval:
            y = np.stack([self._advance_exactly(s, y[s], self.phase) for s in range(len(y))])
        if not self.system.linear and self.interval and self.phase < self.interval:
            y = self._advance(y, self.phase, backend, options)
        y[:, ~self.lasting] = 0.0
        return y, lost

    # ---- linear: exact ----
    def _linear(self) -> tuple[np.ndarray, np.ndarray]:
        n_subjects, n = self.system.n_subjects, self.system.n_states
        out, lost = np.zeros((n_subjects, n)), np.zeros(n_subjects, dtype=bool)
        keep = np.flatnonzero(self.lasting)
        for s in range(n_subjects):
            k = self._slope(s)
            try:
                if self.interval == 0:
                    out[s, keep] = np.linalg.solve(
                        -k[np.ix_(keep, keep)], self._rates(s, 1.0, 0.0)[keep]
                    )
                else:
                    e, b = self._period(s, k)
                    out[s, keep] = np.linalg.solve(
                        np.eye(len(keep)) - e[np.ix_(keep, keep)], b[keep]
                    )
            except np.linalg.LinAlgError:
                lost[s] = True
                continue
            # what enters in one interval, or in the time constant of the fastest process
            time = self.interval or 1.0 / np.abs(k).max()
            lost[s] = np.abs(out[s]).max() > _MOST_HELD_LINEAR * self._entering(time)[s]
        lost |= ~np.isfinite(out).all(axis=1) | (
            out < -1e-9 * np.abs(out).max(axis=1, keepdims=True)
        ).any(axis=1)
        return out, lost

    def _entering(self, time: float) -> np.ndarray:
        """(n_subjects,) [mg] what enters in `time`, one dose included."""
        return np.abs(self.amount + self.base_rate * time + self.pulse_rate * self.pulse_duration)

    def _slope(self, s: int) -> np.ndarray:
        """K, plus the reactions linearised at zero."""
        k = self.system.matrix(s)
        for r in self.system.reactions:
            if r.law == "expression":
                continue  # its slope at 0 is not known beforehand
            p = r.parameters[s if len(r.parameters) > 1 else 0]
            for state, gain in r.stoichiometry.items():
                k[state, r.reactants[0]] += r.rate_law.initial_slope(gain, p)
        return k

    def _rates(self, s: int, base: float, pulse: float) -> np.ndarray:
        u = np.zeros(self.system.n_states)
        u[self.state] = base * self.base_rate[s] + pulse * self.pulse_rate[s]
        return u

    def _period(self, s: int, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(E, b) of one interval that begins with the dose."""
        known: dict = {}
        zero = np.zeros(len(k))
        b = zero.copy()
        b[self.state] = self.amount[s]
        b = self._through(s, k, b, self.interval, known)
        columns = [step(k, zero, self.interval, unit, known) for unit in np.eye(len(k))]
        return np.stack(columns, axis=1), b

    def _through(self, s: int, k: np.ndarray, y: np.ndarray, to: float, known: dict) -> np.ndarray:
        pulse = min(self.pulse_duration, to)
        if pulse > 0:
            y = step(k, self._rates(s, 1.0, 1.0), pulse, y, known)
        if to > pulse:
            y = step(k, self._rates(s, 1.0, 0.0), to - pulse, y, known)
        return y

    def _advance_exactly(self, s: int, y: np.ndarray, to: float) -> np.ndarray:
        y = y.copy()
        y[self.state] += self.amount[s]
        return self._through(s, self.system.matrix(s), y, to, {})

    def _not_below_zero(self, y: np.ndarray) -> np.ndarray:
        return np.where(self.amounts, np.maximum(y, 0.0), y)

    # ---- saturable ----
    def _advance(
        self, y: np.ndarray, to: float, backend: Backend, options: SolverOptions
    ) -> np.ndarray:
        """The state `to` hours after y and its dose."""
        n = self.system.n_subjects
        acts = [(0.0, ADD, self.amount), (0.0, RATE, self.base_rate + self.pulse_rate)]
        if 0 < self.pulse_duration < to:
            acts.append((self.pulse_duration, RATE, -self.pulse_rate))
        stops = StopTable(
            np.full(len(acts), -1),
            np.array([a[0] for a in acts]),
            np.array([a[1] for a in acts]),
            np.full(len(acts), self.state),
            np.stack([np.broadcast_to(a[2], (n,)) for a in acts], axis=1),
        )
        tight = replace(options, rtol=min(options.rtol, 1e-9), method="rodas5p", atol=None)
        first = (self.system.states[0],)
        return backend.solve(
            Problem(self.system, stops, np.array([to]), first, 0.0, y), tight
        ).final

    def _anderson(
        self, y: np.ndarray, backend: Backend, options: SolverOptions
    ) -> tuple[np.ndarray, np.ndarray]:
        keep = self.lasting
        y = y * keep
        past_y: list[np.ndarray] = []
        past_r: list[np.ndarray] = []
        done = np.zeros(len(y), dtype=bool)
        per_interval = self._entering(self.interval)
        for _ in range(_MAX_ITERATIONS):
            after = self._advance(y, self.interval, backend, options) * keep
            r = after - y
            scale = np.abs(after).max(axis=1)
            with np.errstate(invalid="ignore"):
                done = np.abs(r).max(axis=1) <= _TOLERANCE * np.maximum(scale, 1e-300)
                done &= scale <= _MOST_INTERVALS_HELD * per_interval
            if done.all():
                return after, ~done
            past_y, past_r = [*past_y, y][-_MEMORY - 1 :], [*past_r, r][-_MEMORY - 1 :]
            y = np.where(done[:, None], after, _mix(past_y, past_r))
            bad = ~np.isfinite(y).all(axis=1) | (y[:, self.amounts] < 0).any(axis=1)
            # a plain step is always allowed
            y[bad] = np.where(np.isfinite(after[bad]), self._not_below_zero(after[bad]), 0.0)
        return y, ~done

    def _newton(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """f(y) + base_rate = 0 for a constant infusion."""
        keep = np.flatnonzero(self.lasting)
        lost = np.ones(len(y), dtype=bool)
        for s in range(len(y)):
            x = y[s].copy()
            u = self._rates(s, 1.0, 0.0)
            size = np.abs(u).max()
            for _ in range(200):
                f = (self.system.rhs(x, s) + u)[keep]
                if np.abs(f).max() <= 1e-12 * max(size, 1e-300):
                    lost[s] = bool((x < 0)[self.amounts].any())
                    break
                jacobian = np.empty((len(keep), len(keep)))
                for j, state in enumerate(keep):
                    moved = x.astype(complex)
                    moved[state] += 1e-30j
                    jacobian[:, j] = self.system.rhs(moved, s)[keep].imag / 1e-30
                try:
                    move = np.linalg.solve(jacobian, -f)
                except np.linalg.LinAlgError:
                    break
                # no amount may fall below a tenth of itself in one move: Michaelis-Menten
                # has a pole at negative amounts
                falling = (move < 0) & self.amounts[keep]
                limit = np.min(
                    np.where(falling, 0.9 * x[keep] / np.where(falling, -move, 1.0), 1.0),
                    initial=1.0,
                )
                x[keep] += max(limit, 1e-3) * move
            y[s] = x
        return y, lost


def _mix(past_y: list[np.ndarray], past_r: list[np.ndarray]) -> np.ndarray:
    """Anderson's next iterate from the last ones, subject by subject (small least-squares
    problems, batched).
    """
    y, r = past_y[-1], past_r[-1]
    if len(past_y) == 1:
        return y + r
    dy = np.stack([past_y[i + 1] - past_y[i] for i in range(len(past_y) - 1)], axis=2)
    dr = np.stack([past_r[i + 1] - past_r[i] for i in range(len(past_r) - 1)], axis=2)
    known = np.isfinite(dr).all(axis=(1, 2)) & np.isfinite(r).all(axis=1)
    dr = np.where(known[:, None, None], dr, 0.0)  # where an integration failed: a plain step
    weights = np.linalg.pinv(dr, rcond=1e-10) @ np.where(known[:, None], r, 0.0)[:, :, None]
    return y + r - ((dy + dr) @ weights)[:, :, 0]


def _lasting_states(system: System) -> np.ndarray:
    """(n_states,) False for sinks: states that nothing leaves."""
    out = np.zeros(system.n_states, dtype=bool)
    out[system.k_col[np.any(system.k_value != 0, axis=0)]] = True
    for r in system.reactions:
        out[list(r.reactants)] = True
    return out


def _signed_states(system: System) -> np.ndarray:
    """(n_states,) True for deviations, which may be negative: a reaction takes from them
    without needing them.
    """
    out = system.may_be_negative.copy()
    for r in system.reactions:
        out[[s for s, gain in r.stoichiometry.items() if gain < 0 and s not in r.reactants]] = True
    return out
