"""Whether a result keeps the signs that amounts have.

A mass balance can be perfect while one state runs below zero and another holds more than
was given: a Michaelis-Menten term stepped over at a <= -Km turns the elimination into a
source (closed forms and other solvers at the same tolerance do the same: SciPy's LSODA,
BDF and Radau). So every backend's result is judged by its signs as well.
"""

from __future__ import annotations

import numpy as np

from ..models.system.system import System
from .base import Problem, SolverOptions, Status, Trajectories

#: An amount may be below zero by so many times the tolerance of a step (absolute, plus
#: relative to what was given). An error of a step is a root mean square over the states,
#: so one state may have sqrt(n) times it, and errors of several steps add up; what is
#: left of the factor is margin.
MARGIN = 10.0
_ROUNDING = 1e-10  # of what was given: never judge closer than this


def allowed_below_zero(
    problem: Problem, options: SolverOptions, result: Trajectories
) -> np.ndarray:
    """(n_subjects,) [mg] how far below zero an amount may be by the tolerance that was
    asked for.
    """
    held = np.maximum(
        problem.stops.dose_scale(problem.system.n_subjects), np.abs(problem.start).max(axis=1)
    )
    with np.errstate(invalid="ignore"):
        held = np.fmax(held, np.fmax.reduce(result.given, axis=1))
        if problem.system.events is not None:
            # events give doses too, which only the amounts show
            held = np.fmax(held, np.fmax.reduce(np.abs(result.amount), axis=(1, 2)))
    step = problem.tolerance(options) + options.rtol * held
    return np.maximum(MARGIN * step, _ROUNDING * held)


def judge_signs(
    problem: Problem,
    options: SolverOptions,
    result: Trajectories,
    lowest: np.ndarray | None = None,
) -> None:
    """Set NEGATIVE_AMOUNT where an amount fell below zero, and make the subject's values
    NaN as for other failures.

    Parameters
    ----------
    lowest : (n_subjects,) [mg] smallest amount that the integrator met in the guarded
        states, after any step; None: the saved amounts are looked at. The last state is
        in either case.
    """
    guarded = problem.system.guarded
    if not guarded.size:
        return
    smallest = result.final[:, guarded].min(axis=1)
    if lowest is not None:
        smallest = np.minimum(smallest, lowest)
    else:
        amounts = set(guarded.tolist())
        sums = [
            o
            for o, terms in enumerate(problem.saved_terms())
            if all(weight > 0 and state in amounts for state, weight in terms)
        ]
        if sums:
            smallest = np.minimum(smallest, result.amount.min(axis=1)[:, sums].min(axis=1))
    bad = (result.status == Status.SUCCESS) & (
        smallest < -allowed_below_zero(problem, options, result)
    )
    if bad.any():
        result.status[bad] = Status.NEGATIVE_AMOUNT
        of_time = (result.amount, result.balance, result.sensitivity, result.area, result.moment)
        for values in (result.final, *of_time):
            if values is not None:
                values[bad] = np.nan


def why_negative(system: System, subject: int) -> str:
    """What to change in a subject whose amounts fell below zero: the constant at fault by
    name, or the coefficients.
    """
    text = "an amount fell below zero, beyond what the tolerance explains"
    constants = []
    for r in system.reactions:
        p = r.parameters[subject if len(r.parameters) > 1 else 0]
        if half := r.rate_law.half_constant(p, r.parameter_names, r.name):
            constants.append(half)
    if constants:
        size, name = min(constants)
        return (
            f"{text}: a step led over the bend of a saturable process; take a smaller rtol "
            f"(SolverOptions(rtol=1e-10)), or a larger {name}, which is {size:.3g} mg as an "
            "amount here"
        )
    if system.linear:
        return (
            f"{text}: the model takes from a compartment what another one holds, and more than "
            "there is (e.g. filtration "
            "greater than the plasma flow to the kidney); look at this subject's flows and "
            "clearances"
        )
    return (
        f"{text}; take a smaller rtol (SolverOptions(rtol=1e-10)), or look at this "
        "subject's rate constants"
    )


__all__ = ["allowed_below_zero", "judge_signs", "why_negative"]
