"""Tables that hold text: CSV, whatever its dialect, and Parquet."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO

from textwright.data.formats.fields import TextField
from textwright.data.formats.findings import Findings
from textwright.data.formats.lines import MAX_LINE
from textwright.data.formats.records import NO_TEXT
from textwright.errors import CorpusError, MissingPackageError

_DELIMITERS = ",;\t|"
_SNIFFED = 1 << 14
"""Characters by which a dialect is found."""
_MAX_LINES_OF_FIELD = 1000


@dataclass(frozen=True)
class Table:
    """How a CSV is written, and which of its columns holds text."""

    dialect: dict[str, Any]
    """Arguments of `csv.reader`."""
    names: tuple[str, ...]
    """Of the columns; empty where the first line is a row like the others."""
    columns: tuple[int, ...]
    """Of those that may hold the text, the likeliest first, from 0."""
    guessed: bool = False
    """Because its texts are the longest, not by its name."""
    skip: int = 0
    """Lines before the names: Excel's `sep=;`."""


def find_table(
    head: str, label: str, wanted: str | None = None, *, is_whole: bool = True
) -> Table | None:
    """How the CSV `label` that begins with `head` is read; None where no column holds text.

    Raises:
        CorpusError: it has no column that is called `wanted`.
    """
    if not is_whole:  # its last line may be cut
        head = head[: max(head.rfind("\n"), head.rfind("\r")) + 1] or head
    skip = 0
    dialect: dict[str, Any] = {}
    if declared := re.match(r"sep=(.)\r?\n|sep=(.)\r", head):
        skip, head = 1, head[declared.end() :]
        dialect["delimiter"] = declared[1] or declared[2]
    dialect = {**_sniff(head[:_SNIFFED]), **dialect}
    try:
        rows = list(islice(csv.reader(io.StringIO(head, newline=""), **dialect), 200))
    except csv.Error:
        return None
    rows = [row for row in rows if row]
    if not rows:
        return None
    names = tuple(name.strip().removeprefix("\ufeff") for name in rows[0])
    field = TextField(wanted, [])
    known = [names.index(name) for name in field.candidates(tuple(dict.fromkeys(names)))]
    if known and (wanted or any(_first_text(row, known) is not None for row in rows[1:])):
        return Table(dialect, names, tuple(known), skip=skip)
    if wanted:
        raise CorpusError(f'{label} has no column "{wanted}"; it has {", ".join(names)}')
    return _guess_column(rows, dialect, names, skip)


def _guess_column(
    rows: list[list[str]], dialect: dict[str, Any], names: tuple[str, ...], skip: int
) -> Table | None:
    """The column whose texts are the longest; the first row is one of them where it is as long."""
    numbered = [
        {str(column): cell for column, cell in enumerate(row)}
        for row in rows[1:]
        if len(row) == len(names)
    ]
    guess = TextField(None, numbered).guess
    if guess is None or len(names) < 2 or _are_sentences(rows):
        return None
    column = int(guess)
    lengths = [len(row[guess]) for row in numbered]
    has_names = 2 * len(names[column]) < sum(lengths) / len(lengths)
    return Table(dialect, names if has_names else (), (column,), guessed=True, skip=skip)


def _first_text(row: list[str], columns: Iterable[int]) -> int | None:
    """The first of the columns that isn't empty."""
    return next((one for one in columns if len(row) > one and row[one].strip()), None)


def _are_sentences(rows: list[list[str]]) -> bool:
    """Whether what parts the fields are the commas of prose: a space after nearly each of them."""
    fields = [field for row in rows for field in row[1:]]
    return sum(field.startswith(" ") for field in fields) > 0.9 * len(fields)


def _sniff(sample: str) -> dict[str, Any]:
    """The dialect of a CSV, by its beginning: the standard library's guess where it can be."""
    lines = sample.splitlines() or [""]
    first = lines[0]
    try:
        delimiter = csv.Sniffer().sniff("\n".join(lines[:50]), _DELIMITERS).delimiter
    except csv.Error:
        delimiter = ""
    if not delimiter or delimiter not in first:
        delimiter = max(_DELIMITERS, key=first.count)
    dialect: dict[str, Any] = {"delimiter": delimiter}
    if delimiter != "\t" and f'{delimiter} "' in sample and f'{delimiter}"' not in sample:
        dialect["skipinitialspace"] = True
    if '\\"' in sample and '""' not in sample.replace(f'{delimiter}""', ""):
        dialect.update(doublequote=False, escapechar="\\")
    mark = re.escape(delimiter)
    quoted = rf"(?:^|{mark})'[^'\n]*{mark}[^'\n]*'(?={mark}|\r?$)"
    if '"' not in sample and re.search(quoted, sample, re.M):
        dialect["quotechar"] = "'"
    if delimiter == "\t" and not re.search(
        r'(?:^|\t)"[^"\t]*(?:""[^"\t]*)*"(?:\t|$)', sample, re.M
    ):
        dialect["quoting"] = csv.QUOTE_NONE  # such tables escape nothing: a " is an inch
    return dialect


def read_csv(
    file: BinaryIO, encoding: str, label: str, table: Table, findings: Findings
) -> Iterator[str]:
    """The text column of a CSV.

    A row of more fields than there are names has delimiters in its text that weren't quoted: the
    text is put together again from them.
    """
    previous = csv.field_size_limit(MAX_LINE)  # global to the csv module; restored below
    used: Counter[int] = Counter()
    quotes = _Quotes(table.dialect.get("quotechar", '"'))
    try:
        with io.TextIOWrapper(file, encoding=encoding, errors="replace", newline="") as lines:
            for _ in range(table.skip):
                lines.readline()
            reader = csv.reader(quotes.counted(lines), **table.dialect)
            width = len(table.names)
            end = table.skip
            for number, row in enumerate(reader):
                begin, end = end + 1, reader.line_num + table.skip
                was_open, quotes.open = quotes.open, False
                if not row or (number == 0 and table.names):
                    continue
                width = width or len(row)
                if end - begin > _MAX_LINES_OF_FIELD or (was_open and end > begin):
                    findings.leave_out(
                        "rows in which a quotation mark is never closed, as it seems, so that what "
                        "follows counts as their text",
                        begin,
                    )
                column = _first_text(row, table.columns)
                text = "" if column is None else _cell(row, column, width, table)
                if len(row) > width and any(row[width:]):
                    findings.leave_out(
                        "rows of more fields than columns; their text was put together again", begin
                    )
                if column is not None:
                    used[column] += 1
                    yield text
                else:
                    findings.leave_out(NO_TEXT, begin)
    except csv.Error as error:
        raise CorpusError(
            f"{label} is no readable CSV ({error}); save it again as CSV, in UTF-8"
        ) from error
    finally:
        csv.field_size_limit(previous)
    read = " and ".join(
        f'"{table.names[column]}" ({count:,})'
        if table.names
        else f"number {column + 1} ({count:,})"
        for column, count in used.most_common()
    )
    others = [one for column, one in enumerate(table.names) if column not in used]
    rest = f"; not read: {', '.join(others[:8])}" if others else ""
    why = ", which has the longest texts" if table.guessed else ""
    if read:
        findings.note(f"text from its column {read}{why}{rest}; --field NAME decides")


class _Quotes:
    """Whether the quotation marks of the lines since the last row don't come in pairs."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self.open = False

    def counted(self, lines: Iterable[str]) -> Iterator[str]:
        """The lines, without NULs."""
        for line in lines:
            self.open ^= line.count(self._mark) % 2 == 1
            yield line.replace("\0", "")


def _cell(row: list[str], column: int, width: int, table: Table) -> str:
    delimiter: str = table.dialect["delimiter"]
    while len(row) > width and not row[-1]:
        row.pop()
    more = max(0, len(row) - width)
    if more and 0 < column == width - 1 and delimiter in row[-1]:
        return row[-1]  # which was quoted, so the commas too many are of the columns before it
    return delimiter.join(row[column : column + more + 1])


def read_parquet(
    file: BinaryIO, label: str, wanted: str | None, findings: Findings
) -> Iterator[str]:
    """The text column of a Parquet file, a batch of rows at a time.

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
        schema = table.schema_arrow
        names = [one.name for one in schema if _holds_strings(one.type)]
        if wanted:  # bytes too, where the user says that they are text
            names += [one.name for one in schema if _holds_bytes(one.type)]
        known = TextField(wanted, []).candidates(tuple(names))
        guessed = not known
        if not known and not wanted:
            known = _guess_parquet_column(table, names)
        if not known:
            unread = tuple(one.name for one in schema if _holds_bytes(one.type))
            if not wanted and (named := TextField(None, []).candidates(unread)):
                raise CorpusError(
                    f'{label} has bytes in its column "{named[0]}"; if they are text in UTF-8, '
                    f"--field {named[0]} reads them"
                )
            raise no_text_column(label, list(schema.names), wanted)
        used = rows = 0
        for batch in table.iter_batches(batch_size=1024, columns=[known[0]]):
            for cell in batch.column(0).cast(pyarrow.large_binary()).to_pylist():
                rows += 1
                # As bytes: one that is no UTF-8 must not cost the others
                if text := (cell or b"").decode("utf-8", "replace"):
                    used += 1
                    if "\ufffd" in text and b"\xef\xbf\xbd" not in cell:
                        findings.leave_out("bytes that are no UTF-8 became U+FFFD", rows)
                    yield text
                else:
                    findings.leave_out(NO_TEXT, rows)
    except pyarrow.ArrowException as error:
        raise CorpusError(
            f"{label} is no readable Parquet file ({error}); write it again, or as CSV"
        ) from error
    others = [name for name in schema.names if name != known[0]]
    rest = f"; not read: {', '.join(others[:8])}" if others else ""
    why = ", which has the longest texts" if guessed else ""
    findings.note(f'text from its column "{known[0]}" ({used:,}){why}{rest}; --field NAME decides')


def _holds_strings(kind: Any) -> bool:
    import pyarrow

    value = kind.value_type if pyarrow.types.is_dictionary(kind) else kind
    return str(value) in ("string", "large_string", "string_view")


def _holds_bytes(kind: Any) -> bool:
    return str(kind) in ("binary", "large_binary", "binary_view")


def _guess_parquet_column(table: Any, names: list[str]) -> tuple[str, ...]:
    batch = next(iter(table.iter_batches(batch_size=200, columns=names)), None)
    guess = TextField(None, batch.to_pylist() if batch is not None else []).guess
    return (guess,) if guess is not None else ()


def no_text_column(label: str, names: list[str], wanted: str | None = None) -> CorpusError:
    """The error about a table that has only the columns `names`, and none that was `wanted`."""
    if wanted:
        listed = (
            f"it has {', '.join(names)}" if names else "--field names one that its records have"
        )
        return CorpusError(f'{label} has no text in a field "{wanted}"; {listed}')
    columns = f" (it has {', '.join(names)})" if names else ""
    return CorpusError(
        f"{label} has no column of text{columns}; name the one that holds text: --field NAME"
    )
