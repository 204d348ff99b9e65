"""The body in which a compound was measured: the species' reference individual.

Clearance and volume of distribution in vivo belong to this individual. Its blood:plasma ratio and
that of the simulated subjects are one computation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import xarray as xr

from ...compounds import Compound
from ...physiology.individual import standard_individual
from .partition import blood_to_plasma_ratio


@dataclass(frozen=True, eq=False)
class ReferenceBody:
    """A compound in the reference individual of its species, beside the subjects of a simulation.

    Parameters
    ----------
    compound : Compound
        With the values of its species put in (``compound.for_species``).
    hematocrit : ndarray, (n_subjects,)
        Of the simulated subjects; empty where only the reference individual counts.

    Raises
    ------
    InputError
        On first use of a ratio: neither a measured one nor the values for a prediction.
    """

    compound: Compound
    hematocrit: np.ndarray = field(default_factory=lambda: np.empty(0))

    @cached_property
    def individual(self) -> xr.Dataset:
        """The reference individual, a physiology Dataset of one subject."""
        return standard_individual(self.compound.species)

    @cached_property
    def _ratios(self) -> np.ndarray:
        """(n_subjects + 1,): the subjects, then the reference individual."""
        own = self.individual.variables["hematocrit"].values
        together = np.concatenate([self.hematocrit, own])
        ratios = blood_to_plasma_ratio(self.compound, self.compound.species, hematocrit=together)
        return np.broadcast_to(ratios, together.shape)

    @property
    def blood_to_plasma(self) -> float:
        """Blood:plasma ratio in the reference individual [1]."""
        return float(np.mean(self._ratios[len(self.hematocrit) :]))

    @property
    def blood_to_plasma_of_subjects(self) -> np.ndarray:
        """Blood:plasma ratio in the simulated subjects [1], (n_subjects,)."""
        return np.array(self._ratios[: len(self.hematocrit)])


__all__ = ["ReferenceBody"]
