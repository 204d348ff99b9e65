"""Tissue composition for the partition methods: what each tissue, plasma and red cells are made of.

Three published tables, read untouched from the shipped copies:

``rodgers_rowland``
    Rat, Rodgers, Leahy & Rowland, J Pharm Sci 94:1259 (2005) and Rodgers & Rowland, J Pharm
    Sci 95:1238 (2006). No openly licensed human table exists; the rat table is used for
    every species, as is usual.
``poulin_theil`` and ``berezhkovskiy``
    Human, Poulin & Theil, J Pharm Sci 91:129 (2002). For the animals the rat table is built
    from the Rodgers-Rowland rows: water = extracellular + intracellular water, phospholipid
    = neutral + acidic phospholipid.
``schmitt``
    Rat (Ruark et al., J Pharm Sci 103:2189, 2014) and human (Schmitt, Toxicol In Vitro
    22:457, 2008; Pearce et al., J Pharmacokinet Pharmacodyn 44:549, 2017) as held by httk.
    httk uses the human composition for all species but the rat; so does this function.

A tissue that a table lacks gets the row of another tissue, named in ``stand_in``: gut
for stomach, muscle for the rest of the body, and (Poulin-Theil) the rat pancreas or
(Schmitt) the gut for the pancreas.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from ..._core.arguments import check_choice
from ..._core.provenance import provenance
from ..organs import SPECIES, TISSUES
from .files import compphysiol, httk_physiology, httk_tissue, rows

METHODS = ("rodgers_rowland", "poulin_theil", "berezhkovskiy", "schmitt")

COMPOSITION_ORGANS = (*TISSUES, "plasma", "red_cells")
"""Entries of the ``organ`` dimension of :func:`tissue_composition`."""

_F, _1 = "1", "1"
_VARIABLES: dict[str, dict[str, tuple[str, str]]] = {
    "rodgers_rowland": {
        "fraction_neutral_lipid": (_F, "volume fraction of neutral lipid"),
        "fraction_neutral_phospholipid": (_F, "volume fraction of neutral phospholipid"),
        "fraction_extracellular_water": (_F, "volume fraction of extracellular water"),
        "fraction_intracellular_water": (_F, "volume fraction of intracellular water"),
        "acidic_phospholipid": ("mg/g", "acidic phospholipid"),
        "albumin_ratio": (_1, "albumin concentration, tissue to plasma"),
        "lipoprotein_ratio": (_1, "lipoprotein concentration, tissue to plasma"),
        "fraction_vascular": (
            _F,
            "volume fraction of blood in the tissue as sampled (Kawai et al. 1994)",
        ),
        "ph": (_1, "pH: of intracellular water for tissues and red cells, of plasma for plasma"),
    },
    "poulin_theil": {
        "fraction_water": (_F, "volume fraction of water"),
        "fraction_neutral_lipid": (_F, "volume fraction of neutral lipid"),
        "fraction_phospholipid": (_F, "volume fraction of phospholipid"),
        "ph": (_1, "pH"),
    },
    "schmitt": {
        "fraction_cells": (_F, "volume fraction of cells in the tissue"),
        "fraction_interstitium": (_F, "volume fraction of interstitium in the tissue"),
        "fraction_water_cells": (_F, "volume fraction of water in the cells"),
        "fraction_lipid_cells": (_F, "volume fraction of lipid in the cells"),
        "fraction_protein_cells": (_F, "volume fraction of protein in the cells"),
        "neutral_lipid_fraction_of_lipid": (_F, "neutral lipid as a fraction of the cells' lipid"),
        "neutral_phospholipid_fraction": (
            _F,
            "neutral phospholipid as a fraction of the cells' lipid",
        ),
        "acidic_phospholipid_fraction": (
            _F,
            "acidic phospholipid as a fraction of the cells' lipid",
        ),
        "ph_cells": (_1, "pH of the cells; of plasma for plasma"),
    },
}
_VARIABLES["berezhkovskiy"] = _VARIABLES["poulin_theil"]

Composition = dict[str, dict[str, float]]  # organ -> variable -> value
Sources = dict[str, str]


def tissue_composition(species: str, method: str) -> xr.Dataset:
    """What the tissues of a species consist of, for one partition method.

    Parameters
    ----------
    species
        One of ``SPECIES``.
    method
        "rodgers_rowland", "poulin_theil", "berezhkovskiy" or "schmitt".

    Returns
    -------
    Dataset
        Over ``organ`` (the 14 tissues, then ``plasma`` and ``red_cells``), with the
        variables of the method, see below.

    Raises
    ------
    UnknownNameError
        Unknown species or method.

    Notes
    -----
    Variables by method:

    - rodgers_rowland: ``fraction_neutral_lipid``, ``fraction_neutral_phospholipid``,
      ``fraction_extracellular_water``, ``fraction_intracellular_water`` [1],
      ``acidic_phospholipid`` [mg/g], ``albumin_ratio``, ``lipoprotein_ratio``,
      ``fraction_vascular``, ``ph`` [1]
    - poulin_theil, berezhkovskiy: ``fraction_water``, ``fraction_neutral_lipid``,
      ``fraction_phospholipid``, ``ph``
    - schmitt: ``fraction_cells``, ``fraction_interstitium``, ``fraction_water_cells``,
      ``fraction_lipid_cells``, ``fraction_protein_cells``,
      ``neutral_lipid_fraction_of_lipid``, ``neutral_phospholipid_fraction``,
      ``acidic_phospholipid_fraction``, ``ph_cells``. Fractions of cells and
      interstitium are as tabled: they need not add to 1 (gut: 0.9 + 0.096). For
      ``plasma`` the water and protein fractions are those of plasma.

    A value that does not exist for an entry (extracellular water of red cells, albumin
    ratio of plasma) is NaN. Coordinates ``source`` and ``stand_in`` (empty, or the
    tissue whose row is used) run over ``organ``; the attribute ``composition_species``
    says whose tissues were analysed.
    """
    check_choice("species", species, SPECIES)
    check_choice("method", method, METHODS)
    build: Callable[[str], tuple[Composition, Sources, Sources, str]] = {
        "rodgers_rowland": _rodgers_rowland,
        "poulin_theil": _poulin_theil,
        "berezhkovskiy": _poulin_theil,
        "schmitt": _schmitt,
    }[method]
    values, sources, stand_in, measured = build(species)
    ds = xr.Dataset(
        {
            name: (
                "organ",
                np.array([values[organ].get(name, np.nan) for organ in COMPOSITION_ORGANS]),
                {"units": units, "long_name": long_name},
            )
            for name, (units, long_name) in _VARIABLES[method].items()
        },
        coords={
            "organ": list(COMPOSITION_ORGANS),
            "source": ("organ", [sources[organ] for organ in COMPOSITION_ORGANS]),
            "stand_in": ("organ", [stand_in.get(organ, "") for organ in COMPOSITION_ORGANS]),
        },
    )
    note = ""
    if measured != species:
        note = (
            f"composition of the {measured}: none is openly published for the {species} by "
            "this method"
        )
    ds.attrs = provenance(
        title="tissue composition",
        species=species,
        method=method,
        composition_species=measured,
        note=note or None,
    )
    return ds


def _fill(values: Composition, sources: Sources, stand_ins: dict[str, str]) -> dict[str, str]:
    """Give each tissue that has no row of its own the row of its stand-in."""
    used = {}
    for organ, other in stand_ins.items():
        if organ not in values:
            values[organ] = dict(values[other])
            sources[organ] = f"{sources[other]} (row of {other})"
            used[organ] = other
    return used


_KPCOEFF_COLUMNS = {
    "fraction_neutral_lipid": "f_n_l",
    "fraction_neutral_phospholipid": "f_n_pl",
    "fraction_extracellular_water": "f_ew",
    "fraction_intracellular_water": "f_iw",
    "acidic_phospholipid": "f_a_pl",
    "albumin_ratio": "AR",
    "lipoprotein_ratio": "LR",
}


def _rodgers_rowland(species: str) -> tuple[Composition, Sources, Sources, str]:
    values: Composition = {}
    sources: Sources = {}
    vascular = compphysiol("rat250", "fvasOWtot")
    for row in rows("kpcoeff_rodgers_rowland"):
        organ = row["tissue"].lower()
        if organ == "thymus":  # not an organ of its own here
            continue
        values[organ] = {name: float(row[column]) for name, column in _KPCOEFF_COLUMNS.items()}
        values[organ]["fraction_vascular"] = vascular[organ[:3]][0]
        values[organ]["ph"] = 7.0  # intracellular water, Rodgers et al. 2005
        sources[organ] = "Rodgers & Rowland 2005, 2006 (rat), via kpcoeff Tissue_data_RandR.csv"

    def rat(parameter: str, tissue: str) -> float:
        return compphysiol("rat250", parameter)[tissue][0]

    values["plasma"] = {
        "fraction_neutral_lipid": rat("fnliVtis", "pla"),
        "fraction_neutral_phospholipid": rat("fnphVtis", "pla"),
        "ph": rat("pH", "pla"),
    }
    values["red_cells"] = {
        "fraction_neutral_lipid": rat("fnliVtis", "ery"),
        "fraction_neutral_phospholipid": rat("fnphVtis", "ery"),
        "fraction_extracellular_water": rat("fwecVrbt", "ery"),
        "fraction_intracellular_water": rat("fwicVrbt", "ery"),
        "acidic_phospholipid": rat("faphOWtis", "ery"),  # per mille of weight = mg/g
        "ph": rat("pH", "ery"),
    }
    for organ in ("plasma", "red_cells"):
        sources[organ] = (
            "Rodgers & Rowland 2005, 2006 (rat), via compphysiol physiology_records.csv"
        )
    stand_in = _fill(values, sources, {"stomach": "gut", "rest": "muscle"})
    return values, sources, stand_in, "rat"


#: intracellular pH of Rodgers et al. 2005; Poulin & Theil give none for the pancreas
_PANCREAS_PH = 7.0


def _poulin_theil(species: str) -> tuple[Composition, Sources, Sources, str]:
    return _poulin_theil_human() if species == "human" else _poulin_theil_rat()


def _poulin_theil_rat() -> tuple[Composition, Sources, Sources, str]:
    composition, sources, stand_in, _ = _rodgers_rowland("rat")
    ph = {row["tissue"].lower(): float(row["pH"]) for row in rows("kpcoeff_poulin_theil")}
    values: Composition = {}
    for organ, row in composition.items():
        values[organ] = {
            "fraction_water": row.get("fraction_extracellular_water", 0)
            + row.get("fraction_intracellular_water", 0),
            "fraction_neutral_lipid": row["fraction_neutral_lipid"],
            "fraction_phospholipid": row["fraction_neutral_phospholipid"]
            + row.get("acidic_phospholipid", 0) / 1000,
            "ph": ph.get(stand_in.get(organ, organ), _PANCREAS_PH),
        }
    # plasma water is what plasma protein leaves (httk: protein fraction of rat plasma 0.05871)
    values["plasma"]["fraction_water"] = (
        1 - httk_physiology("rat")["Plasma Protein Volume Fraction"]
    )
    values["red_cells"]["ph"] = composition["red_cells"]["ph"]
    sources = {
        organ: f"{text}; water = ew + iw, phospholipid = neutral + acidic"
        for organ, text in sources.items()
    }
    sources["plasma"] += "; plasma water = 1 - protein fraction of httk physiology_data.csv"
    return values, sources, stand_in, "rat"


def _poulin_theil_human() -> tuple[Composition, Sources, Sources, str]:
    values: Composition = {}
    sources: Sources = {}
    for row in rows("kpcoeff_poulin_theil"):
        organ = row["tissue"].lower()
        # compphysiol has 0.778 where kpcoeff has 0.788 for the water of spleen; the difference
        # is below 2 %, and kpcoeff's table is kept whole
        values[organ] = {
            "fraction_water": float(row["f_water"]),
            "fraction_neutral_lipid": float(row["f_n_l"]),
            "fraction_phospholipid": float(row["f_pl"]),
            "ph": float(row["pH"]),
        }
        sources[organ] = "Poulin & Theil 2002 (human), via kpcoeff tissue_comp_PandT.csv"
    human = {
        name: compphysiol("human35m", name)["ery"][0]
        for name in ("fwtotVtis", "fnliVtis", "fnphVtis")
    }
    values["red_cells"] = {
        "fraction_water": human["fwtotVtis"],
        "fraction_neutral_lipid": human["fnliVtis"],
        "fraction_phospholipid": human["fnphVtis"],
        "ph": compphysiol("rat250", "pH")["ery"][0],
    }
    sources["red_cells"] = "Poulin & Theil 2002 (human), via compphysiol; pH Rodgers et al. 2005"
    rat_values, rat_sources, _, _ = _poulin_theil_rat()
    values["pancreas"] = rat_values["pancreas"]
    sources["pancreas"] = rat_sources["pancreas"] + " (rat: no human row exists)"
    stand_in = {"pancreas": "rat pancreas"}
    stand_in |= _fill(values, sources, {"stomach": "gut", "rest": "muscle"})
    return values, sources, stand_in, "human"


_HTTK_COLUMNS = {
    "fraction_cells": "Fcell",
    "fraction_interstitium": "Fint",
    "fraction_water_cells": "FWc",
    "fraction_lipid_cells": "FLc",
    "fraction_protein_cells": "FPc",
    "neutral_lipid_fraction_of_lipid": "Fn_Lc",
    "neutral_phospholipid_fraction": "Fn_PLc",
    "acidic_phospholipid_fraction": "Fa_PLc",
    "ph_cells": "pH",
}


def _schmitt(species: str) -> tuple[Composition, Sources, Sources, str]:
    measured = "rat" if species == "rat" else "human"
    values: Composition = {}
    sources: Sources = {}
    for name, column in _HTTK_COLUMNS.items():
        for tissue, (value, reference) in httk_tissue(measured, column).items():
            organ = "red_cells" if tissue == "red blood cells" else tissue
            if organ not in COMPOSITION_ORGANS:  # placenta, thyroid
                continue
            values.setdefault(organ, {})[name] = value
            sources.setdefault(organ, f"{reference} ({measured}), via httk tissue_data.csv")
    # plasma protein by species where httk has it; the minipig, which it lacks, as human
    plasma_species = "human" if species == "minipig" else species
    protein = httk_physiology(plasma_species)["Plasma Protein Volume Fraction"]
    values["plasma"] = {
        "fraction_water_cells": 1 - protein,
        "fraction_protein_cells": protein,
        "ph_cells": compphysiol("rat250", "pH")["pla"][0],
    }
    sources["plasma"] = (
        f"httk physiology_data.csv, plasma protein volume fraction ({plasma_species})"
    )
    stand_in = _fill(values, sources, {"stomach": "gut", "pancreas": "gut", "rest": "muscle"})
    return values, sources, stand_in, measured
