"""One patient: what comes next, and the dose that reaches a target."""

from __future__ import annotations

import streamlit as st

from pbpk_hybrid.app.patient import RESIDUAL, Outlook, PatientChoice, look_ahead, next_dose
from pbpk_hybrid.app.shared import field, picture, result_of, tried
from pbpk_hybrid.compounds import list_compounds

NOTICE = "Research software, not a medical device: no basis for treating anyone."


def forecast() -> None:
    """The tab of forecasts."""
    form, shown = st.columns([2, 3])
    with form:
        choice = _patient("forecast", hours=36.0)
        network = st.toggle("ask the forecaster", key=field("forecast.network", True))
        log = st.toggle("logarithmic", key=field("forecast.log", False))
        pressed = st.button("forecast", type="primary")
    with shown:
        found = result_of("forecast", pressed, lambda: look_ahead(choice, network=network))
        if found is not None:
            _show(found, log)
    st.caption(NOTICE)


def dose() -> None:
    """The tab of doses."""
    form, shown = st.columns([2, 3])
    with form:
        choice = _patient("dose", hours=36.0)
        target = st.text_input("target", key=field("dose.target", "trough 5-10 mg/L"))
        intervals = st.text_input("intervals [h]", key=field("dose.intervals", "8, 12"))
        amounts = st.text_input(
            "amounts",
            key=field("dose.amounts", "multiples of 50 mg up to 800 mg"),
            help="empty: usual ones",
        )
        pressed = st.button("find a dose", type="primary")
    with shown:
        found = result_of("dose", pressed, lambda: next_dose(choice, target, intervals, amounts))
        if found is not None:
            result, figure = found
            picture(figure, "attainment")
            st.code(str(result), language=None)
            st.dataframe(result.table.round(3), hide_index=True)
    st.caption(NOTICE)


def _patient(key: str, hours: float) -> PatientChoice:
    """Fields of a patient."""
    samples = st.text_area(
        "samples: time [h], concentration [mg/L], one a line",
        key=field(f"{key}.samples", "1, 7.1\n4, 6.0\n9, 4.2"),
    )
    dose = st.text_input("doses so far", key=field(f"{key}.dose", "320 mg oral"))
    left, right = st.columns(2)
    weight = left.number_input("body weight [kg]", 2.0, 300.0, key=field(f"{key}.weight", 75.0))
    ahead = right.number_input("look ahead to [h]", 1.0, 8760.0, key=field(f"{key}.hours", hours))
    compound = st.selectbox(
        "compound",
        ["", *list_compounds()],
        key=field(f"{key}.compound", "theophylline"),
        help="of the posterior; empty: none, and the forecaster is not told either",
    )
    return PatientChoice(samples, dose, float(weight), float(ahead), compound)


def _show(found: Outlook, log: bool) -> None:
    figure = tried(found.figure, log=log)
    if figure is not None:
        picture(figure, "forecast")
    if found.forecast is not None:
        score = float(found.forecast["ood_score"][0])
        if score > 1:
            st.error(f"unlike the training data ({score:.1f}; up to 1 is usual): do not rely on it")
        else:
            st.caption(f"unlike the training data: {score:.2f} (above 1: take it with care)")
        q = found.forecast["concentration_quantile"].isel(subject=0, compartment=0)
        csv = q.to_dataframe(name="mg_per_l").to_csv().encode()
        st.download_button("CSV", csv, "forecast.csv", key="forecast.csv")
    if found.posterior is not None:
        st.caption(f"posterior: residual error of {100 * RESIDUAL:.0f} % assumed")
        st.code(str(found.posterior), language=None)
