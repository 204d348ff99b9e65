"""One subject's System with many values of its parameters, integrated in one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..models.system.named import named, own_values
from ..models.system.system import Coefficients, System
from ..solvers.base import Problem, StopTable
from ..solvers.model_runs import run_model
from .model_fits import ModelPredictor
from .predictor import Predictor


def system_of_draws(system: System, values: Mapping[str, np.ndarray], n: int) -> System:
    """The System with n subjects, each the same person with values of its own.

    Parameters
    ----------
    system : System
        Of one subject.
    values : mapping of str to ndarray, (n,)
        Named parameters that differ.

    Returns
    -------
    System
        With subjects 0 to n - 1. Where the model's own assembly cannot take many values at once,
        it is called for one after the other; the numbers are the same.
    """
    one = named(system)
    own = own_values(one)
    try:
        together = one.assemble({**own, **values})
        checked = {0, n // 2, n - 1}
        if not all(_agrees(together, _alone(one, own, values, i), i, n) for i in checked):
            together = None
    except (ValueError, IndexError, TypeError):  # an assembly written for one subject
        together = None
    if together is None:
        together = _stacked([_alone(one, own, values, i) for i in range(n)])
    return _with_coefficients(one, together, n)


def _alone(
    one: System, own: Mapping[str, np.ndarray], values: Mapping[str, np.ndarray], i: int
) -> Coefficients:
    """Coefficients of one draw."""
    return one.assemble({**own, **{k: np.atleast_1d(v[i]) for k, v in values.items()}})


def _arrays(c: Coefficients) -> list[np.ndarray]:
    """All arrays of some coefficients, in a fixed order, subjects first."""
    parts = [c.k_value, *(np.atleast_2d(r) for r in c.reaction_parameters)]
    named_parts = (c.observable_factor, c.observable_offset)
    parts += [np.atleast_1d(v) for part in named_parts for v in part.values()]
    return parts if c.event_constants is None else [*parts, np.atleast_2d(c.event_constants)]


def _agrees(together: Coefficients, alone: Coefficients, i: int, n: int) -> bool:
    """Whether a draw of the batch is what it gives by itself: shapes alone do not say."""
    for batch, single in zip(_arrays(together), _arrays(alone), strict=True):
        if len(batch) not in (1, n):
            return False
        row = batch[i] if len(batch) == n else batch[0]
        if not np.allclose(row, single[0], rtol=1e-12, atol=0.0):
            return False
    return True


def _stacked(parts: Sequence[Coefficients]) -> Coefficients:
    """Coefficients of many draws from those of each."""
    stack = lambda rows: np.concatenate([np.atleast_1d(r)[:1] for r in rows])
    first = parts[0]
    return Coefficients(
        stack([p.k_value for p in parts]),
        tuple(
            stack([np.atleast_2d(p.reaction_parameters[j]) for p in parts])
            for j in range(len(first.reaction_parameters))
        ),
        {k: stack([p.observable_factor[k] for p in parts]) for k in first.observable_factor},
        {k: stack([p.observable_offset[k] for p in parts]) for k in first.observable_offset},
        None if first.event_constants is None else stack([p.event_constants for p in parts]),
    )


def _with_coefficients(one: System, c: Coefficients, n: int) -> System:
    """The System of n subjects with these coefficients."""
    rows = lambda a: np.broadcast_to(a, (n, *np.shape(a)[1:]))
    observables = {
        name: replace(
            observable,
            factor=rows(np.atleast_1d(c.observable_factor.get(name, observable.factor))),
            offset=rows(np.atleast_1d(c.observable_offset[name]))
            if name in c.observable_offset
            else observable.offset,
        )
        for name, observable in one.observables.items()
    }
    reactions = tuple(
        replace(r, parameters=rows(np.atleast_2d(p)))
        for r, p in zip(one.reactions, c.reaction_parameters, strict=True)
    )
    events = one.events
    if events is not None and c.event_constants is not None:
        events = replace(events, values_of_constants=rows(c.event_constants))
    return replace(
        one,
        events=events,
        k_value=rows(c.k_value),
        n_subjects=n,
        subjects=np.arange(n),
        reactions=reactions,
        observables=observables,
        parameters={},
        assemble=None,
    )


def predict_draws(
    predictor: Predictor | ModelPredictor, values: Mapping[str, np.ndarray], n: int
) -> np.ndarray:
    """Predictions of all observations for n draws.

    Parameters
    ----------
    predictor : Predictor or ModelPredictor
    values : mapping of str to ndarray, (n,) or (n, n_subjects)
        Target -> values.

    Returns
    -------
    ndarray, (n, n_observations)
        NaN where a draw cannot be integrated. A model of one subject is integrated in one batch,
        one of several subjects draw by draw.
    """
    if predictor.system.n_subjects > 1:
        return np.array(
            [
                predictor({k: np.atleast_1d(v[i]) for k, v in values.items()}, False)[0]
                for i in range(n)
            ]
        )
    predictor.calls += n
    if isinstance(predictor, ModelPredictor):
        return _predict_imported(predictor, values, n)
    many = system_of_draws(predictor.system, values, n)
    problem = Problem(
        many,
        _for_everyone(predictor.stops, n),
        predictor.times,
        predictor.data.compartments,
        predictor.start,
        None,
        (),
    )
    amount = predictor.backend.solve(problem, predictor.options).amount
    out = np.empty((n, len(predictor.data)))
    for j, (time, compartment) in enumerate(
        zip(predictor.row, predictor.data.compartment, strict=True)
    ):
        observable = many.observables[predictor.data.compartments[compartment]]
        out[:, j] = amount[:, time, compartment] * observable.factor
        if observable.offset is not None:
            out[:, j] += observable.offset
    return out


def _predict_imported(
    predictor: ModelPredictor, values: Mapping[str, np.ndarray], n: int
) -> np.ndarray:
    """The same for a model that brings its own doses."""
    model = predictor.system.model
    assembled = model.assembled(values, np.arange(n))
    outputs = {c: model.observed(c, assembled) for c in predictor.data.compartments}
    run = run_model(assembled, predictor.times, outputs, predictor.backend, predictor.options)
    return run.values[:, predictor.row, predictor.data.compartment]


def _for_everyone(stops: StopTable, n: int) -> StopTable:
    """Stops of one subject as stops of n."""
    value = stops.value
    if value.ndim == 2:  # (1, n_stops): amounts per kg
        value = np.broadcast_to(value, (n, value.shape[1]))
    return replace(stops, subject=np.full(len(stops.subject), -1), value=value)


__all__ = ["predict_draws", "system_of_draws"]
