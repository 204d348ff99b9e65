"""SBML core models as Systems, where their laws are a System's; everything else is listed, and refused.

Understood: compartments of constant size, species in amounts or concentrations, constant parameters, function definitions,
initial assignments, assignment rules (inlined where used; linear ones become observables), rate rules, reactions whose
kinetic laws are sums of first-order, second-order, Michaelis-Menten (with competitive inhibitors) and Hill terms. Amounts
that the model starts with become doses at time 0.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .._core.errors import FileFormatError, InputError
from .._core.optional import require
from ..dosing import Regimen
from ..dosing.regimen import combine
from ..models.system import Observable, Reaction, System, signed_by_equations
from .sbml_math import (
    Polynomial,
    Term,
    Unsupported,
    constant,
    evaluate,
    simplify,
    species,
    value_of,
)

LARGEST_FILE = 20_000_000  # bytes
MOST_STATES, MOST_REACTIONS, MOST_SYMBOLS = 5_000, 20_000, 100_000
_SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, eq=False)
class ImportedModel:
    """What a file holds.

    Parameters
    ----------
    system : the equations, per hour, in the file's own substance unit
    initial : state -> amount at the start
    notes : what was decided on the way: units, names that were changed
    """

    system: System
    initial: Mapping[str, float]
    notes: tuple[str, ...] = field(default=())

    @property
    def regimen(self) -> Regimen:
        """The initial amounts as doses at time 0."""
        doses = [Regimen.dose(a, compartment=s) for s, a in self.initial.items() if a > 0]
        return combine(doses) if doses else Regimen.empty()


def import_sbml(
    source: str | os.PathLike, *, time_unit: str | None = None, drop_outputs: bool = False
) -> ImportedModel:
    """Read an SBML file, or its text.

    Parameters
    ----------
    source : path of a file, or XML text that begins with ``<``
    time_unit : "second", "minute", "hour" or "day", where the file states none or a wrong one
    drop_outputs : leave out assignment rules that are not linear in the species, where no law uses them; they are listed in
        ``notes``. By default they are refused like everything else.

    Returns
    -------
    ImportedModel

    Raises
    ------
    FileFormatError : not SBML, too large, or with constructs that a System does not have; the message lists all of them,
        and so does its ``unsupported``
    MissingDependencyError : python-libsbml is not installed (extra ``sbml``)
    """
    sbml = require("libsbml", "sbml", "SBML")
    text, name = _read(source)
    document = sbml.readSBMLFromString(text)
    errors = [document.getError(i) for i in range(document.getNumErrors())]
    fatal = [e for e in errors if e.getSeverity() >= sbml.LIBSBML_SEV_ERROR]
    model = document.getModel()
    if fatal or model is None:
        what = (
            f"line {fatal[0].getLine()}: {fatal[0].getMessage().strip()}"
            if fatal
            else "there is no model in it"
        )
        raise FileFormatError(name, what[:300], "an SBML file")
    if (count := model.getNumSpecies()) > MOST_STATES or model.getNumReactions() > MOST_REACTIONS:
        raise FileFormatError(
            name,
            f"{count} species, {model.getNumReactions()} reactions",
            f"at most {MOST_STATES} species and {MOST_REACTIONS} reactions",
        )
    properties = sbml.ConversionProperties()
    properties.addOption("expandFunctionDefinitions", True)
    document.convert(properties)
    reader = _Reader(sbml, document, name, time_unit, drop_outputs)
    try:
        return reader.read()
    except Unsupported as err:
        reader.no(str(err))
        raise _refusal(name, reader.unsupported) from err


def _read(source: str | os.PathLike) -> tuple[str, str]:
    if isinstance(source, str) and source.lstrip().startswith("<"):
        text, name = source, "SBML text"
    else:
        path = Path(source)
        name = path.name
        try:
            size = path.stat().st_size
            if size > LARGEST_FILE:
                raise FileFormatError(name, f"{size} bytes", f"at most {LARGEST_FILE} bytes")
            text = path.read_text(encoding="utf-8", errors="strict")
        except UnicodeDecodeError as err:
            raise FileFormatError(name, "bytes that are not UTF-8", "an SBML file") from err
        except OSError as err:
            raise InputError(
                "source", str(source), "a file that can be read", hint=str(err)
            ) from err
    if len(text) > LARGEST_FILE:
        raise FileFormatError(name, f"{len(text)} characters", f"at most {LARGEST_FILE}")
    head = text[:100_000].lower()
    if "<!doctype" in head or "<!entity" in text.lower():
        raise FileFormatError(
            name, "a document type or entities", "plain XML"
        )  # entities can expand without end
    return text, name


class _Reader:
    """Collects everything that does not fit before it complains."""

    def __init__(
        self, sbml: Any, document: Any, name: str, time_unit: str | None, drop_outputs: bool
    ):
        self.sbml, self.document, self.model, self.file = sbml, document, document.getModel(), name
        self.drop_outputs = drop_outputs
        self.unsupported: list[str] = []
        self.notes: list[str] = []
        self.hours = self._hours(time_unit)
        self.states: dict[str, int] = {}
        self.volume: dict[str, float] = {}  # species -> L if its symbol is a concentration
        self.known: dict[str, list[Term]] = {}
        self.empty: dict[str, str] = {}
        self.open: set[str] = set()
        self.rules: dict[str, Any] = {}
        self.locals: dict[str, float] = {}

    def items(self, many: Any) -> list[Any]:
        return [many.get(i) for i in range(many.size())]

    def no(self, what: str) -> None:
        if what not in self.unsupported:
            self.unsupported.append(what)

    def read(self) -> ImportedModel:
        self._constructs()
        self._symbols()
        k: dict[tuple[int, int], float] = {}
        reactions: list[Reaction] = []
        for r in self.items(self.model.getListOfReactions()):
            self._reaction(r, k, reactions)
        for variable, state in self.states.items():
            if variable in self.rules and self.rules[variable].isRate():
                scale = self.volume.get(variable, 1.0)
                self._law(
                    f"rate rule of {variable}",
                    self.rules[variable].getMath(),
                    {state: scale},
                    k,
                    reactions,
                )
        observables = self._observables()
        if self.unsupported:
            raise _refusal(self.file, self.unsupported)
        names = tuple(self.states)
        initial = self._initial()
        if self.unsupported:
            raise _refusal(self.file, self.unsupported)
        rows = list(k) or [(0, 0)]
        values = [[k.get(p, 0.0) for p in rows]]
        facts = {"model": self.model.getId() or self.file, "source": f"SBML {self.file}"}
        system = System(
            names,
            [i for i, _ in rows],
            [j for _, j in rows],
            values,
            tuple(reactions),
            observables,
            attrs=facts,
        )
        # a file does not say which species are deviations: those that its equations can take below zero may be
        may_be = signed_by_equations(system)
        signed = tuple(
            s for s, yes in zip(names, may_be, strict=True) if yes or initial.get(s, 0) < 0
        )
        system = replace(system, signed=signed)
        return ImportedModel(system, initial, tuple(self.notes))

    # -- what is there ------------------------------------------------------------------------------------------------
    def _constructs(self) -> None:
        model = self.model
        for i in range(self.document.getNumPlugins()):
            package = self.document.getPlugin(i).getPackageName()
            if package == "l3v2extendedmath" or not self.document.getPackageRequired(package):
                continue
            if package == "comp" and model.getPlugin("comp").getNumSubmodels() == 0:
                self.notes.append("package comp: ports only, no submodels")
                continue
            self.no(f"package {package}")
        for e in self.items(model.getListOfEvents()):
            self.no(f"event {e.getId() or e.getName() or '(unnamed)'}")
        for c in self.items(model.getListOfConstraints()):
            self.no(f"constraint {c.getId() or '(unnamed)'}")
        if model.isSetConversionFactor():
            self.no(f"conversion factor {model.getConversionFactor()}")
        compartments = {c.getId() for c in self.items(model.getListOfCompartments())}
        for rule in self.items(model.getListOfRules()):
            if rule.isRate() and rule.getVariable() in compartments:
                self.no(f"compartment {rule.getVariable()}: a size that changes")
            if rule.isAlgebraic():
                self.no("algebraic rule")
            elif not rule.isSetMath():
                self.no(f"rule of {rule.getVariable()}: no formula")
            else:
                self.rules[rule.getVariable()] = rule
        for r in self.items(model.getListOfReactions()):
            if self.document.getLevel() < 3 and r.getFast():
                self.no(f"reaction {r.getId()}: fast")

    def _symbols(self) -> None:
        """Constants, states, and what is not known until it is asked for."""
        model = self.model
        assigned = {
            a.getSymbol(): a.getMath() for a in self.items(model.getListOfInitialAssignments())
        }
        self.assigned = assigned
        for c in self.items(model.getListOfCompartments()):
            if c.getId() not in assigned and c.getId() not in self.rules:
                self._constant(c.getId(), c.getSize() if c.isSetSize() else 1.0, "compartment")
        for p in self.items(model.getListOfParameters()):
            rule = self.rules.get(p.getId())
            if rule is not None and rule.isRate():
                self.states[p.getId()] = len(self.states)
            elif rule is None and p.getId() not in assigned:
                if not p.isSetValue():
                    self.no(f"parameter {p.getId()}: no value")
                else:
                    self._constant(p.getId(), p.getValue(), "parameter")
        for s in self.items(model.getListOfSpecies()):
            self._species(s)
        for name, state in self.states.items():
            factor = 1.0 / self.volume[name] if name in self.volume else 1.0
            self.known[name] = species(state, factor)

    def _species(self, s: Any) -> None:
        sid = s.getId()
        rule = self.rules.get(sid)
        if s.isSetConversionFactor():
            self.no(f"species {sid}: conversion factor")
        if rule is not None and rule.isAssignment():
            return  # inlined
        if not s.getHasOnlySubstanceUnits():
            size = self._number(s.getCompartment(), f"species {sid}: size of its compartment")
            if size is None or size <= 0:
                self.no(f"species {sid}: a compartment without a size")
                size = 1.0
            self.volume[sid] = size
        if (s.getConstant() or s.getBoundaryCondition()) and rule is None:
            amount = self._start(sid)
            if amount is not None:
                self._constant(sid, amount / self.volume.get(sid, 1.0), "species")
            return
        self.states[sid] = len(self.states)

    def _constant(self, symbol: str, value: float, kind: str) -> None:
        if np.isfinite(value):
            self.known[symbol] = constant(value)
        else:
            self.empty[symbol] = (
                f"{kind} {symbol}, whose value is {value}"  # refused where it is used
            )

    def _number(self, symbol: str, what: str) -> float | None:
        try:
            value = value_of(self._resolve(symbol))
        except Unsupported as err:
            self.no(f"{what}: {err}")
            return None
        if value is None:
            self.no(f"{what}: not a constant")
        return value

    def _resolve(self, symbol: str) -> list[Term]:
        if symbol in self.locals:
            return constant(self.locals[symbol])
        if symbol in self.known:
            return self.known[symbol]
        if symbol in self.empty:
            raise Unsupported(self.empty[symbol])
        if symbol in self.open:
            raise Unsupported(f"{symbol}, which is defined by itself")
        if len(self.known) > MOST_SYMBOLS:
            raise Unsupported(f"more than {MOST_SYMBOLS} symbols")
        self.open.add(symbol)
        kept, self.locals = self.locals, {}
        try:
            if symbol in self.rules and self.rules[symbol].isAssignment():
                terms = evaluate(self.rules[symbol].getMath(), self.sbml, self._resolve)
            elif symbol in self.assigned:
                value = self._initial_value(self.assigned[symbol])
                terms = constant(value)
            elif (reaction := self.model.getReaction(symbol)) is not None:
                terms = self._rate_of(reaction)
            else:
                raise Unsupported(f"the symbol {symbol}")
        finally:
            self.open.discard(symbol)
            self.locals = kept
        self.known[symbol] = terms
        return terms

    def _rate_of(self, reaction: Any) -> list[Term]:
        """The terms of a reaction's law, whose id stands for its rate in formulas."""
        law = reaction.getKineticLaw()
        if law is None or not law.isSetMath():
            raise Unsupported(f"the rate of reaction {reaction.getId()}, which has no law")
        self.locals = self._local(law)
        return evaluate(law.getMath(), self.sbml, self._resolve)

    def _local(self, law: Any) -> dict[str, float]:
        parameters = (
            law.getListOfLocalParameters()
            if self.document.getLevel() > 2
            else law.getListOfParameters()
        )
        return {p.getId(): p.getValue() for p in self.items(parameters)}

    def _initial_value(self, math: Any) -> float:
        """A formula at the start: species stand for their initial values."""

        def at_start(symbol: str) -> list[Term]:
            if symbol in self.states:
                if symbol in self.open:
                    raise Unsupported(f"{symbol}, which is defined by itself")
                self.open.add(symbol)
                try:
                    amount = self._start(symbol)
                finally:
                    self.open.discard(symbol)
                return constant((amount or 0.0) / self.volume.get(symbol, 1.0))
            terms = self._resolve(symbol)
            if value_of(terms) is not None:
                return terms
            return constant(self._initial_value(self.rules[symbol].getMath()))

        value = value_of(evaluate(math, self.sbml, at_start))
        if value is None:
            raise Unsupported("an initial value that is no number")
        return value

    def _start(self, sid: str) -> float | None:
        """Initial amount of a species (or value of a parameter with a rate rule)."""
        s, scale = self.model.getSpecies(sid), self.volume.get(sid, 1.0)
        try:
            if sid in self.assigned:
                return self._initial_value(self.assigned[sid]) * scale
        except Unsupported as err:
            self.no(f"initial assignment of {sid}: {err}")
            return None
        if s is None:
            p = self.model.getParameter(sid)
            return float(p.getValue()) if p.isSetValue() else 0.0
        if s.isSetInitialAmount():
            return float(s.getInitialAmount())
        if s.isSetInitialConcentration():
            size = (
                scale if sid in self.volume else self._number(s.getCompartment(), f"species {sid}")
            )
            return None if size is None else float(s.getInitialConcentration()) * size
        return 0.0

    def _initial(self) -> dict[str, float]:
        out = {}
        for name in self.states:
            amount = self._start(name)
            if amount is None:
                continue
            if not np.isfinite(amount) or amount < 0:
                self.no(f"species {name}: an initial amount of {amount}")
            elif amount > 0:
                out[name] = amount
        return out

    # -- equations ----------------------------------------------------------------------------------------------------
    def _reaction(self, r: Any, k: dict, reactions: list[Reaction]) -> None:
        name = f"reaction {r.getId()}"
        law = r.getKineticLaw()
        if law is None or not law.isSetMath():
            self.no(f"{name}: no kinetic law")
            return
        gains: dict[int, float] = {}
        for many, sign in ((r.getListOfReactants(), -1.0), (r.getListOfProducts(), 1.0)):
            for part in self.items(many):
                if part.isSetStoichiometryMath() or (
                    self.document.getLevel() > 2 and not part.getConstant()
                ):
                    self.no(f"{name}: a stoichiometry that is computed")
                if part.getId() and part.getId() in (*self.assigned, *self.rules):
                    self.no(f"{name}: a stoichiometry that is computed")
                sid, count = part.getSpecies(), part.getStoichiometry()
                if not np.isfinite(count):
                    self.no(f"{name}: a stoichiometry without a value")
                elif sid in self.states and not self.model.getSpecies(sid).getBoundaryCondition():
                    gains[self.states[sid]] = gains.get(self.states[sid], 0.0) + sign * count
        self.locals = self._local(law)
        self._law(name, law.getMath(), {s: g for s, g in gains.items() if g}, k, reactions)
        self.locals = {}

    def _law(
        self, name: str, math: Any, gains: dict[int, float], k: dict, reactions: list[Reaction]
    ) -> None:
        """Sort the terms of a rate into K and reactions."""
        if not gains:
            return
        try:
            terms = simplify(evaluate(math, self.sbml, self._resolve))
            for numerator, denominator in terms:
                if set(denominator) == {()}:
                    self._polynomial(numerator, gains, k, reactions, name)
                else:
                    law, reactants, parameters = _saturable(numerator, denominator)
                    parameters[0] *= self.hours
                    self._add(reactions, name, law, reactants, gains, parameters)
        except Unsupported as err:
            self.no(f"{name}: {err}")

    def _polynomial(self, p: Polynomial, gains, k, reactions: list[Reaction], name: str) -> None:
        for monomial, x in p.items():
            powers = [power for _, power in monomial]
            if powers == [1.0]:
                for state, gain in gains.items():
                    k[state, monomial[0][0]] = (
                        k.get((state, monomial[0][0]), 0.0) + gain * x * self.hours
                    )
            elif powers in ([1.0, 1.0], [2.0]):
                states = tuple(s for s, power in monomial for _ in range(int(power)))
                self._add(reactions, name, "mass_action", states, gains, [x * self.hours])
            elif not powers:
                raise Unsupported("production at a constant rate (give it as an infusion instead)")
            else:
                raise Unsupported(f"a product of powers {powers} of species")

    def _add(
        self, reactions: list[Reaction], name: str, law: str, reactants, gains, parameters
    ) -> None:
        taken = {r.name for r in reactions}
        stem = name.removeprefix("reaction ")
        unique, n = stem, 2
        while unique in taken:
            unique, n = f"{stem} {n}", n + 1
        reactions.append(
            Reaction(
                unique, law, tuple(reactants), dict(gains), np.array([parameters], dtype=float)
            )
        )

    def _observables(self) -> dict[str, Observable]:
        out: dict[str, Observable] = {}
        for name, state in self.states.items():
            s = self.model.getSpecies(name)
            size = self.volume.get(name)
            home = None if s is None else self.model.getCompartment(s.getCompartment())
            if (
                size is None
                and home is not None
                and (home.isSetSize() or s.getCompartment() in self.rules)
            ):
                size = self._number(s.getCompartment(), f"species {name}")
            if s is None:
                size = 1.0
            if size:
                out[name] = Observable((state,), np.array([1.0 / size]))
        for symbol, rule in self.rules.items():
            if not rule.isAssignment():
                continue
            try:
                terms = simplify(self._resolve(symbol))
                if value_of(terms) is not None:
                    continue
                if len(terms) != 1 or set(terms[0][1]) != {()}:
                    raise Unsupported("not linear in the species")
                weights, offset = {}, 0.0
                for monomial, x in terms[0][0].items():
                    if not monomial:
                        offset = x
                    elif len(monomial) == 1 and monomial[0][1] == 1.0:
                        weights[monomial[0][0]] = x
                    else:
                        raise Unsupported("not linear in the species")
            except Unsupported as err:
                text = f"assignment rule of {symbol}: {err}"
                if self.drop_outputs:
                    self.notes.append(f"left out: {text}")
                else:
                    self.no(text)
                continue
            shift = np.array([offset]) if offset else None
            label = symbol if symbol not in out else f"{symbol} (rule)"
            out[label] = Observable(tuple(weights), np.ones(1), tuple(weights.values()), shift)
        return out

    # -- units --------------------------------------------------------------------------------------------------------
    def _hours(self, time_unit: str | None) -> float:
        """Model time units per hour."""
        given = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
        if time_unit is not None:
            if time_unit not in given:
                raise InputError("time_unit", time_unit, ", ".join(given))
            return _SECONDS_PER_HOUR / given[time_unit]
        name = self.model.getTimeUnits() if self.document.getLevel() > 2 else "time"
        definition = self.model.getUnitDefinition(name) if name else None
        if definition is not None and definition.getNumUnits() == 1:
            u = definition.getUnit(0)
            if u.isSecond() and u.getExponent() == 1:
                return _SECONDS_PER_HOUR / (u.getMultiplier() * 10.0 ** u.getScale())
        if name in ("second", "time") and definition is None:
            self.notes.append("time unit: second")
            return _SECONDS_PER_HOUR
        if not name:
            self.notes.append("the file states no time unit: taken as hours")
            return 1.0
        self.no(f"time unit {name}")
        return 1.0


def _saturable(n: Polynomial, d: Polynomial) -> tuple[str, tuple[int, ...], list[float]]:
    """Recognise V a/(K (1 + sum i/Ki) + a) and k [b] a^g/(K^g + a^g)."""
    if len(n) != 1:
        raise Unsupported("a sum over a denominator that depends on species")
    ((monomial, v),) = n.items()
    zero = d.get((), 0.0)
    others = {m: x for m, x in d.items() if m}
    if any(len(m) != 1 for m in others) or zero <= 0:
        raise Unsupported("a denominator that is not a constant plus a sum over species")
    slopes = {m[0]: x for m, x in others.items()}
    if any(x <= 0 for x in slopes.values()):
        raise Unsupported("a denominator with negative terms")
    substrate = [(s, p) for s, p in monomial if (s, p) in slopes]
    product = [(s, p) for s, p in monomial if (s, p) not in slopes]
    if len(substrate) == 2 and all(p == 1.0 for _, p in substrate):
        raise Unsupported("a product of two saturating species")
    if len(substrate) != 1 or len(product) > 1 or any(p != 1.0 for _, p in product):
        raise Unsupported("a saturable law that is neither Michaelis-Menten nor Hill")
    (a, g), alpha = substrate[0], slopes[substrate[0]]
    inhibitors = [(s, x) for (s, p), x in slopes.items() if (s, p) != (a, g)]
    if any(p != 1.0 for (s, p) in slopes if (s, p) != (a, g)):
        raise Unsupported("an inhibitor that does not act in proportion")
    if g == 1.0 and not product:
        km = zero / alpha
        constants = [km * alpha / x for _, x in inhibitors]
        return "michaelis_menten", (a, *(s for s, _ in inhibitors)), [v / alpha, km, *constants]
    if inhibitors:
        raise Unsupported("inhibition of a Hill law")
    law = "hill_product" if product else "hill"
    return law, (a, *(s for s, _ in product)), [v / alpha, (zero / alpha) ** (1.0 / g), g]


def _refusal(file: str, unsupported: list[str]) -> FileFormatError:
    error = FileFormatError(
        file,
        f"{len(unsupported)} constructs that a System does not have",
        "SBML within a System's laws",
        hint="; ".join(unsupported),
    )
    error.unsupported = tuple(unsupported)
    return error
