"""How people of the same anatomy differ in what they do with a drug.

Organ sizes, flows, hematocrit and GFR vary in the population already. Enzyme activity and absorption do not follow
from anatomy; they get log-normal multipliers here, stated in the result's attributes.

The default, everywhere (Python, command line, app, cohorts): people who were drawn at random differ by ``Variability()``,
subjects who were not (reference individuals, people of a file) do not.
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

    def draw(self, n: int, seed: int, parameters: tuple[str, ...]) -> dict[str, np.ndarray]: ...


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
    intrinsic_clearance : of hepatic CLint per gram of liver, and of Vmax. 0.17 is the maximum likelihood (90 % interval 0 to
        0.4) of clearances of single people after cimetidine and midazolam, beside the scatter of liver mass, flow and GFR
        that the population has; checked on theophylline and warfarin, which are not in the likelihood
        (benchmarks/validation/variability.md)
    fraction_unbound : of fu in plasma; 0 by default
    absorption_rate : of ka (and the transit rate); 0.30 by default, the value of httk's Monte Carlo for in vitro inputs
    occasion : of further multipliers that each person has anew on every occasion, on top of those
        between people: a number for intrinsic clearance and absorption rate alike, or a
        Variability; None: none. One simulation is one occasion, number 0; :meth:`at_occasion`
        gives the others
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
        """The same for some subjects alone, by their numbers: (rows,)."""
        factors = self._factors(rows, seed, parameters, None)
        if (within := self.between_occasions) is None:
            return factors
        more = within._factors(rows, seed, parameters, occasion)
        return {p: factors.get(p, 1.0) * more.get(p, 1.0) for p in {**factors, **more}}

    def _factors(
        self, rows: np.ndarray, seed: int, parameters: tuple[str, ...], occasion: int | None
    ) -> dict[str, np.ndarray]:
        """Multipliers between people (`occasion` None) or of one occasion."""
        sets = (
            (self.intrinsic_clearance, lambda p: p == "clint.liver" or p.startswith("vmax[")),
            (self.fraction_unbound, lambda p: p == "fraction_unbound_plasma"),
            (self.absorption_rate, lambda p: p in ("absorption_rate", "transit_rate")),
        )
        factors: dict[str, np.ndarray] = {}
        # drawn even where unused, so that one cv does not change the others' numbers
        normal = _standard_normal(rows, generator(seed)[1], len(sets), occasion)
        for (cv, concerns), z in zip(sets, normal.T, strict=True):
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
    """(rows, width) where each subject has numbers of its own, whoever else is drawn.

    They are a row of its block's stream.
    """
    purpose = "variability" if occasion is None else "occasions"
    out = np.empty((len(rows), width))
    for block in np.unique(rows // BLOCK):
        mine = rows // BLOCK == block
        place = rows[mine] % BLOCK
        numbers = stream(seed, purpose, int(block), occasion)
        drawn = numbers.standard_normal((place.max() + 1, width))
        out[mine] = drawn[place]
    return out


NO_VARIABILITY = Variability(0.0, 0.0, 0.0)


def resolve_variability(given: Any, population: Any) -> Draws | None:
    """What `variability` of simulate means for a population.

    Parameters
    ----------
    given : "default": ``Variability()`` for people drawn at random (a population that names its seed), none for others; None,
        False or "none": none; True: ``Variability()``; a number: that coefficient of variation for intrinsic clearance and
        absorption rate (1 = 100 %); a Variability
    population : physiology Dataset, or a Cohort

    Returns
    -------
    what draws the multipliers, or None

    Raises
    ------
    InputError : anything else, and coefficients outside 0 to 5
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
        '"default", None, True, False, a coefficient of variation from 0 to 5 (0.3 for 30 %), or a Variability',
        hint="Variability(intrinsic_clearance=0.3, absorption_rate=0.5) sets each by itself",
    )


#: labels up to here are numbers of draws; beyond, somebody numbered the subjects by other means
_MOST_DRAWS = 5_000_000


@dataclass(frozen=True)
class ByRow:
    """Draws in which each subject has a row of his own, whoever else is simulated with him."""

    of: Variability | OccasionDraws
    rows: np.ndarray  # (n,)

    def draw(self, n: int, seed: int, parameters: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Multipliers (n,) of the n rows."""
        return self.of.draw_rows(self.rows, seed, parameters)

    def __str__(self) -> str:
        return str(self.of)


def draw_rows(population: xr.Dataset) -> np.ndarray:
    """(n,) the draw that each subject takes: that of his label, so that a part of a population holds the same people.

    Labels that are no such numbers, or that two subjects share, count for nothing: then subjects are numbered as they stand.
    """
    count = np.arange(population.sizes["subject"])
    labels = population["subject"].values if "subject" in population.coords else count
    if labels.dtype.kind not in "iu" or len(np.unique(labels)) < len(labels):
        return count
    return labels.astype(int) if 0 <= labels.min() and labels.max() < _MOST_DRAWS else count


def varied_people(varied: Draws, population: xr.Dataset) -> Draws:
    """The same draws, row by row as :func:`draw_rows` says; of one that counts by other means, itself."""
    by_row = isinstance(varied, (Variability, OccasionDraws))
    return ByRow(varied, draw_rows(population)) if by_row else varied


def _drawn(population: Any) -> bool:
    if isinstance(population, xr.Dataset):
        return population.attrs.get("seed") is not None
    return getattr(population, "seed", None) is not None
