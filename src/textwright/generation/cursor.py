"""A model's place in a text: what it has read, and what it expects next."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from textwright.generation.runtime import Floats, Runtime


class Cursor:
    """Reads tokens and tells the logits of the one to come; reading waits until they are asked."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._state: Any = runtime.initial_state()
        self._unread: list[int] = []
        self._logits: Floats | None = None

    def read(self, tokens: Iterable[int]) -> None:
        self._unread.extend(tokens)

    @property
    def logits(self) -> Floats:
        """Of the next token, (V,). At least one token must have been read."""
        if self._unread:
            logits, self._state = self.runtime(
                np.array(self._unread, np.int64), self._state, last_only=True
            )
            self._logits = logits[0]
            self._unread = []
        if self._logits is None:
            raise ValueError("nothing read yet: there is nothing to continue")
        return self._logits

    def copy(self) -> Cursor:
        """Another cursor at the same place."""
        other = object.__new__(Cursor)
        other.runtime = self.runtime
        other._state = self._state.copy()
        other._unread = self._unread.copy()
        other._logits = self._logits
        return other
