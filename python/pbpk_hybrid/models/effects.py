r"""Effects of a concentration: effect compartment, Emax, and the four indirect-response
models, added to any System.

- effect compartment (Sheiner et al. 1979, Clin Pharmacol Ther 25:358):
  :math:`\dot C_e = k_{e0} (C - C_e)`
- Emax (Holford & Sheiner 1981, Clin Pharmacokinet 6:429):
  :math:`E = E_0 + E_{max} C^g/(EC_{50}^g + C^g)`
- indirect response (Dayneka, Garg & Jusko 1993, J Pharmacokinet Biopharm 21:457), with
  :math:`H = H_{max} C^g/(C_{50}^g + C^g)`:

.. math::
    \dot R = k_{in}(1 - H) - k_{out} R \quad (I) \qquad
    \dot R = k_{in} - k_{out}(1 - H) R \quad (II)

    \dot R = k_{in}(1 + H) - k_{out} R \quad (III) \qquad
    \dot R = k_{in} - k_{out}(1 + H) R \quad (IV)

The state of a response is its deviation from the baseline R_0 = k_in/k_out, so that a
system starts, and is reset, at rest with all states 0; the baseline comes back as the
observable's offset. What these states hold is no amount of drug: with them the system is
not closed, and no mass balance is reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from .._core.errors import InputError, unknown_name
from .system.named import named
from .system.system import Coefficients, Observable, Reaction, System

#: kind -> (Jusko's number, acts on production, sign of H)
INDIRECT_RESPONSES = {
    "inhibit_production": ("I", True, -1.0),
    "inhibit_loss": ("II", False, -1.0),
    "stimulate_production": ("III", True, 1.0),
    "stimulate_loss": ("IV", False, 1.0),
}


def with_effect_compartment(
    system: System, ke0: float | np.ndarray, *, compartment: str = "plasma", name: str = "effect"
) -> System:
    """The same system with an effect compartment behind one of its concentrations.

    Parameters
    ----------
    ke0 : [1/h], one number or (n_subjects,)
    compartment : the concentration it follows
    name : of the new state, which is a concentration [mg/L]; parameter ``ke0[NAME]``

    Raises
    ------
    InputError, UnknownNameError : a compartment without a volume or an unknown one, a
        name that is taken, ke0 not > 0
    """
    terms = _concentration(system, compartment)
    _free(system, name)
    rate = _values(system, f"ke0[{name}]", ke0, positive=True)
    here = system.n_states

    def more(p: Mapping[str, np.ndarray], c: Coefficients) -> _Added:
        ke0, factor = p[f"ke0[{name}]"], c.observable_factor[compartment]
        k = [*(ke0 * weight * factor for _, weight in terms), -ke0]
        return _Added(k, [], {name: np.ones(1)}, {})

    positions = [*((here, state) for state, _ in terms), (here, here)]
    return _extended(system, name, positions, [], {f"ke0[{name}]": rate}, more)


def with_indirect_response(
    system: System,
    kind: str,
    *,
    kin: float | np.ndarray,
    kout: float | np.ndarray,
    maximum: float | np.ndarray,
    half: float | np.ndarray,
    power: float | np.ndarray = 1.0,
    compartment: str = "plasma",
    name: str = "response",
) -> System:
    """The same system with a response that one of its concentrations drives.

    Parameters
    ----------
    kind : "inhibit_production" (I), "inhibit_loss" (II), "stimulate_production" (III) or
        "stimulate_loss" (IV)
    kin : production [response/h];  kout : loss [1/h];  the baseline is kin/kout
    maximum : H_max, at most 1 for inhibition;  half : C_50 [mg/L];  power : g, 0.2 to 20
    compartment : the concentration that acts, of a single state; for one made of several
        put an effect compartment between
    name : of the response, whose ``concentration`` is the response itself, baseline
        included; parameters ``kin[NAME]``, ``kout[NAME]``, ``maximum[NAME]``,
        ``half[NAME]``, ``power[NAME]``

    Raises
    ------
    InputError, UnknownNameError : an unknown kind or compartment, values out of range, a
        name that is taken
    """
    if kind not in INDIRECT_RESPONSES:
        raise unknown_name("kind", kind, INDIRECT_RESPONSES, what="an indirect-response model")
    _, production, sign = INDIRECT_RESPONSES[kind]
    terms = _concentration(system, compartment)
    if len(terms) != 1:
        raise InputError(
            "compartment",
            compartment,
            "a concentration of a single state",
            hint="put with_effect_compartment between",
        )
    _free(system, name)
    (driver, weight), here = terms[0], system.n_states
    given = {"kin": kin, "kout": kout, "maximum": maximum, "half": half, "power": power}
    values = {
        f"{k}[{name}]": _values(system, f"{k}[{name}]", v, positive=True) for k, v in given.items()
    }
    if sign < 0 and (values[f"maximum[{name}]"] > 1).any():
        raise InputError(
            f"maximum[{name}]", maximum, "at most 1: more than all cannot be inhibited"
        )
    if ((values[f"power[{name}]"] < 0.2) | (values[f"power[{name}]"] > 20)).any():
        raise InputError(f"power[{name}]", power, "a number from 0.2 to 20")

    def more(p: Mapping[str, np.ndarray], c: Coefficients) -> _Added:
        kin, kout, top, c50, g = (p[f"{k}[{name}]"] for k in given)
        amount = c50 / (weight * c.observable_factor[compartment])
        blocks = [np.stack(np.broadcast_arrays(kin * top, amount, g), axis=1)]
        if not production:
            blocks.append(np.stack(np.broadcast_arrays(kout * top, amount, g), axis=1))
        return _Added([-kout], blocks, {name: np.ones(1)}, {name: kin / kout})

    # on production: +-kin H; on loss: -+(kin H + kout H r), with R = kin/kout + r
    gain = sign if production else -sign
    shapes = [(f"{kind} of {name}", "hill", (driver,), {here: gain})]
    if not production:
        shapes.append(
            (f"{kind} of {name}, deviation", "hill_product", (driver, here), {here: gain})
        )
    return _extended(system, name, [(here, here)], shapes, values, more)


def emax(
    concentration: Any, *, maximum: float, half: float, power: float = 1.0, baseline: float = 0.0
) -> Any:
    """A direct effect, E0 + Emax C^g/(EC50^g + C^g), of an array or DataArray of concentrations.

    Parameters
    ----------
    maximum : Emax, negative for inhibition;  half : EC50 [mg/L];  power : g;  baseline : E0

    Raises
    ------
    InputError : half or power not > 0
    """
    for name, value in (("half", half), ("power", power)):
        if not np.all(np.isfinite(value) & (np.asarray(value) > 0)):
            raise InputError(name, value, "a number > 0")
    ratio = (concentration / half).clip(0.0) ** -power if hasattr(concentration, "clip") else None
    if ratio is None:
        ratio = np.maximum(concentration / half, 0.0) ** -power
    return baseline + maximum / (1.0 + ratio)


class _Added:
    """Coefficients of what was added: columns of K, parameter blocks of reactions,
    factors and offsets of observables.
    """

    def __init__(self, k, reactions, factor, offset):
        self.k, self.reactions, self.factor, self.offset = k, reactions, factor, offset


class _Assemble:
    """The old system's assembly and then what was added."""

    def __init__(self, base, more):
        self.base, self.more = base, more

    def __call__(self, p: Mapping[str, np.ndarray]) -> Coefficients:
        c = self.base(p)
        added = self.more(p, c)
        columns = [np.atleast_1d(v) for v in (*np.atleast_2d(c.k_value).T, *added.k)]
        return Coefficients(
            np.stack(np.broadcast_arrays(*columns), axis=1),
            (*c.reaction_parameters, *added.reactions),
            {**c.observable_factor, **added.factor},
            {**c.observable_offset, **added.offset},
        )


def _extended(
    system: System, name: str, positions, shapes, values: dict[str, np.ndarray], more
) -> System:
    """One more state with entries of K at `positions`, reactions of `shapes` (name, law,
    reactants, stoichiometry).
    """
    base = named(system)
    assemble = _Assemble(base.assemble, more)
    parameters = {**base.parameters, **values}
    c = assemble(parameters)
    old = {k: o for k, o in system.observables.items()}
    here = Observable((system.n_states,), np.ones(1), offset=c.observable_offset.get(name))
    blocks = c.reaction_parameters[len(system.reactions) :]
    deviations = [
        s for s, no_amount in zip(system.states, system.may_be_negative, strict=True) if no_amount
    ]
    signed = (*deviations, name)  # a response deviates from its baseline; an effect follows a sum
    return replace(
        base,
        states=(*system.states, name),
        k_row=np.r_[system.k_row, [i for i, _ in positions]].astype(np.int64),
        k_col=np.r_[system.k_col, [j for _, j in positions]].astype(np.int64),
        k_value=c.k_value,
        reactions=(
            *system.reactions,
            *(Reaction(*s, b) for s, b in zip(shapes, blocks, strict=True)),
        ),
        observables={**old, name: here},
        parameters=parameters,
        assemble=assemble,
        signed=signed,
    )


def _concentration(system: System, compartment: str) -> tuple[tuple[int, float], ...]:
    if compartment not in system.observables:
        raise unknown_name(
            "compartment", compartment, system.observables, what="a compartment of the model"
        )
    observable = system.observables[compartment]
    if not np.isfinite(observable.factor).all() or observable.offset is not None:
        raise InputError("compartment", compartment, "a compartment with a concentration of drug")
    return observable.terms


def _free(system: System, name: str) -> None:
    if not name or name in system.observables or name in system.targets:
        raise InputError("name", name, "a name that the model does not have yet")


def _values(system: System, field: str, value, *, positive: bool) -> np.ndarray:
    out = np.atleast_1d(np.asarray(value, dtype=float))
    if out.shape not in ((1,), (system.n_subjects,)):
        raise InputError(field, out.shape, f"one number, or {system.n_subjects}, one per subject")
    bad = ~(np.isfinite(out) & (out > 0)) if positive else ~np.isfinite(out)
    if bad.any():
        raise InputError(field, float(out[bad][0]), "a finite number > 0")
    return out
