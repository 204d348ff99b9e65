"""`first_in_human`: from animals to the dose that is expected to work and the one to start with.

Research software, not a medical device: what it prints is a calculation from a model, no
recommendation for anybody's treatment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .._core.arguments import check_kind
from .._core.errors import InputError, UnknownNameError
from .._core.html_table import html_table
from .._core.random import check_seed
from .._core.units import quantity
from ..compounds import Compound, get_compound
from ..compounds.predicted_absorption import predict_absorption
from ..dosing import Regimen
from ..dosing.conversion import as_regimen
from ..models.small_molecules.partition_equations import is_strong_base
from ..physiology import check_physiology, reference_individual, sample_population
from ..simulation.parameters import VariabilityChoice
from .animals import read_animals
from .human import HumanDraws, human_draws, simulate_draws
from .presentation import NOTICE
from .starting_dose import Limit, Safety, dose_limits, parse_safety
from .targets import ExposureTarget, parse_target

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from ..learn.allometry import NeuralAllometry

_UNIT_DOSE = 100.0  # mg; the model is linear, so any will do
_ROUTES = ("oral", "iv")
_ADULTS = (18, 55)  # years, the people of most first trials
_GRID = 161  # times of the curves


@dataclass(frozen=True, eq=False)
class FirstInHuman:
    """What :func:`first_in_human` found; printing it gives the table.

    Parameters
    ----------
    compound : Compound
        With the typical human values put in; :func:`pbpk_hybrid.simulate` takes it.
    prediction : xarray.Dataset
        Of :meth:`.NeuralAllometry.predict`, for the reference human.
    draws : HumanDraws
        Joint uncertainty of clearance, volume and unbound fraction.
    curves : xarray.Dataset
        Plasma concentrations of the people at `dose`, each with a draw of their own.
    exposure : mapping of str to ndarray, (n_people,)
        Metric -> value per mg of dose.
    free : ndarray, (n_people,)
        Fraction unbound in plasma.
    dose : float, mg
        That was given, or the median of those that reach the target.
    needed : ndarray, (n_people,) or None, mg
        Dose with which each person has the target exposure.
    target : ExposureTarget or None
    regimen : str
        How the dose is given, in words.
    limits : tuple of Limit
        Every way to a maximum starting dose.
    safety : Safety
    level : float
        Of the intervals.
    notes : tuple of str
        What was assumed.
    """

    compound: Compound
    prediction: xr.Dataset
    draws: HumanDraws
    curves: xr.Dataset
    exposure: Mapping[str, np.ndarray]
    free: np.ndarray
    dose: float
    needed: np.ndarray | None
    target: ExposureTarget | None
    regimen: str
    limits: tuple[Limit, ...]
    safety: Safety
    level: float
    notes: tuple[str, ...]

    @property
    def starting_dose(self) -> float | None:
        """Maximum recommended starting dose [mg]: the smallest of all limits; None without."""
        return min((limit.dose for limit in self.limits), default=None)

    @property
    def parameters(self) -> pd.DataFrame:
        """The draws, one a row: clearance [L/h], volume [L], fraction_unbound."""
        import pandas as pd

        d = self.draws
        return pd.DataFrame(
            {
                "clearance": d.clearance,
                "volume": d.volume,
                "fraction_unbound": d.fraction_unbound,
            }
        )

    @cached_property
    def table(self) -> pd.DataFrame:
        """Quantity, unit, median and interval, and from what."""
        import pandas as pd

        columns = ["quantity", "unit", "median", "lower", "upper", "basis"]
        return pd.DataFrame(self._rows(), columns=columns).set_index("quantity")

    def margins(self) -> pd.DataFrame:
        """Exposure at the NOAEL, and every maximum starting dose, over those of `dose`.

        Returns
        -------
        pandas.DataFrame
            ``margin`` with ``lower`` and ``upper``: how many times lower people's exposure is.
        """
        import pandas as pd

        rows = []
        for name, levels in (("auc", self.safety.noael_auc), ("cmax", self.safety.noael_cmax)):
            for species, level in levels.items():
                ratio = level / (self.exposure[name] * self.dose)
                rows.append((f"{name.upper()} at the NOAEL in {species}", *self._interval(ratio)))
        rows += [(f"{x.method}: dose", x.dose / self.dose, np.nan, np.nan) for x in self.limits]
        return pd.DataFrame(rows, columns=["over that of the dose", "margin", "lower", "upper"])

    def plot(self, figure: Figure | None = None) -> Figure:
        """Curves with intervals, and doses with their limits.

        Parameters
        ----------
        figure : matplotlib Figure, optional
            To draw into; None: a new one.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from .presentation import draw

        return draw(self, figure)

    def report(self, path: str | os.PathLike) -> Path:
        """Write everything as one HTML page that needs nothing else.

        Parameters
        ----------
        path : str or path
            Ends in ``.html``; replaced when the new one is whole.

        Returns
        -------
        Path
        """
        from .presentation import write_page

        return write_page(self, path)

    # ---------------------------------------------------------------- private
    def _interval(self, values: np.ndarray) -> tuple[float, float, float]:
        tail = 0.5 * (1.0 - self.level)
        return tuple(float(v) for v in np.quantile(values, (0.5, tail, 1.0 - tail)))

    def _rows(self) -> list[tuple]:
        d, people = self.draws, "people with their uncertainty"
        typical = "typical person"
        rows = [
            ("clearance", "L/h", *self._interval(d.clearance), typical),
            ("volume at steady state", "L", *self._interval(d.volume), typical),
            ("fraction unbound", "1", *self._interval(d.fraction_unbound), typical),
        ]
        if self.needed is not None:
            words = f"{people}, for {self.target}"
            rows.append(("dose needed", "mg", *self._interval(self.needed), words))
        given = f"{people}, {self.regimen}"
        for name, unit in (
            ("auc", "mg*h/L"),
            ("cmax", "mg/L"),
            ("cavg", "mg/L"),
            ("ctrough", "mg/L"),
        ):
            if name in self.exposure:
                values = self.exposure[name] * self.dose
                rows.append((name.upper(), unit, *self._interval(values), given))
        for limit in self.limits:
            rows.append(
                (f"starting dose, {limit.method}", "mg", limit.dose, np.nan, np.nan, limit.basis)
            )
        if self.starting_dose is not None:
            words = "smallest of the above"
            rows.append(
                (
                    "maximum recommended starting dose",
                    "mg",
                    self.starting_dose,
                    np.nan,
                    np.nan,
                    words,
                )
            )
        return rows

    def __repr__(self) -> str:
        lines = [f"first in human: {self.compound.name}, {self.regimen}"]
        for name, row in self.table.iterrows():
            interval = f" ({row.lower:.3g} to {row.upper:.3g})" if np.isfinite(row.lower) else ""
            lines.append(f"{name}: {row['median']:.3g}{interval} {row.unit} [{row.basis}]")
        for _, row in self.margins().iterrows():
            lines.append(f"margin, {row.iloc[0]}: {row.margin:.3g}")
        lines += [f"assumed: {note}" for note in self.notes]
        return "\n".join([*lines, NOTICE])

    def _repr_html_(self) -> str:
        header = ("quantity", "unit", "median", "lower", "upper", "basis")
        rows = [(name, *row) for name, *row in self.table.itertuples()]
        return html_table(f"first in human: {self.compound.name}", header, rows)


def first_in_human(
    compound: Compound | str,
    animals: Mapping[str, Any] | None = None,
    *,
    dose: Regimen | str | None = None,
    target_exposure: str | None = None,
    safety: Mapping[str, Any] | None = None,
    route: str | None = None,
    interval: Any = None,
    n: int = 300,
    population: xr.Dataset | None = None,
    level: float = 0.9,
    seed: int = 0,
    model: NeuralAllometry | None = None,
) -> FirstInHuman:
    """Human curves, the dose that is expected to work, and the dose to start with.

    >>> import pbpk_hybrid as ph
    >>> found = ph.first_in_human(
    ...     "CC(=O)Nc1ccc(O)cc1",
    ...     {"rat": {"clearance": "35 mL/min/kg", "volume": "1.1 L/kg"}},
    ...     dose="100 mg oral",
    ...     safety={"noael": {"rat": "60 mg/kg"}},
    ...     n=20,
    ... )
    >>> round(found.starting_dose, 1)
    58.1

    Parameters
    ----------
    compound : Compound or str
        A Compound, a name of the library, or a SMILES. What is measured (log P, pKa, molar mass,
        absorption) is taken; what is missing follows from the structure, and `notes` says so.
    animals : mapping, optional
        Species -> ``clearance`` [mL/min/kg] or text, ``volume`` [L/kg] or text,
        ``fraction_unbound``, ``body_weight`` [kg]; or ``curve``: ``dose`` (one intravenous
        dose), ``times`` [h], ``concentrations`` [mg/L of plasma], ``lloq``, ``method`` ("nca", or
        "fit": the whole-body model of the species). Of "human" the in-vitro values may be given.
    dose : Regimen or str, optional
        What is given, such as "100 mg oral"; either this or `target_exposure`.
    target_exposure : str, optional
        "AUC 10 mg*h/L", "Cmax 0.5 mg/L", "free Cavg 30 nM", "Ctrough 0.1 mg/L": the dose that
        reaches it is found.
    safety : mapping, optional
        ``noael``: species -> dose [mg/kg]; ``noael_auc`` [mg*h/L] and ``noael_cmax`` [mg/L]:
        species -> total exposure there; ``mabel``: ``kd`` [mg/L or molar] with ``occupancy``
        (0.1), or ``concentration`` (free); ``safety_factor`` (10), ``exposure_factor`` (10).
    route : str, optional
        "oral" or "iv", of the doses for a target; None: oral.
    interval : float or str, h, optional
        Between doses: exposures are then those at steady state; None: one dose.
    n : int
        People, each with a draw of the uncertain parameters.
    population : xarray.Dataset, optional
        n people; None: adults of 18 to 55 years, drawn by `seed`.
    level : float
        Of the intervals.
    seed : int
        Of all draws.
    model : NeuralAllometry, optional
        None: the shipped one.

    Returns
    -------
    FirstInHuman

    Raises
    ------
    InputError, UnitError, UnknownNameError
        Anything that cannot be used; names field, value and what was expected.

    Notes
    -----
    Kinetics are linear: exposures are proportional to the dose. Research software, not a medical
    device.
    """
    _check(dose, target_exposure, route, n, level, seed)
    notes: list[str] = []
    hours = None if interval is None else quantity(interval, "h", "interval", positive=True)
    way, amount = _given(dose, route, hours)
    drug = _drug(compound, way, notes)
    told = parse_safety(safety, drug.molar_mass)
    target = None
    if target_exposure is not None:
        target = parse_target(target_exposure, drug.molar_mass, hours)
    known = read_animals(animals, drug.molar_mass, notes, drug)
    prediction, typical, draws = _predict(drug, known, n, level, seed, model, notes)
    people = _people(population, n, seed)
    varied = VariabilityChoice("default", seed)
    exposure, free = _exposures(typical, draws, people, way, hours, varied)
    needed = None if target is None else target.value / target.per_mg(exposure, free)
    chosen = float(np.median(needed)) if amount is None else amount
    words = f"{chosen:.4g} mg {way}" + ("" if hours is None else f" q{hours:g}h at steady state")
    curves = _curves(typical, draws, people, f"{chosen!r} mg {way}", hours, varied)
    limits = tuple(dose_limits(told, exposure, free))
    return FirstInHuman(
        typical,
        prediction,
        draws,
        curves,
        exposure,
        free,
        chosen,
        needed,
        target,
        words,
        limits,
        told,
        level,
        tuple(notes),
    )


def _check(dose: Any, target: Any, route: Any, n: Any, level: Any, seed: Any) -> None:
    """Refuse arguments of the wrong kind before anything is computed."""
    if (dose is None) == (target is None):
        raise InputError(
            "dose", dose, "either dose= or target_exposure=", hint='such as dose="100 mg oral"'
        )
    if route is not None and route not in _ROUTES:
        raise InputError("route", route, "oral or iv")
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 10:
        raise InputError("n", n, "an integer of at least 10")
    if not isinstance(level, (int, float)) or not 0 < level < 1:
        raise InputError("level", level, "a number between 0 and 1")
    check_seed(seed)


def _given(
    dose: Regimen | str | None, route: str | None, hours: float | None
) -> tuple[str, float | None]:
    """(route in words, amount [mg] or None where a target decides)."""
    if dose is None:
        return route or "oral", None
    regimen = as_regimen(dose)
    rows = regimen.columns
    one = len(rows["time"]) == 1 and not rows["additional_doses"][0] and not rows["steady_state"][0]
    if not one or rows["amount_per_kg"][0] > 0:
        raise InputError(
            "dose", str(dose), 'one dose in mg, "100 mg oral"', hint="interval= repeats it"
        )
    if not rows["amount"][0] > 0:
        raise InputError("dose", str(dose), "an amount > 0 mg")
    ways = {"oral": "oral", "iv_bolus": "iv"}
    kind = str(rows["route"][0])
    if kind == "iv_infusion":
        rate = float(rows["rate"][0])
        length = float(rows["duration"][0]) or float(rows["amount"][0]) / rate
        way = f"iv over {length:g} h"
    elif kind in ways:
        way = ways[kind]
    else:
        raise InputError("dose", str(dose), "an oral or intravenous dose")
    if route is not None and not way.startswith(route):
        raise InputError("route", route, f"that of the dose, {way}")
    return way, float(rows["amount"][0])


def _drug(compound: Compound | str, way: str, notes: list[str]) -> Compound:
    """The compound with everything that the model needs beside clearance and volume."""
    check_kind("compound", compound, (Compound, str), "a Compound, a name or a SMILES")
    if isinstance(compound, str):
        try:
            drug = get_compound(compound)
        except UnknownNameError as unknown:
            from ..learn.allometry.features import compound_of_structure

            try:
                drug = compound_of_structure(compound)
            except InputError:
                raise unknown from None
            notes.append(
                f"log P {drug.log_p:.2f} and pKa {list((*drug.pka_acid, *drug.pka_base))} "
                "from the structure"
            )
    else:
        drug = compound
    if drug.blood_to_plasma_ratio is None and is_strong_base(drug.pka_base):
        drug = drug.replace(blood_to_plasma_ratio=1.0)
        notes.append("blood:plasma ratio 1, as that of a base cannot be predicted")
    if drug.saturable:
        notes.append("saturable pathways are left out: kinetics are taken as linear")
    if way == "oral" and (drug.absorption_rate is None or drug.fraction_absorbed is None):
        drug = _with_absorption(drug, notes)
    return drug


def _with_absorption(drug: Compound, notes: list[str]) -> Compound:
    found = predict_absorption(
        drug.caco2_permeability, drug.log_p, drug.molar_mass, drug.pka_acid, drug.pka_base
    )
    if found is None:
        raise InputError(
            "absorption_rate",
            None,
            "a value of the compound, or log_p and molar_mass to predict it from",
            subject=drug.name,
        )
    changes: dict[str, Any] = {}
    if drug.absorption_rate is None:
        changes["absorption_rate"] = found.rate
        notes.append(f"absorption rate {found.rate:.3g} 1/h, {found.cite_rate()}")
    if drug.fraction_absorbed is None:
        changes["fraction_absorbed"] = found.fraction
        notes.append(f"fraction absorbed {found.fraction:.2g}, {found.cite_fraction()}")
    return drug.replace(**changes)


def _predict(
    drug: Compound,
    known: Mapping[str, Any],
    n: int,
    level: float,
    seed: int,
    model: NeuralAllometry | None,
    notes: list[str],
) -> tuple[xr.Dataset, Compound, HumanDraws]:
    """Prediction for the reference human, the compound with it, and joint draws."""
    from ..learn.allometry import NeuralAllometry, prediction_to_compound

    law = NeuralAllometry.load() if model is None else model
    known = _with_own_values(drug, known, notes)
    weight = float(reference_individual("human")["body_weight"][0])
    structured = drug if drug.identifiers.get("smiles") else None
    if structured is None:
        if not set(known) - {"human"}:
            raise InputError(
                "animals",
                None,
                "at least one species, or a compound whose structure is known",
                subject=drug.name,
                hint='give a SMILES, or identifiers={"smiles": ...} of the compound',
            )
        notes.append("the structure is not known: the intervals are wider")
    prediction = law.predict(structured, known, target="human", body_weight=weight, level=level)
    typical = prediction_to_compound(drug.replace(saturable=()), prediction)
    joint = law.draws(structured, known, n, seed=seed, target="human", body_weight=weight)
    draws = human_draws(
        typical, *(joint[k].values for k in ("clearance", "volume", "fraction_unbound"))
    )
    if draws.held:
        notes.append(
            f"{draws.held} of {n} draws had a clearance above what flows through liver and kidney, "
            "or a volume below the blood's: held at the limit"
        )
    if len(drug.saturable) == 0 and drug.fraction_excreted_renal is None:
        notes.append("renal clearance is filtration of the unbound drug")
    return prediction, typical, draws


def _with_own_values(
    drug: Compound, known: Mapping[str, Any], notes: list[str]
) -> Mapping[str, Any]:
    """The sources, with what the compound itself says of people in vitro."""
    own = {
        name: value
        for name, value in (
            ("fraction_unbound", drug.fraction_unbound_plasma),
            ("clint_hepatocyte", drug.clint_hepatocyte),
        )
        if value
    }
    if "human" in known or drug.species not in (None, "human") or not own:
        return known
    notes.append(f"in vitro, human: {', '.join(f'{k} {v:.3g}' for k, v in own.items())}")
    return {**known, "human": own}


def _people(population: xr.Dataset | None, n: int, seed: int) -> xr.Dataset:
    if population is None:
        return sample_population(int(n), seed=seed, age=_ADULTS)
    people = check_physiology(population)
    if people.sizes["subject"] != n or str(people["species"].values[0]) != "human":
        raise InputError(
            "population", people.sizes["subject"], f"{n} people, or n={people.sizes['subject']}"
        )
    return people


def _exposures(
    drug: Compound,
    draws: HumanDraws,
    people: xr.Dataset,
    way: str,
    hours: float | None,
    varied: VariabilityChoice,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Exposure per mg of dose of every person, and fractions unbound.

    The AUC of an interval at steady state is that of one dose to infinity, so it is exact
    however slowly a drug leaves.
    """
    tau = 24.0 if hours is None else hours
    steady = simulate_draws(
        drug, draws, people, f"{_UNIT_DOSE:g} mg {way} q{tau:g}h ss", _grid(tau), varied
    )
    plasma = steady["concentration"].sel(compartment="plasma").values
    auc = steady["cumulative_auc"].isel(time=-1, auc_compartment=0).values
    found = {"auc": auc / _UNIT_DOSE}
    if hours is None:
        single = simulate_draws(
            drug, draws, people, f"{_UNIT_DOSE:g} mg {way}", _grid(48.0), varied
        )
        found["cmax"] = _largest(single) / _UNIT_DOSE
    else:
        found |= {
            "cmax": _largest(steady) / _UNIT_DOSE,
            "cavg": auc / tau / _UNIT_DOSE,
            "ctrough": plasma[:, -1] / _UNIT_DOSE,
        }
    bad = ~np.isfinite(np.stack(list(found.values()))).all(0)
    if bad.any():
        raise InputError(
            "draws", int(bad.sum()), "people that can all be integrated", hint="another seed"
        )
    free = drug.fraction_unbound_plasma * draws.factors["fraction_unbound_plasma"]
    return found, free


def _grid(end: float) -> np.ndarray:
    """Times [h], dense after the dose."""
    return np.r_[0.0, np.geomspace(0.01, end, _GRID - 1)]


def _largest(sim: xr.Dataset) -> np.ndarray:
    return sim["concentration"].sel(compartment="plasma").max("time").values


def _curves(
    drug: Compound,
    draws: HumanDraws,
    people: xr.Dataset,
    dose: str,
    hours: float | None,
    varied: VariabilityChoice,
) -> xr.Dataset:
    """Plasma concentrations over one interval, or until most of one dose has left."""
    if hours is not None:
        return simulate_draws(drug, draws, people, f"{dose} q{hours:g}h ss", _grid(hours), varied)
    return simulate_draws(drug, draws, people, dose, None, varied)


__all__ = ["FirstInHuman", "first_in_human"]
