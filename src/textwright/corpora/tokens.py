"""Prepared text → a file of token ids that training maps into memory.

The text streams through the tokenizer a few megabytes at a time; memory does not grow with it.
The file is keyed by the text and the tokenizer, so it is made once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from textwright import atomic
from textwright.corpora.cache import cache_folder, holds, key_of, read_record, write_record
from textwright.corpora.largefile import LargeFile
from textwright.corpora.text import CHUNK, TextPart
from textwright.errors import TextwrightError

FORMAT = 1
"""Part of every key; raised when the same text and tokenizer would give another file."""


_WORD_CHUNK = 1 << 22
"""Bytes that a tokenizer of words or byte pairs gets at once, enough to keep its threads busy."""


class Tokenizer(Protocol):
    """What is needed of a tokenizer here; `textwright.tokenizers.Tokenizer` has it."""

    @property
    def kind(self) -> str:
        """`char` gives each character a token of its own, whatever stands around it."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def sha256(self) -> str: ...
    def encode_array(self, text: str) -> npt.NDArray[np.uint32]:
        """Token ids of `text`, shape (tokens,)."""

    def unknown_characters(self, text: str) -> Mapping[str, int]:
        """Characters of `text` that have no id and are left out, with how often they occur."""


@dataclass(frozen=True)
class TokenFile:
    """Token ids of a text, in a file."""

    path: Path
    dtype: np.dtype[Any]
    """Little-endian uint16, or uint32 where the vocabulary has more than 65,536 types."""
    tokens: int
    characters: int
    """Of the text, also those left out."""
    bytes: int
    unknown: dict[str, int]
    """Characters that the tokenizer does not have and left out, with how often."""

    @property
    def read_characters(self) -> int:
        """Characters that the tokens stand for: what a loss a character is counted by."""
        return self.characters - sum(self.unknown.values())

    @property
    def read_bytes(self) -> int:
        """Bytes that the tokens stand for: what a loss a byte is counted by."""
        left_out = sum(len(char.encode()) * count for char, count in self.unknown.items())
        return self.bytes - left_out

    def array(self) -> npt.NDArray[np.unsignedinteger[Any]]:
        """The ids (tokens,), mapped read-only."""
        if not self.tokens:
            return np.empty(0, self.dtype)
        return np.memmap(self.path, self.dtype, mode="r", shape=(self.tokens,))


def prepare_tokens(part: TextPart, tokenizer: Tokenizer, cache: Path | None = None) -> TokenFile:
    """The token ids of `part`, from the cache or made now.

    Raises:
        TextwrightError: the text or the cache can't be read or written.
    """
    dtype = np.dtype("<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4")
    key = key_of("tokens", FORMAT, part.content_key(), tokenizer.sha256, dtype.str)
    path = (cache or cache_folder()) / "tokens" / f"{key}.bin"
    record_path = path.with_suffix(".json")

    def found() -> TokenFile | None:
        record = read_record(record_path)
        if record is None or not holds(path, record.get("tokens", -1) * dtype.itemsize):
            return None
        return TokenFile(
            path, dtype, record["tokens"], part.characters, part.bytes, record["unknown"]
        )

    if ready := found():
        return ready
    unknown: Counter[str] = Counter()
    tokens = 0
    try:
        with atomic.replacing(path) as partial, LargeFile(partial) as file:
            for chunk in part.chunks(CHUNK if tokenizer.kind == "char" else _WORD_CHUNK):
                ids = tokenizer.encode_array(chunk).astype(dtype)
                file.write(ids.data)
                tokens += len(ids)
                if tokenizer.kind == "char" and len(ids) != len(chunk):
                    unknown.update(tokenizer.unknown_characters(chunk))
        write_record(record_path, {"tokens": tokens, "unknown": unknown})
    except TextwrightError:
        # Where files in use can't be replaced, another process may have been faster.
        if ready := found():
            return ready
        raise
    return TokenFile(path, dtype, tokens, part.characters, part.bytes, dict(unknown))
