"""Children, liver disease, absorption and antibodies: predicted against published.

    python benchmarks/mechanisms/run.py

Nothing was fitted. Clearances of children are read from the collection Pediatrics.csv (Open Systems Pharmacology, no
licence: it is in no checkout); each child or group is one reference child of the age and weight stated here.
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
#: drug -> study -> (grouping or ID in the collection, age [year], weight [kg]). Ages and weights as in the source's own reports
#: (Open Systems Pharmacology, Pediatric_Qualification_Package_CYP3A4_Ontogeny and Pediatric_P-gp)
CHILDREN = {
    "alfentanil": {
        "Meistelman 1987": (
            ("ID1", 4.7, 20),
            ("ID2", 5.5, 20),
            ("ID3", 7.7, 23),
            ("ID4", 4.5, 14),
            ("ID5", 4.8, 24),
            ("ID6", 4.5, 20),
            ("ID7", 6.2, 23),
            ("ID8", 4.9, 22),
        )
    },
    "sufentanil": {
        "Davis 1987": (("5130", 1.2917, 8.9), ("5129", 0.4333, 5.3)),
        "Guay 1991": (
            ("ID1", 2.0833, 12.1),
            ("ID2", 2.5833, 16),
            ("ID3", 2.6667, 11.3),
            ("ID4", 3.25, 16),
            ("ID5", 3.8333, 14.2),
            ("ID6", 4.5833, 15),
            ("ID7", 4.5833, 19),
            ("ID8", 4.8333, 17.5),
            ("ID9", 5.25, 18.5),
            ("ID10", 5.25, 19.65),
            ("ID11", 5.3333, 24),
            ("ID12", 5.3333, 24),
            ("ID14", 5.75, 14.5),
            ("ID15", 5.9167, 28.2),
            ("ID16", 5.9167, 25),
            ("ID17", 6.9167, 29.6),
            ("ID18", 7.5, 23.5),
            ("ID19", 7.5, 15.2),
            ("ID20", 8.75, 22.6),
        ),
    },
    "digoxin": {
        "Nyberg 1980": (("neonates", 0.04, 3.77), ("infants (moderate cl)", 0.54, 7.02)),
        "Rane 1976": (("3-9d", 0.02, 3.61), ("1.3-11m", 0.51, 6.83), ("2-5y", 3.5, 15.63)),
        "Ratnapalan 2003": (
            ("ID1-1y", 1.0, 10),
            ("ID1-16m", 1.33, 10.75),
            ("ID2-9m", 0.75, 8.38),
            ("ID3- 3y8m", 3.67, 16),
            ("ID4-1y,7m", 1.58, 11.31),
            ("ID5-2w", 0.04, 3.75),
            ("ID6-6m", 0.5, 6.75),
            ("ID7-8m", 0.67, 7.83),
        ),
    },
}
#: GMFE that the source reports for its own model: of AUC over 39 children of alfentanil (19) and sufentanil (20) together, of
#: clearance over the 13 of digoxin
SOURCES_OWN = {"alfentanil": 1.25, "sufentanil": 1.25, "digoxin": 1.46}
#: Peff [1e-4 cm/s], fraction absorbed: Winiwarter et al. (1998) J Med Chem 41:4939
ABSORBED = {
    "antipyrine": (5.6, 1.00),
    "carbamazepine": (4.3, 1.00),
    "ketoprofen": (8.7, 1.00),
    "naproxen": (8.5, 0.99),
    "piroxicam": (6.65, 1.00),
    "desipramine": (4.5, 1.00),
    "propranolol": (2.91, 1.00),
    "metoprolol": (1.34, 0.95),
    "terbutaline": (0.3, 0.62),
    "cimetidine": (0.26, 0.64),
    "atenolol": (0.2, 0.50),
}


def clearance(drug: str, body) -> float:
    """Plasma clearance [mL/min/kg] from the AUC of a bolus."""
    t = np.r_[0.0, np.geomspace(1e-3, 2000, 1500)]
    c = ph.simulate(drug, "1 mg iv", body, t, compartments=["plasma"])["concentration"].values[
        0, :, 0
    ]
    return 1.0 / np.trapezoid(c, t) / float(body["body_weight"][0]) * 1000 / 60


def children() -> list[dict]:
    """A row for each child or group: published and predicted clearance."""
    table = list(csv.DictReader(PEDIATRICS.read_text().splitlines()))
    out = []
    for drug, studies in CHILDREN.items():
        for study, members in studies.items():
            for label, age, weight in members:
                hit = [
                    r for r in table if r["Study"] == study and label in (r["Grouping"], r["ID"])
                ]
                got = clearance(drug, ph.reference_child(age, body_weight=weight))
                out.append(
                    {
                        "drug": drug,
                        "study": study,
                        "who": label,
                        "age": age,
                        "weight": weight,
                        "published": float(hit[0]["CL Avg"]),
                        "predicted": got,
                    }
                )
    return out


def errors(rows: list[dict]) -> tuple[float, float, int]:
    """(AFE, AAFE, how many within 2-fold) of predicted over published."""
    log = np.log10([r["predicted"] / r["published"] for r in rows])
    return 10 ** log.mean(), 10 ** np.abs(log).mean(), int(np.sum(np.abs(log) <= np.log10(2)))


def main() -> None:
    warnings.simplefilter("ignore", ph.OutOfRangeWarning)
    rows = children()
    text = [
        "# Children, absorption, antibodies: predicted against published",
        "",
        "Made by `python benchmarks/mechanisms/run.py`; nothing was fitted, but see digoxin.",
        "",
        "## Children: plasma clearance",
        "",
        "AFE and AAFE of predicted over published; the source's GMFE (the same as AAFE) is "
        "what its reports give for its own model (alfentanil and sufentanil together, of AUC, with eleven children more).",
        "",
        "| drug | children or groups | ages [year] | AFE | AAFE | within 2-fold | source's own model |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for drug in CHILDREN:
        mine = [r for r in rows if r["drug"] == drug]
        bias, spread, within = errors(mine)
        ages = [r["age"] for r in mine]
        text.append(
            f"| {drug} | {len(mine)} | {min(ages):.2g} to {max(ages):.2g} | {bias:.2f} | {spread:.2f} | {within} of {len(mine)} | "
            f"{SOURCES_OWN[drug]:.2f} |"
        )
    bias, spread, within = errors(rows)
    text += [
        f"| all | {len(rows)} | | {bias:.2f} | {spread:.2f} | {within} of {len(rows)} | |",
        "",
        *(HERE / "children_reading.md").read_text().splitlines(),
        "",
        "| drug | study | who | age | weight [kg] | published [mL/min/kg] | predicted | ratio |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    text += [
        f"| {r['drug']} | {r['study']} | {r['who']} | {r['age']:.2g} | {r['weight']:g} | {r['published']:.3g} | {r['predicted']:.3g} | "
        f"{r['predicted'] / r['published']:.2f} |"
        for r in rows
    ]
    text += [
        "",
        "## Fraction absorbed from the permeability alone",
        "",
        "| drug | Peff [1e-4 cm/s] | published | predicted |",
        "| --- | --- | --- | --- |",
    ]
    probe = ph.Compound.create(
        name="probe",
        molar_mass=300,
        log_p=2,
        fraction_unbound_plasma=0.2,
        blood_to_plasma_ratio=1,
        clint_hepatocyte=1,
        fraction_unbound_hepatocyte=1,
    )
    for name, (peff, published) in ABSORBED.items():
        out = ph.bioavailability(
            probe, "1 mg oral", absorption=ph.GutAbsorption(effective_permeability=peff)
        )
        text.append(f"| {name} | {peff} | {published:.2f} | {float(out['fa'][0]):.2f} |")
    text += [
        "",
        "Predictions for hydrophilic drugs are too low: these drugs are also absorbed between cells and in the colon.",
        "",
        "## Antibody",
        "",
    ]
    days = np.r_[0.0, np.geomspace(0.01, 200, 400)]
    ds = ph.simulate_system(
        ph.antibody_system(ph.Antibody(name="IgG1")),
        "100 mg iv",
        days * 24,
        compartments=["plasma"],
    )
    c = ds["concentration"].values[0, :, 0]
    late = (days > 20) & (days < 60)
    half = np.log(2) / -np.polyfit(days[late], np.log(c[late]), 1)[0]
    text += [
        f"Half-life of an IgG1 with the usual clearance of 0.22 L/day: {half:.1f} days; published about 21. The volume is "
        "predicted, the clearance given.",
        "",
    ]
    (HERE / "README.md").write_text("\n".join(text))


if __name__ == "__main__":
    main()
