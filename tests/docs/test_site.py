"""The documentation builds without a warning, and none of its links is dead; nothing is loaded from the network."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("mkdocs")
pytest.importorskip("mkdocstrings_handlers.python")
pytest.importorskip("latex2mathml")
ROOT = Path(__file__).parents[2]


class Links(HTMLParser):
    """Targets and anchors of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[tuple[str, str]] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag, attrs) -> None:
        values = dict(attrs)
        self.anchors |= {values[k] for k in ("id", "name") if values.get(k)}
        for key in ("href", "src"):
            if values.get(key):
                self.targets.append((tag, values[key]))


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
    )
    assert build.returncode == 0, build.stdout + build.stderr
    return folder


def _environment() -> dict[str, str]:
    import os

    # the code of pages is run by test_pages, what is made of its outputs by test_executed
    return os.environ | {"NO_MKDOCS_2_WARNING": "1", "DOCS_EXECUTE": "0"}


def pages(site: Path) -> dict[Path, Links]:
    found = {}
    for page in site.rglob("*.html"):
        found[page] = Links()
        found[page].feed(page.read_text(encoding="utf-8"))
    return found


def test_no_link_is_dead(site):
    all_pages, dead = pages(site), []
    for page, links in all_pages.items():
        if page.name == "404.html":
            continue
        for _, target in links.targets:
            parts = urlsplit(target)
            if parts.scheme or target.startswith("//"):
                continue
            file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if file.is_dir():
                file = file / "index.html"
            if not file.exists() or (
                parts.fragment
                and file in all_pages
                and unquote(parts.fragment) not in all_pages[file].anchors
            ):
                dead.append(f"{page.relative_to(site)}: {target}")
    assert not dead


def test_nothing_is_loaded_from_the_network(site):
    for page, links in pages(site).items():
        loaded = [
            t
            for tag, t in links.targets
            if tag in ("script", "img", "iframe") and re.match(r"(https?:)?//", t)
        ]
        assert not loaded, page
        assert "fonts.g" not in page.read_text(encoding="utf-8")


def test_equations_are_mathml_and_none_is_left_as_text(site):
    model = (site / "model.html").read_text(encoding="utf-8")
    assert model.count("<math") > 8
    for page in site.rglob("*.html"):
        assert 'class="arithmatex"' not in page.read_text(encoding="utf-8"), page


def test_results_of_benchmarks_are_pages_with_their_pictures(site):
    page = (site / "results" / "virtual_population.html").read_text(encoding="utf-8")
    assert "<table>" in page
    assert list((site / "results").glob("*.png"))


def test_every_public_name_of_the_package_is_in_the_reference(site):
    import pbpk_hybrid

    text = " ".join(p.read_text(encoding="utf-8") for p in (site / "reference").glob("*.html"))
    missing = [n for n in pbpk_hybrid.__all__ if not n.startswith("_") and n not in text]
    assert not missing
