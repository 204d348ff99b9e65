"""The pictures show what they should."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.estimation import (
    fit,
    plot_observed_predicted,
    plot_profile,
    plot_residuals,
    profile_likelihood,
)

matplotlib.use("Agg")


def test_pictures_of_a_fit(model, observe):
    t = np.array([0.5, 1, 2, 4, 8, 12, 24.0])
    y = np.array([1.5, 2.3, 2.8, 2.6, 1.8, 1.2, 0.35])
    found = fit(model(), observe(t, y, lloq=0.5), ["cl", "v"], regimen="100 mg oral")
    ax = plot_observed_predicted(found)
    assert len(ax.lines[-1].get_xdata()) == 6  # the censored one is left out
    assert plot_residuals(found).get_xlabel() == "time [h]"
    assert plot_residuals(found, against="predicted").get_xscale() == "log"
    profile = profile_likelihood(found, "cl")["cl"]
    ax = plot_profile(profile)
    assert ax.get_xlabel() == "cl" and profile.rise.min() == 0.0
    with pytest.raises(ph.InputError, match="subject"):
        plot_residuals(found, against="subject")
    import matplotlib.pyplot as plt

    plt.close("all")
