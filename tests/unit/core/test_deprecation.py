"""Old names keep working and say what replaced them; the table names things that exist."""

from __future__ import annotations

import importlib
import importlib.util

import pytest

from pbpk_hybrid._core.deprecation import (
    DEPRECATED,
    MOVED_MODULES,
    PBPKDeprecationWarning,
    Replacement,
    deprecated_names,
)

TABLE = {"package.old": Replacement("math.sqrt", "0.2", "0.4")}


def test_an_old_name_gives_the_new_object_and_warns_where_it_is_used():
    load = deprecated_names("package", table=TABLE)
    with pytest.warns(
        PBPKDeprecationWarning, match=r"package\.old is now math\.sqrt .*0\.4"
    ) as seen:
        found = load("old")
    assert found(9.0) == 3.0
    assert seen[0].filename == __file__
    assert issubclass(PBPKDeprecationWarning, DeprecationWarning)


def test_other_names_go_to_the_modules_own_loader_or_are_unknown():
    assert deprecated_names("package", lambda name: name.upper(), TABLE)("other") == "OTHER"
    with pytest.raises(AttributeError, match="no attribute 'other'"):
        deprecated_names("package", table=TABLE)("other")


@pytest.mark.parametrize("old", DEPRECATED)
def test_what_replaces_an_old_name_exists_and_the_old_name_works(old):
    where, _, name = DEPRECATED[old].new.rpartition(".")
    new = getattr(importlib.import_module(where), name)
    module, _, attribute = old.rpartition(".")
    with pytest.warns(PBPKDeprecationWarning):
        assert getattr(importlib.import_module(module), attribute) is new


@pytest.mark.parametrize("new", sorted(set(MOVED_MODULES.values())))
def test_a_moved_module_is_where_the_table_says(new):
    assert importlib.util.find_spec(f"pbpk_hybrid.{new}") is not None
