"""Files of documents with a "text" field: JSON Lines, JSON, CSV, Parquet.

The documents are joined to one text: one that ends in a line end is taken for a line, and the next
follows directly; any other is followed by a blank line.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Literal

from textwright.data.formats.conversations import LISTS, is_conversation
from textwright.data.formats.lines import MAX_LINE, read_numbered
from textwright.errors import CorpusError, MissingPackageError

FIELD = "text"

Shape = Literal["documents", "conversations", "other"]

_HEAD_LINES = 20


def record_shape(record: Any) -> Shape:
    """What a parsed JSON record holds."""
    if isinstance(record, dict):
        if isinstance(record.get(FIELD), str):
            return "documents"
        if is_conversation(record):
            return "conversations"
    return "other"


def lines_shape(head: str) -> Shape:
    """What a `.jsonl` holds, by the first of its lines that parse."""
    for line in [line for line in head.split("\n") if line.strip()][:_HEAD_LINES]:
        try:
            shape = record_shape(json.loads(line))
        except (ValueError, RecursionError):
            continue
        if shape != "other":
            return shape
    # A first line longer than the head can't be parsed; the field that comes first decides.
    start = head.lstrip()[:1000]
    positions = {
        field: position
        for field in (FIELD, *LISTS)
        if start.startswith("{") and (position := start.find(f'"{field}":')) >= 0
    }
    if not positions:
        return "other"
    return "documents" if min(positions, key=positions.__getitem__) == FIELD else "conversations"


def json_documents(data: Any) -> tuple[Shape, list[str]]:
    """(what it holds, its documents) of a parsed `.json`: an object, a list, or {"data": list}."""
    if isinstance(data, dict) and record_shape(data) == "other":
        lists = [value for value in data.values() if isinstance(value, list) and value]
        data = lists[0] if len(lists) == 1 else data
    records = data if isinstance(data, list) else [data]
    shapes = (record_shape(record) for record in records[:_HEAD_LINES])
    shape: Shape = next((one for one in shapes if one != "other"), "other")
    if shape != "documents":
        return shape, []
    return shape, [
        record[FIELD]
        for record in records
        if isinstance(record, dict) and isinstance(record.get(FIELD), str)
    ]


def join_documents(documents: Iterable[str]) -> Iterator[str]:
    """The documents as one text, in pieces; how, the top of this file says."""
    gap = ""
    for document in documents:
        if document:
            yield gap
            yield document
            gap = "" if document.endswith("\n") else "\n\n"


def read_lines(file: BinaryIO, encoding: str, label: str) -> Iterator[str]:
    """The documents of a `.jsonl`. Raises `CorpusError` at a line that isn't JSON."""
    for number, line in read_numbered(file, encoding, label):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            raise CorpusError(
                f"{label}, line {number}: not JSON; mend or remove this line"
            ) from None
        if isinstance(record, dict) and isinstance(record.get(FIELD), str):
            yield record[FIELD]


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
    """A parsed `.json`; None if it isn't JSON."""
    try:
        return json.loads(load_text(file, encoding, label))
    except (ValueError, RecursionError):
        return None


def load_text(file: BinaryIO, encoding: str, label: str) -> str:
    """The whole file, decoded. Raises `CorpusError` where it is larger than `MAX_LINE`."""
    data = file.read(MAX_LINE + 1)
    if len(data) > MAX_LINE:
        raise CorpusError(f"{label} is too large for one JSON value; turn it into .jsonl")
    return codecs.decode(data, encoding, "replace")


def csv_has_text(head: str) -> bool:
    """Whether the first line of a CSV names a column "text"."""
    try:
        return FIELD in next(csv.reader(head.splitlines()), [])
    except csv.Error:
        return False


def read_csv(file: BinaryIO, encoding: str, label: str) -> Iterator[str]:
    """The column "text" of a CSV."""
    previous = csv.field_size_limit(MAX_LINE)  # global to the csv module; restored below
    try:
        with io.TextIOWrapper(file, encoding=encoding, errors="replace", newline="") as lines:
            for row in csv.DictReader(lines):
                yield row.get(FIELD) or ""
    except csv.Error as error:
        raise CorpusError(f"{label} is no readable CSV ({error})") from error
    finally:
        csv.field_size_limit(previous)


def read_parquet(file: BinaryIO, label: str) -> Iterator[str]:
    """The column "text" of a Parquet file, a batch of rows at a time.

    Raises:
        MissingPackageError: pyarrow isn't installed.
        CorpusError: the file is damaged or has no such column.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingPackageError(
            f"{label} is a Parquet file, which needs pyarrow; pip install 'textwright[documents]'"
        ) from error
    try:
        table = parquet.ParquetFile(file)
        names = list(table.schema_arrow.names)
        if FIELD not in names:
            raise no_text_column(label, names)
        for batch in table.iter_batches(batch_size=1024, columns=[FIELD]):
            for text in batch.column(0).cast(pyarrow.large_binary()).to_pylist():
                if text is not None:  # as bytes: one that is no UTF-8 must not cost the others
                    yield text.decode("utf-8", "replace")
    except pyarrow.ArrowException as error:
        raise CorpusError(f"{label} is no readable Parquet file ({error})") from error


def no_text_column(label: str, names: list[str]) -> CorpusError:
    """The error about a table that has only the columns `names`."""
    columns = f" (it has {', '.join(names)})" if names else ""
    return CorpusError(f'{label} has no "{FIELD}" column{columns}; rename the one that holds text')
