"""Where prepared and downloaded text is kept between runs.

    $TEXTWRIGHT_CACHE, or the system's cache folder for textwright
      downloads/<key>/   a URL or built-in as it was served, and what is known about it
      texts/<key>.txt    a corpus as one normalised UTF-8 text, and <key>.json: counts, warnings
      tokens/<key>.bin   the same text as token ids, and <key>.json

A key is a hash of all that the content follows from, so a file is never stale: whatever changes
has another key. A local file is copied only where normalising changes it. Each file
appears whole or not at all and a `.json` is written last, so several processes may work at once
and everything here may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs

from textwright import atomic
from textwright.errors import CorpusError, TextwrightError

CACHE_VARIABLE = "TEXTWRIGHT_CACHE"


def cache_folder() -> Path:
    """`$TEXTWRIGHT_CACHE`, else the system's cache folder for textwright."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("textwright", False))


def key_of(*parts: Any) -> str:
    """A name for what follows from `parts` (anything JSON holds): 32 hex digits."""
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def read_record(path: Path) -> dict[str, Any] | None:
    """The JSON object at `path`; None where it is missing or damaged, which means: do it again."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a JSON object, whole or not at all."""
    atomic.write_text(path, json.dumps(record, ensure_ascii=False))


def holds(path: Path, size: Any) -> bool:
    """Whether `path` is a file of exactly `size` bytes."""
    try:
        return bool(path.stat().st_size == size)
    except OSError:
        return False


def kept(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The record of the file at `path`, from the `.json` beside it; where they are not there
    whole, `make` writes the file and gives its record, with its size as `bytes`.

    Raises:
        TextwrightError: what `make` raises.
    """
    record_path = path.with_suffix(".json")
    record = read_record(record_path)
    if record is None or not holds(path, record.get("bytes")):
        try:
            record = make()
            write_record(record_path, record)
        except CorpusError:
            raise
        except TextwrightError:
            # Where files in use can't be replaced, another process may have been faster.
            record = read_record(record_path)
            if record is None or not holds(path, record.get("bytes")):
                raise
    return record
