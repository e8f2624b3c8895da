"""Files of conversations → one prepared file in the cache, and stretches of it.

    <key>.jsonl     a conversation a line: [["user", "words"], …], in the order of the lines' hashes
    <key>.npy       a row a conversation: where its line ends, characters and bytes of its words
    <key>.json      counts and warnings

The order is a shuffle that needs no seed: a part of the file is a fair sample of it, conversations
that are the same lie beside each other, and whatever order they came in, the file is the same.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from textwright import atomic
from textwright.data.formats import conversations
from textwright.data.formats.conversations import Conversation, Losses, check_some
from textwright.data.formats.files import KnownText, conversation_records
from textwright.data.large_file import LargeFile
from textwright.data.sources.cache import kept, key_of
from textwright.data.text import CHUNK, TextPart
from textwright.errors import CorpusError, TextwrightError

FORMAT = 2
"""Part of every key; raised when the same files would be prepared differently."""

Table = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ConversationPart(TextPart):
    """Whole conversations of a prepared file; `characters` are those of their words."""

    words_bytes: int = 0
    count: int = 0
    """Conversations."""

    @property
    def text_bytes(self) -> int:
        return self.words_bytes

    def conversations(self) -> Iterator[Conversation]:
        """Each conversation: (role, words) of each turn."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.start)
                left = self.end - self.start
                while left > 0:
                    line = file.readline()
                    left -= len(line)
                    yield [(role, words) for role, words in json.loads(line)]
        except (OSError, ValueError) as error:
            raise TextwrightError(
                f"{self.path} is damaged ({error}); delete it and try again"
            ) from error

    def chunks(self, size: int = CHUNK) -> Iterator[str]:
        """The words of the turns, each after a space, as a tokenizer is trained on them."""
        held: list[str] = []
        length = 0
        for conversation in self.conversations():
            for _, words in conversation:
                held += (" ", words)
                length += len(words)
            if length >= size:
                yield "".join(held)
                held, length = [], 0
        if held:
            yield "".join(held)


@dataclass(frozen=True)
class PreparedTalks:
    """A prepared file of conversations, whole."""

    path: Path
    sha256: str
    table: Table
    """(conversations, 3): end of the line, characters, bytes of the words; all cumulative."""
    equal: frozenset[int]
    """Conversations that are the same as the one before."""
    skipped: frozenset[int]
    """Which of the files that were given turned out to be unusable."""
    warnings: tuple[str, ...]

    @property
    def count(self) -> int:
        """Conversations."""
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

    def share(self, fraction: float) -> int:
        """How many conversations at the start are about that share of them; the same ones stay
        together, so that none is learned from and judged by."""
        cut = max(1, round(self.count * fraction))
        while cut in self.equal:
            cut += 1
        return cut


def prepare_talks(texts: Sequence[KnownText], cache: Path) -> PreparedTalks:
    """All conversations of `texts`, from the cache or made now.

    Raises:
        CorpusError: a file that was named is damaged, or there is no usable conversation.
        TextwrightError: the cache can't be written.
    """
    key = key_of(
        "talks",
        FORMAT,
        [(text.inspection.sha256, text.kind, text.inspection.encoding) for text in texts],
        [text.raw.label for text in texts],  # which the warnings name
    )
    path = cache / "texts" / f"{key}.jsonl"
    record = kept(path, lambda: _write(texts, path))
    table = np.load(path.with_suffix(".npy"))
    return PreparedTalks(
        path,
        record["sha256"],
        table,
        frozenset(record["equal"]),
        frozenset(record["skipped"]),
        tuple(record["warnings"]),
    )


def _write(texts: Sequence[KnownText], path: Path) -> dict[str, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    warnings: list[str] = []
    skipped: list[int] = []
    with tempfile.TemporaryFile(dir=path.parent) as lines:
        digests: list[bytes] = []
        places, sizes = array("q"), array("q")
        for index, text in enumerate(texts):
            unit = "record" if text.kind == "talk-json" else "line"
            losses = Losses(text.raw.label, unit)  # type: ignore[arg-type]
            try:
                _append(_conversations(text, losses), lines, digests, places, sizes)
            except CorpusError as error:
                if text.raw.listed:
                    raise
                skipped.append(index)
                warnings.append(f"skipped {error}")
                continue
            warnings += losses.warnings()
            if not text.unchanged():  # what was written must be what the key says
                raise CorpusError(f"{text.raw.label} changed while it was read; try again")
        order = sorted(range(len(digests)), key=digests.__getitem__)
        whole = hashlib.sha256()
        table = np.empty((len(order), 3), np.int64)
        end = 0
        with atomic.replacing(path) as partial, LargeFile(partial) as file:
            for row, number in enumerate(order):
                lines.seek(places[number])
                line = lines.read(sizes[number])
                whole.update(line)
                file.write(line)
                end += len(line)
                words = [words for _, words in json.loads(line)]
                table[row] = end, sum(map(len, words)), sum(len(one.encode()) for one in words)
    table[:, 1:] = table[:, 1:].cumsum(axis=0)
    with atomic.replacing(path.with_suffix(".npy")) as partial, partial.open("wb") as numbers:
        np.save(numbers, table)
    return {
        "sha256": whole.hexdigest(),
        "bytes": end,
        "equal": [
            row for row in range(1, len(order)) if digests[order[row]] == digests[order[row - 1]]
        ],
        "skipped": skipped,
        "warnings": warnings,
    }


def _append(
    found: Iterable[Conversation],
    lines: BinaryIO,
    digests: list[bytes],
    places: array[int],
    sizes: array[int],
) -> None:
    place = lines.seek(0, 2)
    for conversation in found:
        line = json.dumps(conversation, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        lines.write(line)
        digests.append(hashlib.sha256(line).digest())
        places.append(place)
        sizes.append(len(line))
        place += len(line)


def _conversations(text: KnownText, losses: Losses) -> Iterator[Conversation]:
    return conversations.gather(conversation_records(text), losses)


__all__ = ["ConversationPart", "PreparedTalks", "check_some", "prepare_talks"]
