"""From noise to people: DPM-Solver++(2M) on the Karras schedule, guidance, and the projection onto the rules."""

from __future__ import annotations

import torch

from ...physiology import RULES
from ._config import PCDMConfig
from ._coordinates import Coordinates, Decoded

#: rules on what was measured alone: nothing of the organs can mend them, and real people break them as rarely
MEASURED_RULES = frozenset({"S1", "S2_weight", "S2_height", "S2_bmi", "S3_creatinine"})
_HARD = tuple(rule for rule in RULES if rule.kind == "hard")
_CHUNK = 1024  # people at a time: their hidden layers stay in the processor's cache
_ORGAN = tuple(rule for rule in RULES if rule.id not in MEASURED_RULES)


def schedule(config: PCDMConfig) -> torch.Tensor:
    """(steps + 1,) noise levels, falling; the last is 0 (Karras et al. 2022, eq. 5)."""
    ramp = torch.linspace(0, 1, config.steps, dtype=torch.float64)
    top, bottom = config.sigma_max ** (1 / config.rho), config.sigma_min ** (1 / config.rho)
    return torch.cat([(top + ramp * (bottom - top)) ** config.rho, torch.zeros(1, dtype=torch.float64)])


@torch.no_grad()
def sample(
    module, config: PCDMConfig, x: torch.Tensor, group: torch.Tensor, told: torch.Tensor, guidance: float
) -> torch.Tensor:
    """Coordinates from standard normal `x` (n, dimension), by the probability-flow ODE.

    DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095, algorithm 2) takes one evaluation a step where Heun takes two.

    .. math:: D = D_\\varnothing + g\\,(D_c - D_\\varnothing)

    with guidance g (Ho & Salimans 2022); g = 1 is the conditional distribution itself.
    """
    sigmas = schedule(config).float()
    # who is of the same kind is told the same: the network's context is worked out once a kind and noise level
    kinds, kind = torch.unique(torch.cat([group, told.flatten(1)], 1), dim=0, return_inverse=True)
    kind_group, kind_told = kinds[:, : group.shape[1]], kinds[:, group.shape[1] :].reshape(-1, *told.shape[1:])
    guided = guidance != 1.0 and bool(told[:, :, 0].any())
    levels = [sigma.expand(len(kinds)) for sigma in sigmas[:-1]]
    told_shifts = [module.modulation(level, kind_group, kind_told) for level in levels]
    free_shifts = [module.modulation(level, kind_group, torch.zeros_like(kind_told)) for level in levels] if guided else None

    def denoise(x: torch.Tensor, i: int, who: torch.Tensor) -> torch.Tensor:
        sigma = sigmas[i].reshape(1, 1)
        d = module.denoise(x, sigma, [shift[who] for shift in told_shifts[i]])
        if free_shifts is not None:
            free = module.denoise(x, sigma, [shift[who] for shift in free_shifts[i]])
            d = free + guidance * (d - free)
        return d

    return torch.cat([_solve(x[part], kind[part], sigmas, denoise) for part in torch.arange(len(x)).split(_CHUNK)])


def _solve(x: torch.Tensor, who: torch.Tensor, sigmas: torch.Tensor, denoise) -> torch.Tensor:
    """DPM-Solver++(2M) from the first of `sigmas` to the last, which is 0."""
    x = x * sigmas[0]
    before = None
    for i in range(len(sigmas) - 1):
        now, following = sigmas[i], sigmas[i + 1]
        d = denoise(x, i, who)
        if following == 0:
            return d
        h = torch.log(now / following)
        if before is None:
            corrected = d
        else:
            ratio = torch.log(sigmas[i - 1] / now) / h
            corrected = (1 + 0.5 / ratio) * d - 0.5 / ratio * before
        x = (following / now) * x - torch.expm1(-h) * corrected
        before = d
    return x


def project(
    coordinates: Coordinates, x: torch.Tensor, male: torch.Tensor, rounded: bool
) -> tuple[Decoded, torch.Tensor, int]:
    """People from coordinates, with organs moved no further than needed for the rules.

    The linear rules (closures) hold by decoding. Where another rule on organs, flows or filtration is broken, the person's
    organ
    residuals are drawn towards the expected body of those covariates, x -> s x, by the largest s of .95, .9, ..., 0 that
    mends
    it: along this line every rule changes monotonically enough to be found by search, covariates stay as they were drawn,
    and
    everyone else stays untouched.

    Returns
    -------
    people, hard : who still breaks a hard rule (to be drawn again), moved : how many were moved
    """
    factor = torch.ones(len(x), dtype=torch.float64)
    people = coordinates.decode(x, male, rounded=rounded)
    broken = _broken(people, _ORGAN).nonzero().ravel()
    moved = len(broken)
    for step in range(19, -1, -1):
        if not len(broken):
            break
        factor[broken] = step / 20
        part = coordinates.decode(x[broken], male[broken], rounded=rounded, organs=factor[broken])
        broken = broken[_broken(part, _ORGAN)]
    if len(broken):  # the covariates alone break a soft rule: these people keep the organs they were drawn with
        factor[broken] = 1.0
    if moved:
        people = coordinates.decode(x, male, rounded=rounded, organs=factor)
    hard = _broken(people, _HARD)
    return people, hard, moved - len(broken)


def _broken(people: Decoded, rules) -> torch.Tensor:
    body = people.body()
    return torch.stack([rule.residual(body) > 0 for rule in rules]).any(0)
