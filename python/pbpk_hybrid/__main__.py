"""``python -m pbpk_hybrid`` is the command ``pbpk-hybrid``."""

from __future__ import annotations

from .cli import main

if __name__ == "__main__":
    main()
