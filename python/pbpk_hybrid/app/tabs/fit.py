"""Parameters from a data set."""

from __future__ import annotations

import streamlit as st

from pbpk_hybrid.app.fits import FittedStudy, estimate
from pbpk_hybrid.app.shared import field, picture, result_of
from pbpk_hybrid.compounds import list_compounds

#: what most fits ask for
NAMES = ["clint.liver", "absorption_rate", "fraction_unbound_plasma", "kp.muscle", "kp.adipose"]


def fit() -> None:
    """The tab."""
    form, shown = st.columns([2, 3])
    with form:
        upload = st.file_uploader("data set (CSV, columns as in NONMEM)", type=["csv", "txt"])
        compound = st.selectbox(
            "compound", list_compounds(), key=field("fit.compound", "theophylline")
        )
        names = st.multiselect(
            "parameters",
            NAMES,
            key=field("fit.names", NAMES[:2]),
            accept_new_options=True,
        )
        route = st.selectbox(
            "route of the doses", ("oral", "iv_bolus"), key=field("fit.route", "oral")
        )
        pressed = st.button("fit", type="primary", disabled=upload is None)
    with shown:
        if upload is None:
            st.info("Upload a data set: ID, TIME, AMT, DV, EVID, and WT, AGE, SEX where known.")
            return
        found = result_of(
            "fit", pressed, lambda: estimate(upload.getvalue(), compound, tuple(names), route)
        )
        if found is not None:
            _show(found)


def _show(found: FittedStudy) -> None:
    picture(found.curves(), "fitted")
    for note in found.notes:
        st.caption(f"note: {note}")
    if not found.fit.converged:
        st.error("the search has not settled: these are no estimates")
    st.dataframe(found.fit.table())
    csv = found.fit.table().to_csv().encode()
    st.download_button("CSV", csv, "estimates.csv", key="estimates.csv")
