"""The interface of all families: `(tokens, state) → (logits, state)`.

A language model maps tokens, and the *state* of those before them, to the logits of the next token
at each position and to the new state. Training, evaluation and every export use nothing else and
never ask which family a model is of.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from textwright.configs import ModelConfig
from textwright.errors import RunError
from textwright.models.dropout import Dropout

State = dict[str, Tensor]
"""Named tensors, batch first. Flat, so that checkpoints and other runtimes can store any."""


class Matrices(NamedTuple):
    """The hidden matrices of one parameter, stacked along its outputs.

    An LSTM's gates share one parameter, as do GPT-2's queries, keys and values; an optimizer that
    orthogonalizes matrices, as Muon does, must treat each by itself.
    """

    parameter: nn.Parameter
    parts: int = 1
    transposed: bool = False
    """Whether its shape is (in, parts × out) instead of (parts × out, in)."""

    def of(self, tensor: Tensor) -> tuple[Tensor, ...]:
        """The matrices as views of `tensor`, (out, in) each: the parameter, or its gradient."""
        return (tensor.t() if self.transposed else tensor).chunk(self.parts)


class OutputLayer(NamedTuple):
    """Logits are `features @ weight.T + bias`."""

    weight: Tensor
    """(vocab_size, width)."""
    bias: Tensor | None
    """(vocab_size,)."""


class LanguageModel(nn.Module, ABC):
    """Base of all families, which set `config_class` and implement the abstract methods."""

    config_class: ClassVar[type[ModelConfig]]

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """The state before any token, for `batch_size` sequences."""

    @abstractmethod
    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits and new state after reading `tokens`.

        Args:
            tokens: ids, (batch, time), any time ≥ 1.
            state: of an earlier call on the same sequences; None for the initial one.

        Returns:
            Logits of the token after each, (batch, time, vocab_size), and the new state.
        """

    @abstractmethod
    def matrices(self) -> Iterable[Matrices]:
        """The hidden matrices, which Muon updates; AdamW updates the rest."""

    def features(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """As `forward`, with the input of the output layer, (batch, time, width), for logits.

        Families with an `output_layer` implement it, so that training can sample the softmax.
        """
        raise NotImplementedError

    def output_layer(self) -> OutputLayer | None:
        """The final linear layer; None for a family that has none."""
        return None

    def set_dropout_keys(self, keys: Tensor) -> None:
        """Set the dropout masks of the next forward passes; see `textwright.models.dropout`.

        Args:
            keys: one int32 a sample of the batch, (batch,).
        """
        for module in self.modules():
            if isinstance(module, Dropout):
                module.keys = keys

    def weights(self) -> dict[str, Tensor]:
        """As `model.safetensors` holds them: contiguous float32 on the CPU, shared weights once."""
        return {
            self.stored_name(name): tensor.detach().to("cpu", torch.float32).contiguous()
            for name, tensor in self.state_dict().items()
            if not self.is_shared(name)
        }

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Copy weights, named as `weights()` names them, into the parameters.

        Raises:
            RunError: a tensor is missing, has another shape, or isn't this family's.
        """
        own = {
            self.stored_name(name): tensor
            for name, tensor in self.state_dict().items()
            if not self.is_shared(name)
        }
        if differing := sorted(own.keys() ^ weights.keys()):
            what = "is missing" if differing[0] in own else "is not part of this model"
            raise RunError(f"the weights don't fit config.json: {differing[0]} {what}")
        with torch.no_grad():
            for name, tensor in own.items():
                if tensor.shape != weights[name].shape:
                    raise RunError(
                        f"the weights don't fit config.json: {name} is "
                        f"{tuple(weights[name].shape)}, not {tuple(tensor.shape)}"
                    )
                tensor.copy_(weights[name])

    def stored_name(self, name: str) -> str:
        """The name of the parameter `name` in `model.safetensors`."""
        return name

    def is_shared(self, name: str) -> bool:
        """Whether `name` is an alias of a weight that is stored under another name."""
        return False
