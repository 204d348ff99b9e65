"""Drawing organs again until they fit the person, adult or child."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..._core.errors import SolveError

SOFT_ROUNDS = 12  # draws per person before soft rules are given up for that person
PERSON_ROUNDS = 24  # draws per person before the person is replaced
MAX_ROUNDS = 240


def draw_until_fit(
    n: int,
    somebody: Callable[[int], np.ndarray],
    organs: Callable[[np.ndarray], dict[str, np.ndarray]],
    failure: str,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """n people with organs; and how many organ draws, thrown draws, soft exceptions, replacements.

    Parameters
    ----------
    somebody : size -> (size,) people, by number
    organs : (m,) people -> name -> (m, ...) of one draw; ``hard`` and ``good`` (m,) say whether it satisfies the hard rules,
        and all rules
    failure : what follows "k of n" where draws run out; {} stands for how many

    Raises
    ------
    SolveError : people are left without organs after 240 rounds
    """
    who = somebody(n)
    result: dict[str, np.ndarray] = {}
    pending = np.arange(n)
    tries = np.zeros(n, dtype=int)
    draws = thrown = soft = replaced = 0
    for _ in range(MAX_ROUNDS):
        trial = organs(who[pending])
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
            who[hopeless] = somebody(hopeless.size)
            tries[hopeless] = 0
            replaced += hopeless.size
    raise SolveError(f"{pending.size} of {n} {failure.format(MAX_ROUNDS)}")


__all__ = ["PERSON_ROUNDS", "SOFT_ROUNDS", "draw_until_fit"]
