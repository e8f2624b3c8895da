"""What there is to say about many files, each kind once, with a count."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePath

from textwright.errors import counted

_MOST_KINDS, _MOST_NAMED = 20, 9
_VARIES = re.compile(r'"[^"]*"|\d[\d,.]*(?:, \d[\d,.]*)*')
"""Quoted text and numbers, which like lines differ in."""


@dataclass
class _Kind:
    line: str
    """The first of its lines."""
    count: int = 0
    others: list[str] = field(default_factory=list)
    """Some of the files that the like is said of."""

    def __str__(self) -> str:
        if self.count == 1:
            return self.line
        more = " …" if self.count - 1 > len(self.others) else ""
        return f"{self.line}; likewise {self.count - 1:,} more: {', '.join(self.others)}{more}"


class Likewise:
    """Lines about files, gathered until all are there."""

    def __init__(self) -> None:
        self._labels: set[str] = set()
        self._kinds: dict[str, _Kind] = {}

    def know(self, labels: Iterable[str]) -> None:
        """Say what files are called, to tell their names from what is said about them."""
        self._labels.update(labels)

    def add(self, line: str) -> None:
        """Gather a line about one file."""
        label = self._label(line)
        name = _VARIES.sub("…", line.replace(label, "", 1) if label else line)
        kind = self._kinds.setdefault(name, _Kind(line))
        kind.count += 1
        if 1 < kind.count <= 1 + _MOST_NAMED:
            kind.others.append(str(PurePath(*PurePath(label).parts[-2:])) if label else line)

    def take(self) -> list[str]:
        """The first line of each kind, with number and names of the files alike; forgets all."""
        kinds = list(self._kinds.values())
        lines = [str(kind) for kind in kinds[:_MOST_KINDS]]
        if rest := sum(kind.count for kind in kinds[_MOST_KINDS:]):
            lines.append(f"and {counted(rest, 'file')} more, each for a reason of its own")
        self._kinds.clear()
        return lines

    def _label(self, line: str) -> str:
        """The file that a line begins with; empty where it names none that is known."""
        line = line.removeprefix("skipped ")
        ends = [match.start() for match in re.finditer(r"[:, ]|$", line)]
        return next((line[:end] for end in reversed(ends) if line[:end] in self._labels), "")
