"""A model's place in a text: what it has read, and what it expects next.

Reading is cut into chunks at fixed multiples from where a text, or a window of it, begins. So how
a prompt is cut is a function of the prompt alone, whoever reads it: a stream that reads it at once,
or the engine, which lets others write in between. What stands before the last window of a long
prompt makes no difference to what comes after it, so it isn't read.
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
"""Tokens read at once: enough to share the work on the weights, few enough not to be waited for."""


class Cursor:
    """Reads tokens and tells the logits of the one to come.

    Reading waits until the logits are asked for. Who wants to read several texts together takes
    `chunk` and `state` instead, hands them to `Runtime.batch`, and puts the outcome in with
    `advance`, until nothing is `unread`.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.state: Any = runtime.initial_state()
        self._unread: deque[int] = deque()
        self._window: list[int] = []
        """Tokens that `state` holds, where it holds a limited number."""
        self._block = runtime.block_size
        self._logits: Floats | None = None

    def read(self, tokens: Iterable[int]) -> None:
        """Go on after `tokens`."""
        self._unread.extend(tokens)
        if self._block is not None and len(self._window) + len(self._unread) > self._block:
            self._turn_page(self._block)

    @property
    def unread(self) -> int:
        """Tokens still to be read before the logits are known."""
        return len(self._unread)

    @property
    def logits(self) -> Floats:
        """Of the next token, (V,). At least one token must have been read."""
        while self._unread:
            logits, state = self.runtime(self.chunk(), self.state, last_only=True)
            self.advance(logits[0], state)
        if self._logits is None:
            raise ValueError("nothing read yet: there is nothing to continue")
        return self._logits

    def chunk(self) -> Tokens:
        """The tokens to read next, after `state`; (T,), 1 ≤ T ≤ `CHUNK`."""
        unread = self._unread
        # One token, nearly always
        return np.fromiter(unread if len(unread) == 1 else islice(unread, self._size), np.int64)

    def advance(self, logits: Floats, state: Any) -> None:
        """Take note of what reading the last `chunk` gave: the logits after it, (V,)."""
        window, unread = self._window, self._unread
        if len(unread) == 1:  # nearly always
            read = [unread.pop()]
        else:
            read = [unread.popleft() for _ in range(min(self._size, len(unread)))]
        if self._block is not None:
            window += read
        self._logits, self.state = logits, state

    def copy(self) -> Cursor:
        """Another cursor at the same place."""
        other = object.__new__(Cursor)
        other.runtime = self.runtime
        other.state = self.state.copy()
        other._unread = self._unread.copy()
        other._window = self._window.copy()
        other._block = self._block
        other._logits = self._logits
        return other

    @property
    def _size(self) -> int:
        """Of the next chunk, at most: to the next of the multiples at which a window is cut."""
        return CHUNK - len(self._window) % CHUNK

    def _turn_page(self, block: int) -> None:
        """Begin the window of the last unread token, if `state` doesn't hold it yet.

        Windows of B tokens begin at the multiples of B − H, H = B // 2: when one is full, its last
        H tokens are encoded anew. Counted from where this window begins, the last of n tokens is in
        the window that begins at (n − 1 − H) // (B − H) of these strides.
        """
        half = block // 2
        stride = block - half
        held = len(self._window)
        start = (held + len(self._unread) - 1 - half) // stride * stride
        self._unread = deque(islice(chain(self._window, self._unread), start, None))
        self._window = []
        self.state = self.runtime.initial_state()
