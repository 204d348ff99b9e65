"""Tissue:plasma partition coefficients of a compound in a species, by any of the methods."""

from __future__ import annotations

import warnings
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..._core.errors import InputError, OutOfRangeWarning, unknown_name
from ...physiology.organs import SPECIES, TISSUES
from ...physiology.tables.composition import tissue_composition
from . import partition_equations as eq
from .binding import blood_to_plasma, blood_to_plasma_at_hematocrit

if TYPE_CHECKING:
    from ..._core.numeric import FloatOrArray
    from ...compounds import Compound

METHODS = (
    "rodgers_rowland",
    "poulin_theil",
    "berezhkovskiy",
    "schmitt",
    "pksim_standard",
    "measured",
)
DEFAULT_METHOD = "rodgers_rowland"
KP_RANGE = (0.01, 500.0)  # outside it no method was ever tested

# hematocrit of the blood in which blood:plasma ratios are taken to have been measured:
# the species' usual one (httk physiology_data.csv; minipig: PK-Sim; human: 0.45, as in
# most binding studies)
REFERENCE_HEMATOCRIT = {
    "mouse": 0.45,
    "rat": 0.46,
    "rabbit": 0.36,
    "minipig": 0.402,
    "dog": 0.42,
    "monkey": 0.41,
    "human": 0.45,
}

# What blood left in sampled tissue adds to its water (Rodgers & Rowland report tissue
# without it): plasma is 96 % water and red cells 60.3 % (Kawai et al. 1994 for the
# volumes, in the composition table as fraction_vascular)
_WATER_PLASMA, _WATER_RED_CELLS = 0.96, 0.603

# Pearce et al. (2017), httk 2.7.4 pearce2017regression.csv: intercept and slope, first
# for a fraction unbound corrected for lipid binding, then for one as measured
PEARCE_REGRESSION = {
    "brain": ((-0.167, 0.543), (-0.117, 0.377)),
    "adipose": ((-0.325, 0.574), (-0.324, 0.544)),
    "gut": ((0.143, 0.764), (0.14, 0.735)),
    "heart": ((0.116, 0.683), (0.12, 0.534)),
    "kidney": ((0.452, 0.673), (0.443, 0.631)),
    "liver": ((0.475, 0.621), (0.487, 0.513)),
    "lung": ((0.087, 0.866), (0.113, 0.75)),
    "muscle": ((-0.022, 0.658), (-0.025, 0.537)),
    "skin": ((-0.09, 0.566), (-0.086, 0.498)),
    "spleen": ((0.034, 0.765), (0.011, 0.675)),
    "bone": ((0.036, 0.781), (0.025, 0.758)),
}
_PEARCE_STAND_IN = {"stomach": "gut", "pancreas": "gut", "rest": "muscle"}  # as in the composition


def partition_coefficients(
    compound: Compound,
    species: str,
    method: str | None = None,
    *,
    composition: xr.Dataset | None = None,
    fraction_unbound_plasma: FloatOrArray | None = None,
    blood_to_plasma_ratio: FloatOrArray | None = None,
    hematocrit: FloatOrArray | None = None,
    blood_correction: bool = True,
    regression: bool = False,
    fraction_unbound_corrected: bool = True,
) -> xr.DataArray:
    """Tissue:plasma partition coefficients Kp of the 14 tissues.

    Measured values in ``compound.kp`` replace the predicted ones, whatever the method.
    Tissues that a composition table lacks take the row of another (``stand_in`` of
    :func:`~pbpk_hybrid.physiology.tissue_composition`): the rest of the body that of
    muscle, the stomach that of the gut. The same holds for measured values.

    Parameters
    ----------
    compound : Compound, with the values of `species` already put in (``compound.for_species``)
    species : whose tissue composition to use
    method : "rodgers_rowland", "poulin_theil", "berezhkovskiy", "schmitt",
        "pksim_standard" or "measured"; None takes the compound's ``partition_method``, or
        Rodgers & Rowland
    composition : a table as :func:`tissue_composition` returns, to use another one
    fraction_unbound_plasma, blood_to_plasma_ratio : numbers or (n_subjects,), instead of
        the compound's
    hematocrit : of the blood in which the blood:plasma ratio was measured, number or
        (n_subjects,); default: the species' usual one. It is not the subject's own: red
        cell affinity does not change with it.
    blood_correction : Rodgers & Rowland only: take the water of residual blood out of the
        tissue's water, as the blood has compartments of its own. The published
        coefficients are met with it (median error 0.5 %, 98 % within 10 %) and less well
        without (1.2 %, 90 %).
    regression : Schmitt only: calibrate with the regression of Pearce et al. (2017), as httk does
    fraction_unbound_corrected : which regression; True if the fraction unbound is
        corrected for plasma lipid

    Returns
    -------
    DataArray [1] over ``organ``, or over ``subject, organ`` when an argument is an array

    Raises
    ------
    UnknownNameError : unknown species or method
    InputError : a value that the method needs and the compound lacks; the message says
        which and what to do

    Warns
    -----
    OutOfRangeWarning : a Kp outside 0.01 to 500; negative tissue binding, set to 0 as in
        the original method; a blood:plasma ratio that had to be predicted
    """
    kp, method = kp_of_tissues(
        compound,
        species,
        method,
        composition=composition,
        fraction_unbound_plasma=fraction_unbound_plasma,
        blood_to_plasma_ratio=blood_to_plasma_ratio,
        hematocrit=hematocrit,
        blood_correction=blood_correction,
        regression=regression,
        fraction_unbound_corrected=fraction_unbound_corrected,
    )
    dims = ("organ",) if kp.ndim == 1 else ("subject", "organ")
    return xr.DataArray(
        kp,
        dims=dims,
        coords={"organ": list(TISSUES)},
        name="partition_coefficient",
        attrs={
            "units": "1",
            "long_name": "tissue-to-plasma partition coefficient Kp",
            "method": method,
            "species": species,
            "compound": compound.name,
        },
    )


def kp_of_tissues(
    compound: Compound,
    species: str,
    method: str | None = None,
    *,
    composition: xr.Dataset | None = None,
    fraction_unbound_plasma: FloatOrArray | None = None,
    blood_to_plasma_ratio: FloatOrArray | None = None,
    hematocrit: FloatOrArray | None = None,
    blood_correction: bool = True,
    regression: bool = False,
    fraction_unbound_corrected: bool = True,
) -> tuple[np.ndarray, str]:
    """:func:`partition_coefficients` as an array, tissues last in the order of ``TISSUES``, and
    the method.
    """
    if species not in SPECIES:
        raise unknown_name("species", species, SPECIES, what="a species")
    method = method or compound.partition_method or DEFAULT_METHOD
    if method not in METHODS:
        raise unknown_name("method", method, METHODS, what="a partition method")
    if method == "measured":
        kp = np.array(_measured(compound))
    else:
        fu = _given(compound, "fraction_unbound_plasma", method, fraction_unbound_plasma)
        log_p = _given(compound, "log_p", method)
        rows = _rows(species, method, composition)
        if method == "rodgers_rowland":
            bp, hct = _blood(compound, species, fu, blood_to_plasma_ratio, hematocrit)
            predicted = _rodgers_rowland(compound, rows, log_p, fu, bp, hct, blood_correction)
        elif method == "schmitt":
            predicted = _schmitt(compound, rows, log_p, fu) * fu
            if regression:
                predicted = _calibrated(predicted, fu, fraction_unbound_corrected)
        elif method == "pksim_standard":
            predicted = _pksim_standard(compound, rows, log_p, fu)
        else:
            predicted = _from_composition(compound, method, rows, log_p, fu)
        kp = np.array(predicted)
        for organ, value in compound.kp.items():
            kp[..., TISSUES.index(organ)] = value
    _check_range(compound, kp, method)
    return kp, method


def blood_to_plasma_ratio(
    compound: Compound,
    species: str = "human",
    *,
    hematocrit: FloatOrArray | None = None,
    fraction_unbound_plasma: FloatOrArray | None = None,
    method: str | None = None,
) -> FloatOrArray:
    """Blood:plasma concentration ratio, measured or predicted, at the hematocrit of each subject.

    Parameters
    ----------
    hematocrit : number or (n_subjects,); None leaves a measured ratio as it is
    fraction_unbound_plasma : instead of the compound's, for the prediction
    method : how to predict a missing ratio: "rodgers_rowland" (water and neutral lipids
        of red cells; not for bases with pKa > 7) or "schmitt"; None takes the first where
        it applies

    Returns
    -------
    number or (n_subjects,) [1]

    Raises
    ------
    InputError : neither a measured ratio nor the values for a prediction, or a ratio
        below what the hematocrit allows
    """
    if species not in SPECIES:
        raise unknown_name("species", species, SPECIES, what="a species")
    reference = REFERENCE_HEMATOCRIT[species]
    measured = compound.blood_to_plasma_ratio
    if measured is not None:
        if measured < 1 - reference - 1e-12 and hematocrit is not None:
            # rounding and other people's hematocrit: the drug is then simply absent from red cells
            reference = 1 - measured
        return (
            measured
            if hematocrit is None
            else blood_to_plasma_at_hematocrit(measured, reference, hematocrit)
        )
    need = "blood_to_plasma_ratio"
    fu = _given(compound, "fraction_unbound_plasma", need, fraction_unbound_plasma)
    log_p = _given(compound, "log_p", need)
    strong = eq.is_strong_base(compound.pka_base)
    method = method or ("schmitt" if strong else "rodgers_rowland")
    if method == "rodgers_rowland":
        if strong:
            raise InputError(
                "method",
                method,
                "'schmitt'",
                subject=compound.name,
                hint="Rodgers & Rowland derive the binding of strong bases from the measured ratio",
            )
        cells = _row(_rows(species, method, None), "red_cells", tuple(eq.RED_CELLS))
        kpu = eq.red_cell_kpu_without_binding(
            log_p, pka_acid=compound.pka_acid, pka_base=compound.pka_base, red_cells=cells
        )
    elif method == "schmitt":
        kpu = _schmitt(compound, _rows(species, method, None), log_p, fu, organs=("red_cells",))[
            ..., 0
        ]
    else:
        raise unknown_name("method", method, ("rodgers_rowland", "schmitt"))
    return blood_to_plasma(
        kpu,
        np.asarray(fu)[..., 0] if np.ndim(fu) else fu,
        reference if hematocrit is None else hematocrit,
    )


# ---- the methods ----
_IS_ADIPOSE = np.array([organ == "adipose" for organ in TISSUES])
_RR = (
    "fraction_neutral_lipid",
    "fraction_neutral_phospholipid",
    "fraction_extracellular_water",
    "fraction_intracellular_water",
    "acidic_phospholipid",
    "albumin_ratio",
    "lipoprotein_ratio",
)
_SCHMITT = (
    "fraction_cells",
    "fraction_interstitium",
    "fraction_water_cells",
    "fraction_lipid_cells",
    "fraction_protein_cells",
    "neutral_lipid_fraction_of_lipid",
    "neutral_phospholipid_fraction",
    "acidic_phospholipid_fraction",
    "ph_cells",
)


def _from_composition(compound, method, rows, log_p, fu):
    """Kp of Poulin & Theil, or of Berezhkovskiy."""
    equation = eq.poulin_theil_kp if method == "poulin_theil" else eq.berezhkovskiy_kp
    names = ("fraction_water", "fraction_neutral_lipid", "fraction_phospholipid")
    return equation(
        log_p,
        fu,
        pka_acid=compound.pka_acid,
        pka_base=compound.pka_base,
        adipose=_IS_ADIPOSE,
        plasma=_row(rows, "plasma", names),
        **_tissues(rows, names),
    )


def _calibrated(kp, fu, fraction_unbound_corrected):
    """Kp after the regression of Pearce et al. (2017)."""
    which = 0 if fraction_unbound_corrected else 1
    pairs = [PEARCE_REGRESSION[_PEARCE_STAND_IN.get(o, o)][which] for o in TISSUES]
    intercept, slope = np.array(pairs).T  # each (organ,)
    return eq.pearce_regression(kp / fu, fu, intercept, slope) * fu


def _blood(compound, species, fu, ratio, hematocrit):
    """(blood:plasma ratio, None but for strong bases; hematocrit) as Rodgers & Rowland use them."""
    hct = _column(
        REFERENCE_HEMATOCRIT[species] if hematocrit is None else hematocrit, "hematocrit", compound
    )
    if not eq.is_strong_base(compound.pka_base):
        return None, hct
    if ratio is None:
        ratio = compound.blood_to_plasma_ratio
    if ratio is None:
        ratio = blood_to_plasma_ratio(
            compound,
            species,
            fraction_unbound_plasma=_flat(fu),
            method="schmitt",
            hematocrit=_flat(hct),
        )
        warnings.warn(
            f"blood_to_plasma_ratio of {compound.name} is not given; Rodgers & Rowland need it "
            "for a base with pKa > 7, so Schmitt's prediction "
            f"{float(np.real(np.mean(ratio))):.3g} is used",
            OutOfRangeWarning,
            stacklevel=5,
        )
    return _column(ratio, "blood_to_plasma_ratio", compound), hct


def _rodgers_rowland(compound, rows, log_p, fu, bp, hct, blood_correction):
    """Kp of Rodgers & Rowland; warns where tissue binding comes out negative."""
    tissue = _tissues(rows, _RR)
    if blood_correction:
        blood = _tissues(rows, ("fraction_vascular",))["fraction_vascular"]
        ht = REFERENCE_HEMATOCRIT["rat"]  # the composition is the rat's
        tissue["fraction_extracellular_water"] = (
            tissue["fraction_extracellular_water"] - blood * (1 - ht) * _WATER_PLASMA
        )
        tissue["fraction_intracellular_water"] = (
            tissue["fraction_intracellular_water"] - blood * ht * _WATER_RED_CELLS
        )
    kpu, binding = eq.rodgers_rowland_kpu(
        log_p,
        fu,
        bp,
        pka_acid=compound.pka_acid,
        pka_base=compound.pka_base,
        hematocrit=hct,
        adipose=_IS_ADIPOSE,
        red_cells=_row(rows, "red_cells", tuple(eq.RED_CELLS)),
        plasma=_row(rows, "plasma", tuple(eq.PLASMA)),
        **tissue,
    )
    if np.any(np.real(binding) < 0):
        what = (
            f"its fraction_unbound_plasma {compound.fraction_unbound_plasma} exceeds what plasma "
            "lipid alone allows"
        )
        if eq.is_strong_base(compound.pka_base):
            what = (
                f"its blood_to_plasma_ratio {compound.blood_to_plasma_ratio} is below what red "
                "cell water and lipid alone give"
            )
        warnings.warn(
            f"Rodgers & Rowland: the tissue binding of {compound.name} comes out negative and "
            f"is set to 0 ({what})",
            OutOfRangeWarning,
            stacklevel=3,
        )
    return kpu * fu


def _schmitt(compound, rows, log_p, fu, organs=TISSUES):
    affinity = compound.log_membrane_affinity
    return eq.schmitt_kpu(
        log_p,
        fu,
        pka_acid=compound.pka_acid,
        pka_base=compound.pka_base,
        affinity=None if affinity is None else 10.0**affinity,
        plasma_protein_fraction=_row(rows, "plasma", ("fraction_protein_cells",))[
            "fraction_protein_cells"
        ],
        **_tissues(rows, _SCHMITT, organs),
    )


def _pksim_standard(compound, rows, log_p, fu):
    """Composition summed up from Schmitt's: cells and interstitium, the latter with 37 %
    of plasma's protein.
    """
    c = _tissues(rows, _SCHMITT)
    protein_plasma = _row(rows, "plasma", ("fraction_protein_cells",))["fraction_protein_cells"]
    total = c["fraction_cells"] + c["fraction_interstitium"]
    cells, interstitium = c["fraction_cells"] / total, c["fraction_interstitium"] / total
    affinity = compound.log_membrane_affinity
    return eq.pksim_standard_kp(
        log_p,
        fu,
        fraction_water=cells * c["fraction_water_cells"] + interstitium * (1 - protein_plasma),
        fraction_lipid=cells * c["fraction_lipid_cells"],
        fraction_protein=cells * c["fraction_protein_cells"] + interstitium * 0.37 * protein_plasma,
        affinity=None if affinity is None else 10.0**affinity,
    )


def _measured(compound) -> list[float]:
    stand_in = {"stomach": "gut", "rest": "muscle"}
    values, missing = [], []
    for organ in TISSUES:
        value = compound.kp.get(organ, compound.kp.get(stand_in.get(organ, ""), None))
        values.append(value)
        if value is None:
            missing.append(organ)
    if missing:
        raise InputError(
            "kp",
            sorted(compound.kp),
            "a measured value for " + ", ".join(missing),
            subject=compound.name,
            hint=(
                "or name a predictive method: measured values then replace its "
                "predictions organ by organ"
            ),
        )
    return values


# ---- small pieces ----
def _given(compound, field: str, method: str, value=None):
    """The override or the compound's own value, as a number or a column over subjects."""
    value = getattr(compound, field) if value is None else value
    if value is None:
        raise InputError(
            field,
            None,
            f"a value, which {method} needs",
            subject=compound.name,
            hint=f"compound.replace({field}=...)",
        )
    return _column(value, field, compound)


def _column(value, field: str, compound):
    array = np.asarray(value)
    if array.ndim == 0:
        return array[()]
    if array.ndim > 1:
        raise InputError(
            field, array.shape, "a number or one value per subject", subject=compound.name
        )
    return array[:, None]


def _flat(value):
    return value[:, 0] if np.ndim(value) else value


def _rows(species: str, method: str, composition: xr.Dataset | None) -> xr.Dataset:
    if composition is not None:
        return composition
    return _composition(species, "schmitt" if method == "pksim_standard" else method)


@cache
def _composition(species: str, method: str) -> xr.Dataset:
    """The composition table, read once; for reading only."""
    return tissue_composition(species, method)


def _tissues(rows: xr.Dataset, names, organs=TISSUES) -> dict[str, np.ndarray]:
    """Variables of the composition in the order of `organs`."""
    labels = [str(o) for o in rows.variables["organ"].values]
    missing = [o for o in organs if o not in labels]
    absent = [n for n in names if n not in rows]
    if missing or absent:
        raise InputError(
            "composition", missing or absent, "every tissue and every variable the method needs"
        )
    index = [labels.index(o) for o in organs]
    return {name: rows.variables[name].values[index] for name in names}


def _row(rows: xr.Dataset, organ: str, names) -> dict[str, float]:
    return {name: value[0] for name, value in _tissues(rows, names, (organ,)).items()}


def _check_range(compound, kp: np.ndarray, method: str) -> None:
    real = np.real(kp)
    low, high = KP_RANGE
    outside = ((real < low) | (real > high)).reshape(-1, len(TISSUES))
    if outside.any():
        organs = [o for o, bad in zip(TISSUES, outside.any(axis=0), strict=True) if bad]
        warnings.warn(
            f"{method}: Kp of {compound.name} is outside {low:g} to {high:g} in "
            f"{', '.join(organs)} "
            f"({np.min(real):.3g} to {np.max(real):.3g}); check log_p, pKa and "
            "fraction_unbound_plasma",
            OutOfRangeWarning,
            stacklevel=4,
        )
