"""The cache of downloaded and prepared text, and the writing of its large files.

    $TEXTWRIGHT_CACHE, or the system's cache folder for textwright
      downloads/<key>/   a URL as it was served, and its record
      texts/<key>.txt    a corpus as one normalised UTF-8 text, and <key>.json: counts, warnings
      tokens/<key>.bin   the same text as token ids, and <key>.json

A key is a hash of everything that the content depends on, so no file is ever stale. A local file is
copied only where normalization changes it. Each file appears whole or not at all and its `.json`
is written last, so several processes may work at once and anything may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import platformdirs

from textwright import atomic
from textwright.errors import CorpusError, TextwrightError

CACHE_VARIABLE = "TEXTWRIGHT_CACHE"


def cache_folder() -> Path:
    """`$TEXTWRIGHT_CACHE`, else the system's cache folder for textwright."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("textwright", False))


def cache_key(*parts: Any) -> str:
    """The key of what is computed from `parts` (any JSON values): 32 hex digits."""
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def read_record(path: Path) -> dict[str, Any] | None:
    """The JSON object at `path`; None where it is missing or damaged, and must be made again."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a JSON object, whole or not at all."""
    atomic.write_text(path, json.dumps(record, ensure_ascii=False))


def has_size(path: Path, size: Any) -> bool:
    """Whether `path` is a file of exactly `size` bytes."""
    try:
        return bool(path.stat().st_size == size)
    except OSError:
        return False


def cached_record(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The record of the file at `path`, from the `.json` beside it; unless both are whole,
    `make` writes the file and returns its record, with the size as `bytes`.

    Raises:
        TextwrightError: what `make` raises.
    """
    record_path = path.with_suffix(".json")
    record = read_record(record_path)
    if record is None or not has_size(path, record.get("bytes")):
        try:
            record = make()
            write_record(record_path, record)
        except CorpusError:
            raise
        except TextwrightError:
            # Where files in use can't be replaced (Windows), another process may have been faster.
            record = read_record(record_path)
            if record is None or not has_size(path, record.get("bytes")):
                raise
    return record


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
