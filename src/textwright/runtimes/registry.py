"""The runtime of each config class; callers of `load_runtime` need not know the family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from textwright.arrays import Floats
from textwright.configs import GPTConfig, ModelConfig, RecurrentConfig, TransformerConfig
from textwright.errors import MissingPackageError, RequestError
from textwright.kernels import kernels
from textwright.kernels.structures import check_precision
from textwright.runtimes.base import Runtime
from textwright.runtimes.compiled_gpt import CompiledGPT
from textwright.runtimes.compiled_recurrent import CompiledRecurrentRuntime
from textwright.runtimes.compiled_transformer import CompiledTransformer
from textwright.runtimes.gpt import GPTRuntime
from textwright.runtimes.recurrent import RecurrentRuntime
from textwright.runtimes.transformer import TransformerRuntime

RUNTIMES: dict[type[ModelConfig], Callable[[Any, Mapping[str, Floats]], Runtime]] = {
    RecurrentConfig: RecurrentRuntime,
    GPTConfig: GPTRuntime,
    TransformerConfig: TransformerRuntime,
}
"""In NumPy: the readable reference, and the fallback without kernels."""

COMPILED: dict[type[ModelConfig], Callable[..., Runtime]] = {
    RecurrentConfig: CompiledRecurrentRuntime,
    GPTConfig: CompiledGPT,
    TransformerConfig: CompiledTransformer,
}
"""Compiled, the default."""


def load_runtime(
    config: ModelConfig, weights: Mapping[str, Floats], precision: str = "auto"
) -> Runtime:
    """The fastest runtime of a model here: compiled, else NumPy, else its torch model.

    Args:
        config: its config.
        weights: the tensors of its `model.safetensors`, float32.
        precision: of the weights in memory. `auto`: float16 where that is exact, as for files in
            half precision, else float32; `float32`; `float16`, rounded; `int8`, the fastest, with
            a small loss. The last two are compiled only.

    Raises:
        RunError: a tensor is missing, has another shape or holds numbers that aren't finite.
        RequestError: there is no such precision, or no runtime here has it.
        MissingPackageError: only torch can run this family, and it isn't installed.
    """
    chosen = check_precision(precision)
    found = kernels()
    kind = type(config)
    if found.library is not None and kind in COMPILED:
        return COMPILED[kind](config, weights, found.library, chosen)
    if chosen not in ("auto", "float32"):
        why = found.reason if kind in COMPILED else f"the family {config.family!r} has none"
        raise RequestError(
            f"precision {precision} needs the compiled kernels ({why}); leave it out"
        )
    if kind in RUNTIMES:
        return RUNTIMES[kind](config, weights)
    try:
        from textwright.runtimes.torch_runtime import TorchRuntime
    except ImportError as error:
        raise MissingPackageError(
            f"a model of the family {config.family!r} needs torch to generate; "
            "pip install 'textwright[train]'"
        ) from error
    return TorchRuntime(config, weights)
