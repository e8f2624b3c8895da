"""Incremental decoding, at constant cost a token, and where in the text each token is."""

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


class TokenPlaces:
    """Where in the decoded text each token begins, in characters: places never go back.

    A token that is part of a character is where the character is, one without text where the next
    text comes.
    """

    def __init__(self, pieces: Sequence[bytes]) -> None:
        """`pieces`: the bytes of each id."""
        self._pieces = pieces
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._length = 0  # of the text so far, without an incomplete character

    def push(self, token: int) -> int:
        """The place of the id `token`, which comes next."""
        piece = self._pieces[token]
        if not piece:
            return self._length
        # Its first byte may complete a character, begin one, or show that the last one was invalid
        text = self._decoder.decode(piece[:1])
        place = self._length + len(text)
        if text and not self._decoder.getstate()[0]:
            place -= 1
        self._length += len(text) + len(self._decoder.decode(piece[1:]))
        return place
