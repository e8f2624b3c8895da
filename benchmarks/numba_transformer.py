"""The 2017 decoder, a token at a time, in loops that Numba compiles: a candidate for a runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numba import njit

FAST = {"fastmath": True, "error_model": "numpy", "cache": False}


@njit(**FAST)
def product(x: Any, weights: Any, bias: Any, y: Any) -> None:
    """y = x · weights + bias, summed down the rows so that outputs lie side by side."""
    y[:] = bias
    for i in range(len(x)):
        factor = x[i]
        for o in range(len(y)):
            y[o] += factor * weights[i, o]


@njit(**FAST)
def normalise(x: Any, scale: Any, shift: Any, y: Any) -> None:
    mean = x.mean()
    variance = np.float32(0)
    for value in x:
        variance += (value - mean) * (value - mean)
    inverse = 1 / np.sqrt(variance / len(x) + np.float32(1e-5))
    for i in range(len(x)):
        y[i] = (x[i] - mean) * inverse * scale[i] + shift[i]


@njit(**FAST)
def read(token: int, at: int, heads: int, embedding: Any, places: Any, norms: Any, qkv: Any,
         qkv_bias: Any, out: Any, out_bias: Any, inner: Any, inner_bias: Any, outer: Any,
         outer_bias: Any, head: Any, keys: Any, values: Any) -> Any:  # fmt: skip
    width = embedding.shape[1]
    size = width // heads
    x = embedding[token] + places[at]
    normal, wide = np.empty(width, np.float32), np.empty(3 * width, np.float32)
    more, mixed = np.empty(inner.shape[2], np.float32), np.empty(width, np.float32)
    scores, back = np.empty(at + 1, np.float32), np.empty(width, np.float32)
    for layer in range(len(qkv)):
        normalise(x, norms[2 * layer, 0], norms[2 * layer, 1], normal)
        product(normal, qkv[layer], qkv_bias[layer], wide)
        keys[layer, at] = wide[width : 2 * width]
        values[layer, at] = wide[2 * width :]
        mixed[:] = 0
        for h in range(heads):
            begin = h * size
            most = np.float32(-np.inf)
            for s in range(at + 1):
                score = np.float32(0)
                for i in range(size):
                    score += wide[begin + i] * keys[layer, s, begin + i]
                scores[s] = score / np.sqrt(np.float32(size))
                most = max(most, scores[s])
            total = np.float32(0)
            for s in range(at + 1):
                scores[s] = np.exp(scores[s] - most)
                total += scores[s]
            for s in range(at + 1):
                weight = scores[s] / total
                for i in range(size):
                    mixed[begin + i] += weight * values[layer, s, begin + i]
        product(mixed, out[layer], out_bias[layer], back)
        x += back
        normalise(x, norms[2 * layer + 1, 0], norms[2 * layer + 1, 1], normal)
        product(normal, inner[layer], inner_bias[layer], more)
        for i in range(len(more)):
            v = more[i]
            more[i] = v / (
                1 + np.exp(np.float32(-1.59576912) * (v + np.float32(0.044715) * v * v * v))
            )
        product(more, outer[layer], outer_bias[layer], back)
        x += back
    normalise(x, norms[-1, 0], norms[-1, 1], normal)
    logits = np.empty(head.shape[1], np.float32)
    product(normal, head, np.zeros(head.shape[1], np.float32), logits)
    return logits


def begin_reading(config: Any, tensors: Mapping[str, Any]) -> Callable[[], Callable[[int], Any]]:
    """What begins a text: a function that reads one token more and gives its logits."""
    layers = range(config.num_layers)

    def every(part: str) -> Any:
        return np.stack([tensors[f"transformer.h.{n}.{part}"] for n in layers])

    names = [f"transformer.h.{n}.{part}" for n in layers for part in ("ln_1", "ln_2")]
    norms = np.stack([[tensors[f"{name}.{half}"] for half in ("weight", "bias")]
                      for name in (*names, "transformer.ln_f")])  # fmt: skip
    embedding = tensors["transformer.wte.weight"]
    matrices = [every(f"{part}.{half}")
                for part in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
                for half in ("weight", "bias")]  # fmt: skip
    parts = [embedding, tensors["transformer.wpe.weight"], norms, *matrices,
             np.ascontiguousarray(embedding.T)]  # fmt: skip
    shape = config.num_layers, config.block_size, config.hidden_size

    def begin() -> Callable[[int], Any]:
        keys, values, at = np.empty(shape, np.float32), np.empty(shape, np.float32), 0

        def one(token: int) -> Any:
            nonlocal at
            at += 1
            return read(token, at - 1, config.num_heads, *parts, keys, values)

        return one

    return begin
