"""Puts the figures of the validation into the reasons of the drugs' files.

    python benchmarks/validation/write_reasons.py

Reads results/profiles.csv and rewrites in python/pbpk_hybrid/compounds/data/curated/ what stands as the source of
`clearance_basis` and `distribution_basis`, and `distribution_basis` itself where the rule (`chosen` of validate.py) says
another than the file. Run validate.py again where it says so.
"""

from __future__ import annotations

import csv
import re

from validate import BASES, HERE, ORDER, basis_of, chosen

import pbpk_hybrid as ph
from pbpk_hybrid.compounds import list_compounds

FILES = HERE.parents[1] / "python" / "pbpk_hybrid" / "compounds" / "data" / "curated"
RULE = "chosen by the rule of benchmarks/validation/README.md, so its accuracy on these profiles is optimistic"


def put(text: str, field: str, value: str) -> str:
    """The text of a file with another source of a field."""
    head, sources = text.split("[sources]", 1)
    pattern = re.compile(rf'^{field} = ".*"$', re.MULTILINE)
    assert pattern.search(sources), field
    return head + "[sources]" + pattern.sub(lambda _: f'{field} = "{value}"', sources, count=1)


def main() -> None:
    numbers = lambda r: {k: float(v) if k.endswith("_fold") else v for k, v in r.items()}
    rows = [numbers(r) for r in csv.DictReader((HERE / "results" / "profiles.csv").open())]
    names = list_compounds(curated=True)
    for name, (n, errors, basis) in chosen(rows, names).items():
        drug, path = ph.get_compound(name), FILES / f"{name}.toml"
        text = path.read_text()
        if n:
            profiles = f"{n} human profile{'s' * (n != 1)}"
            words = [
                f"{errors[b]:.2f} with {what}"
                for b, what in zip(
                    ORDER, ("Kp scaled to the measured volume", "predicted Kp"), strict=False
                )
                if b in errors
            ]
            text = put(
                text,
                "distribution_basis",
                f"AAFE of concentrations over {profiles}: {', '.join(words)} (both with clearance in vivo); {RULE}",
            )
            if "in_vitro" in errors:
                best = min(errors[b] for b in ORDER[:2] if b in errors)
                text = put(
                    text,
                    "clearance_basis",
                    "clearance_plasma, in vivo (None takes it where it is given): AAFE of concentrations over "
                    f"{profiles} {best:.2f}, from hepatocytes {errors['in_vitro']:.2f}; {RULE}",
                )
        if basis != basis_of(drug) and basis != "in_vitro" and drug.volume_steady_state is not None:
            print(f"{name}: now {basis}; run validate.py again")
            text = re.sub(
                r'^distribution_basis = "\w+"$',
                f'distribution_basis = "{BASES[basis][1]}"',
                text,
                count=1,
                flags=re.MULTILINE,
            )
        path.write_text(text)


if __name__ == "__main__":
    main()
