"""Random numbers always by explicit seed."""

from __future__ import annotations

import numpy as np

from .errors import InputError


def generator(
    seed: int | np.random.Generator | None, field: str = "seed"
) -> tuple[np.random.Generator, int]:
    """A numpy Generator and the integer that reproduces it.

    ``None`` draws a seed from the operating system and returns it, so that it can be stored in the
    result's attributes.

    Raises
    ------
    InputError : if `seed` is neither None, a non-negative integer nor a Generator
    """
    if isinstance(seed, np.random.Generator):
        drawn = int(seed.integers(0, 2**63 - 1))
        return np.random.default_rng(drawn), drawn
    if seed is None:
        drawn = int(np.random.SeedSequence().entropy % (2**63))
        return np.random.default_rng(drawn), drawn
    check_seed(seed, field)
    return np.random.default_rng(int(seed)), int(seed)


def check_seed(seed: int | np.random.Generator | None, field: str = "seed") -> None:
    """Refuse what is no seed, whether it will be used or not; nothing is drawn.

    Raises
    ------
    InputError : neither None, a non-negative integer nor a Generator
    """
    if seed is None or isinstance(seed, np.random.Generator):
        return
    if isinstance(seed, (bool, np.bool_)) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(field, seed, "a non-negative integer")
