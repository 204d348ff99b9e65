"""pkml: a simulation as PK-Sim and MoBi save it, a tree of containers with everything
that is in them.

What the objects mean is that of Open Systems Pharmacology's OSPSuite.Core, which turns
such a tree into the equations of its solver: amounts are micromole, times minutes,
volumes litre; a molecule in a place is a state if a transport or reaction uses it; a
formula's path is looked for from the object that uses it, then from the root.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from xml.etree import ElementTree

import numpy as np

from .._core.errors import FileFormatError, InputError
from ..models.expressions.ode_model import MAX_FORMULAS, Assignment, Event, OdeModel
from ..models.expressions.parser import parse_expression
from ..models.expressions.tree import (
    Expression,
    Table,
    add,
    apply,
    mul,
    number,
    substitute,
    symbol,
    symbols,
)
from .simulation_file import (
    BASE_UNITS,
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

#: files of older programs mean some things differently, and PK-Sim itself cannot always
#: convert them
OLDEST = 13
#: elements of a tree that hold a number
_QUANTITIES = {
    "Parameter": PARAMETER,
    "DistributedParameter": PARAMETER,
    "MoleculeAmount": MOLECULE,
    "Observer": OBSERVER,
}
_CONTAINERS = ("Root", "Container", "Neighborhood", "EventGroup", "Event", "Reaction", "Transport")
#: parts of the tree that say nothing about equations
_SILENT = ("EventAssignment",)
#: a process in one of these is a rate of concentration and is multiplied by the volume around it
_PER_VOLUME = ("Concentration (molar)", "Concentration (molar) per time")
_TABLES = ("TableFormula", "DistributedTableFormula")


class Entity:
    """One object of the tree: its element, what it is in, and what is in it."""

    __slots__ = ("children", "name", "node", "parent")

    def __init__(self, node: ElementTree.Element, parent: Entity | None) -> None:
        self.node, self.parent = node, parent
        self.name = node.get("name") or ""
        self.children: dict[str, Entity] = {}

    @property
    def tag(self) -> str:
        """Name of the XML element, which says what the object is."""
        return self.node.tag

    @property
    def path(self) -> str:
        """Names from below the root."""
        parts, at = [], self
        while at.parent is not None:
            parts.append(at.name)
            at = at.parent
        return DELIMITER.join(reversed(parts))

    def above(self) -> Iterator[Entity]:
        """What it is in, from the inside."""
        at = self.parent
        while at is not None:
            yield at
            at = at.parent

    @property
    def tags(self) -> set[str]:
        """Its tags, by which formulas find it; its name is one of them."""
        found = {t.get("value", "") for t in self.node.findall("Tags/Tag")}
        return found | {self.name}


def read_pkml(root: ElementTree.Element, path: str | os.PathLike) -> SimulationFile:
    """The simulation of a pkml file's root element.

    Raises
    ------
    FileFormatError : no simulation in it, or something that cannot be understood; names
        the object by its path
    """
    name = Path(path).name
    simulation = root.find("Simulation") if root.tag == "SimulationTransfer" else None
    model = simulation.find("Model") if simulation is not None else None
    if model is None or model.find("Root") is None:
        raise FileFormatError(
            name,
            f"<{root.tag}>",
            "a simulation",
            hint=(
                "a building block is not one: export the simulation itself (MoBi: Save "
                "As; PK-Sim: Export to MoBi)"
            ),
        )
    version = root.get("version", "")
    if not version.isdigit() or int(version) < OLDEST:
        raise FileFormatError(
            f"{name}: version",
            version,
            f"{OLDEST} or newer (PK-Sim 7.3 on)",
            hint="open it with a current PK-Sim or MoBi and save it again",
        )
    try:
        return _Reader(simulation, model, name, int(version)).read()
    except InputError as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(
            f"{name}: {error.field}", error.value, error.expected, hint=error.hint
        ) from error


class _Formulas:
    """A FormulaCache: formulas by id; paths and aliases are numbers into its StringMap."""

    def __init__(self, cache: ElementTree.Element | None, file: str) -> None:
        self.file = file
        self.node: dict[str, ElementTree.Element] = {}
        self.text: dict[str, str] = {}
        if cache is None:
            return
        for formula in cache.iterfind("Formulas/*"):
            self.node[formula.get("id", "")] = formula
        for entry in cache.iterfind("StringMap/Map"):
            self.text[entry.get("id", "")] = entry.get("s", "")

    def string(self, key: str | None, what: str) -> str:
        if key is None or key not in self.text:
            raise FileFormatError(f"{self.file}: {what}", key, "a number of the StringMap")
        return self.text[key]

    def paths(self, formula: ElementTree.Element, what: str) -> dict[str, str | None]:
        """Alias -> path; None: time.

        Raises
        ------
        FileFormatError : an alias that stands for two things
        """
        found: dict[str, str | None] = {}
        for node in formula.iterfind("Paths/*"):
            if node.tag == "TimePath":
                alias, path = node.get("alias", "Time"), None
            else:
                alias = self.string(node.get("as"), what)
                path = self.string(node.get("path"), what)
            alias = "_".join(alias.split())
            if found.get(alias, path) != path:
                raise FileFormatError(
                    f"{self.file}: {what}, alias {alias}",
                    [found[alias], path],
                    "one object for one alias",
                )
            found[alias] = path
        return found


class _Reader:
    """Goes through one simulation."""

    def __init__(self, simulation, model, file: str, version: int) -> None:
        self.simulation, self.file, self.version = simulation, file, version
        self.formulas = _Formulas(model.find("FormulaCache"), file)
        self.by_id: dict[str, Entity] = {}
        self.all: list[Entity] = []
        self.root = self.tree(model.find("Root"))
        self.parsed: dict[str, tuple[Expression, dict[str, str | None]]] = {}
        self.done: dict[tuple[str, Entity], Expression] = {}

    def wrong(self, what: str, value, expected: str, hint: str = "") -> FileFormatError:
        return FileFormatError(f"{self.file}: {what}", value, expected, hint=hint)

    # -- the tree -------------------------------------------------------------------------------

    def tree(self, node: ElementTree.Element) -> Entity:
        """Every object below the root, in the order of the file."""
        root = Entity(node, None)
        todo = [root]
        while todo:
            entity = todo.pop()
            if entity.tag not in _CONTAINERS and entity.tag not in _QUANTITIES:
                if entity.tag not in _SILENT:
                    raise self.wrong(entity.path, f"<{entity.tag}>", "an object that is known here")
            self.all.append(entity)
            if len(self.all) > MAX_FORMULAS:
                raise self.wrong("objects", len(self.all), f"at most {MAX_FORMULAS}")
            if key := entity.node.get("id"):
                self.by_id[key] = entity
            inside = [Entity(child, entity) for child in entity.node.iterfind("Children/*")]
            for child in inside:
                if child.tag in _SILENT:
                    continue
                if child.name in entity.children or not child.name or DELIMITER in child.name:
                    raise self.wrong(child.path, child.name, "a name that nothing beside it has")
                entity.children[child.name] = child
            todo += reversed(inside)
        return root

    def resolve(self, path: str, user: Entity, what: str) -> Entity:
        """The object that a path means to the object that uses it."""
        parts = self.keywords(path.split(DELIMITER), user)
        found = _walk(user, parts)
        if found is None and parts[0] == user.name:
            found = _walk(user, parts[1:])
        if found is None and parts[0] == self.root.name:
            found = _walk(self.root, parts[1:])
        if found is None:
            found = _walk(self.root, parts)
        if found is None:
            raise self.wrong(what, path, "the path of an object of the simulation")
        return found

    def keywords(self, parts: list[str], user: Entity) -> list[str]:
        """A path with words such as MOLECULE replaced by what they mean to the user of a
        formula.
        """
        out: list[str] = []
        for i, part in enumerate(parts):
            place = self.keyword(part, user) if part.isupper() else None
            if place is None:
                out.append(part)
            elif part == "MOLECULE":
                out.append(place.name)
            elif i == 0:
                out += [self.root.name, *place.path.split(DELIMITER)]
            else:
                raise self.wrong(user.path, DELIMITER.join(parts), f"{part} at the beginning only")
        return out

    def keyword(self, word: str, user: Entity) -> Entity | None:
        source, target = (
            self.by_id.get(user.node.get(a, "")) for a in ("sourceAmount", "targetAmount")
        )
        if word == "SOURCE" and source is not None:
            return source.parent
        if word == "TARGET" and target is not None:
            return target.parent
        if word == "MOLECULE":
            if source is not None:
                return source
            for place in (user, *user.above()):
                if place.tag == "MoleculeAmount" or place.node.get("containerType") == "Molecule":
                    return place
        neighborhood = next((p for p in user.above() if p.tag == "Neighborhood"), None)
        if neighborhood is not None:
            if word == "NEIGHBORHOOD":
                return neighborhood
            if word in ("FIRST_NEIGHBOR", "SECOND_NEIGHBOR"):
                key = "firstNeighbor" if word.startswith("FIRST") else "secondNeighbor"
                return self.by_id.get(neighborhood.node.get(key, ""))
        return None

    # -- formulas -------------------------------------------------------------------------------

    def formula(self, key: str, user: Entity, what: str) -> Expression:
        """The expression of a formula for one of its users."""
        if (key, user) not in self.done:
            node = self.formulas.node.get(key)
            if node is None:
                raise self.wrong(what, key, "the id of a formula of the file")
            self.done[key, user] = self._formula(node, key, user, what)
        return self.done[key, user]

    def _formula(self, node, key: str, user: Entity, what: str) -> Expression:
        if node.tag == "Formula":
            return self.explicit(key, node, user, what)
        if node.tag == "ConstantFormula":
            return number(self.number_in(node.get("value"), what))
        if node.tag in _TABLES:
            return self.table(node, symbol(TIME), what)
        if node.tag in ("TableFormulaWithOffset", "TableFormulaWithXArgument"):
            return self.table_of(node, user, what)
        if node.tag == "SumFormula":
            return self.sum_over_tags(node, user, what)
        if node.tag.endswith("DistributionFormula"):
            return self.distributed(node.tag, user, what)
        if node.tag == "BlackBoxFormula":
            raise self.wrong(
                what,
                node.get("name"),
                "a formula that is filled in",
                hint="it is a placeholder of MoBi",
            )
        raise self.wrong(what, f"<{node.tag}>", "a formula that is known here")

    def explicit(self, key: str, node, user: Entity, what: str) -> Expression:
        if key not in self.parsed:
            paths = self.formulas.paths(node, what)
            self.parsed[key] = self.text(node.get("formula", ""), paths, what), paths
        expression, paths = self.parsed[key]
        meaning = {}
        for alias in symbols(expression):
            if alias not in paths:
                raise self.wrong(
                    f"{what}: {node.get('formula', '')[:60]}", alias, f"one of {sorted(paths)}"
                )
            meaning[alias] = self.reference(paths[alias], user, f"{what}, {alias}")
        return substitute([expression], meaning)[0]

    def text(self, text: str, paths: Mapping[str, str | None], what: str) -> Expression:
        names = {k: number(v) for k, v in CONSTANTS.items()} | {a: symbol(a) for a in paths}
        return parse_expression(text, names, field=f"{what} ({text[:60]})", decimal_comma=True)

    def reference(self, path: str | None, user: Entity, what: str) -> Expression:
        """What a path stands for in a formula."""
        if path is None or path == "TIME":
            return symbol(TIME)
        found = self.resolve(path, user, what)
        if found.tag not in _QUANTITIES:
            raise self.wrong(what, path, f"a parameter, molecule or observer (it is a {found.tag})")
        return symbol(found.path)

    def table(self, node, x: Expression, what: str) -> Expression:
        points = [
            (self.number_in(p.get("x"), what), self.number_in(p.get("y"), what))
            for p in node.iterfind("AllPoints/*")
        ]
        slope = node.get("useDerivedValues", "1") == "1"
        if len(points) < 1 + slope:
            raise self.wrong(what, len(points), "a table of at least two points")
        xs, ys = zip(*points, strict=True)
        return apply("table", x, table=Table(xs, ys, slope))

    def table_of(self, node, user: Entity, what: str) -> Expression:
        """The table that another parameter has as its formula, at another argument."""
        paths = self.formulas.paths(node, what)
        by_offset = node.tag == "TableFormulaWithOffset"
        alias = node.get("offsetObjectAlias" if by_offset else "xArgumentAlias", "")
        own = node.get("tableObjectAlias", "")
        for name in (alias, own):
            if paths.get(name) is None:
                raise self.wrong(what, name, f"one of {sorted(paths)}")
        argument = self.reference(paths[alias], user, what)
        owner = self.resolve(str(paths[own]), user, what)
        table = self.formulas.node.get(owner.node.get("formula", ""))
        if owner.node.get("isFixedValue") == "1" or table is None or table.tag not in _TABLES:
            return symbol(owner.path)  # a constant in the place of a table
        return self.table(table, symbol(TIME) - argument if by_offset else argument, owner.path)

    def sum_over_tags(self, node, user: Entity, what: str) -> Expression:
        """Sum of a formula over every quantity with certain tags."""
        variable = f"{node.get('variable', 'P')}_#i"
        text, paths = node.get("formula", variable), self.formulas.paths(node, what)
        plain = lambda s: s.replace("#i", "each")
        names = {plain(alias): path for alias, path in paths.items()}
        expression = self.text(plain(text), {**names, plain(variable): ""}, what)
        criteria = node.find("Criteria")
        if criteria is None:
            raise self.wrong(what, None, "criteria of a sum")
        terms = []
        for entity in self.all:
            if (
                entity.tag in _QUANTITIES
                and entity is not user
                and self.meets(entity, criteria, what)
            ):
                meaning = {plain(variable): symbol(entity.path)}
                for alias, path in paths.items():
                    by = entity if "#i" in alias else user
                    meaning[plain(alias)] = self.reference(path, by, f"{what}, {alias}")
                terms.append(substitute([expression], meaning)[0])
        return add(*terms) if terms else number(0.0)

    def meets(self, entity: Entity, criteria, what: str) -> bool:
        answers = []
        for condition in criteria.iterfind("DescriptorConditions/*"):
            tag = condition.get("tag", "")
            inside = any(tag in place.tags for place in entity.above())
            known = {
                "MatchTagCondition": tag in entity.tags,
                "NotMatchTagCondition": tag not in entity.tags,
                "InContainerCondition": inside,
                "NotInContainerCondition": not inside,
                "MatchAllCondition": True,
            }
            if condition.tag not in known:
                raise self.wrong(what, f"<{condition.tag}>", f"one of {list(known)}")
            answers.append(known[condition.tag])
        return any(answers) if criteria.get("operator") == "Or" else all(answers)

    def distributed(self, kind: str, user: Entity, what: str) -> Expression:
        """A parameter of a distribution at its percentile."""

        def part(name: str) -> Expression:
            if name not in user.children:
                raise self.wrong(what, name, f"a parameter {name} of the distribution")
            return symbol(user.children[name].path)

        if kind == "DiscreteDistributionFormula":
            return part("Mean")
        percentile = self.percentile(user, what)
        if kind == "UniformDistributionFormula":
            return part("Minimum") + percentile * (part("Maximum") - part("Minimum"))
        z = NormalDist().inv_cdf(percentile)
        if kind == "NormalDistributionFormula":
            return part("Mean") + z * part("Deviation")
        if kind == "LogNormalDistributionFormula":
            return apply(
                "exp", apply("log", part("Mean")) + z * apply("log", part("GeometricDeviation"))
            )
        raise self.wrong(
            what, f"<{kind}>", "a normal, log-normal, uniform or discrete distribution"
        )

    def percentile(self, user: Entity, what: str) -> float:
        child = user.children.get("Percentile")
        text = None
        if child is not None:
            text = child.node.get("value")
            formula = self.formulas.node.get(child.node.get("formula", ""))
            if text is None and formula is not None and formula.tag == "ConstantFormula":
                text = formula.get("value")
        value = self.number_in(text, f"{what}{DELIMITER}Percentile")
        if not 0.0 < value < 1.0:
            raise self.wrong(f"{what}{DELIMITER}Percentile", value, "a number between 0 and 1")
        return value

    def number_in(self, text: str | None, what: str) -> float:
        try:
            return float((text or "").strip().replace("∞", "inf"))
        except ValueError:
            raise self.wrong(what, text, "a number") from None

    # -- equations ------------------------------------------------------------------------------

    def read(self) -> SimulationFile:
        rates = self.process_rates()
        initial: dict[str, Expression] = {}
        parameters: dict[str, Expression] = {}
        quantities: dict[str, Quantity] = {}
        outputs: dict[str, Expression] = {}
        negative = set()
        for entity in self.all:
            if entity.tag not in _QUANTITIES:
                continue
            path = entity.path
            if path == TIME:
                raise self.wrong(path, path, "another name: this one is that of the time")
            value = self.value(entity, path)
            if (formula := entity.node.get("rHSFormula")) is not None:
                rates[path] = self.formula(formula, entity, path)
            if path in rates:
                initial[path] = value
                if entity.node.get("negativeValuesAllowed", "1") == "1":
                    negative.add(path)
            else:
                parameters[path] = value
            if entity.parent.tag != "DistributedParameter":
                quantities[path] = self.quantity(entity, path)
            if entity.tag == "Observer":
                outputs[path] = symbol(path)
        if not rates:  # nothing moves: the first molecule stands still
            still = next((q.path for q in quantities.values() if q.kind == MOLECULE), None)
            if still is None:
                raise self.wrong("molecules", 0, "at least one molecule")
            rates, initial = {still: number(0.0)}, {still: parameters.pop(still)}
        order = {e.path: i for i, e in enumerate(self.all) if e.tag in _QUANTITIES}
        rates = dict(sorted(rates.items(), key=lambda item: order[item[0]]))
        events = tuple(self.event(e) for e in self.all if e.tag == "Event")
        units = {q.path: q.unit for q in quantities.values() if q.unit}
        model = OdeModel(
            rates, initial, parameters, outputs, events, TIME, units, frozenset(negative)
        )
        times, solver = self.settings()
        return SimulationFile(
            self.root.name, f"pkml {self.version}", model, self.selected(quantities), times, solver
        )

    def quantity(self, entity: Entity, path: str) -> Quantity:
        dimension = entity.node.get("dim", "")
        kind = _QUANTITIES[entity.tag]
        persistable = kind != PARAMETER and entity.node.get("persistable") == "1"
        return Quantity(path, kind, BASE_UNITS.get(dimension, ""), dimension, persistable)

    def selected(self, quantities: Mapping[str, Quantity]) -> dict[str, Quantity]:
        """The file's own choice of outputs, where it has one."""
        chosen = {s.get("path", "") for s in self.simulation.iter("QuantitySelection")}
        if not chosen & quantities.keys():
            return dict(quantities)
        return {p: replace(q, selected=p in chosen) for p, q in quantities.items()}

    def value(self, entity: Entity, what: str) -> Expression:
        node = entity.node
        formula = node.get("formula")
        if node.get("isFixedValue") == "1" or formula is None:
            return number(self.number_in(node.get("value", node.get("Value")), what))
        return self.formula(formula, entity, what)

    def process_rates(self) -> dict[str, Expression]:
        """Molecule -> sum of what transports and reactions do to it."""
        terms: dict[str, list[Expression]] = {}
        for entity in self.all:
            if entity.tag not in ("Transport", "Reaction"):
                continue
            rate = self.process(entity)
            for key, factor in self.partners(entity):
                amount = self.by_id.get(key)
                if amount is None or amount.tag != "MoleculeAmount":
                    raise self.wrong(entity.path, key, "the id of a molecule of the file")
                terms.setdefault(amount.path, []).append(mul(factor, rate))
        return {path: add(*parts) for path, parts in terms.items()}

    def process(self, entity: Entity) -> Expression:
        formula = entity.node.get("formula")
        if formula is None:
            raise self.wrong(entity.path, None, "a formula")
        rate = self.formula(formula, entity, entity.path)
        if entity.node.get("dimension", entity.node.get("dim", "")) in _PER_VOLUME:
            around = self.reference(
                f"..{DELIMITER}Volume", entity, f"{entity.path}, volume around it"
            )
            rate = mul(rate, around)
        return rate

    def partners(self, entity: Entity) -> Iterable[tuple[str, float]]:
        node = entity.node
        if entity.tag == "Transport":
            yield node.get("sourceAmount", ""), -1.0
            yield node.get("targetAmount", ""), 1.0
            return
        for side, sign in (("Educts", -1.0), ("Products", 1.0)):
            for partner in node.iterfind(f"{side}/ReactionPartner"):
                count = self.number_in(partner.get("stoichiometricCoefficient", "1"), entity.path)
                yield partner.get("partner", ""), sign * count

    def event(self, entity: Entity) -> Event:
        path = entity.path
        condition = self.formula(entity.node.get("formula", ""), entity, path)
        assignments = []
        for node in entity.node.iterfind("Children/EventAssignment"):
            what = f"{path}{DELIMITER}{node.get('name', '')}"
            user = Entity(node, entity)
            target = self.by_id.get(node.get("changedEntity", ""))
            if target is None:
                place = node.find("ObjectPath")
                key = None if place is None else place.get("path")
                target = self.resolve(self.formulas.string(key, what), user, what)
            if target.tag not in _QUANTITIES or target.tag == "Observer":
                raise self.wrong(what, target.path, "a parameter or molecule")
            value = self.formula(node.get("formula", ""), user, what)
            assignments.append(Assignment(target.path, value, node.get("useAsValue") != "1"))
        return Event(path, condition, tuple(assignments), entity.node.get("oneTime") == "1")

    # -- settings -------------------------------------------------------------------------------

    def settings(self) -> tuple[np.ndarray, dict[str, float]]:
        """Output times [min] and the options of PK-Sim's solver."""
        settings = next(self.simulation.iter("SimulationSettings"), None)
        times: list[float] = []
        solver: dict[str, float] = {}
        if settings is None:
            return np.zeros(0), solver
        cache = _Formulas(settings.find("FormulaCache"), self.file)
        for interval in settings.iter("OutputInterval"):
            start, end, resolution = (
                self.setting(interval, name, cache)
                for name in ("Start time", "End time", "Resolution")
            )
            # two points at least, as OSPSuite.Core counts them
            count = max(2, round(resolution * (end - start)) + 1) if end > start else 2
            times += list(np.linspace(start, end, min(int(count), 1_000_000)))
        for node in settings.iterfind("Solver/Children/Parameter"):
            if (value := node.get("value")) is not None:
                solver[node.get("name", "")] = self.number_in(value, "Solver")
        return merged_times(times), solver

    def setting(self, interval, name: str, cache: _Formulas) -> float:
        for node in interval.iterfind("Children/Parameter"):
            if node.get("name") == name:
                text = node.get("value")
                formula = cache.node.get(node.get("formula", ""))
                if text is None and formula is not None:
                    text = formula.get("value")
                return self.number_in(text, f"output interval, {name}")
        raise self.wrong("output interval", None, f"a parameter {name}")


def _walk(start: Entity, parts: list[str]) -> Entity | None:
    """Follow names and ``..`` from an object."""
    at: Entity | None = start
    for part in parts:
        if at is None:
            return None
        at = at.parent if part == ".." else at.children.get(part)
    return at


__all__ = ["read_pkml"]
