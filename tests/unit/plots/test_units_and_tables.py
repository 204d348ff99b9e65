"""Units a person would pick, tables at every door, limits of boluses, bands of percentiles, pictures of models."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import pbpk_hybrid as ph
from pbpk_hybrid import plots
from pbpk_hybrid._core.errors import InputError, SchemaError, UnitError, UnknownNameError
from pbpk_hybrid.estimation import elasticity
from pbpk_hybrid.plots.style import concentration_unit


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def people():
    return ph.sample_population(12, seed=1)


@pytest.fixture(scope="module")
def oral(people):
    return ph.simulate("midazolam", "5 mg oral", people, seed=1)


# ---- units --------------------------------------------------------------------------------------


def test_concentrations_in_other_units(oral):
    got, mass = oral.pk.to("ng/mL"), ph.get_compound("midazolam").molar_mass
    np.testing.assert_allclose(got.values, 1e3 * oral["concentration"].values)
    assert got.attrs["units"] == "ng/mL" and oral["concentration"].attrs["units"] == "mg/L"
    np.testing.assert_allclose(
        oral.pk.to("nmol/L").values, oral["concentration"].values * 1e6 / mass
    )


@pytest.mark.parametrize("unit", ["mg", "L/h", "bananas", "1"])
def test_units_that_are_no_concentration_are_refused(oral, unit):
    with pytest.raises(InputError, match="unit"):
        oral.pk.to(unit)


def test_molar_units_need_a_molar_mass(oral):
    unknown = oral.copy()
    unknown.attrs = {k: v for k, v in oral.attrs.items() if k != "molar_mass"}
    with pytest.raises(UnitError):
        unknown.pk.to("uM")


@pytest.mark.parametrize(
    ("highest", "label"),
    [(5.0, "mg/L"), (0.1, "mg/L"), (0.03, "ng/mL"), (2e-5, "pg/mL"), (0.0, "mg/L")],
)
def test_the_unit_in_which_numbers_are_short(highest, label):
    assert concentration_unit(np.array([0.0, highest, np.nan])).label == label


def test_a_figure_takes_a_short_unit_or_the_one_asked_for(oral):
    ax = plots.time_profile(oral)
    assert ax.get_ylabel() == "plasma concentration [ng/mL]"
    top = float(oral["concentration"].sel(compartment="plasma").median("subject").max())
    line = next(x for x in ax.lines if x.get_label() == "simulated median")
    assert line.get_ydata().max() == pytest.approx(1e3 * top, rel=1e-6)
    molar = plots.time_profile(oral, unit="nM")
    assert molar.get_ylabel() == "plasma concentration [nM]"
    assert plots.time_profile(oral, dose_normalise=True).get_ylabel().endswith("/ dose [1/L]")


def test_observations_are_drawn_in_the_unit_of_the_axis(oral):
    table = pd.DataFrame({"subject": ["a", "a"], "time (h)": [1, 2], "conc (ng/mL)": [20.0, 10.0]})
    ax = plots.time_profile(oral, table)
    points = next(line for line in ax.lines if line.get_marker() == "o")
    assert list(points.get_ydata()) == pytest.approx([20.0, 10.0])
    assert "[ng/mL]" in ax.get_ylabel()


# ---- limits -------------------------------------------------------------------------------------


def test_a_bolus_does_not_squeeze_its_curve_to_the_floor(people):
    sim = ph.simulate("midazolam", "5 mg iv", people, seed=1)
    ax = plots.time_profile(sim)
    peak = float(np.quantile(sim["concentration"].sel(compartment="plasma"), 0.95, axis=0).max())
    assert ax.get_ylim()[1] < 0.2 * peak
    assert any("begins at" in text.get_text() for text in ax.texts)
    assert not plots.time_profile(sim, log=True).texts


def test_the_packages_own_times_end_where_nothing_is_seen_and_ones_own_are_all_drawn(people, oral):
    assert plots.time_profile(oral).get_xlim()[1] <= float(oral["time"][-1]) * 1.03
    own = ph.simulate("midazolam", "5 mg oral", people, np.linspace(0, 200, 401), seed=1)
    assert plots.time_profile(own).get_xlim()[1] > 200


# ---- tables at every door -----------------------------------------------------------------------


def test_files_and_frames_give_the_same_analysis(tmp_path):
    frame = pd.DataFrame(
        {
            "subject": ["1"] * 5,
            "time (h)": [0.5, 1, 2, 4, 8],
            "conc (ng/mL)": [5.0, 8.0, 6.0, 3.0, 1.0],
        }
    )
    path = tmp_path / "samples.csv"
    frame.to_csv(path, index=False)
    expected = ph.nca(frame, "5 mg", "oral")["auc_last"].values
    assert expected == pytest.approx(ph.nca(str(path), "5 mg", "oral")["auc_last"].values)
    assert expected == pytest.approx(ph.nca(path, "5 mg", "oral")["auc_last"].values)
    assert expected[0] == pytest.approx(1e-3 * 27.6, rel=0.1)


def test_polars_and_the_interchange():
    frame = pd.DataFrame(
        {"subject": ["1"] * 3, "time": [1.0, 2.0, 4.0], "concentration": [2.0, 4.0, 1.0]}
    )
    expected = ph.nca(frame, "5 mg", "oral")["cmax"].values
    polars = pytest.importorskip("polars")
    assert expected == pytest.approx(
        ph.nca(polars.from_pandas(frame), "5 mg", "oral")["cmax"].values
    )


def test_arrow_tables():
    arrow = pytest.importorskip("pyarrow")
    frame = pd.DataFrame(
        {"subject": ["1"] * 3, "time": [1.0, 2.0, 4.0], "concentration": [2.0, 4.0, 1.0]}
    )
    assert ph.nca(arrow.Table.from_pandas(frame), "5 mg", "oral")["cmax"].values == [4.0]


# ---- bands of percentiles -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def study():
    """A simulation of 200 people, and samples of 40 others of the same kind."""
    times = np.array([0.5, 1.0, 2.0, 4.0, 8.0, 12.0])
    sim = ph.simulate(
        "theophylline",
        "320 mg oral",
        ph.sample_population(200, seed=1),
        np.linspace(0, 24, 97),
        seed=1,
        compartments=["plasma"],
    )
    others = ph.simulate(
        "theophylline",
        "320 mg oral",
        ph.sample_population(40, seed=2),
        times,
        seed=2,
        compartments=["plasma"],
    )
    values = others["concentration"].values[:, :, 0]
    rows = [(str(i), t, values[i, j]) for i in range(40) for j, t in enumerate(times)]
    return sim, pd.DataFrame(rows, columns=["subject", "time", "concentration"])


def bands(ax):
    """Paths of the filled bands, (x, low, high)."""
    return [c.get_paths()[0].vertices for c in ax.collections]


@pytest.mark.parametrize("corrected", [True, False])
def test_percentiles_of_people_of_the_same_kind_lie_within_the_bands(study, corrected):
    ax = plots.prediction_corrected_check(
        *study, corrected=corrected, replicates=200, confidence=0.99
    )
    lines = [line for line in ax.lines if line.get_label().startswith("observed")]
    assert len(bands(ax)) == 3 and len(lines) == 3
    inside = []
    for band, line in zip(bands(ax), lines, strict=True):
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True):
            at = band[np.isclose(band[:, 0], x), 1]
            inside.append(at.min() <= y <= at.max())
    # 18 percentiles, each outside of its band once in a hundred studies
    assert len(inside) == 18 and sum(inside) >= 16


def test_people_with_twice_the_concentration_are_seen(study):
    sim, table = study
    twice = table.assign(concentration=2 * table["concentration"])
    ax = plots.prediction_corrected_check(sim, twice, replicates=100)
    median = next(line for line in ax.lines if line.get_label() == "observed 50 %").get_ydata()
    highest = bands(ax)[1][:, 1].max()
    assert median.max() > 1.5 * highest


def test_doses_that_differ_are_scaled(study):
    sim, table = study
    half = table.assign(dose=160.0, concentration=0.5 * table["concentration"])
    from pbpk_hybrid.nca.tables import read_profile_table

    ax = plots.prediction_corrected_check(
        sim, read_profile_table(half).observations, replicates=100
    )
    median = next(line for line in ax.lines if line.get_label() == "observed 50 %").get_ydata()
    band = bands(ax)[1]
    assert median.max() < 1.3 * band[:, 1].max()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"confidence": 1.0}, "confidence"),
        ({"replicates": 3}, "replicates"),
        ({"bins": [0, 0.1]}, "bins"),
    ],
)
def test_bands_that_say_nothing_are_refused(study, change, words):
    with pytest.raises(InputError, match=words):
        plots.prediction_corrected_check(*study, **change)


def test_few_people_have_no_percentiles(study):
    with pytest.raises(InputError, match="at least ten"):
        plots.prediction_corrected_check(study[0].isel(subject=slice(0, 5)), study[1])


# ---- tornado ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def elasticities():
    system = ph.whole_body_system(ph.get_compound("midazolam"), ph.reference_individual("human"))
    names = ["clint.liver", "kp.adipose", "fraction_gut", "volume.muscle"]
    return elasticity(system, names, regimen="5 mg oral", times=np.linspace(0, 24, 97))


def test_bars_are_what_the_derivative_says_and_the_largest_is_on_top(elasticities):
    ax = plots.tornado_plot(elasticities, "auc", change=0.1)
    e = elasticities["elasticity"].sel(metric="auc").values[0]
    widths = {round(p.get_y() + p.get_height() / 2): p.get_width() for p in ax.patches[-4:]}
    order = np.argsort(-np.abs(e))
    for position, i in zip((3, 2, 1, 0), order, strict=True):
        assert widths[position] == pytest.approx(100 * (1.1 ** e[i] - 1))
    assert (
        ax.get_yticklabels()[0]
        .get_text()
        .startswith(str(elasticities["parameter"].values[order[0]]))
    )


def test_the_bar_agrees_with_a_run_of_the_changed_model(elasticities):
    """10 % more clearance, integrated: AUC to 24 h falls as its bar says, to a third of a percent."""
    drug, person, times = (
        ph.get_compound("midazolam"),
        ph.reference_individual("human"),
        np.linspace(0, 24, 97),
    )
    areas = []
    for factor in (1.0, 1.1):
        system = ph.whole_body_system(drug, person, factors={"clint.liver": np.array([factor])})
        run = ph.simulate_system(system, "5 mg oral", times, compartments=["plasma"])
        areas.append(np.trapezoid(run["concentration"].values[0, :, 0], times))
    e = float(elasticities["elasticity"].sel(metric="auc", parameter="clint.liver")[0])
    assert areas[1] / areas[0] == pytest.approx(1.1**e, rel=3e-3)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"metric": "half_life"}, UnknownNameError),
        ({"change": 1.0}, InputError),
        ({"most": 0}, InputError),
    ],
)
def test_tornados_that_cannot_be_drawn_are_refused(elasticities, change, error):
    with pytest.raises(error):
        plots.tornado_plot(elasticities, **change)
    with pytest.raises(SchemaError):
        plots.tornado_plot(xr.Dataset())


# ---- individual profiles and models -------------------------------------------------------------


def test_a_panel_for_each_person_with_their_own_samples(oral):
    table = pd.DataFrame(
        {"subject": ["0", "0", "3"], "time": [1, 2, 1], "concentration": [0.02, 0.01, 0.03]}
    )
    panels = plots.individual_profiles(oral, table, most=6)
    shown = {ax.get_title(loc="left"): ax for ax in panels}
    assert len(panels) == 6 and "0" in shown
    points = [line for line in shown["0"].lines if line.get_marker() == "o"]
    assert list(points[0].get_ydata()) == pytest.approx([20.0, 10.0])
    assert "6 of 12 subjects" in panels[0].figure.get_suptitle()


def test_individual_profiles_that_cannot_be_drawn_are_refused(oral):
    with pytest.raises(InputError, match="most"):
        plots.individual_profiles(oral, most=0)
    with pytest.raises(UnknownNameError):
        plots.individual_profiles(oral, compartment="nowhere")
    with pytest.raises(SchemaError):
        plots.individual_profiles(xr.Dataset(coords={"subject": [1]}))


@pytest.mark.parametrize("kind", ["whole body", "springs", "reaction"])
def test_a_model_is_drawn_with_all_its_states_and_transfers(kind):
    if kind == "whole body":
        system = ph.whole_body_system(
            ph.get_compound("midazolam"), ph.reference_individual("human")
        )
    elif kind == "springs":
        system = ph.httk_pbtk("midazolam")
    else:
        from pbpk_hybrid.testing.problems import enzymatic_system

        system = enzymatic_system(2)
    ax = plots.organ_graph(system)
    words = [text.get_text() for text in ax.texts]
    assert all(str(s).replace("_", " ") in words for s in system.states)
    places = {tuple(np.round(t.get_position(), 3)) for t in ax.texts if t.get_text()}
    assert len(places) == len(system.states)


def test_what_is_no_model_is_refused():
    with pytest.raises(InputError, match="a System"):
        plots.organ_graph("midazolam")
