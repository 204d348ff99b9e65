"""A model from another program, or from text, as an object to look at, change, simulate and fit.

What PK-Sim's simulations, SBML models and models written as text have in common; each of them says
what its quantities measure.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from .._core.arguments import check_names
from .._core.errors import InputError, UnknownNameError, unknown_name
from ..models.expressions.assembly import AssembledModel, assemble_model
from ..models.expressions.ode_model import OdeModel, ordered
from ..models.expressions.printing import text_of
from ..models.expressions.tree import Expression, evaluate, number, postorder, symbol, symbols
from ..models.system.system import System
from ..solvers.base import SolverOptions
from .pksim_paths import Branch, ModelParameter, ParameterTable, pattern_of
from .pksim_population import Individuals, read_individuals
from .pksim_units import in_base_unit
from .simulation_file import DELIMITER, MOLECULE, OBSERVER, PARAMETER, Quantity, SimulationFile

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: assembled models that are kept, one for each set of names that are given
_KEPT = 8


#: seconds of compiling for each operation of the reactions, and from how many on it is announced
#: (measured on the model of Chen et al. 2009: 1,300 operations of 500 species, 10 to 20 s)
_COMPILE, _LONG = 0.012, 60.0


def announce_compiling(system: System) -> None:
    """Say so before a compilation that takes minutes.

    Warns
    -----
    UserWarning : with how long it will take
    """
    laws = [r.expression for r in system.reactions if r.expression is not None]
    seconds = _COMPILE * (len(postorder(laws)) + len(laws))
    if seconds > _LONG:
        warnings.warn(
            f"the model has {len(laws)} nonlinear terms: compiling them takes about "
            f"{seconds / 60:.0f} min the first time; later they are loaded from disk",
            UserWarning,
            stacklevel=4,
        )


@dataclass(frozen=True, eq=False)
class EquationModel:
    """Equations with named quantities that have units, values and doses of their own.

    Parameters
    ----------
    contents : what the file holds
    file : where it was read from
    changed : name -> value that was set since
    """

    contents: SimulationFile
    file: str = ""
    changed: Mapping[str, float] = field(default_factory=dict)
    _assembled: dict[frozenset[str], AssembledModel] = field(default_factory=dict, repr=False)

    #: what is saved at the time of an event is the state before it
    reported_before: ClassVar[bool] = False
    #: no step sees the rate behind a jump at a known time (PK-Sim's simulations are written for
    #: solvers whose steps do)
    time_switches: ClassVar[bool] = True
    #: names have parts, as PK-Sim's paths have
    names_are_paths: ClassVar[bool] = False
    #: long name of the variable `value` of results
    value_text: ClassVar[str] = "value in the unit of the model"
    #: an example of a pattern, for messages
    example: ClassVar[str] = "a name, or a pattern such as 'V*'"

    # -- what each kind of model says of its quantities ----------------------------------------

    def measure(self, path: str, unit: str) -> tuple[str, Expression] | None:
        """("amount" or "concentration", factor to the unit of results); None: neither."""
        raise NotImplementedError

    def unit_of_results(self, paths: Sequence[str], unit: str | None) -> str:
        """The unit that amounts of these quantities are given in.

        Raises
        ------
        InputError : one that they cannot be given in
        """
        raise NotImplementedError

    def amount_unit(self, unit: str) -> str:
        """The name of a unit of results."""
        return "mg" if unit == "mg" else "umol"

    def sides(self, path: str) -> tuple[str, ...]:
        """The quantities that give amount and concentration of an output."""
        return (path,)

    def start_name(self, path: str) -> str:
        """The name in the equations of what is set (of a state: its initial value)."""
        return path

    # -- looking at it --------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Of the simulation."""
        return self.contents.name

    @property
    def ode(self) -> OdeModel:
        """The equations."""
        return self.contents.model

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """Path -> molecule, parameter or observer."""
        return self.contents.quantities

    @property
    def outputs(self) -> tuple[str, ...]:
        """Paths that the file asks for."""
        return tuple(q.path for q in self.quantities.values() if q.selected)

    @property
    def times(self) -> np.ndarray:
        """Output times that the file asks for [h]."""
        return self.contents.output_times / self.contents.per_hour

    @property
    def units_per_hour(self) -> float:
        """Units of the model's time in an hour."""
        return self.contents.per_hour

    def _branches(self, parameters: bool = True) -> Branch:
        root = Branch(self.name, f"({self.contents.form})")
        values = self._values_at_start
        for path, quantity in self.quantities.items():
            if quantity.kind == PARAMETER and not parameters:
                continue
            shown = (
                "" if quantity.kind == OBSERVER else f"{values[path]:.6g} {quantity.unit}".rstrip()
            )
            kind = "" if quantity.kind == PARAMETER else f"[{quantity.kind}]"
            root.put(path, f"{kind} {shown}".strip())
        for event in self.ode.events:
            root.put(event.name, f"[event: {len(event.assignments)} assignments]")
        return root

    def tree(self, depth: int | None = 3, parameters: bool = True) -> str:
        """The model as a tree of names with values at the start.

        Parameters
        ----------
        depth : levels that are shown; None: all
        parameters : False leaves them out
        """
        return self._branches(parameters).text(depth)

    def _repr_html_(self) -> str:
        return self._branches().html()

    @cached_property
    def _values_at_start(self) -> dict[str, float]:
        """Path -> number at the start, in base units."""
        model = self.ode
        formulas = {**model.initial, **model.parameters}
        known: dict[str, Any] = {model.time: 0.0}
        for path in ordered(formulas):
            formula = formulas[path]
            known[path] = (
                formula.value if formula.is_number else float(evaluate([formula], known)[0])
            )
        return known

    def parameters(self, pattern: str = "**") -> ParameterTable:
        """Parameters whose path fits a pattern, with their values at the start.

        >>> from pbpk_hybrid.interchange import example_sbml_model, read_sbml_model
        >>> read_sbml_model(example_sbml_model()).parameters("uptake_*")
        uptake_Vmax   0.02 mmol/min
        uptake_Km   0.05 mmol/l

        Raises
        ------
        UnknownNameError : nothing fits; the nearest paths are named
        """
        paths = self._fitting(pattern, (PARAMETER,))
        return ParameterTable(self._parameter(path) for path in paths)

    def _parameter(self, path: str) -> ModelParameter:
        quantity = self.quantities[path]
        formula = self.ode.parameters.get(path, self.ode.initial.get(path, number(0.0)))
        made = "" if formula.is_number else text_of(formula)
        return ModelParameter(
            path, self._values_at_start[path], quantity.unit, quantity.dimension, made
        )

    def _fitting(self, pattern: str, kinds: Sequence[str], field: str = "pattern") -> list[str]:
        if not isinstance(pattern, str) or not pattern:
            raise InputError(field, pattern, self.example)
        known = [q.path for q in self.quantities.values() if q.kind in kinds]
        if pattern in self.quantities:
            if self.quantities[pattern].kind in kinds:
                return [pattern]
            raise InputError(
                field,
                pattern,
                f"the path of a {' or '.join(kinds)} (it is a {self.quantities[pattern].kind})",
            )
        found = list(filter(pattern_of(pattern).fullmatch, known))
        if not found:
            raise self._unknown(field, pattern, known, f"the path of a {' or '.join(kinds)}")
        return found

    def _unknown(self, field: str, path: str, known: Iterable[str], what: str) -> UnknownNameError:
        """An unknown path; one that ends alike is nearer than one that is spelled alike."""
        prefix = f"{self.name}{DELIMITER}"
        if path.startswith(prefix) and path.removeprefix(prefix) in self.quantities:
            hint = f"leave out the name of the simulation: {path.removeprefix(prefix)!r}"
            return UnknownNameError(field, path, what, hint=hint)
        last = path.rpartition(DELIMITER)[2]
        alike = [k for k in known if k.rpartition(DELIMITER)[2].lower() == last.lower()]
        return unknown_name(field, path, alike or known, what=what)

    # -- changing it ----------------------------------------------------------------------------

    def set(self, values: Mapping[str, float | str]) -> Self:
        """The model with other values: each takes the place of the parameter's number or formula.

        Parameters
        ----------
        values : name of a parameter, or of a state for its initial value -> number in the model's
            unit, or text with a unit of the same dimension (``"80 ml/min"``)

        Raises
        ------
        UnknownNameError, InputError, UnitError : a name that is none, a value that is no finite
            number, another dimension
        """
        if not isinstance(values, Mapping):
            raise InputError("values", type(values).__name__, "a mapping: path -> value")
        numbers = {path: self._number(path, value, "values") for path, value in values.items()}
        single = {self.start_name(path): float(v) for path, v in numbers.items()}
        model = self.ode.with_parameters(single)
        return replace(
            self,
            contents=replace(self.contents, model=model),
            changed={**self.changed, **single},
            _assembled={},
        )

    def _number(self, path: str, value: Any, field: str, several: bool = False) -> np.ndarray:
        """A value (or one for each subject) in base units."""
        what = f"{field}[{path!r}]"
        if path not in self.quantities:
            known = [q.path for q in self.quantities.values() if q.kind != OBSERVER]
            raise self._unknown(field, path, known, "the path of a parameter or molecule")
        if self.quantities[path].kind == OBSERVER:
            raise InputError(what, value, "a parameter or molecule: an observer is calculated")
        given_value = in_base_unit(value, self.quantities[path].unit, what)
        try:
            numbers = np.asarray(given_value, dtype=float)
        except (TypeError, ValueError):
            raise InputError(what, value, "a number, or text with a number and a unit") from None
        if numbers.ndim > int(several) or not np.isfinite(numbers).all():
            raise InputError(what, value, "a finite number")
        return numbers

    # -- running it -----------------------------------------------------------------------------

    def simulate(
        self,
        times: Sequence[float] | np.ndarray | None = None,
        *,
        values: Mapping[str, Any] | None = None,
        population: pd.DataFrame | str | os.PathLike | None = None,
        outputs: str | Sequence[str] | None = None,
        unit: str | None = None,
        sensitivities: Sequence[str] = (),
        options: SolverOptions | None = None,
        raise_on_failure: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> xr.Dataset:
        """Simulate.

        >>> from pbpk_hybrid.interchange import example_sbml_model, read_sbml_model
        >>> result = read_sbml_model(example_sbml_model()).simulate([0, 8], outputs="blood")
        >>> result["value"].values.ravel().round(4).tolist()
        [0.0667, 0.068]

        Parameters
        ----------
        times : [h]; None: those that the file asks for
        values : name -> value, or one for each individual, instead of the model's own
        population : a DataFrame with names of parameters as columns (and IndividualId), or the CSV
            file that PK-Sim exports
        outputs : names or patterns; None: those that the file asks for
        unit : of amounts, and of concentrations per litre: "mg" or "mol" (µmol); None: mg where the
            model says the molar masses or is in mass itself; else µmol (PK-Sim) or its own (SBML)
        sensitivities : paths of parameters by which every output is differentiated
        options : how to integrate
        raise_on_failure : raise SolveError instead of flagging failed subjects
        progress : called with numbers of subjects done

        Returns
        -------
        Dataset of schema ``simulation``; compartments are the names of outputs. Besides amount and
        concentration it has `value`, every output in the unit of the model (coordinate `unit`), and
        with `sensitivities` their derivatives.

        Raises
        ------
        InputError and its kin : anything that cannot be used; a sensitivity by a parameter that
            moves the time of an event
        SolveError : a subject failed and `raise_on_failure` is set

        Warns
        -----
        SubjectFailedWarning : subjects whose integration failed; their values are NaN
        NoEffectWarning : columns of the population that are no names of the model
        """
        from .equation_results import simulate_model

        return simulate_model(
            self,
            times,
            values or {},
            population,
            outputs,
            unit,
            check_names("sensitivities", sensitivities, "paths of parameters"),
            options,
            raise_on_failure,
            progress,
        )

    def assembled(
        self, values: Mapping[str, Any], labels: np.ndarray | None = None
    ) -> AssembledModel:
        """The equations with other values of some quantities, (n_subjects or 1,) each."""
        key = frozenset(values)
        if key not in self._assembled:
            if len(self._assembled) >= _KEPT:
                self._assembled.pop(next(iter(self._assembled)))
            first = {k: float(np.atleast_1d(v)[0]) for k, v in values.items()}
            try:
                self._assembled[key] = assemble_model(
                    self.ode,
                    first,
                    reported_before=self.reported_before,
                    time_switches=self.time_switches,
                )
            except InputError as error:
                raise self._explained(error, values) from error
            announce_compiling(self._assembled[key].system)
        kept = self._assembled[key]
        return kept.with_values(values, np.arange(1) if labels is None else labels)

    def _explained(self, error: InputError, values: Mapping[str, Any]) -> InputError:
        """Where a number is missing, the parameter that has none; else the error as it is."""
        if error.expected != "a finite number":
            return error
        own = self._values_at_start
        used = symbols(*self.ode.rates.values(), *self.ode.initial.values())
        for path in used:
            formula = self.ode.parameters.get(path)
            if (
                path not in values
                and formula is not None
                and formula.is_number
                and own[path] != own[path]
            ):
                hint = f"give it one: model.set({{{path!r}: ...}})"
                return InputError(
                    path, float("nan"), "a number: the simulation needs it", hint=hint
                )
        return error

    def individuals(
        self, population: pd.DataFrame | str | os.PathLike | None
    ) -> Individuals | None:
        """Who is simulated; None: one subject, the model's own."""
        if population is None:
            return None
        known = {q.path for q in self.quantities.values() if q.kind != OBSERVER}
        return read_individuals(population, known, paths=self.names_are_paths)

    def output_paths(self, outputs: str | Sequence[str] | None) -> tuple[str, ...]:
        """Paths of outputs from patterns."""
        if outputs is None:
            return self.outputs or tuple(p for p in self.ode.states if p in self.quantities)
        patterns = (outputs,) if isinstance(outputs, str) else tuple(outputs)
        kinds = (MOLECULE, OBSERVER, PARAMETER)
        found: dict[str, None] = {}
        for pattern in patterns:
            narrow = (MOLECULE, OBSERVER) if "*" in str(pattern) else kinds
            try:
                found |= dict.fromkeys(self._fitting(pattern, narrow, "outputs"))
            except UnknownNameError:
                found |= dict.fromkeys(self._fitting(pattern, kinds, "outputs"))
        if not found:
            raise InputError("outputs", outputs, "at least one path")
        return tuple(found)

    def expression(self, path: str, assembled: AssembledModel) -> Expression:
        """A quantity over states, time and given values."""
        if path in assembled.system.states:
            return symbol(path)
        return assembled.formulas[path]

    # -- fitting it -----------------------------------------------------------------------------

    def fit_values(self) -> dict[str, float]:
        """Parameters and initial values that may be estimated, with their values."""
        own = self._values_at_start
        return {q.path: own[q.path] for q in self.quantities.values() if q.kind != OBSERVER}

    @property
    def label(self) -> str:
        """Name of the file, for provenance."""
        return Path(self.file).name


__all__ = ["EquationModel"]
