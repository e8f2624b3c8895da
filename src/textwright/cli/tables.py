"""Tables on standard output: drawn on a terminal, plain aligned text everywhere else."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.cells import cell_len


def show_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[str] = (),
    title: str | None = None,
    spare: Sequence[str] = (),
) -> None:
    """Print a table.

    Args:
        columns: the headings.
        rows: a cell per column; characters that aren't printable become `�`.
        right: headings of the columns to align right.
        title: a line above it.
        spare: headings of the columns to leave out on a narrow terminal, in this order.
    """
    cells = [[_printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        columns, cells = _fit(columns, cells, spare)
        _draw(columns, cells, right, title)
        return
    if title:
        typer.echo(title)
    widths = _widths(columns, cells)
    for row in [list(columns), *cells] if any(columns) else cells:
        typer.echo(_align(row, columns, widths, right))


def show_json(data: Any, *, indent: int | None = 2) -> None:
    """Print one JSON value; without `indent` on one line."""
    # other encodings than UTF-8 lack characters, which are written as \u escapes
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    typer.echo(json.dumps(data, ensure_ascii=not utf8, indent=indent))


def _fit(
    columns: Sequence[str], rows: list[list[str]], spare: Sequence[str]
) -> tuple[Sequence[str], list[list[str]]]:
    """The table without those of its `spare` columns that don't fit the terminal."""
    width = shutil.get_terminal_size().columns
    for name in spare:
        if sum(_widths(columns, rows)) + 3 * len(columns) <= width:
            break
        indexes = [index for index, column in enumerate(columns) if column != name]
        columns = [columns[index] for index in indexes]
        rows = [[row[index] for index in indexes] for row in rows]
    return columns, rows


def _widths(columns: Sequence[str], rows: list[list[str]]) -> list[int]:
    """The width of each column: a Chinese character takes two columns of a terminal."""
    lines = [list(columns), *rows]
    return [max(cell_len(line[index]) for line in lines) for index in range(len(columns))]


def _draw(
    columns: Sequence[str], rows: list[list[str]], right: Sequence[str], title: str | None
) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD if any(columns) else None, title=title, title_justify="left",
                  title_style="bold", show_header=any(columns), pad_edge=False)  # fmt: skip
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(file=sys.stdout).print(table)


def _align(
    row: Sequence[str], columns: Sequence[str], widths: Sequence[int], right: Sequence[str]
) -> str:
    parts = []
    for cell, column, width in zip(row, columns, widths, strict=True):
        padding = " " * (width - cell_len(cell))
        parts.append(padding + cell if column in right else cell + padding)
    return "  ".join(parts).rstrip()


def _printable(cell: str) -> str:
    return "".join(character if character.isprintable() else "�" for character in cell)


def show_rows(rows: Mapping[str, str]) -> None:
    """Print labels with their values, a line each, without cutting or wrapping."""
    width = max(map(len, rows))
    for label, value in rows.items():
        lines = "\n".join(map(_printable, value.split("\n")))
        typer.echo(f"{label:<{width}}  {lines}")
