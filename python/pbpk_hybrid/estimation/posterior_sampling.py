"""The posterior of an Objective: importance sampling first, NUTS where its certificate fails."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._core.arguments import check_choice
from .._core.errors import InputError, MissingDependencyError, OutOfRangeWarning
from .discrepancy import DiscrepancyPredictor
from .importance import (
    ImportanceDraws,
    deviance_terms,
    draw_by_importance,
    predict_objective,
)
from .nuts import ChainSettings, ObjectiveDensity, effective_size, run_nuts, split_rhat
from .objective import Objective
from .pareto import LARGEST_K, Weights
from .posterior_draws import PatientModel, Posterior

FALLBACKS = ("nuts", "none")
#: standard deviations from priors or samples at which they contradict each other
_FAR = 4.0
_CHAINS = ChainSettings(draws=750, tune=500, chains=2)


@dataclass(frozen=True)
class SamplingSettings:
    """How draws of a posterior are made.

    Parameters
    ----------
    draws : int
        Equally weighted draws of the result; each round proposes twice as many.
    rounds : int
        Proposals at most.
    fallback : str
        "nuts", or "none": a result whose certificate fails is handed out with a warning.
    seed : int

    Raises
    ------
    InputError, UnknownNameError
        A value that cannot be used.
    """

    draws: int = 1000
    rounds: int = 5
    fallback: str = "nuts"
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("fallback", self.fallback, FALLBACKS)
        for name, least in (("draws", 100), ("rounds", 1), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise InputError(name, value, f"an integer >= {least}")


def sample_objective(
    objective: Objective,
    u: np.ndarray,
    covariance: np.ndarray,
    settings: SamplingSettings,
    assumed: Sequence[str] = (),
) -> Posterior:
    """Draws of the posterior around its mode.

    Parameters
    ----------
    objective : Objective
    u, covariance : ndarray
        Mode and inverse information, on the scale of the search.
    settings : SamplingSettings
    assumed : sequence of str
        Lines that say what was assumed; they are printed with the result.

    Returns
    -------
    Posterior

    Warns
    -----
    OutOfRangeWarning
        The Pareto k is above 0.7: NUTS takes over, or, where it is not wanted or not installed,
        the draws are not to be relied on.
    """
    _warn_of_contradictions(objective, u)
    rng = np.random.default_rng(settings.seed)
    found = draw_by_importance(
        objective, u, covariance, draws=2 * settings.draws, rng=rng, rounds=settings.rounds
    )
    facts: dict[str, Any] = {
        "method": "importance",
        "rounds": found.rounds,
        "pareto_k": found.weights.k,
        "effective_size": found.weights.effective_size,
        "seed": settings.seed,
        "mode": tuple(float(x) for x in u),
        "error_model": objective.error.kind,
        "assumed": tuple(assumed),
    }
    if found.weights.k > LARGEST_K:
        found, facts = _fall_back(objective, u, covariance, settings, found, facts)
    return _posterior(objective, found, facts, settings.draws)


def _warn_of_contradictions(objective: Objective, u: np.ndarray) -> None:
    """Say so where even the most probable parameters are far from the priors or the samples.

    Warns
    -----
    OutOfRangeWarning
    """
    rows, _ = objective.prior_rows(u)
    names = [n for n, p in zip(objective.names, objective.priors, strict=True) if p is not None]
    far = [f"{n} is {abs(r):.1f} sd from its prior" for n, r in zip(names, rows, strict=True)]
    far = [text for text, r in zip(far, rows, strict=True) if abs(r) > _FAR]
    residual = np.abs(objective.terms(u)[0].r)
    if residual.max(initial=0.0) > _FAR:
        i = int(np.argmax(residual))
        far.append(f"the sample at {objective.data.time[i]:g} h is {residual[i]:.1f} sd off")
    if far:
        text = "samples and priors contradict each other at the most probable parameters: "
        hint = "; are units of samples and doses right, and is it this compound?"
        warnings.warn(text + "; ".join(far[:3]) + hint, OutOfRangeWarning, stacklevel=5)


def _fall_back(
    objective: Objective,
    u: np.ndarray,
    covariance: np.ndarray,
    settings: SamplingSettings,
    found: ImportanceDraws,
    facts: dict[str, Any],
) -> tuple[ImportanceDraws, dict[str, Any]]:
    """Draws by NUTS instead, with a warning that says so."""
    trouble = f"importance weights of the posterior have Pareto k {found.weights.k:.2f}, above 0.7"
    if settings.fallback == "none":
        warnings.warn(f"{trouble}: not to be relied on", OutOfRangeWarning, stacklevel=5)
        return found, facts
    density = ObjectiveDensity(objective, u, covariance)
    chains = ChainSettings(_CHAINS.draws, _CHAINS.tune, _CHAINS.chains, settings.seed)
    try:
        q, diverging = run_nuts(density, chains)
    except MissingDependencyError as error:
        warnings.warn(
            f"{trouble}, and NUTS cannot take over: {error}; not to be relied on",
            OutOfRangeWarning,
            stacklevel=5,
        )
        return found, facts
    warnings.warn(f"{trouble}: NUTS takes over", OutOfRangeWarning, stacklevel=5)
    columns = [q[..., i] for i in range(q.shape[-1])]
    size = min(effective_size(c) for c in columns)
    facts = facts | {
        "method": "nuts",
        "chains": chains.chains,
        "rhat": max(split_rhat(c) for c in columns),
        "effective_size": size,
        "divergences": int(diverging.sum()),
    }
    rows = q.reshape(-1, q.shape[-1])
    equal = Weights(np.full(len(rows), -np.log(len(rows))), found.weights.k)
    return ImportanceDraws(rows, predict_objective(objective, rows), equal, found.rounds), facts


def _posterior(
    objective: Objective, found: ImportanceDraws, facts: dict[str, Any], n_equal: int
) -> Posterior:
    predictor = objective.predictor
    own = isinstance(predictor, DiscrepancyPredictor)
    model = PatientModel(
        predictor.system,
        tuple(p for p in objective.parameters if not (own and p.name in predictor.names)),
        objective.error,
        getattr(predictor, "regimen", None),  # an imported model brings its own doses
        getattr(predictor, "body_weight", None),
        getattr(predictor, "lag_time", 0.0),
        predictor.options,
        predictor.discrepancy if own else None,
    )
    terms = deviance_terms(objective, found.u, found.predicted)
    seen = ~objective.data.censored
    constant = np.where(seen, np.log(2.0 * np.pi), 0.0)
    if objective.error.kind == "lognormal":
        with np.errstate(invalid="ignore"):
            constant = constant + np.where(seen, 2.0 * np.log(objective.data.value), 0.0)
    return Posterior(
        objective.names,
        found.u,
        found.weights,
        model,
        objective.scales,
        tuple(objective.priors),
        objective.data,
        found.predicted,
        -0.5 * (terms + constant),
        facts,
        n_equal,
        predictor.basis if own else None,
    )


__all__ = ["FALLBACKS", "SamplingSettings", "sample_objective"]
