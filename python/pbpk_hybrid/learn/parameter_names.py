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
    "AllometryModule": {
        "first.own": "conv1.weight_root",
        "first.heard": "conv1.weight_neighbour",
        "first.shift": "conv1.bias",
        "second.own": "conv2.weight_root",
        "second.heard": "conv2.weight_neighbour",
        "second.shift": "conv2.bias",
        "pool": "readout",
        "mass": "mass_weight",
        "field": "field_weight",
        "gate_in": "gate_weight_in",
        "gate_shift": "gate_bias_in",
        "gate_out": "gate_weight_out",
        "gate_start": "gate_bias_out",
        "binding": "binding_bias",
        "binding_block": "binding_descriptors",
        "prior_shift": "prior_bias",
        "prior_factor": "prior_slope",
        "unknown_shift": "prior_bias_unknown",
        "log_common": "log_sd_common",
        "log_unknown": "log_sd_common_unknown",
        "log_path": "log_sd_kernel",
        "log_own": "log_sd_species",
        "log_own_species": "log_sd_species_factor",
        "place": "kernel_embedding",
        "log_length": "log_inverse_length",
        "spread": "noise_weight",
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
