"""A torch model as a runtime, for families without one in NumPy.

So a new family generates, chats and is sampled in training as soon as its one file is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from textwright import models
from textwright.configs import ModelConfig
from textwright.runtimes.base import check_tokens


@dataclass
class TorchState:
    """A torch state of one sequence; its tensors aren't changed in place, so `copy` is shallow."""

    tensors: models.State

    @property
    def nbytes(self) -> int:
        return sum(each.numel() * each.element_size() for each in self.tensors.values())

    def copy(self) -> TorchState:
        return TorchState(dict(self.tensors))


class TorchRuntime:
    """`Runtime` on a torch model, in evaluation mode on the CPU."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, NDArray[np.float32]]) -> None:
        """
        Args:
            config: of a family that `textwright.models` knows.
            weights: the tensors of its `model.safetensors`.

        Raises:
            RunError: the weights don't fit the config.
        """
        self.model = models.build(config).eval()
        self.model.load_weights({name: torch.tensor(array) for name, array in weights.items()})
        self.vocab_size = config.vocab_size
        self.weight_bytes = 4 * config.parameter_count()
        self.block_size = config.block_size if config.order == "windows" else None

    def initial_state(self) -> TorchState:
        return TorchState(self.model.initial_state(1))

    def __call__(
        self, tokens: NDArray[np.integer[Any]], state: TorchState, *, last_only: bool = False
    ) -> tuple[NDArray[np.float32], TorchState]:
        check_tokens(tokens, self.vocab_size)
        with torch.inference_mode():
            ids = torch.from_numpy(np.asarray(tokens, dtype=np.int64))[None]
            logits, after = self.model(ids, state.tensors)
        rows = logits[0, -1:] if last_only else logits[0]
        return rows.float().numpy(), TorchState(after)

    def batch(
        self, tokens: Sequence[NDArray[np.integer[Any]]], states: Sequence[TorchState]
    ) -> tuple[NDArray[np.float32], list[TorchState]]:
        """One call a piece."""
        results = [self(*each, last_only=True) for each in zip(tokens, states, strict=True)]
        return np.concatenate([rows for rows, _ in results]), [after for _, after in results]
