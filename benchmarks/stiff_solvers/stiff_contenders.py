"""The integrators of the comparison, each set up the way its users would.

A contender's `prepare(problem, count, rtol)` returns a function of no arguments that integrates `count` subjects and returns
(count, n_times, n_states). Contenders of one family share a process; only that process imports the family's packages.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from stiff_problems import StiffProblem

Run = Callable[[], np.ndarray]


class NotHere(Exception):
    """This contender cannot run this problem; the text says why."""


@dataclass(frozen=True)
class Contender:
    """One curve of a diagram.

    Parameters
    ----------
    family : what it needs installed
    many : subjects per call where a problem has many (None: as many as the problem asks for)
    copies : copies per call where a problem has only one subject
    tightest : tolerances below this are not tried, and why is said
    """

    family: str
    name: str
    prepare: Callable[[StiffProblem, int, float], Run]
    many: int | None = None
    copies: int = 1
    tightest: float = 0.0

    def count(self, p: StiffProblem) -> int:
        if p.system.n_subjects == 1:
            return self.copies
        return min(self.many or p.system.n_subjects, p.system.n_subjects)


def _engine(method: str, backend: str):
    def prepare(p: StiffProblem, count: int, rtol: float) -> Run:
        from pbpk_hybrid.solvers.base import SolverOptions

        if method == "expm" and not p.system.linear:
            raise NotHere("linear models only")
        if backend == "julia":
            from pbpk_hybrid.solvers.julia.backend import JuliaBackend as Backend
            from pbpk_hybrid.solvers.julia.runtime import start

            start()
        else:
            from pbpk_hybrid.solvers.embedded.backend import EmbeddedBackend as Backend
        explicit = method == "tsit5"
        options = SolverOptions(
            method=method,
            rtol=max(rtol, 1e-13),
            atol=rtol * p.atol,
            threads=1,
            max_steps=100_000 if explicit else 1_000_000,
        )
        solver, problem = Backend(), p.problem(count)
        run = lambda: solver.solve(problem, options).amount
        if explicit and not np.isfinite(run()).all():
            raise NotHere(f"explicit: more than {options.max_steps:,} steps")
        return run

    return prepare


def _scipy(method: str):
    def prepare(p: StiffProblem, count: int, rtol: float) -> Run:
        from scipy.integrate import solve_ivp

        f, table, span = p.python_rhs(), p.parameters(count).tolist(), (p.times[0], p.times[-1])

        def one(q):
            y = solve_ivp(
                lambda t, y: f(y.tolist(), q),
                span,
                p.y0,
                method,
                p.times,
                rtol=rtol,
                atol=rtol * p.atol,
            ).y.T
            return y if len(y) == len(p.times) else np.full((len(p.times), p.n_states), np.nan)

        return lambda: np.array([one(q) for q in table])

    return prepare


def _odeint(p: StiffProblem, count: int, rtol: float) -> Run:
    from numba import njit
    from scipy.integrate import odeint

    f, table = _compiled_once(p, njit), p.parameters(count)
    args = dict(rtol=rtol, atol=rtol * p.atol, mxstep=100_000)
    return lambda: np.array([odeint(f, p.y0, p.times, (q,), **args) for q in table])


_KEPT: dict = {}


def _compiled_once(p: StiffProblem, njit):
    if ("numba", p.name) not in _KEPT:
        _KEPT["numba", p.name] = njit(p.numba_rhs())
    return _KEPT["numba", p.name]


def _casadi(p: StiffProblem, count: int, rtol: float) -> Run:
    import casadi as ca

    table = p.parameters(count)
    y, q = ca.SX.sym("y", p.n_states), ca.SX.sym("q", table.shape[1])
    ode = ca.vertcat(*p.python_rhs()(ca.vertsplit(y), ca.vertsplit(q)))
    options = {"reltol": rtol, "abstol": rtol * p.atol, "max_num_steps": 1_000_000}
    dae = {"x": y, "p": q, "ode": ode}
    solve = ca.integrator("f", "cvodes", dae, float(p.times[0]), p.times.tolist(), options)
    return lambda: np.array([np.asarray(solve(x0=p.y0, p=v)["xf"]).T for v in table])


def _diffrax(p: StiffProblem, count: int, rtol: float) -> Run:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")
    with one_core():
        jax.devices()
    import diffrax

    if ("diffrax", p.name) not in _KEPT:
        f, y0, times = p.python_rhs(), jnp.asarray(p.y0), jnp.asarray(p.times)

        def one(q, tolerance):
            term = diffrax.ODETerm(
                lambda t, y, q: jnp.stack(f([y[i] for i in range(p.n_states)], q))
            )
            solution = diffrax.diffeqsolve(
                term,
                diffrax.Kvaerno5(),
                p.times[0],
                p.times[-1],
                None,
                y0,
                q,
                saveat=diffrax.SaveAt(ts=times),
                stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance * p.atol),
                max_steps=100_000,
                throw=False,
            )
            return solution.ys

        _KEPT["diffrax", p.name] = jax.jit(jax.vmap(one, in_axes=(0, None)))
    batch, table = _KEPT["diffrax", p.name], jnp.asarray(p.parameters(count))
    return lambda: np.asarray(jax.block_until_ready(batch(table, rtol)))


def _diffeqpy(algorithm: str, julia_rhs: bool):
    """`from diffeqpy import ode`, as its README shows: a problem, remade and solved for each subject."""

    def prepare(p: StiffProblem, count: int, rtol: float) -> Run:
        from diffeqpy import ode

        table, start = p.parameters(count), p.y0
        if julia_rhs:
            if ("julia", p.name) not in _KEPT:  # every seval is a new function to compile
                _KEPT["julia", p.name] = ode.seval(p.julia_rhs())
            f = _KEPT["julia", p.name]
            method = getattr(ode, algorithm)()
        else:
            rhs = p.python_rhs()
            f = lambda y, q, t: rhs(y, q)
            method = getattr(ode, algorithm)(
                autodiff=ode.AutoFiniteDiff()
            )  # Julia cannot differentiate Python
            table, start = (
                table.tolist(),
                start.tolist(),
            )  # lists, as in its README: arrays fail with a Python function
        first = ode.ODEProblem(f, start, (float(p.times[0]), float(p.times[-1])), table[0])
        args = dict(reltol=rtol, abstol=rtol * p.atol, saveat=p.times, maxiters=1_000_000)

        def one(q):
            u = np.asarray(ode.stack(ode.solve(ode.remake(first, p=q), method, **args).u)).T
            return (
                u
                if u.shape == (len(p.times), p.n_states)
                else np.full((len(p.times), p.n_states), np.nan)
            )

        return lambda: np.array([one(q) for q in table])

    return prepare


PACK = 64
"""Copies of a classic problem that the engine integrates in one call, in packs of 8."""

CONTENDERS = (
    *(
        Contender("embedded", f"embedded, {m}", _engine(m, "embedded"), copies=PACK)
        for m in ("rodas5p", "rodas4", "rodas4p")
    ),
    Contender("embedded", "embedded, rodas5p, one subject", _engine("rodas5p", "embedded"), many=1),
    Contender("embedded", "embedded, matrix exponential", _engine("expm", "embedded"), many=8),
    *(
        Contender("julia", f"julia, {m}", _engine(m, "julia"), copies=PACK)
        for m in ("rodas5p", "rodas4p", "fbdf", "kencarp47", "tsit5")
    ),
    Contender("julia", "julia, rodas5p, one subject", _engine("rodas5p", "julia"), many=1),
    *(
        Contender("scipy", f"SciPy solve_ivp {m}, Python rhs", _scipy(m), many=1)
        for m in ("Radau", "BDF", "LSODA")
    ),
    Contender("numba", "SciPy odeint (LSODA), numba rhs", _odeint, many=8),
    Contender("casadi", "CasADi CVODES", _casadi, many=8),
    Contender("diffrax", "diffrax Kvaerno5, vmap", _diffrax, many=8, copies=8, tightest=1e-7),
    Contender("diffeqpy", "diffeqpy Rodas5P, Julia rhs", _diffeqpy("Rodas5P", True), many=8),
    Contender("diffeqpy", "diffeqpy FBDF, Julia rhs", _diffeqpy("FBDF", True), many=8),
    Contender(
        "diffeqpy",
        "diffeqpy Rodas5P, Python rhs",
        _diffeqpy("Rodas5P", False),
        many=1,
        tightest=1e-6,
    ),
)

FAMILIES = tuple(dict.fromkeys(c.family for c in CONTENDERS))
#: what a family needs beside the package, and which versions to state
NEEDS = {
    "embedded": ("numba",),
    "julia": ("juliacall",),
    "scipy": ("scipy",),
    "numba": ("scipy", "numba"),
    "casadi": ("casadi",),
    "diffrax": ("jax", "diffrax"),
    "diffeqpy": ("diffeqpy", "juliacall"),
}


def contender(name: str) -> Contender:
    return next(c for c in CONTENDERS if c.name == name)


def versions(family: str) -> str:
    """Versions of what a family stands on; called after it has run."""
    from importlib.metadata import version

    found = [f"{package} {version(package)}" for package in NEEDS[family]]
    if family == "julia":
        from pbpk_hybrid.solvers.julia.runtime import versions as of_julia

        found += [f"{k} {v}" for k, v in of_julia().items()]
    if family == "diffeqpy":
        from diffeqpy import ode

        found += [
            f"Julia {ode.seval('VERSION')}",
            f"OrdinaryDiffEq {ode.seval('pkgversion(OrdinaryDiffEq)')}",
        ]
    return ", ".join(found)


@contextmanager
def one_core():
    """What is started inside (XLA's pool of threads) sees one core."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if cores:
        os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        if cores:
            os.sched_setaffinity(0, cores)
