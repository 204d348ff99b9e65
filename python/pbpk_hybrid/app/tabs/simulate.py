"""Scenarios side by side over observations."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd
import streamlit as st

from pbpk_hybrid.app.comparison import (
    COLUMNS,
    compare,
    comparison_figure,
    comparison_table,
    read_scenarios,
)
from pbpk_hybrid.app.shared import field, picture, result_of
from pbpk_hybrid.app.work import MOST_SUBJECTS, Choice, Study
from pbpk_hybrid.compounds import list_compounds

FIRST = [{"name": "", "compound": "theophylline", "dose": "320 mg oral"}]


def simulate() -> None:
    """The tab."""
    rows = _table()
    form, shown = st.columns([2, 3])
    with form:
        common, log, pressed = _options()
    with shown:
        first = "simulate.result" not in st.session_state  # a picture before anything is typed
        studies = result_of(
            "simulate", pressed or first, lambda: compare(read_scenarios(rows, common))
        )
        if studies:
            _show(studies, log)


def _table() -> list[dict]:
    st.markdown("**Scenarios**, one a row. Without a dose: the compound's usual one.")
    key = field("simulate.rows", FIRST)
    if "simulate.frame" not in st.session_state:
        st.session_state["simulate.frame"] = pd.DataFrame(
            st.session_state[key], columns=list(COLUMNS), dtype=object
        ).fillna("")
    text = st.column_config.TextColumn
    edited = st.data_editor(
        st.session_state["simulate.frame"],
        num_rows="dynamic",
        hide_index=True,
        key="simulate.editor",
        column_config={
            "name": text("name", help="in the legend; empty: made of the rest"),
            "compound": st.column_config.SelectboxColumn(
                "compound", options=list_compounds(), width="medium"
            ),
            "dose": text("dose", help='such as "100 mg over 2 h q24h x7"'),
            "with": text("with", help='a second drug: "fluconazole", or with its dose after ":"'),
            "people": text("people", help='"severe renal impairment", "CYP2D6 poor", "elderly"'),
            "age": text("age", help="years, such as 20-50"),
            "sex": st.column_config.SelectboxColumn("sex", options=["female", "male"]),
        },
    )
    records = edited.fillna("").to_dict("records")
    rows = [{k: v for k, v in row.items() if v} for row in records]
    st.session_state[key] = [row for row in rows if row]
    return st.session_state[key]


def _options() -> tuple[Choice, bool, bool]:
    left, right = st.columns(2)
    hours = left.number_input("hours", 0.1, 8760.0, key=field("simulate.hours", 24.0))
    subjects = right.number_input("people in each", 1, MOST_SUBJECTS, key=field("simulate.n", 100))
    log = left.toggle("logarithmic", key=field("simulate.log", False))
    varied = right.toggle("enzymes and absorption vary", key=field("simulate.varied", True))
    with st.expander("more"):
        source = st.radio(
            "drawn from",
            ("survey", "pcdm"),
            key=field("simulate.source", "survey"),
            help="people of NHANES, or the diffusion model (extra learn)",
        )
        seed = st.number_input("seed", 0, 2**31 - 1, key=field("simulate.seed", 1))
        bmi = st.text_input("BMI [kg/m2]", key=field("simulate.bmi", ""))
        egfr = st.text_input("eGFR [mL/min/1.73 m2]", key=field("simulate.egfr", ""))
        bases = ("", "in_vivo", "in_vitro"), ("", "predicted", "in_vivo")
        clearance = st.selectbox("clearance", bases[0], key=field("simulate.clearance", ""))
        distribution = st.selectbox("distribution", bases[1], key=field("simulate.kp", ""))
        upload = st.file_uploader("own observations of the first scenario (CSV)", type="csv")
    pressed = st.button("simulate", type="primary")
    choice = Choice(
        "",
        "",
        int(subjects),
        int(seed),
        source,
        bmi=bmi,
        egfr=egfr,
        hours=float(hours),
        variability=varied,
        clearance=clearance,
        distribution=distribution,
        observed=_kept(upload),
    )
    return choice, log, pressed


def _kept(upload) -> str:
    """Name of a file on this machine that holds what was uploaded; "" for nothing."""
    if upload is None:
        return ""
    folder = st.session_state.setdefault("simulate.folder", tempfile.mkdtemp())
    path = Path(folder) / "observed.csv"
    path.write_bytes(upload.getvalue())
    return str(path)


def _show(studies: dict[str, Study], log: bool) -> None:
    picture(comparison_figure(studies, log=log), "profile")
    st.dataframe(comparison_table(studies).style.format("{:.4g}"))
    names = list(studies)
    name = names[0] if len(names) == 1 else st.selectbox("details of", names)
    study = studies[name]
    st.caption(study.basis() if "clearance_basis" in study.simulation.attrs else "")
    table = study.table()
    if table is not None:
        st.markdown("**noncompartmental analysis**")
        st.dataframe(table)
    one, two, three = st.columns(3)
    one.download_button("netCDF", study.netcdf, "simulation.nc")
    two.download_button("CSV", study.csv, "people.csv")
    three.download_button("report", study.report, "report.html")
