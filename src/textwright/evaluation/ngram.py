"""An n-gram model as a baseline: interpolated modified Kneser-Ney.

Chen and Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling" (1998), with
their three discounts an order. Why not a library: `nltk.lm` is Python dictionaries, too slow for
millions of tokens and without the three discounts; the estimator of `kenlm`, `lmplz`, is not part
of its Python package. Here n-grams are 64-bit hashes in sorted arrays, and counting is sorting;
of 10 million n-grams, two share a hash with a probability of about one in 400,000.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Doubles = NDArray[np.float64]
_Keys = NDArray[np.uint64]

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_MIXER = np.uint64(0xBF58476D1CE4E5B9)


@dataclass(frozen=True)
class _Order:
    """The k-grams of one k."""

    grams: _Keys
    """Sorted."""
    discounted: Doubles
    """Count less discount of each, over the count of its context."""
    contexts: _Keys
    """Their first k - 1 tokens, sorted."""
    backoff: Doubles
    """The probability mass that the discounts of each context leave to the lower order."""


class NGramModel:
    """Predicts a token from the `order` - 1 before it in the same text."""

    def __init__(self, tokens: Ids, starts: Ids, vocab_size: int, order: int = 5) -> None:
        """
        Args:
            tokens: concatenated texts, (n,).
            starts: offset of each text, ascending, the first 0.
            vocab_size: ids are below it.
            order: length of the longest n-gram.
        """
        self.vocab_size, self.order = vocab_size, order
        position = _positions(len(tokens), starts)
        keys = _hashes(tokens, order)
        self._orders: list[_Order] = []
        for k in range(1, order + 1):
            inside = position >= k - 1
            grams = keys[k - 1][inside]
            contexts = keys[k - 2][np.flatnonzero(inside) - 1] if k > 1 else np.zeros_like(grams)
            if k < order:  # continuation counts: by how many distinct tokens a gram is preceded
                _, first = np.unique(keys[k][position >= k], return_index=True)
                ends = np.flatnonzero(position >= k)[first]
                initial = position == k - 1  # at the start of a text nothing precedes: plain counts
                chosen = np.concatenate((ends, np.flatnonzero(initial)))
                grams = keys[k - 1][chosen]
                contexts = keys[k - 2][chosen - 1] if k > 1 else np.zeros_like(grams)
            self._orders.append(_count(grams, contexts))

    def log_probabilities(self, tokens: Ids, starts: Ids) -> Doubles:
        """log p of each token given those before it in its text, in nats, (n,).

        Args:
            tokens, starts: as those of the class.
        """
        position = _positions(len(tokens), starts)
        keys = _hashes(tokens, self.order)
        probabilities = np.full(len(tokens), 1 / self.vocab_size)
        for k, order in enumerate(self._orders, start=1):
            inside = np.flatnonzero(position >= k - 1)
            contexts = keys[k - 2][inside - 1] if k > 1 else np.zeros(len(inside), np.uint64)
            backoff = _look_up(order.contexts, order.backoff, contexts, 1.0)
            discounted = _look_up(order.grams, order.discounted, keys[k - 1][inside], 0.0)
            probabilities[inside] = discounted + backoff * probabilities[inside]
        return np.log(probabilities)


def unigram_log_probabilities(tokens: Ids, vocab_size: int) -> Doubles:
    """log p of each id by its count in `tokens` with add-one smoothing, in nats, (vocab_size,)."""
    counts = np.bincount(tokens, minlength=vocab_size) + 1.0
    return np.log(counts / counts.sum())


def _positions(length: int, starts: Ids) -> Ids:
    """Position of each token in its own text, from 0, (length,)."""
    offsets = np.zeros(length, np.int64)
    offsets[starts] = starts
    return np.arange(length) - np.maximum.accumulate(offsets)


def _hashes(tokens: Ids, order: int) -> list[_Keys]:
    """For each k from 1, the hashes of the k tokens that end at each position; (n,) each."""
    words = (tokens.astype(np.uint64) + np.uint64(1)) * _MIXER
    words ^= words >> np.uint64(31)
    keys = [words]
    for _ in range(order - 1):
        before = np.concatenate((np.zeros(1, np.uint64), keys[-1][:-1]))
        keys.append(before * _MULTIPLIER + words)
    return keys


def _count(grams: _Keys, contexts: _Keys) -> _Order:
    distinct, first, counts = np.unique(grams, return_index=True, return_counts=True)
    distinct_contexts, context_of = np.unique(contexts[first], return_inverse=True)
    totals = np.bincount(context_of, weights=counts)
    discounts = _discounts(counts)[np.minimum(counts, 3)]
    backoff = np.bincount(context_of, weights=discounts) / totals
    return _Order(distinct, (counts - discounts) / totals[context_of], distinct_contexts, backoff)


def _discounts(counts: Ids) -> Doubles:
    """The discounts of counts 0, 1, 2, and 3 or more (section 3 of the study, eq. 26)."""
    n1, n2, n3, n4 = (max(1, int((counts == n).sum())) for n in (1, 2, 3, 4))
    y = n1 / (n1 + 2 * n2)
    raw = (0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    # With few n-grams they may be 0, which would leave no mass for unseen ones
    return np.array([min(max(value, 0.1), count) for count, value in enumerate(raw)])


def _look_up(keys: _Keys, values: Doubles, queries: _Keys, default: float) -> Doubles:
    index = np.minimum(keys.searchsorted(queries), len(keys) - 1)
    return np.where(keys[index] == queries, values[index], default)
