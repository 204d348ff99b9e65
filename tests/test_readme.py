"""What the README shows runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_python_blocks_run_one_after_the_other():
    found = blocks("python")
    assert len(found) >= 2
    names: dict = {}
    for block in found:
        if "pbpk_hybrid.learn" in block:
            pytest.importorskip("torch_geometric")
        exec(compile(block, "README.md", "exec"), names)
    assert (names["result"]["status"] == 0).all()
    assert (names["table"]["cmax"] > 0).all()
    assert (names["spread"]["status"] == 0).all()
    human = names["human"]
    assert 0 < human["clearance_lower"] < human["clearance"] < human["clearance_upper"]


def test_there_are_two_commands_each_of_one_line():
    commands = [b.strip() for b in blocks("bash")]
    assert len(commands) == 2 and all(
        "\n" not in c and c.startswith("python3 -m venv") for c in commands
    )


def test_linked_files_exist():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if not link.startswith("http")]
    assert links
    for link in links:
        assert (ROOT / link).exists(), link
