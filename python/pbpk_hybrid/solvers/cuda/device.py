"""The kernel of the device; importing it needs numba's CUDA target."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numba import cuda  # a global of this module: the simulator takes its place

from .integrator import make_integrator


@lru_cache(maxsize=2)
def kernel_of(single: bool) -> Any:
    """The compiled kernel in double or single precision."""
    integrate = make_integrator(cuda.jit(device=True), np.float32 if single else np.float64)

    @cuda.jit
    def kernel(count, st, w, values, doses, times, control, work, results):
        i = cuda.grid(1)
        if i < count:
            integrate(i, st, w, values, doses, times, control, work, results)

    return kernel
