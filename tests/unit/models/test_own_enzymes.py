"""A drug that saturates, inactivates or induces its own enzymes does so alone too, not only beside another drug."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.models.small_molecules.disposition import acts_on_itself

WALL = {"enzyme": "CYP3A4", "fraction": 1.0, "organ": "gut"}


def drug(km: str | None = None, **more) -> ph.Compound:
    """Swallowed, cleared by liver and gut wall through CYP3A4 alone."""
    constants = {} if km is None else {"km": km}
    values = {
        "name": "drug",
        "molar_mass": 300.0,
        "log_p": 1.5,
        "fraction_unbound_plasma": 0.2,
        "blood_to_plasma_ratio": 1.0,
        "clint_hepatocyte": 15.0,
        "fraction_unbound_hepatocyte": 1.0,
        "gfr_fraction": 0.0,
        "absorption_rate": 1.5,
        "fraction_gut": 0.5,
        "metabolism": [
            {"enzyme": "CYP3A4", "fraction": 1.0, "organ": "liver", **constants},
            {**WALL, **constants},
        ],
    }
    return ph.Compound.create(**(values | more))


def auc(compound: ph.Compound, dose: str, start: float = 0.0, end: float = 96.0) -> float:
    """[mg h/L] between two times, of the reference human."""
    run = ph.simulate(compound, dose, times=[start, end] if start else [end])
    area = run["cumulative_auc"].values[0, :, 0]
    return float(area[-1] - (area[0] if start else 0.0))


INACTIVATES = [{"enzyme": "CYP3A4", "kind": "inactivation", "ki": "1 uM", "kinact": "1 1/h"}]
INDUCES = [{"enzyme": "CYP3A4", "kind": "induction", "ec50": "0.05 uM", "emax": 8.0}]


def test_a_drug_alone_has_the_curve_that_simulate_together_gives_it():
    times = np.linspace(0, 60, 31)
    for effects in ([], INACTIVATES, INDUCES):
        one = drug("2 uM", enzyme_effects=effects)
        alone = ph.simulate(one, "200 mg oral q12h x4", times=times)
        both = ph.simulate_together({one: "200 mg oral q12h x4"}, times=times)
        np.testing.assert_allclose(
            alone["concentration"].sel(compartment="plasma").values,
            both["concentration"].sel(compartment="drug:plasma").values,
            rtol=1e-5,
            atol=1e-9,
        )
        assert float(np.abs(alone["mass_balance_error"]).max()) < 1e-9


def test_small_doses_are_linear_and_large_ones_saturate_the_first_pass():
    saturable, linear = drug("2 uM"), drug()
    assert auc(saturable, "0.01 mg oral") == pytest.approx(auc(linear, "0.01 mg oral"), rel=1e-3)
    assert auc(saturable, "400 mg oral") > 1.5 * auc(linear, "400 mg oral")


def test_repeated_doses_inactivate_and_induce_the_own_clearance():
    dose = "100 mg oral q12h x14"
    plain = auc(drug(), dose, 156, 168)
    assert auc(drug(enzyme_effects=INACTIVATES), dose, 156, 168) > 1.3 * plain
    assert auc(drug(enzyme_effects=INDUCES), dose, 156, 168) < 0.7 * plain


def test_people_still_vary_in_what_the_enzymes_do():
    people = ph.sample_population(6, seed=3)
    varied = ph.simulate(drug("2 uM"), "50 mg oral", people, times=[24], seed=1)
    alike = ph.simulate(drug("2 uM"), "50 mg oral", people, times=[24], variability=None)
    assert not np.allclose(varied["cumulative_auc"], alike["cumulative_auc"])


def test_an_effect_on_other_enzymes_and_other_species_changes_nothing_of_the_drug():
    other = [{"enzyme": "CYP2D6", "kind": "inactivation", "ki": "1 uM", "kinact": "1 1/h"}]
    assert not acts_on_itself(drug(enzyme_effects=other))
    assert not acts_on_itself(drug())
    assert acts_on_itself(drug("2 uM")) and acts_on_itself(drug(enzyme_effects=INDUCES))
    assert not acts_on_itself(drug("2 uM").for_species("rat"))


def test_steady_state_records_are_refused_where_enzymes_move_for_days():
    with pytest.raises(ph.InputError, match="one by one"):
        ph.simulate(drug(enzyme_effects=INACTIVATES), "50 mg oral q8h ss", times=[0, 8])
    # saturation alone has a steady state
    run = ph.simulate(drug("2 uM"), "50 mg oral q8h ss", times=[0, 8])
    start, end = run["concentration"].sel(compartment="plasma").values[0]
    assert start == pytest.approx(end, rel=1e-4) and start > 0
