"""Weights in the memory layout that `products.h` reads."""

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
                "precision float16 holds weights up to 65,504, and this model has larger"
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
