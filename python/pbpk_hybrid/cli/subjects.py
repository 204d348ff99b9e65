"""Which virtual subjects the options ask for, and drawing them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._core.errors import InputError, unknown_name
from . import options as opt
from .parsing import parse_range, parse_sex

if TYPE_CHECKING:
    import xarray as xr

    from ..scale import Cohort


@dataclass(frozen=True)
class SubjectOptions:
    """Who the virtual subjects are: options of ``simulate`` and ``population``."""

    species: opt.Species = "human"
    age: opt.Age = None
    sex: opt.Sex = None
    body_weight: opt.BodyWeight = None
    bmi: opt.BMI = None
    egfr: opt.EGFR = None
    generator: opt.Generator = "survey"
    special: opt.SpecialPopulation = None
    renal: opt.Renal = None
    hepatic: opt.Hepatic = None
    pregnant: opt.Pregnant = None
    phenotype: opt.Phenotype = None

    def conditions(self) -> dict[str, Any]:
        """``special`` of ``sample_population``, where a condition is asked for.

        Raises
        ------
        InputError, UnknownNameError
            Something that cannot be understood, is said twice, or is no human's.
        """
        given = {
            "renal": self.renal,
            "hepatic": self.hepatic,
            "pregnant": self.pregnant,
            "phenotypes": self.phenotype or None,
        }
        named = {name: value for name, value in given.items() if value is not None}
        if not named and self.special is None:
            return {}
        from ..physiology.conditions.special import read_special

        asked = read_special(self.special, **named)
        if self.species != "human":
            raise InputError(
                "--species", self.species, "human", hint=f"people only can be: {asked}"
            )
        return {"special": {name: value for name, value in vars(asked).items() if value}}

    def choice(
        self, count: int, extrapolate: bool = False, table: Mapping[str, Any] | None = None
    ) -> SubjectChoice:
        """`count` subjects of this kind; `table` as of :class:`SubjectChoice`."""
        names = ("age", "sex", "body_weight", "bmi", "egfr")
        filters = {name: getattr(self, name) for name in names}
        table = {**(table or {}), **self.conditions()}
        return SubjectChoice(count, self.species, self.generator, filters, extrapolate, table)


@dataclass(frozen=True)
class SubjectChoice:
    """The subjects that the options describe.

    Parameters
    ----------
    count : int
        Number of subjects.
    species : str
    generator : str
        ``"survey"`` or ``"pcdm"``.
    filters : mapping
        Texts of ``--age``, ``--sex``, ``--body-weight``, ``--bmi`` and ``--egfr``; None
        for an option that is not given.
    extrapolate : bool
        With ``"pcdm"``: allow ranges without training subjects.
    table : mapping
        ``like``, ``where``, ``strict`` and ``special`` of ``sample_population``, those that
        are given.
    computing : mapping
        With ``"pcdm"``: ``device`` and ``precision`` of the network.
    """

    count: int
    species: str
    generator: str
    filters: Mapping[str, str | None]
    extrapolate: bool = False
    table: Mapping[str, Any] = field(default_factory=dict)
    computing: Mapping[str, str] = field(default_factory=dict)

    def draw(self, seed: int) -> xr.Dataset:
        """The physiology Dataset of these subjects; errors as of :func:`draw`."""
        return draw(
            self.count,
            self.species,
            seed,
            generator=self.generator,
            extrapolate=self.extrapolate,
            table=self.table,
            computing=self.computing,
            **self.filters,
        )

    def cohort(self, seed: int) -> Cohort:
        """These subjects, to be drawn in chunks.

        Raises
        ------
        UnknownNameError
            A generator that does not exist.
        """
        from ..scale import Cohort
        from ..scale.cohort import GENERATORS

        if self.generator not in GENERATORS:
            raise unknown_name("--generator", self.generator, GENERATORS)
        filters = {**parse_filters(self.filters), **self.table}
        return Cohort(self.count, seed, self.species, filters, self.generator)


def parse_filters(filters: Mapping[str, str | None]) -> dict[str, Any]:
    """Filters of a population from the texts of the options; options not given are left out."""
    parsed = {"sex": parse_sex(filters["sex"])}
    parsed |= {
        name: parse_range(text, "--" + name.replace("_", "-"))
        for name, text in filters.items()
        if name != "sex"
    }
    return {name: value for name, value in parsed.items() if value is not None}


def draw(
    n: int,
    species: str,
    seed: int,
    *,
    generator: str = "survey",
    extrapolate: bool = False,
    table: Mapping[str, Any] | None = None,
    computing: Mapping[str, str] | None = None,
    **filters: str | None,
) -> xr.Dataset:
    """`n` virtual subjects.

    Parameters
    ----------
    n : int
    species : str
    seed : int
    generator : str
        ``"survey"`` or ``"pcdm"``.
    extrapolate : bool
        With ``"pcdm"``: allow ranges without training subjects.
    table : mapping, optional
        ``like``, ``where`` and ``strict`` of ``sample_population``.
    computing : mapping, optional
        With ``"pcdm"``: ``device`` and ``precision`` of the network.
    **filters : str or None
        Texts of the options ``age`` [year], ``sex``, ``body_weight`` [kg], ``bmi``
        [kg/m2] and ``egfr`` [mL/min/1.73 m2].

    Returns
    -------
    Dataset
        Physiology of the subjects.

    Raises
    ------
    UnknownNameError
        A generator or species that does not exist.
    InputError
        A filter that cannot be read, or an option that the generator does not have.
    """
    from ..physiology import sample_population

    if generator not in ("survey", "pcdm"):
        raise unknown_name("--generator", generator, ("survey", "pcdm"))

    parsed = parse_filters(filters)
    if generator == "pcdm":
        from .._core.random import block_sizes
        from ..scale.cohort import concatenated, diffusion_block, with_attrs
        from ..scale.store import over_all

        if species != "human":
            raise InputError(
                "--species", species, "human", hint="the diffusion model knows people only"
            )
        asked = {**parsed, **(table or {})}
        parts = [
            diffusion_block(n, b, seed, asked, extrapolate=extrapolate, **(computing or {}))
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
    return sample_population(n, species, seed=seed, **parsed, **(table or {}))
