"""The same population the diffeqpy way and the pbpk_hybrid way.

    python examples/from_diffeqpy.py [number of people]

A 15-state whole-body model: 100 mg by mouth, saturable metabolism in the liver, every
person with a body of their own.

1. diffeqpy, right-hand side in Python. Julia calls back into Python for every evaluation
  and cannot differentiate it.
2. diffeqpy, right-hand side in Julia (`ode.seval`). Fast, but the model is now text,
   doses are jumps you place yourself, and every person is a solve of its own with a dense
   Jacobian.
3. pbpk_hybrid. The model is a `System`, doses are a regimen, all people are one call, the
   result is a labelled Dataset. With backend="julia" the integrator is the same Rodas5P
   of OrdinaryDiffEq, with subjects packed side by side and linear systems solved along
   the body's graph; backend="embedded" needs no Julia.

Needs diffeqpy and Julia (`pip install ".[diffeqpy]"`) for 1 and 2; what is missing is
skipped and named.
"""

from __future__ import annotations

import sys
import time

import numpy as np

import pbpk_hybrid as ph
from pbpk_hybrid.models.system.examples import yardstick_parameters, yardstick_system

TIMES = np.linspace(0.0, 24.0, 97)
RTOL, ATOL, DOSE = 1e-6, 1e-9, 100.0
ORGANS = (
    "lung",
    "heart",
    "brain",
    "muscle",
    "adipose",
    "skin",
    "bone",
    "kidney",
    "gut",
    "spleen",
    "liver",
    "rest",
)
VOLUME = np.array([0.5, 0.33, 1.45, 29.0, 14.5, 3.3, 10.5, 0.31, 1.1, 0.15, 1.8, 4.0])
KP = np.array([0.8, 2.5, 1.5, 1.8, 15.0, 2.0, 1.0, 3.0, 2.5, 2.0, 4.0, 1.5])
FLOW = np.array([0.0, 0.04, 0.12, 0.17, 0.05, 0.05, 0.05, 0.19, 0.16, 0.03, 0.065, 0.075])
#: y = (gut lumen, arterial blood, venous blood, then the organs); p = (weight, ka, Vmax,
#: Km, renal clearance, Kp scale)

JULIA = """
function (dy, y, p, t)
    weight, ka, vmax, km, renal, scale = p
    size = weight/70; output = 390*size^0.75
    arterial, venous = y[2]/(1.7*size), y[3]/(3.4*size)
    volume = %s
    flow = %s
    c(i) = y[3 + i]/(volume[i]*size*scale)
    q(i) = flow[i]*output
    dy[1] = -ka*y[1]
    dy[2] = output*(c(1) - arterial)
    dy[4] = output*(venous - c(1))
    for i in 2:12
        dy[3 + i] = q(i)*(arterial - c(i))
    end
    dy[12] += ka*y[1]
    dy[11] -= renal*c(8)
    liver_flow = q(9) + q(10) + q(11)
    dy[14] = q(11)*arterial + q(9)*c(9) + q(10)*c(10) - liver_flow*c(11) - vmax*c(11)/(km + c(11))
    dy[3] = liver_flow*c(11) + sum(q(i)*c(i) for i in (2, 3, 4, 5, 6, 7, 8, 12)) - output*venous
    return nothing
end
"""


def flow() -> np.ndarray:
    out = FLOW.copy()
    out[11] += 1.0 - out.sum()
    return out


def python_rhs(y, p, t):
    weight, ka, vmax, km, renal, scale = p
    size = weight / 70.0
    output = 390.0 * size**0.75
    y = np.asarray(y)
    arterial, venous, c, q = (
        y[1] / (1.7 * size),
        y[2] / (3.4 * size),
        y[3:] / (VOLUME * KP * size * scale),
        flow() * output,
    )
    dy = np.empty(15)
    dy[0] = -ka * y[0]
    dy[1] = output * (c[0] - arterial)
    dy[3] = output * (venous - c[0])
    dy[4:] = q[1:] * (arterial - c[1:])
    dy[11] += ka * y[0]
    dy[10] -= renal * c[7]
    liver_flow = q[8] + q[9] + q[10]
    dy[13] = (
        q[10] * arterial
        + q[8] * c[8]
        + q[9] * c[9]
        - liver_flow * c[10]
        - vmax * c[10] / (km + c[10])
    )
    others = [1, 2, 3, 4, 5, 6, 7, 11]
    dy[2] = liver_flow * c[10] + q[others] @ c[others] - output * venous
    return dy.tolist()


def julia_rhs(ode):
    """Compiled once; every `seval` makes a new function."""
    numbers = [
        "[" + ", ".join(repr(float(v)) for v in values) + "]" for values in (VOLUME * KP, flow())
    ]
    return ode.seval(JULIA % tuple(numbers))


def with_diffeqpy(ode, rhs, people: np.ndarray) -> np.ndarray:
    """(people, times, states) amounts [mg]."""
    start = np.zeros(15)
    start[0] = DOSE
    method = ode.Rodas5P()
    if rhs is python_rhs:
        method = ode.Rodas5P(autodiff=ode.AutoFiniteDiff())
        people, start = people.tolist(), start.tolist()  # a Python function wants lists
    problem = ode.ODEProblem(rhs, start, (0.0, 24.0), people[0])
    solve = lambda p: ode.solve(
        ode.remake(problem, p=p), method, reltol=RTOL, abstol=ATOL, saveat=TIMES
    )
    return np.array([np.asarray(ode.stack(solve(p).u)).T for p in people])


def with_pbpk_hybrid(n: int, backend: str) -> np.ndarray:
    """(people, times, organs) amounts [mg]."""
    result = ph.simulate_system(
        yardstick_system(n),
        f"{DOSE:g} mg oral",
        TIMES,
        compartments=ORGANS,
        backend=backend,
        options=ph.SolverOptions(rtol=RTOL, atol=ATOL, threads=1),
    )
    return result["amount"].values


def main(n: int = 200) -> None:
    people = np.stack(list(yardstick_parameters(n).values()), axis=1)
    expected = with_pbpk_hybrid(n, "embedded")

    def report(name: str, run, count: int) -> None:
        run()  # compile
        began = time.perf_counter()
        amounts = run()
        each = (time.perf_counter() - began) / count
        apart = np.max(np.abs(amounts[..., -12:] - expected[:count]) / (expected[:count] + 1e-4))
        print(f"{name:42} {each * 1e6:12,.0f} us per person   differs by {apart:.0e}")

    try:
        from diffeqpy import ode
    except ImportError as err:
        print(f"diffeqpy skipped: {err}")
    else:
        report(
            "diffeqpy, right-hand side in Python",
            lambda: with_diffeqpy(ode, python_rhs, people[:2]),
            2,
        )
        compiled = julia_rhs(ode)
        report(
            "diffeqpy, right-hand side in Julia", lambda: with_diffeqpy(ode, compiled, people), n
        )
    for backend in ("julia", "embedded"):
        try:
            report(f"pbpk_hybrid, backend={backend!r}", lambda b=backend: with_pbpk_hybrid(n, b), n)
        except ph.BackendUnavailableError as err:
            print(f"{backend} skipped: {err}")


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:]))
