"""From noise to people: DPM-Solver++(2M) on the Karras schedule, guidance, and the
projection onto the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch

from ...physiology import PORTAL_ORGANS, RULES
from ...physiology.plausibility.residuals import SCALED, organ_excess
from ...physiology.plausibility.rules import Rule
from ..devices import autocast, device_of
from .config import PCDMConfig
from .coordinates import MEASURED, NAMES, RESIDUALS, Coordinates, Decoded
from .module import Denoiser

#: rules on what was measured alone: nothing of the organs can mend them, and real people
#: break them as rarely
MEASURED_RULES = frozenset({"S1", "S2_weight", "S2_height", "S2_bmi", "S3_creatinine"})
#: draws of residuals that break a rule before they are drawn towards the expected body
_REDRAWS = 8
_HARD = tuple(rule for rule in RULES if rule.kind == "hard")
#: rules on what spreads in real people beyond their bounds (hyperfiltration, cardiac output): who
#: breaks them is kept
KEPT_RULES = frozenset({"S3_gfr", "S6_output", "S6_index"})
_ORGAN = tuple(rule for rule in RULES if rule.id not in MEASURED_RULES | KEPT_RULES)


def schedule(config: PCDMConfig) -> torch.Tensor:
    """(steps + 1,) noise levels, falling; the last is 0 (Karras et al. 2022, eq. 5)."""
    ramp = torch.linspace(0, 1, config.steps, dtype=torch.float64)
    top, bottom = config.sigma_max ** (1 / config.rho), config.sigma_min ** (1 / config.rho)
    return torch.cat(
        [(top + ramp * (bottom - top)) ** config.rho, torch.zeros(1, dtype=torch.float64)]
    )


@torch.no_grad()
def sample(
    module: Denoiser,
    config: PCDMConfig,
    x: torch.Tensor,
    group: torch.Tensor,
    conditions: torch.Tensor,
    guidance: float,
    held: tuple[list[int], torch.Tensor] | None = None,
    precision: str = "float32",
) -> torch.Tensor:
    """Coordinates from standard normal `x` (n, dimension), by the probability-flow ODE.

    The network runs where its weights are, in `precision`; what comes out is where `x` was.

    DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095, algorithm 2) takes one evaluation a
    step where Heun takes two.

    .. math:: D = D_\\varnothing + g\\,(D_c - D_\\varnothing)

    with guidance g (Ho & Salimans 2022); g = 1 is the conditional distribution itself.

    `held` (columns, values) gives some coordinates a value: they are held at it, under the
    noise of each level, down to the level ``config.release``, while the others come to fit
    them, and then go free. Where the values are the model's own, so is what comes out:
    noise added to people and taken away again gives other people of the same distribution.
    """
    device, back = device_of(module), x.device
    x, group, conditions = (part.to(device) for part in (x, group, conditions))
    if held is not None:
        held = (held[0], held[1].to(device))
    sigmas = schedule(config).float().to(device)
    # the modulation is the same for all people of one kind (group and condition), so it is computed
    # once per kind and noise level
    flat = torch.cat([group, conditions.flatten(1)], 1)  # (n, groups + 8 x 3)
    kinds, kind = torch.unique(flat, dim=0, return_inverse=True)
    kind_group = kinds[:, : group.shape[1]]
    kind_conditions = kinds[:, group.shape[1] :].reshape(-1, *conditions.shape[1:])  # (kinds, 8, 3)
    levels = [sigma.expand(len(kinds)) for sigma in sigmas[:-1]]
    conditional = [module.modulation(level, kind_group, kind_conditions) for level in levels]
    unconditional = None
    if guidance != 1.0 and bool(conditions[:, :, 0].any()):
        no_condition = torch.zeros_like(kind_conditions)
        unconditional = [module.modulation(level, kind_group, no_condition) for level in levels]

    def denoise(x: torch.Tensor, step: int) -> torch.Tensor:
        sigma = sigmas[step].reshape(1, 1)  # the same for everybody: (1, 1) against (n, dimension)
        d = module.denoise(x, sigma, [shift[kind] for shift in conditional[step]])
        if unconditional is not None:
            free = module.denoise(x, sigma, [shift[kind] for shift in unconditional[step]])
            d = free + guidance * (d - free)
        return d

    with autocast(device, precision):
        return _solve(x, sigmas, denoise, held, config.release).float().to(back)


def _solve(
    x: torch.Tensor,
    sigmas: torch.Tensor,
    denoise: Callable[[torch.Tensor, int], torch.Tensor],
    held: tuple[list[int], torch.Tensor] | None,
    release: float,
) -> torch.Tensor:
    """DPM-Solver++(2M) from the first of `sigmas` to the last, which is 0; x (n, dimension)."""
    x = x * sigmas[0]
    if held is not None:
        x[:, held[0]] += held[1]
    previous = None
    for step, (now, following) in enumerate(pairwise(sigmas)):
        d = denoise(x, step)
        if held is not None and now > release:
            d[:, held[0]] = held[1]
        if following == 0:
            return d
        h = torch.log(now / following)
        if previous is None:
            corrected = d
        else:
            ratio = torch.log(sigmas[step - 1] / now) / h
            corrected = (1 + 0.5 / ratio) * d - 0.5 / ratio * previous
        x = (following / now) * x - torch.expm1(-h) * corrected
        previous = d
    return x


def project(
    coordinates: Coordinates,
    x: torch.Tensor,
    male: torch.Tensor,
    rounded: bool,
    generator: torch.Generator | None = None,
) -> tuple[Decoded, torch.Tensor, int]:
    """People from coordinates, with organs moved no further than needed for the rules.

    The linear rules (closures) hold by decoding. Where another rule on organs, flows or
    filtration is broken, the residuals that the rule is about (``_ABOUT``; everything else
    stays) are drawn again: they are independent and normal, so that nobody piles up at a bound.
    Where that does not help, or without a `generator`, they are drawn towards the expected body
    of those covariates, x -> s x, by the largest s of 0.95, 0.9, ..., 0 that mends it. If that
    does not, all residuals of the person are. Covariates stay as they were drawn, and everyone
    else stays untouched.

    Returns
    -------
    people, hard
        who still breaks a hard rule (to be drawn again), moved : how many were moved
    """
    people = coordinates.decode(x, male, rounded=rounded)
    # (n, rules)
    beyond = torch.stack([rule.residual(people.body()) > 0 for rule in _ORGAN], 1)
    broken = beyond.any(1).nonzero().ravel()
    found = len(broken)
    if not found:
        return people, _broken(people, _HARD), 0
    off = organ_excess(people.body())[broken] > 0
    about = ((beyond[broken].double() @ _ABOUT_TABLE + off.double() @ _SCALED_TABLE) > 0).double()
    x = x.clone()
    left = torch.arange(found)
    if generator is not None:
        left = _redrawn(coordinates, x, male, rounded, broken, about, generator)
    factor = torch.ones(found, len(RESIDUALS), dtype=torch.float64)
    for involved in (about, torch.ones_like(about)):
        for step in range(19, -1, -1):
            if not len(left):
                break
            factor[left] = 1 + involved[left] * (step / 20 - 1)
            rows = broken[left]
            part = coordinates.decode(x[rows], male[rows], rounded=rounded, organs=factor[left])
            left = left[_broken(part, _ORGAN)]
    # the covariates alone break a soft rule: these people keep the organs they were drawn with
    factor[left] = 1.0
    mended = coordinates.decode(x[broken], male[broken], rounded=rounded, organs=factor)
    people.replace(broken, mended)
    return people, _broken(people, _HARD), found - len(left)


def _redrawn(
    coordinates: Coordinates,
    x: torch.Tensor,
    male: torch.Tensor,
    rounded: bool,
    broken: torch.Tensor,
    about: torch.Tensor,
    generator: torch.Generator,
) -> torch.Tensor:
    """Draw the residuals of rows `broken` again, in `x`, where `about` (broken, residual) says so.

    Returns
    -------
    Tensor
        Those of `broken` for whom no draw keeps all rules, by number; they stay as they were.
    """
    columns = slice(len(MEASURED), len(NAMES))
    left = torch.arange(len(broken))
    for _ in range(_REDRAWS):
        if not len(left):
            break
        rows, fresh = broken[left], x[broken[left]].clone()
        noise = torch.randn(len(left), len(RESIDUALS), generator=generator).to(x.dtype)
        fresh[:, columns] = torch.where(about[left] > 0, noise, fresh[:, columns])
        good = ~_broken(coordinates.decode(fresh, male[rows], rounded=rounded), _ORGAN)
        x[rows[good]] = fresh[good]
        left = left[~good]
    return left


_FAT_AND_MASSES = tuple(name for name in RESIDUALS if name == "fat" or name.startswith("mass of "))


def _about(rule_id: str) -> tuple[str, ...]:
    """The residuals that decide whether a rule holds."""
    # S8 is about each organ by itself, see _SCALED_TABLE
    flows = tuple(name for name in RESIDUALS if name.startswith("flow of "))
    known = {
        "H5": ("gfr",),
        "S4_adipose": ("fat",),
        "S4_lean": ("fat",),
        "S8": (),
        "S7_liver": tuple(f"flow of {o}" for o in ("liver", *PORTAL_ORGANS)),
    }
    if rule_id in known:
        return known[rule_id]
    start, _, organ = rule_id.partition("_")
    if start == "S5":
        return (f"mass of {organ}",)
    if start == "S7":
        return (f"flow of {organ}",)
    return _FAT_AND_MASSES + flows


#: (rule, residual): 1 where the residual decides
_ABOUT_TABLE = torch.tensor(
    [[float(name in _about(rule.id)) for name in RESIDUALS] for rule in _ORGAN], dtype=torch.float64
)

#: (organ of S8, residual): an organ is decided by its own; muscle, which is what is left,
#: by fat and all others
_SCALED_TABLE = torch.tensor(
    [
        [
            float(name in (_FAT_AND_MASSES if organ == "muscle" else (f"mass of {organ}",)))
            for name in RESIDUALS
        ]
        for organ in SCALED
    ],
    dtype=torch.float64,
)


def _broken(people: Decoded, rules: Sequence[Rule]) -> torch.Tensor:
    """(n,) whether anybody breaks one of the rules."""
    body = people.body()
    return torch.stack([rule.residual(body) > 0 for rule in rules]).any(0)  # (rule, n) -> (n,)
