"""Does training through the engine help? Measured intravenous curves of mouse, rat, rabbit, dog and man, left out by
compound.

    python benchmarks/cross_species/engine_training.py

Curves: CvTdb (benchmarks/data/cvtdb) and, where the folder is there, ten compounds in mouse, rat and rabbit of Villain et
al. (2026), which have no licence and are not part of this repository. Of each compound a species' curve is foretold from
what noncompartmental analysis says of the other species (clearance and volume; unbound fractions where known), before and
after the law has been trained on the curves of other compounds, three folds by compound. The engine's body is the species'
reference individual, doses per kg as given.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from pbpk_hybrid import nca
from pbpk_hybrid._core.errors import PBPKError
from pbpk_hybrid.compounds import Compound, get_compound
from pbpk_hybrid.learn.allometry import Curve, NeuralAllometry, fine_tune
from pbpk_hybrid.learn.allometry.curves import fold_error, simulated
from pbpk_hybrid.models import scaling
from pbpk_hybrid.physiology import SPECIES, reference_individual

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
CVTDB = HERE.parent / "data" / "cvtdb" / "cvt_invivopkfit_2.0.2.csv.gz"
OTHER = HERE.parents[2] / "shared" / "data" / "esqlabs_cross_species"
FOLDS, SMALLEST = 3, 4  # points of a curve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--checkpoint", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter(
        "ignore"
    )  # of curves too short for a good terminal slope; such ones are no sources
    model = NeuralAllometry.load(options.checkpoint)
    everything = [*cvtdb(), *villain()]
    curves = usable(model, with_sources(everything))
    names = sorted({c.compound.name for c in curves})
    fold_of = {
        n: int(f)
        for n, f in zip(
            names, np.random.default_rng(5).permutation(len(names)) % FOLDS, strict=True
        )
    }
    before, after, losses = {}, {}, []
    others = {id(c): wajima(c, everything) for c in curves}
    beside: dict[str, list[float]] = {"transposed": [], "before": [], "after": []}
    for fold in range(FOLDS):
        train = [c for c in curves if fold_of[c.compound.name] != fold]
        tuned, history = fine_tune(model, train, steps=options.steps)
        losses.append([history[0], history[-1]])
        for c in (c for c in curves if fold_of[c.compound.name] == fold):
            before[id(c)], after[id(c)] = fold_error(model, c), fold_error(tuned, c)
            if np.isfinite(others[id(c)]).sum() >= SMALLEST:
                for name, values in (
                    ("transposed", others[id(c)]),
                    ("before", told(model, c)),
                    ("after", told(tuned, c)),
                ):
                    beside[name].append(
                        float(
                            np.nanmean(
                                np.abs(
                                    (values - np.log(c.concentrations))[np.isfinite(others[id(c)])]
                                )
                            )
                        )
                    )
        print(
            f"fold {fold}: {len(train)} curves, loss {history[0]:.3f} -> {history[-1]:.3f}",
            flush=True,
        )
    report(curves, before, after, losses, options.steps, beside)


def report(curves, before, after, losses, steps, beside) -> None:
    def row(which) -> dict:
        one, two = (np.array([e[id(c)] for c in which]) for e in (before, after))
        who = np.unique([c.compound.name for c in which], return_inverse=True)[1]
        count = who.max() + 1
        draws = np.random.default_rng(1).integers(
            0, count, (4000, count)
        )  # compounds, not curves, are drawn
        gain, size = np.bincount(who, two - one), np.bincount(who)
        ratio = np.exp(gain[draws].sum(1) / size[draws].sum(1))
        return {
            "compounds": int(count),
            "curves": len(which),
            "points": int(sum(len(c.times) for c in which)),
            "AAFE_before": float(np.exp(one.mean())),
            "AAFE_after": float(np.exp(two.mean())),
            "ratio": [
                float(np.exp((two - one).mean())),
                *(float(q) for q in np.quantile(ratio, (0.025, 0.975))),
            ],
            "within_2_before": float(100 * np.mean(one < np.log(2))),
            "within_2_after": float(100 * np.mean(two < np.log(2))),
        }

    record = {"all": row(curves)}
    for species in SPECIES:
        part = [c for c in curves if c.species == species]
        if part:
            record[species] = row(part)
    for what, keep in (("CvTdb", True), ("Villain 2026", False)):
        part = [c for c in curves if c.name.startswith("CvTdb") == keep]
        if part:
            record[what] = row(part)
    against = {
        "curves": len(beside["before"]),
        **{k: float(np.exp(np.mean(v))) for k, v in beside.items()},
    }
    whole = {"steps": steps, "losses": losses, "rows": record, "transposition": against}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "engine_training.json").write_text(json.dumps(whole, indent=1) + "\n")
    lines = [
        "# Training through the engine on measured curves",
        "",
        f"Leave-compound-out, {FOLDS} folds, {steps} steps. AAFE of the concentrations, every curve counted once; ratio after/before with a "
        "95 % bootstrap interval over compounds; 2x: per cent of curves whose mean error is within 2-fold.",
        "",
        "| curves of | compounds | curves | points | AAFE before | AAFE after | ratio (95 %) | 2x before | 2x after |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, r in record.items():
        lines.append(
            f"| {name} | {r['compounds']} | {r['curves']} | {r['points']} | {r['AAFE_before']:.2f} | {r['AAFE_after']:.2f} | "
            f"{r['ratio'][0]:.2f} ({r['ratio'][1]:.2f}-{r['ratio'][2]:.2f}) | {r['within_2_before']:.0f} | {r['within_2_after']:.0f} |"
        )
    lines += [
        "",
        f"Wajima's curve transposition (clearance and volume by fixed exponents 0.75 and 1), where the other species' curves reach: "
        f"{against['curves']} curves, AAFE {against['transposed']:.2f}; on the same points the model {against['before']:.2f} before and "
        f"{against['after']:.2f} after training.",
    ]
    (RESULTS / "engine_training.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def told(model: NeuralAllometry, curve: Curve) -> np.ndarray:
    """(n,) ln C"""
    with torch.no_grad():
        return simulated(model, curve).numpy()


def wajima(curve: Curve, curves: list[Curve]) -> np.ndarray:
    """(n,) ln C by transposition of the compound's curves in other species, NaN where they do not reach."""
    known = {s: v for s, v in curve.sources.items() if "clearance" in v}
    weight = {s: float(reference_individual(s)["body_weight"][0]) for s in (*known, curve.species)}
    whole = {
        s: (v["clearance"] * 0.06 * weight[s], v["volume"] * weight[s]) for s, v in known.items()
    }
    target = [
        np.exp(np.mean([np.log(whole[s][k] * (curve.weight / weight[s]) ** b) for s in known]))
        for k, b in ((0, 0.75), (1, 1.0))
    ]
    found = [
        np.log(
            scaling.wajima_curve(
                o.times,
                o.concentrations,
                o.dose * o.weight,
                *whole[o.species],
                curve.times,
                target_dose=curve.dose * curve.weight,
                target_clearance=target[0],
                target_volume=target[1],
            )
        )
        for o in curves
        if o.compound.name == curve.compound.name and o.species in known and not o.duration
    ]
    return np.nanmean(found, axis=0) if found else np.full(len(curve.times), np.nan)


def with_sources(curves: list[Curve]) -> list[Curve]:
    """Each curve with the other species' clearance and volume, by noncompartmental analysis of their curves."""
    from dataclasses import replace

    found: dict[tuple[str, str], list] = defaultdict(list)
    for c in curves:
        try:
            r = nca(
                (c.times, c.concentrations),
                dose=c.dose,
                route="iv_infusion" if c.duration else "iv_bolus",
                infusion_duration=c.duration,
            )
        except PBPKError:
            continue
        clearance, volume, beyond = (float(r[v][0]) for v in ("cl", "vss", "auc_extrapolated_obs"))
        if np.isfinite([clearance, volume]).all() and beyond < 30 and clearance > 0 and volume > 0:
            found[c.compound.name, c.species].append(np.log([clearance / 0.06, volume]))
    out = []
    for c in curves:
        fu = {s: c.compound.for_species(s).fraction_unbound_plasma for s in SPECIES}
        sources = {
            s: {"clearance": float(v[0]), "volume": float(v[1]), "fup": fu[s]}
            for (name, s), values in found.items()
            if name == c.compound.name and s != c.species
            for v in [np.exp(np.mean(values, 0))]
        }
        if sources:
            out.append(replace(c, sources={**sources, c.species: {"fup": fu[c.species]}}))
    return out


def usable(model: NeuralAllometry, curves: list[Curve]) -> list[Curve]:
    """Those that the engine can simulate: the others lack a value, and are named."""
    out = []
    for c in curves:
        try:
            fold_error(model, c)
        except PBPKError as error:
            print(f"left out: {c.name}: {error}")
        else:
            out.append(c)
    return out


#: structures, where the model may see them
SMILES = {
    "2,4-d": "OC(=O)COc1ccc(Cl)cc1Cl",
    "2-hydroxy-4-methoxybenzophenone": "COc1ccc(C(=O)c2ccccc2)c(O)c1",
    "acyclovir": "Nc1nc2c(ncn2COCCO)c(=O)[nH]1",
    "benzophenone": "O=C(c1ccccc1)c1ccccc1",
    "caffeine": "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
    "dasatinib": "Cc1nc(Nc2ncc(s2)C(=O)Nc2c(C)cccc2Cl)cc(n1)N1CCN(CCO)CC1",
    "dibutylphthalate": "CCCCOC(=O)c1ccccc1C(=O)OCCCC",
    "dmxaa": "Cc1ccc2c(c1C)oc1c(CC(=O)O)cccc1c2=O",
    "isoeugenol": "COc1cc(C=CC)ccc1O",
    "methyleugenol": "COc1ccc(CC=C)cc1OC",
    "naphthalene": "c1ccc2ccccc2c1",
    "nilvadipine": "COC(=O)C1=C(C#N)NC(C)=C(C(=O)OC(C)C)C1c1cccc([N+](=O)[O-])c1",
    "oltipraz": "Cc1c(-c2cnccn2)ssc1=S",
    "oxazepam": "OC1N=C(c2ccccc2)c2cc(Cl)ccc2NC1=O",
    "paracetamol": "CC(=O)Nc1ccc(O)cc1",
    "phenacetin": "CCOc1ccc(NC(C)=O)cc1",
    "pirinixic acid": "Cc1cccc(Nc2cc(Cl)nc(SCC(=O)O)n2)c1C",
    "theophylline": "Cn1c(=O)c2[nH]cnc2n(C)c1=O",
    "ulotaront": "CNCC1OCCc2ccsc21",
}


def cvtdb() -> list[Curve]:
    import pandas as pd

    table = pd.read_csv(CVTDB, low_memory=False)
    table = table[
        table["administration_route_normalized"].eq("iv")
        & table["analyzed_chem_dtxsid"].eq(table["dosed_chem_dtxsid"])
    ]
    table = table[
        table["conc_medium_normalized"].isin(["plasma", "serum", "blood"])
        & table["species"].isin(SPECIES)
    ]
    table = table[
        (table["conc"] > table["loq"].fillna(0.0)) & (table["conc"] > 0) & (table["time_hr"] > 0)
    ]
    out = []
    for key, part in table.groupby("analyzed_chem_dtxsid"):
        if part["species"].nunique() < 2:
            continue
        try:
            drug = get_compound(str(key))
        except PBPKError:
            continue
        known = SMILES.get(drug.name.lower())
        drug = drug.replace(
            identifiers={**drug.identifiers, **({"smiles": known} if known else {})}
        )
        if drug.blood_to_plasma_ratio is None:
            drug = drug.replace(blood_to_plasma_ratio=1.0)
        # the points of a study's single animals are one curve
        for (species, study, _, _), rows in part.groupby(
            ["species", "fk_study_id", "dose_level_normalized", "conc_medium_normalized"]
        ):
            mean = rows.groupby("time_hr")["conc"].apply(lambda v: float(np.exp(np.log(v).mean())))
            hours = str(rows["dose_duration_units"].iloc[0])
            duration = float(rows["dose_duration"].iloc[0]) * {
                "minute": 1 / 60,
                "minutes": 1 / 60,
                "seconds": 1 / 3600,
            }.get(hours, 1.0)
            if len(mean) >= SMALLEST:
                medium = "blood" if rows["conc_medium_normalized"].iloc[0] == "blood" else "plasma"
                out.append(
                    Curve(
                        drug,
                        str(species),
                        float(rows["dose_level_normalized"].iloc[0]),
                        mean.index.to_numpy(),
                        mean.to_numpy(),
                        duration if np.isfinite(duration) else 0.0,
                        medium,
                        {},
                        f"CvTdb {drug.name}, {species}, study {study}",
                    )
                )
    return out


def villain() -> list[Curve]:
    if not OTHER.is_dir():
        print("the curves of Villain et al. are not here: they are left out")
        return []
    import pandas as pd

    table, values = (
        pd.read_csv(OTHER / f) for f in ("animal_iv_time_courses.csv", "compound_data_long.csv")
    )
    drugs = {}
    for name, part in values.groupby("CompoundId"):
        of = {(r.sheet, r.field): r.value for r in part.itertuples()}
        about = {f: v for (sheet, f), v in of.items() if sheet == "CompoundParam"}
        kinds = [(about.get(f"pKaType{i}"), about.get(f"pKa{i}")) for i in (1, 2, 3)]
        fu = {
            s: float(of["FractionUnbound", s.capitalize()])
            for s in ("mouse", "rat", "rabbit")
            if ("FractionUnbound", s.capitalize()) in of
        }
        known = SMILES.get(str(name).lower())
        drugs[name] = Compound.create(
            name=str(name),
            molar_mass=float(about["MolecularWeight"]),
            log_p=float(about["Lipophilicity"]),
            pka_acid=tuple(float(v) for k, v in kinds if k == "Acidic"),
            pka_base=tuple(float(v) for k, v in kinds if k == "Basic"),
            fraction_unbound_plasma=fu["rat"],
            blood_to_plasma_ratio=1.0,
            species_values={s: {"fraction_unbound_plasma": f} for s, f in fu.items()},
            identifiers={"smiles": known} if known else {},
        )
    table = table[table["Organ"].ne("Brain")]
    out = []
    for (name, species, sheet, dose, route, _), rows in table.fillna({"Group Id": ""}).groupby(
        ["Molecule", "Species", "sheet", "Dose", "Route", "Group Id"]
    ):
        drug, kind = drugs[name], species.lower()
        unit = rows["Measurement unit"].iloc[0].lower()
        to_mg = {
            "mg/l": 1.0,
            "ug/ml": 1.0,
            "ng/ml": 1e-3,
            "umol/l": drug.molar_mass * 1e-3,
            "umol/ml": drug.molar_mass,
            "nm": drug.molar_mass * 1e-6,
        }
        mg_per_kg = _dose(str(dose), drug.molar_mass, kind)
        if unit not in to_mg or mg_per_kg is None:
            continue
        scale = to_mg[unit]
        if rows["Compartment"].iloc[0] == "Plasma Unbound":
            scale /= drug.for_species(kind).fraction_unbound_plasma
        hours = rows["Time"] * rows["Time unit"].map(
            {"min": 1 / 60, "h": 1.0, "s": 1 / 3600, "day(s)": 24.0}
        )
        mean = (
            rows.assign(h=hours)[(rows["Measurement"] > 0) & (hours > 0)]
            .groupby("h")["Measurement"]
            .apply(lambda v: float(np.exp(np.log(v).mean())))
        )
        duration = float(str(route).split()[1]) / 60 if "Infusion" in str(route) else 0.0
        if len(mean) >= SMALLEST:
            out.append(
                Curve(
                    drug,
                    kind,
                    mg_per_kg,
                    mean.index.to_numpy(),
                    mean.to_numpy() * scale,
                    duration,
                    "plasma",
                    {},
                    f"Villain {name}, {sheet}",
                )
            )
    return out


def _dose(text: str, molar_mass: float, species: str) -> float | None:
    """[mg/kg]"""
    number, _, unit = text.strip().partition(" ")
    weight = float(reference_individual(species)["body_weight"][0])
    factors = {
        "mg/kg": 1.0,
        "ug/kg": 1e-3,
        "umol/kg": molar_mass * 1e-3,
        "g/kg": 1e3,
        "mg": 1 / weight,
    }
    return float(number) * factors[unit.lower()] if unit.lower() in factors else None


if __name__ == "__main__":
    main()
