"""Names of runs, and the runs folder."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

from textwright.errors import RunError

RUNS_VARIABLE = "TEXTWRIGHT_RUNS"
_NAME = re.compile(r"[^\W_](?:[\w .+-]{0,98}[\w+-])?", re.UNICODE)
_RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)[\d¹²³]) *(\..*)?", re.IGNORECASE)  # on Windows
_MAX_BYTES = 200
"""Of a name in UTF-8: file systems take 255, and temporary files beside it have longer ones."""


def runs_folder(folder: str | Path | None = None) -> Path:
    """The folder of runs: `folder`, else `$TEXTWRIGHT_RUNS`, else `runs`."""
    return Path(folder or os.environ.get(RUNS_VARIABLE) or "runs")


def check_name(name: str) -> str:
    """`name` itself, if it is a valid folder name on every system.

    Raises:
        RunError: it is empty, holds a path separator or `..`, or is reserved.
    """
    if not _NAME.fullmatch(name) or ".." in name or _RESERVED.fullmatch(name):
        raise RunError(
            f"{name!r} can't be the name of a run; take letters, digits, '-', '_' and '.', "
            "a letter or digit first, at most 100"
        )
    if len(name.encode()) > _MAX_BYTES:
        raise RunError(f"{name!r} is too long for a run: {_MAX_BYTES} bytes at most")
    return name


def name_from(text: str) -> str:
    """A valid run name derived from `text`, e.g. a corpus name: `My Novel.txt` → `my-novel.txt`."""
    text = unicodedata.normalize("NFC", text)  # macOS may give a file's name as é = e + ´
    name = re.sub(r"[^\w.]+", "-", text.lower()).strip("-_.")[:80]
    name = re.sub(r"\.{2,}", ".", name)
    name = name.encode()[: _MAX_BYTES - 40].decode(errors="ignore")  # room for a number
    name = name.rstrip("-_.") or "run"
    return f"run-{name}" if _RESERVED.fullmatch(name) or not _NAME.fullmatch(name) else name


def name_key(name: str) -> str:
    """`name` for comparison: `-` and `_` are equal."""
    return name.replace("_", "-")
