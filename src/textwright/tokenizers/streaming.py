"""Decoding one token at a time, at a flat cost a token."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class TextStream:
    """Turns ids into text as they come; what it returned, joined, is `decode` of all ids.

    Every kind of tokenizer here decodes token by token: an id stands for the same bytes wherever
    it occurs. So nothing is ever decoded twice; only the first bytes of a character whose last
    ones are still to come are held back. Bytes that can't be UTF-8 become U+FFFD, as in `decode`.
    """

    def __init__(self, pieces: Sequence[bytes]) -> None:
        """Decode ids into `pieces`, the bytes that each id stands for."""
        self._pieces = pieces
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token: int) -> str:
        """The text that is complete now that the id `token` has come; often of one token."""
        return self._decoder.decode(self._pieces[token])

    def flush(self) -> str:
        """What is left at the end: U+FFFD for a character that never became complete, or ''."""
        return self._decoder.decode(b"", final=True)
