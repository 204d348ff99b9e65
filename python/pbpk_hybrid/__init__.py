"""pbpk_hybrid: physiologically based pharmacokinetics in virtual populations."""

from __future__ import annotations

from ._core.provenance import VERSION as __version__  # noqa: F401
