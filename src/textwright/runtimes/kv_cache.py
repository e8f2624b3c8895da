"""The KV cache that attention runtimes share, and text beyond the context.

The cache has room for B = `block_size` tokens. When it is full and another token comes, its last
H = B // 2 tokens are encoded again from position 0, and reading goes on from there. So windows
begin at the multiples of B − H, however the calls are cut, and the logits after a token are a
function of the tokens alone. Time and memory per token stay the same however long the text.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Generic, Literal, Self, TypeVar

import numpy as np

from textwright.arrays import Floats, Tokens
from textwright.configs import AttentionConfig
from textwright.kernels.structures import token_error
from textwright.runtimes.base import Held, batch_sequentially, check_tokens
from textwright.runtimes.threads import single_threaded

PIECE = 256
"""Tokens encoded in one call: enough for fast matrix products, few enough for small scores."""


LogitsFor = Literal["none", "last", "all"]
"""Which tokens' logits are computed."""


class Window:
    """The tokens of the current window; subclasses add the keys and values."""

    def __init__(self, config: AttentionConfig) -> None:
        self.tokens = np.empty(config.block_size, np.int64)  # (B,)
        self.length = 0
        """How many tokens are in it."""
        self.start = 0
        """Index in the whole text of its first token."""

    def append(self, tokens: Tokens | list[int]) -> None:
        """Note tokens whose keys and values were added."""
        end = self.length + len(tokens)
        self.tokens[self.length : end] = tokens
        self.length = end

    @property
    def nbytes(self) -> int:
        """Bytes of the keys and values in it."""
        raise NotImplementedError

    def copy(self, length: int | None = None) -> Self:
        """An independent window; of its first `length` tokens alone, where that is given."""
        other = object.__new__(type(self))
        other.length, other.start = self.length if length is None else length, self.start
        other.tokens = self.tokens.copy()
        return other


class AttentionState(Window):
    """A window with the KV cache of every layer, filled in place."""

    def __init__(self, config: AttentionConfig) -> None:
        super().__init__(config)
        shape = (config.num_layers, config.num_heads, config.block_size, config.head_size)
        # Pages of np.empty take memory when they are written to, so a long context is free so far.
        self.keys = np.empty(shape, np.float32)  # (layers, heads, B, head_size)
        self.values = np.empty(shape, np.float32)
        self.attention_weights: Floats | None = None
        """If set, (layers, heads, B, B): the attention of each token to those before is stored."""
        self.residual: Floats | None = None
        """If set, (layers, B, C): the residual stream behind each block is stored."""

    @property
    def nbytes(self) -> int:
        return (self.keys.nbytes + self.values.nbytes) * self.length // self.keys.shape[2]

    def copy(self, length: int | None = None) -> AttentionState:
        other = super().copy(length)
        other.attention_weights = other.residual = None
        other.keys, other.values = np.empty_like(self.keys), np.empty_like(self.values)
        other.keys[:, :, : other.length] = self.keys[:, :, : other.length]
        other.values[:, :, : other.length] = self.values[:, :, : other.length]
        return other


WindowType = TypeVar("WindowType", bound=Window)


class AttentionRuntime(ABC, Generic[WindowType]):
    """The base of attention runtimes; a family implements `initial_state` and `encode`."""

    def __init__(self, config: AttentionConfig) -> None:
        self.config: Any = config
        self.vocab_size = config.vocab_size
        self.block_size = config.block_size
        self.weight_bytes = 4 * config.parameter_count()

    @abstractmethod
    def initial_state(self) -> WindowType:
        """An empty window."""

    @abstractmethod
    def encode(self, tokens: Tokens, state: WindowType, logits_for: LogitsFor) -> Floats:
        """Compute and cache tokens (T,) at the positions from `state.length`, within the window.

        Returns:
            Logits for all tokens, the last or none: (T, V), (1, V) or (0, V).
        """

    def __call__(
        self, tokens: Tokens, state: WindowType, *, last_only: bool = False
    ) -> tuple[Floats, WindowType]:
        if len(tokens) == 0:
            raise token_error(self.vocab_size)
        if last_only:
            tokens = self._skip_prefix(tokens, state)
        pieces = []
        while len(tokens):
            piece, tokens = self._split_at_window(tokens, state)
            logits_for: LogitsFor = "all" if not last_only else "none" if len(tokens) else "last"
            pieces.append(self._read(piece, state, logits_for))
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces), state

    def batch(
        self, tokens: Sequence[Tokens], states: Sequence[WindowType]
    ) -> tuple[Floats, list[WindowType]]:
        return batch_sequentially(self, tokens, states)

    def _split_at_window(self, tokens: Tokens, state: WindowType) -> tuple[Tokens, Tokens]:
        """The tokens to encode next, at most `PIECE`, and the rest; restarts a full window."""
        if state.length == self.block_size:
            self._restart_window(state)
        count = min(PIECE, self.block_size - state.length)
        return tokens[:count], tokens[count:]

    def _read(self, tokens: Tokens, state: WindowType, logits_for: LogitsFor) -> Floats:
        logits = self.encode(tokens, state, logits_for)
        state.append(tokens)
        return logits

    def _restart_window(self, state: WindowType) -> None:
        """Encode the last half of a full window again, as the start of the next window."""
        half = self.block_size // 2
        tail = state.tokens[self.block_size - half :].copy()
        state.start += self.block_size - half
        state.length = 0
        while state.length < half:
            self._read(tail[state.length : state.length + PIECE], state, "none")

    def _skip_prefix(self, tokens: Tokens, state: WindowType) -> Tokens:
        """Drop tokens that the logits after the last one don't depend on.

        Token t is read in window max(0, (t − H) // (B − H)). If the last token's window begins
        within `tokens`, the state is moved there and the tokens before it aren't read.
        """
        half = self.block_size // 2
        position = state.start + state.length
        stride = self.block_size - half
        start = max(0, position + len(tokens) - 1 - half) // stride * stride
        if start <= position:
            return tokens
        state.start, state.length = start, 0
        return tokens[start - position :]


class NumPyAttention(AttentionRuntime[AttentionState]):
    """The base of attention models in NumPy; a family implements `hidden_states` and `logits`."""

    held: Mapping[int, Held] = MappingProxyType({})
    """By layer, channels of the residual stream that keep a value: see `generation.steering`."""

    @abstractmethod
    def hidden_states(self, tokens: Tokens, state: AttentionState) -> Floats:
        """Read tokens (T,) as `encode` does; the output of the last block, (T, C)."""

    @abstractmethod
    def logits(self, hidden_states: Floats) -> Floats:
        """The final norm and the output layer: (T, C) → (T, V)."""

    def initial_state(self) -> AttentionState:
        return AttentionState(self.config)

    def end_block(self, number: int, x: Floats, state: AttentionState) -> None:
        """What a family calls behind each block, with the residual stream (T, C)."""
        if number in self.held:
            x[:, self.held[number].units] = self.held[number].values
        if state.residual is not None:
            state.residual[number, state.length : state.length + len(x)] = x

    @single_threaded
    def encode(self, tokens: Tokens, state: AttentionState, logits_for: LogitsFor) -> Floats:
        check_tokens(tokens, self.vocab_size)
        hidden_states = self.hidden_states(tokens, state)
        begin = {"none": len(hidden_states), "last": len(hidden_states) - 1, "all": 0}[logits_for]
        return self.logits(hidden_states[begin:])


def attend(
    queries: Floats, keys: Floats, values: Floats, state: AttentionState, layer: int
) -> Floats:
    """Causal attention of new positions over all (Vaswani et al., 2017, section 3.2.1).

    Args:
        queries, keys, values: of the T new positions, (T, heads, head_size) each; the queries are
            already divided by √head_size.
        state: the new keys and values are added to its cache of `layer`.

    Returns:
        (T, heads × head_size).
    """
    time, end = len(queries), state.length + len(queries)
    state.keys[layer, :, state.length : end] = keys.transpose(1, 0, 2)
    state.values[layer, :, state.length : end] = values.transpose(1, 0, 2)
    all_keys = state.keys[layer, :, :end]  # (heads, S, head_size)
    scores: Floats = queries.transpose(1, 0, 2) @ all_keys.transpose(0, 2, 1)  # (heads, T, S)
    if time > 1:
        future = np.arange(end) > np.arange(state.length, end)[:, None]  # (T, S)
        scores[:, future] = -np.inf
    scores -= np.maximum.reduce(scores, axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    mixed: Floats = scores @ state.values[layer, :, :end]  # (heads, T, head_size)
    total = np.add.reduce(scores, axis=-1, keepdims=True)
    if state.attention_weights is not None:
        state.attention_weights[layer, :, state.length : end, :end] = scores / total
    mixed /= total
    return mixed.transpose(1, 0, 2).reshape(time, -1)
