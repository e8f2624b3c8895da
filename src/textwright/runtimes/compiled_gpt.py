"""`gpt` on `gpt.c`: its structures, and the weights copied into them."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

import numpy as np

from textwright.arrays import Floats
from textwright.configs import GPTConfig
from textwright.kernels.structures import (
    FLOAT,
    INTEGER,
    LANES,
    POINTER,
    Matrix,
    Memory,
    Precision,
    pad,
    round_up,
)
from textwright.runs.weights import take
from textwright.runtimes.compiled_attention import CompiledAttention, Shape, shape_of
from textwright.runtimes.gpt import rotary_tables


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
    """A `gpt` model on `gpt.c`."""

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
        self._inner = round_up(config.intermediate_size, LANES)
        layers = [self._layer(config, number) for number in range(config.num_layers)]
        embedding = take(weights, "model.embed_tokens.weight", vocabulary, width)
        output = embedding
        if not config.tie_embeddings:
            output = take(weights, "lm_head.weight", vocabulary, width)
        head = memory.matrix(output.T)
        model = GPTModel(
            shape=shape_of(config),
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
