"""What do sensitivities cost, compared with the plain solve?

    python benchmarks/engine_sensitivities.py [--quick]

Forward sensitivities by 4, 8, 12 and 20 parameters on one core, next to the plain solve of the same subjects in the same
turns: on the yardstick (entries of K, Vmax, Km), and on the whole-body model of midazolam, whose named parameters (flow,
volume, Kp, ...) each touch several entries.
"""

from __future__ import annotations

import numpy as np
from _harness import Report, arguments, interleave
from _yardstick import DOSE, STATES, TIMES, ours, problem

import pbpk_hybrid as ph
from pbpk_hybrid.models.system.derivatives import parameter_names
from pbpk_hybrid.solvers.base import ADD, Problem, StopTable

COUNTS = (4, 8, 12, 20)
NAMED = (
    "clint.liver",
    "fraction_unbound_plasma",
    "blood_to_plasma_ratio",
    "absorption_rate",
    "kp.adipose",
    "kp.muscle",
    "kp.liver",
    "kp.kidney",
    "kp.gut",
    "kp.skin",
    "kp.brain",
    "kp.lung",
    "flow.liver",
    "flow.kidney",
    "flow.muscle",
    "flow.gut",
    "volume.adipose",
    "volume.muscle",
    "volume.liver",
    "clearance_renal",
)


def whole_body(n: int, saved: tuple[str, ...] | None, parameters: tuple[str, ...]) -> Problem:
    people = ph.sample_population(n, seed=1)
    model = ph.whole_body_system(ph.get_compound("midazolam"), people)
    stop = StopTable(
        np.array([-1]),
        np.zeros(1),
        np.array([ADD]),
        np.array([model.targets["oral"]]),
        np.array([DOSE]),
    )
    return Problem(model, stop, TIMES, saved or tuple(model.states), parameters=parameters)


def main() -> None:
    asked = arguments(__doc__)
    n, turns = (80, 3) if asked.quick else (800, 12)
    report = Report(
        "engine_sensitivities", "Cost of sensitivities", __doc__.split("\n\n", 2)[2].strip()
    )
    names = parameter_names(problem(1).system)
    names = names[:18] + names[-2:]
    cases = {
        "yardstick, venous blood saved": lambda q: problem(
            n, ("venous_blood",), names[20 - q :] if q else ()
        ),
        "yardstick, all 15 states saved": lambda q: problem(
            n, STATES, names[20 - q :] if q else ()
        ),
        "midazolam, plasma saved": lambda q: whole_body(n, ("plasma",), NAMED[:q]),
    }
    for title, build in cases.items():
        subjects = (
            n if len(build(0).saved) == 1 else n // 2
        )  # all states x 20 parameters: memory, not time, sets the number
        if subjects != n:
            build = lambda q, m=subjects: problem(m, STATES, names[20 - q :] if q else ())
        runs = {q: ours(build(q), threads=1) for q in (0, *COUNTS)}
        times = interleave(runs, turns)
        rows = [
            (
                q,
                times[q].cpu / subjects * 1e6,
                times[q].median_wall / subjects * 1e6,
                times[q].cpu / times[0].cpu,
                (times[q].cpu - times[0].cpu) / times[0].cpu / q if q else np.nan,
            )
            for q in runs
        ]
        report.table(
            title[0].upper() + title[1:],
            (
                "parameters",
                "us/subject (CPU time, fastest)",
                "wall, median",
                "times the plain solve",
                "plain solves per parameter",
            ),
            rows,
        )
        report.target(f"20 parameters / plain solve: {title}", rows[-1][3], 8.0)
    report.finish(asked.out)


if __name__ == "__main__":
    main()
