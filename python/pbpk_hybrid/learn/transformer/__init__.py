"""The forecaster: a pretrained set transformer for concentrations still to come."""

from __future__ import annotations

from ..._core.lazy import lazy_names

_WHERE = {
    "model": ("Forecaster",),
    "config": ("ForecasterConfig",),
    "corpus": ("Corpus", "CorpusOptions"),
    "data": ("subject_ids",),
}
__all__, __getattr__ = lazy_names(__name__, _WHERE)
