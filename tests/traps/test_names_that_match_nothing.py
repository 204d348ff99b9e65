"""A name that matches nothing is refused or said, with the nearest names; nothing that was asked for is left out in silence."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import pbpk_hybrid as ph

TIMES = [0.0, 1.0, 2.0]


def inhibitor(enzyme: str = "CYP3A4", **changes) -> ph.Compound:
    effect = {"enzyme": enzyme, "kind": "competitive", "ki": "0.01 mg/L"}
    values = {"name": "inhibitor", "enzyme_effects": [effect]} | changes
    return ph.get_compound("cimetidine").replace(**values)


def ratio(perpetrator) -> float:
    found = ph.interaction(("midazolam", "5 mg oral"), {perpetrator: "400 mg oral"}, duration=24.0)
    return float(found["auc_ratio"][0])


@pytest.fixture(scope="module")
def people() -> xr.Dataset:
    return ph.sample_population(3, seed=1)


# ------------------------------------------------------------------------------------------- interactions
@pytest.mark.parametrize("name", ["CYP3A", "cyp3a4", "CYP 3A4", "Cyp3A4"])
def test_an_effect_on_an_enzyme_spelt_otherwise_is_said_with_the_right_name(name):
    """The ratio is 1 in silence otherwise. The right name gives more than twofold."""
    assert ratio(inhibitor()) > 2
    with pytest.warns(ph.NoEffectWarning) as said:
        assert ratio(inhibitor(name)) == pytest.approx(1, abs=1e-3)
    texts = [str(w.message) for w in said]
    assert any(f"{name!r}" in t and "did you mean 'CYP3A4'" in t for t in texts)
    assert any("midazolam has CYP3A4" in t for t in texts)
    assert len(texts) == len(set(texts))  # once each


def test_a_perpetrator_that_touches_nothing_of_the_victim_is_said_with_what_each_has():
    with pytest.warns(ph.NoEffectWarning) as said:
        ratio(inhibitor("CYP2D6"))
    (text,) = {str(w.message) for w in said}
    for words in ("inhibitor changes nothing of midazolam", "competitive of CYP2D6", "has CYP3A4"):
        assert words in text
    with pytest.warns(ph.NoEffectWarning, match="effects of warfarin: none"):
        ratio("warfarin")


def test_an_inhibitor_of_the_metabolite_only_does_not_count_for_the_victim():
    victim = ph.get_compound("midazolam").replace(
        metabolism=[{"enzyme": "CYP3A4", "fraction": 0.9, "metabolite": "product"}]
    )
    product = ph.get_compound("midazolam").replace(
        name="product", metabolism=[{"enzyme": "CYP2D6", "fraction": 0.9}]
    )
    with pytest.warns(ph.NoEffectWarning, match="inhibitor changes nothing of midazolam"):
        ph.interaction(
            (victim, "5 mg oral"),
            {product: None, inhibitor("CYP2D6"): "400 mg oral"},
            duration=24.0,
        )


def test_together_effects_and_metabolites_that_meet_nothing_are_said():
    with pytest.warns(ph.NoEffectWarning) as said:
        ph.simulate_together(
            {"midazolam": "5 mg oral", inhibitor("CYP3A", name="i"): "1 mg iv"}, times=TIMES
        )
    texts = [str(w.message) for w in said]
    assert len(texts) == 2 and "did you mean 'CYP3A4'" in texts[0]
    assert "i changes nothing of midazolam" in texts[1]
    parent = ph.get_compound("midazolam").replace(
        metabolism=[{"enzyme": "CYP3A4", "fraction": 0.9, "metabolite": "inhibitr"}]
    )
    with pytest.warns(ph.NoEffectWarning, match="metabolite 'inhibitr'.*did you mean 'inhibitor'"):
        ph.simulate_together({parent: "5 mg oral", inhibitor(): "1 mg iv"}, times=TIMES)


def test_a_half_life_of_an_enzyme_that_nothing_changes_is_said():
    pair = {"midazolam": "5 mg oral", inhibitor(): "1 mg iv"}
    with pytest.warns(
        ph.NoEffectWarning, match=r"CYP3A4\.liver.*no compound inactivates or induces"
    ):
        ph.simulate_together(pair, times=TIMES, enzyme_half_lives={"CYP3A4.liver": 20.0})
    with pytest.raises(ph.UnknownNameError, match=r"did you mean 'CYP3A4\.liver'"):
        ph.simulate_together(pair, times=TIMES, enzyme_half_lives={"CYP3A.liver": 20.0})


# ------------------------------------------------------------------------------------------- people
def test_phenotypes_that_nothing_names_are_said_also_where_age_counts(people):
    children = ph.sample_population(3, seed=1, age=(3, 6))
    for some in (people, children):
        poor = ph.with_enzymes(some, phenotypes={"CYP2D6": "poor"})
        with pytest.warns(ph.NoEffectWarning, match="phenotypes of CYP2D6 change nothing"):
            ph.simulate("midazolam", "5 mg iv", poor, TIMES)
    drawn = ph.with_enzymes(people, phenotypes="population", seed=1)
    named = ph.get_compound("midazolam").replace(metabolism=[{"enzyme": "CYP2D6", "fraction": 0.9}])
    ph.simulate(named, "5 mg iv", drawn, TIMES)  # those beside one that counts: nothing to say


def test_one_of_two_phenotypes_that_were_asked_for_is_said(people):
    both = ph.with_enzymes(people, phenotypes={"CYP2D6": "poor", "CYP2C9": "poor"})
    drug = ph.get_compound("midazolam").replace(metabolism=[{"enzyme": "CYP2C9", "fraction": 0.9}])
    with pytest.warns(ph.NoEffectWarning, match="phenotypes of CYP2D6 change"):
        ph.simulate(drug, "5 mg iv", both, TIMES)


def test_a_variation_of_a_name_that_nothing_knows_is_said(people):
    with pytest.warns(ph.NoEffectWarning, match="'CYP3A'.*did you mean 'CYP3A4'"):
        ph.with_enzymes(people, variation={"CYP3A": 0.3})
    with pytest.warns(ph.NoEffectWarning, match="'P-GP'.*did you mean 'P-gp'"):
        ph.with_transporters(people, variation={"P-GP": 0.3})
    ph.with_transporters(people, variation={"P-gp.brain": 0.3})


def test_renal_impairment_of_the_elderly_keeps_who_has_less_already():
    old = ph.sample_population(40, seed=1, age=(65, 79))
    surface = np.sqrt(old["body_weight"].values * old["height"].values / 3600)
    with pytest.warns(ph.NoEffectWarning, match=r"of 40 people have a GFR below 45"):
        ill = ph.with_renal_impairment(old, "moderate")
    asked = 45.0 * surface / 1.73 * 0.06
    np.testing.assert_allclose(ill["gfr"], np.minimum(asked, old["gfr"].values), rtol=1e-12)
    assert (ill["gfr"].values < old["gfr"].values).any()
    assert ph.simulate("digoxin", "0.5 mg iv", ill, TIMES)["status"].values.max() == 0
    with pytest.raises(ph.InputError, match=r"at most .* mL/min/1\.73"):
        ph.with_renal_impairment(old, egfr=500.0)
    for stage in "ABC":
        ph.check_physiology(ph.with_hepatic_impairment(old, stage))


# ------------------------------------------------------------------------------------------- models of the gut
def test_a_gut_model_that_changes_nothing_is_said():
    gut = ph.GutAbsorption(effective_permeability=2.0)
    with pytest.warns(ph.NoEffectWarning, match="none of its doses is oral"):
        ph.simulate("midazolam", "5 mg iv", times=TIMES, absorption=gut)
    with pytest.warns(ph.NoEffectWarning, match="none of its doses is oral"):
        ph.simulate_together({"midazolam": "5 mg iv"}, times=TIMES, absorption={"midazolam": gut})
    with pytest.warns(ph.NoEffectWarning, match="release_time .* 'solution'"):
        ph.GutAbsorption(release_time=2.0)
    with pytest.warns(ph.NoEffectWarning, match="particle_radius, release_shape"):
        ph.GutAbsorption(
            formulation="zero_order", release_time=2.0, particle_radius=5.0, release_shape=2.0
        )


# ------------------------------------------------------------------------------------------- every mapping, every option
def simulate(**options):
    return ph.simulate("midazolam", "5 mg iv", times=TIMES, **options)


def compound(**fields):
    values = {"name": "x", "molar_mass": 300.0, "log_p": 2.0, "fraction_unbound_plasma": 0.1}
    return ph.Compound.create(**values | fields)


def cohort(**fields):
    from pbpk_hybrid.scale import Cohort

    return Cohort(5, 1, **fields)


REFUSED = {
    "kp": (lambda: simulate(kp={"livr": 1.0}), "liver"),
    "permeability_limited": (lambda: simulate(permeability_limited={"livr": 1.0}), "liver"),
    "hepatic_model": (lambda: simulate(hepatic_model="wellstirred"), "well_stirred"),
    "partition_method": (lambda: simulate(partition_method="rodgers"), "rodgers_rowland"),
    "backend": (lambda: simulate(backend="juliaa"), "julia"),
    "compartments": (lambda: simulate(compartments=["livr"]), "liver"),
    "compartments as text": (lambda: simulate(compartments="livr"), "liver"),
    "sensitivities": (lambda: simulate(sensitivities=["clint.livr"]), "clint.liver"),
    "sensitivities as text": (lambda: simulate(sensitivities="clint.livr"), "clint.liver"),
    "method": (lambda: ph.SolverOptions(method="rodas5"), "rodas5p"),
    "dose compartment": (
        lambda: ph.simulate("midazolam", ph.Regimen.dose(1.0, compartment="livr"), times=TIMES),
        "liver",
    ),
    "absorption": (
        lambda: ph.simulate_together(
            {"midazolam": "5 mg oral"}, times=TIMES, absorption={"midazolm": ph.GutAbsorption()}
        ),
        "midazolam",
    ),
    "compartment of an interaction": (
        lambda: ph.interaction(
            ("midazolam", "5 mg oral"), {inhibitor(): "1 mg iv"}, compartment="livr"
        ),
        "midazolam:liver",
    ),
    "field of a compound": (lambda: compound(logp=2.0), "log_p"),
    "kp of a compound": (lambda: compound(kp={"livr": 1.0}), "liver"),
    "permeability of a compound": (
        lambda: compound(permeability_surface_area={"livr": 1.0}),
        "liver",
    ),
    "sources": (lambda: compound(sources={"logp": "somewhere"}), "log_p"),
    "organ of metabolism": (
        lambda: compound(metabolism=[{"enzyme": "CYP3A4", "fraction": 0.5, "organ": "livr"}]),
        "liver",
    ),
    "kind of effect": (
        lambda: compound(enzyme_effects=[{"enzyme": "CYP3A4", "kind": "competitve", "ki": 1.0}]),
        "competitive",
    ),
    "field of an effect": (
        lambda: compound(enzyme_effects=[{"enzyme": "CYP3A4", "kind": "competitive", "kii": 1.0}]),
        "ki",
    ),
    "organ of a transporter": (
        lambda: compound(transporters=[{"name": "OCT2", "organ": "kidny", "clint": 1.0}]),
        "kidney",
    ),
    "formulation": (lambda: ph.GutAbsorption(formulation="imediate_release"), "immediate_release"),
    "food": (lambda: ph.GutAbsorption(food="feed"), "fed"),
    "phenotypes": (
        lambda: ph.with_enzymes(ph.reference_individual("human"), phenotypes={"CYP2D": "poor"}),
        "CYP2D6",
    ),
    "a phenotype": (
        lambda: ph.with_enzymes(ph.reference_individual("human"), phenotypes={"CYP2D6": "por"}),
        "poor",
    ),
    "transporter phenotypes": (
        lambda: ph.with_transporters(ph.reference_individual("human"), phenotypes={"OATP": "poor"}),
        "OATP1B1",
    ),
    "stage": (
        lambda: ph.with_renal_impairment(ph.reference_individual("human"), "sever"),
        "severe",
    ),
    "child_pugh": (lambda: ph.with_hepatic_impairment(ph.reference_individual("human"), "D"), "A"),
    "species": (lambda: ph.reference_individual("humn"), "human"),
    "ethnicity": (
        lambda: ph.sample_population(3, seed=1, ethnicity="other hispanics"),
        "Other Hispanic",
    ),
    "filters of a cohort": (lambda: cohort(filters={"body_wieght": (50, 60)}), "body_weight"),
    "generator of a cohort": (lambda: cohort(generator="pcmd"), "pcdm"),
    "httk changes": (lambda: ph.httk_pbtk("theophylline", changes={"bw": 3.0}), "BW"),
    "compound": (lambda: ph.get_compound("midazolm"), "idazolam"),
    "collection": (lambda: ph.observations("midazolam", "ops"), "osp"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_name_that_does_not_exist_is_refused_with_the_nearest(what):
    call, nearest = REFUSED[what]
    with pytest.raises(ph.UnknownNameError) as caught:
        call()
    assert nearest in str(caught.value)


# ------------------------------------------------------------------------------------------- observed data
def observed(**columns) -> xr.Dataset:
    texts = {"matrix": "plasma", "subject": "1", "study": "mine", "reference": "mine"}
    numbers = {"time": [1.0, 2.0], "value": [0.01, 0.02]}
    values = {k: np.full(2, v) for k, v in (texts | columns).items()}
    return xr.Dataset({k: ("sample", v) for k, v in (values | numbers).items()})


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"compound": "warfarin"}, "of warfarin, and the simulation is of midazolam"),
        ({"species": "rat"}, "of rat, and the simulation is of human"),
        ({"dose": 50.0}, "50 mg, and 5 mg were simulated"),
    ],
)
def test_observations_of_something_else_are_said(columns, words):
    plots = pytest.importorskip("pbpk_hybrid.plots")
    from matplotlib.figure import Figure

    with pytest.warns(ph.OutOfRangeWarning) as said:
        plots.profile_figure(simulate(), observed(**columns), figure=Figure())
    assert sum(words in str(w.message) for w in said) == 1


def test_observations_of_the_same_or_of_another_matrix():
    plots = pytest.importorskip("pbpk_hybrid.plots")
    from matplotlib.figure import Figure

    same = observed(compound="Midazolam", species="human", dose=5.5)
    plots.time_profile(simulate(), same, ax=Figure().subplots())
    with pytest.raises(ph.UnknownNameError, match="urine"):
        plots.time_profile(simulate(), observed(matrix="urine"), ax=Figure().subplots())


@pytest.fixture(scope="module")
def cli():
    typer = pytest.importorskip("typer.testing")
    from pbpk_hybrid.cli.app import app

    return lambda *words: typer.CliRunner().invoke(app, [str(w) for w in words])


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    from pbpk_hybrid.results import save_results

    return save_results(simulate(), tmp_path_factory.mktemp("sim") / "sim.nc")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--observed", "mine.csv"], ["--observed", "a file that exists"]),
        (["--observed", "midazolm"], ["did you mean"]),
        (["--observed", "Abamectin"], ["plasma observations in the human"]),
        (["--organs", "liver", "--observed", "midazolam"], ["--organs", "--observed"]),
        (["--organs", "liver", "--compartment", "blood"], ["--compartment"]),
        (["--compartment", "livr"], ["liver"]),
        (["--organs", "livr"], ["liver"]),
    ],
)
def test_plot_refuses_what_it_would_not_draw(cli, saved, tmp_path, options, words):
    done = cli("plot", saved, "-o", tmp_path / "p.png", *options)
    assert done.exit_code == 2
    assert all(w in done.output for w in words)
    assert not (tmp_path / "p.png").exists()


def test_plot_says_that_observations_are_of_another_drug(cli, saved, tmp_path):
    done = cli("plot", saved, "-o", tmp_path / "p.png", "--observed", "warfarin")
    assert done.exit_code == 0 and (tmp_path / "p.png").exists()
    assert "the observations are of warfarin" in done.output
    done = cli("plot", saved, "-o", tmp_path / "p.png", "--log")
    assert "--log changes nothing" in done.output


def test_the_command_line_shows_what_changes_nothing(cli, tmp_path):
    """NoEffectWarning was filtered out there."""
    import typer

    from pbpk_hybrid.cli.terminal import reporting

    tiny = typer.Typer()

    @tiny.command()
    def main() -> None:
        with reporting():
            ph.GutAbsorption(release_time=2.0)

    from typer.testing import CliRunner

    assert "release_time of the gut model changes nothing" in CliRunner().invoke(tiny, []).output
