"""Writing files that may be larger than the memory."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

_FLUSH_INTERVAL = 1 << 26  # bytes


class LargeFile:
    """A file written from front to back that does not fill the system's page cache.

    Every 64 MB its pages are written to the disk and dropped. So a text of gigabytes evicts nothing
    else from the cache, does not count against a container's memory, and is written sooner, since
    reusing pages is cheaper than faulting in fresh ones. The last 64 MB stay cached, so small files
    are read back from memory. Where the system has no such call (macOS, Windows) the file is
    written like any other.
    """

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb", buffering=0)
        self.size = 0
        """Bytes written so far."""
        self._dropped = 0

    def write(self, data: bytes | memoryview) -> None:
        """Append `data`, all of it."""
        remaining = memoryview(data).cast("B")
        while remaining:
            count = self._file.write(remaining)
            remaining = remaining[count:]
            self.size += count
        if self.size - self._dropped >= _FLUSH_INTERVAL:
            self._drop_pages()

    def truncate(self, size: int) -> None:
        """Take back what was written after the first `size` bytes."""
        self._file.truncate(size)
        self._file.seek(size)
        self.size = size
        self._dropped = min(self._dropped, size)

    def _drop_pages(self) -> None:
        if sys.platform not in ("win32", "darwin"):
            descriptor = self._file.fileno()
            os.fdatasync(descriptor)
            os.posix_fadvise(descriptor, 0, self.size, os.POSIX_FADV_DONTNEED)
        self._dropped = self.size

    def __enter__(self) -> LargeFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
