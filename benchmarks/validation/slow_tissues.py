"""How fast tissues fill: the one number of the default rule, chosen on three drugs, judged on others.

    python benchmarks/validation/slow_tissues.py [--data FOLDER]

The rule is that of `pbpk_hybrid.models.small_molecules.slow_tissues`. Its number, PS of cell membranes for each 1e-6 cm/s of
Caco-2 permeability, was chosen on the intravenous profiles of every second of the drugs that were given intravenously, in the
order of the alphabet, and that the rule divides: CHOSEN_ON. Least sum of the logarithms of the AAFE of Cmax and of
concentrations, each drug counted once. Judged on the other half: JUDGED_ON, with digoxin as if its target were unknown.
Profiles as in validate.py. Writes slow_tissues.md.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
from report import number, table
from validate import auc, dose_times, observed_profiles, refuse, regimen_of, rises, usable

import pbpk_hybrid as ph
from pbpk_hybrid.models.small_molecules.disposition import resolve_disposition
from pbpk_hybrid.models.small_molecules.slow_tissues import SURFACE, membrane_permeability

HERE = Path(__file__).parent
CHOSEN_ON = ("alfentanil", "dapagliflozin", "vancomycin")
JUDGED_ON = ("cimetidine", "digoxin")
SURFACES = (0.1, 0.2, 0.3, 0.4, 0.6, 1.0, 2.0)


def drug_of(name: str) -> ph.Compound:
    """The drug with its measured volume, on all organs alike."""
    return ph.get_compound(name).replace(distribution_basis="in_vivo", binding_organs=())


def profiles(name: str, folder) -> list:
    """The human intravenous profiles of a drug."""
    observed = observed_profiles(name, folder)
    out = []
    for _, p in observed.groupby(["collection", "profile"], sort=False):
        first = p.iloc[0]
        if refuse(p) is None and first["species"] == "human" and first["route"] != "oral":
            p = usable(p)
            if len(p) >= 3 and not rises(p):
                out.append(p)
    return out


def errors(drug: ph.Compound, observed: list, barriers: dict[str, float]) -> np.ndarray:
    """Natural logarithms of the AAFE of AUC, Cmax and concentrations."""
    rows = []
    for p in observed:
        first, t, c = p.iloc[0], p["time"].to_numpy(), p["value"].to_numpy()
        weight = float(first["body_weight"])
        body = ph.reference_individual("human", body_weight=weight if weight > 0 else None)
        name = "blood" if first["matrix"] == "blood" else "plasma"
        regimen = regimen_of(first, float(body["body_weight"][0]))
        run = ph.simulate(
            drug, regimen, body, t, compartments=[name], permeability_limited=barriers
        )
        found, doses = run["concentration"].values[0, :, 0], dose_times(first)
        fold = np.log(np.maximum(found, 1e-12) / c)[t > 0]
        both = [np.log(auc(t, found, doses) / auc(t, c, doses)), np.log(found.max() / c.max())]
        rows.append([*np.abs(both), np.abs(fold).mean()])
    return np.nanmean(rows, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", help="folder with osp/, cvtdb/, pbpk_pc/; default: benchmarks/data"
    )
    folder = parser.parse_args().data
    warnings.simplefilter("ignore", ph.OutOfRangeWarning)
    person = ph.reference_individual("human")
    found, known = {}, {}
    for name in (*CHOSEN_ON, *JUDGED_ON):
        drug, observed = drug_of(name), profiles(name, folder)
        organs = resolve_disposition(drug, person).barriers
        known[name] = membrane_permeability(drug.for_species("human"))
        found[name] = [errors(drug, observed, {})]
        for surface in SURFACES:
            ps = surface * known[name][0]
            found[name].append(errors(drug, observed, dict.fromkeys(organs, ps)))
        print(name, len(observed), np.exp(found[name]).round(2).tolist(), flush=True)
    scores = [sum(found[n][i][1] + found[n][i][2] for n in CHOSEN_ON) for i in range(1, 8)]
    best = SURFACES[int(np.argmin(scores))]
    head = ["drug", "Caco-2 [1e-6 cm/s]", "AAFE of", "flow-limited", *map(str, SURFACES)]
    lines = []
    for name in found:
        for i, what in enumerate(("AUC", "Cmax", "concentrations")):
            permeability = f"{known[name][0]:.3g}, {known[name][1]}"
            cells = [number(float(np.exp(row[i]))) for row in found[name]]
            lines.append([name, permeability, what, *cells])
    agrees = "which the package uses" if best == SURFACE else f"**the package uses {SURFACE}**"
    text = [
        "# How fast tissues fill: the number of the rule",
        "",
        "Made by `python benchmarks/validation/slow_tissues.py` (rules at the top of that file): intravenous profiles, measured "
        "volume, one factor on all Kp.",
        "",
        f"Chosen on {', '.join(CHOSEN_ON)}: **{best} L/h/kg for each 1e-6 cm/s**, {agrees}. Judged on "
        f"{' and '.join(JUDGED_ON)} (digoxin as if its target were unknown).",
        "",
        *table(head, lines),
        (HERE / "slow_tissues_reading.md").read_text(),
    ]
    (HERE / "slow_tissues.md").write_text("\n".join(text).rstrip("\n") + "\n")


if __name__ == "__main__":
    main()
