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
        rows: a cell a column; what isn't printable in them shows as `�`.
        right: the columns of numbers, by heading.
        title: a line above it.
        spare: columns that a narrow terminal may go without, the first to go first.
    """
    cells = [[_printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        columns, cells = _fitting(columns, cells, spare)
        _draw(columns, cells, right, title)
        return
    if title:
        typer.echo(title)
    widths = _widths(columns, cells)
    for row in [list(columns), *cells] if any(columns) else cells:
        typer.echo(_aligned(row, columns, widths, right))


def show_json(data: Any, *, indent: int | None = 2) -> None:
    """Print one JSON value; without `indent` on one line."""
    # Only UTF-8 can hold every character; elsewhere they are written as \u escapes
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    typer.echo(json.dumps(data, ensure_ascii=not utf8, indent=indent))


def _fitting(
    columns: Sequence[str], rows: list[list[str]], spare: Sequence[str]
) -> tuple[Sequence[str], list[list[str]]]:
    """The table without as many of its `spare` columns as it takes to fit the terminal."""
    room = shutil.get_terminal_size().columns
    for name in spare:
        if sum(_widths(columns, rows)) + 3 * len(columns) <= room:
            break
        kept = [index for index, column in enumerate(columns) if column != name]
        columns = [columns[index] for index in kept]
        rows = [[row[index] for index in kept] for row in rows]
    return columns, rows


def _widths(columns: Sequence[str], rows: list[list[str]]) -> list[int]:
    """How wide each column shows: a Chinese character takes two columns of a terminal."""
    every = [list(columns), *rows]
    return [max(cell_len(row[index]) for row in every) for index in range(len(columns))]


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


def _aligned(
    row: Sequence[str], columns: Sequence[str], widths: Sequence[int], right: Sequence[str]
) -> str:
    parts = []
    for cell, column, width in zip(row, columns, widths, strict=True):
        gap = " " * (width - cell_len(cell))
        parts.append(gap + cell if column in right else cell + gap)
    return "  ".join(parts).rstrip()


def _printable(cell: str) -> str:
    return "".join(character if character.isprintable() else "�" for character in cell)


def show_rows(rows: Mapping[str, str]) -> None:
    """Labels and what belongs to them, a line each; nothing is cut or wrapped."""
    width = max(map(len, rows))
    for label, value in rows.items():
        typer.echo(f"{label:<{width}}  {value}")
