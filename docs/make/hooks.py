"""What the site takes from elsewhere in the repository, and equations as MathML.

Results of benchmarks, the Julia package's README and the help of every command are read
where they are made, never copied by hand. Equations become MathML while the site is
built, so that a page needs no script and nothing from the network. The code of pages is run
by `executed.py`.
"""

from __future__ import annotations

import html
import importlib.util
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
#: title of the page -> Markdown file of results, in the order of the validation page
RESULTS = {
    "Everything compared with people, in one table": "benchmarks/validation/overview.md",
    "Observed plasma profiles": "benchmarks/validation/README.md",
    "How fast tissues fill": "benchmarks/validation/slow_tissues.md",
    "Special populations": "benchmarks/special_populations/README.md",
    "Virtual populations": "benchmarks/results/virtual_population.md",
    "Populations like a table": "benchmarks/results/like_table.md",
    "A million virtual patients": "benchmarks/results/virtual_population_million.md",
    "Scaling across species": "benchmarks/cross_species/README.md",
    "Forecasts of real people": "benchmarks/results/forecasting_real.md",
    "Forecasts of virtual patients": "benchmarks/results/forecasting_virtual.md",
    "Forecasts of species never trained on": "benchmarks/results/forecasting_species.md",
    "Forecasts beside published ones": "benchmarks/results/forecasting_published.md",
    "Forecasts and the size of the network": "benchmarks/results/forecasting_scaling.md",
    "Interactions": "benchmarks/interactions/README.md",
    "What other perpetrators teach": "benchmarks/interactions/learned.md",
    "Inhibited hepatic uptake": "benchmarks/interactions/transport.md",
    "Predicted absorption": "benchmarks/absorption/README.md",
    "Children, absorption, antibodies": "benchmarks/mechanisms/README.md",
    "Antibodies: predicted against observed": "benchmarks/validation/antibody.md",
    "A hierarchical fit": "benchmarks/results/population_fit.md",
    "SBML Test Suite, by tag": "benchmarks/results/sbml_suite.md",
    "PEtab: log-likelihoods beside published ones": "benchmarks/results/petab_collection.md",
    "Speed of the engine": "benchmarks/results/engine_speed.md",
    "Speed of the Julia backend": "benchmarks/results/engine_julia.md",
    "Stiff solvers": "benchmarks/results/stiff_solvers.md",
    "Work and precision": "benchmarks/results/work_precision.md",
    "A million people": "benchmarks/results/scale_cohort.md",
    "Sensitivities": "benchmarks/results/engine_sensitivities.md",
    "Memory": "benchmarks/results/engine_memory.md",
    "Growth with the number of organs": "benchmarks/results/engine_scaling.md",
    "Start": "benchmarks/results/engine_start.md",
}
#: reference pages hold signatures, and results of benchmarks were run where they were made
_NOT_RUN = ("reference/", "results/")
#: page -> HTML under each of its blocks
_MADE: dict[str, list[str]] = {}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
_MATH = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_files(files, config):
    _run_pages(files)
    pages = []
    for title, name in RESULTS.items():
        source = ROOT / name
        if not source.exists():
            raise FileNotFoundError(
                f"{name}, the page {title!r}, is not there: run its benchmark, "
                "or take it from RESULTS"
            )
        target = f"results/{source.stem if source.stem != 'README' else source.parent.name}.md"
        text, pictures = relocate(source)
        for picture in pictures:
            uri = f"results/{picture.name}"
            if files.get_file_from_path(uri) is None:
                files.append(File.generated(config, uri, abs_src_path=str(picture)))
        files.append(File.generated(config, target, content=text))
        pages.append((title, target))
    text = (ROOT / "docs" / "make" / "validation.md").read_text(encoding="utf-8")
    rows = "\n".join(
        f"- [{title}]({target}): {first_line(ROOT / RESULTS[title])}" for title, target in pages
    )
    files.append(File.generated(config, "validation.md", content=f"{text}\n{rows}\n"))
    for book in sorted((ROOT / "examples" / "notebooks").glob("*.ipynb")):
        content = _script("executed").notebook_page(book)
        files.append(File.generated(config, f"notebooks/{book.stem}.md", content=content))
    julia, _ = relocate(ROOT / "julia" / "README.md")
    own = (ROOT / "docs" / "make" / "julia.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "julia.md", content=f"{own}\n{julia.split(chr(10), 1)[1]}"))
    files.append(File.generated(config, "reference/commands.md", content=commands()))
    files.append(File.generated(config, "dossier/midazolam.html", content=_dossier()))
    files.append(File.generated(config, "architecture.svg", content=_script("architecture").svg()))
    return files


def _dossier() -> str:
    """The worked example of `docs/howto/report.md`: what its lines write."""
    import tempfile

    page = (ROOT / "docs" / "howto" / "report.md").read_text(encoding="utf-8")
    block = re.search(r"```python\n(import pbpk_hybrid.*?)```", page, re.DOTALL)[1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "midazolam.html"
        exec(block.replace('"midazolam.html"', repr(str(path)), 1), {})
        return path.read_text(encoding="utf-8")


def on_page_markdown(markdown, page, config, files):
    """What the page's code made, and the tables that come from the package itself."""
    if page.file.src_uri in _MADE:
        markdown = _script("executed").insert(markdown, _MADE[page.file.src_uri])
    return _stability(markdown) if page.file.src_uri == "stability.md" else markdown


def _stability(markdown: str) -> str:
    from pbpk_hybrid._core.deprecation import DEPRECATED, MOVED_MODULES

    names = [(old, r.new, r.since, r.removed_in) for old, r in DEPRECATED.items()]
    replaced = _table(("old name", "new name", "since", "removed in"), names)
    none = "No public name is deprecated in this version."
    moved = _table(("old module", "new module"), sorted(MOVED_MODULES.items()))
    markdown = markdown.replace("DEPRECATED_TABLE", replaced if names else none)
    return markdown.replace("MOVED_TABLE", moved)


def _run_pages(files) -> None:
    """Run the code of all written pages, several at a time."""
    executed = _script("executed")
    if not executed.wanted():
        return
    written = [f for f in files.documentation_pages() if not f.src_uri.startswith(_NOT_RUN)]
    pages = {f.src_uri: f.content_string for f in written if f.generated_by is None}
    _MADE.update(executed.run_pages(pages))


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [" | ".join(f"`{cell}`" for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _script(name: str):
    """A module of this folder; the folder is no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def on_page_content(page_html, page, config, files):
    return _MATH.sub(_to_mathml, page_html)


def _to_mathml(found: re.Match) -> str:
    from latex2mathml.converter import convert

    display = "block" if found[2] == "[" else "inline"
    return convert(html.unescape(found[3]).strip(), display=display)


def relocate(source: Path) -> tuple[str, list[Path]]:
    """A file's text with its pictures beside it and its other links as plain text; and
    the pictures.
    """
    pictures: list[Path] = []

    def place(link: re.Match) -> str:
        bang, label, target = link.groups()
        if target.startswith(("http:", "https:", "#")):
            return link[0]
        file = (source.parent / target).resolve()
        if file.suffix in (".png", ".svg") and file.exists():
            pictures.append(file)
            return f"{bang}[{label}]({file.name})"
        return label

    return _LINK.sub(place, source.read_text(encoding="utf-8")), pictures


def first_line(source: Path) -> str:
    """The question a page of results answers: its first paragraph's first sentence."""
    body = [
        line
        for line in source.read_text(encoding="utf-8").splitlines()
        if line and line[0] not in "#|!"
    ]
    text = " ".join(body[:3])
    sentence = re.split(r"(?<=[.?])\s", _LINK.sub(r"\2", text), maxsplit=1)[0]
    return sentence


def commands() -> str:
    """Help of every command, from the program itself."""
    import os

    os.environ["COLUMNS"] = "100"
    import click
    from typer.main import get_command

    from pbpk_hybrid.cli.app import app

    out = ["# Command line", "", "Every command, as `pbpk-hybrid COMMAND --help` prints it.", ""]

    def walk(command: click.Command, path: list[str]) -> None:
        context = click.Context(
            command, info_name=" ".join(path), max_content_width=100, terminal_width=100
        )
        if getattr(command, "commands", None):
            for name, below in sorted(command.commands.items()):
                walk(below, [*path, name])
            return
        text = re.sub(r"\x1b\[[0-9;]*m", "", click.Command.get_help(command, context))
        out.extend([f"## {' '.join(path)}", "", "```text", text.rstrip(), "```", ""])

    walk(get_command(app), ["pbpk-hybrid"])
    return "\n".join(out)
