"""The arrays that the plausibility rules look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from ..adults.body import INDEX
from ..organs import ORGANS


@dataclass(frozen=True)
class Body:
    """What the rules look at, for n subjects.

    numpy arrays, or torch tensors through which the residuals can be differentiated.

    Parameters
    ----------
    mass, flow
        (subject, organ) in the order of ``ORGANS``, kg and L/h.
    male
        (subject,) bool.
    weight, height
        (subject,), kg and cm.
    hematocrit
        (subject,).
    gfr, output : (subject,), L/h
        Glomerular filtration rate and cardiac output.
    creatinine
        (subject,), mg/dL.
    bmi, surface : (subject,), kg/m^2 and m^2
        As the Dataset states them.
    age : (subject,), year
        None: all are adults.
    """

    mass: np.ndarray
    flow: np.ndarray
    male: np.ndarray
    weight: np.ndarray
    height: np.ndarray
    hematocrit: np.ndarray
    gfr: np.ndarray
    output: np.ndarray
    creatinine: np.ndarray
    bmi: np.ndarray
    surface: np.ndarray
    age: np.ndarray | None = None

    def organ(self, name: str) -> np.ndarray:
        """(subject,) mass of an organ [kg]."""
        return self.mass[:, INDEX[name]]

    def share(self, *names: str) -> np.ndarray:
        """(subject,) flow through organs as a fraction of cardiac output."""
        return self.flow[:, [INDEX[name] for name in names]].sum(axis=1) / self.output

    def subset(self, rows: np.ndarray) -> Body:
        """Some of the subjects, by index or mask."""
        return Body(
            **{name: None if value is None else value[rows] for name, value in vars(self).items()}
        )


def body_of(ds: xr.Dataset) -> Body:
    """The arrays that the rules look at, from a physiology Dataset."""
    ds = ds.sel(organ=list(ORGANS))
    volume = ds["volume"].transpose("subject", "organ")

    def column(name: str) -> np.ndarray:
        return ds[name].values.astype(float) if name in ds else np.full(ds.sizes["subject"], np.nan)

    return Body(
        mass=(volume * ds["density"]).transpose("subject", "organ").values,
        flow=ds["blood_flow"].transpose("subject", "organ").values,
        male=ds["sex"].values == "male",
        weight=column("body_weight"),
        height=column("height"),
        hematocrit=column("hematocrit"),
        gfr=column("gfr"),
        output=column("cardiac_output"),
        creatinine=column("serum_creatinine"),
        bmi=column("body_mass_index"),
        surface=column("body_surface_area"),
        age=column("age"),
    )
