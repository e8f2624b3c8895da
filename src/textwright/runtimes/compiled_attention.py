"""The Python side of `attention.h`, which compiled `gpt` and `transformer` share."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from textwright.arrays import Floats, Tokens
from textwright.configs import AttentionConfig
from textwright.kernels.sampling import Pending, write_all
from textwright.kernels.structures import (
    ALL_LOGITS,
    INTEGER,
    LAST_LOGITS,
    NO_LOGITS,
    TILE,
    Memory,
    SingleBatch,
    aligned,
    kernel,
    read_all,
    read_one,
    round_up,
    token_error,
)
from textwright.runtimes.kv_cache import AttentionRuntime, LogitsFor, Window

_CODES = {"none": NO_LOGITS, "last": LAST_LOGITS, "all": ALL_LOGITS}


class Shape(ctypes.Structure):
    """`Shape` of attention.h."""

    _fields_ = [
        ("layers", INTEGER),
        ("heads", INTEGER),
        ("head_size", INTEGER),
        ("block_size", INTEGER),
    ]


class CompiledWindow(Window):
    """A window with the KV cache of attention.h: for each layer and head, keys, then values."""

    def __init__(self, config: AttentionConfig) -> None:
        super().__init__(config)
        tiles = round_up(config.block_size, TILE) // TILE
        # Its pages take memory when they are written to, so a long context is free so far.
        self._set_cache(
            aligned((config.num_layers, config.num_heads, 2, tiles, config.head_size * TILE))
        )

    def _set_cache(self, cache: Floats) -> None:
        self.cache = cache
        self.address = cache.ctypes.data
        self.batch = SingleBatch(self.address)

    @property
    def nbytes(self) -> int:
        tiles = round_up(self.length, TILE) // TILE
        return int(self.cache.nbytes * tiles // self.cache.shape[3])

    def copy(self, length: int | None = None) -> CompiledWindow:
        other = super().copy(length)
        other._set_cache(aligned(self.cache.shape))
        # A tile of keys has the same 64 positions as a tile's worth of values.
        tiles = round_up(other.length, TILE) // TILE
        other.cache[:, :, :, :tiles] = self.cache[:, :, :, :tiles]
        return other


class CompiledAttention(AttentionRuntime[CompiledWindow]):
    """The base of both families; a family makes the structure that its kernel reads."""

    kernel_name: str

    def __init__(
        self, config: AttentionConfig, library: ctypes.CDLL, memory: Memory, model: Any
    ) -> None:
        super().__init__(config)
        self._library, self._call = library, kernel(library, self.kernel_name)
        self._memory = memory
        self._address = ctypes.addressof(memory.keep(model))
        self.weight_bytes = memory.used

    def initial_state(self) -> CompiledWindow:
        return CompiledWindow(self.config)

    def encode(self, tokens: Tokens, state: CompiledWindow, logits_for: LogitsFor) -> Floats:
        batch, position, code = state.batch, state.length, _CODES[logits_for]
        return read_one(self._call, self._address, tokens, batch, position, code, self.vocab_size)

    def __call__(
        self, tokens: Tokens, state: CompiledWindow, *, last_only: bool = False
    ) -> tuple[Floats, CompiledWindow]:
        if len(tokens) == 1 and state.length < self.block_size:  # nearly always
            return self._read(tokens, state, "last"), state
        return super().__call__(tokens, state, last_only=last_only)

    def batch(
        self, tokens: Sequence[Tokens], states: Sequence[CompiledWindow]
    ) -> tuple[Floats, list[CompiledWindow]]:
        """The last part of each piece in one call, parts that end a window before it."""
        ends = []
        for piece, state in zip(tokens, states, strict=True):
            if len(piece) == 0:
                raise token_error(self.vocab_size)
            end, rest = self._split_at_window(self._skip_prefix(piece, state), state)
            while len(rest):
                self._read(end, state, "none")
                end, rest = self._split_at_window(rest, state)
            ends.append(end)
        caches, positions = [state.address for state in states], [state.length for state in states]
        logits = read_all(self._call, self._address, ends, caches, positions, self.vocab_size)
        for end, state in zip(ends, states, strict=True):
            state.append(end)
        return logits, list(states)

    def write(self, texts: Sequence[Pending]) -> list[list[int]]:
        positions = [text.state.length for text in texts]
        drawn = write_all(
            self._library, self._call, self._address, texts, positions, self.vocab_size
        )
        for text, tokens in zip(texts, drawn, strict=True):
            text.state.append([text.token, *tokens[:-1]])
        return drawn


def shape_of(config: AttentionConfig) -> Shape:
    """The config as C has it."""
    return Shape(config.num_layers, config.num_heads, config.head_size, config.block_size)
