"""Pieces of several texts for the kernels to read: `Texts` of products.h."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textwright.arrays import Floats, Tokens

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


class OneText(ctypes.Structure):
    """`Texts` of one text with all that it points to, which a state keeps: no arrays a call."""

    _fields_ = [
        ("texts", Texts),
        ("length", ctypes.c_int32),
        ("position", ctypes.c_int32),
        ("tokens", ctypes.c_void_p),
        ("state", ctypes.c_void_p),
        ("token", ctypes.c_int64),
    ]

    def __init__(self, state: int) -> None:
        """
        Args:
            state: the address of what the text's state holds.
        """
        super().__init__(state=state)
        self.address = ctypes.addressof(self)
        kind = type(self)
        self.own_token = self.address + kind.token.offset
        self.texts = Texts(
            1,
            self.address + kind.length.offset,
            self.address + kind.tokens.offset,
            self.address + kind.state.offset,
            self.address + kind.position.offset,
        )


def read_one(
    call: Kernel,
    model: int,
    tokens: Tokens,
    text: OneText,
    position: int,
    wanted: int,
    vocab_size: int,
) -> Floats:
    """As `read_all` for one text, quicker; `wanted` may be all its logits."""
    count = len(tokens)
    if count == 1:
        text.token, text.tokens = int(tokens[0]), text.own_token
    else:
        ids = np.array(tokens, np.int64)
        text.tokens = address(ids)
    text.length, text.position = count, position
    logits = np.empty(((0, 1, count)[wanted], vocab_size), np.float32)
    check(call(model, text.address, wanted, address(logits)), vocab_size)
    return logits


def read_all(
    call: Kernel,
    model: int,
    pieces: Sequence[Tokens],
    states: Sequence[int],
    positions: Sequence[int],
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
        Logits after the last token of each, (N, vocab_size).

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
    ids = [np.array(piece, np.int64) for piece in pieces]
    # [lengths | positions] and [addresses of tokens | of states], one array each
    numbers = np.array([*map(len, ids), *positions], np.int32)
    addresses = np.array([*map(address, ids), *states], np.uintp)
    at, there = address(numbers), address(addresses)
    texts = Texts(count, at, there, there + 8 * count, at + 4 * count)
    logits = np.empty((count, vocab_size), np.float32)
    outcome = call(model, ctypes.addressof(texts), LAST_LOGITS, address(logits))
    check(outcome, vocab_size)
    return logits


def check(outcome: int, vocab_size: int) -> None:
    """Raise what a kernel's answer means."""
    if outcome == 1:
        raise token_error(vocab_size)
    if outcome:
        raise MemoryError("no memory for what the model computes")


def token_error(vocab_size: int) -> IndexError:
    """What every runtime raises for ids outside 0 … `vocab_size` − 1, and for no ids at all."""
    return IndexError(f"a token is not one of the vocabulary's {vocab_size:,}, or there is none")


def address(array: NDArray[Any]) -> int:
    """Where the values of an array begin, which is writable and in order.

    Asking the buffer takes a quarter of the time of `array.ctypes.data`.
    """
    return ctypes.addressof(ctypes.c_char.from_buffer(array.data)) if array.size else 0
