"""The lines of a text file with their numbers, none of them longer than memory allows."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

from textwright.errors import CorpusError

LONGEST = 1 << 26
"""Characters of one line or field, and bytes of a `.json`: more would not fit the memory bound."""


def read_numbered(file: BinaryIO, encoding: str, label: str) -> Iterator[tuple[int, str]]:
    """(number from 1, line) of each line, whatever ends it: LF, CRLF or CR.

    Raises:
        CorpusError: a line is longer than `LONGEST`.
    """
    with io.TextIOWrapper(file, encoding=encoding, errors="replace") as lines:
        number = 0
        while line := lines.readline(LONGEST + 1):
            number += 1
            if len(line) > LONGEST:
                raise CorpusError(f"{label}, line {number}: too long; split it into several lines")
            yield number, line
