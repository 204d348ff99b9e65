"""What a trained model says of itself: one line in ``repr``, a table in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from torch import nn


@dataclass(frozen=True)
class ModelCard:
    """What is to be said of a trained model.

    Parameters
    ----------
    name : str
        class of the model
    kind : str
        of its checkpoints
    format_version : int
        of its checkpoints
    parameters : int
        number of weights
    entries : mapping
        label -> value: what it predicts, what it was trained on, its sizes
    """

    name: str
    kind: str
    format_version: int
    parameters: int
    entries: Mapping[str, object]

    @property
    def checkpoint(self) -> str:
        """Kind and version of the checkpoints."""
        return f"{self.kind}, version {self.format_version}"

    def line(self) -> str:
        """One line, for ``repr``."""
        trained = self.entries.get("trained on", "unknown data")
        return (
            f"<{self.name}: {self.parameters:,} weights, trained on {trained}; "
            f"checkpoint {self.checkpoint}>"
        )

    def html(self) -> str:
        """A table, for notebooks."""
        rows = {**self.entries, "weights": f"{self.parameters:,}", "checkpoint": self.checkpoint}
        body = "".join(
            f"<tr><th style='text-align:left'>{escape(label)}</th>"
            f"<td style='text-align:left'>{escape(str(value))}</td></tr>"
            for label, value in rows.items()
        )
        return f"<table><caption>{escape(self.name)}</caption>{body}</table>"


class Described:
    """A model that prints itself by its card."""

    def _card(self) -> ModelCard:
        raise NotImplementedError

    def __repr__(self) -> str:
        return self._card().line()

    def _repr_html_(self) -> str:
        return self._card().html()


def n_parameters(*modules: nn.Module) -> int:
    """Number of weights of torch modules."""
    return sum(p.numel() for module in modules for p in module.parameters())


__all__ = ["Described", "ModelCard", "n_parameters"]
