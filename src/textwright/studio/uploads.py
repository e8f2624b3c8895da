"""Texts that people drop onto the page: they come in pieces, and stay in one folder.

A name from outside never becomes a path: the folder of a text is called by its content, the file in
it by letters and digits, with an ending that tells the reader of corpora what it is.
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
from textwright.data.formats.files import from_path, look_at
from textwright.errors import BusyError, RequestError, TextwrightError
from textwright.runs import name_from

MOST_AT_ONCE = 4
"""Texts that may be on their way."""
PATIENCE = 120.0
"""Seconds without a piece after which a text isn't expected any more."""
MOST_UNUSED = 8
"""Texts that are here and nobody trains on; of more, the oldest are forgotten."""
_TEMPORARY = ".arriving"

_ENDING = re.compile(r"\.[a-z][a-z0-9]{0,9}")


@dataclass
class _Arriving:
    """A text on its way."""

    name: str
    size: int
    file: Path
    received: int = 0
    heard: float = field(default_factory=time.monotonic)
    digest: Any = field(default_factory=hashlib.sha256)


@dataclass(frozen=True)
class Uploaded:
    """A text that is here, whole, and can be read."""

    name: str
    """As the person calls it: any characters, so it is shown and never used."""
    file: Path


class Uploads:
    """The folder of texts that came over HTTP; may be used from any thread."""

    def __init__(self, folder: Path, most: int) -> None:
        """
        Args:
            folder: where they lie; made when the first one comes.
            most: bytes of a text.
        """
        self.folder, self.most = folder, most
        self._arriving: dict[str, _Arriving] = {}
        self._here: dict[str, Uploaded] = {}
        self._lock = threading.Lock()

    def begin(self, name: str, size: int, *, used: Collection[Path] = ()) -> str:
        """Expect a text of `size` bytes; gives what its pieces are sent under.

        Args:
            name: as the person calls it.
            size: in bytes.
            used: texts that are needed still; all others of the folder are deleted.

        Raises:
            RequestError: it is empty or too long.
            BusyError: several are on their way.
            TextwrightError: the disk doesn't take it.
        """
        if size > self.most:
            raise RequestError(
                f"{shown(name)} is {_measured(size)} long; texts of up to {_measured(self.most)} "
                "are taken here: use a part of it, or textwright train on the command line"
            )
        if size < 1:
            raise RequestError(f"{shown(name)} is empty; choose a file with text in it")
        with self._lock:
            self._tidy(used)
            if len(self._arriving) >= MOST_AT_ONCE:
                raise BusyError("several texts are being sent already; try again soon", 5.0)
            number = secrets.token_hex(8)
            file = self.folder / f"{number}{_TEMPORARY}"
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self.folder.chmod(0o700)  # texts may be private
                file.touch()
            except OSError as error:
                raise atomic.disk_error(error, self.folder) from error
            self._arriving[number] = _Arriving(name, size, file)
        return number

    def add(self, number: str, at: int, piece: bytes) -> int:
        """Take a piece that begins at byte `at`; gives how many bytes are here.

        Raises:
            RequestError: no such text is expected, or not this piece of it.
            CorpusError: all of it is here, and it holds no usable text.
            TextwrightError: the disk doesn't take it.
        """
        with self._lock:
            text = self._arriving.get(number)
            if text is None:
                raise RequestError("no such text is expected here; send it from its beginning")
            if at != text.received or not piece or at + len(piece) > text.size:
                raise RequestError(
                    f"byte {text.received:,} of {text.size:,} is expected, not {len(piece):,} "
                    f"from byte {at:,}"
                )
            try:
                with text.file.open("ab") as file:
                    file.write(piece)
            except OSError as error:
                self._drop(number)
                raise atomic.disk_error(error, self.folder) from error
            text.digest.update(piece)
            text.received += len(piece)
            text.heard = time.monotonic()
            if text.received == text.size:
                try:
                    self._here[number] = self._settle(text)
                    for oldest in list(self._here)[:-MOST_UNUSED]:
                        del self._here[oldest]
                finally:
                    self._drop(number)
            return text.received

    def take(self, number: str) -> Uploaded:
        """The text, once it is here; it can be taken once.

        Raises:
            RequestError: it isn't here.
        """
        with self._lock:
            text = self._here.pop(number, None)
        if text is None:
            raise RequestError("no such text is here; send it again")
        return text

    def _settle(self, text: _Arriving) -> Uploaded:
        """Put a whole text where it stays, if the reader of corpora takes it."""
        place = self.folder / text.digest.hexdigest()[:16] / file_name(text.name)
        there = place.exists()
        try:
            place.parent.mkdir(exist_ok=True)
            os.replace(text.file, place)
        except OSError as error:
            raise atomic.disk_error(error, place) from error
        try:
            look_at(from_path(place, shown(text.name)))
        except TextwrightError:
            if not there:
                shutil.rmtree(place.parent, ignore_errors=True)
            raise
        return Uploaded(text.name, place)

    def _drop(self, number: str) -> None:
        with suppress(OSError):
            self._arriving.pop(number).file.unlink(missing_ok=True)

    def _tidy(self, used: Collection[Path]) -> None:
        """Forget who is silent, and delete what nobody needs: nobody would ever see it again."""
        now = time.monotonic()
        silent = [n for n, text in self._arriving.items() if now - text.heard > PATIENCE]
        for number in silent:
            self._drop(number)
        keep = {file.resolve().parent for file in used}
        keep.update(text.file.resolve().parent for text in self._here.values())
        keep.update(text.file.resolve() for text in self._arriving.values())
        if self.folder.is_dir():
            for entry in self.folder.resolve().iterdir():
                if entry in keep:
                    continue
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry, ignore_errors=True)
                else:
                    entry.unlink(missing_ok=True)


def file_name(name: str) -> str:
    """What a text is called on the disk: `../My Novel!.TXT` → `my-novel.txt`."""
    last = re.split(r"[/\\]", name)[-1].lower()
    endings = ""
    for _ in range(2):  # book.txt.gz
        stem, dot, ending = last.rpartition(".")
        if not stem or not _ENDING.fullmatch(dot + ending):
            break
        last, endings = stem, f".{ending}{endings}"
        if ending != "gz":
            break
    return f"{name_from(last or 'text').replace('.', '-')}{endings}"


def shown(name: str) -> str:
    """A name from outside as a message shows it: one line, not too long."""
    line = "".join(c if c.isprintable() else "·" for c in name).strip() or "the text"
    return line if len(line) <= 80 else f"{line[:79]}…"


def _measured(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{max(1, round(size / 1e3))} kB"
