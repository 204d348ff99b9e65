"""``pbpk-hybrid first-in-human``: from animals to the first dose in people."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .._core.errors import InputError
from .groups import with_groups
from .options import Debug, Quiet
from .parsing import number_option
from .scale import parse as parse_sources
from .terminal import check_folder, console, reporting, stage, staged_folder, write_table

if TYPE_CHECKING:
    from ..translation import FirstInHuman

_Repeated = list[str] | None


@dataclass(frozen=True)
class Safety:
    """What is known of safety, as typed."""

    noael: Annotated[_Repeated, typer.Option(help='NOAEL, one per species: "rat: 50 mg/kg".')] = (
        None
    )
    noael_auc: Annotated[_Repeated, typer.Option(help='AUC at the NOAEL: "rat: 12 mg*h/L".')] = None
    noael_cmax: Annotated[_Repeated, typer.Option(help='Cmax at the NOAEL: "rat: 3 mg/L".')] = None
    kd: Annotated[
        str | None, typer.Option(help='Dissociation constant of the target: "10 nM" (MABEL).')
    ] = None
    occupancy: Annotated[
        str | None, typer.Option(help="Occupancy of a minimal effect; none: 10 %.")
    ] = None
    minimal_effect: Annotated[
        str | None, typer.Option(help='Free concentration of a minimal effect: "0.02 mg/L".')
    ] = None
    safety_factor: Annotated[
        str | None, typer.Option(help="By which the human equivalent dose is divided; none: 10.")
    ] = None

    def table(self) -> dict[str, Any]:
        """`safety` of :func:`pbpk_hybrid.first_in_human`."""
        found: dict[str, Any] = {
            name: _by_species(texts, f"--{name.replace('_', '-')}")
            for name, texts in (
                ("noael", self.noael),
                ("noael_auc", self.noael_auc),
                ("noael_cmax", self.noael_cmax),
            )
            if texts
        }
        mabel = {
            name: value
            for name, value in (
                ("kd", self.kd),
                ("occupancy", self.occupancy),
                ("concentration", self.minimal_effect),
            )
            if value is not None
        }
        if mabel:
            found["mabel"] = mabel
        if self.safety_factor is not None:
            found["safety_factor"] = self.safety_factor
        return found


@with_groups
def first_in_human(
    compound: Annotated[
        str, typer.Argument(help="A SMILES, a known compound, or a YAML or TOML file.")
    ],
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            "-s",
            help='One per species: "rat: clearance=35 mL/min/kg, volume=2.1 L/kg, fup=0.2".',
        ),
    ] = None,
    dose: Annotated[
        str | None, typer.Option(help='"100 mg oral"; or give --target-exposure.')
    ] = None,
    target_exposure: Annotated[
        str | None, typer.Option(help='"AUC 10 mg*h/L", "Cmax 0.5 mg/L", "free Cavg 30 nM".')
    ] = None,
    route: Annotated[
        str | None, typer.Option(help="oral or iv, of the doses for a target.")
    ] = None,
    interval: Annotated[
        str | None, typer.Option(help='Between doses: "24 h"; none: one dose.')
    ] = None,
    *,
    safety: Safety,
    subjects: Annotated[int, typer.Option("--subjects", "-n", min=10, help="People.")] = 300,
    level: Annotated[
        float, typer.Option(parser=number_option("1"), help="Level of the intervals.")
    ] = 0.9,
    seed: Annotated[int, typer.Option(min=0, help="Of all draws.")] = 0,
    checkpoint: Annotated[
        Path | None, typer.Option(help="A model of your own; none: the shipped one.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for table.csv, margins.csv, picture and report."),
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Predict human curves, the effective dose and the maximum starting dose from animals.

    Research software, not a medical device.
    """
    with reporting(debug):
        if out is not None:
            check_folder(out)
        sources = parse_sources(source or [])
        told = safety.table()
        from ..learn import NeuralAllometry
        from ..translation import first_in_human as predict
        from .fit import compound_or_file

        drug: Any = compound
        if Path(compound).suffix.lower() in (".yaml", ".yml", ".toml"):
            drug = compound_or_file(compound)
        with stage("people", quiet):
            found = predict(
                drug,
                sources,
                dose=dose,
                target_exposure=target_exposure,
                safety=told,
                route=route,
                interval=interval,
                n=subjects,
                level=level,
                seed=seed,
                model=None if checkpoint is None else NeuralAllometry.load(checkpoint),
            )
        if out is not None:
            _write(found, out)
        if quiet:
            return
        console().print(str(found), soft_wrap=True, markup=False)
        if out is not None:
            console().print(f"written: {out}", soft_wrap=True)


def _write(found: FirstInHuman, out: Path) -> None:
    with staged_folder(out) as draft:
        write_table(found.table, draft / "table.csv")
        write_table(found.margins(), draft / "margins.csv")
        found.plot().savefig(draft / "first_in_human.png", dpi=130)
        found.report(draft / "report.html")


def _by_species(texts: list[str], field: str) -> dict[str, str]:
    """``"rat: 50 mg/kg"`` -> {"rat": "50 mg/kg"}.

    Raises
    ------
    InputError
        Text of another form, or a species given twice.
    """
    out: dict[str, str] = {}
    for text in texts:
        species, colon, value = (part.strip() for part in text.partition(":"))
        if not (colon and species and value):
            raise InputError(field, text, 'text such as "rat: 50 mg/kg"')
        if species in out:
            raise InputError(field, text, "each species once")
        out[species] = value
    return out
