"""Packed files of one text, unpacked as they are read, within bounds: gzip, bzip2, xz."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

from textwright.data.formats.encodings import inspect
from textwright.errors import CorpusError

MAX_UNPACKED = 1 << 30
"""A packed file may unpack to this many bytes, or to 100 times its own size if that is more."""

PACKED: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".lzma": lzma.open,
}
"""By the extensions that say it."""
_MARKS = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x5d\0\0")


def open_packed(path: Path) -> BinaryIO:
    """The text of a packed file; of a text whose name says that it were packed, as it is."""
    with path.open("rb") as file:
        head = file.read(1 << 16)
    if not head.startswith(_MARKS) and not inspect(lambda: io.BytesIO(head)).problem:
        return path.open("rb")  # unpacked on its way here, by a server or a browser
    return io.BufferedReader(_Bounded(path))


class _Bounded(io.RawIOBase):
    """Decompresses up to a bound: a small file must not fill the disk."""

    def __init__(self, path: Path) -> None:
        self._file = PACKED[path.suffix.lower()](path, "rb")
        self._label = str(path)
        self._left = max(MAX_UNPACKED, 100 * path.stat().st_size)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        count: int = self._file.readinto(cast(bytearray, buffer))
        self._left -= count
        if self._left < 0:
            raise CorpusError(f"{self._label} unpacks to more than text does; unpack it first")
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
