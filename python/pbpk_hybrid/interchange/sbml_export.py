r"""A System as SBML Level 3 Version 2 (Hucka et al. 2019, J Integr Bioinform
16:20190021), for one subject.

States become species in amounts (mg, or the unit of an imported model) in one compartment
of 1 L; what moves from one state to another is a reaction with the same kinetic law, so
that the file's equations are the System's. Observables become assignment rules. Doses,
where a regimen is given, are initial amounts and events; infusions are parameters that
events switch. What happens at one time, a reset and a dose for instance, is one event
with the result of all of it in order: no priorities are needed, which not all programs
know.

- a column of K that loses what it gives away: one transfer per entry; any other column:
  one production per entry, with the source as modifier, and one loss
- michaelis_menten, mass_action, hill, hill_product: their own formulas
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.errors import InputError, PBPKError, unknown_name
from .._core.files import atomic_path
from .._core.optional import require
from .._core.provenance import VERSION
from ..dosing import Regimen
from ..dosing.conversion import as_regimen
from ..dosing.table import EVERYONE
from ..models.system.system import Reaction, System
from ..solvers import base
from ..solvers.doses import dose_stops, steady_state_stops
from .sbml_units import unit_of_export

if TYPE_CHECKING:
    import libsbml

_HOUR = 3600.0


def export_sbml(
    system: System,
    path: str | os.PathLike | None = None,
    *,
    subject: int = 0,
    regimen: Regimen | str | None = None,
    horizon: float = 168.0,
    body_weight: np.ndarray | None = None,
    lag_time: float = 0.0,
    name: str | None = None,
) -> str:
    """Write one subject's equations, and its doses, as SBML.

    Parameters
    ----------
    path : file to write, whole or not at all; None: only return the text
    subject : number of the subject
    regimen : doses of the file; without it all amounts start at 0
    horizon : [h] up to which doses are written out
    body_weight : (n_subjects,) or one number [kg], for doses per kg
    lag_time : [h] added to doses of route "oral"
    name : of the model; None: the compound's or the System's

    Returns
    -------
    the XML text

    Raises
    ------
    InputError : a subject that is not there, a regimen with steady-state records, a body
        weight that is missing or not one for each subject, doses in another unit than the
        System's
    MissingDependencyError : python-libsbml is not installed (extra ``sbml``)
    """
    sbml = require("libsbml", "sbml", "SBML")
    if not 0 <= subject < system.n_subjects:
        raise InputError("subject", subject, f"a number from 0 to {system.n_subjects - 1}")
    writer = _Writer(sbml, _one_subject(system, subject), name)
    writer.model_and_units()
    writer.states()
    writer.linear()
    for reaction in writer.system.reactions:
        writer.reaction(reaction)
    writer.observables()
    if regimen is not None:
        regimen = as_regimen(regimen)
        _check_subjects(system, regimen)
        writer.doses(
            regimen,
            horizon,
            _weight(system, subject, body_weight),
            lag_time,
        )
    text = writer.text()
    if path is not None:
        with atomic_path(path) as draft:
            Path(draft).write_text(text, encoding="utf-8")
    return text


def _one_subject(system: System, subject: int) -> System:
    """The System of one subject, who keeps the number by which a regimen knows it."""
    labels = np.asarray(system.subjects)
    one = system.take([subject])
    return one if labels.dtype.kind in "iu" else replace(one, subjects=np.array([subject]))


def _check_subjects(system: System, regimen: Regimen) -> None:
    """Refuse a regimen for subjects that the System does not have."""
    labels = np.asarray(system.subjects)
    ids = labels if labels.dtype.kind in "iu" else np.arange(system.n_subjects)
    for subject in np.unique(regimen.columns["subject"]):
        if subject != EVERYONE and subject not in ids:
            raise unknown_name(
                "subject", int(subject), ids.tolist(), what="a subject that is simulated"
            )


def _own(regimen: Regimen, subject: int) -> Regimen:
    """The records of one subject: those for everyone and its own."""
    columns = regimen.columns
    mine = np.isin(columns["subject"], (EVERYONE, subject))
    return Regimen({name: c[mine] for name, c in columns.items()}, span=regimen.span)


def _weight(system: System, subject: int, body_weight: Any) -> np.ndarray | None:
    """The subject's body weight [kg]."""
    if body_weight is None:
        return None
    many = np.atleast_1d(np.asarray(body_weight, dtype=float)).ravel()
    if len(many) not in (1, system.n_subjects):
        raise InputError(
            "body_weight",
            f"{len(many)} weights",
            f"one, or one for each of {system.n_subjects} subjects",
        )
    return many[[subject if len(many) > 1 else 0]]


class _Writer:
    """Builds the document step by step."""

    def __init__(self, sbml: Any, system: System, name: str | None):
        self.sbml, self.system = sbml, system
        self.name = name or str(
            system.attrs.get("compound") or system.attrs.get("model") or "model"
        )
        self.document = sbml.SBMLDocument(3, 2)
        self.model: libsbml.Model = self.document.createModel()
        self.taken: set[str] = set()
        self.infusions: dict[int, str] = {}
        self.species = [self.new_id(s) for s in system.states]
        self.unit = str(system.attrs.get("amount_unit", "mg"))
        self.unit_id = "milligram" if self.unit == "mg" else self.new_id("substance_unit")

    def new_id(self, text: str) -> str:
        """A valid, unused SId close to `text`."""
        stem = re.sub(r"\W", "_", text, flags=re.ASCII) or "x"
        stem = f"_{stem}" if stem[0].isdigit() else stem
        out, n = stem, 2
        while out in self.taken:
            out, n = f"{stem}_{n}", n + 1
        self.taken.add(out)
        return out

    def check(self, code: int, what: str) -> None:
        if code != self.sbml.LIBSBML_OPERATION_SUCCESS:
            raise PBPKError(
                f"libsbml refused {what}: {self.sbml.OperationReturnValue_toString(code)}"
            )

    def math(self, formula: str):
        tree = self.sbml.parseL3Formula(formula)
        if tree is None:
            raise PBPKError(
                f"libsbml could not read {formula!r}: {self.sbml.getLastParseL3Error()}"
            )
        return tree

    def model_and_units(self) -> None:
        model, sbml = self.model, self.sbml
        model.setId(self.new_id(self.name))
        model.setName(self.name)
        amount, factor = unit_of_export(self.unit)
        scale = -3 if self.unit == "mg" else 0
        for unit, kind, exponent, multiplier in (
            ("hour", sbml.UNIT_KIND_SECOND, 0, _HOUR),
            (self.unit_id, sbml.UnitKind_forName(amount), scale, factor * 10.0**-scale),
        ):
            definition = model.createUnitDefinition()
            definition.setId(unit)
            part = definition.createUnit()
            part.setKind(kind)
            part.setExponent(1)
            part.setScale(exponent)
            part.setMultiplier(multiplier)
        model.setTimeUnits("hour")
        model.setSubstanceUnits(self.unit_id)
        model.setExtentUnits(self.unit_id)
        model.setVolumeUnits("litre")
        facts = "; ".join(f"{k}: {v}" for k, v in self.system.attrs.items())
        escaped = (
            f"pbpk_hybrid {VERSION}; {facts}".replace("&", "&amp;")
            .replace("<", "&lt;")
            .replace(">", "&gt;")
        )
        self.check(
            model.setNotes(f'<body xmlns="http://www.w3.org/1999/xhtml"><p>{escaped}</p></body>'),
            "notes",
        )
        compartment = model.createCompartment()
        self.body = self.new_id("body")
        compartment.setId(self.body)
        compartment.setConstant(True)
        compartment.setSize(1.0)
        compartment.setSpatialDimensions(3)
        compartment.setUnits("litre")

    def states(self) -> None:
        for name, sid in zip(self.system.states, self.species, strict=True):
            species = self.model.createSpecies()
            self.check(species.setId(sid), f"the species {name}")
            species.setName(name)
            species.setCompartment(self.body)
            species.setInitialAmount(0.0)
            species.setSubstanceUnits(self.unit_id)
            species.setHasOnlySubstanceUnits(True)
            species.setBoundaryCondition(False)
            species.setConstant(False)

    def parameter(self, name: str, value: float, constant: bool = True) -> str:
        p = self.model.createParameter()
        sid = self.new_id(name)
        p.setId(sid)
        p.setName(name)
        p.setConstant(constant)
        p.setValue(float(value))
        return sid

    def process(
        self, name: str, gains: dict[int, float], modifiers: list[int], formula: str
    ) -> None:
        """One reaction: state -> net gain, modifiers (states in the formula that do not
        change), law.
        """
        r = self.model.createReaction()
        r.setId(self.new_id(name))
        r.setName(name)
        r.setReversible(False)
        for state, gain in gains.items():
            if gain == 0:
                continue
            part = r.createReactant() if gain < 0 else r.createProduct()
            part.setSpecies(self.species[state])
            part.setStoichiometry(abs(float(gain)))
            part.setConstant(True)
        for state in dict.fromkeys(m for m in modifiers if not gains.get(m)):
            r.createModifier().setSpecies(self.species[state])
        self.check(r.createKineticLaw().setMath(self.math(formula)), f"the law of {name}")

    def linear(self) -> None:
        system = self.system
        k, names = system.matrix(0), system.states
        for j in range(system.n_states):
            off = [(i, k[i, j]) for i in range(system.n_states) if i != j and k[i, j] != 0.0]
            loss, away = -k[j, j], sum(v for _, v in off)
            source = self.species[j]
            if off and all(v > 0 for _, v in off) and abs(loss - away) <= 1e-12 * abs(loss):
                for i, v in off:
                    rate = self.parameter(f"k_{names[i]}_from_{names[j]}", v)
                    self.process(
                        f"{names[j]}_to_{names[i]}", {j: -1.0, i: 1.0}, [], f"{rate} * {source}"
                    )
                continue
            for i, v in off:
                rate = self.parameter(f"k_{names[i]}_from_{names[j]}", v)
                self.process(f"{names[i]}_by_{names[j]}", {i: 1.0}, [j], f"{rate} * {source}")
            if loss != 0.0:
                rate = self.parameter(f"k_loss_{names[j]}", loss)
                self.process(f"loss_of_{names[j]}", {j: -1.0}, [], f"{rate} * {source}")

    def reaction(self, r: Reaction) -> None:
        p = [self.parameter(n, v) for n, v in zip(r.parameter_names, r.parameters[0], strict=True)]
        formula = r.rate_law.formula([self.species[s] for s in r.reactants], p)
        self.process(r.name, dict(r.stoichiometry), list(r.reactants), formula)

    def observables(self) -> None:
        for name, o in self.system.observables.items():
            factor = float(o.factor[0])
            if not np.isfinite(factor):
                continue
            terms = " + ".join(
                f"{w!r} * {self.species[s]}" if w != 1.0 else self.species[s] for s, w in o.terms
            )
            offset = "" if o.offset is None else f" + {float(o.offset[0])!r}"
            sid = self.parameter(f"concentration_{name}", 0.0, constant=False)
            rule = self.model.createAssignmentRule()
            rule.setVariable(sid)
            self.check(
                rule.setMath(self.math(f"{factor!r} * ({terms}){offset}")),
                f"the concentration of {name}",
            )

    def doses(self, regimen: Regimen, horizon: float, weight, lag_time: float) -> None:
        theirs = getattr(regimen, "unit", "mg")
        if theirs != self.unit and len(regimen):
            raise InputError("regimen", f"doses in {theirs}", f"doses in {self.unit}")
        regimen = _own(regimen, int(self.system.subjects[0]))
        doses = dose_stops(self.system, regimen, horizon, body_weight=weight, lag_time=lag_time)
        if doses.steady_state:
            raise InputError("regimen", "a steady-state record (SS)", "doses given one by one")
        stops, _ = steady_state_stops(self.system, doses, None, None)  # in the engine's order
        value = np.reshape(stops.value, (-1, len(stops.time)))[0]
        rows = list(zip(stops.time, stops.kind, stops.state, value, strict=True))
        running = {int(s): self._infusion(int(s)) for _, kind, s, _ in rows if kind == base.RATE}
        for when in dict.fromkeys(max(float(t), 0.0) for t, *_ in rows):
            at_once = [(k, int(s), float(v)) for t, k, s, v in rows if max(float(t), 0.0) == when]
            wiped, added = self._together(at_once, running)
            if when == 0.0:  # nothing is there yet
                for variable, amount in added.items():
                    self._start(variable, amount)
                continue
            changes = dict.fromkeys((*self.species, *running.values()), "0") if wiped else {}
            for variable, amount in added.items():
                changes[variable] = f"{amount!r}" if wiped else f"{variable} + {amount!r}"
            if changes:
                self.event(when, changes)

    def _infusion(self, state: int) -> str:
        """The parameter that is the rate of infusion into a state, with its reaction."""
        name = self.system.states[state]
        known = self.infusions.get(state)
        if known is None:
            known = self.infusions[state] = self.parameter(f"infusion_{name}", 0.0, constant=False)
            self.process(f"infusion_into_{name}", {state: 1.0}, [], known)
        return known

    def _together(self, stops: list, running: dict[int, str]) -> tuple[bool, dict[str, float]]:
        """What the stops of one time do, in order: (was everything wiped, variable ->
        what is added after that).
        """
        wiped, added = False, {}
        for kind, state, value in stops:
            if kind == base.KEEP:
                if value == 0.0:
                    wiped, added = True, {}
                continue
            variable = running[state] if kind == base.RATE else self.species[state]
            added[variable] = added.get(variable, 0.0) + value
        return wiped, {variable: x for variable, x in added.items() if x}

    def _start(self, variable: str, amount: float) -> None:
        if (species := self.model.getSpecies(variable)) is not None:
            species.setInitialAmount(amount)
        else:
            self.model.getParameter(variable).setValue(amount)

    def event(self, when: float, changes: dict[str, str]) -> None:
        e = self.model.createEvent()
        e.setId(self.new_id("dose"))
        e.setUseValuesFromTriggerTime(False)
        trigger = e.createTrigger()
        trigger.setInitialValue(False)
        trigger.setPersistent(True)
        trigger.setMath(self.math(f"time >= {when!r}"))
        for variable, formula in changes.items():
            assignment = e.createEventAssignment()
            assignment.setVariable(variable)
            self.check(assignment.setMath(self.math(formula)), f"the event at {when} h")

    def text(self) -> str:
        self.document.setConsistencyChecks(self.sbml.LIBSBML_CAT_UNITS_CONSISTENCY, False)
        self.document.checkInternalConsistency()
        bad = [
            e
            for e in map(self.document.getError, range(self.document.getNumErrors()))
            if e.getSeverity() >= self.sbml.LIBSBML_SEV_ERROR
        ]
        if bad:
            raise PBPKError(f"the SBML would not be valid: {bad[0].getMessage().strip()}")
        return self.sbml.writeSBMLToString(self.document)
