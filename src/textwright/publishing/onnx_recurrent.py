"""`lstm`, `gru` and `rnn` as an ONNX graph: the computation of `models/recurrent.py`.

ONNX has the three layers as operators, with another order of the gates: i, o, f, c in the LSTM
where torch has i, f, g, o, and z, r, h in the GRU where torch has r, z, n.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import TensorProto

from textwright.arrays import Floats
from textwright.configs import RecurrentConfig
from textwright.publishing.onnx_graph import NEW, Graph
from textwright.runs.weights import take

_OPERATORS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}
_GATES = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}
"""Indexes of torch's gates in the order of ONNX."""


def recurrent_graph(config: RecurrentConfig, weights: Mapping[str, Floats]) -> Graph:
    """The step graph: tokens (B, T), `h.0` … (and `c.0` …) (B, width) → logits (B, T, V), state."""
    graph = Graph()
    tokens = graph.input("tokens", ("batch", "time"), TensorProto.INT64)
    embedding = graph.weight(
        "embedding", take(weights, "embedding.weight", config.vocab_size, config.embedding_size)
    )
    x = graph.node("Gather", embedding, tokens)  # (B, T, E)
    x = graph.node("Transpose", x, perm=(1, 0, 2))  # (T, B, E), as the operators take it
    inputs = config.embedding_size
    for number, width in enumerate(config.layer_sizes):
        x = _layer(graph, config, weights, number, inputs, x)
        inputs = width
    x = graph.node("Transpose", x, perm=(1, 0, 2))  # (B, T, C)
    if config.tie_embeddings:
        output = graph.node("Transpose", embedding, perm=(1, 0))
    else:
        output = graph.weight("output", take(weights, "output.weight", config.vocab_size, inputs).T)
    bias = graph.weight("output.bias", take(weights, "output.bias", config.vocab_size))
    logits = graph.linear(x, output, bias)
    graph.output(logits, "logits", ("batch", "time", config.vocab_size))
    return graph


def _layer(
    graph: Graph,
    config: RecurrentConfig,
    weights: Mapping[str, Floats],
    number: int,
    input_size: int,
    x: str,
) -> str:
    """A layer over x (T, B, input_size); returns (T, B, width)."""
    width, rows = config.layer_sizes[number], config.gates * config.layer_sizes[number]
    order = _GATES[config.family]

    def reordered(name: str, *shape: int) -> Floats:
        tensor = take(weights, f"layers.{number}.{name}", *shape)
        gates = np.split(tensor, config.gates)
        return np.concatenate([gates[gate] for gate in order])[None]

    inputs = [
        x,
        graph.weight(f"layers.{number}.W", reordered("weight_ih", rows, input_size)),
        graph.weight(f"layers.{number}.R", reordered("weight_hh", rows, width)),
        graph.weight(
            f"layers.{number}.B",
            np.concatenate((reordered("bias_ih", rows), reordered("bias_hh", rows)), axis=1),
        ),
        "",  # all sequences are equally long
    ]
    parts = ("h", "c") if config.family == "lstm" else ("h",)
    first = graph.integers(0)
    for part in parts:
        state = graph.input(f"{part}.{number}", ("batch", width))
        inputs.append(graph.node("Unsqueeze", state, first))
    # torch applies the reset gate after the matrix product
    extra = {"linear_before_reset": 1} if config.family == "gru" else {}
    operator = _OPERATORS[config.family]
    y, *states = graph.nodes(operator, *inputs, results=1 + len(parts), hidden_size=width, **extra)
    for part, tensor in zip(parts, states, strict=True):
        new = graph.node("Squeeze", tensor, first)
        graph.output(new, f"{NEW}{part}.{number}", ("batch", width))
    return graph.node("Squeeze", y, graph.integers(1))
