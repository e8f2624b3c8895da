"""Writing files that may be larger than the memory."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

_STRETCH = 1 << 26


class LargeFile:
    """A file written from front to back that does not fill the system's page cache.

    Every 64 MB the system writes what it holds and lets go of it. So a text of gigabytes pushes
    nothing else out of the cache, does not count against a container's memory, and is written
    sooner, since the same pages are used again and fresh ones cost more than the copying. The
    last stretch stays cached, so small files are read back from memory. Where the system has no
    such call (macOS, Windows) the file is written like any other.
    """

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb", buffering=0)
        self.size = 0
        """Bytes written so far."""
        self._settled = 0

    def write(self, data: bytes | memoryview) -> None:
        """Append `data`, all of it."""
        left = memoryview(data).cast("B")
        while left:
            count = self._file.write(left)
            left = left[count:]
            self.size += count
        if self.size - self._settled >= _STRETCH:
            self._settle()

    def _settle(self) -> None:
        if hasattr(os, "posix_fadvise"):
            descriptor = self._file.fileno()
            os.fdatasync(descriptor)
            os.posix_fadvise(descriptor, 0, self.size, os.POSIX_FADV_DONTNEED)
        self._settled = self.size

    def __enter__(self) -> LargeFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
