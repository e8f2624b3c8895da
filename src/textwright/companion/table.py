"""The n-grams that are worth their place, as they go into a run: a tree, in 16 bits a number.

A tree of n-grams with backoffs (Katz, 1987, whose form every smoothing can be written in): the
probability of a token after a context is that of the longest n-gram with it that is in the tree,
times the backoffs of the longer contexts that are in it too. Logarithms are whole numbers of
1/1024 nat. So looking up is adding whole numbers, which any processor, and a page in a browser,
does alike.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import safetensors
from numpy.typing import NDArray
from safetensors.numpy import save

from textwright import atomic
from textwright.companion.counting import Doubles, Grams, NGramModel
from textwright.errors import RunError

Nodes: TypeAlias = NDArray[np.int32]
Halves: TypeAlias = NDArray[np.int16]
Mask: TypeAlias = NDArray[np.bool_]

UNIT = 1 / 1024
"""Nats of a stored logarithm's 1."""
_LEAST_GAIN = 0.5
"""Nats, over the whole text it was counted in, that an n-gram must save to be kept."""
MOST_GRAMS = 600_000
"""That a table keeps: 3.5 MB of characters."""


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

    @property
    def order(self) -> int:
        """Tokens of the longest n-gram."""
        return len(self.sizes)

    def initial_state(self) -> Nodes:
        """Of a text without a token, (order - 1,)."""
        return np.full(self.order - 1, -1, np.int32)

    def advance(self, state: Nodes, token: int) -> None:
        """Take `state` in place past `token`."""
        for k in range(self.order - 2, 0, -1):
            state[k] = self._child(int(state[k - 1]), token)
        if len(state):
            state[0] = token

    def scores(self, state: Nodes) -> Nodes:
        """log q of every token as the next one, in `UNIT`s, (vocab_size,)."""
        scores = self.log_probabilities[: self.vocab_size].astype(np.int32)
        for node in state:
            if node < 0 or (begin := self.first[node]) == (end := self.first[node + 1]):
                break
            scores += self.backoffs[node]
            scores[self.tokens[begin:end]] = self.log_probabilities[begin:end]
        return scores

    def _child(self, node: int, token: int) -> int:
        if node < 0:
            return -1
        begin, end = self.first[node], self.first[node + 1]
        index = begin + self.tokens[begin:end].searchsorted(token)
        return int(index) if index < end and self.tokens[index] == token else -1


def make_table(model: NGramModel, most_grams: int = MOST_GRAMS) -> Table:
    """The n-grams of `model` that save most, and all that they begin and end with.

    Of an n-gram it is known how often it occurs and how much likelier it makes its last token than
    the shorter context would (Seymore and Rosenfeld, "Scalable Backoff Language Models", 1996).

    Args:
        model: what was counted.
        most_grams: how many of two tokens or more are kept at most.
    """
    least = _LEAST_GAIN
    gains = [_gains(model.levels[k], model.levels[k - 1]) for k in range(1, model.order)]
    while True:
        kept = _kept(model.levels, gains, least)
        if sum(int(mask.sum()) for mask in kept[1:]) <= most_grams:
            return _in_halves(_pruned(model.levels, kept), model.vocab_size)
        least *= 1.25


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


def _in_halves(levels: list[Grams], vocab_size: int) -> Table:
    sizes = tuple(len(level.tokens) for level in levels)
    children = [
        np.bincount(level.parents, minlength=size)
        for level, size in zip(levels[1:], sizes[:-1], strict=True)
    ]
    children.append(np.zeros(sizes[-1], np.int64))
    return Table(
        vocab_size,
        sizes,
        np.concatenate([level.tokens for level in levels]).astype(np.int32),
        _first_children(sizes, np.concatenate(children)),
        _units(np.concatenate([level.probabilities for level in levels])),
        _units(np.concatenate([level.backoffs for level in levels])),
    )


def _first_children(sizes: tuple[int, ...], children: NDArray[Any]) -> Nodes:
    """Where each node's children begin, by how many each has, (nodes + 1,)."""
    return np.concatenate(([sizes[0]], sizes[0] + np.cumsum(children))).astype(np.int32)


def _units(probabilities: Doubles) -> Halves:
    units = np.rint(np.log(probabilities) / UNIT)
    return np.clip(units, -(1 << 15), (1 << 15) - 1).astype(np.int16)


# The file


def write_table(file: Path, table: Table | None, facts: dict[str, str]) -> None:
    """Write a companion: its table, if it has one, and `facts`, whole or not at all."""
    tensors: dict[str, NDArray[Any]] = {}
    if table is not None:
        inner = sum(table.sizes[:-1])
        tensors = {
            "tokens": _narrowed(table.tokens[table.vocab_size :]),
            "children": _narrowed(np.diff(table.first)[:inner]),
            "log_probabilities": table.log_probabilities,
            "backoffs": np.ascontiguousarray(table.backoffs[:inner]),
        }
        facts = facts | {"sizes": " ".join(map(str, table.sizes))}
    atomic.write_bytes(file, save(tensors, metadata={"format": "textwright companion 1"} | facts))


def _narrowed(numbers: NDArray[Any]) -> NDArray[Any]:
    """In as few bytes as they fit into."""
    most = int(numbers.max(initial=0))
    width = np.uint8 if most < 1 << 8 else np.uint16 if most < 1 << 16 else np.uint32
    return np.ascontiguousarray(numbers, width)


def read_table(file: Path, vocab_size: int) -> tuple[Table | None, dict[str, str]]:
    """What `write_table` wrote, checked: a file may come from anywhere.

    Raises:
        RunError: it is damaged, or of another vocabulary.
    """
    try:
        with safetensors.safe_open(file, "numpy") as opened:
            facts = dict(opened.metadata() or {})
            names = list(opened.keys())
            tensors = {name: opened.get_tensor(name) for name in names}
        if facts.get("format") != "textwright companion 1":
            raise ValueError("of another format")
        return (_checked(tensors, facts, vocab_size) if tensors else None), facts
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).split("\n", 1)[0]
        raise RunError(
            f"{file.name} is damaged ({reason}); copy it again, or delete it to go without"
        ) from error


def _checked(tensors: dict[str, NDArray[Any]], facts: dict[str, str], vocab_size: int) -> Table:
    sizes = tuple(int(size) for size in facts["sizes"].split())
    nodes, inner = sum(sizes), sum(sizes[:-1])
    if not sizes or min(sizes) < 0 or sizes[0] != vocab_size or nodes >= 1 << 31:
        raise ValueError("of another vocabulary")
    shapes = {"tokens": nodes - vocab_size, "children": inner, "log_probabilities": nodes,
              "backoffs": inner}  # fmt: skip
    for name, length in shapes.items():
        if tensors[name].shape != (length,):
            raise ValueError(f"{name} has another length")
        expected = "u" if name in ("tokens", "children") else "i"
        if tensors[name].dtype.kind != expected:
            raise ValueError(f"{name} has another type")
    counts = np.zeros(nodes, np.int64)
    counts[:inner] = tensors["children"]
    edges = np.cumsum((0, *sizes))
    totals = [int(counts[a:b].sum()) for a, b in itertools.pairwise(edges)]
    if tuple(totals[:-1]) != sizes[1:]:
        raise ValueError("its tree has other branches")
    if tensors["tokens"].size and int(tensors["tokens"].max()) >= vocab_size:
        raise ValueError("a token is outside the vocabulary")
    backoffs = np.zeros(nodes, np.int16)
    backoffs[:inner] = tensors["backoffs"]
    tokens = np.concatenate((np.arange(vocab_size), tensors["tokens"])).astype(np.int32)
    return Table(vocab_size, sizes, tokens, _first_children(sizes, counts),
                 tensors["log_probabilities"].astype(np.int16), backoffs)  # fmt: skip
