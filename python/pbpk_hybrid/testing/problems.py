"""Problems with a known answer, and the answers: closed forms, and LSODA at a tight tolerance."""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp

from ..models.system.system import Observable, Reaction, System
from ..solvers.base import ADD, RATE, StopTable

#: [h] times at which solutions are compared
TIMES = np.linspace(0.0, 24.0, 97)
#: two compartments with a depot: elimination, exchange and absorption [1/h], volume [L]
K, K12, K21, KA, V = 0.4, 1.5, 0.6, 1.1, 8.0
#: [h] times at which areas under curves are compared
AREA_TIMES = np.r_[0.0, 0.01, np.linspace(0.5, 60.0, 24)]


def stop_table(*rows: tuple) -> StopTable:
    """StopTable from (subject, time, kind, state, value) rows."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * 5
    subject, time, kind, state, value = (np.array(c) for c in columns)
    return StopTable(
        subject.astype(int),
        time.astype(float),
        kind.astype(int),
        state.astype(int),
        value.astype(float),
    )


def one_compartment(n_subjects: int = 1, rate: float = 0.1) -> System:
    """A body that drains into a second state at `rate` [1/h]; plasma volume 10 L."""
    k = np.full((n_subjects, 2), rate) * [-1.0, 1.0]
    return System(
        ("body", "out"),
        [0, 1],
        [0, 0],
        k,
        observables={"plasma": Observable((0,), np.array([0.1]))},
        n_subjects=n_subjects,
    )


def reference(system: System, subject: int, y0: np.ndarray, times: np.ndarray) -> np.ndarray:
    """LSODA at rtol 1e-11 with the System's own numpy right-hand side."""
    k = system.matrix(subject)

    def rhs(_t, y):
        out = k @ y
        for r in system.reactions:
            v = r.rate(y, r.parameters[subject if len(r.parameters) > 1 else 0])
            for state, gain in r.stoichiometry.items():
                out[state] += gain * v
        return out

    span = (times[0], times[-1])
    return solve_ivp(rhs, span, y0, "LSODA", times, rtol=1e-11, atol=1e-14 * y0.max()).y.T


def relative_error(amount: np.ndarray, expected: np.ndarray, dose: float) -> float:
    """Largest relative error; amounts under a millionth of the dose count as that much."""
    return float(np.max(np.abs(amount - expected) / (np.abs(expected) + 1e-6 * dose)))


def enzymatic_system(n: int = 5) -> System:
    """Two drugs and one enzyme, as its change from baseline.

    Mixed inhibition, inactivation, induction and turnover, for `n` subjects.
    """
    rng = np.random.default_rng(9)
    around = lambda *typical: np.exp(rng.normal(0, 0.2, (n, len(typical)))) * typical
    mixed = Reaction(
        "mixed", "enzymatic", (0, 2, 1, 4), {0: -1.0, 3: 1.0}, around(1.5, 0.2, 0.8, 0.0, 0.1, 0.4)
    )
    linear = Reaction("linear", "enzymatic", (4, 2), {4: -1.0, 3: 1.0}, around(0.3, 0.0))
    lost = Reaction("lost", "enzymatic", (1, 2), {2: -1.0, 5: 1.0}, around(0.9, 0.5))
    made = Reaction("made", "michaelis_menten", (4,), {2: 1.0, 5: -1.0}, around(0.2, 3.0))
    return System(
        ("victim", "inhibitor", "enzyme", "out", "inducer", "turnover"),
        [0, 1, 2, 3, 3, 5],
        [0, 1, 2, 0, 1, 2],
        around(-0.05, -0.1, -0.2, 0.05, 0.1, 0.2) * 0 + [[-0.05, -0.1, -0.2, 0.05, 0.1, 0.2]],
        (mixed, linear, lost, made),
        n_subjects=n,
    )


def two_compartments(
    n: int = 1, factor: float | np.ndarray = 1 / V, offset: np.ndarray | None = None
) -> System:
    """Depot, body, a second compartment that exchanges with the body, and what has left."""
    rows, columns = [1, 1, 2, 1, 2, 3, 0], [0, 1, 1, 2, 2, 1, 0]
    rates = [KA, -(K + K12), K12, K21, -K21, K, -KA]
    plasma = Observable((1,), np.atleast_1d(factor), offset=offset)
    return System(
        ("depot", "body", "second", "out"),
        rows,
        columns,
        np.array([rates]),
        observables={"plasma": plasma},
        n_subjects=n,
    )


def exponentials(first: dict[int, float]) -> list[tuple[float, float]]:
    """(size [mg], rate [1/h]) of each exponential of the body's amount.

    `first` holds the amounts [mg] in depot (0) and body (1) at time 0; rates are eigenvalues of the
    3 x 3 matrix.
    """
    values, vectors = np.linalg.eig(two_compartments().matrix()[:3, :3])
    y0 = np.array([first.get(0, 0.0), first.get(1, 0.0), 0.0])
    weights = np.linalg.solve(vectors, y0)
    sizes = weights * vectors[1]
    return [(float(size), float(-rate)) for size, rate in zip(sizes, values, strict=True)]


def integrals(
    terms: list[tuple[float, float]], t: np.ndarray, begin: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Integrals of f and of tau f up to t.

    f is the sum of size exp(-rate (tau - begin)) from `begin` on; rate 0 is a constant.
    """
    x = np.maximum(t - begin, 0.0)
    area, moment = np.zeros_like(x), np.zeros_like(x)
    for size, rate in terms:
        if rate == 0:
            a, m = x, x**2 / 2
        else:
            e = np.exp(-rate * x)
            a, m = (1 - e) / rate, (1 - e) / rate**2 - x * e / rate
        area, moment = area + size * a, moment + size * (m + begin * a)
    return area, moment


def dosed(kind: str) -> tuple[StopTable, list[tuple[list, float]]]:
    """Stops, and the (terms, begin) pairs whose sum is the amount in the body."""
    bolus, oral = exponentials({1: 100.0}), exponentials({0: 100.0})
    if kind == "bolus":
        return stop_table((-1, 0.0, ADD, 1, 100.0)), [(bolus, 0.0)]
    if kind == "oral":
        return stop_table((-1, 0.0, ADD, 0, 100.0)), [(oral, 0.0)]
    if kind == "repeated":
        at = [0.0, 12.0, 20.0]
        return stop_table(*[(-1, t, ADD, 0, 100.0) for t in at]), [(oral, t) for t in at]
    # an infusion of 100 mg/h over 2 h: the integral of the bolus, from 0 and less the same from 2 h
    steady = [(size / rate, 0.0) for size, rate in bolus]
    fading = [(-size / rate, rate) for size, rate in bolus]
    stops = stop_table((-1, 0.0, RATE, 1, 100.0), (-1, 2.0, RATE, 1, -100.0))
    minus = [(-size, rate) for size, rate in (*steady, *fading)]
    return stops, [([*steady, *fading], 0.0), (minus, 2.0)]
