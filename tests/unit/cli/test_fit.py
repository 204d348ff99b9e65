"""``pbpk-hybrid fit`` from a data set to its files."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import pbpk_hybrid as ph
from pbpk_hybrid.cli.app import app

TIMES = np.array([0.5, 1, 2, 4, 6, 8, 12.0])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three people on theophylline whose clearance is 1.5 times the model's, with small errors; ng/mL."""
    rng = np.random.default_rng(0)
    rows = []
    for i, weight in enumerate((60.0, 75.0, 90.0), start=1):
        person = ph.reference_individual("human", body_weight=weight)
        system = ph.whole_body_system(
            ph.get_compound("theophylline"), person, factors={"clint.liver": np.array([1.5])}
        )
        run = ph.simulate_system(
            system, "300 mg oral", TIMES, compartments=["plasma"], backend="embedded"
        )
        rows.append(
            {"ID": i, "TIME": 0.0, "AMT": 300.0, "DV": ".", "EVID": 1, "CMT": 1, "WT": weight}
        )
        for t, c in zip(TIMES, run["concentration"].values[0, :, 0], strict=True):
            dv = 1000 * c * np.exp(0.02 * rng.standard_normal())
            rows.append(
                {"ID": i, "TIME": t, "AMT": 0.0, "DV": dv, "EVID": 0, "CMT": 2, "WT": weight}
            )
    path = tmp_path_factory.mktemp("fit") / "data.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def run(*args, code=0):
    result = CliRunner().invoke(app, ["fit", *map(str, args)])
    assert result.exit_code == code, result.output
    return result.output


@pytest.mark.parametrize("more", [(), ("--random", "clint.liver")], ids=["shared", "hierarchical"])
def test_a_fit_writes_estimates_predictions_and_pictures(data, tmp_path, more):
    text = run(
        data,
        "--compound",
        "theophylline",
        "-p",
        "clint.liver",
        "--unit",
        "ng/mL",
        "--compartment",
        "1=oral",
        "--error",
        "lognormal",
        "--prior",
        "clint.liver=1,1",
        "--out",
        tmp_path / "out",
        *more,
    )
    assert "clint.liver" in text and "21 observations" in text
    table = pd.read_csv(tmp_path / "out" / "estimates.csv", index_col=0)
    assert table.loc["clint.liver", "value"] == pytest.approx(1.5, rel=0.05)
    files = {p.name for p in (tmp_path / "out").iterdir()}
    assert {"estimates.csv", "predictions.csv", "observed_predicted.png", "residuals.png"} <= files
    assert ("individuals.csv" in files) == bool(more)


MODELS = {
    "--distribution": {"distribution": "predicted"},
    "--clearance": {"clearance": "in_vitro"},
    "--partition-method": {"partition_method": "berezhkovskiy", "distribution": "predicted"},
    "--hepatic-model": {"hepatic_model": "parallel_tube", "clearance": "in_vitro"},
}


@pytest.mark.parametrize("option", MODELS)
def test_a_fit_is_of_the_model_that_was_asked_for(option, tmp_path):
    """Samples without error, made with clearance 1.3 times the model's: the model they were made with finds 1.3."""
    keywords = MODELS[option]
    person = ph.reference_individual("human", body_weight=70.0)
    drug, factors = ph.get_compound("midazolam"), {"clint.liver": np.array([1.3])}
    system = ph.whole_body_system(drug, person, factors=factors, **keywords)
    curve = ph.simulate_system(system, "100 mg iv over 1 h", TIMES, compartments=["plasma"])
    rows = [{"ID": 1, "TIME": 0.0, "AMT": 100.0, "RATE": 100.0, "DV": ".", "EVID": 1}]
    for t, c in zip(TIMES, curve["concentration"].values[0, :, 0], strict=True):
        rows.append({"ID": 1, "TIME": t, "AMT": 0.0, "RATE": ".", "DV": c, "EVID": 0})
    path = tmp_path / "data.csv"
    pd.DataFrame(rows).assign(WT=70.0).to_csv(path, index=False)
    common = (path, "--compound", "midazolam", "-p", "clint.liver", "--error", "additive")
    common += ("--route", "iv")
    words = {"--" + k.replace("_", "-"): v for k, v in keywords.items()}
    estimate = {}
    for name, chosen in {
        "asked": words,
        "without": {k: v for k, v in words.items() if k != option},
    }.items():
        options = [word for pair in chosen.items() for word in pair]
        text = run(*common, *options, "--out", tmp_path / name)
        table = pd.read_csv(tmp_path / name / "estimates.csv", index_col=0)
        estimate[name] = table.loc["clint.liver", "value"]
        assert "model: clearance" in text
    assert estimate["asked"] == pytest.approx(1.3, rel=1e-3)
    assert abs(estimate["without"] / 1.3 - 1) > 0.01


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("-p", "clearance"), "clearance"),
        (("-p", "clint.liver", "--prior", "clint.liver=x"), "--prior"),
        (("-p", "clint.liver", "--compartment", "oral"), "--compartment"),
        (("-p", "clint.liver", "--compartment", "3=plasma"), "a value of CMT in the data set"),
        (("-p", "clint.liver", "--error", "poisson"), "poisson"),
        (("-p", "clint.liver", "--level", "2"), "--level"),
        (("-p", "clint.liver", "--random", "kp.liver"), "kp.liver"),
    ],
)
def test_bad_arguments_exit_with_two_and_leave_nothing(data, tmp_path, args, message):
    usual = ["--compound", "theophylline", "--compartment", "1=oral"]
    text = run(data, *usual, "--out", tmp_path / "out", *args, code=2)
    assert message in text and not (tmp_path / "out").exists()
