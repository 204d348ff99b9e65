"""First cell of every page's kernel: figures, commands and warnings as the site shows them."""

import os as _os
import shlex as _shlex
import subprocess as _subprocess
import sys as _sys
import warnings as _warnings
from pathlib import Path as _Path

import matplotlib.pyplot as _plt
import pandas as _pandas
import xarray as _xarray
from IPython.display import Image as _Image
from IPython.display import display as _display
from matplotlib_inline.backend_inline import set_matplotlib_formats as _set_formats

get_ipython().run_line_magic("matplotlib", "inline")  # noqa: F821
_set_formats("svg", "png")
_WIDTH = 96  # characters that fit beside the two menus of a page
_os.environ["COLUMNS"] = str(_WIDTH)
_pandas.set_option("display.width", _WIDTH)
_xarray.set_options(display_width=_WIDTH)
_CLEAR = {f"{part}.facecolor": "none" for part in ("figure", "axes", "savefig")}
_plt.rcParams.update({"figure.dpi": 110, "svg.hashsalt": "page", **_CLEAR})


def _page_command(line):
    """Run one command of a page; show what it prints and the pictures it writes."""
    before = {path: path.stat().st_mtime_ns for path in _Path().rglob("*.png")}
    program, *arguments = _shlex.split(line, comments=True)
    if program != "pbpk-hybrid":
        raise SystemExit(f"a page shows the command pbpk-hybrid only, not {program}")
    done = _subprocess.run(
        [_sys.executable, "-m", "pbpk_hybrid", *arguments], capture_output=True, text=True
    )
    print(done.stdout + done.stderr)
    if done.returncode:
        raise RuntimeError(f"{line}\nended with {done.returncode}")
    for path in sorted(_Path().rglob("*.png")):
        if before.get(path) != path.stat().st_mtime_ns:
            _display(_Image(str(path), width=560))


def _page_compound(text):
    """Read a YAML block as the compound file it shows."""
    from pbpk_hybrid import load_compound_file

    _Path("compound.yaml").write_text(text, encoding="utf-8")
    load_compound_file("compound.yaml")


def _page_warning(message, category, filename, lineno, file=None, line=None):
    """What Python prints, without the path of the machine that built the page."""
    if category.__module__.startswith("pbpk_hybrid"):
        print(f"{category.__name__}: {message}")


_warnings.showwarning = _page_warning
