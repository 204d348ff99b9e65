"""What the documentation shows runs as it stands: every page in a fresh process and an empty folder."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(
    p.relative_to(DOCS).as_posix()
    for p in DOCS.rglob("*.md")
    if "build" not in p.parts
    and ("reference" not in p.parts or p.stem == "testing")
    and "```" in p.read_text("utf-8")
)
RUNNER = Path(__file__).with_name("run_page.py")
_NEEDS = {
    "pbpk_hybrid.learn": "torch_geometric",
    "pcdm": "torch",
    "pbpk-hybrid scale": "torch_geometric",
    "pbpk_hybrid.scale": "zarr",
    "pbpk_hybrid.interchange": "libsbml",
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs_in_a_fresh_process(page, tmp_path):
    text = (DOCS / page).read_text(encoding="utf-8")
    for word, package in _NEEDS.items():
        if word in text and importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    done = subprocess.run(
        [sys.executable, str(RUNNER), str(DOCS / page), "OutOfRangeWarning"],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
