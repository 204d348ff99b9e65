"""The models of the comparison, each stated once, as a `System`; every integrator gets its right-hand side from there.

ROBER, OREGO, HIRES and POLLU as in Hairer & Wanner, Solving Ordinary Differential Equations II (1996), IV.10, and the
Test Set for IVP Solvers (Mazzia & Magherini, Bari, release 2.4). All four are linear and mass-action terms, so the
engine's rate laws express them without change: 2A -> ... is mass action with the same reactant twice, the constant
source of HIRES is an infusion, and the Oregonator's scaled form keeps its factors in the stoichiometry. (Van der Pol's
cubic term would not fit.)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from pbpk_hybrid.models.system.system import Reaction, System
from pbpk_hybrid.solvers.base import RATE, Problem, StopTable

#: subjects that are compared with the reference
N_REFERENCE = 4
REFERENCES = Path(__file__).resolve().parent / "references"


@dataclass(frozen=True, eq=False)
class StiffProblem:
    """One initial value problem for any number of subjects (copies, where there is only one).

    Parameters
    ----------
    name, title, source : what it is
    system : with all subjects there are
    y0 : (n_states,) start
    times : (n_times,), the first is the start
    atol : absolute tolerance over relative tolerance
    floor : (n_states,) sizes under which an error counts absolutely: |y - ref| / (|ref| + floor)
    source_rate : state -> constant input
    published : (n_states,) values at the last time as published, or None
    """

    name: str
    title: str
    source: str
    system: System
    y0: np.ndarray
    times: np.ndarray
    atol: float
    floor: np.ndarray
    source_rate: tuple[tuple[int, float], ...] = ()
    published: np.ndarray | None = None

    @property
    def n_states(self) -> int:
        return self.system.n_states

    def problem(self, count: int) -> Problem:
        """For the engine: the first `count` subjects, or that many copies."""
        system = self.system
        if system.n_subjects >= count:
            system = system.take(slice(0, count))
        else:
            system = System(
                system.states,
                system.k_row,
                system.k_col,
                system.k_value,
                system.reactions,
                n_subjects=count,
            )
        state, rate = (
            (np.array(v) for v in zip(*self.source_rate, strict=True))
            if self.source_rate
            else ([], [])
        )
        n = len(state)
        stops = StopTable(
            np.full(n, -1),
            np.full(n, self.times[0]),
            np.full(n, RATE),
            np.array(state, dtype=int),
            np.array(rate, dtype=float),
        )
        return Problem(
            system, stops, self.times, system.states, float(self.times[0]), self.y0[None]
        )

    def parameters(self, count: int) -> np.ndarray:
        """(count, n_parameters) in the order in which the texts below name them."""
        blocks = [self.system.k_value, *(r.parameters for r in self.system.reactions)]
        rows = [np.broadcast_to(b, (self.system.n_subjects, b.shape[1])) for b in blocks]
        rows.append(
            np.broadcast_to(
                [v for _, v in self.source_rate], (self.system.n_subjects, len(self.source_rate))
            )
        )
        table = np.concatenate(rows, axis=1)
        return np.ascontiguousarray(
            np.resize(table, (count, table.shape[1])) if len(table) < count else table[:count]
        )

    def statements(self, first: int = 0) -> tuple[list[str], list[str]]:
        """The right-hand side as text that Python and Julia both read: lines that name the rates, and one sum per state.

        `first` is the number of the first element of an array: 0 or 1.
        """
        s, at = self.system, 0
        sums: list[list[str]] = [[] for _ in range(s.n_states)]
        for row, col in zip(s.k_row, s.k_col, strict=True):
            sums[row].append(f"p[{at + first}]*y[{col + first}]")
            at += 1
        rates = []
        for number, r in enumerate(s.reactions):
            y = [f"y[{a + first}]" for a in r.reactants]
            if r.law == "mass_action":
                rates.append(f"r{number} = p[{at + first}]*{y[0]}*{y[1]}")
            else:
                inhibited = "".join(
                    f" + {y[j + 1]}/p[{at + first + 2 + j}]" for j in range(len(y) - 1)
                )
                rates.append(
                    f"r{number} = p[{at + first}]*{y[0]}/(p[{at + first + 1}]*(1.0{inhibited}) + {y[0]})"
                )
            at += r.parameters.shape[1]
            for state, gain in r.stoichiometry.items():
                sums[state].append(f"{float(gain)!r}*r{number}")
        for state, _ in self.source_rate:
            sums[state].append(f"p[{at + first}]")
            at += 1
        return rates, [" + ".join(terms) or f"0.0*y[{first}]" for terms in sums]

    def python_rhs(self):
        """f(y, p) -> list: works on numbers, CasADi symbols and JAX tracers."""
        rates, sums = self.statements()
        return _compiled(
            ["def f(y, p):", *(f"    {r}" for r in rates), f"    return [{', '.join(sums)}]"]
        )

    def numba_rhs(self):
        """f(y, t, p) -> array, plain Python to be compiled."""
        rates, sums = self.statements()
        fill = [f"    out[{i}] = {text}" for i, text in enumerate(sums)]
        return _compiled(
            [
                "def f(y, t, p):",
                f"    out = np.empty({self.n_states})",
                *(f"    {r}" for r in rates),
                *fill,
                "    return out",
            ]
        )

    def julia_rhs(self) -> str:
        """Source of an in-place Julia function."""
        rates, sums = self.statements(first=1)
        fill = [f"    dy[{i + 1}] = {text}" for i, text in enumerate(sums)]
        return "\n".join(
            [
                "function (dy, y, p, t)",
                *(f"    {r}" for r in rates),
                *fill,
                "    return nothing",
                "end",
            ]
        )

    @cached_property
    def reference(self) -> np.ndarray:
        """(n, n_times, n_states) for the first subjects, see references.py; of a linear model by matrix exponentials."""
        if self.system.linear:
            from pbpk_hybrid.solvers.base import SolverOptions
            from pbpk_hybrid.solvers.expm import solve_exactly

            return solve_exactly(self.problem(N_REFERENCE), SolverOptions(method="expm")).amount
        return load_reference(self.name)

    def error(self, y: np.ndarray) -> float:
        """Largest |y - ref| / (|ref| + floor) over the subjects there is a reference for; infinite if something failed."""
        ref = self.reference
        if len(ref) == 1 < len(y):
            ref = np.broadcast_to(ref, y.shape)
        m = min(len(y), len(ref))
        with np.errstate(invalid="ignore"):
            worst = np.max(np.abs(y[:m] - ref[:m]) / (np.abs(ref[:m]) + self.floor))
        return float(worst) if np.isfinite(worst) else float("inf")


def _compiled(lines: Sequence[str]):
    space: dict = {"np": np}
    exec("\n".join(lines), space)
    return space["f"]


def load_reference(name: str) -> np.ndarray:
    path = REFERENCES / f"{name}.json"
    return np.array(json.loads(path.read_text())["values"])


def mass_action(
    states: Sequence[str], reactions: Sequence[tuple[float, tuple[int, ...], dict[int, float]]]
) -> System:
    """A System from (constant, one or two reactants, net gains): first-order ones go into K."""
    k: dict[tuple[int, int], float] = {}
    bilinear = []
    for constant, reactants, gains in reactions:
        if len(reactants) == 1:
            for state, gain in gains.items():
                k[state, reactants[0]] = k.get((state, reactants[0]), 0.0) + gain * constant
        else:
            bilinear.append(
                Reaction(
                    f"r{len(bilinear)}", "mass_action", reactants, gains, np.array([[constant]])
                )
            )
    return System(
        tuple(states), [i for i, _ in k], [j for _, j in k], [list(k.values())], tuple(bilinear)
    )


def _classic(
    name, title, source, system, y0, times, atol, published, source_rate=()
) -> StiffProblem:
    floor = (
        1e-3 * np.abs(load_reference(name)).max(axis=(0, 1))
        if (REFERENCES / f"{name}.json").exists()
        else np.ones(1)
    )
    return StiffProblem(
        name,
        title,
        source,
        system,
        np.array(y0, float),
        np.array(times, float),
        atol,
        floor,
        source_rate,
        None if published is None else np.array(published),
    )


def rober() -> StiffProblem:
    system = mass_action(
        ("y1", "y2", "y3"),
        [(0.04, (0,), {0: -1, 1: 1}), (1e4, (1, 2), {0: 1, 1: -1}), (3e7, (1, 1), {1: -1, 2: 1})],
    )
    published = [0.2083340149701255e-07, 0.8333360770334713e-13, 0.9999999791665050]
    return _classic(
        "rober",
        "ROBER (3 states, to 1e11)",
        "Robertson (1966); Hairer & Wanner II, IV.10",
        system,
        [1, 0, 0],
        [0.0, *np.logspace(-6, 11, 35)],
        1e-6,
        published,
    )


def orego() -> StiffProblem:
    s, w, q = 77.27, 0.161, 8.375e-6
    system = mass_action(
        ("y1", "y2", "y3"),
        [
            (s, (1,), {0: 1.0}),
            (s, (0,), {0: 1.0}),
            (1.0, (0, 1), {0: -s, 1: -1 / s}),
            (s * q, (0, 0), {0: -1.0}),
            (1 / s, (1,), {1: -1.0}),
            (1 / s, (2,), {1: 1.0}),
            (w, (0,), {2: 1.0}),
            (w, (2,), {2: -1.0}),
        ],
    )
    published = [0.1000814870318523e1, 0.1228178521549917e4, 0.1320554942846706e3]
    return _classic(
        "orego",
        "OREGO (3 states, to 360)",
        "Field & Noyes (1974); Hairer & Wanner II, IV.10",
        system,
        [1, 2, 3],
        np.arange(0.0, 361.0, 30.0),
        1e-6,
        published,
    )


def hires() -> StiffProblem:
    system = mass_action(
        tuple(f"y{i + 1}" for i in range(8)),
        [
            (1.71, (0,), {0: -1, 1: 1}),
            (0.43, (1,), {0: 1, 1: -1}),
            (8.32, (1,), {1: -1, 3: 1}),
            (8.32, (2,), {0: 1, 2: -1}),
            (1.71, (2,), {2: -1, 3: 1}),
            (0.43, (3,), {2: 1, 3: -1}),
            (0.69, (3,), {3: -1, 5: 1}),
            (0.035, (4,), {2: 1, 4: -1}),
            (1.71, (4,), {4: -1, 5: 1}),
            (0.43, (5,), {4: 1, 5: -1}),
            (280.0, (5, 7), {5: -1, 6: 1, 7: -1}),
            (0.69, (6,), {5: 1, 6: -1, 7: 1}),
            (0.43, (6,), {4: 1, 6: -1, 7: 1}),
            (0.69, (6,), {6: -1, 7: 1}),
        ],
    )
    published = [
        0.7371312573325668e-3,
        0.1442485726316185e-3,
        0.5888729740967575e-4,
        0.1175651343283149e-2,
        0.2386356198831331e-2,
        0.6238968252742796e-2,
        0.2849998395185769e-2,
        0.2850001604814231e-2,
    ]
    return _classic(
        "hires",
        "HIRES (8 states, to 321.8)",
        "Schaefer (1975); Test Set for IVP Solvers",
        system,
        [1, 0, 0, 0, 0, 0, 0, 0.0057],
        [*np.linspace(0, 320, 33), 321.8122],
        1e-4,
        published,
        ((0, 0.0007),),
    )


def pollu() -> StiffProblem:
    # constant, reactants, products: as equations r1 to r25 of the test set
    steps = [
        (0.35, (1,), (2, 3)),
        (26.6, (2, 4), (1,)),
        (12300.0, (5, 2), (6, 1)),
        (8.6e-4, (7,), (5, 5, 8)),
        (8.2e-4, (7,), (8,)),
        (15000.0, (7, 6), (5, 8)),
        (1.3e-4, (9,), (5, 8, 10)),
        (24000.0, (9, 6), (11,)),
        (16500.0, (11, 2), (10, 12, 1)),
        (9000.0, (11, 1), (13,)),
        (0.022, (13,), (11, 1)),
        (12000.0, (10, 2), (14, 1)),
        (1.88, (14,), (7, 5)),
        (16300.0, (1, 6), (15,)),
        (4.8e6, (3,), (4,)),
        (3.5e-4, (4,), (16,)),
        (0.0175, (4,), (3,)),
        (1e8, (16,), (6, 6)),
        (4.44e11, (16,), (3,)),
        (1240.0, (17, 6), (18, 5)),
        (2.1, (19,), (2,)),
        (5.78, (19,), (3, 1)),
        (0.0474, (1, 4), (19,)),
        (1780.0, (19, 1), (20,)),
        (3.12, (20,), (19, 1)),
    ]
    reactions = []
    for constant, used, made in steps:
        gains: dict[int, float] = {}
        for species, gain in (*((u, -1.0) for u in used), *((m, 1.0) for m in made)):
            gains[species - 1] = gains.get(species - 1, 0.0) + gain
        reactions.append(
            (constant, tuple(u - 1 for u in used), {s: g for s, g in gains.items() if g})
        )
    y0 = np.zeros(20)
    y0[[1, 3, 6, 7, 8, 16]] = 0.2, 0.04, 0.1, 0.3, 0.01, 0.007
    published = [
        0.5646255480022769e-1,
        0.1342484130422339,
        0.4139734331099427e-8,
        0.5523140207484359e-2,
        0.2018977262302196e-6,
        0.1464541863493966e-6,
        0.7784249118997964e-1,
        0.3245075353396018,
        0.7494013383880406e-2,
        0.1622293157301561e-7,
        0.1135863833257075e-7,
        0.2230505975721359e-2,
        0.2087162882798630e-3,
        0.1396921016840158e-4,
        0.8964884856898295e-2,
        0.4352846369330103e-17,
        0.6899219696263405e-2,
        0.1007803037365946e-3,
        0.1772146513969984e-5,
        0.5682943292316392e-4,
    ]
    return _classic(
        "pollu",
        "POLLU (20 states, to 60)",
        "Verwer (1994); Test Set for IVP Solvers",
        mass_action(tuple(f"y{i + 1}" for i in range(20)), reactions),
        y0,
        np.linspace(0.0, 60.0, 61),
        1e-6,
        published,
    )


def yardstick() -> StiffProblem:
    from _yardstick import DOSE, MOST, TIMES, system

    model = system(min(MOST, 480))
    y0 = np.zeros(model.n_states)
    y0[model.states.index("gut_lumen")] = DOSE
    return StiffProblem(
        "yardstick",
        "Yardstick (15 states, flow-limited, saturable, 480 people)",
        "benchmarks/README.md",
        model,
        y0,
        TIMES,
        1e-3,
        np.full(model.n_states, 1e-4),
    )


#: PS of cell membranes and capillary wall [L/h per kg of tissue]: three decades between organs; illustrative
_PS = {
    "lung": (50.0, 200.0),
    "heart": (5.0, 50.0),
    "brain": (0.05, 0.02),
    "muscle": (0.3, 3.0),
    "adipose": (0.1, 1.0),
    "skin": (0.2, 2.0),
    "bone": (0.1, 1.0),
    "kidney": (10.0, 100.0),
    "gut": (2.0, 20.0),
    "spleen": (5.0, 100.0),
    "pancreas": (2.0, 20.0),
    "stomach": (2.0, 20.0),
    "liver": (20.0, 500.0),
    "rest": (0.3, 3.0),
}


def permeability() -> StiffProblem:
    """Every tissue as blood, interstitium and cells; nine transit compartments; bile by a gallbladder: 60 states, linear."""
    from pbpk_hybrid import Compound, sample_population
    from pbpk_hybrid.models.small_molecules.whole_body import whole_body_system

    kp = {
        "lung": 0.9,
        "heart": 2.5,
        "brain": 1.5,
        "muscle": 1.8,
        "adipose": 15.0,
        "skin": 2.0,
        "bone": 1.0,
        "kidney": 3.0,
        "gut": 2.5,
        "spleen": 2.0,
        "pancreas": 2.0,
        "stomach": 2.0,
        "liver": 4.0,
        "rest": 1.5,
    }
    compound = Compound.create(
        name="illustrative",
        fraction_unbound_plasma=0.2,
        blood_to_plasma_ratio=0.9,
        clint_hepatocyte=10.0,
        fraction_unbound_hepatocyte=1.0,
        absorption_rate=1.0,
        fraction_absorbed=0.9,
        transit_compartments=9,
        transit_rate=10.0,
        biliary_clearance=10.0,
        gallbladder_emptying_rate=0.5,
        kp=kp,
        partition_method="measured",
        permeability_surface_area={o: ps for o, (ps, _) in _PS.items()},
        capillary_permeability_surface_area={o: ps for o, (_, ps) in _PS.items()},
    )
    people = sample_population(160, "human", seed=1)
    model = whole_body_system(compound, people)
    y0 = np.zeros(model.n_states)
    y0[model.targets["oral"]] = 100.0
    return StiffProblem(
        "permeability",
        f"Permeability-limited whole body ({model.n_states} states, linear, 160 people)",
        "pbpk_hybrid.models.small_molecules.permeability",
        model,
        y0,
        np.linspace(0.0, 24.0, 97),
        1e-3,
        np.full(model.n_states, 1e-4),
    )


@cache
def problem(name: str) -> StiffProblem:
    return PROBLEMS[name]()


PROBLEMS = {
    "yardstick": yardstick,
    "permeability": permeability,
    "rober": rober,
    "orego": orego,
    "hires": hires,
    "pollu": pollu,
}
