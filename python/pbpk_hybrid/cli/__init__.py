"""The command ``pbpk-hybrid``."""

from __future__ import annotations


def main() -> None:
    """Entry point of the command; everything is imported only now."""
    from .app import app

    app()
