"""Incremental decoding, at constant cost a token."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class TextStream:
    """An incremental decoder; its output, joined, equals `decode` of all ids.

    In every kind of tokenizer here an id decodes to the same bytes wherever it occurs. So nothing
    is decoded twice; only the bytes of an incomplete character are held back. Invalid UTF-8 becomes
    U+FFFD, as in `decode`.
    """

    def __init__(self, pieces: Sequence[bytes]) -> None:
        """`pieces`: the bytes of each id."""
        self._pieces = pieces
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token: int) -> str:
        """The text that the id `token` completes; may be empty."""
        return self._decoder.decode(self._pieces[token])

    def flush(self) -> str:
        """The rest, at the end: U+FFFD for an incomplete character, or ''."""
        return self._decoder.decode(b"", final=True)
