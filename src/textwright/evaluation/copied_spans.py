"""Verbatim overlap of passages with a text, and where in the text: exact, for texts of any size.

Only spans of a minimum length count, since `of the ` is in every text. The text is streamed once, a
gigabyte in seconds, without an index of it. (A suffix array of the text would answer many passages
faster, after minutes of building, in five times the memory.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from textwright.data.prepared_conversations import ConversationPart
from textwright.data.text import Origin, TextPart
from textwright.evaluation.substring_search import Ints, SubstringIndex, maximal_spans

_CHUNK_BYTES = 4 << 20  # searched at once


@dataclass(frozen=True)
class CopiedSpan:
    """A span of a passage, and its first occurrence in the text."""

    start: int
    """Offset in the passage, in characters."""
    length: int
    """Characters."""
    text: str
    source: str
    """File or address of the occurrence; empty if unknown."""
    line: int
    """Line of that source where it begins, from 1; for conversations, which conversation."""
    offset: int
    """Offset in that source, in characters."""


@dataclass(frozen=True)
class PassageOverlap:
    """The overlap of one passage with a text."""

    stretches: tuple[CopiedSpan, ...]
    """In order of `start`; none is contained in another, though two may overlap."""
    characters: int
    """Length of the passage."""
    copied: int
    """Characters covered by spans."""

    @property
    def share(self) -> float:
        """The fraction of the passage that spans cover, 0 to 1."""
        return self.copied / max(1, self.characters)


def find_copied_spans(
    passages: Sequence[str],
    part: TextPart,
    *,
    minimum: int,
    origins: Sequence[Origin] = (),
    lower: bool = False,
) -> tuple[list[PassageOverlap], bool]:
    """The overlap of each passage with `part`, and whether the search was complete: where passages
    and text are so repetitive that candidate pairs explode, only some are compared.

    Args:
        passages: some 100,000 characters in all at most.
        part: the text.
        minimum: shortest span that counts, in characters, at least `MIN_SPAN`.
        origins: the sources that `part` is made of, in order.
        lower: lower-case both sides first.

    Raises:
        TextwrightError: the text can't be read, or has changed.
    """
    texts = [passage.lower() if lower else passage for passage in passages]
    index = SubstringIndex([text.encode("utf-8", "replace") for text in texts], minimum)
    spans = np.zeros((0, 4), np.int64)  # start, end (bytes of the passages); characters, lines
    complete = True  # of the text before the occurrence
    for chunk in _chunks(part, index.longest, lower):
        found, found_all = index.find(chunk.data)
        complete &= found_all
        spans = _merge(spans, found, chunk)
    passage_of = np.searchsorted(index.starts, spans[:, 0], side="right") - 1
    return [
        _overlap(passage, index, number, spans[passage_of == number], origins)
        for number, passage in enumerate(texts)
    ], complete


@dataclass
class _Chunk:
    """Bytes of the text, and how many characters and lines precede them."""

    data: bytes
    characters: int
    lines: int
    line_end: bytes

    def drop(self, size: int) -> None:
        """Remove `size` bytes from the front, adding to the counts."""
        dropped, self.data = self.data[:size], self.data[size:]
        self.characters += _count_characters(dropped)
        self.lines += dropped.count(self.line_end)


def _chunks(part: TextPart, overlap: int, lower: bool) -> Iterator[_Chunk]:
    """The text in chunks that overlap by `overlap` bytes, so that each span is whole in one."""
    pieces = _conversations(part) if isinstance(part, ConversationPart) else part.chunks()
    chunk = _Chunk(b"", 0, 0, b"\0" if isinstance(part, ConversationPart) else b"\n")
    pending: list[bytes] = []
    size = 0
    for piece in pieces:
        pending.append((piece.lower() if lower else piece).encode())
        size += len(pending[-1])
        if size >= _CHUNK_BYTES + overlap:
            chunk.data += b"".join(pending)
            pending, size = [], 0
            yield _Chunk(chunk.data, chunk.characters, chunk.lines, chunk.line_end)
            chunk.drop(len(chunk.data) - overlap)
    chunk.data += b"".join(pending)
    yield chunk


def _conversations(part: ConversationPart) -> Iterator[str]:
    """Each conversation as text: a turn a line, terminated by NUL."""
    for conversation in part.conversations():
        yield "\n".join(words for _, words in conversation) + "\0"


def _merge(spans: Ints, found: Ints, chunk: _Chunk) -> Ints:
    """`spans` and those of `found` that none of them contains, located in the whole text."""
    if not len(found):
        return spans
    unlocated = np.concatenate([found, np.full((len(found), 1), -1, np.int64)], axis=1)
    rows = maximal_spans(np.concatenate([spans, unlocated]))
    new = np.flatnonzero(rows[:, 3] < 0)
    characters, lines, counted = chunk.characters, chunk.lines, 0
    for row in new[np.argsort(rows[new, 2])]:
        offset = int(rows[row, 2])
        between = chunk.data[counted:offset]
        characters += _count_characters(between)
        lines += between.count(chunk.line_end)
        rows[row, 2:], counted = (characters, lines), offset
    return rows


def _count_characters(data: bytes) -> int:
    """Characters that begin in UTF-8 `data`: one cut in two counts with its first part."""
    if data.isascii():
        return len(data)
    return int(np.count_nonzero((np.frombuffer(data, np.uint8) & 0xC0) != 0x80))


def _overlap(
    passage: str, index: SubstringIndex, number: int, rows: Ints, origins: Sequence[Origin]
) -> PassageOverlap:
    """The rows (start, end, characters, lines) of passage `number`, in its own characters."""
    base = int(index.characters[index.starts[number]])
    spans = []
    covered_to = copied = 0
    for first, last, characters, lines in rows.tolist():
        start = int(index.characters[first]) - base
        end = int(index.characters[last]) - base
        origin = next((one for one in reversed(origins) if one.characters <= characters), Origin())
        spans.append(
            CopiedSpan(
                start,
                end - start,
                passage[start:end],
                origin.address,
                lines - origin.lines + 1,
                characters - origin.characters,
            )
        )
        copied += end - max(start, covered_to)
        covered_to = end
    return PassageOverlap(tuple(spans), len(passage), copied)
