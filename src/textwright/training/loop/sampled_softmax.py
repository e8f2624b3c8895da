"""The cross-entropy of a large vocabulary, estimated from a part of it.

With tens of thousands of types nearly all work of a step goes into logits of types that are
neither wanted nor likely. So a step computes those of the types that its own targets name, and of
some drawn at random from the others, each of which stands for as many as it was drawn from: the
sum under the softmax is then right on average (importance sampling after Jean et al., "On Using
Very Large Target Vocabulary", 2015, section 3). Frequent types are among the targets of nearly
every batch, hence exact; the model that comes out is an ordinary one, evaluated exactly.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from textwright.models import OutputLayer


def sampled_cross_entropy(
    features: Tensor, output: OutputLayer, targets: Tensor, samples: int, key: tuple[int, ...]
) -> Tensor:
    """Mean loss in nats over all targets, a scalar.

    Args:
        features: what the output layer makes logits of, (N, width).
        output: the layer.
        targets: (N,) ids.
        samples: types to draw, beside those in `targets`.
        key: numbers that decide which are drawn.
    """
    vocabulary = len(output.weight)
    named, places = torch.unique(targets, return_inverse=True)
    others = vocabulary - len(named)
    if samples >= others:
        logits = F.linear(features, output.weight, output.bias)
        return F.cross_entropy(logits.float(), targets)
    candidates = torch.cat((named, _draw(named, vocabulary, samples, key).to(named.device)))
    bias = None if output.bias is None else output.bias[candidates]
    logits = F.linear(features, output.weight[candidates], bias).float()
    stands_for = torch.zeros(len(candidates), device=logits.device)
    stands_for[len(named) :] = math.log(others / samples)
    return F.cross_entropy(logits + stands_for, places)


def _draw(named: Tensor, vocabulary: int, samples: int, key: tuple[int, ...]) -> Tensor:
    """Ids that are not in `named`, each at most once, (samples,)."""
    free = np.ones(vocabulary, dtype=bool)
    free[named.cpu().numpy()] = False
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
    drawn = generator.choice(np.flatnonzero(free), samples, replace=False, shuffle=False)
    return torch.from_numpy(np.sort(drawn))
