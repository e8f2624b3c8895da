"""Records that hold text, in JSON Lines and JSON.

The texts are joined to one: one that ends in a line end is taken for a line, and the next follows
directly; any other is followed by a blank line. Which field holds the text, `fields` decides.
"""

from __future__ import annotations

import codecs
import io
import itertools
import json
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, BinaryIO, Literal

from textwright.data.formats.conversations import LISTS, is_conversation
from textwright.data.formats.encodings import BLOCK
from textwright.data.formats.fields import TEXT_FIELDS, TextField, flattened, name_rank
from textwright.data.formats.findings import Findings
from textwright.data.formats.large_exports import read_export
from textwright.data.formats.lines import MAX_LINE, read_numbered
from textwright.errors import CorpusError

Shape = Literal["documents", "conversations", "other"]

_HEAD_LINES = 20
NO_TEXT = "records left out, for they have no text"


def record_shape(record: Any, field: TextField) -> Shape:
    """What a parsed JSON record holds."""
    if field.text(record) and not (isinstance(record, str) or _is_talk_alone(record)):
        return "documents"
    return "conversations" if is_conversation(record) else "other"


def _is_talk_alone(record: Any) -> bool:
    """Whether a record with turns has no field that is certainly a text of its own."""
    return is_conversation(record) and not any(
        isinstance(record.get(name), str) for name in ("text", "content")
    )


def lines_shape(head: str, wanted: str | None = None) -> Shape:
    """What a `.jsonl` holds, by the first of its lines that parse."""
    records = head_records(head)
    field = TextField(wanted, records)
    for record in records:
        if (shape := record_shape(record, field)) != "other":
            return shape
    if len(records) > 1 and all(isinstance(record, str) for record in records):
        return "documents"
    if records:
        return "other"
    # A first line longer than the head can't be parsed; the field that comes first decides.
    start = head.lstrip()[:1000]
    positions = {
        name: position
        for name in (wanted or "", *TEXT_FIELDS, *LISTS)
        if name and start.startswith("{") and (position := start.find(f'"{name}":')) >= 0
    }
    if not positions:
        return "other"
    first = min(positions, key=positions.__getitem__)
    return "conversations" if first in LISTS and first != wanted else "documents"


def head_records(head: str) -> list[Any]:
    """The first lines of a `.jsonl` that parse, as values."""
    records = []
    for line in [line for line in head.split("\n") if line.strip()][:_HEAD_LINES]:
        try:
            records.append(json.loads(line))
        except (ValueError, RecursionError):
            continue
    return records


def field_names(records: list[Any]) -> list[str]:
    """The fields that the first records have, with those of objects inside them."""
    flat = (flattened(record) for record in records[:_HEAD_LINES] if isinstance(record, dict))
    return list(dict.fromkeys(name for record in flat for name in record))[:_HEAD_LINES]


def json_documents(
    data: Any, wanted: str | None = None, findings: Findings | None = None
) -> tuple[Shape, list[str]]:
    """(what it holds, its texts) of a parsed `.json`: an object, a list, or lists in an object.

    Args:
        data: the value.
        wanted: the field that the user named.
        findings: which fields were read and what was left out is added to it.
    """
    records, column = _records(data, wanted)
    field = TextField(wanted, records[:_HEAD_LINES] if len(records) > 1 else [])
    shapes = (record_shape(record, field) for record in records[:_HEAD_LINES])
    shape: Shape = next((one for one in shapes if one != "other"), "other")
    if isinstance(data, str) or (
        len(records) > 1 and all(isinstance(record, str) for record in records)
    ):
        shape = "documents"
    if shape != "documents":
        return shape, []
    field.used.clear()
    texts = []
    for number, record in enumerate(records, start=1):
        text = field.text(record)
        if text:
            texts.append(text)
        elif findings:
            findings.leave_out(NO_TEXT, number)
    if findings and column is not None:
        others = [name for name in data if name != column]
        rest = f"; not read: {', '.join(others[:8])}" if others else ""
        findings.note(
            f'text from its column "{column}" ({len(texts):,}){rest}; --field NAME decides'
        )
    elif findings:
        field.describe("field", findings)
    return shape, texts


def _records(data: Any, wanted: str | None) -> tuple[list[Any], str | None]:
    """The records of a parsed `.json`; where it is a table, the cells of a column, and its name."""
    if isinstance(data, list):
        return data, None
    if not isinstance(data, dict) or is_conversation(data):
        return [data], None
    lists = [value for value in data.values() if isinstance(value, list) and value]
    # Of {"text": […], "label": […]}, as tables are saved, the column is the text
    names = [name for name in data if name_rank(name) is not None or name == wanted]
    for name in [name for name in names if name == wanted] or names:
        column = data[name]
        cells = list(column.values()) if isinstance(column, dict) else column
        if isinstance(cells, list) and cells and isinstance(cells[0], str):
            return cells, name
        if isinstance(column, str):
            return [data], None
    objects = [one for one in lists if isinstance(one[0], dict)]
    if len(lists) == 1:
        return lists[0], None
    return [record for one in objects for record in one] or [data], None


def join_documents(documents: Iterable[str]) -> Iterator[str]:
    """The documents as one text, in pieces; how, the top of this file says."""
    gap = ""
    for document in documents:
        if document:
            yield gap
            yield document
            gap = "" if document.endswith("\n") else "\n\n"


def read_lines(
    file: BinaryIO, encoding: str, label: str, head: str, wanted: str | None, findings: Findings
) -> Iterator[str]:
    """The texts of a `.jsonl`. Raises `CorpusError` where most lines aren't JSON."""
    field = TextField(wanted, head_records(head))
    sound = broken = 0
    for number, line in read_numbered(file, encoding, label):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            findings.leave_out("lines left out, for they are no JSON", number)
            broken += 1
            continue
        sound += 1
        if text := field.text(record):
            yield text
        else:
            findings.leave_out(NO_TEXT, number)
    if broken > sound:
        raise CorpusError(
            f"{label}: {broken:,} of {broken + sound:,} lines are no JSON; mend it, or read it as "
            "it is (--set corpus.form=text)"
        )
    field.describe("field", findings)


def has_conversation_line(head: str) -> bool:
    """Whether any line is a complete conversation."""
    for line in head.split("\n"):
        try:
            if is_conversation(json.loads(line)):
                return True
        except (ValueError, RecursionError):
            continue
    return False


def load_json(file: BinaryIO, encoding: str, label: str) -> Any:
    """A parsed `.json`; None if it isn't JSON.

    Raises:
        CorpusError: it is larger than `MAX_LINE`, and no exported chat that can be read in parts.
    """
    data = file.read(MAX_LINE + 1)
    if len(data) > MAX_LINE:
        blocks = (iter(partial(part.read, BLOCK), b"") for part in (io.BytesIO(data), file))
        text = codecs.iterdecode(itertools.chain.from_iterable(blocks), encoding, "replace")
        try:
            return read_export(text)
        except (ValueError, RecursionError) as error:
            raise _too_large(label) from error
    try:
        return json.loads(codecs.decode(data, encoding, "replace").removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return None


def load_text(file: BinaryIO, encoding: str, label: str) -> str:
    """The whole file, decoded. Raises `CorpusError` where it is larger than `MAX_LINE`."""
    data = file.read(MAX_LINE + 1)
    if len(data) > MAX_LINE:
        raise _too_large(label)
    return codecs.decode(data, encoding, "replace").removeprefix("\ufeff")


def _too_large(label: str) -> CorpusError:
    return CorpusError(
        f"{label} is too large for one JSON value: over {MAX_LINE >> 20} MB, and not a chat as "
        "Telegram or Discord exports it; turn it into .jsonl, a record a line"
    )
