"""Weights in the order that `products.h` reads them in."""

from __future__ import annotations

import ctypes
import mmap
import sys
from contextlib import suppress
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from textwright.arrays import Floats
from textwright.errors import RequestError

Precision = Literal["auto", "float32", "float16", "int8"]
"""What the weights of products are held in; the arithmetic of all but `int8` is that of float32.

`auto`: in 16 bits each matrix for which that is exact, as it is for files in half precision, in 32
the others. `int8`: as whole numbers of a scale for each output.
"""
TILE = 64
LANES = 16
"""The widest vector; what the kernels read in vectors has a multiple of it."""

ALIGNMENT = 64
"""Bytes of a cache line: a vector that lies across two takes twice as long to load."""
CHUNK = 1 << 23
"""Bytes that are asked for at once; what isn't used takes no memory."""

INTEGER, FLOAT, POINTER = ctypes.c_int32, ctypes.c_float, ctypes.c_void_p


def check_precision(precision: str) -> Precision:
    """`precision`, if it is one. Raises `RequestError` where it isn't."""
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


class Memory:
    """Makes what C reads, and keeps the arrays that it points into."""

    def __init__(self, precision: Precision) -> None:
        self.precision = precision
        self._kept: list[Any] = []
        self._room = np.empty(0, np.uint8)
        self.used = 0
        """Bytes of what it made."""

    def keep(self, thing: Any) -> Any:
        self._kept.append(thing)
        return thing

    def floats(self, array: Floats) -> int:
        """The address of an array's values, in order."""
        return self.values(np.asarray(array, np.float32))

    def values(self, array: NDArray[Any]) -> int:
        """The same of any kind: a copy in large pages, which are found sooner."""
        size = up_to(array.nbytes, ALIGNMENT)
        self.used += size
        if size > len(self._room):
            pages = mmap.mmap(-1, max(size, CHUNK))
            _ask_for_large_pages(pages)
            self._room = self.keep(np.frombuffer(pages, np.uint8))
        place, self._room = self._room[:size], self._room[size:]
        place[: array.nbytes].view(array.dtype).reshape(array.shape)[...] = array
        return int(place.ctypes.data)

    def matrix(self, weight: Floats, bias: Floats | None = None) -> Matrix:
        """A matrix (inputs, outputs) and its bias (outputs,).

        Raises:
            RequestError: a weight is too large for 16 bits, which were asked for.
        """
        inputs, outputs = weight.shape
        rows = up_to(inputs, LANES)
        columns = up_to(outputs, TILE)
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
        fours = quantised.reshape(rows // 4, 4, columns // TILE, TILE).transpose(2, 0, 3, 1)
        matrix.quantised = self.values(fours)
        matrix.scales = self.floats(scales)
        matrix.sums = self.values(quantised.sum(axis=0, dtype=np.int32))
        return matrix

    def _halves(self, weights: Floats) -> NDArray[np.float16] | None:
        """The weights in 16 bits, if they are to be held so."""
        if self.precision == "float32":
            return None
        with np.errstate(over="ignore"):
            halves = weights.astype(np.float16)
        if self.precision == "auto":
            return halves if np.array_equal(halves, weights) else None
        if not np.isfinite(halves).all():
            raise RequestError(
                "precision float16 holds weights up to 65,504, and this model has larger"
            )
        return halves


def quantise(weight: Floats) -> tuple[NDArray[np.int8], Floats]:
    """A matrix (inputs, outputs) as whole numbers, −127 to 127, and each output's scale."""
    scales = np.abs(weight).max(axis=0) / np.float32(127)
    divisors = np.where(scales > 0, scales, np.float32(1))
    return np.rint(weight / divisors).astype(np.int8), scales


def _ask_for_large_pages(memory: mmap.mmap) -> None:
    """Where the system has them: Linux may be built without, and refuses then."""
    if sys.platform == "linux":
        with suppress(OSError):
            memory.madvise(mmap.MADV_HUGEPAGE)


def up_to(number: int, multiple: int) -> int:
    """The next multiple of `multiple`."""
    return -(-number // multiple) * multiple


def pad(array: Floats, width: int) -> Floats:
    """`array` with zeros after its last axis, up to `width`."""
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, width - array.shape[-1])])


def aligned(shape: tuple[int, ...]) -> Floats:
    """Zeros that begin with a cache line."""
    count = int(np.prod(shape))
    room = np.zeros(count + ALIGNMENT // 4, np.float32)
    skipped = -room.ctypes.data % ALIGNMENT // 4
    return room[skipped : skipped + count].reshape(shape)
