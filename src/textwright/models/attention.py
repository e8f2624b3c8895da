"""Shared by attention models: a KV cache of at most `block_size` tokens, and how it slides.

The state holds the tokens read so far and the keys and values of every layer. When it is full and
another token comes, the last half is encoded again from position 0. So logits are a function of
the tokens alone, however they were cut into calls, and memory and cost a token are bounded.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textwright.configs import AttentionConfig
from textwright.models.base import LanguageModel, OutputLayer, State
from textwright.models.fused import attention, fits_attention


class AttentionModel(LanguageModel):
    """Base of attention families, which have an output layer `lm_head` and implement `encode`."""

    config: AttentionConfig
    lm_head: nn.Linear

    @abstractmethod
    def encode(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """As `features`, for state and tokens that together fit into `block_size`."""

    def initial_state(self, batch_size: int) -> State:
        device = next(self.parameters()).device
        heads, size = self.config.num_heads, self.config.head_size
        empty = torch.empty(batch_size, heads, 0, size, device=device)
        state = {"tokens": torch.empty(batch_size, 0, dtype=torch.long, device=device)}
        for layer in range(self.config.num_layers):
            state[f"keys.{layer}"] = state[f"values.{layer}"] = empty
        return state

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        features, state = self.features(tokens, state)
        return self.lm_head(features), state

    def output_layer(self) -> OutputLayer:
        return OutputLayer(self.lm_head.weight, None)

    def features(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        block = self.config.block_size
        if state is None:
            state = self.initial_state(tokens.shape[0])
        chunks = []
        while tokens.shape[1]:
            if state["tokens"].shape[1] == block:
                last_half = state["tokens"][:, -(block // 2) :]
                _, state = self.encode(last_half, self.initial_state(tokens.shape[0]))
            free = block - state["tokens"].shape[1]
            chunk, state = self.encode(tokens[:, :free], state)
            chunks.append(chunk)
            tokens = tokens[:, free:]
        return chunks[0] if len(chunks) == 1 else torch.cat(chunks, dim=1), state


def extend(state: State, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """The cached keys and values of a layer followed by new ones, (B, heads, time, head_size)."""
    if state["tokens"].shape[1]:
        keys = torch.cat((state[f"keys.{layer}"], keys), dim=2)
        values = torch.cat((state[f"values.{layer}"], values), dim=2)
    return keys, values


def attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Causal attention of the last positions over all (Vaswani et al., 2017, section 3.2.1).

    Args:
        queries: (B, heads, T, head_size), of the last T positions.
        keys, values: (B, heads, S, head_size), S ≥ T.

    Returns:
        (B, T, heads × head_size).
    """
    if fits_attention(queries, keys):
        return attention(queries, keys, values).transpose(1, 2).flatten(2)
    time, all_time = queries.shape[2], keys.shape[2]
    mask = None
    if 1 < time < all_time:
        mask = torch.ones(time, all_time, dtype=torch.bool, device=queries.device)
        mask = mask.tril(all_time - time)
    on_cpu = queries.device.type == "cpu"
    if on_cpu:  # where the backward pass in bfloat16 takes six times as long
        queries, keys, values = queries.float(), keys.float(), values.float()
    with torch.autocast(queries.device.type, enabled=False) if on_cpu else nullcontext():
        mixed = F.scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, is_causal=time == all_time
        )
    return mixed.transpose(1, 2).flatten(2)
