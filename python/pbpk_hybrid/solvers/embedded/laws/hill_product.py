"""Kernels of the rate law ``hill_product``: those of ``hill``, which see by the law's code
that there is a second reactant.
"""

from __future__ import annotations

from .hill import add_sensitivity, linearise, rate

__all__ = ["add_sensitivity", "linearise", "rate"]
