"""The packages and what they import: ``python docs/make/architecture.py [FILE.svg]``.

The site draws it while it is built. A package stands above those that it imports; lines
follow imports at the top of a module, without those that a longer way implies. Imports
inside functions are drawn for the entry points (command line, web app) alone.
"""

from __future__ import annotations

import ast
import sys
from html import escape
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "python" / "pbpk_hybrid"
WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 118, 44, 22, 46, 14
#: packages that load on use whatever they need: their imports inside functions count as well
ENTRY_POINTS = ("app", "cli")
#: colours that are readable on a light and on a dark page
BOX, LINE = "#00897b", "#8a8a8a"


def packages() -> dict[str, list[Path]]:
    """Name -> source files of every package directly below `pbpk_hybrid`."""
    return {
        init.parent.name: sorted(init.parent.rglob("*.py"))
        for init in sorted(PACKAGE.glob("*/__init__.py"))
        if not init.parent.name.startswith("_julia")
    }


def imports(files: dict[str, list[Path]]) -> dict[str, set[str]]:
    """Package -> packages that its modules import at their top."""
    found: dict[str, set[str]] = {name: set() for name in files}
    for name, paths in files.items():
        for path in paths:
            here = path.relative_to(PACKAGE).parts[:-1]
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(tree) if name in ENTRY_POINTS else tree.body:
                if isinstance(node, ast.ImportFrom) and node.level:
                    base = here[: len(here) - node.level + 1]
                    parts = (*base, *(node.module or "").split("."))
                    targets = parts[:1] if parts[0] else [alias.name for alias in node.names]
                    found[name] |= {t for t in targets if t in files and t != name}
    return found


def layers(graph: dict[str, set[str]]) -> dict[str, int]:
    """Package -> number of imports on the longest way down; 0 imports nothing."""

    def depth(name: str, above: tuple[str, ...] = ()) -> int:
        if name in above:
            raise ValueError(f"a circle of imports: {' -> '.join((*above, name))}")
        return max((1 + depth(n, (*above, name)) for n in graph[name]), default=0)

    return {name: depth(name) for name in graph}


def reduced(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The graph without edges that a longer way implies."""

    def below(name: str) -> set[str]:
        return set().union(*({n} | below(n) for n in graph[name])) if graph[name] else set()

    return {
        name: {n for n in direct if not any(n in below(other) for other in direct - {n})}
        for name, direct in graph.items()
    }


def svg() -> str:
    """The picture as SVG text."""
    files = packages()
    graph = imports(files)
    level = layers(graph)
    rows = [sorted(n for n in level if level[n] == k) for k in range(max(level.values()) + 1)]
    rows.reverse()
    widest = max(map(len, rows))
    width = 2 * MARGIN + widest * WIDTH + (widest - 1) * GAP_X
    height = 2 * MARGIN + len(rows) * HEIGHT + (len(rows) - 1) * GAP_Y
    corner = {}
    for y, row in enumerate(rows):
        used = len(row) * WIDTH + (len(row) - 1) * GAP_X
        for x, name in enumerate(row):
            left = (width - used) / 2 + x * (WIDTH + GAP_X)
            corner[name] = (left, MARGIN + y * (HEIGHT + GAP_Y))
    lines = [_line(corner[a], corner[b]) for a, bs in reduced(graph).items() for b in sorted(bs)]
    boxes = [_box(name, len(files[name]), *corner[name]) for name in corner]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" font-family="sans-serif">\n'
        + "\n".join(lines + boxes)
        + "\n</svg>\n"
    )


def _line(upper: tuple[float, float], lower: tuple[float, float]) -> str:
    x1, y1, x2, y2 = upper[0] + WIDTH / 2, upper[1] + HEIGHT, lower[0] + WIDTH / 2, lower[1]
    bend = (y2 - y1) / 2
    path = (
        f"M{x1:.0f},{y1:.0f} C{x1:.0f},{y1 + bend:.0f} {x2:.0f},{y2 - bend:.0f} {x2:.0f},{y2:.0f}"
    )
    return f'<path d="{path}" fill="none" stroke="{LINE}" stroke-width="1.3"/>'


def _box(name: str, modules: int, x: float, y: float) -> str:
    middle = x + WIDTH / 2
    return (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="{BOX}"/>'
        f'<text x="{middle:.0f}" y="{y + 19:.0f}" text-anchor="middle" font-size="14" '
        f'fill="white">{escape(name)}</text>'
        f'<text x="{middle:.0f}" y="{y + 35:.0f}" text-anchor="middle" font-size="10" '
        f'fill="white">{modules} modules</text>'
    )


def main() -> None:
    """Write the picture to a file, or to standard output."""
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(svg(), encoding="utf-8")
    else:
        print(svg(), end="")


if __name__ == "__main__":
    main()
