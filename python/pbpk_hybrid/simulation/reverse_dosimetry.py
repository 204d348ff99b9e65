"""Reverse dosimetry: the oral dose that gives a concentration that was active in vitro.

Plasma at steady state is linear in the dose, so the oral equivalent dose is the concentration over
the steady-state concentration of 1 mg/kg/day. Its quantiles over people follow from those of the
steady-state concentration: who gets the highest concentration needs the lowest dose.

:func:`oral_equivalent_dose` makes httk's ``calc_mc_oral_equiv`` with its default model
``3compartmentss`` for any chemical of httk's table (Wetmore et al. 2012, Toxicol Sci 125:157;
Ring et al. 2017, Environ Int 106:105; Wambaugh et al. 2019, Toxicol Sci 172:235). It also takes a
simulation of one oral dose, by any model, in any people, or in the draws of a posterior.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from .._core.arguments import check_real
from .._core.errors import InputError, OutOfRangeWarning, SchemaError
from .._core.provenance import provenance
from .._core.random import generator
from .._core.units import quantity
from ..compounds import Compound, get_compound
from ..compounds.httk_table import httk_table
from ..models.httk.variation import (
    HttkVariation,
    average_person,
    person_at_steady_state,
    steady_state_concentration,
)
from ..physiology import sample_population

#: share of the area under a simulated curve that may be extrapolated without a warning
_MOST_EXTRAPOLATED = 0.2


@dataclass(frozen=True, eq=False)
class OralEquivalent:
    """Oral equivalent doses of one concentration.

    Parameters
    ----------
    css : array
        (n,) [mg/L] steady-state concentration of each person at 1 mg/kg/day.
    concentration : float
        [mg/L] the concentration that was active.
    quantiles : tuple of float
        Of the doses, ascending: 0.05 is the dose that gives the concentration in the 5 % of people
        who get most of it (httk: ``which.quantile = 0.95`` of the concentration).
    doses : array
        (n_quantiles,) [mg/kg/day].
    compound : str
    assumptions : tuple of str
        What was assumed, a sentence each.
    """

    css: np.ndarray
    concentration: float
    quantiles: tuple[float, ...]
    doses: np.ndarray
    compound: str
    assumptions: tuple[str, ...]

    def table(self) -> pd.DataFrame:
        """Quantiles of the dose [mg/kg/day] and of the concentration of 1 mg/kg/day [mg/L]."""
        return pd.DataFrame(
            {
                "dose_mg_per_kg_day": self.doses,
                "css_mg_per_l": self.concentration / self.doses,
            },
            index=pd.Index(self.quantiles, name="quantile"),
        )

    def __str__(self) -> str:
        parts = [
            f"{100 * q:g} %: {dose:.4g} mg/kg/day"
            for q, dose in zip(self.quantiles, self.doses, strict=True)
        ]
        lines = [f"{self.compound}, {self.concentration:.4g} mg/L: {', '.join(parts)}"]
        return "\n".join([*lines, *(f"- {text}" for text in self.assumptions)])

    def to_dataset(self) -> xr.Dataset:
        """The same as a Dataset, with every person's steady-state concentration."""
        return xr.Dataset(
            {
                "dose": ("quantile", self.doses, {"units": "mg/kg/day"}),
                "css": ("subject", self.css, {"units": "mg/L", "long_name": "at 1 mg/kg/day"}),
            },
            {"quantile": list(self.quantiles)},
            attrs=provenance(
                compound=self.compound,
                concentration=self.concentration,
                assumptions=list(self.assumptions),
            ),
        )


def oral_equivalent_dose(
    source: Compound | str | xr.Dataset,
    concentration: Any,
    *,
    quantiles: Iterable[float] = (0.05, 0.5, 0.95),
    people: int | xr.Dataset = 1000,
    free: bool = False,
    variation: HttkVariation | None = None,
    body_weight: Any = None,
    seed: int | None = None,
) -> OralEquivalent:
    """The oral dose [mg/kg/day] whose steady-state plasma concentration is `concentration`.

    Parameters
    ----------
    source : Compound, str or Dataset
        A chemical of httk's table by name, CAS number or DTXSID, or a Compound: httk's model
        ``3compartmentss``. Or a simulation of one oral dose by any model, in people or in the
        draws of a posterior: steady-state average by its area under the curve.
    concentration : float or str
        [mg/L], or text with a unit such as ``"3 uM"``.
    quantiles : sequence of float
        Of the dose, between 0 and 1.
    people : int or Dataset
        How many adults of the survey to draw, or adults; not used with a simulation.
    free : bool
        Whether `concentration` is of unbound chemical (httk: ``bioactive.free.invivo``).
    variation : HttkVariation, optional
        What varies beside the bodies: measurement uncertainty and differences between people of
        fraction unbound, clearance and permeability; None: httk's defaults.
    body_weight : float or str, optional
        [kg] of everybody in a simulation that does not say it, such as that of a posterior.
    seed : int, optional
        Of all draws; None: a new one.

    Returns
    -------
    OralEquivalent

    Raises
    ------
    InputError, UnknownNameError, UnitError
        A chemical without what the model needs, a concentration that is not above 0, quantiles
        outside (0, 1).

    Warns
    -----
    OutOfRangeWarning
        More than a fifth of the area under a simulated curve is extrapolated.

    Examples
    --------
    >>> import pbpk_hybrid as ph
    >>> found = ph.oral_equivalent_dose("bisphenol-a", "10 uM", seed=1)
    >>> bool(1 < found.doses[0] < found.doses[2] < 100)
    True
    """
    levels = _quantiles(quantiles)
    if isinstance(source, xr.Dataset):
        css, name, molar_mass, assumed = _of_simulation(source, free, body_weight)
    else:
        css, name, molar_mass, assumed = _of_chemical(source, people, free, variation, seed)
    wanted = quantity(concentration, "mg/L", "concentration", molar_mass=molar_mass, positive=True)
    if not (css > 0).all():
        raise InputError("css", float(css.min()), "a steady-state concentration > 0", subject=name)
    # the quantiles of the concentration first, as httk does: the dose falls where it rises
    doses = wanted / np.quantile(css, [1 - q for q in levels])
    return OralEquivalent(css, wanted, levels, doses, name, assumed)


def oral_equivalent_doses(
    concentrations: Mapping[str, Any] | pd.Series,
    *,
    quantiles: Iterable[float] = (0.05, 0.5, 0.95),
    people: int | xr.Dataset = 1000,
    free: bool = False,
    variation: HttkVariation | None = None,
    seed: int | None = None,
) -> pd.DataFrame:
    """Oral equivalent doses of many chemicals, in the same people.

    Parameters
    ----------
    concentrations : mapping or Series
        Chemical of httk's table -> concentration [mg/L], or text such as ``"3 uM"``.
    quantiles, people, free, variation, seed
        As of :func:`oral_equivalent_dose`.

    Returns
    -------
    DataFrame
        A row for each chemical: ``concentration`` [mg/L], a column for each quantile of the dose
        [mg/kg/day], and ``problem``: why there is no dose, "" where there is one.
    """
    levels = _quantiles(quantiles)
    seed = generator(seed)[1]
    adults = sample_population(people, seed=seed) if isinstance(people, int) else people
    rows = []
    for name, concentration in dict(concentrations).items():
        row: dict[str, Any] = {"chemical": name, "concentration": np.nan, "problem": ""}
        try:
            found = oral_equivalent_dose(
                name,
                concentration,
                quantiles=levels,
                people=adults,
                free=free,
                variation=variation,
                seed=seed,
            )
        except InputError as error:
            row |= dict.fromkeys(levels, np.nan) | {"problem": str(error)}
        else:
            row |= dict(zip(levels, found.doses, strict=True))
            row["concentration"] = found.concentration
        rows.append(row)
    columns = ["chemical", "concentration", *levels, "problem"]
    return pd.DataFrame(rows, columns=columns).set_index("chemical")


def _quantiles(quantiles: Iterable[float]) -> tuple[float, ...]:
    levels = tuple(quantiles) if isinstance(quantiles, Iterable) else (quantiles,)
    for q in levels:
        check_real("quantiles", q, "numbers between 0 and 1")
        if not 0 < q < 1:
            raise InputError("quantiles", q, "numbers between 0 and 1")
    if not levels:
        raise InputError("quantiles", levels, "at least one number between 0 and 1")
    return tuple(sorted(float(q) for q in levels))


def _of_chemical(
    source: Compound | str,
    people: int | xr.Dataset,
    free: bool,
    variation: HttkVariation | None,
    seed: int | None,
) -> tuple[np.ndarray, str, float, tuple[str, ...]]:
    """Steady-state concentrations of a chemical in people, by httk's ``3compartmentss``."""
    seed = generator(seed)[1]
    if isinstance(people, bool) or not isinstance(people, (int, np.integer, xr.Dataset)):
        raise InputError(
            "people", type(people).__name__, "a number of people, or a Dataset of them"
        )
    adults = people if isinstance(people, xr.Dataset) else sample_population(int(people), seed=seed)
    varied = HttkVariation() if variation is None else variation
    chemical = get_compound(source, collection="httk") if isinstance(source, str) else source
    record = _record(source)
    point = average_person(source, record)
    bodies = person_at_steady_state(adults, generator(seed)[0])
    drawn = varied.draw(chemical, record, point, bodies, generator(seed)[0])
    css = steady_state_concentration(drawn)
    if free:
        css = css * drawn["Funbound.plasma"]
    assumed = (
        f"steady state of httk's model 3compartmentss, {css.size} adults of the survey, "
        f"seed {seed}",
        varied.describe(),
        "the concentration is of " + ("unbound chemical" if free else "all chemical in plasma"),
    )
    return css, chemical.name, float(point["MW"]), assumed


def _record(source: Compound | str) -> Mapping[str, str]:
    """The row of httk's table, with the intervals of what was measured; {} for a Compound."""
    table = httk_table()
    name = source.strip().lower() if isinstance(source, str) else ""
    return table.record(table.index[name]) if name in table.index else {}


def _of_simulation(
    sim: xr.Dataset, free: bool, body_weight: Any
) -> tuple[np.ndarray, str, float | None, tuple[str, ...]]:
    """Average at steady state of 1 mg/kg/day, from the area under the curve of one oral dose."""
    if "concentration" not in sim or "dose_amount" not in sim:
        raise SchemaError("source", list(sim.variables), "a simulation of one oral dose in people")
    weight = sim.get("body_weight") if body_weight is None else body_weight
    if weight is None:
        raise InputError("body_weight", None, "the weight [kg], which this simulation does not say")
    if body_weight is not None:
        weight = quantity(body_weight, "kg", "body_weight", positive=True)
    if free:
        raise InputError("free", free, "False with a simulation, whose concentrations are total")
    if sim.sizes.get("dose_record", 1) != 1 or set(sim["dose_route"].values.astype(str)) != {
        "oral"
    }:
        raise InputError("source", "its doses", "a single oral dose")
    if "plasma" not in sim["compartment"].values:
        raise InputError("source", list(sim["compartment"].values), "a simulation with plasma")
    t = sim["time"].values.astype(float)
    c = sim["concentration"].sel(compartment="plasma").transpose("subject", "time").values
    good = np.isfinite(c).all(axis=1)
    c = c[good]
    if "cumulative_auc" in sim and "plasma" in sim["auc_compartment"].values:
        area = sim["cumulative_auc"].sel(auc_compartment="plasma").transpose("subject", "time")
        area = area.values[good, -1]
    else:
        area = np.trapezoid(c, t, axis=1)
    # the tail goes on as it fell over the last fifth of the time
    start = int(np.searchsorted(t, 0.8 * t[-1]))
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.log(c[:, start] / c[:, -1]) / (t[-1] - t[start])
        tail = np.where(c[:, -1] > 0, c[:, -1] / rate, 0.0)
    if not (np.isfinite(tail) & (tail >= 0)).all():
        raise InputError("source", "its curves", "curves that fall at the end: simulate longer")
    share = float(np.max(tail / (area + tail)))
    if share > _MOST_EXTRAPOLATED:
        warnings.warn(
            f"up to {100 * share:.0f} % of the area under the curve is extrapolated; simulate "
            "longer",
            OutOfRangeWarning,
            stacklevel=3,
        )
    given = sim["dose_amount"].values.reshape(-1) * sim["dose_bioavailability"].values.reshape(-1)
    per_kg = np.broadcast_to(given / np.asarray(weight, dtype=float), good.shape)[good]
    css = (area + tail) / per_kg / 24
    name = str(sim.attrs.get("compound", "simulation"))
    mass = sim.attrs.get("molar_mass")
    if mass is None:
        try:
            mass = get_compound(name).molar_mass
        except InputError:
            mass = None
    text = (
        f"average at steady state from the area under the curve of one oral dose, {css.size} "
        "people or draws; kinetics that do not depend on the dose"
    )
    return css, name, mass, (text,)


__all__ = ["HttkVariation", "OralEquivalent", "oral_equivalent_dose", "oral_equivalent_doses"]
