"""How much of an oral dose arrives, and what took the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ._core.arguments import check_kind
from ._core.errors import InputError
from ._core.provenance import provenance
from ._core.units import quantity
from .compounds import Compound, get_compound
from .models.absorption import GutAbsorption
from .models.graph import LIVER
from .models.whole_body import FAECES, METABOLISED_GUT, whole_body_system
from .simulation import as_regimen, simulate


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

    Fa is what left the gut lumen for the wall by `duration`, Fg the share of it that the wall let pass, Fh what a
    well-stirred liver lets pass on the first way through, Q/(Q + fu/BP CLint), and F their product.

    >>> ph.bioavailability("metoprolol", "100 mg oral",
    ...     absorption=ph.GutAbsorption(effective_permeability=1.34))                  # doctest: +SKIP

    Parameters
    ----------
    regimen : one oral dose
    absorption : the model of the gut; None: first-order absorption with the compound's own fractions
    duration : [h] after which what is still in the lumen counts as not absorbed
    options : passed to :func:`simulate`

    Returns
    -------
    Dataset over subject: ``fa``, ``fg``, ``fh``, ``f``

    Raises
    ------
    InputError : more than one dose, none or another route; saturable pathways, for which Fh depends on the dose, and
        transporters of liver or gut, for which a well-stirred liver is not the whole
    """
    from .physiology import reference_individual

    check_kind("compound", compound, (Compound, str), "a Compound or the name of one")
    duration = quantity(duration, "h", "duration", positive=True)
    drug = get_compound(compound) if isinstance(compound, str) else compound
    given = as_regimen(regimen)
    if (
        len(given) != 1
        or given.columns["route"][0] != "oral"
        or given.columns["additional_doses"][0]
    ):
        raise InputError("regimen", str(given), "one oral dose")
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
    people = reference_individual("human") if population is None else population
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
    system = whole_body_system(drug, people, absorption=absorption)
    p = system.parameters
    graph = system.assemble.graph
    flow = graph.inflow(LIVER, {o: p[f"flow.{o}"] for o in graph.perfused})
    clint = p["clint.liver"] + p.get("clint.biliary", 0.0)
    fh = np.broadcast_to(
        flow / (flow + p["fraction_unbound_plasma"] / p["blood_to_plasma_ratio"] * clint), fa.shape
    )
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


__all__ = ["bioavailability"]
