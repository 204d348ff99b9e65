"""The page that streamlit runs; see :mod:`pbpk_hybrid.app`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from pbpk_hybrid._core.errors import PBPKError
from pbpk_hybrid.app.work import (
    MOST_SUBJECTS,
    Choice,
    Study,
    forecast_pasted,
    scale_from_animals,
    simulate_choice,
)
from pbpk_hybrid.compounds import list_compounds


def tried(what: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """The result, or None and the message on the page."""
    try:
        with st.spinner("working"):
            return what(*arguments, **keywords)
    except PBPKError as error:
        st.error(str(error))
    return None


def simulation() -> None:
    """The tab that simulates a compound in a population."""
    choice = _choice()
    if choice is not None:
        st.session_state["study"] = tried(simulate_choice, choice)
    study: Study | None = st.session_state.get("study")
    if study is not None:
        _show(study)


def _choice() -> Choice | None:
    """The form of the tab; None until it is submitted."""
    with st.form("simulation"):
        left, middle, right = st.columns(3)
        names = list_compounds()
        compound = left.selectbox(
            "compound", names, index=names.index("theophylline") if "theophylline" in names else 0
        )
        dose = left.text_input("dose", "320 mg oral", help='such as "100 mg over 2 h q24h x7"')
        hours = left.number_input("hours", 1.0, 8760.0, 24.0)
        source = middle.radio(
            "people",
            ("survey", "pcdm"),
            help="people of NHANES, or the diffusion model (extra learn)",
        )
        subjects = middle.number_input("number of people", 1, MOST_SUBJECTS, 100)
        seed = middle.number_input("seed", 0, 2**31 - 1, 1)
        age = right.text_input("age [year]", "")
        sex = right.selectbox("sex", ("", "female", "male"))
        bmi = right.text_input("BMI [kg/m2]", "")
        egfr = right.text_input("eGFR [mL/min/1.73 m2]", "")
        varied = right.checkbox("enzymes and absorption vary", True)
        clearance = left.selectbox(
            "clearance", ("", "in_vivo", "in_vitro"), help="empty: the compound's own basis"
        )
        distribution = left.selectbox(
            "distribution", ("", "predicted", "in_vivo"), help="empty: the compound's own basis"
        )
        submitted = st.form_submit_button("simulate")
    if not submitted:
        return None
    return Choice(
        compound,
        dose,
        int(subjects),
        int(seed),
        source,
        age,
        sex,
        bmi,
        egfr,
        float(hours),
        varied,
        clearance,
        distribution,
    )


def _show(study: Study) -> None:
    """The curves, the analysis and what can be downloaded."""
    st.pyplot(study.figure())
    st.caption(study.basis())
    table = study.table()
    if table is not None:
        st.subheader("noncompartmental analysis")
        st.dataframe(table)
    one, two, three = st.columns(3)
    one.download_button("netCDF", study.netcdf(), "simulation.nc")
    two.download_button("CSV", study.csv(), "people.csv")
    three.download_button("PNG", study.png(), "profile.png")


def forecast() -> None:
    """The tab that forecasts a patient from samples."""
    with st.form("forecast"):
        text = st.text_area(
            "samples: time [h], concentration [mg/L], one a line", "1, 7.1\n4, 6.0\n9, 4.2"
        )
        left, middle, right = st.columns(3)
        dose = left.text_input("dose ", "320 mg oral")
        weight = middle.number_input("body weight [kg]", 2.0, 300.0, 75.0)
        hours = right.number_input("forecast to [h]", 1.0, 8760.0, 36.0)
        submitted = st.form_submit_button("forecast")
    if not submitted:
        return
    ahead = tried(forecast_pasted, text, dose, weight, hours)
    if ahead is not None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 3.4), layout="constrained")
        ax = figure.subplots()
        q = ahead["concentration_quantile"].isel(subject=0, compartment=0)
        ax.fill_between(
            ahead["time"],
            q.sel(quantile=0.05),
            q.sel(quantile=0.95),
            alpha=0.25,
            lw=0,
            label="90 % interval",
        )
        ax.plot(ahead["time"], q.sel(quantile=0.5), label="median")
        ax.set(xlabel="time [h]", ylabel="plasma [mg/L]")
        ax.legend(frameon=False)
        st.pyplot(figure)
        st.caption(
            f"unlike the training corpus: {float(ahead['ood_score'][0]):.2f} (above 1: take "
            "it with care)"
        )
        st.download_button(
            "CSV ", q.to_dataframe(name="mg_per_l").to_csv().encode(), "forecast.csv"
        )


def scaling() -> None:
    """The tab that scales from animals to humans."""
    with st.form("scaling"):
        text = st.text_area(
            "animals, one a line",
            "rat: clearance=35 mL/min/kg, volume=1.1 L/kg\nmonkey: clearance=12 mL/min/kg",
        )
        smiles = st.text_input("SMILES", "")
        submitted = st.form_submit_button("scale")
    if submitted:
        table = tried(scale_from_animals, text, smiles)
        if table is not None:
            st.dataframe(table)
            st.download_button("CSV  ", table.to_csv().encode(), "scaling.csv")


st.set_page_config(page_title="pbpk_hybrid", layout="wide")
st.title("pbpk_hybrid")
for tab, fill in zip(
    st.tabs(["Simulate", "Forecast", "Scale"]), (simulation, forecast, scaling), strict=True
):
    with tab:
        fill()
