"""What attention runtimes share: the cache of keys and values, and text beyond the context.

The cache holds at most B = `block_size` tokens. When it is full and another token comes, its last
H = B // 2 tokens are encoded anew from position 0, and reading goes on from there. So windows
begin at the multiples of B − H, whatever the calls, and the logits after a token are a function
of the tokens alone. Cost and memory a token are the same after a million tokens as after B.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, Literal, Self, TypeVar

import numpy as np

from textwright.arrays import Floats, Tokens
from textwright.configs import AttentionConfig
from textwright.kernels.batch import token_error
from textwright.runtimes.base import check_tokens, one_by_one
from textwright.runtimes.threads import single_threaded

PIECE = 256
"""Tokens encoded at once: enough for the matrix products, few enough for the attention weights."""


Wanted = Literal["none", "last", "all"]
"""Of which tokens the logits are wanted."""


class Window:
    """The tokens that a window holds. A runtime adds what it remembers of them."""

    def __init__(self, config: AttentionConfig) -> None:
        self.tokens = np.empty(config.block_size, np.int64)  # (B,)
        self.held = 0
        """Tokens in the window."""
        self.start = 0
        """Where in the whole text the window begins."""

    def copy(self) -> Self:
        other = object.__new__(type(self))
        other.held, other.start = self.held, self.start
        other.tokens = self.tokens.copy()
        return other


class AttentionState(Window):
    """A window with the keys and values of every layer; filled in place."""

    def __init__(self, config: AttentionConfig) -> None:
        super().__init__(config)
        shape = (config.num_layers, config.num_heads, config.block_size, config.head_size)
        # np.empty takes no memory before it is written to, so a long context costs nothing yet.
        self.keys = np.empty(shape, np.float32)  # (layers, heads, B, head_size)
        self.values = np.empty(shape, np.float32)
        self.watched: Floats | None = None
        """(layers, heads, B, B), where what each token takes from those before is to be noted."""

    def copy(self) -> AttentionState:
        other = super().copy()
        other.watched = None
        other.keys, other.values = np.empty_like(self.keys), np.empty_like(self.values)
        other.keys[:, :, : self.held] = self.keys[:, :, : self.held]
        other.values[:, :, : self.held] = self.values[:, :, : self.held]
        return other


AnyWindow = TypeVar("AnyWindow", bound=Window)


class AttentionRuntime(ABC, Generic[AnyWindow]):
    """A family derives from this and fills in `initial_state` and `encode`."""

    def __init__(self, config: AttentionConfig) -> None:
        self.config: Any = config
        self.vocab_size = config.vocab_size
        self.block_size = config.block_size
        self.held_bytes = 4 * config.parameter_count()

    @abstractmethod
    def initial_state(self) -> AnyWindow:
        """An empty window."""

    @abstractmethod
    def encode(self, tokens: Tokens, state: AnyWindow, wanted: Wanted) -> Floats:
        """Read tokens (T,) at positions `state.held` and up, which exist.

        Returns:
            The logits that are wanted: (T, V), (1, V) or (0, V).
        """

    def __call__(
        self, tokens: Tokens, state: AnyWindow, *, last_only: bool = False
    ) -> tuple[Floats, AnyWindow]:
        if len(tokens) == 0:
            raise token_error(self.vocab_size)
        if last_only:
            tokens = self._skip(tokens, state)
        pieces = []
        while len(tokens):
            piece, tokens = self._cut(tokens, state)
            wanted: Wanted = "all" if not last_only else "none" if len(tokens) else "last"
            pieces.append(self._read(piece, state, wanted))
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces), state

    def batch(
        self, tokens: Sequence[Tokens], states: Sequence[AnyWindow]
    ) -> tuple[Floats, list[AnyWindow]]:
        return one_by_one(self, tokens, states)

    def _cut(self, tokens: Tokens, state: AnyWindow) -> tuple[Tokens, Tokens]:
        """What the window has room for and is read at once, and the rest."""
        if state.held == self.block_size:
            self._begin_window(state)
        count = min(PIECE, self.block_size - state.held)
        return tokens[:count], tokens[count:]

    def _read(self, tokens: Tokens, state: AnyWindow, wanted: Wanted) -> Floats:
        logits = self.encode(tokens, state, wanted)
        state.tokens[state.held : state.held + len(tokens)] = tokens
        state.held += len(tokens)
        return logits

    def _begin_window(self, state: AnyWindow) -> None:
        half = self.block_size // 2
        kept = state.tokens[self.block_size - half :].copy()
        state.start += self.block_size - half
        state.held = 0
        while state.held < half:
            self._read(kept[state.held : state.held + PIECE], state, "none")

    def _skip(self, tokens: Tokens, state: AnyWindow) -> Tokens:
        """Leave out what the logits after the last token don't depend on.

        Token t is read in window max(0, (t − H) // (B − H)). If the last token's window begins
        within `tokens`, then everything before it can be forgotten unread.
        """
        half = self.block_size // 2
        seen = state.start + state.held
        stride = self.block_size - half
        start = max(0, seen + len(tokens) - 1 - half) // stride * stride
        if start <= seen:
            return tokens
        state.start, state.held = start, 0
        return tokens[start - seen :]


class NumPyAttention(AttentionRuntime[AttentionState]):
    """The families in NumPy: each fills in `vectors` and `logits`."""

    @abstractmethod
    def vectors(self, tokens: Tokens, state: AttentionState) -> Floats:
        """Read tokens (T,) as `encode` does; the vectors (T, C) that come out of the blocks."""

    @abstractmethod
    def logits(self, vectors: Floats) -> Floats:
        """Vectors (T, C) as logits (T, V)."""

    def initial_state(self) -> AttentionState:
        return AttentionState(self.config)

    @single_threaded
    def encode(self, tokens: Tokens, state: AttentionState, wanted: Wanted) -> Floats:
        check_tokens(tokens, self.vocab_size)
        vectors = self.vectors(tokens, state)
        begin = {"none": len(vectors), "last": len(vectors) - 1, "all": 0}[wanted]
        return self.logits(vectors[begin:])


def attend(
    queries: Floats, keys: Floats, values: Floats, state: AttentionState, layer: int
) -> Floats:
    """Causal attention of new positions over all (Vaswani et al., 2017, section 3.2.1).

    Args:
        queries, keys, values: of the T new positions, (T, heads, head_size) each; the queries
            already divided by √head_size.
        state: its cache takes the new keys and values of `layer`.

    Returns:
        (T, heads × head_size).
    """
    time, end = len(queries), state.held + len(queries)
    state.keys[layer, :, state.held : end] = keys.transpose(1, 0, 2)
    state.values[layer, :, state.held : end] = values.transpose(1, 0, 2)
    all_keys = state.keys[layer, :, :end]  # (heads, S, head_size)
    scores: Floats = queries.transpose(1, 0, 2) @ all_keys.transpose(0, 2, 1)  # (heads, T, S)
    if time > 1:
        future = np.arange(end) > np.arange(state.held, end)[:, None]  # (T, S)
        scores[:, future] = -np.inf
    scores -= np.maximum.reduce(scores, axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    mixed: Floats = scores @ state.values[layer, :, :end]  # (heads, T, head_size)
    total = np.add.reduce(scores, axis=-1, keepdims=True)
    if state.watched is not None:
        state.watched[layer, :, state.held : end, :end] = scores / total
    mixed /= total
    return mixed.transpose(1, 0, 2).reshape(time, -1)
