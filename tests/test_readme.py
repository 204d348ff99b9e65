"""What the README shows runs as it stands."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def run(code: str, folder: Path) -> None:
    """One block in a process of its own, as a reader would paste it."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_a_python_block_runs_in_a_fresh_process(number, tmp_path):
    block = blocks("python")[number]
    if "pbpk_hybrid.learn" in block and importlib.util.find_spec("torch_geometric") is None:
        pytest.skip("torch_geometric is not installed")
    run(block, tmp_path)


def test_the_first_block_gives_what_it_says(tmp_path):
    run(
        blocks("python")[0] + "assert (result.status == 0).all() and (table.cmax > 0).all()\n"
        "assert result.pk.plasma.max() > 0\n",
        tmp_path,
    )


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
