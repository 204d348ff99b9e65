"""A run that is killed before any one of its steps on the disk is finished by the same command.

The journal is written before the store. Each child counts the calls that change the disk and ends,
as a kill does, before the k-th of them; the parent then runs the same command and compares.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pbpk_hybrid._core.errors import StoreError
from pbpk_hybrid.scale import Cohort, draw_cohort, verify_cohort
from pbpk_hybrid.scale.store import CohortStore

pytest.importorskip("zarr")
pytest.importorskip("dask")

#: what changes the disk: in the operating system's module, and what the store does with a chunk
_STEPS = ((os, "replace"), (os, "rename"), (os, "unlink"), (shutil, "rmtree"), (os, "rmdir"))
_MOST = 60


def draw(store: Path, seed: int = 3, **more):
    return draw_cohort(Cohort(25, seed=seed), store=store, workers=1, **more)


def numbers(path: Path) -> dict[str, bytes]:
    return {
        str(f.relative_to(path)): f.read_bytes()
        for f in sorted(path.rglob("*"))
        if f.is_file() and f.name[0] != "."
    }


def killed_at(k: int, action) -> bool:
    """Run in a child that ends before step k; whether there was such a step."""
    child = os.fork()
    if child == 0:
        try:
            left = [k]
            for module, name in _STEPS:

                def counted(*args, _real=getattr(module, name), **keywords):
                    left[0] -= 1
                    if left[0] < 0:
                        os._exit(9)
                    return _real(*args, **keywords)

                setattr(module, name, counted)
            action()
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    code = os.WEXITSTATUS(status)
    assert os.WIFEXITED(status) and code in (0, 9), f"step {k}: ended with {code}"
    return code == 9


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "x.zarr"
    draw(path)
    return numbers(path)


def steps(action_of, tmp_path):
    """(k, store) for every step of an action that is killed before it."""
    for k in range(_MOST):
        folder = tmp_path / str(k)
        folder.mkdir()
        store = folder / "x.zarr"
        action = action_of(store)
        if not killed_at(k, action):
            assert k > 3
            return
        yield k, store
    raise AssertionError("more steps than were looked at")


def test_a_first_run_killed_before_any_step_is_finished_by_the_same_command(whole, tmp_path):
    for k, store in steps(lambda store: lambda: draw(store), tmp_path):
        draw(store)
        assert numbers(store) == whole, f"killed before step {k}"
        assert verify_cohort(store) == []
        assert {f.name for f in store.parent.iterdir()} == {"x.zarr", "x.zarr.run"}


def test_an_overwriting_run_killed_before_any_step_never_passes_old_chunks_off_as_new(
    whole, tmp_path
):
    def other_first(store):
        draw(store, seed=4)
        return lambda: draw(store, overwrite=True)

    for k, store in steps(other_first, tmp_path):
        try:
            draw(store)  # without overwrite: either it goes on with the new run, or says no
        except StoreError as error:
            assert "overwrite=True" in str(error)
            draw(store, overwrite=True)
        assert numbers(store) == whole, f"killed before step {k}"
        assert {f.name for f in store.parent.iterdir()} == {"x.zarr", "x.zarr.run"}


def test_a_store_whose_journal_was_begun_is_finished_and_one_of_a_stranger_is_not(whole, tmp_path):
    store = tmp_path / "x.zarr"
    draw(store)
    shutil.rmtree(store)  # the journal is there, the store is not
    draw(store)
    assert numbers(store) == whole
    shutil.rmtree(tmp_path / "x.zarr.run")
    with pytest.raises(StoreError, match="not an unfinished run"):
        draw(store)
    assert CohortStore(store, 2000, 25).chunks == 1
