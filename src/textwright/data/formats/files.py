"""One file before it is read: how to open it, its hash, its format and encoding."""

from __future__ import annotations

import codecs
import gzip
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal

from textwright.data.formats import chat_exports, documents, pages, records, tables
from textwright.data.formats.encodings import Inspection, inspect
from textwright.data.formats.json_fragments import has_conversations
from textwright.data.formats.lines import MAX_LINE
from textwright.data.formats.packed import PACKED, open_packed
from textwright.data.formats.transcripts import looks_like_transcript, looks_like_whatsapp
from textwright.errors import CorpusError, TextwrightError, counted

Role = Literal["whole", "train", "validation", "test"]
Kind = Literal[
    "plain", "jsonl", "json", "csv", "parquet", "html", "epub", "docx", "pdf",
    "talk-jsonl", "talk-json", "talk-values", "transcript", "chat-export", "chat-export-as-text",
]  # fmt: skip
Form = Literal["auto", "text", "conversations"]
"""What files are read as: `auto` detects it."""


@dataclass(frozen=True)
class Reading:
    """How files are read, where the user says it instead of leaving it to be found."""

    form: Form = "auto"
    """`text` reads conversations as running text, `conversations` the other way round."""
    encoding: str | None = None
    """Of files that don't declare their own."""
    field: str | None = None
    """Of records and tables: the field or column that holds the text."""
    assistant: str | None = None
    """Of chats as messengers export them: whom the model is to speak as."""


CONVERSATIONS = ("talk-jsonl", "talk-json", "talk-values", "transcript", "chat-export")
"""Kinds that hold conversations."""

_TRANSCRIPT_EXTENSIONS = ("", ".txt", ".text", ".log")

_INSTEAD = {
    ".odt": "an OpenDocument text; save it as DOCX or plain text",
    ".rtf": "RTF; save it as text, DOCX or HTML",
    ".doc": "an old Word document; save it as DOCX",
    ".wps": "a Works document; save it as DOCX",
    ".wpd": "a WordPerfect document; save it as DOCX",
    ".pages": "a Pages document; export it as DOCX, EPUB or plain text",
    ".xlsx": "an Excel table; save it as CSV",
    ".xls": "an Excel table; save it as CSV",
    ".ods": "an OpenDocument table; save it as CSV",
    ".numbers": "a Numbers table; export it as CSV",
    **dict.fromkeys((".ppt", ".pptx", ".odp", ".key"), "a presentation; save it as plain text"),
    **dict.fromkeys((".mobi", ".azw", ".azw3", ".kfx"), "a Kindle book; convert it to EPUB"),
    ".djvu": "a scanned book; save its text",
    ".webarchive": "a page as Safari keeps it; save it as HTML or plain text",
    **dict.fromkeys((".tgz", ".tbz", ".tbz2", ".txz", ".tzst"), "a tar archive; unpack it"),
    ".7z": "a 7-Zip archive; unpack it",
    ".rar": "a RAR archive; unpack it",
    ".zst": "compressed with Zstandard; unpack it",
    **dict.fromkeys((".z", ".br", ".lz4", ".lz"), "compressed; unpack it"),
}
"""Files that aren't read, whatever their first bytes look like, and what to do."""

_MARKED_UP = (
    ".xml", ".fb2", ".opml", ".srt", ".vtt", ".ipynb", ".eml", ".mbox", ".mht", ".mhtml",
)  # fmt: skip
"""Files of text and of marks for programs, which a model learns like the rest."""

_CSV_EXTENSIONS = (".csv", ".tsv", ".tab")

_DOCUMENTS: dict[str, Kind] = {
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".epub": "epub",
    ".docx": "docx",
    ".pdf": "pdf",
    ".parquet": "parquet",
}


@dataclass(frozen=True)
class SourceFile:
    """A file, or a stream or download that acts as one, before it is read."""

    label: str
    """Its name in messages and records: the path or address as the user gave it."""
    name: str
    """File name, whose extension tells the format."""
    open: Callable[[], BinaryIO]
    role: Role = "whole"
    licence: str | None = None
    editions: frozenset[str] | None = None
    """Known sha256s of a built-in; None for other files."""
    explicit: bool = True
    """The user named this very file, so a problem with it is an error, not a warning."""
    path: Path | None = None
    """None where it isn't a file of the user's."""
    records_only: bool = False
    """From a dataset: a table without a text column is an error, not plain text."""


@dataclass(frozen=True)
class InspectedFile:
    """A `SourceFile` whose hash, encoding and format are known."""

    source: SourceFile
    inspection: Inspection
    kind: Kind
    warnings: tuple[str, ...] = ()
    fingerprint: tuple[int, int] | None = None
    """From before it was hashed."""
    field: str | None = None
    """The field or column of text that the user named."""
    table: tables.Table | None = None
    """Of a CSV: how it is written."""
    notes: tuple[str, ...] = ()
    """What was found out about it and is certain enough."""
    assistant: str | None = None
    """Whom the model is to speak as, of those who write in it."""

    def head(self) -> str:
        """The beginning of the file, decoded; its last line may be cut."""
        return _decode_head(self.inspection)

    def is_unchanged(self) -> bool:
        """Whether the file is still the one that was hashed."""
        return self.fingerprint == fingerprint(self.source)


def local_file(path: Path, label: str | None = None, *, explicit: bool = True) -> SourceFile:
    """A local file; opening a `.gz`, `.bz2` or `.xz` unpacks it."""
    name = path.name
    opener: Callable[[Path], BinaryIO] = _open_plain
    if path.suffix.lower() in PACKED:
        name = name[: -len(path.suffix)]
        opener = open_packed
    return SourceFile(label or str(path), name, partial(opener, path), explicit=explicit, path=path)


def _open_plain(path: Path) -> BinaryIO:
    return path.open("rb")


def inspect_file(source: SourceFile, how: Reading | None = None) -> InspectedFile:
    """Hash a file and detect its encoding and format.

    Args:
        source: the file.
        how: what the user said about it.

    Raises:
        CorpusError: it can't be read, or holds no usable text.
        MissingPackageError: its format needs an extra.
    """
    with faults_of(source.label):
        return _inspect(source, how or Reading())


def _inspect(source: SourceFile, how: Reading) -> InspectedFile:
    suffix = Path(source.name).suffix.lower()
    before = fingerprint(source)
    inspection = inspect(source.open, how.encoding)
    document = _DOCUMENTS.get(suffix)
    if document and inspection.problem != "empty":
        # Now, before a cache remembers that the file was skipped
        documents.check_packages(document, source.label)
        if document != "html":
            return InspectedFile(source, inspection, document, fingerprint=before, field=how.field)
        inspection = pages.inspected_page(inspection) if how.encoding is None else inspection
    if inspection.problem:
        raise _no_text(source.label, inspection.problem, suffix)
    warnings: list[str] = []
    notes: list[str] = []
    if inspection.dropped:
        warnings.append(
            f"{source.label}: left out {counted(inspection.dropped, 'NUL or byte-order mark')} "
            "inside the text"
        )
    if guess := inspection.guess:
        said = notes if guess.sureness == "sure" else warnings
        said.append(f"{source.label}: read as {guess}")
    if inspection.replaced:
        warnings.append(
            f"{source.label}: {counted(inspection.replaced, 'damaged place')} became U+FFFD "
            f"(read as {inspection.encoding}); --encoding NAME reads it as another"
        )
    kind: Kind = document or "plain"
    table = None
    if suffix in (".jsonl", ".ndjson", ".json", *_CSV_EXTENSIONS):
        kind, table = _table_kind(source, inspection, suffix, how)
        if kind == "plain" and how.form != "text":
            if source.records_only or how.field:
                found = records.head_records(_decode_head(inspection))
                if not found and inspection.size < MAX_LINE:
                    with source.open() as file:
                        data = records.load_json(file, inspection.encoding, source.label)
                    found = data if isinstance(data, list) else [data]
                names = records.field_names(found)
                raise tables.no_text_column(source.label, names, how.field)
            warnings.append(f"{source.label}: {_read_raw(source, inspection, suffix)}")
    elif not document:
        if suffix in _MARKED_UP and how.form == "auto":
            warnings.append(
                f"{source.label}: read as it is, with its mark-up ({suffix}), which is learned "
                "too; save it as plain text to be without"
            )
        kind = _talk_kind(inspection, suffix, how)
    return InspectedFile(
        source,
        inspection,
        kind,
        tuple(warnings),
        before,
        how.field,
        table,
        tuple(notes),
        how.assistant,
    )


def _talk_kind(inspection: Inspection, suffix: str, how: Reading) -> Kind:
    """What a file is that is no table: a chat, conversations, a transcript, or running text."""
    head = _decode_head(inspection)
    may_be_talk = suffix in _TRANSCRIPT_EXTENSIONS
    if may_be_talk and looks_like_whatsapp(head):
        return _export_kind(how)
    if how.form == "conversations" or (how.form == "auto" and may_be_talk):
        is_whole = inspection.size <= len(inspection.head)
        if head.lstrip()[:1] == "{" and records.lines_shape(head) == "conversations":
            return "talk-jsonl"
        if how.form == "conversations" or looks_like_transcript(head, is_whole):
            return "transcript"
    return "plain"


def _export_kind(how: Reading) -> Kind:
    return "chat-export-as-text" if how.form == "text" else "chat-export"


def _read_raw(source: SourceFile, inspection: Inspection, suffix: str) -> str:
    """Why a file of records is read as plain text. Raises `CorpusError` where it has none."""
    if suffix == ".json" and inspection.size < MAX_LINE:
        with source.open() as file:
            text = records.load_text(file, inspection.encoding, source.label)
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            reason = str(error) if isinstance(error, ValueError) else "nested too deeply"
            return f"no sound JSON ({reason}), so it is read as it is; mend it for its texts alone"
        if not data:
            raise _no_text(source.label, "empty", suffix)
    return "no field of text was found in it, so it is read as it is; --field NAME says which one"


def _no_text(label: str, problem: str, suffix: str) -> CorpusError:
    if problem != "empty" and suffix in _INSTEAD:
        return CorpusError(f"{label} is not read: it is {_INSTEAD[suffix]}")
    return CorpusError(f"{label} holds no usable text: it is {problem}")


def _decode_head(inspection: Inspection) -> str:
    return codecs.getincrementaldecoder(inspection.encoding)("replace").decode(inspection.head)


def _table_kind(
    source: SourceFile, inspection: Inspection, suffix: str, how: Reading
) -> tuple[Kind, tables.Table | None]:
    head = _decode_head(inspection)
    if suffix in _CSV_EXTENSIONS:
        is_whole = inspection.size <= len(inspection.head)
        table = tables.find_table(head, source.label, how.field, is_whole=is_whole)
        return ("csv", table) if table else ("plain", None)
    shape = records.lines_shape(head, how.field)
    kind: Kind = "jsonl"
    may_be_one = suffix == ".json" or (shape == "other" and head.lstrip()[:1] == "[")
    if may_be_one and not (inspection.size > MAX_LINE and shape == "documents"):
        with source.open() as file:
            data = records.load_json(file, inspection.encoding, source.label)
        if how.field is None and chat_exports.json_chats(data):
            return _export_kind(how), None
        if data is not None:  # else it is JSON Lines with the extension .json, or not JSON
            shape, _ = records.json_documents(data, how.field)
            kind = "json"
    has_fragments = kind == "jsonl" and shape != "documents" and has_conversations(head)
    is_one_line = suffix != ".json" and "\n" not in head  # the first line is longer than the head
    is_broken = not (is_one_line or records.has_conversation_line(head))
    if has_fragments and how.form != "text" and is_broken:
        return "talk-values", None  # broken somewhere, or objects over several lines
    if how.form == "conversations" or (shape == "conversations" and how.form == "auto"):
        return "talk-json" if kind == "json" else "talk-jsonl", None
    return kind if shape == "documents" else "plain", None


@contextmanager
def faults_of(label: str) -> Iterator[None]:
    """Makes every fault of reading the file `label` a `CorpusError`, whatever a library raises.

    What is in strangers' files is no fault of textwright's, and the libraries raise dozens of
    types; so that one file's fault is that file's, none of them may pass.
    """
    try:
        yield
    except TextwrightError:
        raise
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError) as error:
        raise CorpusError(f"{label} is damaged or cut short ({error}); get it anew") from error
    except OSError as error:
        if error.errno is None:  # a library's, about what it read
            raise _unreadable(label, error) from error
        raise read_error(label, error) from error
    except MemoryError as error:
        raise CorpusError(f"{label} needs more memory than there is; split it") from error
    except RecursionError as error:
        raise CorpusError(f"{label} is nested too deeply; save it as plain text") from error
    except Exception as error:
        raise _unreadable(label, error) from error


def _unreadable(label: str, error: Exception) -> CorpusError:
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return CorpusError(
        f"{label} can't be read: it is damaged, or no such file as its name says ({reason}); "
        "mend it, or save it as plain text"
    )


def fingerprint(file: SourceFile) -> tuple[int, int] | None:
    """(size, mtime in ns) of a local file; None for others, and where it is missing."""
    try:
        status = file.path.stat() if file.path else None
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns) if status else None


def read_error(label: str, error: OSError) -> CorpusError:
    """The `CorpusError` for an `OSError` of reading `label`."""
    if isinstance(error, FileNotFoundError):
        return CorpusError(f"{label} does not exist; check the spelling")
    if isinstance(error, PermissionError):
        return CorpusError(f"{label} can't be read: no permission; change it, or copy the file")
    return CorpusError(f"{label} can't be read ({error.strerror or error}); check the disk")
