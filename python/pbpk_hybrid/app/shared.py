"""What all tabs share: fields whose values the page's address remembers, messages, downloads."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import streamlit as st

from pbpk_hybrid._core.errors import PBPKError
from pbpk_hybrid.app.link import packed, unpacked

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: parameter of the address
PARAMETER = "s"
_FIELDS = "fields"  # key -> default, in the session


def restore() -> None:
    """Values of the address into the fields, once in a session."""
    if _FIELDS in st.session_state:
        return
    st.session_state[_FIELDS] = {}
    for key, value in unpacked(st.query_params.get(PARAMETER, "")).items():
        st.session_state[key] = value


def field(key: str, default: Any) -> str:
    """The key of a field that the address remembers, with its value set."""
    st.session_state[_FIELDS][key] = default
    st.session_state.setdefault(key, default)
    return key


def remember() -> None:
    """Values that are not the defaults into the address."""
    values = {
        key: st.session_state[key]
        for key, default in st.session_state[_FIELDS].items()
        if key in st.session_state and st.session_state[key] != default
    }
    code = packed(values) if values else ""
    if code != st.query_params.get(PARAMETER, ""):
        if code:
            st.query_params[PARAMETER] = code
        else:
            st.query_params.clear()


def tried(what: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """The result, or None and the message on the page; warnings of the package are shown too."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            with st.spinner("working"):
                found = what(*arguments, **keywords)
        except PBPKError as error:
            st.error(str(error))
            found = None
    for text in dict.fromkeys(str(w.message) for w in seen if _ours(w.category)):
        st.warning(text)
    return found


def _ours(category: type) -> bool:
    return category.__module__.startswith("pbpk_hybrid")


def picture(figure: Figure, name: str) -> None:
    """A figure, and the button that saves it."""
    st.pyplot(figure)
    st.download_button("PNG", lambda: _png(figure), f"{name}.png", key=f"{name}.png")


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def result_of(key: str, ready: bool, what: Callable[[], Any]) -> Any:
    """A result that stays on the page until it is asked for anew."""
    if ready:
        st.session_state[f"{key}.result"] = tried(what)
    return st.session_state.get(f"{key}.result")
