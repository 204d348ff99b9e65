"""Rooms import one way, heavy packages stay out of `import pbpk_hybrid`, and the top level is what it should be."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "python" / "pbpk_hybrid"

#: room -> rooms it may import besides itself
ALLOWED = {
    "_core": set(),
    "physiology": {"_core"},
    "compounds": {"_core", "physiology"},
    "dosing": {"_core"},
    "models": {"_core", "physiology", "compounds"},
    "solvers": {"_core", "models", "dosing"},
    "simulation": {
        "_core",
        "physiology",
        "compounds",
        "dosing",
        "models",
        "solvers",
        "scale",
    },  # scale: inside simulate(chunks=...), on call
    "scale": {
        "_core",
        "physiology",
        "compounds",
        "dosing",
        "solvers",
        "simulation",
        "nca",
        "learn",
    },  # nca and learn: by the work on chunks, on call
    "results": {
        "_core",
        "nca",
        "plots",
        "physiology",
    },  # nca and plots: inside accessor methods, on call
    "nca": {"_core", "results"},
    "plots": {"_core", "results", "nca"},
    "report": {"_core", "compounds", "results", "plots"},
    "interchange": {"_core", "physiology", "compounds", "dosing", "models", "solvers"},
    "estimation": {
        "_core",
        "results",
        "physiology",
        "compounds",
        "dosing",
        "models",
        "solvers",
        "simulation",
        "nca",
        "plots",
    },
    "cli": {
        "_core",
        "physiology",
        "compounds",
        "dosing",
        "models",
        "solvers",
        "simulation",
        "results",
        "nca",
        "plots",
        "learn",
        "scale",
        "report",
        "estimation",
    },
    "app": {
        "_core",
        "compounds",
        "dosing",
        "simulation",
        "results",
        "nca",
        "plots",
        "learn",
        "cli",
    },
    "testing": {"_core", "physiology", "compounds", "dosing", "models", "solvers"},
    "learn": {
        "_core",
        "physiology",
        "compounds",
        "dosing",
        "models",
        "solvers",
        "simulation",
        "results",
        "nca",
    },
}

#: package -> the only rooms that may import it
RESERVED = {
    "juliacall": {"solvers/julia"},
    "juliapkg": {"solvers/julia"},
    "torch": {"learn", "solvers/julia"},
    "torch_geometric": {"learn"},
    "dask": {"scale"},
    "distributed": {"scale"},
    "nutpie": {"estimation"},
    "SALib": {"estimation"},
    "libsbml": {"interchange"},
    "streamlit": {"app"},
    "pytest": {"testing"},
    "hypothesis": {"testing"},
}


def modules():
    return sorted(p for p in PACKAGE.rglob("*.py") if "_julia" not in p.parts)


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported(path: Path):
    """(absolute module name, line) of every import in a file, relative ones resolved."""
    here = ("pbpk_hybrid", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else ()
            name = ".".join((*base, node.module) if node.module else base)
            if name == "pbpk_hybrid":  # `from . import physiology`
                yield from ((f"pbpk_hybrid.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield name, node.lineno


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    room = room_of(path)
    if room in ("__init__", "__main__"):
        return
    assert room in ALLOWED, f"{room} is a new room: say here what it may import"
    for name, line in imported(path):
        parts = name.split(".")
        if parts[0] == "pbpk_hybrid" and len(parts) > 1 and parts[1] != room:
            assert parts[1] in ALLOWED[room], f"{path.name}:{line} {room} may not import {parts[1]}"
        if parts[0] in RESERVED:
            where = str(path.relative_to(PACKAGE).parent)
            who = RESERVED[parts[0]]
            assert any(where == w or where.startswith(w + "/") for w in who), (
                f"{path.name}:{line} {parts[0]} is for {who}"
            )


@pytest.mark.parametrize(
    "package",
    [
        "torch",
        "torch_geometric",
        "juliacall",
        "matplotlib",
        "numba",
        "pint",
        "pandas",
        "xarray",
        "scipy",
        "typer",
        "pytest",
        "hypothesis",
    ],
)
def test_import_of_the_package_does_not_import(package):
    code = f"import sys, pbpk_hybrid; sys.exit({package!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_top_level_holds_what_the_layout_says():
    for name in (
        "python/pbpk_hybrid",
        "julia",
        "tests",
        "benchmarks",
        "pyproject.toml",
        "Project.toml",
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        ".ci/run",
    ):
        assert (ROOT / name).exists(), name


def test_every_public_name_can_be_loaded():
    import pbpk_hybrid

    for name in pbpk_hybrid.__all__:
        assert getattr(pbpk_hybrid, name) is not None


def test_no_module_is_longer_than_800_lines():
    long = {
        str(p.relative_to(PACKAGE)): n
        for p in modules()
        if (n := len(p.read_text().splitlines())) > 800
    }
    assert not long


def test_wheel_data_folders_carry_a_licence_and_a_source():
    """Every folder of upstream data inside the package says where it is from and under which licence."""
    for data in PACKAGE.rglob("data"):
        for folder in (d for d in data.iterdir() if d.is_dir()):
            if folder.name in ("own", "curated"):
                continue  # ours; sources stand in the rows
            names = {p.name.upper() for p in folder.iterdir()}
            if data.parent.name == "learn":  # checkpoints trained here: how, from what, how good
                assert any(n.startswith(("README", "LICENSE")) for n in names), folder
                continue
            assert any(n.startswith("LICENSE") for n in names), folder
            assert any(n.startswith(("SOURCE", "README")) for n in names), folder


def test_no_lazy_name_is_also_a_module_of_its_room():
    """An import of the module would put it in the name's place."""
    import importlib

    clashes = []
    for init in PACKAGE.rglob("__init__.py"):
        if "lazy_names(" in init.read_text() and init.parent.name != "_core":
            room = ".".join(("pbpk_hybrid", *init.parent.relative_to(PACKAGE).parts))
            files = {p.stem for p in init.parent.glob("*.py")} | {
                p.parent.name for p in init.parent.glob("*/__init__.py")
            }
            clashes += [
                f"{room}.{name}" for name in set(importlib.import_module(room).__all__) & files
            ]
    assert set(clashes) <= {"pbpk_hybrid.nca"}, clashes  # that room can be called, for this reason
