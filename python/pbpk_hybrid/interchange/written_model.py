"""Models written as text: reactions with laws of one's own, or differential equations."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from .._core.arguments import check_choice, check_kind
from .._core.errors import InputError, unknown_name
from ..dosing import Regimen
from ..models.expressions.assembly import AssembledModel
from ..models.expressions.ode_model import Assignment, Event, OdeModel
from ..models.expressions.parser import parse_expression
from ..models.expressions.tree import Expression, add, apply, mul, number, symbol, symbols, where
from ..models.system.system import Reaction
from .equation_model import EquationModel
from .pksim_units import MASS, plain
from .simulation_file import MOLECULE, OBSERVER, PARAMETER, Quantity, SimulationFile

#: unit of time -> how many in an hour
TIMES = {"h": 1.0, "min": 60.0, "s": 3600.0, "d": 1.0 / 24.0}
MOST_DOSES = 1_000
#: columns of a regimen that a written model has no meaning for -> what they say
_NOT_HERE = {
    "amount_per_kg": "doses per body weight",
    "rate_per_kg": "rates per body weight",
    "steady_state": "a steady state before the dose",
}
_SIDE = re.compile(r"\s*(?:(\d+(?:\.\d*)?)\s*\*?\s*)?([A-Za-z_]\w*)\s*$")


@dataclass(frozen=True, eq=False)
class WrittenModel(EquationModel):
    """A model written as text; made by :func:`ode_model`.

    Parameters
    ----------
    contents : the equations
    changed : name -> value that was set since
    doses : as text, for printing
    """

    doses: tuple[str, ...] = field(default=())

    value_text: ClassVar[str] = "value in the unit of the model"

    def __repr__(self) -> str:
        kinds = [q.kind for q in self.quantities.values()]
        given = f", {len(self.doses)} doses" if self.doses else ""
        return (
            f"WrittenModel({self.name!r}: {kinds.count(MOLECULE)} states, "
            f"{kinds.count(PARAMETER)} parameters, {kinds.count(OBSERVER)} outputs{given})"
        )

    @property
    def equations(self) -> str:
        """The differential equations as text."""
        lines = [f"d{name}/dt = {rate!r}" for name, rate in self.ode.rates.items()]
        lines += [
            f"{q.path} = {self.ode.parameters[q.path]!r}"
            for q in self.quantities.values()
            if q.kind == OBSERVER
        ]
        return "\n".join(lines)

    def with_doses(self, regimen: Regimen | str) -> WrittenModel:
        """The model with doses, beside those that it has.

        Parameters
        ----------
        regimen : amounts in the unit of the states; each dose names the state that receives it, as
            in ``"100 mg into gut every 12 h for 3 d"`` or
            ``Regimen.dose(100, compartment="gut")``

        Raises
        ------
        InputError : a dose without a state; doses per body weight, of some subjects, or in steady
            state
        """
        if isinstance(regimen, str):
            regimen = Regimen.parse(regimen)
        check_kind("regimen", regimen, Regimen, 'text or a Regimen, e.g. "100 mg into gut"')
        events, rates, names = [], dict(self.ode.rates), []
        parameters, quantities = dict(self.ode.parameters), dict(self.quantities)
        time = symbol(self.ode.time)
        for start, row in self._single_doses(regimen):
            label = f"dose {len(self.doses) + len(names) + 1}"
            names.append(f"{row['amount']:g} into {row['compartment']} at {start:g} h")
            amount = f"{label} amount"
            state = row["compartment"]
            parameters[amount] = number(row["amount"])
            quantities[amount] = Quantity(amount, PARAMETER, self.quantities[state].unit)
            entering = mul(symbol(amount), row["bioavailability"])
            begin, length = start * self.units_per_hour, row["duration"] * self.units_per_hour
            if length > 0:
                during = apply("and", apply("le", begin, time), apply("lt", time, begin + length))
                rates[state] = add(rates[state], where(during, entering / length, 0.0))
            else:
                value = add(symbol(state), entering)
                events.append(Event(label, apply("le", begin, time), (Assignment(state, value),)))
        model = replace(
            self.ode, rates=rates, parameters=parameters, events=(*self.ode.events, *events)
        )
        contents = replace(self.contents, model=model, quantities=quantities)
        return replace(self, contents=contents, doses=(*self.doses, *names), _assembled={})

    def _single_doses(self, regimen: Regimen):
        """(time [h], row) of every dose, additional ones written out."""
        columns = regimen.columns
        found = []
        for i in range(len(regimen)):
            row = {name: column[i].item() for name, column in columns.items()}
            for name, what in _NOT_HERE.items():
                if row[name]:
                    raise InputError("regimen", what, "plain doses", hint="write them out")
            if row["subject"] != -1 or row["evid"] != 1:
                raise InputError("regimen", row["evid"], "doses for everyone (evid 1)")
            if row["compartment"] not in self.ode.rates:
                raise unknown_name(
                    "regimen: compartment", row["compartment"], self.ode.rates, what="a state"
                )
            if row["rate"] > 0:
                row["duration"] = row["amount"] / row["rate"]
            for k in range(int(row["additional_doses"]) + 1):
                found.append((row["time"] + row["lag_time"] + k * row["interdose_interval"], row))
            if len(found) + len(self.doses) > MOST_DOSES:
                raise InputError("regimen", len(found), f"at most {MOST_DOSES} doses")
        return sorted(found, key=lambda pair: pair[0])

    # -- units ----------------------------------------------------------------------------------

    def measure(self, path: str, unit: str) -> tuple[str, Expression] | None:
        """("amount" or "concentration", factor to the unit of results); None: neither."""
        known = MASS.get(plain(self.quantities[path].unit))
        if known is None or known[2] != (unit == "mol"):
            return None
        return known[0], number(known[1])

    def unit_of_results(self, paths: Sequence[str], unit: str | None) -> str:
        """mg where an output is in mass, mol (µmol) where the outputs are in moles.

        Raises
        ------
        InputError : one that an output cannot be given in
        """
        stated = {MASS[u][2] for p in paths if (u := plain(self.quantities[p].unit)) in MASS}
        own = "mol" if stated == {True} else "mg"
        if unit is not None:
            check_choice("unit", unit, ("mg", "mol"))
            if stated and unit != own:
                raise InputError("unit", unit, f"{own}: the model is written in it")
        return own

    def fit_outputs(self) -> tuple[str, ...]:
        """Names of concentrations in units of mass per volume."""
        known = {p: self.measure(p, "mg") for p in self.quantities}
        return tuple(p for p, m in known.items() if m is not None and m[0] == "concentration")

    def observed(self, name: str, assembled: AssembledModel) -> Expression:
        """A concentration [mg/L] over states, time and given values."""
        known = self.measure(name, "mg")
        if known is None or known[0] != "concentration":
            raise InputError(
                "compartments", name, f"one of {', '.join(self.fit_outputs()) or 'none'}"
            )
        return mul(known[1], self.expression(name, assembled))


def ode_model(
    *reactions: Reaction,
    rates: Mapping[str, str | float] | None = None,
    start: Mapping[str, str | float],
    parameters: Mapping[str, str | float] | None = None,
    outputs: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    amount_unit: str = "mg",
    time_unit: str = "h",
    doses: Regimen | str | None = None,
    name: str = "model",
) -> WrittenModel:
    """A model from text: reactions with laws of one's own, differential equations, or both.

    >>> import pbpk_hybrid as ph
    >>> model = ph.ode_model(
    ...     ph.Reaction("binding", "kon*A*B - koff*AB", "A + B -> AB"),
    ...     start={"A": 10, "B": 4, "AB": 0},
    ...     parameters={"kon": 0.5, "koff": 0.1},
    ... )
    >>> model
    WrittenModel('model': 3 states, 2 parameters, 1 outputs)
    >>> result = model.simulate([0, 1, 2])

    Laws may use + - * / ^, exp, log, log10, sqrt, abs, min, max, trigonometric functions,
    comparisons, ``and``, ``or``, ``not``, ``condition ? a : b``, names of states, parameters,
    outputs and reactions, and ``time``. No text is ever evaluated as code.

    Parameters
    ----------
    reactions : each with a name, its law [amount per unit of time] and what turns into what
    rates : state -> dy/dt, added to what reactions give
    start : state -> value at time 0, a number or a formula of parameters; these are the states
    parameters : name -> number, or a formula
    outputs : name -> formula, e.g. ``{"C": "A/V"}``
    units : name -> unit; concentrations to be fitted need one, e.g. ``{"C": "mg/L"}``
    amount_unit : of the states that `units` does not name; "" for none
    time_unit : "h", "min", "s" or "d", of the laws
    doses : as in :meth:`WrittenModel.with_doses`
    name : for printing

    Raises
    ------
    InputError, UnknownNameError : a law that cannot be read, with its column; a name that is
        nothing; formulas that need each other
    """
    check_choice("time_unit", time_unit, tuple(TIMES))
    writer = _Writer(start, parameters or {}, outputs or {}, units or {}, amount_unit)
    model = writer.model(reactions, rates or {})
    contents = SimulationFile(
        name, "written", model, writer.quantities, np.array([]), per_hour=TIMES[time_unit]
    )
    made = WrittenModel(contents)
    _ = made._values_at_start  # circles are found here, not in the middle of a simulation
    return made if doses is None else made.with_doses(doses)


class _Writer:
    """Reads the texts of one model."""

    def __init__(self, start, parameters, outputs, units, amount_unit: str) -> None:
        groups = {"start": start, "parameters": parameters, "outputs": outputs, "units": units}
        for what, group in groups.items():
            check_kind(what, group, Mapping, "a mapping: name -> value")
        self.start, self.parameters, self.outputs = start, parameters, outputs
        self.quantities: dict[str, Quantity] = {}
        owner: dict[str, str] = {}
        for what, kind in (("start", MOLECULE), ("parameters", PARAMETER), ("outputs", OBSERVER)):
            for name in groups[what]:
                self._own(name, what, owner)
                default = amount_unit if kind == MOLECULE else ""
                unit = units.get(name, default)
                self.quantities[name] = Quantity(name, kind, unit, "", kind != PARAMETER)
        for name in units:
            if name not in self.quantities:
                raise unknown_name("units", name, self.quantities, what="a name of the model")
        self.owner = owner

    @staticmethod
    def _own(name: Any, what: str, owner: dict[str, str]) -> None:
        if not isinstance(name, str) or not name.isidentifier() or name == "time":
            raise InputError(what, name, "a name of letters, digits and _ that is not 'time'")
        if name in owner:
            raise InputError(what, name, f"a name of its own (it is in {owner[name]})")
        owner[name] = what

    def read(self, text: str | float, field: str) -> Expression:
        """A formula or a number; every name in it has to be something."""
        if isinstance(text, (int, float, np.number)) and not isinstance(text, bool):
            if not math.isfinite(text):
                raise InputError(field, text, "a finite number")
            return number(float(text))
        out = parse_expression(text, field=field)
        for used in sorted(symbols(out)):
            if used not in self.owner and used != "time":
                raise unknown_name(field, used, [*self.owner, "time"], what="a name of the model")
        return out

    def model(self, reactions: Sequence[Reaction], rates: Mapping) -> OdeModel:
        if not self.start:
            raise InputError("start", {}, "at least one state with its value at time 0")
        sums: dict[str, list[Expression]] = {state: [] for state in self.start}
        for r in reactions:
            check_kind("reactions", r, Reaction, 'Reaction("name", "law", "A -> B")')
            self._own(r.name, "reactions", self.owner)
        formulas = {}
        for r in reactions:
            formulas[r.name] = self.read(r.law, f"reaction {r.name}: law")
            self.quantities[r.name] = Quantity(r.name, OBSERVER)
            for state, factor in self.scheme(r).items():
                sums[state].append(mul(factor, symbol(r.name)))
        for state, text in rates.items():
            if state not in sums:
                raise unknown_name("rates", state, sums, what="a state (they are in start)")
            sums[state].append(self.read(text, f"rates[{state!r}]"))
        formulas |= {k: self.read(v, f"parameters[{k!r}]") for k, v in self.parameters.items()}
        formulas |= {k: self.read(v, f"outputs[{k!r}]") for k, v in self.outputs.items()}
        return OdeModel(
            {state: add(*terms, 0.0) for state, terms in sums.items()},
            {k: self.read(v, f"start[{k!r}]") for k, v in self.start.items()},
            formulas,
            units={q.path: q.unit for q in self.quantities.values() if q.unit},
        )

    def scheme(self, r: Reaction) -> dict[str, float]:
        """State -> net amount gained, of a reaction written "2 A + B -> C"."""
        field = f"reaction {r.name}: scheme"
        sides = str(r.scheme).split("->")
        if len(sides) != 2:
            raise InputError(field, r.scheme, "what turns into what, such as 'A + B -> AB'")
        gains: dict[str, float] = {}
        for sign, side in zip((-1.0, 1.0), sides, strict=True):
            for part in side.split("+") if side.strip() else ():
                match = _SIDE.match(part)
                if match is None:
                    raise InputError(field, part.strip(), "a state, or a number and a state")
                if match[2] not in self.start:
                    raise unknown_name(
                        field, match[2], self.start, what="a state (they are in start)"
                    )
                gains[match[2]] = gains.get(match[2], 0.0) + sign * float(match[1] or 1)
        if not gains:
            raise InputError(field, r.scheme, "at least one state")
        return gains


__all__ = ["WrittenModel", "ode_model"]
