"""The page that streamlit runs; see :mod:`pbpk_hybrid.app`.

Each tab is a fragment: what is typed in one does not run the others again.
"""

from __future__ import annotations

import streamlit as st

from pbpk_hybrid.app.shared import remember, restore
from pbpk_hybrid.app.tabs.fit import fit
from pbpk_hybrid.app.tabs.interaction import interaction
from pbpk_hybrid.app.tabs.model import model
from pbpk_hybrid.app.tabs.patient import dose, forecast
from pbpk_hybrid.app.tabs.population import population
from pbpk_hybrid.app.tabs.scaling import scale
from pbpk_hybrid.app.tabs.simulate import simulate

TABS = {
    "Simulate": simulate,
    "Population": population,
    "Interaction": interaction,
    "Forecast": forecast,
    "Dose": dose,
    "Scale": scale,
    "Fit": fit,
    "Model": model,
}

st.set_page_config(page_title="pbpk_hybrid", layout="wide")
restore()
st.markdown("#### pbpk_hybrid")
for tab, fill in zip(st.tabs(list(TABS)), TABS.values(), strict=True):
    with tab:
        st.fragment(fill)()
remember()
st.caption(
    "The address of this page holds what was typed: a link restores it. Nothing is sent anywhere."
)
