from __future__ import annotations

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure


@pytest.fixture
def ax():
    """Axes of a figure that pyplot does not know: quick, and nothing to close."""
    return Figure().subplots()


@pytest.fixture(autouse=True)
def settings_are_left_alone():
    """No figure may change matplotlib's settings, its backend, or the figures of the user."""
    import matplotlib.pyplot as plt

    before, backend = dict(mpl.rcParams), mpl.get_backend()
    yield
    plt.close("all")
    assert dict(mpl.rcParams) == before and mpl.get_backend() == backend
