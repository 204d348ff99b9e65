"""One patient: forecast, posterior and next dose of the samples that were pasted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..estimation.individual import posterior
from ..estimation.patient import Patient
from ..estimation.posterior_draws import Posterior
from ..physiology import reference_individual
from ..plots import style
from .work import forecast_pasted, read_samples

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..estimation.dose_search import DoseResult

#: CV of the residual error that the page assumes, and says
RESIDUAL = 0.15


@dataclass(frozen=True)
class PatientChoice:
    """What is known of a patient, as typed.

    Parameters
    ----------
    samples
        Lines of "time [h], concentration [mg/L]".
    dose
        Doses so far, in words.
    body_weight
        [kg].
    hours
        [h] to look ahead to.
    compound
        Name of a compound in the database; "" for none: then there is no posterior.
    """

    samples: str
    dose: str
    body_weight: float
    hours: float
    compound: str = ""


@dataclass(frozen=True, eq=False)
class Outlook:
    """Forecast and posterior of one patient; either may be None."""

    samples: tuple[tuple[float, float], ...]
    forecast: xr.Dataset | None
    posterior: Posterior | None
    hours: float

    def figure(self, *, log: bool = False) -> Figure:
        """Medians and 90 % intervals over the samples."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        ax = figure.subplots()
        style.quiet(ax)
        if self.forecast is not None:
            q = self.forecast["concentration_quantile"].isel(subject=0, compartment=0)
            band = [q.sel(quantile=x) for x in (0.05, 0.5, 0.95)]
            _band(ax, self.forecast["time"], *band, "forecaster, 90 % interval", "#0072B2")
        if self.posterior is not None:
            times = np.linspace(self.hours / 120, self.hours, 120)
            run = self.posterior.simulate(None, times, compartments=["plasma"])
            curves = run["concentration"][:, :, 0].values  # (draw, time)
            band = list(np.quantile(curves, (0.05, 0.5, 0.95), axis=0))
            _band(ax, times, *band, "posterior, 90 % interval", "#D55E00")
        ax.plot(*np.array(self.samples).T, "ko", label="samples")
        ax.set(xlabel="time [h]", ylabel="plasma [mg/L]")
        if log:
            ax.set_yscale("log")
        ax.legend(frameon=False, fontsize="small")
        return figure


def _band(ax, times, low, middle, high, label: str, color: str) -> None:
    ax.fill_between(times, low, high, alpha=0.22, lw=0, color=color)
    ax.plot(times, middle, color=color, label=label)


def look_ahead(choice: PatientChoice, *, network: bool = True) -> Outlook:
    """Forecast, and where a compound is named the posterior of its model.

    Parameters
    ----------
    network
        Whether to ask the forecaster (extra ``learn``).

    Raises
    ------
    InputError and its kin
        Anything that cannot be used; the message names the field.
    """
    samples = read_samples(choice.samples)
    ahead = None
    if network:
        ahead = forecast_pasted(
            choice.samples, choice.dose, choice.body_weight, choice.hours, choice.compound
        )
    found = posterior_of(choice, samples) if choice.compound and samples else None
    return Outlook(tuple(samples), ahead, found, choice.hours)


def posterior_of(choice: PatientChoice, samples: list[tuple[float, float]]) -> Posterior:
    """Posterior of the named compound's model in a person of this weight.

    Raises
    ------
    InputError and its kin
        Anything that cannot be used.
    """
    person = reference_individual("human", body_weight=choice.body_weight)
    patient = Patient(choice.dose, samples, person)
    return posterior(choice.compound, patient, error={"proportional": RESIDUAL})


def next_dose(
    choice: PatientChoice, target: str, intervals: str, amounts: str
) -> tuple[DoseResult, Figure]:
    """The dose over the whole posterior, and the probability of attainment over the amount.

    Parameters
    ----------
    target
        Such as "trough 10-15 mg/L".
    intervals
        [h], with commas.
    amounts
        Such as "multiples of 50 mg up to 800 mg"; "" for usual ones.

    Raises
    ------
    InputError and its kin
        Anything that cannot be used.
    """
    from matplotlib.figure import Figure

    from ..estimation.dose_search import dose

    found = posterior_of(choice, read_samples(choice.samples))
    hours = [part.strip() for part in intervals.split(",") if part.strip()]
    result = dose(
        found,
        target,
        interval=[float(h) if h.replace(".", "", 1).isdigit() else h for h in hours] or None,
        amounts=amounts or None,
    )
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    result.plot(figure.subplots())
    return result, figure
