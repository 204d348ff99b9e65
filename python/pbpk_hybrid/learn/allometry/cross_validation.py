"""What the members say of compounds they have not seen: calibration of the intervals, and
shares of the classical method.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np
import torch

from . import blending, bodies
from .calibration import GROUPS, quantiles
from .config import AllometryConfig
from .encoder import HUMAN
from .module import AllometryModule
from .training import Problem, posterior

MONKEY = bodies.KNOT_SPECIES.index(blending.SPECIES)
#: sets of sources that the intervals are calibrated on
SETS = ((), ("rat",), ("rat", "dog"), ("rat", "dog", "monkey"))


def posteriors(
    modules: Iterable[AllometryModule],
    problem: Problem,
    keep: torch.Tensor,
    known: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Means and standard deviations (member, case, 3) of all members of all modules.

    Parameters
    ----------
    keep : (case, species, 3) bool
        Which values of the sources may be used.
    known : (case,) bool
        Whether the structure may be.
    """
    mean, sd = zip(*(posterior(m, problem, keep, known) for m in modules), strict=True)
    return torch.cat(mean), torch.cat(sd)


def _numbers(tensor: torch.Tensor) -> np.ndarray:
    return tensor.cpu().numpy()  # all of it is in single or double precision


def combine(mean: torch.Tensor, sd: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Mean over members, and the standard deviation of their mixture."""
    return _numbers(mean.mean(0)), _numbers(
        (sd.square().mean(0) + mean.var(0, unbiased=False)).sqrt()
    )


def classical(problem: Problem, keep: torch.Tensor) -> np.ndarray:
    """(n_cases,) ln human clearance by the monkey's, NaN where the monkey's is not among
    the sources kept or the case is about another species.
    """
    cases = problem.cases
    monkey = _numbers(problem.filled[:, MONKEY, 0]).astype(float)[cases.compound]
    usable = _numbers(keep[:, MONKEY, 0]) & (cases.target == HUMAN)
    scaled = blending.by_liver_flow(monkey, bodies.KNOTS[MONKEY], bodies.KNOTS[HUMAN])
    return np.where(usable, scaled, np.nan)


def shrink_to_classical(centre: np.ndarray, by_monkey: np.ndarray, share: np.ndarray) -> np.ndarray:
    """`centre` (n, 3) with its clearance moved towards `by_monkey` (n,), where that is
    known, by `share` (n,).
    """
    out = centre.copy()
    out[:, 0] += np.where(np.isfinite(by_monkey), share * (by_monkey - centre[:, 0]), 0.0)
    return out


def held_out_predictions(
    modules: Sequence[AllometryModule],
    config: AllometryConfig,
    problem: Problem,
    inner: np.ndarray,
    known: bool,
    sources: Collection[str],
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """For each inner fold: rows of its human cases with all of `sources`, per parameter
    (rows, 3); mean and standard deviation of the members that left them out; what the
    monkey's clearance says.
    """
    cases = problem.cases
    human = np.flatnonzero(cases.target == HUMAN)
    member_fold = np.tile(np.arange(config.members) % config.folds, len(modules))
    keep = problem.present.clone()
    keep[
        :, [s for s in range(len(bodies.KNOT_SPECIES)) if bodies.KNOT_SPECIES[s] not in sources]
    ] = False
    with torch.no_grad():
        mean, sd = posteriors(
            modules, problem, keep, torch.full((problem.n,), known, device=keep.device)
        )
    count = _numbers(keep[..., :2].any(-1).sum(1))
    by_monkey = classical(problem, keep)
    for fold in range(config.folds):
        rows = human[(inner[cases.compound[human]] == fold) & (count[human] == len(sources))]
        if len(rows):
            out = torch.tensor(np.flatnonzero(member_fold == fold), device=mean.device)
            yield rows, *combine(mean[out][:, rows], sd[out][:, rows]), by_monkey[rows]


def calibrate(
    modules: Sequence[AllometryModule],
    config: AllometryConfig,
    problem: Problem,
    inner: np.ndarray,
    known: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Factors of the standard deviations (3, GROUPS, n_levels), and shares of the classical
    method (GROUPS,).
    """
    observed = problem.cases.observed
    found: dict[int, list] = {}
    for sources in blending.SETS:
        for rows, centre, _, by_monkey in held_out_predictions(
            modules, config, problem, inner, known, sources
        ):
            group = min(len(sources), GROUPS - 1)
            found.setdefault(group, []).append((centre[:, 0], by_monkey, observed[rows, 0]))
    shares = blending.shares(found)
    z: list[list] = [[] for _ in range(3)]
    groups: list[list] = [[] for _ in range(3)]
    for sources in SETS:
        group = min(len(sources), GROUPS - 1)
        for rows, centre, sd, by_monkey in held_out_predictions(
            modules, config, problem, inner, known, sources
        ):
            centre = shrink_to_classical(centre, by_monkey, np.full(len(rows), shares[group]))
            error = (observed[rows] - centre) / sd
            for p in range(3):
                some = error[np.isfinite(error[:, p]), p]
                z[p].append(some)
                groups[p].append(np.full(len(some), group))
    join = lambda parts: np.concatenate(parts) if parts else np.zeros(0)
    # (parameter, group)
    return np.stack([quantiles(join(z[p]), join(groups[p])) for p in range(3)]), shares
