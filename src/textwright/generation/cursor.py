"""A model's position in a text: its state after what it has read, and the next token's logits.

Chunks end at fixed multiples, counted from where the text, or its current window, begins. So the
chunks of a prompt are a function of the prompt alone, and with them the bits of its logits, for a
stream that reads it at once and for the engine, which runs other jobs in between. Tokens before the
last window of a long prompt don't change what comes after it, so they aren't read.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import chain, islice, repeat
from typing import Any, NamedTuple

import numpy as np

from textwright.arrays import Floats, Tokens
from textwright.kernels.sampling import Pending
from textwright.runtimes.base import Runtime, Writer

CHUNK = 32
"""Tokens read in one call: enough to reuse each weight, few enough not to delay other jobs."""
MOST_AHEAD = 32
"""Tokens drawn in one call at most: what a call costs in Python is little beside so many."""
BYTES_AHEAD = 1 << 27
"""Of weights read in one call at most: 5 ms of memory's time, which no reader of a text notices."""
LOGITS_AHEAD = 1 << 20
"""Logits kept of one call at most."""


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

    @property
    def unread(self) -> list[int]:
        """The tokens that are pending."""
        return list(self._pending)

    def resume(self, state: Any, count: int) -> None:
        """Take `state`, in which the first `count` of the pending tokens were read, whole chunks
        from the beginning, in place of reading them."""
        read = [self._pending.popleft() for _ in range(count)]
        if self._block is not None:
            self._window += read
        self.state = state

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
    def room(self) -> int:
        """How many tokens more the state can hold."""
        return sys.maxsize if self._block is None else self._block - len(self._window)

    @property
    def next_token(self) -> int:
        """The first of those pending."""
        return self._pending[0]

    def wrote(self, tokens: list[int]) -> None:
        """Note that the pending token and all of `tokens` but the last were read."""
        if self._block is not None:
            self._window += (*self._pending, *tokens[:-1])
        self._pending.clear()
        self.read(tokens[-1:])

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


class Draft(NamedTuple):
    """A text of which tokens are to be drawn ahead of their acceptance."""

    cursor: Cursor
    """One token of it is pending."""
    sampler: int
    """The address of its sampler in C."""
    most: int
    """Tokens, 1 at least."""
    keep_logits: bool


def write_ahead(
    drafts: Sequence[Draft | None],
) -> list[list[tuple[int, Floats | None]]] | None:
    """Read the pending token of each text, draw the next, read that, and so on, in one call.

    How many: what takes a few milliseconds, so that whoever waits for a token has it soon. Texts
    are the same however many it is.

    Args:
        drafts: of one runtime; None for a text whose tokens are drawn one by one.

    Returns:
        The tokens of each, with the logits that they were drawn from where they are kept; None
        where tokens have to be drawn one by one, from `Cursor.logits`.

    Raises:
        Exception: the runtime failed; nothing was drawn.
    """
    texts = [draft for draft in drafts if draft is not None and draft.cursor.pending == 1]
    runtime = texts[0].cursor.runtime if texts else None
    if runtime is None or len(texts) < len(drafts) or not isinstance(runtime, Writer):
        return None
    size = runtime.vocab_size
    # Four texts take about as long as one, whose weights are what is waited for.
    most = 4 * BYTES_AHEAD // (max(4, len(texts)) * max(1, runtime.weight_bytes))
    most = max(1, min(most, MOST_AHEAD, LOGITS_AHEAD // (size * len(texts))))
    pending: list[Pending] = []
    for cursor, sampler, count, keep_logits in texts:
        limit = min(most, cursor.room, count)
        logits = np.empty((limit, size), np.float32) if keep_logits else None
        pending.append(Pending(cursor.state, sampler, cursor.next_token, limit, logits))
    drawn = runtime.write(pending)
    for draft, tokens in zip(texts, drawn, strict=True):
        draft.cursor.wrote(tokens)
    return [
        list(zip(tokens, repeat(None) if text.logits is None else text.logits, strict=False))
        for tokens, text in zip(drawn, pending, strict=True)
    ]
