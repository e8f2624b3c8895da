"""`transformer` in NumPy: the shape of `GPT2LMHeadModel`; in torch `models/transformer.py`.

The scale and shift of each LayerNorm and the attention's 1/√D are folded into the product after
them when a model is loaded, which leaves fewer calls per token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from textwright.arrays import Floats, Tokens
from textwright.configs import TransformerConfig
from textwright.runs.weights import take
from textwright.runtimes.kv_cache import AttentionState, NumPyAttention, attend


class Linear(NamedTuple):
    """x @ weight + bias."""

    weight: Floats  # (in, out)
    bias: Floats  # (out,)

    def __call__(self, x: Floats) -> Floats:
        y: Floats = x @ self.weight
        y += self.bias
        return y


class Layer(NamedTuple):
    """The linear layers of a block; C is `hidden_size`, I `intermediate_size`."""

    qkv: Linear  # C → 3C
    out: Linear  # C → C
    inner: Linear  # C → I
    outer: Linear  # I → C


class TransformerRuntime(NumPyAttention):
    """A `transformer` model; weights by the names of `GPT2LMHeadModel`."""

    def __init__(self, config: TransformerConfig, weights: Mapping[str, Floats]) -> None:
        super().__init__(config)
        width, vocabulary = config.hidden_size, config.vocab_size
        self.epsilon = np.float32(config.layer_norm_eps)
        self.activate = ACTIVATIONS[config.activation]
        self.embedding = take(weights, "transformer.wte.weight", vocabulary, width)
        self.positions = take(weights, "transformer.wpe.weight", config.block_size, width)
        self.layers = [_layer(config, weights, number) for number in range(config.num_layers)]
        head = self.embedding
        if not config.tie_embeddings:
            head = take(weights, "lm_head.weight", vocabulary, width)
        zero = np.zeros(vocabulary, np.float32)
        self.head = _fold_norm(weights, "transformer.ln_f", Linear(head.T, zero))

    def hidden_states(self, tokens: Tokens, state: AttentionState) -> Floats:
        time, heads, size = len(tokens), self.config.num_heads, self.config.head_size
        x = self.embedding[tokens]  # (T, C)
        x += self.positions[state.length : state.length + time]
        for number, layer in enumerate(self.layers):
            q, k, v = layer.qkv(self._standardise(x)).reshape(time, 3, heads, size).swapaxes(0, 1)
            x += layer.out(attend(q, k, v, state, number))
            x += layer.outer(self.activate(layer.inner(self._standardise(x))))
            self.end_block(number, x, state)
        return x

    def logits(self, hidden_states: Floats) -> Floats:
        return self.head(self._standardise(hidden_states))

    def _standardise(self, x: Floats) -> Floats:
        """`x` with mean 0 and variance 1 over the last axis (Ba et al., 2016)."""
        width = np.float32(x.shape[-1])
        mean: Floats = np.add.reduce(x, axis=-1, keepdims=True)
        mean /= width
        centred: Floats = x - mean
        deviation = np.vecdot(centred, centred) / width
        deviation += self.epsilon
        np.sqrt(deviation, out=deviation)
        centred /= deviation[..., None]
        return centred


def _relu(x: Floats) -> Floats:
    return np.maximum(x, 0, out=x)


def _gelu(x: Floats) -> Floats:
    """GPT-2's tanh form (Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016)."""
    inner = x * x
    inner *= np.float32(0.044715)
    inner += 1
    inner *= x
    inner *= np.float32((2 / np.pi) ** 0.5)
    np.tanh(inner, out=inner)
    inner += 1
    inner *= x
    inner *= np.float32(0.5)
    return inner


_ERF = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
"""Coefficients of formula 7.1.26, the highest power first."""


def _gelu_erf(x: Floats) -> Floats:
    """x · Φ(x), the exact form. NumPy has no erf: this is Abramowitz and Stegun, "Handbook of
    Mathematical Functions" (1964), formula 7.1.26, which is off by 1.5e-7 at most."""
    z = np.abs(x)
    z *= np.float32(0.5**0.5)
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = np.full_like(t, _ERF[0])
    for coefficient in _ERF[1:]:
        series *= t
        series += np.float32(coefficient)
    series *= t
    series *= np.exp(-z * z)  # 1 - erf(z)
    series *= np.float32(0.5)
    return x * np.where(x < 0, series, 1 - series)


ACTIVATIONS = {"relu": _relu, "gelu": _gelu, "gelu_erf": _gelu_erf}
"""By `model.activation`; each may overwrite its argument."""


def _linear(weights: Mapping[str, Floats], name: str, inputs: int, outputs: int) -> Linear:
    """A linear layer, which GPT-2's files have as (in, out)."""
    return Linear(
        np.ascontiguousarray(take(weights, f"{name}.weight", inputs, outputs)),
        take(weights, f"{name}.bias", outputs),
    )


def _fold_norm(weights: Mapping[str, Floats], name: str, linear: Linear) -> Linear:
    """`linear` with the scale and shift of the LayerNorm `name` before it folded in."""
    width = linear.weight.shape[0]
    scale, shift = take(weights, f"{name}.weight", width), take(weights, f"{name}.bias", width)
    return Linear(
        np.ascontiguousarray(linear.weight * scale[:, None]), shift @ linear.weight + linear.bias
    )


def _layer(config: TransformerConfig, weights: Mapping[str, Floats], number: int) -> Layer:
    width, inner = config.hidden_size, config.intermediate_size
    name = f"transformer.h.{number}"
    qkv = _linear(weights, f"{name}.attn.c_attn", width, 3 * width)
    scale = np.ones(3 * width, np.float32)
    scale[:width] = config.head_size**-0.5  # of the queries
    return Layer(
        qkv=_fold_norm(weights, f"{name}.ln_1", Linear(qkv.weight * scale, qkv.bias * scale)),
        out=_linear(weights, f"{name}.attn.c_proj", width, width),
        inner=_fold_norm(
            weights, f"{name}.ln_2", _linear(weights, f"{name}.mlp.c_fc", width, inner)
        ),
        outer=_linear(weights, f"{name}.mlp.c_proj", inner, width),
    )
