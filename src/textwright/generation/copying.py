"""A guard against copying: no more than N characters in a row that stand in the training text.

What would make one more is banned before a token is drawn, so a text differs from the one without a
guard only from where it would have copied on. What the user wrote doesn't count, what the model
wrote does, with the spaces between.

A text of L characters has at most L different stretches of N + 1; their 64-bit hashes are kept,
sorted. Whether a token may follow depends on those stretches that end inside of it, and most of the
time on none: only where the last M characters stand in the text too, M being N + 1 less the length
of the longest token, can any token complete one. A hash that two stretches share bans a token
without need, one time in 10¹³; it never lets one pass. Where a word would begin the limit is lower
by a quarter, so that texts part between words.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from textwright.arrays import Floats
from textwright.errors import RequestError
from textwright.tokenizers import Tokenizer

LEAST = 16
"""Characters that may always be copied: any two texts of a kind have such in common."""
MOST = 1 << 16

_BASE = 0x9E3779B97F4A7C15
_MIX = np.uint64(0xD6E8FEB86659FD93)
_MASK = (1 << 64) - 1
_LAST_PART = 4
"""A word that would begin in the last quarter of the N characters begins otherwise, for what is
banned inside of a word leaves a misspelt one."""
BETWEEN = "\0"
"""Between two texts: no text has it, so no match crosses it."""

Hashes = NDArray[np.uint64]


def check_copy_at_most(count: int) -> int:
    """`count`. Raises `RequestError` where no text could be written with it."""
    if isinstance(count, bool) or not isinstance(count, int) or not LEAST <= count <= MOST:
        raise RequestError(
            f"copy_at_most must be a whole number from {LEAST} to {MOST:,}, not {count!r}; shorter "
            "stretches stand in any two texts"
        )
    return count


class Stretches:
    """Whether a text has a substring of exactly so many characters."""

    def __init__(self, texts: Iterable[NDArray[np.uint32]], length: int) -> None:
        """
        Args:
            texts: the text in pieces, as code points; stretches reach over their edges.
            length: characters.
        """
        self.length = length
        found: list[Hashes] = []
        rest = np.empty(0, np.uint32)
        for piece in texts:
            joined = np.concatenate([rest, piece])
            if len(joined) >= length:
                windows = _hashes_of(joined, length)
                if (joined == 0).any():
                    gaps = np.concatenate([[0], np.cumsum(joined == 0)])
                    windows = windows[gaps[length:] == gaps[:-length]]
                found.append(np.unique(windows))
            rest = joined[max(0, len(joined) - length + 1) :]
        self._hashes = np.unique(np.concatenate(found)) if found else np.empty(0, np.uint64)

    def has(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Whether each of these hashes is one of a stretch in the text."""
        if not len(self._hashes):
            return np.zeros(len(hashes), bool)
        places = np.searchsorted(self._hashes, hashes)
        found: NDArray[np.bool_] = self._hashes[np.minimum(places, len(self._hashes) - 1)] == hashes
        return found


def _mixed(points: NDArray[np.uint32]) -> Hashes:
    """A number of 64 bits for each character."""
    wide = (points.astype(np.uint64) + np.uint64(1)) * _MIX
    return wide ^ (wide >> np.uint64(31))


def _power(count: int) -> np.uint64:
    return np.uint64(pow(_BASE, count, 1 << 64))


def _hashes_of(points: NDArray[np.uint32], length: int) -> Hashes:
    """Of each stretch of `length` ≥ 1: Σ cᵢ·Bⁿ⁻¹⁻ⁱ mod 2⁶⁴, put together of powers of two."""
    part, size = _mixed(points), 1
    whole, done = np.zeros(len(points) + 1, np.uint64), 0
    while True:
        if length & size:
            count = len(points) - done - size + 1
            whole = whole[:count] * _power(size) + part[done : done + count]
            done += size
        if done == length:
            return whole
        part = part[:-size] * _power(size) + part[size:]
        size *= 2


class _Tokens:
    """The characters of a vocabulary, and the hash of each beginning of each token."""

    def __init__(self, tokenizer: Tokenizer, most: int) -> None:
        """`most`: characters of a beginning."""
        self.pieces = [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]
        self.texts = [_text_of(piece) for piece in self.pieces]
        """None for tokens that are parts of characters."""
        self.broken = [token for token, text in enumerate(self.texts) if text is None]
        self.longest = max(map(len, self.pieces), default=1)  # in bytes, which are never fewer
        self.begins_word = np.array([(text or "x")[:1].isspace() for text in self.texts])
        ids, lengths, hashes = [], [], []
        for token, text in enumerate(self.texts):
            value = 0
            for length, number in enumerate(_mixed(as_points((text or "")[:most])).tolist(), 1):
                value = (value * _BASE + number) & _MASK
                ids.append(token)
                lengths.append(length)
                hashes.append(value)
        self.ids = np.array(ids, np.int64)
        self.lengths = np.array(lengths, np.int64)
        self.hashes = np.array(hashes, np.uint64)


class _Limit:
    """Which tokens complete a stretch of a text that is longer than so many characters."""

    def __init__(self, texts: Callable[[], Iterable[str]], tokens: _Tokens, at_most: int) -> None:
        self._tokens = tokens
        self._stretch = stretch = at_most + 1
        from textwright.data.text import coalesce  # reads files, which writing does without

        self._known = Stretches(map(as_points, coalesce(iter(texts()))), stretch)
        self.never = {
            token
            for token, text in enumerate(tokens.texts)
            if text and len(text) >= stretch and self._has_any(as_points(text), len(text))
        }
        """Those that are one by themselves."""
        self._before = max(1, stretch - min(tokens.longest, at_most))
        self._common = Stretches(map(as_points, coalesce(iter(texts()))), self._before)
        self._enough = tokens.lengths <= at_most
        self._powers = np.array([_power(n) for n in range(stretch)], np.uint64)

    def may_complete(self, written: NDArray[np.uint32]) -> bool:
        """Whether any token can, after these characters."""
        size = self._before
        return len(written) >= size and bool(
            self._common.has(_hashes_of(written[-size:], size)).any()
        )

    def completing(self, written: NDArray[np.uint32]) -> NDArray[np.int64]:
        """The ids of whole characters that do, together with the end of `written`."""
        tokens = self._tokens
        needed = self._stretch - tokens.lengths  # characters of `written`
        longest = min(len(written), self._stretch - 1)
        ends = np.zeros(longest + 1, np.uint64)  # hash of the last n characters, by n
        ends[1:] = np.cumsum(_mixed(written[::-1][:longest]) * self._powers[:longest])
        enough = self._enough & (needed <= longest)
        lengths, needed = tokens.lengths[enough], needed[enough]
        windows = ends[needed] * self._powers[lengths] + tokens.hashes[enough]
        return tokens.ids[enough][self._known.has(windows)]

    def completing_broken(self, written: NDArray[np.uint32], held: bytes) -> set[int]:
        """Of the tokens that are parts of characters, those that do after `held` bytes of one."""
        found = set()
        for token in self._tokens.broken:
            text = _ended(held, self._tokens.pieces[token])
            if text and self._has_any(np.concatenate([written, as_points(text)]), len(text)):
                found.add(token)
        return found

    def _has_any(self, points: NDArray[np.uint32], new: int) -> bool:
        """Whether a substring that ends within the last `new` characters is in the text."""
        points = points[-(self._stretch - 1 + new) :]
        return len(points) >= self._stretch and bool(
            self._known.has(_hashes_of(points, self._stretch)).any()
        )


class CopyGuard:
    """Which tokens a text may not go on with. Immutable, so threads may share it."""

    def __init__(
        self, texts: Callable[[], Iterable[str]], tokenizer: Tokenizer, at_most: int
    ) -> None:
        """
        Args:
            texts: the training text in pieces; `BETWEEN` separates two texts.
            tokenizer: of the model.
            at_most: N, characters.
        """
        self.at_most = check_copy_at_most(at_most)
        if tokenizer.lowercase:
            texts = partial(_lowered, texts)
        self._tokens = _Tokens(tokenizer, at_most)
        self._limit = _Limit(texts, self._tokens, at_most)
        self._word_limit = _Limit(texts, self._tokens, at_most - at_most // _LAST_PART)

    def piece(self, token: int) -> bytes:
        """The bytes that a token adds to a text."""
        return self._tokens.pieces[token]

    def new_text(self) -> GuardedText:
        """The guard of one text, which has no token yet."""
        return GuardedText(self)

    def banned(self, written: NDArray[np.uint32], held: bytes) -> list[int]:
        """The ids that the text may not go on with.

        Args:
            written: the last N characters of the text, or all of it.
            held: the bytes of a character that isn't complete.
        """
        limit, word_limit = self._limit, self._word_limit
        banned = set(limit.never)
        if limit.may_complete(written):
            banned |= limit.completing_broken(written, held)
            if not held:
                banned.update(limit.completing(written).tolist())
        if not held and word_limit.may_complete(written):
            completing = word_limit.completing(written)
            if not _is_letter(written[-1]):
                banned.update(completing.tolist())
            else:
                banned.update(completing[self._tokens.begins_word[completing]].tolist())
        return sorted(banned)


class GuardedText:
    """What one text has of a stretch so far."""

    def __init__(self, guard: CopyGuard) -> None:
        self._guard = guard
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._written = np.empty(0, np.uint32)

    def masked(self, logits: Floats, suppressed: Sequence[int]) -> Floats | None:
        """`logits`, (V,), without the tokens that are banned now.

        Args:
            logits: not changed.
            suppressed: ids that aren't drawn anyway.

        Returns:
            A copy where any are banned; None where nothing is left to draw.
        """
        banned = self._guard.banned(self._written, self._decoder.getstate()[0])
        if not banned:
            return logits
        logits = logits.copy()
        logits[banned] = -np.inf
        left = np.isfinite(logits)
        left[list(suppressed)] = False
        return logits if left.any() else None

    def wrote(self, token: int) -> None:
        """Note the next token of the text."""
        if text := self._decoder.decode(self._guard.piece(token)):
            points = np.concatenate([self._written, as_points(text)])
            self._written = points[-self._guard.at_most :]


def _is_letter(point: int) -> bool:
    return chr(point).isalpha()


def _text_of(piece: bytes) -> str | None:
    """The text of a token; None where it is no whole characters."""
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _ended(held: bytes, piece: bytes) -> str:
    """The characters that `piece` completes after `held`."""
    return codecs.getincrementaldecoder("utf-8")(errors="replace").decode(held + piece)


def _lowered(texts: Callable[[], Iterable[str]]) -> Iterable[str]:
    return (text.lower() for text in texts())


def as_points(text: str) -> NDArray[np.uint32]:
    """The code points of a text."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
