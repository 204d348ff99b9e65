"""What the code of a page makes, under the code that made it.

Every page runs in a kernel of its own (nbclient), in an empty folder, when the site is built.
Python blocks share one name space and show what a notebook would: what they print, the value
of the last line, their figures. A line of a bash block is a process of its own; what it prints
and the pictures it writes are shown. A page whose code fails stops the build.

Outputs are kept in `.cache/docs`, by the page's code and the package's sources. The variable
`DOCS_EXECUTE=0` builds without running anything.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "docs"
_KERNEL = Path(__file__).with_name("page_kernel.py")
_FENCE = re.compile(r"^```(python|bash|yaml)\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
#: what a block printed when the page was written: shown where nothing is run
_WRITTEN = re.compile(r"\n*```text\n.*?^```\n", re.DOTALL | re.MULTILINE)
#: what a call that draws returns: the figure below says it better
_DRAWN = re.compile(r"\[?<(matplotlib|Axes|Figure)|Text\(|array\(\[<Axes|\(array\(")
_TIMEOUT = 600  # seconds for one block on a busy machine
#: above this an SVG is slower to show than a PNG is coarse
_LARGEST_SVG = 300_000


class PageFailed(RuntimeError):
    """The code of a page ended with an error."""


def wanted() -> bool:
    """False where the environment asks for pages as they are written."""
    return os.environ.get("DOCS_EXECUTE", "1") != "0"


def run_pages(pages: dict[str, str]) -> dict[str, list[str]]:
    """HTML under each block of each page, by the page's name.

    Parameters
    ----------
    pages
        name -> Markdown
    """
    version = _sources()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        done = pool.map(lambda page: outputs(*page, version), pages.items())
        return dict(zip(pages, done, strict=True))


def outputs(name: str, markdown: str, version: str) -> list[str]:
    """HTML under each block of a page, from the cache or from a kernel."""
    blocks = _FENCE.findall(markdown)
    if not blocks:
        return []
    key = hashlib.sha256(json.dumps([version, blocks]).encode()).hexdigest()[:32]
    kept = CACHE / f"{key}.json"
    if kept.exists():
        return json.loads(kept.read_text(encoding="utf-8"))
    made = _run(name, blocks)
    CACHE.mkdir(parents=True, exist_ok=True)
    draft = kept.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(made), encoding="utf-8")
    draft.replace(kept)
    return made


def insert(markdown: str, made: list[str]) -> str:
    """The page with each output under its block."""
    out, at = [], 0
    for block, shown in zip(_FENCE.finditer(markdown), made, strict=True):
        out += [markdown[at : block.end()], f"\n{shown}\n" if shown else ""]
        at = block.end()
        written = _WRITTEN.match(markdown, at)
        if written and shown:  # replaced by what was printed just now
            at = written.end()
    return "".join([*out, markdown[at:]])


def notebook_page(path: Path) -> str:
    """A notebook with the outputs it holds, as a page."""
    out = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] != "code":
            out.append(text)
            continue
        shown = "".join(_html(_Output(found)) for found in cell["outputs"])
        out.append(f"```python\n{text}\n```\n\n{shown}")
    return "\n\n".join(out) + f"\n\nThe notebook: `examples/notebooks/{path.name}`.\n"


class _Output(dict):
    """An output of a stored notebook, whose text is in lines; fields as attributes, as nbformat
    has them.
    """

    def __init__(self, stored: dict) -> None:
        data = {kind: "".join(value) for kind, value in stored.get("data", {}).items()}
        super().__init__(stored, data=data)
        self.output_type = stored["output_type"]
        self.text = "".join(stored.get("text", ""))


def _sources() -> str:
    """A digest of the package's own files: another version makes other outputs."""
    digest = hashlib.sha256()
    for path in (*sorted((ROOT / "python").rglob("*.py")), _KERNEL):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _run(name: str, blocks: Iterable[tuple[str, str]]) -> list[str]:
    import nbclient
    import nbformat
    from nbformat.v4 import new_code_cell, new_notebook

    start = new_code_cell(_KERNEL.read_text(encoding="utf-8"))
    book = new_notebook(cells=[start, *(new_code_cell(_code(*b)) for b in blocks)])
    with tempfile.TemporaryDirectory() as folder:
        client = nbclient.NotebookClient(
            nbformat.from_dict(book),
            timeout=_TIMEOUT,
            startup_timeout=_TIMEOUT,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
        )
        try:
            client.execute(stderr=subprocess.DEVNULL)  # the kernel's own remarks
        except nbclient.exceptions.CellExecutionError as error:
            raise PageFailed(f"docs/{name}: {error}") from error
    return ["".join(map(_html, cell.outputs)) for cell in client.nb.cells[1:]]


def _code(language: str, block: str) -> str:
    if language == "python":
        return block
    if language == "bash":
        return "".join(f"_page_command({line!r})\n" for line in block.strip().splitlines())
    return f"_page_compound({block!r})"


def _html(output: dict) -> str:
    """One output of a cell."""
    if output.output_type == "stream":
        return _text(output.text)
    data = output.get("data", {})
    for kind in ("image/svg+xml", "image/png"):
        if kind in data:
            return _picture(kind, data[kind], data)
    if "text/html" in data and "xr-wrap" not in data["text/html"]:  # a Dataset reads well as text
        return f'<div class="page-output">{_one_block(data["text/html"])}</div>\n'
    plain = data.get("text/plain", "")
    return "" if _DRAWN.match(plain) else _text(plain)


def _text(text: str) -> str:
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text).rstrip()
    lines = html.escape(text).replace("\n\n", "\n&nbsp;\n")  # a blank line would end the block
    return f'<pre class="page-output"><code>{lines}</code></pre>\n' if text.strip() else ""


def _one_block(markup: str) -> str:
    """Without blank lines, which would end an HTML block of Markdown."""
    return re.sub(r"\n\s*\n", "\n", markup)


def _picture(kind: str, content: str, data: dict) -> str:
    if kind == "image/svg+xml" and len(content) > _LARGEST_SVG and "image/png" in data:
        kind, content = "image/png", data["image/png"]
    if kind == "image/svg+xml":
        content = base64.b64encode(content.encode()).decode()
    source = f"data:{kind};base64,{''.join(content.split())}"
    return f'<img class="page-output" alt="figure made by the code above" src="{source}">\n'
