r"""How observations scatter around predictions, with their derivatives; values below
quantification by Beal's method M3.

- additive: sd = a;  proportional: sd = b f;  combined: sd = sqrt(a^2 + b^2 f^2);
  lognormal: log y is normal around log f

A censored value contributes :math:`\Phi((LLOQ - f)/sd)` (Beal 2001, J Pharmacokinet
Pharmacodyn 28:481).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._core.errors import InputError, unknown_name

KINDS = {
    "additive": ("error.additive",),
    "proportional": ("error.proportional",),
    "combined": ("error.additive", "error.proportional"),
    "lognormal": ("error.lognormal",),
}


@dataclass(frozen=True)
class ErrorModel:
    """One error model; `fixed` holds the values of parameters that are not estimated."""

    kind: str
    fixed: Mapping[str, float]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters of this kind of error."""
        return KINDS[self.kind]

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the parameters that are estimated."""
        return tuple(n for n in self.names if n not in self.fixed)

    def values(self, free: np.ndarray) -> np.ndarray:
        """All of its parameters from the free ones."""
        it = iter(free)
        return np.array([self.fixed[n] if n in self.fixed else next(it) for n in self.names])

    def initial(self, value: np.ndarray) -> np.ndarray:
        """Where the search starts, from the observed values."""
        usual = {
            "error.additive": 0.2 * float(np.median(value)) or 1.0,
            "error.proportional": 0.3,
            "error.lognormal": 0.3,
        }
        return np.array([usual[n] for n in self.free])


def as_error_model(error: Any) -> ErrorModel:
    """From "proportional" (to be estimated) or {"proportional": 0.2} (known).

    Raises
    ------
    InputError, UnknownNameError
    """
    if isinstance(error, str):
        if error not in KINDS:
            raise unknown_name("error", error, KINDS, what="an error model")
        return ErrorModel(error, {})
    if isinstance(error, Mapping) and error:
        names = {f"error.{k}": v for k, v in error.items()}
        kind = next((k for k, v in KINDS.items() if set(v) == set(names)), None)
        if kind is None:
            raise InputError("error", sorted(error), "additive, proportional, both, or lognormal")
        for name, value in names.items():
            if not (np.isfinite(value) and value > 0):
                raise InputError(name, value, "a number > 0")
        return ErrorModel(kind, {k: float(v) for k, v in names.items()})
    raise InputError(
        "error", error, "the name of an error model, or a mapping such as {'proportional': 0.2}"
    )


@dataclass(frozen=True)
class Terms:
    """Every observation's part of the objective r^2 + l, l = log sd^2 (0 where censored),
    and its derivatives.

    `r_f`, `l_f` by the prediction (n,); `r_e`, `l_e` by the error parameters (n, k);
    `weight` is 1/sd by the prediction as it enters r, for expected information.
    """

    r: np.ndarray
    r_f: np.ndarray
    r_e: np.ndarray
    l: np.ndarray
    l_f: np.ndarray
    l_e: np.ndarray
    weight: np.ndarray


def terms(
    model: ErrorModel,
    f: np.ndarray,
    e: np.ndarray,
    y: np.ndarray,
    lloq: np.ndarray,
    censored: np.ndarray,
) -> Terms:
    """Evaluate at predictions f (n,) and all error parameters e. y, lloq in the unit of f."""
    with np.errstate(
        all="ignore"
    ):  # a trial step may go too far: what is not finite is refused by the search
        return _terms(model, f, e, y, lloq, censored)


def _terms(model: ErrorModel, f, e, y, lloq, censored) -> Terms:
    log = model.kind == "lognormal"
    smallest = 1e-12 * max(float(np.nanmax(np.abs(f))), 1e-300) if f.size else 1e-300
    inner = np.ones_like(f)
    if log:
        low = f < smallest
        inner = np.where(low, 0.0, 1.0 / np.where(low, 1.0, f))
        f = np.log(np.where(low, smallest, f))
        y = np.log(np.where(censored, 1.0, y))
        lloq = np.log(np.where(censored, lloq, 1.0))
    sd, sd_f, sd_e = _spread(model.kind, f, e, smallest)
    target = np.where(censored, lloq, y)
    z = (target - f) / sd
    z_f = -1.0 / sd - z * sd_f / sd
    z_e = -z[:, None] * sd_e / sd[:, None]
    r, r_f, r_e = z, z_f, z_e
    l, l_f, l_e = 2.0 * np.log(sd), 2.0 * sd_f / sd, 2.0 * sd_e / sd[:, None]
    weight = 1.0 / sd
    if censored.any():
        from scipy.special import erfcx, log_ndtr

        c = censored
        root = np.sqrt(np.maximum(-2.0 * log_ndtr(z), 1e-300))
        # phi/Phi(z) without cancellation; d(-2 log Phi)/dz = -2 phi/Phi, and r is its root
        slope = -np.sqrt(2.0 / np.pi) / erfcx(-z / np.sqrt(2.0)) / root
        r = np.where(c, root, r)
        r_f = np.where(c, slope * z_f, r_f)
        r_e = np.where(c[:, None], slope[:, None] * z_e, r_e)
        l, l_f = np.where(c, 0.0, l), np.where(c, 0.0, l_f)
        l_e = np.where(c[:, None], 0.0, l_e)
        weight = np.where(c, np.abs(r_f), weight)
    return Terms(r, r_f * inner, r_e, l, l_f * inner, l_e, weight * inner)


def _spread(
    kind: str, f: np.ndarray, e: np.ndarray, smallest: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """sd, d sd/df, d sd/de."""
    one, zero = np.ones_like(f), np.zeros_like(f)
    if kind in ("additive", "lognormal"):
        return e[0] * one, zero, one[:, None]
    size = np.maximum(np.abs(f), smallest)
    sign = np.where(np.abs(f) > smallest, np.sign(f), 0.0)
    if kind == "proportional":
        return e[0] * size, e[0] * sign, size[:, None]
    a, b = e
    sd = np.sqrt(a**2 + (b * size) ** 2)
    return sd, b**2 * size * sign / sd, np.stack([a / sd, b * size**2 / sd], axis=1)
