"""How people of the same anatomy differ in the disposition of a drug.

Organ sizes, flows, hematocrit and GFR vary in the population already. Enzyme activity and
absorption do not follow from anatomy. They get log-normal multipliers here, which the result's
attributes state.

The default is the same in Python, on the command line, in the app and in cohorts: people who were
drawn at random differ by ``Variability()``; other subjects (reference individuals, people of a
file) do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import xarray as xr

from .._core.arguments import check_real
from .._core.errors import InputError
from .._core.random import BLOCK, generator, stream


class Draws(Protocol):
    """Anything that draws multipliers as :class:`Variability` does."""

    def draw(self, n: int, seed: int, parameters: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Multipliers (n,) for those of the model's `parameters` that vary."""


@dataclass(frozen=True, repr=False)
class Variability:
    """Coefficients of variation of log-normal multipliers with mean 1 (1 = 100 %).

    >>> import pbpk_hybrid as ph
    >>> both = ph.Variability(intrinsic_clearance=0.3, occasion=0.15)
    >>> both.at_occasion(1)
    Variability(intrinsic_clearance=0.3, fraction_unbound=0.0, absorption_rate=0.3, \
occasion=0.15) on occasion 1

    Parameters
    ----------
    intrinsic_clearance : float
        Of hepatic CLint per gram of liver, and of Vmax. The default, 0.17, is the maximum
        likelihood (90 % interval 0 to 0.4) of individual clearances of cimetidine and midazolam,
        beside the variability of liver mass, flow and GFR that the population has. It was
        checked on theophylline and warfarin, which are not in the likelihood
        (benchmarks/validation/variability.md).
    fraction_unbound : float
        Of fu in plasma; 0 by default.
    absorption_rate : float
        Of ka and the transit rate. The default, 0.30, is the value of httk's Monte Carlo for
        in vitro inputs.

    occasion : Variability or float, optional
        Of further multipliers that each person has anew on every occasion, on top of those
        between people; a number for intrinsic clearance and absorption rate alike; None: none.
        One simulation is one occasion, number 0; :meth:`at_occasion` gives the others.

    Raises
    ------
    InputError
        A coefficient outside 0 to 5, or an occasion that has occasions of its own.
    """

    intrinsic_clearance: float = 0.17
    fraction_unbound: float = 0.0
    absorption_rate: float = 0.30
    occasion: Variability | float | None = None

    def __post_init__(self) -> None:
        self._check_occasion()
        for name in ("intrinsic_clearance", "fraction_unbound", "absorption_rate"):
            value = getattr(self, name)
            expected = "a coefficient of variation from 0 to 5"
            value = check_real(f"variability.{name}", value, expected)
            if not (np.isfinite(value) and 0.0 <= value <= 5.0):
                raise InputError(f"variability.{name}", value, expected)

    def _check_occasion(self) -> None:
        """
        Raises
        ------
        InputError : an occasion that is none, or that has occasions of its own
        """
        given, field = self.occasion, "variability.occasion"
        if given is None or isinstance(given, Variability):
            if given is not None and given.occasion is not None:
                raise InputError(f"{field}.occasion", given.occasion, "None: occasions have none")
            return
        expected = "a coefficient of variation from 0 to 5, a Variability, or None"
        value = check_real(field, given, expected)
        if not (np.isfinite(value) and 0.0 <= value <= 5.0):
            raise InputError(field, given, expected)

    @property
    def between_occasions(self) -> Variability | None:
        """Variability of one person from occasion to occasion; None: none."""
        if self.occasion is None or isinstance(self.occasion, Variability):
            return self.occasion
        return Variability(float(self.occasion), 0.0, float(self.occasion))

    def at_occasion(self, number: int) -> OccasionDraws:
        """The same people on another occasion.

        Parameters
        ----------
        number : int
            From 0 on.
        """
        return OccasionDraws(self, number)

    def __repr__(self) -> str:
        names = ("intrinsic_clearance", "fraction_unbound", "absorption_rate")
        parts = [f"{name}={getattr(self, name)!r}" for name in names]
        parts += [] if self.occasion is None else [f"occasion={self.occasion!r}"]
        return f"Variability({', '.join(parts)})"

    def draw(self, n: int, seed: int, parameters: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Multipliers (n,) for those of the model's `parameters` that vary."""
        return self.draw_rows(np.arange(n), seed, parameters)

    def draw_rows(
        self, rows: np.ndarray, seed: int, parameters: tuple[str, ...], occasion: int = 0
    ) -> dict[str, np.ndarray]:
        """Multipliers (n_rows,) of the subjects with these numbers; see :meth:`draw`."""
        factors = self._factors(rows, seed, parameters, None)
        if (within := self.between_occasions) is None:
            return factors
        more = within._factors(rows, seed, parameters, occasion)
        ones = np.ones(len(rows))
        return {p: factors.get(p, ones) * more.get(p, ones) for p in {**factors, **more}}

    def _factors(
        self, rows: np.ndarray, seed: int, parameters: tuple[str, ...], occasion: int | None
    ) -> dict[str, np.ndarray]:
        """Multipliers between people (`occasion` None) or of one occasion."""
        varying = (
            (self.intrinsic_clearance, lambda p: p == "clint.liver" or p.startswith("vmax[")),
            (self.fraction_unbound, lambda p: p == "fraction_unbound_plasma"),
            (self.absorption_rate, lambda p: p in ("absorption_rate", "transit_rate")),
        )
        factors: dict[str, np.ndarray] = {}
        # drawn even where unused, so that one cv does not change the others' numbers
        normal = _standard_normal(rows, generator(seed)[1], len(varying), occasion)
        for (cv, concerns), z in zip(varying, normal.T, strict=True):
            if cv == 0.0:
                continue
            sigma = np.sqrt(np.log1p(cv**2))
            factor = np.exp(sigma * z - 0.5 * sigma**2)
            factors |= {p: factor for p in parameters if concerns(p)}
        return factors


@dataclass(frozen=True)
class OccasionDraws:
    """Draws of a :class:`Variability` on one of its occasions."""

    of: Variability
    number: int

    def __post_init__(self) -> None:
        number = self.number
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 0:
            raise InputError("occasion", number, "an integer >= 0")

    def draw(self, n: int, seed: int, parameters: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Multipliers (n,)."""
        return self.draw_rows(np.arange(n), seed, parameters)

    def draw_rows(
        self, rows: np.ndarray, seed: int, parameters: tuple[str, ...]
    ) -> dict[str, np.ndarray]:
        """The same for some subjects alone, by their numbers: (rows,)."""
        return self.of.draw_rows(rows, seed, parameters, self.number)

    def __repr__(self) -> str:
        return f"{self.of!r} on occasion {self.number}"


def _standard_normal(
    rows: np.ndarray, seed: int, width: int, occasion: int | None = None
) -> np.ndarray:
    """Standard normal numbers (n_rows, width). A subject's row does not depend on the others.

    Subject r has row r modulo BLOCK of the stream of its block.
    """
    purpose = "variability" if occasion is None else "occasions"
    out = np.empty((len(rows), width))
    for block in np.unique(rows // BLOCK):
        inside = rows // BLOCK == block
        row = rows[inside] % BLOCK
        numbers = stream(seed, purpose, int(block), occasion)
        out[inside] = numbers.standard_normal((row.max() + 1, width))[row]
    return out


NO_VARIABILITY = Variability(0.0, 0.0, 0.0)


def resolve_variability(given: Any, population: Any) -> Draws | None:
    """What `variability` of simulate means for a population.

    Parameters
    ----------
    given : str, bool, float, Variability or None
        "default": ``Variability()`` for people drawn at random (a population that names its
        seed), none for others. None, False or "none": none. True: ``Variability()``. A number:
        that coefficient of variation for intrinsic clearance and absorption rate (1 = 100 %).
    population : xarray.Dataset or Cohort

    Returns
    -------
    Draws or None
        What draws the multipliers.

    Raises
    ------
    InputError
        Anything else, and coefficients outside 0 to 5.
    """
    if isinstance(given, np.bool_):
        given = bool(given)
    if given is None or given is False or (isinstance(given, str) and given == "none"):
        return None
    if given is True:
        return Variability()
    if isinstance(given, str) and given == "default":
        return Variability() if _drawn(population) else None
    if isinstance(given, (int, float, np.number)):
        return Variability(intrinsic_clearance=float(given), absorption_rate=float(given))
    if callable(getattr(given, "draw", None)):
        return given
    raise InputError(
        "variability",
        given,
        '"default", None, True, False, a coefficient of variation from 0 to 5 (0.3 for 30 %), '
        "or a Variability",
        hint="Variability(intrinsic_clearance=0.3, absorption_rate=0.5) sets each by itself",
    )


#: integer labels below this number the draws; larger ones are identifiers of another kind
_MOST_DRAWS = 5_000_000


@dataclass(frozen=True)
class ByRow:
    """Draws in which a subject's row does not depend on the other subjects."""

    of: Variability | OccasionDraws
    rows: np.ndarray  # (n,)

    def draw(self, n: int, seed: int, parameters: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Multipliers (n,) of the n rows."""
        return self.of.draw_rows(self.rows, seed, parameters)

    def __str__(self) -> str:
        return str(self.of)


def draw_rows(population: xr.Dataset) -> np.ndarray:
    """The draw (n,) that each subject takes: that of its label.

    A part of a population therefore holds the same people. Where labels are no such numbers, or
    two subjects share one, subjects are numbered in their order.
    """
    count = np.arange(population.sizes["subject"])
    labels = population["subject"].values if "subject" in population.coords else count
    if labels.dtype.kind not in "iu" or len(np.unique(labels)) < len(labels):
        return count
    return labels.astype(int) if 0 <= labels.min() and labels.max() < _MOST_DRAWS else count


def varied_people(varied: Draws, population: xr.Dataset) -> Draws:
    """A Variability that draws by :func:`draw_rows`; draws of another type stay as they are."""
    if isinstance(varied, (Variability, OccasionDraws)):
        return ByRow(varied, draw_rows(population))
    return varied


def _drawn(population: Any) -> bool:
    if isinstance(population, xr.Dataset):
        return population.attrs.get("seed") is not None
    return getattr(population, "seed", None) is not None
