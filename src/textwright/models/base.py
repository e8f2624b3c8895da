"""The interface of all families: `(tokens, state) → (logits, state)`; their dropout and their list.

A language model maps tokens, and the *state* of those before them, to the logits of the next token
at each position and to the new state. Training, evaluation and every export use nothing else and
never ask which family a model is of.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from textwright.configs import CONFIG_CLASSES, ModelConfig
from textwright.errors import RunError
from textwright.models.device import choose_device
from textwright.runs import Run

_GOLDEN = 0x9E3779B9 - (1 << 32)  # the int32 with these bits: spreads consecutive numbers


def _signed(bits: int) -> int:
    """The int32 with these 32 bits."""
    return bits - (1 << 32) if bits >= 1 << 31 else bits


def _mix(x: Tensor) -> Tensor:
    x = (x ^ ((x >> 16) & 0xFFFF)) * 0x7FEB352D
    x = (x ^ ((x >> 15) & 0x1FFFF)) * _signed(0x846CA68B)
    return x ^ ((x >> 16) & 0xFFFF)


def dropout_keys(seed: int, step: int, first_sample: int, samples: int) -> Tensor:
    """Keys for consecutive samples of a step's batch, (samples,) int32, on the CPU."""
    words = [
        np.random.SeedSequence((seed, step, first_sample + index)).generate_state(1)[0]
        for index in range(samples)
    ]
    return torch.from_numpy(np.array(words, dtype=np.uint32).view(np.int32))


class Dropout(nn.Module):
    """Zero each element with probability `p` while training, and scale the rest by 1 / (1 - p).

    The masks are a pure function of (seed, step, sample index, layer, element): a run that is
    resumed, or that spreads its batch over more workers or smaller micro-batches, must draw the
    same masks for the same sample, which a generator's state could not guarantee. So the mask is a
    counter-based hash: each element's index is mixed with its sample's key. The mixer is
    `lowbias32` (Chris Wellons, "Prospecting for Hash Functions", 2018), elementwise in int32, so
    one definition holds on every device and a compiler can fuse it.

    Args:
        p: the probability, 0 ≤ p < 1.
        place: an index, different for each Dropout of a model, so that their masks differ.
        over_time: whether all time steps of a sample share one mask: variational dropout for
            recurrent layers (Gal and Ghahramani, "A Theoretically Grounded Application of Dropout
            in Recurrent Neural Networks", 2016), which costs next to nothing.
    """

    keys: Tensor | None

    def __init__(self, p: float, place: int, *, over_time: bool = False) -> None:
        super().__init__()
        self.p = p
        self.place = place
        self.over_time = over_time
        self.keys = None

    def forward(self, x: Tensor) -> Tensor:
        """`x` is (batch, time, width), the batch that of the keys."""
        keys, least, scale = self.drawn()
        if keys is None:
            return x
        masked = x[:, :1] if self.over_time else x
        element = torch.arange(masked[0].numel(), dtype=torch.int32, device=x.device) * _GOLDEN
        bits = _mix(element + keys[:, None]) & 0x7FFFFFFF
        keep = (bits >= least).view(masked.shape)
        return x * keep * scale

    def drawn(self) -> tuple[Tensor | None, int, float]:
        """What masks follow from: the mixed key of each sample, None where nothing is dropped; the
        least hash of an element that is kept; and what kept ones are multiplied by."""
        if not self.training or self.p == 0.0:
            return None, 0, 1.0
        if self.keys is None:
            raise RuntimeError("dropout needs keys: call set_dropout_keys before training passes")
        keys = _mix(self.keys + _signed(self.place * 0x3C6EF372 & 0xFFFFFFFF))
        return keys, int(self.p * (1 << 31)), 1.0 / (1.0 - self.p)


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
        """Set the dropout masks of the next forward passes; see `textwright.models.base`.

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
            raise RunError(
                f"the weights don't fit config.json: {differing[0]} {what}; "
                "copy both from one training"
            )
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


FAMILIES: list[type[LanguageModel]] = []
"""All families; `register` adds one."""


def register(family: type[LanguageModel]) -> type[LanguageModel]:
    """Class decorator: register a family under the names of its config class."""
    FAMILIES.append(family)
    if family.config_class not in CONFIG_CLASSES:
        CONFIG_CLASSES.append(family.config_class)
    return family


def build(config: ModelConfig, seed: int = 0) -> LanguageModel:
    """A model with fresh weights, drawn from `seed` on the CPU; torch's global RNG is untouched."""
    for family in FAMILIES:
        if isinstance(config, family.config_class):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                return family(config)
    raise TypeError(f"no family is registered for {type(config).__name__}")


def load_model(run: Run, device: str = "auto") -> LanguageModel:
    """The torch model of a run with its weights.

    Raises:
        RunError: a file is missing or damaged, or the weights don't fit.
    """
    config = run.config()
    model = build(config)
    try:
        weights = load_file(run.weights_file)
    except FileNotFoundError:
        raise RunError(f"run {run.name!r} has no model.safetensors yet; train it first") from None
    except (SafetensorError, OSError) as error:
        raise RunError(f"run {run.name!r}: model.safetensors is damaged ({error})") from error
    model.load_weights({name: tensor.to(torch.float32) for name, tensor in weights.items()})
    return model.to(choose_device(device, config.family))
