"""`gpt` and `transformer` on `gpt.c` and `transformer.c`."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from textwright.configs import AttentionConfig, GPTConfig, TransformerConfig
from textwright.generation.attention import AttentionRuntime, Wanted, Window
from textwright.generation.gpt import rotary_tables
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
    pad,
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
from textwright.generation.weights import take

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
        ("norm", POINTER),
        ("inner_norm", POINTER),
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
        ("norm", POINTER),
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
        precision: Precision = "auto",
    ) -> None:
        self._weights, self._memory = weights, Memory(precision)
        memory, width, vocabulary = self._memory, config.hidden_size, config.vocab_size
        self._inner = up_to(config.intermediate_size, LANES)
        layers = [self._layer(config, number) for number in range(config.num_layers)]
        embedding = take(weights, "model.embed_tokens.weight", vocabulary, width)
        output = embedding
        if not config.tie_embeddings:
            output = take(weights, "lm_head.weight", vocabulary, width)
        head = memory.matrix(output.T)
        model = GPTModel(
            shape=_shape(config),
            vocab_size=vocabulary,
            width=width,
            inner=self._inner,
            widest=max(head.outputs, layers[0].qkv.outputs, layers[0].gate_up.outputs),
            # An RMSNorm divides by √(Σx²/C + ε) = √(Σx² + Cε) / √C; the √C goes into the weights.
            epsilon=config.rms_norm_eps * width,
            head_epsilon=config.rms_norm_eps * config.head_size,
            embedding=memory.floats(embedding),
            layers=ctypes.addressof(memory.keep((GPTLayer * len(layers))(*layers))),
            norm=self._norm("model.norm", width),
            head=head,
        )
        del self._weights
        super().__init__(config, library, memory, model)

    def _norm(self, name: str, width: int) -> int:
        weights = take(self._weights, f"{name}.weight", width)
        return self._memory.floats(weights * np.sqrt(np.float32(width)))

    def _layer(self, config: GPTConfig, number: int) -> GPTLayer:
        weights, memory, name = self._weights, self._memory, f"model.layers.{number}."
        width, inner, size = config.hidden_size, config.intermediate_size, config.head_size

        def linear(part: str, outputs: int, inputs: int) -> Floats:
            return take(weights, f"{name}{part}.weight", outputs, inputs).T

        qkv = [linear(f"self_attn.{part}_proj", width, width) for part in "qkv"]
        gate_up = [pad(linear(f"mlp.{part}_proj", inner, width), self._inner)
                   for part in ("gate", "up")]  # fmt: skip
        cos, sin = rotary_tables(
            config,
            take(weights, f"{name}self_attn.q_norm.weight", size),
            take(weights, f"{name}self_attn.k_norm.weight", size),
        )
        return GPTLayer(
            norm=self._norm(f"{name}input_layernorm", width),
            inner_norm=self._norm(f"{name}post_attention_layernorm", width),
            qkv=memory.matrix(np.concatenate(qkv, axis=1)),
            out=memory.matrix(linear("self_attn.o_proj", width, width)),
            gate_up=memory.matrix(np.concatenate(gate_up, axis=1)),
            down=memory.matrix(linear("mlp.down_proj", width, inner)),
            cos=memory.floats(cos),
            sin=memory.floats(sin),
        )


# --- transformer --------------------------------------------------------------------------------


class Norm(ctypes.Structure):
    """`Norm` of transformer.c."""

    _fields_ = [("scale", POINTER), ("shift", POINTER)]


class TransformerLayer(ctypes.Structure):
    """`Layer` of transformer.c."""

    _fields_ = [
        ("norm", Norm),
        ("inner_norm", Norm),
        ("qkv", Matrix),
        ("out", Matrix),
        ("inner", Matrix),
        ("outer", Matrix),
    ]


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
        ("norm", Norm),
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
        precision: Precision = "auto",
    ) -> None:
        self._weights, self._memory = weights, Memory(precision)
        memory, width, vocabulary = self._memory, config.hidden_size, config.vocab_size
        layers = [self._layer(config, number) for number in range(config.num_layers)]
        embedding = take(weights, "transformer.wte.weight", vocabulary, width)
        positions = take(weights, "transformer.wpe.weight", config.block_size, width)
        output = embedding
        if not config.tie_embeddings:
            output = take(weights, "lm_head.weight", vocabulary, width)
        head = memory.matrix(output.T)
        model = TransformerModel(
            shape=_shape(config),
            vocab_size=vocabulary,
            width=width,
            inner=up_to(config.intermediate_size, LANES),
            widest=max(head.outputs, layers[0].qkv.outputs, layers[0].inner.outputs),
            activation=_ACTIVATIONS.index(config.activation),
            epsilon=config.layer_norm_eps,
            embedding=memory.floats(embedding),
            positions=memory.floats(positions),
            layers=ctypes.addressof(memory.keep((TransformerLayer * len(layers))(*layers))),
            norm=self._norm("transformer.ln_f", width),
            head=head,
        )
        del self._weights
        super().__init__(config, library, memory, model)

    def _norm(self, name: str, width: int) -> Norm:
        scale, shift = (take(self._weights, f"{name}.{part}", width) for part in ("weight", "bias"))
        return Norm(self._memory.floats(scale), self._memory.floats(shift))

    def _layer(self, config: TransformerConfig, number: int) -> TransformerLayer:
        name, width, inner = (
            f"transformer.h.{number}.",
            config.hidden_size,
            config.intermediate_size,
        )

        def linear(part: str, inputs: int, outputs: int) -> Matrix:
            weight = take(self._weights, f"{name}{part}.weight", inputs, outputs)
            bias = take(self._weights, f"{name}{part}.bias", outputs)
            return self._memory.matrix(weight, bias)

        return TransformerLayer(
            norm=self._norm(f"{name}ln_1", width),
            inner_norm=self._norm(f"{name}ln_2", width),
            qkv=linear("attn.c_attn", width, 3 * width),
            out=linear("attn.c_proj", width, width),
            inner=linear("mlp.c_fc", width, inner),
            outer=linear("mlp.c_proj", inner, width),
        )
