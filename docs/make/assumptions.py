"""Writes docs/assumptions.md from the package's list: python docs/make/assumptions.py"""

from __future__ import annotations

from pathlib import Path

from pbpk_hybrid._core.assumptions import assumptions_page

if __name__ == "__main__":
    page = Path(__file__).parents[1] / "assumptions.md"
    page.write_text(assumptions_page(), encoding="utf-8")
