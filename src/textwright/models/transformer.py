"""`transformer`: the decoder of Vaswani et al., "Attention Is All You Need" (2017).

Sinusoidal positions, multi-head self-attention, a feed-forward layer of two products, LayerNorm,
residual sums: the paper's components, as a decoder alone. The one change: LayerNorm comes before
each sub-layer and once at the end ("pre-norm"), since the paper's order needs a careful warmup.

That is the shape of GPT-2, with the sinusoids stored as its position weights, and the parameter
names are those of `GPT2LMHeadModel`. GPT-2's own learned positions are a setting.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textwright.configs import TransformerConfig
from textwright.models.attention import AttentionModel, attend, extend
from textwright.models.base import Dropout, Matrices, State, register
from textwright.models.fused import add


@register
class Transformer(AttentionModel):
    """The model: embedding and positions, blocks, norm, output."""

    config_class = TransformerConfig
    config: TransformerConfig

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.transformer = Decoder(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_embeddings:
            self.lm_head.weight = self.transformer.wte.weight
        else:
            nn.init.zeros_(self.lm_head.weight)  # every token equally likely at first

    def encode(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        past = state["tokens"].shape[1]
        trunk = self.transformer
        new: State = {"tokens": torch.cat((state["tokens"], tokens), dim=1)}
        x = trunk.wte(tokens) + trunk.wpe.weight[past : past + tokens.shape[1]]  # (B, T, C)
        x = trunk.dropout(x)
        for layer, block in enumerate(trunk.h):
            x = block(x, state, new, layer)
        return trunk.ln_f(x), new

    def matrices(self) -> Iterable[Matrices]:
        for name, weight in self.transformer.h.named_parameters():
            if weight.ndim == 2:
                yield Matrices(weight, 3 if "c_attn" in name else 1, transposed=True)

    def is_shared(self, name: str) -> bool:
        return self.config.tie_embeddings and name == "lm_head.weight"


class Decoder(nn.Module):
    """Everything below the output layer."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, config.hidden_size)
        # The paper scales the embedding by √C to match sinusoids of size 1; drawing it at that
        # size is the same.
        nn.init.normal_(self.wte.weight, std=0.02 if config.tie_embeddings else 1.0)
        self.wpe = Positions(config) if config.positions == "sinusoidal" else _learned(config)
        self.dropout = Dropout(config.dropout, place=0)
        self.h = nn.ModuleList(Block(config, layer) for layer in range(config.num_layers))
        self.ln_f = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)


class Positions(nn.Module):
    """The sinusoids of section 3.5, (block_size, C); stored with the weights, never trained."""

    weight: Tensor

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        position = torch.arange(config.block_size, dtype=torch.float32)[:, None]
        even = torch.arange(0, config.hidden_size, 2, dtype=torch.float32)
        angles = position * 10_000.0 ** (-even / config.hidden_size)
        table = torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)
        self.register_buffer("weight", table * (0.02 if config.tie_embeddings else 1.0))


def _learned(config: TransformerConfig) -> nn.Embedding:
    """GPT-2's learned positions, small at first."""
    table = nn.Embedding(config.block_size, config.hidden_size)
    nn.init.normal_(table.weight, std=0.02)
    return table


class Block(nn.Module):
    """Attention, then the feed-forward layer, each on the normalized residual stream."""

    def __init__(self, config: TransformerConfig, layer: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attn = Attention(config)
        self.ln_2 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = FeedForward(config)
        self.attention_dropout = Dropout(config.dropout, place=2 * layer + 1)
        self.mlp_dropout = Dropout(config.dropout, place=2 * layer + 2)

    def forward(self, x: Tensor, old: State, new: State, layer: int) -> Tensor:
        x = add(x, self.attn(self.ln_1(x), old, new, layer), self.attention_dropout)
        return add(x, self.mlp(self.ln_2(x)), self.mlp_dropout)


class Attention(nn.Module):
    """Multi-head causal attention (section 3.2)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width, self.heads, self.head_size = config.hidden_size, config.num_heads, config.head_size
        self.c_attn = Conv1D(width, 3 * width)
        self.c_proj = Conv1D(width, width)
        nn.init.zeros_(self.c_proj.weight)  # each block starts as the identity

    def forward(self, x: Tensor, old: State, new: State, layer: int) -> Tensor:
        heads = self.c_attn(x).unflatten(-1, (3 * self.heads, self.head_size))
        q, k, v = heads.transpose(1, 2).chunk(3, dim=1)  # (B, heads, T, head_size) each
        k, v = extend(old, layer, k, v)
        new[f"keys.{layer}"], new[f"values.{layer}"] = k, v
        return self.c_proj(attend(q, k, v))


class FeedForward(nn.Module):
    """Two products with ReLU between them (section 3.3), or a GELU: GPT-2's or the exact one."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.c_fc = Conv1D(config.hidden_size, config.intermediate_size)
        self.c_proj = Conv1D(config.intermediate_size, config.hidden_size)
        self.activation = config.activation
        nn.init.zeros_(self.c_proj.weight)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.c_fc(x)
        if self.activation == "relu":
            return self.c_proj(F.relu(inner))
        form = "tanh" if self.activation == "gelu" else "none"
        return self.c_proj(F.gelu(inner, approximate=form))


class Conv1D(nn.Module):
    """A linear layer whose weight is transposed, (in, out), as in GPT-2's file."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs) * inputs**-0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.t(), self.bias)
