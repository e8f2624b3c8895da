"""`gpt`: a modern decoder, in exactly the shape of `Qwen3ForCausalLM`.

Read `GPT.encode` first: embed the tokens, apply the blocks, normalize, project to the vocabulary. A
block adds to the residual stream twice: the output of attention, which gathers from earlier
positions, and that of a feed-forward network, which sees each position by itself.

Parameter names are those of the stock class, so the weights file needs no conversion.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textwright.configs import GPTConfig
from textwright.models.attention import AttentionModel, attend, extend
from textwright.models.base import Dropout, Matrices, State, register
from textwright.models.fused import RMSNorm, Rotation, add, gated, split_heads


@register
class GPT(AttentionModel):
    """The model: embedding, blocks, norm, output."""

    config_class = GPTConfig
    config: GPTConfig
    cos: Tensor
    sin: Tensor

    def __init__(self, config: GPTConfig) -> None:
        super().__init__(config)
        self.model = Decoder(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight
        else:
            nn.init.zeros_(self.lm_head.weight)  # every token equally likely at first
        cos, sin = rotary_tables(config.block_size, config.head_size, config.rope_theta)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def encode(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        past = state["tokens"].shape[1]
        positions = slice(past, past + tokens.shape[1])
        rotation = Rotation(self.cos[positions], self.sin[positions])
        new: State = {"tokens": torch.cat((state["tokens"], tokens), dim=1)}
        x = self.model.dropout(self.model.embed_tokens(tokens))  # (B, T, C)
        for layer, block in enumerate(self.model.layers):
            x = block(x, rotation, state, new, layer)
        return self.model.norm(x), new

    def matrices(self) -> Iterable[Matrices]:
        return (Matrices(weight) for weight in self.model.layers.parameters() if weight.ndim == 2)

    def is_shared(self, name: str) -> bool:
        return self.config.tie_embeddings and name == "lm_head.weight"


class Decoder(nn.Module):
    """Everything below the output layer."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        nn.init.normal_(self.embed_tokens.weight, std=0.02 if config.tie_embeddings else 1.0)
        self.dropout = Dropout(config.dropout, place=0)
        self.layers = nn.ModuleList(Block(config, layer) for layer in range(config.num_layers))
        self.norm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)


class Block(nn.Module):
    """Attention, then the feed-forward layer, each on the normalized residual stream."""

    def __init__(self, config: GPTConfig, layer: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.mlp = SwiGLU(config)
        self.attention_dropout = Dropout(config.dropout, place=2 * layer + 1)
        self.mlp_dropout = Dropout(config.dropout, place=2 * layer + 2)

    def forward(self, x: Tensor, rotation: Rotation, old: State, new: State, layer: int) -> Tensor:
        gathered = self.self_attn(self.input_layernorm(x), rotation, old, new, layer)
        x = add(x, gathered, self.attention_dropout)
        return add(x, self.mlp(self.post_attention_layernorm(x)), self.mlp_dropout)


class Attention(nn.Module):
    """Multi-head causal attention with rotary positions and QK-norm.

    Rotary positions: Su et al., "RoFormer" (2021), in the half-split form. QK-norm: Henry et al.,
    "Query-Key Normalization for Transformers" (2020); it bounds the attention logits, which allows
    higher learning rates.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        width, self.heads, self.head_size = config.hidden_size, config.num_heads, config.head_size
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width, bias=False)
        self.o_proj = nn.Linear(width, width, bias=False)
        self.q_norm = HeadNorm(self.head_size, eps=config.rms_norm_eps)
        self.k_norm = HeadNorm(self.head_size, eps=config.rms_norm_eps)
        for projection in (self.q_proj, self.k_proj, self.v_proj):
            nn.init.normal_(projection.weight, std=width**-0.5)
        nn.init.zeros_(self.o_proj.weight)  # each block starts as the identity

    def forward(self, x: Tensor, rotation: Rotation, old: State, new: State, layer: int) -> Tensor:
        # One fused product: on small models the calls cost more than the arithmetic.
        weight = torch.cat((self.q_proj.weight, self.k_proj.weight, self.v_proj.weight))
        q, k, v = split_heads(F.linear(x, weight), self.q_norm, self.k_norm, rotation)
        k, v = extend(old, layer, k, v)
        new[f"keys.{layer}"], new[f"values.{layer}"] = k, v
        return self.o_proj(attend(q, k, v))


class HeadNorm(nn.RMSNorm):
    """RMSNorm in the dtype of its input, which under autocast is not that of its weight."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.to(x.dtype)
        return F.rms_norm(x, (x.shape[-1],), weight, self.eps)


class SwiGLU(nn.Module):
    """down(silu(gate(x)) · up(x)): Shazeer, "GLU Variants Improve Transformer" (2020)."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)
        for projection in (self.gate_proj, self.up_proj):
            nn.init.normal_(projection.weight, std=width**-0.5)
        nn.init.zeros_(self.down_proj.weight)

    def forward(self, x: Tensor) -> Tensor:
        both = F.linear(x, torch.cat((self.gate_proj.weight, self.up_proj.weight)))
        return self.down_proj(gated(both))


def rotary_tables(length: int, head_size: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the rotations, (length, head_size) each; the halves are equal."""
    exponents = torch.arange(0, head_size, 2, dtype=torch.float32) / head_size
    angles = torch.outer(torch.arange(length, dtype=torch.float32), theta**-exponents)
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()
