"""States of prompts that were read, so that what a prompt begins with is not read again.

A state is kept after a whole number of chunks from a text's beginning, where it is a function of
the tokens before it alone: so a text is the same to the bit whether its prompt was read or found. A
KV cache serves every shorter beginning, too; of a recurrent model, whose states are small, several
are kept along a prompt.
"""

from __future__ import annotations

import hashlib
import threading
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from textwright.generation.cursor import CHUNK, Cursor
from textwright.runtimes.base import Runtime
from textwright.runtimes.kv_cache import Window

MEMORY = 256 << 20
"""Bytes of states that are kept, by default."""
STRIDE = 8
"""Chunks between the states that are kept of a recurrent model's prompt, beside the last."""


class _Entry(NamedTuple):
    runtime: weakref.ref[Runtime]
    """Weak: a model that was replaced is gone when its texts are."""
    state: Any
    keys: list[bytes]
    size: int


class Prefix:
    """The beginnings of one prompt, in whole chunks, and which of them are worth keeping."""

    def __init__(self, tokens: Sequence[int], is_window: bool) -> None:
        digest = hashlib.blake2b(digest_size=16)
        self.keys: list[bytes] = []
        """Of the first 1, 2 … chunks; a token at least is left to read, for its logits."""
        ids = np.asarray(tokens, np.int64)
        for end in range(CHUNK, len(tokens), CHUNK):
            digest.update(ids[end - CHUNK : end].tobytes())
            self.keys.append(digest.digest())
        self.is_window = is_window
        self.read = 0
        """Tokens so far."""

    def key(self) -> bytes | None:
        """Of the state after what was read, where that is to be kept."""
        chunks, rest = divmod(self.read, CHUNK)
        if rest or not 0 < chunks <= len(self.keys):
            return None
        is_last = chunks == len(self.keys)
        return self.keys[chunks - 1] if is_last or self._is_between(chunks) else None

    def _is_between(self, chunks: int) -> bool:
        return not self.is_window and chunks % STRIDE == 0


class PrefixCache:
    """States by what was read, of several models; the one used longest ago goes first. Any thread
    may use it."""

    def __init__(self, memory: int = MEMORY) -> None:
        """
        Args:
            memory: bytes of states at most; 0 keeps none.
        """
        self.memory = memory
        self.used = 0
        """Bytes."""
        self._entries: OrderedDict[int, _Entry] = OrderedDict()
        self._places: weakref.WeakKeyDictionary[Any, dict[bytes, int]] = weakref.WeakKeyDictionary()
        self._next = 0
        self._lock = threading.Lock()

    def resume(self, cursor: Cursor) -> tuple[Prefix | None, int]:
        """Bring a cursor that has read nothing as far as a state reaches.

        Returns:
            What the prompt begins with, for `keep`; None where it is short. And how many tokens
            need not be read.
        """
        if not self.memory or cursor.pending <= CHUNK:
            return None, 0
        prefix = Prefix(cursor.unread, isinstance(cursor.state, Window))
        with self._lock:
            places = self._places.get(cursor.runtime, {})
            chunks = len(prefix.keys)
            while chunks and prefix.keys[chunks - 1] not in places:
                chunks -= 1
            if not chunks:
                return prefix, 0
            number = places[prefix.keys[chunks - 1]]
            self._entries.move_to_end(number)
            state = self._entries[number].state
        prefix.read = chunks * CHUNK
        copy = state.copy(prefix.read) if isinstance(state, Window) else state.copy()
        cursor.resume(copy, prefix.read)
        return prefix, prefix.read

    def keep(self, prefix: Prefix, cursor: Cursor) -> None:
        """Keep the state of a cursor that has read `prefix.read` tokens, if it is worth it."""
        key = prefix.key()
        if key is None:
            return
        with self._lock:
            places = self._places.setdefault(cursor.runtime, {})
            if key in places:
                return
        state = cursor.state.copy()
        size = int(state.nbytes)
        if size > self.memory // 2:
            return
        keys = prefix.keys[: prefix.read // CHUNK] if prefix.is_window else [key]
        with self._lock:
            number = self._next
            self._next += 1
            self._entries[number] = _Entry(weakref.ref(cursor.runtime), state, keys, size)
            self.used += size
            for each in keys:
                places[each] = number
            while self.used > self.memory:
                self._drop(*self._entries.popitem(last=False))

    def _drop(self, number: int, entry: _Entry) -> None:
        self.used -= entry.size
        runtime = entry.runtime()
        places = self._places.get(runtime, {}) if runtime is not None else {}
        for key in entry.keys:
            if places.get(key) == number:
                del places[key]
