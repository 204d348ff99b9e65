"""Every notebook runs from its first cell to its last, in a kernel of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")
BOOKS = sorted((Path(__file__).parents[2] / "examples" / "notebooks").glob("*.ipynb"))
_NEEDS = {"pbpk_hybrid.learn": "torch_geometric", "pbpk_hybrid.scale": "zarr"}


def test_there_are_ten_and_each_holds_its_outputs():
    assert len(BOOKS) == 10
    for book in BOOKS:
        notebook = nbformat.read(book, as_version=4)
        outputs = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
        assert any("image/png" in o.get("data", {}) for o in outputs) or len(outputs) > 1, book.stem
        assert not [o for o in outputs if o.output_type == "error"], book.stem


@pytest.mark.parametrize("book", BOOKS, ids=lambda b: b.stem)
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning"
)  # of the notebook machinery, in this process
def test_notebook_runs(book, tmp_path, monkeypatch):
    text = book.read_text(encoding="utf-8")
    for word, package in _NEEDS.items():
        if word in text:
            pytest.importorskip(package)
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.reads(text, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    ran = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert ran and all(cell.execution_count for cell in ran)
