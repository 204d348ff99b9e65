"""How active the enzymes of people are: age, genotype, and differences between people.

Activities are per gram of organ and relative to an adult with two normal alleles. They go
into the variable ``enzyme_activity(subject, enzyme)`` of a physiology Dataset; an enzyme
named ``CYP3A4.gut`` holds for the gut wall alone. Each of the functions here multiplies
what is there already, so that they combine.

Ontogeny, with age in years, scaled to 1 at the age cap and 1 beyond:

.. math:: f(age) = F_{birth} + (F_{max} - F_{birth}) \\frac{age^n}{age_{50}^n + age^n}
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from ..._core.arguments import check_kind, check_real
from ..._core.errors import InputError, NoEffectWarning, SchemaError, nearest_names, unknown_name
from ..._core.random import check_seed, stream

_TABLE = (
    "; read in: a public table of ontogeny parameters (R) that names as its sources Salem "
    "et al. (2014) Clin Pharmacokinet 53:625 and Upreti & Wahlstrom (2016) J Clin Pharmacol "
    "56:266"
)
_REVIEW = ", and in Br J Clin Pharmacol 88:4267 (doi 10.1111/bcp.14821), table 1"
_SALEM = "Salem et al. (2014)" + _TABLE
_UPRETI = "in use beside Upreti & Wahlstrom (2016)" + _TABLE
_UGT = "in use beside Salem et al. (2014) and Upreti & Wahlstrom (2016)" + _TABLE
_RATIO = (
    "age^1.41/(1.13 + age^1.41); read in: public code of caffeine's clearance in children "
    "(R, function KCYP1A2)"
)
#: enzyme -> (F_max, F_birth, age_50 [year], n, age cap [year], source)
ONTOGENY: dict[str, tuple[float, float, float, float, float, str]] = {
    "CYP3A4": (1.06, 0.11, 0.64, 1.91, 25.0, _SALEM),
    "CYP3A4.gut": (1.059, 0.42, 2.357, 1.0, 18.0, _UPRETI),
    "CYP1A2": (1.0, 0.0, 1.13 ** (1 / 1.41), 1.41, 25.0, _RATIO),
    "CYP2B6": (1.0, 0.277, 1.537, 1.73, 25.0, _UPRETI),
    "CYP2C8": (1.053, 0.41, 0.366, 0.68, 20.0, _UPRETI),
    "CYP2C9": (0.98, 0.17, 0.0157, 0.53, 5.0, _UPRETI + _REVIEW),
    "CYP2C19": (0.98, 0.30, 0.29, 2.44, 5.0, _UPRETI + _REVIEW),
    "CYP2D6": (1.0, 0.036, 0.1, 1.0, 10.0, _UPRETI + _REVIEW),
    "CYP2E1": (0.99, 0.0, 0.23, 0.5, 18.0, _UPRETI),
    "UGT1A1": (1.0, 0.0, 0.183, 1.105, 25.0, _UGT),
    "UGT1A4": (1.028, 0.05, 1.042, 1.36, 20.0, _UGT),
    "UGT1A6": (1.025, 0.142, 0.411, 0.97, 15.0, _UGT),
    "UGT1A9": (1.012, 0.0541, 0.07228, 5.771, 0.16, _UGT),
}
#: enzymes whose activity grows in a straight line: enzyme -> (at birth, per year, source)
STRAIGHT_ONTOGENY = {"UGT2B7": (0.113, 0.0425, _UGT), "UGT2B15": (0.495, 0.025, _UGT)}

#: enzyme -> phenotype -> (activity relative to normal metabolisers, frequency in
#: Europeans). Frequencies: CYP2D6 and CYP2C19 Genet Med 21:1345 (doi
#: 10.1038/s41436-018-0337-5), table 2, genome sequencing, normal what is left; CYP2C9 59,
#: 487 and 1037 of 1583 people, Clin Pharmacol Ther 107:617 (doi 10.1002/cpt.1665), table 2;
#: both read. Activities are assumed (docs/assumptions.md).
PHENOTYPES: dict[str, dict[str, tuple[float, float]]] = {
    "CYP2D6": {
        "poor": (0.0, 0.0496),
        "intermediate": (0.5, 0.0393),
        "normal": (1.0, 0.8875),
        "ultrarapid": (2.0, 0.0236),
    },
    "CYP2C19": {
        "poor": (0.0, 0.0244),
        "intermediate": (0.5, 0.236),
        "normal": (1.0, 0.359),
        "rapid": (1.25, 0.312),
        "ultrarapid": (1.5, 0.0686),
    },
    "CYP2C9": {
        "poor": (0.2, 59 / 1583),
        "intermediate": (0.6, 487 / 1583),
        "normal": (1.0, 1037 / 1583),
    },
}
#: coefficient of variation of an enzyme's activity between people of one age and genotype:
#: what httk's Monte Carlo takes for intrinsic clearance (clint.pop.cv = 0.3; read in: a
#: vignette of httk, after Wambaugh et al. 2019, doi 10.1093/toxsci/kfz205)
VARIATION = 0.30


def ontogeny(enzyme: str, age: Any) -> np.ndarray:
    """Activity at an age [year] relative to adults.

    Raises
    ------
    UnknownNameError
        An enzyme without a function.
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
    people
        Physiology Dataset of humans.
    by_age
        Apply the ontogeny functions (adults stay as they are).
    phenotypes
        enzyme -> phenotype of everybody; ``"population"``: drawn by the frequencies in
        Europeans; None: normal.
    variation
        Coefficient of variation of log-normal activities, one for all enzymes or enzyme ->
        value (others vary by :data:`VARIATION`); None: none.
    seed
        For what is drawn; None takes the population's own.

    Returns
    -------
    Dataset
        A copy with ``enzyme_activity(subject, enzyme)``, and ``phenotype_<enzyme>`` where
        phenotypes were asked for.

    Raises
    ------
    InputError, UnknownNameError
        Animals, an enzyme or phenotype that is not known, a variation below 0, no seed.

    Warns
    -----
    NoEffectWarning
        A variation of an enzyme that nothing here knows; it counts for compounds that name
        it so.
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
    if phenotypes is not None:
        rng = own_stream(seed, people, "enzyme phenotypes") if phenotypes == "population" else None
        out = assign_phenotypes(out, phenotypes, PHENOTYPES, rng, "enzyme")
    if variation is not None:
        names = [e for e in (*ONTOGENY, *STRAIGHT_ONTOGENY) if "." not in e]
        by_enzyme = (
            dict.fromkeys(names, VARIATION) | dict(variation)
            if isinstance(variation, Mapping)
            else dict.fromkeys(names, variation)
        )
        warn_of_unknown("variation", by_enzyme, (*names, *ONTOGENY, *PHENOTYPES), "enzyme")
        factors = activity_factors(by_enzyme, n, own_stream(seed, people, "enzymes"))
        if "CYP3A4" in factors:
            # liver and gut wall have one CYP3A4 gene; their abundances are taken to go together
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
    phenotypes
        name -> phenotype of everybody; ``"population"``: drawn by the frequencies of the
        tables.
    tables
        name -> phenotype -> (activity, frequency, ...).
    rng
        For what is drawn.
    kind
        "enzyme" or "transporter", for messages.

    Raises
    ------
    InputError, UnknownNameError
        Another text, a name or phenotype that is not in the tables.
    """
    if isinstance(phenotypes, str) and phenotypes != "population":
        raise InputError(
            "phenotypes", phenotypes, f"'population', or a mapping of {kind}s to phenotypes"
        )
    n, out = people.sizes["subject"], people
    # None: drawn by the frequencies
    by_name = dict.fromkeys(tables) if isinstance(phenotypes, str) else dict(phenotypes)
    for name, which in by_name.items():
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
    InputError
        A coefficient below 0 or above 5.
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


def warn_of_unknown(field: str, names: Iterable[str], known: Iterable[str], kind: str) -> None:
    """Say which names nothing in the package knows.

    Warns
    -----
    NoEffectWarning
        For each name that is not among the `known`, with the nearest that are.
    """
    known = list(dict.fromkeys(known))
    bases = {name.split(".")[0] for name in known}
    for name in names:
        if name in known or name.split(".")[0] in bases:
            continue
        near = nearest_names(name, known)
        hint = (
            f"did you mean {' or '.join(map(repr, near))}?"
            if near
            else f"known: {', '.join(known)}"
        )
        warnings.warn(
            f"{field}[{name!r}]: no {kind} of this name is known; it changes only compounds "
            f"that name it so; {hint}",
            NoEffectWarning,
            stacklevel=3,
        )


def check_people(people: xr.Dataset) -> None:
    """Refuse what is no physiology Dataset.

    Raises
    ------
    SchemaError
        A variable is missing that the functions here read.
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
    """Refuse animals.

    Raises
    ------
    InputError
        Somebody is not human.
    """
    check_people(people)
    if set(np.unique(people["species"].values)) != {"human"}:
        raise InputError("people", list(np.unique(people["species"].values)), "humans")


def multiply_activity(people: xr.Dataset, factors: Mapping[str, np.ndarray]) -> xr.Dataset:
    """A copy whose activities are multiplied; enzymes that were not there start at 1, an
    organ's own at the enzyme's.
    """
    n = people.sizes["subject"]
    table: dict[str, np.ndarray] = {}
    if "enzyme_activity" in people:
        values = people["enzyme_activity"].transpose("subject", "enzyme").values
        table = {str(e): values[:, i] for i, e in enumerate(people["enzyme"].values)}
    before = dict(table)
    for enzyme, factor in factors.items():
        start = before.get(enzyme, before.get(enzyme.split(".")[0], np.ones(n)))
        table[enzyme] = start * np.broadcast_to(factor, (n,))
    # a factor of the enzyme concerns its organs, unless they have one of their own
    for enzyme in table:
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


def own_stream(seed: int | None, people: xr.Dataset, purpose: str) -> np.random.Generator:
    """The stream of one purpose, of the seed or the population's own: shared with nothing
    else that is drawn.

    Raises
    ------
    InputError
        There is no seed.
    """
    used = people.attrs.get("seed") if seed is None else seed
    if used is None:
        raise InputError("seed", None, "a non-negative integer, for what is drawn")
    return stream(int(used), purpose)


__all__ = ["ONTOGENY", "PHENOTYPES", "ontogeny", "with_enzymes"]
