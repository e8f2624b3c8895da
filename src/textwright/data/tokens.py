"""Prepared text → a file of token ids that training maps into memory.

The text is streamed through the tokenizer a few megabytes at a time, in constant memory. The cache
key is made of the text and the tokenizer, so the file is made once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from textwright import atomic
from textwright.data.formats.conversations import Conversation
from textwright.data.prepared_conversations import ConversationPart
from textwright.data.sources.cache import (
    LargeFile,
    cache_folder,
    cache_key,
    has_size,
    read_record,
    write_record,
)
from textwright.data.text import CHUNK, TextPart
from textwright.errors import TextwrightError

Tokens: TypeAlias = npt.NDArray[np.uint16] | npt.NDArray[np.uint32] | npt.NDArray[np.int32]
"""Token ids, (tokens,); negative ones are complements (`~id`), which the loss leaves out."""

LossOn: TypeAlias = Literal["both", "assistant"]
"""Whose turns of a conversation count in the loss."""

FORMAT = 1
"""Part of every cache key; raised when the same text and tokenizer would give another file."""

_WORD_CHUNK = 1 << 22
"""Bytes that a `word` or `bpe` tokenizer encodes at once, enough to keep its threads busy."""


class Tokenizer(Protocol):
    """The interface that is needed here, of `textwright.tokenizers.Tokenizer`."""

    @property
    def kind(self) -> str:
        """`char`, `word` or `bpe`; `char` encodes each character by itself."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def sha256(self) -> str: ...
    def encode_array(self, text: str) -> npt.NDArray[np.uint32]:
        """Token ids of `text`, shape (tokens,)."""

    def unknown_characters(self, text: str) -> Mapping[str, int]:
        """Characters of `text` that have no id and are left out, with how often they occur."""

    def encode_conversations(
        self, conversations: Sequence[Conversation], loss_on: LossOn
    ) -> npt.NDArray[np.int64]:
        """Ids of formatted conversations, concatenated, (tokens,); complements (`~id`) where
        `loss_on` leaves a token out of the loss."""


@dataclass(frozen=True)
class TokenFile:
    """A file of token ids."""

    path: Path
    dtype: np.dtype[Any]
    """Little-endian uint16, or uint32 for vocabularies of over 65,536 types; int32 where there are
    complements."""
    tokens: int
    characters: int
    """Of the text, unknown ones included."""
    bytes: int
    unknown: dict[str, int]
    """Count of each character that the vocabulary lacks; they were left out."""
    counted: int
    """Tokens that count in the loss."""

    @property
    def read_characters(self) -> int:
        """Characters that the tokens decode to: the unit of a loss a character."""
        return self.characters - sum(self.unknown.values())

    @property
    def read_bytes(self) -> int:
        """Bytes that the tokens decode to: the unit of a loss a byte."""
        unknown = sum(len(char.encode()) * count for char, count in self.unknown.items())
        return self.bytes - unknown

    def array(self) -> Tokens:
        """The ids, (tokens,), memory-mapped read-only."""
        if not self.tokens:
            return np.empty(0, self.dtype)
        return np.memmap(self.path, self.dtype, mode="r", shape=(self.tokens,))


def prepare_tokens(
    part: TextPart, tokenizer: Tokenizer, cache: Path | None = None, *, loss_on: LossOn = "both"
) -> TokenFile:
    """The token ids of `part`, from the cache or made now.

    Args:
        part: running text, or conversations.
        tokenizer: for the same.
        cache: instead of `cache_folder()`.
        loss_on: for conversations, whose turns count in the loss.

    Raises:
        TextwrightError: the text or the cache can't be read or written.
    """
    is_chat = isinstance(part, ConversationPart)
    dtype: np.dtype[Any] = np.dtype("<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4")
    if is_chat and loss_on != "both":
        dtype = np.dtype("<i4")
    options = (loss_on,) if is_chat else ()
    key = cache_key("tokens", FORMAT, part.content_key(), tokenizer.sha256, dtype.str, *options)
    path = (cache or cache_folder()) / "tokens" / f"{key}.bin"
    record_path = path.with_suffix(".json")

    def cached() -> TokenFile | None:
        record = read_record(record_path)
        if record is None or not has_size(path, record.get("tokens", -1) * dtype.itemsize):
            return None
        tokens, counted = record["tokens"], record.get("counted", record["tokens"])
        characters = record.get("characters", part.characters)
        size = record.get("bytes", part.text_bytes)
        return TokenFile(path, dtype, tokens, characters, size, record["unknown"], counted)

    if file := cached():
        return file
    try:
        with atomic.replacing(path) as partial, LargeFile(partial) as out:
            if isinstance(part, ConversationPart):
                record = _write_conversations(part, tokenizer, loss_on, dtype, out)
            else:
                record = _write_text(part, tokenizer, dtype, out)
        write_record(record_path, record)
    except TextwrightError:
        # Where files in use can't be replaced (Windows), another process may have been faster.
        if file := cached():
            return file
        raise
    file = cached()
    assert file is not None, "just written"
    return file


def _write_text(
    part: TextPart, tokenizer: Tokenizer, dtype: np.dtype[Any], file: LargeFile
) -> dict[str, Any]:
    unknown: Counter[str] = Counter()
    tokens = 0
    for chunk in part.chunks(CHUNK if tokenizer.kind == "char" else _WORD_CHUNK):
        ids = tokenizer.encode_array(chunk).astype(dtype)
        file.write(ids.data)
        tokens += len(ids)
        if tokenizer.kind == "char" and len(ids) != len(chunk):
            unknown.update(tokenizer.unknown_characters(chunk))
    return {"tokens": tokens, "unknown": unknown}


def _write_conversations(
    part: ConversationPart,
    tokenizer: Tokenizer,
    loss_on: LossOn,
    dtype: np.dtype[Any],
    file: LargeFile,
) -> dict[str, Any]:
    """Concatenate the conversations, without padding."""
    unknown: Counter[str] = Counter()
    tokens = counted = characters = size = 0
    for batch in _batches(part.conversations()):
        ids = tokenizer.encode_conversations(batch, loss_on)
        file.write(ids.astype(dtype).data)
        tokens += len(ids)
        counted += int((ids >= 0).sum())
        for role, words in (turn for conversation in batch for turn in conversation):
            if loss_on in ("both", role):
                characters += len(words)
                size += len(words.encode())
                if tokenizer.kind == "char":
                    unknown.update(tokenizer.unknown_characters(words))
    return {
        "tokens": tokens,
        "counted": counted,
        "characters": characters,
        "bytes": size,
        "unknown": unknown,
    }


def _batches(conversations: Iterable[Conversation]) -> Iterator[list[Conversation]]:
    """Conversations in batches of at least `_WORD_CHUNK` characters."""
    batch: list[Conversation] = []
    length = 0
    for conversation in conversations:
        batch.append(conversation)
        length += sum(len(words) for _, words in conversation)
        if length >= _WORD_CHUNK:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch
