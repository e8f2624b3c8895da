"""The texts that the page can train on without an upload: the built-ins that are running text."""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from textwright.data.sources import builtin
from textwright.data.sources.builtin import BUILT_INS
from textwright.data.sources.cache import cache_folder
from textwright.errors import RequestError
from textwright.studio.uploads import Upload

NAMES = ("shakespeare", "frankenstein", "pride-and-prejudice", "sherlock-holmes", "python-docs")
"""Small enough for minutes."""
FRESH = 30.0
"""Seconds after which it is looked anew which of them are on this machine."""


def texts() -> list[dict[str, Any]]:
    """`name`, `title`, `size` in bytes, and `near`: whether it is on this machine already."""
    return _texts(int(time.monotonic() / FRESH))


@lru_cache(maxsize=1)
def _texts(_: int) -> list[dict[str, Any]]:
    found = []
    for name in NAMES:
        text = BUILT_INS[name]
        near = builtin.locate(text, cache_folder()) != "download"
        found.append({"name": name, "title": text.title, "size": text.size, "near": near})
    return found


def take(name: str) -> Upload:
    """The built-in `name` as what a training learns from.

    Raises:
        RequestError: no such text.
    """
    if name not in NAMES:
        raise RequestError(f"no built-in text {name!r}; there are {', '.join(NAMES)}")
    return Upload(BUILT_INS[name].title, Path(name), is_file=False)
