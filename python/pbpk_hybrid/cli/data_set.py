"""Reading a data set of doses and samples, and its people, for ``fit`` and ``forecast``.

The route of a dose is stated by the user or the file, and never assumed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from .._core.columns import PEOPLE, SEXES
from .._core.errors import InputError, unknown_name
from .._core.table_files import canonical, parse_number
from .._core.units import quantity

if TYPE_CHECKING:
    import xarray as xr

    from ..dosing import NonmemData

Route = Annotated[
    str | None,
    typer.Option(
        help="Route of all doses: iv or oral; none: from --compartment or a column ROUTE."
    ),
]
Compartment = Annotated[
    list[str] | None,
    typer.Option(help='"1=oral": meaning of a value of CMT: oral, iv, plasma or a compartment.'),
]
Dvid = Annotated[
    str | None, typer.Option(help="DVID (or YTYPE) of the samples, if there are several.")
]
Analyte = Annotated[str | None, typer.Option(help="ANALYTE of the samples, if there are several.")]
Cmt = Annotated[str | None, typer.Option(help="CMT of the samples, if there are several.")]
Occasions = Annotated[
    str | None,
    typer.Option(
        help="reset: where OCC or PERIOD changes, all amounts are zero and time may restart."
    ),
]
Ignore = Annotated[
    list[str] | None, typer.Option(help="A column to leave out unread; may be repeated.")
]
Missing = Annotated[
    list[str] | None,
    typer.Option(help='"SS=99": a text that means "not given" in a column; may be repeated.'),
]
Baseline = Annotated[
    bool,
    typer.Option("--baseline", help="Of covariates that change within a person, the first value."),
]


@dataclass(frozen=True)
class DataSetOptions:
    """How a data set is read: options of ``fit`` and ``forecast``."""

    unit: Annotated[
        str | None, typer.Option(help="Unit of DV; none: that of the header, else mg/L.")
    ] = None
    amount: Annotated[
        str | None, typer.Option(help="Unit of AMT; none: that of the header, else mg.")
    ] = None
    route: Route = None
    compartment: Compartment = None
    dvid: Dvid = None
    analyte: Analyte = None
    cmt: Cmt = None
    species: Annotated[str, typer.Option(help="Species of the subjects.")] = "human"
    baseline: Baseline = False
    occasions: Occasions = None
    ignore: Ignore = None
    missing: Missing = None


def read_data_set(path: Path, options: DataSetOptions, lloq: float | str | None) -> NonmemData:
    """The data set, with routes that the user or the file has stated.

    Parameters
    ----------
    path : Path
    options : DataSetOptions
    lloq : float or str, optional
        Limit of quantification in the unit of DV, or with its own unit.

    Raises
    ------
    InputError
        A dose without a route, or a compartment that the file does not have.
    """
    from ..dosing import read_nonmem

    if options.route not in (None, "iv", "oral"):
        raise InputError("--route", options.route, "iv or oral")
    names = parse_compartments(options.compartment)
    _check_compartments(path, names)
    data = read_nonmem(
        path,
        route=options.route,
        compartments=names or None,
        ignore=options.ignore or (),
        missing=_missing(options.missing),
        amount_unit=options.amount,
        concentration_unit=options.unit,
        dvid=options.dvid,
        analyte=options.analyte,
        cmt=options.cmt,
        occasions=options.occasions,
        lloq=lloq,
    )
    if options.route is None:
        _check_routes(data, names)
    if not (data.regimen.columns["amount"] > 0).any():
        raise InputError("data", path.name, "at least one dose", hint="doses stand in AMT")
    return data


def parse_compartments(texts: list[str] | None) -> dict[int | str, str]:
    """``["1=oral", "DEPOT=oral"]`` -> {"1": "oral", "DEPOT": "oral"}.

    Raises
    ------
    InputError
        Text of another form, one compartment twice.
    """
    out: dict[int | str, str] = {}
    for text in texts or []:
        key, equals, name = (part.strip() for part in text.partition("="))
        if not equals or not key or not name:
            raise InputError("--compartment", text, 'text such as "1=oral"')
        if out.setdefault(key.upper(), name) != name:
            raise InputError("--compartment", text, f"one name for {key}")
    return out


def _missing(texts: list[str] | None) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for text in texts or []:
        column, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not column:
            raise InputError("--missing", text, 'text such as "SS=99"')
        out.setdefault(column, []).append(value)
    return out


def _check_compartments(path: Path, names: Mapping[int | str, str]) -> None:
    """Every compartment that was named is in the file."""
    if not names:
        return
    from ..dosing import compartments_of

    known = compartments_of(path)
    if not known:
        raise InputError("--compartment", next(iter(names)), "a data set with a column CMT")
    for key in names:
        if key not in {k.upper() for k in known}:
            raise unknown_name("--compartment", key, known, what="a value of CMT in the data set")


def _check_routes(data: NonmemData, names: Mapping[int | str, str]) -> None:
    """A route is never assumed: CMT, ROUTE or the user says it."""
    c = data.regimen.columns
    numbers = sorted({n for n in c["compartment"].tolist() if n})
    if numbers and not names:
        raise InputError(
            "--compartment",
            None,
            f"what CMT {', '.join(numbers)} of the doses means",
            hint=f'--compartment "{numbers[0]}=oral" (or =iv), or --route for all doses',
        )
    assumed = data.observations.attrs["doses_of_unknown_route"]
    if assumed:
        raise InputError(
            "--route",
            None,
            "iv or oral",
            hint=f"the data set does not say how {assumed} of its doses were given",
        )


def say_notes(data: NonmemData, quiet: bool, more: Iterable[str] = ()) -> None:
    """Print what was assumed or left out, a line each."""
    if not quiet:
        for note in (*filter(None, data.observations.attrs["notes"].split("\n")), *more):
            typer.echo("note: " + note)


# ---- people -------------------------------------------------------------------------------------
def covariates_of(covariates: xr.Dataset, baseline: bool, notes: list[str]) -> dict[str, list[Any]]:
    """Covariates of the data set by our names and in our units: a value for each subject.

    Raises
    ------
    InputError
        A covariate that changes within a subject (unless `baseline`), a sex or number
        that cannot be read.
    """
    found: dict[str, list[Any]] = {}
    used: set[str] = set()
    for name, (aliases, unit) in PEOPLE.items():
        columns = [n for n in covariates.data_vars if canonical(str(n)) in aliases]
        if len(columns) > 1:
            raise InputError(
                "data", [str(n) for n in columns], f"one column for {name}", hint="use --ignore"
            )
        if not columns:
            continue
        column = str(columns[0])
        values = _per_subject(covariates, column, baseline, notes)
        if name == "sex":
            values = _sexes(values, column, covariates, notes)
        else:
            values = _numbers(values, column, name, unit, covariates)
        if values is not None:
            found[name] = values
            used.add(column)
    idle = [
        str(n)
        for n in covariates.data_vars
        if str(n) not in (*used, "record_subject", "record_time")
    ]
    if idle:
        notes.append("not used: " + ", ".join(idle))
    return found


def _per_subject(covariates: xr.Dataset, column: str, baseline: bool, notes: list[str]):
    values = covariates[column]
    if values.dims == ("subject",):
        return values.values
    record_subject, subjects = covariates["record_subject"].values, covariates["subject"].values
    first = {}
    for i, (subject, value) in enumerate(zip(record_subject, values.values, strict=True)):
        if value != first.setdefault(subject, value) and not baseline:
            raise InputError(
                column,
                value if isinstance(value, str) else float(value),
                f"one value for each person; it is {first[subject]} before "
                f"{float(covariates['record_time'].values[i]):g} h",
                subject=subject,
                hint="bodies do not change within a run: --baseline takes the first value",
            )
    notes.append(f"{column}: the first value of each person")
    return np.array([first[s] for s in subjects], dtype=values.dtype)


def _sexes(values, column: str, covariates: xr.Dataset, notes: list[str]) -> list[str] | None:
    if np.asarray(values).dtype.kind == "f":
        notes.append(f"{column} is a number, which may mean either: write male or female to use it")
        return None
    out = []
    for subject, value in zip(covariates["subject"].values, values, strict=True):
        word = SEXES.get(str(value).strip().lower())
        if word is None:
            raise InputError(column, str(value), "male or female (m or f)", subject=subject)
        out.append(word)
    return out


def _numbers(values, column: str, name: str, unit: str, covariates: xr.Dataset) -> list[float]:
    text = covariates[column].attrs.get("units")
    factor = quantity(f"1 {text}", unit, column) if text else 1.0
    out = []
    for subject, value in zip(covariates["subject"].values, values, strict=True):
        number = parse_number(value) if isinstance(value, str) else float(value)
        if number is None or not np.isfinite(number):
            raise InputError(
                column,
                value if isinstance(value, str) else "nothing",
                f"{name.replace('_', ' ')} of every person [{unit}]",
                subject=subject,
                hint=f"or --ignore {column}",
            )
        out.append(number * factor)
    return out


def people_of(covariates: xr.Dataset, species: str, baseline: bool, notes: list[str]) -> xr.Dataset:
    """One reference individual per ID, of the weight, age, height and sex in the data set.

    Below 18 years it is a child.
    """
    import xarray as xr

    from ..physiology import reference_child, reference_individual

    known = covariates_of(covariates, baseline, notes)
    subjects = covariates["subject"].values
    each, children = [], 0
    for i, subject in enumerate(subjects):
        subject_values = {name: values[i] for name, values in known.items()}
        try:
            if species == "human" and subject_values.get("age", 18.0) < 18:
                subject_values.pop("height", None)  # a child's follows from its age
                each.append(reference_child(**subject_values))
                children += 1
            else:
                if species != "human":
                    subject_values = {
                        k: v for k, v in subject_values.items() if k in ("sex", "body_weight")
                    }
                each.append(reference_individual(species, **subject_values))
        except InputError as error:
            hint = error.hint
            young = "age" not in subject_values and subject_values.get("body_weight", 99.0) < 30
            if species == "human" and error.field == "body_weight" and young:
                hint = "a column AGE (years) below 18 makes a child of this weight"
            elif error.field == "height":
                hint = "heights are in cm unless the header says HT (m); or --ignore the column"
            value = error.value.item() if isinstance(error.value, np.generic) else error.value
            raise type(error)(
                error.field, value, error.expected, subject=subject, hint=hint
            ) from None
    columns = ", ".join(n.replace("_", " ") for n in known)
    notes.append(
        f"people: {len(each)} of species {species}"
        + (
            f", by {columns}"
            if columns
            else "; no weight, age or sex known: the reference individual"
        )
        + (f"; {children} children" if children else "")
    )
    people = xr.concat(
        each, "subject", data_vars="all", coords="minimal", compat="override", join="override"
    )
    return people.assign_coords(subject=np.asarray(subjects))
