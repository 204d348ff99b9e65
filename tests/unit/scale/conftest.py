"""What the tests of cohorts share."""

from __future__ import annotations

import pytest

pytest.importorskip("distributed")
pytest.importorskip("zarr")
