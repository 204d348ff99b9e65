"""Scenarios side by side: the same question for several drugs, doses, people or companions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .._core.errors import InputError, NoEffectWarning
from ..compounds import Compound, get_compound
from ..compounds.usual_doses import usual_doses
from ..dosing import Regimen
from ..plots import style
from ..simulation.interactions import simulate_together
from .work import Choice, Study, dose_of, people_of, simulate_choice

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: columns of the table of scenarios
COLUMNS = ("compound", "dose", "with", "people", "age", "sex", "name")
#: most scenarios in one picture: as many as there are colours that can be told apart
MOST_SCENARIOS = len(style.PALETTE)


@dataclass(frozen=True)
class Scenario:
    """A row of the table.

    Parameters
    ----------
    name
        In the legend.
    choice
        What is simulated.
    companion
        A drug given with it, with or without its dose: "fluconazole",
        "fluconazole: 400 mg oral q24h x5"; "" for none.
    """

    name: str
    choice: Choice
    companion: str = ""


def read_scenarios(rows: Sequence[Mapping[str, Any]], common: Choice) -> list[Scenario]:
    """Scenarios of the rows of a table; rows without a compound are left out.

    Parameters
    ----------
    rows
        Mappings of :data:`COLUMNS` to text.
    common
        What the rows do not say: number of people, seed, hours, basis.

    Raises
    ------
    InputError
        No scenario, too many, or two of one name.
    """
    found = [_scenario(row, common) for row in rows if _text(row, "compound")]
    if not 1 <= len(found) <= MOST_SCENARIOS:
        raise InputError("scenarios", len(found), f"1 to {MOST_SCENARIOS} rows with a compound")
    names = [scenario.name for scenario in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                "scenarios", name, "names that differ: write them into the column name"
            )
    return found


def _text(row: Mapping[str, Any], column: str) -> str:
    value = row.get(column)
    return "" if value is None or value != value else str(value).strip()  # NaN of an empty cell


def _scenario(row: Mapping[str, Any], common: Choice) -> Scenario:
    compound = _text(row, "compound")
    choice = replace(
        common,
        compound=compound,
        dose=_text(row, "dose") or dose_of(compound),
        special=_text(row, "people"),
        age=_text(row, "age") or common.age,
        sex=_text(row, "sex") or common.sex,
    )
    companion = _text(row, "with")
    parts = [compound, companion and f"with {companion.partition(':')[0]}", choice.special]
    return Scenario(
        _text(row, "name") or ", ".join(filter(None, parts)) + f", {choice.dose}", choice, companion
    )


def simulate_scenario(scenario: Scenario) -> Study:
    """One row of the table.

    Raises
    ------
    InputError and its kin
        Anything that cannot be used; the message names the field.
    """
    if not scenario.companion:
        return simulate_choice(scenario.choice)
    choice, hours = scenario.choice, scenario.choice.hours
    victim = _on_basis(get_compound(choice.compound), choice)
    name, start, regimen = _companion(scenario.companion, hours)
    if choice.variability:
        warnings.warn(
            f"{scenario.name}: with a second drug people differ by their anatomy alone, not by "
            "enzymes and absorption",
            NoEffectWarning,
            stacklevel=2,
        )
    # the victim comes when the companion has been given for as long as in published studies
    times = np.unique(np.r_[np.linspace(0, hours, 161), np.geomspace(0.05, hours, 40)])
    both = simulate_together(
        {victim: Regimen.parse(choice.dose).shift(start), get_compound(name): regimen},
        people_of(choice),
        start + times,
        compartments=(f"{victim.name}:plasma",),
        areas=(f"{victim.name}:plasma",),
    )
    return Study(_alone(both, victim.name, start), None, None)


def _on_basis(drug: Compound, choice: Choice) -> Compound:
    """The drug on the basis of clearance and distribution that was chosen, if one was."""
    chosen = {"clearance_basis": choice.clearance, "distribution_basis": choice.distribution}
    chosen = {name: value for name, value in chosen.items() if value}
    return drug.replace(**chosen) if chosen else drug


def _companion(text: str, hours: float) -> tuple[str, float, str]:
    """Name, time [h] at which the other drug is given, and regimen of a companion that is given
    for as long as is looked at.
    """
    name, _, dose = (part.strip() for part in text.partition(":"))
    usual = usual_doses().get(name)
    if dose:
        return name, usual.victim_time if usual else 0.0, dose
    if usual is None or not usual.perpetrator:
        raise InputError("with", text, f'a drug with its dose: "{name}: 100 mg oral q24h x5"')
    return name, usual.victim_time, usual.perpetrator_until(usual.victim_time + hours)


def _alone(both: xr.Dataset, victim: str, start: float) -> xr.Dataset:
    """The victim's plasma, on a clock that begins with its dose."""
    name = f"{victim}:plasma"
    result = both.sel(compartment=[name], auc_compartment=[name]).assign_coords(
        compartment=["plasma"], auc_compartment=["plasma"], time=both["time"] - start
    )
    doses = [v for v in result.data_vars if "dose_record" in result[v].dims]
    result = result.drop_vars(doses)
    return result.assign_attrs(compound=victim, variability="of anatomy alone")


def compare(scenarios: Sequence[Scenario]) -> dict[str, Study]:
    """Study of each scenario by its name.

    Raises
    ------
    InputError and its kin
        Of the first scenario that cannot be simulated; the message begins with its name.
    """
    return {scenario.name: simulate_scenario(scenario) for scenario in scenarios}


def comparison_figure(studies: Mapping[str, Study], *, log: bool = False) -> Figure:
    """Median and 5 to 95 % of each scenario over the same axes, with the first one's
    observations.
    """
    from matplotlib.figure import Figure

    from ..plots import time_profile

    figure = Figure(figsize=(7.6, 4.4), layout="constrained")
    ax = figure.subplots()
    first = next(iter(studies.values()))
    for (name, study), color in zip(studies.items(), style.PALETTE, strict=False):
        seen = study.observed if study is first else None
        time_profile(study.simulation, seen, log=log, color=color, label=name, ax=ax, legend=False)
    style.legend(ax)
    return figure


def comparison_table(studies: Mapping[str, Study]) -> pd.DataFrame:
    """Geometric means over people of AUC and Cmax to the end of the curves, and their ratios to the
    first scenario.
    """
    import pandas as pd

    rows = {}
    for name, study in studies.items():
        sim = study.simulation
        plasma = sim["concentration"].sel(compartment="plasma")
        area = sim["cumulative_auc"].isel(time=-1).values[:, 0]
        peak = plasma.max("time").values
        rows[name] = {"AUC [mg h/L]": _geometric(area), "Cmax [mg/L]": _geometric(peak)}
        rows[name]["tmax [h]"] = float(np.median(sim["time"].values[plasma.values.argmax(axis=1)]))
    table = pd.DataFrame.from_dict(rows, orient="index")
    for quantity in ("AUC [mg h/L]", "Cmax [mg/L]"):
        table[f"{quantity.split()[0]} ratio"] = table[quantity] / table[quantity].iloc[0]
    return table


def _geometric(values: np.ndarray) -> float:
    positive = values[np.isfinite(values) & (values > 0)]
    return float(np.exp(np.log(positive).mean())) if positive.size else float("nan")


__all__ = [
    "COLUMNS",
    "MOST_SCENARIOS",
    "Scenario",
    "compare",
    "comparison_figure",
    "comparison_table",
    "read_scenarios",
    "simulate_scenario",
]
