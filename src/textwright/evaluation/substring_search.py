"""All common substrings of some passages and a text, by block hashing.

The text is cut into blocks of w bytes; any common substring of 2w − 1 bytes contains a whole block.
So each block's hash is looked up among those of all windows of w bytes of the passages; candidates
are compared byte for byte, consecutive blocks are joined, and both ends are extended byte by byte,
by less than a block.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]

MIN_SPAN = 16
"""Characters of the shortest span that can be found."""

_MAX_PAIRS = 1 << 21  # candidates (window of the passages, block of the text) compared at once
_FILTER_BITS = 20
_FACTORS = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93], np.uint64
)
_SEPARATOR, _PADDING = b"\xff", b"\xfe"  # not in UTF-8, so that no match crosses an edge


class SubstringIndex:
    """Hashes of all windows of some passages, to search one chunk of text after another."""

    def __init__(self, passages: Sequence[bytes], minimum: int) -> None:
        """
        Args:
            passages: UTF-8.
            minimum: shortest span that counts, in characters, at least `MIN_SPAN`.
        """
        self.minimum = minimum
        self.longest = max(map(len, passages), default=0)
        sizes = [len(passage) + 1 for passage in passages]
        self.starts = np.cumsum([0, *sizes])[:-1]
        """Offset of each passage in their concatenation, in bytes."""
        joined = _SEPARATOR.join(passages)
        self._width = max(width for width in (8, 16, 32) if 2 * width - 1 <= minimum)
        edge = _SEPARATOR * self._width
        self._padded = np.frombuffer(edge + joined + edge, np.uint8)
        self._count_characters(np.frombuffer(joined, np.uint8))
        self._hash_windows(np.frombuffer(joined, np.uint8))

    def find(self, text: bytes) -> tuple[Ints, bool]:
        """Maximal spans in order, as rows (start, end, offset in `text`) in bytes; and whether
        every candidate pair was compared, of which there may be too many."""
        pairs, complete = self._pairs(text)
        if not len(pairs):
            return np.zeros((0, 3), np.int64), complete
        start, end, offset = self._runs(pairs[:, 0], pairs[:, 1], text)
        cut = self._ceil[start] - start  # to whole characters
        start, end, offset = start + cut, self._floor[end], offset + cut
        enough = self.characters[end] - self.characters[start] >= self.minimum
        return maximal_spans(np.stack([start, end, offset], axis=1)[enough]), complete

    def _count_characters(self, joined: NDArray[np.uint8]) -> None:
        begins = np.append((joined & 0xC0) != 0x80, True)
        offsets = np.arange(len(begins))
        self.characters: Ints = np.concatenate([[0], np.cumsum(begins)])[:-1]
        """Characters before each byte, separators of passages included."""
        self._floor = np.maximum.accumulate(np.where(begins, offsets, 0))
        above = np.where(begins, offsets, len(begins))
        self._ceil = np.minimum.accumulate(above[::-1])[::-1]

    def _hash_windows(self, joined: NDArray[np.uint8]) -> None:
        views = np.zeros((0, self._width), np.uint8)
        if len(joined) >= self._width:
            views = np.lib.stride_tricks.sliding_window_view(joined, self._width)
        self._windows = np.ascontiguousarray(views).view(np.uint64)  # (windows, width / 8)
        hashes = _hashes(self._windows)
        self._order = np.argsort(hashes, kind="stable")
        self._sorted = hashes[self._order]
        self._filter = np.zeros(1 << _FILTER_BITS, bool)  # rejects most blocks before the search
        self._filter[hashes >> np.uint64(64 - _FILTER_BITS)] = True

    def _pairs(self, text: bytes) -> tuple[Ints, bool]:
        """Rows (window, block) of equal bytes; and whether none was left out."""
        count = len(text) // self._width
        words = np.frombuffer(text, np.uint64, count * self._width // 8)
        blocks = words.reshape(count, self._width // 8)
        hashes = _hashes(blocks)
        block = np.flatnonzero(self._filter[hashes >> np.uint64(64 - _FILTER_BITS)])
        low = np.searchsorted(self._sorted, hashes[block])
        high = np.searchsorted(self._sorted, hashes[block], side="right")
        block, low, counts = block[high > low], low[high > low], (high - low)[high > low]
        complete = int(counts.sum()) <= _MAX_PAIRS
        if not complete:
            counts = np.minimum(counts, max(1, _MAX_PAIRS // len(block)))
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        window = self._order[np.repeat(low, counts) + within]
        block = np.repeat(block, counts)
        same = (self._windows[window] == blocks[block]).all(axis=1)
        return np.stack([window[same], block[same]], axis=1), complete

    def _runs(self, window: Ints, block: Ints, text: bytes) -> tuple[Ints, Ints, Ints]:
        """Consecutive pairs joined and extended: start, end, offset in `text`, in bytes."""
        shift = block * self._width - window
        order = np.lexsort((block, shift))
        window, block, shift = window[order], block[order], shift[order]
        begins = np.append(True, (np.diff(shift) != 0) | (np.diff(block) != 1))
        ends = np.append(begins[1:], True)
        start, offset = window[begins], block[begins] * self._width
        end, offset_end = window[ends] + self._width, (block[ends] + 1) * self._width
        edge = _PADDING * self._width
        padded = np.frombuffer(edge + text + edge, np.uint8)
        steps = np.arange(self._width)
        before = self._extend(start, offset, -1 - steps, padded)
        after = self._extend(end, offset_end, steps, padded)
        return start - before, end + after, offset - before

    def _extend(self, own: Ints, offset: Ints, steps: Ints, padded: NDArray[Any]) -> Ints:
        """How many consecutive bytes, at `steps` from each pair of positions, are equal."""
        ours = self._padded[self._width + own[:, None] + steps]
        same = ours == padded[self._width + offset[:, None] + steps]
        return np.asarray(np.minimum.accumulate(same, axis=1).sum(axis=1), np.int64)


def maximal_spans(rows: Ints) -> Ints:
    """The rows (start, end, …) that no other contains, sorted; the first of equal spans."""
    order = np.lexsort((-rows[:, 1], rows[:, 0]))
    rows = rows[order]
    furthest = np.maximum.accumulate(rows[:, 1])
    return rows[np.append(True, rows[1:, 1] > furthest[:-1])] if len(rows) else rows


def _hashes(blocks: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A 64-bit hash of each row, well mixed in its upper bits."""
    total = np.zeros(len(blocks), np.uint64)
    for column, factor in zip(blocks.T, _FACTORS, strict=False):
        total ^= (column ^ (column >> np.uint64(29))) * factor
    return total
