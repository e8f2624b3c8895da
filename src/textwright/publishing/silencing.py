"""Tokens that a `gpt` must never draw, in programs that can't be told so: by its weights alone.

Its output layer has no bias, so no row of it is far below the others whatever the text; a row of
zeros is likely where all others are unlikely. So the stream of vectors gets a few channels more.
The first of them holds a small constant, which comes with the embedding, and which no layer reads
or changes; the last norm makes it large, and a silent token's row has a large negative number
there, all others zero. Its logit is then below -1000, and the other logits are as before.

A norm divides by the root of the mean square over all channels. There are now more of them, so its
scale and its epsilon shrink in proportion; the constant is so small that its own square vanishes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from textwright.arrays import Floats
from textwright.configs import GPTConfig
from textwright.runs.weights import take

CHANNELS = 32
"""Channels added: a whole block of the formats that quantise weights 32 at a time."""

_SHARE = 1e-3
"""The constant, as a share of the root mean square of the smallest embedding row."""

_HEIGHT = 1e4
"""What the last norm makes of it, over the root mean square of the vectors there: 10 to 50,000
where that is between 0.2 and 1,000, within what float16 can hold."""

_ROW = -100.0
"""What a silent token's row has there."""


def silence(
    config: GPTConfig, weights: Mapping[str, Floats], vocab_size: int, never: Collection[int]
) -> tuple[dict[str, Floats], float]:
    """Weights with which the tokens `never` are never drawn, and the others as before.

    Args:
        config: of the model.
        weights: its tensors, float32.
        vocab_size: tokens it shall have; those beyond its own are new and must be in `never`.
        never: ids.

    Returns:
        The weights, in which the stream is `CHANNELS` wider if there is any such token, and the
        norms' epsilon. Shared tables stay so only where there is none.
    """
    width, old = config.hidden_size, config.vocab_size
    embedding = take(weights, "model.embed_tokens.weight", old, width)
    head = embedding if config.tie_embeddings else take(weights, "lm_head.weight", old, width)
    if not never:
        return dict(weights), config.rms_norm_eps
    norms = np.sqrt(np.mean(np.square(embedding), axis=1))
    constant = _SHARE * float(max(norms.min(), 1e-6))
    share = width / (width + CHANNELS)
    wide: dict[str, Floats] = {}
    for name, tensor in weights.items():
        if name.endswith("layernorm.weight") or name == "model.norm.weight":
            wide[name] = np.pad(tensor * np.float32(share**0.5), (0, CHANNELS))
        elif name.endswith(("o_proj.weight", "down_proj.weight")):
            wide[name] = np.pad(tensor, ((0, CHANNELS), (0, 0)))  # write nothing there
        elif name.endswith("_proj.weight"):
            wide[name] = np.pad(tensor, ((0, 0), (0, CHANNELS)))  # read nothing there
        else:
            wide[name] = tensor
    wide["model.norm.weight"][width] = _HEIGHT * share**0.5 / constant
    grown = ((0, vocab_size - old), (0, CHANNELS))
    wide["model.embed_tokens.weight"] = np.pad(embedding, grown)
    wide["model.embed_tokens.weight"][:, width] = constant
    wide["lm_head.weight"] = np.pad(head, grown)
    silent = sorted(never)
    wide["lm_head.weight"][silent] = 0
    wide["lm_head.weight"][silent, width] = _ROW
    return wide, config.rms_norm_eps * share
