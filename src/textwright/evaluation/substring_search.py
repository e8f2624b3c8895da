"""Where bytes of some passages agree with bytes of a text, found without looking at every pair.

Any stretch of 2w − 1 bytes that both have holds a whole block of the text, cut into blocks of w
bytes. So of each block one number is made and looked up among those of all windows of w bytes of
the passages; what is found is compared, blocks in a row are put together, and the ends are moved
outwards byte by byte, which is less than a block on either side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.int64]

LEAST = 16
"""Characters of the shortest stretch that can be found."""

_PAIRS = 1 << 21  # places of the text × windows of the passages that are compared at once
_BITS = 20
_FACTORS = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93], np.uint64
)
_APART, _BEYOND = b"\xff", b"\xfe"  # stand in no UTF-8, so that nothing agrees across an edge


class Passages:
    """Passages, ready to be looked for in one piece of text after another."""

    def __init__(self, passages: Sequence[bytes], minimum: int) -> None:
        """
        Args:
            passages: UTF-8.
            minimum: characters of a stretch that counts, at least `LEAST`.
        """
        self.minimum = minimum
        self.longest = max(map(len, passages), default=0)
        sizes = [len(passage) + 1 for passage in passages]
        self.starts = np.cumsum([0, *sizes])[:-1]
        """Where each passage begins, in bytes of all of them."""
        joined = _APART.join(passages)
        self._width = max(width for width in (8, 16, 32) if 2 * width - 1 <= minimum)
        edge = _APART * self._width
        self._padded = np.frombuffer(edge + joined + edge, np.uint8)
        self._count_characters(np.frombuffer(joined, np.uint8))
        self._number_windows(np.frombuffer(joined, np.uint8))

    def find(self, text: bytes) -> tuple[Numbers, bool]:
        """Stretches as rows (first byte, end byte, place in `text`), none within another, in
        order; and whether every pair of places was compared, of which there may be too many."""
        pairs, whole = self._pairs(text)
        if not len(pairs):
            return np.zeros((0, 3), np.int64), whole
        first, end, place = self._runs(pairs[:, 0], pairs[:, 1], text)
        cut = self._up[first] - first  # to whole characters
        first, end, place = first + cut, self._down[end], place + cut
        enough = self.characters[end] - self.characters[first] >= self.minimum
        return outermost(np.stack([first, end, place], axis=1)[enough]), whole

    def _count_characters(self, joined: NDArray[np.uint8]) -> None:
        begins = np.append((joined & 0xC0) != 0x80, True)
        places = np.arange(len(begins))
        self.characters: Numbers = np.concatenate([[0], np.cumsum(begins)])[:-1]
        """Characters before each byte, those that stand between passages counted."""
        self._down = np.maximum.accumulate(np.where(begins, places, 0))
        above = np.where(begins, places, len(begins))
        self._up = np.minimum.accumulate(above[::-1])[::-1]

    def _number_windows(self, joined: NDArray[np.uint8]) -> None:
        views = np.zeros((0, self._width), np.uint8)
        if len(joined) >= self._width:
            views = np.lib.stride_tricks.sliding_window_view(joined, self._width)
        self._windows = np.ascontiguousarray(views).view(np.uint64)  # (windows, width / 8)
        numbers = _numbers(self._windows)
        self._order = np.argsort(numbers, kind="stable")
        self._sorted = numbers[self._order]
        self._known = np.zeros(1 << _BITS, bool)
        self._known[numbers >> np.uint64(64 - _BITS)] = True

    def _pairs(self, text: bytes) -> tuple[Numbers, bool]:
        """Rows (window, block) that hold the same bytes."""
        count = len(text) // self._width
        words = np.frombuffer(text, np.uint64, count * self._width // 8)
        blocks = words.reshape(count, self._width // 8)
        numbers = _numbers(blocks)
        block = np.flatnonzero(self._known[numbers >> np.uint64(64 - _BITS)])
        low = np.searchsorted(self._sorted, numbers[block])
        high = np.searchsorted(self._sorted, numbers[block], side="right")
        block, low, found = block[high > low], low[high > low], (high - low)[high > low]
        whole = int(found.sum()) <= _PAIRS
        if not whole:
            found = np.minimum(found, max(1, _PAIRS // len(block)))
        within = np.arange(found.sum()) - np.repeat(np.cumsum(found) - found, found)
        window = self._order[np.repeat(low, found) + within]
        block = np.repeat(block, found)
        same = (self._windows[window] == blocks[block]).all(axis=1)
        return np.stack([window[same], block[same]], axis=1), whole

    def _runs(
        self, window: Numbers, block: Numbers, text: bytes
    ) -> tuple[Numbers, Numbers, Numbers]:
        """Blocks in a row put together, as far as they go: first byte, end byte, place."""
        shift = block * self._width - window
        order = np.lexsort((block, shift))
        window, block, shift = window[order], block[order], shift[order]
        begins = np.append(True, (np.diff(shift) != 0) | (np.diff(block) != 1))
        ends = np.append(begins[1:], True)
        first, place = window[begins], block[begins] * self._width
        end, behind = window[ends] + self._width, (block[ends] + 1) * self._width
        edge = _BEYOND * self._width
        around = np.frombuffer(edge + text + edge, np.uint8)
        steps = np.arange(self._width)
        before = self._agree(first, place, -1 - steps, around)
        return first - before, end + self._agree(end, behind, steps, around), place - before

    def _agree(self, own: Numbers, place: Numbers, steps: Numbers, around: NDArray[Any]) -> Numbers:
        """How many bytes agree, one after another at `steps` from each place."""
        ours = self._padded[self._width + own[:, None] + steps]
        same = ours == around[self._width + place[:, None] + steps]
        return np.asarray(np.minimum.accumulate(same, axis=1).sum(axis=1), np.int64)


def outermost(rows: Numbers) -> Numbers:
    """Of stretches (first, end, …) those that lie in no other, in order; of equal ones the one
    that comes first."""
    order = np.lexsort((-rows[:, 1], rows[:, 0]))
    rows = rows[order]
    reached = np.maximum.accumulate(rows[:, 1])
    return rows[np.append(True, rows[1:, 1] > reached[:-1])] if len(rows) else rows


def _numbers(blocks: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A number for each row, whose upper bits are as good as random."""
    total = np.zeros(len(blocks), np.uint64)
    for column, factor in zip(blocks.T, _FACTORS, strict=False):
        total ^= (column ^ (column >> np.uint64(29))) * factor
    return total
