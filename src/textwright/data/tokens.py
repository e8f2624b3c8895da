"""Prepared text → a file of token ids that training maps into memory.

The text streams through the tokenizer a few megabytes at a time; memory does not grow with it.
The file is keyed by the text and the tokenizer, so it is made once.
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
from textwright.data.large_file import LargeFile
from textwright.data.prepared_conversations import ConversationPart
from textwright.data.sources.cache import cache_folder, holds, key_of, read_record, write_record
from textwright.data.text import CHUNK, TextPart
from textwright.errors import TextwrightError

Tokens: TypeAlias = npt.NDArray[np.uint16] | npt.NDArray[np.uint32] | npt.NDArray[np.int32]
"""Token ids; negative ones are complements, of tokens that are read but don't count."""

LossOn: TypeAlias = Literal["both", "assistant"]
"""Whose words of a conversation are learned: those of both, or of one."""

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

    def encode_conversations(
        self, conversations: Sequence[Conversation], loss_on: LossOn
    ) -> npt.NDArray[np.int64]:
        """Ids of conversations, framed and one after another; where `loss_on` leaves a token out
        of the loss, its complement."""


@dataclass(frozen=True)
class TokenFile:
    """Token ids of a text, in a file."""

    path: Path
    dtype: np.dtype[Any]
    """Little-endian uint16, or uint32 where the vocabulary has more than 65,536 types; int32 where
    not all tokens count."""
    tokens: int
    characters: int
    """Of the text, also those left out."""
    bytes: int
    unknown: dict[str, int]
    """Characters that the tokenizer does not have and left out, with how often."""
    counted: int
    """Tokens that count in the loss; the others have their complements (`~id`) in the file."""

    @property
    def read_characters(self) -> int:
        """Characters that the tokens stand for: what a loss a character is counted by."""
        return self.characters - sum(self.unknown.values())

    @property
    def read_bytes(self) -> int:
        """Bytes that the tokens stand for: what a loss a byte is counted by."""
        left_out = sum(len(char.encode()) * count for char, count in self.unknown.items())
        return self.bytes - left_out

    def array(self) -> Tokens:
        """The ids (tokens,), mapped read-only."""
        if not self.tokens:
            return np.empty(0, self.dtype)
        return np.memmap(self.path, self.dtype, mode="r", shape=(self.tokens,))


def prepare_tokens(
    part: TextPart, tokenizer: Tokenizer, cache: Path | None = None, *, loss_on: LossOn = "both"
) -> TokenFile:
    """The token ids of `part`, from the cache or made now.

    Args:
        part: of running text, or of conversations.
        tokenizer: for what the part is of.
        cache: in place of `cache_folder()`.
        loss_on: of conversations, whose words count in the loss.

    Raises:
        TextwrightError: the text or the cache can't be read or written.
    """
    talks = isinstance(part, ConversationPart)
    dtype: np.dtype[Any] = np.dtype("<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4")
    if talks and loss_on != "both":
        dtype = np.dtype("<i4")
    asked = (loss_on,) if talks else ()
    key = key_of("tokens", FORMAT, part.content_key(), tokenizer.sha256, dtype.str, *asked)
    path = (cache or cache_folder()) / "tokens" / f"{key}.bin"
    record_path = path.with_suffix(".json")

    def found() -> TokenFile | None:
        record = read_record(record_path)
        if record is None or not holds(path, record.get("tokens", -1) * dtype.itemsize):
            return None
        tokens, counted = record["tokens"], record.get("counted", record["tokens"])
        characters = record.get("characters", part.characters)
        size = record.get("bytes", part.text_bytes)
        return TokenFile(path, dtype, tokens, characters, size, record["unknown"], counted)

    if ready := found():
        return ready
    try:
        with atomic.replacing(path) as partial, LargeFile(partial) as file:
            if isinstance(part, ConversationPart):
                record = _write_conversations(part, tokenizer, loss_on, dtype, file)
            else:
                record = _write_text(part, tokenizer, dtype, file)
        write_record(record_path, record)
    except TextwrightError:
        # Where files in use can't be replaced, another process may have been faster.
        if ready := found():
            return ready
        raise
    made = found()
    assert made is not None, "just written"
    return made


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
    """Conversations follow one another without a gap, so no token is spent on padding."""
    unknown: Counter[str] = Counter()
    tokens = counted = characters = size = 0
    for some in _gathered(part.conversations()):
        ids = tokenizer.encode_conversations(some, loss_on)
        file.write(ids.astype(dtype).data)
        tokens += len(ids)
        counted += int((ids >= 0).sum())
        for role, words in (turn for conversation in some for turn in conversation):
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


def _gathered(conversations: Iterable[Conversation]) -> Iterator[list[Conversation]]:
    """Conversations in groups worth a step of their own."""
    held: list[Conversation] = []
    length = 0
    for conversation in conversations:
        held.append(conversation)
        length += sum(len(words) for _, words in conversation)
        if length >= _WORD_CHUNK:
            yield held
            held, length = [], 0
    if held:
        yield held
