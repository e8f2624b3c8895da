"""A model with a larger vocabulary: what it knows stays, the new tokens get rows of their own.

A new row is the mean of the rows of what the model would have read in the token's place, or of all
rows where there is nothing of the kind. As the mean of all, a token's logit is the mean logit, so
that the new ones take little probability from the old: Hewitt, "Initializing New Word Embeddings
for Pretrained Language Models" (2021). A little noise tells the new tokens apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from textwright.errors import RunError
from textwright.models import build
from textwright.models.base import LanguageModel

_NOISE = 0.1
"""Of a new row, as a share of the standard deviation over all rows."""


def grow(model: LanguageModel, alike: Sequence[Sequence[int]], seed: int) -> LanguageModel:
    """`model` with one more token for each entry of `alike`; the logits of the others stay.

    Args:
        model: of any family; it is not changed.
        alike: ids of old tokens whose rows the new one begins as the mean of; none: of all.
        seed: of the noise.

    Raises:
        RunError: the family's weights have no place where a vocabulary can grow.
    """
    old = model.config.vocab_size
    config = model.config.model_copy(update={"vocab_size": old + len(alike)})
    grown = build(config)
    wanted = grown.weights()
    chance = torch.Generator().manual_seed(seed)
    weights = {
        name: _grown(name, tensor, wanted[name].shape, old, alike, chance)
        for name, tensor in model.weights().items()
    }
    grown.load_weights(weights)
    return grown


def _grown(
    name: str,
    tensor: Tensor,
    shape: torch.Size,
    old: int,
    alike: Sequence[Sequence[int]],
    chance: torch.Generator,
) -> Tensor:
    """`tensor` in the larger `shape`, which says along which dimension the vocabulary lies."""
    if tensor.shape == shape:
        return tensor
    grows = [i for i, size in enumerate(shape) if size != tensor.shape[i]]
    if len(grows) != 1 or tensor.shape[grows[0]] != old:
        raise RunError(f"the vocabulary of this model can't grow: {name} isn't one row a token")
    rows = tensor.transpose(0, grows[0])  # (old, …)
    every = rows.mean(dim=0)
    new = torch.stack([rows[list(ids)].mean(dim=0) if ids else every for ids in alike])
    noise = torch.randn(new.shape, generator=chance) * rows.std(dim=0)
    return torch.cat((rows, new + _NOISE * noise)).transpose(0, grows[0]).contiguous()
