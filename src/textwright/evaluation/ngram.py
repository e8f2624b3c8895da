"""An n-gram model, to have something to compare with: interpolated modified Kneser-Ney.

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
    left: Doubles
    """Of each context, the probability that the discounts leave to the order below."""


class NGramModel:
    """Predicts a token from the `order` - 1 before it, none of them before a text's begin."""

    def __init__(self, tokens: Ids, starts: Ids, vocab_size: int, order: int = 5) -> None:
        """
        Args:
            tokens: texts one after another, (n,).
            starts: where each begins, ascending, the first at 0.
            vocab_size: ids are below it.
            order: tokens of the longest n-gram.
        """
        self.vocab_size, self.order = vocab_size, order
        place = _places(len(tokens), starts)
        keys = _hashes(tokens, order)
        self._orders: list[_Order] = []
        for k in range(1, order + 1):
            whole = place >= k - 1
            grams = keys[k - 1][whole]
            contexts = keys[k - 2][np.flatnonzero(whole) - 1] if k > 1 else np.zeros_like(grams)
            if k < order:  # how many different tokens come before it, not how often it comes
                _, first = np.unique(keys[k][place >= k], return_index=True)
                ends = np.flatnonzero(place >= k)[first]
                opens = place == k - 1  # nothing comes before these: counted as they are
                chosen = np.concatenate((ends, np.flatnonzero(opens)))
                grams = keys[k - 1][chosen]
                contexts = keys[k - 2][chosen - 1] if k > 1 else np.zeros_like(grams)
            self._orders.append(_count(grams, contexts))

    def log_probabilities(self, tokens: Ids, starts: Ids) -> Doubles:
        """Of each token given those before it in its text, (n,).

        Args:
            tokens, starts: as those of the class.
        """
        place = _places(len(tokens), starts)
        keys = _hashes(tokens, self.order)
        spread = np.full(len(tokens), 1 / self.vocab_size)
        for k, order in enumerate(self._orders, start=1):
            here = np.flatnonzero(place >= k - 1)
            contexts = keys[k - 2][here - 1] if k > 1 else np.zeros(len(here), np.uint64)
            left = _look_up(order.contexts, order.left, contexts, 1.0)
            seen = _look_up(order.grams, order.discounted, keys[k - 1][here], 0.0)
            spread[here] = seen + left * spread[here]
        return np.log(spread)


def unigram_log_probabilities(tokens: Ids, vocab_size: int) -> Doubles:
    """Of each id, by how often it occurs in `tokens`, one added to every count; (vocab_size,)."""
    counts = np.bincount(tokens, minlength=vocab_size) + 1.0
    return np.log(counts / counts.sum())


def _places(length: int, starts: Ids) -> Ids:
    """How many tokens of its text come before each."""
    where = np.zeros(length, np.int64)
    where[starts] = starts
    return np.arange(length) - np.maximum.accumulate(where)


def _hashes(tokens: Ids, order: int) -> list[_Keys]:
    """For each k from 1, the hashes of the k tokens that end at each place; (n,) each."""
    words = (tokens.astype(np.uint64) + np.uint64(1)) * _MIXER
    words ^= words >> np.uint64(31)
    keys = [words]
    for _ in range(order - 1):
        before = np.concatenate((np.zeros(1, np.uint64), keys[-1][:-1]))
        keys.append(before * _MULTIPLIER + words)
    return keys


def _count(grams: _Keys, contexts: _Keys) -> _Order:
    found, first, counts = np.unique(grams, return_index=True, return_counts=True)
    discounts = _discounts(counts)
    held = contexts[first]
    distinct, where = np.unique(held, return_inverse=True)
    totals = np.bincount(where, weights=counts)
    taken = discounts[np.minimum(counts, 3)]
    left = np.bincount(where, weights=taken) / totals
    return _Order(found, (counts - taken) / totals[where], distinct, left)


def _discounts(counts: Ids) -> Doubles:
    """What is taken from counts of 0, 1, 2, and 3 or more (section 3 of the study, eq. 26)."""
    n1, n2, n3, n4 = (max(1, int((counts == n).sum())) for n in (1, 2, 3, 4))
    y = n1 / (n1 + 2 * n2)
    raw = (0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    # Of few n-grams they may come out as nothing, which would leave nothing for what wasn't seen
    return np.array([min(max(value, 0.1), count) for count, value in enumerate(raw)])


def _look_up(keys: _Keys, values: Doubles, wanted: _Keys, missing: float) -> Doubles:
    at = np.minimum(keys.searchsorted(wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], missing)
