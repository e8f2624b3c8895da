"""What `gpt` and `transformer` share when compiled: `attention.h`, from Python's side."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from textwright.arrays import Floats, Tokens
from textwright.configs import AttentionConfig
from textwright.kernels.batch import (
    ALL_LOGITS,
    LAST_LOGITS,
    NO_LOGITS,
    OneText,
    kernel,
    read_all,
    read_one,
    token_error,
)
from textwright.kernels.matrices import INTEGER, TILE, Memory, aligned, up_to
from textwright.runtimes.kv_cache import AttentionRuntime, Wanted, Window

WANTED = {"none": NO_LOGITS, "last": LAST_LOGITS, "all": ALL_LOGITS}


class Shape(ctypes.Structure):
    """`Shape` of attention.h."""

    _fields_ = [
        ("layers", INTEGER),
        ("heads", INTEGER),
        ("head_size", INTEGER),
        ("block_size", INTEGER),
    ]


class CompiledWindow(Window):
    """A window with the cache of attention.h: for every layer and head, keys, then values."""

    def __init__(self, config: AttentionConfig) -> None:
        super().__init__(config)
        tiles = up_to(config.block_size, TILE) // TILE
        # It takes no memory before it is written to, so a long context costs nothing yet.
        self._keep(
            aligned((config.num_layers, config.num_heads, 2, tiles, config.head_size * TILE))
        )

    def _keep(self, cache: Floats) -> None:
        self.cache = cache
        self.address = cache.ctypes.data
        self.text = OneText(self.address)

    def copy(self) -> CompiledWindow:
        other = super().copy()
        other._keep(aligned(self.cache.shape))
        # A tile of keys has the same 64 positions as a tile's worth of values.
        tiles = up_to(self.held, TILE) // TILE
        other.cache[:, :, :, :tiles] = self.cache[:, :, :, :tiles]
        return other


class CompiledAttention(AttentionRuntime[CompiledWindow]):
    """What both families share; a family makes the structure that its kernel reads."""

    kernel_name: str

    def __init__(
        self, config: AttentionConfig, library: ctypes.CDLL, memory: Memory, model: Any
    ) -> None:
        super().__init__(config)
        self._call = kernel(library, self.kernel_name)
        self._memory = memory
        self._address = ctypes.addressof(memory.keep(model))
        self.held_bytes = memory.used

    def initial_state(self) -> CompiledWindow:
        return CompiledWindow(self.config)

    def encode(self, tokens: Tokens, state: CompiledWindow, wanted: Wanted) -> Floats:
        return read_one(
            self._call,
            self._address,
            tokens,
            state.text,
            state.held,
            WANTED[wanted],
            self.vocab_size,
        )

    def __call__(
        self, tokens: Tokens, state: CompiledWindow, *, last_only: bool = False
    ) -> tuple[Floats, CompiledWindow]:
        if len(tokens) == 1 and state.held < self.block_size:  # nearly always
            return self._read(tokens, state, "last"), state
        return super().__call__(tokens, state, last_only=last_only)

    def batch(
        self, tokens: Sequence[Tokens], states: Sequence[CompiledWindow]
    ) -> tuple[Floats, list[CompiledWindow]]:
        """All ends of the pieces in one call; what doesn't fit into a window's rest before it."""
        ends = []
        for piece, state in zip(tokens, states, strict=True):
            if len(piece) == 0:
                raise token_error(self.vocab_size)
            end, rest = self._cut(self._skip(piece, state), state)
            while len(rest):
                self._read(end, state, "none")
                end, rest = self._cut(rest, state)
            ends.append(end)
        caches, positions = [state.address for state in states], [state.held for state in states]
        logits = read_all(self._call, self._address, ends, caches, positions, self.vocab_size)
        for end, state in zip(ends, states, strict=True):
            state.tokens[state.held : state.held + len(end)] = end
            state.held += len(end)
        return logits, list(states)


def shape_of(config: AttentionConfig) -> Shape:
    """A model's numbers as C has them."""
    return Shape(config.num_layers, config.num_heads, config.head_size, config.block_size)
