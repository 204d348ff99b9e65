"""How people of the same anatomy differ in what they do with a drug.

Organ sizes, flows, hematocrit and GFR vary in the population already. Enzyme activity and absorption do not follow
from anatomy; they get log-normal multipliers here, stated in the result's attributes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._core.arguments import check_real
from ._core.errors import InputError
from ._core.random import generator


@dataclass(frozen=True)
class Variability:
    """Coefficients of variation of log-normal multipliers with mean 1 (1 = 100 %).

    Parameters
    ----------
    intrinsic_clearance : of hepatic CLint and Vmax; 0.30 is what httk's Monte Carlo uses for CLint (Wambaugh et al.
        2019, Toxicol Sci 172:235)
    fraction_unbound : of fu in plasma; 0 by default
    absorption_rate : of ka (and the transit rate); 0.30 by default, the value of httk's Monte Carlo for in vitro inputs
    """

    intrinsic_clearance: float = 0.30
    fraction_unbound: float = 0.0
    absorption_rate: float = 0.30

    def __post_init__(self) -> None:
        for name in ("intrinsic_clearance", "fraction_unbound", "absorption_rate"):
            value = getattr(self, name)
            expected = "a coefficient of variation from 0 to 5"
            value = check_real(f"variability.{name}", value, expected)
            if not (np.isfinite(value) and 0.0 <= value <= 5.0):
                raise InputError(f"variability.{name}", value, expected)

    def draw(self, n: int, seed: int, parameters: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Multipliers (n,) for those of the model's `parameters` that vary."""
        rng, _ = generator(seed)
        sets = (
            (self.intrinsic_clearance, lambda p: p == "clint.liver" or p.startswith("vmax[")),
            (self.fraction_unbound, lambda p: p == "fraction_unbound_plasma"),
            (self.absorption_rate, lambda p: p in ("absorption_rate", "transit_rate")),
        )
        factors: dict[str, np.ndarray] = {}
        # a row per subject, so that the first subjects' numbers do not depend on n; drawn even where unused, so that one cv
        # does not change the others' numbers
        normal = rng.standard_normal((n, len(sets)))
        for (cv, concerns), z in zip(sets, normal.T, strict=True):
            if cv == 0.0:
                continue
            sigma = np.sqrt(np.log1p(cv**2))
            factor = np.exp(sigma * z - 0.5 * sigma**2)
            factors |= {p: factor for p in parameters if concerns(p)}
        return factors


NO_VARIABILITY = Variability(0.0, 0.0, 0.0)
