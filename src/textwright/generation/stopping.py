"""Stop strings in a stream of text, of which no part may show."""

from __future__ import annotations

from collections.abc import Sequence

from textwright.errors import RequestError


class StopFilter:
    """Lets text through up to the first stop string.

    What might still become a stop string is held back. The stop string that is complete first
    counts, of several at once the longest; so it doesn't matter how the text is cut into pieces.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        """
        Raises:
            RequestError: a stop string is empty.
        """
        if not all(stops):
            raise RequestError("a stop string must not be empty; leave it out")
        self._stops = stops
        self._held = ""
        self.stopped = False

    @property
    def rest(self) -> str:
        """What was pushed but not let through: after a stop, the stop string and what follows."""
        return self._held

    def push(self, piece: str) -> str:
        """The text that is certain with one more `piece`."""
        if not self._stops:
            return piece
        text = self._held + piece
        found = [(start + len(stop), start) for stop in self._stops
                 if (start := text.find(stop)) >= 0]  # fmt: skip
        self.stopped = bool(found)
        cut = min(found)[1] if found else self._possible_start(text)
        self._held = text[cut:]
        return text[:cut]

    def flush(self) -> str:
        """At the end of the text: what was held back for nothing."""
        text, self._held = self._held, ""
        return text

    def _possible_start(self, text: str) -> int:
        """Where a stop string may have begun that is not complete."""
        longest = max(map(len, self._stops)) - 1
        for start in range(max(0, len(text) - longest), len(text)):
            ending = text[start:]
            if any(stop.startswith(ending) for stop in self._stops):
                return start
        return len(text)
