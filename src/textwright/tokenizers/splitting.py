"""Cutting a text without changing its tokens, and a fast encoder built on that.

In every kind of tokenizer here, white space is at the start of a token or is all of it. So a cut
between a character and the white space after it is a token boundary, and normalization and
pre-tokenization of both sides are as of the whole.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import tokenizers

WHITE_SPACE = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""Unicode's White_Space, as the inside of a character class. Python's `\\s` has four more, U+001C
to U+001F, which aren't white space to the `tokenizers` library."""

_CHUNK = re.compile(rf"[{WHITE_SPACE}]*[^{WHITE_SPACE}]+|[{WHITE_SPACE}]+")
_CUT = re.compile(rf"(?<=[^{WHITE_SPACE}])[{WHITE_SPACE}]")

_MAX_CACHED = 1 << 18
"""Chunks in the cache; about 60 MB."""

_MAX_CACHED_LENGTH = 32
"""Characters of a chunk; longer ones hardly recur."""


def pieces(text: str, size: int) -> Iterator[str]:
    """Cut `text` into pieces of `size` characters, or up to the first safe cut after that."""
    start = 0
    while start < len(text):
        cut = _CUT.search(text, start + size)
        end = cut.start() if cut else len(text)
        yield text[start:end]
        start = end


def split_chunks(text: str) -> list[str]:
    """`text` at all safe cuts: white space and what follows it, mostly a word."""
    return _CHUNK.findall(text)


class ChunkEncoder:
    """Encodes running text with a cache of the ids of chunks.

    Most chunks are words that recur; the library encodes new ones. The ids are the library's own,
    several times faster than encoding the whole text.
    """

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        """Encode as `backend` does."""
        self._backend = backend
        self._cache: dict[str, list[int]] = {}

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
        """A dictionary with the ids of at least `chunks`."""
        cache = self._cache
        new = [chunk for chunk in dict.fromkeys(chunks) if chunk not in cache]
        encodings = self._backend.encode_batch_fast(new, add_special_tokens=False)
        fresh = {chunk: encoding.ids for chunk, encoding in zip(new, encodings, strict=True)}
        if not fresh:
            return cache
        # A new dictionary, never a changed one: another thread may be reading the old
        ids = {**cache, **fresh}
        short = {chunk: value for chunk, value in ids.items() if len(chunk) <= _MAX_CACHED_LENGTH}
        self._cache = short if len(short) <= _MAX_CACHED else {}
        return ids
