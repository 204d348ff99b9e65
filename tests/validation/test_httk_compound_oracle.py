"""Every layer of httk's human parameters, compound by compound, against httk's own numbers.

Tolerance 1e-8: the reference has 9 significant digits in inputs and outputs, so that inputs alone carry 5e-10 each.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from pbpk_hybrid.models import httk_css, httk_parameters
from pbpk_hybrid.models.httk.parameterisation import (
    httk_steady_state_parameters,
    volume_of_distribution,
)
from pbpk_hybrid.models.small_molecules import binding
from pbpk_hybrid.models.small_molecules import partition_equations as eq
from pbpk_hybrid.models.small_molecules.clearance import (
    clint_liver_from_hepatocytes,
    hepatic_clearance,
)
from pbpk_hybrid.models.small_molecules.ionisation import distribution_coefficient, ionisation
from pbpk_hybrid.models.small_molecules.partition import PEARCE_REGRESSION
from pbpk_hybrid.physiology.tables.composition import tissue_composition

FILE = Path(__file__).parents[1] / "data" / "httk" / "httk_human_compound_reference.csv"
TISSUES = (
    "adipose",
    "bone",
    "brain",
    "gut",
    "heart",
    "kidney",
    "liver",
    "lung",
    "muscle",
    "skin",
    "spleen",
    "rbc",
)
RTOL = 1e-8
LIVER_DENSITY, CELLS = 1.05, 110.0  # g/mL, 1e6/g: httk's


def rows():
    with FILE.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield pytest.param(row, id=row["compound"])


ROWS = list(rows())


def number(row, key):
    return float(row[key])


def sites(text):
    return tuple(float(p) for p in text.split(",") if p.strip() not in ("", "NA"))


def charges(row):
    return ionisation(number(row, "plasma.pH"), sites(row["pKa_Donor"]), sites(row["pKa_Accept"]))


def schmitt(row):
    table = tissue_composition("human", "schmitt").sel(organ=[*TISSUES[:-1], "red_cells"])
    names = [n for n in table.data_vars]
    return eq.schmitt_kpu(
        np.log10(number(row, "Pow")),
        number(row, "Funbound.plasma"),
        pka_acid=sites(row["pKa_Donor"]),
        pka_base=sites(row["pKa_Accept"]),
        affinity=number(row, "MA"),
        plasma_protein_fraction=number(row, "Fprotein.plasma"),
        alpha=number(row, "alpha"),
        **{n: table[n].values for n in names},
    )


def test_the_file_holds_what_it_should():
    assert len(ROWS) == 96


@pytest.mark.parametrize("row", ROWS)
def test_schmitt_without_regression(row):
    expected = [number(row, f"K{t}2pu_noreg") for t in TISSUES]
    assert schmitt(row) == pytest.approx(expected, rel=RTOL)


@pytest.mark.parametrize("row", ROWS)
def test_schmitt_with_the_regression_of_pearce(row):
    kpu = schmitt(row)
    for value, tissue in zip(kpu, TISSUES[:-1], strict=False):
        a, b = PEARCE_REGRESSION[tissue][0]
        got = eq.pearce_regression(value, number(row, "Funbound.plasma"), a, b)
        assert got == pytest.approx(number(row, f"K{tissue}2pu"), rel=RTOL)


def test_predicted_membrane_affinity():
    """httk uses a measured affinity where it has one; the others must agree."""
    ratio = [
        eq.membrane_affinity(np.log10(number(r.values[0], "Pow"))) / number(r.values[0], "MA")
        for r in ROWS
    ]
    same = np.abs(np.array(ratio) - 1) < RTOL
    assert same.sum() >= 80


@pytest.mark.parametrize("row", ROWS)
def test_corrected_fraction_unbound(row):
    d = distribution_coefficient(min(number(row, "Pow"), 1e6), charges(row).charged)
    got = binding.corrected_fraction_unbound(number(row, "unadjusted.Funbound.plasma"), d)
    assert got / number(row, "unadjusted.Funbound.plasma") == pytest.approx(
        number(row, "Funbound.plasma.adjustment"), rel=RTOL
    )
    # httk then allows no fraction unbound below 1e-4
    assert max(got, 1e-4) == pytest.approx(number(row, "Funbound.plasma"), rel=RTOL)


@pytest.mark.parametrize("row", ROWS)
def test_fraction_unbound_in_hepatocytes(row):
    if row["pbtk_Fhep.assay.correction"] in ("", "NA"):
        pytest.skip("no in vitro clearance in the reference")
    p, charge = min(number(row, "Pow"), 1e6), charges(row)
    x = np.log10(p if charge.positive > 0.5 else distribution_coefficient(p, charge.charged))
    assert binding.fraction_unbound_hepatocytes(x) == pytest.approx(
        number(row, "pbtk_Fhep.assay.correction"), rel=RTOL
    )


def test_predicted_blood_to_plasma_ratio():
    """httk uses a measured ratio where it has one; the others must agree."""
    got = [
        binding.blood_to_plasma(
            number(r, "Krbc2pu"), number(r, "Funbound.plasma"), number(r, "pbtk_hematocrit")
        )
        / number(r, "pbtk_Rblood2plasma")
        for r in (p.values[0] for p in ROWS)
    ]
    assert (np.abs(np.array(got) - 1) < RTOL).sum() >= 66


@pytest.mark.parametrize("row", ROWS)
def test_hepatic_clearance_by_all_models(row):
    fu, bp, weight = (
        number(row, "Funbound.plasma"),
        number(row, "pbtk_Rblood2plasma"),
        number(row, "pbtk_BW"),
    )
    flow = (
        number(row, "pbtk_Qcardiacc")
        * (number(row, "pbtk_Qgutf") + number(row, "pbtk_Qliverf"))
        / weight**0.25
    )
    liver = number(row, "pbtk_Vliverc") * 1000 * LIVER_DENSITY  # g/kg
    clint = clint_liver_from_hepatocytes(number(row, "pbtk_Clint"), liver, CELLS)
    assert fu * clint == pytest.approx(number(row, "CLh_unscaled_L_h_kg"), rel=RTOL)
    # httk's well-stirred model returns a plasma clearance; its other two leave the blood:plasma ratio out
    stirred = bp * hepatic_clearance(clint, flow, fu / bp, "well_stirred")
    assert stirred == pytest.approx(number(row, "CLh_well_stirred_L_h_kg"), rel=RTOL)
    for model in ("parallel_tube", "dispersion"):
        got = hepatic_clearance(clint, flow, fu, model)
        assert got == pytest.approx(number(row, f"CLh_{model}_L_h_kg"), rel=RTOL)


@pytest.mark.parametrize("row", ROWS)
def test_the_whole_chain_from_the_name(row):
    """Every number of httk's list for pbtk, Fabsgut and kgutabs among them, from the identifier alone."""
    p = httk_parameters(row["dtxsid"])
    names = [key.removeprefix("pbtk_") for key in row if key.startswith("pbtk_")]
    assert len(names) > 20
    for name in names:
        assert p[name] == pytest.approx(number(row, f"pbtk_{name}"), rel=RTOL, abs=1e-300), name


@pytest.mark.parametrize("row", ROWS)
def test_volume_of_distribution_and_partition_of_the_rest(row):
    p = httk_steady_state_parameters(row["dtxsid"])
    assert volume_of_distribution(p, "human") == pytest.approx(number(row, "Vdist_L_kg"), rel=RTOL)
    assert p["Krest2pu"] == pytest.approx(number(row, "Krest2pu"), rel=RTOL)


@pytest.mark.parametrize("row", ROWS)
def test_steady_state_concentration(row):
    assert httk_css(row["dtxsid"]) == pytest.approx(number(row, "Css_pbtk_mg_L"), rel=RTOL)
    assert httk_css(row["dtxsid"], model="3compartmentss") == pytest.approx(
        number(row, "Css_3compss_mg_L"), rel=RTOL
    )
