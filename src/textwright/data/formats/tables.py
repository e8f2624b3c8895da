"""Files of documents with a "text" field: JSON Lines, JSON, CSV, Parquet.

The documents follow each other as one text: what ends in a line end is a line and is followed at
once by the next; anything else is set off by a blank line.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Literal

from textwright.data.formats.conversations import LISTS, is_conversation
from textwright.data.formats.lines import LONGEST, read_numbered
from textwright.errors import CorpusError, MissingPackageError

FIELD = "text"

Shape = Literal["documents", "conversations", "other"]

_HEAD_LINES = 20


def shape_of(record: Any) -> Shape:
    """What one parsed JSON record is."""
    if isinstance(record, dict):
        if isinstance(record.get(FIELD), str):
            return "documents"
        if is_conversation(record):
            return "conversations"
    return "other"


def lines_shape(head: str) -> Shape:
    """What a `.jsonl` is, from its first lines that are JSON."""
    for line in [line for line in head.split("\n") if line.strip()][:_HEAD_LINES]:
        try:
            shape = shape_of(json.loads(line))
        except (ValueError, RecursionError):
            continue
        if shape != "other":
            return shape
    # A first line longer than the head can't be parsed; which field comes first still tells.
    start = head.lstrip()[:1000]
    places = {
        field: place
        for field in (FIELD, *LISTS)
        if start.startswith("{") and (place := start.find(f'"{field}":')) >= 0
    }
    if not places:
        return "other"
    return "documents" if min(places, key=places.__getitem__) == FIELD else "conversations"


def json_documents(data: Any) -> tuple[Shape, list[str]]:
    """(what a parsed `.json` is, its documents): an object, a list, or {"data": list}."""
    if isinstance(data, dict) and shape_of(data) == "other":
        lists = [value for value in data.values() if isinstance(value, list) and value]
        data = lists[0] if len(lists) == 1 else data
    records = data if isinstance(data, list) else [data]
    shapes = (shape_of(record) for record in records[:_HEAD_LINES])
    shape: Shape = next((found for found in shapes if found != "other"), "other")
    if shape != "documents":
        return shape, []
    return shape, [
        record[FIELD]
        for record in records
        if isinstance(record, dict) and isinstance(record.get(FIELD), str)
    ]


def joined(documents: Iterable[str]) -> Iterator[str]:
    """The documents as one text; see the top of this file."""
    gap = ""
    for document in documents:
        if document:
            yield gap
            yield document
            gap = "" if document.endswith("\n") else "\n\n"


def read_lines(file: BinaryIO, encoding: str, label: str) -> Iterator[str]:
    """The documents of a `.jsonl`. Raises `CorpusError` at a line that is no JSON."""
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


def one_a_line(head: str) -> bool:
    """Whether one of the lines is a conversation by itself."""
    for line in head.split("\n"):
        try:
            if is_conversation(json.loads(line)):
                return True
        except (ValueError, RecursionError):
            continue
    return False


def load_json(file: BinaryIO, encoding: str, label: str) -> Any:
    """A parsed `.json`, or None where it is no JSON."""
    try:
        return json.loads(load_text(file, encoding, label))
    except (ValueError, RecursionError):
        return None


def load_text(file: BinaryIO, encoding: str, label: str) -> str:
    """All of a file that is one JSON value. Raises `CorpusError`: it is too large."""
    data = file.read(LONGEST + 1)
    if len(data) > LONGEST:
        raise CorpusError(f"{label} is too large for one JSON value; turn it into .jsonl")
    return codecs.decode(data, encoding, "replace")


def csv_has_text(head: str) -> bool:
    """Whether the first line of a CSV names a column "text"."""
    row = next(csv.reader([head.split("\n", 1)[0].rstrip("\r")]), [])
    return FIELD in row


def read_csv(file: BinaryIO, encoding: str, label: str) -> Iterator[str]:
    """The column "text" of a CSV."""
    longest = csv.field_size_limit(LONGEST)  # the module's one setting; put back below
    try:
        with io.TextIOWrapper(file, encoding=encoding, errors="replace", newline="") as lines:
            for row in csv.DictReader(lines):
                yield row.get(FIELD) or ""
    except csv.Error as error:
        raise CorpusError(f"{label} is no readable CSV ({error})") from error
    finally:
        csv.field_size_limit(longest)


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
            for text in batch.column(0).to_pylist():
                if isinstance(text, str):
                    yield text
    except pyarrow.ArrowException as error:
        raise CorpusError(f"{label} is no readable Parquet file ({error})") from error


def no_text_column(label: str, names: list[str]) -> CorpusError:
    """The error about records that lack the field."""
    there = f" (it has {', '.join(names)})" if names else ""
    return CorpusError(f'{label} has no "{FIELD}" column{there}; rename the one that holds text')
