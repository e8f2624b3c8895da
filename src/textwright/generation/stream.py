"""One text as it is generated, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator

from textwright.generation.continuation import Continuation
from textwright.generation.cursor import Cursor
from textwright.generation.results import FinishReason, Generation, Step


class Stream(Iterator[str]):
    """Iterates over the continuation in pieces of whole characters, as they come.

    `steps` iterates over its tokens instead. `generation` is the result, also after a loop that was
    left before the end.
    """

    def __init__(self, cursor: Cursor, continuation: Continuation) -> None:
        """
        Args:
            cursor: has read the prompt; it is used, not copied.
            continuation: of that prompt, without a token yet.
        """
        self.cursor = cursor
        self._continuation = continuation

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the text ended; None before it did."""
        return self._continuation.finish_reason

    @property
    def generation(self) -> Generation:
        """The text so far and how it ended; `length` where it was left before its end."""
        return self._continuation.generation

    def __next__(self) -> str:
        while not (piece := self._continuation.take()):
            if self.finish_reason is not None:
                raise StopIteration
            self.step()
        return piece

    def steps(self) -> Iterator[Step]:
        """The tokens one by one, to the end of the text."""
        while (step := self.step()) is not None:
            yield step

    def step(self) -> Step | None:
        """Draw one token; None where the text has ended."""
        if self._continuation.finish_reason is not None:
            return None
        logits = self.cursor.logits
        drawn = self._continuation.push(logits)
        if drawn is None:
            return None
        self.cursor.read((drawn[0],))
        return Step(*drawn, logits)
