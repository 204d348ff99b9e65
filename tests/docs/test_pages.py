"""What the documentation shows runs as it stands: every page's blocks, one after the other, in an empty folder."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(
    p.relative_to(DOCS).as_posix()
    for p in DOCS.rglob("*.md")
    if "build" not in p.parts and "reference" not in p.parts
)
_BLOCK = re.compile(r"^```(python|bash|yaml)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_NEEDS = {
    "pbpk_hybrid.learn": "torch_geometric",
    "pcdm": "torch",
    "pbpk-hybrid scale": "torch_geometric",
    "pbpk_hybrid.scale": "zarr",
    "pbpk_hybrid.interchange": "libsbml",
}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:builtin type:DeprecationWarning")  # SWIG's, of libsbml
@pytest.mark.filterwarnings("ignore::pbpk_hybrid._core.errors.OutOfRangeWarning")
def test_blocks_run(page, tmp_path, monkeypatch, capsys):
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = _BLOCK.findall(text)
    if not blocks:
        pytest.skip("nothing to run on this page")
    for word, package in _NEEDS.items():
        if word in text:
            pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    names: dict = {"__name__": "page"}
    for language, block in blocks:
        if language == "python":
            exec(compile(block, page, "exec"), names)
        elif language == "bash":
            for line in block.strip().splitlines():
                program, *arguments = shlex.split(line, comments=True)
                assert program == "pbpk-hybrid"
                code, said = command(arguments)
                assert code == 0, f"{line}\n{said}"
        else:
            read_compound(block, tmp_path)


def command(arguments: list[str]) -> tuple[int, str]:
    from typer.testing import CliRunner

    from pbpk_hybrid.cli.app import app

    result = CliRunner().invoke(app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def read_compound(text: str, folder: Path) -> None:
    from pbpk_hybrid import load_compound_file

    (folder / "compound.yaml").write_text(text, encoding="utf-8")
    assert load_compound_file(folder / "compound.yaml")
