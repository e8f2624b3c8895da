"""`gpt` in NumPy: the shape of `Qwen3ForCausalLM`. Beside it, `textwright/models/gpt.py`.

Small models are bound by the number of calls, not by arithmetic, so everything constant is worked
into the matrices when a model is loaded: the weights of each RMSNorm and its √C into the product
after it, those of the query and key norms and the attention's 1/√D into the rotary tables, the
gate's factor ½ into its half of the gate-and-up product. What is left are few, large products.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from textwright.arrays import Floats, Tokens
from textwright.configs import GPTConfig
from textwright.runs.weights import take
from textwright.runtimes.kv_cache import AttentionState, NumPyAttention, attend


class Layer(NamedTuple):
    """The matrices of a block, each (in, out); C is the width, I the inner one."""

    qkv: Floats  # (C, 3C)
    cos: Floats  # (B, 2, 1, 2, D/2): for queries and keys, each half of a head
    sin: Floats  # the same; multiplies the other half
    out: Floats  # (C, C)
    gate_up: Floats  # (C, 2I)
    down: Floats  # (I, C)


class GPTRuntime(NumPyAttention):
    """A `gpt` model; weights as in the stock class's file."""

    def __init__(self, config: GPTConfig, weights: Mapping[str, Floats]) -> None:
        super().__init__(config)
        width, vocabulary = config.hidden_size, config.vocab_size
        # An RMSNorm divides by √(Σx²/C + ε) = √(Σx² + Cε) / √C; the √C goes into the weights.
        self.epsilon = np.float32(config.rms_norm_eps * width)
        self.head_epsilon = np.float32(config.rms_norm_eps * config.head_size)
        self.embedding = take(weights, "model.embed_tokens.weight", vocabulary, width)
        self.layers = [_layer(config, weights, number) for number in range(config.num_layers)]
        head = self.embedding
        if not config.tie_embeddings:
            head = take(weights, "lm_head.weight", vocabulary, width)
        self.head = _after_norm(take(weights, "model.norm.weight", width), head)  # (C, V)

    def vectors(self, tokens: Tokens, state: AttentionState) -> Floats:
        time, inner = len(tokens), self.layers[0].down.shape[0]
        heads, size = self.config.num_heads, self.config.head_size
        positions = slice(state.held, state.held + time)
        x = self.embedding[tokens]  # (T, C)
        for number, layer in enumerate(self.layers):
            qkv = (_unit(x, self.epsilon) @ layer.qkv).reshape(time, 3, heads, size)
            qk = _unit(qkv[:, :2], self.head_epsilon).reshape(time, 2, heads, 2, size // 2)
            turned = qk * layer.cos[positions]
            turned += qk[..., ::-1, :] * layer.sin[positions]
            turned = turned.reshape(time, 2, heads, size)
            x += attend(turned[:, 0], turned[:, 1], qkv[:, 2], state, number) @ layer.out
            gate_up = _unit(x, self.epsilon) @ layer.gate_up
            gate, up = gate_up[:, :inner], gate_up[:, inner:]
            # silu(g) = g/2 · (1 + tanh(g/2)), which can't overflow; `gate` is g/2.
            swish = np.tanh(gate)
            swish += 1
            swish *= gate
            swish *= up
            x += swish @ layer.down
        return x

    def logits(self, vectors: Floats) -> Floats:
        return _unit(vectors, self.epsilon) @ self.head


def _unit(x: Floats, epsilon: np.float32) -> Floats:
    """`x` divided by its length over the last axis."""
    length = np.vecdot(x, x)
    length += epsilon
    np.sqrt(length, out=length)
    unit: Floats = x / length[..., None]
    return unit


def _after_norm(norm: Floats, weight: Floats) -> Floats:
    """A linear layer (out, in) that follows an RMSNorm over C, as (in, out)."""
    scaled = weight * (norm * np.sqrt(np.float32(len(norm))))
    return np.ascontiguousarray(scaled.T)


def _layer(config: GPTConfig, weights: Mapping[str, Floats], number: int) -> Layer:
    width, inner, size = config.hidden_size, config.intermediate_size, config.head_size
    name = f"model.layers.{number}."

    def norm(part: str, length: int) -> Floats:
        return take(weights, f"{name}{part}.weight", length)

    def linear(part: str, outputs: int, inputs: int) -> Floats:
        return take(weights, f"{name}{part}.weight", outputs, inputs)

    qkv = np.concatenate([linear(f"self_attn.{part}_proj", width, width) for part in "qkv"])
    gate, up = linear("mlp.gate_proj", inner, width), linear("mlp.up_proj", inner, width)
    cos, sin = rotary_tables(config, norm("self_attn.q_norm", size), norm("self_attn.k_norm", size))
    return Layer(
        qkv=_after_norm(norm("input_layernorm", width), qkv),
        cos=cos,
        sin=sin,
        out=np.ascontiguousarray(linear("self_attn.o_proj", width, width).T),
        gate_up=_after_norm(
            norm("post_attention_layernorm", width), np.concatenate((gate * np.float32(0.5), up))
        ),
        down=np.ascontiguousarray(linear("mlp.down_proj", width, inner).T),
    )


def rotary_tables(config: GPTConfig, query_norm: Floats, key_norm: Floats) -> tuple[Floats, Floats]:
    """Factors of a head's own half and of its other half: Su et al., "RoFormer" (2021).

    With the head as (left, right), rotation by the angle a of a position gives
    (left · cos a − right · sin a, right · cos a + left · sin a).

    Args:
        config: of the model.
        query_norm: the weights of the norm of queries, (D,), which are worked into the tables.
        key_norm: those of keys.

    Returns:
        Cosines and sines, (B, 2, 1, 2, D/2): of queries and keys, each half of a head.
    """
    # The norms' √D and the attention's 1/√D: the first belongs to both, the second to the queries.
    scales = np.stack((query_norm, key_norm * np.float32(config.head_size**0.5)))
    half = config.head_size // 2
    exponents = np.arange(0, config.head_size, 2, dtype=np.float32) / config.head_size
    # As torch's, to the last bit nearly always: NumPy's powers in float32 are less exact, and the
    # thousandth position turns by a thousand times what they are off.
    speeds = (config.rope_theta ** -exponents.astype(np.float64)).astype(np.float32)
    angles = np.outer(np.arange(config.block_size, dtype=np.float32), speeds)  # (B, D/2)
    # In 64 bits and then rounded: NumPy's in 32 depend on the processor in their last bit.
    cos, sin = (turn(angles.astype(np.float64)).astype(np.float32) for turn in (np.cos, np.sin))
    own = scales.reshape(1, 2, 1, 2, half)
    other = own[..., ::-1, :] * np.array([[-1], [1]], np.float32)
    places = np.s_[:, None, None, None, :]
    return own * cos[places], other * sin[places]
