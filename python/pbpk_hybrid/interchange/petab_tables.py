"""The tables of a PEtab problem, versions 1 and 2, read and checked.

Version 1 has conditions as columns and at most a preequilibration before each; version 2 has
conditions as rows, and experiments that go through several of them. Both become experiments here.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._core.errors import FileFormatError, nearest_names
from .._core.limits import border, check_nesting, read_text, table_file
from ..models.expressions.parser import parse_expression
from ..models.expressions.tree import Expression, number, symbol, symbols

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 1_000_000
SCALES = ("lin", "log", "log10")
#: name of a noise model -> (distribution, transformation)
NOISE = {
    "normal": ("normal", "lin"),
    "laplace": ("laplace", "lin"),
    "log-normal": ("normal", "log"),
    "log-laplace": ("laplace", "log"),
    "log10-normal": ("normal", "log10"),
    "log10-laplace": ("laplace", "log10"),
}
#: prior -> number of its parameters
PRIORS = {
    "uniform": 2,
    "normal": 2,
    "laplace": 2,
    "logNormal": 2,
    "logLaplace": 2,
    "parameterScaleUniform": 2,
    "parameterScaleNormal": 2,
    "parameterScaleLaplace": 2,
    "log-normal": 2,
    "log-laplace": 2,
    "log-uniform": 2,
    "cauchy": 2,
    "gamma": 2,
    "chisquare": 1,
    "exponential": 1,
    "rayleigh": 1,
}


@dataclass(frozen=True)
class PetabParameter:
    """One row of the parameter table.

    Parameters
    ----------
    name : its id
    nominal : value on the linear scale; NaN where the table has none
    estimate : whether it is to be estimated
    scale : "lin", "log" or "log10": on which it is estimated
    lower, upper : bounds on the linear scale
    prior : (name, its parameters); None: none is stated
    """

    name: str
    nominal: float
    estimate: bool
    scale: str = "lin"
    lower: float = -math.inf
    upper: float = math.inf
    prior: tuple[str, tuple[float, ...]] | None = None


@dataclass(frozen=True)
class PetabObservable:
    """One row of the observable table.

    Parameters
    ----------
    name : its id
    formula, noise : over quantities of the model, parameters and placeholders
    placeholders, noise_placeholders : names that each measurement gives a value
    distribution : "normal" or "laplace"
    transformation : "lin", "log" or "log10": on which the noise has this distribution
    """

    name: str
    formula: Expression
    noise: Expression
    placeholders: tuple[str, ...]
    noise_placeholders: tuple[str, ...]
    distribution: str
    transformation: str


@dataclass(frozen=True)
class Period:
    """Part of an experiment: from a time on, some quantities are set.

    Parameters
    ----------
    start : its time; -inf: the steady state before the experiment
    changes : quantity of the model -> what it becomes
    """

    start: float
    changes: Mapping[str, Expression]


@dataclass(frozen=True)
class Measurement:
    """One row of the measurement table: ids, numbers, and values of the placeholders."""

    observable: str
    experiment: str
    time: float
    value: float
    placeholders: tuple[Expression, ...]
    noise_placeholders: tuple[Expression, ...]
    row: int


@dataclass(frozen=True, eq=False)
class PetabTables:
    """Everything but the model.

    Parameters
    ----------
    file : the YAML file
    version : 1 or 2
    model_file : the SBML file
    parameters, observables : id -> what it is
    experiments : id -> its periods in order
    measurements : all rows
    raw : name of each table -> its files' content, as read
    settings : the YAML document
    """

    file: Path
    version: int
    model_file: Path
    parameters: Mapping[str, PetabParameter]
    observables: Mapping[str, PetabObservable]
    experiments: Mapping[str, tuple[Period, ...]]
    measurements: tuple[Measurement, ...]
    raw: Mapping[str, Mapping[str, pd.DataFrame]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


def read_tables(path: str | os.PathLike) -> PetabTables:
    """The tables that a PEtab YAML file names.

    Raises
    ------
    FileFormatError : a file that is missing or damaged, a table without a column that it needs, a
        value that cannot be understood; the message names file, row and column
    """
    file = Path(path).expanduser()
    settings = _yaml(file)
    version = str(settings.get("format_version", "")).partition(".")[0]
    if version not in ("1", "2"):
        raise FileFormatError(
            f"{file.name}: format_version", settings.get("format_version"), "1 or 2"
        )
    reader = _V1(file, settings) if version == "1" else _V2(file, settings)
    return reader.read()


def _yaml(file: Path) -> dict[str, Any]:
    import yaml

    text = read_text(file, "settings_bytes", field="yaml", expected="a PEtab YAML file")
    check_nesting(text, str(file))
    with border("yaml", str(file), "a PEtab YAML file"):
        loaded = yaml.safe_load(text)
    if not isinstance(loaded, dict):
        raise FileFormatError(file.name, type(loaded).__name__, "a PEtab problem: keys with values")
    return loaded


class _Reader:
    """What both versions share."""

    version = 0

    def __init__(self, file: Path, settings: Mapping[str, Any]) -> None:
        self.file, self.folder, self.settings = file, file.parent, settings
        self.raw: dict[str, dict[str, pd.DataFrame]] = {}
        self.at = ""

    # -- cells -----------------------------------------------------------------------------------

    def wrong(self, value: object, expected: str, hint: str = "") -> FileFormatError:
        return FileFormatError(f"{self.file.name}: {self.at}", value, expected, hint=hint)

    def table(self, kind: str, files: Any, needed: Iterable[str]) -> list[dict[str, str]]:
        """Rows of all files of a kind, as text."""
        import pandas as pd

        self.at = f"{kind} files"
        names = [files] if isinstance(files, str) else files or []
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            raise self.wrong(files, "names of files")
        rows: list[dict[str, str]] = []
        for name in names:
            path = self.folder / str(name)
            self.at = f"{kind} table {name}"
            try:
                text = table_file(path, expected="a table separated by tabs")
                frame = pd.read_csv(text, sep="\t", dtype=str, keep_default_na=False)
            except FileFormatError:
                raise
            except ValueError as error:
                raise self.wrong(
                    str(name), "a table separated by tabs", str(error)[:200]
                ) from error
            if len(frame) > MOST_ROWS:
                raise self.wrong(f"{len(frame)} rows", f"at most {MOST_ROWS}")
            frame.columns = [str(c).strip() for c in frame.columns]
            for column in needed:
                if column not in frame.columns:
                    near = nearest_names(column, frame.columns)
                    hint = f"there is {near[0]!r}" if near else ""
                    raise self.wrong(list(frame.columns)[:8], f"a column {column!r}", hint)
            self.raw.setdefault(kind, {})[str(name)] = frame
            rows += [
                {**{k: str(v).strip() for k, v in row.items()}, "_row": f"{name}, row {i + 2}"}
                for i, row in enumerate(frame.to_dict("records"))
            ]
        return rows

    def number(self, text: str, column: str, default: float | None = None) -> float:
        if text == "" and default is not None:
            return default
        try:
            if "_" in text:
                raise ValueError(text)
            return float(text)
        except ValueError:
            raise self.wrong(text, f"a number in column {column}") from None

    def formula(self, text: str, column: str) -> Expression:
        try:
            return parse_expression(
                text, {"inf": math.inf, "nan": math.nan}, field=column, value_first=True
            )
        except FileFormatError:
            raise
        except ValueError as error:
            raise FileFormatError(f"{self.file.name}: {self.at}", text[:80], str(error)) from error

    def cells(self, text: str, column: str) -> tuple[Expression, ...]:
        """Values of placeholders: numbers and ids separated by semicolons."""
        parts = [p.strip() for p in text.split(";")] if text else []
        return tuple(self.reference(p, column) for p in parts)

    def reference(self, text: str, column: str) -> Expression:
        """A number or the id of a parameter."""
        try:
            return number(float(text))
        except ValueError:
            if not text.isidentifier():
                raise self.wrong(text, f"a number or an id in column {column}") from None
            return symbol(text)

    def unique(self, rows: list[dict[str, str]], column: str) -> None:
        seen: set[str] = set()
        for row in rows:
            self.at = row["_row"]
            if row[column] in seen or not row[column]:
                raise self.wrong(row[column], f"each {column} once")
            seen.add(row[column])

    # -- tables ----------------------------------------------------------------------------------

    def parameters(self, files: Any) -> dict[str, PetabParameter]:
        rows = self.table("parameter", files, ("parameterId", "estimate"))
        self.unique(rows, "parameterId")
        out = {}
        for row in rows:
            self.at = row["_row"]
            out[row["parameterId"]] = self._parameter(row)
        return out

    def _parameter(self, row: Mapping[str, str]) -> PetabParameter:
        words = {"1": True, "0": False, "true": True, "false": False, "1.0": True, "0.0": False}
        if row["estimate"].lower() not in words:
            raise self.wrong(row["estimate"], "1 or 0 in column estimate")
        scale = row.get("parameterScale") or "lin"
        if scale not in SCALES:
            raise self.wrong(scale, f"{', '.join(SCALES)} in column parameterScale")
        estimate = words[row["estimate"].lower()]
        nominal = self.number(row.get("nominalValue", ""), "nominalValue", math.nan)
        if not estimate and nominal != nominal:
            raise self.wrong("no nominalValue", "a value of a parameter that is not estimated")
        return PetabParameter(
            row["parameterId"],
            nominal,
            estimate,
            scale,
            self.number(row.get("lowerBound", ""), "lowerBound", -math.inf),
            self.number(row.get("upperBound", ""), "upperBound", math.inf),
            self._prior(row) if estimate else None,
        )

    def _prior(self, row: Mapping[str, str]) -> tuple[str, tuple[float, ...]] | None:
        kind = row.get("priorDistribution") or row.get("objectivePriorType") or ""
        if not kind:
            return None
        text = row.get("priorParameters") if self.version == 2 else None
        text = text or row.get("objectivePriorParameters") or ""
        if kind not in PRIORS:
            near = nearest_names(kind, PRIORS)
            raise self.wrong(kind, "a prior of PEtab", f"did you mean {near[0]!r}?" if near else "")
        numbers = tuple(self.number(p.strip(), "priorParameters") for p in text.split(";") if p)
        if len(numbers) != PRIORS[kind]:
            if kind == "parameterScaleUniform" and not numbers:
                return None
            raise self.wrong(text, f"{PRIORS[kind]} parameters of the prior {kind}")
        return kind, numbers

    def observables(self, files: Any) -> dict[str, PetabObservable]:
        rows = self.table(
            "observable", files, ("observableId", "observableFormula", "noiseFormula")
        )
        self.unique(rows, "observableId")
        out = {}
        for row in rows:
            self.at = row["_row"]
            out[row["observableId"]] = self._observable(row)
        return out

    def _observable(self, row: Mapping[str, str]) -> PetabObservable:
        name = row["observableId"]
        formula = self.formula(row["observableFormula"], "observableFormula")
        noise = self.formula(row["noiseFormula"], "noiseFormula")
        distribution, transformation = self.noise_model(row)
        own, others = self.placeholders(row, formula, noise)
        return PetabObservable(name, formula, noise, own, others, distribution, transformation)

    def measured(self, row: Mapping[str, str], experiment: str, known: Mapping) -> Measurement:
        """One measurement; its observable has to exist."""
        name = row["observableId"]
        if name not in known:
            near = nearest_names(name, known)
            raise self.wrong(
                name, "an observable of the problem", f"did you mean {near[0]!r}?" if near else ""
            )
        observable = known[name]
        own = self.cells(row.get("observableParameters", ""), "observableParameters")
        noise = self.cells(row.get("noiseParameters", ""), "noiseParameters")
        pairs = ((own, observable.placeholders), (noise, observable.noise_placeholders))
        for given, wanted in pairs:
            if len(given) < len(wanted):
                raise self.wrong(len(given), f"values of {', '.join(wanted)}")
        return Measurement(
            name,
            experiment,
            self.number(row["time"], "time"),
            self.number(row["measurement"], "measurement"),
            own[: len(observable.placeholders)],
            noise[: len(observable.noise_placeholders)],
            int(row["_row"].rpartition(" ")[2]),
        )

    def check_times(self, measurements: Iterable[Measurement], experiments: Mapping) -> None:
        for m in measurements:
            first = min(p.start for p in experiments[m.experiment] if math.isfinite(p.start))
            if not m.time >= first:
                self.at = f"measurement table, row {m.row}"
                raise self.wrong(m.time, f"a time from {first:g}, when the experiment begins")

    def noise_model(self, row: Mapping[str, str]) -> tuple[str, str]:
        raise NotImplementedError

    def placeholders(self, row, formula, noise) -> tuple[tuple[str, ...], tuple[str, ...]]:
        raise NotImplementedError

    def read(self) -> PetabTables:
        raise NotImplementedError

    def model_file(self, name: Any) -> Path:
        path = self.folder / str(name)
        if not path.is_file():
            raise FileFormatError(f"{self.file.name}: model", str(name), "a file that exists")
        return path


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _numbered(prefix: str, name: str, *formulas: Expression) -> tuple[str, ...]:
    """Placeholders observableParameter1_..., in order."""
    used = symbols(*formulas)
    out = []
    while f"{prefix}{len(out) + 1}_{name}" in used:
        out.append(f"{prefix}{len(out) + 1}_{name}")
    return tuple(out)


class _V1(_Reader):
    """Version 1."""

    version = 1

    def read(self) -> PetabTables:
        problems = self.settings.get("problems") or []
        self.at = "problems"
        if not isinstance(problems, list) or len(problems) != 1 or not _is_mapping(problems[0]):
            raise self.wrong(problems, "a list of one problem")
        files = problems[0]
        self.at = "sbml_files"
        models = files.get("sbml_files") or []
        if not isinstance(models, list) or len(models) != 1:
            raise self.wrong(models, "a list of one SBML model")
        parameters = self.parameters(self.settings.get("parameter_file"))
        observables = self.observables(files.get("observable_files"))
        conditions = self.conditions(files.get("condition_files"))
        measurements, experiments = [], {}
        wanted = ("observableId", "simulationConditionId", "measurement", "time")
        for row in self.table("measurement", files.get("measurement_files"), wanted):
            self.at = row["_row"]
            before, after = row.get("preequilibrationConditionId", ""), row["simulationConditionId"]
            name = f"{before} -> {after}" if before else after
            if name not in experiments:
                experiments[name] = self.experiment(before, after, conditions)
            measurements.append(self.measured(row, name, observables))
        self.check_times(measurements, experiments)
        return PetabTables(
            self.file,
            1,
            self.model_file(models[0]),
            parameters,
            observables,
            experiments,
            tuple(measurements),
            self.raw,
            self.settings,
        )

    def conditions(self, files: Any) -> dict[str, dict[str, Expression]]:
        out: dict[str, dict[str, Expression]] = {}
        rows = self.table("condition", files, ("conditionId",))
        self.unique(rows, "conditionId")
        for row in rows:
            self.at = row["_row"]
            cells = {
                k: v for k, v in row.items() if k not in ("conditionId", "conditionName", "_row")
            }
            filled = {k: v for k, v in cells.items() if v and v.lower() != "nan"}
            out[row["conditionId"]] = {k: self.reference(v, k) for k, v in filled.items()}
        return out

    def experiment(self, before: str, after: str, conditions: Mapping) -> tuple[Period, ...]:
        periods = []
        for name, start in ((before, -math.inf), (after, 0.0)):
            if not name:
                continue
            if name not in conditions:
                near = nearest_names(name, conditions)
                raise self.wrong(
                    name, "a condition of the problem", f"did you mean {near[0]!r}?" if near else ""
                )
            periods.append(Period(start, conditions[name]))
        return tuple(periods)

    def noise_model(self, row: Mapping[str, str]) -> tuple[str, str]:
        distribution = row.get("noiseDistribution") or "normal"
        transformation = row.get("observableTransformation") or "lin"
        if distribution not in ("normal", "laplace"):
            raise self.wrong(distribution, "normal or laplace in column noiseDistribution")
        if transformation not in SCALES:
            raise self.wrong(
                transformation, f"{', '.join(SCALES)} in column observableTransformation"
            )
        return distribution, transformation

    def placeholders(self, row, formula, noise) -> tuple[tuple[str, ...], tuple[str, ...]]:
        name = row["observableId"]
        own = _numbered("observableParameter", name, formula, noise)
        return own, _numbered("noiseParameter", name, noise)


class _V2(_Reader):
    """Version 2."""

    version = 2

    def read(self) -> PetabTables:
        settings = self.settings
        self.at = "model_files"
        models = settings.get("model_files") or {}
        if not _is_mapping(models) or len(models) != 1:
            raise self.wrong(models, "one model: its id, then language and location")
        (model,) = models.values()
        if not _is_mapping(model):
            raise self.wrong(model, "language and location of the model")
        if model.get("language") != "sbml":
            raise self.wrong(model.get("language"), "sbml")
        if settings.get("extensions"):
            raise self.wrong(list(settings["extensions"]), "no extensions")
        parameters = self.parameters(settings.get("parameter_files"))
        observables = self.observables(settings.get("observable_files"))
        experiments = self.experiments(settings)
        measurements = []
        wanted = ("observableId", "experimentId", "measurement", "time")
        for row in self.table("measurement", settings.get("measurement_files"), wanted):
            self.at = row["_row"]
            name = row["experimentId"]
            if name not in experiments:
                near = nearest_names(name, experiments)
                hint = f"did you mean {near[0]!r}?" if near else ""
                raise self.wrong(name, "an experiment of the problem", hint)
            measurements.append(self.measured(row, name, observables))
        names = self.mapping(settings.get("mapping_files"))
        if names:
            self.at = "mapping table"
            raise self.wrong(list(names)[:3], "ids of the model in all tables, without a mapping")
        self.check_times(measurements, experiments)
        return PetabTables(
            self.file,
            2,
            self.model_file(model.get("location")),
            parameters,
            observables,
            experiments,
            tuple(measurements),
            self.raw,
            self.settings,
        )

    def mapping(self, files: Any) -> dict[str, str]:
        """PEtab id -> model id, where they differ."""
        rows = self.table("mapping", files, ("petabEntityId", "modelEntityId"))
        pairs = {r["petabEntityId"]: r["modelEntityId"] for r in rows}
        return {k: v for k, v in pairs.items() if v and k != v}

    def experiments(self, settings: Mapping) -> dict[str, tuple[Period, ...]]:
        conditions: dict[str, dict[str, Expression]] = {}
        needed = ("conditionId", "targetId", "targetValue")
        for row in self.table("condition", settings.get("condition_files"), needed):
            self.at = row["_row"]
            value = self.formula(row["targetValue"], "targetValue")
            own = conditions.setdefault(row["conditionId"], {})
            if row["targetId"] in own:
                raise self.wrong(row["targetId"], "each targetId once in a condition")
            own[row["targetId"]] = value
        steps: dict[str, dict[float, dict[str, Expression]]] = {"": {}}
        needed = ("experimentId", "time", "conditionId")
        for row in self.table("experiment", settings.get("experiment_files"), needed):
            self.at = row["_row"]
            name = row["conditionId"]
            if name and name not in conditions:
                raise self.wrong(name, "a condition of the problem")
            time = self.number(row["time"], "time")
            at = steps.setdefault(row["experimentId"], {}).setdefault(time, {})
            at.update(conditions.get(name, {}))
        for own in steps.values():
            if not any(math.isfinite(t) for t in own):  # what follows a steady state begins at 0
                own[0.0] = {}
        return {
            name: tuple(Period(t, changes) for t, changes in sorted(own.items()))
            for name, own in steps.items()
        }

    def noise_model(self, row: Mapping[str, str]) -> tuple[str, str]:
        kind = row.get("noiseDistribution") or "normal"
        if kind not in NOISE:
            raise self.wrong(kind, f"{', '.join(NOISE)} in column noiseDistribution")
        return NOISE[kind]

    def placeholders(self, row, formula, noise) -> tuple[tuple[str, ...], tuple[str, ...]]:
        names = lambda key: tuple(p.strip() for p in row.get(key, "").split(";") if p.strip())
        return names("observablePlaceholders"), names("noisePlaceholders")


__all__ = [
    "Measurement",
    "Period",
    "PetabObservable",
    "PetabParameter",
    "PetabTables",
    "read_tables",
]
