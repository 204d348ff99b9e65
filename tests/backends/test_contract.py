"""The package's own backends keep the contract: same numbers, same errors, same attributes."""

from __future__ import annotations

from pbpk_hybrid.testing import AreaContract, BackendContract


class TestSolutions(BackendContract):
    """Every backend that can run here: the fixture `backend` of `conftest.py`."""


class TestAreas(AreaContract):
    """AUC and AUMC of every backend."""


def test_a_backend_has_the_name_it_is_asked_for_by(backend, backend_name):
    assert backend.name == backend_name
