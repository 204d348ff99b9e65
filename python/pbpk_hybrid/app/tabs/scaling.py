"""From animals to humans, and to the first dose."""

from __future__ import annotations

import streamlit as st

from pbpk_hybrid.app.shared import field, picture, result_of
from pbpk_hybrid.app.tabs.patient import NOTICE
from pbpk_hybrid.app.translation import first_dose, report_of
from pbpk_hybrid.app.work import scale_from_animals

ANIMALS = "rat: clearance=35 mL/min/kg, volume=1.1 L/kg\nmonkey: clearance=12 mL/min/kg"


def scale() -> None:
    """The tab."""
    form, shown = st.columns([2, 3])
    with form:
        text = st.text_area("animals, one a line", key=field("scale.animals", ANIMALS))
        smiles = st.text_input(
            "structure (SMILES)", key=field("scale.smiles", "CC(=O)Nc1ccc(O)cc1")
        )
        pressed = st.button("scale", type="primary")
        st.markdown("**First dose**: a dose, or the exposure that it should reach")
        dose = st.text_input("first dose", key=field("scale.dose", ""), help="such as 100 mg oral")
        target = st.text_input("target exposure", key=field("scale.target", "AUC 30 mg*h/L"))
        noael = st.text_area(
            "NOAEL, one species a line", key=field("scale.noael", "rat: 150 mg/kg")
        )
        asked = st.button("predict the first dose")
    with shown:
        table = result_of("scale", pressed, lambda: scale_from_animals(text, smiles))
        if table is not None:
            st.dataframe(table)
            csv = table.to_csv().encode()
            st.download_button("CSV", csv, "scaling.csv", key="scaling.csv")
        found = result_of("first", asked, lambda: first_dose(text, smiles, dose, target, noael))
        if found is not None:
            picture(found.plot(), "first_in_human")
            st.code(str(found), language=None)
            st.download_button(
                "report", lambda: report_of(found), "first_in_human.html", key="first.html"
            )
            st.caption(NOTICE)
