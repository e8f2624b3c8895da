"""Sessions in the pages: commands after `$`, each with what it prints.

What is shown is compared with what is printed as far as it is the same on every machine: numbers,
times and sizes may differ, and so may what a model in training writes, or does not know. `...` is
the rest of a line or, alone on one, any number of them. What a model that comes with the package
writes is the same everywhere, and compared as it is.
"""

from __future__ import annotations

import re

from pages import Block

RUN_ONCE = ("results.md", "log.md")
"""Pages whose sessions are figures of a certain day and machine."""

_NUMBER = re.compile(r"(?<![\w.])[-+−]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
_RUN = re.compile(r"(\bruns/[A-Za-z_]+)-\d+")
_TIME = re.compile(r"# (?:h|min|s|ms)\b(?: # (?:min|s|ms)\b)*")
_SIZE = re.compile(r"# (?:B|kB|MB|GB)\b")
_SAMPLE = re.compile(r"^ *\| .*")
_UNKNOWN = re.compile(r"\s+unknown #| \(# % unknown\)")
_VERDICT = re.compile(r"^(verdict ).*")
"""Of a training that is cut short here, another one."""


def sessions(block: Block) -> list[tuple[str, str]]:
    """The commands of a block, each with what is shown of its output."""
    if block.language != "console" or not block.text.startswith("$ "):
        return []
    parts = re.split(r"^\$ ", block.text, flags=re.M)[1:]
    return [(part.partition("\n")[0], part.partition("\n")[2]) for part in parts]


def normal(line: str) -> str:
    """A line without what differs from machine to machine."""
    line = _RUN.sub(r"\1", _VERDICT.sub(r"\1", _SAMPLE.sub("|", line)))
    line = _SIZE.sub("# B", _TIME.sub("# s", _NUMBER.sub("#", line)))
    return re.sub(r"[\s─━]+", " ", _UNKNOWN.sub("", line)).strip()


def difference(shown: str, printed: str) -> str:
    """The first line that is shown and was not printed there; nothing where all were."""
    there = [normal(line) for line in printed.splitlines() if line.strip()]
    place, skips = 0, False
    for line in shown.splitlines():
        if line.strip() == "...":
            skips = True
        elif wanted := normal(line):
            matching = [n for n, found in enumerate(there[place:], place) if _equal(wanted, found)]
            if not matching or (matching[0] != place and not skips):
                return line
            place, skips = matching[0] + 1, False
    return "" if skips or place == len(there) else f"(its end) {there[place]}"


def _equal(wanted: str, found: str) -> bool:
    return found.startswith(wanted[:-3].rstrip()) if wanted.endswith("...") else found == wanted
