"""The whole-body model of a small molecule: compound + physiology -> System.

Every organ t is well stirred and leaves its blood at C_t BP/Kp_t (Jones & Rowland-Yeo 2013, CPT
Pharmacometrics Syst Pharmacol 2:e63):

.. math::
    V_t \\dot C_t = Q_t (C_{in} - C_t\\,BP/Kp_t) - E_t

- liver: :math:`E = CL_{int,u} f_u C/Kp + \\sum V_{max} C_u/(K_m + C_u)`, :math:`C_u = f_u C/Kp`
- kidney: glomerular filtration takes plasma water from the arterial blood on its way in,
  :math:`E = CL_R\\,C_{art}/BP`, so that renal plasma clearance is exactly CL_R
- oral: depot, transit compartments, gut lumen, gut wall; what is not absorbed (1 - Fa) leaves for
  ``faeces``, what the wall metabolises (1 - Fg) for ``metabolised_gut``
- oral with an `absorption` model: stomach, small intestine and colon with dissolution, see
  :mod:`.absorption`
- bile: :math:`E = CL_{bile,u} f_u C/Kp` from the liver into the gallbladder, which empties into
  the gut lumen by a first-order rate, or into the lumen at once; from there it is absorbed like
  an oral dose (enterohepatic recirculation)
- enzymes: `enzymes_apart` leaves out the metabolism by the compound's named enzymes, which
  :mod:`.interactions` adds as reactions. The gut wall is then a state of volume V_w that absorbed
  drug leaves with the flow Q_w (Yang et al. 2007, Curr Drug Metab 8:676):
  :math:`F_g = Q_w/(Q_w + CL_{int,w})`, so that :math:`CL_{int,w} = Q_w (1 - F_g)/F_g`. A
  compound that saturates, inactivates or induces the enzymes of its own metabolism has them
  apart and added by itself
- organs with a permeability-surface product are blood, interstitium and cells instead of one
  space: see :mod:`.permeability`; which they are by default: :mod:`.slow_tissues`
- transporters carry drug across barriers, and to bile, urine and gut lumen: see :mod:`.transport`

What is eliminated stays in the system as sinks (``metabolised``, ``excreted_renal``, ...), so that
body + sinks = dose.

The numbers come from :mod:`.disposition`, the states from :mod:`.structure`, the equations from
:mod:`.coefficients`. This module makes a System of them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from ..._core.arguments import check_kind, check_mapping
from ...compounds import Compound
from ..system.system import System
from .absorption import GutAbsorption
from .assembly import assemble_one, build_system
from .disposition import Disposition, DispositionChoices, resolve_disposition
from .interactions import own_enzymes_system
from .structure import (
    DEPOT,
    FAECES,
    GALLBLADDER,
    GUT_WALL,
    LUMEN,
    METABOLISED,
    METABOLISED_GUT,
    RENAL,
    SINKS,
)


def whole_body_system(
    compound: Compound,
    physiology: xr.Dataset,
    *,
    clearance: str | None = None,
    distribution: str | None = None,
    partition_method: str | None = None,
    kp: Mapping[str, float] | None = None,
    hepatic_model: str | None = None,
    factors: Mapping[str, np.ndarray] | None = None,
    permeability_limited: Mapping[str, float | tuple[float, float]] | float | str | None = None,
    enzymes_apart: bool = False,
    absorption: GutAbsorption | None = None,
) -> System:
    """The System of one compound in every subject of a physiology Dataset.

    Parameters
    ----------
    compound : Compound
        The values of the subjects' species are used (``compound.for_species``).
    physiology : xarray.Dataset
        Schema ``physiology``; all subjects of one species.
    clearance, distribution : str, optional
        Replace the compound's ``clearance_basis`` ("in_vivo", "in_vitro") and
        ``distribution_basis`` ("predicted", "in_vivo").
    partition_method : str, optional
        Replaces the compound's own; default Rodgers & Rowland.
    kp : mapping of str to float, optional
        Tissue:plasma partition coefficients by organ [1]. They replace everything else, the factor
        of ``distribution_basis="in_vivo"`` included.
    hepatic_model : str, optional
        "well_stirred", "parallel_tube" or "dispersion"; replaces the compound's own.
    factors : mapping of str to ndarray, (n_subjects,), optional
        Parameter -> multipliers, for variability between subjects.
    permeability_limited : mapping, float, "all" or None
        Organ -> PS of the cell membranes, or (cell membranes, capillary wall) [L/h per kg of
        tissue]; a number: every tissue; ``"all"``: every tissue with the compound's values; None:
        the organs the compound has values for, else those of the rule of
        :mod:`.slow_tissues`; {}: none.
    enzymes_apart : bool
        Leave out metabolism by named enzymes, and transporters; see the module's text.
    absorption : GutAbsorption, optional
        Model of the gut; None: first-order absorption.

    Returns
    -------
    System
        States: all organs, lumen and sinks [mg]. Observables: ``plasma`` (venous plasma),
        ``blood``, every organ as a whole and every part of a permeability-limited one.

    Raises
    ------
    InputError
        A value the model needs is missing or impossible; names the field, the compound and the
        subject.
    """
    check_kind("compound", compound, Compound, "a Compound")
    check_mapping("factors", factors, "a mapping: parameter -> factors")
    choices = DispositionChoices(
        clearance,
        distribution,
        partition_method,
        kp,
        hepatic_model,
        permeability_limited,
        absorption,
        enzymes_apart,
    )
    return assemble_system(resolve_disposition(compound, physiology, choices).scaled(factors))


def assemble_system(disposition: Disposition) -> System:
    """The System of a resolved compound.

    Parameters
    ----------
    disposition : Disposition
        Of :func:`.resolve_disposition`, with its variability between subjects.

    Returns
    -------
    System

    Raises
    ------
    InputError
        Kp of a permeability-limited organ leaves no room for its cells; a saturable pathway in an
        organ that is no tissue.
    """
    return own_enzymes_system(disposition) if disposition.alone else assemble_one(disposition)


__all__ = [
    "DEPOT",
    "FAECES",
    "GALLBLADDER",
    "GUT_WALL",
    "LUMEN",
    "METABOLISED",
    "METABOLISED_GUT",
    "RENAL",
    "SINKS",
    "assemble_system",
    "build_system",
    "whole_body_system",
]
