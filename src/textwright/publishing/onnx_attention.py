"""`gpt` and `transformer` as ONNX graphs: as `models/gpt.py` and `models/transformer.py`.

The state is the keys and values of every layer, (B, heads, time, head_size); before the first
token, time is 0.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import TensorProto

from textwright.arrays import Floats
from textwright.configs import AttentionConfig, GPTConfig, TransformerConfig
from textwright.publishing.onnx_graph import NEW, Graph
from textwright.runs.weights import take


class _AttentionGraph:
    """What both families share: inputs, positions, the causal mask and attention itself."""

    def __init__(self, config: AttentionConfig, weights: Mapping[str, Floats]) -> None:
        self.config, self.weights, self.graph = config, weights, Graph()
        graph = self.graph
        self.tokens = graph.input("tokens", ("batch", "time"), TensorProto.INT64)
        shape = ("batch", config.num_heads, "held", config.head_size)
        self.keys, self.values = [], []
        for layer in range(config.num_layers):
            self.keys.append(graph.input(f"keys.{layer}", shape))
            self.values.append(graph.input(f"values.{layer}", shape))
        cached = graph.node("Shape", self.keys[0], start=2, end=3)
        time = graph.node("Shape", self.tokens, start=1, end=2)
        first = graph.integers(0)
        start = graph.node("Squeeze", cached, first)
        end = graph.node("Add", start, graph.node("Squeeze", time, first))
        one = graph.number(1)
        self.positions = graph.node("Range", start, end, one)  # (T,) of the new tokens
        all_positions = graph.node("Range", graph.number(0), end, one)  # (S,)
        rows = graph.node("Unsqueeze", self.positions, graph.integers(1))
        self.causal_mask = graph.node("LessOrEqual", all_positions, rows)  # (T, S)
        self.masked_score = graph.number(float(np.finfo(np.float32).min))

    def take(self, name: str, *shape: int) -> Floats:
        return take(self.weights, name, *shape)

    def stored(self, name: str, *shape: int) -> str:
        """Add a tensor of the weights to the graph."""
        return self.graph.weight(name, self.take(name, *shape))

    def transposed(self, name: str, outputs: int, inputs: int) -> str:
        """Add a matrix of the weights, (out, in), to the graph as (in, out)."""
        return self.graph.weight(name, self.take(name, outputs, inputs).T)

    def heads(self, x: str) -> str:
        """(B, T, C) → (B, heads, T, head_size)."""
        shape = self.graph.integers(0, 0, self.config.num_heads, self.config.head_size)
        return self.graph.node("Transpose", self.graph.node("Reshape", x, shape), perm=(0, 2, 1, 3))

    def attend(self, layer: int, q: str, k: str, v: str) -> str:
        """Causal attention over cached and new positions; returns (B, T, C)."""
        graph, config = self.graph, self.config
        k = graph.node("Concat", self.keys[layer], k, axis=2)
        v = graph.node("Concat", self.values[layer], v, axis=2)
        shape = ("batch", config.num_heads, "all", config.head_size)
        graph.output(k, f"{NEW}keys.{layer}", shape)
        graph.output(v, f"{NEW}values.{layer}", shape)
        scores = graph.node("MatMul", q, graph.node("Transpose", k, perm=(0, 1, 3, 2)))
        scores = graph.node("Mul", scores, graph.number(config.head_size**-0.5))
        scores = graph.node("Where", self.causal_mask, scores, self.masked_score)
        mixed = graph.node("MatMul", graph.node("Softmax", scores, axis=-1), v)
        mixed = graph.node("Transpose", mixed, perm=(0, 2, 1, 3))
        return graph.node("Reshape", mixed, graph.integers(0, 0, config.hidden_size))

    def head(self, x: str, embedding: str) -> Graph:
        """Add the output layer; returns the complete graph."""
        vocabulary, width = self.config.vocab_size, self.config.hidden_size
        if self.config.tie_embeddings:
            output = self.graph.node("Transpose", embedding, perm=(1, 0))
        else:
            output = self.transposed("lm_head.weight", vocabulary, width)
        logits = self.graph.linear(x, output)
        self.graph.output(logits, "logits", ("batch", "time", vocabulary))
        return self.graph


def gpt_graph(config: GPTConfig, weights: Mapping[str, Floats]) -> Graph:
    """The step graph of a `gpt`: tokens (B, T) and the state → logits (B, T, V) and the state."""
    base = _AttentionGraph(config, weights)
    graph, width, inner = base.graph, config.hidden_size, config.intermediate_size
    epsilon = graph.number(config.rms_norm_eps)
    cos, sin = (graph.node("Gather", graph.weight(name, table), base.positions)
                for name, table in zip(("cos", "sin"), _rotation(config), strict=True))  # fmt: skip

    def norm(x: str, name: str, size: int) -> str:
        """RMSNorm over the last axis."""
        square = graph.node("ReduceMean", graph.node("Mul", x, x), axes=[-1])
        root = graph.node("Sqrt", graph.node("Add", square, epsilon))
        return graph.node("Mul", graph.node("Div", x, root), base.stored(name, size))

    def rotate(x: str) -> str:
        """Rotary positions in the half-split form."""
        first, second = graph.nodes("Split", x, results=2, axis=-1)
        rotated = graph.node("Concat", graph.node("Neg", second), first, axis=-1)
        return graph.node("Add", graph.node("Mul", x, cos), graph.node("Mul", rotated, sin))

    embedding = base.stored("model.embed_tokens.weight", config.vocab_size, width)
    x = graph.node("Gather", embedding, base.tokens)
    for layer in range(config.num_layers):
        name = f"model.layers.{layer}"
        y = norm(x, f"{name}.input_layernorm.weight", width)
        q, k, v = (
            base.heads(
                graph.linear(y, base.transposed(f"{name}.self_attn.{p}_proj.weight", width, width))
            )
            for p in "qkv"
        )
        q = rotate(norm(q, f"{name}.self_attn.q_norm.weight", config.head_size))
        k = rotate(norm(k, f"{name}.self_attn.k_norm.weight", config.head_size))
        y = base.attend(layer, q, k, v)
        y = graph.linear(y, base.transposed(f"{name}.self_attn.o_proj.weight", width, width))
        x = graph.node("Add", x, y)
        y = norm(x, f"{name}.post_attention_layernorm.weight", width)
        gate = graph.linear(y, base.transposed(f"{name}.mlp.gate_proj.weight", inner, width))
        gate = graph.node("Mul", gate, graph.node("Sigmoid", gate))  # SiLU
        up = graph.linear(y, base.transposed(f"{name}.mlp.up_proj.weight", inner, width))
        y = graph.node("Mul", gate, up)
        y = graph.linear(y, base.transposed(f"{name}.mlp.down_proj.weight", width, inner))
        x = graph.node("Add", x, y)
    return base.head(norm(x, "model.norm.weight", width), embedding)


def _rotation(config: GPTConfig) -> tuple[Floats, Floats]:
    """Cosines and sines of every position, (block_size, head_size) each."""
    even = np.arange(0, config.head_size, 2, dtype=np.float64) / config.head_size
    angles = np.arange(config.block_size)[:, None] * config.rope_theta**-even
    both = np.concatenate((angles, angles), axis=1)
    return np.cos(both).astype(np.float32), np.sin(both).astype(np.float32)


def transformer_graph(config: TransformerConfig, weights: Mapping[str, Floats]) -> Graph:
    """The step graph of a `transformer`, with inputs and outputs as `gpt_graph`."""
    base = _AttentionGraph(config, weights)
    graph, width, inner = base.graph, config.hidden_size, config.intermediate_size

    def norm(x: str, name: str) -> str:
        scale = base.stored(f"{name}.weight", width)
        shift = base.stored(f"{name}.bias", width)
        return graph.node("LayerNormalization", x, scale, shift, epsilon=config.layer_norm_eps)

    def linear(x: str, name: str, inputs: int, outputs: int) -> str:
        weight = base.stored(f"{name}.weight", inputs, outputs)  # GPT-2 stores (in, out)
        return graph.linear(x, weight, base.stored(f"{name}.bias", outputs))

    embedding = base.stored("transformer.wte.weight", config.vocab_size, width)
    positions = base.stored("transformer.wpe.weight", config.block_size, width)
    x = graph.node("Gather", embedding, base.tokens)
    x = graph.node("Add", x, graph.node("Gather", positions, base.positions))
    for layer in range(config.num_layers):
        name = f"transformer.h.{layer}"
        y = linear(norm(x, f"{name}.ln_1"), f"{name}.attn.c_attn", width, 3 * width)
        q, k, v = (base.heads(part) for part in graph.nodes("Split", y, results=3, axis=-1))
        y = base.attend(layer, q, k, v)
        x = graph.node("Add", x, linear(y, f"{name}.attn.c_proj", width, width))
        y = linear(norm(x, f"{name}.ln_2"), f"{name}.mlp.c_fc", width, inner)
        y = linear(_activation(graph, config, y), f"{name}.mlp.c_proj", inner, width)
        x = graph.node("Add", x, y)
    return base.head(norm(x, "transformer.ln_f"), embedding)


def _activation(graph: Graph, config: TransformerConfig, x: str) -> str:
    if config.activation == "relu":
        return graph.node("Relu", x)
    half, one = graph.number(0.5), graph.number(1.0)
    if config.activation == "gelu_erf":
        inner = graph.node("Erf", graph.node("Mul", x, graph.number(0.5**0.5)))
    else:  # the tanh form
        cube = graph.node("Mul", graph.node("Mul", x, x), x)
        inner = graph.node("Add", x, graph.node("Mul", cube, graph.number(0.044715)))
        inner = graph.node("Tanh", graph.node("Mul", inner, graph.number((2 / np.pi) ** 0.5)))
    return graph.node("Mul", graph.node("Mul", x, half), graph.node("Add", inner, one))
