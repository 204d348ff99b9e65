"""Checkpoints: one safetensors file, its configuration as JSON in the file's own metadata. No pickle, nothing is executed.

The header of a safetensors file is a JSON table of names, types, shapes and offsets, followed by the raw numbers
(https://huggingface.co/docs/safetensors). Reading one therefore cannot run code; what is checked here is that it is a file
of this package, of the right kind and version, and not larger than it says it is allowed to be.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._core.errors import CheckpointError
from .._core.files import atomic_path
from .._core.optional import require
from .._core.provenance import VERSION

#: largest file that is read, in bytes: far above anything this package writes
LARGEST = 2 * 1024**3
_KEY = "pbpk_hybrid"


def save_checkpoint(
    path: str | os.PathLike,
    tensors: Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    kind: str,
    format_version: int,
    overwrite: bool = False,
) -> Path:
    """Write tensors and their configuration as one file, whole or not at all.

    Parameters
    ----------
    path : file name; ``.safetensors`` is added when it has no suffix
    tensors : name -> torch.Tensor of any shape, any device (written from the CPU, contiguous)
    config : what is needed to use the tensors again: plain JSON values
    kind : which component it belongs to, such as ``"pcdm"``
    format_version : raised whenever older code could not read the file any more
    overwrite : replace a file that is there

    Returns
    -------
    path : the file written

    Raises
    ------
    CheckpointError : the file is there and `overwrite` is False, or `config` is not plain JSON
    InputError : the folder cannot be written
    """
    save_file = require("safetensors.torch", "learn", "checkpoints").save_file
    path = Path(path).expanduser()
    if not path.suffix:
        path = path.with_suffix(".safetensors")
    if path.exists() and not overwrite:
        raise CheckpointError(
            "path", str(path), "a file that is not there yet", hint="overwrite=True replaces it"
        )
    try:
        head = json.dumps(
            {
                "kind": kind,
                "format_version": format_version,
                "package_version": VERSION,
                "config": dict(config),
            },
            allow_nan=False,
            sort_keys=True,
        )
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            "config", repr(config)[:200], "plain JSON values", hint=str(error)
        ) from error
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as draft:
        save_file(plain, draft, metadata={_KEY: head})
        draft.chmod(0o644)  # the library makes it readable to its owner alone
    return path


def read_config(path: str | os.PathLike, *, kind: str, format_version: int) -> dict[str, Any]:
    """The configuration of a checkpoint, checked, without reading its tensors.

    Raises
    ------
    CheckpointError : not a file, not a safetensors file of this package, of another kind, or of another format version
    """
    path = _existing(path)
    safe_open = require("safetensors", "learn", "checkpoints").safe_open
    try:
        with safe_open(path, framework="pt") as file:
            head = json.loads((file.metadata() or {})[_KEY])
        found, version, config = head["kind"], head["format_version"], head["config"]
    except KeyError as error:
        raise CheckpointError(
            "path", str(path), "a checkpoint written by pbpk_hybrid", hint=f"no {error} in it"
        ) from error
    except Exception as error:  # the library's own error type is not public
        raise CheckpointError(
            "path", str(path), "a whole safetensors file", hint=_first_line(error)
        ) from error
    if found != kind:
        raise CheckpointError(
            "kind", found, repr(kind), hint=f"{path.name} belongs to another component"
        )
    if version != format_version:
        newer = isinstance(version, int) and version > format_version
        raise CheckpointError(
            "format_version",
            version,
            str(format_version),
            hint="a newer pbpk_hybrid wrote it: upgrade"
            if newer
            else "train it again with this version",
        )
    if not isinstance(config, dict):
        raise CheckpointError("config", type(config).__name__, "a JSON object")
    return config


def load_checkpoint(
    path: str | os.PathLike, *, kind: str, format_version: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tensors (on the CPU) and configuration of a checkpoint.

    Returns
    -------
    tensors : name -> torch.Tensor
    config : as it was given to :func:`save_checkpoint`

    Raises
    ------
    CheckpointError : as :func:`read_config`
    """
    config = read_config(path, kind=kind, format_version=format_version)
    load_file = require("safetensors.torch", "learn", "checkpoints").load_file
    return load_file(_existing(path), device="cpu"), config


def load_weights(module, tensors: Mapping[str, Any]) -> None:
    """Put `tensors` into a torch module; every name and shape must fit.

    Raises
    ------
    CheckpointError : names that are missing, too many, or of another shape
    """
    own = module.state_dict()
    missing, extra = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    if missing or extra:
        raise CheckpointError(
            "tensors", f"missing {missing[:3]}, unknown {extra[:3]}", "the weights of this network"
        )
    for name, tensor in own.items():
        if tensor.shape != tensors[name].shape:
            raise CheckpointError(
                f"tensor {name}", tuple(tensors[name].shape), f"shape {tuple(tensor.shape)}"
            )
    module.load_state_dict(dict(tensors))


def _existing(path: str | os.PathLike) -> Path:
    path = Path(path).expanduser()
    if not path.suffix and not path.exists():
        path = path.with_suffix(".safetensors")
    if not path.is_file():
        raise CheckpointError("path", str(path), "a checkpoint file that exists")
    if path.stat().st_size > LARGEST:
        raise CheckpointError("path", f"{path.stat().st_size} bytes", f"at most {LARGEST} bytes")
    return path


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
