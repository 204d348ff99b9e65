"""How active the enzymes of people are: age, genotype, and differences between people.

Activities are per gram of organ and relative to an adult with two normal alleles. They go into the variable
``enzyme_activity(subject, enzyme)`` of a physiology Dataset; an enzyme named ``CYP3A4.gut`` holds for the gut wall alone.
Each of the functions here multiplies what is there already, so that they combine.

Ontogeny, with age in years, scaled to 1 at the age cap and 1 beyond:

.. math:: f(age) = F_{birth} + (F_{max} - F_{birth}) \\frac{age^n}{age_{50}^n + age^n}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from .._core.arguments import check_kind, check_real
from .._core.errors import InputError, SchemaError, unknown_name
from .._core.random import check_seed, generator

_MEMORY = "; quoted from memory, to check"
_SALEM = "Salem et al. (2014) Clin Pharmacokinet 53:625" + _MEMORY
_UPRETI = "Upreti & Wahlstrom (2016) J Clin Pharmacol 56:266" + _MEMORY
_JOHNSON = "Johnson, Rostami-Hodjegan & Tucker (2006) Clin Pharmacokinet 45:931" + _MEMORY
_UGT = "as used in paediatric models beside Salem (2014) and Upreti & Wahlstrom (2016), read from a public parameter table"
#: enzyme -> (F_max, F_birth, age_50 [year], n, age cap [year], source)
ONTOGENY: dict[str, tuple[float, float, float, float, float, str]] = {
    "CYP3A4": (1.06, 0.11, 0.64, 1.91, 25.0, _SALEM),
    "CYP3A4.gut": (1.059, 0.42, 2.357, 1.0, 18.0, _JOHNSON),
    "CYP1A2": (1.0, 0.0, 1.13 ** (1 / 1.41), 1.41, 25.0, _JOHNSON),
    "CYP2B6": (1.0, 0.277, 1.537, 1.73, 25.0, _UPRETI),
    "CYP2C8": (1.053, 0.41, 0.366, 0.68, 20.0, _UPRETI),
    "CYP2C9": (0.98, 0.17, 0.0157, 0.53, 5.0, _UPRETI),
    "CYP2C19": (0.98, 0.30, 0.29, 2.44, 5.0, _UPRETI),
    "CYP2D6": (1.0, 0.036, 0.1, 1.0, 10.0, _JOHNSON),
    "CYP2E1": (0.99, 0.0, 0.23, 0.5, 18.0, _UPRETI),
    "UGT1A1": (1.0, 0.0, 0.183, 1.105, 25.0, _UGT),
    "UGT1A4": (1.028, 0.05, 1.042, 1.36, 20.0, _UGT),
    "UGT1A6": (1.025, 0.142, 0.411, 0.97, 15.0, _UGT),
    "UGT1A9": (1.012, 0.0541, 0.07228, 5.771, 0.16, _UGT),
}
#: enzymes whose activity grows in a straight line: enzyme -> (at birth, per year, source)
STRAIGHT_ONTOGENY = {"UGT2B7": (0.113, 0.0425, _UGT), "UGT2B15": (0.495, 0.025, _UGT)}

#: enzyme -> phenotype -> (activity relative to normal metabolisers, frequency in Europeans). Frequencies: CPIC's tables
#: (2C19 Lima et al. 2021, 2D6 Crews et al. 2021, 2C9 Theken et al. 2020), rounded. Activities follow the activity scores of
#: the same guidelines relative to a score of 2; those of increased function (2C19) and of 2C9 are assumed. All quoted from
#: memory, to check.
PHENOTYPES: dict[str, dict[str, tuple[float, float]]] = {
    "CYP2D6": {
        "poor": (0.0, 0.065),
        "intermediate": (0.5, 0.12),
        "normal": (1.0, 0.785),
        "ultrarapid": (2.0, 0.03),
    },
    "CYP2C19": {
        "poor": (0.0, 0.024),
        "intermediate": (0.5, 0.26),
        "normal": (1.0, 0.40),
        "rapid": (1.25, 0.27),
        "ultrarapid": (1.5, 0.046),
    },
    "CYP2C9": {"poor": (0.2, 0.026), "intermediate": (0.6, 0.35), "normal": (1.0, 0.624)},
}
#: coefficient of variation of an enzyme's activity between people of one age and genotype: what httk's Monte Carlo takes for
#: intrinsic clearance (Wambaugh et al. 2019, Toxicol Sci 172:235; from memory, to check)
VARIATION = 0.30


def ontogeny(enzyme: str, age: Any) -> np.ndarray:
    """Activity at an age [year] relative to adults.

    Raises
    ------
    UnknownNameError : an enzyme without a function
    """
    years = np.asarray(age, dtype=float)
    if enzyme in STRAIGHT_ONTOGENY:
        birth, slope, _ = STRAIGHT_ONTOGENY[enzyme]
        return np.where(years < (1 - birth) / slope, birth + slope * years, 1.0)
    if enzyme not in ONTOGENY:
        raise unknown_name(
            "enzyme",
            enzyme,
            (*ONTOGENY, *STRAIGHT_ONTOGENY),
            what="an enzyme whose ontogeny is known",
        )
    most, birth, half, n, cap, _ = ONTOGENY[enzyme]

    def value(t):
        return birth + (most - birth) * t**n / (half**n + t**n)

    return np.where(years < cap, value(np.minimum(years, cap)) / value(cap), 1.0)


def with_enzymes(
    people: xr.Dataset,
    *,
    by_age: bool = True,
    phenotypes: Mapping[str, str] | str | None = None,
    variation: float | Mapping[str, float] | None = None,
    seed: int | None = None,
) -> xr.Dataset:
    """People with the activity of each of their enzymes.

    Parameters
    ----------
    people : physiology Dataset of humans
    by_age : apply the ontogeny functions (adults stay as they are)
    phenotypes : enzyme -> phenotype of everybody; ``"population"``: drawn by the frequencies in Europeans; None: normal
    variation : coefficient of variation of log-normal activities, one for all enzymes or enzyme -> value (others vary by
        :data:`VARIATION`); None: none
    seed : for what is drawn; None takes the population's own

    Returns
    -------
    A copy with ``enzyme_activity(subject, enzyme)``, and ``phenotype_<enzyme>`` where phenotypes were asked for

    Raises
    ------
    InputError, UnknownNameError : animals, an enzyme or phenotype that is not known, a variation below 0, no seed
    """
    check_humans(people)
    check_kind("by_age", by_age, (bool, np.bool_), "True or False")
    check_kind("phenotypes", phenotypes, (str, Mapping, type(None)), "'population' or a mapping")
    check_seed(seed)
    n = people.sizes["subject"]
    out = people
    if by_age:
        age = people["age"].values
        names = (*ONTOGENY, *STRAIGHT_ONTOGENY)
        out = multiply_activity(out, {name: ontogeny(name, age) for name in names})
    drawn = phenotypes == "population" or variation is not None
    rng, _ = generator(seed_of(seed, people)) if drawn else (None, None)
    if phenotypes is not None:
        out = assign_phenotypes(out, phenotypes, PHENOTYPES, rng, "enzyme")
    if variation is not None:
        names = [e for e in (*ONTOGENY, *STRAIGHT_ONTOGENY) if "." not in e]
        given = (
            dict.fromkeys(names, variation)
            if not isinstance(variation, Mapping)
            else (dict.fromkeys(names, VARIATION) | dict(variation))
        )
        factors = activity_factors(given, n, rng)
        if (
            "CYP3A4" in factors
        ):  # liver and gut wall have one CYP3A4 gene; their abundances are taken to go together
            factors["CYP3A4.gut"] = factors["CYP3A4"]
        out = multiply_activity(out, factors)
    return out


def assign_phenotypes(
    people: xr.Dataset,
    phenotypes: Mapping[str, str] | str,
    tables: Mapping[str, Mapping[str, tuple]],
    rng: np.random.Generator | None,
    kind: str,
) -> xr.Dataset:
    """A copy with the activities of everybody's phenotypes, and ``phenotype_<name>``.

    Parameters
    ----------
    phenotypes : name -> phenotype of everybody; ``"population"``: drawn by the frequencies of the tables
    tables : name -> phenotype -> (activity, frequency, ...)
    rng : for what is drawn
    kind : "enzyme" or "transporter", for messages

    Raises
    ------
    InputError, UnknownNameError : another text, a name or phenotype that is not in the tables
    """
    if isinstance(phenotypes, str) and phenotypes != "population":
        raise InputError(
            "phenotypes", phenotypes, f"'population', or a mapping of {kind}s to phenotypes"
        )
    n, out = people.sizes["subject"], people
    asked = dict.fromkeys(tables) if isinstance(phenotypes, str) else dict(phenotypes)
    for name, which in asked.items():
        if name not in tables:
            raise unknown_name("phenotypes", name, tables, what=f"a polymorphic {kind}")
        table = tables[name]
        if which is None:
            share = np.array([row[1] for row in table.values()])
            labels = rng.choice(list(table), size=n, p=share / share.sum())
        else:
            if which not in table:
                raise unknown_name(f"phenotypes.{name}", which, table, what="a phenotype")
            labels = np.full(n, which)
        out = multiply_activity(out, {name: np.array([table[str(label)][0] for label in labels])})
        text = {"units": "1", "long_name": f"phenotype of {name}"}
        out = out.assign({f"phenotype_{name}": ("subject", labels.astype(str), text)})
    return out


def activity_factors(
    variation: Mapping[str, float], n: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Name -> (n,) log-normal factors with mean 1, from coefficients of variation.

    Raises
    ------
    InputError : a coefficient below 0 or above 5
    """
    factors = {}
    for name, cv in variation.items():
        expected = "a coefficient of variation from 0 to 5"
        cv = check_real(f"variation.{name}", cv, expected)
        if not (np.isfinite(cv) and 0 <= cv <= 5):
            raise InputError(f"variation.{name}", cv, expected)
        sigma = np.sqrt(np.log1p(float(cv) ** 2))
        factors[name] = np.exp(sigma * rng.standard_normal(n) - sigma**2 / 2)
    return factors


def check_people(people: xr.Dataset) -> None:
    """
    Raises
    ------
    SchemaError : no physiology Dataset
    """
    needed = ("species", "age", "body_weight", "height", "gfr", "blood_flow", "cardiac_output")
    if not isinstance(people, xr.Dataset) or any(name not in people for name in needed):
        raise SchemaError(
            "people",
            type(people).__name__,
            "a physiology Dataset",
            hint="such as sample_population(100, seed=1)",
        )


def check_humans(people: xr.Dataset) -> None:
    """
    Raises
    ------
    InputError : animals
    """
    check_people(people)
    if set(np.unique(people["species"].values)) != {"human"}:
        raise InputError("people", list(np.unique(people["species"].values)), "humans")


def multiply_activity(people: xr.Dataset, factors: Mapping[str, np.ndarray]) -> xr.Dataset:
    """A copy whose activities are multiplied; enzymes that were not there start at 1, an organ's own at the enzyme's."""
    n = people.sizes["subject"]
    table: dict[str, np.ndarray] = {}
    if "enzyme_activity" in people:
        values = people["enzyme_activity"].transpose("subject", "enzyme").values
        table = {str(e): values[:, i] for i, e in enumerate(people["enzyme"].values)}
    before = dict(table)
    for enzyme, factor in factors.items():
        start = before.get(enzyme, before.get(enzyme.split(".")[0], np.ones(n)))
        table[enzyme] = start * np.broadcast_to(factor, (n,))
    for (
        enzyme
    ) in table:  # a factor of the enzyme concerns its organs, unless they have one of their own
        base = enzyme.split(".")[0]
        if "." in enzyme and base in factors and enzyme not in factors:
            table[enzyme] = table[enzyme] * np.broadcast_to(factors[base], (n,))
    text = {
        "units": "1",
        "long_name": "activity of the enzyme per gram of organ, relative to a normal adult",
    }
    out = people.drop_vars(["enzyme_activity", "enzyme"], errors="ignore")
    return out.assign_coords(enzyme=list(table)).assign(
        enzyme_activity=(("subject", "enzyme"), np.stack(list(table.values()), axis=1), text)
    )


def seed_of(seed: int | None, people: xr.Dataset) -> int:
    if seed is not None:
        return seed
    own = people.attrs.get("seed")
    if own is None:
        raise InputError("seed", None, "a non-negative integer, for what is drawn")
    return int(own)


__all__ = ["ONTOGENY", "PHENOTYPES", "ontogeny", "with_enzymes"]
