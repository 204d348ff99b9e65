"""A model of one's own, PK-Sim or SBML: its tree, and sliders."""

from __future__ import annotations

import streamlit as st

from pbpk_hybrid.app.models import MOST_SLIDERS, SlidingModel, read_uploaded
from pbpk_hybrid.app.shared import field, picture, tried


def model() -> None:
    """The tab."""
    upload = st.file_uploader(
        "PK-Sim or MoBi simulation (pkml, SimModel XML), or SBML",
        type=["pkml", "xml", "sbml", "gz"],
    )
    example = st.toggle("the example of PK-Sim", key=field("model.example", False))
    if upload is None and not example:
        st.info("Upload a file, or look at the example.")
        return
    loaded = _loaded(None if upload is None else (upload.name, upload.getvalue()))
    if loaded is None:
        return
    form, shown = st.columns([2, 3])
    with form:
        with st.expander("tree"):
            st.code(loaded.tree(depth=3), language=None)
        output = st.selectbox("output", loaded.outputs, key="model.output")
        names = st.multiselect(
            "sliders",
            [p.path for p in loaded.parameters().values() if p.value],
            max_selections=MOST_SLIDERS,
            key="model.names",
        )
        factors = {
            name: st.slider(name.rpartition("|")[2], 0.2, 5.0, 1.0, key=f"model.slider.{name}")
            for name in names
        }
        again = st.toggle("solve again, beside the first order", key=field("model.again", False))
    with shown:
        sliding = tried(_sliding, loaded, output, tuple(names))
        if sliding is not None:
            figure = tried(sliding.figure, factors, solved=again)
            if figure is not None:
                picture(figure, "model")


def _loaded(file: tuple[str, bytes] | None):
    """The model of the last file, read once."""
    known = st.session_state.get("model.loaded")
    if known is None or known[0] != file:
        found = tried(_example) if file is None else tried(read_uploaded, *file)
        if found is None:
            return None
        st.session_state["model.loaded"] = known = (file, found)
    return known[1]


def _example():
    from pbpk_hybrid.interchange import example_pksim_simulation, read_pksim_simulation

    return read_pksim_simulation(example_pksim_simulation())


def _sliding(loaded, output: str, names: tuple[str, ...]) -> SlidingModel:
    """Curve and derivatives, kept until another output or slider is chosen."""
    key = (id(loaded), output, names)
    known = st.session_state.get("model.sliding")
    if known is None or known[0] != key:
        made = SlidingModel(loaded, output, names)
        _ = made.run  # solved here, where its errors are shown
        st.session_state["model.sliding"] = known = (key, made)
    return known[1]
