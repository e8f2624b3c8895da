"""Numbered lines of a text file, of bounded length."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

from textwright.errors import CorpusError

MAX_LINE = 1 << 26
"""Characters of one line or field, and bytes of a `.json`: more would not fit the memory bound."""


def read_numbered(file: BinaryIO, encoding: str, label: str) -> Iterator[tuple[int, str]]:
    """(number from 1, line) of each line; LF, CRLF and CR all end one.

    Raises:
        CorpusError: a line is longer than `MAX_LINE`.
    """
    with io.TextIOWrapper(file, encoding=encoding, errors="replace") as lines:
        number = 0
        while line := lines.readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE:
                raise CorpusError(f"{label}, line {number}: too long; split it into several lines")
            yield number, line
