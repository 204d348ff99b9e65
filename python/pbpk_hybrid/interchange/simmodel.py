"""SimModel XML: the flat form in which PK-Sim and MoBi hand a simulation to their solver kernel.

A file lists parameters, variables, observers, events and formulas by number; number 0 is
time [min]. Read here as documented by Open Systems Pharmacology's OSPSuite.SimModel
(formats) and OSPSuite.FuncParser (functions); amounts are micromole, volumes litre. The
curves of that kernel are what this reader is tested against.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from .._core.errors import FileFormatError, InputError, NoEffectWarning
from .._core.xml_files import read_xml
from ..models.expressions.ode_model import Assignment, Event, OdeModel
from ..models.expressions.parser import parse_expression
from ..models.expressions.tree import Expression, Table, apply, number, symbol, symbols
from .simulation_file import (
    CONSTANTS,
    DELIMITER,
    MOLECULE,
    OBSERVER,
    PARAMETER,
    TIME,
    Quantity,
    SimulationFile,
    merged_times,
)


def read_simmodel(path: str | os.PathLike) -> SimulationFile:
    """Read a SimModel XML file (``.xml`` or ``.xml.gz``).

    Raises
    ------
    FileFormatError : not such a file, or something in it that cannot be understood; names
        the object
    """
    return simmodel_file(read_xml(path), path)


def is_simmodel(root: ElementTree.Element) -> bool:
    """Whether a root element is that of a SimModel XML file."""
    return _tag(root) == "Simulation" and any(_tag(e) == "FormulaList" for e in root)


def simmodel_file(root: ElementTree.Element, path: str | os.PathLike) -> SimulationFile:
    """The simulation of a SimModel XML file's root element; errors as in :func:`read_simmodel`."""
    if not is_simmodel(root):
        raise FileFormatError("file", str(path), "a SimModel XML file (root Simulation)")
    try:
        return _Reader(root, Path(path).name).read()
    except InputError as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(
            f"{Path(path).name}: {error.field}", error.value, error.expected, hint=error.hint
        ) from error


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _children(element: ElementTree.Element | None, tag: str) -> Iterator[ElementTree.Element]:
    for child in element if element is not None else ():
        if _tag(child) == tag:
            yield child


def _child(element: ElementTree.Element, tag: str) -> ElementTree.Element | None:
    return next(_children(element, tag), None)


class _Reader:
    """Goes through one file; names of quantities are their paths, numbered where two have
    the same.
    """

    def __init__(self, root: ElementTree.Element, name: str) -> None:
        self.root, self.file = root, name
        self.lists = {_tag(e): e for e in root}
        self.delimiter = root.get("objectPathDelimiter") or "|"
        self.path_of: dict[int, str] = {0: TIME}
        self.formula_node: dict[int, ElementTree.Element] = {}
        self.formulas: dict[int, Expression] = {}
        self.taken: set[str] = {TIME}
        self.quantities: dict[str, Quantity] = {}
        self.solver = {
            int(e.get("id", "-1")): _tag(e)
            for e in self.lists.get("Solver", ())
            if (e.get("id") or "").isdigit()
        }
        self.root_name = self.common_root()

    def wrong(self, what: str, value: Any, expected: str, hint: str = "") -> FileFormatError:
        return FileFormatError(f"{self.file}: {what}", value, expected, hint=hint)

    def number_of(self, element: ElementTree.Element, attribute: str, what: str) -> int:
        text = element.get(attribute)
        if text is None or not text.strip().isdigit():
            raise self.wrong(f"{what}, {attribute}", text, "the number of an object")
        return int(text)

    def value_of(self, text: str | None, what: str) -> float:
        """A number; files written on a machine with decimal commas hold those."""
        kept = (text or "").strip()
        if kept.count(",") == 1 and "." not in kept:
            kept = kept.replace(",", ".")
        try:
            return float(kept)
        except ValueError:
            raise self.wrong(what, text, "a number") from None

    def read(self) -> SimulationFile:
        kinds = (
            ("ParameterList", PARAMETER),
            ("VariableList", MOLECULE),
            ("ObserverList", OBSERVER),
        )
        for key, kind in kinds:
            for element in self.lists.get(key, ()):
                self.register(element, kind)
        for element in self.lists.get("FormulaList", ()):
            self.formula_node[self.number_of(element, "id", "formula")] = element
        parameters, rates, initial, negative = {}, {}, {}, set()
        unread: dict[str, Exception] = {}
        for element in self.lists.get("ParameterList", ()):
            name = self.path_of[int(element.get("id", ""))]
            if _child(element, "RHSFormulaList") is not None:
                rates[name], initial[name] = self.rate(element), self.initial(element)
                negative.add(name)
            else:
                try:
                    parameters[name] = self.initial(element)
                except (FileFormatError, InputError) as error:
                    unread[name] = error
        for element in self.lists.get("VariableList", ()):
            name = self.path_of[int(element.get("id", ""))]
            rates[name], initial[name] = self.rate(element), self.initial(element)
            if element.get("negativeValuesAllowed") == "1":
                negative.add(name)
        outputs = {}
        for element in self.lists.get("ObserverList", ()):
            name = self.path_of[int(element.get("id", ""))]
            outputs[name] = self.initial(element)
        events = tuple(self.event(e) for e in self.lists.get("EventList", ()))
        formulas = [*parameters.values(), *rates.values(), *initial.values(), *outputs.values()]
        self.leave_out(unread, formulas, events)
        facts = {}
        for key, what in self.solver.items():
            value = parameters.get(self.path_of.get(key, ""))
            if value is not None and value.is_number:
                facts[what] = float(value.value)
        # an observer may use another one: they are formulas like parameters
        model = OdeModel(
            rates,
            initial,
            {**parameters, **outputs},
            {name: symbol(name) for name in outputs},
            events,
            TIME,
            self.units(),
            frozenset(negative),
        )
        return SimulationFile(
            self.root_name or self.file.split(".")[0],
            f"SimModel XML {self.root.get('version') or ''}".strip(),
            model,
            self.quantities,
            self.output_times(),
            facts,
            dict(self.path_of),
        )

    def leave_out(
        self,
        unread: Mapping[str, Exception],
        formulas: Iterable[Expression],
        events: Iterable[Event],
    ) -> None:
        """Leave out parameters whose formulas cannot be read and that nothing uses.

        Warns
        -----
        NoEffectWarning : for each of them
        """
        used = set(symbols(*formulas))
        for event in events:
            used |= symbols(event.condition, *(a.value for a in event.assignments))
            used |= {a.target for a in event.assignments}
        for name, error in unread.items():
            if name in used:
                raise error
            self.quantities.pop(name, None)
            text = (
                f"{self.file}: parameter {name} is left out: nothing uses it, and its formula "
                "cannot be read"
            )
            warnings.warn(f"{text} ({error})", NoEffectWarning, stacklevel=4)

    def common_root(self) -> str:
        """Name of the simulation: the first part of every path, which names here leave out."""
        firsts = set()
        for key in ("VariableList", "ObserverList", "ParameterList"):
            for element in self.lists.get(key, ()):
                path = element.get("path") or ""
                if self.delimiter in path:
                    firsts.add(path.partition(self.delimiter)[0])
        return firsts.pop() if len(firsts) == 1 else ""

    def register(self, element: ElementTree.Element, kind: str) -> None:
        what = _tag(element)
        key = self.number_of(element, "id", what)
        path, name = element.get("path") or "", element.get("name") or str(key)
        full = (
            path
            if path.rpartition(self.delimiter)[2] == name or not name
            else (f"{path}{self.delimiter}{name}" if path else name)
        )
        if key in self.path_of:
            raise self.wrong(f"{what} {full}", key, "a number of its own")
        if self.root_name:
            full = full.removeprefix(f"{self.root_name}{self.delimiter}")
        full = full.replace(self.delimiter, DELIMITER)
        if full in self.taken:
            full = f"{full}#{key}"
        self.taken.add(full)
        self.path_of[key] = full
        if key not in self.solver:
            kept = kind != PARAMETER and element.get("persistable", "1") == "1"
            unit = element.get("unit") or ""
            self.quantities[full] = Quantity(full, kind, unit, "", kept)

    def units(self) -> dict[str, str]:
        found = {}
        for key in ("ParameterList", "VariableList", "ObserverList"):
            for element in self.lists.get(key, ()):
                if unit := element.get("unit"):
                    found[self.path_of[int(element.get("id", ""))]] = unit
        return found

    def initial(self, element: ElementTree.Element) -> Expression:
        """Value or formula of a quantity at the start."""
        name = self.path_of[int(element.get("id", ""))]
        for attribute in ("formulaId", "initialValueFormulaId"):
            if element.get(attribute) is not None:
                return self.formula(self.number_of(element, attribute, name))
        return number(self.value_of(element.get("value"), name))

    def rate(self, element: ElementTree.Element) -> Expression:
        """Sum of the right-hand sides of a state."""
        name = self.path_of[int(element.get("id", ""))]
        terms = [
            self.formula(self.number_of(f, "id", name))
            for f in _children(_child(element, "RHSFormulaList"), "RHSFormula")
        ]
        return apply("add", *terms) if terms else number(0.0)

    def reference(self, key: int, what: str) -> Expression:
        if key not in self.path_of:
            raise self.wrong(what, key, "the number of a quantity of the file")
        return symbol(self.path_of[key])

    def formula(self, key: int) -> Expression:
        """The expression of a formula, read once."""
        if key not in self.formulas:
            if key not in self.formula_node:
                raise self.wrong("formula", key, "the number of a formula of the file")
            self.formulas[key] = self._read_formula(self.formula_node[key], key)
        return self.formulas[key]

    def _read_formula(self, element: ElementTree.Element, key: int) -> Expression:
        kind, what = _tag(element), f"formula {key}"
        if kind == "ExplicitFormula":
            return self._explicit(element, what)
        if kind == "TableFormula":
            return self.table(element, what, symbol(TIME))
        if kind == "TableFormulaWithOffset":
            offset = self.linked(element, "Offset", what)
            return self.table_of(element, what, symbol(TIME) - offset)
        if kind == "TableFormulaWithXArgument":
            return self.table_of(element, what, self.linked(element, "XArgument", what))
        raise self.wrong(what, kind, "an explicit formula or a table")

    def _explicit(self, element: ElementTree.Element, what: str) -> Expression:
        node = _child(element, "Equation")
        text = (node.text if node is not None else None) or ""
        names: dict[str, Expression] = {k: number(v) for k, v in CONSTANTS.items()}
        lists = [_child(element, tag) for tag in ("ReferenceList", "ParameterList", "VariableList")]
        for group in lists:
            for reference in group if group is not None else ():
                alias = reference.get("alias")
                if alias:
                    key = self.number_of(reference, "id", f"{what}, alias {alias}")
                    names[alias] = self.reference(key, f"{what}, alias {alias}")
        field = f"{what} ({text[:60]})"
        expression = parse_expression(text, names, field=field, decimal_comma=True)
        return expression

    def linked(self, element: ElementTree.Element, tag: str, what: str) -> Expression:
        node = _child(element, tag)
        if node is None:
            raise self.wrong(what, None, f"an element {tag}")
        return self.reference(self.number_of(node, "id", f"{what}, {tag}"), f"{what}, {tag}")

    def table_of(self, element: ElementTree.Element, what: str, x: Expression) -> Expression:
        """The table that another quantity has as its formula, at another argument."""
        node = _child(element, "Table")
        if node is None:
            raise self.wrong(what, None, "an element Table")
        owner = self.number_of(node, "id", f"{what}, Table")
        formula = self.table_formula(owner)
        if formula is None:
            return self.reference(owner, f"{what}, Table")  # a constant in the place of a table
        return self.table(self.formula_node[formula], f"formula {formula}", x)

    def table_formula(self, owner: int) -> int | None:
        """Number of the table that a quantity has as its formula."""
        for key in ("ParameterList", "VariableList"):
            for element in self.lists.get(key, ()):
                if element.get("id") == str(owner):
                    formula = element.get("formulaId") or element.get("initialValueFormulaId")
                    if formula and _tag(self.formula_node[int(formula)]) == "TableFormula":
                        return int(formula)
        return None

    def table(self, element: ElementTree.Element, what: str, x: Expression) -> Expression:
        """A table; the kernel uses its slope unless the file says otherwise, and zero
        outside its points.
        """
        points = list(_children(_child(element, "PointList"), "Point"))
        xs = tuple(self.value_of(p.get("x"), f"{what}, x") for p in points)
        ys = tuple(self.value_of(p.get("y"), f"{what}, y") for p in points)
        if not points:
            raise self.wrong(what, 0, "at least one point")
        slope = element.get("useDerivedValues", "1") == "1"
        if slope and len(xs) < 2:
            raise self.wrong(what, len(xs), "at least two points for a table of slopes")
        return apply("table", x, table=Table(xs, ys, slope))

    def event(self, element: ElementTree.Element) -> Event:
        key = self.number_of(element, "id", "event")
        name = f"event {key}"
        condition = self.formula(self.number_of(element, "conditionFormulaId", name))
        assignments = []
        for node in _children(_child(element, "AssignmentList"), "Assignment"):
            target = self.number_of(node, "objectId", name)
            if target not in self.path_of or target == 0:
                raise self.wrong(name, target, "the number of a quantity of the file")
            value = self.formula(self.number_of(node, "newFormulaId", name))
            keeps = node.get("useAsValue") != "1"
            assignments.append(Assignment(self.path_of[target], value, keeps))
        return Event(name, condition, tuple(assignments), element.get("oneTime") == "1")

    def output_times(self) -> np.ndarray:
        """Times that the output schema asks for [min]."""
        times: list[float] = []
        schema = self.lists.get("OutputSchema")
        for interval in schema.iter() if schema is not None else ():
            if _tag(interval) == "OutputInterval":
                start, end, count = (
                    self.value_of(getattr(_child(interval, tag), "text", None), f"output {tag}")
                    for tag in ("StartTime", "EndTime", "NumberOfTimePoints")
                )
                times += list(np.linspace(start, end, max(2, min(int(count), 1_000_000))))
            elif _tag(interval) == "OutputTime":
                times.append(self.value_of(interval.text, "output time"))
        return merged_times(times)
