"""What there is to say about files that were read: about one, and about many alike."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePath

from textwright.errors import counted

_MAX_NAMED = 20
_MOST_KINDS, _MOST_ALIKE = 20, 9
_VARIES = re.compile(r'"[^"]*"|\d[\d,.]*(?:, \d[\d,.]*)*')
"""Quoted text and numbers, which like lines differ in."""


class Findings:
    """What there is to say about how one file was read, in lines."""

    def __init__(self, label: str, unit: str = "record") -> None:
        """Of the file `label`, whose positions are counted in `unit`s."""
        self._label, self._unit = label, unit
        self._left_out: dict[str, Counter[int]] = {}
        self._positions: dict[str, list[int]] = {}
        self.notes: list[str] = []
        """What was done and loses nothing."""

    def leave_out(self, reason: str, position: int) -> None:
        """Count a record that isn't used, or not whole."""
        self._count(reason)
        if len(self._positions[reason]) < _MAX_NAMED:
            self._positions[reason].append(position)

    def _count(self, reason: str) -> None:
        self._left_out.setdefault(reason, Counter())[0] += 1
        self._positions.setdefault(reason, [])

    def warnings(self) -> Iterator[str]:
        """A line for each reason, with its count and the first positions."""
        for reason, counter in self._left_out.items():
            count, listed = counter[0], self._positions[reason]
            more = f" and {count - len(listed):,} more" if count > len(listed) else ""
            places = ", ".join(map(str, listed))
            yield f"{self._label}: {reason}: {count:,} ({self._unit} {places}{more})"

    def note(self, line: str) -> None:
        """Add a note about the file."""
        self.notes.append(f"{self._label}: {line}")


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


def likewise(lines: Iterable[str], labels: Collection[str]) -> list[str]:
    """Of lines about files the first of each kind, with number and names of the files alike.

    Args:
        lines: of any number of files.
        labels: what the files are called, to tell their names from what is said about them.
    """
    kinds: dict[str, _Kind] = {}
    for line in lines:
        label = _label(line, labels)
        name = _VARIES.sub("…", line.replace(label, "", 1) if label else line)
        kind = kinds.setdefault(name, _Kind(line))
        kind.count += 1
        if 1 < kind.count <= 1 + _MOST_ALIKE:
            kind.others.append(str(PurePath(*PurePath(label).parts[-2:])) if label else line)
    found = [str(kind) for kind in list(kinds.values())[:_MOST_KINDS]]
    if rest := sum(kind.count for kind in list(kinds.values())[_MOST_KINDS:]):
        found.append(f"and {counted(rest, 'file')} more, each for a reason of its own")
    return found


def _label(line: str, labels: Collection[str]) -> str:
    """The file that a line begins with; empty where it names none that is known."""
    line = line.removeprefix("skipped ")
    ends = [match.start() for match in re.finditer(r"[:, ]|$", line)]
    return next((line[:end] for end in reversed(ends) if line[:end] in labels), "")
