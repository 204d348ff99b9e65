"""The pool: people drawn once without a condition, from whom conditional draws start.

When the model is fitted, it draws ``config.pool`` people and keeps their measured quantities and
filtration. A request by ranges then starts from members who satisfy it, and the shares of sex and
ethnicity among people who satisfy it are counted in the pool.
"""

from __future__ import annotations

import torch

from ...physiology.adults.survey import ETHNICITIES
from .conditions import Condition
from .coordinates import NAMES, POOLED, Coordinates

#: people decoded at a time: bounds memory
_BATCH = 20_000
#: members who satisfy all ranges at once; with fewer, their frequencies are multiplied instead
_ENOUGH = 100
#: members that the overall frequency counts for in the frequency of one group
_PSEUDO_COUNT = 20
N_GROUPS = 2 * len(ETHNICITIES)  #: sex and ethnicity: group = sex x 5 + ethnicity, sex 1 for male


class Pool:
    """Members of the pool.

    Parameters
    ----------
    x : Tensor
        (n, len(POOLED)) their coordinates
    group : Tensor
        (n,) number of sex and ethnicity, see :data:`N_GROUPS`
    coordinates : Coordinates
        Of the model.
    """

    def __init__(self, x: torch.Tensor, group: torch.Tensor, coordinates: Coordinates) -> None:
        self.x, self.group = x, group
        self._coordinates = coordinates
        self._quantities: dict[bool, dict[str, torch.Tensor]] = {}

    def __len__(self) -> int:
        return len(self.group)

    def tensors(self) -> dict[str, torch.Tensor]:
        """As they stand in a checkpoint."""
        return {"x": self.x, "group": self.group}

    def quantities(self, rounded: bool) -> dict[str, torch.Tensor]:
        """Name -> (n,) of everything that a condition can be about.

        Decoding takes a second for the shipped pool, so the result is kept.
        """
        if rounded not in self._quantities:
            male = self.group >= len(ETHNICITIES)
            parts = []
            for rows in torch.arange(len(male)).split(_BATCH):
                x = torch.zeros(len(rows), len(NAMES), dtype=torch.float64)
                x[:, POOLED] = self.x[rows].double()
                parts.append(self._coordinates.decode(x, male[rows], rounded=rounded).quantities())
            self._quantities[rounded] = {
                name: torch.cat([part[name] for part in parts]) for name in parts[0]
            }
        return self._quantities[rounded]

    def matching(self, condition: Condition, male: bool | None, rounded: bool) -> torch.Tensor:
        """Rows of the members who satisfy a condition; `male` None for both sexes."""
        group = self.group.long()
        matches = condition.within(self.quantities(rounded))
        if male is not None:
            matches &= (group >= len(ETHNICITIES)) == male
        if condition.ethnicity is not None:
            wanted = torch.tensor([ETHNICITIES.index(name) for name in condition.ethnicity])
            matches &= torch.isin(group % len(ETHNICITIES), wanted)
        return matches.nonzero().ravel()

    def likelihood(self, condition: Condition) -> torch.Tensor:
        """P(ranges | sex, ethnicity) up to a factor, (N_GROUPS,), counted in the pool.

        Where fewer than 100 members satisfy all ranges at once, the frequencies of the single
        ranges are multiplied.
        """
        matches = condition.within(self.quantities(False))
        if matches.sum() >= _ENOUGH:
            return self._frequency(matches)
        factor = torch.ones(N_GROUPS, dtype=torch.float64)
        for name, bounds in condition.ranges.items():
            single = Condition({name: bounds})
            factor = factor * self._frequency(single.within(self.quantities(False)))
        return factor

    def _frequency(self, matches: torch.Tensor) -> torch.Tensor:
        """(N_GROUPS,) share of each group that matches, small groups drawn towards the
        overall share.
        """
        group = self.group.long()
        total = torch.bincount(group, minlength=N_GROUPS).double()
        hits = torch.bincount(group[matches], minlength=N_GROUPS).double()
        overall = (matches.double().mean() * _PSEUDO_COUNT).clamp_min(1e-6)
        return (hits + overall) / (total + _PSEUDO_COUNT)


def group_shares(
    shares: torch.Tensor, condition: Condition, male: bool | None, pool: Pool
) -> torch.Tensor:
    r"""Shares of sex and ethnicity among people who satisfy a condition, (2, 5).

    .. math:: P(g \mid C) \propto P(g)\, P(C \mid g)

    Parameters
    ----------
    shares : Tensor
        (2, 5) in the population
    male : bool or None
        None for both sexes
    pool : Pool
        Where P(C | g) is counted.
    """
    shares = shares.clone()
    if male is not None:
        shares[int(not male)] = 0
    if condition.ethnicity is not None:
        for k, name in enumerate(ETHNICITIES):
            if name not in condition.ethnicity:
                shares[:, k] = 0
    shares = shares / shares.sum()
    if not condition.ranges:
        return shares
    # (10,) -> (2, 5)
    shares = shares * pool.likelihood(condition).reshape(shares.shape)
    return shares / shares.sum()


__all__ = ["N_GROUPS", "Pool", "group_shares"]
