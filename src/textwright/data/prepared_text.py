"""Raw texts → one normalised UTF-8 file in the cache, made once for the same content.

The first look hashes and decides encodings (`rawtext.look_at`); with the hashes known, a text
that was prepared before is found and nothing else is read. A single file of ASCII with LF line
ends is prepared as it lies, and is not copied. Otherwise the work is a stream of pieces of half a
megabyte: decoded, LF, NFC, without Gutenberg's boilerplate, encoded.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textwright import atomic
from textwright.data.formats.files import KnownText, read, strips_gutenberg
from textwright.data.formats.gutenberg import without_boilerplate
from textwright.data.formats.normalization import normalised
from textwright.data.large_file import LargeFile
from textwright.data.sources.cache import kept, key_of
from textwright.data.text import Origin, TextPart
from textwright.errors import CorpusError, MissingPackageError

FORMAT = 2
"""Part of every key; raised when the same files would be prepared differently."""

_MARK_EVERY = 1 << 20
_GATHERED = 1 << 18


@dataclass(frozen=True)
class PreparedText:
    """A prepared text file, whole."""

    path: Path
    sha256: str
    bytes: int
    characters: int
    marks: tuple[tuple[int, int], ...]
    """(characters, bytes) before some places of the file, ascending, from (0, 0)."""
    skipped: frozenset[int]
    """Which of the texts that were given turned out to be unusable."""
    warnings: tuple[str, ...]
    origins: tuple[Origin, ...]
    """What it is made of, in order."""
    stamp: tuple[int, int] | None = None
    """Where it is the user's own file: its size and time of change."""

    def part(self, first: int, last: int) -> TextPart:
        """Characters `first` to `last`."""
        start, end = self._offset(first), self._offset(last)
        return TextPart(self.path, start, end, last - first, self.sha256, self.stamp)

    def _offset(self, character: int) -> int:
        """Where a character begins, in bytes."""
        if self.characters == self.bytes:
            return character
        index = bisect.bisect_right(self.marks, (character, self.bytes + 1)) - 1
        before, offset = self.marks[index]
        end = self.marks[index + 1][1] if index + 1 < len(self.marks) else self.bytes
        if character == before:
            return offset
        text = TextPart(self.path, offset, end, 0).read()
        return offset + len(text[: character - before].encode("utf-8"))


def prepare(texts: Sequence[KnownText], cache: Path) -> PreparedText:
    """One prepared text of all `texts` in order, from the cache or made now.

    A text of a folder that turns out to be damaged is left out with a warning.

    Raises:
        CorpusError: a text that was named is damaged, or there is nothing usable.
        TextwrightError: the cache can't be written.
    """
    if len(texts) == 1 and (as_it_is := _in_place(texts[0])):
        return as_it_is
    key = key_of(
        "text",
        FORMAT,
        [(text.inspection.sha256, text.kind, text.inspection.encoding) for text in texts],
    )
    path = cache / "texts" / f"{key}.txt"
    record = kept(path, lambda: _write(texts, path))
    return PreparedText(
        path,
        record["sha256"],
        record["bytes"],
        record["characters"],
        tuple((characters, offset) for characters, offset in record["marks"]),
        frozenset(record["skipped"]),
        tuple(record["warnings"]),
        tuple(
            Origin(texts[index].raw.label, characters, lines)
            for index, characters, lines in record["origins"]
        ),
    )


def _in_place(text: KnownText) -> PreparedText | None:
    """A user's file that is prepared text already: used where it lies, not copied."""
    facts, path = text.inspection, text.raw.path
    if not facts.clean or text.kind != "plain" or not path or path.suffix.lower() == ".gz":
        return None
    return PreparedText(
        path.absolute(),
        facts.sha256,
        facts.size,
        facts.size,
        (),
        frozenset(),
        (),
        (Origin(text.raw.label),),
        text.stamp,
    )


def _write(texts: Sequence[KnownText], path: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    size = characters = lines = 0
    origins: list[tuple[int, int, int]] = []
    marks = [(0, 0)]
    skipped: list[int] = []
    warnings: list[str] = []
    with atomic.replacing(path) as partial, LargeFile(partial) as file:
        ending = ""
        for index, text in enumerate(texts):
            pieces = _pieces(text)
            try:
                piece = next(pieces, "")
            except (CorpusError, MissingPackageError) as error:
                if text.raw.listed:
                    raise
                skipped.append(index)
                warnings.append(f"skipped {error}")
                continue
            # A blank line between one text and the next.
            gap = "\n" * (2 - (len(ending) - len(ending.rstrip("\n")))) if characters else ""
            if piece:
                origins.append((index, characters + len(gap), lines + len(gap)))
                piece = gap + piece
            while piece:
                data = piece.encode("utf-8")
                digest.update(data)
                file.write(data)
                size += len(data)
                characters += len(piece)
                lines += data.count(b"\n")
                ending = (ending + piece[-2:])[-2:]
                if size - marks[-1][1] >= _MARK_EVERY:
                    marks.append((characters, size))
                piece = next(pieces, "")
            if not text.unchanged():  # what was written must be what the key says
                raise CorpusError(f"{text.raw.label} changed while it was read; try again")
    return {
        "sha256": digest.hexdigest(),
        "bytes": size,
        "characters": characters,
        "marks": marks,
        "skipped": skipped,
        "warnings": warnings,
        "origins": origins,
    }


def _pieces(text: KnownText) -> Iterator[str]:
    """The prepared text of one file, in pieces that hold something."""
    pieces = normalised(_gathered(read(text)))
    if strips_gutenberg(text.kind):
        pieces = without_boilerplate(pieces)
    return (piece for piece in pieces if piece)


def _gathered(pieces: Iterator[str]) -> Iterator[str]:
    """The same text in pieces worth a step of their own; records may be millions of lines."""
    held: list[str] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _GATHERED:
            yield "".join(held)
            held, size = [], 0
    yield "".join(held)
