"""Compiled kernels are loaded from the disk only while every file they are made from is the same."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pbpk_hybrid.solvers.embedded import compiled

FOLDER = Path(compiled.__file__).parent
INNER = """from .compiled import kernel


@kernel(forceinline=True)
def inner(x):
    return x + {number}
"""
OUTER = """{imports}
from .inner import inner


@{decorator}
def outer(x):
    return 10 * inner(x)


print(outer(1), sum(outer.stats.cache_hits.values()))
"""


@pytest.fixture
def package(tmp_path):
    """A package of two kernels, one inlined into the other, beside a copy of the decorator."""
    folder = tmp_path / "solvers" / "kernels"
    folder.mkdir(parents=True)
    for name in ("__init__.py", "../__init__.py", "../base.py", "run.py"):
        (folder / name).write_text("")
    shutil.copy(compiled.__file__, folder / "compiled.py")
    write(folder, 1)
    return folder


def write(folder, number, imports="from .compiled import kernel", decorator="kernel()"):
    (folder / "inner.py").write_text(INNER.format(number=number))
    (folder / "outer.py").write_text(OUTER.format(imports=imports, decorator=decorator))


def run(folder):
    """What the outer kernel gives for 1, and how often it came from the cache, in a new process."""
    command = [sys.executable, "-m", "solvers.kernels.outer"]
    env = {**os.environ, "PYTHONPATH": str(folder.parents[1]), "NUMBA_CACHE_DIR": ""}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return tuple(int(word) for word in done.stdout.split())


def test_an_edit_of_an_inlined_file_is_seen(package):
    assert run(package) == (20, 0)
    assert run(package) == (20, 1)
    write(package, 2)
    assert run(package) == (30, 0)


def test_an_edit_of_a_constant_is_seen_and_one_of_a_caller_costs_nothing(package):
    run(package)
    (package / "run.py").write_text("# no kernel\n")
    assert run(package) == (20, 1)
    (package.parent / "base.py").write_text("ADD = 1\n")
    assert run(package) == (20, 0)


def test_plain_numba_does_not_see_it(package):
    """If numba did, this package's own decorator would not be needed."""
    plain = {"imports": "from numba import njit", "decorator": "njit(cache=True)"}
    write(package, 1, **plain)
    run(package)
    write(package, 2, **plain)
    assert run(package) == (20, 1)


def test_every_kernel_is_compiled_by_it():
    for path in FOLDER.rglob("*.py"):
        if path.name != "compiled.py":
            assert "njit" not in re.sub(r'""".*?"""', "", path.read_text(), flags=re.S), path


def test_no_kernel_takes_anything_from_the_files_left_out():
    left_out = "|".join(name.removesuffix(".py") for name in compiled.WITHOUT_KERNELS)
    for path in FOLDER.rglob("*.py"):
        if path.name not in compiled.WITHOUT_KERNELS:
            found = re.search(
                rf"from \.+({left_out}) import|from \. import.*\b({left_out})\b", path.read_text()
            )
            assert not found, (path, found)
