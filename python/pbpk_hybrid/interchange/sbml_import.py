"""SBML core models as Systems, where their laws are a System's; everything else is
listed, and refused.

Understood: compartments of constant size, species in amounts or concentrations, constant
parameters, conversion factors, function definitions, initial assignments, assignment
rules (inlined where used; linear ones become observables), rate rules, reactions whose
kinetic laws are sums of first-order, second-order, Michaelis-Menten (with competitive
inhibitors; reversible too: one term each way) and Hill terms. Amounts that the model
starts with become doses at time 0.

Amounts are in mg where the file is in grams, or in moles and molar masses are given; else
in the file's own unit, which results then carry, and in which doses have to be given.
Concentrations are per litre.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .._core.errors import FileFormatError, InputError
from .._core.limits import border
from .._core.optional import require
from ..dosing import Regimen
from ..dosing.regimen import combine
from ..models.system.system import Observable, Reaction, System, signed_by_equations
from .sbml_file import read_text
from .sbml_laws import saturable, scaled, scaled_observable, vanishing
from .sbml_math import (
    Formulas,
    Polynomial,
    Term,
    Unsupported,
    constant,
    simplify,
    species,
    value_of,
)
from .sbml_units import (
    STATED_NOWHERE,
    UNKNOWN,
    Amount,
    UnitRegimen,
    amount_of,
    litres,
    molar_masses,
    read_amount,
)

MOST_STATES, MOST_REACTIONS, MOST_SYMBOLS = 5_000, 20_000, 100_000
_SECONDS_PER_HOUR = 3600.0
_FOR_DISPLAY = ("layout", "render", "groups")  # packages without meaning for the equations


@dataclass(frozen=True, eq=False)
class ImportedModel:
    """What a file holds.

    Parameters
    ----------
    system : the equations, per hour, in `unit`
    initial : state -> amount at the start [`unit`]
    notes : what was decided on the way: units, names that were changed, what was left out
    unit : of all amounts: "mg", or the file's own, e.g. "mmol"; "unknown" where the file
        states none
    constants : species and outputs that do not change -> their value, in the file's own units
    """

    system: System
    initial: Mapping[str, float]
    notes: tuple[str, ...] = field(default=())
    unit: str = "mg"
    constants: Mapping[str, float] = field(default_factory=dict)

    @property
    def regimen(self) -> Regimen:
        """The initial amounts as doses at time 0."""
        doses = [Regimen.dose(a, compartment=s) for s, a in self.initial.items() if a > 0]
        return self._in_unit(combine(doses) if doses else Regimen.empty())

    def dose(self, amount: float, time: float = 0.0, *, into: str, **options: Any) -> Regimen:
        """A dose in the unit of the model.

        Parameters
        ----------
        amount : [`unit`]
        time : [h]
        into : name of the state
        options : as in :meth:`Regimen.dose <pbpk_hybrid.Regimen.dose>`

        Raises
        ------
        InputError : an amount that is no plain number
        """
        if isinstance(amount, bool) or not isinstance(amount, (int, float)):
            raise InputError("amount", amount, f"a number [{self.unit}]")
        return self._in_unit(Regimen.dose(amount, time, compartment=into, **options))

    def _in_unit(self, regimen: Regimen) -> Regimen:
        if self.unit == "mg":
            return regimen
        return UnitRegimen(regimen.columns, span=regimen.span, unit=self.unit)


def import_sbml(
    source: str | os.PathLike,
    *,
    time_unit: str | None = None,
    substance_unit: str | None = None,
    molar_mass: float | Mapping[str, float] | None = None,
    drop_outputs: bool = False,
) -> ImportedModel:
    """Read an SBML file, or its text.

    Parameters
    ----------
    source : path of a file, or XML text that begins with ``<``
    time_unit : "second", "minute", "hour" or "day", where the file states none or a wrong one
    substance_unit : "mg", "mmol", ... where the file states none or a wrong one
    molar_mass : [g/mol] of all species, or species -> molar mass: a file in moles is then
        converted to mg, as doses and the analysis of results want it
    drop_outputs : leave out assignment rules that are not linear in the species, where no
        law uses them; they are listed in ``notes``. By default they are refused like
        everything else.

    Returns
    -------
    ImportedModel

    Raises
    ------
    FileFormatError : not SBML, too large, or with constructs that a System does not have;
        the message lists all of them, and so does its ``unsupported``
    MissingDependencyError : python-libsbml is not installed (extra ``sbml``)
    """
    sbml = require("libsbml", "sbml", "SBML")
    text, name, elements = read_text(source)
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
    reader = _Reader(sbml, document, name, elements, drop_outputs)
    try:
        with border("source", name, "an SBML file", passing=(Unsupported,)):
            return reader.read(time_unit, substance_unit, molar_mass)
    except Unsupported as err:
        reader.no(str(err))
        raise _refusal(name, reader.unsupported) from err


class _Reader:
    """Collects everything that does not fit before it complains."""

    def __init__(self, sbml: Any, document: Any, name: str, elements: int, drop_outputs: bool):
        self.sbml, self.document, self.model, self.file = sbml, document, document.getModel(), name
        self.drop_outputs = drop_outputs
        self.unsupported: list[str] = []
        self.notes: list[str] = []
        self.hours = 1.0
        self.states: dict[str, int] = {}
        self.volume: dict[str, float] = {}  # species -> size if its symbol is a concentration
        self.known: dict[str, list[Term]] = {}
        self.empty: dict[str, str] = {}
        self.open: set[str] = set()
        self.rules: dict[str, Any] = {}
        self.locals: dict[str, float] = {}
        self.constants: dict[str, float] = {}
        self.positive: dict[int, str] = {}  # states in max(state, 0) -> where
        self.factor: dict[str, float] = {}  # species -> its conversion factor
        functions = {f.getId(): f for f in self.items(self.model.getListOfFunctionDefinitions())}
        took = lambda state: self.positive.setdefault(state, self.at)
        self.formulas = Formulas(sbml, functions, elements, took)
        self.at = ""

    def items(self, many: Any) -> list[Any]:
        return [many.get(i) for i in range(many.size())]

    def no(self, what: str) -> None:
        if what not in self.unsupported:
            self.unsupported.append(what)

    def read(self, time_unit, substance_unit, molar_mass) -> ImportedModel:
        self.hours = self._hours(time_unit)
        self._constructs()
        self._symbols()
        k: dict[tuple[int, int], float] = {}
        reactions: list[Reaction] = []
        for r in self.items(self.model.getListOfReactions()):
            self._reaction(r, k, reactions)
        for variable, state in self.states.items():
            if variable in self.rules and self.rules[variable].isRate():
                scale = self.volume.get(variable, 1.0)
                self.at = f"rate rule of {variable}"
                self._law(self.at, self.rules[variable].getMath(), {state: scale}, k, reactions)
        self._check_positive(k, reactions)
        observables = self._observables()
        self._stop()
        initial = self._initial()
        unit, scale = self._amounts(substance_unit, molar_mass)
        if not self.states:
            self.no("no species or parameter that changes by a reaction or a rate rule")
        self._stop()
        system = self._system(k, reactions, observables, unit, scale)
        initial = {s: a * scale[self.states[s]] for s, a in initial.items()}
        # a file does not say which species are deviations: those that its equations can
        # take below zero may be
        may_be = signed_by_equations(system)
        signed = (
            s for s, yes in zip(self.states, may_be, strict=True) if yes or initial.get(s, 0) < 0
        )
        system = replace(system, signed=tuple(signed))
        return ImportedModel(system, initial, tuple(self.notes), unit, self.constants)

    def _stop(self) -> None:
        if self.unsupported:
            raise _refusal(self.file, self.unsupported)

    def _system(self, k, reactions, observables, unit: str, scale: np.ndarray) -> System:
        """The System in amounts `scale` times those of the file."""
        entries = list(k) or [(0, 0)]
        facts = {"model": self.model.getId() or self.file, "source": f"SBML {self.file}"}
        if unit != "mg":
            facts["amount_unit"] = unit
        return System(
            tuple(self.states),
            [i for i, _ in entries],
            [j for _, j in entries],
            [[k.get((i, j), 0.0) * scale[i] / scale[j] for i, j in entries]],
            tuple(scaled(r, scale) for r in reactions),
            {name: scaled_observable(o, scale) for name, o in observables.items()},
            attrs=facts,
        )

    # -- units of amount
    # ----------------------------------------------------------------------------
    def _amounts(self, substance_unit: str | None, molar_mass) -> tuple[str, np.ndarray]:
        """The unit of the System's amounts, and by how much the file's are multiplied,
        state by state.
        """
        masses = molar_masses(molar_mass, list(self.states))
        given = amount_of(substance_unit) if substance_unit is not None else None
        # parameters with a rate rule stay in their own unit
        names = [n for n in self.states if self.model.getSpecies(n) is not None]
        units = [given or self._stated(name) for name in names]
        families = {u.family for u in units}
        mg = [self._in_mg(u, masses.get(n)) for n, u in zip(names, units, strict=True)]
        if names and None not in mg:
            if families == {"mole"}:
                self.notes.append("amounts converted from moles to mg with the molar masses given")
            return "mg", self._by_state(names, mg)
        if masses:
            without = [n for n, x in zip(names, mg, strict=True) if x is None]
            self.no(f"amounts in mg of {', '.join(without[:10])}: no molar mass, or not in moles")
        if len(families) > 1:
            many = ", ".join(f"{n} in {u.name}" for n, u in zip(names, units, strict=True))
            self.no(f"species in different kinds of units ({many[:300]}); give molar_mass=")
            return UNKNOWN, self._by_state([], [])
        if families <= {""}:
            self.notes.append(
                "the file states no unit of amount: give substance_unit= before giving doses"
            )
            return UNKNOWN, self._by_state([], [])
        largest = max(units, key=lambda u: u.size)
        base = amount_of(largest.name)
        self.notes.append(
            f"amounts are in {largest.name}, as in the file; give molar_mass= to have them in mg"
        )
        return largest.name, self._by_state(names, [u.size / base.size for u in units])

    def _by_state(self, names: list[str], factors: list[float]) -> np.ndarray:
        given = dict(zip(names, factors, strict=True))
        return np.array([given.get(n, 1.0) for n in self.states])

    @staticmethod
    def _in_mg(unit: Amount, mass: float | None) -> float | None:
        if unit.family == "gram":
            return unit.size
        if unit.family == "mole" and mass is not None:
            return unit.size * mass * 1000.0
        return None

    def _stated(self, name: str) -> Amount:
        """The unit of a species' amount, as the file states it."""
        s = self.model.getSpecies(name)
        unit = s.getSubstanceUnits()
        if not unit:
            return self._of_model()
        found = read_amount(self.sbml, self.model, unit)
        if found is None:
            self.no(f"species {name}: amounts in {unit}, which is no unit of amount")
        return found or STATED_NOWHERE

    def _of_model(self) -> Amount:
        unit = self.model.getSubstanceUnits() if self.document.getLevel() > 2 else "substance"
        if not unit:
            return STATED_NOWHERE
        found = read_amount(self.sbml, self.model, unit)
        if found is None:
            self.no(f"amounts in {unit}, which is no unit of amount")
        return found or STATED_NOWHERE

    def _litres(self, compartment: str) -> float:
        """How many litres the unit of a compartment's size is."""
        c = self.model.getCompartment(compartment)
        unit = c.getUnits()
        if not unit:
            unit = self.model.getVolumeUnits() if self.document.getLevel() > 2 else "volume"
        known = litres(self.sbml, self.model, unit) if unit and _dimensions(c) == 3 else None
        if known is None:
            self._note(
                f"compartment {compartment}: a size in {unit or 'no unit'}; "
                "concentrations are per unit of it"
            )
        return 1.0 if known is None else known

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _check_positive(self, k: Mapping, reactions: Iterable[Reaction]) -> None:
        """max(x, 0) was read as x: see that x cannot become negative, whatever the other
        states do above 0.
        """
        if not self.positive:
            return
        feeds: dict[int, set[int]] = {s: set() for s in self.states.values()}
        wild: set[int] = set()
        for (i, j), x in k.items():
            if i != j and x:
                feeds[i].add(j)
                wild |= {i} if x < 0 else set()
        for r in reactions:
            falls = r.parameters[0, 0] < 0
            for state, gain in r.stoichiometry.items():
                feeds[state].update(r.reactants)
                # what a reaction takes away has to vanish with the state
                if (gain < 0) != falls and state not in vanishing(r):
                    wild.add(state)
        while more := {i for i, sources in feeds.items() if sources & wild} - wild:
            wild |= more
        for state, where in self.positive.items():
            if state in wild:
                name = list(self.states)[state]
                self.no(f"{where}: the function max of {name}, which may become negative")

    # -- what is there
    # ----------------------------------------------------------------------------
    def _constructs(self) -> None:
        model = self.model
        for i in range(self.document.getNumPlugins()):
            package = self.document.getPlugin(i).getPackageName()
            if package in (
                "l3v2extendedmath",
                *_FOR_DISPLAY,
            ) or not self.document.getPackageRequired(package):
                continue
            if package == "comp" and model.getPlugin("comp").getNumSubmodels() == 0:
                self.notes.append("package comp: ports only, no submodels")
                continue
            self.no(f"package {package}")
        for e in self.items(model.getListOfEvents()):
            self.no(f"event {e.getId() or e.getName() or '(unnamed)'}")
        for c in self.items(model.getListOfConstraints()):
            self.no(f"constraint {c.getId() or '(unnamed)'}")
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
            if r.getFast():
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
                if c.isSetSize() or self.document.getLevel() == 1:
                    self._constant(c.getId(), c.getSize(), "compartment")
                else:
                    self.empty[c.getId()] = (
                        f"the size of compartment {c.getId()}, which has no value"
                    )
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
        self._rules_in_order()

    def _rules_in_order(self) -> None:
        """Resolve assignment rules, those first that others use, so that long chains need
        no depth.
        """
        rules = {v: r.getMath() for v, r in self.rules.items() if r.isAssignment()}
        uses = {v: self.formulas.names(m) & set(rules) for v, m in rules.items()}
        used_by: dict[str, list[str]] = {v: [] for v in rules}
        for v, many in uses.items():
            for u in many:
                used_by[u].append(v)
        ready = [v for v, many in uses.items() if not many]
        while ready:
            v = ready.pop()
            self.at = f"assignment rule of {v}"
            try:
                self._resolve(v)
            except Unsupported as err:
                self.empty.setdefault(v, str(err))  # said where it is used
            for w in used_by[v]:
                uses[w].discard(v)
                if not uses[w]:
                    ready.append(w)

    def _species(self, s: Any) -> None:
        sid = s.getId()
        rule = self.rules.get(sid)
        if rule is not None and rule.isAssignment():
            return  # inlined
        factor = s.getConversionFactor() or self.model.getConversionFactor()
        if factor:
            self.factor[sid] = self._number(factor, f"species {sid}: conversion factor") or 1.0
        home = self.model.getCompartment(s.getCompartment())
        if not s.getHasOnlySubstanceUnits() and (home is None or _dimensions(home) != 0):
            size = self._number(s.getCompartment(), f"species {sid}: size of its compartment")
            if size is None or size <= 0:
                self.no(f"species {sid}: a compartment without a size")
                size = 1.0
            self.volume[sid] = size
        if (s.getConstant() or s.getBoundaryCondition()) and rule is None:
            amount = self._start(sid)
            if amount is not None:
                value = amount / self.volume.get(sid, 1.0)
                self.constants[sid] = value
                self._constant(sid, value, "species")
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
                terms = self.formulas.evaluate(self.rules[symbol].getMath(), self._resolve)
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
        return self.formulas.evaluate(law.getMath(), self._resolve)

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
            if symbol not in self.rules:
                raise Unsupported(f"{symbol}, a rate, in an initial value")
            return constant(self._initial_value(self.rules[symbol].getMath()))

        value = value_of(self.formulas.evaluate(math, at_start))
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
            if not p.isSetValue():
                self.no(f"parameter {sid}: no value at the start")
                return None
            return float(p.getValue())
        if s.isSetInitialAmount():
            return float(s.getInitialAmount())
        if s.isSetInitialConcentration():
            size = (
                scale if sid in self.volume else self._number(s.getCompartment(), f"species {sid}")
            )
            return None if size is None else float(s.getInitialConcentration()) * size
        self._note(f"species {sid}: the file states no initial amount: taken as 0")
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

    # -- equations
    # ----------------------------------------------------------------------------
    def _reaction(self, r: Any, k: dict, reactions: list[Reaction]) -> None:
        name = f"reaction {r.getId()}"
        law = r.getKineticLaw()
        if law is None or not law.isSetMath():
            self.no(f"{name}: no kinetic law")
            return
        gains: dict[int, float] = {}
        for many, sign in ((r.getListOfReactants(), -1.0), (r.getListOfProducts(), 1.0)):
            for part in self.items(many):
                computed = part.getId() and part.getId() in (*self.assigned, *self.rules)
                if part.isSetStoichiometryMath() or computed:
                    self.no(f"{name}: a stoichiometry that is computed")
                sid, count = part.getSpecies(), part.getStoichiometry()
                if not np.isfinite(count):
                    self.no(f"{name}: a stoichiometry without a value")
                elif sid in self.states and not self.model.getSpecies(sid).getBoundaryCondition():
                    change = sign * count * self.factor.get(sid, 1.0)
                    gains[self.states[sid]] = gains.get(self.states[sid], 0.0) + change
        self.locals, self.at = self._local(law), name
        self._law(name, law.getMath(), {s: g for s, g in gains.items() if g}, k, reactions)
        self.locals = {}

    def _law(
        self, name: str, math: Any, gains: dict[int, float], k: dict, reactions: list[Reaction]
    ) -> None:
        """Sort the terms of a rate into K and reactions."""
        if not gains:
            return
        try:
            terms = simplify(self.formulas.evaluate(math, self._resolve))
            for numerator, denominator in terms:
                if set(denominator) == {()}:
                    self._polynomial(numerator, gains, k, reactions, name)
                    continue
                for monomial, x in numerator.items():  # (a - b)/(K + a + b) is one term each way
                    law, reactants, parameters = saturable({monomial: x}, denominator)
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
            elif size:
                size *= self._litres(s.getCompartment())
            if size:
                out[name] = Observable((state,), np.array([1.0 / size]))
        for symbol, rule in self.rules.items():
            if not rule.isAssignment():
                continue
            try:
                terms = simplify(self._resolve(symbol))
                if (value := value_of(terms)) is not None:
                    self.constants[symbol] = value
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
            self._note("assignment rules are in the file's own units")
            label = symbol if symbol not in out else f"{symbol} (rule)"
            out[label] = Observable(tuple(weights), np.ones(1), tuple(weights.values()), shift)
        return out

    # -- units
    # ----------------------------------------------------------------------------
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


def _dimensions(compartment: Any) -> float:
    return compartment.getSpatialDimensionsAsDouble()


def _refusal(file: str, unsupported: list[str]) -> FileFormatError:
    error = FileFormatError(
        file,
        f"{len(unsupported)} constructs that a System does not have",
        "SBML within a System's laws",
        hint="; ".join(unsupported),
    )
    error.unsupported = tuple(unsupported)
    return error
