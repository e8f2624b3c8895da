"""The loss that training minimises: cross-entropy, exact, or estimated for a large vocabulary.

With tens of thousands of types nearly all work of a step goes into the logits of types that are
neither targets nor likely. So a step computes only those of its own targets and of some types drawn
at random from the others, each weighted by how many it was drawn from: the sum under the softmax is
then right on average (importance sampling after Jean et al., "On Using Very Large Target
Vocabulary", 2015, section 3). Frequent types are targets in nearly every batch, hence exact; the
trained model is an ordinary one, and evaluated exactly.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textwright.models import LanguageModel, OutputLayer, State
from textwright.training.loop.batches import NOT_COUNTED


class LossModule(nn.Module):
    """A model with its loss on top: the module whose gradients are taken.

    Args:
        model: a `LanguageModel`, or `torch.compile` of one.
        sampled: types that estimate the softmax; 0 computes it exactly.
    """

    def __init__(self, model: nn.Module, sampled: int) -> None:
        super().__init__()
        self.model, self.sampled = model, sampled

    @property
    def language_model(self) -> LanguageModel:
        """The model, not compiled."""
        return cast(LanguageModel, getattr(self.model, "_orig_mod", self.model))

    def forward(
        self,
        inputs: Tensor,
        targets: Tensor,
        all_count: bool,
        state: State | None,
        key: tuple[int, ...],
    ) -> tuple[Tensor, State]:
        """The loss (its mean, or its sum where some targets don't count) and the new state.

        Args:
            inputs: (samples, time).
            targets: (samples × time,).
            all_count: whether none of them is `NOT_COUNTED`.
            state: of these samples.
            key: seeds the draw of types, where the softmax is sampled.
        """
        if not self.sampled:
            logits, after = self.model(inputs, state)
            reduction = "mean" if all_count else "sum"
            loss = F.cross_entropy(
                logits.flatten(0, 1).float(), targets, ignore_index=NOT_COUNTED,
                reduction=reduction,
            )  # fmt: skip
            return loss, after
        model = cast(LanguageModel, self.model)
        features, after = model.features(inputs, state)
        output = model.output_layer()
        assert output is not None
        features = features.flatten(0, 1)
        if all_count:
            return sampled_cross_entropy(features, output, targets, self.sampled, key), after
        features, targets = features[targets >= 0], targets[targets >= 0]
        if len(targets):
            loss = sampled_cross_entropy(features, output, targets, self.sampled, key)
            return loss * len(targets), after
        # Nothing to learn, but every parameter needs a gradient: other workers wait for it
        return features.sum() + 0.0 * sum(part.sum() for part in output if part is not None), after


def sampled_cross_entropy(
    features: Tensor, output: OutputLayer, targets: Tensor, samples: int, key: tuple[int, ...]
) -> Tensor:
    """The estimated mean loss over all targets in nats, a scalar.

    Args:
        features: input of the output layer, (N, width).
        output: the layer.
        targets: (N,) ids.
        samples: types to draw, beside those in `targets`.
        key: seeds the draw.
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
