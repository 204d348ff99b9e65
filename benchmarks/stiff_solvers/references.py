"""Compute and check the reference solutions: python benchmarks/stiff_solvers/references.py [NAME ...]

Two codes that share nothing, at tolerances near rounding: Radau IIA and LSODA of SciPy; matrix exponentials where the
model is linear. Kept is Radau's (the exact one is made
anew where it is needed); the file says by how much the two differ, and how far the last time is from the
published values where there are any.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from stiff_problems import N_REFERENCE, PROBLEMS, REFERENCES, StiffProblem

TIGHT = 3e-14


def compute(p: StiffProblem, subject: int, method: str) -> np.ndarray:
    from scipy.integrate import solve_ivp

    f, q = p.python_rhs(), p.parameters(subject + 1)[subject].tolist()

    solution = solve_ivp(
        lambda t, y: f(y.tolist(), q),
        (p.times[0], p.times[-1]),
        p.y0,
        method,
        p.times,
        rtol=TIGHT,
        atol=TIGHT * p.atol * 1e-3,
        jac=_jacobian(p, subject) if method != "LSODA" else None,
    )
    if not solution.success:
        raise RuntimeError(f"{p.name}: {method}: {solution.message}")
    return solution.y.T


def _jacobian(p: StiffProblem, subject: int):
    s = p.system.take([subject] if p.system.n_subjects > 1 else [0])
    k = s.matrix()

    def jac(t, y):
        j = k.copy()
        for r in s.reactions:
            for of in dict.fromkeys(r.reactants):
                moved = y.astype(complex)
                moved[of] += 1e-30j
                slope = r.rate(moved, r.parameters[0]).imag / 1e-30
                for to, gain in r.stoichiometry.items():
                    j[to, of] += gain * slope
        return j

    return jac


def main(names) -> None:
    REFERENCES.mkdir(exist_ok=True)
    for name in names or PROBLEMS:
        p = PROBLEMS[name]()
        count = min(N_REFERENCE, p.system.n_subjects)
        kept = "matrix exponential" if p.system.linear else "Radau IIA (SciPy)"
        first = (
            p.reference
            if p.system.linear
            else np.array([compute(p, k, "Radau") for k in range(count)])
        )
        second = np.array([compute(p, k, "LSODA") for k in range(count)])
        floor = (
            p.floor
            if name not in ("rober", "orego", "hires", "pollu")
            else 1e-3 * np.abs(first).max(axis=(0, 1))
        )
        apart = float(np.max(np.abs(first - second) / (np.abs(first) + floor)))
        facts = {
            "problem": p.title,
            "source": p.source,
            "kept": kept,
            "second": "LSODA (SciPy)",
            "rtol": TIGHT,
            "largest_relative_difference_of_the_two": apart,
            "times": p.times.tolist(),
        }
        if p.published is not None:
            off = np.abs(first[0, -1] - p.published) / np.abs(p.published)
            facts["largest_relative_difference_from_published_end"] = float(off.max())
        print(name, {k: v for k, v in facts.items() if "difference" in k})
        if not p.system.linear:
            facts["values"] = first.tolist()
        (REFERENCES / f"{name}.json").write_text(json.dumps(facts) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
