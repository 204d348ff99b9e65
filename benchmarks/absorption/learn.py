"""How well permeability and structure say what is absorbed: the numbers behind predicted absorption.

    python benchmarks/absorption/learn.py

- From Caco-2 permeability to the effective one: the line of httk 2.7.4 (log Peff = 0.4926 log Papp - 0.1454). Its spread is
  that of human fractions absorbed (Varma 2010, in httk) around Fa = 1 - (1 + 0.54 Peff)^-7 (Yu & Amidon 1999): the standard
  deviation of log10 Peff with which 90 % of the measured fractions lie in their own 90 % intervals, of compounds with both.
- From structure to Caco-2: log10 Papp = a + b logP + c logP^2 + d log10 M + acid + base + zwitterion (acid: a pKa of an
  acidic site below 7.4; base: one of a basic site above 7.4), by least squares over every chemical of httk with a
  permeability; the spread is that of leave-one-out residuals.

Writes python/pbpk_hybrid/compounds/data/predicted_absorption.json, which the package reads, and README.md.
"""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import numpy as np

from pbpk_hybrid.compounds.httk_table import httk_table
from pbpk_hybrid.compounds.predicted_absorption import features, fraction_absorbed, peff_from_caco2

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "python" / "pbpk_hybrid" / "compounds" / "data"
Z90 = 1.6448536269514722


def number(text: str) -> float | None:
    try:
        return float(text.split(",")[0])
    except ValueError:
        return None


def rows() -> list[dict]:
    out = []
    for i in range(len(httk_table().rows)):
        r = httk_table().record(i)
        sites = {
            k: [float(p) for p in r[c].split(",") if p.strip() not in ("", "NA")]
            for k, c in (("acid", "pKa_Donor"), ("base", "pKa_Accept"))
        }
        out.append(
            {
                "caco2": number(r["Human.Caco2.Pab"]),
                "fabs": number(r["Human.Fabs"]),
                "log_p": number(r["logP"]),
                "mass": number(r["MW"]),
                **sites,
            }
        )
    return out


def covered(sd: float, peff: np.ndarray, measured: np.ndarray) -> float:
    """Share of measured fractions between those of Peff at both ends of its 90 % interval."""
    low, high = (fraction_absorbed(peff * 10 ** (s * Z90 * sd)) for s in (-1, 1))
    return float(np.mean((measured >= low) & (measured <= high)))


def main() -> None:
    table = rows()
    both = [r for r in table if r["caco2"] and r["fabs"] is not None]
    peff = peff_from_caco2(np.array([r["caco2"] for r in both]))
    measured = np.minimum([r["fabs"] for r in both], 1.0)
    # a fraction of 1 lies above every finite prediction: it is compared with what rounds to it
    measured = np.where(measured > 0.99, np.minimum(measured, fraction_absorbed(peff)), measured)
    grid = np.arange(0.05, 2.0, 0.01)
    shares = np.array([covered(sd, peff, measured) for sd in grid])
    reached = np.flatnonzero(shares >= 0.90)
    sd = float(grid[reached[0]])
    known = [r for r in table if r["caco2"] and r["log_p"] is not None and r["mass"]]
    x = np.array([features(r["log_p"], r["mass"], r["acid"], r["base"]) for r in known])
    y = np.log10([r["caco2"] for r in known])
    coefficients, *_ = np.linalg.lstsq(x, y, rcond=None)
    hat = np.einsum("ij,jk,ik->i", x, np.linalg.inv(x.T @ x), x)
    left_out = (y - x @ coefficients) / (1 - hat)
    loo = float(np.sqrt(np.mean(left_out**2)))
    r2 = 1 - float(np.sum(left_out**2) / np.sum((y - y.mean()) ** 2))
    (DATA / "predicted_absorption.json").write_text(
        json.dumps(
            {
                "date": datetime.date.today().isoformat(),
                "rule": "benchmarks/absorption/learn.py",
                "sd_log10_peff": round(sd, 3),
                "n_fraction_absorbed": len(both),
                "structure": [round(float(c), 4) for c in coefficients],
                "sd_log10_caco2": round(loo, 3),
                "r2_left_out": round(r2, 3),
                "n_caco2": len(known),
            },
            indent=1,
        )
        + "\n"
    )
    error = np.abs(fraction_absorbed(peff) - measured)
    (HERE / "README.md").write_text(
        "# Predicted absorption\n\nMade by `python benchmarks/absorption/learn.py` (rules at the top of that file).\n\n"
        "| what | n | figure |\n| --- | --- | --- |\n"
        f"| fraction absorbed in people from Caco-2 permeability: mean absolute error | {len(both)} | {error.mean():.2f} |\n"
        f"| the same, within 0.2 | {len(both)} | {100 * np.mean(error <= 0.2):.0f} % |\n"
        f"| spread of log10 Peff that covers 90 % of them | {len(both)} | {sd:.2f} |\n"
        f"| log10 Caco-2 permeability from structure, left out one by one: R2 | {len(known)} | {r2:.2f} |\n"
        f"| the same, root mean square error | {len(known)} | {loo:.2f} |\n\n"
        "Structure alone says little: the interval of an absorption rate predicted from it spans more than an order of "
        "magnitude, and says so.\n"
    )


if __name__ == "__main__":
    main()
