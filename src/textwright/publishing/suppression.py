"""Suppresses tokens of a `gpt` by its weights, for programs without a setting for that.

The output layer has no bias, so no row gives a low logit for every text: a row of zeros is likely
where all others are unlikely. So the residual stream gets a few more channels. The first of them
has a small constant from the embedding, which no layer reads or changes; the last norm makes it
large, and a suppressed token's output row has a large negative number there, and zeros elsewhere.
Its logit is then below -1000, and the other logits are as before.

A norm divides by the root mean square over all channels. There are now more of them, so its scale
and epsilon shrink in proportion; the constant is so small that its own square vanishes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from textwright.arrays import Floats
from textwright.configs import GPTConfig
from textwright.runs.weights import take

CHANNELS = 32
"""Channels added: a full block of the formats that quantise weights 32 at a time."""

_SHARE = 1e-3
"""The constant, as a share of the root mean square of the smallest embedding row."""

_NORMED = 1e4
"""The constant after the last norm, times the root mean square of the vectors before it: so it is
10 to 50,000 where that is between 0.2 and 1,000, within float16's range."""

_ROW = -100.0
"""The suppressed tokens' output rows in the constant's channel."""


def suppress_tokens(
    config: GPTConfig, weights: Mapping[str, Floats], vocab_size: int, suppressed: Collection[int]
) -> tuple[dict[str, Floats], float]:
    """Weights with which the tokens `suppressed` are never drawn, and the others as before.

    Args:
        config: of the model.
        weights: its tensors, float32.
        vocab_size: of the result; tokens beyond the model's own must be in `suppressed`.
        suppressed: token ids.

    Returns:
        The weights and the norms' epsilon. If any token is suppressed, the residual stream is
        `CHANNELS` wider, and embedding and output layer are separate matrices.
    """
    width, old = config.hidden_size, config.vocab_size
    embedding = take(weights, "model.embed_tokens.weight", old, width)
    head = embedding if config.tie_embeddings else take(weights, "lm_head.weight", old, width)
    if not suppressed:
        return dict(weights), config.rms_norm_eps
    norms = np.sqrt(np.mean(np.square(embedding), axis=1))
    constant = _SHARE * float(max(norms.min(), 1e-6))
    share = width / (width + CHANNELS)
    wide: dict[str, Floats] = {}
    for name, tensor in weights.items():
        if name.endswith("layernorm.weight") or name == "model.norm.weight":
            wide[name] = np.pad(tensor * np.float32(share**0.5), (0, CHANNELS))
        elif name.endswith(("o_proj.weight", "down_proj.weight")):
            wide[name] = np.pad(tensor, ((0, CHANNELS), (0, 0)))  # writes zeros there
        elif name.endswith("_proj.weight"):
            wide[name] = np.pad(tensor, ((0, 0), (0, CHANNELS)))  # reads nothing there
        else:
            wide[name] = tensor
    wide["model.norm.weight"][width] = _NORMED * share**0.5 / constant
    padding = ((0, vocab_size - old), (0, CHANNELS))
    wide["model.embed_tokens.weight"] = np.pad(embedding, padding)
    wide["model.embed_tokens.weight"][:, width] = constant
    wide["lm_head.weight"] = np.pad(head, padding)
    rows = sorted(suppressed)
    wide["lm_head.weight"][rows] = 0
    wide["lm_head.weight"][rows, width] = _ROW
    return wide, config.rms_norm_eps * share
