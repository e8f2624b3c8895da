"""Files of text → one normalized UTF-8 file in the cache, made once for the same content.

`files.inspect_file` hashes and detects encodings first; with the hashes known, a text that was
prepared before is found and nothing else is read. A single file of ASCII with LF line ends is used
in place, not copied. Otherwise pieces of half a megabyte are streamed: decoded, LF, NFC, without
Gutenberg's boilerplate, encoded.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textwright import atomic
from textwright.data.formats.files import InspectedFile, read_text, strips_gutenberg
from textwright.data.formats.gutenberg import strip_boilerplate
from textwright.data.formats.normalization import normalize
from textwright.data.large_file import LargeFile
from textwright.data.sources.cache import cache_key, cached_record
from textwright.data.text import Origin, TextPart
from textwright.errors import CorpusError, TextwrightError

FORMAT = 3
"""Part of every cache key; raised when the same files would be prepared differently."""

_MARK_INTERVAL = 1 << 20  # bytes
_MIN_PIECE = 1 << 18  # characters


@dataclass(frozen=True)
class PreparedText:
    """A prepared text file, whole."""

    path: Path
    sha256: str
    bytes: int
    characters: int
    marks: tuple[tuple[int, int], ...]
    """Seek index: ascending offsets in the file as (characters, bytes), the first (0, 0)."""
    skipped: frozenset[int]
    """Indices of the given files that turned out to be unusable."""
    warnings: tuple[str, ...]
    origins: tuple[Origin, ...]
    """Where each file begins in it, in order."""
    fingerprint: tuple[int, int] | None = None
    """If it is the user's own file: its size and mtime."""

    def part(self, first: int, last: int) -> TextPart:
        """Characters `first` to `last`."""
        start, end = self._offset(first), self._offset(last)
        return TextPart(self.path, start, end, last - first, self.sha256, self.fingerprint)

    def _offset(self, character: int) -> int:
        """The offset of a character, in bytes."""
        if self.characters == self.bytes:
            return character
        index = bisect.bisect_right(self.marks, (character, self.bytes + 1)) - 1
        start, offset = self.marks[index]
        end = self.marks[index + 1][1] if index + 1 < len(self.marks) else self.bytes
        if character == start:
            return offset
        text = TextPart(self.path, offset, end, 0).read()
        return offset + len(text[: character - start].encode("utf-8"))


def prepare_text(files: Sequence[InspectedFile], cache: Path) -> PreparedText:
    """One prepared text of all `files` in order, from the cache or made now.

    A file that wasn't named by the user and is damaged is skipped with a warning.

    Raises:
        CorpusError: a file that was named is damaged, or changed while it was read.
        TextwrightError: the cache can't be written.
    """
    if len(files) == 1 and (in_place := _use_in_place(files[0])):
        return in_place
    key = cache_key(
        "text",
        FORMAT,
        [(file.inspection.sha256, file.kind, file.inspection.encoding) for file in files],
    )
    path = cache / "texts" / f"{key}.txt"
    record = cached_record(path, lambda: _write(files, path))
    return PreparedText(
        path,
        record["sha256"],
        record["bytes"],
        record["characters"],
        tuple((characters, offset) for characters, offset in record["marks"]),
        frozenset(record["skipped"]),
        tuple(record["warnings"]),
        tuple(
            Origin(files[index].source.label, characters, lines)
            for index, characters, lines in record["origins"]
        ),
    )


def _use_in_place(file: InspectedFile) -> PreparedText | None:
    """A local file whose bytes are prepared text already, not copied; None for others."""
    inspection, path = file.inspection, file.source.path
    if not inspection.clean or file.kind != "plain" or not path or path.suffix.lower() == ".gz":
        return None
    return PreparedText(
        path.absolute(),
        inspection.sha256,
        inspection.size,
        inspection.size,
        (),
        frozenset(),
        (),
        (Origin(file.source.label),),
        file.fingerprint,
    )


@dataclass(frozen=True)
class _Position:
    """The end of a text that is being written, to go on from or to come back to."""

    bytes: int
    characters: int
    lines: int
    last_two: str
    marks: int
    digest: Any
    """A hashlib object, of all so far."""


class _TextWriter:
    """One text being written, file after file."""

    def __init__(self, out: LargeFile) -> None:
        self._out = out
        self._digest = hashlib.sha256()
        self.size = self.characters = self._lines = 0
        self._last_two = ""
        self.origins: list[tuple[int, int, int]] = []
        self.marks = [(0, 0)]

    def append(self, index: int, pieces: Iterator[str]) -> None:
        """Append the text of file `index`, or nothing where reading it raises an error."""
        before = _Position(
            self.size, self.characters, self._lines, self._last_two, len(self.marks),
            self._digest.copy(),
        )  # fmt: skip
        origins = len(self.origins)
        # A blank line between two files
        newlines = len(self._last_two) - len(self._last_two.rstrip("\n"))
        separator = "\n" * (2 - newlines) if self.characters else ""
        try:
            for number, piece in enumerate(pieces):
                if not number:
                    self._append(separator)
                    self.origins.append((index, self.characters, self._lines))
                self._append(piece)
        except TextwrightError:
            self._go_back(before)
            del self.origins[origins:]
            raise

    def _append(self, piece: str) -> None:
        data = piece.encode("utf-8")
        self._digest.update(data)
        self._out.write(data)
        self.size += len(data)
        self.characters += len(piece)
        self._lines += data.count(b"\n")
        self._last_two = (self._last_two + piece[-2:])[-2:]
        if self.size - self.marks[-1][1] >= _MARK_INTERVAL:
            self.marks.append((self.characters, self.size))

    def _go_back(self, to: _Position) -> None:
        self._out.truncate(to.bytes)
        self.size, self.characters, self._lines = to.bytes, to.characters, to.lines
        self._last_two, self._digest = to.last_two, to.digest
        del self.marks[to.marks :]

    @property
    def sha256(self) -> str:
        """Of all that was written."""
        return self._digest.hexdigest()


def _write(files: Sequence[InspectedFile], path: Path) -> dict[str, Any]:
    skipped: list[int] = []
    warnings: list[str] = []
    with atomic.replacing(path) as partial, LargeFile(partial) as out:
        text = _TextWriter(out)
        for index, file in enumerate(files):
            try:
                text.append(index, _prepared_pieces(file))
            except CorpusError as error:
                if file.source.explicit:
                    raise
                skipped.append(index)
                warnings.append(f"skipped {error}")
                continue
            if not file.is_unchanged():  # the key was made of its hash
                raise CorpusError(f"{file.source.label} changed while it was read; try again")
    return {
        "sha256": text.sha256,
        "bytes": text.size,
        "characters": text.characters,
        "marks": text.marks,
        "skipped": skipped,
        "warnings": warnings,
        "origins": text.origins,
    }


def _prepared_pieces(file: InspectedFile) -> Iterator[str]:
    """The prepared text of one file, in pieces that aren't empty."""
    pieces = normalize(_coalesce(read_text(file)))
    if strips_gutenberg(file.kind):
        pieces = strip_boilerplate(pieces)
    return (piece for piece in pieces if piece)


def _coalesce(pieces: Iterator[str]) -> Iterator[str]:
    """The same text in larger pieces: there may be millions of records."""
    pending: list[str] = []
    size = 0
    for piece in pieces:
        pending.append(piece)
        size += len(piece)
        if size >= _MIN_PIECE:
            yield "".join(pending)
            pending, size = [], 0
    yield "".join(pending)
