"""What of a passage stands word for word in a text, and where: exact, for texts of any size.

A stretch counts from a least length on, for `of the ` stands in every text. The text is read once,
a gigabyte in seconds, and nothing is kept of it. (A suffix array of the text would answer many
passages faster, after minutes, in five times the memory.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from textwright.data.prepared_conversations import ConversationPart
from textwright.data.text import Origin, TextPart
from textwright.evaluation.substring_search import Numbers, Passages, outermost

_SLAB = 4 << 20  # bytes that are looked at together


@dataclass(frozen=True)
class Stretch:
    """A part of a passage, and the first place where it stands in the text."""

    start: int
    """Characters of the passage before it."""
    length: int
    """Characters."""
    text: str
    source: str
    """The file or address that the place is in; empty where nobody knows."""
    line: int
    """Which line of that source it begins in, from 1; of conversations, which one it stands in."""
    offset: int
    """Characters of that source before it."""


@dataclass(frozen=True)
class Copies:
    """What of a passage stands in a text."""

    stretches: tuple[Stretch, ...]
    """As they come in the passage; none lies within another, though two may overlap."""
    characters: int
    """Of the passage."""
    copied: int
    """How many of them lie in a stretch."""

    @property
    def share(self) -> float:
        """The part of the passage that lies in stretches, 0 to 1."""
        return self.copied / max(1, self.characters)


def copied(
    passages: Sequence[str],
    part: TextPart,
    *,
    minimum: int,
    origins: Sequence[Origin] = (),
    lower: bool = False,
) -> tuple[list[Copies], bool]:
    """What of each passage stands in `part`; and whether every place was compared: where passages
    and text repeat themselves without end only so many are, and there may be more.

    Args:
        passages: some 100,000 characters in all at most.
        part: the text.
        minimum: characters of a stretch that counts, at least `LEAST`.
        origins: what `part` is made of, in order.
        lower: take capital letters for small ones.

    Raises:
        TextwrightError: the text can't be read, or has changed.
    """
    texts = [passage.lower() if lower else passage for passage in passages]
    needle = Passages([text.encode("utf-8", "replace") for text in texts], minimum)
    best = np.zeros((0, 4), np.int64)  # first byte, end byte, characters and lines before it
    whole = True
    for slab in _slabs(part, needle.longest, lower):
        found, all_of_it = needle.find(slab.data)
        whole &= all_of_it
        best = _better(best, found, slab)
    at = np.searchsorted(needle.starts, best[:, 0], side="right") - 1
    return [
        _told(passage, needle, number, best[at == number], origins)
        for number, passage in enumerate(texts)
    ], whole


@dataclass
class _Slab:
    """A piece of the text with what stands before it, counted."""

    data: bytes
    characters: int
    lines: int
    line_end: bytes

    def counted(self, upto: int) -> None:
        """Go on behind `upto` bytes."""
        passed, self.data = self.data[:upto], self.data[upto:]
        self.characters += _characters(passed)
        self.lines += passed.count(self.line_end)


def _slabs(part: TextPart, overlap: int, lower: bool) -> Iterator[_Slab]:
    """The text in pieces that share so many bytes that each stretch lies whole in one."""
    talks = isinstance(part, ConversationPart)
    slab = _Slab(b"", 0, 0, b"\0" if talks else b"\n")
    held: list[bytes] = []
    size = 0
    for piece in _conversations(part) if isinstance(part, ConversationPart) else part.chunks():
        held.append((piece.lower() if lower else piece).encode())
        size += len(held[-1])
        if size >= _SLAB + overlap:
            slab.data += b"".join(held)
            held, size = [], 0
            yield _Slab(slab.data, slab.characters, slab.lines, slab.line_end)
            slab.counted(len(slab.data) - overlap)
    slab.data += b"".join(held)
    yield slab


def _conversations(part: ConversationPart) -> Iterator[str]:
    """The words of each conversation, a turn a line, and what marks its end."""
    for conversation in part.conversations():
        yield "\n".join(words for _, words in conversation) + "\0"


def _better(best: Numbers, found: Numbers, slab: _Slab) -> Numbers:
    """`best` with what was found in `slab` that goes beyond it."""
    if not len(found):
        return best
    unplaced = np.concatenate([found, np.full((len(found), 1), -1, np.int64)], axis=1)
    rows = outermost(np.concatenate([best, unplaced]))
    new = np.flatnonzero(rows[:, 3] < 0)
    characters, lines, passed = slab.characters, slab.lines, 0
    for index in new[np.argsort(rows[new, 2])]:
        place = int(rows[index, 2])
        between = slab.data[passed:place]
        characters += _characters(between)
        lines += between.count(slab.line_end)
        rows[index, 2:], passed = (characters, lines), place
    return rows


def _characters(data: bytes) -> int:
    """How many there are; of one that is cut in two, the first part counts."""
    if data.isascii():
        return len(data)
    return int(np.count_nonzero((np.frombuffer(data, np.uint8) & 0xC0) != 0x80))


def _told(
    passage: str, needle: Passages, number: int, rows: Numbers, origins: Sequence[Origin]
) -> Copies:
    begin = int(needle.characters[needle.starts[number]])
    stretches = []
    reached = copied = 0
    for first, end, characters, lines in rows.tolist():
        start = int(needle.characters[first]) - begin
        stop = int(needle.characters[end]) - begin
        origin = next((one for one in reversed(origins) if one.characters <= characters), Origin())
        stretches.append(
            Stretch(
                start,
                stop - start,
                passage[start:stop],
                origin.address,
                lines - origin.lines + 1,
                characters - origin.characters,
            )
        )
        copied += stop - max(start, reached)
        reached = stop
    return Copies(tuple(stretches), len(passage), copied)
