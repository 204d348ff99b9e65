"""Bioavailability of an oral dose: absorbed fraction, gut wall and liver."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from .._core.errors import InputError
from .._core.provenance import provenance
from .._core.units import quantity
from ..compounds import Compound
from ..compounds.conversion import as_compound
from ..dosing import Regimen
from ..dosing.conversion import as_regimen
from ..models.small_molecules.absorption import GutAbsorption
from ..models.small_molecules.disposition import DispositionChoices, resolve_disposition
from ..models.small_molecules.structure import FAECES, METABOLISED_GUT
from ..models.system.graph import LIVER
from .single import simulate


def bioavailability(
    compound: Compound | str,
    regimen: Any,
    population: xr.Dataset | None = None,
    *,
    absorption: GutAbsorption | None = None,
    duration: float = 240.0,
    **options: Any,
) -> xr.Dataset:
    """Fa, Fg, Fh and F of a single oral dose in every person.

    Fa is the fraction of the dose that leaves the gut lumen for the wall by `duration`. Fg is
    the fraction of it that escapes metabolism in the wall. Fh is the fraction that escapes
    first-pass extraction in a well-stirred liver, Q/(Q + fu/BP CLint). F is their product.

    >>> import pbpk_hybrid as ph
    >>> gut = ph.GutAbsorption(effective_permeability=1.34)
    >>> found = ph.bioavailability("metoprolol", "100 mg oral", absorption=gut)
    >>> bool(0 < found["f"][0] < found["fa"][0] <= 1)
    True

    Parameters
    ----------
    compound : Compound or str
        A Compound or the name of one in the database.
    regimen : Regimen or str
        One oral dose.
    population : xarray.Dataset, optional
        Physiology Dataset; None: the reference human.
    absorption : GutAbsorption, optional
        Model of the gut. None: first-order absorption with the compound's own fractions.
    duration : float, h
        Drug that is still in the lumen at this time counts as not absorbed.
    **options
        Passed to :func:`simulate`. Without `variability` people differ by their anatomy alone.

    Returns
    -------
    xarray.Dataset
        Over subject: ``fa``, ``fg``, ``fh``, ``f`` [1].

    Raises
    ------
    InputError
        More than one dose, none or another route; saturable pathways, for which Fh depends on
        the dose; transporters of liver or gut, which a well-stirred liver does not include.
    """
    from ..physiology import reference_individual

    drug = as_compound(compound)
    duration = quantity(duration, "h", "duration", positive=True)
    given = as_regimen(regimen)
    _check_single_oral_dose(given)
    _check_linear(drug)
    people = reference_individual("human") if population is None else population
    # Fh below follows from each person's anatomy: variability of CLint in the simulation alone
    # would give another liver
    options = {"variability": None, **options}
    ds = simulate(drug, given, people, [0.0, duration], absorption=absorption, **options)
    amount = ds["amount"].isel(time=-1)
    # not the result's own first dose: that of a formulation with timed release is its first piece
    dose = (
        given.columns["amount"][0]
        + given.columns["amount_per_kg"][0] * people["body_weight"].values
    )
    lumen = [s for s in (absorption.states if absorption else ()) if s in ds["compartment"].values]
    lumen += [c for c in ("gut_lumen", "oral_depot") if c in ds["compartment"].values]
    lumen += [str(c) for c in ds["compartment"].values if str(c).startswith("transit_")]
    left = amount.sel(compartment=[FAECES, *lumen]).sum("compartment").values
    fa = 1 - left / dose
    with np.errstate(invalid="ignore"):
        fg = 1 - amount.sel(compartment=METABOLISED_GUT).values / (fa * dose)
    same = ("clearance", "distribution", "partition_method", "kp", "hepatic_model")
    chosen = {name: options[name] for name in same if name in options}
    choices = DispositionChoices(absorption=absorption, **chosen)
    fh = np.broadcast_to(_escapes_liver(drug, people, choices), fa.shape)
    return xr.Dataset(
        {
            k: ("subject", v, {"units": "1", "long_name": n})
            for k, v, n in (
                ("fa", fa, "fraction absorbed"),
                ("fg", fg, "fraction that passes the gut wall"),
                ("fh", fh, "fraction that passes the liver"),
                ("f", fa * fg * fh, "bioavailability"),
            )
        },
        {"subject": ds["subject"].values},
        attrs=provenance(
            compound=drug.name, regimen=str(given), absorption=str(absorption or "first order")
        ),
    )


def _escapes_liver(
    drug: Compound, people: xr.Dataset, choices: DispositionChoices
) -> np.ndarray | float:
    """Fraction that escapes first-pass extraction in a well-stirred liver, (n_subjects,)."""
    resolved = resolve_disposition(drug, people, choices)
    p, graph = resolved.parameters, resolved.graph
    flow = graph.inflow(LIVER, {o: p[f"flow.{o}"] for o in graph.perfused})
    clint = p["clint.liver"] + p.get("clint.biliary", 0.0)
    return flow / (flow + p["fraction_unbound_plasma"] / p["blood_to_plasma_ratio"] * clint)


def _check_single_oral_dose(given: Regimen) -> None:
    """Refuse anything but one oral dose."""
    if (
        len(given) != 1
        or given.columns["route"][0] != "oral"
        or given.columns["additional_doses"][0]
    ):
        raise InputError("regimen", str(given), "one oral dose")


def _check_linear(drug: Compound) -> None:
    """Refuse compounds whose first-pass extraction a well-stirred liver does not give."""
    if drug.saturable:
        raise InputError(
            "saturable",
            [p.name for p in drug.saturable],
            "linear elimination",
            subject=drug.name,
            hint="compare AUCs after oral and intravenous doses instead",
        )
    if any(t.organ in ("liver", "gut") and not t.none for t in drug.transporters):
        raise InputError(
            "transporters",
            [t.label for t in drug.transporters],
            "none in liver and gut",
            subject=drug.name,
            hint="compare AUCs after oral and intravenous doses instead",
        )


__all__ = ["bioavailability"]
