"""Which runtime a model's config asks for; nothing above this line of files knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from textwright.configs import GPTConfig, ModelConfig, RecurrentConfig, TransformerConfig
from textwright.errors import MissingPackageError
from textwright.generation.gpt import GPTRuntime
from textwright.generation.recurrent import RecurrentRuntime
from textwright.generation.runtime import Floats, Runtime
from textwright.generation.transformer import TransformerRuntime

RUNTIMES: dict[type[ModelConfig], Callable[[Any, Mapping[str, Floats]], Runtime]] = {
    RecurrentConfig: RecurrentRuntime,
    GPTConfig: GPTRuntime,
    TransformerConfig: TransformerRuntime,
}
"""The runtime of each config class."""


def load_runtime(config: ModelConfig, weights: Mapping[str, Floats]) -> Runtime:
    """The runtime of a model; a family that has none in NumPy runs on its torch model.

    Args:
        config: its config.
        weights: the tensors of its `model.safetensors`, float32.

    Raises:
        RunError: a tensor is missing, has another shape or holds numbers that aren't finite.
        MissingPackageError: only torch can run this family, and it isn't installed.
    """
    make = RUNTIMES.get(type(config))
    if make is not None:
        return make(config, weights)
    try:
        from textwright.models.runtime import TorchRuntime
    except ImportError as error:
        raise MissingPackageError(
            f"a model of the family {config.family!r} needs torch to generate; "
            "pip install 'textwright[train]'"
        ) from error
    return TorchRuntime(config, weights)
