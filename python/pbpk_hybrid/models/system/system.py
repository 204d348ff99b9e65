"""`System`: what a backend gets.

Amounts y per subject follow

.. math:: \\frac{dy}{dt} = K y + S\\,v(y) + u(t)

- K, sparse: flows, partition, first-order clearance and absorption; one pattern for all subjects, one value per entry and
  subject.
- v: a closed list of rate laws (:data:`RATE_LAWS`), written in amounts; S their stoichiometry.
- u: doses. Infusions are piecewise constant, boluses are jumps; they come from the regimen, not from here.

A System knows states, not organs. Which organ drains into which is known by the OrganGraph alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._core.errors import InputError, unknown_name
from ..expressions.tree import Expression, evaluate
from .elimination_order import EliminationPlan, plan_elimination
from .equations import equations_html, equations_text, summary
from .signs import signed_by_equations

if TYPE_CHECKING:
    from ..expressions.events import EventProgram

#: name -> (code used by backends, number of fixed reactants, number of fixed parameters, parameters per inhibitor; 0: none
#: allowed)
RATE_LAWS: dict[str, tuple[int, int, int, int]] = {
    "michaelis_menten": (0, 1, 2, 1),
    "mass_action": (1, 2, 1, 0),
    "hill": (2, 1, 3, 0),
    "hill_product": (3, 2, 3, 0),
    "enzymatic": (4, 2, 2, 2),
    "expression": (5, 0, 0, 0),
}

#: below this fraction of its half constant a Hill law is a straight line to 0, so that its slope is finite there
HILL_FLOOR = 1e-9


@dataclass(frozen=True, eq=False)
class Reaction:
    """One rate law with its reactants and stoichiometry.

    ``michaelis_menten``: v = Vmax a / (Km (1 + sum_k i_k / Ki_k) + a); reactants are (a, i_1, i_2, ...), parameters
    (Vmax, Km, Ki_1, Ki_2, ...), with a, i_k, Km, Ki_k amounts and Vmax an amount per hour. Concentration-based
    constants are turned into amounts by the model that builds the reaction (Km V / partition).

    ``mass_action``: v = k a b; reactants (a, b), parameter k [1/(amount h)].

    ``hill``: v = k a^g / (K^g + a^g); reactant (a,), parameters (k, K, g). ``hill_product``: the same times b; reactants
    (a, b). Under 1e-9 K they are straight lines to 0.

    ``enzymatic``: v = k (1 + e) a / (1 + sum_j c_j i_j + s a (1 + sum_j u_j i_j)); reactants (a, e, i_1, i_2, ...),
    parameters (k, s, c_1, u_1, c_2, u_2, ...). e is how far an enzyme is from its baseline, as a fraction of it (a state
    that starts at zero); k = Vmax/Km [1/h] and s = 1/Km, zero for a pathway that does not saturate; c_j, u_j are the
    reciprocals of the inhibition constants of the free enzyme and of the enzyme-substrate complex: u = 0 competitive,
    c = u non-competitive, c = 0 uncompetitive. With e among the products and the inhibitor as a it is mechanism-based
    inactivation.

    Parameters
    ----------
    name : unique name, used in parameter names such as ``"vmax[hepatic]"``
    law : one of :data:`RATE_LAWS`
    reactants : state numbers
    stoichiometry : mapping state number -> net amount gained per unit of v
    parameters : (n_subjects or 1, n_parameters)
    expression : of law ``expression``: v over the names of states and of `symbols`
    inputs : name of a state in `expression` -> its number; the reactants, and states that only events change
    symbols : names of the parameters in `expression`
    """

    name: str
    law: str
    reactants: tuple[int, ...]
    stoichiometry: Mapping[int, float]
    parameters: np.ndarray
    expression: Expression | None = None
    inputs: Mapping[str, int] = field(default_factory=dict)
    symbols: tuple[str, ...] = ()

    @property
    def parameter_names(self) -> tuple[str, ...]:
        if self.law == "expression":
            return tuple(f"{s}[{self.name}]" for s in self.symbols)
        if self.law == "mass_action":
            return (f"k[{self.name}]",)
        if self.law in ("hill", "hill_product"):
            return (f"k[{self.name}]", f"half[{self.name}]", f"power[{self.name}]")
        if self.law == "enzymatic":
            pairs = (
                (f"c{j + 1}[{self.name}]", f"u{j + 1}[{self.name}]")
                for j in range(len(self.reactants) - 2)
            )
            return (
                f"k[{self.name}]",
                f"s[{self.name}]",
                *(name for pair in pairs for name in pair),
            )
        inhibitors = tuple(f"ki{j + 1}[{self.name}]" for j in range(len(self.reactants) - 1))
        return (f"vmax[{self.name}]", f"km[{self.name}]", *inhibitors)

    def rate(self, y: np.ndarray, parameters: np.ndarray | None = None) -> np.ndarray:
        """v for amounts y (..., n_states); parameters broadcast against the leading axes."""
        p = self.parameters if parameters is None else parameters
        if self.law == "expression":
            values = {name: y[..., i] for name, i in self.inputs.items()}
            values |= {name: p[..., j] for j, name in enumerate(self.symbols)}
            return evaluate([self.expression], values)[0]
        a = y[..., self.reactants[0]]
        if self.law == "mass_action":
            return p[..., 0] * a * y[..., self.reactants[1]]
        if self.law in ("hill", "hill_product"):
            v = p[..., 0] * hill_share(a, p[..., 1], p[..., 2])
            return v * y[..., self.reactants[1]] if self.law == "hill_product" else v
        if self.law == "enzymatic":
            free = bound = 1.0
            for j, state in enumerate(self.reactants[2:]):
                free = free + p[..., 2 + 2 * j] * y[..., state]
                bound = bound + p[..., 3 + 2 * j] * y[..., state]
            return (
                p[..., 0] * (1.0 + y[..., self.reactants[1]]) * a / (free + p[..., 1] * a * bound)
            )
        inhibition = 1.0
        for j, state in enumerate(self.reactants[1:]):
            inhibition = inhibition + y[..., state] / p[..., 2 + j]
        return p[..., 0] * a / (p[..., 1] * inhibition + a)


def hill_share(a, half, power):
    """a^g/(K^g + a^g), straight to 0 under HILL_FLOOR K; for numbers, arrays, and complex steps."""
    x = np.asarray(a / half)
    inside = np.real(x) > HILL_FLOOR
    log_x = np.log(np.where(inside, x, HILL_FLOOR))
    share = 1.0 / (
        1.0 + np.exp(np.clip(-power * np.real(log_x), -700, 700) - 1j * power * np.imag(log_x))
    )
    if not np.iscomplexobj(x) and not np.iscomplexobj(np.asarray(power)):
        share = np.real(share)
    return np.where(inside, share, share * np.where(inside, 0.0, x) / HILL_FLOOR)


@dataclass(frozen=True, eq=False)
class Observable:
    """A concentration that can be saved: (weighted sum of amounts) x factor + offset.

    Parameters
    ----------
    states, weights : the sum of amounts [mg]; empty weights mean 1 each
    factor : (n_subjects or 1,) [1/L], e.g. 1/(V BP) for venous plasma; NaN where the compartment has no volume
    offset : (n_subjects or 1,), what is there without any drug, e.g. the baseline of a response; None: nothing
    """

    states: tuple[int, ...]
    factor: np.ndarray
    weights: tuple[float, ...] = ()
    offset: np.ndarray | None = None

    @property
    def terms(self) -> tuple[tuple[int, float], ...]:
        weights = self.weights or (1.0,) * len(self.states)
        return tuple(zip(self.states, weights, strict=True))


@dataclass(frozen=True, eq=False)
class Coefficients:
    """All numbers of a System that depend on named parameters (real, or complex while differentiating)."""

    k_value: np.ndarray  # (n_subjects or 1, n_entries)
    reaction_parameters: tuple[np.ndarray, ...]  # one (n_subjects or 1, n_parameters) per reaction
    observable_factor: Mapping[str, np.ndarray]  # name -> (n_subjects or 1,)
    observable_offset: Mapping[str, np.ndarray] = field(default_factory=dict)
    event_constants: np.ndarray | None = None  # (n_subjects or 1, n_constants)


@dataclass(frozen=True, eq=False)
class System:
    """The ODE of one model for any number of subjects; see the module's text.

    Parameters
    ----------
    states : names, in order
    k_row, k_col : (n_entries,) positions of K's entries; each position at most once
    k_value : (n_subjects or 1, n_entries) [1/h]
    reactions : saturable and bilinear reactions
    observables : name -> Observable
    targets : name a dose may use (route or compartment) -> state number
    n_subjects : number of subjects
    subjects : labels
    parameters : name -> (n_subjects,) values that `assemble` takes
    assemble : function of a mapping of parameters to :class:`Coefficients`; works on complex numbers. Without it
        every K entry (``"K[to,from]"``) and reaction constant is a parameter of its own.
    attrs : facts for provenance
    signed : names of the states that may be negative because they are deviations from a baseline, not amounts; all
        others are amounts, and a result in which one falls below zero is not a success (``Status.NEGATIVE_AMOUNT``).
        None: those that the reactions can take below zero; where the system is not closed, also those that K can
    events : what happens at times and in states that only the integration finds

    Raises
    ------
    InputError : shapes that do not fit, entries out of range or doubled, values that are not finite
    """

    states: tuple[str, ...]
    k_row: np.ndarray
    k_col: np.ndarray
    k_value: np.ndarray
    reactions: tuple[Reaction, ...] = ()
    observables: Mapping[str, Observable] = field(default_factory=dict)
    targets: Mapping[str, int] = field(default_factory=dict)
    n_subjects: int = 1
    subjects: np.ndarray | None = None
    parameters: Mapping[str, np.ndarray] = field(default_factory=dict)
    assemble: Callable[[Mapping[str, np.ndarray]], Coefficients] | None = None
    attrs: Mapping[str, Any] = field(default_factory=dict)
    signed: tuple[str, ...] | None = None
    events: EventProgram | None = None

    def __post_init__(self) -> None:
        _set = lambda name, value: object.__setattr__(self, name, value)
        _set("states", tuple(self.states))
        _set("k_row", np.ascontiguousarray(self.k_row, dtype=np.int64))
        _set("k_col", np.ascontiguousarray(self.k_col, dtype=np.int64))
        _set("k_value", np.atleast_2d(np.asarray(self.k_value, dtype=float)))
        _set("reactions", tuple(self.reactions))
        if self.subjects is None:
            _set("subjects", np.arange(self.n_subjects))
        self._check()
        observables = dict(self.observables)
        for i, name in enumerate(self.states):
            observables.setdefault(name, Observable((i,), np.full(1, np.nan)))
        _set("observables", observables)
        targets = dict(self.targets)
        for i, name in enumerate(self.states):
            targets.setdefault(name, i)
        _set("targets", targets)

    def _check(self) -> None:
        n = len(self.states)
        if n == 0:
            raise InputError("states", self.states, "at least one state")
        if len(set(self.states)) != n:
            twice = sorted({s for s in self.states if self.states.count(s) > 1})
            raise InputError("states", twice, "names that differ")
        if len(self.k_row) != len(self.k_col) or self.k_value.shape[1:] != (len(self.k_row),):
            raise InputError(
                "k_value",
                self.k_value.shape,
                f"shape (n_subjects or 1, {len(self.k_row)}) to fit k_row and k_col",
            )
        if self.k_value.shape[0] not in (1, self.n_subjects):
            raise InputError(
                "k_value", self.k_value.shape, f"1 or {self.n_subjects} rows, one per subject"
            )
        for name, index in (("k_row", self.k_row), ("k_col", self.k_col)):
            if len(index) and (index.min() < 0 or index.max() >= n):
                raise InputError(
                    name, int(index[(index < 0) | (index >= n)][0]), f"state numbers 0 to {n - 1}"
                )
        if len({*zip(self.k_row.tolist(), self.k_col.tolist(), strict=True)}) != len(self.k_row):
            raise InputError(
                "k_row, k_col",
                None,
                "each position at most once",
                hint="add the values of doubled entries",
            )
        for name in self.signed or ():
            if name not in self.states:
                raise unknown_name("signed", name, self.states, what="a state of the model")
        self._finite(
            "k_value",
            self.k_value,
            lambda e: f"K[{self.states[self.k_row[e]]},{self.states[self.k_col[e]]}]",
        )
        for r in self.reactions:
            if r.law not in RATE_LAWS:
                raise unknown_name(f"reaction {r.name}: law", r.law, RATE_LAWS)
            if r.law == "expression":
                self._check_expression(r)
                continue
            _, n_reactants, n_parameters, inhibitors = RATE_LAWS[r.law]
            extra = len(r.reactants) - n_reactants
            if extra < 0 or (extra and not inhibitors):
                raise InputError(
                    f"reaction {r.name}: reactants",
                    r.reactants,
                    f"{n_reactants} reactants for {r.law}",
                )
            if (
                np.ndim(r.parameters) != 2
                or r.parameters.shape[1] != n_parameters + inhibitors * extra
            ):
                raise InputError(
                    f"reaction {r.name}: parameters",
                    np.shape(r.parameters),
                    f"shape (n_subjects or 1, {n_parameters + inhibitors * extra})",
                )
            if any(not 0 <= s < n for s in (*r.reactants, *r.stoichiometry)):
                raise InputError(
                    f"reaction {r.name}",
                    (r.reactants, dict(r.stoichiometry)),
                    f"states 0 to {n - 1}",
                )
            self._finite(f"reaction {r.name}", r.parameters, lambda e, r=r: r.parameter_names[e])

    def _check_expression(self, r: Reaction) -> None:
        if r.expression is None or np.shape(r.parameters)[1:] != (len(r.symbols),):
            raise InputError(
                f"reaction {r.name}",
                (r.expression, np.shape(r.parameters)),
                "an expression, and one parameter for each of its symbols",
            )
        self._finite(f"reaction {r.name}", r.parameters, lambda e: r.parameter_names[e])

    def _finite(self, what: str, values: np.ndarray, label: Callable[[int], str]) -> None:
        if not np.isfinite(values).all():
            s, e = np.argwhere(~np.isfinite(values))[0]
            raise InputError(
                f"{what} {label(e)}",
                float(values[s, e]),
                "a finite number",
                subject=self.subjects[s] if values.shape[0] > 1 else None,
            )

    def __repr__(self) -> str:
        return summary(self)

    def _repr_html_(self) -> str:
        return equations_html(self)

    def equations(self, subject: int = 0) -> str:
        """States, flows and reactions of one subject as equations with units.

        Parameters
        ----------
        subject : int
            Position of the subject whose numbers are shown.

        Returns
        -------
        str
            One line for each state, reaction and observable.

        Raises
        ------
        InputError
            No subject at this position.
        """
        return equations_text(self, subject)

    @property
    def n_states(self) -> int:
        """Number of states."""
        return len(self.states)

    @property
    def linear(self) -> bool:
        return not self.reactions

    def state_number(self, name: str, field_name: str = "state") -> int:
        try:
            return self.states.index(name)
        except ValueError:
            raise unknown_name(field_name, name, self.states, what="a state of the model") from None

    @cached_property
    def closed(self) -> bool:
        """Whether every amount that leaves a state enters another (sinks are states): mass balance can be checked."""
        sums = np.zeros((len(self.k_value), self.n_states))
        sizes = np.zeros_like(sums)
        for e, column in enumerate(self.k_col):
            sums[:, column] += self.k_value[:, e]
            sizes[:, column] += np.abs(self.k_value[:, e])
        tied = np.all(np.abs(sums) <= 1e-12 * sizes)
        return bool(
            tied and all(abs(sum(r.stoichiometry.values())) < 1e-12 for r in self.reactions)
        )

    @cached_property
    def may_be_negative(self) -> np.ndarray:
        """(n_states,) True for the states that are no amounts; see `signed`."""
        if self.signed is not None:
            return np.array([name in self.signed for name in self.states])
        return signed_by_equations(self, flows=not self.closed)

    @cached_property
    def guarded(self) -> np.ndarray:
        """Numbers of the states whose sign an integration has to keep, and could lose.

        None in a linear system without negative entries beside the diagonal: exp(K t) has no negative entry then.
        """
        beside = self.k_row != self.k_col
        if self.linear and not (self.k_value[:, beside] < 0).any():
            return np.zeros(0, dtype=np.int64)
        return np.flatnonzero(~self.may_be_negative)

    def jacobian_pattern(self) -> tuple[np.ndarray, np.ndarray]:
        """(rows, columns) of every entry of d(dy/dt)/dy that can be non-zero, without doubles."""
        entries = dict.fromkeys(zip(self.k_row.tolist(), self.k_col.tolist(), strict=True))
        for r in self.reactions:
            for to in r.stoichiometry:
                entries |= dict.fromkeys((to, of) for of in r.reactants)
        rows, columns = zip(*entries, strict=True) if entries else ((), ())
        return np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64)

    @cached_property
    def plan(self) -> EliminationPlan:
        """Elimination order and operations for this pattern (cached over systems of the same pattern)."""
        return plan_elimination(self.n_states, *self.jacobian_pattern())

    def rhs(self, y: np.ndarray, subject: int = 0) -> np.ndarray:
        """dy/dt of one subject without doses, in plain numpy: the definition that every backend is checked against."""
        k = self.k_value[subject if len(self.k_value) > 1 else 0]
        out = np.zeros(self.n_states, np.result_type(y, k))
        np.add.at(out, self.k_row, k * y[self.k_col])
        for r in self.reactions:
            p = r.parameters[subject if len(r.parameters) > 1 else 0]
            v = r.rate(y, p)
            for state, amount in r.stoichiometry.items():
                out[state] += amount * v
        return out

    def matrix(self, subject: int = 0) -> np.ndarray:
        """K of one subject as a dense matrix [1/h]."""
        dense = np.zeros((self.n_states, self.n_states))
        dense[self.k_row, self.k_col] = self.k_value[subject if len(self.k_value) > 1 else 0]
        return dense

    def take(self, subjects: slice | Sequence[int]) -> System:
        """The same system for some of its subjects."""
        labels = np.atleast_1d(self.subjects[subjects])
        pick = lambda a: a if np.shape(a)[0] == 1 else a[subjects]
        return replace(
            self,
            k_value=pick(self.k_value),
            reactions=tuple(replace(r, parameters=pick(r.parameters)) for r in self.reactions),
            observables={
                k: replace(
                    o, factor=pick(o.factor), offset=None if o.offset is None else pick(o.offset)
                )
                for k, o in self.observables.items()
            },
            n_subjects=len(labels),
            subjects=labels,
            parameters={k: pick(np.atleast_1d(v)) for k, v in self.parameters.items()},
            events=None if self.events is None else self.events.take(subjects),
        )
