"""Which virtual subjects: the options that `simulate` and `population` share, and the drawing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .._core.errors import InputError, unknown_name
from .parsing import parse_range, parse_sex

if TYPE_CHECKING:
    import xarray as xr

Species = Annotated[str, typer.Option(help="human, monkey, dog, minipig, rabbit, rat or mouse.")]
Age = Annotated[str | None, typer.Option(help='[year], such as "20-60".')]
Sex = Annotated[str | None, typer.Option(help="female, male, or the fraction of women.")]
BodyWeight = Annotated[str | None, typer.Option(help='[kg], such as "60-90".')]
BMI = Annotated[str | None, typer.Option(help='[kg/m2], such as "18-30".')]
EGFR = Annotated[str | None, typer.Option(help='[mL/min/1.73 m2], such as "30-60".')]

Generator = Annotated[
    str,
    typer.Option(
        "--generator", help="survey (people of NHANES), or pcdm (the diffusion model; extra learn)."
    ),
]
Extrapolate = Annotated[
    bool,
    typer.Option(
        "--extrapolate",
        help="With pcdm: also ranges in which nobody was trained on; the result is marked.",
    ),
]
Chunk = Annotated[
    int, typer.Option(min=1, help="With NAME.zarr: subjects a worker holds at a time.")
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="With NAME.zarr: processes [default: one per core].")
]
Scheduler = Annotated[
    str | None, typer.Option(help="With NAME.zarr: address of a dask scheduler to use.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="With NAME.zarr: replace a store that is there.")
]


def parse_filters(filters: Mapping[str, str | None]) -> dict[str, Any]:
    """What the texts of the options above ask for; options that were not given are left out."""
    given = {"sex": parse_sex(filters["sex"])}
    given |= {
        name: parse_range(text, "--" + name.replace("_", "-"))
        for name, text in filters.items()
        if name != "sex"
    }
    return {name: value for name, value in given.items() if value is not None}


def draw(
    n: int,
    species: str,
    seed: int,
    *,
    generator: str = "survey",
    extrapolate: bool = False,
    **filters: str | None,
) -> xr.Dataset:
    """`n` subjects; the filters are the texts of the options above."""
    from ..physiology import sample_population

    if generator not in ("survey", "pcdm"):
        raise unknown_name("--generator", generator, ("survey", "pcdm"))

    given = parse_filters(filters)
    if generator == "pcdm":
        from .._core.random import block_sizes
        from ..scale.cohort import concatenated, diffusion_block, with_attrs
        from ..scale.store import over_all

        if species != "human":
            raise InputError(
                "--species", species, "human", hint="the diffusion model knows people only"
            )
        parts = [
            diffusion_block(n, b, seed, given, extrapolate=extrapolate)
            for b in range(len(block_sizes(n)))
        ]
        return with_attrs(concatenated(parts), {**parts[0].attrs, **over_all(parts), "seed": seed})
    if extrapolate:
        raise InputError(
            "--extrapolate",
            generator,
            "the generator pcdm",
            hint="a survey has nobody outside its ranges",
        )
    return sample_population(n, species, seed=seed, **given)
