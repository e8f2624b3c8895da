"""Texts uploaded from the page, piece by piece, into one folder.

A client's file name never becomes a path: a text's folder is named by the hash of its content, the
file in it by letters and digits, with the suffix that the data readers go by. Several servers may
share the folder: each deletes its own texts, and of others those that nobody can still wait for.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textwright import atomic
from textwright.data.formats.files import inspect_file, local_file
from textwright.errors import BusyError, RequestError, TextwrightError
from textwright.runs import name_from

MAX_IN_PROGRESS = 4
"""Uploads that may be in progress at once."""
TIMEOUT = 120.0
"""Seconds without a piece after which an upload is dropped."""
MAX_UNUSED = 8
"""Complete uploads that wait for a training; beyond that the oldest are dropped."""
FOREIGN_SECONDS = 3600.0
"""Without a change, after which a text that another server left is deleted."""
_TEMPORARY = ".arriving"

_SUFFIX = re.compile(r"\.[a-z][a-z0-9]{0,9}")


@dataclass
class _PartialUpload:
    """An upload in progress."""

    name: str
    size: int
    file: Path
    received: int = 0
    last_piece_at: float = field(default_factory=time.monotonic)
    digest: Any = field(default_factory=hashlib.sha256)


@dataclass(frozen=True)
class Upload:
    """A complete text that the data readers accept."""

    name: str
    """The client's, any characters: for messages (`display_name`), never for paths."""
    file: Path
    is_file: bool = True
    """False for a built-in text, whose name stands for its file."""


class Uploads:
    """The folder of uploaded texts; thread-safe."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """
        Args:
            folder: made with the first upload.
            max_bytes: of one text.
        """
        self.folder, self.max_bytes = folder, max_bytes
        self._partial: dict[str, _PartialUpload] = {}
        self._complete: dict[str, Upload] = {}
        self._own: set[Path] = set()  # folders of texts that came through this server
        self._lock = threading.Lock()

    def begin(self, name: str, size: int, *, used: Collection[Path] = ()) -> str:
        """Begin an upload of `size` bytes; returns its number, which the pieces are sent with.

        Args:
            name: the client's.
            size: in bytes.
            used: texts that are still needed; others in the folder are deleted.

        Raises:
            RequestError: it is empty or too long.
            BusyError: too many uploads are in progress.
            TextwrightError: the folder can't be written, e.g. a full disk.
        """
        if size > self.max_bytes:
            limit = _format_size(self.max_bytes)
            raise RequestError(
                f"{display_name(name)} is {_format_size(size)} long; texts of up to {limit} "
                "are taken here: use a part of it, or textwright train on the command line"
            )
        if size < 1:
            raise RequestError(f"{display_name(name)} is empty; choose a file with text in it")
        with self._lock:
            self._evict(used)
            if len(self._partial) >= MAX_IN_PROGRESS:
                raise BusyError("several texts are being sent already; try again soon", 5.0)
            number = secrets.token_hex(8)
            file = self.folder / f"{number}{_TEMPORARY}"
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self.folder.chmod(0o700)  # texts may be private
                file.touch()
            except OSError as error:
                raise atomic.disk_error(error, self.folder) from error
            self._partial[number] = _PartialUpload(name, size, file)
        return number

    def add(self, number: str, at: int, piece: bytes) -> int:
        """Append a piece that begins at byte `at`; returns how many bytes have been received.

        Raises:
            RequestError: no such upload, or it expects another piece.
            CorpusError: the upload is complete and holds no usable text.
            TextwrightError: the folder can't be written, e.g. a full disk.
        """
        with self._lock:
            text = self._partial.get(number)
            if text is None:
                raise RequestError("no such text is expected here; send it from its beginning")
            if at != text.received or not piece or at + len(piece) > text.size:
                raise RequestError(
                    f"byte {text.received:,} of {text.size:,} is expected, not {len(piece):,} "
                    f"from byte {at:,}"
                )
            try:
                with text.file.open("r+b") as file:  # not made anew, where its beginning is gone
                    if file.seek(0, os.SEEK_END) != text.received:
                        raise FileNotFoundError
                    file.write(piece)
            except FileNotFoundError:
                self._drop(number)
                raise RequestError("the text's beginning is gone; choose the file again") from None
            except OSError as error:
                self._drop(number)
                raise atomic.disk_error(error, self.folder) from error
            text.digest.update(piece)
            text.received += len(piece)
            text.last_piece_at = time.monotonic()
            if text.received == text.size:
                try:
                    self._complete[number] = self._finish(text)
                    for oldest in list(self._complete)[:-MAX_UNUSED]:
                        del self._complete[oldest]
                finally:
                    self._drop(number)
            return text.received

    def take(self, number: str) -> Upload:
        """Return a complete upload, once: the caller is in charge of it from then on.

        Raises:
            RequestError: no such upload, or it isn't complete.
        """
        with self._lock:
            text = self._complete.pop(number, None)
        if text is None or not text.file.is_file():
            raise RequestError("no such text is here any more; choose the file again")
        return text

    def _finish(self, text: _PartialUpload) -> Upload:
        """Move a complete upload to the folder of its content, if the data readers accept it."""
        file = self.folder / text.digest.hexdigest()[:16] / file_name(text.name)
        existed = file.exists()
        try:
            file.parent.mkdir(exist_ok=True)
            os.replace(text.file, file)
        except OSError as error:
            raise atomic.disk_error(error, file) from error
        self._own.add(file.resolve().parent)
        try:
            inspect_file(local_file(file, display_name(text.name)))
        except TextwrightError:
            if not existed:
                shutil.rmtree(file.parent, ignore_errors=True)
            raise
        return Upload(text.name, file)

    def _drop(self, number: str) -> None:
        with suppress(OSError):
            self._partial.pop(number).file.unlink(missing_ok=True)

    def _evict(self, used: Collection[Path]) -> None:
        """Drop uploads that timed out, and delete the files that nothing refers to any more."""
        now = time.monotonic()
        expired = [n for n, text in self._partial.items() if now - text.last_piece_at > TIMEOUT]
        for number in expired:
            self._drop(number)
        keep = {file.resolve().parent for file in used}
        keep.update(text.file.resolve().parent for text in self._complete.values())
        keep.update(text.file.resolve() for text in self._partial.values())
        if self.folder.is_dir():
            for entry in self.folder.resolve().iterdir():
                if entry in keep or (entry not in self._own and not _is_forgotten(entry)):
                    continue
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry, ignore_errors=True)
                else:
                    entry.unlink(missing_ok=True)


def _is_forgotten(entry: Path) -> bool:
    """Whether what is no text of this server is nobody's any more."""
    try:
        return time.time() - entry.stat().st_mtime > FOREIGN_SECONDS
    except OSError:
        return False  # it is gone


def file_name(name: str) -> str:
    """The name of an upload's file: `../My Novel!.TXT` → `my-novel.txt`."""
    stem = re.split(r"[/\\]", name)[-1].lower()
    suffixes = ""
    for _ in range(2):  # book.txt.gz
        rest, dot, suffix = stem.rpartition(".")
        if not rest or not _SUFFIX.fullmatch(dot + suffix):
            break
        stem, suffixes = rest, f".{suffix}{suffixes}"
        if suffix != "gz":
            break
    return f"{name_from(stem or 'text').replace('.', '-')}{suffixes}"


def display_name(name: str) -> str:
    """A client's file name for a message: one line, at most 80 characters."""
    line = "".join(c if c.isprintable() else "·" for c in name).strip() or "the text"
    return line if len(line) <= 80 else f"{line[:79]}…"


def _format_size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{max(1, round(size / 1e3))} kB"
