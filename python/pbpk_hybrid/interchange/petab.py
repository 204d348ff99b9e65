"""PEtab problems: read, log-likelihood with exact gradient, fit, write.

PEtab (Schmiester et al., PLoS Comput Biol 2021, 17: e1008646) describes a fit of an SBML model to
data in tables: conditions, observables with their noise, measurements, parameters with scales,
bounds and priors.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.arguments import check_kind
from .._core.errors import (
    FileFormatError,
    InputError,
    SolveError,
    nearest_names,
    unknown_name,
)
from .._core.limits import border
from ..models.expressions.derivative import derivatives
from ..models.expressions.tree import Expression, evaluate, substitute, symbols
from ..solvers.base import SolverOptions
from .petab_priors import log_prior
from .petab_simulation import Point, Simulator, Values
from .petab_tables import Measurement, PetabObservable, PetabParameter, PetabTables, read_tables
from .sbml_model import SBMLModel, read_sbml_model

if TYPE_CHECKING:
    import pandas as pd

_LOG_10 = math.log(10.0)
#: a search has ended at an optimum if at most this share of the objective is left to gain
FLAT = 1e-7
#: objective where a search has gone to values at which the model cannot be integrated
HOPELESS = 1e15


@dataclass(frozen=True, eq=False)
class PetabFit:
    """What a fit of a PEtab problem found.

    Parameters
    ----------
    values : parameter -> estimate, on the linear scale
    log_likelihood : there
    log_posterior : with the priors that the problem states
    converged : whether the optimiser says so
    message : of the optimiser
    evaluations : of the likelihood
    problem : the problem with these values as nominal ones
    """

    values: Mapping[str, float]
    log_likelihood: float
    log_posterior: float
    converged: bool
    message: str
    evaluations: int
    problem: PetabProblem

    def __repr__(self) -> str:
        shown = "\n".join(f"  {k} = {v:.6g}" for k, v in list(self.values.items())[:40])
        end = "converged" if self.converged else f"did not converge ({self.message})"
        return f"PetabFit: log-likelihood {self.log_likelihood:.6g}, {end}\n{shown}"


@dataclass(frozen=True, eq=False)
class PetabProblem:
    """A PEtab problem; made by :func:`read_petab`.

    Parameters
    ----------
    tables : conditions, observables, measurements, parameters
    model : the SBML model
    options : how to integrate
    """

    tables: PetabTables
    model: SBMLModel
    options: SolverOptions = field(default_factory=lambda: SolverOptions(rtol=1e-8))

    def __post_init__(self) -> None:
        self._check()

    # -- looking at it --------------------------------------------------------------------------

    @property
    def parameters(self) -> Mapping[str, PetabParameter]:
        """Id -> what the parameter table says of it."""
        return self.tables.parameters

    @property
    def observables(self) -> Mapping[str, PetabObservable]:
        """Id -> formula and noise."""
        return self.tables.observables

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """All measurements."""
        return self.tables.measurements

    @property
    def estimated(self) -> tuple[str, ...]:
        """Ids of the parameters that are estimated."""
        return tuple(p.name for p in self.parameters.values() if p.estimate)

    @property
    def nominal(self) -> dict[str, float]:
        """Estimated parameter -> nominal value, on the linear scale."""
        return {n: self.parameters[n].nominal for n in self.estimated}

    def __repr__(self) -> str:
        count = len(self.tables.experiments)
        return (
            f"PetabProblem({self.tables.file.name!r}, version {self.tables.version}: "
            f"{len(self.measurements)} measurements of {len(self.observables)} observables in "
            f"{count} experiments; {len(self.estimated)} of {len(self.parameters)} parameters "
            f"estimated; {self.model.name})"
        )

    # -- likelihood -----------------------------------------------------------------------------

    def log_likelihood(self, values: Mapping[str, float] | None = None) -> float:
        """Logarithm of the likelihood of all measurements.

        Parameters
        ----------
        values : parameter -> value on the linear scale; those left out are nominal

        Raises
        ------
        UnknownNameError, InputError : a name that is no parameter, a value that is not finite,
            noise that is not positive
        SolveError : an experiment could not be integrated
        """
        return self._evaluated(values, slopes=False)[0]

    def gradient(
        self, values: Mapping[str, float] | None = None, *, scaled: bool = False
    ) -> dict[str, float]:
        """Derivative of the log-likelihood by each estimated parameter, from exact sensitivities.

        Parameters
        ----------
        values : as in :meth:`log_likelihood`
        scaled : by the parameter on its own scale (its logarithm) instead of the linear one
        """
        slope = self._evaluated(values, slopes=True)[1]
        if scaled:
            slope = slope * self._stretch(self._values(values))
        return dict(zip(self.estimated, slope.tolist(), strict=True))

    def log_prior(self, values: Mapping[str, float] | None = None) -> float:
        """Logarithm of the priors that the parameter table states.

        A parameter without one adds nothing in version 1; in version 2 it is uniform between its
        bounds, and every prior is cut at the bounds.
        """
        point = self._values(values)
        version = self.tables.version
        return float(
            sum(log_prior(self.parameters[n], point[n], version)[0] for n in self.estimated)
        )

    def log_posterior(self, values: Mapping[str, float] | None = None) -> float:
        """Log-likelihood plus log-prior."""
        return self.log_likelihood(values) + self.log_prior(values)

    def simulate(self, values: Mapping[str, float] | None = None) -> pd.DataFrame:
        """The measurements with what the model gives for each.

        Returns
        -------
        observable, experiment, time, measurement, simulation, noise (its scale), residual
        (weighted, on the scale of the noise)
        """
        import pandas as pd

        rows = self._rows(values, False)
        return pd.DataFrame(
            {
                "observable": [m.observable for m in self.measurements],
                "experiment": [m.experiment for m in self.measurements],
                "time": [m.time for m in self.measurements],
                "measurement": [m.value for m in self.measurements],
                "simulation": rows["simulation"].value,
                "noise": rows["noise"].value,
                "residual": rows["residual"].value,
            }
        )

    def _evaluated(self, values, slopes: bool) -> tuple[float, np.ndarray]:
        rows = self._rows(values, slopes)
        total = rows["log_likelihood"]
        return float(total.value.sum()), total.slope.sum(axis=0)

    def _values(self, values: Mapping[str, float] | None) -> dict[str, float]:
        known = {p.name: p.nominal for p in self.parameters.values()}
        if values is not None:
            check_kind("values", values, Mapping, "a mapping: parameter -> value")
        for name, value in (values or {}).items():
            if name not in known:
                raise unknown_name("values", name, known, what="a parameter of the problem")
            if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
                raise InputError(f"values[{name!r}]", value, "a number on the linear scale")
            known[name] = float(value)
        for name, value in known.items():
            if not math.isfinite(value):
                hint = "the table has no nominalValue" if name not in (values or {}) else ""
                raise InputError(f"values[{name!r}]", value, "a finite number", hint=hint)
        return known

    def _stretch(self, point: Mapping[str, float]) -> np.ndarray:
        """d(linear)/d(scaled) of each estimated parameter."""
        factor = {"lin": lambda v: 1.0, "log": lambda v: v, "log10": lambda v: v * _LOG_10}
        return np.array([factor[self.parameters[n].scale](point[n]) for n in self.estimated])

    # -- rows of the measurement table ----------------------------------------------------------

    @cached_property
    def _simulator(self) -> Simulator:
        wanted: dict[str, None] = {}
        for name in self._used:
            formula, noise = self._formulas[name]
            wanted |= dict.fromkeys(
                s for s in sorted(symbols(formula, noise)) if self._is_quantity(s)
            )
        if not wanted:  # observables of parameters alone: something has to run
            wanted = {self.model.ode.states[0]: None}
        return Simulator(
            self.model,
            self.tables.experiments,
            self.tables.version,
            tuple(wanted),
            self.options,
        )

    @cached_property
    def _used(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(m.observable for m in self.measurements))

    @cached_property
    def _formulas(self) -> dict[str, tuple[Expression, Expression]]:
        """Observable -> formula and noise, in which observables are written out."""
        out = {}
        for name, o in self.observables.items():
            noise = o.noise
            if used := symbols(noise) & self.observables.keys() - self.model.quantities.keys():
                values = {n: self.observables[n].formula for n in used}
                noise = substitute([noise], values)[0]
            out[name] = (o.formula, noise)
        return out

    def _is_quantity(self, name: str) -> bool:
        return name in self.model.quantities

    def _check(self) -> None:
        """Every symbol of every observable is something."""
        time = self.model.ode.time
        for name in self._used:
            o = self.observables[name]
            own = {*o.placeholders, *o.noise_placeholders, time, "time"}
            for used in symbols(*self._formulas[name]):
                known = used in own or used in self.parameters or self._is_quantity(used)
                if not known:
                    near = nearest_names(used, [*self.parameters, *self.model.quantities])
                    raise FileFormatError(
                        f"{self.tables.file.name}: observable {name}",
                        used,
                        "a quantity of the model, a parameter or a placeholder",
                        hint=f"did you mean {near[0]!r}?" if near else "",
                    )
        if not self.measurements:
            raise FileFormatError(self.tables.file.name, "no measurements", "at least one")

    def _rows(self, values: Mapping[str, float] | None, slopes: bool) -> dict[str, Values]:
        """Simulation, noise, residual and log-likelihood of each measurement."""
        known = self._values(values)
        point = Point(known, self.estimated if slopes else ())
        times: dict[str, list[float]] = {}
        for m in self.measurements:
            times.setdefault(m.experiment, []).append(m.time)
        simulated = self._simulator.run(point, times, slopes)
        n, count = len(self.measurements), len(point.estimated)
        empty = lambda: Values(np.zeros(n), np.zeros((n, count)))
        out = {k: empty() for k in ("simulation", "noise", "residual", "log_likelihood")}
        for name in self._used:
            index = [i for i, m in enumerate(self.measurements) if m.observable == name]
            parts = self._observed(name, index, point, simulated)
            for key, part in parts.items():
                out[key].value[index] = part.value
                out[key].slope[index] = part.slope
        return out

    def _observed(self, name: str, index: Sequence[int], point: Point, simulated):
        o = self.observables[name]
        rows = [self.measurements[i] for i in index]
        formula, noise = self._formulas[name]
        symbols_here = symbols(formula, noise)
        known = self._symbols(symbols_here, o, rows, point, simulated)
        sim = _chain(formula, known, len(rows), len(point.estimated))
        sigma = _chain(noise, known, len(rows), len(point.estimated))
        measured = np.array([m.value for m in rows])
        return _likelihood(o, measured, sim, sigma, rows)

    def _symbols(
        self, names, o: PetabObservable, rows, point: Point, simulated
    ) -> dict[str, Values]:
        known: dict[str, Values] = {}
        n, count = len(rows), len(point.estimated)
        placed: dict[str, tuple[Expression, ...]] = {}
        if o.placeholders:
            columns = zip(*(m.placeholders for m in rows), strict=True)
            placed |= dict(zip(o.placeholders, columns, strict=True))
        if o.noise_placeholders:
            columns = zip(*(m.noise_placeholders for m in rows), strict=True)
            placed |= dict(zip(o.noise_placeholders, columns, strict=True))
        quantities = []
        for name in names:
            if name in placed:
                cells = {c: point.of(c, f"measurement table, {name}") for c in set(placed[name])}
                parts = [cells[c] for c in placed[name]]
                known[name] = Values(
                    np.array([p.value for p in parts]), np.array([p.slope for p in parts])
                )
            elif self._is_quantity(name):
                quantities.append(name)
            elif name in point.values:
                slope = np.zeros((n, count))
                if name in point.estimated:
                    slope[:, point.estimated.index(name)] = 1.0
                known[name] = Values(np.full(n, point.values[name]), slope)
            else:  # time
                known[name] = Values(np.array([m.time for m in rows]), np.zeros((n, count)))
        if quantities:
            known |= self._quantities(quantities, rows, simulated, count)
        return known

    def _quantities(self, names: Sequence[str], rows, simulated, count: int) -> dict[str, Values]:
        """Quantities of the model at each measurement."""
        value = np.empty((len(rows), len(names)))
        slope = np.zeros((len(rows), len(names), count))
        groups: dict[int, list[int]] = {}
        runs = {}
        for i, m in enumerate(rows):
            _, run = max(
                ((s, r) for s, r in simulated[m.experiment] if s <= m.time), key=lambda p: p[0]
            )
            groups.setdefault(id(run), []).append(i)
            runs[id(run)] = run
        for key, at in groups.items():
            run = runs[key]
            lane = np.array([run.lanes[rows[i].experiment] for i in at])
            row = np.searchsorted(run.times, [rows[i].time for i in at])
            found = run.at(lane, row, names)
            value[at], slope[at] = found.value, found.slope
        return {n: Values(value[:, i], slope[:, i]) for i, n in enumerate(names)}

    # -- fitting and writing --------------------------------------------------------------------

    def with_values(self, values: Mapping[str, float]) -> PetabProblem:
        """The problem with other nominal values.

        Raises
        ------
        UnknownNameError, InputError : as in :meth:`log_likelihood`
        """
        self._values({**self.nominal_or_zero, **values})
        parameters = {
            n: replace(p, nominal=float(values.get(n, p.nominal)))
            for n, p in self.parameters.items()
        }
        return replace(self, tables=replace(self.tables, parameters=parameters))

    @property
    def nominal_or_zero(self) -> dict[str, float]:
        """Nominal values of all parameters, zero where there are none."""
        return {n: p.nominal if p.nominal == p.nominal else 0.0 for n, p in self.parameters.items()}

    def fit(
        self, start: Mapping[str, float] | None = None, *, max_iterations: int = 500
    ) -> PetabFit:
        """Maximise likelihood times priors, within bounds and on the table's scales (L-BFGS-B).

        Parameters
        ----------
        start : parameter -> value to start from, on the linear scale; those left out are nominal
        max_iterations : of the optimiser

        Raises
        ------
        InputError : a start outside its bounds, or not positive on a logarithmic scale
        """
        from scipy.optimize import minimize

        names = self.estimated
        if not names:
            raise InputError("parameters", 0, "at least one that is estimated")
        point = self._values(start)
        scales = {n: self._scale(n, point) for n in names}
        bounds = [scales[n].bounds(self.parameters[n]) for n in names]
        first = np.array([scales[n].to(point[n]) for n in names])
        # a line search stops where errors of the integration look like steps
        fine = replace(self, options=replace(self.options, rtol=min(self.options.rtol, 1e-10)))
        calls = 0

        def objective(u: np.ndarray):
            nonlocal calls
            calls += 1
            at = {n: scales[n].back(float(v)) for n, v in zip(names, u, strict=True)}
            try:
                value, slope = fine._evaluated({**point, **at}, slopes=True)
            except (SolveError, InputError):
                if calls == 1:  # nothing has worked yet: the start is to blame
                    raise
                return HOPELESS, np.zeros(len(names))
            for i, n in enumerate(names):
                more, by = log_prior(self.parameters[n], at[n], self.tables.version)
                value += more
                slope[i] = (slope[i] + by) * scales[n].stretch(at[n])
            return -value, -slope

        options = {"maxiter": max_iterations, "ftol": 1e-10, "gtol": 1e-5}
        call = lambda u: minimize(
            objective, u, jac=True, method="L-BFGS-B", bounds=bounds, options=options
        )
        found = call(first)
        converged = bool(found.success) or _is_flat(objective, found, bounds)
        if not converged:  # from there, without what it remembers
            found = call(found.x)
            converged = bool(found.success) or _is_flat(objective, found, bounds)
        best = {n: scales[n].back(float(v)) for n, v in zip(names, found.x, strict=True)}
        problem = self.with_values(best)
        return PetabFit(
            best,
            problem.log_likelihood(),
            problem.log_posterior(),
            converged,
            str(found.message),
            calls,
            problem,
        )

    def _scale(self, name: str, point: Mapping[str, float]) -> _Scale:
        kind = self.parameters[name].scale
        if kind != "lin" and not point[name] > 0:
            raise InputError(f"start[{name!r}]", point[name], f"> 0: its scale is {kind}")
        return _Scale(kind, abs(point[name]) or 1.0)

    def write(self, folder: str | os.PathLike) -> Path:
        """Write the problem as it was read, with its present nominal values.

        Parameters
        ----------
        folder : made if need be; files in it that have the same names are replaced

        Returns
        -------
        path of the YAML file
        """
        import yaml

        target = Path(folder).expanduser()
        target.mkdir(parents=True, exist_ok=True)
        for kind, files in self.tables.raw.items():
            for name, frame in files.items():
                frame = self._with_nominal(frame) if kind == "parameter" else frame
                path = _inside(target, name)
                frame.to_csv(path, sep="\t", index=False)
        model = self.tables.model_file.relative_to(self.tables.file.parent)
        shutil.copyfile(self.tables.model_file, _inside(target, str(model)))
        path = target / self.tables.file.name
        settings = _without_files(self.tables.settings)
        path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
        return path

    def _with_nominal(self, frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.copy()
        if "nominalValue" not in frame:
            frame["nominalValue"] = ""
        for i, name in enumerate(frame["parameterId"]):
            p = self.parameters[name.strip()]
            if p.nominal == p.nominal:
                frame.loc[frame.index[i], "nominalValue"] = repr(p.nominal)
        return frame


def _is_flat(objective, found: Any, bounds: Sequence[tuple[float | None, float | None]]) -> bool:
    """Whether a search has ended where nothing is left to gain but errors of the integration.

    Along the slope, over the parameters that no bound holds, the gain is |g|^4 / (2 g'H g); the
    curvature comes from the slope a short way on.
    """
    slope = np.array(found.jac, dtype=float)
    for i, (low, high) in enumerate(bounds):
        at_low = low is not None and found.x[i] <= low and slope[i] > 0
        at_high = high is not None and found.x[i] >= high and slope[i] < 0
        slope[i] = 0.0 if at_low or at_high else slope[i]
    size = float(np.linalg.norm(slope))
    if size == 0.0:
        return True
    step = 1e-4 / size
    _, ahead = objective(found.x - step * slope)
    curvature = float(slope @ (np.asarray(found.jac) - ahead)) / step
    return curvature > 0 and size**4 / (2 * curvature) <= FLAT * max(1.0, abs(float(found.fun)))


@dataclass(frozen=True)
class _Scale:
    """How the optimiser sees a parameter: its logarithm, or its ratio to a typical size."""

    kind: str
    size: float

    def to(self, value: float) -> float:
        if self.kind == "lin":
            return value / self.size
        return math.log(value) if self.kind == "log" else math.log10(value)

    def back(self, u: float) -> float:
        if self.kind == "lin":
            return u * self.size
        return math.exp(u) if self.kind == "log" else 10.0**u

    def stretch(self, value: float) -> float:
        """d(value)/d(u)."""
        return {"lin": self.size, "log": value, "log10": value * _LOG_10}[self.kind]

    def bounds(self, p: PetabParameter) -> tuple[float | None, float | None]:
        free = lambda b: not math.isfinite(b) or (self.kind != "lin" and b <= 0)
        low, high = (None if free(b) else self.to(b) for b in (p.lower, p.upper))
        return low, high


def _inside(folder: Path, name: str) -> Path:
    """A file below a folder.

    Raises
    ------
    FileFormatError : the name leads out of it
    """
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise FileFormatError("file of the problem", name, "a file beside the YAML file")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _without_files(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The YAML document without files that are not written: pictures, and what is no table."""
    out = dict(settings)
    if "problems" in out:
        out["problems"] = [
            {k: v for k, v in p.items() if k != "visualization_files"} for p in out["problems"]
        ]
    out.pop("visualization_files", None)
    return out


def _chain(formula: Expression, known: Mapping[str, Values], n: int, count: int) -> Values:
    """A formula of rows and its derivatives by the parameters."""
    numbers = {k: v.value for k, v in known.items()}
    value = np.broadcast_to(evaluate([formula], numbers)[0], (n,)).astype(float)
    slope = np.zeros((n, count))
    if count:
        for name in symbols(formula):
            if np.any(known[name].slope):
                by = np.broadcast_to(evaluate(derivatives([formula], name), numbers)[0], (n,))
                slope += by[:, None] * known[name].slope
    return Values(value, slope)


def _likelihood(
    o: PetabObservable, measured, sim: Values, sigma: Values, rows
) -> dict[str, Values]:
    """Log-likelihood of measurements, as PEtab defines it."""
    if (bad := np.flatnonzero(~(sigma.value > 0))).size:
        raise InputError(
            f"noise of {o.name}, row {rows[bad[0]].row}", float(sigma.value[bad[0]]), "a number > 0"
        )
    y, s, s_slope, jacobian = measured, sim.value, sim.slope, 0.0
    if o.transformation != "lin":
        unit = 1.0 if o.transformation == "log" else _LOG_10
        for what, numbers in (("measurement", measured), ("simulation", sim.value)):
            if (bad := np.flatnonzero(~(numbers > 0))).size:
                raise InputError(
                    f"{what} of {o.name}, row {rows[bad[0]].row}",
                    float(numbers[bad[0]]),
                    f"a number > 0 (its noise is on the {o.transformation} scale)",
                )
        jacobian = np.log(measured * unit)
        y, s = np.log(measured) / unit, np.log(sim.value) / unit
        s_slope = sim.slope / (sim.value * unit)[:, None]
    residual = (y - s) / sigma.value
    r_slope = -s_slope / sigma.value[:, None] - (residual / sigma.value)[:, None] * sigma.slope
    log_sigma = sigma.slope / sigma.value[:, None]
    if o.distribution == "normal":
        value = -0.5 * math.log(2 * math.pi) - np.log(sigma.value) - 0.5 * residual**2
        slope = -log_sigma - residual[:, None] * r_slope
    else:
        value = -math.log(2.0) - np.log(sigma.value) - np.abs(residual)
        slope = -log_sigma - np.sign(residual)[:, None] * r_slope
    return {
        "simulation": sim,
        "noise": sigma,
        "residual": Values(residual, r_slope),
        "log_likelihood": Values(value - jacobian, slope),
    }


def read_petab(path: str | os.PathLike, *, options: SolverOptions | None = None) -> PetabProblem:
    """A PEtab problem (version 1 or 2, with an SBML model) from its YAML file.

    >>> from pbpk_hybrid.interchange import example_petab_problem, read_petab
    >>> problem = read_petab(example_petab_problem())
    >>> round(problem.log_likelihood(), 2)
    -1452.57

    Parameters
    ----------
    path : of the YAML file; tables and model lie beside it
    options : how to integrate; None: rtol 1e-8

    Raises
    ------
    FileFormatError : a file that is missing or damaged, or holds what cannot be understood; the
        message names file, row and column
    """
    with border("path", str(path), "a PEtab problem"):
        tables = read_tables(path)
        # times of the tables are in the model's unit, whatever that is
        model = read_sbml_model(tables.model_file)
        return PetabProblem(tables, model, options or SolverOptions(rtol=1e-8))


def example_petab_problem() -> Path:
    """Path of a small PEtab problem written for this package: the SBML example at two doses."""
    return Path(__file__).with_name("data") / "own" / "petab" / "transport.yaml"


__all__ = ["PetabFit", "PetabProblem", "example_petab_problem", "read_petab"]
