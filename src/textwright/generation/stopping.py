"""Stop strings in a stream of text; no part of one is passed on."""

from __future__ import annotations

from collections.abc import Sequence

from textwright.errors import RequestError


class StopFilter:
    """Passes text on up to the first stop string.

    The end of the text that may be the start of a stop string is buffered. The stop string that is
    complete first counts, of several at once the longest; so how the text is cut into pieces makes
    no difference.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        """
        Raises:
            RequestError: a stop string is empty.
        """
        if not all(stops):
            raise RequestError("a stop string must not be empty; leave it out")
        self._stops = stops
        self._buffer = ""
        self.stopped = False

    def push(self, piece: str) -> str:
        """The text that can be passed on after one more `piece`."""
        if not self._stops:
            return piece
        text = self._buffer + piece
        found = [(start + len(stop), start) for stop in self._stops
                 if (start := text.find(stop)) >= 0]  # fmt: skip
        self.stopped = bool(found)
        cut = min(found)[1] if found else self._possible_start(text)
        self._buffer = text[cut:]
        return text[:cut]

    def flush(self) -> str:
        """At the end of the text: the rest of it, which is no stop string."""
        text, self._buffer = self._buffer, ""
        return text

    def _possible_start(self, text: str) -> int:
        """The index where an incomplete stop string may begin, or the length of `text`."""
        longest = max(map(len, self._stops)) - 1
        for start in range(max(0, len(text) - longest), len(text)):
            suffix = text[start:]
            if any(stop.startswith(suffix) for stop in self._stops):
                return start
        return len(text)
