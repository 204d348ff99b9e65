"""Draw virtual people who satisfy a condition: noise -> denoised -> repaired -> accepted or
drawn again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from ..._core.errors import SolveError
from ...physiology.adults.survey import ETHNICITIES
from ...physiology.adults.variability import CUT
from ..devices import device_of
from ..threads import over_threads
from .conditions import Condition, features, groups
from .config import PCDMConfig
from .coordinates import NAMES, POOLED, Coordinates, Decoded
from .module import Denoiser
from .pool import Pool, group_shares
from .ranges import mirror
from .sampler import project, sample

_BATCH = 20_000  # people at a time: bounds memory
_CHUNK = 1024  # people at a time on a thread: their hidden layers stay in the processor's cache
_FEWEST_MEMBERS = 20  # of the pool; with fewer, the network alone has to know the ranges
_ROUNDS = 60  # of drawing again, and one more for every batch that is asked for
_PATIENCE = 5  # rounds after which a condition that next to nobody satisfies is given up
_RAREST = 1e-3  # accepted share below which it is


@dataclass(frozen=True)
class SamplingOptions:
    """How to draw.

    Parameters
    ----------
    guidance : float
        1 samples the conditional distribution
    rounded : bool
        measured quantities at the precision of the survey
    """

    guidance: float = 1.0
    rounded: bool = False


@dataclass
class Draw:
    """People drawn in one go.

    Parameters
    ----------
    people : Decoded
        n people.
    ethnicity : Tensor
        (n,) number in ETHNICITIES
    accepted : Tensor
        (n,) bool, who satisfies the condition and all hard rules
    projected, mirrored : int
        how many were moved onto the rules, and into the ranges from just outside
    """

    people: Decoded
    ethnicity: torch.Tensor
    accepted: torch.Tensor
    projected: int
    mirrored: int


@dataclass
class DrawCounts:
    """Totals over all draws of a sample."""

    drawn: int = 0
    accepted: int = 0
    projected: int = 0
    mirrored: int = 0
    pool_members: int = 0
    scarce: bool = False  # fewer members than people, of one sex or both

    def add(self, draw: Draw) -> None:
        """Count one more draw."""
        self.drawn += len(draw.accepted)
        # people drawn beyond the number asked for are not rejected: they were accepted
        self.accepted += int(draw.accepted.sum())
        self.projected += draw.projected
        self.mirrored += draw.mirrored

    def next_size(self, wanted: int, first: bool) -> int:
        """How many to draw for `wanted` accepted people, by the acceptance so far."""
        rate = max(self.accepted / self.drawn, 0.02) if self.drawn else 1.0
        margin = 1.0 if rate > 0.999 else 1.05
        reserve = 0 if first and rate == 1.0 else 16
        return min(_BATCH, int(wanted / rate * margin) + reserve)


@dataclass
class PopulationSampler:
    """The trained network with what it takes to draw people from it.

    Parameters
    ----------
    config
        PCDMConfig
    module
        Denoiser
    coordinates
        Coordinates
    log_moments : Tensor
        (len(DERIVED), 2) mean and standard deviation of ln of the derived quantities
    shares : Tensor
        (2, 5) of sex and ethnicity in the population
    ranges : mapping
        name -> (low, high) of the people trained on, for messages
    pool : Pool or None
        None while the pool itself is drawn.
    precision
        of the network, see :class:`~pbpk_hybrid.learn.devices.OnDevice`
    """

    config: PCDMConfig
    module: Denoiser
    coordinates: Coordinates
    log_moments: torch.Tensor
    shares: torch.Tensor
    ranges: Mapping[str, tuple[float, float]]
    pool: Pool | None = None
    precision: str = "float32"

    def draw_accepted(
        self,
        n: int,
        condition: Condition,
        options: SamplingOptions,
        generator: torch.Generator,
    ) -> tuple[list[dict[str, np.ndarray]], DrawCounts]:
        """Exactly `n` people who satisfy a condition, as columns, women first where both
        sexes are asked for.

        Raises
        ------
        SolveError
            next to nobody satisfies the condition
        """
        counts, parts = DrawCounts(), []
        for male, count in _by_sex(n, condition):
            shares = group_shares(self.shares, condition, male, self.pool)
            members = self._members(condition, male, options)
            counts.pool_members += 0 if members is None else len(members)
            counts.scarce |= members is not None and len(members) < count
            missing = count
            for turn in range(_ROUNDS + count // _BATCH):
                size = counts.next_size(missing, turn == 0)
                start = None
                if members is not None:
                    start = members[_without_repeats(len(members), size, generator)]
                # a member gives its values back once: somebody else who left the ranges is
                # drawn again, so that nobody is handed out twice
                once = members is not None and turn == 0 and size <= len(members)
                draw = self.draw(size, condition, shares, options, generator, start, once)
                counts.add(draw)
                index = draw.accepted.nonzero().ravel()[:missing]
                missing -= len(index)
                parts.append(_columns(draw, index))
                hopeless = turn >= _PATIENCE and counts.accepted < _RAREST * counts.drawn
                if not missing or hopeless:
                    break
            if missing:
                raise SolveError(
                    f"only {counts.accepted} of {counts.drawn} people drawn satisfy the condition "
                    f"{dict(condition.request)}: widen it; ranges of the people trained on: "
                    f"{_ranges_text(self.ranges)}"
                )
        return parts, counts

    def _members(
        self, condition: Condition, male: bool | None, options: SamplingOptions
    ) -> torch.Tensor | None:
        """Rows of the pool to start from; None where the network is told the ranges instead."""
        if not condition.ranges or options.guidance != 1.0:
            return None
        rows = self.pool.matching(condition, male, options.rounded)
        return rows if len(rows) >= _FEWEST_MEMBERS else None

    def draw(
        self,
        n: int,
        condition: Condition,
        shares: torch.Tensor,
        options: SamplingOptions,
        generator: torch.Generator,
        start: torch.Tensor | None = None,
        returned: bool = True,
    ) -> Draw:
        """Draw n people once; not all of them satisfy the condition.

        Parameters
        ----------
        shares : Tensor
            (2, 5) of sex and ethnicity
        start : Tensor or None
            (n,) rows of the pool to start from; None: from noise alone, and the network is told the
            condition
        returned : bool
            Whether who has left the ranges takes the values of the member again.
        """
        if start is None:
            group = torch.multinomial(shares.flatten(), n, replacement=True, generator=generator)
        else:
            group = self.pool.group.long()[start]
        male, ethnicity = group >= len(ETHNICITIES), group % len(ETHNICITIES)
        noise = torch.randn(n, len(NAMES), generator=generator)  # (n, coordinates)
        request = condition if start is None else Condition()
        condition_features = features(request, male, self.coordinates, self.log_moments)
        one_hot = groups(male, ethnicity)
        values = None if start is None else self.pool.x[start].float()  # (n, len(POOLED))
        # who leaves the ranges takes the member's values back, or is mirrored where members repeat
        mirrored = start is None or len(torch.unique(start)) < n

        # cardiac output is no coordinate of the network; its spread goes with them from here on
        output_score = torch.randn(n, 1, generator=generator).clamp(-CUT, CUT)
        repair_seed = int(torch.randint(2**31, (1,), generator=generator))

        def chunk(rows: torch.Tensor) -> tuple[Decoded, torch.Tensor, int, int]:
            held = None if values is None else (POOLED, values[rows])
            back = values[rows] if values is not None and returned else None
            x = sample(
                self.module,
                self.config,
                noise[rows],
                one_hot[rows],
                condition_features[rows],
                options.guidance,
                held,
                self.precision,
            )
            x = torch.cat([x, output_score[rows].to(x.dtype)], 1)  # (n, coordinate + 1)
            # a stream for each chunk, so that threads do not matter
            again = torch.Generator().manual_seed(repair_seed + int(rows[0]))
            return self._repair(x, male[rows], condition, options.rounded, mirrored, back, again)

        parts = over_threads(chunk, torch.arange(n).split(_CHUNK), device_of(self.module))
        people = Decoded.joined([part[0] for part in parts])
        valid = torch.cat([part[1] for part in parts])
        return Draw(
            people,
            ethnicity,
            valid & condition.holds(people),
            sum(part[2] for part in parts),
            sum(part[3] for part in parts),
        )

    def _repair(
        self,
        x: torch.Tensor,
        male: torch.Tensor,
        condition: Condition,
        rounded: bool,
        mirrored: bool,
        back: torch.Tensor | None,
        generator: torch.Generator,
    ) -> tuple[Decoded, torch.Tensor, int, int]:
        """People from coordinates (n, dimension): into the ranges, then onto the rules.

        Returns
        -------
        tuple[Decoded, torch.Tensor, int, int]
            People, valid, n_projected, n_mirrored.
        """
        n_mirrored = 0
        if mirrored:
            x, n_mirrored = mirror(self.coordinates, x, male, condition, rounded)
        if back is not None:
            x = self._return_to_members(x, back, male, condition, rounded)
        if self.config.projection:
            people, hard, n_projected = project(self.coordinates, x, male, rounded, generator)
            return people, ~hard, n_projected, n_mirrored
        people = self.coordinates.decode(x, male, rounded=rounded)
        # without the projection an organ may come out negative: no Dataset can hold it
        positive = (people.mass > 0).all(1) & (people.flow > 0).all(1)
        return people, positive, 0, n_mirrored

    def _return_to_members(
        self,
        x: torch.Tensor,
        values: torch.Tensor,
        male: torch.Tensor,
        condition: Condition,
        rounded: bool,
    ) -> torch.Tensor:
        """Who has left the ranges takes the values (n, len(POOLED)) of the member of the
        pool again.
        """
        x = x.double()
        people = self.coordinates.decode(x, male, rounded=rounded)
        outside = (~condition.holds(people)).nonzero().ravel()
        x[outside[:, None], torch.tensor(POOLED)] = values[outside].double()
        return x

    def draw_pool(self, seed: int) -> Pool:
        """Draw the pool: people without a condition, by their measured quantities and
        filtration.
        """
        generator = torch.Generator().manual_seed(seed)
        xs, group = [], []
        for rows in torch.arange(self.config.pool).split(_BATCH):
            draw = self.draw(len(rows), Condition(), self.shares, SamplingOptions(), generator)
            male = draw.people.people.male.long()
            xs.append(self.coordinates.pooled(draw.people).half())
            group.append((male * len(ETHNICITIES) + draw.ethnicity).to(torch.uint8))
        return Pool(torch.cat(xs), torch.cat(group), self.coordinates)


def ordered(
    parts: list[dict[str, np.ndarray]], n: int, generator: torch.Generator
) -> dict[str, np.ndarray]:
    """Columns of all parts, the n people in random order."""
    order = torch.randperm(n, generator=generator).numpy()
    return {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}


def _ranges_text(ranges: Mapping[str, tuple[float, float]]) -> str:
    """Ranges for a message, such as ``age 18-85, height 130-207``."""
    return ", ".join(f"{name} {low:.4g}-{high:.4g}" for name, (low, high) in ranges.items())


def _by_sex(n: int, condition: Condition) -> list[tuple[bool | None, int]]:
    """(male, how many); None: both sexes as they come."""
    if isinstance(condition.sex, str):
        return [(condition.sex == "male", n)]
    if condition.sex is None:
        return [(None, n)]
    women = round(n * condition.sex)
    return [(male, count) for male, count in ((False, women), (True, n - women)) if count]


def _without_repeats(members: int, n: int, generator: torch.Generator) -> torch.Tensor:
    """n numbers below `members`, no number again before all others have been taken."""
    rounds = -(-n // members)
    return torch.cat([torch.randperm(members, generator=generator) for _ in range(rounds)])[:n]


def _columns(draw: Draw, index: torch.Tensor) -> dict[str, np.ndarray]:
    """Columns of a physiology Dataset for some of the people."""
    people, p = draw.people, draw.people.people

    def take(values: torch.Tensor) -> np.ndarray:
        return values[index].detach().numpy()

    return {
        "mass": take(people.mass),
        "blood_flow": take(people.flow),
        "sex": np.where(take(p.male), "male", "female"),
        "age": take(p.age),
        "body_weight": take(p.weight),
        "height": take(p.height),
        "hematocrit": take(people.hematocrit),
        "gfr": take(people.gfr),
        "cardiac_output": take(people.output),
        "serum_creatinine": take(people.serum_creatinine),
        "body_surface_area": take(p.surface),
        "body_mass_index": take(p.body_mass_index),
        "hepatocellularity": take(people.hepatocellularity),
        "microsomal_protein": take(people.microsomal_protein),
        "ethnicity": np.array(ETHNICITIES)[take(draw.ethnicity)],
    }


__all__ = ["DrawCounts", "PopulationSampler", "SamplingOptions", "ordered"]
