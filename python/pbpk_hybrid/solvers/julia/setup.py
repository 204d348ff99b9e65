"""`pbpk-hybrid julia setup` and `pbpk-hybrid julia status`: installing Julia and its
packages, and saying what is there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..._core.errors import BackendUnavailableError
from ..._core.optional import require
from . import runtime

#: how the reason starts where juliapkg has set Julia up
_FOUND = "Julia at "
_PLAN = """This installs, into {project}:
  - Julia {julia} (about 200 MB to download), unless a fitting one is found,
  - these Julia packages, and what they need (about 150 packages in all):
{packages}
and compiles them (five to fifteen minutes). Nothing is installed outside that
folder and Julia's own depot, {depot}."""


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
    if facts["executable"] is None:
        # juliapkg.project() and juliapkg.executable() would install what is missing
        facts["project"] = runtime.juliapkg_state().get("project")
        if state.ok and state.reason.startswith(_FOUND):
            facts["executable"] = state.reason.removeprefix(_FOUND)
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
        if not confirm(plan()):
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


def plan() -> str:
    """What :func:`setup` would install, and where to. Reads files; resolves and writes nothing."""
    state = runtime.juliapkg_state()
    julia, packages = _asked_for()
    return _PLAN.format(
        project=state.get("project", "juliapkg's folder"),
        julia=" and ".join(sorted(julia)) or "of any version",
        packages="\n".join(f"      {line}" for line in packages),
        depot=state.get("depot", "~/.julia"),
    )


def _asked_for() -> tuple[set[str], list[str]]:
    """Bounds on Julia, and a line per file that asks for packages: every installed Python
    package may hold one.
    """
    try:
        from juliapkg.deps import deps_files

        files = [Path(name) for name in deps_files()]
    except ImportError:
        files = [Path(__file__).parents[2] / "juliapkg.json"]
    bounds, lines = set(), []
    for path in sorted(files):
        asked = json.loads(path.read_text(encoding="utf-8"))
        bounds |= {asked["julia"]} if "julia" in asked else set()
        names = [_with_parts(path, *package) for package in asked.get("packages", {}).items()]
        lines += [f"{', '.join(names)} (asked for by {path.parent.name})"] if names else []
    return bounds, lines


def _with_parts(path: Path, name: str, entry: dict[str, Any]) -> str:
    """A package, and what it stands on where its own Project.toml lies beside Python's files."""
    project = path.parent / entry["path"] / "Project.toml" if "path" in entry else None
    if project is None or not project.exists():
        return name
    parts = tomllib.loads(project.read_text(encoding="utf-8"))["deps"]
    return f"{name} with {', '.join(sorted(parts))}"


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
