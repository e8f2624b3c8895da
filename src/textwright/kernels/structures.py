"""The structures of `products.h`: weights in memory, and a batch of pieces of several texts."""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from textwright.arrays import Floats, Tokens
from textwright.errors import RequestError

Precision = Literal["auto", "float32", "float16", "int8"]
"""Of matrices in memory; the arithmetic of all but `int8` is float32.

`auto`: float16 for each matrix for which that is exact, as it is for files in half precision, else
float32. `int8`: integers with a scale for each output.
"""
TILE = 64
"""Outputs of a matrix that lie together."""
LANES = 16
"""Floats of the widest vector register; arrays that are read in vectors have a multiple of it."""

ALIGNMENT = 64
"""Bytes of a cache line; a vector across two lines takes twice as long to load."""
CHUNK = 1 << 23
"""Bytes mapped at once; pages that are never written take no memory."""

INTEGER, FLOAT, POINTER = ctypes.c_int32, ctypes.c_float, ctypes.c_void_p


def check_precision(precision: str) -> Precision:
    """`precision`. Raises `RequestError` where there is no such one."""
    for known in get_args(Precision):
        if precision == known:
            return known  # type: ignore[no-any-return]
    *most, last = get_args(Precision)
    raise RequestError(f"precision must be {', '.join(most)} or {last}, not {precision!r}")


class Matrix(ctypes.Structure):
    """`Matrix` of products.h."""

    _fields_ = [
        ("inputs", INTEGER),
        ("outputs", INTEGER),
        ("weights", POINTER),
        ("halves", POINTER),
        ("quantised", POINTER),
        ("scales", POINTER),
        ("sums", POINTER),
        ("bias", POINTER),
    ]


class Heads(ctypes.Structure):
    """`Heads` of training.c."""

    _fields_ = [
        *((name, INTEGER) for name in ("samples", "time", "heads", "size")),
        ("epsilon", FLOAT),
        *((name, POINTER) for name in ("query_weight", "key_weight", "cos", "sin")),
    ]


class Memory:
    """Allocates what C reads, and references it so that Python doesn't free it."""

    def __init__(self, precision: Precision) -> None:
        self.precision = precision
        self._references: list[Any] = []
        self._free = np.empty(0, np.uint8)
        self.used = 0
        """Bytes allocated."""

    def keep(self, item: Any) -> Any:
        """`item`, which lives as long as this object."""
        self._references.append(item)
        return item

    def floats(self, array: Floats) -> int:
        """Copy an array as float32; returns its address."""
        return self.values(np.asarray(array, np.float32))

    def values(self, array: NDArray[Any]) -> int:
        """Copy an array into large pages, which need fewer TLB entries; returns its address."""
        size = round_up(array.nbytes, ALIGNMENT)
        self.used += size
        if size > len(self._free):
            pages = mmap.mmap(-1, max(size, CHUNK))
            _advise_huge_pages(pages)
            self._free = self.keep(np.frombuffer(pages, np.uint8))
        target, self._free = self._free[:size], self._free[size:]
        target[: array.nbytes].view(array.dtype).reshape(array.shape)[...] = array
        return int(target.ctypes.data)

    def matrix(self, weight: Floats, bias: Floats | None = None) -> Matrix:
        """Copy a matrix (inputs, outputs) and its bias (outputs,), padded with zeros.

        Raises:
            RequestError: the precision is float16, and a weight is too large for it.
        """
        inputs, outputs = weight.shape
        rows = round_up(inputs, LANES)
        columns = round_up(outputs, TILE)
        padded = np.zeros((rows, columns), np.float32)
        padded[:inputs, :outputs] = weight
        matrix = Matrix(inputs=rows, outputs=columns)
        if bias is not None:
            padded_bias = np.zeros(columns, np.float32)
            padded_bias[:outputs] = bias
            matrix.bias = self.floats(padded_bias)
        if self.precision != "int8":
            tiles = padded.reshape(rows, columns // TILE, TILE).transpose(1, 0, 2)
            halves = self._halves(tiles)
            if halves is None:
                matrix.weights = self.floats(tiles)
            else:
                matrix.halves = self.values(halves)
            return matrix
        quantised, scales = quantise(padded)
        blocks = quantised.reshape(rows // 4, 4, columns // TILE, TILE).transpose(2, 0, 3, 1)
        matrix.quantised = self.values(blocks)
        matrix.scales = self.floats(scales)
        matrix.sums = self.values(quantised.sum(axis=0, dtype=np.int32))
        return matrix

    def _halves(self, weights: Floats) -> NDArray[np.float16] | None:
        """The weights in float16; None where they stay float32."""
        if self.precision == "float32":
            return None
        with np.errstate(over="ignore"):
            halves = weights.astype(np.float16)
        if self.precision == "auto":
            return halves if np.array_equal(halves, weights) else None
        if not np.isfinite(halves).all():
            raise RequestError(
                "precision float16 holds weights up to 65,504, and this model has larger; "
                "take another"
            )
        return halves


def quantise(weight: Floats) -> tuple[NDArray[np.int8], Floats]:
    """A matrix (inputs, outputs) as integers from −127 to 127, and a scale for each output."""
    scales = np.abs(weight).max(axis=0) / np.float32(127)
    divisors = np.where(scales > 0, scales, np.float32(1))
    return np.rint(weight / divisors).astype(np.int8), scales


def _advise_huge_pages(memory: mmap.mmap) -> None:
    """On Linux, where kernels that are built without huge pages refuse."""
    if sys.platform == "linux":
        with suppress(OSError):
            memory.madvise(mmap.MADV_HUGEPAGE)


def round_up(number: int, multiple: int) -> int:
    """`number` rounded up to a multiple of `multiple`."""
    return -(-number // multiple) * multiple


def pad(array: Floats, width: int) -> Floats:
    """`array` with its last axis padded with zeros to `width`."""
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, width - array.shape[-1])])


def aligned(shape: tuple[int, ...]) -> Floats:
    """Zeros whose first value is at a multiple of `ALIGNMENT`."""
    count = int(np.prod(shape))
    buffer = np.zeros(count + ALIGNMENT // 4, np.float32)
    offset = -buffer.ctypes.data % ALIGNMENT // 4
    return buffer[offset : offset + count].reshape(shape)


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
    shape = ((0, 1, len(tokens))[logits_for], vocab_size)
    logits = np.empty(shape, np.float32)
    batch.position = position
    call_one(call, model, tokens, batch, logits_for, logits)
    return logits


def call_one(
    call: Kernel, model: int, tokens: Tokens, batch: SingleBatch, logits_for: int, logits: Floats
) -> None:
    """As `read_one`, with a place for logits, which a kernel may also read: (1, V) or (T, V)."""
    count = len(tokens)
    if count == 1:
        batch.token, batch.tokens = int(tokens[0]), batch.token_address
    else:
        ids = np.array(tokens, np.int64)
        batch.tokens = address(ids)
    batch.length = count
    check(call(model, batch.address, logits_for, address(logits)), logits.shape[1])


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
    logits = np.empty((len(pieces), vocab_size), np.float32)
    call_all(call, model, pieces, states, positions, logits)
    return logits


def call_all(
    call: Kernel,
    model: int,
    pieces: Sequence[Tokens],
    states: Sequence[int],
    positions: Sequence[int],
    logits: Floats,
) -> None:
    """As `read_all`, with a place for the logits, which a kernel may also read: (N, V)."""
    count = len(pieces)
    if len(states) != count:
        raise ValueError(f"{count} pieces and {len(states)} states")
    if not count:
        return
    ids = [np.array(piece, np.int64) for piece in pieces]
    # [lengths | positions] and [addresses of tokens | of states], one array each
    numbers = np.array([*map(len, ids), *positions], np.int32)
    addresses = np.array([*map(address, ids), *states], np.uintp)
    lengths, pointers = address(numbers), address(addresses)
    after = pointers + addresses.itemsize * count  # 4 bytes each where Python has 32 bits
    batch = Batch(count, lengths, pointers, after, lengths + numbers.itemsize * count)
    check(call(model, ctypes.addressof(batch), LAST_LOGITS, address(logits)), logits.shape[1])


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
