"""``pbpk-hybrid app``: the web app, on this machine alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from .._core.errors import InputError
from .._core.optional import require
from .terminal import Debug, Quiet, console, reporting


def free_port() -> int:
    """A port of the loopback interface that nobody uses now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def command(port: int) -> list[str]:
    """The server: loopback only, no statistics sent anywhere, no browser of its own accord."""
    page = Path(__file__).parents[1] / "app" / "page.py"
    return [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(page),
        "--server.address",
        "127.0.0.1",
        "--server.port",
        str(port),
        "--server.headless",
        "true",
        "--browser.gatherUsageStats",
        "false",
        "--server.fileWatcherType",
        "none",
        "--client.toolbarMode",
        "minimal",
    ]


def app(
    port: Annotated[
        int | None, typer.Option(help="Port of the loopback interface; none: a free one.")
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Open the web app: simulate, forecast and scale in a browser on this machine (extra app)."""
    with reporting(debug):
        require("streamlit", "app", "the web app")
        if port is not None and not 1024 <= port <= 65535:
            raise InputError("--port", port, "1024 to 65535")
        chosen = port or free_port()
        if not quiet:
            console().print(f"http://127.0.0.1:{chosen}  (Ctrl-C ends it)", soft_wrap=True)
        server = subprocess.Popen(command(chosen), env=os.environ | {"MPLBACKEND": "Agg"})
        try:
            code = server.wait()
        except KeyboardInterrupt:
            server.terminate()
            server.wait()
            code = 0
        if code:
            raise typer.Exit(1)
