"""Hepatic and renal clearance of one compound in every subject of a population.

In vivo clearance belongs to the species' reference individual; a total one is split by
the fraction excreted, a hepatic one stands beside filtration (fraction unbound x GFR x
``gfr_fraction``). It is turned into intrinsic clearance per gram of liver and into renal
clearance per GFR there, and scaled to each subject by liver mass and GFR; net secretion is limited
by the kidney's blood flow. In vitro
clearance is scaled by each subject's own liver mass and cells or microsomal protein per
gram.

Cells per gram of liver are a factor from the test tube to the liver, so they do not touch
clearance that was measured in people: what a gram of liver clears differs between people
by :class:`pbpk_hybrid.Variability`, which was calibrated on clearance in people and so
holds the cells already. Nor does clearance in people follow the fall of cells with age
(to half from 22 to 63 years by Barter et al. 2007): see
benchmarks/validation/variability.md.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..._core.errors import InputError
from ...compounds import Compound
from ...physiology.columns import by_organ, of_organ
from ..system.graph import LIVER, OrganGraph, whole_body_graph
from .binding import fraction_unbound_hepatocytes, fraction_unbound_microsomes
from .clearance import (
    HEPATOCELLULARITY,
    MICROSOMAL_PROTEIN,
    check_model,
    clint_from_hepatic_clearance,
    clint_liver_from_hepatocytes,
    clint_liver_from_microsomes,
    gfr_fraction_from_clearance,
    hepatic_clearance,
    renal_clearance,
    split_clearance,
)
from .enzymes import activity_factor
from .ionisation import distribution_coefficient, ionisation
from .reference import ReferenceBody


def elimination_parameters(
    compound: Compound,
    physiology: xr.Dataset,
    graph: OrganGraph,
    blood_to_plasma: np.ndarray,
    hepatic_model: str | None = None,
    reference: ReferenceBody | None = None,
) -> dict[str, np.ndarray]:
    """``clint.liver`` [L/h, unbound] and ``clearance_renal`` [L/h, plasma], each (n_subjects,).

    The liver of the ODE is well stirred. For another hepatic model the intrinsic
    clearance returned is the one with which a well-stirred liver clears as much as that
    model says.

    Raises
    ------
    InputError : no clearance is given; clearance above the organ's blood flow (names the subject)
    """
    reference = reference or ReferenceBody(compound)
    model = check_model(hepatic_model or compound.hepatic_model or "well_stirred")
    fu = compound.fraction_unbound_plasma
    flow = _liver_flow(physiology, graph)
    gfr = physiology.variables["gfr"].values.astype(float)
    clint, fraction = _on_its_basis(compound, physiology, flow, reference, model)
    clint = clint * activity_factor(compound, physiology, LIVER)
    if model != "well_stirred":
        blood = hepatic_clearance(clint, flow, fu / blood_to_plasma, model)
        clint = clint_from_hepatic_clearance(
            blood,
            flow,
            fu / blood_to_plasma,
            "well_stirred",
            compound=compound.name,
            subjects=_labels(physiology),
        )
    kidney = of_organ(physiology, "blood_flow", "kidney")
    renal = _renal(reference, gfr, kidney * blood_to_plasma, fraction)
    too_much = renal / blood_to_plasma > kidney
    if np.any(too_much):
        s = int(np.flatnonzero(too_much)[0])
        raise InputError(
            "renal blood clearance",
            float(np.broadcast_to(renal / blood_to_plasma, kidney.shape)[s]),
            f"at most the kidney's blood flow, {kidney[s]:.4g} L/h",
            subject=_labels(physiology)[s],
            hint="check fraction_excreted_renal, gfr_fraction and blood_to_plasma_ratio",
        )
    return {"clint.liver": clint, "clearance_renal": renal}


def _renal(
    reference: ReferenceBody, gfr: np.ndarray, flow: np.ndarray, fraction: float | np.ndarray
) -> np.ndarray:
    """Renal plasma clearance [L/h], (n_subjects,).

    What is filtered is proportional to GFR, and net secretion is taken to be (the intact nephron
    hypothesis; for secreted drugs many studies contradict it: Pradhan et al. 2019, Eur J Clin
    Pharmacol, doi 10.1007/s00228-018-2572-8). But nobody clears more than a well-stirred kidney
    with the person's own blood flow does, whose intrinsic clearance is proportional to GFR. The
    reference individual clears what was measured.

    Parameters
    ----------
    gfr
        Of the subjects [L/h].
    flow
        Flow of drug in plasma terms, blood flow x blood:plasma ratio, of their kidneys [L/h].
    fraction
        Renal clearance over fu GFR in the reference individual.
    """
    fu = reference.compound.fraction_unbound_plasma
    if np.ndim(fraction) or not fraction > 1:
        return renal_clearance(gfr, fu, fraction)
    person = reference.individual
    own_gfr = float(person.variables["gfr"].values[0])
    measured = renal_clearance(own_gfr, fu, fraction)
    limit = float(of_organ(person, "blood_flow", "kidney")[0]) * reference.blood_to_plasma
    if not measured < limit:  # more than flows in where it was measured: refused below
        return renal_clearance(gfr, fu, fraction)
    intrinsic = measured / (1 - measured / limit) * (gfr / own_gfr)
    return np.minimum(measured * gfr / own_gfr, flow * intrinsic / (flow + intrinsic))


def _on_its_basis(
    compound: Compound,
    physiology: xr.Dataset,
    flow: np.ndarray,
    reference: ReferenceBody,
    model: str,
) -> tuple[np.ndarray, float | np.ndarray]:
    """(intrinsic clearance of the liver [L/h, unbound] at normal enzymes, renal clearance
    over fu GFR), from what the compound's clearance stands on.
    """
    basis = compound.resolved_clearance_basis
    alone = compound.clearance_basis is None and compound.clearance_hepatic is None
    if compound.saturable and alone:
        # the pathways are all there is to the liver
        fraction = compound.gfr_fraction
        if compound.clearance_plasma is not None and compound.fraction_excreted_renal is not None:
            _, fraction = _in_vivo(reference, model)
        return np.zeros_like(flow), fraction
    if basis == "in_vivo":
        per_gram, fraction = _in_vivo(reference, model)
        return per_gram * _liver_mass(physiology), fraction
    if basis == "in_vitro":
        return _in_vitro(compound, physiology), compound.gfr_fraction
    raise InputError(
        "clearance",
        None,
        "clearance_plasma, clearance_hepatic, clint_hepatocyte, clint_microsome or saturable "
        "pathways",
        subject=compound.name,
        hint="for a compound that is not metabolised give clint_hepatocyte=0",
    )


def _liver_flow(physiology: xr.Dataset, graph: OrganGraph) -> np.ndarray:
    flows = by_organ(physiology, "blood_flow")
    return graph.inflow(LIVER, {o: flows[o] for o in graph.perfused})


def _liver_mass(physiology: xr.Dataset) -> np.ndarray:
    volume, density = (of_organ(physiology, name, LIVER) for name in ("volume", "density"))
    return volume * density * 1000.0  # g


def _cells(physiology: xr.Dataset) -> np.ndarray | float:
    """Hepatocellularity relative to the species' standard: more cells per gram clear more."""
    if "hepatocellularity" not in physiology:
        return 1.0
    cells = physiology.variables["hepatocellularity"].values.astype(float)
    standard = HEPATOCELLULARITY[str(physiology.variables["species"].values[0])][0]
    return np.where(np.isfinite(cells), cells, standard) / standard


def _in_vivo(reference: ReferenceBody, model: str) -> tuple[float, float]:
    """(intrinsic clearance [L/h per gram of liver], renal clearance over fu GFR), from
    the reference individual.
    """
    compound, person = reference.compound, reference.individual
    graph = whole_body_graph(tuple(str(o) for o in person.variables["organ"].values))
    fu = compound.fraction_unbound_plasma
    ratio = reference.blood_to_plasma
    if compound.clearance_hepatic is not None:  # nothing of it is renal; filtration comes beside it
        given, excreted = compound.clearance_hepatic, None
    else:
        given, excreted = compound.clearance_plasma, compound.fraction_excreted_renal
    hepatic, renal = split_clearance(
        given, excreted, float(person.variables["body_weight"].values[0]), ratio
    )
    flow = float(_liver_flow(person, graph)[0])
    clint = float(
        clint_from_hepatic_clearance(hepatic, flow, fu / ratio, model, compound=compound.name)
    )
    per_gram = clint / float(_liver_mass(person)[0])
    if compound.clearance_hepatic is not None:
        return per_gram, compound.gfr_fraction
    return per_gram, float(
        gfr_fraction_from_clearance(renal, float(person.variables["gfr"].values[0]), fu)
    )


def _in_vitro(compound: Compound, physiology: xr.Dataset) -> np.ndarray:
    species, mass = compound.species, _liver_mass(physiology)
    if compound.clint_hepatocyte is not None:
        fu = compound.fraction_unbound_hepatocyte
        if fu is None:
            fu = fraction_unbound_hepatocytes(log_p_or_d(compound))
        standard = HEPATOCELLULARITY[species][0]
        return clint_liver_from_hepatocytes(
            compound.clint_hepatocyte, mass, standard * _cells(physiology), fu
        )
    if species not in MICROSOMAL_PROTEIN:
        raise InputError(
            "clint_microsome",
            compound.clint_microsome,
            f"a species of {sorted(MICROSOMAL_PROTEIN)}",
            subject=compound.name,
            hint="give clint_hepatocyte instead",
        )
    protein = np.full(mass.shape, MICROSOMAL_PROTEIN[species][0])
    if "microsomal_protein" in physiology:
        own = physiology.variables["microsomal_protein"].values.astype(float)
        protein = np.where(np.isfinite(own), own, protein)
    fu = compound.fraction_unbound_microsome
    if fu is None:
        fu = fraction_unbound_microsomes(log_p_or_d(compound))
    return clint_liver_from_microsomes(compound.clint_microsome, mass, protein, fu)


def log_p_or_d(compound: Compound) -> float:
    """log P for bases, else log D at pH 7.4, as Kilford et al. (2008) and Austin et al.
    (2002) use it.
    """
    if compound.log_p is None:
        raise InputError(
            "log_p",
            None,
            "a number, or the fraction unbound in the incubation",
            subject=compound.name,
        )
    if compound.pka_base and not compound.pka_acid:
        return compound.log_p
    charged = ionisation(7.4, compound.pka_acid, compound.pka_base).charged
    return float(np.log10(distribution_coefficient(10.0**compound.log_p, charged)))


def _labels(physiology: xr.Dataset) -> np.ndarray:
    if "subject" in physiology.coords:
        return physiology.variables["subject"].values
    return np.arange(physiology.sizes["subject"])
