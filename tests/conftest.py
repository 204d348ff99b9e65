"""What every test may use: seeds, the list of backends, and quiet, headless matplotlib."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("MPLBACKEND", "Agg")

settings.register_profile(
    "default",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile(
    "search", parent=settings.get_profile("default"), derandomize=False, max_examples=1000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def _backends() -> list:
    """Every backend; those that cannot run here carry a skip with the reason."""
    from pbpk_hybrid.solvers.select import BACKENDS, availability

    out = []
    for name in BACKENDS:
        state = availability(name)
        # a test that ran before in this process may have imported torch; the warning about that is not what is tested here
        warned = pytest.mark.filterwarnings("ignore:torch was imported")
        marks = [pytest.mark.julia, warned] if name == "julia" else []
        if not state.ok:
            marks.append(pytest.mark.skip(reason=f"backend {name}: {state.reason}"))
        out.append(pytest.param(name, marks=marks))
    return out


def pytest_generate_tests(metafunc):
    if "backend_name" in metafunc.fixturenames:
        metafunc.parametrize("backend_name", _backends())


@pytest.fixture
def backend(backend_name):
    from pbpk_hybrid.solvers.select import get_backend

    return get_backend(backend_name)
