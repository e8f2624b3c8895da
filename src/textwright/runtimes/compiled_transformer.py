"""`transformer` on `transformer.c`: its structures, and the weights copied into them."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

from textwright.arrays import Floats
from textwright.configs import TransformerConfig
from textwright.kernels.structures import (
    FLOAT,
    INTEGER,
    LANES,
    POINTER,
    Matrix,
    Memory,
    Precision,
    round_up,
)
from textwright.runs.weights import take
from textwright.runtimes.compiled_attention import CompiledAttention, Shape, shape_of


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
    """A `transformer` model on `transformer.c`."""

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
            shape=shape_of(config),
            vocab_size=vocabulary,
            width=width,
            inner=round_up(config.intermediate_size, LANES),
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
        name = f"transformer.h.{number}."
        width, inner = config.hidden_size, config.intermediate_size

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
