"""Times are checked in one place, for simulations, analyses and forecasts alike."""

from __future__ import annotations

import numpy as np
import pytest

from pbpk_hybrid._core.arguments import check_increasing, check_times
from pbpk_hybrid._core.errors import InputError, UnitError


def test_numbers_and_texts_become_hours():
    assert check_times("times", [0, "30 min", 1.5]).tolist() == [0.0, 0.5, 1.5]
    assert check_times("times", 2).tolist() == [2.0]


@pytest.mark.parametrize("times", [[], "0:24", {"a": 1}, b"1"])
def test_what_is_no_time_is_refused(times):
    with pytest.raises(InputError, match="times"):
        check_times("times", times)


def test_another_quantity_is_refused():
    with pytest.raises(UnitError):
        check_times("times", ["3 mg"])


@pytest.mark.parametrize("times", [[0, 1, 1, 2], [0, 2, 1]])
def test_the_place_of_a_time_that_does_not_increase_is_named(times):
    i = int(np.flatnonzero(np.diff(times) <= 0)[0])
    with pytest.raises(InputError, match=rf"times\[{i + 1}\].*times\[{i}\] = {times[i]} h"):
        check_times("times", times)


def test_a_subject_is_named():
    with pytest.raises(InputError, match="subject"):
        check_increasing("time", np.array([1.0, 0.0]), subject=3)
