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
_OTHERS = 6  # of the many steps that write one array of a draft, so many are tried


def draw(store: Path, seed: int = 3, **more):
    return draw_cohort(Cohort(25, seed=seed), store=store, workers=1, **more)


def numbers(path: Path) -> dict[str, bytes]:
    return {
        str(f.relative_to(path)): f.read_bytes()
        for f in sorted(path.rglob("*"))
        if f.is_file() and f.name[0] != "."
    }


def run_child(action, k: int, log: Path) -> bool:
    """Run in a child that ends before step k; whether there was such a step. Writes what the steps
    changed.
    """
    child = os.fork()
    if child == 0:
        try:
            done = []

            def counting(real):
                def counted(*args, **keywords):
                    if len(done) == k:
                        os._exit(9)
                    done.append(str(args[-1] if len(args) > 1 else args[0]))
                    return real(*args, **keywords)

                return counted

            for module, name in _STEPS:
                setattr(module, name, counting(getattr(module, name)))
            action()
            log.write_text("\n".join(done))
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
    """(k, store) for the steps of an action that is killed before it: all that change the store or
    the journal themselves, and some of those inside a draft.
    """
    log = tmp_path / "steps"
    (tmp_path / "all").mkdir()
    assert not run_child(action_of(tmp_path / "all" / "x.zarr"), 10**6, log)
    changed = log.read_text().splitlines()
    draft = [i for i, path in enumerate(changed) if "/.x.zarr." in path]
    own = [i for i in range(len(changed)) if i not in set(draft)]
    assert len(own) > 3 and len(draft) > _OTHERS
    for k in sorted({*own, *draft[:: len(draft) // _OTHERS], draft[-1]}):
        folder = tmp_path / str(k)
        folder.mkdir()
        store = folder / "x.zarr"
        assert run_child(action_of(store), k, log)
        yield k, store


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
