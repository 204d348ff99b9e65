"""Who is simulated, in blocks. Every process draws the same people for a block.

A cohort is cut into blocks of :data:`BLOCK` subjects. Block b draws its people and their
variability from streams that depend on (seed, b) alone (:mod:`pbpk_hybrid._core.random`), and is
integrated by itself. The numbers therefore depend, to the last bit, neither on the grouping of
blocks into chunks nor on the worker. The people are those that
:func:`pbpk_hybrid.sample_population` draws with the same number and seed.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from .._core.errors import InputError, unknown_name
from .._core.random import BLOCK, block_seed
from ..compounds import Compound

GENERATORS = ("survey", "pcdm")
#: keywords that say who is drawn; the generators take some of them each
FILTERS = (
    "age",
    "sex",
    "body_weight",
    "height",
    "bmi",
    "hematocrit",
    "serum_creatinine",
    "gfr",
    "egfr",
    "ethnicity",
    "weighted",
    "gfr_scatter",
    "like",
    "where",
    "strict",
    "organs",
    "special",
)
#: of these, what the diffusion model takes beside its condition
_BESIDE_CONDITION = ("like", "where", "strict", "organs", "special")


@dataclass(frozen=True)
class Cohort:
    """Subjects that are drawn where they are simulated.

    Parameters
    ----------
    n : int
        Number of subjects.
    seed : int
        Non-negative.
    species : str
        As in :func:`pbpk_hybrid.sample_population`.
    filters : mapping
        Further keywords of :func:`pbpk_hybrid.sample_population`, such as
        ``{"age": (60, 80), "sex": "female"}``. With the diffusion model its conditions, see
        :meth:`pbpk_hybrid.learn.PCDM.sample`.
    generator : str
        "survey" (people of NHANES, or the species' tables) or "pcdm" (the diffusion model;
        extra ``learn``).

    Raises
    ------
    InputError, UnknownNameError
        A number or seed that cannot be used; a filter or generator that does not exist. The
        values of filters are checked when the first people are drawn.
    """

    n: int
    seed: int
    species: str = "human"
    filters: Mapping[str, Any] = field(default_factory=dict)
    generator: str = "survey"

    def __post_init__(self) -> None:
        for name, low in (("n", 1), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
                raise InputError(f"cohort.{name}", value, f"a whole number of at least {low}")
        if self.generator not in GENERATORS:
            raise unknown_name("cohort.generator", self.generator, GENERATORS)
        if self.generator == "pcdm" and self.species != "human":
            raise InputError(
                "cohort.species",
                self.species,
                "human",
                hint="the diffusion model knows people only",
            )
        for name in self.filters:
            if name not in FILTERS:
                raise unknown_name("cohort.filters", name, FILTERS, what="a filter")

    @property
    def blocks(self) -> int:
        """Number of blocks; the last may be smaller."""
        return -(-self.n // BLOCK)

    def people(self, block: int) -> xr.Dataset:
        """The people of a block, numbered as in the whole cohort.

        Raises
        ------
        InputError
            Filters that cannot be read, or that nobody passes.
        """
        if self.generator == "pcdm":
            return diffusion_block(self.n, block, self.seed, dict(self.filters))
        from ..physiology.population import sample_block

        return sample_block(self.n, block, self.species, self.seed, self.filters)

    def request(self) -> dict[str, Any]:
        """All but the number of people, as plain JSON."""
        return {
            "seed": self.seed,
            "species": self.species,
            "filters": repr(sorted((k, _plain_filter(k, v)) for k, v in self.filters.items())),
            "generator": self.generator,
        }


def _plain_filter(name: str, value: Any) -> Any:
    """A filter as something whose repr says all of it: a table of people by its statistics."""
    if name != "like" or value is None:
        return value
    from ..physiology.like.request import read_request

    return read_request(value).to_json()


def diffusion_block(
    n: int,
    block: int,
    seed: int,
    condition: Mapping[str, Any],
    *,
    extrapolate: bool = False,
    device: str = "cpu",
    precision: str = "float32",
) -> xr.Dataset:
    """One block of n people of the diffusion model, numbered as among all of them.

    `condition` may hold ``like``, ``where``, ``strict``, ``organs`` and ``special``, as of
    :func:`pbpk_hybrid.sample_population`.
    """
    first = block * BLOCK
    size = min(BLOCK, n - first)
    asked = {k: v for k, v in condition.items() if v is not None}
    beside = {k: asked.pop(k) for k in _BESIDE_CONDITION if k in asked}
    people = _diffusion_model(device, precision).sample(
        size, asked, seed=block_seed(seed, block), extrapolate=extrapolate, **beside
    )
    return people.assign_coords(subject=np.arange(first, first + size))


@functools.lru_cache(maxsize=1)
def _diffusion_model(device: str, precision: str):
    """The shipped model, read once in each process."""
    from ..learn import PCDM

    return PCDM.load(device=device, precision=precision)


def block_of(population: Cohort | xr.Dataset, block: int) -> xr.Dataset:
    """The people of a block of a cohort or of a population Dataset."""
    if isinstance(population, Cohort):
        return population.people(block)
    return population.isel(subject=slice(block * BLOCK, (block + 1) * BLOCK))


def size_of(population: Cohort | xr.Dataset) -> int:
    """Number of subjects."""
    return population.n if isinstance(population, Cohort) else population.sizes["subject"]


def labels_of(population: Cohort | xr.Dataset) -> np.ndarray:
    """(n,) names of the subjects."""
    return (
        np.arange(population.n) if isinstance(population, Cohort) else population["subject"].values
    )


def concatenated(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Blocks of people in one Dataset; attributes of the first."""
    if len(parts) == 1:
        return parts[0]
    return xr.concat(
        parts,
        "subject",
        combine_attrs="override",
        data_vars="minimal",
        coords="minimal",
        join="override",
        compat="override",
    )


def with_attrs(ds: xr.Dataset, attrs: Mapping[str, Any]) -> xr.Dataset:
    """The Dataset with these attributes and no others."""
    ds = ds.copy()
    ds.attrs = dict(attrs)
    return ds


def request_text(value: Any) -> str:
    """`value` as text that differs whenever the value does: a compound with all its fields."""
    if isinstance(value, Compound):
        return value.full_text()
    if isinstance(value, Mapping):  # keywords, in the order of their names
        items = (f"({name!r}, {request_text(value[name])})" for name in sorted(value))
        return f"[{', '.join(items)}]"
    return repr(value)


def fingerprint(ds: xr.Dataset) -> str:
    """Digest of all values: equal for equal Datasets."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(map(str, ds.variables)):
        values = np.ascontiguousarray(ds[name].values)
        digest.update(f"{name}{values.dtype}{values.shape}".encode())
        digest.update(
            "\0".join(map(str, values.ravel())).encode()
            if values.dtype.kind == "O"
            else values.tobytes()
        )
    return digest.hexdigest()
