"""Tables of the validation: ratios of predicted to observed, summed up by group and drug."""

from __future__ import annotations

from pathlib import Path

import numpy as np

FOLD = 2.0
LABEL = {
    "default": "default",
    "in_vivo": "CL in vivo, Kp predicted",
    "in_vitro": "CL in vitro, Kp predicted",
    "in_vivo_volume": "CL and Vss in vivo",
}


def summary(rows: list[dict], basis: str, quantity: str) -> tuple[int, float, float, float]:
    """(n, geometric mean of predicted/observed, AAFE, share within two-fold)."""
    ratio = np.array([r[f"{basis}_{quantity}"] / r[f"observed_{quantity}"] for r in rows])
    ratio = np.log10(ratio[np.isfinite(ratio) & (ratio > 0)])
    if not ratio.size:
        return 0, np.nan, np.nan, np.nan
    within = float(np.mean(np.abs(ratio) <= np.log10(FOLD)))
    return ratio.size, 10 ** ratio.mean(), 10 ** np.abs(ratio).mean(), within


def groups(rows) -> dict[tuple[str, str, str], list[dict]]:
    out: dict[tuple[str, str, str], list[dict]] = {}
    for r in rows:
        out.setdefault((r["drug"], r["species"], r["route"]), []).append(r)
    return out


def percent(x: float) -> str:
    return "-" if not np.isfinite(x) else f"{100 * x:.0f} %"


def number(x: float) -> str:
    return "-" if not np.isfinite(x) else f"{x:.2f}"


def table(head: list[str], lines: list[list[str]]) -> list[str]:
    return [
        "| " + " | ".join(head) + " |",
        "| --- " * len(head) + "|",
        *("| " + " | ".join(x) + " |" for x in lines),
        "",
    ]


def totals(rows, bases) -> list[str]:
    sets = {
        "human iv": lambda r: r["species"] == "human" and r["route"] == "iv",
        "human oral": lambda r: r["species"] == "human" and r["route"] == "oral",
        "human": lambda r: r["species"] == "human",
        "other species": lambda r: r["species"] != "human",
        "all": lambda r: True,
    }
    lines = []
    for label, keep in sets.items():
        mine = [r for r in rows if keep(r)]
        for basis in bases:
            n, _, aafe, within = summary(mine, basis, "auc")
            n_c, _, aafe_c, within_c = summary(mine, basis, "cmax")
            spread = [number(aafe), percent(within), number(aafe_c), percent(within_c)]
            lines.append([label, LABEL[basis], f"{n}, {n_c}", *spread])
    head = [
        "profiles",
        "prediction",
        "n (AUC, Cmax)",
        "AUC: AAFE",
        "AUC within 2-fold",
        "Cmax: AAFE",
        "Cmax within 2-fold",
    ]
    return table(head, lines)


def drugs_once(rows, bases) -> list[str]:
    lines = []
    for basis in bases:
        for route in ("iv", "oral"):
            means = {}
            for (drug, species, way), mine in groups(rows).items():
                if species == "human" and way == route:
                    n, gm, _, _ = summary(mine, basis, "auc")
                    _, gm_c, _, _ = summary(mine, basis, "cmax")
                    if n:
                        means[drug] = (gm, gm_c)
            inside = np.array(
                [[1 / FOLD <= x <= FOLD for x in pair] for pair in means.values()]
            ).reshape(-1, 2)
            out = [
                f"{d} ({number(a)}, {number(c)})"
                for (d, (a, c)), ok in zip(means.items(), inside, strict=True)
                if not all(ok)
            ]
            a, c = inside.sum(axis=0)
            lines.append(
                [LABEL[basis], route, str(len(means)), str(a), str(c), ", ".join(out) or "-"]
            )
    return table(
        [
            "prediction",
            "route",
            "drugs",
            "AUC within 2-fold",
            "Cmax within 2-fold",
            "outside (AUC, Cmax)",
        ],
        lines,
    )


def by_drug(rows, bases) -> list[str]:
    head = ["drug", "species", "route", "profiles"]
    for basis in bases:
        head += [f"AUC: {LABEL[basis]}", "2-fold", "Cmax", "2-fold"]
    lines = []
    for (drug, species, route), mine in sorted(groups(rows).items()):
        cells = [drug, species, route, str(len(mine))]
        for basis in bases:
            for quantity in ("auc", "cmax"):
                _, gm, _, within = summary(mine, basis, quantity)
                cells += [number(gm), percent(within)]
        lines.append(cells)
    return table(head, lines)


def defaults(choice, own) -> list[str]:
    """AAFE of concentrations by basis, the basis that the rule chooses and the one in the drug's file."""
    lines = []
    bases = ("in_vivo_volume", "in_vivo", "in_vitro")
    for name, (n, errors, basis) in choice.items():
        cells = [number(errors.get(b, np.nan)) for b in bases]
        agrees = LABEL[basis] + ("" if own[name] == basis else f" (its file: {own[name]})")
        lines.append([name, str(n), *cells, agrees])
    return table(["drug", "human profiles", *(LABEL[b] for b in bases), "default"], lines)


def left_out(refused) -> list[str]:
    reasons = sorted({why for counts in refused.values() for why in counts})
    lines = [
        [
            why,
            str(sum(c[why] for c in refused.values())),
            ", ".join(f"{d} {c[why]}" for d, c in refused.items() if c[why]),
        ]
        for why in reasons
    ]
    return table(["why", "profiles", "of"], lines)


def write(rows, refused, bases, choice, own, path: Path, reading: Path) -> None:
    """README.md: the tables around the hand-written `reading`."""
    lines = [
        "# Predicted against observed",
        "",
        "Every curated drug and every available observed profile that can be simulated; made by "
        "`python benchmarks/validation/validate.py` (rules and assumptions: top of that file). No parameter was "
        "fitted to these profiles. Ratios are predicted/observed; AAFE is the absolute average fold error, "
        "10^(mean of |log10 ratio|).",
        "",
        "- *default*: the prediction without a choice of basis. Each drug uses the one of the following three bases that describes "
        "these profiles best (see the table of defaults). **Its accuracy here is therefore optimistic**: the best of three "
        "predictions was chosen afterwards, on the same profiles.",
        "- *CL in vivo, Kp predicted*: clearance from the literature, distribution by Rodgers & Rowland. The AUC after "
        "intravenous doses then tests little more than the variability of the literature.",
        "- *CL in vitro, Kp predicted*: hepatic clearance from hepatocytes, renal clearance as measured.",
        "- *CL and Vss in vivo*: one factor on all Kp gives the reference person the literature's volume of "
        'distribution (`distribution_basis = "in_vivo"`). The shape of the curve, first pass and absorption are left to '
        "predict.",
        "",
        "![predicted against observed](results/predicted_observed.png)",
        "",
        "## All together",
        "",
        *totals(rows, bases),
        "Each drug counted once (geometric mean of its profiles' ratios, human):",
        "",
        *drugs_once(rows, bases),
        "## The default basis of each drug",
        "",
        "AAFE of concentrations over the drug's human profiles, each profile counted once. One rule applies to all drugs: the "
        "default is the basis with the lowest AAFE among those that predict every profile; if two are equal to two decimals, the "
        "first column; a drug without a human profile takes the basis with the lowest AAFE over the other drugs, each counted "
        "once. The file of each drug says the same.",
        "",
        *defaults(choice, own),
        *(reading.read_text().splitlines() if reading.is_file() else []),
        "",
        "## Profiles",
        "",
        "For each drug and route the human single-dose profile with the most samples (the first of equals; data without a "
        "licence are not shown). Lines: the typical person; band: 5th to 95th percentile of 200 virtual people with the "
        "default variability, on the default basis; points: observed, bars one standard deviation between people where "
        "reported.",
        "",
        "![profiles](results/profiles.png)",
        "",
        "## Drug by drug",
        "",
        *by_drug(rows, bases),
        "## Profiles left out",
        "",
        *left_out(refused),
    ]
    path.write_text("\n".join(lines).rstrip("\n") + "\n")
