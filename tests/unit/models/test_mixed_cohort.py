"""Many drugs in one System are what each of them is alone."""

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid._core.errors import InputError
from pbpk_hybrid.models import mixed_cohort_system, whole_body_system
from pbpk_hybrid.physiology import ORGANS


def alone():
    people = ph.sample_population(2, seed=3)
    rat = ph.sample_population(1, "rat", seed=3)
    drugs = [ph.get_compound(n) for n in ("theophylline", "midazolam")]
    return [
        whole_body_system(d, p)
        for d, p in (
            (drugs[0], people.isel(subject=[0])),
            (drugs[1], people.isel(subject=[1])),
            (drugs[1], rat),
        )
    ]


def together(systems):
    names = systems[0].parameters
    return {
        name: np.concatenate([np.atleast_1d(s.parameters[name]) for s in systems]) for name in names
    }


@pytest.mark.filterwarnings("ignore::pbpk_hybrid._core.errors.OutOfRangeWarning")
def test_coefficients_are_those_of_each_drug_in_its_own_subject():
    systems = alone()
    mixed = mixed_cohort_system(together(systems), ORGANS)
    assert mixed.states == systems[0].states
    for i, s in enumerate(systems):
        np.testing.assert_allclose(mixed.matrix(i), s.matrix(0), rtol=1e-12)
        for name in ("plasma", "blood", "liver"):
            factor = mixed.observables[name].factor
            np.testing.assert_allclose(factor[i], s.observables[name].factor[0], rtol=1e-12)


@pytest.mark.filterwarnings("ignore::pbpk_hybrid._core.errors.OutOfRangeWarning")
def test_a_saturable_pathway_without_capacity_does_nothing():
    parameters = together(alone())
    parameters |= {"vmax[saturable]": np.zeros(3), "km[saturable]": np.ones(3)}
    mixed = mixed_cohort_system(parameters, ORGANS, saturable=True)
    y = np.linspace(1, 2, mixed.n_states)
    plain = mixed_cohort_system(parameters, ORGANS)
    np.testing.assert_allclose(mixed.rhs(y, 1), plain.rhs(y, 1), rtol=1e-12)


@pytest.mark.filterwarnings("ignore::pbpk_hybrid._core.errors.OutOfRangeWarning")
def test_it_is_differentiated_by_each_drugs_own_parameters():
    parameters = together(alone())
    run = lambda p, **k: ph.simulate_system(
        mixed_cohort_system(p, ORGANS),
        "10 mg iv",
        [1.0, 8.0],
        compartments=["plasma"],
        **k,
    )
    slope = run(parameters, sensitivities=["clint.liver"])[
        "concentration_sensitivity"
    ].values.reshape(3, 2)
    step = 1e-4
    moved = {**parameters, "clint.liver": parameters["clint.liver"] * (1 + step)}
    back = {**parameters, "clint.liver": parameters["clint.liver"] * (1 - step)}
    difference = (run(moved)["concentration"].values - run(back)["concentration"].values).reshape(
        3, 2
    )
    expected = difference / (2 * step * parameters["clint.liver"])[:, None]
    np.testing.assert_allclose(slope, expected, rtol=0.02)
    assert np.all(slope < 0)


def test_a_missing_parameter_is_named():
    with pytest.raises(InputError, match=r"volume\.arterial_blood|blood_to_plasma_ratio"):
        mixed_cohort_system({"fraction_unbound_plasma": np.ones(2)}, ORGANS)
