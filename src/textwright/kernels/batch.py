"""The arguments of a kernel: pieces of several texts, as `Batch` of products.h."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textwright.arrays import Floats, Tokens

NO_LOGITS, LAST_LOGITS, ALL_LOGITS = range(3)
"""Which tokens' logits a kernel computes for each text."""


class Batch(ctypes.Structure):
    """`Batch` of products.h."""

    _fields_ = [
        ("count", ctypes.c_int32),
        ("lengths", ctypes.c_void_p),
        ("tokens", ctypes.c_void_p),
        ("states", ctypes.c_void_p),
        ("positions", ctypes.c_void_p),
    ]


Kernel = Callable[[Any, Any, int, int], int]
"""(model, batch, one of `NO_LOGITS` …, address of the logits) → 0, or a status for `check`."""


def kernel(library: ctypes.CDLL, name: str) -> Kernel:
    """The exported function `name` of a library."""
    function = getattr(library, name)
    function.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
    function.restype = ctypes.c_int
    return function  # type: ignore[no-any-return]


class SingleBatch(ctypes.Structure):
    """A `Batch` of one text and what it points to; a state has one, so calls make no arrays."""

    _fields_ = [
        ("batch", Batch),
        ("length", ctypes.c_int32),
        ("position", ctypes.c_int32),
        ("tokens", ctypes.c_void_p),
        ("state", ctypes.c_void_p),
        ("token", ctypes.c_int64),
    ]

    def __init__(self, state: int) -> None:
        """
        Args:
            state: the address of the text's state in C.
        """
        super().__init__(state=state)
        self.address = ctypes.addressof(self)
        cls = type(self)
        self.token_address = self.address + cls.token.offset
        self.batch = Batch(
            1,
            self.address + cls.length.offset,
            self.address + cls.tokens.offset,
            self.address + cls.state.offset,
            self.address + cls.position.offset,
        )


def read_one(
    call: Kernel,
    model: int,
    tokens: Tokens,
    batch: SingleBatch,
    position: int,
    logits_for: int,
    vocab_size: int,
) -> Floats:
    """As `read_all` for one text, faster; `logits_for` is one of `NO_LOGITS` …"""
    count = len(tokens)
    if count == 1:
        batch.token, batch.tokens = int(tokens[0]), batch.token_address
    else:
        ids = np.array(tokens, np.int64)
        batch.tokens = address(ids)
    batch.length, batch.position = count, position
    logits = np.empty(((0, 1, count)[logits_for], vocab_size), np.float32)
    check(call(model, batch.address, logits_for, address(logits)), vocab_size)
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
        positions: of each piece's first token in its window; unused by recurrent models.

    Returns:
        Logits after the last token of each, (N, vocab_size).

    Raises:
        IndexError: an id is not in the vocabulary, or a piece is empty.
        ValueError: there are more pieces than states, or fewer.
        MemoryError: there is no memory for intermediate values.
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
    lengths, pointers = address(numbers), address(addresses)
    after = pointers + addresses.itemsize * count  # 4 bytes each where Python has 32 bits
    batch = Batch(count, lengths, pointers, after, lengths + numbers.itemsize * count)
    logits = np.empty((count, vocab_size), np.float32)
    check(call(model, ctypes.addressof(batch), LAST_LOGITS, address(logits)), vocab_size)
    return logits


def check(status: int, vocab_size: int) -> None:
    """Raises the error that a kernel's return value stands for; 0 is none."""
    if status == 1:
        raise token_error(vocab_size)
    if status:
        raise MemoryError("no memory for what the model computes")


def token_error(vocab_size: int) -> IndexError:
    """What every runtime raises for ids outside 0 … `vocab_size` − 1, and for no ids at all."""
    return IndexError(f"a token is not one of the vocabulary's {vocab_size:,}, or there is none")


def address(array: NDArray[Any]) -> int:
    """The address of the values of an array, which must be writable and contiguous.

    In a quarter of the time of `array.ctypes.data`.
    """
    return ctypes.addressof(ctypes.c_char.from_buffer(array.data)) if array.size else 0
