"""A pruned n-gram model as a tree of 16-bit numbers, and its file in a run.

The tree has backoffs (Katz, 1987; any smoothing can be written in this form): the probability of a
token after a context is that of the longest n-gram in the tree that ends in it, times the backoffs
of the longer contexts in the tree. Logarithms are integers, in units of 1/1024 nat, so that every
processor, and a page in a browser, computes the same scores.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import safetensors
from numpy.typing import NDArray
from safetensors.numpy import save

from textwright import atomic
from textwright.companion.counting import Doubles, Grams, Ids, Lines, NGramModel
from textwright.errors import RunError

Nodes: TypeAlias = NDArray[np.int32]
Halves: TypeAlias = NDArray[np.int16]
Mask: TypeAlias = NDArray[np.bool_]

UNIT = 1 / 1024
"""Nats of 1 in a stored logarithm."""
_LEAST_GAIN = 0.5
"""Nats over the whole counted text that an n-gram must save to be kept."""
_HALVINGS = 5
"""Steps of the bisection for the gain at which at most so many n-grams are kept."""
MOST_GRAMS = 700_000
"""N-grams that a table keeps at most: 4.1 MB for characters."""
_FORMAT = "textwright companion "
_VERSIONS = ("1", "2")
"""Version 1 had neither folded contexts nor lengths of lines."""


@dataclass(frozen=True)
class Table:
    """A tree whose nodes are n-grams, those of one token first, then those of two …

    Its state after a text is the nodes of the last 1, 2 … tokens, (order - 1,), −1 for those that
    aren't in the tree.
    """

    vocab_size: int
    sizes: tuple[int, ...]
    """Nodes of each order; those of the first are the vocabulary, by id."""
    tokens: Nodes
    """The last token of each node, (nodes,)."""
    first: Nodes
    """The first child of each node, (nodes + 1,): children are adjacent, sorted by token."""
    log_probabilities: Halves
    """Of each node's last token after the others, in `UNIT`s, (nodes,)."""
    backoffs: Halves
    """Added to the lower order's score of a token that is no child of the node, in `UNIT`s,
    (nodes,)."""
    folded: Nodes
    """The id that each token has as part of a context, (vocab_size,)."""

    @property
    def order(self) -> int:
        """Tokens of the longest n-gram."""
        return len(self.sizes)

    def initial_state(self) -> Nodes:
        """The state before any token, (order - 1,)."""
        return np.full(self.order - 1, -1, np.int32)

    def advance(self, state: Nodes, token: int) -> None:
        """Update `state` in place by the next token."""
        token = int(self.folded[token])
        for k in range(self.order - 2, 0, -1):
            state[k] = self._child(int(state[k - 1]), token)
        if len(state):
            state[0] = token

    def known(self, state: Nodes) -> int:
        """The length of the longest context with children in the tree, at most order - 1."""
        found = state >= 0
        found[found] = self.first[state[found]] < self.first[state[found] + 1]
        return int(np.append(found, False).argmin())

    def scores(self, state: Nodes) -> Nodes:
        """The log probabilities of the next token, in `UNIT`s, (vocab_size,)."""
        scores = self.log_probabilities[: self.vocab_size].astype(np.int32)
        for node in state[: self.known(state)]:
            begin, end = self.first[node], self.first[node + 1]
            scores += self.backoffs[node]
            scores[self.tokens[begin:end]] = self.log_probabilities[begin:end]
        return scores

    def known_along(self, tokens: Ids) -> Ids:
        """`known` after each token of a text, (n,)."""
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
    """A uniform table."""
    tokens = np.arange(vocab_size, dtype=np.int32)
    first = np.full(vocab_size + 1, vocab_size, np.int32)
    zeros = np.zeros(vocab_size, np.int16)
    return Table(vocab_size, (vocab_size,), tokens, first, zeros, zeros, tokens)


def make_table(model: NGramModel, most_grams: int = MOST_GRAMS) -> Table:
    """`model` pruned to the n-grams that save most, with their prefixes and suffixes.

    An n-gram saves its count times the log ratio of its last token's probability to that after the
    shorter context (Seymore and Rosenfeld, "Scalable Backoff Language Models", 1996).

    Args:
        model: the counts.
        most_grams: n-grams of two tokens or more, at most.
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
    """Nats that each gram saves over the whole counted text, (grams,)."""
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
    """The grams in the masks, with backoffs that make probabilities sum to 1 again."""
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
            # Both are 0 where every token of the vocabulary followed
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
    """The index of each node's first child, (nodes + 1,), from the number of children, (nodes,)."""
    return np.concatenate(([sizes[0]], sizes[0] + np.cumsum(children))).astype(np.int32)


def _units(probabilities: Doubles) -> Halves:
    units = np.rint(np.log(probabilities) / UNIT)
    return np.clip(units, -(1 << 15), (1 << 15) - 1).astype(np.int16)


def write_counts(
    file: Path, table: Table | None, lines: Lines | None, facts: dict[str, str]
) -> None:
    """Write table, lines and `facts`, whole or not at all."""
    tensors: dict[str, NDArray[Any]] = {}
    if table is not None:
        inner = sum(table.sizes[:-1])
        tensors = {
            "tokens": narrowed(table.tokens[table.vocab_size :]),
            "children": narrowed(np.diff(table.first)[:inner]),
            "log_probabilities": table.log_probabilities,
            "backoffs": np.ascontiguousarray(table.backoffs[:inner]),
            "folded": narrowed(table.folded),
        }
        facts = facts | {"sizes": " ".join(map(str, table.sizes))}
    if lines is not None:
        tensors["lines"] = lines.terms
        facts = facts | {"newline": str(lines.newline)}
    metadata = {"format": _FORMAT + _VERSIONS[-1]} | facts
    atomic.write_bytes(file, _metadata_sorted(save(tensors, metadata=metadata)))


def _metadata_sorted(data: bytes) -> bytes:
    """A safetensors file whose metadata, which safetensors writes in any order, is in that of its
    names, so that the same training writes the same bytes."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    return data[:8] + text.ljust(end - 8) + data[end:]


def narrowed(numbers: NDArray[Any]) -> NDArray[Any]:
    """Unsigned integers in the smallest type that holds them, little-endian."""
    most = int(numbers.max(initial=0))
    width = "<u1" if most < 1 << 8 else "<u2" if most < 1 << 16 else "<u4"
    return np.ascontiguousarray(numbers, width)


def read_counts(file: Path, vocab_size: int) -> tuple[Table | None, Lines | None, dict[str, str]]:
    """Read and check what `write_counts` wrote: a file may come from anywhere.

    Raises:
        RunError: it is damaged, or of another vocabulary.
    """
    try:
        with safetensors.safe_open(file, "numpy") as opened:
            facts = dict(opened.metadata() or {})
            names = list(opened.keys())
            tensors = {name: opened.get_tensor(name) for name in names}
        if facts.get("format") not in [_FORMAT + version for version in _VERSIONS]:
            raise ValueError("of another format")
        lines = _lines(tensors.pop("lines"), facts, vocab_size) if "lines" in tensors else None
        return (_table(tensors, facts, vocab_size) if tensors else None), lines, facts
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).split("\n", 1)[0]
        raise RunError(
            f"{file.name} is damaged ({reason}); copy it again, or delete it to go without"
        ) from error


def _lines(terms: NDArray[Any], facts: dict[str, str], vocab_size: int) -> Lines:
    newline = int(facts["newline"])
    if not 0 <= newline < vocab_size:
        raise ValueError("a token is outside the vocabulary")
    if terms.ndim != 1 or not terms.size or terms.dtype != np.float32:
        raise ValueError("lines has another shape or type")
    if not np.isfinite(terms).all():
        raise ValueError("lines aren't finite")
    return Lines(newline, terms)


def _table(tensors: dict[str, NDArray[Any]], facts: dict[str, str], vocab_size: int) -> Table:
    sizes = tuple(int(size) for size in facts["sizes"].split())
    nodes, inner = sum(sizes), sum(sizes[:-1])
    if not sizes or min(sizes) < 0 or sizes[0] != vocab_size or nodes >= 1 << 31:
        raise ValueError("of another vocabulary")
    tensors.setdefault("folded", np.arange(vocab_size, dtype=np.uint32))
    shapes = {"tokens": nodes - vocab_size, "children": inner, "log_probabilities": nodes,
              "backoffs": inner, "folded": vocab_size}  # fmt: skip
    for name, length in shapes.items():
        if tensors[name].shape != (length,):
            raise ValueError(f"{name} has another length")
        expected = "u" if name in ("tokens", "children", "folded") else "i"
        if tensors[name].dtype.kind != expected:
            raise ValueError(f"{name} has another type")
    counts = np.zeros(nodes, np.int64)
    counts[:inner] = tensors["children"]
    edges = np.cumsum((0, *sizes))
    totals = [int(counts[a:b].sum()) for a, b in itertools.pairwise(edges)]
    if tuple(totals[:-1]) != sizes[1:]:
        raise ValueError("its tree has other branches")
    if max(int(tensors[name].max(initial=0)) for name in ("tokens", "folded")) >= vocab_size:
        raise ValueError("a token is outside the vocabulary")
    backoffs = np.zeros(nodes, np.int16)
    backoffs[:inner] = tensors["backoffs"]
    tokens = np.concatenate((np.arange(vocab_size), tensors["tokens"])).astype(np.int32)
    return Table(vocab_size, sizes, tokens, first_children(sizes, counts),
                 tensors["log_probabilities"].astype(np.int16), backoffs,
                 tensors["folded"].astype(np.int32))  # fmt: skip
