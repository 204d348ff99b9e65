"""The diffusion model: scores that come back, conditions that hold exactly, errors that name the field."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from pbpk_hybrid._core.errors import (
    CheckpointError,
    InputError,
    OutOfRangeWarning,
    SchemaError,
    SolveError,
    UnknownNameError,
)
from pbpk_hybrid.learn.diffusion import PCDM, PCDMConfig
from pbpk_hybrid.learn.diffusion.coordinates import MEASURED, Coordinates, Measured
from pbpk_hybrid.learn.diffusion.crowd import DIMENSION, Goal, Maker
from pbpk_hybrid.learn.diffusion.density import log_density
from pbpk_hybrid.learn.diffusion.module import Denoiser
from pbpk_hybrid.learn.diffusion.sampler import Flow, angles
from pbpk_hybrid.physiology import (
    check_physiology,
    check_plausibility,
    sample_population,
    training_people,
)
from pbpk_hybrid.physiology.adults.body import People, expected_cardiac_output

TINY = PCDMConfig(
    width=32,
    blocks=1,
    batch_size=256,
    training_steps=150,
    evaluate_every=75,
    patience=None,
    copies=2,
)
FEW = pytest.mark.filterwarnings("ignore:about .* of the .* people trained on are like that")


@pytest.fixture(scope="module")
def people():
    return training_people("validation", ages="all")


@pytest.fixture(scope="module")
def measured(people):
    return Measured.of(people, people["survey_weight"].values)


@pytest.fixture(scope="module")
def coordinates(measured):
    return Coordinates.fit(measured, seed=1, oldest=True)


@pytest.fixture(scope="module")
def model(people):
    return PCDM.fit(people, 1, config=TINY, threads=1)


def test_people_come_back_from_their_scores(measured, coordinates):
    back = coordinates.decode(
        np.nan_to_num(coordinates.encode(measured)), measured.male, rounded=False
    )
    for name in MEASURED:
        known = np.isfinite(measured.values[name]) & np.isfinite(back[name])
        if name == "hematocrit":
            known &= measured.values["age"] >= 1
        if name == "age":  # two people of one age have two ranks
            np.testing.assert_allclose(back[name], measured.values[name], atol=0.2)
        else:
            # a body goes with its age, which comes back to within its place in the table
            np.testing.assert_allclose(back[name][known], measured.values[name][known], rtol=0.06)
    assert np.isnan(back["serum_creatinine"][back["age"] < 12]).all()


def test_scores_are_standard_normal_at_every_age(measured, coordinates):
    scores = coordinates.encode(measured.spread(np.random.default_rng(1)))
    age = measured.values["age"]
    for low, high in ((0, 6), (6, 18), (18, 45), (45, 80)):
        rows = (age >= low) & (age < high)
        for k in range(1, len(MEASURED)):
            z, w = scores[rows, k], measured.weight[rows]
            z, w = z[np.isfinite(z)], w[np.isfinite(z)]
            if not z.size:
                assert MEASURED[k] == "serum_creatinine" and high <= 12
                continue
            mean = np.average(z, weights=w)
            assert abs(mean) < 0.2
            assert np.sqrt(np.average((z - mean) ** 2, weights=w)) == pytest.approx(1, abs=0.25)


def test_growth_goes_on_through_every_birthday(coordinates):
    """The usual weight and height of two days' difference differ by less than 1 % from the first month on."""
    growth = coordinates.growth
    for name in ("body_weight", "height", "hematocrit"):
        age = np.arange(1 / 12, 89, 2 / 365.25)
        for male in (True, False):
            usual = growth.value(name, np.full(age.size, male), age, np.zeros(age.size))
            assert np.abs(np.diff(np.log(usual))).max() < 0.02


def test_a_network_that_says_nothing_hands_the_noise_back():
    """F = 0 is the independent normal distribution: no step of the solver changes anything."""
    module = Denoiser(TINY, len(MEASURED), 7)  # its last layer starts at zero
    noise = np.random.default_rng(1).standard_normal((50, len(MEASURED)))
    scores = Flow(module, TINY).scores(noise, np.arange(50) % 10)
    np.testing.assert_allclose(scores, noise, rtol=1e-6)


def test_the_solver_is_exact_for_a_narrower_normal_distribution():
    """Scores with standard deviation s: D = s^2 x / (s^2 + sigma^2), so F = (s^2 - 1) s' y with the known flow of
    Karras et al. (2022): noise times s."""

    class Narrow(torch.nn.Module):
        def __init__(self, s):
            super().__init__()
            self.s, self.weight = s, torch.nn.Parameter(torch.zeros(1))

        def modulation(self, sigma, group):
            return [sigma[:, None]]

        def direction(self, y, shifts):
            sigma = shifts[0]
            variance = sigma**2 + 1
            x = y * variance.sqrt()
            d = self.s**2 * x / (self.s**2 + sigma**2)
            return (d - x / variance) * variance.sqrt() / sigma

    noise = np.random.default_rng(2).standard_normal((200, len(MEASURED)))
    found = Flow(Narrow(0.6), replace(TINY, steps=60)).scores(noise, np.zeros(200, int))
    np.testing.assert_allclose(found, 0.6 * noise, rtol=0.02, atol=0.01)


def test_the_angles_fall_evenly_to_none():
    found = angles(TINY)
    assert len(found) == TINY.steps + 1 and found[-1] == 0
    assert np.tan(found[0]) == pytest.approx(TINY.sigma_max)
    np.testing.assert_allclose(np.diff(found[:-1], n=2), 0, atol=1e-12)


def test_exactly_the_number_asked_for_and_no_hard_violation(model):
    for n in (1, 7, 2500):
        people = check_physiology(model.sample(n, seed=n))
        assert people.sizes["subject"] == n
        assert check_plausibility(people).attrs["hard_violation_rate"] == 0.0
    assert people["age"].min() >= 18 and people["age"].max() < 80


def test_measurements_are_the_numbers_that_a_survey_would_write(model):
    people = model.sample(300, seed=8)
    for name, text in (
        ("body_weight", "{:.1f}"),
        ("height", "{:.1f}"),
        ("serum_creatinine", "{:.2f}"),
    ):
        assert all(float(text.format(v)) == v for v in people[name].values), name
    assert all(round(v * 12) / 12 == v for v in people["age"].values)
    assert all(float(f"{100 * v:.1f}") / 100 == v for v in people["hematocrit"].values)


def test_a_seed_gives_the_same_people_and_another_seed_others(model):
    one, two, other = model.sample(20, seed=5), model.sample(20, seed=5), model.sample(20, seed=6)
    np.testing.assert_array_equal(one["volume"].values, two["volume"].values)
    assert not np.array_equal(one["body_weight"].values, other["body_weight"].values)


@FEW
def test_conditions_hold_for_everyone(model):
    condition = {
        "sex": "female",
        "age": (60, 80),
        "egfr": (30, 90),
        "bmi": (28, None),
        "ethnicity": "Non-Hispanic White",
    }
    people = model.sample(60, condition, seed=1)
    assert people.sizes["subject"] == 60
    assert (people["sex"] == "female").all() and (people["ethnicity"] == "Non-Hispanic White").all()
    assert people["age"].min() >= 60 and people["age"].max() <= 80
    assert people["body_mass_index"].min() >= 28
    egfr = people["gfr"] / 0.06 * 1.73 / people["body_surface_area"]
    assert egfr.min() >= 30 and egfr.max() <= 90
    assert 0 < people.attrs["probability"] < 0.2


@FEW
def test_people_of_a_rare_condition_are_those_who_satisfy_it_by_chance(model):
    """Reached by subset simulation, people have the distribution, and the region the probability, of the few whom plain
    drawing finds there."""
    condition = {"age": (40, 60), "bmi": (34, None), "sex": "female"}
    n = 1500
    asked = model.sample(n, condition, seed=1)
    assert asked.attrs["levels"] >= 1
    free = model.sample(30_000, {"age": (0, 90)}, seed=2)
    inside = (free["age"] >= 40) & (free["age"] <= 60) & (free["body_mass_index"] >= 34)
    inside &= free["sex"] == "female"
    m = int(inside.sum())
    assert asked.attrs["probability"] == pytest.approx(m / 30_000, rel=0.2)
    some = free.isel(subject=np.flatnonzero(inside))
    for name in ("age", "body_weight", "height", "hematocrit", "serum_creatinine", "gfr"):
        grid = np.sort(some[name].values)
        above = [
            np.searchsorted(np.sort(ds[name].values), grid, side="right") / ds.sizes["subject"]
            for ds in (asked, some)
        ]
        # Kolmogorov's limit that is passed once in a thousand, with a third of the people for those that came from one
        limit = 1.95 * np.sqrt(3 / n + 1 / m)
        assert np.abs(above[0] - above[1]).max() < limit, name


@FEW
def test_nobody_is_handed_out_twice_where_next_to_nobody_is(model):
    people = model.sample(400, {"bmi": (55, 70), "age": (20, 30)}, seed=1)
    assert people["body_mass_index"].min() >= 55
    measured = np.stack([people[n].values for n in MEASURED], 1)
    assert len(np.unique(measured, axis=0)) == 400


def test_a_region_with_next_to_nobody_warns(model):
    with pytest.warns(OutOfRangeWarning, match="people trained on are like that"):
        people = model.sample(60, {"bmi": (60, 70)}, seed=1)
    assert people.attrs["people_trained_on_like_that"] < 50
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.sample(60, {"bmi": (25, 30)}, seed=1)


@FEW
def test_criteria_and_organs_hold_without_training(model):
    people = model.sample(
        80,
        seed=3,
        where="creatinine_clearance < 60 and (bmi > 30 or age > 70)",
        organs={"liver": "1.6 kg", "kidney": "0.8 of normal"},
    )
    clearance = (140 - people["age"]) * people["body_weight"] / (72 * people["serum_creatinine"])
    clearance = clearance * np.where(people["sex"] == "male", 1.0, 0.85)
    assert (clearance < 60).all()
    assert ((people["body_mass_index"] > 30) | (people["age"] > 70)).all()
    mass = people["volume"] * people["density"]
    np.testing.assert_allclose(mass.sel(organ="liver"), 1.6, rtol=1e-12)
    assert "creatinine_clearance" in people.attrs["where"]


def test_people_like_a_table_of_any_age(model):
    table = {"age": "9 ± 3 (3-15)", "weight": "34 ± 13 kg", "female": "40 %"}
    children = model.sample(100, like=table, seed=1)
    assert not children.pk.like().missed
    assert children["age"].min() >= 3 and children["age"].max() <= 15.01
    assert "enzyme_activity" in children
    adults = model.sample(100, like={"age": "45 ± 9", "bmi": "31 ± 3 kg/m2"}, seed=1, strict=True)
    assert not adults.pk.like().missed and adults["age"].min() >= 18
    with pytest.raises(InputError, match="table"):
        model.sample(10, strict=True, seed=1)


@FEW
def test_special_populations_are_the_same_words(model):
    women = model.sample(20, seed=1, special="30 weeks pregnant")
    assert (women["sex"] == "female").all() and women.attrs["special"] == "30 weeks pregnant"
    infants = model.sample(30, seed=1, special="infants")
    assert infants["age"].max() <= 2.01
    assert np.isnan(infants["serum_creatinine"]).all() and (infants["gfr"] > 0).all()


def test_the_people_do_not_depend_on_the_number_of_threads(model):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = model.sample(2500, seed=4)
        torch.set_num_threads(2)
        two = model.sample(2500, seed=4)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(one["volume"].values, two["volume"].values)


def test_a_fraction_of_women_is_exact(model):
    people = model.sample(40, {"sex": 0.25}, seed=1)
    assert int((people["sex"] == "female").sum()) == 10


def test_people_can_be_simulated(model):
    import pbpk_hybrid as ph

    ds = ph.simulate(
        "theophylline",
        "100 mg oral",
        model.sample(8, seed=1),
        [0.0, 1.0, 8.0],
        compartments=["plasma"],
    )
    assert (ds["status"] == 0).all() and float(ds["concentration"].max()) > 0


def test_a_checkpoint_comes_back_and_others_are_refused(model, tmp_path):
    path = model.save(tmp_path / "m")
    again = PCDM.load(path)
    np.testing.assert_array_equal(
        again.sample(9, seed=2)["volume"].values, model.sample(9, seed=2)["volume"].values
    )
    with pytest.raises(CheckpointError, match="overwrite"):
        model.save(path)
    (tmp_path / "bad.safetensors").write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError):
        PCDM.load(tmp_path / "bad.safetensors")


def test_without_training_the_density_is_the_normal_one():
    module = Denoiser(TINY, len(MEASURED), 7)
    x = torch.randn(20, len(MEASURED), generator=torch.Generator().manual_seed(1))
    found = log_density(module, TINY, x, torch.zeros(20, 7), 4)
    expected = -0.5 * (x.double() ** 2).sum(1) - 2.5 * np.log(2 * np.pi)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_density_is_higher_for_usual_people(model, people):
    some = people.isel(subject=np.flatnonzero(people["age"].values > 20)[:30])
    usual = model.log_density(some, steps=12)
    assert np.isfinite(usual).all() and usual.sizes["subject"] == 30
    odd = some.copy(deep=True)
    odd["hematocrit"] = odd["hematocrit"] * 0.35  # twelve standard deviations
    # a network of 150 steps may find one of the real people as odd
    assert (model.log_density(odd, steps=12) < usual - 5).mean() > 0.9
    children = people.isel(subject=np.flatnonzero(people["age"].values < 1)[:10])
    assert np.isfinite(model.log_density(children, steps=12)).all()


@pytest.mark.parametrize(
    ("condition", "field"),
    [
        ({"age": (200, 210)}, "age"),
        ({"age": (60, 40)}, "age"),
        ({"bmi": 30}, "bmi"),
        ({"egfr": (float("nan"), 5)}, "egfr"),
        ({"gfr": (6, 7), "egfr": (30, 40)}, "gfr"),
        ({"gfr": (2, 3), "egfr": (60, 70), "body_weight": (90, 110)}, "gfr"),
        ({"serum_creatinine": (4, 6), "egfr": (100, 120)}, "egfr"),
        ({"serum_creatinine": (3, None), "gfr": (12, None), "sex": "female"}, "gfr"),
        ({"bmi": (30, 30.5), "height": (180, 190), "body_weight": (60, 65)}, "bmi"),
        ({"sex": 2.0}, "sex"),
        ({"height": (10, 20)}, "height"),
        ({"age": "old"}, "age"),
        ({"age": (1, 2, 3)}, "age"),
        ({"hematocrit": (0.9, 1.0)}, "hematocrit"),
    ],
)
def test_impossible_conditions_are_refused_by_name(model, condition, field):
    with pytest.raises(InputError, match=rf"condition\.{field}"):
        model.sample(5, condition, seed=1)


def test_unknown_quantities_are_refused_with_a_suggestion(model):
    with pytest.raises(UnknownNameError, match="body_weight"):
        model.sample(5, {"body_wieght": (60, 70)}, seed=1)
    with pytest.raises(UnknownNameError, match="female"):
        model.sample(5, {"sex": "femal"}, seed=1)
    with pytest.raises(UnknownNameError):
        model.sample(5, {"ethnicity": "Martian"}, seed=1)


@FEW
def test_beyond_the_people_trained_on_only_when_asked_and_then_marked(model):
    top = model.ranges["age"][1]
    with pytest.raises(InputError, match="extrapolate"):
        model.sample(2, {"age": (top + 0.5, top + 90)}, seed=1)
    partly = model.sample(5, {"age": (top - 20, top + 30)}, seed=1)
    assert "age to" in partly.attrs["beyond_training"] and partly.attrs["extrapolated"] == "no"
    assert model.sample(5, {"age": (top - 20, None)}, seed=1).attrs["beyond_training"] == "no"
    with pytest.raises(SolveError, match="widen it"):  # allowed, but nobody is there
        model.sample(2, {"age": (top + 60, top + 90)}, seed=1, extrapolate=True)
    heaviest = model.ranges["body_weight"][1]
    heavier = model.sample(5, {"body_weight": (heaviest, 1.1 * heaviest)}, seed=1, extrapolate=True)
    assert heavier["body_weight"].min() >= heaviest


def test_nobody_leaves_the_people_trained_on(model):
    people = model.sample(5000, {"age": (0, 90)}, seed=7)
    for name in MEASURED[1:]:
        low, high = model.ranges[name]
        values = people[name].values
        assert not ((values < low) | (values > high)).any(), name


def test_moves_leave_the_distribution_as_it_is(model):
    """Sweeps of people who satisfy nothing but a half-space of one coordinate keep its truncated distribution."""
    maker = Maker(Flow(model._module, model.config), model._coordinates, False)
    goal = Goal(model._shares.ravel(), lambda c: np.maximum(c["body_weight"] - 60.0, 0.0))
    rng = np.random.default_rng(3)
    fresh = maker.fresh(12_000, goal, rng)
    inside = fresh.taken(goal.off(fresh.columns) == 0)
    moved = maker._moved(inside, goal, 0.0, 4, rng)
    assert moved.noise.shape[1] == DIMENSION
    assert (moved.columns["body_weight"] <= 60).all()
    share = (moved.columns["body_weight"] != inside.columns["body_weight"]).mean()
    assert share > 0.5
    for name in ("body_weight", "age", "height", "gfr"):
        a, b = np.sort(inside.columns[name]), np.sort(moved.columns[name])
        below = np.searchsorted(b, a, side="right") / b.size
        assert np.abs(below - np.arange(1, a.size + 1) / a.size).max() < 1.95 * np.sqrt(2 / a.size)


def test_populations_that_cannot_be_learned_from_are_refused(people):
    with pytest.raises(InputError, match="at least 500"):
        PCDM.fit(people.isel(subject=slice(0, 400)), 1, config=TINY)
    with pytest.raises(SchemaError, match="serum_creatinine"):
        PCDM.fit(people.drop_vars("serum_creatinine"), 1, config=TINY)
    broken = people.copy(deep=True)
    broken["hematocrit"][int(np.flatnonzero(people["age"].values > 20)[0])] = np.nan
    with pytest.raises(InputError, match="hematocrit"):
        PCDM.fit(broken, 1, config=TINY)
    with pytest.raises(SchemaError, match="list"):
        PCDM.fit([], 1)
    with pytest.raises(SchemaError):
        PCDM.fit(sample_population(600, "rat", seed=1), 1, config=TINY)
    with pytest.raises(InputError, match=r"config\.width"):
        replace(TINY, width=0)


def test_cardiac_output_is_as_spread_as_in_the_survey_sampler(model):
    people = model.sample(1500, seed=12)
    columns = (people[name].values for name in ("age", "body_weight", "height"))
    expected = expected_cardiac_output(People(people["sex"].values == "male", *columns))
    factor = people["cardiac_output"] / expected
    # 1,500 people: standard errors of 0.4 % and 0.3 %
    assert factor.mean() == pytest.approx(1, abs=0.015)
    assert 0.15 < factor.std() < 0.19


@FEW
def test_hyperfiltration_is_kept(model):
    people = model.sample(30, {"egfr": (200, None)}, seed=1)
    egfr = people["gfr"] / 0.06 * 1.73 / np.sqrt(people["body_weight"] * people["height"] / 3600)
    assert egfr.min() >= 200
