"""People like the demographics table of a paper."""

from __future__ import annotations

import streamlit as st

from pbpk_hybrid.app.people import people_figure, people_like, people_netcdf
from pbpk_hybrid.app.shared import field, picture, result_of
from pbpk_hybrid.app.work import MOST_SUBJECTS

EXAMPLE = """age: 34 ± 8 (21-52)
weight: 78.1 ± 9.4 kg
height: 176 ± 7 cm
female: 45 %
egfr: median 62 [IQR 50-75]"""
AXES = ("age", "body_weight", "height", "gfr", "cardiac_output", "hematocrit")


def population() -> None:
    """The tab."""
    form, shown = st.columns([2, 3])
    with form:
        table = st.text_area(
            "table, pasted from a paper", key=field("people.table", EXAMPLE), height=220
        )
        where = st.text_input(
            "inclusion criteria", key=field("people.where", ""), help="such as bmi < 35"
        )
        n = st.number_input("people", 1, MOST_SUBJECTS, key=field("people.n", 200))
        seed = st.number_input("seed", 0, 2**31 - 1, key=field("people.seed", 1))
        across = st.selectbox("across", AXES, key=field("people.x", "age"))
        up = st.selectbox("up", AXES, key=field("people.y", "body_weight"))
        pressed = st.button("draw people", type="primary")
    with shown:
        people = result_of("people", pressed, lambda: people_like(table, int(n), int(seed), where))
        if people is not None:
            picture(people_figure(people, across, up), "people")
            st.markdown("**asked and achieved**")
            st.code(str(people.pk.like()), language=None)
            st.download_button(
                "netCDF", lambda: people_netcdf(people), "people.nc", key="people.nc"
            )
