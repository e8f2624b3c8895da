"""Files of text → one normalized UTF-8 file in the cache, made once for the same content; a part of
it is read in chunks that can be tokenized one by one.

`files.inspect_file` hashes and detects encodings first; with the hashes known, a text that was
prepared before is found and nothing else is read. A single file of ASCII with LF line ends is used
in place, not copied. Otherwise pieces of half a megabyte are streamed: decoded, LF, NFC, without
Gutenberg's boilerplate, encoded.
"""

from __future__ import annotations

import bisect
import codecs
import hashlib
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textwright import atomic
from textwright.data.formats.files import InspectedFile
from textwright.data.formats.findings import Findings
from textwright.data.formats.gutenberg import strip_boilerplate
from textwright.data.formats.normalization import normalize
from textwright.data.formats.packed import PACKED
from textwright.data.formats.reading import findings_of, read_text, strips_gutenberg
from textwright.data.sources.cache import LargeFile, cache_key, cached_record
from textwright.errors import CorpusError, TextwrightError

CHUNK = 1 << 19
"""Bytes read at once: few enough for the processor's cache, and for malloc to reuse the memory;
with chunks of 4 MB, half of the time goes to page faults."""

# White_Space of Unicode, what \s means to the tokenizers library; str.isspace() has four more.
WHITESPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_JOINER = "\u200d"
_VIRAMA = 9  # canonical combining class


@dataclass(frozen=True)
class Origin:
    """One source of a prepared text, and its offset there."""

    address: str = ""
    """As the user named it."""
    characters: int = 0
    """Characters of the prepared text before it."""
    lines: int = 0
    """Line ends of the prepared text before it."""


@dataclass(frozen=True)
class TextPart:
    """Bytes `start` to `end` of a prepared text file: UTF-8, NFC, LF line ends, no BOM.

    `sha256` is that of the whole file, or empty if unknown; `fingerprint` the (size, mtime in ns)
    of a file of the user's, which must not change while it is used.
    """

    path: Path
    start: int
    end: int
    characters: int
    sha256: str = ""
    fingerprint: tuple[int, int] | None = None

    @property
    def bytes(self) -> int:
        """Length in bytes."""
        return self.end - self.start

    @property
    def text_bytes(self) -> int:
        """Bytes of the text itself, without any framing in the file."""
        return self.bytes

    def read(self) -> str:
        """The whole text; only for small parts."""
        return "".join(self.chunks())

    def chunks(self, size: int = CHUNK) -> Iterator[str]:
        """The text in chunks of about `size` bytes.

        A chunk ends before white space if there is any, so that tokenizing chunk by chunk gives
        the tokens of the whole; else between two characters that no combining sequence joins.
        Where neither is found in twice the size, it is cut anyway.

        Raises:
            TextwrightError: the file is gone, can't be read, or is damaged.
        """
        decoder = codecs.getincrementaldecoder("utf-8")("strict")
        pending = ""
        try:
            for block in _blocks(self, size):
                text = pending + decoder.decode(block)
                cut = safe_cut(text)
                if not cut and len(text) > 2 * size:
                    cut = len(text)
                if cut:
                    yield text[:cut]
                pending = text[cut:]
            pending += decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            raise TextwrightError(
                f"{self.path} is damaged ({error.reason}); delete it and try again"
            ) from error
        if pending:
            yield pending

    def content_key(self) -> str:
        """A key that equal texts share, of the file's hash or of the bytes'."""
        if self.sha256:
            return f"{self.sha256}:{self.start}:{self.end}"
        digest = hashlib.sha256()
        for block in _blocks(self, CHUNK):
            digest.update(block)
        return f"{digest.hexdigest()}:0:{self.bytes}"


def _blocks(part: TextPart, size: int) -> Iterator[bytes]:
    """The bytes of a part in blocks of at most `size`, cut anywhere.

    Read, not mapped, so that a large text doesn't count as memory of this process.
    """
    remaining = part.bytes
    try:
        with part.path.open("rb", buffering=0) as file:
            file.seek(part.start)
            while remaining > 0 and (block := file.read(min(size, remaining))):
                remaining -= len(block)
                yield block
            status = os.fstat(file.fileno())
    except OSError as error:
        raise TextwrightError(f"{part.path} can't be read ({error.strerror}); try again") from error
    if remaining or part.fingerprint not in (None, (status.st_size, status.st_mtime_ns)):
        raise TextwrightError(f"{part.path} changed while it was in use; start again")


def safe_cut(text: str) -> int:
    """The last index where `text` can be cut without changing its tokens; 0 if there is none."""
    space = max(text.rfind(" "), text.rfind("\n"))
    if space > 0 and (cut := len(text[:space].rstrip(WHITESPACE))):
        return cut
    for cut in range(len(text) - 1, max(0, len(text) - 256), -1):
        if _may_cut(text[cut - 1], text[cut]):
            return cut
    return 0


def _may_cut(before: str, after: str) -> bool:
    """Whether no combining or emoji sequence joins two characters.

    Simpler and stricter than the grapheme clusters of Unicode Annex 29: it forbids some cuts that
    would be safe (around flags, Hangul letters), never the other way.
    """
    if before == _JOINER or unicodedata.combining(before) == _VIRAMA:
        return False
    if after in WHITESPACE:
        return before not in WHITESPACE
    point = ord(after)
    is_continuation = (
        0x1160 <= point <= 0x11FF  # Hangul vowels and final consonants
        or 0x1F1E6 <= point <= 0x1F1FF  # flags are pairs of these
        or 0x1F3FB <= point <= 0x1F3FF  # skin tones
        or point in (0xFF9E, 0xFF9F)  # halfwidth voiced marks
    )
    return not is_continuation and unicodedata.category(after) not in ("Mn", "Mc", "Me", "Cf")


FORMAT = 7
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
    notes: tuple[str, ...]
    """What was read of records, a line a file."""
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
        [
            (file.inspection.sha256, file.kind, file.inspection.encoding, file.field)
            for file in files
        ],
        # Which the warnings name
        [file.source.label for file in files if file.kind != "plain"],
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
        tuple(record["notes"]),
        tuple(
            Origin(files[index].source.label, characters, lines)
            for index, characters, lines in record["origins"]
        ),
    )


def _use_in_place(file: InspectedFile) -> PreparedText | None:
    """A local file whose bytes are prepared text already, not copied; None for others."""
    inspection, path = file.inspection, file.source.path
    if not inspection.clean or file.kind != "plain" or not path or path.suffix.lower() in PACKED:
        return None
    return PreparedText(
        path.absolute(),
        inspection.sha256,
        inspection.size,
        inspection.size,
        (),
        frozenset(),
        (),
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
    notes: list[str] = []
    atomic.remove_abandoned(path.parent, f"*{atomic.PARTIAL}")
    with atomic.replacing(path) as partial, LargeFile(partial) as out:
        text = _TextWriter(out)
        for index, file in enumerate(files):
            findings = findings_of(file)
            try:
                text.append(index, _prepared_pieces(file, findings))
            except CorpusError as error:
                if file.source.explicit:
                    raise
                skipped.append(index)
                warnings.append(f"skipped {error}")
                continue
            warnings += findings.warnings()
            notes += findings.notes
            if not file.is_unchanged():  # the key was made of its hash
                raise CorpusError(f"{file.source.label} changed while it was read; try again")
    return {
        "sha256": text.sha256,
        "bytes": text.size,
        "characters": text.characters,
        "marks": text.marks,
        "skipped": skipped,
        "warnings": warnings,
        "notes": notes,
        "origins": text.origins,
    }


def _prepared_pieces(file: InspectedFile, findings: Findings) -> Iterator[str]:
    """The prepared text of one file, in pieces that aren't empty."""
    pieces = normalize(coalesce(read_text(file, findings)))
    if strips_gutenberg(file.kind):
        pieces = strip_boilerplate(pieces)
    return (piece for piece in pieces if piece)


def coalesce(pieces: Iterator[str]) -> Iterator[str]:
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
