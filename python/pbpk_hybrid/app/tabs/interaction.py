"""Interactions in one forest plot."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pbpk_hybrid.app.shared import field, picture, result_of
from pbpk_hybrid.compounds import list_compounds
from pbpk_hybrid.compounds.usual_doses import usual_doses


def interaction() -> None:
    """The tab."""
    form, shown = st.columns([2, 3])
    perpetrators = [name for name, dose in usual_doses().items() if dose.perpetrator]
    with form:
        victim = st.selectbox(
            "drug whose exposure is asked for",
            list_compounds(),
            key=field("interaction.victim", "midazolam"),
        )
        dose = st.text_input(
            "its dose", key=field("interaction.dose", ""), help="empty: the usual one"
        )
        given = st.multiselect(
            "given with",
            perpetrators,
            key=field("interaction.with", ["itraconazole", "fluconazole", "rifampicin"]),
        )
        n = st.number_input("people", 1, 500, key=field("interaction.n", 20))
        seed = st.number_input("seed", 0, 2**31 - 1, key=field("interaction.seed", 1))
        pressed = st.button("compare", type="primary")
    with shown:
        found = result_of(
            "interaction", pressed, lambda: _ratios(victim, dose, given, int(n), int(seed))
        )
        if found is not None:
            _show(found)


def _ratios(victim: str, dose: str, given: list[str], n: int, seed: int) -> Any:
    from pbpk_hybrid._core.errors import InputError
    from pbpk_hybrid.physiology import sample_population
    from pbpk_hybrid.simulation.interaction_matrix import interactions

    if not given:
        raise InputError("given with", given, "at least one drug")
    people = sample_population(n, seed=seed)
    victims = {victim: dose} if dose else victim
    return interactions(victims, list(given), people, draws=30, seed=seed)


def _show(found: Any) -> None:
    from pbpk_hybrid.plots import forest_plot
    from pbpk_hybrid.results import ratio_table

    picture(forest_plot(found), "forest")
    st.dataframe(ratio_table(found).round(3), hide_index=True)
    csv = ratio_table(found).to_csv(index=False).encode()
    st.download_button("CSV", csv, "ratios.csv", key="ratios.csv")
