"""Random numbers always by explicit seed, and a stream of its own for whatever draws from it.

Everything random about a study follows from one seed. Who draws what has to draw from
another stream of it: people who were chosen, and given phenotypes, with the same numbers
would be people whose phenotype depends on who they are. So a stream is known by (seed,
purpose, block) (numpy's SeedSequence mixes all three); block counts blocks of :data:`BLOCK`
subjects, so that any block can be drawn anywhere and holds the same people.
"""

from __future__ import annotations

import numpy as np

from .errors import InputError

#: subjects in a block; a multiple of every backend's lanes, small against memory, large
#: against the cost of a call
BLOCK = 2000
#: what streams are for; the place in this list is part of the stream, so that new ones go
#: to the end
PURPOSES = (
    "people",
    "variability",
    "enzymes",
    "enzyme phenotypes",
    "transporters",
    "transporter phenotypes",
    "trials",
    "interaction constants",
    "interaction shares",
    "exposure ratios",
    "occasions",
)


def generator(
    seed: int | np.random.Generator | None, field: str = "seed"
) -> tuple[np.random.Generator, int]:
    """A numpy Generator and the integer that reproduces it.

    ``None`` draws a seed from the operating system and returns it, so that it can be
    stored in the result's attributes.

    Raises
    ------
    InputError
        If `seed` is neither None, a non-negative integer nor a Generator.
    """
    if isinstance(seed, np.random.Generator):
        seed_drawn = int(seed.integers(0, 2**63 - 1))
        return np.random.default_rng(seed_drawn), seed_drawn
    if seed is None:
        seed_drawn = int(np.random.SeedSequence().entropy % (2**63))
        return np.random.default_rng(seed_drawn), seed_drawn
    check_seed(seed, field)
    return np.random.default_rng(int(seed)), int(seed)


def check_seed(seed: int | np.random.Generator | None, field: str = "seed") -> None:
    """Refuse what is no seed, whether it will be used or not; nothing is drawn.

    Raises
    ------
    InputError
        Neither None, a non-negative integer nor a Generator.
    """
    if seed is None or isinstance(seed, np.random.Generator):
        return
    if isinstance(seed, (bool, np.bool_)) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(field, seed, "a non-negative integer")


def stream(
    seed: int, purpose: str, block: int = 0, number: int | None = None
) -> np.random.Generator:
    """The stream of a seed for one purpose and block of subjects; people of block 0 have
    the seed's own.

    `number` makes as many further streams of one purpose as there are numbers, such as occasions.
    """
    key = (seed, PURPOSES.index(purpose), block)
    return np.random.default_rng(key if number is None else (*key, number))


def block_seed(seed: int, block: int) -> int:
    """The seed of one block of people; that of block 0 is the seed itself."""
    if block == 0:
        return seed
    key = (seed, PURPOSES.index("people"), block)
    state = np.random.SeedSequence(key).generate_state(2, np.uint32)
    return int(state[0]) << 31 | int(state[1]) >> 1


def block_sizes(n: int) -> list[int]:
    """How many of n subjects each block holds."""
    return [min(BLOCK, n - first) for first in range(0, n, BLOCK)]
