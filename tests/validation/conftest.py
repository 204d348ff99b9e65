"""Lets the validation tests import the oracles that lie beside them (analytical.py, linear_reference.py)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


@pytest.fixture(scope="session")
def nlmixr2data() -> Path:
    """Folder of the nlmixr2data collection (GPL-3, not part of the package)."""
    root = HERE.parents[1]
    for folder in (
        root / "benchmarks" / "data" / "nlmixr2data",
        root.parent / "shared" / "data" / "nlmixr2data",
    ):
        if (folder / "nmtest.csv.gz").is_file():
            return folder
    pytest.skip("the nlmixr2data collection is not beside this repository")
