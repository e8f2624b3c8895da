"""The cache of downloaded and prepared text.

    $TEXTWRIGHT_CACHE, or the system's cache folder for textwright
      downloads/<key>/   a URL as it was served, and its record
      texts/<key>.txt    a corpus as one normalised UTF-8 text, and <key>.json: counts, warnings
      tokens/<key>.bin   the same text as token ids, and <key>.json

A key is a hash of everything that the content depends on, so no file is ever stale. A local file is
copied only where normalization changes it. Each file appears whole or not at all and its `.json`
is written last, so several processes may work at once and anything may be deleted at any time.
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


def cache_key(*parts: Any) -> str:
    """The key of what is computed from `parts` (any JSON values): 32 hex digits."""
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def read_record(path: Path) -> dict[str, Any] | None:
    """The JSON object at `path`; None where it is missing or damaged, and must be made again."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a JSON object, whole or not at all."""
    atomic.write_text(path, json.dumps(record, ensure_ascii=False))


def has_size(path: Path, size: Any) -> bool:
    """Whether `path` is a file of exactly `size` bytes."""
    try:
        return bool(path.stat().st_size == size)
    except OSError:
        return False


def cached_record(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The record of the file at `path`, from the `.json` beside it; unless both are whole,
    `make` writes the file and returns its record, with the size as `bytes`.

    Raises:
        TextwrightError: what `make` raises.
    """
    record_path = path.with_suffix(".json")
    record = read_record(record_path)
    if record is None or not has_size(path, record.get("bytes")):
        try:
            record = make()
            write_record(record_path, record)
        except CorpusError:
            raise
        except TextwrightError:
            # Where files in use can't be replaced (Windows), another process may have been faster.
            record = read_record(record_path)
            if record is None or not has_size(path, record.get("bytes")):
                raise
    return record
