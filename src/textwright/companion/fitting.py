"""The weights of a mix under which held-out text is likeliest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from textwright.companion.counting import Doubles, Ids
from textwright.errors import TrainingError

_NEWTON_STEPS = 30
_CONVERGED = 1e-5
_AT_ONCE = 1 << 18
"""Numbers of a model that are looked at together."""
_RIDGE = 1e-9
"""Keeps the steps finite where a table says nothing, as of a text of one character."""


class Scores(Protocol):
    """Log probabilities or logits of one model, (T, V), of which some rows are looked at."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, rows: Any, /) -> NDArray[Any]: ...


@dataclass(frozen=True)
class OfOneToken:
    """Scores of a model that speaks of one token alone, and says 0 of all others."""

    token: int
    values: Doubles
    """(T,)"""
    vocab_size: int

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.values), self.vocab_size

    def __getitem__(self, rows: Any, /) -> NDArray[Any]:
        values = self.values[rows]
        scores = np.zeros((len(values), self.vocab_size))
        scores[:, self.token] = values
        return scores


def fit_weights(
    scores: Sequence[Scores],
    targets: Ids,
    near: Sequence[float] = (),
    pulls: Sequence[float] = (),
) -> tuple[list[float], float]:
    """The weights of a mix under which held-out text is likeliest, and its loss, nats a token.

    The loss of `softmax(w1 · log p + w2 · log q)` is convex in its weights, so Newton's method
    finds its only minimum in a handful of steps.

    Args:
        scores: of each model, (T, V).
        targets: the token that came, (T,).
        near: weights that are likely before the text is looked at.
        pulls: how likely: half of it times the squared distance is nats over the whole text, which
            are part of the loss.

    Raises:
        TrainingError: the scores aren't finite.
    """
    count = len(scores)
    weights = np.array(near or [1.0] + [0.0] * (count - 1))
    middle, pull = weights, np.array(pulls or [0.0] * count) / len(targets)

    def pulled(weights: Doubles) -> tuple[float, Doubles, Doubles]:
        loss, gradient, curvature = _loss(scores, targets, weights)
        away = weights - middle
        loss += float(pull @ away**2) / 2
        return loss, gradient + pull * away, curvature + np.diag(pull + _RIDGE)

    loss, gradient, curvature = pulled(weights)
    if not np.isfinite(loss):
        raise TrainingError("a companion can't be fitted: the network's logits aren't finite")
    for _ in range(_NEWTON_STEPS):
        step = np.linalg.solve(curvature, gradient)
        after = pulled(weights - step)
        while after[0] > loss and abs(step).max() > _CONVERGED:
            step /= 2
            after = pulled(weights - step)
        weights, (loss, gradient, curvature) = weights - step, after
        if abs(step).max() < _CONVERGED:
            break
    return [round(float(weight), 4) for weight in weights], loss


def _loss(
    scores: Sequence[Scores], targets: Ids, weights: Doubles
) -> tuple[float, Doubles, Doubles]:
    """Mean loss in nats, its gradient and its second derivatives by the weights."""
    count = len(scores)
    loss, gradient, curvature = 0.0, np.zeros(count), np.zeros((count, count))
    rows_at_once = max(1, _AT_ONCE // scores[0].shape[1])
    for begin in range(0, len(targets), rows_at_once):
        rows = slice(begin, begin + rows_at_once)
        parts = np.stack([one[rows] for one in scores]).astype(np.float64)  # (models, T, V)
        here = np.arange(parts.shape[1])
        mixed = np.tensordot(weights, parts, 1)
        mixed -= mixed.max(axis=1, keepdims=True)
        odds = np.exp(mixed)
        totals = odds.sum(axis=1)
        loss += float((np.log(totals) - mixed[here, targets[rows]]).sum())
        odds /= totals[:, None]
        weighted = odds * parts
        means = weighted.sum(axis=2)
        gradient += (means - parts[:, here, targets[rows]]).sum(axis=1)
        curvature += np.einsum("itv,jtv->ij", weighted, parts) - means @ means.T
    return loss / len(targets), gradient / len(targets), curvature / len(targets)
