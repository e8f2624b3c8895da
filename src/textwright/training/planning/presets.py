"""The presets: settings of model and training for each size of each family. Imports no torch.

A preset fills whatever the user didn't set. `nano` learns in minutes on a laptop's processor,
`large` takes a GPU and hours. How `nano`'s numbers and the dropout were found is in `docs/log.md`;
those of the sizes above `micro`, and dropout beyond 30 epochs, are carried over from it unmeasured.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from textwright.configs import (
    ModelConfig,
    Settings,
    TrainingSettings,
    config_class,
    nearest,
    one_line,
)
from textwright.errors import RequestError


@dataclass(frozen=True)
class Preset:
    """One size of one family: settings of the model and of its training."""

    model: dict[str, Any]
    training: dict[str, Any] = field(default_factory=dict)


def _gpt(layers: int, width: int, heads: int, block: int, batch: int, rate: float) -> Preset:
    return Preset(
        {"num_layers": layers, "hidden_size": width, "num_heads": heads, "block_size": block},
        {
            "batch_size": batch,
            "learning_rate": 6e-3,
            "matrix_learning_rate": rate,
            "weight_decay": 0.03,
            "momentum": 0.9,
        },
    )


def _recurrent(layers: int, width: int, embedding: int, block: int, batch: int) -> Preset:
    return Preset(
        {
            "num_layers": layers,
            "hidden_size": width,
            "embedding_size": embedding,
            "block_size": block,
        },
        {
            "batch_size": batch,
            "learning_rate": 8e-3,
            "matrix_learning_rate": 0.03,
            "weight_decay": 0.03,
            "momentum": 0.9,
            "fresh_starts": 0.1,
        },
    )


_GPT = {
    "nano": _gpt(4, 128, 4, 128, 8, 0.02),
    "micro": _gpt(6, 192, 6, 192, 8, 0.02),
    "small": _gpt(6, 384, 6, 256, 16, 0.02),
    "medium": _gpt(12, 512, 8, 512, 32, 0.015),
    "large": _gpt(16, 768, 12, 1024, 32, 0.01),
}
_RECURRENT = {
    "nano": _recurrent(2, 256, 64, 64, 32),
    "micro": _recurrent(2, 512, 128, 64, 32),
    "small": _recurrent(2, 1024, 256, 128, 48),
    "medium": _recurrent(3, 1280, 512, 128, 64),
    "large": _recurrent(3, 1536, 768, 128, 64),
}

SIZES: dict[str, dict[str, Preset]] = {
    "lstm": _RECURRENT,
    "gru": _RECURRENT,
    "rnn": _RECURRENT,
    "gpt": _GPT,
    "transformer": _GPT,
}
"""Family → size → preset, the smallest size first."""

SMALLER: dict[str, dict[str, Preset]] = {
    "lstm": {"pico": _recurrent(1, 256, 64, 64, 32)},
    "gpt": {"pico": _gpt(2, 128, 4, 128, 8, 0.02)},
}
"""Sizes below those, for a browser on a phone; the planner never chooses them."""


CONTINUED_RATE = 0.1
"""Factor on the learning rates where training begins with a trained model: at the full rates the
first steps undo much of what it knows; see `docs/log.md`."""

DROPOUT_BY_EPOCHS = ((7.0, 0.1), (14.0, 0.2), (50.0, 0.3))
"""(epochs, dropout): the dropout from so many epochs on; below the first it only slows learning
down, see `docs/log.md`."""

_DROPOUT_OF_MANY_EPOCHS = 0.2
_CROWDED, _DROPOUT_WHERE_CROWDED = 5.0, 0.4
"""A recurrent model with more parameters a training token than the first takes the second, once
others take the dropout above."""


LARGE_VOCABULARY = 1024
"""With more types most parameters are in the two embedding tables: so they are tied."""


def dropout_for(config: ModelConfig, tokens: int, epochs: float) -> float:
    """The dropout for a model that reads a text of so many tokens `epochs` times."""
    rate = max((rate for least, rate in DROPOUT_BY_EPOCHS if epochs >= least), default=0.0)
    crowded = config.order == "streams" and config.parameter_count() > _CROWDED * tokens
    return _DROPOUT_WHERE_CROWDED if crowded and rate >= _DROPOUT_OF_MANY_EPOCHS else rate


def preset(family: str, size: str) -> Preset:
    """The preset of a size.

    Raises:
        RequestError: the family or the size is unknown; the message offers the nearest.
    """
    config_class(family)  # raises for an unknown family
    if family not in SIZES:
        raise RequestError(f"model {family!r} has no sizes; set its model.* settings yourself")
    sizes = {**SMALLER.get(family, {}), **SIZES[family]}
    if size not in sizes:
        raise RequestError(f"unknown size {size!r}{nearest(size, list(sizes))}")
    return sizes[size]


def model_settings(
    family: str, size: str | None, vocab_size: int, settings: dict[str, Any] | None = None
) -> ModelConfig:
    """The model config of a size for a vocabulary, with the user's own `settings` on top.

    Raises:
        RequestError: family, size or a setting is unknown or out of range.
    """
    chosen = dict(preset(family, size).model) if size else {}
    own = settings or {}
    if vocab_size > LARGE_VOCABULARY and "tie_embeddings" not in own:
        chosen.update(_tied(family, {**chosen, **own}, own))
    known = [name for name in config_class(family).model_fields if name != "family"]
    for name in own:
        if name not in known:
            raise RequestError(f"unknown setting model.{name!s}{nearest(name, known)}")
    if isinstance(own.get("hidden_size"), list | tuple):
        chosen.pop("num_layers", None)  # as many as there are widths
    values = {**chosen, **own, "family": family, "vocab_size": vocab_size}
    try:
        return config_class(family)(**values)
    except ValidationError as error:
        raise RequestError(f"model settings: {one_line(error)}") from error


def _tied(family: str, model: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """The settings that tie input and output embedding, where `own` ones don't forbid it."""
    if family in ("gpt", "transformer"):
        return {"tie_embeddings": True}
    if family in ("lstm", "gru", "rnn") and "embedding_size" not in own and "hidden_size" in model:
        widths = model["hidden_size"]
        top = widths[-1] if isinstance(widths, list) and widths else widths
        return {"tie_embeddings": True, "embedding_size": top}
    return {}


@dataclass(frozen=True)
class SizeOption:
    """A size that the planner may choose, with its settings."""

    size: str | None
    model: ModelConfig
    settings: Settings
    chooses_dropout: bool = False
    """Whether the planner sets the dropout, by how often it reads the text."""

    @property
    def training(self) -> TrainingSettings:
        return self.settings.training

    @property
    def tokens_per_step(self) -> int:
        return self.training.batch_size * self.model.block_size

    def with_dropout_for(self, tokens: int, epochs: float) -> SizeOption:
        """A copy with the dropout for so many epochs, where the planner sets it."""
        if not self.chooses_dropout:
            return self
        dropout = dropout_for(self.model, tokens, epochs)
        return replace(self, model=self.model.model_copy(update={"dropout": dropout}))

    def with_threads(self, threads: int) -> SizeOption:
        """A copy with so many threads."""
        training = self.training.model_copy(update={"threads": threads})
        return replace(self, settings=self.settings.model_copy(update={"training": training}))
