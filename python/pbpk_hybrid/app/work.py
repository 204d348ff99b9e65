"""What the page computes: plain functions from what was typed to Datasets, tables, figures
and bytes to download.
"""

from __future__ import annotations

import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from .._core.basis import basis_in_words
from .._core.errors import InputError
from .._core.numbers_in_text import NUMBER
from .._core.units import quantity
from ..cli.scale import parse as parse_sources
from ..cli.study import matching, own_observations, published, single_dose, usual_dose
from ..cli.subjects import draw
from ..compounds import get_compound
from ..compounds.usual_doses import usual_doses
from ..dosing import Regimen
from ..nca import nca
from ..physiology import with_conditions
from ..simulation.single import TimeGrid, simulate

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: most people the page simulates at once: it answers while somebody waits
MOST_SUBJECTS = 5000


@dataclass(frozen=True)
class Choice:
    """What was chosen on the page; texts as on the command line.

    Parameters
    ----------
    compound, dose
        Names and words such as "theophylline", "320 mg oral q12h x4".
    subjects, seed
        Of the population.
    generator
        "survey" (people of NHANES) or "pcdm" (the diffusion model).
    age, sex, bmi, egfr
        Filters or conditions such as "20-60", "female"; "" for none.
    hours
        [h] simulated after the start.
    variability
        Whether enzyme activity and absorption differ between people.
    clearance, distribution
        Basis such as "in_vitro", "predicted"; "" for the compound's own.
    special
        Special population in words, such as "severe renal impairment"; "" for none.
    observed
        CSV file of own observations; "" for published ones of the same dose.
    """

    compound: str
    dose: str
    subjects: int = 100
    seed: int = 1
    generator: str = "survey"
    age: str = ""
    sex: str = ""
    bmi: str = ""
    egfr: str = ""
    hours: float = 24.0
    variability: bool = True
    clearance: str = ""
    distribution: str = ""
    special: str = ""
    observed: str = ""


@dataclass(frozen=True, eq=False)
class Study:
    """A simulation, its analysis (None where no dose was given), and published samples of
    the same dose (or None).
    """

    simulation: xr.Dataset
    analysis: xr.Dataset | None
    observed: xr.Dataset | None

    def figure(self, kind: str = "band") -> Figure:
        """Plasma over time, linear and logarithmic, over the observations."""
        from matplotlib.figure import Figure

        from ..plots import profile_figure

        figure = Figure(figsize=(9.2, 3.9), layout="constrained")
        profile_figure(self.simulation, self.observed, kind=kind, figure=figure)
        return figure

    def table(self) -> pd.DataFrame | None:
        """Summary of the noncompartmental analysis over people; of several doses, of the
        last dosing interval.
        """
        from ..results import last_interval, nca_summary

        return None if self.analysis is None else nca_summary(last_interval(self.analysis))

    def basis(self) -> str:
        """What clearance and distribution stand on, and how people differ beside their anatomy."""
        attrs = self.simulation.attrs
        return f"{basis_in_words(attrs)}; variability: {attrs['variability']}"

    def netcdf(self) -> bytes:
        """The simulation as a netCDF file."""
        from ..results import save_results

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "simulation.nc"
            save_results(self.simulation, path)
            return path.read_bytes()

    def report(self) -> bytes:
        """The study as one HTML file that loads nothing."""
        from ..report.html import write_report

        with tempfile.TemporaryDirectory() as folder:
            path = write_report(
                Path(folder) / "report.html",
                self.simulation,
                compound=get_compound(str(self.simulation.attrs["compound"])),
                result=self.analysis,
                observed=self.observed,
            )
            return path.read_bytes()

    def csv(self) -> bytes:
        """One line per person: the analysis, or the largest concentration where there is none."""
        if self.analysis is not None:
            return self.analysis.to_dataframe().to_csv().encode()
        peak = self.simulation["concentration"].sel(compartment="plasma").max("time")
        return peak.to_dataframe(name="cmax_mg_per_l").to_csv().encode()

    def png(self) -> bytes:
        """The figure."""
        buffer = io.BytesIO()
        self.figure().savefig(buffer, format="png", dpi=150)
        return buffer.getvalue()


def simulate_choice(choice: Choice) -> Study:
    """Simulate what was chosen.

    Raises
    ------
    InputError and its kin
        Anything that cannot be used; the message names the field.
    """
    if not 1 <= choice.subjects <= MOST_SUBJECTS:
        raise InputError(
            "subjects",
            choice.subjects,
            f"1 to {MOST_SUBJECTS} people",
            hint="more: pbpk-hybrid simulate --out x.zarr",
        )
    if not 0 < choice.hours <= 24 * 365:
        raise InputError("hours", choice.hours, "a time of at most a year [h]")
    drug = get_compound(choice.compound)
    regimen = Regimen.parse(choice.dose)
    people = people_of(choice)
    result = simulate(
        drug,
        regimen,
        people,
        TimeGrid(until=choice.hours),
        compartments=("plasma",),
        variability="default" if choice.variability else None,
        seed=choice.seed,
        clearance=choice.clearance or None,
        distribution=choice.distribution or None,
    )
    if choice.observed:
        observed = own_observations(choice.observed, drug.name, "human")[0]
    else:
        one = single_dose(regimen)
        observed = matching(published(drug.name, "human"), one, float(result["dose"].median()))
    return Study(result, nca(result) if len(regimen) else None, observed)


def people_of(choice: Choice) -> xr.Dataset:
    """The people of a choice.

    Raises
    ------
    InputError and its kin
        Filters that cannot be used, or that nobody meets.
    """
    survey = choice.generator == "survey"
    people = draw(
        choice.subjects,
        "human",
        choice.seed,
        generator=choice.generator,
        table={"special": choice.special} if choice.special and survey else None,
        age=choice.age or None,
        sex=choice.sex or None,
        body_weight=None,
        bmi=choice.bmi or None,
        egfr=choice.egfr or None,
    )
    return people if survey or not choice.special else with_conditions(people, choice.special)


def dose_of(compound: str) -> str:
    """The dose in which a compound is usually given, in words; 100 mg by mouth, or into a vein
    where no absorption is known, if no study says.
    """
    known = usual_doses().get(compound)
    if known is not None and known.victim:
        return known.victim
    if found := usual_dose(published(compound, "human")):
        return found
    return "100 mg oral" if get_compound(compound).absorption_rate else "100 mg iv"


def forecast_pasted(
    text: str, dose: str, body_weight: float, hours: float, compound: str = ""
) -> xr.Dataset:
    """Forecast from samples pasted as lines of "time [h], concentration [mg/L]".

    Raises
    ------
    InputError
        A line of another form (names it), samples that the forecaster refuses.
    """
    from ..dosing import read_nonmem
    from ..learn import Forecaster

    rows = ["ID,TIME,AMT,DV,EVID,MDV", "1,0,1,.,1,1"]
    rows += [f"1,{time!r},.,{value!r},0,0" for time, value in read_samples(text)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "samples.csv"
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
        samples = read_nonmem(path).observations if len(rows) > 2 else None
    known = {"body_weight": quantity(body_weight, "kg", "body_weight", positive=True)}
    return Forecaster.load().forecast(
        samples, dose, known, compound or None, times=np.linspace(hours / 96, hours, 96)
    )


def read_samples(text: str) -> list[tuple[float, float]]:
    """Time [h] and concentration [mg/L] of each line of pasted samples.

    Raises
    ------
    InputError
        A line of another form; names it.
    """
    lines = filter(None, (part.strip() for part in text.splitlines()))
    return [_sample(line, f"samples, line {n}") for n, line in enumerate(lines, start=1)]


def _sample(line: str, where: str) -> tuple[float, float]:
    """Time [h] and concentration [mg/L] of a pasted line; as text with their units, or both
    without.
    """
    wanted = 'two numbers such as "1.5, 7.2" (h, mg/L), with decimal points'
    fields = [f.strip() for f in line.replace(";", ",").replace("\t", ",").split(",")]
    if len(fields) != 2:
        hint = "the decimal sign is a point" if len(fields) > 2 else ""
        raise InputError(where, line, wanted, hint=hint)
    try:
        plain = NUMBER.fullmatch(fields[1])  # the page says that it is in mg/L
        value = quantity(f"{fields[1]} mg/L" if plain else fields[1], "mg/L", where, minimum=0)
        return quantity(fields[0], "h", where), value
    except InputError as error:
        raise type(error)(where, line, wanted, hint=error.hint) from None


def scale_from_animals(text: str, smiles: str = "", target: str = "human") -> pd.DataFrame:
    """Clearance, volume and unbound fraction of a species from lines such as "rat:
    clearance=35 mL/min/kg".

    Raises
    ------
    InputError
        Text of another form, values that make no sense.
    """
    import pandas as pd

    from ..learn import NeuralAllometry

    sources = parse_sources([line for line in map(str.strip, text.splitlines()) if line])
    if not sources and not smiles.strip():
        raise InputError("sources", text, "at least one species, or a structure")
    found = NeuralAllometry.load().predict(smiles.strip() or None, sources, target=target)
    names = [str(v) for v in found.data_vars if f"{v}_lower" in found]
    rows = {
        n.replace("_", " "): [
            float(found[n]),
            float(found[f"{n}_lower"]),
            float(found[f"{n}_upper"]),
            found[n].attrs["units"],
        ]
        for n in names
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "lower", "upper", "unit"])
