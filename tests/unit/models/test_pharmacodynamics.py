"""Effects against closed forms, and the laws behind them against SciPy and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.integrate import solve_ivp

import pbpk_hybrid as ph
from pbpk_hybrid.models import emax, with_effect_compartment, with_indirect_response
from pbpk_hybrid.models.laws.hill import HILL_FLOOR, hill_share

TIMES = np.linspace(0.0, 48.0, 49)
TIGHT = ph.SolverOptions(rtol=1e-10)
PD = {"kin": 20.0, "kout": 0.25, "half": 2.0}
KINDS = {
    "inhibit_production": 0.9,
    "inhibit_loss": 0.8,
    "stimulate_production": 3.0,
    "stimulate_loss": 2.0,
}


def body(rate=0.0, n=1):
    """One compartment of 10 L; without elimination its concentration is constant after a bolus."""
    return ph.System(
        ("body",),
        [0],
        [0],
        [[-rate]] * n,
        observables={"plasma": ph.Observable((0,), np.array([0.1]))},
        targets={"iv_bolus": 0},
        n_subjects=n,
    )


def run(system, dose="30 mg iv", times=TIMES, **options):
    return ph.simulate_system(system, dose, times, backend="embedded", options=TIGHT, **options)


def test_effect_compartment_after_a_bolus():
    k, ke0 = 0.2, 0.7
    ds = run(with_effect_compartment(body(k), ke0))
    expected = 3.0 * ke0 / (ke0 - k) * (np.exp(-k * TIMES) - np.exp(-ke0 * TIMES))
    np.testing.assert_allclose(
        ds["concentration"].sel(compartment="effect")[0], expected, rtol=1e-8, atol=1e-12
    )
    # it only looks: plasma is as it was
    np.testing.assert_allclose(
        ds["concentration"].sel(compartment="plasma")[0], 3.0 * np.exp(-k * TIMES), rtol=1e-9
    )


@pytest.mark.parametrize("power", [1.0, 2.5, 0.6])
@pytest.mark.parametrize("kind", KINDS)
def test_response_to_a_constant_concentration(kind, power):
    top, c = KINDS[kind], 3.0
    h = top * c**power / (PD["half"] ** power + c**power)
    base = PD["kin"] / PD["kout"]
    rate, end = {
        "inhibit_production": (PD["kout"], base * (1 - h)),
        "stimulate_production": (PD["kout"], base * (1 + h)),
        "inhibit_loss": (PD["kout"] * (1 - h), base / (1 - h)),
        "stimulate_loss": (PD["kout"] * (1 + h), base / (1 + h)),
    }[kind]
    ds = run(with_indirect_response(body(), kind, maximum=top, power=power, **PD))
    expected = end + (base - end) * np.exp(-rate * TIMES)
    np.testing.assert_allclose(
        ds["concentration"].sel(compartment="response")[0], expected, rtol=1e-8
    )


@pytest.mark.parametrize("kind", KINDS)
def test_response_to_a_falling_concentration_is_scipys(kind):
    top, k, g = KINDS[kind], 0.15, 1.7

    def slope(t, r):
        c = 3.0 * np.exp(-k * t)
        h = top * c**g / (PD["half"] ** g + c**g)
        gain = {
            "inhibit_production": (1 - h, 1),
            "inhibit_loss": (1, 1 - h),
            "stimulate_production": (1 + h, 1),
            "stimulate_loss": (1, 1 + h),
        }[kind]
        return PD["kin"] * gain[0] - PD["kout"] * gain[1] * r

    expected = solve_ivp(slope, (0, 48), [80.0], "LSODA", TIMES, rtol=1e-11, atol=1e-11).y[0]
    ds = run(with_indirect_response(body(k), kind, maximum=top, power=g, **PD))
    np.testing.assert_allclose(
        ds["concentration"].sel(compartment="response")[0], expected, rtol=1e-8
    )


def test_without_drug_a_response_stays_at_its_baseline():
    system = with_indirect_response(body(0.1), "inhibit_loss", maximum=0.5, **PD)
    ds = run(system, ph.Regimen.bolus(30, time=40.0))["concentration"].sel(compartment="response")
    np.testing.assert_allclose(ds.sel(time=slice(0, 39))[0], 80.0, rtol=1e-12)
    assert float(ds.sel(time=48.0)[0]) > 90


def test_each_subject_has_its_own_response():
    system = with_indirect_response(
        body(0.1, n=3), "inhibit_production", maximum=[0.2, 0.5, 1.0], **PD
    )
    ds = run(system)["concentration"].sel(compartment="response", time=8.0).values
    assert ds[0] > ds[1] > ds[2]


@pytest.mark.parametrize("name", ["kin", "kout", "maximum", "half", "power"])
@pytest.mark.parametrize("kind", ["inhibit_loss", "stimulate_production"])
def test_sensitivities_of_a_response_are_difference_quotients(kind, name):
    values = {**PD, "maximum": KINDS[kind], "power": 1.6}
    build = lambda v: with_indirect_response(body(0.15), kind, **v)
    times = np.array([0.0, 1.0, 5.0, 20.0])
    full = f"{name}[response]"
    ds = run(build(values), times=times, sensitivities=[full])["concentration_sensitivity"]
    h = 1e-5 * values[name]
    ends = [
        run(build({**values, name: values[name] + s * h}), times=times)["concentration"].sel(
            compartment="response"
        )[0]
        for s in (1, -1)
    ]
    expected = (ends[0] - ends[1]) / (2 * h)
    # two solutions good to 1e-10 of 80, over a step of 1e-5
    np.testing.assert_allclose(
        ds.sel(compartment="response", parameter=full)[0], expected, rtol=1e-4, atol=1e-4
    )


def test_sensitivities_pass_through_to_a_response():
    system = with_indirect_response(
        with_effect_compartment(body(0.15), 0.5),
        "inhibit_production",
        maximum=0.9,
        compartment="effect",
        power=2.0,
        **PD,
    )
    name, times = "ke0[effect]", np.array([1.0, 5.0, 20.0])
    ds = run(system, times=times, sensitivities=[name])["concentration_sensitivity"]
    ends = []
    for ke0 in (0.5 + 1e-5, 0.5 - 1e-5):
        moved = with_indirect_response(
            with_effect_compartment(body(0.15), ke0),
            "inhibit_production",
            maximum=0.9,
            compartment="effect",
            power=2.0,
            **PD,
        )
        ends.append(run(moved, times=times)["concentration"].sel(compartment="response")[0])
    np.testing.assert_allclose(
        ds.sel(compartment="response", parameter=name)[0], (ends[0] - ends[1]) / 2e-5, rtol=1e-4
    )


def test_a_response_follows_a_whole_body_model():
    people = ph.sample_population(5, seed=1)
    system = ph.whole_body_system(ph.get_compound("midazolam"), people)
    system = with_indirect_response(
        with_effect_compartment(system, 2.0, compartment="brain", name="effect_site"),
        "inhibit_production",
        kin=100.0,
        kout=1.0,
        maximum=1.0,
        half=0.05,
        compartment="effect_site",
        name="sedation",
    )
    ds = ph.simulate_system(system, "5 mg iv", [0.0, 0.5, 600.0], backend="embedded")
    response = ds["concentration"].sel(compartment="sedation")
    assert (response.sel(time=0.0) == 100).all() and (response.sel(time=0.5) < 95).all()
    np.testing.assert_allclose(response.sel(time=600.0), 100.0, rtol=1e-3)


def test_emax_of_arrays_and_datasets():
    c = np.array([0.0, 1.0, 2.0, 1e6])
    expected = 5 + 10 * c**3 / (8 + c**3)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(
            emax(c, maximum=10, half=2, power=3, baseline=5), expected, rtol=1e-12
        )
        got = emax(xr.DataArray(c, dims="time"), maximum=10, half=2, power=3, baseline=5)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_hill_share_is_continuous_finite_and_never_overflows():
    a = np.array([-1e-6, 0.0, 0.99 * HILL_FLOOR, 1.01 * HILL_FLOOR, 1e-3, 1.0, 1e300])
    for g in (0.2, 1.0, 20.0):
        s = hill_share(a, 1.0, g)
        assert np.isfinite(s).all() and (np.diff(s) >= 0).all() and s[1] == 0 and s[-1] <= 1.0
    np.testing.assert_allclose(hill_share(a[4], 1.0, 1.0), 1e-3 / 1.001, rtol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_a_steady_state_record_is_the_end_of_many_doses(kind):
    system = with_indirect_response(body(0.15), kind, maximum=KINDS[kind], power=1.5, **PD)
    steady = ph.Regimen.bolus(30, steady_state=1, interval=12)
    got = run(system, steady, np.array([0.0, 6.0]))["concentration"].sel(compartment="response")
    many = run(system, ph.Regimen.bolus(30).repeat(12, 60), np.array([708.0, 714.0]))[
        "concentration"
    ]
    # slowest rate .05 /h (inhibited loss) over 700 h: e^-35
    np.testing.assert_allclose(got, many.sel(compartment="response"), rtol=1e-6)


BAD = {
    "kind": (dict(kind="inhibit_everything"), "inhibit_everything"),
    "compartment": (dict(compartment="liver"), "liver"),
    "too much": (dict(maximum=1.2), "maximum"),
    "power": (dict(power=50.0), "power"),
    "kin": (dict(kin=-1.0), "kin"),
    "subjects": (dict(half=[1.0, 2.0]), "one per subject"),
    "name": (dict(name="body"), "name"),
    "nan": (dict(kout=float("nan")), "kout"),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_refused_by_name(change, message):
    call = {"kind": "inhibit_production", "maximum": 0.5, **PD} | change
    with pytest.raises(ph.InputError, match=message):
        with_indirect_response(body(), **call)


def test_a_concentration_of_several_states_needs_an_effect_compartment():
    two = ph.System(
        ("a", "b"),
        [0, 1],
        [0, 1],
        [[-1.0, -1.0]],
        observables={"both": ph.Observable((0, 1), np.ones(1))},
    )
    with pytest.raises(ph.InputError, match="single state"):
        with_indirect_response(two, "inhibit_production", maximum=0.5, compartment="both", **PD)
    ok = with_effect_compartment(two, 0.5, compartment="both")
    assert (
        with_indirect_response(
            ok, "inhibit_production", maximum=0.5, compartment="effect", **PD
        ).n_states
        == 4
    )
    with pytest.raises(ph.InputError, match="concentration"):
        with_effect_compartment(two, 0.5, compartment="a")


def test_the_exact_method_refuses_a_response_and_solves_an_effect_compartment():
    exact = ph.SolverOptions(method="expm")
    response = with_indirect_response(body(), "inhibit_loss", maximum=0.5, **PD)
    with pytest.raises(ph.InputError, match="expm"):
        ph.simulate_system(response, "1 mg iv", [1.0], options=exact)
    ds = ph.simulate_system(with_effect_compartment(body(), 0.5), "30 mg iv", [2.0], options=exact)
    assert float(ds["concentration"].sel(compartment="effect")[0, 0]) == pytest.approx(
        3 * (1 - np.exp(-1.0)), rel=1e-10
    )


@pytest.mark.parametrize("power", [0.6, 1.0, 2.0, 3.7])
@pytest.mark.parametrize("x", [2e-9, 1e-6, 1e-3, 0.5, 1.0, 3.0, 50.0])
def test_derivatives_of_the_hill_law_are_those_of_complex_steps(x, power):
    """Of phi and of the closed form of phi_a; a complex step has no difference to lose digits in."""
    from pbpk_hybrid.solvers.embedded.laws.hill import second

    half, h = 0.7, 1e-30
    a = x * half

    def phi(a, k, g):
        return 1 / (1 + (k / a) ** g)

    def phi_a(a, k, g):
        return g / a * (k / a) ** g / (1 + (k / a) ** g) ** 2

    steps = ((a * h * 1j, 0, 0), (0, half * h * 1j, 0), (0, 0, h * 1j))
    widths = (a * h, half * h, h)
    given = second(a, half, power)
    right = [phi(a, half, power)]
    for f in (phi, phi_a):
        for step, width in zip(steps, widths, strict=True):
            where = (a + step[0], half + step[1], power + step[2])
            right.append(complex(f(*where)).imag / width)
    for name, value, expected in zip(
        ("phi", "a", "K", "g", "aa", "aK", "ag"), given, right, strict=True
    ):
        scale = abs(expected)
        if name in ("aa", "aK", "ag"):  # where it changes sign, next to what it is a difference of
            scale += 1e-3 * abs(right[1]) / {"aa": a, "aK": half, "ag": 1.0}[name]
        assert abs(value - expected) <= 1e-9 * scale, (name, value, expected)


def test_the_hill_law_is_a_straight_line_below_a_billionth_of_its_half():
    from pbpk_hybrid.solvers.embedded.laws.hill import second

    half, power = 0.7, 1.5
    phi, by_a, by_half, by_power, aa, a_half, a_power = second(4e-10 * half, half, power)
    end = (1e-9) ** power / (1 + 1e-9**power)
    slope = end / (1e-9 * half)
    assert phi == pytest.approx(0.4 * end, rel=1e-12) and by_a == pytest.approx(slope, rel=1e-12)
    assert by_half == pytest.approx(-phi / half, rel=1e-12) and aa == 0.0
    by_end = np.log(1e-9) * end * (1 - end)
    assert by_power == pytest.approx(0.4 * by_end, rel=1e-12)
    assert a_half == pytest.approx(-slope / half, rel=1e-12)
    assert a_power == pytest.approx(by_end / (1e-9 * half), rel=1e-12)
