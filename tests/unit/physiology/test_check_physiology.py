"""check_physiology: what it lets pass, and how it names what it does not."""

from __future__ import annotations

import numpy as np
import pytest

from pbpk_hybrid._core.errors import FlowBalanceError, SchemaError, UnknownNameError
from pbpk_hybrid.physiology import check_physiology, reference_individual, sample_population


@pytest.fixture
def people():
    return sample_population(5, seed=1)


def test_returns_the_dataset_itself(people):
    assert check_physiology(people) is people


def test_order_of_organs_does_not_matter(people):
    check_physiology(people.isel(organ=slice(None, None, -1)))


def test_density_per_subject_is_allowed(people):
    people["density"] = people["density"].expand_dims(subject=people.sizes["subject"]).copy()
    people["density"].attrs["units"] = "kg/L"
    check_physiology(people)


def test_flows_that_do_not_balance_name_the_worst_subject(people):
    people["blood_flow"].loc[{"subject": 2, "organ": "muscle"}] *= 1.01
    people["blood_flow"].loc[{"subject": 3, "organ": "muscle"}] *= 1.5
    with pytest.raises(FlowBalanceError, match=r"blood_flow.*subject 3.*cardiac_output") as err:
        check_physiology(people)
    assert err.value.subject == 3


def test_volumes_that_do_not_add_to_the_weight_are_refused(people):
    people["volume"].loc[{"subject": 4, "organ": "liver"}] += 0.1
    with pytest.raises(FlowBalanceError, match=r"volume.*subject 4.*body_weight"):
        check_physiology(people)


def test_a_gap_below_the_tolerance_passes(people):
    people["volume"].loc[{"subject": 0, "organ": "liver"}] *= 1 + 1e-7
    check_physiology(people)


def test_lung_must_carry_the_whole_cardiac_output(people):
    people["blood_flow"].loc[{"subject": 1, "organ": "lung"}] *= 0.5
    with pytest.raises(FlowBalanceError, match=r"lung.*subject 1"):
        check_physiology(people)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("name", ["volume", "blood_flow"])
def test_a_value_that_is_not_positive_names_organ_and_subject(people, name, value):
    people[name].loc[{"subject": 2, "organ": "spleen"}] = value
    with pytest.raises(SchemaError, match=rf"{name}\[organ=spleen\].*subject 2"):
        check_physiology(people)


def test_unknown_organ_is_suggested(people):
    names = ["livver" if o == "liver" else str(o) for o in people["organ"].values]
    with pytest.raises(UnknownNameError, match="liver"):
        check_physiology(people.assign_coords(organ=names))


def test_missing_organ_is_named(people):
    with pytest.raises(SchemaError, match="missing: pancreas"):
        check_physiology(people.drop_sel(organ="pancreas"))


def test_repeated_organ_is_refused(people):
    import xarray as xr

    with pytest.raises(SchemaError, match="each organ once"):
        check_physiology(
            xr.concat([people, people.sel(organ=["skin"])], dim="organ", data_vars="minimal")
        )


def test_organ_without_names_is_refused(people):
    with pytest.raises(SchemaError, match="organ names"):
        check_physiology(people.drop_vars("organ"))


def test_hematocrit_in_percent_is_refused(people):
    people["hematocrit"][1] = 45.0
    with pytest.raises(SchemaError, match=r"hematocrit.*subject 1.*fraction"):
        check_physiology(people)


def test_filtration_above_renal_plasma_flow_is_refused():
    rat = reference_individual("rat")
    rat["gfr"][:] = rat["blood_flow"].sel(organ="kidney").values
    with pytest.raises(SchemaError, match="plasma flow of the kidney"):
        check_physiology(rat)


def test_wrong_units_are_refused(people):
    people["volume"].attrs["units"] = "mL"
    with pytest.raises(SchemaError, match="units 'L'"):
        check_physiology(people)


def test_missing_variable_is_named(people):
    with pytest.raises(SchemaError, match="cardiac_output"):
        check_physiology(people.drop_vars("cardiac_output"))


def test_something_else_is_refused():
    with pytest.raises(SchemaError, match="Dataset"):
        check_physiology({"volume": 1})
