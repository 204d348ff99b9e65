"""Checkpoints: one safetensors file, its configuration as JSON in the file's own metadata.
No pickle, nothing is executed.

The header of a safetensors file is a JSON table of names, types, shapes and offsets,
followed by the raw numbers (https://huggingface.co/docs/safetensors). Reading one therefore
cannot run code; what is checked here is that it is a file of this package, of the right
kind and version, and not larger than it says it is allowed to be.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.errors import CheckpointError, FileFormatError, MissingDependencyError
from .._core.files import atomic_path
from .._core.limits import border, check, check_nesting, parse_json
from .._core.optional import require
from .._core.provenance import VERSION
from .parameter_names import present_names

if TYPE_CHECKING:
    from torch import nn

#: largest number among the weights; those of the shipped networks are below 300
LARGEST_WEIGHT = 1e6
_KEY = "pbpk_hybrid"
_MAY_BE_NONE = ("patience",)


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
    path
        file name; ``.safetensors`` is added when it has no suffix
    tensors
        name -> torch.Tensor of any shape, any device (written from the CPU, contiguous)
    config
        what is needed to use the tensors again: plain JSON values
    kind
        which component it belongs to, such as ``"pcdm"``
    format_version
        raised whenever older code could not read the file any more
    overwrite
        replace a file that is there

    Returns
    -------
    path
        the file written

    Raises
    ------
    CheckpointError
        the file is there and `overwrite` is False, or `config` is not plain JSON
    InputError
        the folder cannot be written
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
    CheckpointError
        not a file, not a safetensors file of this package, of another kind, or of another
        format version
    """
    path = _existing(path)
    _check_header(path)
    safe_open = require("safetensors", "learn", "checkpoints").safe_open
    with border("path", str(path), "a whole safetensors file", error=CheckpointError):
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(_KEY, "")
        if text:
            check_nesting(text, str(path), json_text=True, error=CheckpointError)
        head = json.loads(text, parse_constant=_no_number) if text else {}
    missing = [n for n in ("kind", "format_version", "config") if n not in head]
    if missing:
        raise CheckpointError(
            "path", str(path), "a checkpoint written by pbpk_hybrid", hint=f"no {missing[0]} in it"
        )
    found, version, config = head["kind"], head["format_version"], head["config"]
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
    tensors
        name -> torch.Tensor
    config
        as it was given to :func:`save_checkpoint`

    Raises
    ------
    CheckpointError
        as :func:`read_config`
    """
    config = read_config(path, kind=kind, format_version=format_version)
    load_file = require("safetensors.torch", "learn", "checkpoints").load_file
    with reading(path):
        return load_file(_existing(path), device="cpu"), config


@contextlib.contextmanager
def reading(path: str | os.PathLike | None) -> Iterator[None]:
    """Whatever goes wrong while a model is put together from a file is the file's fault,
    and said so.

    Raises
    ------
    CheckpointError
        instead of every other error but that of a package that is not installed
    """
    try:
        yield
    except (CheckpointError, MissingDependencyError):
        raise
    except Exception as error:
        raise CheckpointError(
            "path",
            "the shipped checkpoint" if path is None else str(path),
            "a whole checkpoint of this component",
            hint=f"{type(error).__name__}: {_first_line(error)}",
        ) from error


def settings_of(
    kind: type, stored: Any, limits: Mapping[str, tuple[float, float]], **more: Any
) -> Any:
    """The settings of a component, a dataclass, from a checkpoint's plain values.

    Every size is held to its limits before anything is built by it: one number in the file
    must not cost gigabytes or hours.

    Parameters
    ----------
    kind
        the dataclass; its defaults say which type each value has
    limits
        name -> (least, largest) of numbers; numbers without limits only have to be finite
    more
        fields that were read already

    Raises
    ------
    CheckpointError
        not a table, an unknown name, a value of another type, not finite, or beyond its
        limits
    """
    if not isinstance(stored, Mapping):
        raise CheckpointError("config", type(stored).__name__, "a JSON object of settings")
    defaults = {f.name: getattr(kind(), f.name) for f in fields(kind)}
    for name, value in stored.items():
        field = f"config.{name}"
        if name not in defaults:
            raise CheckpointError(field, value, f"a setting of {kind.__name__}")
        if name in more or not isinstance(defaults[name], (bool, int, float)):
            continue
        least, largest = limits.get(name, (-math.inf, math.inf))
        if value is None and name in _MAY_BE_NONE:
            continue
        if isinstance(defaults[name], bool):
            if not isinstance(value, bool):
                raise CheckpointError(field, value, "true or false")
        elif isinstance(value, bool) or not isinstance(
            value, int if isinstance(defaults[name], int) else (int, float)
        ):
            raise CheckpointError(field, value, f"a number like {defaults[name]!r}")
        elif not (math.isfinite(value) and least <= value <= largest):
            raise CheckpointError(field, value, f"a number from {least:g} to {largest:g}")
    with reading("config"):
        return kind(**{k: v for k, v in stored.items() if k not in more}, **more)


def check_finite(tensors: Mapping[str, Any], infinite: Sequence[str] = ()) -> None:
    """
    Parameters
    ----------
    infinite
        names of tensors in which infinity has a meaning

    Raises
    ------
    CheckpointError
        a number that is NaN, infinite, or larger than any weight is
        (:data:`LARGEST_WEIGHT`)
    """
    for name, tensor in tensors.items():
        if not tensor.dtype.is_floating_point:
            continue
        size = tensor.abs()
        bad = size.isnan() if name in infinite else ~(size <= LARGEST_WEIGHT)
        if bad.any():
            raise CheckpointError(
                f"tensor {name}",
                float(tensor[bad][0]),
                f"numbers of at most {LARGEST_WEIGHT:g} in size",
                hint=f"{int(bad.sum())} of {bad.numel()} are not",
            )


def check_array(
    name: str,
    array: Any,
    shape: tuple[int | None, ...],
    low: float = -math.inf,
    high: float = math.inf,
) -> Any:
    """`array`, a tensor or numpy array, if it has this shape (None: any length) and lies in
    [low, high].

    Raises
    ------
    CheckpointError
    """
    found = tuple(array.shape)
    if len(found) != len(shape) or any(
        n is not None and n != m for n, m in zip(shape, found, strict=True)
    ):
        raise CheckpointError(f"tensor {name}", found, f"shape {shape}")
    if array.size if isinstance(array, np.ndarray) else array.numel():
        least, largest = float(array.min()), float(array.max())
        if not (least >= low and largest <= high):
            raise CheckpointError(
                f"tensor {name}", (least, largest), f"numbers from {low:g} to {high:g}"
            )
    return array


def check_sizes(build: Callable[[], Any], tensors: Mapping[str, Any]) -> None:
    """Compare the network that the settings ask for with the weights in the file, before
    memory is spent on it.

    Parameters
    ----------
    build
        makes the network; it is called on torch's meta device, which has shapes and no
        numbers

    Raises
    ------
    CheckpointError
        names that are missing, too many, or of another shape
    """
    import torch

    with torch.device("meta"):
        module = build()
    _compare(module.state_dict(), present_names(type(module).__name__, tensors))


def load_weights(module: nn.Module, tensors: Mapping[str, Any]) -> None:
    """Put `tensors` into a torch module; every name and shape must fit.

    Names of earlier versions are understood, see :mod:`.parameter_names`.

    Raises
    ------
    CheckpointError
        names that are missing, too many, or of another shape
    """
    tensors = present_names(type(module).__name__, tensors)
    _compare(module.state_dict(), tensors)
    module.load_state_dict(tensors)


def with_prefix(tensors: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The tensors whose names start with `prefix`, under the rest of their names."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _compare(expected: Mapping[str, Any], tensors: Mapping[str, Any]) -> None:
    missing, extra = (
        sorted(expected.keys() - tensors.keys()),
        sorted(tensors.keys() - expected.keys()),
    )
    if missing or extra:
        raise CheckpointError(
            "tensors", f"missing {missing[:3]}, unknown {extra[:3]}", "the weights of this network"
        )
    for name, tensor in expected.items():
        if tensor.shape != tensors[name].shape:
            raise CheckpointError(
                f"tensor {name}", tuple(tensors[name].shape), f"shape {tuple(tensor.shape)}"
            )
        if tensor.dtype.is_floating_point != tensors[name].dtype.is_floating_point:
            raise CheckpointError(f"tensor {name}", str(tensors[name].dtype), str(tensor.dtype))


def _no_number(text: str):
    raise ValueError(f"{text} is no number")


def _existing(path: str | os.PathLike) -> Path:
    path = Path(path).expanduser()
    if not path.suffix and not path.exists():
        path = path.with_suffix(".safetensors")
    if not path.is_file():
        raise CheckpointError("path", str(path), "a checkpoint file that exists")
    check("checkpoint_bytes", path.stat().st_size, str(path), error=CheckpointError)
    return path


def _check_header(path: Path) -> None:
    """The table at the start of a safetensors file, looked at before the library sees it: it
    would read a header of any depth, and a table of any number of tensors.

    Raises
    ------
    CheckpointError
        not such a file, or a header over the limits
    """
    with border("path", str(path), "a whole safetensors file", error=CheckpointError):
        with path.open("rb") as file:
            first = file.read(8)
            size = int.from_bytes(first, "little")
            if len(first) < 8 or size > path.stat().st_size - 8:
                raise CheckpointError(
                    "path",
                    str(path),
                    "a whole safetensors file",
                    hint=f"its header would have {size:,} bytes",
                )
            check("checkpoint_header", size, str(path), error=CheckpointError)
            text = file.read(size).decode("utf-8")
        try:
            table = parse_json(text, path.name, expected="the header of a safetensors file")
        except FileFormatError as error:
            raise CheckpointError(
                "path", str(path), "a whole safetensors file", hint=str(error)
            ) from error
        check("checkpoint_tensors", len(table), str(path), error=CheckpointError)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
