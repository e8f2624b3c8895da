"""What runs may be called, and where they live."""

from __future__ import annotations

import os
import re
from pathlib import Path

from textwright.errors import RunError

RUNS_VARIABLE = "TEXTWRIGHT_RUNS"
_NAME = re.compile(r"[^\W_](?:[\w .+-]{0,98}[\w+-])?", re.UNICODE)
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # on Windows


def runs_folder(folder: str | Path | None = None) -> Path:
    """The folder of runs: `folder`, else `$TEXTWRIGHT_RUNS`, else `runs`."""
    return Path(folder or os.environ.get(RUNS_VARIABLE) or "runs")


def check_name(name: str) -> str:
    """`name`, if a folder may be called so on every system.

    Raises:
        RunError: it is empty, holds a path separator or `..`, or is reserved.
    """
    if not _NAME.fullmatch(name) or ".." in name or _RESERVED.fullmatch(name):
        raise RunError(
            f"{name!r} can't be the name of a run; take letters, digits, '-', '_' and '.', "
            "a letter or digit first, at most 100"
        )
    return name


def name_from(text: str) -> str:
    """A valid run name near `text`, e.g. a corpus name: `My Novel.txt` → `my-novel.txt`."""
    name = re.sub(r"[^\w.]+", "-", text.lower()).strip("-_.")[:80].replace("..", ".")
    name = name.rstrip("-_.") or "run"
    return f"run-{name}" if _RESERVED.fullmatch(name) or not _NAME.fullmatch(name) else name


def same_name(name: str) -> str:
    """`name` as it is compared: `-` and `_` are the same."""
    return name.replace("_", "-")
