"""The parameters of a run: a compound resolved in people, with the variability between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import xarray as xr

from .._core.errors import InputError
from .._core.random import check_seed
from ..compounds import Compound
from ..compounds.conversion import as_compound
from ..models.small_molecules.absorption import GutAbsorption
from ..models.small_molecules.disposition import (
    Disposition,
    DispositionChoices,
    resolve_disposition,
)
from .variability import Variability, resolve_variability, varied_people


@dataclass(frozen=True, eq=False)
class VariabilityChoice:
    """How people differ in what they do with a drug: `variability` and `seed` of a simulation."""

    variability: Variability | float | bool | str | None = "default"
    seed: int | None = None


@dataclass(frozen=True, eq=False)
class RunParameters:
    """A disposition with variability, and the attributes that say which."""

    disposition: Disposition
    attributes: Mapping[str, Any]


def resolve_parameters(
    compound: Compound, people: xr.Dataset, choices: DispositionChoices, varied: VariabilityChoice
) -> RunParameters:
    """The disposition of a compound in people who differ in enzymes and absorption.

    Raises
    ------
    InputError and its kin
        As :func:`.resolve_disposition`; no seed for the variability.
    """
    draws = resolve_variability(varied.variability, people)
    seed = None if draws is None else _seed(varied.seed, people)
    disposition = resolve_disposition(compound, people, choices)
    if draws is not None:
        names = ["clint.liver", "fraction_unbound_plasma", "absorption_rate", "transit_rate"]
        names += [f"vmax[{pathway.name}]" for pathway in compound.saturable]
        present = tuple(name for name in names if name in disposition.entries)
        factors = varied_people(draws, people).draw(people.sizes["subject"], seed, present)
        disposition = disposition.scaled(factors)
    attributes = {
        "seed": seed,
        "population_seed": people.attrs.get("seed"),
        "variability": "none" if draws is None else str(draws),
    }
    return RunParameters(disposition, attributes)


def disposition(
    compound: Compound | str,
    population: xr.Dataset | None = None,
    *,
    variability: Variability | float | bool | str | None = "default",
    seed: int | None = None,
    clearance: str | None = None,
    distribution: str | None = None,
    partition_method: str | None = None,
    kp: Mapping[str, float] | None = None,
    hepatic_model: str | None = None,
    permeability_limited: Mapping[str, float | tuple[float, float]] | float | str | None = None,
    absorption: GutAbsorption | None = None,
) -> Disposition:
    r"""The parameter table of a simulation: what :func:`simulate` uses under the same arguments.

    >>> import pbpk_hybrid as ph
    >>> table = ph.disposition("midazolam").to_dataframe()
    >>> str(table.loc["clint.liver", "unit"])
    'L/h'

    Parameters
    ----------
    compound : Compound or str
        A Compound or the name of one in the database.
    population : xarray.Dataset, optional
        Physiology Dataset (one species); None: the reference human.
    variability, seed, clearance, distribution, partition_method, kp, hepatic_model, \
permeability_limited, absorption
        As in :func:`simulate`.

    Returns
    -------
    Disposition
        Prints in one line, as a table in a notebook and by ``to_dataframe()``: every parameter
        with its value or range over the subjects, unit and source.

    Raises
    ------
    InputError, UnknownNameError, SchemaError
        As :func:`simulate`.
    """
    check_seed(seed)
    drug = as_compound(compound)
    people = people_of(population)
    choices = DispositionChoices(
        clearance,
        distribution,
        partition_method,
        kp,
        hepatic_model,
        permeability_limited,
        absorption,
    )
    varied = VariabilityChoice(variability, seed)
    return resolve_parameters(drug, people, choices, varied).disposition


def people_of(population: xr.Dataset | None) -> xr.Dataset:
    """The people of a simulation, checked; None: the reference human, for reading only."""
    from ..physiology.dataset import check_physiology
    from ..physiology.individual import standard_individual

    return standard_individual("human") if population is None else check_physiology(population)


def _seed(seed: int | None, people: xr.Dataset) -> int:
    if seed is not None:
        return seed
    own = people.attrs.get("seed")
    if own is None:
        raise InputError(
            "seed", None, "a non-negative integer, for the variability between subjects"
        )
    return int(own)


__all__ = ["RunParameters", "VariabilityChoice", "disposition", "people_of", "resolve_parameters"]
