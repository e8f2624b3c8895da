"""The structures of `sampling.c`: a text's sampler, and texts of many tokens a call."""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from textwright.arrays import Floats
from textwright.kernels.structures import Kernel, address, check

INTEGER, DOUBLE, POINTER = ctypes.c_int32, ctypes.c_double, ctypes.c_void_p


class CSampler(ctypes.Structure):
    """`Sampler` of sampling.c."""

    _fields_ = [
        ("vocab_size", INTEGER),
        ("top_k", INTEGER),
        ("temperature", DOUBLE),
        ("top_p", DOUBLE),
        ("min_p", DOUBLE),
        ("repetition_penalty", DOUBLE),
        ("presence_penalty", DOUBLE),
        ("frequency_penalty", DOUBLE),
        ("suppressed_count", INTEGER),
        ("biased_count", INTEGER),
        ("ends_count", INTEGER),
        ("read_count", INTEGER),
        ("drawn_count", INTEGER),
        ("words_left", INTEGER),
        ("suppressed", POINTER),
        ("biased", POINTER),
        ("bias", POINTER),
        ("ends", POINTER),
        ("read", POINTER),
        ("was_read", POINTER),
        ("drawn", POINTER),
        ("times", POINTER),
        ("key", ctypes.c_uint64),
        ("counter", ctypes.c_uint64),
        ("words", ctypes.c_uint64 * 4),
    ]


class Text(ctypes.Structure):
    """`Text` of sampling.c."""

    _fields_ = [
        ("state", POINTER),
        ("sampler", POINTER),
        ("token", ctypes.c_int64),
        ("drawn", POINTER),
        ("logits", POINTER),
        ("position", INTEGER),
        ("limit", INTEGER),
        ("count", INTEGER),
    ]


class Drawing(NamedTuple):
    """The functions of `sampling.c` in a build of the kernels."""

    draw: Any
    log_softmax: Any
    write: Any

    @classmethod
    def of(cls, library: ctypes.CDLL) -> Drawing:
        draw, log_softmax, write = (
            library.sampler_draw,
            library.log_softmax,
            library.write_texts,
        )
        draw.argtypes, draw.restype = (POINTER, POINTER), ctypes.c_int64
        log_softmax.argtypes = (POINTER, INTEGER, POINTER, INTEGER, POINTER)
        log_softmax.restype = ctypes.c_int
        write.argtypes, write.restype = (POINTER, POINTER, POINTER, INTEGER, INTEGER), ctypes.c_int
        return cls(draw, log_softmax, write)


class SamplerState:
    """A text's `Sampler` in C, and the arrays that it points to."""

    def __init__(
        self,
        library: ctypes.CDLL,
        vocab_size: int,
        *,
        suppressed: Sequence[int] = (),
        biased: Mapping[int, float] = MappingProxyType({}),
        ends: Sequence[int] = (),
        read: Sequence[int] | None = None,
        counts: bool = False,
        **settings: float,
    ) -> None:
        """
        Args:
            library: a build of the kernels.
            vocab_size: V; all ids must be below it.
            suppressed: ids that are never drawn.
            biased: what is added to the logits of ids.
            ends: ids after which nothing is written.
            read: ids of the text for the repetition penalty; None without one.
            counts: whether drawn ids are counted, for the other penalties.
            settings: the other fields of `CSampler`.

        Raises:
            IndexError: an id is out of range.
        """
        self._draw = Drawing.of(library).draw
        self._vocab_size = vocab_size
        self._arrays: list[NDArray[Any]] = []
        self._struct = struct = CSampler(vocab_size=vocab_size, **settings)
        self.address = ctypes.addressof(struct)
        struct.suppressed, struct.suppressed_count = self._ids(suppressed)
        struct.biased, struct.biased_count = self._ids([*biased])
        struct.bias = self._kept(np.array([*biased.values()], np.float32))
        struct.ends, struct.ends_count = self._ids(ends)
        if read is not None:
            self._read, marks = np.empty(vocab_size, np.int32), np.zeros(vocab_size, np.uint8)
            known = np.array(read, np.int64)
            self._check(known)
            marks[known] = 1
            struct.read_count = int(marks.sum())
            self._read[: struct.read_count] = marks.nonzero()[0]
            struct.read, struct.was_read = self._kept(self._read), self._kept(marks)
        if counts:
            self._times = np.zeros(vocab_size, np.int32)
            struct.drawn = self._kept(np.empty(vocab_size, np.int32))
            struct.times = self._kept(self._times)

    @property
    def read(self) -> NDArray[np.int64]:
        """The ids of the text, ascending; with `read` alone."""
        return np.sort(self._read[: self._struct.read_count]).astype(np.int64)

    @property
    def counts(self) -> Counter[int]:
        """How often each id was drawn; with `counts` alone."""
        drawn = self._times.nonzero()[0]
        return Counter(dict(zip(drawn.tolist(), self._times[drawn].tolist(), strict=True)))

    def draw(self, logits: Floats) -> int:
        """The next token; −1 where `logits`, (V,), are NaN or infinite, or all is suppressed."""
        token: int = self._draw(self.address, address(_readable(logits, self._vocab_size)))
        if token < -1:
            raise MemoryError("no memory to draw a token")
        return token

    def _ids(self, ids: Sequence[int]) -> tuple[int, int]:
        """The address of an array of ids, and their number."""
        array = np.array(ids, np.int64)
        self._check(array)
        return self._kept(array.astype(np.int32)), len(array)

    def _check(self, ids: NDArray[np.int64]) -> None:
        if len(ids) and not 0 <= ids.min() <= ids.max() < self._vocab_size:
            raise IndexError(f"an id is not one of the vocabulary's {self._vocab_size:,}")

    def _kept(self, array: NDArray[Any]) -> int:
        self._arrays.append(array)
        return address(array)


def log_softmax(
    library: ctypes.CDLL, logits: Floats, wanted: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Log probabilities, (V,), of `logits`, (V,), and the ids of the `wanted` likeliest, in order.

    All are NaN, and there are no ids, where logits are NaN or infinite.
    """
    logs, ids = np.empty(len(logits)), np.empty(max(0, min(wanted, len(logits))), np.int32)
    values = _readable(logits, len(logits))
    function = Drawing.of(library).log_softmax
    status = function(address(values), len(logits), address(logs), len(ids), address(ids))
    if status < 0:
        raise MemoryError("no memory for log probabilities")
    return logs, ids[: status * len(ids)]


def _readable(logits: Floats, vocab_size: int) -> Floats:
    """`logits` as C reads them, checked for their size."""
    if logits.shape != (vocab_size,):
        raise ValueError(f"{logits.shape} logits for a vocabulary of {vocab_size:,}")
    if logits.dtype == np.float32 and logits.flags.carray:
        return logits
    return np.array(logits, np.float32)


class Pending(NamedTuple):
    """A text whose next token was drawn but not read, for `write_all`."""

    state: Any
    """The runtime's state of what was read."""
    sampler: int
    """The address of its sampler."""
    token: int
    limit: int
    """Tokens to draw at most, 1 or more."""
    logits: Floats | None = None
    """(limit, V), gets the logits that each token is drawn from."""


def write_all(
    library: ctypes.CDLL,
    call: Kernel,
    model: int,
    texts: Sequence[Pending],
    positions: Sequence[int],
    vocab_size: int,
) -> list[list[int]]:
    """Read and draw token after token of several texts, in one call.

    Args:
        library: the build of the kernels that `call` is of.
        call: a kernel.
        model: the address of its model.
        texts: their `state` has an `address`.
        positions: of each `token` in its window.
        vocab_size: V.

    Returns:
        The tokens drawn of each: up to its limit, an end of text, or a −1, which stands for logits
        that are NaN or infinite.

    Raises:
        IndexError, MemoryError: as `read_all`.
    """
    longest = max(text.limit for text in texts)
    drawn = np.empty((len(texts), longest), np.int64)
    first, stride = address(drawn), drawn.strides[0]
    array = (Text * len(texts))(
        *(
            Text(
                text.state.address,
                text.sampler,
                text.token,
                first + stride * number,
                None if text.logits is None else address(text.logits),
                positions[number],
                text.limit,
            )
            for number, text in enumerate(texts)
        )
    )
    function = ctypes.cast(call, POINTER)  # type: ignore[arg-type]
    check(Drawing.of(library).write(function, model, array, len(texts), vocab_size), vocab_size)
    return [row[: text.count].tolist() for row, text in zip(drawn, array, strict=True)]
