"""Clearance: liver models, their inverses, scaling, kidney, saturation."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbpk_hybrid._core.errors import InputError, UnknownNameError
from pbpk_hybrid.models.small_molecules import clearance as cl

clints = st.floats(1e-4, 1e7)
flows = st.floats(1e-3, 500)
fus = st.floats(1e-4, 1)


@given(clints, flows, fus)
def test_liver_models_are_ordered_and_bounded(clint, flow, fu):
    stirred, dispersed, tube = (
        cl.hepatic_clearance(clint, flow, fu, m)
        for m in ("well_stirred", "dispersion", "parallel_tube")
    )
    slack = 1 + 1e-12  # rounding of three different formulas at the same limit
    assert 0 < stirred <= dispersed * slack
    assert dispersed <= tube * slack
    assert tube <= min(flow, fu * clint) * slack


@given(flows, fus, st.floats(1e-6, 0.999), st.sampled_from(cl.HEPATIC_MODELS))
def test_the_inverse_gives_back_the_clearance(flow, fu, extraction, model):
    clint = cl.clint_from_hepatic_clearance(extraction * flow, flow, fu, model)
    # CL -> CLint -> CL is well conditioned (CLint -> CL -> CLint is not: near E = 1 digits are gone)
    assert cl.hepatic_clearance(clint, flow, fu, model) == pytest.approx(
        extraction * flow, rel=1e-11
    )


def test_dispersion_equals_its_textbook_formula():
    q, fu, clint, dn = 90.0, 0.3, 500.0, 0.17
    r = fu * clint / q
    a = math.sqrt(1 + 4 * r * dn)
    e = 1 - 4 * a / (
        (1 + a) ** 2 * math.exp((a - 1) / (2 * dn)) - (1 - a) ** 2 * math.exp(-(a + 1) / (2 * dn))
    )
    assert cl.hepatic_clearance(clint, q, fu, "dispersion") == pytest.approx(q * e, rel=1e-13)


def test_dispersion_has_tube_and_tank_as_limits():
    args = (300.0, 90.0, 0.4)
    assert cl.hepatic_clearance(*args, "dispersion", dispersion_number=1e-6) == pytest.approx(
        cl.hepatic_clearance(*args, "parallel_tube"), rel=1e-5
    )
    assert cl.hepatic_clearance(*args, "dispersion", dispersion_number=1e6) == pytest.approx(
        cl.hepatic_clearance(*args, "well_stirred"), rel=1e-5
    )


def test_small_and_huge_clearances_keep_their_digits():
    assert cl.hepatic_clearance(1e-12, 90.0, 0.5, "dispersion") == pytest.approx(5e-13, rel=1e-12)
    assert cl.hepatic_clearance(1e9, 90.0, 1.0, "dispersion") == 90.0


@pytest.mark.parametrize("model", cl.HEPATIC_MODELS)
def test_zero_clearance_is_zero_both_ways(model):
    assert cl.hepatic_clearance(0.0, 90.0, 0.5, model) == 0
    assert cl.clint_from_hepatic_clearance(0.0, 90.0, 0.5, model) == 0


@pytest.mark.parametrize("model", cl.HEPATIC_MODELS)
def test_complex_steps_give_derivatives(model):
    x, h = np.array([0.5, 20.0, 80.0]), 1e-25
    slope = cl.clint_from_hepatic_clearance(x + 1j * h, 90.0, 0.3, model).imag / h
    clint = cl.clint_from_hepatic_clearance(x, 90.0, 0.3, model)
    forward = cl.hepatic_clearance(clint + 1j * h, 90.0, 0.3, model).imag / h
    assert slope * forward == pytest.approx(
        np.ones(3), rel=1e-12
    )  # derivatives of inverse functions


def test_a_clearance_above_the_liver_flow_is_refused_with_names_and_a_way_out():
    with pytest.raises(
        InputError, match=r"hepatic blood clearance of sufentanil \(subject 7\)"
    ) as caught:
        cl.clint_from_hepatic_clearance(
            np.array([50.0, 91.0]),
            np.array([90.0, 90.0]),
            0.1,
            compound="sufentanil",
            subjects=[3, 7],
        )
    text = str(caught.value)
    assert "91" in text and "90 L/h" in text and "in_vitro" in text and "1 of 2" in text
    assert pickle.loads(pickle.dumps(caught.value)).subject == 7


@pytest.mark.parametrize("bad", [-1.0, math.nan, 90.0])
def test_clearances_without_an_inverse_are_refused(bad):
    with pytest.raises(InputError, match="hepatic blood clearance"):
        cl.clint_from_hepatic_clearance(bad, 90.0, 0.1)


def test_an_unknown_liver_model_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="well_stirred"):
        cl.hepatic_clearance(1.0, 90.0, 0.1, "well_stired")


def test_hepatocyte_scaling_by_hand():
    # 10 uL/min/1e6 cells, fu_inc .5, 110e6 cells/g, 1800 g: 20 x 110 x 1800 uL/min = 3.96 L/min
    assert cl.clint_liver_from_hepatocytes(10, 1800, 110, 0.5) == pytest.approx(3.96 * 60)


def test_microsome_scaling_by_hand():
    assert cl.clint_liver_from_microsomes(8, 1800, 40) == pytest.approx(8 * 40 * 1800 * 60e-6)


def test_split_clearance_conserves_the_total():
    hepatic_blood, renal_plasma = cl.split_clearance(5.0, 0.3, 70.0, 0.8)
    assert hepatic_blood * 0.8 + renal_plasma == pytest.approx(5.0 * 70 * 0.06)
    assert cl.split_clearance(5.0, None, 70.0, 1.0)[1] == 0


def test_renal_clearance_and_its_inverse():
    assert cl.renal_clearance(7.5, 0.2) == pytest.approx(1.5)
    assert cl.renal_clearance(7.5, 0.2, secretion=3.0, fraction_reabsorbed=0.5) == pytest.approx(
        2.25
    )
    assert cl.gfr_fraction_from_clearance(3.0, 7.5, 0.2) == pytest.approx(2.0)


@given(st.floats(1e-6, 1e3), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_michaelis_menten_is_below_both_its_limits(c, vmax, km):
    v = cl.michaelis_menten(c, vmax, km)
    assert v <= min(vmax, vmax / km * c) * (1 + 1e-12)
    assert v == pytest.approx(cl.intrinsic_clearance_saturable(vmax, km, c) * c, rel=1e-12)
    assert cl.michaelis_menten(c, vmax, km, inhibitor_over_ki=1.0) < v


def test_vmax_scaling_by_hand():
    # 100 pmol/min/mg of 300 g/mol: 30 ng/min/mg = 1.8e-3 mg/h/mg protein
    assert cl.vmax_from_microsomes(100, 300, 1800, 40, 70) == pytest.approx(1.8e-3 * 40 * 1800 / 70)


def test_absorption_rate_from_caco2_by_hand():
    assert cl.absorption_rate_from_caco2(1.0) == pytest.approx(2 * 10**-0.1454 / 1.75 * 0.36)
