"""What is counted in a text: n-grams, and lengths of lines.

The n-gram model is interpolated modified Kneser-Ney with three discounts an order (Chen and
Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling", 1998). Why not a
library: `nltk.lm` is Python dictionaries, too slow for millions of tokens and without the three
discounts; the estimator of `kenlm`, `lmplz`, is not part of its Python package. Here an n-gram is a
pair: the index of its first n - 1 tokens, and its last token. So counting is sorting integers, an
order at a time: a third of a second for the nine orders of a book.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textwright.arrays import Floats

Ids = NDArray[np.int64]
Doubles = NDArray[np.float64]

COLUMNS = 128
"""Classes of line lengths: each shorter length, and all from this one on."""


@dataclass(frozen=True)
class Grams:
    """The n-grams of one length that occur, in order of their tokens; (n,) each."""

    parents: Ids
    """The index, in the order below, of the gram without its last token; 0 for single tokens."""
    tokens: Ids
    """Their last token."""
    suffixes: Ids
    """The index, in the order below, of the gram without its first token; 0 for single tokens."""
    counts: Ids
    """How often each occurs."""
    probabilities: Doubles
    """Of the last token after the others, interpolated with all lower orders."""
    backoffs: Doubles
    """Weight of the lower order for tokens that never followed: the mass that the discounts take. 1
    where nothing followed."""


class NGramModel:
    """Predicts a token from the `order` - 1 before it in the same text.

    Attributes:
        levels: the grams of 1 token, of 2 …; the first has every token of the vocabulary, its index
            the token.
        folded: the id that each token has as part of a context, (vocab_size,).
    """

    def __init__(
        self,
        tokens: Ids,
        starts: Ids,
        vocab_size: int,
        order: int = 5,
        folded: Ids | None = None,
    ) -> None:
        """
        Args:
            tokens: concatenated texts, (n,), n ≥ 1.
            starts: offset of each text, ascending, the first 0; no n-gram crosses one.
            vocab_size: ids are below it.
            order: length of the longest n-gram.
            folded: as what each token counts where it is context, (vocab_size,), e.g. the end of a
                line as a space; what is so counted as counts as itself. None: all as themselves.
        """
        self.vocab_size, self.order = vocab_size, order
        self.folded = np.arange(vocab_size) if folded is None else folded
        found = _distinct(tokens.astype(np.int64), starts, self.folded, order)
        self.levels = _smoothed(*found, vocab_size)

    def log_probabilities(self, tokens: Ids, starts: Ids) -> Doubles:
        """log p of each token given those before it in its text, in nats, (n,).

        Args:
            tokens, starts: as those of the class.
        """
        before = _positions(len(tokens), starts)
        tokens = tokens.astype(np.int64)
        as_context = self.folded[tokens]
        ended = as_context  # the gram of a context that ends at each token; −1 where it is unknown
        probabilities = self.levels[0].probabilities[tokens]
        for k in range(1, self.order):
            level, below = self.levels[k], self.levels[k - 1]
            context = np.concatenate((np.full(1, -1), ended[:-1]))
            context[before < k] = -1
            known = np.flatnonzero(context >= 0)
            found, ended = np.full((2, len(tokens)), -1)
            if len(known):
                found[known] = _find(level, context[known], tokens[known], self.vocab_size)
                ended[known] = _find(level, context[known], as_context[known], self.vocab_size)
            probabilities[known] *= below.backoffs[context[known]]
            exact = np.flatnonzero(found >= 0)
            probabilities[exact] = level.probabilities[found[exact]]
        logs: Doubles = np.log(probabilities)
        return logs


def unigram_log_probabilities(tokens: Ids, vocab_size: int) -> Doubles:
    """log p of each id by its count in `tokens` with add-one smoothing, in nats, (vocab_size,)."""
    counts = np.bincount(tokens, minlength=vocab_size) + 1.0
    logs: Doubles = np.log(counts / counts.sum())
    return logs


def _positions(length: int, starts: Ids) -> Ids:
    """Position of each token in its own text, from 0, (length,)."""
    offsets = np.zeros(length, np.int64)
    offsets[starts] = starts
    return np.arange(length) - np.maximum.accumulate(offsets)


def _find(level: Grams, parents: Ids, tokens: Ids, vocab_size: int) -> Ids:
    """Which grams of `level` these are; −1 for those that don't occur."""
    keys = level.parents * vocab_size + level.tokens
    wanted = parents * vocab_size + tokens
    index = np.minimum(keys.searchsorted(wanted), len(keys) - 1)
    return np.where(keys[index] == wanted, index, -1) if len(keys) else np.full(len(wanted), -1)


def _distinct(
    tokens: Ids, starts: Ids, folded: Ids, order: int
) -> tuple[list[tuple[Ids, Ids, Ids, Ids]], list[Ids]]:
    """Of each order: parents, tokens, suffixes and counts; and how often each begins a text.

    A gram that is some other's context but never occurs by itself has a count of 0.
    """
    ends = np.append(starts[1:], len(tokens))
    left = np.repeat(ends, ends - starts) - np.arange(len(tokens))  # tokens of the text from here
    # Of the gram, and of the context, that begins at each token; too near an end never used
    gram, context = tokens, folded[tokens]
    as_context, vocab_size = folded[tokens], len(folded)
    every = np.arange(vocab_size)
    counts = np.bincount(tokens, minlength=vocab_size)
    found = [(np.zeros_like(every), every, np.zeros_like(every), counts)]
    initial = [np.bincount(tokens[starts], minlength=vocab_size)]
    for k in range(2, order + 1):
        inside = np.flatnonzero(left >= k)
        other = inside[as_context[inside + k - 1] != tokens[inside + k - 1]]
        parents = context[np.concatenate((inside, other))]
        last = np.concatenate((tokens[inside + k - 1], as_context[other + k - 1]))
        suffixes = np.concatenate((gram[inside + 1], context[other + 1]))
        keys = parents * vocab_size + last
        _, first, which = np.unique(keys, return_index=True, return_inverse=True)
        which, of_contexts = which[: len(inside)], which[len(inside) :]
        counts = np.bincount(which, minlength=len(first))
        found.append((parents[first], last[first], suffixes[first], counts))
        gram = np.zeros(len(tokens), np.int64)
        gram[inside] = which
        context = gram.copy()
        context[other] = of_contexts
        initial.append(np.bincount(gram[starts[left[starts] >= k]], minlength=len(first)))
    return found, initial


def _smoothed(
    found: list[tuple[Ids, Ids, Ids, Ids]], initial: list[Ids], vocab_size: int
) -> list[Grams]:
    levels: list[Grams] = []
    below: Doubles = np.full(1, 1 / vocab_size)
    for k, (parents, tokens, suffixes, counts) in enumerate(found):
        adjusted = counts
        if k + 1 < len(found):
            # By how many distinct tokens a gram is preceded; at the start of a text nothing
            # precedes it: there its plain count is added
            _, _, above, occurring = found[k + 1]
            adjusted = np.bincount(above[occurring > 0], minlength=len(tokens)) + initial[k]
        discounts = _discounts(adjusted)[np.minimum(adjusted, 3)]
        totals = np.bincount(parents, weights=adjusted, minlength=len(below))
        left = np.bincount(parents, weights=discounts, minlength=len(below))
        backoff = np.divide(left, totals, out=np.ones_like(totals), where=totals > 0)
        totals = np.maximum(totals, 1)
        kept = (adjusted - discounts) / totals[parents]
        probabilities = kept + backoff[parents] * below[suffixes]
        if levels:
            levels[-1].backoffs[:] = backoff
        levels.append(Grams(parents, tokens, suffixes, counts, probabilities, np.ones(len(tokens))))
        below = probabilities
    return levels


def _discounts(counts: Ids) -> Doubles:
    """The discounts of counts 0, 1, 2, and 3 or more (section 3 of the study, eq. 26)."""
    n1, n2, n3, n4 = (max(1, int((counts == n).sum())) for n in (1, 2, 3, 4))
    y = n1 / (n1 + 2 * n2)
    raw = (0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    # With few n-grams they may be 0, which would leave no mass for unseen ones
    return np.array([min(max(value, 0.1), count) for count, value in enumerate(raw)])


@dataclass(frozen=True)
class Lines:
    """What a line's length says of its end: terms for the logit of it.

    In a text of lines of about the same length, as books are wrapped, the length says best where
    the next line begins, and neither a network of half a megabyte nor n-grams count that far.
    """

    newline: int
    """The token that ends a line."""
    terms: Floats
    """What is added to its logit after so many tokens of a line, (columns,); the last one after so
    many or more."""


def lengths(tokens: Ids, newline: int) -> Ids:
    """How many tokens of its line there are after each token, (n,); the text begins a line."""
    places = np.arange(len(tokens))
    ends = np.where(tokens == newline, places, -1)
    found: Ids = places - np.maximum.accumulate(ends)
    return found


def log_odds(tokens: Ids, starts: Ids, newline: int) -> Doubles:
    """Of a line's end after so many tokens of it, as a text has it, (COLUMNS,).

    Args:
        tokens, starts: as those of an `NGramModel`; the lines that starts cut count as they are.
        newline: the token that ends a line.
    """
    before = np.append(0, np.minimum(lengths(tokens, newline), COLUMNS - 1)[:-1])
    before[starts] = 0
    ended = np.bincount(before, weights=tokens == newline, minlength=COLUMNS)
    went_on = np.bincount(before, minlength=COLUMNS) - ended
    odds: Doubles = np.log((ended + 0.5) / (went_on + 0.5))
    return odds
