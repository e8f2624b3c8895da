"""The one interface of all families: `(tokens, state) → (logits, state)`.

A language model reads tokens and what it carries from those before them, its *state*, and gives
logits for the next token at each position together with the new state. Training, evaluation and
every export use nothing else and never ask which family they hold.
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
"""Named tensors, batch first. Flat, so that a checkpoint or another runtime can hold any."""


class Matrices(NamedTuple):
    """The hidden matrices that one parameter holds, stacked along its outputs.

    An LSTM layer's gates lie in one parameter, and GPT-2's queries, keys and values; each of them
    is a matrix of its own to an optimiser that treats matrices as such.
    """

    parameter: nn.Parameter
    parts: int = 1
    transposed: bool = False
    """Whether it lies as (in, parts × out), in place of (parts × out, in)."""

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
    """A family derives from this, names its config class and fills in the two abstract methods."""

    config_class: ClassVar[type[ModelConfig]]

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """The state before any token, for `batch_size` sequences."""

    @abstractmethod
    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Read `tokens` after what `state` holds.

        Args:
            tokens: ids, (batch, time), any time ≥ 1.
            state: from an earlier call on the same sequences; None for the initial one.

        Returns:
            Logits of the token after each one read, (batch, time, vocab_size), and the new state.
        """

    @abstractmethod
    def matrices(self) -> Iterable[Matrices]:
        """The hidden matrices, whose updates Muon orthogonalises; the rest takes AdamW."""

    def features(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """As `forward`, but for the vectors that the output layer makes logits of.

        Families that have `output_layer` have it; so training can compute the logits it needs.
        """
        raise NotImplementedError

    def output_layer(self) -> OutputLayer | None:
        """The linear layer that ends the model; None where it ends in another way."""
        return None

    def set_dropout_keys(self, keys: Tensor) -> None:
        """Choose the dropout masks of the next passes; see `textwright.models.dropout`.

        Args:
            keys: one int32 a sample of the batch, (batch,).
        """
        for module in self.modules():
            if isinstance(module, Dropout):
                module.keys = keys

    def weights(self) -> dict[str, Tensor]:
        """What `model.safetensors` holds: contiguous float32 on the CPU, shared weights once."""
        return {
            self.stored_name(name): tensor.detach().to("cpu", torch.float32).contiguous()
            for name, tensor in self.state_dict().items()
            if not self.is_shared(name)
        }

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take over what `weights` gave.

        Raises:
            RunError: a tensor is missing, has another shape, or isn't this family's.
        """
        own = {
            self.stored_name(name): tensor
            for name, tensor in self.state_dict().items()
            if not self.is_shared(name)
        }
        if odd := sorted(own.keys() ^ weights.keys()):
            what = "is missing" if odd[0] in own else "is not part of this model"
            raise RunError(f"the weights don't fit config.json: {odd[0]} {what}")
        with torch.no_grad():
            for name, tensor in own.items():
                if tensor.shape != weights[name].shape:
                    raise RunError(
                        f"the weights don't fit config.json: {name} is "
                        f"{tuple(weights[name].shape)}, not {tuple(tensor.shape)}"
                    )
                tensor.copy_(weights[name])

    def stored_name(self, name: str) -> str:
        """How `model.safetensors` calls the parameter `name`."""
        return name

    def is_shared(self, name: str) -> bool:
        """Whether `name` is another name of a weight that is stored already."""
        return False
