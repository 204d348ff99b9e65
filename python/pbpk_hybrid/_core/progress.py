"""Progress on stderr: a line that is redrawn in a terminal, a few lines in a pipe.

Work that ends within a second says nothing.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TextIO

#: [s] of work that nobody needs to be told of
SILENT = 1.0
#: [s] between two redraws in a terminal
_REDRAW = 0.2
#: [s] between two lines in a pipe: each wait is twice the last, to this at most
_MOST_WAIT = 60.0


class Progress:
    """What is being done, how much of it is done, and since when."""

    def __init__(self, text: str, total: int | None, stream: TextIO) -> None:
        self.text, self.total, self.stream = text, total, stream
        self.done = 0
        self.start = time.monotonic()
        self.width = 0  # of what stands in the terminal's line

    def advance(self, count: int = 1) -> None:
        """Count things done."""
        self.done += count

    def line(self) -> str:
        """One line: what, how many of how many, elapsed time, and time left where known."""
        elapsed = time.monotonic() - self.start
        parts = [f"{elapsed:.0f} s"]
        if self.total is not None:
            parts.insert(0, f"{self.done} of {self.total}")
            if 0 < self.done < self.total:
                parts.append(f"about {elapsed * (self.total / self.done - 1):.0f} s left")
        return f"{self.text}: {', '.join(parts)}"

    def draw(self, last: bool = False) -> None:
        """Redraw the terminal's line; `last` clears it."""
        line = "" if last else self.line()
        self.stream.write("\r" + line.ljust(self.width) + ("\r" if last else ""))
        self.stream.flush()
        self.width = len(line)

    def tell(self) -> None:
        """A line of its own, for a pipe or a log."""
        self.stream.write(self.line() + "\n")
        self.stream.flush()


@contextlib.contextmanager
def progress(
    text: str, total: int | None = None, *, quiet: bool = False, stream: TextIO | None = None
) -> Iterator[Callable[[int], None]]:
    """Show progress while the block runs, once it has run for a second.

    Parameters
    ----------
    text : str
        What is being done.
    total : int, optional
        Number of things to do; None: only the time is shown.
    quiet : bool
        Show nothing.
    stream : file, optional
        Where to; None: stderr. A terminal's line is redrawn; elsewhere a line is written
        after 1 s, 2 s, 4 s and so on, at most every minute.

    Yields
    ------
    callable
        Takes the number of things that were done since it was called last.
    """
    shown = Progress(text, total, stream or sys.stderr)
    if quiet:
        yield shown.advance
        return
    over = threading.Event()
    terminal = shown.stream.isatty()

    def show() -> None:
        wait = SILENT
        while not over.wait(wait):
            with contextlib.suppress(OSError, ValueError):  # the stream was closed
                shown.draw() if terminal else shown.tell()
            wait = _REDRAW if terminal else min(2 * wait, _MOST_WAIT)

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield shown.advance
    finally:
        over.set()
        thread.join()
        if terminal and shown.width:
            with contextlib.suppress(OSError, ValueError):
                shown.draw(last=True)


__all__ = ["SILENT", "Progress", "progress"]
