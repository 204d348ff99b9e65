"""What laws say of compounds they have not seen: calibration of the intervals, and shares of the
classical method.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch

from . import blending
from .calibration import GROUPS, quantiles
from .law import HUMAN, Law
from .training import Examples, numbers_of, posterior

#: sets of sources that the intervals are calibrated on
SETS = ((), ("rat",), ("rat", "dog"), ("rat", "dog", "monkey"))


def held_out(
    examples: Examples, law: Law, sources: Collection[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean and standard deviation (n, 3) of the human from these sources, the observed human
    values, and the monkey's ln clearance (NaN where it is no source); of the compounds that have
    all sources.
    """
    points = examples.points
    places = [points.index(s) for s in numbers_of(sources) if s in points]
    human = points.index(HUMAN)
    known = torch.isfinite(examples.values)
    whole = known[:, places, :2].any(-1).all(-1)
    if len(places) < len(sources):
        whole = torch.zeros_like(whole)
    rows = torch.nonzero(whole)[:, 0]
    part = examples.take(rows)
    keep = torch.zeros(part.values.shape, dtype=torch.bool)
    keep[:, places, :3] = True
    keep[:, human, 2] = bool(sources)
    with torch.no_grad():
        found = posterior(law, part, keep)
        noise = law.noise()[:3].cpu().numpy()
    mean = found.y[:, human, :3].cpu().numpy()
    sd = np.sqrt(found.variance(human)[:, :3].cpu().numpy() + noise)
    monkey = np.full(len(mean), np.nan)
    if blending.SPECIES in sources and len(mean):
        monkey = part.values[:, points.index(numbers_of([blending.SPECIES])[0]), 0].numpy()
    return mean, sd, part.values[:, human, :3].numpy(), monkey


def calibrate(
    examples: Examples, laws: Sequence[tuple[np.ndarray, Law]]
) -> tuple[np.ndarray, np.ndarray]:
    """Factors of the standard deviations (3, GROUPS, n_levels), and shares of the classical
    method (GROUPS,).

    Parameters
    ----------
    laws : sequence of (rows, Law)
        Every law with the rows that it has not seen.
    """
    found: dict[int, list] = {}
    for rows, law in laws:
        for sources in blending.SETS:
            mean, _, observed, monkey = held_out(examples.take(rows), law, sources)
            parts = (mean[:, 0], blending.by_liver_flow(monkey), observed[:, 0])
            found.setdefault(min(len(sources), GROUPS - 1), []).append(parts)
    shares = blending.shares(found)
    z: list[list] = [[] for _ in range(3)]
    groups: list[list] = [[] for _ in range(3)]
    for rows, law in laws:
        for sources in SETS:
            group = min(len(sources), GROUPS - 1)
            mean, sd, observed, monkey = held_out(examples.take(rows), law, sources)
            mean = blending.shrink(mean, monkey, np.full(len(mean), shares[group]))
            error = (observed - mean) / sd
            for p in range(3):
                some = error[np.isfinite(error[:, p]), p]
                z[p].append(some)
                groups[p].append(np.full(len(some), group))
    join = lambda parts: np.concatenate(parts) if parts else np.zeros(0)
    # (parameter, group)
    return np.stack([quantiles(join(z[p]), join(groups[p])) for p in range(3)]), shares
