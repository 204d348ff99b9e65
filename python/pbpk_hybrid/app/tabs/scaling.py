"""From animals to humans."""

from __future__ import annotations

import streamlit as st

from pbpk_hybrid.app.shared import field, result_of
from pbpk_hybrid.app.work import scale_from_animals

ANIMALS = "rat: clearance=35 mL/min/kg, volume=1.1 L/kg\nmonkey: clearance=12 mL/min/kg"


def scale() -> None:
    """The tab."""
    form, shown = st.columns([2, 3])
    with form:
        text = st.text_area("animals, one a line", key=field("scale.animals", ANIMALS))
        smiles = st.text_input("structure (SMILES)", key=field("scale.smiles", ""))
        pressed = st.button("scale", type="primary")
    with shown:
        table = result_of("scale", pressed, lambda: scale_from_animals(text, smiles))
        if table is not None:
            st.dataframe(table)
            csv = table.to_csv().encode()
            st.download_button("CSV", csv, "scaling.csv", key="scaling.csv")
