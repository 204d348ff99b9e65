"""The Julia backend: packs of subjects on OrdinaryDiffEq's methods, by the same contract
as the embedded one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..base import Availability, Problem, SolverOptions, Status, Trajectories, smallest_problem
from ..signs import judge_signs
from ..threads import thread_count

if TYPE_CHECKING:
    from .convert import FlatProblem

#: one call into Julia lasts about this long [s]; between calls Ctrl-C and progress are served
_TURN = 0.2
#: subjects per pack, as in julia/src/population.jl
LANES = 8


class JuliaBackend:
    """Lane-packed, graph-sparse integration by OrdinaryDiffEq, through juliacall.

    Beside the methods of the embedded backend: "fbdf", "kencarp47" and "tsit5".
    Sensitivities are the embedded backend's: a problem with `parameters` is solved there,
    and the facts of the result say so.
    """

    name = "julia"
    integrates_areas = False

    def available(self) -> Availability:
        """Whether Julia is set up, and why not."""
        from . import runtime

        return runtime.available()

    def solve(
        self,
        problem: Problem,
        options: SolverOptions,
        progress: Callable[[int], None] | None = None,
    ) -> Trajectories:
        """Integrate all subjects; see :class:`Trajectories`.

        `progress` is called with numbers of finished subjects.

        Raises
        ------
        InputError : method "expm" on a system with reactions
        BackendUnavailableError : Julia cannot be started, or the system has events that
            wait for each other
        SolveError : Julia stopped with an error; its trace is in ``__cause__``
        """
        if options.method == "expm":
            from ..expm import solve_exactly

            return solve_exactly(problem, options, progress)
        if problem.parameters:
            return _with_sensitivities(problem, options, progress)
        from . import runtime
        from .convert import flatten
        from .expressions import refuse_queues

        refuse_queues(problem.system)
        runtime.start()
        flat = flatten(problem, options)
        # 1 is this thread and no task; 0 is that and no garbage collection
        threads = (
            min(thread_count(options.threads), runtime.threads())
            if runtime.at_home()
            else int(runtime.may_collect())
        )
        _in_turns(flat, options.integrator, threads, progress)
        result = flat.result
        judge_signs(problem, options, result)
        result.facts.update(
            backend="julia",
            method=options.integrator,
            rtol=options.rtol,
            lanes=LANES,
            atol=options.atol_fact,
            method_reference=_REFERENCES[options.integrator],
            backend_version=", ".join(f"{k} {v}" for k, v in runtime.versions().items()),
        )
        return result


_REFERENCES = {
    "rodas5p": "Steinebach (2023) BIT 63:27, doi:10.1007/s10543-023-00967-x",
    "rodas4": "Hairer & Wanner (1996), Solving ODEs II, IV.7",
    "rodas4p": "Steinebach (1995), TH Darmstadt preprint 1741",
    "fbdf": (
        "Shampine (2002) SIAM J Sci Comput 24:89, fixed-leading-coefficient BDF of OrdinaryDiffEq"
    ),
    "kencarp47": "Kennedy & Carpenter (2019) Appl Numer Math 136:183",
    "tsit5": "Tsitouras (2011) Comput Math Appl 62:770",
}


def _in_turns(flat: FlatProblem, method: str, threads: int, progress) -> None:
    """Call Julia for the next `_TURN` until all subjects are done; a pack that has begun is
    finished.
    """
    from . import runtime

    first, n_subjects = 1, len(flat.result.status)
    while first <= n_subjects:
        runtime.call("solve_flat", flat.address, method, threads, first, round(1000 * _TURN))
        if progress is not None:
            progress(flat.last_done - first + 1)
        first = flat.last_done + 1


def _with_sensitivities(problem: Problem, options: SolverOptions, progress) -> Trajectories:
    """The embedded backend's answer, marked as such."""
    from ..embedded.backend import EmbeddedBackend

    result = EmbeddedBackend().solve(problem, options, progress)
    result.facts["backend_note"] = (
        "asked of julia; sensitivities are integrated by the embedded backend"
    )
    return result


def warm_up() -> None:
    """Start Julia and run everything `solve` needs once, on a system of two states."""
    result = JuliaBackend().solve(smallest_problem(), SolverOptions())
    if (
        result.status[0] != Status.SUCCESS
    ):  # pragma: no cover - an installation that computes nonsense
        raise RuntimeError("the Julia backend could not integrate a system of two states")
