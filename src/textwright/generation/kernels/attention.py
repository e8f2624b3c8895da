"""`gpt` and `transformer` on `gpt.c` and `transformer.c`."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from textwright.configs import AttentionConfig, GPTConfig, TransformerConfig
from textwright.generation.attention import AttentionRuntime, Wanted, Window
from textwright.generation.gpt import GPTRuntime
from textwright.generation.kernels.matrices import (
    FLOAT,
    INTEGER,
    LANES,
    POINTER,
    TILE,
    Matrix,
    Memory,
    Precision,
    aligned,
    up_to,
)
from textwright.generation.kernels.texts import (
    ALL_LOGITS,
    LAST_LOGITS,
    NO_LOGITS,
    OneText,
    kernel,
    read_all,
    read_one,
)
from textwright.generation.runtime import Floats, Tokens
from textwright.generation.transformer import Linear, TransformerRuntime

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
                raise ValueError("no tokens to read")
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


def _shape(config: AttentionConfig) -> Shape:
    return Shape(config.num_layers, config.num_heads, config.head_size, config.block_size)


# --- gpt ----------------------------------------------------------------------------------------


class GPTLayer(ctypes.Structure):
    """`Layer` of gpt.c."""

    _fields_ = [
        ("qkv", Matrix),
        ("out", Matrix),
        ("gate_up", Matrix),
        ("down", Matrix),
        ("cos", POINTER),
        ("sin", POINTER),
    ]


class GPTModel(ctypes.Structure):
    """`GPT` of gpt.c."""

    _fields_ = [
        ("shape", Shape),
        ("vocab_size", INTEGER),
        ("width", INTEGER),
        ("inner", INTEGER),
        ("widest", INTEGER),
        ("epsilon", FLOAT),
        ("head_epsilon", FLOAT),
        ("embedding", POINTER),
        ("layers", POINTER),
        ("head", Matrix),
    ]


class CompiledGPT(CompiledAttention):
    """A `gpt` model."""

    kernel_name = "gpt_read"

    def __init__(
        self,
        config: GPTConfig,
        weights: Mapping[str, Floats],
        library: ctypes.CDLL,
        precision: Precision = "float32",
    ) -> None:
        prepared, memory = GPTRuntime(config, weights), Memory(precision)
        inner = up_to(config.intermediate_size, LANES)
        layers = [
            GPTLayer(
                qkv=memory.matrix(layer.qkv),
                out=memory.matrix(layer.out),
                gate_up=memory.matrix(_gate_up(layer.gate_up, inner)),
                down=memory.matrix(_taller(layer.down, inner)),
                cos=memory.floats(layer.cos),
                sin=memory.floats(layer.sin),
            )
            for layer in prepared.layers
        ]
        head = memory.matrix(prepared.head)
        model = GPTModel(
            shape=_shape(config),
            vocab_size=config.vocab_size,
            width=config.hidden_size,
            inner=inner,
            widest=max(head.outputs, layers[0].qkv.outputs, layers[0].gate_up.outputs),
            epsilon=prepared.epsilon,
            head_epsilon=prepared.head_epsilon,
            embedding=memory.floats(prepared.embedding),
            layers=ctypes.addressof(memory.keep((GPTLayer * len(layers))(*layers))),
            head=head,
        )
        super().__init__(config, library, memory, model)


def _gate_up(both: Floats, inner: int) -> Floats:
    """(C, 2I) as (C, 2 × inner); NumPy's has half the gate, which the kernel takes whole."""
    gate, up = np.split(both, 2, axis=1)
    wide = np.zeros((len(both), 2, inner), np.float32)
    wide[:, 0, : gate.shape[1]] = 2 * gate
    wide[:, 1, : up.shape[1]] = up
    return wide.reshape(len(both), 2 * inner)


def _taller(weight: Floats, inputs: int) -> Floats:
    """A matrix (in, out) with inputs that are always 0."""
    return np.pad(weight, ((0, inputs - len(weight)), (0, 0)))


# --- transformer --------------------------------------------------------------------------------


class TransformerLayer(ctypes.Structure):
    """`Layer` of transformer.c."""

    _fields_ = [("qkv", Matrix), ("out", Matrix), ("inner", Matrix), ("outer", Matrix)]


class TransformerModel(ctypes.Structure):
    """`Transformer` of transformer.c."""

    _fields_ = [
        ("shape", Shape),
        ("vocab_size", INTEGER),
        ("width", INTEGER),
        ("inner", INTEGER),
        ("widest", INTEGER),
        ("activation", INTEGER),
        ("epsilon", FLOAT),
        ("embedding", POINTER),
        ("positions", POINTER),
        ("layers", POINTER),
        ("head", Matrix),
    ]


_ACTIVATIONS = ("relu", "gelu", "gelu_erf")
"""In the order of `Activation` of transformer.c."""


class CompiledTransformer(CompiledAttention):
    """A `transformer` model."""

    kernel_name = "transformer_read"

    def __init__(
        self,
        config: TransformerConfig,
        weights: Mapping[str, Floats],
        library: ctypes.CDLL,
        precision: Precision = "float32",
    ) -> None:
        prepared, memory = TransformerRuntime(config, weights), Memory(precision)
        inner = up_to(config.intermediate_size, LANES)

        def matrix(linear: Linear, inputs: int) -> Matrix:
            return memory.matrix(_taller(linear.weight, inputs), linear.bias)

        width = config.hidden_size
        layers = [
            TransformerLayer(
                qkv=matrix(layer.qkv, width),
                out=matrix(layer.out, width),
                inner=matrix(layer.inner, width),
                outer=matrix(layer.outer, inner),
            )
            for layer in prepared.layers
        ]
        head = matrix(prepared.head, width)
        model = TransformerModel(
            shape=_shape(config),
            vocab_size=config.vocab_size,
            width=width,
            inner=inner,
            widest=max(head.outputs, layers[0].qkv.outputs, layers[0].inner.outputs),
            activation=_ACTIVATIONS.index(config.activation),
            epsilon=prepared.epsilon,
            embedding=memory.floats(prepared.embedding),
            positions=memory.floats(prepared.positions),
            layers=ctypes.addressof(memory.keep((TransformerLayer * len(layers))(*layers))),
            head=head,
        )
        super().__init__(config, library, memory, model)
