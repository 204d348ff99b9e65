"""Loaded once by the process that workers are forked from: the imports and the compiled integrator."""

from __future__ import annotations

import contextlib


def _load() -> None:

    from ..physiology import sample_population
    from ..simulation.single import simulate
    from ..simulation.variability import Variability
    from ..solvers import SolverOptions

    # one thread: a process that has threads must not be forked
    simulate(
        "theophylline",
        "1 mg oral",
        sample_population(2, seed=0),
        [0.0, 1.0],
        variability=Variability(),
        seed=0,
        compartments=("plasma",),
        options=SolverOptions(threads=1),
    )


# whatever fails here fails again where it is asked for, with its message; here it would only take the process down
with contextlib.suppress(Exception):
    _load()
