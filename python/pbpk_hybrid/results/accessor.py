"""``ds.pk``: what one does with a simulation, as methods of the Dataset. Registered by
:mod:`.._core.accessor`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from . import curves
from .storage import save_results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class PKAccessor:
    """Pharmacokinetic view of a Dataset of schema ``simulation``.

    >>> import pbpk_hybrid as ph
    >>> sim = ph.simulate("theophylline", "320 mg oral", times=range(25))
    >>> highest, half_life = sim.pk.plasma.max(), sim.pk.nca().half_life
    """

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    @property
    def plasma(self) -> xr.DataArray:
        """Plasma concentration over (subject, time) [mg/L]."""
        return curves.concentration(self._ds, "plasma")

    def tissue(self, name: str) -> xr.DataArray:
        """Concentration in one organ over (subject, time) [mg/L]."""
        return curves.concentration(self._ds, name)

    def to(self, unit: str) -> xr.DataArray:
        """Concentrations in another unit, over (subject, time, compartment).

        The Dataset itself stays in mg/L, the unit in which everything here computes.

        Parameters
        ----------
        unit : str
            "ng/mL", "uM", "nmol/L" and so on.

        Raises
        ------
        UnitError
            No unit of concentration, or a molar one where the molar mass is not known.
        """
        curves.validate(self._ds, "simulation")
        found = self._ds["concentration"] * curves.factor_to(self._ds, unit)
        found.attrs = {**self._ds["concentration"].attrs, "units": unit}
        return found

    def quantiles(
        self, q: float | Sequence[float] = (0.05, 0.5, 0.95), compartment: str = "plasma"
    ) -> xr.DataArray:
        """Quantiles over the subjects that were integrated: (quantile, time) [mg/L]."""
        return curves.quantiles(self._ds, q, compartment)

    def to_dataframe(self, compartments: Sequence[str] | str | None = None) -> pd.DataFrame:
        """Long pandas table: subject, time, compartment, concentration, amount and the
        covariates.
        """
        return curves.to_dataframe(self._ds, compartments)

    def save(self, path: str | os.PathLike, *, compression: int = 0) -> Path:
        """Write to ``.nc`` or ``.zarr``; see :func:`.save_results`."""
        return save_results(self._ds, path, compression=compression, schema="simulation")

    def like(self, table: Any = None) -> Any:
        """Statistics of virtual people beside those of the table they were drawn like.

        See :func:`pbpk_hybrid.physiology.like_table`.
        """
        from ..physiology import like_table

        return like_table(self._ds, table)

    # The packages used below depend on this one: imported on call, so that nothing here
    # depends on them.
    def nca(
        self,
        dose: Any = None,
        route: str | None = None,
        infusion_duration: Any = None,
        **kwargs: Any,
    ) -> xr.Dataset:
        """Noncompartmental analysis of every subject, by the dose records; see
        :func:`pbpk_hybrid.nca.nca`.
        """
        from ..nca import nca

        return nca(self._ds, dose, route, infusion_duration, **kwargs)

    def plot(self, observations: xr.Dataset | None = None, **kwargs: Any) -> Axes:
        """Concentration over time; see :func:`pbpk_hybrid.plots.time_profile`. Returns
        the matplotlib axes.
        """
        from ..plots import time_profile

        return time_profile(self._ds, observations, **kwargs)
