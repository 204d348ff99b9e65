"""What takes minutes: a million people in bounded memory, and twenty workers killed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import scale_cohort

from pbpk_hybrid.scale import open_cohort, verify_cohort

pytestmark = pytest.mark.nightly


def test_a_million_people_fit_in_four_gib(tmp_path):
    _, peak = scale_cohort.run(tmp_path / "x.zarr", 1_000_000, 2)
    assert peak < 4.0
    ds = open_cohort(tmp_path / "x.zarr")
    assert ds.sizes["subject"] == 1_000_000 and ds.attrs["failed_subjects"] == 0
    assert verify_cohort(tmp_path / "x.zarr") == []
    mean = ds["concentration"].sel(compartment="plasma").max("time").mean().compute()
    assert np.isfinite(mean) and 2 < float(mean) < 20


def test_twenty_killed_workers_leave_the_store_as_if_undisturbed(tmp_path):
    hit, equal = scale_cohort.killed_at_random(tmp_path, 60_000, 20)
    assert equal == 20
    assert hit >= 15  # a run may have ended before its turn to be hit
