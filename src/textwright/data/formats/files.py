"""One file of text as it came: how to open it, what it is, how it reads."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from textwright.data.formats import documents, tables
from textwright.data.formats.conversations import read_json_lines, records_of
from textwright.data.formats.encodings import BLOCK, Inspection, inspect
from textwright.data.formats.json_fragments import conversations_within, holds_conversations
from textwright.data.formats.lines import LONGEST
from textwright.data.formats.transcripts import looks_like_transcript, read_transcript
from textwright.errors import CorpusError

Role = Literal["whole", "train", "validation", "test"]
Kind = Literal[
    "plain", "jsonl", "json", "csv", "parquet", "html", "epub", "docx",
    "talk-jsonl", "talk-json", "talk-values", "transcript",
]  # fmt: skip
Form = Literal["auto", "text", "conversations"]
"""How files are taken: as what they look like, or as the user says."""

CONVERSATIONS = ("talk-jsonl", "talk-json", "talk-values", "transcript")
"""Kinds that hold conversations."""

MOST_UNPACKED = 1 << 30
"""A .gz may unpack to this many bytes, or to 100 times its own size."""

_TRANSCRIPTS = ("", ".txt", ".text", ".log")
"""Endings of files that may be plain transcripts."""

_DOCUMENTS: dict[str, Kind] = {
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".epub": "epub",
    ".docx": "docx",
    ".parquet": "parquet",
}


@dataclass(frozen=True)
class RawText:
    """A file (or what stands for one) before it is read."""

    label: str
    """How messages and records name it: the path or address as the user gave it."""
    name: str
    """File name, whose ending tells the format."""
    open: Callable[[], BinaryIO]
    role: Role = "whole"
    licence: str | None = None
    editions: frozenset[str] | None = None
    """Known sha256 of a built-in; None where there is nothing to know."""
    listed: bool = True
    """The user named this very file, so a problem with it is an error, not a warning."""
    path: Path | None = None
    """Where it lies, for files of the user."""
    records_only: bool = False
    """Of a data set: a table must have a text column, it does not count as plain text."""


@dataclass(frozen=True)
class KnownText:
    """A `RawText` that has been looked at."""

    raw: RawText
    inspection: Inspection
    kind: Kind
    notes: tuple[str, ...] = ()
    """Warnings, a line each."""
    stamp: tuple[int, int] | None = None
    """Size and time of change of a local file when it was looked at."""

    def unchanged(self) -> bool:
        """Whether the file is still the one that was hashed."""
        return self.stamp == stamp_of(self.raw)


def from_path(path: Path, label: str | None = None, *, listed: bool = True) -> RawText:
    """A local file; `.gz` is unpacked on the way."""
    name = path.name
    opener = _plain
    if name.lower().endswith(".gz"):
        name = name[:-3]
        opener = _unpacked
    return RawText(label or str(path), name, partial(opener, path), listed=listed, path=path)


def _plain(path: Path) -> BinaryIO:
    return path.open("rb")


def _unpacked(path: Path) -> BinaryIO:
    return io.BufferedReader(_Unpacked(path))


class _Unpacked(io.RawIOBase):
    """A .gz as its contents, up to a bound: a small file must not fill the disk."""

    def __init__(self, path: Path) -> None:
        self._file = gzip.open(path, "rb")  # noqa: SIM115 - closed by close()
        self._label = str(path)
        self._left = max(MOST_UNPACKED, 100 * path.stat().st_size)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        count = self._file.readinto(cast(bytearray, buffer))
        self._left -= count
        if self._left < 0:
            raise CorpusError(f"{self._label} unpacks to more than text does; unpack it first")
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def look_at(raw: RawText, form: Form = "auto") -> KnownText:
    """Hash a file and find out its encoding and format.

    Args:
        raw: the file.
        form: `text` takes conversations for running text, `conversations` the other way round.

    Raises:
        CorpusError: it can't be read, or holds no usable text.
    """
    suffix = Path(raw.name).suffix.lower()
    stamp = stamp_of(raw)
    try:
        inspection = inspect(raw.open)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CorpusError(f"{raw.label} is a damaged .gz ({error})") from error
    except OSError as error:
        raise unreadable(raw.label, error) from error
    if suffix in _DOCUMENTS and inspection.problem != "empty":
        return KnownText(raw, inspection, _DOCUMENTS[suffix], stamp=stamp)
    if inspection.problem:
        raise CorpusError(f"{raw.label} holds no usable text: it is {inspection.problem}")
    notes = []
    if inspection.replaced:
        notes.append(
            f"{raw.label}: {inspection.replaced} damaged places became U+FFFD "
            f"(read as {inspection.encoding})"
        )
    kind: Kind = "plain"
    if suffix in (".jsonl", ".ndjson", ".json", ".csv"):
        kind = _table_kind(raw, inspection, suffix, form)
        if kind == "plain" and form != "text":
            if raw.records_only:
                raise tables.no_text_column(raw.label, [])
            if suffix != ".csv":
                notes.append(f'{raw.label} has no "{tables.FIELD}" field; it is read as it is')
    elif form == "conversations" or (form == "auto" and suffix in _TRANSCRIPTS):
        head = codecs.getincrementaldecoder(inspection.encoding)("replace").decode(inspection.head)
        whole = inspection.size <= len(inspection.head)
        if head.lstrip()[:1] == "{" and tables.lines_shape(head) == "conversations":
            kind = "talk-jsonl"
        elif form == "conversations" or looks_like_transcript(head, whole):
            kind = "transcript"
    return KnownText(raw, inspection, kind, tuple(notes), stamp)


def _table_kind(raw: RawText, inspection: Inspection, suffix: str, form: Form) -> Kind:
    decoder = codecs.getincrementaldecoder(inspection.encoding)("replace")
    head = decoder.decode(inspection.head)
    if suffix == ".csv":
        return "csv" if tables.csv_has_text(head) else "plain"
    shape = tables.lines_shape(head)
    kind: Kind = "jsonl"
    if suffix == ".json" and not (inspection.size > LONGEST and shape == "documents"):
        with raw.open() as file:
            data = tables.load_json(file, inspection.encoding, raw.label)
        if data is not None:  # else it is JSON Lines under another name, or no JSON
            shape, _ = tables.json_documents(data)
            kind = "json"
    spread = kind == "jsonl" and shape != "documents" and holds_conversations(head)
    long = suffix != ".json" and "\n" not in head  # the first line goes on after the head
    if spread and form != "text" and not long and not tables.one_a_line(head):
        return "talk-values"  # broken somewhere, or spread over lines
    if form == "conversations" or (shape == "conversations" and form == "auto"):
        return "talk-json" if kind == "json" else "talk-jsonl"
    return kind if shape == "documents" else "plain"


def read(known: KnownText) -> Iterator[str]:
    """The text of a file in pieces, as it is encoded there: not yet normalised.

    Raises:
        CorpusError: the file is damaged.
        MissingPackageError: its format needs an extra.
    """
    raw, encoding = known.raw, known.inspection.encoding
    try:
        with raw.open() as file:
            if known.kind == "plain":
                yield from _decoded(file, encoding)
            elif known.kind == "jsonl":
                yield from tables.joined(tables.read_lines(file, encoding, raw.label))
            elif known.kind == "json":
                data = tables.load_json(file, encoding, raw.label)
                yield from tables.joined(tables.json_documents(data)[1])
            elif known.kind == "csv":
                yield from tables.joined(tables.read_csv(file, encoding, raw.label))
            elif known.kind == "parquet":
                yield from tables.joined(tables.read_parquet(file, raw.label))
            elif known.kind == "html":
                yield from documents.read_html(file, raw.label)
            elif known.kind == "epub":
                yield from documents.read_epub(file, raw.label)
            else:
                yield from documents.read_docx(file, raw.label)
    except (EOFError, zlib.error) as error:
        raise CorpusError(f"{raw.label} is damaged ({error})") from error
    except OSError as error:
        raise unreadable(raw.label, error) from error


def conversation_records(known: KnownText) -> Iterator[tuple[int, Any]]:
    """(place, parsed record) of each conversation of a file; the place is a line or a number.

    Raises:
        CorpusError: the file is damaged.
    """
    raw, encoding = known.raw, known.inspection.encoding
    try:
        with raw.open() as file:
            if known.kind == "talk-json":
                yield from records_of(tables.load_json(file, encoding, raw.label))
            elif known.kind == "talk-values":
                text = tables.load_text(file, encoding, raw.label)
                yield from conversations_within(text)
            elif known.kind == "talk-jsonl":
                yield from read_json_lines(file, encoding, raw.label)
            else:
                yield from read_transcript(file, encoding, raw.label)
    except (EOFError, zlib.error) as error:
        raise CorpusError(f"{raw.label} is damaged ({error})") from error
    except OSError as error:
        raise unreadable(raw.label, error) from error


def _decoded(file: BinaryIO, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    while block := file.read(BLOCK):
        yield decoder.decode(block)
    yield decoder.decode(b"", final=True)


def stamp_of(raw: RawText) -> tuple[int, int] | None:
    """Size and time of change, for a local file that is there."""
    try:
        status = raw.path.stat() if raw.path else None
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns) if status else None


def strips_gutenberg(kind: Kind) -> bool:
    """Whether books of Project Gutenberg come in this format."""
    return kind in ("plain", "html", "epub")


def unreadable(label: str, error: OSError) -> CorpusError:
    """One line about a file that can't be read."""
    if isinstance(error, FileNotFoundError):
        return CorpusError(f"{label} does not exist; check the spelling")
    if isinstance(error, PermissionError):
        return CorpusError(f"{label} can't be read: no permission; change it, or copy the file")
    return CorpusError(f"{label} can't be read ({error.strerror or error}); check the disk")
