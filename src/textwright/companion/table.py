"""The n-grams that are worth their place, as they go into a run: a tree, in 16 bits a number.

A tree of n-grams with backoffs (Katz, 1987, whose form every smoothing can be written in): the
probability of a token after a context is that of the longest n-gram with it that is in the tree,
times the backoffs of the longer contexts that are in it too. Logarithms are whole numbers of
1/1024 nat. So looking up is adding whole numbers, which any processor, and a page in a browser,
does alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from textwright.companion.counting import Doubles, Grams, Ids, NGramModel

Nodes: TypeAlias = NDArray[np.int32]
Halves: TypeAlias = NDArray[np.int16]
Mask: TypeAlias = NDArray[np.bool_]

UNIT = 1 / 1024
"""Nats of a stored logarithm's 1."""
_LEAST_GAIN = 0.5
"""Nats, over the whole text it was counted in, that an n-gram must save to be kept."""
_HALVINGS = 5
"""By which it is found how much one must save for so many to be kept as may be."""
MOST_GRAMS = 700_000
"""That a table keeps: 4.1 MB of characters."""


@dataclass(frozen=True)
class Table:
    """A tree whose nodes are n-grams, those of one token first, then those of two …

    A state of it, by which it knows where in a text it is, is the nodes of the last 1, 2 … tokens,
    (order - 1,), −1 for those that aren't in it.
    """

    vocab_size: int
    sizes: tuple[int, ...]
    """Nodes of each order; of the first, the vocabulary, a node's number its token."""
    tokens: Nodes
    """The last token of each node, (nodes,)."""
    first: Nodes
    """The first child of each node, (nodes + 1,): children are neighbours, by token."""
    log_probabilities: Halves
    """Of each node's last token after its others, in `UNIT`s, (nodes,)."""
    backoffs: Halves
    """What is added where a token is no child of the node, in `UNIT`s, (nodes,)."""
    folded: Nodes
    """As what each token counts where it is context, (vocab_size,)."""

    @property
    def order(self) -> int:
        """Tokens of the longest n-gram."""
        return len(self.sizes)

    def initial_state(self) -> Nodes:
        """Of a text without a token, (order - 1,)."""
        return np.full(self.order - 1, -1, np.int32)

    def advance(self, state: Nodes, token: int) -> None:
        """Take `state` in place past `token`."""
        token = int(self.folded[token])
        for k in range(self.order - 2, 0, -1):
            state[k] = self._child(int(state[k - 1]), token)
        if len(state):
            state[0] = token

    def known(self, state: Nodes) -> int:
        """How many tokens of context it has seen something follow, at most order - 1."""
        found = state >= 0
        found[found] = self.first[state[found]] < self.first[state[found] + 1]
        return int(np.append(found, False).argmin())

    def scores(self, state: Nodes) -> Nodes:
        """log q of every token as the next one, in `UNIT`s, (vocab_size,)."""
        scores = self.log_probabilities[: self.vocab_size].astype(np.int32)
        for node in state[: self.known(state)]:
            begin, end = self.first[node], self.first[node + 1]
            scores += self.backoffs[node]
            scores[self.tokens[begin:end]] = self.log_probabilities[begin:end]
        return scores

    def known_along(self, tokens: Ids) -> Ids:
        """What `known` gives after each token of a text, (n,)."""
        as_context = self.folded[tokens].astype(np.int64)
        depths = np.zeros(len(tokens), np.int64)
        parents = np.repeat(np.arange(len(self.tokens)), np.diff(self.first))
        keys = parents * self.vocab_size + self.tokens[self.vocab_size :]
        nodes = as_context  # the context of k tokens that ends at each token
        for k in range(1, self.order):
            going_on = (depths == k - 1) & (nodes >= 0)
            depths[going_on] += self.first[nodes[going_on]] < self.first[nodes[going_on] + 1]
            wanted = nodes[:-1] * self.vocab_size + as_context[1:]
            index = keys.searchsorted(wanted)
            index = np.where((index < len(keys)) & (nodes[:-1] >= 0), index, 0)
            found = (keys[index] == wanted) & (nodes[:-1] >= 0) if len(keys) else wanted < 0
            nodes = np.append(-1, np.where(found, index + self.vocab_size, -1))
        return depths

    def _child(self, node: int, token: int) -> int:
        if node < 0:
            return -1
        begin, end = self.first[node], self.first[node + 1]
        index = begin + self.tokens[begin:end].searchsorted(token)
        return int(index) if index < end and self.tokens[index] == token else -1


def nothing(vocab_size: int) -> Table:
    """A table that knows every token equally well."""
    tokens = np.arange(vocab_size, dtype=np.int32)
    first = np.full(vocab_size + 1, vocab_size, np.int32)
    zeros = np.zeros(vocab_size, np.int16)
    return Table(vocab_size, (vocab_size,), tokens, first, zeros, zeros, tokens)


def make_table(model: NGramModel, most_grams: int = MOST_GRAMS) -> Table:
    """The n-grams of `model` that save most, and all that they begin and end with.

    Of an n-gram it is known how often it occurs and how much likelier it makes its last token than
    the shorter context would (Seymore and Rosenfeld, "Scalable Backoff Language Models", 1996).

    Args:
        model: what was counted.
        most_grams: how many of two tokens or more are kept at most.
    """
    gains = [_gains(model.levels[k], model.levels[k - 1]) for k in range(1, model.order)]

    def fits(kept: list[Mask]) -> bool:
        return sum(int(mask.sum()) for mask in kept[1:]) <= most_grams

    low = high = _LEAST_GAIN
    while not fits(kept := _kept(model.levels, gains, high)):
        low, high = high, 2 * high
    for _ in range(_HALVINGS if low < high else 0):
        middle = (low * high) ** 0.5
        if fits(fewer := _kept(model.levels, gains, middle)):
            high, kept = middle, fewer
        else:
            low = middle
    return _in_halves(_pruned(model.levels, kept), model.folded)


def _gains(level: Grams, below: Grams) -> Doubles:
    """Nats that each gram saves over the text that was counted."""
    without = below.backoffs[level.parents] * below.probabilities[level.suffixes]
    return np.asarray(level.counts * np.log(level.probabilities / without), np.float64)


def _kept(levels: list[Grams], gains: list[Doubles], least: float) -> list[Mask]:
    kept = [np.zeros(len(level.tokens), bool) for level in levels]
    kept[0][:] = True
    for k in range(len(levels) - 1, 0, -1):
        kept[k] |= gains[k - 1] >= least
        kept[k - 1][levels[k].parents[kept[k]]] = True
        kept[k - 1][levels[k].suffixes[kept[k]]] = True
    return kept


def _pruned(levels: list[Grams], kept: list[Mask]) -> list[Grams]:
    """Those that are kept, with the backoffs that make all probabilities one whole again."""
    numbers = [np.cumsum(mask) - 1 for mask in kept]
    pruned: list[Grams] = []
    for k, (level, mask) in enumerate(zip(levels, kept, strict=True)):
        parents, suffixes = level.parents[mask], level.suffixes[mask]
        probabilities = level.probabilities[mask]
        if k:
            parents, suffixes = numbers[k - 1][parents], numbers[k - 1][suffixes]
            below = pruned[-1]
            count = len(below.tokens)
            here = np.bincount(parents, weights=probabilities, minlength=count)
            there = np.bincount(parents, weights=below.probabilities[suffixes], minlength=count)
            # Where every token of the vocabulary followed, nothing is left on either side
            below.backoffs[:] = np.maximum(1 - here, 1e-9) / np.maximum(1 - there, 1e-9)
        pruned.append(
            Grams(
                parents, level.tokens[mask], suffixes, level.counts[mask], probabilities,
                np.ones(len(parents)),
            )
        )  # fmt: skip
    return pruned


def _in_halves(levels: list[Grams], folded: Ids) -> Table:
    sizes = tuple(len(level.tokens) for level in levels)
    children = [
        np.bincount(level.parents, minlength=size)
        for level, size in zip(levels[1:], sizes[:-1], strict=True)
    ]
    children.append(np.zeros(sizes[-1], np.int64))
    return Table(
        len(folded),
        sizes,
        np.concatenate([level.tokens for level in levels]).astype(np.int32),
        first_children(sizes, np.concatenate(children)),
        _units(np.concatenate([level.probabilities for level in levels])),
        _units(np.concatenate([level.backoffs for level in levels])),
        folded.astype(np.int32),
    )


def first_children(sizes: tuple[int, ...], children: NDArray[Any]) -> Nodes:
    """Where each node's children begin, by how many each has, (nodes + 1,)."""
    return np.concatenate(([sizes[0]], sizes[0] + np.cumsum(children))).astype(np.int32)


def _units(probabilities: Doubles) -> Halves:
    units = np.rint(np.log(probabilities) / UNIT)
    return np.clip(units, -(1 << 15), (1 << 15) - 1).astype(np.int16)
