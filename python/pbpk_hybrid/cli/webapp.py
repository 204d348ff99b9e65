"""``pbpk-hybrid app``: the web app, on this machine alone."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from .._core.errors import InputError
from .._core.optional import require
from .options import Debug, Quiet
from .terminal import console, reporting

#: seconds that the server has to end by itself
GRACE = 5.0


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
        with _signals_as_interrupts():
            server = subprocess.Popen(command(chosen), env=os.environ | {"MPLBACKEND": "Agg"})
            try:
                code = server.wait()
            except KeyboardInterrupt:
                code = 0
            finally:
                end(server)
        if code:
            raise typer.Exit(1)


@contextlib.contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    """SIGTERM and SIGHUP end this process as Ctrl-C does: by way of the code that ends
    the server.
    """
    names = [n for n in ("SIGTERM", "SIGHUP") if hasattr(signal, n)]
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's, and its handlers stay as they are
        return

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = {n: signal.signal(getattr(signal, n), interrupt) for n in names}
    try:
        yield
    finally:
        for n, handler in before.items():
            signal.signal(getattr(signal, n), handler)


def end(server: subprocess.Popen) -> None:
    """Ask the server to end, and end it where it does not."""
    if server.poll() is not None:
        return
    server.terminate()
    try:
        server.wait(GRACE)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        server.kill()
        server.wait()
