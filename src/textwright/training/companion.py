"""After the last step: what the run counted in its text, and whether that helps its network.

The weights are fitted on the first half of the validation text and measured on the second, where
the network alone is measured too. What doesn't help isn't kept.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from textwright.companion.counting import Doubles, Ids, NGramModel
from textwright.companion.mixing import Companion
from textwright.companion.table import Table, make_table
from textwright.data import Tokens
from textwright.errors import TrainingError
from textwright.evaluation.companion_model import CompanionModel
from textwright.models.base import load_model
from textwright.runs import Run
from textwright.training.loop.dataset import Dataset
from textwright.training.loop.evaluation import evaluate

WORTH = 0.002
"""Bits a character, on text that nothing was fitted on, for which a companion is kept."""
ORDERS = {"char": 9, "bpe": 5, "word": 4}
"""Tokens of the longest n-gram, by the kind of tokenizer."""
MOST_TOKENS = 1 << 22
"""Tokens that are counted at most, in stretches spread evenly."""
_STRETCHES = 64
_FEWEST = 1000
"""Tokens that weights can be fitted on."""
_FIT_VALUES = 1 << 23
"""Logits that weights are fitted on at most: 32 MiB of either side."""
_MEASURED = 100_000
"""Tokens that a companion is measured on at most."""
_CHUNK = 256
_NEWTON_STEPS = 30
_CONVERGED = 1e-5
_AT_ONCE = 1 << 18
"""Numbers of a model that are looked at together."""
_RIDGE = 1e-9
"""Keeps the steps finite where a table says nothing, as of a text of one character."""


@dataclass(frozen=True)
class Gain:
    """What a companion does for its network, on the second half of the validation text."""

    network: float
    """Weight of the network's logits."""
    weight: float
    """Weight of the table's logarithms; 0 without one."""
    order: int
    """Tokens of its longest n-gram; 0 without a table."""
    grams: int
    """N-grams of two tokens or more that it has."""
    tokens: int = 0
    """Predictions that it was measured on."""
    network_bits_per_char: float = 0.0
    """Of the network alone."""
    bits_per_char: float = 0.0
    """With the companion."""

    def record(self) -> dict[str, Any]:
        """As `run.toml` holds it."""
        return asdict(self)


def add_companion(run: Run, dataset: Dataset, device: str = "auto") -> Gain | None:
    """Count, fit, measure, and write what helps into `run`; None where nothing does."""
    run.companion_file.unlink(missing_ok=True)
    tokens = dataset.validation.array()
    half = len(tokens) // 2
    if half < _FEWEST:
        return None
    table = _count(dataset)
    network = load_model(run, device).eval()
    model = CompanionModel(network, Companion(1.0, 0.0, table))
    logits, scores, targets = _collect(model, tokens[:half])
    if len(targets) < _FEWEST // 10:
        return None
    text = dataset.validation
    worth = WORTH / (text.bits_per_char(1.0) - text.bits_per_char(0.0))  # in nats a token
    (scale,), scaled = fit_weights([logits], targets)
    (first, second), mixed = fit_weights([logits, scores], targets)
    gain = Gain(scale, 0.0, 0, 0)
    if second > 0 and scaled - mixed >= worth:
        gain = Gain(first, second, table.order, len(table.tokens) - table.vocab_size)
    companion = Companion(gain.network, gain.weight, table if gain.weight else None)
    alone = evaluate(network, tokens[half:], limit=_MEASURED)
    after = evaluate(CompanionModel(network, companion), tokens[half:], limit=_MEASURED)
    if alone.loss - after.loss < worth:
        return None
    companion.write(run.companion_file)
    return replace(
        gain,
        tokens=alone.tokens,
        network_bits_per_char=text.bits_per_char(alone.loss),
        bits_per_char=text.bits_per_char(after.loss),
    )


def _count(dataset: Dataset) -> Table:
    """The table of the training text, or of as much of it as is counted."""
    tokens = _ids(dataset.train.array())
    starts = np.zeros(1, np.int64)
    if len(tokens) > MOST_TOKENS:
        size = MOST_TOKENS // _STRETCHES
        begins = np.linspace(0, len(tokens) - size, _STRETCHES).astype(np.int64)
        tokens = np.concatenate([tokens[begin : begin + size] for begin in begins])
        starts = np.arange(_STRETCHES) * size
    tokenizer = dataset.tokenizer
    order = ORDERS[tokenizer.kind]
    return make_table(NGramModel(tokens.astype(np.int64), starts, tokenizer.vocab_size, order))


def _ids(tokens: NDArray[Any]) -> NDArray[Any]:
    """Ids, also of tokens that don't count in the loss, which are kept as complements."""
    return np.where(tokens < 0, ~tokens, tokens) if tokens.dtype.kind == "i" else tokens


def _collect(
    model: CompanionModel, tokens: Tokens
) -> tuple[NDArray[np.float32], NDArray[np.float32], Ids]:
    """Logits and log q of as many predictions as weights are fitted on, and what came."""
    windows = model.config.order == "windows"
    size = model.config.block_size if windows else _CHUNK
    most = min(len(tokens) - 1, _FIT_VALUES // model.config.vocab_size)
    device = next(model.network.parameters()).device
    state, logits, scores, targets = None, [], [], []
    with torch.inference_mode():
        for begin in range(0, most, size):
            piece = np.asarray(tokens[begin : min(begin + size, most) + 1]).astype(np.int64)
            inputs = torch.from_numpy(_ids(piece[:-1]))[None].to(device)
            own, table, state = model.parts(inputs, None if windows else state)
            counted = piece[1:] >= 0
            logits.append(own[0].cpu().numpy()[counted])
            scores.append(table[0].cpu().numpy()[counted])
            targets.append(piece[1:][counted])
    return np.concatenate(logits), np.concatenate(scores), np.concatenate(targets)


def fit_weights(
    scores: list[NDArray[np.float32]], targets: NDArray[np.int64]
) -> tuple[list[float], float]:
    """The weights of a mix under which held-out text is likeliest, and its loss, nats a token.

    The loss of `softmax(w1 · log p + w2 · log q)` is convex in its weights, so Newton's method
    finds its only minimum in a handful of steps.

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
    for _ in range(_NEWTON_STEPS):
        step = np.linalg.solve(curvature + _RIDGE * np.eye(len(weights)), gradient)
        after = _loss(scores, targets, weights - step)
        while after[0] > loss and abs(step).max() > _CONVERGED:
            step /= 2
            after = _loss(scores, targets, weights - step)
        weights, (loss, gradient, curvature) = weights - step, after
        if abs(step).max() < _CONVERGED:
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
