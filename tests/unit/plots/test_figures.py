"""Organ panels, goodness of fit, the two-panel figure, and files."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

from pbpk_hybrid._core.errors import InputError, OutOfRangeWarning, UnknownNameError
from pbpk_hybrid.plots import goodness_of_fit, organ_panels, profile_figure, save_figure


def test_panels_show_every_compartment_with_a_concentration(make_simulation):
    panels = organ_panels(make_simulation(), figure=Figure())
    assert [ax.get_title(loc="left") for ax in panels] == ["plasma", "liver"]


def test_panels_follow_the_order_asked_for_and_hide_the_rest_of_the_grid(make_simulation):
    figure = Figure()
    panels = organ_panels(make_simulation(), ["liver", "plasma", "liver"], columns=2, figure=figure)
    assert [ax.get_title(loc="left") for ax in panels] == ["liver", "plasma", "liver"]
    assert [ax.get_visible() for ax in figure.axes] == [True, True, True, False]
    assert figure.get_supxlabel() == "time [h]" and figure.get_supylabel() == "concentration [mg/L]"


@pytest.mark.parametrize("log", [False, True])
def test_panels_with_a_common_axis_span_all_of_them(make_simulation, log):
    sim = make_simulation()
    plasma, liver = organ_panels(sim, share_y=True, log=log, figure=Figure())
    assert plasma.get_ylim() == liver.get_ylim()
    assert plasma.get_ylim()[1] > float(sim.pk.tissue("liver").max()) * 0.95
    assert plasma.get_ylim()[0] < float(sim.pk.plasma.quantile(0.05, "subject")[-1])


def test_panels_that_cannot_be_drawn_are_refused(make_simulation):
    with pytest.raises(UnknownNameError, match="liver"):
        organ_panels(make_simulation(), ["livre"])
    with pytest.raises(InputError, match="columns"):
        organ_panels(make_simulation(), columns=0)
    with pytest.raises(InputError, match="organs"):
        organ_panels(make_simulation(), [])


def test_goodness_of_fit_writes_the_fold_errors(ax):
    observed = np.array([1.0, 10.0, 100.0, 5.0])
    goodness_of_fit(
        observed * [1.5, 1 / 1.5, 3.0, 1.0], observed, ax=ax, quantity="AUC", units="mg*h/L"
    )
    text = ax.texts[0].get_text()
    aafe = 10 ** np.mean(np.log10([1.5, 1.5, 3.0, 1.0]))
    assert "n = 4" in text and "75 % within 2-fold" in text
    assert f"AAFE {aafe:.2f}" in text and f"AFE {3**0.25:.2f}" in text
    assert (
        ax.get_xlabel() == "observed AUC [mg*h/L]" and ax.get_ylabel() == "predicted AUC [mg*h/L]"
    )
    assert ax.get_xlim() == ax.get_ylim()


def test_goodness_of_fit_names_only_what_lies_outside(ax):
    goodness_of_fit(
        [1, 5, 1], [1, 1, 9], names=["a", "b", "c"], groups=["x", "x", "y"], statistics=False, ax=ax
    )
    assert {t.get_text() for t in ax.texts} == {"b", "c"}
    assert {"x", "y", "identity", "within 2-fold"} <= set(ax.get_legend_handles_labels()[1])


def test_goodness_of_fit_leaves_zeros_out_with_a_warning(ax):
    with pytest.warns(OutOfRangeWarning, match="1 values of the predictions"):
        goodness_of_fit([0.0, 1.0], [1.0, 1.0], ax=ax)
    assert "n = 1" in ax.texts[0].get_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([1, 2], [1]), "observed"),
        (([], []), "observed"),
        (([1], [1], {"fold": 1.0}), "fold"),
        (([1], [1], {"groups": ["a", "b"]}), "groups"),
        (([np.nan], [1.0]), "predicted"),
    ],
)
def test_goodness_of_fit_refuses_what_it_cannot_compare(arguments, words):
    options = arguments[2] if len(arguments) > 2 else {}
    with pytest.raises(InputError, match=words):
        goodness_of_fit(arguments[0], arguments[1], **options)


def test_profile_figure_has_a_linear_and_a_log_panel_and_says_what_was_simulated(
    make_simulation, observed
):
    sim = make_simulation(n=6, failed=[5])
    figure = profile_figure(sim, observed(sim))
    assert [ax.get_yscale() for ax in figure.axes] == ["linear", "log"]
    assert figure.get_suptitle() == "testine, 100 mg, 5 subjects"
    assert profile_figure(sim, title="mine", figure=Figure()).get_suptitle() == "mine"


def test_title_gives_the_range_of_different_doses(make_simulation):
    sim = make_simulation(n=3)
    sim["dose"] = ("subject", [50.0, 70.0, 90.0])
    assert "50 to 90 mg" in profile_figure(sim, figure=Figure()).get_suptitle()


@pytest.mark.parametrize(
    ("name", "start"),
    [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF"), ("b/A.PNG", b"\x89PNG")],
)
def test_figures_are_written_in_the_format_of_their_name(ax, tmp_path, name, start):
    path = save_figure(ax, tmp_path / name, dpi=20)
    assert path.read_bytes().startswith(start) and [p.name for p in path.parent.iterdir()] == [
        path.name
    ]


def test_other_formats_and_other_things_are_refused(ax, tmp_path):
    with pytest.raises(InputError, match="path"):
        save_figure(ax, tmp_path / "a.bmp")
    with pytest.raises(InputError, match="figure"):
        save_figure("figure", tmp_path / "a.png")


def test_a_figure_that_cannot_be_drawn_leaves_the_old_file(ax, tmp_path):
    path = save_figure(ax, tmp_path / "a.png", dpi=20)
    before = path.read_bytes()
    ax.set_title(r"$\broken{$")
    with pytest.raises(ValueError, match="broken"):
        save_figure(ax, path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_importing_the_room_does_not_import_matplotlib():
    code = "import sys, pbpk_hybrid.plots, pbpk_hybrid.nca, pbpk_hybrid.results; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
