"""Where states are carried: paths in log body mass from species to species, cut where the
splines have knots.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from . import bodies

#: [ln kg] shorter steps than this move nothing
_NO_DISTANCE = 1e-12


@dataclass(frozen=True)
class TransportInputs:
    """What the vector field needs along T trajectories beside the state.

    Parameters
    ----------
    fu_start, fu_end : Tensor
        (T,) logit of the unbound fraction at both ends; it is linear in ln mass between
    descriptors : Tensor
        (T, n_descriptors) of the compound, for the gate
    compound_weights : Tensor
        (E, 3, T, hidden) of :meth:`.AllometryModule.compound_weights`
    embeddings : Tensor
        (E, n_species, hidden) of :meth:`.AllometryModule.embeddings`
    """

    fu_start: Tensor
    fu_end: Tensor
    descriptors: Tensor
    compound_weights: Tensor
    embeddings: Tensor


@dataclass(frozen=True)
class FieldInputs:
    """What the vector field needs at one point of each of T trajectories; see
    :meth:`.AllometryModule.rates`.

    Parameters
    ----------
    log_mass : Tensor
        (T,) ln body mass [kg]
    fu_logit, fu_slope : Tensor
        (T,) or (E, T), logit of the unbound fraction and its derivative in ln mass
    descriptors : Tensor
        (T, n_descriptors)
    compound_weights : Tensor
        (E, 3, T, hidden)
    embedding : Tensor
        (E, T, hidden) or (E, 1, hidden), of the body at that mass
    log_processes, process_slopes : Tensor
        (T, 3) natural logs of liver flow, GFR and liver mass, and their derivatives
    """

    log_mass: Tensor
    fu_logit: Tensor
    fu_slope: Tensor
    descriptors: Tensor
    compound_weights: Tensor
    embedding: Tensor
    log_processes: Tensor
    process_slopes: Tensor


class Trajectories:
    """T trajectories from `start` to `end` in steps between species, each with its
    Runge-Kutta stages.

    Parameters
    ----------
    start, end : array
        (T,) ln body mass [kg]
    substeps : int
        steps between two species

    Attributes
    ----------
    steps
        int
    step_size : Tensor
        (steps, T) signed [ln kg]; 0 where a trajectory is shorter than the others
    basis, basis_slope : Tensor
        (steps, 3, T, n_species) weights of the species at start, middle and end of each step, and
        their derivatives
    log_mass : Tensor
        (steps, 3, T)
    travelled : Tensor
        (steps, 3, T) signed distance from the start
    active : list of Tensor
        for each step the numbers of the trajectories that still move
    length : Tensor
        (T,) total distance
    direction : Tensor
        (T,) 1 towards larger bodies, -1 towards smaller ones
    points : array
        (T, steps + 1) ends of the steps
    """

    def __init__(self, start, end, substeps: int = 1) -> None:
        points = bodies.breakpoints(np.asarray(start, float), np.asarray(end, float))
        if substeps > 1:
            points = _subdivided(points, substeps)
        left, right = points[:, :-1].T, points[:, 1:].T
        stages = np.stack([left, 0.5 * (left + right), right], axis=1)  # (steps, 3, T)
        value, slope = bodies.basis(stages.ravel())
        shape = (*stages.shape, len(bodies.KNOTS))  # (steps, 3, T, n_species)
        self.steps = len(left)
        self.step_size = as_tensor(right - left)
        self.basis = as_tensor(value.reshape(shape))  # from (steps x 3 x T, n_species)
        self.basis_slope = as_tensor(slope.reshape(shape))
        self.log_mass = as_tensor(stages)
        self.travelled = as_tensor(stages - points[:, 0][None, None])
        self.active = [
            torch.tensor(np.flatnonzero(np.abs(size) > _NO_DISTANCE)) for size in right - left
        ]
        self.length = as_tensor(np.abs(points[:, -1] - points[:, 0]))
        self.direction = as_tensor(np.where(points[:, -1] >= points[:, 0], 1.0, -1.0))
        self.points = points

    def to(self, device: torch.device) -> Trajectories:
        """The same trajectories, with their tensors on a device."""
        found = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(found, name, value.to(device))
        found.active = [rows.to(device) for rows in self.active]
        return found

    def fu_slope(self, inputs: TransportInputs) -> Tensor:
        """(T,) derivative of logit fu in ln mass; 0 for trajectories of no length."""
        signed = self.length.clamp(min=1e-9) * self.direction
        change = inputs.fu_end - inputs.fu_start
        return torch.where(self.length > 1e-9, change / signed, torch.zeros_like(inputs.fu_start))


def as_tensor(array: ArrayLike, device: torch.device | None = None) -> Tensor:
    """A copy in single precision."""
    return torch.tensor(np.asarray(array), dtype=torch.float32, device=device)


def _subdivided(points: np.ndarray, substeps: int) -> np.ndarray:
    """(T, steps + 1) -> (T, substeps x steps + 1), every step cut into equal parts."""
    parts = [points[:, :-1] + np.diff(points, axis=1) * j / substeps for j in range(substeps)]
    # (T, steps, substeps) -> (T, steps x substeps)
    inner = np.stack(parts, -1).reshape(len(points), -1)
    return np.concatenate([inner, points[:, -1:]], axis=1)
