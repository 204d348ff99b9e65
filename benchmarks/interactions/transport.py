"""Predicted against published AUC ratios of statins with a single dose of rifampicin, which inhibits their hepatic uptake.

    python benchmarks/interactions/transport.py [--data FILE]

Clearance and volume of the statins are those after intravenous doses (or label values); nine tenths of the
uptake into liver cells is assumed to be by OATP1B1, for all statins; 0.8 and 0.95 are shown too. The ratio does not depend on
the size of the uptake, only on this share, on rifampicin's unbound concentration and its Ki (0.29 umol/L: Bi et al. 2019, in the
Open Systems Pharmacology model of rifampicin). Nothing is fitted. Studies: every single dose of rifampicin with
pitavastatin, rosuvastatin or pravastatin in the collection DDI_ratios.csv (no licence: not in the checkout), without the three
rosuvastatin rows of Mori 2019, which hold the values of atorvastatin in the same study, and without older entries of studies that
the collection holds twice. Rifampicin has the clearance and volume of a single intravenous dose of 600 mg (0.14
L/h/kg, 0.64 L/kg; read in: US label of rifampin for injection), not the induced ones of `drugs.py`. Writes transport.md and results/transport.csv.
"""

from __future__ import annotations

import argparse
import csv
import warnings
from pathlib import Path

import numpy as np
from drugs import drugs
from run import COLLECTION, gmfe, guest

import pbpk_hybrid as ph

HERE = Path(__file__).parent
SHARE, OTHERS = 0.9, (0.8, 0.95)
KI = "0.29 uM"
STUDIES = (
    "1130",
    "16767",
    "16769",
    "16775",
    "16776",
    "17194",
    "17195",
    "17197",
    "17198",
    "17199",
    "17201",
    "17203",
    "17204",
    "17212",
    "17213",
    "17215",
    "17217",
    "17220",
)
#: molar mass, log P, pKa, fu, blood:plasma, plasma clearance [mL/min/kg], share excreted in urine, Vss [L/kg]. Rosuvastatin:
#: 48.9 L/h, 28 % of it renal, 134 L in men of 77.6 kg, Martin et al. (2003) Clin Ther 25:2553, abstract. Pravastatin: 13.5 and
#: 6.3 mL/min/kg, 0.5 L/kg, Singhvi et al. (1990) Br J Clin Pharmacol 29:239, abstract; half bound, Quion & Jones (1994) Clin
#: Pharmacokinet 27:94, abstract. Pitavastatin: oral clearance 43.4 L/h and 148 L per 70 kg (assumed) times its bioavailability
#: of 0.51 (US label). The rest, and what of pitavastatin goes to urine, is assumed (docs/assumptions.md)
STATINS = {
    "pitavastatin": (421.5, 3.5, 4.6, 0.01, 0.58, 5.2, 0.02, 2.1),
    "rosuvastatin": (481.5, 1.9, 4.6, 0.12, 0.69, 10.5, 0.28, 1.73),
    "pravastatin": (424.5, 2.2, 4.7, 0.50, 0.56, 13.5, 0.47, 0.5),
}
#: published ratio of AUC, SLCO1B1 521CC (or two *15 alleles) over TT, read in the abstracts; None: none was read
GENOTYPE = {
    "pitavastatin": (3.08, "Ieiri et al. 2007, 250 over 81.1 ng h/mL"),
    "rosuvastatin": (None, ""),
    "pravastatin": (3.32, "Niemi et al. 2006, men; alike in women"),
}


def statin(name: str, share: float) -> ph.Compound:
    """Uptake by OATP1B1 and passive PS, together twice the unbound intrinsic clearance of the reference person."""
    mass, log_p, pka, fu, ratio, clearance, urine, volume = STATINS[name]
    plain = ph.Compound.create(
        name=name,
        molar_mass=mass,
        log_p=log_p,
        pka_acid=[pka],
        fraction_unbound_plasma=fu,
        blood_to_plasma_ratio=ratio,
        clearance_plasma=clearance,
        fraction_excreted_renal=urine,
        volume_steady_state=volume,
        distribution_basis="in_vivo",
        absorption_rate=1.0,
        kp={"liver": 1.0},
    )
    person = ph.reference_individual("human")
    unbound = float(ph.whole_body_system(plain, person).parameters["clint.liver"][0])
    total = 2 * unbound / float((person["volume"] * person["density"]).sel(organ="liver")[0])
    return plain.replace(
        permeability_surface_area={"liver": (1 - share) * total},
        transporters=[{"name": "OATP1B1", "clint": share * total}],
    )


def predicted(row: dict, share: float, rifampicin: ph.Compound) -> float:
    dose = f"{row['Dose']} mg " + ("iv over 30 min" if row["Route Perpetrator"] == "IV" else "oral")
    victim, start = (
        (statin(row["Victim"].lower(), share), "1 mg oral"),
        float(row["t_treatment_0"] or 0),
    )
    out = ph.interaction(victim, {rifampicin: dose}, victim_time=start, duration=72.0)
    return float(out["auc_ratio"][0])


def genotype(name: str) -> float:
    person = ph.reference_individual("human")
    area = []
    for people in (person, ph.with_transporters(person, phenotypes={"OATP1B1": "poor"})):
        t = np.linspace(0, 96, 961)
        c = ph.simulate(statin(name, SHARE), "1 mg oral", people, t, compartments=["plasma"])[
            "concentration"
        ].values[0, :, 0]
        area.append(np.trapezoid(c, t))
    return area[1] / area[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=COLLECTION, type=Path, help="DDI_ratios.csv")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ph.OutOfRangeWarning)
    collection = {r["ID"]: r for r in csv.DictReader(arguments.data.open())}
    effects = [{"enzyme": "OATP1B1", "kind": "competitive", "ki": KI}]
    induced = drugs()["rifampicin"].replace(
        enzyme_effects=effects, saturable=(), clearance_plasma=3.5, volume_steady_state=0.97
    )  # repeated doses: Goodman & Gilman 12th ed., appendix II
    rifampicin = induced.replace(clearance_plasma=0.14 * 1000 / 60, volume_steady_state=0.64)
    rows = []
    for number in STUDIES:
        r = collection[number]
        given = f"{r['Dose']} mg {r['Route Perpetrator'].lower()}"
        row = {
            "id": number,
            "study": r["Study ID"],
            "victim": r["Victim"].lower(),
            "rifampicin": given,
        }
        row["observed"] = float(r["AUCR Avg"])
        row |= {f"share_{s}": predicted(r, s, rifampicin) for s in (SHARE, *OTHERS)}
        row["induced"] = predicted(r, SHARE, induced)
        rows.append(row)
        print(*(f"{v:.3g}" if isinstance(v, float) else v for v in row.values()))
    with (HERE / "results" / "transport.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in r.items()} for r in rows
        )
    observed = np.array([r["observed"] for r in rows])
    text = ["# Inhibited uptake: predicted against published AUC ratios", ""]
    text += __doc__.split("\n\n", 2)[2].strip().splitlines()
    head = "share of uptake by OATP1B1 | studies | GMFE | within 1.25-fold | within 2-fold | inside Guest et al. (2011)"
    text += ["", f"| {head} | geometric mean of predicted/published |", "| --- " * 7 + "|"]
    cases = {f"share_{s}": f"{s}{' (assumed)' if s == SHARE else ''}" for s in (SHARE, *OTHERS)}
    cases["induced"] = f"{SHARE}, rifampicin of repeated doses"
    for key, label in cases.items():
        fold = np.array([r[key] for r in rows]) / observed
        within = np.maximum(fold, 1 / fold)
        shares = [
            100 * np.mean(x) for x in (within <= 1.25, within <= 2, within <= guest(observed))
        ]
        cells = [label, str(len(rows)), f"{gmfe(fold):.2f}", *(f"{x:.0f} %" for x in shares)]
        text.append("| " + " | ".join([*cells, f"{10 ** np.mean(np.log10(fold)):.2f}"]) + " |")
    text += ["", *(HERE / "transport_reading.md").read_text().splitlines(), ""]
    text += [
        "| study | victim | rifampicin | published | predicted | predicted/published |",
        "| --- " * 6 + "|",
    ]
    for r in rows:
        p = r[f"share_{SHARE}"]
        cells = [
            r["study"],
            r["victim"],
            r["rifampicin"],
            f"{r['observed']:.3g}",
            f"{p:.3g}",
            f"{p / r['observed']:.2f}",
        ]
        text.append("| " + " | ".join(cells) + " |")
    text += [
        "",
        "## Genotype",
        "",
        "AUC of SLCO1B1 521CC over TT, with the activity of 0.35 of the package's table:",
        "",
    ]
    text += ["| statin | published | predicted |", "| --- | --- | --- |"]
    text += [
        f"| {n} | {f'{v} ({source})' if v else 'not read'} | {genotype(n):.2f} |"
        for n, (v, source) in GENOTYPE.items()
    ]
    (HERE / "transport.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
