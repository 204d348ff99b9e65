"""The five Dataset schemas that cross a room's border, and the one function that checks them.

Every variable has CF ``units`` and ``long_name``. Dims are singular nouns. ``required``
variables must be there; any other listed variable may be; unlisted variables are
allowed and left alone, so that users can carry their own columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

# whoever has a schema makes or reads Datasets: they get `ds.pk`
from . import accessor  # noqa: F401
from .errors import SchemaError, UnknownNameError, unknown_name

SCHEMA_VERSION = "1"
#: values that are checked at a time
_PIECE = 2**18


@dataclass(frozen=True)
class Variable:
    """One column of a schema: allowed dims (first is the usual one), unit, meaning."""

    name: str
    dims: tuple[tuple[str, ...], ...]
    units: str
    long_name: str
    required: bool = False
    kind: str = "float"  # float | int | str
    minimum: float | None = None
    exclusive: bool = False  # minimum itself is not allowed
    nan: bool = False  # NaN allowed


def _v(name, dims, units, long_name, **kw) -> Variable:
    options = dims if dims and isinstance(dims[0], tuple) else (tuple(dims),)
    return Variable(name, tuple(options), units, long_name, **kw)


_SUBJECT = ("subject",)
_SO = ("subject", "organ")
_AREA = ("subject", "time", "auc_compartment")
_DOSE = (("dose_record",), ("subject", "dose_record"))

SCHEMAS: dict[str, tuple[Variable, ...]] = {
    "physiology": (
        _v(
            "volume",
            _SO,
            "L",
            "organ volume without its blood pool share",
            required=True,
            minimum=0,
            exclusive=True,
        ),
        _v(
            "blood_flow",
            _SO,
            "L/h",
            "arterial blood flow to the organ (lung and blood pools: cardiac output; "
            "liver: hepatic artery only)",
            required=True,
            minimum=0,
            exclusive=True,
        ),
        _v(
            "density",
            (("organ",), _SO),
            "kg/L",
            "organ density",
            required=True,
            minimum=0,
            exclusive=True,
        ),
        _v("species", _SUBJECT, "", "species", required=True, kind="str"),
        _v("sex", _SUBJECT, "", "sex (male, female or unknown)", required=True, kind="str"),
        _v("age", _SUBJECT, "year", "age", nan=True, minimum=0),
        _v("body_weight", _SUBJECT, "kg", "body weight", required=True, minimum=0, exclusive=True),
        _v("height", _SUBJECT, "cm", "body height", nan=True, minimum=0, exclusive=True),
        _v(
            "hematocrit",
            _SUBJECT,
            "1",
            "hematocrit (volume fraction)",
            required=True,
            minimum=0,
            exclusive=True,
        ),
        _v(
            "gfr",
            _SUBJECT,
            "L/h",
            "glomerular filtration rate",
            required=True,
            minimum=0,
            exclusive=True,
        ),
        _v(
            "cardiac_output",
            _SUBJECT,
            "L/h",
            "cardiac output",
            required=True,
            minimum=0,
            exclusive=True,
        ),
        _v(
            "serum_creatinine",
            _SUBJECT,
            "mg/dL",
            "serum creatinine",
            nan=True,
            minimum=0,
            exclusive=True,
        ),
        _v(
            "body_surface_area",
            _SUBJECT,
            "m^2",
            "body surface area",
            nan=True,
            minimum=0,
            exclusive=True,
        ),
        _v(
            "body_mass_index",
            _SUBJECT,
            "kg/m^2",
            "body mass index",
            nan=True,
            minimum=0,
            exclusive=True,
        ),
        _v(
            "hepatocellularity",
            _SUBJECT,
            "1e6 cell/g",
            "hepatocytes per gram of liver",
            nan=True,
            minimum=0,
        ),
        _v(
            "microsomal_protein",
            _SUBJECT,
            "mg/g",
            "microsomal protein per gram of liver",
            nan=True,
            minimum=0,
        ),
        _v("ethnicity", _SUBJECT, "", "ethnicity as coded in the source", kind="str"),
    ),
    "compound": (
        _v(
            "molar_mass",
            ("compound",),
            "g/mol",
            "molar mass",
            required=True,
            minimum=0,
            exclusive=True,
        ),
        _v(
            "log_p",
            ("compound",),
            "1",
            "log10 octanol-water partition coefficient of the neutral form",
            nan=True,
        ),
        _v("pka_acid", ("compound", "site"), "1", "acidic pKa values, NaN-padded", nan=True),
        _v(
            "pka_base",
            ("compound", "site"),
            "1",
            "basic pKa values (of the conjugate acid), NaN-padded",
            nan=True,
        ),
        _v(
            "fraction_unbound_plasma",
            ("compound",),
            "1",
            "fraction unbound in plasma",
            required=True,
            nan=True,
            minimum=0,
        ),
        _v(
            "blood_to_plasma_ratio",
            ("compound",),
            "1",
            "blood-to-plasma concentration ratio",
            nan=True,
            minimum=0,
            exclusive=True,
        ),
        _v(
            "partition_coefficient",
            ("compound", "organ"),
            "1",
            "tissue-to-plasma partition coefficient Kp",
            nan=True,
            minimum=0,
            exclusive=True,
        ),
    ),
    "regimen": (
        _v("time", ("event",), "h", "time of the dose record", required=True),
        _v("amount", ("event",), "mg", "dose", required=True, minimum=0),
        _v(
            "route",
            ("event",),
            "",
            "route (iv_bolus, iv_infusion, oral, or compartment)",
            required=True,
            kind="str",
        ),
        _v(
            "duration",
            ("event",),
            "h",
            "infusion duration; 0 for a bolus",
            required=True,
            minimum=0,
        ),
        _v(
            "compartment",
            ("event",),
            "",
            "state that receives the dose; empty for the route's own",
            required=True,
            kind="str",
        ),
        _v(
            "subject",
            ("event",),
            "",
            "subject that gets the dose; -1 for all",
            required=True,
            kind="int",
        ),
        _v(
            "evid",
            ("event",),
            "1",
            "NONMEM event id: 1 dose, 2 other, 3 reset, 4 reset and dose",
            kind="int",
        ),
        _v(
            "interdose_interval",
            ("event",),
            "h",
            "II: interval between additional doses",
            minimum=0,
        ),
        _v("additional_doses", ("event",), "1", "ADDL: number of further doses", kind="int"),
        _v(
            "steady_state",
            ("event",),
            "1",
            "SS: 0 none, 1 start at steady state, 2 add steady state",
            kind="int",
        ),
        _v("lag_time", ("event",), "h", "lag before the dose enters", minimum=0),
        _v("bioavailability", ("event",), "1", "fraction of the dose that enters", minimum=0),
    ),
    "simulation": (
        _v(
            "concentration",
            (("subject", "time", "compartment"), ("subject", "time", "compartment", "compound")),
            "mg/L",
            "concentration",
            required=True,
            nan=True,
        ),
        _v(
            "amount",
            (("subject", "time", "compartment"), ("subject", "time", "compartment", "compound")),
            "mg",
            "amount in the compartment",
            nan=True,
        ),
        _v(
            "mass_balance_error",
            ("subject", "time"),
            "1",
            "(amount in all compartments - dose given) / dose given",
            nan=True,
        ),
        _v(
            "status",
            _SUBJECT,
            "1",
            "solver status per subject, see flag_meanings",
            required=True,
            kind="int",
        ),
        _v(
            "cumulative_auc",
            _AREA,
            "mg*h/L",
            "integral of the concentration from the start of the simulation",
            nan=True,
        ),
        _v(
            "cumulative_aumc",
            _AREA,
            "mg*h^2/L",
            "integral of time x concentration from the start of the simulation; time from 0 h",
            nan=True,
        ),
        _v("dose_time", _DOSE, "h", "time of the dose record", nan=True),
        _v("dose_amount", _DOSE, "mg", "dose as given", nan=True, minimum=0),
        _v("dose_duration", _DOSE, "h", "infusion duration; 0 for a bolus", nan=True, minimum=0),
        _v(
            "dose_route",
            _DOSE,
            "",
            "route (iv_bolus, iv_infusion, oral, or compartment); empty for a reset without a dose",
            kind="str",
        ),
        _v(
            "dose_compartment",
            _DOSE,
            "",
            "state that receives the dose; empty for the route's own",
            kind="str",
        ),
        _v("dose_compound", _DOSE, "", "compound; empty where there is only one", kind="str"),
        _v(
            "dose_interval",
            _DOSE,
            "h",
            "interval between the doses of a steady-state record, else NaN",
            nan=True,
            minimum=0,
        ),
        _v(
            "dose_steady_state",
            _DOSE,
            "1",
            "0 none, 1 start at steady state, 2 add steady state",
            kind="int",
        ),
        _v(
            "dose_bioavailability",
            _DOSE,
            "1",
            "fraction of the dose that enters, as stated in the record",
            nan=True,
            minimum=0,
        ),
        _v(
            "dose_lag_time",
            _DOSE,
            "h",
            "lag before the dose enters, as stated in the record",
            nan=True,
            minimum=0,
        ),
        _v(
            "dose_reset",
            _DOSE,
            "1",
            "1 where the body is emptied at the time of the record, else 0",
            kind="int",
        ),
    ),
    "observation": (
        _v("time", ("sample",), "h", "time after the first dose", required=True),
        _v(
            "value",
            ("sample",),
            "mg/L",
            "observed concentration",
            required=True,
            nan=True,
            minimum=0,
        ),
        _v("lloq", ("sample",), "mg/L", "lower limit of quantification", nan=True, minimum=0),
        _v("censored", ("sample",), "1", "1 where the value is below lloq", kind="int"),
        _v(
            "before_dose",
            ("sample",),
            "1",
            "1 where the sample was taken just before a dose or reset of the same time",
            kind="int",
        ),
        _v(
            "matrix", ("sample",), "", "plasma, blood, serum or an organ", required=True, kind="str"
        ),
        _v(
            "subject",
            ("sample",),
            "",
            "subject label; 'mean' for a group mean",
            required=True,
            kind="str",
        ),
        _v("occasion", ("sample",), "", "visit or period of the subject", kind="str"),
        _v("study", ("sample",), "", "study or data set", required=True, kind="str"),
        _v("reference", ("sample",), "", "bibliographic source", required=True, kind="str"),
    ),
}


def variable(schema: str, name: str) -> Variable:
    """The schema's own record of one variable (to copy units and long_name from)."""
    for v in SCHEMAS[schema]:
        if v.name == name:
            return v
    raise unknown_name(
        "variable", name, [v.name for v in SCHEMAS[schema]], what=f"a variable of schema {schema}"
    )


def attrs(schema: str, name: str) -> dict[str, str]:
    """``units`` and ``long_name`` of one variable, ready for ``xr.DataArray(..., attrs=...)``."""
    v = variable(schema, name)
    return {"units": v.units, "long_name": v.long_name}


def validate(ds: xr.Dataset, schema: str, *, field: str | None = None) -> xr.Dataset:
    """Check `ds` against a schema and return it unchanged.

    Raises
    ------
    SchemaError
        Not a Dataset, a missing variable, wrong dims, units or type, NaN or a value out
        of range; the message names the variable, the value, the subject and what was
        expected.
    """
    if schema not in SCHEMAS:
        raise unknown_name("schema", schema, SCHEMAS)
    field = field or schema
    if not isinstance(ds, xr.Dataset):
        raise SchemaError(field, type(ds).__name__, f"an xarray.Dataset of schema '{schema}'")
    for v in SCHEMAS[schema]:
        if v.name not in ds.variables:
            if v.required:
                raise SchemaError(
                    f"{field}.{v.name}",
                    sorted(map(str, ds.variables)),
                    f"a variable '{v.name}' [{v.units}]",
                    hint=_near(v.name, ds.variables),
                )
            continue
        _check_variable(ds, v, field)
    return ds


def _check_variable(ds: xr.Dataset, v: Variable, field: str) -> None:
    name = f"{field}.{v.name}"
    da = ds.variables[v.name]  # a DataArray would gather all coordinates first
    if da.dims not in v.dims:
        raise SchemaError(name, da.dims, "dims " + " or ".join(map(str, v.dims)))
    if v.kind == "str":
        if da.dtype.kind not in "UOST":
            raise SchemaError(name, str(da.dtype), "text")
        return
    if da.dtype.kind not in "fiub":
        raise SchemaError(name, str(da.dtype), "numbers")
    units = da.attrs.get("units")
    if units is not None and v.units and units != v.units:
        raise SchemaError(
            name, units, f"units '{v.units}'", hint="convert the variable before passing it on"
        )
    if v.kind == "int":
        return
    for start, values in _parts(da):
        bad = np.isinf(values) if v.nan else ~np.isfinite(values)
        what = "finite values" if not v.nan else "finite values or NaN"
        if v.minimum is not None and not bad.any():
            with np.errstate(invalid="ignore"):
                bad = values <= v.minimum if v.exclusive else values < v.minimum
            what = f"values {'>' if v.exclusive else '>='} {v.minimum:g} {v.units}"
        if bad.any():
            where = tuple(int(i) for i in np.argwhere(bad)[0])
            value = float(values[where])
            where = (where[0] + start, *where[1:]) if where else where
            labels = {d: _label(ds[v.name], d, i) for d, i in zip(da.dims, where, strict=True)}
            subject = labels.pop("subject", None)
            position = "".join(f"[{d}={x}]" for d, x in labels.items())
            raise SchemaError(name + position, value, what, subject=subject)


def _parts(da: xr.Variable) -> Iterator[tuple[int, np.ndarray]]:
    """First row and values of pieces of a variable: a large one is not held in memory twice, and
    one that is worked out when it is read stays as it is.
    """
    if da.size <= _PIECE:
        yield 0, np.asarray(da.values, dtype=float)
        return
    rows = max(1, _PIECE * da.shape[0] // da.size)
    for start in range(0, da.shape[0], rows):
        yield start, np.asarray(da[start : start + rows].values, dtype=float)


def _label(da: xr.DataArray, dim: str, index: int):
    return (
        da[dim].values[index].item()
        if dim in da.coords and hasattr(da[dim].values[index], "item")
        else (da[dim].values[index] if dim in da.coords else index)
    )


def _near(name: str, names: Iterable) -> str:
    err: UnknownNameError = unknown_name("variable", name, [str(n) for n in names])
    return err.hint if err.hint.startswith("did you mean") else ""
