"""What the process loads from which workers are forked: imports and the compiled integrator."""

from __future__ import annotations

import contextlib


def _load() -> None:
    import distributed  # noqa: F401
    import zarr  # noqa: F401

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


# an error here would end the server process; a worker meets it again and reports it
with contextlib.suppress(Exception):
    _load()
