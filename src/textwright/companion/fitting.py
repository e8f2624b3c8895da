"""The weights of a mix: those under which held-out text is likeliest.

The loss of `softmax(w1 · log p + w2 · log q)` is convex in its weights, so Newton's method finds
its only minimum in a handful of steps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from textwright.companion.counting import Doubles
from textwright.errors import TrainingError

_STEPS = 30
_DONE = 1e-5
_AT_ONCE = 1 << 18
"""Numbers of a model that are looked at together."""
_RIDGE = 1e-9
"""Keeps the steps finite where a table says nothing, as of a text of one character."""


def fit_weights(
    scores: list[NDArray[np.float32]], targets: NDArray[np.int64]
) -> tuple[list[float], float]:
    """The weight of each of `scores`, and the loss under them, nats a token.

    Args:
        scores: log probabilities or logits of each model, (T, V).
        targets: the token that came, (T,).

    Raises:
        TrainingError: the scores aren't finite.
    """
    weights = np.zeros(len(scores))
    weights[0] = 1.0
    loss, gradient, curvature = _loss(scores, targets, weights)
    if not np.isfinite(loss):
        raise TrainingError("a companion can't be fitted: the network's logits aren't finite")
    for _ in range(_STEPS):
        step = np.linalg.solve(curvature + _RIDGE * np.eye(len(weights)), gradient)
        after = _loss(scores, targets, weights - step)
        while after[0] > loss and abs(step).max() > _DONE:
            step /= 2
            after = _loss(scores, targets, weights - step)
        weights, (loss, gradient, curvature) = weights - step, after
        if abs(step).max() < _DONE:
            break
    return [round(float(weight), 4) for weight in weights], loss


def _loss(
    scores: list[NDArray[np.float32]], targets: NDArray[np.int64], weights: Doubles
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
