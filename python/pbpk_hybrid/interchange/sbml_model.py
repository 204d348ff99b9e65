"""Any SBML model as an object to look at, change, simulate and fit."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .._core.arguments import check_choice
from .._core.errors import InputError, unknown_name
from ..models.expressions.assembly import AssembledModel
from ..models.expressions.tree import Expression, mul, number, symbols
from .equation_model import EquationModel
from .sbml_file import read_text
from .sbml_quantities import Measure
from .sbml_reader import read_sbml_text
from .sbml_units import AMOUNTS, UNKNOWN, Amount, amount_of
from .simulation_file import MOLECULE, PARAMETER

_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}


@dataclass(frozen=True, eq=False)
class SBMLModel(EquationModel):
    """An SBML model; made by :func:`read_sbml_model`.

    Names are the ids of the file; a local parameter is ``reaction.parameter``. Values are in the
    file's own units. A species' value is what its id means in formulas: a concentration, or an
    amount where the file says ``hasOnlySubstanceUnits``; what is set of it is its initial value.

    Parameters
    ----------
    contents : the equations
    file : where it was read from
    changed : name -> value that was set since
    measures : name -> what it measures
    pairs : species -> names that give its amount and concentration
    start_names : species -> name of its initial value in the equations
    compartment_of : species -> compartment
    own : unit of amount of the file
    molar_mass : species -> [g/mol]
    notes : what was assumed of the file
    """

    measures: Mapping[str, Measure] = field(default_factory=dict)
    pairs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    start_names: Mapping[str, str] = field(default_factory=dict)
    compartment_of: Mapping[str, str] = field(default_factory=dict)
    own: Amount = field(default_factory=lambda: Amount("", 1.0))
    molar_mass: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    value_text: ClassVar[str] = "value in the unit of the file"

    def __repr__(self) -> str:
        kinds = [q.kind for q in self.quantities.values()]
        changed = f", {len(self.changed)} values changed" if self.changed else ""
        return (
            f"SBMLModel({self.name!r}, {self.contents.form}: {kinds.count(MOLECULE)} species, "
            f"{kinds.count(PARAMETER)} parameters and compartments, {len(self.ode.events)} events; "
            f"amounts in {self.amount_unit('own')}, {self._time_text()}{changed})"
        )

    def _time_text(self) -> str:
        seconds = 3600.0 / self.units_per_hour
        known = {v: f"time in {k}s" for k, v in _SECONDS.items()}
        return known.get(seconds, f"time in units of {seconds:g} s")

    @property
    def species(self) -> tuple[str, ...]:
        """Ids of the species."""
        return tuple(q.path for q in self.quantities.values() if q.kind == MOLECULE)

    def start_name(self, path: str) -> str:
        """The initial concentration of a species whose id means one; else the name itself."""
        return self.start_names.get(path, path)

    def sides(self, path: str) -> tuple[str, ...]:
        """A species with its amount or concentration."""
        return self.pairs.get(path, (path,))

    def _factor(self, path: str, unit: str) -> float | None:
        known = self.measures.get(path)
        return None if known is None else known.factor(unit, self.own, self.molar_mass)

    def measure(self, path: str, unit: str) -> tuple[str, Expression] | None:
        """("amount" or "concentration", factor to the unit of results); None: neither."""
        factor = self._factor(path, unit)
        return None if factor is None else (self.measures[path].kind, number(factor))

    def unit_of_results(self, paths: Sequence[str], unit: str | None) -> str:
        """mg where molar masses are known or the file is in mass; else the file's own unit.

        Raises
        ------
        InputError : a unit (mg or mol) that a species cannot be given in
        """
        if unit is not None:
            check_choice("unit", unit, ("mg", "mol"))
        asked = [p for p in paths if p in self.measures]
        if unit is None:
            known = bool(asked) and all(self._factor(p, "mg") is not None for p in asked)
            return "mg" if known else "own"
        for path in asked:
            if all(self._factor(p, unit) is None for p in self.sides(path)):
                raise InputError(
                    "unit",
                    unit,
                    f"None: {path} is in {self.measures[path].amount.name}",
                    hint="give molar masses: read_sbml_model(..., molar_mass={...})",
                )
        return unit

    def amount_unit(self, unit: str) -> str:
        """The name of a unit of results."""
        if unit != "own":
            return super().amount_unit(unit)
        return self.own.name if self.own.family else UNKNOWN

    def with_molar_mass(self, molar_mass: float | Mapping[str, float]) -> SBMLModel:
        """The model with molar masses, so that results may be in mg.

        Parameters
        ----------
        molar_mass : [g/mol] of all species, or species -> molar mass

        Raises
        ------
        InputError, UnknownNameError : a value that is no number > 0, a name that is no species
        """
        from dataclasses import replace

        many = (
            molar_mass
            if isinstance(molar_mass, Mapping)
            else dict.fromkeys(self.species, molar_mass)
        )
        for name, value in many.items():
            if name not in self.species:
                raise unknown_name("molar_mass", name, self.species, what="a species")
            plain = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not plain or not 0 < value < 1e9:
                raise InputError(f"molar_mass[{name!r}]", value, "a number > 0 [g/mol]")
        numbers = {k: float(v) for k, v in many.items()}
        return replace(self, molar_mass={**self.molar_mass, **numbers}, _assembled={})

    @cached_property
    def _missing(self) -> tuple[str, ...]:
        """Names without a value that the course of the states depends on."""
        formulas = {**self.ode.initial, **self.ode.parameters}
        zero = number(0.0)
        moving = [s for s, rate in self.ode.rates.items() if rate is not zero]
        todo = list(symbols(*(self.ode.rates[s] for s in moving))) + moving
        seen: set[str] = set()
        while todo:
            name = todo.pop()
            if name not in seen and name in formulas:
                seen.add(name)
                todo += symbols(formulas[name])
        lost = (n for n in seen if formulas[n].is_number and formulas[n].value != formulas[n].value)
        return tuple(sorted(lost))

    def assembled(
        self, values: Mapping[str, Any], labels: np.ndarray | None = None
    ) -> AssembledModel:
        """The equations with other values of some quantities, (n_subjects or 1,) each.

        Raises
        ------
        InputError : a quantity that the equations need has no value
        """
        for name in self._missing:
            if name not in values:
                own = next((s for s, n in self.start_names.items() if n == name), name)
                hint = f"the file gives none: model.set({{{own!r}: ...}})"
                raise InputError(own, "no value", "a number: the equations need it", hint=hint)
        return super().assembled(values, labels)

    # -- fitting it -----------------------------------------------------------------------------

    def fit_outputs(self) -> tuple[str, ...]:
        """Species whose concentration in mg/L is known."""
        return tuple(s for s in self.species if self._concentration(s) is not None)

    def _concentration(self, species: str) -> str | None:
        for name in self.sides(species):
            if self.measures[name].kind == "concentration" and self._factor(name, "mg") is not None:
                return name
        return None

    def observed(self, name: str, assembled: AssembledModel) -> Expression:
        """A concentration [mg/L] over states, time and given values."""
        path = self._concentration(name)
        if path is None:
            raise InputError("compartments", name, f"one of {', '.join(self.fit_outputs()[:10])}")
        return mul(self._factor(path, "mg"), self.expression(path, assembled))


def read_sbml_model(
    source: str | os.PathLike,
    *,
    time_unit: str | None = None,
    substance_unit: str | None = None,
    molar_mass: float | Mapping[str, float] | None = None,
) -> SBMLModel:
    """An SBML model (Level 2 or 3) as an object to look at, change, simulate and fit.

    Everything of the core that ordinary differential equations have is read: any kinetic law, rate
    and assignment rules, initial assignments, function definitions, piecewise, local parameters,
    events, compartments that change size, conversion factors. libSBML is not needed.

    >>> from pbpk_hybrid.interchange import example_sbml_model, read_sbml_model
    >>> model = read_sbml_model(example_sbml_model())
    >>> result = model.set({"dose": 50}).simulate(range(25), outputs="blood")

    Parameters
    ----------
    source : path of a file, or XML text that begins with ``<``
    time_unit : "second", "minute", "hour" or "day", where the file states none or a wrong one
    substance_unit : "mg", "mmol", ... where the file states none
    molar_mass : [g/mol] of all species, or species -> molar mass; results may then be in mg

    Raises
    ------
    FileFormatError : not SBML, damaged, too large or too deep; a delay, an algebraic rule, a fast
        reaction; an id that is nothing; rules that need each other. The message names the element.
    """
    if time_unit is not None and time_unit not in _SECONDS:
        raise InputError("time_unit", time_unit, ", ".join(_SECONDS))
    if not isinstance(source, (str, os.PathLike)):
        raise InputError("source", source, "the path of a file, or XML text")
    text, name, _ = read_text(source)
    found = read_sbml_text(text, name, None if time_unit is None else _SECONDS[time_unit])
    own, measures = found.own, dict(found.measures)
    if substance_unit is not None:
        given = amount_of(substance_unit)
        measures = {k: _stated(m, given) for k, m in measures.items()}
        own = own if own.family else given
    shown = amount_of(own.name) if own.name in AMOUNTS else own
    model = SBMLModel(
        found.contents,
        name,
        measures=measures,
        pairs=found.sides,
        start_names=found.start_names,
        compartment_of=found.compartment_of,
        own=shown,
        notes=found.notes,
    )
    return model if molar_mass is None else model.with_molar_mass(molar_mass)


def _stated(measure: Measure, given: Amount) -> Measure:
    """A measure whose unit of amount the file does not state."""
    if measure.amount.family:
        return measure
    return Measure(measure.kind, given, measure.litres, measure.species)


def example_sbml_model() -> Path:
    """Path of a small SBML model written for this package: blood and liver, reversible uptake."""
    return Path(__file__).with_name("data") / "own" / "transport.xml"


__all__ = ["SBMLModel", "example_sbml_model", "read_sbml_model"]
