"""Which backend runs: what the user names, else what PBPK_HYBRID_BACKEND names, else Julia if it is ready, else embedded."""

from __future__ import annotations

import os
from functools import cache

from .._core.arguments import check_choice
from .._core.errors import BackendUnavailableError, unknown_name
from .base import Availability, Backend

BACKENDS = ("embedded", "julia")


def get_backend(name: str) -> Backend:
    """The backend of that name, whether or not it can run here.

    Raises
    ------
    UnknownNameError : there is none of that name
    """
    check_choice("backend", name, ("auto", *BACKENDS), what="a backend")
    if name == "embedded":
        from .embedded.backend import EmbeddedBackend

        return EmbeddedBackend()
    if name == "julia":
        from .julia.backend import JuliaBackend

        return JuliaBackend()
    raise unknown_name("backend", name, ("auto", *BACKENDS), what="a backend")


def availability(name: str) -> Availability:
    """Whether a backend can run here, and why (not). Never downloads or starts anything.

    Remembered until what it depends on changes: a set-up of Julia, here or in another process, is seen at once.
    """
    if name != "julia":
        return _looked_up(name, ())
    from .julia.runtime import stamp

    return _looked_up(name, stamp())


@cache
def _looked_up(name: str, stamp: tuple[object, ...]) -> Availability:
    return get_backend(name).available()


def choose_backend(name: str = "auto") -> tuple[Backend, str]:
    """The backend to use and the reason for the choice.

    Raises
    ------
    UnknownNameError : an unknown name
    BackendUnavailableError : the backend was named and cannot run here
    """
    check_choice("backend", name, ("auto", *BACKENDS), what="a backend")
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
    julia = availability("julia")
    if julia.ok:
        return get_backend("julia"), f"Julia is ready ({julia.reason})"
    return get_backend("embedded"), f"Julia is not used: {julia.reason}"
