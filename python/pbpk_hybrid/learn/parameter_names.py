"""Names of weights that were renamed, so that checkpoints written before still load.

One table for all components: class of the network -> old name -> present name. A name stands for a
parameter (``place``), a submodule (``first``) or both in one path (``first.heard``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RENAMED: dict[str, dict[str, str]] = {
    "ForecasterModule": {
        "site": "site_embedding",
        "observed": "observation_embedding",
        "static": "covariate_embedding",
        "start": "learned_tokens",
        "other": "context_projection",
        "guess": "initial_head",
        "misfit": "residual_embedding",
        "parameters_seen": "parameter_embedding",
        "step": "correction_head",
        "final_misfit": "final_residual_embedding",
        "asked": "query_embedding",
        "head": "mixture_head",
        "weights": "mixture_logits",
    },
}


def present_names(network: str, tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors of a checkpoint under the names that the network has now.

    Parameters
    ----------
    network : str
        class of the network, such as ``"AllometryModule"``
    tensors : mapping
        parameter name, old or present -> tensor

    Returns
    -------
    dict
        present parameter name -> the same tensors; unknown names stay as they are
    """
    table = RENAMED.get(network, {})
    return {_present_name(table, name): tensor for name, tensor in tensors.items()}


def _present_name(table: Mapping[str, str], name: str) -> str:
    """The longest renamed prefix of a dotted name, replaced."""
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        new = table.get(".".join(parts[:n]))
        if new is not None:
            return ".".join([new, *parts[n:]])
    return name
