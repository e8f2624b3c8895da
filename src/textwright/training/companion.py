"""After the last step: n-grams of the training text are counted, mixed with the network, and kept
where that lowers the loss.

The weights of the mix are fitted on the first half of the validation text. Mix and network alone
are evaluated on the second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from textwright.companion.counting import (
    COLUMNS,
    Doubles,
    Ids,
    Lines,
    NGramModel,
    lengths,
    log_odds,
)
from textwright.companion.mixing import Companion, MixedState, Mixer
from textwright.companion.table import Table, make_table
from textwright.data.tokens import Tokens
from textwright.errors import TrainingError
from textwright.models import LanguageModel
from textwright.models.base import load_model
from textwright.runs import Run
from textwright.tokenizers import Tokenizer
from textwright.training.loop.dataset import Dataset
from textwright.training.loop.evaluation import CompanionModel, evaluate

WORTH = 0.002
"""Bits a character that a companion must save on the second half to be kept."""
ORDERS = {"char": 9, "bpe": 5, "word": 4}
"""Tokens of the longest n-gram, by the kind of tokenizer."""
MOST_TOKENS = 1 << 22
"""Training tokens that are counted at most, in `_STRETCHES` spread evenly."""
_STRETCHES = 64
_FEWEST = 1000
"""Validation tokens to fit weights on, at least."""
_FIT_VALUES = 1 << 23
"""Logits to fit weights on, at most: 32 MiB for each model of the mix."""
_THINNED = 32
"""With a large vocabulary those are few predictions: they are then every n-th, n at most this, and
so cover more than one passage."""
_MEASURED = 100_000
"""Tokens to evaluate a companion on, at most."""
_CHUNK = 256
_PULL = 30.0
"""Precision of the prior that pulls the weights of a context length to the shared ones: half of it
times the squared distance, in nats over the whole text. Chosen on three books."""
_NEWTON_STEPS = 30
_CONVERGED = 1e-5
_AT_ONCE = 1 << 18
"""Scores of a model in memory at once while weights are fitted."""
_RIDGE = 1e-9
"""On the diagonal of the Hessian, so that steps stay finite with a table of one character."""


@dataclass(frozen=True)
class Gain:
    """A companion, and its effect on the second half of the validation text."""

    network: float
    """Weight of the network's logits, shared by all contexts."""
    weight: float
    """Weight of the table's log probabilities, likewise; 0 without a table."""
    order: int
    """Tokens of its longest n-gram; 0 without a table."""
    grams: int
    """N-grams of two tokens or more that it has."""
    folded: bool = False
    """Whether the end of a line counts as a space in its contexts."""
    lines: bool = False
    """Whether the length of a line predicts its end."""
    tokens: int = 0
    """Predictions of the evaluation."""
    network_bits_per_char: float = 0.0
    """Of the network alone."""
    bits_per_char: float = 0.0
    """With the companion."""

    def record(self) -> dict[str, Any]:
        """As `run.toml` holds it."""
        return asdict(self)


def add_companion(run: Run, dataset: Dataset, device: str = "auto") -> Gain | None:
    """Count, fit and evaluate a companion; written to `run` where it helps, else None."""
    run.companion_file.unlink(missing_ok=True)
    tokens = dataset.validation.array()
    half = len(tokens) // 2
    if half < _FEWEST:
        return None
    network = load_model(run, device).eval()
    sample = _collect(network, tokens[:half])
    if len(sample.targets) < _FEWEST // 10:
        return None
    text = dataset.validation
    worth = WORTH / (text.bits_per_char(1.0) - text.bits_per_char(0.0))  # in nats a token
    companion, gain = _fit(sample, dataset, worth)
    alone = evaluate(network, tokens[half:], limit=_MEASURED)
    after = evaluate(CompanionModel(network, companion), tokens[half:], limit=_MEASURED)
    if alone.loss - after.loss < worth:
        return None
    companion.write(run.companion_file, dataset.tokenizer.vocabulary)
    return replace(
        gain,
        tokens=alone.tokens,
        network_bits_per_char=text.bits_per_char(alone.loss),
        bits_per_char=text.bits_per_char(after.loss),
    )


@dataclass(frozen=True)
class _Sample:
    """Predictions that weights are fitted on."""

    pieces: list[Ids]
    """The input, each piece from the initial state."""
    counted: NDArray[np.bool_]
    """Which targets of the pieces count, (tokens,)."""
    logits: NDArray[np.float32]
    """The network's, of those that count, (T, V)."""
    targets: Ids
    """(T,)"""


def _fit(sample: _Sample, dataset: Dataset, worth: float) -> tuple[Companion, Gain]:
    """The companion that fits the sample best; each part of it saves at least `worth` nats a token.

    Its gain has no results of an evaluation yet."""
    tokens, starts = _counted_tokens(dataset)
    tokenizer = dataset.tokenizer
    (scale,), scaled = fit_weights([sample.logits], sample.targets)
    found = []
    for folded in _foldings(tokenizer):
        order = ORDERS[tokenizer.kind]
        table = make_table(NGramModel(tokens, starts, tokenizer.vocab_size, order, folded))
        scores = _scores(table, sample)
        weights, loss = fit_weights([sample.logits, scores], sample.targets)
        found.append((loss, weights, table, scores))
    mixed, weights, table, scores = min(found, key=lambda one: one[0])
    if weights[1] <= 0 or scaled - mixed < worth:
        return Companion(scale), Gain(scale, 0.0, 0, 0)
    parts: list[Any] = [sample.logits, scores]
    terms = None
    newline = _token(tokenizer, "\n")
    if newline is not None:
        odds = log_odds(tokens, starts, newline)
        columns = np.concatenate([lengths(piece, newline) for piece in sample.pieces])
        of_lines = odds[np.minimum(columns, COLUMNS - 1)[sample.counted]]
        more = [
            OfOneToken(newline, values, tokenizer.vocab_size)
            for values in (of_lines, np.ones(len(of_lines)))
        ]
        with_lines, lined = fit_weights([*parts, *more], sample.targets)
        if mixed - lined >= worth:
            mixed, weights, parts = lined, with_lines, [*parts, *more]
            terms = (weights[2] * odds + weights[3]).astype(np.float32)
    gain = Gain(
        network=weights[0],
        weight=weights[1],
        order=table.order,
        grams=len(table.tokens) - table.vocab_size,
        folded=bool((table.folded != np.arange(table.vocab_size)).any()),
        lines=terms is not None,
    )
    return Companion(
        weights[0],
        weights[1],
        table,
        _by_context(table, sample, parts, weights, mixed - worth),
        None if terms is None or newline is None else Lines(newline, terms),
    ), gain


def _by_context(
    table: Table, sample: _Sample, parts: list[Any], weights: list[float], most: float
) -> tuple[tuple[float, float], ...]:
    """Weights of network and table by the number of known tokens of context; empty where the loss
    is above `most`, in nats a token."""
    known = np.concatenate([table.known_along(piece) for piece in sample.pieces])[sample.counted]
    pulls = [_PULL] * 2 + [1e12] * (len(parts) - 2)  # the weights of lines stay
    pairs, total = [], 0.0
    for depth in range(table.order):
        rows = np.flatnonzero(known == depth)
        fitted = weights
        if len(rows):
            some = [
                OfOneToken(one.token, one.values[rows], one.vocab_size)
                if isinstance(one, OfOneToken)
                else one[rows]
                for one in parts
            ]
            fitted, loss = fit_weights(some, sample.targets[rows], weights, pulls)
            total += loss * len(rows)
        pairs.append((fitted[0], fitted[1]))
    return tuple(pairs) if total <= most * len(known) else ()


def _counted_tokens(dataset: Dataset) -> tuple[Ids, Ids]:
    """The training tokens that are counted, (tokens,), and where stretches of them begin."""
    tokens = _ids(dataset.train.array())
    starts = np.zeros(1, np.int64)
    if len(tokens) > MOST_TOKENS:
        size = MOST_TOKENS // _STRETCHES
        begins = np.linspace(0, len(tokens) - size, _STRETCHES).astype(np.int64)
        tokens = np.concatenate([tokens[begin : begin + size] for begin in begins])
        starts = np.arange(_STRETCHES) * size
    return tokens.astype(np.int64), starts


def _foldings(tokenizer: Tokenizer) -> list[Ids]:
    """Mappings of the tokens of contexts: identity, and one that takes a line end for a space."""
    every = np.arange(tokenizer.vocab_size)
    newline, space = _token(tokenizer, "\n"), _token(tokenizer, " ")
    if newline is None or space is None:
        return [every]
    return [every, np.where(every == newline, space, every)]


def _token(tokenizer: Tokenizer, character: str) -> int | None:
    """The id of a character; None for tokens of words or byte pairs, or where it is unknown."""
    ids = tokenizer.encode(character) if tokenizer.kind == "char" else []
    return ids[0] if len(ids) == 1 else None


def _ids(tokens: NDArray[Any]) -> NDArray[Any]:
    """Ids without the complements that mark tokens as left out of the loss."""
    return np.where(tokens < 0, ~tokens, tokens) if tokens.dtype.kind == "i" else tokens


def _collect(network: LanguageModel, tokens: Tokens) -> _Sample:
    """The network's predictions of the first tokens, as many as weights are fitted on."""
    windows = network.config.order == "windows"
    size = network.config.block_size if windows else _CHUNK
    rows = _FIT_VALUES // network.config.vocab_size
    every = min(_THINNED, math.ceil((len(tokens) - 1) / rows))
    most = min(len(tokens) - 1, rows * every)
    device = next(network.parameters()).device
    state, logits = None, []
    some = np.asarray(tokens[: most + 1]).astype(np.int64)
    inputs, counted = _ids(some[:-1]), some[1:] >= 0
    counted[np.arange(most) % every > 0] = False
    with torch.inference_mode():
        for begin in range(0, most, size):
            piece = torch.from_numpy(inputs[begin : begin + size])[None].to(device)
            own, state = network(piece, None if windows else state)
            logits.append(own[0].float().cpu().numpy()[counted[begin : begin + size]])
    pieces = [inputs[a : a + size] for a in range(0, most, size)] if windows else [inputs]
    return _Sample(pieces, counted, np.concatenate(logits), some[1:][counted])


def _scores(table: Table, sample: _Sample) -> NDArray[np.float32]:
    """log q of the table at each prediction, (T, V)."""
    mixer = Mixer(Companion(0.0, 1.0), table)
    found, at = [], 0
    for piece in sample.pieces:
        state = MixedState(None, mixer.initial_state())
        for begin in range(0, len(piece), _CHUNK):
            read = piece[begin : begin + _CHUNK]
            rows = np.zeros((len(read), table.vocab_size), np.float32)
            mixer.read(read, state, rows)
            found.append(rows[sample.counted[at : at + len(read)]])
            at += len(read)
    return np.concatenate(found)


class Scores(Protocol):
    """Log probabilities or logits of one model, (T, V), read by slices of rows."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, rows: Any, /) -> NDArray[Any]: ...


@dataclass(frozen=True)
class OfOneToken:
    """Scores of one token, (T,), as those of a model that gives 0 to all others, (T, V)."""

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
    """The maximum-likelihood weights of a mix, and its loss in nats a token.

    The loss of `softmax(w1 · log p + w2 · log q)` is convex in its weights, so Newton's method
    finds its only minimum in a handful of steps.

    Args:
        scores: of each model, (T, V).
        targets: ids, (T,).
        near: center of a Gaussian prior on the weights.
        pulls: its precision: half of it times the squared distance, in nats over the whole text, is
            part of the loss.

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
    """The mean loss in nats, its gradient (models,) and its Hessian (models, models)."""
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
