"""Text of the command line."""

from __future__ import annotations

import numpy as np
import pytest

from pbpk_hybrid._core.errors import InputError
from pbpk_hybrid.cli.parsing import parse_names, parse_range, parse_sex, parse_times
from pbpk_hybrid.cli.study import dose_times, matching, published, single_dose, usual_dose
from pbpk_hybrid.dosing import Regimen


def test_times_as_range_or_list():
    np.testing.assert_allclose(parse_times("0:24:0.25"), np.arange(97) * 0.25)
    np.testing.assert_allclose(parse_times("0:24:0.1")[-1], 24)
    assert len(parse_times("0:24:0.1")) == 241 and len(parse_times("0:24")) == 97
    np.testing.assert_allclose(parse_times("0:1:0.3"), [0, 0.3, 0.6, 0.9, 1.0])
    np.testing.assert_allclose(parse_times("0, 1,2.5"), [0, 1, 2.5])


@pytest.mark.parametrize(
    "text", ["", "a", "0:24:0", "0:24:-1", "24:0:1", "0:1:2:3", "0:1e9:0.001", "0:inf:1", "1:1:1"]
)
def test_bad_times_are_refused(text):
    with pytest.raises(InputError, match="--times"):
        parse_times(text)


def test_ranges_names_and_sex():
    assert parse_range("20-60", "--age") == (20, 60) and parse_range("18.5:30", "--bmi") == (
        18.5,
        30,
    )
    assert parse_range("40", "--age") == 40 and parse_range(None, "--age") is None
    assert parse_names("plasma, liver") == ("plasma", "liver") and parse_names("all") is None
    assert parse_sex("female") == "female" and parse_sex("0.4") == 0.4
    with pytest.raises(InputError, match="--age"):
        parse_range("young", "--age")


def test_only_one_dose_at_time_zero_is_a_single_dose():
    one = single_dose(Regimen.parse("100 mg iv over 2 h"))
    assert (one.route, one.amount, one.duration) == ("iv_infusion", 100.0, 2.0)
    assert single_dose(Regimen.parse("100 mg oral q24h x2")) is None
    assert single_dose(Regimen.oral(10, 5.0)) is None


def test_dose_times_include_additional_doses():
    np.testing.assert_array_equal(dose_times(Regimen.parse("100 mg oral q12h x3")), [0, 12, 24])
    assert dose_times(Regimen.empty()).size == 0


def test_usual_dose_is_that_of_the_published_study():
    assert usual_dose(published("theophylline", "human", "shipped")) == "320 mg oral"
    assert usual_dose(published("warfarin", "human", "shipped")) == "15 mg oral"
    assert usual_dose(None) is None


def test_only_profiles_of_the_same_dose_and_route_are_compared():
    known = published("theophylline", "human", "shipped")
    same = matching(known, single_dose(Regimen.parse("320 mg oral")), 320.0)
    assert len(np.unique(same.subject)) == 12
    assert matching(known, single_dose(Regimen.parse("320 mg iv")), 320.0) is None
    assert matching(known, single_dose(Regimen.parse("100 mg oral")), 100.0) is None
    assert matching(known, None, 320.0) is None


def test_nothing_is_published_of_unknown_compounds_and_none_can_be_asked_for():
    assert published("mine", "human") is None and published("theophylline", "human", "none") is None


def test_ka_is_in_its_own_unit_or_in_the_one_it_says():
    from pbpk_hybrid.cli.parsing import parse_settings

    assert parse_settings(None, "1.5") == {"absorption_rate": "1.5 1/h"}
    assert parse_settings(None, "0.02 1/min") == {"absorption_rate": "0.02 1/min"}
    assert parse_settings(None, "fast") == {"absorption_rate": "fast"}
