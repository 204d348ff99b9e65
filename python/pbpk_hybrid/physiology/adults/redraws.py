"""Drawing organs again until they fit the person, adult or child."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..._core.errors import SolveError
from .body import INDEX

SOFT_ROUNDS = 12  # draws per person before soft rules are given up for that person
PERSON_ROUNDS = 24  # draws per person before the person is replaced
MAX_ROUNDS = 240


def draw_until_fit(
    n: int,
    draw_people: Callable[[int], np.ndarray],
    organs: Callable[[np.ndarray], dict[str, np.ndarray]],
    failure: str,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """n people with organs; and how many organ draws, thrown draws, soft exceptions, replacements.

    Parameters
    ----------
    draw_people
        Size -> (size,) people, by number.
    organs
        (m,) people -> name -> (m, ...) of one draw; ``hard`` and ``good`` (m,) say
        whether it satisfies the hard rules, and all rules.
    failure
        What follows "k of n" where draws run out; {} stands for how many.

    Raises
    ------
    SolveError
        People are left without organs after 240 rounds.
    """
    people = draw_people(n)
    result: dict[str, np.ndarray] = {}
    pending = np.arange(n)
    tries = np.zeros(n, dtype=int)
    draws = thrown = soft = replaced = 0
    for _ in range(MAX_ROUNDS):
        trial = organs(people[pending])
        hard, good = trial.pop("hard"), trial.pop("good")
        tries[pending] += 1
        excused = hard & ~good & (tries[pending] >= SOFT_ROUNDS)
        accept = good | excused
        for name, values in trial.items():
            if name not in result:
                result[name] = np.empty((n, *values.shape[1:]), dtype=values.dtype)
            result[name][pending[accept]] = values[accept]
        draws += pending.size
        thrown += int((~accept).sum())
        soft += int(excused.sum())
        pending = pending[~accept]
        if pending.size == 0:
            return result, np.array([draws, thrown, soft, replaced])
        hopeless = pending[tries[pending] >= PERSON_ROUNDS]
        if hopeless.size:
            people[hopeless] = draw_people(hopeless.size)
            tries[hopeless] = 0
            replaced += hopeless.size
    raise SolveError(f"{pending.size} of {n} {failure.format(MAX_ROUNDS)}")


def hard_rules_hold(
    mass: np.ndarray, flow: np.ndarray, gfr: np.ndarray, hematocrit: np.ndarray
) -> np.ndarray:
    """(subject,) whether masses and flows (subject, organ) are positive and GFR is at most
    renal plasma flow.
    """
    renal_plasma_flow = flow[:, INDEX["kidney"]] * (1 - hematocrit)
    return (mass > 0).all(axis=1) & (flow > 0).all(axis=1) & (gfr <= renal_plasma_flow)


def joined(
    blocks: list[dict[str, np.ndarray]], n: int, rng: np.random.Generator, *, mix: bool
) -> dict[str, np.ndarray | tuple]:
    """The columns (n, ...) of all blocks; the person's number with unit and meaning.

    `mix`: shuffle the subjects, where the sexes were drawn one after the other.
    """
    columns = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    if mix:
        order = rng.permutation(n)
        columns = {name: values[order] for name, values in columns.items()}
    person = (columns.pop("person"), "1", "NHANES sequence number of the person drawn")
    return {**columns, "nhanes_person": person}


def count_attributes(counts: np.ndarray) -> dict[str, float | int]:
    """Attributes from the four counts of :func:`draw_until_fit`."""
    draws, thrown, soft, replaced = counts
    return {
        "redrawn_fraction": float(thrown / draws),
        "soft_rule_exceptions": int(soft),
        "replaced_people": int(replaced),
    }


__all__ = [
    "PERSON_ROUNDS",
    "SOFT_ROUNDS",
    "count_attributes",
    "draw_until_fit",
    "hard_rules_hold",
    "joined",
]
