"""The HTML report stands alone, says what was done, and cannot be made to run anything."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid._core.errors import InputError
from pbpk_hybrid.report.html import write_report


class Page(HTMLParser):
    """Collects tags, attributes and text; void tags need no end."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *a) for a in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def simulation():
    people = ph.sample_population(12, seed=1)
    return ph.simulate(
        "midazolam", "5 mg oral", people, np.linspace(0, 24, 25), variability=ph.Variability()
    )


def page(tmp_path, sim, **given) -> Page:
    return Page(write_report(tmp_path / "r.html", sim, **given).read_text())


def test_it_is_whole_and_loads_nothing(simulation, tmp_path):
    drug = ph.get_compound("midazolam")
    result = ph.nca(simulation, route="oral")
    got = page(
        tmp_path,
        simulation,
        compound=drug,
        result=result,
        command="pbpk-hybrid simulate midazolam --seed 1",
    )
    assert got.open == [] and got.tags.count("img") == 2
    assert not {"script", "link", "iframe", "object"} & set(got.tags)
    sources = [value for _, name, value in got.attributes if name in ("src", "href")]
    assert sources and all(value.startswith("data:image/png;base64,") for value in sources)


def test_it_says_the_numbers_their_sources_and_how_they_were_made(simulation, tmp_path):
    drug = ph.get_compound("midazolam")
    result = ph.nca(simulation, route="oral")
    text = " ".join(
        page(tmp_path, simulation, compound=drug, result=result, command="the command").words
    )
    assert f"{float(result['cmax'].median()):.4g}" in text
    assert f"{drug.log_p:.6g}" in text and drug.sources["log_p"].split(";")[0][:30] in text
    for fact in (
        "embedded",
        "rodas5p",
        "Steinebach",
        "the command",
        "body weight",
        "AUC to infinity",
    ):
        assert fact in text, fact


def test_names_from_outside_are_text_not_markup(simulation, tmp_path):
    evil = '<script>alert(1)</script><img src=x onerror="alert(2)">'
    sim = simulation.assign_attrs(compound=evil, note=evil)
    got = page(tmp_path, sim, title=evil, command=evil, compound=ph.get_compound("midazolam"))
    assert "script" not in got.tags and got.tags.count("img") == 2
    assert not [a for a in got.attributes if a[1].startswith("on")]
    assert evil in "".join(got.words)


def test_failed_subjects_are_named_at_the_top(simulation, tmp_path):
    sim = simulation.copy(deep=True)
    sim["status"][3] = 2
    sim["concentration"][3] = np.nan
    text = write_report(tmp_path / "r.html", sim).read_text()
    assert re.search(r'class="w">1 of 12 subjects', text)


def test_other_endings_and_other_datasets_are_refused(simulation, tmp_path):
    with pytest.raises(InputError, match="path"):
        write_report(tmp_path / "r.pdf", simulation)
    with pytest.raises(InputError, match="sim"):
        write_report(tmp_path / "r.html", simulation[["status"]])
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_it(tmp_path):
    from typer.testing import CliRunner

    from pbpk_hybrid.cli.app import app

    given = ["simulate", "theophylline", "-n", "5", "--seed", "1", "-o", str(tmp_path), "-q"]
    done = CliRunner().invoke(app, [*given, "--report", str(tmp_path / "a.html")])
    assert done.exit_code == 0, done.output
    assert "theophylline" in (tmp_path / "a.html").read_text()
    bad = CliRunner().invoke(
        app, ["simulate", "theophylline", "-n", "5", "-o", str(tmp_path), "--report", "x.txt"]
    )
    assert bad.exit_code == 2
