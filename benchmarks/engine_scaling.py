"""How does the cost of one step grow with the number of organs?

    python benchmarks/engine_scaling.py [--quick]

Two families. "Divided yardstick": every organ of the yardstick but lung and liver is cut into equal parts in parallel, so
that the solution (hence the steps) and the reactions stay and only the number of states grows. "Random circulations":
`random_system` with the same number of reactions. Cost is CPU time on one core (fastest of the repeats) per subject and step
(accepted or refused), one compartment saved at 97 times.
"""

from __future__ import annotations

import numpy as np
from _harness import Report, arguments, interleave
from _yardstick import DOSE, TIMES, ours, system

from pbpk_hybrid.models.system.examples import random_system
from pbpk_hybrid.models.system.system import Reaction, System
from pbpk_hybrid.solvers.base import ADD, Problem, StopTable

SIZES = (15, 30, 60, 100, 150)
_WHOLE = ("gut_lumen", "arterial_blood", "venous_blood", "lung", "liver")


def divided_yardstick(n_states: int, n_subjects: int) -> System:
    """The yardstick with `n_states` states: its divisible organs are cut into equal parallel parts."""
    base = system(n_subjects)
    organs = [s for s in base.states if s not in _WHOLE]
    parts = {s: 1 for s in base.states}
    for extra in range(n_states - base.n_states):
        parts[organs[extra % len(organs)]] += 1
    states = [f"{s}_{i}" if parts[s] > 1 else s for s in base.states for i in range(parts[s])]
    places = {}
    at = 0
    for s in base.states:
        places[s] = range(at, at + parts[s])
        at += parts[s]
    row, column, value = [], [], []
    for e, (i, j) in enumerate(zip(base.k_row, base.k_col, strict=True)):
        to, source = base.states[i], base.states[j]
        for a in places[to]:
            for b in places[source]:
                if to == source and a != b:
                    continue
                row.append(a)
                column.append(b)
                # what flows into an organ is shared among its parts; what leaves a part is proportional to what it holds
                value.append(base.k_value[:, e] / (1 if to == source else parts[to]))
    (r,) = base.reactions
    (liver,) = places["liver"]
    reaction = Reaction(r.name, r.law, (liver,), {liver: -1.0}, r.parameters)
    return System(states, row, column, np.stack(value, axis=1), (reaction,), n_subjects=n_subjects)


def _problem(model: System, target: str, saved: str) -> Problem:
    stop = StopTable(
        np.array([-1]),
        np.zeros(1),
        np.array([ADD]),
        np.array([model.states.index(target)]),
        np.array([DOSE]),
    )
    return Problem(model, stop, TIMES, (saved,))


def main() -> None:
    asked = arguments(__doc__)
    n, turns = (64, 3) if asked.quick else (256, 15)
    report = Report(
        "engine_scaling", "Cost against the number of organs", __doc__.split("\n\n", 2)[2].strip()
    )
    families = {
        "divided yardstick": {
            m: _problem(divided_yardstick(m, n), "gut_lumen", "venous_blood") for m in SIZES
        },
        # two blood pools, a bound form and a sink come on top of the organs
        "random circulations": {
            m: _problem(random_system(m - 2, 1, n, 1, closed=False), "venous_blood", "venous_blood")
            for m in SIZES
        },
    }
    runs, steps = {}, {}
    for family, problems in families.items():
        for m, p in problems.items():
            runs[family, m] = ours(p, threads=1)
            steps[family, m] = int(runs[family, m]().steps.sum())
    times = interleave(runs, turns)
    cost = {key: times[key].cpu / steps[key] * 1e9 for key in runs}
    for family, problems in families.items():
        rows = [
            (
                m,
                p.system.n_states,
                p.system.plan.n_entries,
                p.system.plan.n_multiply_subtract,
                steps[family, m] / n,
                times[family, m].cpu / n * 1e6,
                cost[family, m],
                cost[family, m] / p.system.n_states,
                cost[family, m] / cost[family, SIZES[0]],
            )
            for m, p in problems.items()
        ]
        report.table(
            family.capitalize(),
            (
                "organs",
                "states",
                "LU entries",
                "multiply-subtracts per factorisation",
                "steps per subject",
                "us/subject",
                "ns per subject and step",
                "ns per subject, step and state",
                "times that at 15",
            ),
            rows,
        )
        report.target(
            f"cost per subject and step at 150 organs / at 15, {family}", rows[-1][-1], 12.0
        )
    _draw(report, cost, families, asked.out)
    report.finish(asked.out)


def _draw(report: Report, cost, families, out) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4))
    for family in families:
        axes.plot(SIZES, [cost[family, m] / 1e3 for m in SIZES], "o-", label=family)
    start = cost["divided yardstick", SIZES[0]] / 1e3
    axes.plot(
        SIZES,
        [start * m / SIZES[0] for m in SIZES],
        ":",
        color="grey",
        label="proportional to organs",
    )
    axes.plot(SIZES[-1], 12 * start, "v", color="black", label="limit at 150: 12 x that at 15")
    axes.set(xscale="log", yscale="log", xlabel="organs", ylabel="us per subject and step")
    axes.set_xticks(SIZES, [str(m) for m in SIZES])
    axes.minorticks_off()
    axes.legend(frameon=False)
    report.picture(figure, "cost per subject and step against the number of organs", out)


if __name__ == "__main__":
    main()
