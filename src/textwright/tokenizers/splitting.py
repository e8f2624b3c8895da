"""Places where a text may be cut without changing its tokens, and fast encoding built on them.

In every kind of tokenizer here, a token that holds white space holds it at its start or holds
nothing else. So a cut between a character and the run of white space after it separates two
tokens, and leaves what normalisation and splitting do on both sides as it was.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import tokenizers

WHITE_SPACE = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""Unicode's White_Space, as the inside of a character class. What Python calls `\\s` has four
more, U+001C to U+001F, which the `tokenizers` library takes for ordinary characters."""

_CHUNK = re.compile(rf"[{WHITE_SPACE}]*[^{WHITE_SPACE}]+|[{WHITE_SPACE}]+")
_CUT = re.compile(rf"(?<=[^{WHITE_SPACE}])[{WHITE_SPACE}]")

_REMEMBERED = 1 << 18
"""Chunks whose ids are kept, at most; about 60 MB."""

_LONG = 32
"""Characters of a chunk that is too long to come again."""


def pieces(text: str, size: int) -> Iterator[str]:
    """Cut `text` into pieces of `size` characters, or as few more as a safe cut asks for."""
    start = 0
    while start < len(text):
        cut = _CUT.search(text, start + size)
        end = cut.start() if cut else len(text)
        yield text[start:end]
        start = end


def split_chunks(text: str) -> list[str]:
    """`text` cut wherever it may be: white space and what follows it, mostly a word."""
    return _CHUNK.findall(text)


class ChunkEncoder:
    """Encodes running text by remembering the ids of what it has met before.

    Most chunks are words that come again and again; new ones go through the library. The ids are
    the library's own, several times faster than it gives them for a whole text.
    """

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        """Encode as `backend` does."""
        self._backend = backend
        self._known: dict[str, list[int]] = {}

    def encode(self, text: str) -> npt.NDArray[np.uint32]:
        """The ids of `text`, shape (tokens,)."""
        return np.fromiter(self._ids_of(split_chunks(text)), np.uint32)

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each of `texts`; many short ones cost little more than one long one."""
        split = [split_chunks(text) for text in texts]
        ids = self._by_chunk([chunk for chunks in split for chunk in chunks])
        return [
            list(itertools.chain.from_iterable(map(ids.__getitem__, chunks))) for chunks in split
        ]

    def _ids_of(self, chunks: list[str]) -> Iterator[int]:
        return itertools.chain.from_iterable(map(self._by_chunk(chunks).__getitem__, chunks))

    def _by_chunk(self, chunks: list[str]) -> dict[str, list[int]]:
        """The ids of each of `chunks`."""
        known = self._known
        new = [chunk for chunk in dict.fromkeys(chunks) if chunk not in known]
        encodings = self._backend.encode_batch_fast(new, add_special_tokens=False)
        fresh = {chunk: encoding.ids for chunk, encoding in zip(new, encodings, strict=True)}
        # A new dictionary, never a changed one: another thread may be reading the old
        known = {**known, **fresh} if fresh else known
        if fresh:
            kept = {chunk: ids for chunk, ids in known.items() if len(chunk) <= _LONG}
            self._known = kept if len(kept) <= _REMEMBERED else {}
        return known
