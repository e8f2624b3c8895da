"""Prepared text → a file of token ids that training maps into memory.

The text is streamed through the tokenizer a few megabytes at a time, in constant memory. The cache
key is made of the text and the tokenizer, so the file is made once.
"""

from __future__ import annotations

import math
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

FORMAT = 2
"""Part of every cache key; raised when the same text and tokenizer would give another file."""

_WORD_CHUNK = 1 << 22
_AT_ONCE = 1 << 22
"""Tokens that are counted together."""
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
    @property
    def unk_id(self) -> int | None: ...
    def encode_array(self, text: str) -> npt.NDArray[np.uint32]:
        """Token ids of `text`, shape (tokens,)."""

    def unknown_characters(self, text: str) -> Mapping[str, int]:
        """Characters of `text` that have no id and are left out, with how often they occur."""

    def hidden_bits(self, texts: Iterable[str]) -> float:
        """The bits that tell what the ids of `texts` don't."""

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
    unk_tokens: int
    """Those of them that are `<unk>`."""
    hidden_bits: float | None = None
    """What it takes to tell what the tokens don't: unknown words, characters that were left out,
    capitals. None where it wasn't asked for."""

    @property
    def unknown_characters(self) -> int:
        """How many characters were left out."""
        return sum(self.unknown.values())

    @property
    def unknown_share(self) -> float:
        """The share of tokens that are `<unk>`, and of characters that were left out."""
        left_out = self.unknown_characters
        return (self.unk_tokens + left_out) / max(1, self.counted + left_out)

    def bits_per_char(self, loss: float) -> float:
        """Bits a character of the text: those of the tokens, whose mean is `loss` nats, and those
        of what they hide. Comparable between tokenizers."""
        return self._bits(loss) / self.characters

    def bits_per_byte(self, loss: float) -> float:
        """As `bits_per_char`, a byte."""
        return self._bits(loss) / self.bytes

    def _bits(self, loss: float) -> float:
        assert self.hidden_bits is not None, "prepare the tokens with hidden=True"
        return self.counted * loss / math.log(2) + self.hidden_bits

    def array(self) -> Tokens:
        """The ids, (tokens,), memory-mapped read-only."""
        if not self.tokens:
            return np.empty(0, self.dtype)
        return np.memmap(self.path, self.dtype, mode="r", shape=(self.tokens,))

    def counts(self, vocab_size: int) -> npt.NDArray[np.int64]:
        """How often each token stands there, also where it doesn't count in the loss,
        (vocab_size,)."""
        total, tokens = np.zeros(vocab_size, np.int64), self.array()
        for begin in range(0, len(tokens), _AT_ONCE):
            some = tokens[begin : begin + _AT_ONCE].astype(np.int64)
            total += np.bincount(np.where(some < 0, ~some, some), minlength=vocab_size)
        return total


def prepare_tokens(
    part: TextPart,
    tokenizer: Tokenizer,
    cache: Path | None = None,
    *,
    loss_on: LossOn = "both",
    hidden: bool = False,
) -> TokenFile:
    """The token ids of `part`, from the cache or made now.

    Args:
        part: running text, or conversations.
        tokenizer: for the same.
        cache: instead of `cache_folder()`.
        loss_on: for conversations, whose turns count in the loss.
        hidden: also find `hidden_bits`, for a text to evaluate on.

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
        bits = record.get("hidden_bits")
        if hidden and bits is None:
            bits = tokenizer.hidden_bits(_texts(part, loss_on))
            write_record(record_path, {**record, "hidden_bits": bits})
        return TokenFile(
            path, dtype, tokens, characters, size, record["unknown"], counted,
            record["unk_tokens"], bits,
        )  # fmt: skip

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
    tokens = unk_tokens = 0
    for chunk in part.chunks(CHUNK if tokenizer.kind == "char" else _WORD_CHUNK):
        ids = tokenizer.encode_array(chunk).astype(dtype)
        file.write(ids.data)
        tokens += len(ids)
        unk_tokens += _count(ids, tokenizer.unk_id)
        if tokenizer.kind == "char" and len(ids) != len(chunk):
            unknown.update(tokenizer.unknown_characters(chunk))
    return {"tokens": tokens, "unknown": unknown, "unk_tokens": unk_tokens}


def _count(ids: npt.NDArray[Any], token: int | None) -> int:
    return 0 if token is None else int((ids == token).sum())


def _texts(part: TextPart, loss_on: LossOn) -> Iterator[str]:
    """The text that counts in the loss."""
    if not isinstance(part, ConversationPart):
        yield from part.chunks(_WORD_CHUNK)
        return
    for role, words in (turn for conversation in part.conversations() for turn in conversation):
        if loss_on in ("both", role):
            yield f" {words}"  # as a turn is tokenized


def _write_conversations(
    part: ConversationPart,
    tokenizer: Tokenizer,
    loss_on: LossOn,
    dtype: np.dtype[Any],
    file: LargeFile,
) -> dict[str, Any]:
    """Concatenate the conversations, without padding."""
    unknown: Counter[str] = Counter()
    tokens = counted = characters = size = unk_tokens = 0
    for batch in _batches(part.conversations()):
        ids = tokenizer.encode_conversations(batch, loss_on)
        file.write(ids.astype(dtype).data)
        tokens += len(ids)
        counted += int((ids >= 0).sum())
        unk_tokens += _count(ids, tokenizer.unk_id)
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
        "unk_tokens": unk_tokens,
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
