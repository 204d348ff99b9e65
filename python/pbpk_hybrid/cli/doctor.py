"""``pbpk-hybrid doctor``: what is installed, and which backend would run and why."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Debug
from .terminal import NOT_AVAILABLE, console, reporting

_BASE = (
    "numpy",
    "scipy",
    "numba",
    "xarray",
    "pandas",
    "netCDF4",
    "matplotlib",
    "pint",
    "pyyaml",
    "typer",
    "rich",
)
_EXTRAS = {
    "learn": ("torch", "torch-geometric", "torchdiffeq", "safetensors"),
    "julia": ("juliacall",),
    "diffeqpy": ("diffeqpy",),
    "scale": ("dask", "distributed", "zarr"),
    "report": ("python-docx", "reportlab"),
    "test": ("pytest", "hypothesis", "casadi"),
}
_VARIABLES = (
    "PBPK_HYBRID_BACKEND",
    "PBPK_HYBRID_THREADS",
    "PBPK_HYBRID_DATA",
    "NUMBA_CACHE_DIR",
    "JULIA_NUM_THREADS",
)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    warm: Annotated[
        bool, typer.Option("--warm", help="Compile everything first, so that no run waits for it.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Say what is installed, and which backend would run and why. Exit code 4 if none can."""
    with reporting(debug):
        if warm:
            compile_everything()
        findings = examine()
        if as_json:
            import json

            typer.echo(json.dumps(findings, indent=2))
        else:
            _print(findings)
        if findings["would_run"] is None:
            raise typer.Exit(NOT_AVAILABLE)


def compile_everything() -> None:
    """Compile, or load from numba's cache, all kernels of the embedded backend and of the
    noncompartmental analysis: a minute or two where nothing is compiled yet.
    """
    import numpy as np

    from ..models.system.examples import yardstick_system
    from ..nca import nca
    from ..simulation.run import simulate_system
    from ..solvers.embedded.backend import warm_up

    warm_up(everything=True)
    simulate_system(yardstick_system(1), "100 mg oral q12h ss", [0.0, 1.0])
    times = np.arange(1.0, 9.0)
    nca((times, np.tile(np.exp(-times), (64, 1))), dose=1.0, route="oral")


def examine() -> dict:
    """Everything that ``doctor`` reports. Starts and downloads nothing."""
    import os
    import platform

    from .._core.errors import InputError, PBPKError
    from .._core.provenance import VERSION
    from ..solvers.select import BACKENDS, availability, choose_backend
    from ..solvers.threads import thread_count

    backends = {
        name: {"ok": availability(name).ok, "reason": availability(name).reason}
        for name in BACKENDS
    }
    try:
        chosen, reason = choose_backend("auto")
        would_run: str | None = chosen.name
    except PBPKError as error:
        would_run, reason = None, str(error)
    try:
        threads: int | str = thread_count(None)
    except InputError as error:
        threads = str(error)
    return {
        "pbpk_hybrid": VERSION,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "threads": threads,
        "packages": {name: _version(name) for name in _BASE},
        "extras": {
            extra: {name: _version(name) for name in names} for extra, names in _EXTRAS.items()
        },
        "backends": backends,
        "would_run": would_run,
        "reason": reason,
        "environment": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
    }


def _version(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _print(findings: dict) -> None:
    from rich.markup import escape
    from rich.table import Table

    screen = console()
    screen.print(
        f"pbpk_hybrid {findings['pbpk_hybrid']}, Python {findings['python']}, "
        f"{findings['platform']}, {findings['processors']} processors, "
        f"{findings['threads']} threads",
        soft_wrap=True,
    )
    table = Table("", "package", "version", title="packages", title_justify="left")
    for group, names in {"base": findings["packages"], **findings["extras"]}.items():
        for i, (name, version) in enumerate(names.items()):
            missing = (
                "[red]missing[/red]"
                if group == "base"
                else f'not installed: pip install "pbpk-hybrid\\[{group}]"'
            )
            table.add_row(group if i == 0 else "", name, version or missing)
    screen.print(table)
    table = Table("backend", "can run", "why", title="backends", title_justify="left")
    for name, state in findings["backends"].items():
        table.add_row(name, "yes" if state["ok"] else "no", escape(state["reason"]))
    screen.print(table)
    if findings["would_run"] is None:
        screen.print(
            f"[red]no backend would run[/red]: {escape(findings['reason'])}", soft_wrap=True
        )
    else:
        screen.print(
            f"[bold]{findings['would_run']}[/bold] would run. {escape(findings['reason'])}",
            soft_wrap=True,
        )
    for name, value in findings["environment"].items():
        screen.print(f"{name}={value}", soft_wrap=True)
