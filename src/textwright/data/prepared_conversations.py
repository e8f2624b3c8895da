"""Files of conversations → one prepared file in the cache, and parts of it.

    <key>.jsonl     a conversation a line: [["user", "words"], …], in the order of the lines' hashes
    <key>.npy       a row a conversation: end of its line, characters and bytes of its words
    <key>.json      sha256, duplicates, warnings

That order is a shuffle without a seed: any part of the file is a fair sample, duplicates are
adjacent, and the file doesn't depend on the order of the input.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from textwright import atomic
from textwright.data.formats import conversations
from textwright.data.formats.conversations import Conversation, SkippedRecords
from textwright.data.formats.files import InspectedFile
from textwright.data.formats.reading import conversation_records
from textwright.data.sources.cache import LargeFile, cache_key, cached_record
from textwright.data.text import CHUNK, TextPart
from textwright.errors import CorpusError, TextwrightError

FORMAT = 7
"""Part of every cache key; raised when the same files would be prepared differently."""

_PIECES = 10
"""Into how many pieces, at least, one conversation by itself is cut, so that some of them can judge
what was learned from the others."""
_LONGEST_PIECE = 20
"""Turns of a piece, at most, where the conversation is long."""

Table = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ConversationPart(TextPart):
    """Whole conversations of a prepared file; `characters` are those of their words."""

    words_bytes: int = 0
    count: int = 0
    """Number of conversations."""

    @property
    def text_bytes(self) -> int:
        return self.words_bytes

    def conversations(self) -> Iterator[Conversation]:
        """Each conversation, as (role, words) of each turn."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.start)
                remaining = self.end - self.start
                while remaining > 0:
                    line = file.readline()
                    remaining -= len(line)
                    yield [(role, words) for role, words in json.loads(line)]
        except (OSError, ValueError) as error:
            raise TextwrightError(
                f"{self.path} is damaged ({error}); delete it and try again"
            ) from error

    def chunks(self, size: int = CHUNK) -> Iterator[str]:
        """The words of all turns, a space before each, to train a tokenizer on."""
        pending: list[str] = []
        length = 0
        for conversation in self.conversations():
            for _, words in conversation:
                pending += (" ", words)
                length += len(words)
            if length >= size:
                yield "".join(pending)
                pending, length = [], 0
        if pending:
            yield "".join(pending)


@dataclass(frozen=True)
class PreparedConversations:
    """A whole prepared file of conversations."""

    path: Path
    sha256: str
    table: Table
    """(conversations, 3): end of the line, characters, bytes of the words; all cumulative."""
    duplicates: frozenset[int]
    """Conversations that are equal to the one before."""
    skipped: frozenset[int]
    """Indices of the given files that turned out to be unusable."""
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of conversations."""
        return len(self.table)

    def part(self, first: int, last: int) -> ConversationPart:
        """Conversations `first` up to `last`."""
        before = self.table[first - 1] if first else np.zeros(3, np.int64)
        start, characters, size = (int(number) for number in before)
        end, all_characters, all_size = (int(number) for number in self.table[last - 1])
        return ConversationPart(
            self.path,
            start,
            end,
            all_characters - characters,
            self.sha256,
            words_bytes=all_size - size,
            count=last - first,
        )

    def split_index(self, fraction: float) -> int:
        """The index that splits off about `fraction` of the conversations at the start, without
        separating duplicates, so that none is in both parts."""
        index = max(1, round(self.count * fraction))
        while index in self.duplicates:
            index += 1
        return index


def prepare_conversations(files: Sequence[InspectedFile], cache: Path) -> PreparedConversations:
    """All conversations of `files`, from the cache or made now.

    Raises:
        CorpusError: a file that was named is damaged, or there is no usable conversation.
        TextwrightError: the cache can't be written.
    """
    key = cache_key(
        "talks",
        FORMAT,
        [
            (file.inspection.sha256, file.kind, file.inspection.encoding, file.assistant)
            for file in files
        ],
        [file.source.label for file in files],  # which the warnings name
    )
    path = cache / "texts" / f"{key}.jsonl"
    record = cached_record(path, lambda: _write(files, path))
    table = np.load(path.with_suffix(".npy"))
    return PreparedConversations(
        path,
        record["sha256"],
        table,
        frozenset(record["equal"]),
        frozenset(record["skipped"]),
        tuple(record["warnings"]),
        tuple(record["notes"]),
    )


def _write(files: Sequence[InspectedFile], path: Path) -> dict[str, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    warnings: list[str] = []
    notes: list[str] = []
    skipped: list[int] = []
    with tempfile.TemporaryFile(dir=path.parent) as lines:
        digests: list[bytes] = []
        offsets, sizes = array("q"), array("q")
        for index, file in enumerate(files):
            source = file.source
            unit = "record" if file.kind == "talk-json" else "line"
            records = SkippedRecords(source.label, unit)  # type: ignore[arg-type]
            try:
                parsed = conversations.parse_records(conversation_records(file, notes), records)
                _append(parsed, lines, digests, offsets, sizes)
            except CorpusError as error:
                if source.explicit:
                    raise
                skipped.append(index)
                warnings.append(f"skipped {error}")
                continue
            warnings += records.warnings()
            if not file.is_unchanged():  # the key was made of its hash
                raise CorpusError(f"{source.label} changed while it was read; try again")
        if len(digests) == 1:
            lines.seek(offsets[0])
            pieces = _cut(json.loads(lines.read(sizes[0])))
        else:
            pieces = []
        if pieces:
            warnings.append(
                f"{files[0].source.label}: one long conversation, cut into {len(pieces):,} pieces "
                "of a few turns, so that some can judge what was learned from the others"
            )
            digests, offsets, sizes = [], array("q"), array("q")
            _append(pieces, lines, digests, offsets, sizes)
        order = sorted(range(len(digests)), key=digests.__getitem__)
        sha256 = hashlib.sha256()
        table = np.empty((len(order), 3), np.int64)
        end = 0
        with atomic.replacing(path) as partial, LargeFile(partial) as out:
            for row, number in enumerate(order):
                lines.seek(offsets[number])
                line = lines.read(sizes[number])
                sha256.update(line)
                out.write(line)
                end += len(line)
                words = [words for _, words in json.loads(line)]
                table[row] = end, sum(map(len, words)), sum(len(one.encode()) for one in words)
    table[:, 1:] = table[:, 1:].cumsum(axis=0)
    with atomic.replacing(path.with_suffix(".npy")) as partial, partial.open("wb") as array_file:
        np.save(array_file, table)
    return {
        "sha256": sha256.hexdigest(),
        "bytes": end,
        "equal": [
            row for row in range(1, len(order)) if digests[order[row]] == digests[order[row - 1]]
        ],
        "skipped": skipped,
        "warnings": warnings,
        "notes": notes,
    }


def _cut(conversation: Conversation) -> list[Conversation]:
    """Pieces of a long conversation, of an even number of turns; none where it is short."""
    turns = min(_LONGEST_PIECE, len(conversation) // _PIECES) // 2 * 2
    if turns < 2:
        return []
    starts = range(0, len(conversation) - turns + 1, turns)
    pieces = [conversation[start : start + turns] for start in starts]
    pieces[-1] = conversation[starts[-1] :]
    return pieces


def _append(
    parsed: Iterable[Conversation],
    lines: IO[bytes],
    digests: list[bytes],
    offsets: array[int],
    sizes: array[int],
) -> None:
    """Write a JSON line for each conversation, and append its hash, offset and size; nothing where
    reading them raises an error."""
    offset = lines.seek(0, 2)
    before = len(digests)
    try:
        for conversation in parsed:
            text = json.dumps(conversation, ensure_ascii=False, separators=(",", ":"))
            line = text.encode() + b"\n"
            lines.write(line)
            digests.append(hashlib.sha256(line).digest())
            offsets.append(offset)
            sizes.append(len(line))
            offset += len(line)
    except TextwrightError:
        for table in (digests, offsets, sizes):
            del table[before:]  # the lines stay in a file that is read by offsets
        raise


__all__ = ["ConversationPart", "PreparedConversations", "prepare_conversations"]
