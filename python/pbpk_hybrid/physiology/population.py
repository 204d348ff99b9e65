"""Random populations: people drawn from NHANES, animals around their reference.

People are in :mod:`.adults.population`, animals in :mod:`.animals.population`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from .._core.arguments import check_kind
from .._core.errors import InputError
from .._core.random import BLOCK, block_seed, block_sizes, generator
from .adults.population import sample_people
from .adults.selection import female_fraction
from .animals.population import sample_animals
from .individual import check_species

#: drawn by one call; about 30 GB of organs
MOST_SUBJECTS = 100_000_000


def sample_population(
    n: int,
    species: str = "human",
    *,
    seed: int | np.random.Generator | None,
    age: Any = None,
    sex: Any = None,
    body_weight: Any = None,
    height: Any = None,
    bmi: Any = None,
    hematocrit: Any = None,
    serum_creatinine: Any = None,
    gfr: Any = None,
    egfr: Any = None,
    ethnicity: Any = None,
    weighted: bool = True,
    gfr_scatter: bool = True,
    like: Any = None,
    where: str | Sequence[str] | None = None,
    strict: bool = False,
    organs: Mapping[str, Any] | None = None,
    special: Any = None,
) -> xr.Dataset:
    """n random subjects of a species, each closed on its own body weight and cardiac output.

    Parameters
    ----------
    n
        Number of subjects, at least 1; exactly n come back.
    species
        One of ``SPECIES``; the filters below are for "human" alone, except `sex` and
        `body_weight`.
    seed
        non-negative integer, Generator, or None (drawn and stored in the attributes).
    age
        (low, high) or one number [year], 0 to 89; None: adults, 18 to 79. With children
        among them everybody has the activity of their enzymes by age. People over 79 are
        survey people ten years younger moved on, see :func:`.adults.survey.oldest`.
    sex
        "male", "female", the fraction of women (0 to 1, exact to rounding), or None (as
        in the population).
    body_weight
        (low, high) [kg].
    height
        (low, high) [cm].
    bmi
        (low, high) [kg/m^2].
    hematocrit
        (low, high) [1].
    serum_creatinine
        (low, high) [mg/dL].
    gfr
        (low, high) [L/h], of the individual filtration rate.
    egfr
        (low, high) [mL/min/1.73 m^2], of the same rate indexed to body surface, for
        stages of renal function.
    ethnicity
        One name or several, as coded in NHANES.
    weighted
        Draw with the survey weights (True) or each survey person alike.
    gfr_scatter
        Let GFR scatter around the CKD-EPI estimate (True) or equal it.
    like
        A table of people to be like, as papers print it: ``{"age": "34 ± 8 (21-52)",
        "weight": "78.1 ± 9.4 kg", "female": "45 %"}``, a CSV file, a DataFrame, or pasted
        text; see :mod:`.like.request`. Means, SDs, medians, quartiles and shares of the n
        people are those of the table, ranges hold for each of them, and otherwise they are
        as people are. Nobody is drawn twice. A DataFrame with a row for each person: their
        twins, see :func:`.like.twins.virtual_twins`.
    where
        Inclusion criteria that everybody satisfies, such as ``"18 <= age < 65 and bmi < 35"``;
        see :mod:`.like.criteria`.
    strict
        Refuse a table that nobody can meet (True), or come as near as possible and warn.
    organs
        Organs of a known mass, such as ``{"liver": "0.8 of normal", "kidney": "0.25 kg"}``;
        everybody has them exactly, see :mod:`.adults.fixed_organs`.
    special
        A special population, such as ``"elderly, severe renal impairment"``, ``"30 weeks
        pregnant"``, ``"obese class 3"``, or a mapping; see :mod:`.conditions.special`. Its group
        goes with the filters, its conditions change everybody drawn.

    Returns
    -------
    Dataset
        Physiology Dataset; attributes ``seed``, ``redrawn_fraction`` (organ draws
        thrown away), ``soft_rule_exceptions`` and ``replaced_people``; variable
        ``nhanes_person`` names the survey person. With `like` or `where`,
        ``people.pk.like()`` is the achieved table beside the asked one.

    Raises
    ------
    InputError
        n or a filter that makes no sense, or that nobody of the survey passes (names
        the field and the range available).
    UnknownNameError
        Unknown species, sex or ethnicity.

    Warns
    -----
    OutOfRangeWarning
        A table that cannot be met, with what had to give; few people of the survey in its
        ranges.
    """
    _check_count(n)
    flags = (("weighted", weighted), ("gfr_scatter", gfr_scatter), ("strict", strict))
    for name, flag in flags:
        check_kind(name, flag, (bool, np.bool_), "True or False")
    species = check_species(species)
    rng, seed = generator(seed)
    filters = {
        "age": age,
        "body_weight": body_weight,
        "height": height,
        "bmi": bmi,
        "hematocrit": hematocrit,
        "serum_creatinine": serum_creatinine,
        "gfr": gfr,
        "egfr": egfr,
        "ethnicity": ethnicity,
    }
    options = {"weighted": weighted, "gfr_scatter": gfr_scatter}
    if special is not None:
        table = {"like": like, "where": where, "strict": strict, "organs": organs}
        return _special(int(n), species, seed, special, {**filters, "sex": sex, **options, **table})
    if strict and like is None:
        raise InputError("strict", strict, "a table, given by like")
    if like is not None and _are_people(like):
        others = (where, organs, sex, *filters.values())
        if any(v is not None for v in others):
            raise InputError("like", type(like).__name__, "twins of people, without filters")
        return _twins(int(n), like, rng, seed)
    table = {"like": like, "where": where, "strict": strict, "organs": organs}
    if n > BLOCK:
        return _in_blocks(int(n), species, seed, {**filters, "sex": sex, **options, **table})
    if species != "human":
        _check_animal_filters(species, {**filters, "like": like, "where": where, "organs": organs})
        return sample_animals(int(n), species, rng, seed, sex, body_weight)
    drawing = {"weighted": bool(weighted), "scatter": bool(gfr_scatter)}
    if like is not None or where is not None or organs is not None:
        from .like.sample import Options, read_task, sample_like

        task = read_task(like, filters, sex, where, organs)
        how = Options(bool(weighted), bool(gfr_scatter), bool(strict))
        return sample_like(int(n), rng, seed, task, how)
    return sample_people(int(n), rng, seed, filters, sex, **drawing)


def _special(
    n: int, species: str, seed: Any, special: Any, options: Mapping[str, Any]
) -> xr.Dataset:
    """People of a special population: its group is drawn, its conditions are put in.

    Raises
    ------
    InputError
        Animals, or filters that leave nobody of the group.
    """
    from .conditions.special import filters_with, read_special, with_conditions

    asked = read_special(special)
    if species != "human":
        raise InputError("special", str(asked), "nothing", hint=f"the {species} has none")
    people = sample_population(n, species, seed=seed, **filters_with(asked, options))
    return with_conditions(people, asked)


def sample_block(
    n: int, block: int, species: str, seed: int, options: Mapping[str, Any]
) -> xr.Dataset:
    """One block of the people of ``sample_population(n, species, seed=seed, **options)``.

    They are numbered as among all of them. Every block has a stream of its own, so that it
    holds the same people wherever it is drawn.
    """
    first, size = block * BLOCK, block_sizes(n)[block]
    options, sex = dict(options), options.get("sex")
    women = female_fraction(sex)
    if n > BLOCK and women is not None and 0 < women < 1:
        # counted over all blocks, so that roundings do not add up
        options["sex"] = (round((first + size) * women) - round(first * women)) / size
    people = sample_population(size, species, seed=block_seed(seed, block), **options)
    if "filters" in people.attrs and women is not None:
        people.attrs["filters"] = people.attrs["filters"].replace(
            f"sex={options['sex']!r}", f"sex={sex!r}"
        )
    return people.assign_coords(subject=np.arange(first, first + size))


def _in_blocks(n: int, species: str, seed: int, options: Mapping[str, Any]) -> xr.Dataset:
    """All blocks in one Dataset, with the attributes of all."""
    parts = [sample_block(n, b, species, seed, options) for b in range(len(block_sizes(n)))]
    people = xr.concat(
        parts,
        "subject",
        combine_attrs="override",
        data_vars="minimal",
        coords="minimal",
        join="override",
        compat="override",
    )
    people.attrs["seed"] = seed
    if "redrawn_fraction" in people.attrs:
        draws = sum(p.sizes["subject"] / (1 - p.attrs["redrawn_fraction"]) for p in parts)
        people.attrs["redrawn_fraction"] = 1 - n / draws
        for name in ("soft_rule_exceptions", "replaced_people"):
            people.attrs[name] = sum(p.attrs[name] for p in parts)
    return people


def _are_people(like: Any) -> bool:
    """Whether `like` is a table of people, not what a paper prints about them."""
    from .like.twins import is_people  # loaded for those who ask for it

    return is_people(like)


def _twins(n: int, people: Any, rng: np.random.Generator, seed: Any) -> xr.Dataset:
    """As many twins of each person as make n.

    Raises
    ------
    InputError
        n is no multiple of the number of people.
    """
    if isinstance(people, xr.Dataset) and "subject" not in people.dims:
        raise InputError("like", "a Dataset without subjects", "people over subject")
    rows = people.sizes["subject"] if isinstance(people, xr.Dataset) else len(people)
    if rows < 1 or n % rows:
        raise InputError("n", n, f"a multiple of the {rows} people of whom twins are drawn")
    from .like.twins import virtual_twins

    twins = virtual_twins(people, seed=rng, imputations=n // rows)
    twins.attrs["seed"] = seed
    return twins


def _check_count(n: Any) -> None:
    """
    Raises
    ------
    InputError
        Not a whole number of subjects, or too many to hold.
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise InputError("n", n, "a whole number of subjects >= 1")
    if n > MOST_SUBJECTS:
        raise InputError(
            "n",
            n if n < 10**15 else "more than 10^15",
            f"at most {MOST_SUBJECTS} subjects at a time",
            hint="Cohort and simulate_cohort draw any number in chunks",
        )


def _check_animal_filters(species: str, filters: dict[str, Any]) -> None:
    """
    Raises
    ------
    InputError
        A filter for people.
    """
    for field, value in filters.items():
        if value is not None and field != "body_weight":
            raise InputError(
                field,
                value,
                "nothing",
                hint=f"the {species} can be filtered by sex and body_weight",
            )
