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
    "report": {
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
        "estimation",
    },  # a dossier runs what it reports
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
        "translation",
    },
    "app": {
        "_core",
        "compounds",
        "dosing",
        "simulation",
        "results",
        "nca",
        "plots",
        "report",
        "physiology",
        "models",
        "interchange",
        "estimation",
        "learn",
        "translation",
        "cli",
    },
    "compare": {
        "_core",
        "compounds",
        "models",
        "estimation",
        "plots",
        "learn",
    },  # learn and plots: on call
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
    "translation": {
        "_core",
        "physiology",
        "compounds",
        "dosing",
        "models",
        "simulation",
        "nca",
        "plots",
        "learn",
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
    "docx": {"report"},
    "reportlab": {"report"},
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


def at_module_level(body):
    """Import statements that run when a module is imported, without those for type checkers."""
    for node in body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif isinstance(node, ast.If):
            if "TYPE_CHECKING" not in ast.dump(node.test):
                yield from at_module_level(node.body)
            yield from at_module_level(node.orelse)
        elif isinstance(node, ast.Try):
            yield from at_module_level([*node.body, *node.orelse, *node.finalbody])
            for handler in node.handlers:
                yield from at_module_level(handler.body)
        elif isinstance(node, (ast.With, ast.ClassDef)):
            yield from at_module_level(node.body)


def module_name(path: Path) -> str:
    parts = ("pbpk_hybrid", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def targets(path: Path, nodes, known):
    """Absolute names of the modules that the import statements of a file name."""
    here = ("pbpk_hybrid", *path.relative_to(PACKAGE).parts[:-1])
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
            continue
        base = here[: len(here) - node.level + 1] if node.level else ()
        name = ".".join((*base, node.module) if node.module else base)
        for alias in node.names:
            inner = f"{name}.{alias.name}"
            yield inner if inner in known else name


def strongly_connected(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of two and more modules that reach each other (Tarjan 1972, SIAM J Comput 1:146)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    groups = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        stack.append(module)
        for other in graph[module]:
            if other not in number:
                visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in stack:
                lowest[module] = min(lowest[module], number[other])
        if lowest[module] == number[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                groups.append(sorted(group))

    for module in graph:
        if module not in number:
            visit(module)
    return groups


def test_strongly_connected_finds_a_circle():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}
    assert strongly_connected(graph) == [["b", "c"]]


#: circles through imports inside functions that are still there; a set may only get smaller
DEFERRED_CIRCLES: tuple[set[str], ...] = ()


def for_type_checkers(tree: ast.Module) -> set[ast.AST]:
    """Nodes under `if TYPE_CHECKING:`."""
    return {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }


def import_graph(deferred: bool) -> dict[str, set[str]]:
    """Module -> modules of the package it imports; `deferred`: inside functions too."""
    known = {module_name(path): path for path in modules()}
    graph = {}
    for name, path in known.items():
        tree = ast.parse(path.read_text())
        nodes = list(at_module_level(tree.body))
        if deferred:
            skipped = for_type_checkers(tree)
            nodes = [
                node
                for node in ast.walk(tree)
                if isinstance(node, (ast.Import, ast.ImportFrom)) and node not in skipped
            ]
        graph[name] = {t for t in targets(path, nodes, known) if t in known and t != name}
    return graph


def test_no_module_imports_in_a_circle():
    graph = import_graph(deferred=False)
    circles = strongly_connected(graph)
    assert not circles, "\n".join(
        f"{a} -> {sorted(graph[a] & set(circle))}" for circle in circles for a in circle
    )


def test_no_new_circle_through_imports_inside_functions():
    circles = [
        {name.removeprefix("pbpk_hybrid.") for name in circle}
        for circle in strongly_connected(import_graph(deferred=True))
    ]
    assert not [c for c in circles if not any(c <= known for known in DEFERRED_CIRCLES)]


def test_every_import_of_the_package_finds_its_module():
    """Those inside functions too, which nothing else reads before a user calls the function."""
    known = {module_name(path) for path in modules()}
    lost = []
    for path in modules():
        nodes = [
            node
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, (ast.Import, ast.ImportFrom))
        ]
        named = {t for t in targets(path, nodes, known) if t.split(".")[0] == "pbpk_hybrid"}
        lost += [f"{path.relative_to(PACKAGE)}: {t}" for t in sorted(named - known)]
    assert not lost
