"""One compound: what its sources say of its states, read out in the target's body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch

from . import bodies
from .law import HUMAN, Compounds, Law
from .readout import Places, as_tensor, readout, states_with, within
from .sources import Source, Target
from .training import posterior_at

_STEP = 1e-4  # of ln mass, for slopes
_BINDING = 2  # place of logit fu
#: of ln CL in ln intrinsic clearance, and of ln V in ln Kp: flatter ones count as this
_LEAST_SLOPE = 0.05


@dataclass
class Prediction:
    """What is known of a target.

    Parameters
    ----------
    mean : array
        (3,) ln CL [L/h], ln V [L], logit fu
    covariance : array
        (3, 3), with errors of measurement
    gain : array
        (n, 3) weights of the n sources that have a value
    """

    mean: np.ndarray
    covariance: np.ndarray
    gain: np.ndarray

    @property
    def sd(self) -> np.ndarray:
        """(3,) standard deviations."""
        return np.sqrt(np.diag(self.covariance))


def predict_one(
    law: Law, compound: Compounds, sources: Sequence[Source], target: Target
) -> Prediction:
    """The prediction for one body.

    Parameters
    ----------
    compound : Compounds
        of one compound
    sources : sequence of Source
        those without a value are left out
    """
    used = [s for s in sources if s.known]
    at = bodies.Bodies.of([*((s.species, s.weight) for s in used), (target.species, target.weight)])
    values = np.full((1, len(used) + 1, 4), np.nan)
    values[0, : len(used)] = np.array([s.states for s in used]).reshape(-1, 4)
    keep = torch.tensor(np.isfinite(values))
    found = posterior_at(law, compound, at, as_tensor(values), keep)
    place = len(used)
    rows = slice(4 * place, 4 * place + 3)
    noise = np.diag(law.noise()[:3].cpu().numpy())
    gain = found.gain[0].cpu().numpy()[rows].reshape(3, place + 1, 4)
    weights = np.stack([gain[p, :place, p] for p in range(3)], 1).reshape(place, 3)
    prediction = Prediction(
        found.y[0, place, :3].cpu().numpy().copy(),
        found.covariance[0].cpu().numpy()[rows, rows] + noise,
        weights,
    )
    _return_measured(prediction, used, target, noise)
    return prediction


def through_the_body(
    law: Law, compound: Compounds, target: Target, mean: np.ndarray, deviations: np.ndarray
) -> np.ndarray:
    """Deviations from a prediction, as the body can have them.

    They are turned into deviations of the states, by the slopes at the prediction, and read out
    by the algebra, so that no clearance is above what flows and no volume below the blood.

    Parameters
    ----------
    mean : array
        (3,) ln CL [L/h], ln V [L], logit fu
    deviations : array
        (n, 3) of these

    Returns
    -------
    array
        (n, 3) values
    """
    device, n = law.device, len(deviations)
    compound = compound.to(device)
    at = bodies.Bodies.of([(target.species, target.weight)])
    place, elimination = Places.of(at, device), law.elimination(compound)
    _, kappa = law.along(law.start(compound, elimination), compound, at.log_mass)
    centre = as_tensor(mean[None], device)
    z = states_with(centre, compound.composition, place, elimination, kappa)[:, None]
    y, jacobian = readout(z, compound.composition, place, elimination, kappa)
    slopes = jacobian[0, 0].clone()
    slopes[[0, 1], [0, 1]] = slopes[[0, 1], [0, 1]].clamp(min=_LEAST_SLOPE)
    moved = torch.linalg.solve(slopes, as_tensor(deviations.T, device)).T  # (n, 3)
    many = Compounds(
        *(
            getattr(compound, f.name).expand(n, *getattr(compound, f.name).shape[1:])
            for f in fields(Compounds)
        )
    )
    found, _ = readout(
        within(z + moved[:, None]),
        many.composition,
        place,
        law.elimination(many),
        kappa.expand(n, -1, -1),
    )
    # what was measured beyond the algebra's reach stays where it is
    return (centre + found[:, 0] - y[:, 0]).cpu().numpy()


def _return_measured(
    found: Prediction, sources: Sequence[Source], target: Target, noise: np.ndarray
) -> None:
    """What is measured in the target body itself is returned as it is, with the error of a
    measurement; in place.
    """
    for i, source in enumerate(sources):
        if source.species != target.species:
            continue
        same_body = np.isclose(source.weight, target.weight)
        for p in np.flatnonzero(np.isfinite(source.states[:3])):
            if p < _BINDING and not same_body:
                continue  # binding does not depend on body weight
            found.mean[p] = source.states[p]
            found.covariance[p] = found.covariance[:, p] = 0.0
            found.covariance[p, p] = noise[p, p]
            found.gain[:, p] = 0.0
            found.gain[i, p] = 1.0


def exponents_along(
    law: Law, compound: Compounds, sources: Sequence[Source], log_mass: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(n, 2) ln CL and ln V along the path of bodies through the human prediction, and their
    slopes in ln mass.
    """
    weight = bodies.WEIGHT["human"]
    human = predict_one(law, compound, sources, Target("human", weight))
    device = law.device
    compound = compound.to(device)
    elimination = law.elimination(compound)
    start = law.start(compound, elimination)
    # the deviation of the human's states from the law goes along unchanged
    _, kappa = law.along(start, compound, [float(bodies.KNOTS[HUMAN])])
    wanted = as_tensor(human.mean[None], device)
    own = states_with(wanted, compound.composition, law.human, elimination, kappa)

    def values(x: np.ndarray) -> np.ndarray:
        at = bodies.Bodies.of([("", float(np.exp(one))) for one in x])
        z, corrections = law.along(own, compound, at.log_mass)
        y, _ = readout(z, compound.composition, Places.of(at, device), elimination, corrections)
        return y[0, :, :2].cpu().numpy()

    slopes = (values(log_mass + _STEP) - values(log_mass - _STEP)) / (2 * _STEP)
    return values(log_mass), slopes
