"""Enlarging the vocabulary of a trained model.

A new row (embedding or output) is the mean of the rows of the tokens that encoded the same text
before, or of all rows if there are none. The mean of all gives the mean logit, so that new tokens
take little probability from the old: Hewitt, "Initializing New Word Embeddings for Pretrained
Language Models" (2021). A little noise makes the new rows differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from textwright.errors import RunError
from textwright.models import build
from textwright.models.base import LanguageModel

_NOISE = 0.1
"""Standard deviation of the noise, as a share of that over all rows."""


def resize_vocab(
    model: LanguageModel, similar: Sequence[Sequence[int]], seed: int
) -> LanguageModel:
    """A copy of `model` with one more token for each entry of `similar`; logits of the others stay.

    Args:
        model: of any family.
        similar: ids of old tokens whose mean row the new token begins with; none: of all.
        seed: of the noise.

    Raises:
        RunError: a weight that depends on the vocabulary isn't one row a token.
    """
    old = model.config.vocab_size
    config = model.config.model_copy(update={"vocab_size": old + len(similar)})
    resized = build(config)
    target = resized.weights()
    rng = torch.Generator().manual_seed(seed)
    weights = {
        name: _resized(name, tensor, target[name].shape, old, similar, rng)
        for name, tensor in model.weights().items()
    }
    resized.load_weights(weights)
    return resized


def _resized(
    name: str,
    tensor: Tensor,
    shape: torch.Size,
    old: int,
    similar: Sequence[Sequence[int]],
    rng: torch.Generator,
) -> Tensor:
    """`tensor` with new rows up to `shape`, which differs in the dimension of the vocabulary."""
    if tensor.shape == shape:
        return tensor
    dims = [i for i, size in enumerate(shape) if size != tensor.shape[i]]
    if len(dims) != 1 or tensor.shape[dims[0]] != old:
        raise RunError(f"the vocabulary of this model can't grow: {name} isn't one row a token")
    rows = tensor.transpose(0, dims[0])  # (old, …)
    mean = rows.mean(dim=0)
    new = torch.stack([rows[list(ids)].mean(dim=0) if ids else mean for ids in similar])
    noise = torch.randn(new.shape, generator=rng) * rows.std(dim=0)
    return torch.cat((rows, new + _NOISE * noise)).transpose(0, dims[0]).contiguous()
