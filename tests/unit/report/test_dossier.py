"""A dossier holds what was run, marks what the author has to state, and is refused before it runs."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import pbpk_hybrid as ph
from pbpk_hybrid._core.errors import InputError, UnknownNameError
from pbpk_hybrid.cli.app import app
from pbpk_hybrid.report.assessment import FACTORS, Assessment, factor_table
from pbpk_hybrid.report.blocks import ASKED
from pbpk_hybrid.report.dossier import _study, compose
from pbpk_hybrid.report.evidence import validate, verify

STATED = {
    "question_of_interest": "Which exposure do 5 mg give?",
    "model_influence": "medium: a study is there as well",
}


@pytest.fixture(scope="module")
def blocks():
    people = ph.sample_population(8, seed=1)
    study = _study("midazolam", "5 mg oral", people, {}, 1)
    return compose(study, Assessment.read(STATED), None, None)


@pytest.fixture(scope="module")
def tables(blocks):
    return {b.caption.split(".")[0]: b for b in blocks if type(b).__name__ == "Table"}


def table(tables, start):
    return next(t for caption, t in tables.items() if caption.startswith(start))


def test_every_table_and_picture_has_a_source(blocks):
    made = [b for b in blocks if hasattr(b, "source")]
    assert len(made) > 10
    assert all(b.source.strip() for b in made)


def test_what_the_author_states_and_what_is_still_asked(tables, blocks):
    assessment = dict(table(tables, "Assessment").rows)
    assert assessment["Question of interest"] == "Which exposure do 5 mg give?"
    assert assessment["Context of use"] == ASKED
    assert "GMFE" in assessment["Outcome of the evaluation"]
    asked = sum(c == ASKED for b in blocks if hasattr(b, "rows") for row in b.rows for c in row)
    assert any(getattr(b, "text", "").startswith(f"{asked} cells") for b in blocks)


def test_checks_are_run_and_pass(tables):
    rows = table(tables, "Checks of the computation").rows
    assert len(rows) == 5 and all(row[-1] == "yes" for row in rows)
    assert all(0 < float(row[2]) < 1e-5 for row in rows)


def test_a_wrong_solver_would_fail_its_check(monkeypatch):
    """The same check on a run whose curves are a thousandth too high."""
    from pbpk_hybrid.report import evidence

    person = ph.reference_individual("human")
    system = ph.whole_body_system(ph.get_compound("midazolam"), person)
    real = evidence.simulate_system

    def wrong(*args, **kwargs):
        run = real(*args, **kwargs)
        if kwargs.get("options") is not None and kwargs["options"].rtol > 1e-9:
            if kwargs["options"].method != "expm":
                run["concentration"] = run["concentration"] * 1.001
        return run

    monkeypatch.setattr(evidence, "simulate_system", wrong)
    checks = verify(system, ph.Regimen.parse("5 mg oral"), person["body_weight"].values, 24.0)
    assert [c.passed for c in checks][:3] == [True, False, False]


def test_fold_errors_by_hand():
    """One's own samples: predicted over observed AUC and Cmax, against numpy."""
    person = ph.reference_individual("human")
    times = np.array([0.0, 0.5, 1, 2, 4, 8])
    run = ph.simulate("theophylline", "320 mg oral", person, times, compartments=["plasma"])
    curve = run["concentration"].values[0, :, 0]
    from pbpk_hybrid.nca.tables import read_profile_table
    from pbpk_hybrid.report.evidence import Validation, own_profiles

    rows = [
        (s, t, f * c)
        for s, f in (("a", 2.0), ("b", 0.8))
        for t, c in zip(times, curve, strict=True)
        if t > 0
    ]
    table = pd.DataFrame(rows, columns=["subject", "time", "concentration"])
    data = own_profiles(read_profile_table(table).observations, ph.Regimen.parse("320 mg oral"))
    profiles = validate(ph.get_compound("theophylline"), person, data, {})
    assert (profiles["cmax_predicted"] / profiles["cmax"]).tolist() == pytest.approx([0.5, 1.25])
    errors = Validation(profiles, None).fold_errors()
    assert errors.loc["auc", "gmfe"] == pytest.approx(np.sqrt(2 * 1.25), rel=1e-6)
    assert errors.loc["auc", "mean_ratio"] == pytest.approx(np.sqrt(0.5 * 1.25), rel=1e-6)
    assert errors.loc["cmax", "within_1.5"] == 0.5


def test_the_three_kinds_of_file(tmp_path):
    docx = pytest.importorskip("docx")
    pytest.importorskip("reportlab")
    paths = [tmp_path / f"d.{kind}" for kind in ("html", "docx", "pdf")]
    files = ph.dossier(paths, "theophylline", "320 mg oral", 5, assessment=STATED)
    assert files == paths and all(p.stat().st_size > 20_000 for p in paths)
    page = paths[0].read_text()
    for section in (
        "2 Model",
        "4 Verification",
        "5 Validation",
        "6 Sensitivity",
        "7 Applicability",
    ):
        assert section in page
    assert "<script" not in page and not re.search(r'(src|href)="http', page)
    words = [p.text for p in docx.Document(paths[1]).paragraphs]
    assert "4 Verification" in words
    cells = [c.text for t in docx.Document(paths[1]).tables for row in t.rows for c in row.cells]
    assert "Which exposure do 5 mg give?" in cells and ASKED in cells
    assert paths[2].read_bytes().startswith(b"%PDF")


def test_text_of_the_author_is_never_markup(tmp_path):
    stated = {"context_of_use": '<img src=x onerror="alert(1)">'}
    ph.dossier(tmp_path / "d.html", "theophylline", "320 mg oral", 3, assessment=stated)
    assert "<img src=x" not in (tmp_path / "d.html").read_text()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"path": "d.txt"}, InputError, r"\.html, \.docx or \.pdf"),
        ({"path": []}, InputError, "at least one file"),
        ({"compound": "nothing at all"}, UnknownNameError, "a known compound"),
        ({"compound": 3}, InputError, "a Compound"),
        ({"regimen": 5}, InputError, "text such as"),
        ({"assessment": {"model_influence": "very"}}, InputError, "a rating"),
        ({"assessment": {"model_risk": "low"}}, InputError, "the reason"),
        ({"assessment": {"question": "?"}}, UnknownNameError, "question_of_interest"),
        ({"assessment": {"context_of_use": " "}}, InputError, "text"),
        ({"kp": {}}, InputError, "a choice of the model"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_runs(change, error, words, monkeypatch):
    from pbpk_hybrid.report import dossier as module

    monkeypatch.setattr(module, "simulate", lambda *a, **k: pytest.fail("it ran"))
    given = {
        "path": "d.html",
        "compound": "midazolam",
        "regimen": "5 mg oral",
        "people": 2,
        **change,
    }
    path, compound, regimen, people = (
        given.pop(k) for k in ("path", "compound", "regimen", "people")
    )
    with pytest.raises(error, match=words):
        ph.dossier(path, compound, regimen, people, **given)


def test_factors_are_those_of_the_standard():
    assert len(FACTORS) == 13
    rows = factor_table({"model form": "x"}).rows
    assert [r[2] for r in rows].count(ASKED) == 12
    with pytest.raises(UnknownNameError):
        factor_table({"nothing": "x"})


def test_the_command(tmp_path):
    out = tmp_path / "d.html"
    arguments = ["report", "theophylline", "--dose", "320 mg oral", "-n", "3", "--seed", "2"]
    done = CliRunner().invoke(app, [*arguments, "-o", str(out), "--question", "How much?"])
    assert done.exit_code == 0, done.output
    assert "How much?" in out.read_text() and "seed 2" in done.output
    done = CliRunner().invoke(app, ["report", "theophylline", "-o", str(out)])
    assert done.exit_code == 2 and "--dose" in done.output
    done = CliRunner().invoke(app, [*arguments, "--consequence", "bad", "-o", str(out)])
    assert done.exit_code == 2 and "consequence_of_wrong_decision" in done.output
