"""`pbpk-hybrid julia setup` and `pbpk-hybrid julia status`: installing Julia and its
packages, and saying what is there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from ..._core.errors import BackendUnavailableError
from ..._core.optional import require
from . import runtime

_PLAN = """This installs, into {project}:
  - Julia {julia} (about 200 MB to download), unless a fitting one is found,
  - the Julia packages OrdinaryDiffEq (its stiff solvers), PythonCall and PBPKHybrid
    with what they need,
and compiles them (five to fifteen minutes). Nothing is installed outside that
folder and Julia's own depot."""


def status() -> dict[str, Any]:
    """What is known about Julia here, without downloading or starting anything.

    Returns
    -------
    dict of ready, reason, juliacall (version or None), executable, project, threads, and,
    if Julia runs, versions
    """
    state = runtime.available()
    facts: dict[str, Any] = {
        "ready": state.ok,
        "reason": state.reason,
        "juliacall": _version("juliacall"),
    }
    facts["executable"] = os.environ.get("PYTHON_JULIACALL_EXE") or None
    facts["project"] = os.environ.get("PYTHON_JULIACALL_PROJECT") or None
    if facts["executable"] is None and facts["juliacall"] is not None:
        try:
            import juliapkg

            facts["project"] = juliapkg.project()
            facts["executable"] = juliapkg.executable() if state.ok else None
        except Exception as err:  # juliapkg raises plain exceptions
            facts["reason"] = f"{state.reason} ({err})"
    facts["threads"] = runtime.threads()
    if found := runtime.versions():
        facts["versions"] = found
    return facts


def setup(confirm: Callable[[str], bool], say: Callable[[str], None] = lambda _: None) -> bool:
    """Install Julia and its packages, compile them, and integrate one small system.

    Parameters
    ----------
    confirm : called with a text that says what would be downloaded and where to; nothing
        happens unless it returns True
    say : called with a line per stage

    Returns
    -------
    bool : False if the user declined

    Raises
    ------
    MissingDependencyError : juliacall is not installed
    BackendUnavailableError : the installation failed; the reason is in ``__cause__``
    """
    juliapkg = require("juliapkg", "julia", "setting Julia up")
    if not runtime.available().ok:
        if os.environ.get("PYTHON_JULIACALL_EXE") or os.environ.get("PYTHON_JULIACALL_PROJECT"):
            raise BackendUnavailableError(
                f"{runtime.available().reason}; setup does not touch a Julia named by "
                "PYTHON_JULIACALL_EXE"
            )
        if not confirm(_PLAN.format(project=juliapkg.project(), julia="1.10 or later")):
            return False
        say("resolving and installing (Julia prints its own progress)")
        try:
            juliapkg.resolve()
        except Exception as err:  # juliapkg raises plain exceptions
            raise BackendUnavailableError(f"Julia could not be installed: {err}") from err
    say("compiling and integrating a small system")
    _first_solve()
    say("Julia is ready")
    return True


def _first_solve() -> None:
    """In a process of its own, so that this one keeps its threads and signals."""
    code = "from pbpk_hybrid.solvers.julia.backend import warm_up; warm_up()"
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, stderr=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise BackendUnavailableError(
            "Julia was installed but its first solve failed"
        ) from RuntimeError(done.stderr)


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None
