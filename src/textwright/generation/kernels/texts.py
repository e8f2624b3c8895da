"""Pieces of several texts for the kernels to read: `Texts` of products.h."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from textwright.generation.runtime import Floats, Tokens

NO_LOGITS, LAST_LOGITS, ALL_LOGITS = range(3)
"""Which tokens' logits are wanted of each text."""


class Texts(ctypes.Structure):
    """`Texts` of products.h."""

    _fields_ = [
        ("count", ctypes.c_int32),
        ("lengths", ctypes.c_void_p),
        ("tokens", ctypes.c_void_p),
        ("states", ctypes.c_void_p),
        ("positions", ctypes.c_void_p),
    ]


Kernel = Callable[[Any, Any, int, int], int]
"""(model, texts, wanted, address of the logits) → 0, or what is wrong."""


def kernel(library: ctypes.CDLL, name: str) -> Kernel:
    """A function of a library that reads texts."""
    function = getattr(library, name)
    function.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
    function.restype = ctypes.c_int
    return function  # type: ignore[no-any-return]


def read(
    call: Kernel,
    model: int,
    pieces: Sequence[Tokens],
    states: Sequence[int],
    positions: Sequence[int],
    wanted: int,
    vocab_size: int,
) -> Floats:
    """Read pieces of texts, each after its own state.

    Args:
        call: a kernel.
        model: the address of its model.
        pieces: ids of N texts, of one token at least.
        states: the addresses of their states.
        positions: where in their windows they begin.

    Returns:
        What is wanted of the logits, (any number, vocab_size).

    Raises:
        IndexError: an id is not in the vocabulary, or a piece is empty.
        ValueError: there are more pieces than states, or fewer.
        MemoryError: there is no memory for what is computed.
    """
    count = len(pieces)
    if len(states) != count:
        raise ValueError(f"{count} pieces and {len(states)} states")
    if not count:
        return np.empty((0, vocab_size), np.float32)
    ids = [np.ascontiguousarray(piece, np.int64) for piece in pieces]
    # [lengths | positions] and [addresses of tokens | of states], one array each
    numbers = np.array([*map(len, ids), *positions], np.int32)
    addresses = np.array([*(piece.ctypes.data for piece in ids), *states], np.uintp)
    at, there = numbers.ctypes.data, addresses.ctypes.data
    texts = Texts(count, at, there, there + 8 * count, at + 4 * count)
    rows = {NO_LOGITS: 0, LAST_LOGITS: count, ALL_LOGITS: int(numbers[:count].sum())}[wanted]
    logits = np.empty((rows, vocab_size), np.float32)
    check(call(model, ctypes.addressof(texts), wanted, logits.ctypes.data), vocab_size)
    return logits


def check(outcome: int, vocab_size: int) -> None:
    """Raise what a kernel's answer means."""
    if outcome == 1:
        raise IndexError(f"a token is not one of the vocabulary's {vocab_size:,}, or there is none")
    if outcome:
        raise MemoryError("no memory for what the model computes")
