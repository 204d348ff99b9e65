"""Models that are uploaded: PK-Sim simulations and SBML, with sliders made of exact derivatives."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from .._core.errors import InputError
from ..interchange.equation_model import EquationModel
from ..plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: sliders on the page
MOST_SLIDERS = 6


def read_uploaded(name: str, content: bytes) -> EquationModel:
    """The model in an uploaded file.

    Parameters
    ----------
    name
        Of the file; its ending says what it is.
    content
        Of the file.

    Raises
    ------
    FileFormatError and its kin
        A file that is none, or that holds what cannot be simulated.
    """
    from ..interchange import read_pksim_simulation, read_sbml_model

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(name).name
        path.write_bytes(content)
        if b"<sbml" in content[:4000]:
            return read_sbml_model(path)
        return read_pksim_simulation(path)


@dataclass(frozen=True, eq=False)
class SlidingModel:
    """Curves of a model and their exact derivatives by the logarithm of some parameters.

    Parameters
    ----------
    model
        That is looked at.
    output
        Its quantity.
    parameters
        Names of the sliders; their values must not be zero.
    """

    model: EquationModel
    output: str
    parameters: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.parameters) > MOST_SLIDERS:
            raise InputError("parameters", len(self.parameters), f"at most {MOST_SLIDERS}")
        for name in self.parameters:
            if not self.values[name]:
                raise InputError("parameters", name, "a parameter whose value is not zero")

    @cached_property
    def values(self) -> dict[str, float]:
        """Value of each parameter, in the unit of the model."""
        return {name: self.model.parameters(name)[name].value for name in self.parameters}

    @cached_property
    def times(self) -> np.ndarray:
        """[h] that the file asks for; a day where it asks for none."""
        return self.model.times if self.model.times.size else np.linspace(0.0, 24.0, 193)

    @cached_property
    def run(self) -> xr.Dataset:
        """Curve and derivatives at the model's own values."""
        names = list(self.parameters)
        return self.model.simulate(self.times, outputs=[self.output], sensitivities=names)

    def instant(self, factors: Mapping[str, float]) -> np.ndarray:
        """(n_times,) curve to first order in the logarithm of the factors, from one solve.

        Parameters
        ----------
        factors
            Parameter -> multiple of its value.
        """
        curve = self.run["value"].values[0, :, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            change = np.zeros_like(curve)
            for name, factor in factors.items():
                slope = self.run["value_sensitivity"].sel(parameter=name).values[0, :, 0]
                change += slope * self.values[name] * np.log(factor)
            # exponential where the curve is positive: never below zero
            return np.where(curve > 0, curve * np.exp(change / curve), curve + change)

    def exact(self, factors: Mapping[str, float]) -> np.ndarray:
        """(n_times,) curve of the model solved again with these factors."""
        changed = self.model.set({n: self.values[n] * f for n, f in factors.items()})
        run = changed.simulate(self.times, outputs=[self.output])
        return run["value"].values[0, :, 0]

    def figure(self, factors: Mapping[str, float], *, solved: bool = False) -> Figure:
        """The model's own curve, the instant one, and where asked the one solved again."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        ax = figure.subplots()
        style.quiet(ax)
        times = self.run["time"].values
        ax.plot(times, self.run["value"].values[0, :, 0], color="0.6", label="as in the file")
        if any(factor != 1 for factor in factors.values()):
            ax.plot(
                times, self.instant(factors), "--", color="#0072B2", label="sliders, first order"
            )
            if solved:
                ax.plot(times, self.exact(factors), color="#D55E00", label="sliders, solved again")
        unit = str(np.atleast_1d(self.run["unit"].values)[0]) if "unit" in self.run.coords else ""
        ax.set(xlabel="time [h]", ylabel=f"{self.output.rpartition('|')[2]} [{unit}]")
        ax.legend(frameon=False, fontsize="small")
        return figure
