"""Every registered rate law: value, derivative, names, text, kernels and Julia methods agree."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.models.laws.hill import HILL_FLOOR
from pbpk_hybrid.models.laws.registry import LAWS, RATE_LAWS
from pbpk_hybrid.solvers.embedded import pack
from pbpk_hybrid.solvers.embedded.lanes import LANES, aligned_lanes
from pbpk_hybrid.solvers.embedded.laws.dispatch import KERNELS, add_curvature, linearise

JULIA = Path(__file__).parents[3] / "julia" / "src"
#: laws with constants in a fixed order; `expression` has code of its own for each model
FIXED = [name for name in LAWS if name != "expression"]


def sample(name: str, n_inhibitors: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(amounts, constants) of a law, all between 0.3 and 2."""
    law, rng = LAWS[name], np.random.default_rng(law_number(name))
    n_inhibitors = n_inhibitors if law.per_inhibitor else 0
    amounts = rng.uniform(0.3, 2.0, law.n_reactants + n_inhibitors)
    return amounts, rng.uniform(0.3, 2.0, len(law.constants(n_inhibitors)))


def law_number(name: str) -> int:
    return sorted(LAWS).index(name)


def test_codes_are_whole_numbers_from_zero_on_and_keys_are_names():
    assert sorted(law.code for law in LAWS.values()) == list(range(len(LAWS)))
    assert all(law.name == name for name, law in LAWS.items())


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("n_inhibitors", [0, 1, 2])
def test_the_derivative_is_that_of_a_complex_step(name, n_inhibitors):
    amounts, constants = sample(name, n_inhibitors)
    law = LAWS[name]
    slopes = law.derivative(list(amounts), list(constants))
    assert len(slopes) == len(amounts)
    for j, slope in enumerate(slopes):
        moved = amounts.astype(complex)
        moved[j] += 1e-30j
        step = np.imag(law.value(list(moved), list(constants))) / 1e-30
        np.testing.assert_allclose(slope, step, rtol=1e-13)


@pytest.mark.parametrize("name", ["hill", "hill_product"])
def test_the_slope_of_a_hill_law_under_its_floor_is_that_of_the_line(name):
    law, (amounts, constants) = LAWS[name], sample(name)
    amounts[0] = 0.5 * HILL_FLOOR * constants[1]
    twice = np.array([2.0 * 0.999 * amounts[0], *amounts[1:]])
    slope = law.derivative(list(amounts), list(constants))[0]
    rise = law.value(list(twice), list(constants)) - law.value(list(amounts), list(constants))
    np.testing.assert_allclose(slope, rise / (twice[0] - amounts[0]), rtol=1e-9)


@pytest.mark.parametrize("name", FIXED)
def test_the_formula_is_the_value(name):
    amounts, constants = sample(name, 2)
    symbols = [f"a{i}" for i in range(len(amounts))]
    names = [f"c{i}" for i in range(len(constants))]
    text = LAWS[name].formula(symbols, names).replace("^", "**")
    values = dict(zip(symbols, amounts, strict=True)) | dict(zip(names, constants, strict=True))
    value = LAWS[name].value(list(amounts), list(constants))
    np.testing.assert_allclose(eval(text, {"max": max}, values), value, rtol=1e-14)


@pytest.fixture(scope="module")
def every_law() -> ph.System:
    """One reaction of each law, with two inhibitors where there may be some, each into a
    state of its own."""
    states = ["a", "b", "c", "d"]
    reactions = []
    for name in FIXED:
        amounts, constants = sample(name, 2)
        reactants = tuple(range(len(amounts)))
        states.append(name)
        gain = {0: -1.0, len(states) - 1: 1.0}
        reactions.append(ph.Reaction(name, name, reactants, gain, constants[None, :]))
    return ph.System(tuple(states), [0], [0], [[-1.0]], tuple(reactions))


def test_the_kernels_give_the_value_and_the_derivative(every_law):
    system = every_law
    st, stoich, _ = pack.structure(system, [])
    _, par = pack.coefficient_lanes(system)
    start = np.random.default_rng(0).uniform(0.3, 2.0, system.n_states)
    y = aligned_lanes(system.n_states)
    y[system.plan.place] = start[:, None]
    slope = aligned_lanes(len(st.r_state))
    linearise(st, par[0], y, slope, None)
    wanted = []
    for r in system.reactions:
        amounts = [start[i] for i in r.reactants]
        wanted += r.rate_law.derivative(amounts, list(r.parameters[0]))
    np.testing.assert_allclose(slope, np.repeat(np.array(wanted)[:, None], LANES, 1), rtol=1e-13)

    z, no_slope = aligned_lanes(system.n_states), aligned_lanes(len(st.r_state))
    add_curvature(st, stoich, par[0], y, y, 0, no_slope, 1.0, z, 0, None)
    rates = z[system.plan.place][4:, 0]
    np.testing.assert_allclose(rates, [r.rate(start)[0] for r in system.reactions], rtol=1e-13)


def test_every_law_has_its_three_kernels_in_a_file_of_its_name():
    assert set(KERNELS) == set(LAWS)
    for name, kernels in KERNELS.items():
        assert all(map(callable, (kernels.rate, kernels.derivative, kernels.sensitivity))), name
        if name in FIXED:
            assert (Path(pack.__file__).parent / "laws" / f"{name}.py").exists()


def julia_laws() -> dict[str, tuple[int, ...]]:
    """RATE_LAWS of julia/src/laws.jl."""
    text = (JULIA / "laws.jl").read_text(encoding="utf-8")
    table = text[text.index("const RATE_LAWS") :].split("\n)\n")[0]
    rows = re.findall(r'"(\w+)" => \(([\d, ]+)\)', table)
    return {name: tuple(map(int, numbers.split(","))) for name, numbers in rows}


def test_julia_knows_the_same_laws():
    assert julia_laws() == RATE_LAWS


@pytest.mark.parametrize("name", ["law_rate", "law_slope"])
@pytest.mark.parametrize("law", FIXED)
def test_julia_has_a_method_for_every_law(law, name):
    """The law of code 0 is what is left when none of the others is meant."""
    text = (JULIA / "laws.jl").read_text(encoding="utf-8")
    found = re.search(rf"^@inline function {name}\(.*?^end$", text, re.DOTALL | re.MULTILINE)
    assert found, f"laws.jl has no function {name}"
    named = {int(code) for code in re.findall(r"law == (\d)", found.group())}
    assert LAWS[law].code in named | {0}
