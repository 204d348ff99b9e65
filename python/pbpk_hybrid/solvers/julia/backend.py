"""The Julia backend: OrdinaryDiffEq through juliacall. Not part of this release; it says so instead of pretending."""

from __future__ import annotations

from ..._core.errors import BackendUnavailableError
from ..base import Availability, Problem, SolverOptions, Trajectories


class JuliaBackend:
    name = "julia"

    def available(self) -> Availability:
        return Availability(False, "the Julia backend is not part of this release")

    def solve(self, problem: Problem, options: SolverOptions, progress=None) -> Trajectories:
        raise BackendUnavailableError(self.available().reason)
