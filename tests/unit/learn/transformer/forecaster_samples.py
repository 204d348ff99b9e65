"""Observations by hand."""

import numpy as np
import xarray as xr


def observed(times, values, subject="0", **more):
    n = len(times)
    subjects = [subject] * n if isinstance(subject, str) else list(subject)
    data = {
        "time": ("sample", np.asarray(times, float), {"units": "h"}),
        "value": ("sample", np.asarray(values, float), {"units": "mg/L"}),
        "matrix": ("sample", np.full(n, "plasma")),
        "subject": ("sample", np.array(subjects, dtype=str)),
        "study": ("sample", np.full(n, "s")),
        "reference": ("sample", np.full(n, "r")),
    }
    for name, values_ in more.items():
        data[name] = ("sample", np.asarray(values_))
    return xr.Dataset(data)
