"""PCDM: virtual patients from a physiologically constrained diffusion model (arXiv 2602.18472)."""

from __future__ import annotations

from .config import PCDMConfig
from .model import PCDM

__all__ = ["PCDM", "PCDMConfig"]
