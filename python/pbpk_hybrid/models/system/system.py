"""`System`: what a backend gets.

Amounts y per subject follow

.. math:: \\frac{dy}{dt} = K y + S\\,v(y) + u(t)

- K, sparse: flows, partition, first-order clearance and absorption; one pattern for all
  subjects, one value per entry and subject.
- v: a closed list of rate laws (:mod:`..laws.registry`), written in amounts; S their stoichiometry.
- u: doses. Infusions are piecewise constant, boluses are jumps; they come from the
  regimen, not from here.

A System knows states, not organs. Which organ drains into which is known by the OrganGraph alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._core.errors import InputError, unknown_name
from ..laws.registry import LAWS
from .elimination_order import EliminationPlan, plan_elimination
from .equations import equations_html, equations_text, summary
from .signs import signed_by_equations

if TYPE_CHECKING:
    from ..expressions.events import EventProgram
    from ..expressions.tree import Expression
    from ..laws.law import RateLaw


@dataclass(frozen=True, eq=False)
class Reaction:
    """One rate law with its reactants and stoichiometry.

    The laws stand in :mod:`..laws`, one file each: ``michaelis_menten``, ``mass_action``,
    ``hill``, ``hill_product``, ``enzymatic`` and ``expression``, with their reactants and
    parameters. All are written in amounts.

    Parameters
    ----------
    name : unique name, used in parameter names such as ``"vmax[hepatic]"``
    law : name of one of :data:`..laws.registry.LAWS`
    reactants : state numbers
    stoichiometry : mapping state number -> net amount gained per unit of v
    parameters : (n_subjects or 1, n_parameters)
    expression : of law ``expression``: v over the names of states and of `symbols`
    inputs : name of a state in `expression` -> its number; the reactants, and states that
        only events change
    symbols : names of the parameters in `expression`
    scheme : what a reaction written as text turns into what

    A law of one's own is written as text, with what turns into what in the place of `reactants`:
    ``Reaction("binding", "kon*A*B - koff*AB", "A + B -> AB")``;
    :func:`pbpk_hybrid.ode_model` makes a model of such reactions.
    """

    name: str
    law: str
    reactants: Any = ()  # numbers of states; text in a reaction written as text
    stoichiometry: Mapping[int, float] = field(default_factory=dict)
    parameters: np.ndarray = field(default_factory=lambda: np.zeros((1, 0)))
    expression: Expression | None = None
    inputs: Mapping[str, int] = field(default_factory=dict)
    symbols: tuple[str, ...] = ()
    scheme: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.reactants, str):
            object.__setattr__(self, "scheme", self.reactants)
            object.__setattr__(self, "reactants", ())

    @property
    def rate_law(self) -> RateLaw:
        """The law itself: its value, derivative, names and formulas."""
        return LAWS[self.law]

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the parameters, ``constant[reaction]``, in the order of their columns."""
        return self.rate_law.parameter_names(self)

    def rate(self, y: np.ndarray, parameters: np.ndarray | None = None) -> np.ndarray:
        """v for amounts y (..., n_states); parameters broadcast against the leading axes."""
        p = self.parameters if parameters is None else parameters
        return self.rate_law.rate(self, y, p)


@dataclass(frozen=True, eq=False)
class Observable:
    """A concentration that can be saved: (weighted sum of amounts) x factor + offset.

    Parameters
    ----------
    states, weights : the sum of amounts [mg]; empty weights mean 1 each
    factor : (n_subjects or 1,) [1/L], e.g. 1/(V BP) for venous plasma; NaN where the
        compartment has no volume
    offset : (n_subjects or 1,), what is there without any drug, e.g. the baseline of a
        response; None: nothing
    """

    states: tuple[int, ...]
    factor: np.ndarray
    weights: tuple[float, ...] = ()
    offset: np.ndarray | None = None

    @property
    def terms(self) -> tuple[tuple[int, float], ...]:
        """(state number, weight) of every amount in the sum."""
        weights = self.weights or (1.0,) * len(self.states)
        return tuple(zip(self.states, weights, strict=True))


@dataclass(frozen=True, eq=False)
class Coefficients:
    """All numbers of a System that depend on named parameters (real, or complex while
    differentiating).
    """

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
    assemble : function of a mapping of parameters to :class:`Coefficients`; works on
        complex numbers. Without it every K entry (``"K[to,from]"``) and reaction constant
        is a parameter of its own.
    attrs : facts for provenance
    signed : names of the states that may be negative because they are deviations from a
        baseline, not amounts; all others are amounts, and a result in which one falls
        below zero is not a success (``Status.NEGATIVE_AMOUNT``). None: those that the
        reactions can take below zero; where the system is not closed, also those that K
        can
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
        self._check_states()
        self._check_flows()
        for r in self.reactions:
            if r.law not in LAWS and (r.scheme or not str(r.law).isidentifier()):
                raise InputError(
                    f"reaction {r.name}: law",
                    r.law,
                    ", ".join(LAWS),
                    hint="a law written as text makes a model with ode_model(...)",
                )
            if r.law not in LAWS:
                raise unknown_name(f"reaction {r.name}: law", r.law, LAWS)
            r.rate_law.check(r, len(self.states))
            self._finite(f"reaction {r.name}", r.parameters, lambda e, r=r: r.parameter_names[e])

    def _check_states(self) -> None:
        """At least one state, names that differ, and `signed` among them."""
        n = len(self.states)
        if n == 0:
            raise InputError("states", self.states, "at least one state")
        if len(set(self.states)) != n:
            twice = sorted({s for s in self.states if self.states.count(s) > 1})
            raise InputError("states", twice, "names that differ")
        for name in self.signed or ():
            if name not in self.states:
                raise unknown_name("signed", name, self.states, what="a state of the model")

    def _check_flows(self) -> None:
        """Positions and values of K: shapes that fit, each position once, finite values."""
        n = len(self.states)
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
        self._finite(
            "k_value",
            self.k_value,
            lambda e: f"K[{self.states[self.k_row[e]]},{self.states[self.k_col[e]]}]",
        )

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
        """Whether there are no reactions, so that dy/dt = K y + u(t)."""
        return not self.reactions

    def state_number(self, name: str, field_name: str = "state") -> int:
        """Position of a state in `states`.

        Raises
        ------
        UnknownNameError
            No state of this name; the error calls the argument `field_name`.
        """
        try:
            return self.states.index(name)
        except ValueError:
            raise unknown_name(field_name, name, self.states, what="a state of the model") from None

    @cached_property
    def closed(self) -> bool:
        """Whether every amount that leaves a state enters another (sinks are states):
        mass balance can be checked.
        """
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

        None in a linear system without negative entries beside the diagonal: exp(K t) has
        no negative entry then.
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
        """Elimination order and operations for this pattern (cached over systems of the
        same pattern).
        """
        return plan_elimination(self.n_states, *self.jacobian_pattern())

    def rhs(self, y: np.ndarray, subject: int = 0) -> np.ndarray:
        """dy/dt of one subject without doses, in plain numpy: the definition that every
        backend is checked against.
        """
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
