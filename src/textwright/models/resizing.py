"""Enlarging the vocabulary of a trained model.

A new row (embedding or output) is the mean of the rows of the tokens that encoded the same text
before, or of all rows if there are none. The mean of all gives the mean logit, so that new tokens
take little probability from the old: Hewitt, "Initializing New Word Embeddings for Pretrained
Language Models" (2021). A little noise makes the new rows differ.

Where the output has a bias, an old token and the new ones like it divide its probability by how
often each stands in the text: a text with one non-breaking space would begin with every other
space one of those. Without a bias no parameter says that of all contexts alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textwright.errors import RunError
from textwright.models import build
from textwright.models.base import LanguageModel

_NOISE = 0.1
"""Standard deviation of the noise, as a share of that over all rows."""
_UNSEEN = 0.5
"""Added to each count, so that a token which isn't in the text keeps a logarithm."""


def resize_vocab(
    model: LanguageModel,
    similar: Sequence[Sequence[int]],
    seed: int,
    counts: NDArray[np.int64] | None = None,
) -> LanguageModel:
    """A copy of `model` with one more token for each entry of `similar`; logits of those that are
    like none of them stay.

    Args:
        model: of any family.
        similar: ids of old tokens whose mean row the new token begins with; none: of all.
        seed: of the noise.
        counts: of each token of the larger vocabulary in the text to come, (V,); None: new tokens
            are as likely as those they are like, whose logits stay too.

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
    if counts is not None:
        shares = torch.from_numpy(_log_shares(similar, counts)).to(torch.float32)
        for name, tensor in model.weights().items():
            if tensor.shape == (old,) and weights[name].shape != tensor.shape:
                weights[name] += shares
    resized.load_weights(weights)
    return resized


def _log_shares(similar: Sequence[Sequence[int]], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """The logarithm of each token's share in what an old token and the new ones like it count,
    (V,): of those that begin with it; 0 for a token that shares with none."""
    likes = np.arange(len(counts))
    for token, ids in enumerate(similar, start=len(counts) - len(similar)):
        if ids:
            likes[token] = ids[0]
    known = counts + _UNSEEN
    totals = np.bincount(likes, known, len(counts))
    return np.log(known / totals[likes])


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
