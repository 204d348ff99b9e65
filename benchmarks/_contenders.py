"""Other people's integrators on the yardstick model, each set up the way its users would: subject by subject, or a batch.

Every factory returns a function of no arguments that integrates `n` subjects and returns (n, 97, 15) amounts in the
order of `_yardstick.STATES`; it raises ImportError if the package is not there.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
from _yardstick import DOSE, STATES, TIMES, parameter_table

_VOLUME = np.array([0.5, 0.33, 1.45, 29.0, 14.5, 3.3, 10.5, 0.31, 1.1, 0.15, 1.8, 4.0])
_FLOW = np.array([0.0, 0.04, 0.12, 0.17, 0.05, 0.05, 0.05, 0.19, 0.16, 0.03, 0.065, 0.075])
_FLOW[11] += 1.0 - _FLOW.sum()
_KP = np.array([0.8, 2.5, 1.5, 1.8, 15.0, 2.0, 1.0, 3.0, 2.5, 2.0, 4.0, 1.5])
_N = len(STATES)
Solver = Callable[[], np.ndarray]


def _start() -> np.ndarray:
    y0 = np.zeros(_N)
    y0[0] = DOSE
    return y0


def _rhs(y, p):
    """dy/dt as a list, from plain arithmetic: works on floats, CasADi symbols and JAX tracers alike."""
    weight, ka, vmax, km, renal, scale = (p[i] for i in range(6))
    size = weight / 70.0
    output = 390.0 * size**0.75
    arterial, venous = y[1] / (1.7 * size), y[2] / (3.4 * size)
    c = [y[3 + i] / (float(_VOLUME[i] * _KP[i]) * size * scale) for i in range(12)]
    q = [float(f) * output for f in _FLOW]
    liver_flow = q[8] + q[9] + q[10]
    out = [None] * _N
    out[0] = -ka * y[0]
    out[1] = output * (c[0] - arterial)
    out[3] = output * (venous - c[0])
    for i in range(1, 12):
        out[3 + i] = q[i] * (arterial - c[i])
    out[11] = out[11] + ka * y[0]
    out[10] = out[10] - renal * c[7]
    out[13] = (
        q[10] * arterial
        + q[8] * c[8]
        + q[9] * c[9]
        - liver_flow * c[10]
        - vmax * c[10] / (km + c[10])
    )
    back = liver_flow * c[10]
    for i in (1, 2, 3, 4, 5, 6, 7, 11):
        back = back + q[i] * c[i]
    out[2] = back - output * venous
    return out


def scipy_lsoda(n: int, rtol: float) -> Solver:
    """solve_ivp(method="LSODA") with a right-hand side in Python, subject by subject."""
    from scipy.integrate import solve_ivp

    table = parameter_table(n).tolist()
    y0 = _start()

    def run():
        return np.array(
            [
                solve_ivp(
                    lambda t, y, p=p: _rhs(y.tolist(), p),
                    (0, 24),
                    y0,
                    "LSODA",
                    TIMES,
                    rtol=rtol,
                    atol=rtol * 1e-3,
                ).y.T
                for p in table
            ]
        )

    return run


def scipy_numba(n: int, rtol: float) -> Solver:
    """odeint (Fortran LSODA) with a right-hand side compiled by numba, subject by subject."""
    from numba import njit
    from scipy.integrate import odeint

    table, y0 = parameter_table(n), _start()
    volume, flow = _VOLUME * _KP, _FLOW

    @njit
    def rhs(y, t, p):
        size = p[0] / 70.0
        output = 390.0 * size**0.75
        arterial, venous = y[1] / (1.7 * size), y[2] / (3.4 * size)
        out = np.empty(15)
        c = np.empty(12)
        for i in range(12):
            c[i] = y[3 + i] / (volume[i] * size * p[5])
        out[0] = -p[1] * y[0]
        out[1] = output * (c[0] - arterial)
        out[3] = output * (venous - c[0])
        back = 0.0
        for i in range(1, 12):
            q = output * flow[i]
            out[3 + i] = q * (arterial - c[i])
            if i != 8 and i != 9 and i != 10:
                back += q * c[i]
        out[11] += p[1] * y[0]
        out[10] -= p[4] * c[7]
        portal = output * (flow[8] * c[8] + flow[9] * c[9])
        leaving = output * (flow[8] + flow[9] + flow[10]) * c[10]
        out[13] = output * flow[10] * arterial + portal - leaving - p[2] * c[10] / (p[3] + c[10])
        out[2] = back + leaving - output * venous
        return out

    def run():
        return np.array(
            [odeint(rhs, y0, TIMES, (p,), rtol=rtol, atol=rtol * 1e-3, mxstep=5000) for p in table]
        )

    return run


def casadi_cvodes(n: int, rtol: float) -> Solver:
    """CasADi's CVODES (BDF, exact sparse Jacobian), subject by subject."""
    import casadi as ca

    y, p = ca.SX.sym("y", _N), ca.SX.sym("p", 6)
    ode = ca.vertcat(*_rhs(ca.vertsplit(y), ca.vertsplit(p)))
    options = {"reltol": rtol, "abstol": rtol * 1e-3, "max_num_steps": 100_000}
    # the start is returned too: CasADi reports the state at every grid point after t0
    solve = ca.integrator("f", "cvodes", {"x": y, "p": p, "ode": ode}, 0.0, TIMES.tolist(), options)
    table, y0 = parameter_table(n), _start()

    def run():
        return np.array([np.asarray(solve(x0=y0, p=q)["xf"]).T for q in table])

    return run


def diffrax_kvaerno5(n: int, rtol: float) -> Solver:
    """diffrax Kvaerno5 (ESDIRK, dense Jacobian), all subjects at once by vmap, 64 bit, one core."""
    # XLA's pool takes as many threads as cores it may use, once, when it starts
    import sys

    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    first = "jax" not in sys.modules
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")
    if first and cores is not None:
        os.sched_setaffinity(0, {min(cores)})
    try:
        jax.devices()
    finally:
        if cores is not None:
            os.sched_setaffinity(0, cores)
    import diffrax

    term = diffrax.ODETerm(lambda t, y, p: jnp.stack(_rhs(y, p)))
    y0 = jnp.asarray(_start())

    def one(p):
        return diffrax.diffeqsolve(
            term,
            diffrax.Kvaerno5(),
            0.0,
            24.0,
            1e-4,
            y0,
            p,
            saveat=diffrax.SaveAt(ts=jnp.asarray(TIMES)),
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=rtol * 1e-3),
            max_steps=100_000,
        ).ys

    batch = jax.jit(jax.vmap(one))
    table = jnp.asarray(parameter_table(n))
    return lambda: np.asarray(jax.block_until_ready(batch(table)))


CONTENDERS = {
    "SciPy solve_ivp LSODA, Python rhs": scipy_lsoda,
    "SciPy odeint (LSODA), numba rhs": scipy_numba,
    "CasADi CVODES": casadi_cvodes,
    "diffrax Kvaerno5, vmap": diffrax_kvaerno5,
}
