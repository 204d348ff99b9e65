"""The one way to import a package that may not be installed."""

from __future__ import annotations

import importlib
from types import ModuleType

from .errors import MissingDependencyError


def require(module: str, extra: str, purpose: str = "") -> ModuleType:
    """Import `module`, or say which extra of this package brings it.

    Raises
    ------
    MissingDependencyError : if `module` cannot be imported; the inner reason is in ``__cause__``
    """
    try:
        return importlib.import_module(module)
    except ImportError as err:
        what = f" for {purpose}" if purpose else ""
        raise MissingDependencyError(
            f'{module} is needed{what} but cannot be imported ({err}); pip install "pbpk-hybrid[{extra}]"'
        ) from err
