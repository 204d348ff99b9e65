"""The one way to import a package that may not be installed."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
from types import ModuleType

from .errors import MissingDependencyError


def require(module: str, extra: str, purpose: str = "") -> ModuleType:
    """Import `module`, or say which extra of this package brings it and how to install that.

    Raises
    ------
    MissingDependencyError
        If `module` cannot be imported; the inner reason is in ``__cause__``.
    """
    try:
        return importlib.import_module(module)
    except ImportError as err:
        what = f" for {purpose}" if purpose else ""
        raise MissingDependencyError(
            f"{module} is needed{what} but cannot be imported ({err}); {install_hint(extra)}"
        ) from err


def install_hint(extra: str) -> str:
    """The command that brings what an extra of this package lists.

    It names the packages themselves, so that it works wherever this package came from.
    """
    try:
        lines = importlib.metadata.requires("pbpk-hybrid") or []
    except importlib.metadata.PackageNotFoundError:
        lines = []
    of_extra = re.compile(rf"""extra\s*==\s*["']{re.escape(extra)}["']""")
    packages = [line.split(";")[0].strip() for line in lines if of_extra.search(line)]
    if not packages:
        return f'install the extra "{extra}": pip install ".[{extra}]" in a checkout of pbpk_hybrid'
    return f'install the extra "{extra}": pip install ' + " ".join(f'"{p}"' for p in packages)
