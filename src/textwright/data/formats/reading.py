"""The text of an inspected file, or its conversations."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from textwright.data.formats import chat_exports, documents, pdf, records, tables
from textwright.data.formats.conversations import json_records, read_json_lines
from textwright.data.formats.encodings import BLOCK
from textwright.data.formats.files import InspectedFile, Kind, faults_of
from textwright.data.formats.findings import Findings
from textwright.data.formats.json_fragments import find_conversations
from textwright.data.formats.transcripts import read_transcript, read_whatsapp


def read_text(file: InspectedFile, findings: Findings | None = None) -> Iterator[str]:
    """The decoded text of a file in pieces, not normalised.

    Args:
        file: the file.
        findings: what was left out, and which field was read, is added to it.

    Raises:
        CorpusError: the file is damaged.
        MissingPackageError: its format needs an extra.
    """
    source, encoding, label = file.source, file.inspection.encoding, file.source.label
    found = findings or Findings(label)
    with faults_of(label), source.open() as stream:
        if file.kind == "plain":
            yield from _decode(stream, encoding)
        elif file.kind == "jsonl":
            texts = records.read_lines(stream, encoding, label, file.head(), file.field, found)
            yield from records.join_documents(texts)
        elif file.kind == "json":
            data = records.load_json(stream, encoding, label)
            yield from records.join_documents(records.json_documents(data, file.field, found)[1])
        elif file.kind == "csv":
            assert file.table is not None
            texts = tables.read_csv(stream, encoding, label, file.table, found)
            yield from records.join_documents(texts)
        elif file.kind == "parquet":
            texts = tables.read_parquet(stream, label, file.field, found)
            yield from records.join_documents(texts)
        elif file.kind == "html":
            yield from documents.read_html(stream, label, encoding)
        elif file.kind == "epub":
            yield from documents.read_epub(stream, label)
        elif file.kind == "pdf":
            yield from pdf.read_pdf(stream, label, found)
        elif file.kind == "chat-export-as-text":
            yield from chat_exports.as_text(_exported_chats(file, stream))
        else:
            yield from documents.read_docx(stream, label)


def findings_of(file: InspectedFile) -> Findings:
    """Empty findings of a file, to be filled by `read_text`."""
    units = {"jsonl": "line", "csv": "line", "parquet": "row", "pdf": "page"}
    return Findings(file.source.label, units.get(file.kind, "record"))


def _exported_chats(file: InspectedFile, stream: BinaryIO) -> list[chat_exports.Chat]:
    source, encoding = file.source, file.inspection.encoding
    if Path(source.name).suffix.lower() == ".json":
        data = records.load_json(stream, encoding, source.label)
        return chat_exports.json_chats(data) or []
    return read_whatsapp(stream, encoding, source.label)


def conversation_records(
    file: InspectedFile, notes: list[str] | None = None
) -> Iterator[tuple[int, Any]]:
    """(position, parsed record) of each conversation of a file: its line, or its number, from 1.

    Args:
        file: of a kind in `CONVERSATIONS`.
        notes: what there is to say about how it was read is added to them.

    Raises:
        CorpusError: the file is damaged, or it doesn't say who is who.
    """
    source, encoding = file.source, file.inspection.encoding
    with faults_of(source.label), source.open() as stream:
        if file.kind == "chat-export":
            exported = chat_exports.conversations_of(
                _exported_chats(file, stream), source.label, file.assistant
            )
            if notes is not None:
                notes += exported.notes
            yield from exported.records
        elif file.kind == "talk-json":
            yield from json_records(records.load_json(stream, encoding, source.label))
        elif file.kind == "talk-values":
            text = records.load_text(stream, encoding, source.label)
            yield from find_conversations(text)
        elif file.kind == "talk-jsonl":
            yield from read_json_lines(stream, encoding, source.label)
        else:
            yield from read_transcript(stream, encoding, source.label)


def _decode(file: BinaryIO, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    while block := file.read(BLOCK):
        yield decoder.decode(block)
    yield decoder.decode(b"", final=True)


def strips_gutenberg(kind: Kind) -> bool:
    """Whether Project Gutenberg publishes books in this format."""
    return kind in ("plain", "html", "epub", "pdf")
