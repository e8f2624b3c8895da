"""The file that a run keeps what it counted in: a table of n-grams, and terms of line ends."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from numpy.typing import NDArray
from safetensors.numpy import save

from textwright import atomic
from textwright.companion.lines import Lines
from textwright.companion.table import Table, first_children
from textwright.errors import RunError

_FORMAT = "textwright companion "
_VERSIONS = ("1", "2")
"""In the first every token was itself in contexts, and lines had no terms."""


def write_counts(
    file: Path, table: Table | None, lines: Lines | None, facts: dict[str, str]
) -> None:
    """Write what there is, and `facts`, whole or not at all."""
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
    atomic.write_bytes(file, save(tensors, metadata=metadata))


def narrowed(numbers: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers in as few bytes as they fit into, the lowest first."""
    most = int(numbers.max(initial=0))
    width = "<u1" if most < 1 << 8 else "<u2" if most < 1 << 16 else "<u4"
    return np.ascontiguousarray(numbers, width)


def read_counts(file: Path, vocab_size: int) -> tuple[Table | None, Lines | None, dict[str, str]]:
    """What `write_counts` wrote, checked: a file may come from anywhere.

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
