"""The state that a dose repeated for ever has led to.

With Phi(y) the state one interval after y (dose included), the steady state is
y = Phi(y). For linear systems Phi(y) = E y + b and y = (I - E)^-1 b, exactly. Saturable
systems start from the linearised answer and iterate with Anderson's acceleration
(Anderson 1965; Walker & Ni 2011, SIAM J Numer Anal 49:1715), all subjects at once.

Sinks (eliminated drug) have no steady state; what was eliminated before the record counts as 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..models.system.system import System
from .base import ADD, RATE, Backend, Problem, SolverOptions, StopTable
from .expm import step

if TYPE_CHECKING:
    from .doses import Doses

_MAX_ITERATIONS = 120
_TOLERANCE = 1e-9  # of y = Phi(y), relative to the largest amount
_MEMORY = 4  # differences kept by Anderson's acceleration
# A cycle is linearised in parts (shares of the interval): it changes fastest after the dose
_PARTS = np.array([0.0, 0.04, 0.12, 0.3, 1.0]), np.array([0.02, 0.08, 0.2, 0.6])
_LINEARISED = 2  # first turns that linearise anew
#: tolerance of the next cycle for a gap above ...: no closer than it has to be
_TOLERANCES = ((1e-2, 1e-5), (1e-4, 1e-6), (-1.0, _TOLERANCE))
_LOOSEST = _TOLERANCES[0][1]
_NEARLY = 1e-6  # steps up to so much of the amounts may be the last
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
        y, lost = self._linear(settle=self.system.linear)
        if not self.system.linear:
            y = self._not_below_zero(np.where(np.isfinite(y), y, 0.0))
            y, lost = self._newton(y) if self.interval == 0 else self._anderson(y, backend, options)
        if not self.system.linear and self.interval and self.phase < self.interval:
            y = self._advance(y, self.phase, backend, options)
        y[:, ~self.lasting] = 0.0
        return y, lost

    # ---- linear: exact ----
    def _linear(self, settle: bool) -> tuple[np.ndarray, np.ndarray]:
        """(states, (n_subjects,) True where there is none); states of the linearised system
        just before the dose, with `settle` those at `phase`.
        """
        entries = self._entries()
        if self.interval == 0 or not _can_be_packed(self.system, entries):
            return self._linear_one_by_one(settle)
        return self._linear_in_packs(entries, settle)

    def _entries(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows, columns and values of K, with the reactions linearised at zero."""
        system = self.system
        place = {pair: e for e, pair in enumerate(zip(system.k_row, system.k_col, strict=True))}
        values = [system.k_value[:, e] for e in range(len(system.k_row))]
        for r in system.reactions:
            if r.law == "expression":
                continue  # its slope at 0 is not known beforehand
            for state, gain in r.stoichiometry.items():
                slope = np.atleast_1d(r.rate_law.initial_slope(gain, r.parameters.T))
                at = place.setdefault((state, r.reactants[0]), len(values))
                if at == len(values):
                    values.append(slope)
                else:
                    values[at] = values[at] + slope
        rows, columns = np.array(list(place)).T if place else np.zeros((2, 0), dtype=np.int64)
        stacked = np.stack(np.broadcast_arrays(*values), axis=1) if values else np.zeros((1, 0))
        return rows, columns, stacked

    def _linear_in_packs(self, entries, settle: bool) -> tuple[np.ndarray, np.ndarray]:
        """All subjects by the kernel of :mod:`.embedded.propagators`."""
        from .embedded.flows import MOST_LEVELS, LinearFlow
        from .embedded.lanes import LANES, aligned_lanes
        from .embedded.pack import pack_count, to_lanes
        from .embedded.propagators import steady_packs

        n_subjects, n = self.system.n_subjects, self.system.n_states
        linear = LinearFlow(self.system, *entries, infused=[self.state])
        flow, _, k_value = linear.packed
        delta, levels = linear.ladders(self.interval, self.interval)
        if levels.max(initial=1) > MOST_LEVELS:
            return self._linear_one_by_one(settle)
        lanes = lambda v: to_lanes(np.reshape(v, (-1, 1)), n_subjects)
        packs = pack_count(n_subjects)
        before, y = aligned_lanes(packs, linear.n), aligned_lanes(packs, linear.n)
        f, spare = linear.scratch(levels)
        steady_packs(
            flow,
            k_value,
            delta,
            levels,
            linear.n_kept,
            int(linear.place[self.state]),
            int(linear.place[n]),
            lanes(self.amount),
            lanes(self.base_rate),
            lanes(self.pulse_rate),
            self.pulse_duration,
            self.interval,
            self.phase if settle else self.interval,
            before,
            y,
            f,
            spare,
            0,
            packs,
        )
        by_subject = lambda a: a.transpose(0, 2, 1).reshape(packs * LANES, -1)[:n_subjects]
        before, y = (by_subject(a)[:, linear.place[:n]] for a in (before, y))
        return y, self._lost(before, self._entering(self.interval))

    def _lost(self, out: np.ndarray, entering: np.ndarray) -> np.ndarray:
        """(n_subjects,) whether amounts are infinite, absurd or below zero."""
        with np.errstate(invalid="ignore"):
            largest = np.abs(out).max(axis=1)
            lost = ~(largest <= _MOST_HELD_LINEAR * entering) | ~np.isfinite(out).all(axis=1)
            return lost | (out < -1e-9 * largest[:, None]).any(axis=1)

    def _linear_one_by_one(self, settle: bool) -> tuple[np.ndarray, np.ndarray]:
        """The same with dense matrices, subject by subject."""
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
            lost[s] = self._lost(out[s : s + 1], self._entering(time)[s : s + 1])[0]
        if settle and self.interval and self.phase < self.interval:
            out = np.stack(
                [self._advance_exactly(s, out[s], self.phase) for s in range(n_subjects)]
            )
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
        tight = replace(options, rtol=min(options.rtol, _TOLERANCE))
        return self._integrated(y, np.array([to]), backend, tight)[:, -1]

    def _integrated(
        self, y: np.ndarray, times: np.ndarray, backend: Backend, options: SolverOptions
    ) -> np.ndarray:
        """(n_subjects, n_times, n_states) after y and its dose."""
        n = self.system.n_subjects
        acts = [(0.0, ADD, self.amount), (0.0, RATE, self.base_rate + self.pulse_rate)]
        if 0 < self.pulse_duration < times[-1]:
            acts.append((self.pulse_duration, RATE, -self.pulse_rate))
        stops = StopTable(
            np.full(len(acts), -1),
            np.array([a[0] for a in acts]),
            np.array([a[1] for a in acts]),
            np.full(len(acts), self.state),
            np.stack([np.broadcast_to(a[2], (n,)) for a in acts], axis=1),
        )
        result = backend.solve(
            Problem(self.system, stops, times, self.system.states, 0.0, y),
            replace(options, method="rodas5p", atol=None),
        )
        path = result.amount
        path[:, -1] = result.final
        return path

    def _anderson(
        self, y: np.ndarray, backend: Backend, options: SolverOptions
    ) -> tuple[np.ndarray, np.ndarray]:
        """y = Phi(y) of all subjects, from a first guess.

        Residuals go through the inverse of I - E, where E is the product of the exponentials
        of the system linearised along the last cycle: nearly Newton's step. Anderson's mixing
        does the rest, and everything where the step cannot be had. Early cycles are integrated
        no closer than they are to the answer.
        """
        keep = self.lasting
        y = y * keep
        found, lost = y.copy(), np.ones(len(y), dtype=bool)
        past: list[tuple[np.ndarray, np.ndarray]] = []
        step: _CycleStep | None = None
        rtol, gap = _LOOSEST, np.full(len(y), np.inf)
        per_interval = self._entering(self.interval)
        for turn in range(_MAX_ITERATIONS):
            path = self._cycle(y, backend, replace(options, rtol=rtol))
            after = path[:, -1] * keep
            r = after - y
            if turn < _LINEARISED:
                step = _CycleStep.of(self.system, self.interval, path, keep)
            g = r if step is None else step(r)
            g = np.where(np.isfinite(g).all(axis=1, keepdims=True), g, r)
            scale = np.maximum(np.abs(after).max(axis=1), 1e-300)
            with np.errstate(invalid="ignore"):
                size, before = np.abs(g).max(axis=1) / scale, gap
                gap = np.abs(r).max(axis=1) / scale
                held = scale <= _MOST_INTERVALS_HELD * per_interval
                near = y + g
                sound = (near[:, self.amounts] >= 0).all(axis=1) & (size <= _NEARLY)
                # a step leaves what the last one left, and a hundredth for what it is not sure of
                left = size * np.maximum(gap / before, 0.01)
            if rtol <= _TOLERANCE:
                closed, stepped = held & (gap <= _TOLERANCE), held & sound & (left <= _TOLERANCE)
                done = closed | stepped
                found[done] = np.where(closed[:, None], after, near)[done]
                lost[done] = False
                if done.all():
                    return found, lost
                if done.any():  # few are left: on with them alone
                    rest = np.flatnonzero(~done)
                    found[rest], lost[rest] = self._some(rest)._anderson(y[rest], backend, options)
                    return found, lost
            past = [*past, (y, g)][-_MEMORY - 1 :]
            y = _mix(*map(list, zip(*past, strict=True)))
            bad = ~np.isfinite(y).all(axis=1) | (y[:, self.amounts] < 0).any(axis=1)
            # a plain step is always allowed
            y[bad] = np.where(np.isfinite(after[bad]), self._not_below_zero(after[bad]), 0.0)
            most = np.nanquantile(gap, 0.9) if np.isfinite(gap).any() else np.inf
            closer = next(t for far, t in _TOLERANCES if most > far)
            if closer < rtol:
                rtol, past = closer, []  # residuals of another accuracy do not mix
        return y, lost

    def _some(self, subjects: np.ndarray) -> _Dosing:
        """The same for some of the subjects."""
        sizes = (a[subjects] for a in (self.amount, self.base_rate, self.pulse_rate))
        return _Dosing(
            self.system.take(subjects),
            self.state,
            self.interval,
            self.phase,
            self.pulse_duration,
            *sizes,
        )

    def _cycle(self, y: np.ndarray, backend: Backend, options: SolverOptions) -> np.ndarray:
        """(n_subjects, n_parts + 1, n_states): states inside one interval that begins with y
        and its dose, and at its end.
        """
        times = np.append(_PARTS[1] * self.interval, self.interval)
        return self._integrated(y, times, backend, options)

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


@dataclass(frozen=True, eq=False)
class _CycleStep:
    """(I - E)^-1 of every subject, with E along one cycle."""

    n_kept: int
    place: np.ndarray  # of each state among the kernel's
    lu: np.ndarray

    @classmethod
    def of(
        cls, system: System, interval: float, path: np.ndarray, keep: np.ndarray
    ) -> _CycleStep | None:
        """From the states inside a cycle; None where the system has too many states, or rates
        beyond all bounds.

        Parameters
        ----------
        path : (n_subjects, n_parts + 1, n_states)
        keep : (n_states,) states that have a steady state
        """
        from .embedded.flows import MOST_LEVELS, MOST_STATES, LinearFlow
        from .embedded.lanes import aligned_lanes
        from .embedded.propagators import factor_cycles

        if system.n_states > MOST_STATES // 2 or system.events is not None:
            return None
        lengths = np.diff(_PARTS[0]) * interval
        parts = [
            LinearFlow(system, *_linearised(system, path[:, part])) for part in range(len(lengths))
        ]
        # one structure for all: an entry that is 0 in one part only stays
        flow, _, _ = parts[0].packed
        if any(p.packed[0].c != flow.c or p.n_kept != parts[0].n_kept for p in parts):
            return None
        ladders = [p.ladders(t, t) for p, t in zip(parts, lengths, strict=True)]
        delta, levels = (np.stack(a) for a in zip(*ladders, strict=True))
        if levels.max(initial=1) > MOST_LEVELS:
            return None
        k_value = np.stack([p.packed[2] for p in parts])
        n_kept = parts[0].n_kept
        f, spare = parts[0].scratch(levels)
        lu = aligned_lanes(k_value.shape[1], n_kept * n_kept)
        factor_cycles(flow, k_value, delta, levels, n_kept, lu, f, spare, np.zeros_like(spare))
        return cls(n_kept, parts[0].place, lu)

    def __call__(self, r: np.ndarray) -> np.ndarray:
        """(I - E)^-1 r, (n_subjects, n_states)."""
        from .embedded.lanes import LANES
        from .embedded.pack import to_lanes
        from .embedded.propagators import solve_cycles

        packed = to_lanes(r[:, np.argsort(self.place)], len(r))
        solve_cycles(self.n_kept, self.lu, packed)
        rows = packed.transpose(0, 2, 1).reshape(len(packed) * LANES, -1)[: len(r)]
        return rows[:, self.place]


def _linearised(system: System, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and values (n_subjects, n_entries) of the Jacobian at y."""
    place = {pair: e for e, pair in enumerate(zip(system.k_row, system.k_col, strict=True))}
    pairs = [(to, of) for r in system.reactions for of in r.reactants for to in r.stoichiometry]
    for pair in pairs:
        place.setdefault(pair, len(place))
    values = np.zeros((len(y), len(place)))
    values[:, : len(system.k_row)] = system.k_value
    for r in system.reactions:
        for of in r.reactants:
            moved = y.astype(complex)
            moved[:, of] += 1e-30j
            with np.errstate(all="ignore"):
                slope = np.imag(r.rate(moved)) / 1e-30
            for to, gain in r.stoichiometry.items():
                values[:, place[to, of]] += gain * slope
    rows, columns = np.array(list(place)).T
    return rows, columns, values


def _can_be_packed(system: System, entries: tuple[np.ndarray, ...]) -> bool:
    """Whether the kernel solves it: not too many states, and nothing that takes from a state
    what another one holds, so that elimination needs no pivots.
    """
    from .embedded.flows import MOST_STATES, metzler

    return system.n_states < MOST_STATES and metzler(*entries)


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
