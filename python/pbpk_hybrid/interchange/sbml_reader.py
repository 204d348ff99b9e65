"""SBML Level 2 and 3 as equations: all of the core that ordinary differential equations have.

Rate rules, assignment rules, initial assignments, function definitions, local parameters,
compartments that change size, conversion factors, stoichiometries that change, events. A species
that reactions change is a state in amounts; its symbol in formulas is that amount, or the amount
over the size of its compartment, as the file says.

Refused by name: delays, algebraic rules, fast reactions, packages that change what the core means.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree

import numpy as np

from .._core.errors import FileFormatError, InputError, nearest_names
from .._core.limits import border
from ..models.expressions.derivative import directional
from ..models.expressions.ode_model import Assignment, Event, OdeModel, resolve
from ..models.expressions.tree import Expression, add, mul, number, symbol, symbols
from .sbml_formulas import Formulas, Function, rate_name, tag
from .sbml_quantities import Measure, Units
from .sbml_units import Amount
from .simulation_file import MOLECULE, OBSERVER, PARAMETER, Quantity, SimulationFile

#: packages without meaning for the equations
_FOR_DISPLAY = (
    "layout",
    "render",
    "groups",
    "qual",
    "multi",
    "fbc",
    "distrib",
    "arrays",
    "spatial",
)
_HOUR = 3600.0
#: ids of one model
MOST_IDS = 100_000


def amount_name(species: str) -> str:
    """Name of a species' amount, where its symbol is a concentration."""
    return f"amount({species})"


def concentration_name(species: str) -> str:
    """Name of a species' concentration, where its symbol is an amount."""
    return f"[{species}]"


def start_of(species: str) -> str:
    """Name of a species' initial concentration."""
    return f"{species}(0)"


@dataclass(frozen=True)
class Species:
    """A species of the file.

    Parameters
    ----------
    name, compartment : ids
    per_size : its symbol is a concentration
    free : reactions do not change it
    constant : nothing changes it
    conversion : id of its conversion factor, or ""
    """

    name: str
    compartment: str
    per_size: bool
    free: bool
    constant: bool
    conversion: str

    @property
    def state(self) -> str:
        """Name of its amount."""
        return amount_name(self.name) if self.per_size else self.name


@dataclass(frozen=True, eq=False)
class SBMLContents:
    """What a file holds.

    Parameters
    ----------
    contents : the equations
    measures : name -> what it measures
    sides : species -> names that give its amount and concentration
    start_names : species -> name of its initial value in the equations
    compartment_of : species -> compartment
    own : the unit that amounts of the file have
    notes : what was assumed
    """

    contents: SimulationFile
    measures: Mapping[str, Measure]
    sides: Mapping[str, tuple[str, ...]]
    start_names: Mapping[str, str]
    compartment_of: Mapping[str, str]
    own: Amount
    notes: tuple[str, ...] = field(default=())


def read_sbml_text(text: str, file: str, time_unit: float | None) -> SBMLContents:
    """The equations of an SBML document.

    Parameters
    ----------
    text : XML whose size and depth have been checked
    file : its name, for messages
    time_unit : [s], where the file states none or a wrong one

    Raises
    ------
    FileFormatError : see :func:`read_sbml_model`
    """
    with border("source", file, "an SBML file"):
        try:
            root = ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            raise FileFormatError(file, str(error)[:200], "an SBML file, which is XML") from error
        if tag(root) != "sbml":
            raise FileFormatError(file, f"<{tag(root)}>", "an SBML file")
        level = root.get("level", "")
        if level not in ("2", "3"):
            raise FileFormatError(
                file, f"SBML Level {level or '?'}", "Level 2 or 3", hint="convert it with libSBML"
            )
        _check_packages(root, file)
        models = [e for e in root if tag(e) == "model"]
        if len(models) != 1:
            raise FileFormatError(file, f"{len(models)} models", "one model")
        reader = _Reader(models[0], file, int(level), time_unit)
        try:
            return reader.read()
        except FileFormatError:
            raise
        except InputError as error:
            raise FileFormatError(
                f"{file}: {error.field}", error.value, error.expected, hint=error.hint
            ) from error


def _check_packages(root: ElementTree.Element, file: str) -> None:
    if any(tag(e) == "listOfObjectives" for e in root.iter()):
        raise FileFormatError(
            file,
            "a flux balance model (package fbc)",
            "a model with kinetic laws",
            hint="it says which fluxes are optimal, not how amounts change with time",
        )
    for name, value in root.attrib.items():
        if name.endswith("}required") and value == "true":
            # {http://www.sbml.org/sbml/level3/version1/comp/version1}required
            package = name.partition("}")[0].split("/")[-2] if "/" in name else ""
            space = name.partition("}")[0] + "}"
            used = any(e.tag.startswith(space) for e in root.iter())
            if used and package not in _FOR_DISPLAY:
                raise FileFormatError(
                    file,
                    f"package {package or name}",
                    "the core of SBML",
                    hint="flatten it with libSBML" if package == "comp" else "",
                )


class _Reader:
    """Goes through one model."""

    def __init__(
        self, model: ElementTree.Element, file: str, level: int, time_unit: float | None
    ) -> None:
        self.model, self.file, self.level = model, file, level
        self.units = Units(file, level, model)
        self.given_time = time_unit
        self.notes: list[str] = []
        self.kind: dict[str, str] = {}  # id -> what it is
        self.species: dict[str, Species] = {}
        self.dimensions: dict[str, float] = {}  # compartment -> its dimensions
        self.values: dict[str, Expression] = {}  # id -> number that the file gives it
        self.amounts: dict[str, tuple[str, float]] = {}  # species -> initial attribute, value
        self.quantities: dict[str, Quantity] = {}
        self.rates: dict[str, Expression] = {}
        self.initial: dict[str, Expression] = {}
        self.parameters: dict[str, Expression] = {}
        self.measures: dict[str, Measure] = {}
        self.sides: dict[str, tuple[str, ...]] = {}
        self.start_names: dict[str, str] = {}
        self.rule: dict[str, Expression] = {}  # id -> assignment
        self.rate_rule: dict[str, Expression] = {}
        self.start: dict[str, Expression] = {}  # id -> initial assignment
        self.change: dict[str, list[Expression]] = {}  # species -> what reactions add to it
        self.events: list[Event] = []
        self.amount_of: dict[str, Amount] = {}
        self._litres: dict[str, float | None] = {}  # compartment -> size of its unit
        self.reaction_laws: dict[str, Expression] = {}

    # -- elements --------------------------------------------------------------------------------

    def group(self, name: str) -> Iterator[ElementTree.Element]:
        """The members of a list of the model that belong to the core."""
        for element in self.model:
            if tag(element) == name:
                yield from (e for e in element if not tag(e).startswith(("notes", "annotation")))

    def wrong(self, at: str, value: object, expected: str, hint: str = "") -> FileFormatError:
        return FileFormatError(f"{self.file}: {at}", value, expected, hint=hint)

    def identify(self, element: ElementTree.Element, kind: str) -> str:
        name = element.get("id", "")
        if not name:
            raise self.wrong(f"a {kind}", "no id", "an id")
        if name in self.kind:
            raise self.wrong(
                f"{kind} {name}", name, f"an id of its own (a {self.kind[name]} has it)"
            )
        if len(self.kind) >= MOST_IDS:
            raise self.wrong(f"{kind} {name}", len(self.kind), f"at most {MOST_IDS} ids")
        self.kind[name] = kind
        return name

    def number(self, element: ElementTree.Element, attribute: str, at: str) -> float | None:
        text = element.get(attribute)
        if text is None:
            return None
        words = {"INF": math.inf, "-INF": -math.inf, "NaN": math.nan}
        try:
            return words[text] if text in words else float(text.strip())
        except ValueError:
            raise self.wrong(f"{at}, {attribute}", text[:60], "a number") from None

    def flag(self, element: ElementTree.Element, attribute: str, default: bool, at: str) -> bool:
        text = element.get(attribute)
        if text is None:
            return default
        if text not in ("true", "false", "1", "0"):
            raise self.wrong(f"{at}, {attribute}", text[:60], "true or false")
        return text in ("true", "1")

    def formula(
        self,
        element: ElementTree.Element | None,
        at: str,
        local: Mapping[str, Expression] | None = None,
    ) -> Expression | None:
        """The formula of an element; None where it has none (which Level 3 Version 2 allows)."""
        math_element = _child(element, "math") if element is not None else None
        if math_element is None or not len(math_element):
            return None
        out = self.formulas.read(math_element, at, local or {})
        for name in symbols(out):
            if name in self.kind and self.kind[name] not in ("function definition", "event"):
                continue
            if name == self.formulas.time or name.startswith("rateOf("):
                continue
            if local and name in {str(v.value) for v in local.values()}:
                continue
            near = nearest_names(name, self.kind)
            raise self.wrong(
                at, name, "the id of a quantity", f"did you mean {near[0]!r}?" if near else ""
            )
        return out

    # -- the whole -------------------------------------------------------------------------------

    def read(self) -> SBMLContents:
        functions = self._functions()
        per_hour = self._per_hour()
        self._compartments()
        self._species()
        self._parameters()
        self._reaction_ids()
        time = "time" if "time" not in self.kind else "time of the model"
        self.formulas = Formulas(self.file, functions, time)
        self._rules()
        self._initial_assignments()
        self._reactions()
        self._events()
        self._equations()
        self._rates_in_formulas()
        if not self.rates:  # an integrator needs something to integrate
            self.rates["nothing"] = self.initial["nothing"] = number(0.0)
        model = OdeModel(
            self.rates,
            self.initial,
            self.parameters,
            {},
            tuple(self.events),
            time,
            {q.path: q.unit for q in self.quantities.values() if q.unit},
            frozenset(self.rates),
        )
        name = self.model.get("id") or self.model.get("name") or self.file
        contents = SimulationFile(
            name,
            f"SBML Level {self.level}",
            model,
            self.quantities,
            np.array([]),
            per_hour=per_hour,
        )
        return SBMLContents(
            contents,
            self.measures,
            self.sides,
            self.start_names,
            {s.name: s.compartment for s in self.species.values()},
            self._own(),
            tuple(self.notes),
        )

    def _per_hour(self) -> float:
        stated = self.model.get("timeUnits") if self.level > 2 else "time"
        seconds = self.given_time
        if seconds is None:
            seconds = self.units.seconds(stated, "time")
        if seconds is None:
            self.notes.append("the file states no unit of time: taken as hours")
            return 1.0
        return _HOUR / seconds

    def _own(self) -> Amount:
        """The unit of amount of results: the file's, of the kind that most species have."""
        known = [a for a in self.amount_of.values() if a.family]
        if not known:
            return Amount("", 1.0)
        families = [a.family for a in known]
        family = max(dict.fromkeys(families), key=families.count)
        sizes = [a for a in known if a.family == family]
        return max(dict.fromkeys(sizes), key=sizes.count)

    def _functions(self) -> dict[str, Function]:
        found = {}
        for element in self.group("listOfFunctionDefinitions"):
            name = self.identify(element, "function definition")
            inner = _child(element, "math")
            whole = inner[0] if inner is not None and len(inner) else None
            while whole is not None and tag(whole) == "semantics" and len(whole):
                whole = whole[0]
            if whole is None or tag(whole) != "lambda":
                found[name] = Function((), None)
                continue
            arguments = [
                (v.text or "").strip()
                for b in whole
                if tag(b) == "bvar"
                for v in b
                if tag(v) == "ci"
            ]
            bodies = [e for e in whole if tag(e) != "bvar"]
            found[name] = Function(tuple(arguments), bodies[0] if len(bodies) == 1 else None)
        return found

    # -- quantities ------------------------------------------------------------------------------

    def _quantity(self, name: str, kind: str, unit: str | None, selected: bool = False) -> None:
        text = self.units.text(unit, f"{self.kind[name]} {name}")
        self.quantities[name] = Quantity(name, kind, text, "", selected)

    def _compartments(self) -> None:
        sizes = {3.0: "volume", 2.0: "area", 1.0: "length"}
        for element in self.group("listOfCompartments"):
            name = self.identify(element, "compartment")
            at = f"compartment {name}"
            dimensions = self.number(element, "spatialDimensions", at)
            if dimensions is None:
                dimensions = 3.0
            self.dimensions[name] = dimensions
            kind = sizes.get(dimensions)
            unit = element.get("units")
            if unit is None and kind is not None:
                unit = self.model.get(f"{kind}Units") if self.level > 2 else kind
            self._quantity(name, PARAMETER, unit)
            self._value(element, "size", name)
            self._litres[name] = self.units.litres(unit, at) if dimensions == 3.0 else None

    def _value(self, element: ElementTree.Element, attribute: str, name: str) -> None:
        value = self.number(element, attribute, f"{self.kind[name]} {name}")
        if value is not None:
            self.values[name] = number(value)

    def _species(self) -> None:
        for element in self.group("listOfSpecies"):
            name = self.identify(element, "species")
            at = f"species {name}"
            where = element.get("compartment", "")
            if where not in self.dimensions:
                raise self.wrong(f"{at}, compartment", where, "a compartment of the model")
            per_size = (
                not self.flag(element, "hasOnlySubstanceUnits", False, at)
                and self.dimensions[where] > 0
            )
            unit = element.get("substanceUnits")
            if unit is None:
                unit = self.model.get("substanceUnits") if self.level > 2 else "substance"
            amount = self.amount_of[name] = self.units.amount(unit, at)
            self.species[name] = Species(
                name,
                where,
                per_size,
                self.flag(element, "boundaryCondition", False, at),
                self.flag(element, "constant", False, at),
                element.get("conversionFactor") or self.model.get("conversionFactor") or "",
            )
            for attribute in ("initialAmount", "initialConcentration"):
                if (value := self.number(element, attribute, at)) is not None:
                    self.amounts[name] = attribute, value
            shown = self.units.text(unit, at)
            size = self.quantities[where].unit
            text = f"{shown or '1'}/{size}" if per_size and size else shown
            self.quantities[name] = Quantity(name, MOLECULE, text, "", True)
            litres = self._litres[where]
            own = Measure("concentration" if per_size else "amount", amount, litres, name)
            self.measures[name] = own
            if self.dimensions[where] > 0:
                other = amount_name(name) if per_size else concentration_name(name)
                kind = "amount" if per_size else "concentration"
                self.measures[other] = Measure(kind, amount, litres, name)
                self.sides[name] = (name, other)

    def _parameters(self) -> None:
        for element in self.group("listOfParameters"):
            name = self.identify(element, "parameter")
            self._quantity(name, PARAMETER, element.get("units"))
            self._value(element, "value", name)

    def _reaction_ids(self) -> None:
        """Ids of reactions and of their species references, which formulas may use."""
        for element in self.group("listOfReactions"):
            name = self.identify(element, "reaction")
            self.quantities[name] = Quantity(name, OBSERVER)
            for reference in _references(element):
                if reference.get("id"):
                    own = self.identify(reference, "species reference")
                    self.quantities[own] = Quantity(own, PARAMETER)
                    value = self.number(reference, "stoichiometry", f"species reference {own}")
                    inside = self._stoichiometry_math(reference)
                    if value is None and self.level < 3 and inside is None:
                        value = 1.0
                    if value is not None:
                        self.values[own] = number(value)

    @staticmethod
    def _stoichiometry_math(reference: ElementTree.Element) -> ElementTree.Element | None:
        return _child(reference, "stoichiometryMath")

    # -- formulas --------------------------------------------------------------------------------

    def _target(self, name: str, at: str) -> str:
        allowed = ("species", "compartment", "parameter", "species reference")
        if self.kind.get(name) not in allowed:
            raise self.wrong(f"{at}", name, "a species, compartment, parameter or stoichiometry")
        return name

    def _rules(self) -> None:
        for element in self.group("listOfRules"):
            kind = tag(element)
            if kind == "algebraicRule":
                raise self.wrong(
                    "algebraic rule",
                    "an equation without a variable of its own",
                    "rate rules and assignment rules",
                    "solve it for one variable and write that as an assignment rule",
                )
            if kind not in ("assignmentRule", "rateRule"):
                raise self.wrong("rule", f"<{kind}>", "an assignment rule or a rate rule")
            name = element.get("variable", "")
            at = f"{kind} of {name}"
            self._target(name, at)
            if name in self.rule or name in self.rate_rule:
                raise self.wrong(at, name, "one rule for each variable")
            formula = self.formula(element, at)
            if formula is None:
                self.notes.append(f"{at} has no formula and does nothing")
            elif kind == "assignmentRule":
                self.rule[name] = formula
            else:
                self.rate_rule[name] = formula

    def _initial_assignments(self) -> None:
        for element in self.group("listOfInitialAssignments"):
            name = element.get("symbol", "")
            at = f"initial assignment of {name}"
            self._target(name, at)
            if name in self.start:
                raise self.wrong(at, name, "one initial assignment for each variable")
            if name in self.rule:
                raise self.wrong(at, name, "a variable without an assignment rule")
            formula = self.formula(element, at)
            if formula is None:
                self.notes.append(f"{at} has no formula and does nothing")
            else:
                self.start[name] = formula

    def _reactions(self) -> None:
        for element in self.group("listOfReactions"):
            name = element.get("id", "")
            at = f"reaction {name}"
            if self.flag(element, "fast", False, at):
                raise self.wrong(
                    f"{at}, fast",
                    "true",
                    "false",
                    "a reaction in equilibrium is no differential equation; give it a fast rate",
                )
            law = self._law(element, name)
            for reference in _references(element):
                self._add_change(reference, name, law is not None)
            self.parameters[name] = number(math.nan) if law is None else law

    def _law(self, element: ElementTree.Element, name: str) -> Expression | None:
        law = _child(element, "kineticLaw")
        local: dict[str, Expression] = {}
        for group in law if law is not None else ():
            if tag(group) not in ("listOfParameters", "listOfLocalParameters"):
                continue
            for p in group:
                if tag(p) not in ("parameter", "localParameter"):
                    continue
                own = f"{name}.{p.get('id', '')}"
                value = self.number(p, "value", f"local parameter {own}")
                if value is None:
                    raise self.wrong(f"local parameter {own}", "no value", "a number")
                self.kind[own] = "local parameter"
                self.parameters[own] = number(value)
                self._quantity(own, PARAMETER, p.get("units"))
                local[p.get("id", "")] = symbol(own)
        formula = self.formula(law, f"reaction {name}", local)
        if formula is None:
            self.notes.append(f"reaction {name} has no kinetic law and does nothing")
        return formula

    def _add_change(self, reference: ElementTree.Element, reaction: str, runs: bool) -> None:
        name = reference.get("species", "")
        at = f"reaction {reaction}"
        if name not in self.species:
            raise self.wrong(at, name, "a species of the model")
        species = self.species[name]
        if species.free or not runs:
            return
        if species.constant:
            raise self.wrong(at, name, "a species that may change (this one is constant)")
        if name in self.rule or name in self.rate_rule:
            raise self.wrong(
                at, name, "a species without a rule of its own, or a boundary condition"
            )
        amount = self._stoichiometry(reference, at, name)
        sign = -1.0 if reference.get("_side") == "reactant" else 1.0
        factors = [number(sign), amount, symbol(reaction)]
        if species.conversion:
            if self.kind.get(species.conversion) != "parameter":
                raise self.wrong(f"species {name}", species.conversion, "a parameter")
            factors.append(symbol(species.conversion))
        self.change.setdefault(name, []).append(mul(*factors))

    def _stoichiometry(self, reference: ElementTree.Element, at: str, name: str) -> Expression:
        inside = self._stoichiometry_math(reference)
        formula = self.formula(inside, f"{at}, stoichiometry of {name}")
        if formula is not None:
            if own := reference.get("id"):
                self.rule.setdefault(own, formula)
            return formula
        if own := reference.get("id"):
            return symbol(own)
        value = self.number(reference, "stoichiometry", f"{at}, {name}")
        if value is None:
            if self.level > 2:
                raise self.wrong(f"{at}, {name}", "no stoichiometry", "a number")
            value = 1.0
        denominator = self.number(reference, "denominator", f"{at}, {name}") or 1.0
        return number(value / denominator)

    # -- events ----------------------------------------------------------------------------------

    def _events(self) -> None:
        for i, element in enumerate(self.group("listOfEvents")):
            name = element.get("id") or element.get("name") or f"number {i + 1}"
            if element.get("id"):
                self.identify(element, "event")
            self._event(element, name, f"event {name}")

    def _event(self, element: ElementTree.Element, name: str, at: str) -> None:
        trigger = _child(element, "trigger")
        condition = self.formula(trigger, f"{at}, trigger")
        delay = self.formula(_child(element, "delay"), f"{at}, delay")
        if delay is not None and not (delay.is_number and delay.value == 0.0):
            raise self.wrong(
                f"{at}, delay",
                str(delay)[:60],
                "an event without delay",
                "if the time of the event is known, move the delay into the trigger",
            )
        priority = self.formula(_child(element, "priority"), f"{at}, priority")
        given: dict[str, Expression] = {}
        for group in element:
            if tag(group) != "listOfEventAssignments":
                continue
            for a in group:
                if tag(a) != "eventAssignment":
                    continue
                target = self._target(a.get("variable", ""), at)
                if target in self.rule:
                    raise self.wrong(at, target, "a variable without an assignment rule")
                if target in given:
                    raise self.wrong(at, target, "one assignment for each variable")
                value = self.formula(a, f"{at}, {target}")
                if value is not None:
                    given[target] = value
        if condition is None:
            self.notes.append(f"{at} has no trigger and never happens")
            return
        assignments = tuple(self._assignment(t, v) for t, v in given.items())
        self.events.append(
            Event(
                name,
                condition,
                assignments,
                once=False,
                priority=priority if priority is not None else number(-math.inf),
                persistent=self.flag(trigger, "persistent", True, at),
                values_at_trigger=self.flag(element, "useValuesFromTriggerTime", True, at),
                true_before=self.flag(trigger, "initialValue", True, at),
                queued=True,
            )
        )

    def _assignment(self, target: str, value: Expression) -> Assignment:
        species = self.species.get(target)
        if species is not None and species.per_size:
            # the amount, by the size before the event: all its assignments are made at once
            return Assignment(species.state, mul(value, symbol(species.compartment)))
        return Assignment(target, value)

    # -- equations -------------------------------------------------------------------------------

    def _equations(self) -> None:
        changed = {a.target for e in self.events for a in e.assignments}
        late = self._depends_on_time(changed)
        for name, kind in self.kind.items():
            if kind == "species":
                self._species_equation(self.species[name])
            elif kind in ("compartment", "parameter", "species reference"):
                self._plain_equation(name, name in late)
                if name in changed or name in self.rule or name in self.rate_rule:
                    self._select(name)

    def _select(self, name: str) -> None:
        q = self.quantities[name]
        self.quantities[name] = Quantity(q.path, q.kind, q.unit, q.dimension, True)

    def _depends_on_time(self, changed: Iterable[str]) -> set[str]:
        """Ids whose initial assignment takes the value at the start of something that moves."""
        moving = {*changed, *self.rate_rule, *self.species, self.formulas.time}
        moving.update(self.parameters)  # laws of reactions
        uses = {n: symbols(f) for n, f in {**self.rule, **self.start}.items()}
        grown = True
        while grown:
            more = {n for n, used in uses.items() if n not in moving and used & moving}
            moving |= more
            grown = bool(more)
        rates = {n for n, used in uses.items() if any(s.startswith("rateOf(") for s in used)}
        return {n for n in self.start if n in moving or n in rates}

    def _plain_equation(self, name: str, late: bool) -> None:
        if name in self.rule:
            self.parameters[name] = self.rule[name]
            return
        start = self.start.get(name, self.values.get(name))
        if start is None:
            start = self._without_value(name)
        if name in self.rate_rule or late:
            self.rates[name] = self.rate_rule.get(name, number(0.0))
            self.initial[name] = start
        else:
            self.parameters[name] = start

    def _without_value(self, name: str) -> Expression:
        """NaN: who needs it is told when the model runs."""
        if self.kind[name] == "compartment" and self.dimensions[name] == 0:
            return number(1.0)
        return number(math.nan)

    def _species_equation(self, species: Species) -> None:
        name, size = species.name, symbol(species.compartment)
        if name in self.rule:
            self.parameters[name] = self.rule[name]
            if species.per_size:
                self.parameters[amount_name(name)] = mul(symbol(name), size)
        else:
            self._state_of(species, size)
        if not species.per_size and self.dimensions[species.compartment] > 0:
            self.parameters[concentration_name(name)] = symbol(name) / size

    def _state_of(self, species: Species, size: Expression) -> None:
        name, state = species.name, species.state
        rate = add(*self.change.get(name, ()), 0.0)
        if name in self.rate_rule:
            rate = self.rate_rule[name]
            if species.per_size:
                grows = self._growth(species.compartment)
                rate = add(mul(rate, size), mul(symbol(name), grows))
        self.rates[state] = rate
        start = self._species_start(species, size)
        if not species.per_size:
            self.initial[state] = start
            return
        self.parameters[name] = symbol(state) / size
        self.parameters[start_of(name)] = start
        self.initial[state] = mul(symbol(start_of(name)), size)
        self.start_names[name] = start_of(name)

    def _species_start(self, species: Species, size: Expression) -> Expression:
        """Initial value in the unit of the species' symbol."""
        name = species.name
        if name in self.start:
            return self.start[name]
        if name not in self.amounts:
            return number(math.nan)
        attribute, value = self.amounts[name]
        if species.per_size:
            return number(value) / size if attribute == "initialAmount" else number(value)
        if attribute == "initialConcentration":
            return mul(value, size)
        return number(value)

    def _growth(self, compartment: str) -> Expression:
        """How fast a compartment grows."""
        if compartment in self.rate_rule:
            return self.rate_rule[compartment]
        if compartment not in self.rule:
            return number(0.0)
        whole = resolve({**self.rule, **self.reaction_laws})[compartment]
        seeds = {n: symbol(rate_name(n)) for n in symbols(whole) if n in self.kind}
        self.formulas.rates.update(seeds)
        return directional([whole], {**seeds, self.formulas.time: number(1.0)})[0]

    def _rates_in_formulas(self) -> None:
        """What rateOf means, for every variable that a formula asks it of."""
        done: set[str] = set()
        while self.formulas.rates - done:
            name = min(self.formulas.rates - done)
            done.add(name)
            self.parameters[rate_name(name)] = self._rate_of(name)

    def _rate_of(self, name: str) -> Expression:
        if name in self.rule:
            raise self.wrong("rateOf", name, "a variable without an assignment rule")
        if name not in self.kind:
            raise self.wrong("rateOf", name, "a variable of the model")
        species = self.species.get(name)
        if species is not None and species.per_size:
            size = symbol(species.compartment)
            grows = self._growth(species.compartment)
            return (self.rates[species.state] - mul(symbol(name), grows)) / size
        return self.rates.get(name, number(0.0))


def _child(element: ElementTree.Element, name: str) -> ElementTree.Element | None:
    return next((e for e in element if tag(e) == name), None)


def _references(reaction: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """Species references of a reaction, marked with their side."""
    for group, side in (("listOfReactants", "reactant"), ("listOfProducts", "product")):
        found = _child(reaction, group)
        for reference in found if found is not None else ():
            if tag(reference) == "speciesReference":
                reference.set("_side", side)
                yield reference


__all__ = ["SBMLContents", "amount_name", "concentration_name", "read_sbml_text", "start_of"]
