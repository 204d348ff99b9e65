"""Which backend runs: what the user names, else what PBPK_HYBRID_BACKEND names, else the one
that is done sooner.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from .._core.arguments import check_choice
from .._core.errors import BackendUnavailableError, unknown_name
from .base import JULIA_METHODS, Availability, Backend, SolverOptions

if TYPE_CHECKING:
    from ..models.system.system import System

#: those that "auto" chooses from
BACKENDS = ("embedded", "julia")
#: those that have to be named
ON_DEVICES = ("cuda", "cuda32")


def get_backend(name: str) -> Backend:
    """The backend of that name, whether or not it can run here.

    Raises
    ------
    UnknownNameError : there is none of that name
    """
    check_choice("backend", name, ("auto", *BACKENDS, *ON_DEVICES), what="a backend")
    if name == "embedded":
        from .embedded.backend import EmbeddedBackend

        return EmbeddedBackend()
    if name == "julia":
        from .julia.backend import JuliaBackend

        return JuliaBackend()
    if name in ON_DEVICES:
        from .cuda.backend import CudaBackend

        return CudaBackend(single=name == "cuda32")
    raise unknown_name("backend", name, ("auto", *BACKENDS, *ON_DEVICES), what="a backend")


def availability(name: str) -> Availability:
    """Whether a backend can run here, and why (not). Never downloads or starts anything.

    Remembered until what it depends on changes: a set-up of Julia, here or in another
    process, is seen at once.
    """
    if name != "julia":
        return _looked_up(name, ())
    from .julia.runtime import stamp

    return _looked_up(name, stamp())


@cache
def _looked_up(name: str, stamp: tuple[object, ...]) -> Availability:
    return get_backend(name).available()


@dataclass(frozen=True)
class Workload:
    """What is to be integrated, as far as the choice of a backend depends on it.

    Parameters
    ----------
    n_states, n_subjects : size of the system
    method : of :class:`SolverOptions`
    embedded_only : what only the embedded backend does and this needs, in words; "" for nothing
    """

    n_states: int
    n_subjects: int
    method: str = "rodas5p"
    embedded_only: str = ""


def workload(system: System, options: SolverOptions, sensitivities: Sequence[str]) -> Workload:
    """The workload of a system."""
    queued = system.events is not None and system.events.queue is not None
    needs = "events that wait for each other" if queued else ""
    needs = "sensitivities" if len(sensitivities) else needs
    needs = "method expm" if options.method == "expm" else needs
    return Workload(system.n_states, system.n_subjects, options.integrator, needs)


def choose_backend(name: str = "auto", work: Workload | None = None) -> tuple[Backend, str]:
    """The backend to use and the reason for the choice.

    "auto" takes Julia for the methods that only Julia has, and where it would be done
    sooner: its start, unless it runs already, against what it gains per subject (see
    :func:`seconds`). Without a `work` it is the embedded backend.

    Raises
    ------
    UnknownNameError : an unknown name
    BackendUnavailableError : the backend was named and cannot run here
    """
    check_choice("backend", name, ("auto", *BACKENDS, *ON_DEVICES), what="a backend")
    asked_by = "asked for"
    if name == "auto":
        name = os.environ.get("PBPK_HYBRID_BACKEND", "").strip() or "auto"
        asked_by = "named by PBPK_HYBRID_BACKEND"
    if name != "auto":
        backend = get_backend(name)
        state = availability(name)
        if not state.ok:
            raise BackendUnavailableError(
                f"backend {name!r} was {asked_by} but cannot run here: {state.reason}"
            )
        return backend, f"{asked_by} ({state.reason})"
    chosen, reason = _sooner(work)
    return get_backend(chosen), reason


#: states -> microseconds of CPU time per subject for a 24 h curve at an error of 1e-5, embedded
#: and Julia, in turns on one machine: the yardstick and the permeability-limited model of
#: benchmarks/stiff_solvers (julia/README.md has the conditions)
MEASURED = {15: (22.5, 30.7), 60: (77.0, 104.0)}
#: seconds until the first result of a fresh process, beyond the embedded backend's
JULIA_START = 5.0


def seconds(name: str, work: Workload, running: bool = False) -> float:
    """About how long a backend takes on one core: an estimate from the model's size, for
    comparing backends alone.
    """
    column = BACKENDS.index(name)
    sizes = np.log(list(MEASURED))
    costs = np.log([pair[column] for pair in MEASURED.values()])
    per_subject = 1e-6 * float(np.exp(np.interp(np.log(work.n_states), sizes, costs)))
    start = 0.0 if name == "embedded" or running else JULIA_START
    return start + per_subject * work.n_subjects


def _sooner(work: Workload | None) -> tuple[str, str]:
    """(backend, reason) of "auto"."""
    if work is None:
        return "embedded", "embedded, unless model, size or method speak for Julia"
    if work.embedded_only:
        return "embedded", f"only the embedded backend has {work.embedded_only}"
    julia = availability("julia")
    if work.method in JULIA_METHODS:
        # where Julia is not ready the embedded backend says what its methods are
        wanted = f"only Julia has method {work.method!r}"
        return ("julia", wanted) if julia.ok else ("embedded", f"{wanted}, but {julia.reason}")
    if not julia.ok:
        return "embedded", f"Julia is not used: {julia.reason}"
    from .julia.runtime import is_running

    running = is_running()
    times = {name: seconds(name, work, running) for name in BACKENDS}
    chosen = min(BACKENDS, key=times.__getitem__)  # the embedded one where they are equal
    state = "Julia runs" if running else "Julia would have to start"
    return chosen, (
        f"sooner done: about {times[chosen]:.2g} s, against {max(times.values()):.2g} s, for "
        f"{work.n_subjects} subjects and {work.n_states} states ({state})"
    )
