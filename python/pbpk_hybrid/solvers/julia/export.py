"""A System as a JSON file that `PBPKHybrid.load_system` reads in Julia."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from ..._core.errors import BackendUnavailableError
from ..._core.files import atomic_path
from ...models.system.system import System
from .expressions import operation_list

#: written into the file and checked by Julia
FORMAT = "pbpk_hybrid system 1"


def save_system(system: System, path: str | os.PathLike) -> Path:
    """Write a system with all its subjects; state numbers count from 0.

    The file appears whole or not at all.

    Floats are written so that they read back exactly; a factor that is not a number (no
    volume known) becomes null.

    Raises
    ------
    InputError : the folder cannot be written
    BackendUnavailableError : a system with events, for which the file has no place
    """
    if system.events is not None:
        raise BackendUnavailableError(
            "a system with events cannot be exported; simulate it from Python, with either backend"
        )
    data = {
        "format": FORMAT,
        "states": list(system.states),
        "subjects": [str(s) for s in system.subjects],
        "k_row": system.k_row.tolist(),
        "k_col": system.k_col.tolist(),
        "k_value": system.k_value.tolist(),
        "reactions": [
            {
                "name": r.name,
                "law": r.law,
                "reactants": [int(s) for s in r.reactants],
                "stoichiometry": [[int(s), float(v)] for s, v in r.stoichiometry.items()],
                "parameters": np.asarray(r.parameters, dtype=float).tolist(),
            }
            for r in system.reactions
        ],
        "observables": {
            name: {
                "states": [int(s) for s in o.states],
                "weights": [float(w) for _, w in o.terms],
                "factor": [float(f) if np.isfinite(f) else None for f in np.atleast_1d(o.factor)],
            }
            for name, o in system.observables.items()
        },
        "expressions": {k: a.tolist() for k, a in vars(operation_list(system)).items()},
        "targets": {name: int(state) for name, state in system.targets.items()},
    }
    with atomic_path(path) as draft:
        draft.write_text(json.dumps(data, allow_nan=False), encoding="utf-8")
    return Path(path)
