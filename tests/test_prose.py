"""How the package is written: format, lint, docstrings, words, types.

Where a package does not satisfy a check yet, `prose_allowed.json` holds how many findings it has. A count may only
fall. When it has fallen, store the new one:

    python tests/test_prose.py           prints every finding
    python tests/test_prose.py counts    prints the counts by package
    python tests/test_prose.py store     stores the counts that fell; it never raises one
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "python" / "pbpk_hybrid"
STORED = Path(__file__).with_name("prose_allowed.json")
COLUMNS = 100
FMT_SKIP_LIMIT = 30

#: words that no sentence and no table cell ends with
_NEVER_LAST = ("the", "a", "an", "of", "and", "or", "its", "per", "their")
_NEVER_LAST_WORD = re.compile(rf"\b({'|'.join(_NEVER_LAST)})$")
#: an item of a numpydoc section: `name : text`
_ITEM = re.compile(r"\*{0,2}[A-Za-z_][\w.]*(, \*{0,2}[A-Za-z_]\w*)* : \S")
_BARE_DECIMAL = re.compile(r"(?<![\w.\])}%])\.\d")
_OLD_WORDS = re.compile(r"\b(man|man's|mankind)\b")

Findings = Iterator[tuple[Path, int, str]]


def modules() -> list[Path]:
    """Every Python file of the package."""
    return sorted(p for p in PACKAGE.rglob("*.py") if "_julia" not in p.parts)


@cache
def docstrings(path: Path) -> list[tuple[int, str]]:
    """(line of the definition, docstring) of a file's module, classes and functions."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                found.append((getattr(node, "lineno", 1), text))
    return found


def public_functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions of a module and methods of its public classes, without those that begin with `_`."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from (n for n in node.body if _is_public(n))
        elif _is_public(node):
            yield node


def _is_public(node: ast.AST) -> bool:
    function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    return function and not node.name.startswith("_")


# ---- checks that have an allow-list: each yields (file, line, what was found) ----


def undocumented(path: Path) -> Findings:
    """Public functions without a docstring. Overloads have the docstring of the implementation."""
    for node in public_functions(ast.parse(path.read_text(encoding="utf-8"))):
        overload = any("overload" in ast.unparse(d) for d in node.decorator_list)
        setter = any(ast.unparse(d).endswith(".setter") for d in node.decorator_list)
        if not (overload or setter or ast.get_docstring(node)):
            yield path, node.lineno, f"{node.name} has no docstring"


def unannotated(path: Path) -> Findings:
    """Public functions with a parameter, or a result, without a type."""
    for node in public_functions(ast.parse(path.read_text(encoding="utf-8"))):
        found = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
        untyped = [a.arg for a in found if a.annotation is None and a.arg not in ("self", "cls")]
        untyped += [] if node.returns is not None else ["return"]
        if untyped:
            yield path, node.lineno, f"{node.name}: no type for {', '.join(untyped)}"


def broken_sentences(path: Path) -> Findings:
    """Docstring lines that a re-wrap left in pieces; see :func:`breaks_in`."""
    for line, text in docstrings(path):
        yield from ((path, line, what) for what in breaks_in(text))


def breaks_in(text: str) -> Iterator[str]:
    """Breaks of sentences in one docstring.

    Three kinds, each with a case that this package had:

    - the line before a blank line, or before less indented text, ends with a word that ends no
      sentence
      ("above 1 is outside. The largest of");
    - the text of a section's item goes on at the item's own indentation, where numpydoc reads
      a new item;
    - a line of at most four words in the middle of a paragraph ("an average" / "over many people").
    """
    lines = _without_blocks(text)
    for i, line in enumerate(lines):
        words, following = line.strip(), lines[i + 1] if i + 1 < len(lines) else ""
        if not words:
            continue
        indent, below = _indent(line), _indent(following)
        ends = not following.strip() or below < indent
        if ends and _NEVER_LAST_WORD.search(words) and not _formula_follows(lines, i + 1):
            yield f"ends in the middle of a sentence: {words!r}"
        if ends or below != indent:
            continue
        goes_on = bool(re.match(r"[a-z(]", following.strip())) and not _ITEM.match(
            following.strip()
        )
        if goes_on and i and _ITEM.match(words):
            yield f"an item goes on without indentation: {following.strip()!r}"
        elif goes_on and _is_orphan(words):
            yield f"a short line inside a sentence: {words!r}"


def _is_orphan(words: str) -> bool:
    if words == "<block>" or set(words) <= {"-", "="}:
        return False
    return len(words) < 40 and len(words.split()) <= 4 and not re.search(r"[.:;!?)\]]$| {2}", words)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _formula_follows(lines: list[str], start: int) -> bool:
    """Whether the next text is a block (formula, example), which ends the sentence."""
    rest = next((line for line in lines[start:] if line.strip()), "")
    return rest.strip() == "<block>"


def _without_blocks(text: str) -> list[str]:
    """Lines of a docstring with each formula, example and literal block as one line `<block>`."""
    out: list[str] = []
    inside: int | None = None  # indentation of the line that opened the block
    example = False  # what an example prints goes on to the next empty line
    for line in text.splitlines():
        words = line.strip()
        example = bool(words) and (example or words.startswith(">>>"))
        if example and inside is not None:
            continue
        if inside is not None and (not words or _indent(line) > inside or words.startswith("...")):
            continue
        inside = None
        opens = words.startswith((".. ", ">>>")) or words.endswith("::")
        literal = _indent(line) >= 4 and (not out or not out[-1].strip())
        if opens or literal:
            inside = _indent(line) if opens else _indent(line) - 1
            out.append(" " * _indent(line) + "<block>")
            continue
        out.append(line)
    return out


def bare_decimals(path: Path) -> Findings:
    """Decimals without a leading zero, in docstrings and comments."""
    for line, text in docstrings(path):
        yield from ((path, line, words) for words in _prose(text) if _BARE_DECIMAL.search(words))
    for number, words in _comments(path):
        if _BARE_DECIMAL.search(words):
            yield path, number, words


def old_words(path: Path) -> Findings:
    """ "man" where the species is meant; "a man", beside "a woman", is the sex."""
    for line, text in docstrings(path):
        for words in text.splitlines():
            if _OLD_WORDS.search(words) and "woman" not in words:
                yield path, line, words.strip()


def from_memory(path: Path) -> Findings:
    """Numbers whose source nobody has looked up."""
    for number, words in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if "from " + "memory" in words.lower():
            yield path, number, words.strip()


def long_lines(path: Path) -> Findings:
    """Lines over the limit; an address may be as long as it is."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if len(line) > COLUMNS and "http" not in line:
            yield path, number, f"{len(line)} columns"


def _prose(text: str) -> Iterator[str]:
    """Lines of a docstring without code in backticks, quoted text and arguments of an example."""
    for line in text.splitlines():
        if not line.lstrip().startswith((">>>", "...")):
            yield re.sub(r"``[^`]*``|`[^`]*`|\"[^\"]*\"", "", line).strip()


def _comments(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith("#"):
            yield number, line.strip()


CHECKS: dict[str, Callable[[Path], Findings]] = {
    "undocumented": undocumented,
    "unannotated": unannotated,
    "broken sentences": broken_sentences,
    "bare decimals": bare_decimals,
    "old words": old_words,
    "from " + "memory": from_memory,
    "long lines": long_lines,
}


def counts(check: str) -> dict[str, int]:
    """Package -> number of findings, without zeros."""
    found = Counter(
        path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for file in modules()
        for path, _, _ in CHECKS[check](file)
    )
    return dict(sorted(found.items()))


def allowed() -> dict[str, dict[str, int]]:
    """Check -> package -> number of findings that are left over from before."""
    return json.loads(STORED.read_text(encoding="utf-8"))


@pytest.mark.parametrize("check", CHECKS)
def test_no_package_has_more_findings_than_it_had(check):
    limits, found = allowed().get(check, {}), counts(check)
    more = {room: n for room, n in found.items() if n > limits.get(room, 0)}
    lines = [
        f"{path.relative_to(ROOT)}:{line}: {what}"
        for file in modules()
        if more and file.relative_to(PACKAGE).parts[0].removesuffix(".py") in more
        for path, line, what in CHECKS[check](file)
    ]
    assert not more, f"{check}: {more}, allowed {limits}\n" + "\n".join(lines[:40])


def test_the_allow_list_names_checks_that_exist_and_packages_that_exist():
    rooms = {p.relative_to(PACKAGE).parts[0].removesuffix(".py") for p in modules()}
    assert set(allowed()) <= set(CHECKS)
    assert {room for limits in allowed().values() for room in limits} <= rooms


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("A whole sentence.\n\nAnd another one of them,\nwhich goes on here.", 0),
        ("How far a patient is. The largest of\n\nsomething else.", 1),
        ("As follows: the solution of\n\n.. math::\n    a = b\n\nand so on.", 0),
        ("One.\n\nweight : of the loss, five times as\nmany and more.", 1),
        ("One.\n\nweight : of the loss, five times as\n    many and more.", 0),
        ("One.\n\nThe rules act on many people, not on\nan average\nover all of them.", 1),
        ("One.\n\n>>> code(the\n... rest of)\n\nText.", 0),
    ],
)
def test_broken_sentences_are_found_and_whole_ones_are_not(text, number):
    assert len(list(breaks_in(text))) == number


def test_there_are_few_places_where_the_formatter_is_off():
    text = [p.read_text(encoding="utf-8") for p in modules()]
    assert sum(t.count("# fmt: skip") for t in text) < FMT_SKIP_LIMIT


# ---- tools ----


def _run(module: str, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_formatter_changes_nothing():
    pytest.importorskip("ruff")
    done = _run("ruff", "format", "--check", "--no-cache", ".")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_linter_finds_nothing():
    pytest.importorskip("ruff")
    # lines of the package that are too long are counted by `long_lines`, until there are none
    options = ("--extend-ignore", "E501", "--no-cache", "--output-format", "concise")
    done = _run("ruff", "check", *options, ".")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr


def typed_modules() -> list[str]:
    """Modules that pass mypy, from pyproject.toml. The list only grows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return project["tool"]["pbpk_hybrid"]["typed"]


def file_of(module: str) -> Path | None:
    """A module's file; None where it has moved or gone."""
    path = PACKAGE.parent.joinpath(*module.split("."))
    found = (path.with_suffix(".py"), path / "__init__.py")
    return next((p for p in found if p.exists()), None)


def test_the_list_of_typed_modules_names_modules_that_exist():
    assert not [name for name in typed_modules() if file_of(name) is None]


@pytest.mark.slow
def test_modules_that_pass_the_type_checker_still_do():
    pytest.importorskip("mypy")
    files = [str(path) for name in typed_modules() if (path := file_of(name))]
    done = _run("mypy", *files)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr


def store() -> None:
    """Lower the stored counts to today's. A check that is new gets today's counts."""
    before = allowed() if STORED.exists() else {}
    after = {}
    for check in CHECKS:
        found = counts(check)
        if check in before:
            found = {r: min(n, before[check].get(r, 0)) for r, n in found.items()}
        after[check] = {r: n for r, n in found.items() if n}
    STORED.write_text(json.dumps(after, indent=1) + "\n", encoding="utf-8")


def main(what: str) -> None:
    """Findings, counts, or counts stored."""
    if what == "store":
        store()
    for check, find in CHECKS.items():
        found = counts(check)
        print(f"{check}: {sum(found.values())} {found}")
        for path, line, words in (f for file in modules() for f in find(file)):
            if what == "findings":
                print(f"  {path.relative_to(ROOT)}:{line}: {words}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "findings")
