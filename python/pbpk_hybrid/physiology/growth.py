"""What is usual at an age, and how far people are from it: normal scores given sex and age.

A quantity x of somebody of a sex and age a has the score

.. math:: z = T_a^{-1}\\!\\left(\\frac{\\ln x - m(a)}{s(a)}\\right),

with the mean m and the standard deviation s of the logarithm smoothed over age (local linear
regression, Gaussian kernel of 0.07 on ln(1.5 + a), so that a kernel spans weeks in infants and
years in the old), and T_a the distribution of what is left, as a table of quantiles at ages
between which it is interpolated. Scores are standard normal at every age, and from birth to old
age nothing jumps.

Beyond the oldest people given, m goes on in a straight line: through a known mean of older people
(:data:`OLDEST`), or with the slope of the last twenty years.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

QUANTITIES = ("body_weight", "height", "hematocrit", "serum_creatinine")
#: age [year] from which a quantity is measured in NHANES
MEASURED_FROM = {"body_weight": 0.0, "height": 0.0, "hematocrit": 1.0, "serum_creatinine": 12.0}
OLDEST_AGE = 90.0  # year: where tables end
KNOTS = 65
REACH = 4.0  # z at which the tables end; beyond, the last slope goes on
#: ages [year] at which the distribution of what is left is tabulated
NODES = np.array([0.3, 1.0, 2.5, 5.0, 8.0, 11.0, 14.0, 17.0, 21.0, 28.0, 36.0, 45.0, 55.0, 65.0])
_NODE_WIDTH = 0.14  # of the kernel of shapes, on ln(1.5 + a)
_GRID_SIZE = 181
_WIDTH = 0.07
_SHIFT = 1.5  # year
_OUTERMOST = 5  # people at each end beyond whom a table is no longer counted but continued
_TAIL = 2.0  # z beyond which people tell the slope of that
_LAST_TREND = 20.0  # years whose slope goes on
#: mean and standard deviation of the logarithm in people of 80 and more, men and women: NHANES
#: 2009-2012 (331 and 368 people, by examination weight; public domain, read in the R package
#: NHANES 2.1.0), and the age that the mean is taken to stand for
OLDEST = {
    "body_weight": {True: (4.3581, 0.1841), False: (4.1383, 0.2106)},
    "height": {True: (5.1422, 0.0416), False: (5.0469, 0.0419)},
}
OLDEST_MEAN_AGE = 84.5
#: mean hematocrit at birth and at one year, between which the survey has none: Dallman (1977), see
#: :mod:`.children.reference`
INFANT_HEMATOCRIT = (0.54, 0.36)


def age_scale(age: np.ndarray) -> np.ndarray:
    """ln(1.5 + age): a scale on which people change about evenly."""
    return np.log(_SHIFT + np.asarray(age, float))


@dataclass(frozen=True)
class Growth:
    """Tables of all quantities of :data:`QUANTITIES`; sex 0 is female, 1 male.

    Parameters
    ----------
    grid : ndarray
        (age,) of :func:`age_scale`, rising.
    location, spread : ndarray
        (sex, quantity, age) mean and standard deviation of the logarithm.
    shape : ndarray
        (sex, quantity, node, knot) quantiles of what is left, at z from -4 to 4.
    """

    grid: np.ndarray
    location: np.ndarray
    spread: np.ndarray
    shape: np.ndarray

    @classmethod
    def fit(
        cls,
        male: np.ndarray,
        age: np.ndarray,
        values: Mapping[str, np.ndarray],
        weight: np.ndarray,
        *,
        oldest: bool,
    ) -> Growth:
        """Tables of people.

        Parameters
        ----------
        male, age, weight : ndarray
            (person,); age in years.
        values : mapping
            Quantity -> (person,); NaN where it is not known.
        oldest : bool
            Take what is known of people over 80 from :data:`OLDEST`.
        """
        grid = np.linspace(*age_scale(np.array([0.0, OLDEST_AGE])), _GRID_SIZE)
        location = np.zeros((2, len(QUANTITIES), grid.size))
        spread = np.ones_like(location)
        z = np.linspace(-REACH, REACH, KNOTS)
        shape = np.tile(z, (2, len(QUANTITIES), NODES.size, 1))
        for sex in (0, 1):
            for k, name in enumerate(QUANTITIES):
                known = (male == bool(sex)) & np.isfinite(values[name])
                if not known.any():
                    continue
                t, w = age_scale(age[known]), weight[known]
                logs = np.log(values[name][known])
                anchor = OLDEST.get(name, {}).get(bool(sex)) if oldest else None
                m, s = _curves(grid, t, logs, w, anchor)
                if name == "hematocrit":
                    m = m + _infants(grid)
                location[sex, k], spread[sex, k] = m, s
                left = (logs - np.interp(t, grid, m)) / np.interp(t, grid, s)
                shape[sex, k] = _shapes(t, left, w, z)
        return cls(grid, location, spread, shape)

    def score(self, name: str, male: np.ndarray, age: np.ndarray, value: np.ndarray) -> np.ndarray:
        """(person,) normal scores of a quantity; NaN where it is not known."""
        k = QUANTITIES.index(name)
        location, spread = self._curves_at(k, male, age)
        with np.errstate(invalid="ignore", divide="ignore"):
            left = (np.log(value) - location) / spread
        out = np.empty(np.shape(value))
        for rows in _pieces(out.size):
            table = self._shape_at(k, male[rows], age[rows])  # (some, knot)
            below = (table[:, 1:-1] < left[rows, None]).sum(axis=1)  # piece, 0 to KNOTS - 2
            here = np.arange(below.size)
            low, high = table[here, below], table[here, below + 1]
            step = 2 * REACH / (KNOTS - 1)
            out[rows] = -REACH + step * (below + (left[rows] - low) / (high - low))
        return out

    def value(self, name: str, male: np.ndarray, age: np.ndarray, z: np.ndarray) -> np.ndarray:
        """(person,) values of a quantity from normal scores."""
        k = QUANTITIES.index(name)
        location, spread = self._curves_at(k, male, age)
        out = np.empty(np.shape(z))
        for rows in _pieces(out.size):
            table = self._shape_at(k, male[rows], age[rows])
            at = (np.asarray(z)[rows] + REACH) * ((KNOTS - 1) / (2 * REACH))
            piece = np.clip(np.floor(at), 0, KNOTS - 2).astype(int)
            here = np.arange(piece.size)
            low, high = table[here, piece], table[here, piece + 1]
            out[rows] = low + (at - piece) * (high - low)
        return np.exp(location + spread * out)

    def _curves_at(
        self, k: int, male: np.ndarray, age: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        t = age_scale(age)
        both = [
            np.where(male, *(np.interp(t, self.grid, table[sex, k]) for sex in (1, 0)))
            for table in (self.location, self.spread)
        ]
        return both[0], both[1]

    def _shape_at(self, k: int, male: np.ndarray, age: np.ndarray) -> np.ndarray:
        """(person, knot) quantiles at each person's age."""
        nodes = age_scale(NODES)
        t = np.clip(age_scale(age), nodes[0], nodes[-1])
        right = np.clip(np.searchsorted(nodes, t), 1, nodes.size - 1)
        share = ((t - nodes[right - 1]) / (nodes[right] - nodes[right - 1]))[:, None]
        sex = np.asarray(male).astype(int)
        tables = self.shape[:, k]
        return (1 - share) * tables[sex, right - 1] + share * tables[sex, right]


def _pieces(n: int, size: int = 20_000) -> list[slice]:
    """Slices that bound memory."""
    return [slice(first, min(first + size, n)) for first in range(0, n, size)]


def _curves(
    grid: np.ndarray,
    t: np.ndarray,
    logs: np.ndarray,
    weight: np.ndarray,
    anchor: tuple[float, float] | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of logarithms on the grid.

    `anchor` is both of people older than those given, at :data:`OLDEST_MEAN_AGE`.
    """
    mean = smooth(grid, t, logs, weight)
    residual = logs - np.interp(t, grid, mean)
    variance = np.maximum(smooth(grid, t, residual**2, weight), 1e-6)
    sd = np.sqrt(variance)
    youngest, eldest = np.exp(t.min()) - _SHIFT, np.exp(t.max()) - _SHIFT
    age = np.exp(grid) - _SHIFT
    mean[age < youngest], sd[age < youngest] = (
        np.interp(t.min(), grid, curve) for curve in (mean, sd)
    )
    # a local line at the end of the data is steep by chance: what follows is anchored a little
    # before it
    last = eldest - 2.5
    at = np.interp(age_scale(last), grid, mean), np.interp(age_scale(last), grid, sd)
    after = age > last
    if anchor is not None and eldest < OLDEST_MEAN_AGE:
        share = (age[after] - last) / (OLDEST_MEAN_AGE - last)
        mean[after] = at[0] + share * (anchor[0] - at[0])
        sd[after] = at[1] + np.minimum(share, 1.0) * (anchor[1] - at[1])
    else:
        ages = np.exp(t) - _SHIFT
        recent = ages > eldest - _LAST_TREND
        slope = _slope(ages[recent], logs[recent], weight[recent])
        mean[after] = at[0] + slope * (age[after] - last)
        sd[after] = at[1]
    return mean, sd


def _infants(grid: np.ndarray) -> np.ndarray:
    """What the logarithm of the hematocrit is higher by before the first birthday than on it."""
    age = np.exp(grid) - _SHIFT
    expected = np.interp(age, (0.0, 1.0), INFANT_HEMATOCRIT)
    return np.log(expected / INFANT_HEMATOCRIT[1])


def _slope(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    dx = x - np.average(x, weights=weight)
    spread = float(weight @ dx**2)
    return float(weight @ (dx * y)) / spread if spread > 0 else 0.0


def smooth(
    grid: np.ndarray, x: np.ndarray, y: np.ndarray, weight: np.ndarray, width: float = _WIDTH
) -> np.ndarray:
    """Local linear regression of y on x with a Gaussian kernel, at the points of the grid."""
    out = np.empty(grid.size)
    for i, at in enumerate(grid):
        d = x - np.clip(at, x.min(), x.max())
        # far from everybody a kernel would be zero: the nearest count
        k = weight * np.exp(-0.5 * np.minimum((d / width) ** 2, 80.0))
        s0, s1, s2 = k.sum(), k @ d, k @ d**2
        determinant = s0 * s2 - s1**2
        if determinant > 1e-9 * s0 * s2:
            out[i] = ((k @ y) * s2 - (k @ (d * y)) * s1) / determinant
        else:
            out[i] = (k @ y) / s0
    return out


def _shapes(t: np.ndarray, left: np.ndarray, weight: np.ndarray, z: np.ndarray) -> np.ndarray:
    """(node, knot) weighted quantiles of residuals near each node, with continued tails."""
    tables = np.empty((NODES.size, z.size))
    for i, node in enumerate(age_scale(NODES)):
        near = np.clip(node, t.min(), t.max())
        kernel = weight * np.exp(-0.5 * ((t - near) / _NODE_WIDTH) ** 2)
        use = np.abs(t - near) < 3 * _NODE_WIDTH
        tables[i] = _quantile_table(left[use], kernel[use], z) if use.sum() > 30 else z
    return tables


def _quantile_table(values: np.ndarray, weight: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Weighted quantiles at normal scores z, strictly increasing; beyond the last five people at
    each end they go on linearly, with the slope (least squares) of the people beyond |z| = 2.
    """
    from scipy.special import ndtr, ndtri

    order = np.argsort(values)
    values, weight = values[order], weight[order]
    middle = (np.cumsum(weight) - 0.5 * weight) / weight.sum()
    table = np.interp(ndtr(z), middle, values)
    scores = ndtri(np.clip(middle, 1e-12, 1 - 1e-12))
    outer = min(_OUTERMOST, values.size // 10)
    for side in (-1, 1):
        last = scores[outer] if side < 0 else scores[-1 - outer]
        inside = np.flatnonzero(side * z <= side * last)[-1 if side > 0 else 0]
        people, beyond = side * scores >= min(_TAIL, side * last), side * z > side * z[inside]
        slope = _slope(scores[people], values[people], weight[people])
        if not slope > 0.05:
            slope = 1.0
        table[beyond] = table[inside] + slope * (z[beyond] - z[inside])
    step = 1e-6 * (table[-1] - table[0]) / table.size
    return np.maximum.accumulate(table) + step * (np.arange(table.size) - table.size // 2)


__all__ = [
    "KNOTS",
    "MEASURED_FROM",
    "NODES",
    "OLDEST_AGE",
    "QUANTITIES",
    "Growth",
    "age_scale",
    "smooth",
]
