"""Matrix of interactions: the same ratios as `interaction`, intervals that follow what is uncertain, the static model."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.compounds.usual_doses import usual_doses
from pbpk_hybrid.plots import forest_plot
from pbpk_hybrid.results import ratio_table
from pbpk_hybrid.simulation.constants import ConstantSpread, learned_spread

NO_SPREAD = ConstantSpread(0.0, 0.0, 0.0, 0.0)


def inhibitor(name: str = "inhibitor", ki: str = "1 uM") -> ph.Compound:
    """A drug that only inhibits CYP3A4."""
    effects = [{"enzyme": "CYP3A4", "kind": "competitive", "ki": ki}]
    return ph.get_compound("cimetidine").replace(name=name, enzyme_effects=effects)


def test_without_spread_the_matrix_holds_the_ratios_of_single_interactions():
    strong, weak = inhibitor("strong", "0.5 uM"), inhibitor("weak", "5 uM")
    people = ph.reference_individual("human")
    found = ph.interactions(
        {"midazolam": "7.5 mg oral", "alprazolam": "1 mg oral"},
        {strong: "400 mg oral", weak: "400 mg oral"},
        people,
        victim_time=2,
        delays=[0, 6],
        constants=None,
        seed=1,
    )
    assert found["auc_ratio"].dims == ("victim", "perpetrator", "delay", "subject")
    for victim, dose in (("midazolam", "7.5 mg oral"), ("alprazolam", "1 mg oral")):
        for perpetrator in (strong, weak):
            for delay in (0.0, 6.0):
                one = ph.interaction(
                    (victim, dose), {perpetrator: "400 mg oral"}, people, victim_time=2 + delay
                )
                cell = found.sel(victim=victim, perpetrator=perpetrator.name, delay=delay)
                assert float(cell["auc_ratio"][0]) == pytest.approx(float(one["auc_ratio"][0]))
                assert float(cell["cmax_ratio"][0]) == pytest.approx(float(one["cmax_ratio"][0]))
    assert found.sizes["draw"] == 0


def test_the_interval_grows_with_the_spread_and_holds_the_ratio():
    widths = []
    for spread in (0.1, 0.8):
        found = ph.interactions(
            {"midazolam": "7.5 mg oral"},
            {inhibitor(): "400 mg oral"},
            constants=ConstantSpread(spread, spread, spread, 0.0),
            draws=60,
            seed=2,
        )
        row = ratio_table(found).iloc[0]
        assert row["low"] < row["ratio"] < row["high"]
        assert np.isnan(row["person_low"])  # one person has no interval of people
        widths.append(np.log(row["high"] / row["low"]))
    assert widths[1] > 4 * widths[0]


def test_a_shift_is_a_change_of_the_constants():
    shift = ConstantSpread(0.0, 0.0, 0.0, 0.0, shift={"reversible": float(np.log(0.5))})
    given = {"midazolam": "7.5 mg oral"}
    shifted = ph.interactions(given, {inhibitor(): "400 mg oral"}, constants=shift, draws=2, seed=1)
    halved = ph.interactions(
        given, {inhibitor(ki="0.5 uM"): "400 mg oral"}, constants=NO_SPREAD, draws=2, seed=1
    )
    for name in ("auc_ratio", "auc_ratio_static"):
        assert float(shifted[name].squeeze()) == pytest.approx(float(halved[name].squeeze()))


def test_share_of_the_enzyme_moves_the_ratio_towards_one_and_away():
    spread = ConstantSpread(0.0, 0.0, 0.0, 1.0)
    found = ph.interactions(
        {"midazolam": "7.5 mg oral"},
        {inhibitor(): "400 mg oral"},
        constants=spread,
        draws=40,
        seed=3,
    )
    drawn = found["auc_ratio_drawn"].values.ravel()
    assert drawn.min() < 0.99 and drawn.max() > 1.01


def test_the_static_model_is_its_own_formula():
    drug = inhibitor(ki="1 uM").replace(absorption_rate=1.0, fraction_absorbed=0.5)
    found = ph.interactions(
        {"midazolam": "5 mg iv"}, {drug: "400 mg iv over 1 h"}, constants=None, victim_time=1
    )
    plasma = ph.simulate(drug, "400 mg iv over 1 h", times=np.linspace(0, 97, 600))
    late = plasma["time"].values >= 1
    peak = float(plasma["concentration"].sel(compartment="plasma").values[0, late].max())
    unbound = drug.fraction_unbound_plasma * peak / drug.molar_mass * 1000  # uM
    midazolam = ph.get_compound("midazolam")
    table = ph.disposition("midazolam").entries
    flow = sum(
        float(table[f"flow.{o}"].value[0])
        for o in ("liver", "gut", "spleen", "pancreas", "stomach")
    )
    bp = float(table["blood_to_plasma_ratio"].value[0])
    x = float(table["clint.liver"].value[0]) * midazolam.fraction_unbound_plasma / bp
    renal = float(table["clearance_renal"].value[0]) / bp
    share = midazolam.metabolism[0].fraction
    clearance = lambda left: flow * x * left / (flow + x * left) + renal
    expected = clearance(1.0) / clearance(1 - share + share / (1 + unbound))
    assert float(found["auc_ratio_static"][0, 0]) == pytest.approx(expected, rel=2e-3)


def test_metabolites_of_the_library_act_too():
    with_metabolite = ph.interactions("midazolam", "itraconazole", constants=None, seed=1)
    alone = ph.get_compound("itraconazole").replace(
        name="itraconazole alone",
        metabolism=[{"enzyme": "CYP3A4", "fraction": 1.0, "km": "2.07 nM"}],
    )
    without = ph.interactions(
        "midazolam", {alone: "200 mg oral q24h x7"}, victim_time=73, constants=None, seed=1
    )
    assert float(with_metabolite["auc_ratio"][0, 0, 0, 0]) > 1.1 * float(
        without["auc_ratio"][0, 0, 0, 0]
    )


def test_together_is_one_column_that_does_more_than_each():
    both = {inhibitor("one"): "400 mg oral", inhibitor("other"): "400 mg oral"}
    given = {"midazolam": "7.5 mg oral"}
    single = ph.interactions(given, both, constants=None)["auc_ratio"].values.max()
    joint = ph.interactions(given, both, together=True, constants=None)
    assert list(joint["perpetrator"].values) == ["one + other"]
    assert float(joint["auc_ratio"].squeeze()) > single


def test_people_drawn_at_random_differ_by_their_enzymes_too():
    people = ph.sample_population(12, seed=4)
    options = {"constants": None, "seed": 1}
    given = {"midazolam": "7.5 mg oral"}, {inhibitor(): "400 mg oral"}
    varied = ph.interactions(*given, people, **options)["auc_ratio"].values.ravel()
    alike = ph.interactions(*given, people, variability=False, **options)[
        "auc_ratio"
    ].values.ravel()
    assert np.log(varied).std() > np.log(alike).std()


def test_the_usual_doses_are_of_drugs_of_the_library_and_can_be_read():
    for name, dose in usual_doses().items():
        assert ph.get_compound(name, collection="curated").name == name
        assert dose.source
        for text in (dose.victim, dose.perpetrator):
            if text is not None:
                ph.Regimen.parse(f"{text} x2" if "q" in text else text)


def test_the_learned_spread_is_dated_and_says_its_rule():
    assert learned_spread().reversible > 0


def test_the_forest_plot_shows_every_row_and_the_bounds():
    import matplotlib

    matplotlib.use("Agg")
    found = ph.interactions(
        {"midazolam": "7.5 mg oral"}, {inhibitor(): "400 mg oral"}, draws=5, seed=1
    )
    figure = forest_plot(found, title="t")
    texts = [t.get_text() for ax in figure.axes for t in ax.texts]
    assert "midazolam" in texts and "inhibitor" in texts
    ratio = ratio_table(found)["ratio"][0]
    assert any(t.startswith(f"{ratio:.3g} (") for t in texts)
    assert figure.axes[1].get_xscale() == "log"
    matplotlib.pyplot.close(figure)
