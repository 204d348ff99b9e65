"""The local web app: a page over the same functions that scripts use. Needs the extra
``app`` (streamlit).

`work` holds what is computed, without a word of streamlit; `page` is what streamlit runs.
The command ``pbpk-hybrid app`` starts it on this machine alone.
"""

from __future__ import annotations

from .._core.lazy import lazy_names

_WHERE = {"work": ("Choice", "Study", "simulate_choice", "forecast_pasted", "scale_from_animals")}
__all__, __getattr__ = lazy_names(__name__, _WHERE)
