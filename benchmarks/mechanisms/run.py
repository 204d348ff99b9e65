# ruff: noqa: E501
"""Children, liver disease, absorption and antibodies: predicted against published.

    python benchmarks/mechanisms/run.py

Nothing was fitted. Clearances of children are read from the collection Pediatrics.csv (Open Systems Pharmacology, no
licence: it is in no checkout); each study is one reference child of the age stated here (the middle of the study's range).
Writes README.md.
"""

from __future__ import annotations

import csv
import warnings
from pathlib import Path

import numpy as np

import pbpk_hybrid as ph

HERE = Path(__file__).parent
PEDIATRICS = HERE.parents[2] / "shared" / "data" / "osp" / "Pediatrics.csv"
#: drug, study, groups (None: all), age [year]
CHILDREN = (
    ("alfentanil", "Meistelman 1987", ("mean child",), 6.0), ("sufentanil", "Guay 1991", None, 5.0),
    ("digoxin", "Rane 1976", ("3-9d",), 0.016), ("digoxin", "Rane 1976", ("1.3-11m",), 0.5),
    ("digoxin", "Rane 1976", ("2-5y",), 3.5),
)  # fmt: skip
#: Peff [1e-4 cm/s], fraction absorbed: Winiwarter et al. (1998) J Med Chem 41:4939
ABSORBED = {
    "antipyrine": (5.6, 1.00), "carbamazepine": (4.3, 1.00), "ketoprofen": (8.7, 1.00), "naproxen": (8.5, 0.99),
    "piroxicam": (6.65, 1.00), "desipramine": (4.5, 1.00), "propranolol": (2.91, 1.00), "metoprolol": (1.34, 0.95),
    "terbutaline": (0.3, 0.62), "cimetidine": (0.26, 0.64), "atenolol": (0.2, 0.50),
}  # fmt: skip


def clearance(drug: str, body) -> float:
    """Plasma clearance [mL/min/kg] from the AUC of a bolus."""
    t = np.r_[0.0, np.geomspace(1e-3, 2000, 1500)]
    c = ph.simulate(drug, "1 mg iv", body, t, compartments=["plasma"])["concentration"].values[0, :, 0]
    return 1.0 / np.trapezoid(c, t) / float(body["body_weight"][0]) * 1000 / 60


def main() -> None:
    warnings.simplefilter("ignore", ph.OutOfRangeWarning)
    text = ["# Children, absorption, antibodies: predicted against published", "",
            "Made by `python benchmarks/mechanisms/run.py`; nothing was fitted.", "",
            "## Children: plasma clearance [mL/min/kg]", "",
            "| drug | study | age | published | predicted | ratio | adult, predicted |",
            "| --- | --- | --- | --- | --- | --- | --- |"]
    table = list(csv.DictReader(PEDIATRICS.read_text().splitlines()))
    ratios = []
    for drug, study, groups, age in CHILDREN:
        rows = [r for r in table if r["Study"] == study and r["Analyte"].lower() == drug and r["CL Avg"]]
        values = [float(r["CL Avg"]) for r in rows if groups is None or r["Grouping"] in groups]
        got, adult = clearance(drug, ph.reference_child(age)), clearance(drug, ph.reference_individual("human"))
        ratios.append(got / np.mean(values))
        text.append(f"| {drug} | {study} | {age:g} | {np.mean(values):.3g} | {got:.3g} | {ratios[-1]:.2f} | {adult:.3g} |")
    aafe = 10 ** np.mean(np.abs(np.log10(ratios)))
    inside = sum(0.5 <= r <= 2 for r in ratios)
    text += ["", f"AAFE {aafe:.2f}; {inside} of {len(ratios)} within 2-fold. Infants' and small children's digoxin is far under-predicted: renal "
             "clearance here is proportional to filtration, while theirs is secreted (P-glycoprotein).", "", "## Fraction absorbed from the permeability alone",
             "", "| drug | Peff [1e-4 cm/s] | published | predicted |", "| --- | --- | --- | --- |"]
    probe = ph.Compound.create(name="probe", molar_mass=300, log_p=2, fraction_unbound_plasma=0.2, blood_to_plasma_ratio=1,
                               clint_hepatocyte=1, fraction_unbound_hepatocyte=1)  # fmt: skip
    for name, (peff, published) in ABSORBED.items():
        out = ph.bioavailability(probe, "1 mg oral", absorption=ph.GutAbsorption(effective_permeability=peff))
        text.append(f"| {name} | {peff} | {published:.2f} | {float(out['fa'][0]):.2f} |")
    text += ["", "Hydrophilic drugs come out too low: they also pass between cells and in the colon.", "", "## Antibody", ""]
    days = np.r_[0.0, np.geomspace(0.01, 200, 400)]
    ds = ph.simulate_system(ph.antibody_system(ph.Antibody(name="IgG1")), "100 mg iv", days * 24, compartments=["plasma"])
    c = ds["concentration"].values[0, :, 0]
    late = (days > 20) & (days < 60)
    half = np.log(2) / -np.polyfit(days[late], np.log(c[late]), 1)[0]
    text += [f"Half-life of an IgG1 with the usual clearance of .22 L/day: {half:.1f} days; published about 21. The volume is "
             "predicted, the clearance given.", ""]
    (HERE / "README.md").write_text("\n".join(text))


if __name__ == "__main__":
    main()
