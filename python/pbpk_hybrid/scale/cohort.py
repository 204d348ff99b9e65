"""Who is simulated, in blocks that anyone can draw anywhere and get the same people.

A cohort is cut into blocks of :data:`BLOCK` subjects. Block b draws its people and their variability from streams that
depend on (seed, b) alone (numpy's SeedSequence with b as spawn key), and is integrated by itself. Numbers therefore depend
neither on how blocks are gathered into chunks nor on which worker takes them, to the last bit; and the first people of a
large cohort are those of a small one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from .._core.errors import InputError

#: subjects in a block; a multiple of every backend's lanes, small against memory, large against the cost of a call
BLOCK = 2000


@dataclass(frozen=True)
class Cohort:
    """Subjects that are drawn where they are simulated.

    Parameters
    ----------
    n : number of subjects
    seed : non-negative integer
    species : as in :func:`pbpk_hybrid.sample_population`
    filters : further keywords of :func:`pbpk_hybrid.sample_population`, such as ``{"age": (60, 80), "sex": "female"}``

    Raises
    ------
    InputError : n or seed that make no sense; filters are checked when the first people are drawn
    """

    n: int
    seed: int
    species: str = "human"
    filters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, low in (("n", 1), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
                raise InputError(f"cohort.{name}", value, f"a whole number of at least {low}")

    @property
    def blocks(self) -> int:
        """Number of blocks; the last may be smaller."""
        return -(-self.n // BLOCK)

    def people(self, block: int) -> xr.Dataset:
        """The people of a block, numbered as in the whole cohort.

        Raises
        ------
        InputError : filters that make no sense or that nobody passes
        """
        from ..physiology import sample_population

        # the last block is drawn whole and cut, so that its people do not depend on n
        people = sample_population(BLOCK, self.species, seed=stream(self.seed, block, 0), **self.filters)
        first = block * BLOCK
        size = min(BLOCK, self.n - first)
        return people.isel(subject=slice(0, size)).assign_coords(subject=np.arange(first, first + size))


def stream(seed: int, block: int, purpose: int) -> int:
    """Seed of one block for one purpose (0 people, 1 variability)."""
    state = np.random.SeedSequence(seed, spawn_key=(block, purpose)).generate_state(2, np.uint32)
    return int(state[0]) << 31 | int(state[1]) >> 1


def block_of(population: Cohort | xr.Dataset, block: int) -> xr.Dataset:
    """The people of a block of a cohort, or of a population that is there already."""
    if isinstance(population, Cohort):
        return population.people(block)
    return population.isel(subject=slice(block * BLOCK, (block + 1) * BLOCK))


def size_of(population: Cohort | xr.Dataset) -> int:
    """Number of subjects."""
    return population.n if isinstance(population, Cohort) else population.sizes["subject"]
