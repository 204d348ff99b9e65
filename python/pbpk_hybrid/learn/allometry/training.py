"""Training: every compound and target species is a case; its sources come and go at random,
members see other compounds.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..devices import seeded
from ..training import RunOptions, TrainingLog, TrainingOptions, train
from . import bodies
from .conditioning import condition
from .config import AllometryConfig
from .data import Table, scaffold_folds
from .encoder import DESCRIPTOR_COLUMNS, HUMAN, N_DESCRIPTORS, Encoder, fill, states
from .module import AllometryModule
from .trajectories import Trajectories, TransportInputs, as_tensor

NU = 4.0  # degrees of freedom of the Student-t likelihood: a few compounds scale like no other
N_SPECIES = len(bodies.KNOT_SPECIES)


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


def build_cases(
    values: np.ndarray,
    targets: Collection[int] | None = None,
    sources: Collection[int] | None = None,
) -> Cases:
    """Cases of a table's states (n, species, 3). `targets`, `sources`: species numbers to
    take; None for all.
    """
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
    """Tensors of a table, ready for a forward pass of all its cases at once.

    Parameters
    ----------
    encoder
        Encoder
    table : Table
        n compounds.
    structure : array
        (n, 3) human values predicted from structure
    cases
        Cases
    values : array
        (n, species, 3) states, NaN where unknown
    """

    def __init__(
        self,
        encoder: Encoder,
        table: Table,
        structure: np.ndarray,
        cases: Cases,
        values: np.ndarray,
    ) -> None:
        self.n = len(table)
        self.cases, self.encoder = cases, encoder
        self.phi = as_tensor(encoder.phi(table.features, structure))
        self.structure = as_tensor(structure)
        self.descriptors = self.phi[:, DESCRIPTOR_COLUMNS].clone()
        blank = np.zeros_like(structure) + encoder.centre
        self.phi_blank = as_tensor(encoder.phi(None, blank))
        self.structure_blank = as_tensor(blank)
        self.filled = as_tensor(fill(values, structure))
        self._set_trajectories(cases)
        self.case_compound = torch.tensor(cases.compound)
        self.case_target = torch.tensor(cases.target)
        self.observed = as_tensor(cases.observed)
        self.present = torch.tensor(cases.present)
        self.trajectory = torch.tensor(cases.trajectory)
        self.prior_trajectory = torch.tensor(cases.prior_trajectory)

    def to(self, device: torch.device) -> Problem:
        """The same problem, with its tensors on a device."""
        found = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(found, name, value.to(device))
        if self.trajectories is not None:
            found.trajectories = self.trajectories.to(device)
        return found

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.phi.device

    def _set_trajectories(self, cases: Cases) -> None:
        """Trajectories between two species; those that go nowhere are not integrated."""
        moving = np.flatnonzero(cases.start != cases.end)
        self.trajectories = None
        if len(moving):
            ends = (bodies.KNOTS[species[moving]] for species in (cases.start, cases.end))
            self.trajectories = Trajectories(*ends)
        compound, start, end = (
            torch.tensor(a[moving]) for a in (cases.carrier, cases.start, cases.end)
        )
        self.moving_compound = compound
        self.y0 = self.filled[compound, start, :2]
        self.fu_start = self.filled[compound, start, 2]
        self.fu_end = self.filled[compound, end, 2]
        self.moving_prior = torch.tensor(cases.is_prior[moving])
        #: number of a trajectory -> its row among the moving ones, -1 for the others
        self.row = torch.full((len(cases.carrier),), -1, dtype=torch.long)
        self.row[torch.tensor(moving)] = torch.arange(len(moving))


def posterior(
    module: AllometryModule, problem: Problem, keep: Tensor, known: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every case given its sources, (E, n_cases, 3) each.

    Parameters
    ----------
    keep : Tensor
        (n_cases, species, 3) bool, the sources that may be used
    known : Tensor
        (n,) bool, the compounds whose structure may be used
    """
    known_row = known[:, None]
    phi = torch.where(known_row, problem.phi, problem.phi_blank)
    structure = torch.where(known_row, problem.structure, problem.structure_blank)
    descriptors = torch.where(known_row, problem.descriptors, torch.zeros_like(problem.descriptors))
    embeddings = module.embeddings()
    human_prior = module.prior(phi, structure, known)  # (E, n, 3)
    prior = human_prior[:, problem.case_compound]  # (E, n_cases, 3)
    if problem.trajectories is None:
        shape = (module.members, prior.shape[1], N_SPECIES, 3)
        innovation = torch.zeros(shape, device=prior.device)
    else:
        arrived = _carried(module, problem, human_prior, (phi, descriptors, embeddings))
        row = problem.prior_trajectory
        at_target = arrived[:, problem.row[row.clamp(min=0)].clamp(min=0)]
        prior = torch.where((row >= 0)[None, :, None], at_target, prior)
        # (E, n_cases, species, 3)
        sources = arrived[:, problem.row[problem.trajectory].clamp(min=0)]
        innovation = torch.where(keep[None], sources - prior[:, :, None], 0.0)
    gain, variance = gains(
        module, embeddings, problem.case_target, keep, known[problem.case_compound]
    )
    mean = prior + (gain * innovation).sum(2)
    # (E, 3, n) -> (E, n, 3) -> (E, n_cases, 3)
    log_factor = module.log_sd_factor(descriptors, known).permute(0, 2, 1)
    sd = variance.clamp(min=1e-6).sqrt()
    return mean, sd * torch.exp(log_factor[:, problem.case_compound])


def _carried(
    module: AllometryModule,
    problem: Problem,
    human_prior: Tensor,
    compounds: tuple[Tensor, Tensor, Tensor],
) -> Tensor:
    """States at the ends of the trajectories, (E, T, 3); `compounds`: phi, descriptors,
    embeddings.
    """
    phi, descriptors, embeddings = compounds
    compound, is_prior = problem.moving_compound, problem.moving_prior[None]
    inputs = TransportInputs(
        problem.fu_start,
        problem.fu_end,
        descriptors[compound],
        module.compound_weights(phi)[:, :, compound],
        embeddings,
    )
    start = human_prior[:, compound]  # (E, T, 3)
    y0 = torch.where(is_prior[..., None], start[..., :2], problem.y0[None])
    y1 = module.carry(y0, problem.trajectories, inputs)
    fu = torch.where(is_prior, start[..., 2], problem.fu_start[None])
    fu = fu + module.binding_shift(problem.trajectories, inputs)
    return torch.cat([y1, fu[..., None]], dim=-1)


def gains(
    module: AllometryModule, embeddings: Tensor, target: Tensor, keep: Tensor, known: Tensor
) -> tuple[Tensor, Tensor]:
    """Weights of the innovations (E, n_cases, species, 3) and posterior variance (E, n_cases, 3).

    :func:`.conditioning.condition`, once per pattern of sources.
    """
    identity = torch.eye(N_SPECIES, device=target.device)
    # (E, known, 3, species, species)
    covariance = torch.stack(
        [module.covariance(embeddings, identity, identity, known=k) for k in (False, True)], dim=1
    )
    n, parameters = len(target), torch.arange(3, device=target.device)
    case = (target[:, None, None], known.long()[:, None, None], parameters[None, :, None])
    # (n_cases, 3, 1) each, and (n_cases, species, 3) -> (n_cases, 3, species)
    columns = [part.expand(n, 3, 1) for part in case] + [keep.permute(0, 2, 1).long()]
    code = torch.cat(columns, dim=-1).reshape(n * 3, -1)  # (n_cases x 3, 3 + species)
    patterns, which = torch.unique(code, dim=0, return_inverse=True)
    pattern_target, pattern_known, parameter = patterns[:, :3].unbind(1)
    among = covariance[:, pattern_known, parameter]  # (E, patterns, species, species)
    column = pattern_target[None, :, None, None].expand(len(among), -1, N_SPECIES, 1)
    cross = torch.gather(among, 3, column)[..., 0]  # (E, patterns, species)
    row = pattern_target[None, :, None].expand(len(among), -1, 1)
    target_variance = torch.gather(torch.diagonal(among, dim1=-2, dim2=-1), 2, row)[..., 0]
    gain, variance = condition(among, cross, target_variance, patterns[:, 3:].float())
    # back to the cases: (E, n_cases x 3, species) -> (E, n_cases, species, 3)
    gain = gain[:, which].reshape(-1, n, 3, N_SPECIES).permute(0, 1, 3, 2)
    return gain, variance[:, which].reshape(-1, n, 3)  # from (E, n_cases x 3)


def student(error: Tensor, sd: Tensor) -> Tensor:
    """Minus log density of a Student-t with NU degrees of freedom."""
    constant = math.lgamma(NU / 2) - math.lgamma((NU + 1) / 2) + 0.5 * math.log(NU * math.pi)
    return constant + torch.log(sd) + 0.5 * (NU + 1) * torch.log1p((error / sd) ** 2 / NU)


def fit_members(
    table: Table,
    config: AllometryConfig,
    gram: np.ndarray | None = None,
    run: RunOptions | None = None,
    encoder: tuple[Encoder, np.ndarray] | None = None,
) -> tuple[Encoder, list[AllometryModule], TrainingLog, Problem, np.ndarray]:
    """Fit encoder and modules.

    Parameters
    ----------
    encoder : tuple, optional
        what :meth:`Encoder.fit` returned before

    Returns
    -------
    encoder, modules, log, problem, inner
        the last two are for the calibration: the problem and the inner folds of its compounds
    """
    run = run or RunOptions()
    inner = scaffold_folds(table.scaffolds, config.folds, config.seed)
    encoder, structure = encoder or Encoder.fit(
        table, config.landmarks, inner, gram, config.trees, config.seed
    )
    values = states(table)
    problem = Problem(encoder, table, structure, build_cases(values), values)
    if run.device is not None:
        problem = problem.to(run.device)
    objective = _Objective(problem, config, inner, table.features is not None)
    options = TrainingOptions(
        steps=config.steps,
        learning_rate=config.learning_rate,
        warmup=min(10, config.steps // 4),
        gradient_clip=None,
        ema=None,
        evaluate_every=max(1, config.steps // 6),
        seed=config.seed,
        **run.kept(),
    )
    modules, logs = [], {}
    for integrates in config.kinds:
        with seeded(config.seed + (not integrates)):
            module = build(config, encoder, integrates).to(problem.device)
        name = "integrated" if integrates else "one_step"
        here = None if run.folder is None else Path(run.folder) / name
        logs[name] = train(
            module,
            objective,
            options,
            validate=objective.minus_last_step,
            **replace(run, folder=here).shown(),
        )
        modules.append(module.eval())
    return encoder, modules, _joined(logs), problem, inner


def _joined(logs: dict[str, TrainingLog]) -> TrainingLog:
    """The log of the last network, with time and skipped steps of all, and the others as parts."""
    *_, last = logs.values()
    return replace(
        last,
        seconds=sum(log.seconds for log in logs.values()),
        skipped=sum(log.skipped for log in logs.values()),
        parts=logs if len(logs) > 1 else {},
    )


class _Objective:
    """Minus log posterior of the weights with sources and structures left out at random.

    Every member sees the compounds outside its own fold. Cases of the human count more than
    those of animals, and those with three or more source species most.
    """

    def __init__(
        self, problem: Problem, config: AllometryConfig, inner: np.ndarray, structures: bool
    ) -> None:
        self.problem, self.structures = problem, structures
        self.n_cases = len(problem.cases.compound)
        measured = torch.isfinite(problem.observed)  # (n_cases, 3)
        self.observed = torch.where(measured, problem.observed, 0.0)
        member_fold = np.arange(config.members) % config.folds
        device = problem.device
        trained_on = as_tensor(inner[problem.cases.compound][None] != member_fold[:, None], device)
        case_weight = as_tensor(_case_weights(problem.cases, config), device)
        # (E, n_cases, 3)
        self.weights = trained_on[..., None] * case_weight[None, :, None] * measured
        sd = problem.encoder.sd_phi(config.sd_constant, config.sd_linear, config.sd_kernel)
        self.sd_phi = as_tensor(sd, device)
        self.last_step = 0

    def __call__(self, module: AllometryModule, step: int, generator: torch.Generator) -> Tensor:
        problem, self.last_step = self.problem, step
        device = problem.device
        # drawn on the CPU and then moved: a seed means the same on every device
        # half of the cases keep all sources, 4 in 10 each source by a coin, 1 in 10 none
        draw = torch.rand(self.n_cases, generator=generator).to(device)
        coin = torch.rand(self.n_cases, N_SPECIES, generator=generator).to(device) < 0.5
        use = (draw < 0.5)[:, None] | ((draw < 0.9)[:, None] & coin)  # (n_cases, species)
        keep = problem.present & use[..., None]
        known = (torch.rand(problem.n, generator=generator).to(device) < 0.9) & self.structures
        mean, sd = posterior(module, problem, keep, known)
        data = (student(self.observed - mean, sd) * self.weights).sum((1, 2))  # (E,)
        return (data + module.penalty(self.sd_phi)).sum() / self.weights.sum()

    def minus_last_step(self, module: AllometryModule) -> float:
        """Validation that always prefers the latest weights: the prior guards them, nothing
        else chooses.
        """
        return -float(self.last_step)


def _case_weights(cases: Cases, config: AllometryConfig) -> np.ndarray:
    """(n_cases,) weights in the likelihood."""
    weight = np.where(cases.target == HUMAN, 1.0, config.animal_weight)
    weight = np.where(cases.present.any((1, 2)), weight, config.human_only_weight * weight)
    rich = cases.present[..., :2].any(-1).sum(1) >= 3
    return np.where(rich & (cases.target == HUMAN), config.rich_weight * weight, weight)


def build(config: AllometryConfig, encoder: Encoder, ode: bool) -> AllometryModule:
    """An untrained module: of members that integrate, or go in one step."""
    return AllometryModule(
        config.members, encoder.n_phi, N_DESCRIPTORS, config.hidden, graph=config.graph, ode=ode
    )
