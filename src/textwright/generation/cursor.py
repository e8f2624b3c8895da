"""A model's position in a text: its state after what it has read, and the next token's logits.

Chunks end at fixed multiples, counted from where the text, or its current window, begins. So the
chunks of a prompt are a function of the prompt alone, and with them the bits of its logits, for a
stream that reads it at once and for the engine, which runs other jobs in between. Tokens before the
last window of a long prompt don't change what comes after it, so they aren't read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import chain, islice
from typing import Any

import numpy as np

from textwright.arrays import Floats, Tokens
from textwright.runtimes.base import Runtime

CHUNK = 32
"""Tokens read in one call: enough to reuse each weight, few enough not to delay other jobs."""


def count_unread(count: int, block: int | None) -> int:
    """How many of the first of `count` tokens a context of `block` has no room for: no `Cursor`
    reads them before it predicts the next one."""
    if block is None or count <= block:
        return 0
    half = block // 2
    stride = block - half
    return (count - 1 - half) // stride * stride


class Cursor:
    """Reads tokens, lazily: the model runs when `logits` is read.

    To read several texts together, pass each one's `chunk` and `state` to `Runtime.batch` and its
    results to `advance`, until nothing is `pending`.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.state: Any = runtime.initial_state()
        self._pending: deque[int] = deque()
        self._window: list[int] = []
        """Tokens that `state` holds, where it holds a limited number."""
        self._block = runtime.block_size
        self._logits: Floats | None = None

    def read(self, tokens: Iterable[int]) -> None:
        """Append `tokens` to what the next logits are conditioned on."""
        self._pending.extend(tokens)
        if self._block is not None and len(self._window) + len(self._pending) > self._block:
            self._slide_window(self._block)

    @property
    def pending(self) -> int:
        """How many tokens the model has yet to read."""
        return len(self._pending)

    @property
    def logits(self) -> Floats:
        """Of the next token, (V,). Raises `ValueError` before the first `read`."""
        while self._pending:
            logits, state = self.runtime(self.chunk(), self.state, last_only=True)
            self.advance(logits[0], state)
        if self._logits is None:
            raise ValueError("nothing read yet: there is nothing to continue")
        return self._logits

    def chunk(self) -> Tokens:
        """The tokens that `state` should read next, (T,), 1 ≤ T ≤ `CHUNK`."""
        pending = self._pending
        # Nearly always one token, for which `islice` would be slower
        return np.fromiter(pending if len(pending) == 1 else islice(pending, self._size), np.int64)

    def advance(self, logits: Floats, state: Any) -> None:
        """Store the results of reading `chunk`: the logits after it, (V,), and the new state."""
        window, pending = self._window, self._pending
        if len(pending) == 1:  # nearly always
            read = [pending.pop()]
        else:
            read = [pending.popleft() for _ in range(min(self._size, len(pending)))]
        if self._block is not None:
            window += read
        self._logits, self.state = logits, state

    def copy(self) -> Cursor:
        """An independent cursor at the same position."""
        other = object.__new__(Cursor)
        other.runtime = self.runtime
        other.state = self.state.copy()
        other._pending = self._pending.copy()
        other._window = self._window.copy()
        other._block = self._block
        other._logits = self._logits
        return other

    @property
    def _size(self) -> int:
        """Tokens of the next chunk at most: up to the next multiple of `CHUNK` in the window."""
        return CHUNK - len(self._window) % CHUNK

    def _slide_window(self, block: int) -> None:
        """Restart with the window that the last pending token belongs to.

        Windows of B tokens begin at the multiples of B − H, H = B // 2: when one is full, its last
        H tokens are encoded again. Counted from the start of this window, the last of n tokens is
        in the window that begins at (n − 1 − H) // (B − H) of these strides.
        """
        start = count_unread(len(self._window) + len(self._pending), block)
        self._pending = deque(islice(chain(self._window, self._pending), start, None))
        self._window = []
        self.state = self.runtime.initial_state()
