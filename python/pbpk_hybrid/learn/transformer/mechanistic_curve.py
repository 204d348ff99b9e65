"""What is known of a compound, as the network is told: its descriptors, and the mechanistic
model's curve for a typical subject.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr

from ..._core.errors import InputError, OutOfRangeWarning
from ...compounds import Compound
from ...dosing import Regimen
from ...models.small_molecules import partition_equations as eq
from ...physiology import reference_individual
from ...simulation.single import simulate
from ...solvers.base import SolverOptions
from .batch import DESCRIPTORS, SITES
from .data import Patient, subject_ids

_ROW = {name: i for i, name in enumerate(DESCRIPTORS)}


def describe(compound: Compound, species: str) -> np.ndarray:
    """(len(DESCRIPTORS),) of a compound in a species, NaN where not given."""
    c = compound.for_species(species)
    out = np.full(len(DESCRIPTORS), np.nan)

    def put(name: str, value: float | None) -> None:
        if value is not None:
            out[_ROW[name]] = value

    put("log_p", c.log_p)
    if c.log_p is not None or c.pka_acid or c.pka_base:
        acid, base = float(eq.anion_ratio(7.4, c.pka_acid)), float(eq.cation_ratio(7.4, c.pka_base))
        put("anionic", acid / (1 + acid + base))
        put("cationic", base / (1 + acid + base))
    put("log_molar_mass", None if c.molar_mass is None else np.log(c.molar_mass))
    if c.fraction_unbound_plasma is not None:
        fu = min(c.fraction_unbound_plasma, 0.999)
        put("logit_fraction_unbound", np.log(fu / (1 - fu)))
    put(
        "log_blood_to_plasma",
        None if c.blood_to_plasma_ratio is None else np.log(c.blood_to_plasma_ratio),
    )
    put("clearance_in_vivo", float(c.resolved_clearance_basis == "in_vivo"))
    put("volume_in_vivo", float(c.distribution_basis == "in_vivo"))
    put("log_absorption_rate", np.log(c.absorption_rate) if c.absorption_rate else None)
    if c.fraction_absorbed is not None or c.fraction_gut is not None:
        put(
            "oral_fraction",
            (1.0 if c.fraction_absorbed is None else c.fraction_absorbed)
            * (1.0 if c.fraction_gut is None else c.fraction_gut),
        )
    put("saturable", float(bool(c.saturable)))
    if c.saturable:
        main = max(c.saturable, key=lambda p: p.vmax / p.km)
        put("log_dose_over_km", -np.log(main.km))  # the dose is added where its unit is known
    return out


def reference_curves(
    compound: Compound,
    patients: list[Patient],
    regimen: Regimen,
    physiology: Any,
    times: np.ndarray,
    sites: list[int],
) -> np.ndarray | None:
    """Curves of the mechanistic model for every patient, put into ``patient.reference`` at
    the observations.

    Parameters
    ----------
    times
        (n_times,) [h]
    sites
        numbers in SITES

    Returns
    -------
    np.ndarray | None
        (B, n_times, n_sites) [mg/L]; None, with a warning, where the compound does not say
        enough for the model.
    """
    first = min(p.doses.first for p in patients)
    grid = np.unique(np.concatenate([times, *(p.time for p in patients)]))
    grid = grid[grid >= first]
    wanted = sorted({*sites, *(int(s) for p in patients for s in p.site)})
    names = [SITES[s] for s in wanted]
    if not grid.size:
        return np.zeros((len(patients), len(times), len(sites)))
    out = np.zeros((len(patients), len(grid), len(wanted)))
    ids = subject_ids([p.label for p in patients])
    for species in dict.fromkeys(p.species for p in patients):
        rows = [i for i, p in enumerate(patients) if p.species == species]
        people = _people(physiology, patients, rows, [ids[i] for i in rows])
        from_zero = _only(regimen, [ids[i] for i in rows]).shift(-first)
        try:
            result = simulate(
                compound,
                from_zero,
                people,
                grid - first,
                compartments=names,
                backend="embedded",
                options=SolverOptions(rtol=1e-4, threads=1),
                variability=None,  # the typical person of this body: samples tell the differences
            )
        except InputError as error:
            warnings.warn(
                f"the mechanistic model cannot be run for {compound.name}, the forecast goes "
                f"without it: {error}",
                OutOfRangeWarning,
                stacklevel=4,
            )
            return None
        out[rows] = result["concentration"].transpose("subject", "time", "compartment").values
    column = {site: k for k, site in enumerate(wanted)}
    for i, p in enumerate(patients):
        p.reference = (
            out[i, np.searchsorted(grid, p.time), [column[int(s)] for s in p.site]]
            if len(p.time)
            else np.zeros(0)
        )
    at = np.clip(np.searchsorted(grid, times), 0, len(grid) - 1)
    queried = out[:, at][:, :, [column[s] for s in sites]]  # (B, n_times, n_sites)
    return np.where((times >= first)[None, :, None], queried, 0.0)


def _people(
    physiology: Any, patients: list[Patient], rows: list[int], ids: list[int]
) -> xr.Dataset:
    """The patients' own organs where they are given, else those of the reference individual
    at their weight.
    """
    if isinstance(physiology, xr.Dataset) and {"volume", "blood_flow"} <= set(physiology.variables):
        return physiology.isel(subject=rows).assign_coords(subject=("subject", np.array(ids)))
    each = []
    for i in rows:
        person = reference_individual(patients[i].species)
        ratio = patients[i].body_weight / float(person["body_weight"][0])
        each.append(_resized(person, ratio))
    people = xr.concat(
        each,
        "subject",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="override",
        combine_attrs="override",
    )
    return people.assign_coords(subject=("subject", np.array(ids)))


def _resized(person: xr.Dataset, ratio: float) -> xr.Dataset:
    """Volumes in proportion to body weight, flows and filtration to its 3/4 power."""
    flow = ratio**0.75
    scaled = person.copy()
    for name, factor in (
        ("volume", ratio),
        ("body_weight", ratio),
        ("blood_flow", flow),
        ("cardiac_output", flow),
        ("gfr", flow),
    ):
        scaled[name] = (person[name].dims, person[name].values * factor, person[name].attrs)
    return scaled


def _only(regimen: Regimen, ids: list[int]) -> Regimen:
    keep = np.isin(regimen.columns["subject"], [-1, *ids])
    if keep.all():
        return regimen
    return Regimen(
        {name: column[keep] for name, column in regimen.columns.items()}, span=regimen.span
    )


__all__ = ["describe", "reference_curves"]
