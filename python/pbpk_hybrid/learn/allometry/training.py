"""Training: every compound and target species is a case; its sources come and go at random, members see other compounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..training import TrainingOptions, train
from . import bodies as _path
from .config import AllometryConfig
from .data import Table, scaffold_folds
from .encoder import HUMAN, N_BLOCK, Encoder, fill, states
from .module import AllometryModule, Way

NU = 4.0  # degrees of freedom of the Student-t likelihood: a few compounds scale like no other
N_SPECIES = len(_path.KNOT_SPECIES)


@dataclass
class Cases:
    """Compounds x target species, and the trajectories that serve them."""

    compound: np.ndarray  # (n_cases,)
    target: np.ndarray  # (n_cases,) species
    observed: np.ndarray  # (n_cases, 3)
    present: np.ndarray  # (n_cases, n_species, 3) sources with a value
    trajectory: (
        np.ndarray
    )  # (n_cases, n_species) number of the trajectory that carries this source, 0 if none
    carrier: np.ndarray  # (n_trajectories,) compound
    start: np.ndarray  # (n_trajectories,) species; the prior starts at the human
    end: np.ndarray
    is_prior: np.ndarray
    prior_trajectory: np.ndarray  # (n_cases,) -1 at the human


def build_cases(values: np.ndarray, targets=None, sources=None) -> Cases:
    """Cases of a table's states (n, species, 3). `targets`, `sources`: species numbers to take; None for all."""
    known = np.isfinite(values)
    usable = known.copy()
    if sources is not None:
        usable[:, [s for s in range(N_SPECIES) if s not in sources]] = False
    case, carrier, start, end, is_prior = [], [0], [HUMAN], [HUMAN], [True]
    trajectory, prior_trajectory, present = [], [], []
    for c in range(len(values)):
        for t in range(N_SPECIES) if targets is None else targets:
            if targets is None and not known[c, t].any():
                continue
            row, here = np.zeros(N_SPECIES, dtype=int), usable[c].copy()
            here[t] = False
            for s in np.flatnonzero(here.any(1)):
                row[s] = len(carrier)
                carrier.append(c), start.append(s), end.append(t), is_prior.append(False)
            prior_trajectory.append(-1)
            if t != HUMAN:
                prior_trajectory[-1] = len(carrier)
                carrier.append(c), start.append(HUMAN), end.append(t), is_prior.append(True)
            case.append((c, t))
            trajectory.append(row)
            present.append(here)
    compound, target = np.array(case).T
    return Cases(
        compound,
        target,
        values[compound, target],
        np.array(present),
        np.array(trajectory),
        np.array(carrier),
        np.array(start),
        np.array(end),
        np.array(is_prior),
        np.array(prior_trajectory),
    )


class Problem:
    """Tensors of a table, ready for a forward pass."""

    def __init__(
        self, encoder: Encoder, table: Table, told: np.ndarray, cases: Cases, values: np.ndarray
    ) -> None:
        as_tensor = lambda a: torch.tensor(np.asarray(a), dtype=torch.float32)
        full = fill(values, told)
        self.n = len(table)
        self.cases, self.encoder = cases, encoder
        self.phi = as_tensor(encoder.phi(table.features, told))
        self.told = as_tensor(told)
        self.block = self.phi[:, 4 : 4 + N_BLOCK].clone()
        blank = np.zeros_like(told) + encoder.centre
        self.phi_blank = as_tensor(encoder.phi(None, blank))
        self.told_blank = as_tensor(blank)
        self.full = as_tensor(full)
        # way of every trajectory; those that go nowhere are not integrated
        self.moving = np.flatnonzero(cases.start != cases.end)
        self.way = (
            Way(_path.KNOTS[cases.start[self.moving]], _path.KNOTS[cases.end[self.moving]])
            if len(self.moving)
            else None
        )
        c, s, e = (torch.tensor(a[self.moving]) for a in (cases.carrier, cases.start, cases.end))
        self.moving_compound = c
        self.y0 = self.full[c, s, :2]
        self.fu0, self.fu1 = self.full[c, s, 2], self.full[c, e, 2]
        self.moving_prior = torch.tensor(cases.is_prior[self.moving])
        self.place = torch.full((len(cases.carrier),), -1, dtype=torch.long)
        self.place[torch.tensor(self.moving)] = torch.arange(len(self.moving))
        self.case_compound, self.case_target = (
            torch.tensor(cases.compound),
            torch.tensor(cases.target),
        )
        self.observed = as_tensor(cases.observed)
        self.present = torch.tensor(cases.present)
        self.trajectory = torch.tensor(cases.trajectory)
        self.prior_trajectory = torch.tensor(cases.prior_trajectory)


def posterior(
    module: AllometryModule, problem: Problem, keep: Tensor, known: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (E, n_cases, 3) given the sources in `keep` (n_cases, species, 3); `known` (n,)
    structures.
    """
    members = module.members
    phi = torch.where(known[:, None], problem.phi, problem.phi_blank)
    told = torch.where(known[:, None], problem.told, problem.told_blank)
    block = torch.where(known[:, None], problem.block, torch.zeros_like(problem.block))
    bodies = module.embeddings()
    prior = module.prior(phi, told, known)  # at the human
    arrived = None
    if problem.way is not None:
        c = problem.moving_compound
        w = module.compound(phi)[:, :, c]
        y0 = torch.where(problem.moving_prior[None, :, None], prior[:, c, :2], problem.y0[None])
        carry = module.transport if module.ode else module_jump(module)
        y1 = carry(y0, problem.way, problem.fu0, problem.fu1, block[c], w, bodies)
        fu = torch.where(problem.moving_prior[None], prior[:, c, 2], problem.fu0[None])
        fu = fu + module.binding_shift(problem.way, w, bodies)
        arrived = torch.cat([y1, fu[..., None]], dim=-1)  # (E, T, 3)
    at = prior[:, problem.case_compound]
    if arrived is not None:
        here = problem.prior_trajectory
        moved = arrived[:, problem.place[here.clamp(min=0)].clamp(min=0)]
        at = torch.where((here >= 0)[None, :, None], moved, at)
        carried = arrived[
            :, problem.place[problem.trajectory].clamp(min=0)
        ]  # (E, n_cases, species, 3)
        innovation = torch.where(keep[None], carried - at[:, :, None], torch.zeros(()))
    else:
        innovation = torch.zeros(members, len(at[0]), N_SPECIES, 3)
    gain, variance = gains(module, bodies, problem.case_target, keep, known[problem.case_compound])
    mean = at + (gain * innovation).sum(2)
    spread = module.log_spread(block, known).permute(0, 2, 1)[:, problem.case_compound]
    return mean, variance.clamp(min=1e-6).sqrt() * torch.exp(spread)


def module_jump(module: AllometryModule):
    """The law without integration: the slope at the source holds all the way (embeddings still differ between both ends)."""

    def jump(y0, way, fu0, fu1, block, w, bodies):
        if not way.steps:
            return y0
        start, end = way.basis[0, 0], way.basis[-1, 2]
        total = (way.total * way.direction)[None, :, None]
        between = torch.einsum("ts,esh->eth", end - start, bodies)
        slope = torch.where(
            way.total > 1e-9, (fu1 - fu0) / (way.total * way.direction), torch.zeros_like(fu0)
        )
        path = start @ module.processes.T
        rise = (
            (end - start) @ module.processes.T / torch.where(total[0].abs() > 1e-9, total[0], 1.0)
        )  # mean slopes
        y = y0 if y0.ndim == 3 else y0.expand(module.members, *y0.shape)
        classical = module.rates(
            y,
            way.mass[0, 0],
            fu0,
            slope,
            block,
            torch.zeros_like(w),
            torch.zeros_like(between),
            path,
            rise,
        )
        return y + total * classical + (w[:, :2] * between[:, None]).sum(-1).permute(0, 2, 1)

    return jump


def gains(
    module: AllometryModule, bodies: Tensor, target: Tensor, keep: Tensor, known: Tensor
) -> tuple[Tensor, Tensor]:
    r"""Weights of innovations (E, n_cases, species, 3) and posterior variance (E, n_cases, 3).

    .. math:: g = C_{ss}^{-1} c_{st}, \qquad v = C_{tt} - c_{st}^T g

    One linear solve per pattern of sources; the order of sources is nowhere.
    """
    every = torch.eye(N_SPECIES)
    covariance = torch.stack(
        [module.covariance(bodies, every, every, known=flag) for flag in (False, True)], dim=1
    )
    n = len(target)
    code = torch.cat(
        [
            target[:, None, None].expand(n, 3, 1),
            known.long()[:, None, None].expand(n, 3, 1),
            torch.arange(3)[None, :, None].expand(n, 3, 1),
            keep.permute(0, 2, 1).long(),
        ],
        dim=-1,
    ).reshape(n * 3, -1)
    patterns, which = torch.unique(code, dim=0, return_inverse=True)
    t, k, p, mask = patterns[:, 0], patterns[:, 1], patterns[:, 2], patterns[:, 3:].float()
    c = covariance[:, k, p]  # (E, U, S, S)
    inner = c * mask[:, :, None] * mask[:, None, :] + torch.diag_embed(1 - mask)
    cross = (
        torch.gather(c, 3, t[None, :, None, None].expand(c.shape[0], -1, N_SPECIES, 1))[..., 0]
        * mask
    )
    gain = torch.linalg.solve(inner, cross)
    own = torch.gather(
        torch.diagonal(c, dim1=-2, dim2=-1), 2, t[None, :, None].expand(c.shape[0], -1, 1)
    )[..., 0]
    variance = own - (cross * gain).sum(-1)
    gain = gain[:, which].reshape(-1, n, 3, N_SPECIES).permute(0, 1, 3, 2)
    return gain, variance[:, which].reshape(-1, n, 3)


def student(error: Tensor, sd: Tensor) -> Tensor:
    """Minus log density of a Student-t with NU degrees of freedom."""
    constant = math.lgamma(NU / 2) - math.lgamma((NU + 1) / 2) + 0.5 * math.log(NU * math.pi)
    return constant + torch.log(sd) + 0.5 * (NU + 1) * torch.log1p((error / sd) ** 2 / NU)


def fit_members(
    table: Table,
    config: AllometryConfig,
    gram: np.ndarray | None = None,
    folder=None,
    progress: bool = False,
    max_minutes: float | None = None,
    threads: int | None = None,
    encoder=None,
):
    """Encoder, modules, training log, and the problem with inner folds for calibration.

    `encoder`: what :meth:`Encoder.fit` gave before.
    """
    inner = scaffold_folds(table.scaffolds, config.folds, config.seed)
    encoder, told = encoder or Encoder.fit(
        table, config.landmarks, inner, gram, config.trees, config.seed
    )
    values = states(table)
    cases = build_cases(values)
    problem = Problem(encoder, table, told, cases, values)
    member_fold = np.arange(config.members) % config.folds
    seen = torch.tensor(inner[cases.compound][None] != member_fold[:, None], dtype=torch.float32)
    weight = np.where(cases.target == HUMAN, 1.0, config.animal_weight)
    weight = np.where(cases.present.any((1, 2)), weight, config.human_only_weight * weight)
    rich = cases.present[..., :2].any(-1).sum(1) >= 3
    weight = np.where(rich & (cases.target == HUMAN), config.rich_weight * weight, weight)
    has = torch.isfinite(problem.observed)
    weights = seen[..., None] * torch.tensor(weight, dtype=torch.float32)[None, :, None] * has
    observed = torch.where(has, problem.observed, torch.zeros(()))
    sd_phi = torch.tensor(
        encoder.sd_phi(config.sd_constant, config.sd_linear, config.sd_kernel), dtype=torch.float32
    )
    structures = table.features is not None
    n_cases = len(cases.compound)
    last = [0]

    def loss(module: AllometryModule, step: int, generator: torch.Generator) -> Tensor:
        last[0] = step
        draw = torch.rand(n_cases, generator=generator)
        each = torch.rand(n_cases, N_SPECIES, generator=generator) < 0.5
        keep = problem.present & ((draw < 0.5)[:, None] | ((draw < 0.9)[:, None] & each))[..., None]
        known = (torch.rand(problem.n, generator=generator) < 0.9) & structures
        mean, sd = posterior(module, problem, keep, known)
        data = (student(observed - mean, sd) * weights).sum((1, 2))
        return (data + module.penalty(sd_phi)).sum() / weights.sum()

    options = TrainingOptions(
        steps=config.steps,
        learning_rate=config.learning_rate,
        warmup=min(10, config.steps // 4),
        gradient_clip=None,
        ema=None,
        evaluate_every=max(1, config.steps // 6),
        seed=config.seed,
        max_minutes=max_minutes,
        threads=threads,
    )
    modules, seconds = [], 0.0
    for kind in config.kinds:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed + (not kind))
            module = build(config, encoder, kind)
        # nothing is chosen by validation, the prior guards the weights: the last ones are the best
        where = None if folder is None else Path(folder) / ("integrated" if kind else "one_step")
        log = train(
            module,
            loss,
            options,
            validate=lambda _: -float(last[0]),
            folder=where,
            progress=progress,
        )
        seconds += log.seconds
        modules.append(module.eval())
    log.seconds = seconds
    return encoder, modules, log, problem, inner


def build(config: AllometryConfig, encoder: Encoder, ode: bool) -> AllometryModule:
    """An untrained module: of members that integrate, or go in one step."""
    return AllometryModule(
        config.members, encoder.n_phi, N_BLOCK, config.hidden, graph=config.graph, ode=ode
    )
