"""The one training loop: AdamW, warm-up and cosine, averaged weights, early stopping,
resumable to the bit.

Everything random in a step comes from a generator seeded by (seed, step), so a run that was
killed and resumed takes the same steps as one that was not. State is written whole, as one
safetensors file, at every evaluation.
"""

from __future__ import annotations

import contextlib
import csv
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from .._core.errors import CheckpointError, InputError, SolveError
from .._core.files import atomic_path
from .checkpoints import load_checkpoint, load_weights, save_checkpoint, with_prefix
from .devices import as_precision, autocast, device_of, seeded
from .parameter_names import present_names

KIND, FORMAT = "training state", 1
#: options that may change between a run and its resumption without changing the steps already taken
_FREE = frozenset({"max_minutes", "threads", "patience", "most_skipped"})
COLUMNS = ("step", "loss", "validation", "learning_rate", "gradient_norm", "seconds", "skipped")
#: steps before the share of skipped ones is judged
_JUDGED_FROM = 200
#: largest share of the steps that may be skipped
_MOST_SHARE = 0.05


@dataclass(frozen=True)
class TrainingOptions:
    """How to train.

    Parameters
    ----------
    steps
        optimiser steps
    learning_rate
        peak of the schedule
    warmup
        steps of linear warm-up
    schedule
        "cosine" (down to zero at `steps`) or "constant"
    weight_decay
        of AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101), on matrices only
    gradient_clip
        largest norm of the gradient; None for no limit
    ema
        decay of the averaged weights used for validation and returned; None for no
        averaging
    evaluate_every
        steps between evaluations; state is written then
    patience
        evaluations without improvement after which to stop; None for never
    max_minutes
        wall time after which to stop, over all resumptions; None for no limit
    seed
        of every draw
    threads
        torch's threads during the run; None leaves them
    precision
        "float32", or "bf16" (also "bfloat16") for automatic mixed precision
    most_skipped
        steps skipped running, for a loss or gradient that is not finite, after which the run
        is given up; it also is when more than one in twenty of at least 200 steps was skipped
    """

    steps: int
    learning_rate: float = 1e-3
    warmup: int = 200
    schedule: Literal["cosine", "constant"] = "cosine"
    weight_decay: float = 0.0
    gradient_clip: float | None = 1.0
    ema: float | None = 0.999
    evaluate_every: int = 500
    patience: int | None = None
    max_minutes: float | None = None
    seed: int = 0
    threads: int | None = None
    precision: Literal["float32", "bf16", "bfloat16"] = "float32"
    most_skipped: int = 20

    def __post_init__(self) -> None:
        least = {"steps": 1, "warmup": 0, "evaluate_every": 1, "seed": 0, "most_skipped": 1}
        for name, low in least.items():
            if not isinstance(getattr(self, name), int) or getattr(self, name) < low:
                raise InputError(name, getattr(self, name), f"an integer of at least {low}")
        if not self.learning_rate > 0:
            raise InputError("learning_rate", self.learning_rate, "a positive number")
        if self.ema is not None and not 0 <= self.ema < 1:
            raise InputError("ema", self.ema, "a number in [0, 1) or None")
        if self.schedule not in ("cosine", "constant"):
            raise InputError("schedule", self.schedule, "cosine or constant")
        object.__setattr__(self, "precision", as_precision(self.precision))

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        rise = min(1.0, (step + 1) / (self.warmup + 1))
        if self.schedule == "constant":
            return self.learning_rate * rise
        along = max(0.0, (step - self.warmup) / max(1, self.steps - self.warmup))
        return self.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * min(1.0, along)))


@dataclass
class TrainingLog:
    """What happened in a training; of one shape in all components.

    Parameters
    ----------
    history
        column of ``log.csv`` -> its values, one per evaluation
    best_step, best
        the step with the lowest validation loss, and that loss
    stopped
        by what: "steps", "patience" or "time"
    seconds
        over all resumptions
    skipped
        steps not taken, since the loss or its gradient was not finite
    seed, device, precision
        of the run
    parts
        logs of the other networks of the model by name, where it has more than one
    """

    history: dict[str, list[float]] = field(default_factory=lambda: {c: [] for c in COLUMNS})
    best_step: int = 0
    best: float = math.inf
    stopped: str = "steps"
    seconds: float = 0.0
    skipped: int = 0
    seed: int = 0
    device: str = "cpu"
    precision: str = "float32"
    parts: dict[str, TrainingLog] = field(default_factory=dict)


@dataclass(frozen=True)
class RunOptions:
    """Of one run of a training, the same in all components; a config says what is trained.

    Parameters
    ----------
    folder
        where the run keeps its state and log.csv; a run found there goes on. None: nowhere
    max_minutes
        wall time after which to stop [min], over all resumptions
    threads
        torch's threads during the run; None leaves them
    progress
        a bar on stderr when that is a terminal
    tensorboard
        event files in `folder` too (package tensorboard)
    device
        where to train, such as "cuda" (untested on CUDA); None: the CPU
    precision
        "float32", or "bf16" for automatic mixed precision
    """

    folder: str | os.PathLike | None = None
    max_minutes: float | None = None
    threads: int | None = None
    progress: bool = False
    tensorboard: bool = False
    device: Any = None
    precision: str = "float32"

    def kept(self) -> dict[str, Any]:
        """Keywords of :class:`TrainingOptions`."""
        return {
            "max_minutes": self.max_minutes,
            "threads": self.threads,
            "precision": self.precision,
        }

    def shown(self) -> dict[str, Any]:
        """Keywords of :func:`train`."""
        return {
            "folder": self.folder,
            "progress": self.progress,
            "tensorboard": self.tensorboard,
        }


def step_generator(seed: int, step: int, device: torch.device | str = "cpu") -> torch.Generator:
    """The generator of one step: (seed, step) mixed by the constant of splitmix64, so that
    neighbours differ.
    """
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) % 2**63
    return torch.Generator(device=device).manual_seed(mixed)


def train(
    module: nn.Module,
    loss: Callable[[nn.Module, int, torch.Generator], torch.Tensor],
    options: TrainingOptions,
    *,
    validate: Callable[[nn.Module], float] | None = None,
    folder: str | Path | None = None,
    progress: bool = True,
    tensorboard: bool = False,
) -> TrainingLog:
    """Train `module` in place; it ends with the best (averaged) weights.

    Parameters
    ----------
    module
        on whatever device it is to be trained
    loss
        ``loss(module, step, generator)`` -> scalar tensor. Draw everything from
        `generator`; dropout and the like use torch's own generator, which is seeded the
        same way for the length of the step
    options
        see :class:`TrainingOptions`
    validate
        ``validate(module)`` -> float, lower is better, on the averaged weights; None takes
        the mean training loss
    folder
        where ``state.safetensors`` and ``log.csv`` are kept; a run that finds a state there
        goes on from it
    progress
        a bar on stderr when that is a terminal
    tensorboard
        event files in `folder` too (package tensorboard)

    Returns
    -------
    log
        :class:`TrainingLog`

    Raises
    ------
    CheckpointError
        `folder` holds the state of a run with other options or of another network
    SolveError
        loss or gradient are not finite in ``most_skipped`` steps running, or in one step of
        twenty
    """
    run = _Run(module, options, None if folder is None else Path(folder).expanduser())
    before = torch.get_num_threads()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    try:
        with (
            _bar(options.steps, run.step, progress) as advance,
            _events(run.folder, tensorboard) as write,
        ):
            run.go(loss, validate, advance, write)
    finally:
        torch.set_num_threads(before)
    return run.log


class _Run:
    """The state of a run, and its steps."""

    def __init__(self, module: nn.Module, options: TrainingOptions, folder: Path | None) -> None:
        self.module, self.options, self.folder = module, options, folder
        parameters = [p for p in module.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            [
                {
                    "params": [p for p in parameters if p.ndim > 1],
                    "weight_decay": options.weight_decay,
                },
                {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=options.learning_rate,
        )
        self.average = {n: t.detach().clone() for n, t in module.state_dict().items()}
        self.best = {n: t.clone() for n, t in self.average.items()}
        self.step, self.waited = 0, 0
        self.device = device_of(module)
        self.log = TrainingLog(
            seed=options.seed, device=str(self.device), precision=options.precision
        )
        self.finished = False
        if folder is not None and (folder / "state.safetensors").exists():
            self._resume()

    def go(self, loss, validate, advance, write) -> None:
        options, log = self.options, self.log
        start = time.perf_counter() - log.seconds
        losses: list[float] = []
        norms: list[float] = []
        running = 0
        while self.step < options.steps and not self.finished:
            value, norm = self._one(loss)
            taken = math.isfinite(value) and math.isfinite(norm)
            self.step += 1
            running = 0 if taken else running + 1
            if taken:
                losses.append(value)
                norms.append(norm)
            else:
                log.skipped += 1
                self._give_up(running, "gradient" if math.isfinite(value) else "loss")
            advance(self.step, value, log.best)
            if self.step % options.evaluate_every and self.step != options.steps:
                continue
            log.seconds = time.perf_counter() - start
            # of no steps at all there is no loss: it must not look like a small one
            mean = sum(losses) / len(losses) if losses else math.nan
            self._evaluate(mean, sum(norms) / max(1, len(norms)), validate)
            write(self.step, {name: log.history[name][-1] for name in COLUMNS})
            losses, norms = [], []
            self._stop_early()
            self._write()
        self.module.load_state_dict(self.best)

    def _give_up(self, running: int, what: str) -> None:
        """
        Raises
        ------
        SolveError
            too many steps had a loss or gradient that is not finite
        """
        options, skipped = self.options, self.log.skipped
        if running >= options.most_skipped:
            how_many = f"in {running} steps running, up to step {self.step}"
        elif self.step >= _JUDGED_FROM and skipped > _MOST_SHARE * self.step:
            how_many = f"in {skipped} of {self.step} steps"
        else:
            return
        raise SolveError(
            f"training: the {what} was not finite {how_many}; "
            f"lower learning_rate (now {options.learning_rate:g})"
        )

    def _one(self, loss) -> tuple[float, float]:
        options, module = self.options, self.module
        module.train()
        for group in self.optimizer.param_groups:
            group["lr"] = options.rate(self.step)
        drawn = step_generator(options.seed, self.step)
        with (
            seeded(drawn.initial_seed(), self.device),
            autocast(self.device, options.precision),
        ):
            value = loss(module, self.step, drawn)
        self.optimizer.zero_grad(set_to_none=True)
        number = float(value.detach())
        if not math.isfinite(number):
            return number, math.nan
        value.backward()
        limit = math.inf if options.gradient_clip is None else options.gradient_clip
        norm = float(nn.utils.clip_grad_norm_(module.parameters(), limit))
        if math.isfinite(norm):
            self.optimizer.step()
            self._average()
        return number, norm

    @torch.no_grad()
    def _average(self) -> None:
        if self.options.ema is None:
            return
        decay = min(
            self.options.ema, (1 + self.step) / (10 + self.step)
        )  # the first steps are forgotten quickly
        for name, tensor in self.module.state_dict().items():
            if tensor.is_floating_point():
                self.average[name].lerp_(tensor, 1 - decay)
            else:
                self.average[name].copy_(tensor)

    @torch.no_grad()
    def _evaluate(self, mean: float, norm: float, validate) -> None:
        log, module = self.log, self.module
        current = {n: t.detach().clone() for n, t in module.state_dict().items()}
        if self.options.ema is None:
            self.average = current
        value = mean
        if validate is not None:
            module.load_state_dict(self.average)
            module.eval()
            with (
                seeded(self.options.seed, self.device),
                autocast(self.device, self.options.precision),
            ):
                value = float(validate(module))
            module.load_state_dict(current)
        rate = self.options.rate(self.step - 1)
        row = (self.step, mean, value, rate, norm, log.seconds, log.skipped)
        for name, number in zip(COLUMNS, row, strict=True):
            log.history[name].append(number)
        if value < log.best:
            log.best, log.best_step, self.waited = value, self.step, 0
            self.best = {n: t.clone() for n, t in self.average.items()}
        else:
            self.waited += 1

    def _stop_early(self) -> None:
        options = self.options
        if options.patience is not None and self.waited >= options.patience:
            self.finished, self.log.stopped = True, "patience"
        elif options.max_minutes is not None and self.log.seconds >= 60 * options.max_minutes:
            self.finished, self.log.stopped = True, "time"

    def _write(self) -> None:
        if self.folder is None:
            return
        tensors = {}
        for kind, state in (
            ("now", self.module.state_dict()),
            ("average", self.average),
            ("best", self.best),
        ):
            tensors |= {f"{kind}/{name}": tensor.clone() for name, tensor in state.items()}
        for i, state in self.optimizer.state_dict()["state"].items():
            tensors |= {
                f"optimizer/{i}/{name}": torch.as_tensor(value).clone()
                for name, value in state.items()
            }
        log = self.log
        config = {
            "options": asdict(self.options),
            "step": self.step,
            "waited": self.waited,
            "history": {k: [_json(x) for x in v] for k, v in log.history.items()},
            "best": _json(log.best),
            "best_step": log.best_step,
            "stopped": log.stopped,
            "seconds": log.seconds,
            "skipped": log.skipped,
            "finished": self.finished,
        }
        save_checkpoint(
            self.folder / "state.safetensors",
            tensors,
            config,
            kind=KIND,
            format_version=FORMAT,
            overwrite=True,
        )
        with atomic_path(self.folder / "log.csv") as draft, draft.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(COLUMNS)
            rows.writerows(zip(*(log.history[c] for c in COLUMNS), strict=True))

    def _resume(self) -> None:
        tensors, config = load_checkpoint(
            self.folder / "state.safetensors", kind=KIND, format_version=FORMAT
        )
        free = _FREE | ({"steps"} if self.options.schedule == "constant" else set())
        before = json.loads(json.dumps(asdict(self.options)))
        for item in fields(self.options):
            if item.name not in free and config["options"].get(item.name) != before[item.name]:
                raise CheckpointError(
                    item.name,
                    before[item.name],
                    f"{config['options'].get(item.name)}, as in the run kept in {self.folder}",
                    hint="give the same options, or another folder",
                )

        load_weights(self.module, with_prefix(tensors, "now/"))
        device = self.device
        network = type(self.module).__name__
        average, best = (
            present_names(network, with_prefix(tensors, kind)) for kind in ("average/", "best/")
        )
        self.average = {n: t.to(device) for n, t in average.items()}
        self.best = {n: t.to(device) for n, t in best.items()}
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in with_prefix(tensors, "optimizer/").items():
            i, key = name.split("/")
            state.setdefault(int(i), {})[key] = tensor
        whole = self.optimizer.state_dict()
        whole["state"] = state
        self.optimizer.load_state_dict(whole)
        self.step, self.waited = config["step"], config["waited"]
        log = self.log
        found = config["history"]
        log.history = {  # runs of before counted no skipped steps
            k: [x if isinstance(x, int) else float(x) for x in found[k]]
            if k in found
            else [0] * len(found["step"])
            for k in COLUMNS
        }
        log.skipped = config.get("skipped", 0)
        log.best, log.best_step, log.seconds = (
            float(config["best"]),
            config["best_step"],
            config["seconds"],
        )
        # a run that ended by patience or time may go on when that limit was raised
        if config["finished"]:
            self._stop_early()


def _json(value: float) -> float | str:
    """JSON knows no infinity: it becomes a word that float() reads."""
    return value if math.isfinite(value) else repr(float(value))


def _number(value: float | str) -> float:
    return float(value)


@contextlib.contextmanager
def _bar(total: int, done: int, show: bool) -> Iterator[Callable[[int, float, float], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    screen = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=screen, transient=True, disable=not show or not screen.is_terminal
    ) as bar:
        task = bar.add_task("training", total=total, completed=done)
        yield lambda step, loss, best: bar.update(
            task, completed=step, description=f"loss {loss:.4g}, best {best:.4g}"
        )


@contextlib.contextmanager
def _events(folder: Path | None, wanted: bool) -> Iterator[Callable[[int, dict[str, float]], None]]:
    if not wanted:
        yield lambda step, row: None
        return
    if folder is None:
        raise InputError("tensorboard", True, "a `folder` to write the event files to")
    from .._core.optional import require

    writer = require(
        "torch.utils.tensorboard", "learn", "event files (package tensorboard)"
    ).SummaryWriter(str(folder))
    try:
        yield lambda step, row: [
            writer.add_scalar(name, value, step) for name, value in row.items() if name != "step"
        ]
    finally:
        writer.close()
