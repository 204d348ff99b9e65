"""Published observations to lay a simulation over, and the dose that was given in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .._core.errors import InputError, unknown_name

if TYPE_CHECKING:
    import xarray as xr

    from ..dosing import Regimen

CHOICES = ("auto", "none", "shipped", "osp", "cvtdb")
#: a published dose counts as the simulated one within this ratio: people in one study get
#: different amounts
_SAME = 1.25


@dataclass(frozen=True)
class SingleDose:
    """One dose at time 0."""

    route: str
    amount: float  # [mg]; 0 where it is per body weight
    duration: float  # [h]


def single_dose(regimen: Regimen) -> SingleDose | None:
    """The regimen's only dose, or None where it has several."""
    c = regimen.columns
    if len(regimen) != 1 or c["additional_doses"][0] or c["steady_state"][0] or c["evid"][0] != 1:
        return None
    if c["time"][0] != 0 or c["compartment"][0] or c["route"][0] == "compartment":
        return None
    duration = c["duration"][0] or (c["amount"][0] / c["rate"][0] if c["rate"][0] > 0 else 0.0)
    return SingleDose(str(c["route"][0]), float(c["amount"][0]), float(duration))


def dose_times(regimen: Regimen) -> np.ndarray:
    """Times of all doses [h], ascending, additional ones included."""
    c = regimen.columns
    doses = np.flatnonzero(
        np.isin(c["evid"], (1, 4)) & ((c["amount"] > 0) | (c["amount_per_kg"] > 0))
    )
    times = [
        c["time"][i] + c["interdose_interval"][i] * np.arange(c["additional_doses"][i] + 1)
        for i in doses
    ]
    return np.unique(np.concatenate(times)) if times else np.empty(0)


def known_choice(choice: str) -> None:
    """
    Raises
    ------
    UnknownNameError
        Neither a collection of observations nor a file that exists.
    """
    if choice not in CHOICES and not is_table(choice):
        raise unknown_name(
            "--observed", choice, CHOICES, what="a collection, or a .csv file that exists"
        )


def is_table(choice: str) -> bool:
    """Whether ``--observed`` is a file of somebody's own.

    Raises
    ------
    InputError
        A name that can only be a file's, and no such file.
    """
    from pathlib import Path

    path = Path(choice).expanduser()
    if path.is_file():
        return True
    if path.suffix.lower() in (".csv", ".tsv", ".txt", ".dat", ".gz") or len(path.parts) > 1:
        raise InputError("--observed", choice, "a file that exists")
    return False


def own_observations(file: str, compound: str, species: str) -> tuple[xr.Dataset, tuple[str, ...]]:
    """Concentrations of a .csv file of one's own, and notes on how they were read.

    Parameters
    ----------
    file : str
        Columns as of :func:`pbpk_hybrid.nca.read_profile_table`.
    compound, species : str
        What was measured, and in whom: what is simulated.

    Raises
    ------
    FileFormatError, UnitError
        A file that cannot be read.
    """
    from pathlib import Path

    from ..nca.tables import read_profile_table

    table = read_profile_table(Path(file).expanduser())
    size = table.observations.sizes["sample"]
    labels = {
        name: ("sample", np.full(size, v))
        for name, v in (("compound", compound), ("species", species))
    }
    return table.observations.assign(labels), table.notes


def published(name: str, species: str, choice: str = "auto") -> xr.Dataset | None:
    """Plasma observations of a compound alone in one species; None where there are none.

    "auto" takes what ships with the package, and other collections only where nothing
    ships.

    Raises
    ------
    UnknownNameError
        An unknown choice.
    """
    from ..compounds import observations

    known_choice(choice)
    if choice == "none":
        return None
    for collection in ("shipped", None) if choice == "auto" else (choice,):
        try:
            ds = observations(name, collection)
        except InputError:
            if choice != "auto":
                raise
            continue
        keep = (ds["species"].values == species) & (ds["interaction"].values == 0)
        keep &= np.isin(ds["matrix"].values.astype(str), ["plasma", "serum"]) & np.isfinite(
            ds["time"].values
        )
        if keep.any():
            return ds.isel(sample=np.flatnonzero(keep))
    return None


def usual_dose(ds: xr.Dataset | None) -> str | None:
    """The dose given in most profiles, in words that a regimen understands; None where
    none is known well enough.
    """
    if ds is None:
        return None
    first = np.unique(ds["profile"].values, return_index=True)[1]
    counts: dict[tuple[str, float, float], int] = {}
    for i in first:
        route, dose = str(ds["route"].values[i]), float(ds["dose"].values[i])
        duration = float(ds["infusion_duration"].values[i])
        once = str(ds["dose_times"].values[i]) in ("", "0", "0.0")
        if not (once and dose > 0) or route not in ("oral", "iv_bolus", "iv_infusion"):
            continue
        if route == "iv_infusion" and not duration > 0:
            continue
        key = (route, float(f"{dose:.2g}"), duration if route == "iv_infusion" else 0.0)
        counts[key] = counts.get(key, 0) + 1
    if not counts:
        return None
    route, dose, duration = max(counts, key=lambda k: (counts[k], -k[1]))
    if route == "oral":
        return f"{dose:g} mg oral"
    return f"{dose:g} mg iv over {duration:g} h" if route == "iv_infusion" else f"{dose:g} mg iv"


def matching(ds: xr.Dataset | None, dose: SingleDose | None, amount: float) -> xr.Dataset | None:
    """The profiles in which this dose was given this way, or None.

    Parameters
    ----------
    amount
        [mg] what the simulated subjects got, as a median.
    """
    if ds is None or dose is None or not amount > 0:
        return None
    route = ds["route"].values.astype(str)
    dose_amount = ds["dose"].values
    duration = ds["infusion_duration"].values
    # "iv" says that the source does not tell a bolus from a short infusion
    keep = np.isin(route, [dose.route, "iv"]) if dose.route == "iv_bolus" else route == dose.route
    with np.errstate(invalid="ignore", divide="ignore"):
        keep &= (dose_amount <= amount * _SAME) & (dose_amount >= amount / _SAME)
        if dose.route == "iv_infusion":
            keep &= (duration <= dose.duration * _SAME) & (duration >= dose.duration / _SAME)
    keep &= np.isin(ds["dose_times"].values.astype(str), ["", "0", "0.0"])
    return ds.isel(sample=np.flatnonzero(keep)) if keep.any() else None


def credit(ds: xr.Dataset) -> str:
    """Who measured, in one line."""
    references = list(dict.fromkeys(str(r) for r in ds["reference"].values if str(r)))
    profiles = len(np.unique(ds["profile"].values))
    shown = "; ".join(references[:3]) + ("; ..." if len(references) > 3 else "")
    return (
        f"{profiles} profile{'s' if profiles != 1 else ''}, {ds.sizes['sample']} samples ({shown})"
    )
