"""A network over pieces of a batch on several threads.

torch shares each of a small network's many little sums among its threads, and waits for all
of them each time: on two cores that gains little, and on a machine with other work it costs
several times as much. A piece of the batch on each thread has nothing to wait for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch


def over_threads(
    work: Callable[[Any], Any], pieces: Sequence[Any], device: torch.device | None = None
) -> list[Any]:
    """[work(piece), ...] without gradients, on as many threads as torch is set to; results
    do not depend on their number. A network on another `device` than the CPU has threads of its
    own: its pieces go one after another.
    """
    if device is not None and device.type != "cpu":
        with torch.no_grad():
            return [work(piece) for piece in pieces]
    threads = torch.get_num_threads()

    def alone(piece: Any) -> Any:
        torch.set_num_threads(1)
        with torch.no_grad():
            return work(piece)

    try:
        if threads == 1 or len(pieces) == 1:
            return [alone(piece) for piece in pieces]
        with ThreadPoolExecutor(min(threads, len(pieces))) as pool:
            return list(pool.map(alone, pieces))
    finally:
        torch.set_num_threads(threads)


__all__ = ["over_threads"]
