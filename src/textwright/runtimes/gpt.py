"""`gpt` in NumPy: the shape of `Qwen3ForCausalLM`; in torch `textwright/models/gpt.py`.

The time of small models is calls, not arithmetic, so constants are folded into the weights when a
model is loaded: the weights of each RMSNorm and its √C into the product after it, those of the
query and key norms and the attention's 1/√D into the rotary tables, the gate's factor ½ into its
half of the gate-and-up product.
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
    """The weights of a block, each (in, out); C is `hidden_size`, I `intermediate_size`."""

    qkv: Floats  # (C, 3C)
    cos: Floats  # (B, 2, 1, 2, D/2): for queries and keys, each half of a head
    sin: Floats  # the same; multiplies the other half
    out: Floats  # (C, C)
    gate_up: Floats  # (C, 2I)
    down: Floats  # (I, C)


class GPTRuntime(NumPyAttention):
    """A `gpt` model; weights by the names of `Qwen3ForCausalLM`."""

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
        self.head = _fold_norm(take(weights, "model.norm.weight", width), head)  # (C, V)

    def hidden_states(self, tokens: Tokens, state: AttentionState) -> Floats:
        time, inner = len(tokens), self.layers[0].down.shape[0]
        heads, size = self.config.num_heads, self.config.head_size
        positions = slice(state.length, state.length + time)
        x = self.embedding[tokens]  # (T, C)
        for number, layer in enumerate(self.layers):
            qkv = (_normalize(x, self.epsilon) @ layer.qkv).reshape(time, 3, heads, size)
            qk = _normalize(qkv[:, :2], self.head_epsilon).reshape(time, 2, heads, 2, size // 2)
            rotated = qk * layer.cos[positions]
            rotated += qk[..., ::-1, :] * layer.sin[positions]
            rotated = rotated.reshape(time, 2, heads, size)
            x += attend(rotated[:, 0], rotated[:, 1], qkv[:, 2], state, number) @ layer.out
            gate_up = _normalize(x, self.epsilon) @ layer.gate_up
            gate, up = gate_up[:, :inner], gate_up[:, inner:]
            # silu(g) = g/2 · (1 + tanh(g/2)), which can't overflow; `gate` is g/2.
            swish = np.tanh(gate)
            swish += 1
            swish *= gate
            swish *= up
            x += swish @ layer.down
            self.end_block(number, x, state)
        return x

    def logits(self, hidden_states: Floats) -> Floats:
        return _normalize(hidden_states, self.epsilon) @ self.head


def _normalize(x: Floats, epsilon: np.float32) -> Floats:
    """`x` divided by its Euclidean norm over the last axis, √(Σx² + ε)."""
    norm = np.vecdot(x, x)
    norm += epsilon
    np.sqrt(norm, out=norm)
    normalized: Floats = x / norm[..., None]
    return normalized


def _fold_norm(norm: Floats, weight: Floats) -> Floats:
    """A linear layer (out, in) with the RMSNorm before it folded in, as (in, out)."""
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
        qkv=_fold_norm(norm("input_layernorm", width), qkv),
        cos=cos,
        sin=sin,
        out=np.ascontiguousarray(linear("self_attn.o_proj", width, width).T),
        gate_up=_fold_norm(
            norm("post_attention_layernorm", width), np.concatenate((gate * np.float32(0.5), up))
        ),
        down=np.ascontiguousarray(linear("mlp.down_proj", width, inner).T),
    )


def rotary_tables(config: GPTConfig, query_norm: Floats, key_norm: Floats) -> tuple[Floats, Floats]:
    """Rotary factors of each half of a head and of its other half: Su et al., "RoFormer" (2021).

    With the head as (left, right), rotation by the angle a of a position gives
    (left · cos a − right · sin a, right · cos a + left · sin a).

    Args:
        config: of the model.
        query_norm: weights of the norm of queries, (D,), which are folded into the tables.
        key_norm: of the norm of keys, (D,).

    Returns:
        Cosines and sines, (B, 2, 1, 2, D/2): of queries and keys, of each half of a head.
    """
    # The norms' √D and the attention's 1/√D: the first belongs to both, the second to the queries.
    scales = np.stack((query_norm, key_norm * np.float32(config.head_size**0.5)))
    half = config.head_size // 2
    exponents = np.arange(0, config.head_size, 2, dtype=np.float32) / config.head_size
    # float64 gives torch's float32 powers nearly always; NumPy's own in float32 are less exact, and
    # position 1,000 multiplies their error by 1,000.
    speeds = (config.rope_theta ** -exponents.astype(np.float64)).astype(np.float32)
    angles = np.outer(np.arange(config.block_size, dtype=np.float32), speeds)  # (B, D/2)
    # In 64 bits and then rounded: NumPy's in 32 depend on the processor in their last bit.
    cos, sin = (turn(angles.astype(np.float64)).astype(np.float32) for turn in (np.cos, np.sin))
    own = scales.reshape(1, 2, 1, 2, half)
    other = own[..., ::-1, :] * np.array([[-1], [1]], np.float32)
    places = np.s_[:, None, None, None, :]
    return own * cos[places], other * sin[places]
