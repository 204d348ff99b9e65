"""Runs the blocks of one Markdown page in this process, as a reader would type them one after the other.

Python blocks share one name space. A line of a bash block is a process of its own. A YAML block is read as a
compound file. Any warning of the package is an error, but those a page may show (an argument of the call).

    python run_page.py PAGE [allowed-warning ...]
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

_BLOCK = re.compile(r"^```(python|bash|yaml)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def main(page: Path, allowed: tuple[str, ...]) -> None:
    seen: list[str] = []

    def keep(message, category, filename, lineno, file=None, line=None):
        if category.__module__.startswith("pbpk_hybrid") and category.__name__ not in allowed:
            seen.append(f"{category.__name__}: {message}")

    warnings.showwarning = keep
    warnings.simplefilter("always")
    names: dict = {"__name__": "page"}
    for language, block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "python":
            exec(compile(block, str(page), "exec"), names)
        elif language == "bash":
            for line in block.strip().splitlines():
                run_command(line)
        else:
            read_compound(block)
    if seen:
        raise SystemExit("the page shows nothing of these warnings:\n" + "\n".join(seen))


def run_command(line: str) -> None:
    program, *arguments = shlex.split(line, comments=True)
    if program != "pbpk-hybrid":
        raise SystemExit(f"a page shows the command pbpk-hybrid only, not {program}")
    done = subprocess.run(
        [sys.executable, "-m", "pbpk_hybrid", *arguments], capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{line}\nended with {done.returncode}\n{done.stdout}{done.stderr}")


def read_compound(text: str) -> None:
    from pbpk_hybrid import load_compound_file

    Path("compound.yaml").write_text(text, encoding="utf-8")
    load_compound_file("compound.yaml")


if __name__ == "__main__":
    main(Path(sys.argv[1]), tuple(sys.argv[2:]))
