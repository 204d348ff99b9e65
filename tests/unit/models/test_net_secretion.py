"""Net secretion by the kidney: as measured in the reference individual, never more than flows in."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.models import whole_body_system


def renal(drug, people) -> np.ndarray:
    """Renal plasma clearance [L/h] of the model that is simulated."""
    drug = ph.get_compound(drug) if isinstance(drug, str) else drug
    return np.asarray(whole_body_system(drug, people).parameters["clearance_renal"], dtype=float)


def test_a_drug_cleared_near_the_renal_blood_flow_runs_in_everybody():
    people = ph.sample_population(800, seed=2)
    result = ph.simulate("metformin", "500 mg oral", people, times=[0, 4])
    assert (result["status"] == 0).all()
    kidney = people["blood_flow"].sel(organ="kidney").values
    system = whole_body_system(ph.get_compound("metformin"), people)
    ratio = np.asarray(system.parameters["blood_to_plasma_ratio"], dtype=float)
    assert (renal("metformin", people) < kidney * ratio).all()


def test_the_reference_individual_clears_what_was_measured():
    drug = ph.get_compound("metformin")
    person = ph.reference_individual("human")
    measured = drug.clearance_plasma * drug.fraction_excreted_renal * 0.06  # mL/min/kg -> L/h/kg
    assert renal(drug, person)[0] == pytest.approx(
        measured * float(person.body_weight[0]), rel=1e-6
    )


def test_filtration_alone_is_proportional_to_gfr():
    drug = ph.get_compound("theophylline")
    people = ph.sample_population(5, seed=1)
    per_gfr = renal(drug, people) / people["gfr"].values
    np.testing.assert_allclose(per_gfr, per_gfr[0], rtol=1e-12)


def test_more_than_flows_in_where_it_was_measured_is_refused():
    drug = ph.get_compound("metformin").replace(name="too much", clearance_plasma=40.0)
    with pytest.raises(ph.InputError, match="renal blood clearance"):
        whole_body_system(drug, ph.reference_individual("human"))


def test_impaired_kidneys_secrete_in_proportion_to_their_filtration():
    people = ph.reference_individual("human")
    impaired = ph.with_renal_impairment(people, "severe")
    ratio = float(impaired["gfr"][0] / people["gfr"][0])
    assert renal("metformin", impaired) == pytest.approx(
        renal("metformin", people) * ratio, rel=1e-9
    )
