"""Strategies and the backend contract, for people who write a backend or a model.

Needs the extra `test`.

- Strategies for hypothesis: :func:`systems`, :func:`regimens`, :func:`compounds`,
  :func:`populations`.
- The contract of backends, as classes for pytest: :class:`BackendContract`, :class:`AreaContract`.
- Problems with a known answer: :mod:`pbpk_hybrid.testing.problems`.

Nothing else of the package imports pytest or hypothesis.
"""

from __future__ import annotations

from .._core.optional import require

require("pytest", "test", "pbpk_hybrid.testing").register_assert_rewrite(
    "pbpk_hybrid.testing.backend_contract"
)
require("hypothesis", "test", "pbpk_hybrid.testing")

from .backend_contract import AreaContract, BackendContract  # noqa: E402
from .strategies import compounds, populations, regimens, systems  # noqa: E402

__all__ = [
    "AreaContract",
    "BackendContract",
    "compounds",
    "populations",
    "regimens",
    "systems",
]
