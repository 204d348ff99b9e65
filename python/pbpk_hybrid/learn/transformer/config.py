"""What the network is made of and how it is trained; one TOML file holds all of it."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from typing import Any

from ..._core.errors import InputError, unknown_name
from ..._core.limits import border, check_nesting, read_text
from ..settings import make_settings
from .corpus import CorpusOptions

DECODERS = ("curves", "shifted")


@dataclass(frozen=True)
class ForecasterConfig:
    """Size of the network and course of the training.

    Parameters
    ----------
    width
        of tokens
    heads
        of attention
    encoder_layers
        before the first guess
    refine_layers
        after it
    hypotheses
        K, disposition curves each patient may have
    anchored
        components that follow the mechanistic curve
    summaries
        tokens by which another patient is seen
    decoder
        "curves": in plasma and blood the prediction follows the curves of the hypotheses and a
        bent reference curve, and components are weighted once a patient; "shifted": every query
        shifts its components freely, as in the first shipped forecaster
    steps, learning_rate, schedule, ema, warmup, weight_decay, evaluate_every, seed
        of the training; with the constant schedule a finished run can be made longer
    validation_batches
        on which the training is judged
    corpus
        see :class:`CorpusOptions`
    """

    width: int = 128
    heads: int = 4
    encoder_layers: int = 3
    refine_layers: int = 1
    hypotheses: int = 4
    anchored: int = 2
    summaries: int = 2
    decoder: str = "curves"
    steps: int = 100_000
    learning_rate: float = 7e-4
    schedule: str = "constant"
    ema: float = 0.9993
    warmup: int = 500
    weight_decay: float = 0.01
    evaluate_every: int = 250
    seed: int = 1
    validation_batches: int = 16
    corpus: CorpusOptions = field(default_factory=CorpusOptions)

    def __post_init__(self) -> None:
        for name in (
            "width",
            "heads",
            "encoder_layers",
            "refine_layers",
            "hypotheses",
            "anchored",
            "summaries",
            "steps",
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise InputError(f"config.{name}", value, "an integer of at least 1")
        if self.decoder not in DECODERS:
            raise unknown_name("config.decoder", self.decoder, DECODERS, what="a decoder")
        if self.width % self.heads:
            raise InputError("config.width", self.width, f"a multiple of heads = {self.heads}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the inverse of :meth:`from_dict`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ForecasterConfig:
        """From plain values, with all checks.

        Raises
        ------
        UnknownNameError
            a name that is no setting
        InputError
            a value of another type or out of range
        """
        values = dict(values)
        corpus = values.pop("corpus", {})
        if not isinstance(corpus, dict):
            raise InputError("config.corpus", corpus, "a table of settings")
        return make_settings(
            cls, values, "config", corpus=make_settings(CorpusOptions, corpus, "config.corpus")
        )

    @classmethod
    def from_toml(cls, path: str | os.PathLike) -> ForecasterConfig:
        """From a file such as ``large.toml`` beside the benchmark.

        Raises
        ------
        FileFormatError
            not a TOML file
        """
        import tomllib

        text = read_text(path, "settings_bytes", field="config", expected="a TOML file")
        check_nesting(text, str(path))
        with border("config", str(path), "a TOML file"):
            values = tomllib.loads(text)
        return cls.from_dict(values)


__all__ = ["ForecasterConfig"]
