"""Removal of Project Gutenberg's header and licence.

Books carry `*** START OF THE PROJECT GUTENBERG EBOOK …` (older ones `THIS`, the oldest a "small
print") and an END marker, with a licence after it. Both are searched for at the two ends only, and
only where the surroundings look like Gutenberg's own, so that a quoted marker changes nothing.
`*** START: FULL LICENSE ***`, which follows the END, is no start.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

WINDOW = 1 << 16
"""Characters at each end that are searched; the longest headers and licences have 20 K."""

_FLAGS = re.IGNORECASE | re.MULTILINE
_START = re.compile(
    r"^[ \t]*\*{3}[ \t]*START OF TH(?:E|IS) PROJECT GUTENBERG"
    r"(?:[^*\n]*(?:\n[^*\n]+)?\*{3}[^\n]*|[^\n]*)(?:\n|\Z)"  # a long title takes two lines
    r"|^\*END[ *]*THE SMALL PRINT[^\n]*(?:\n|\Z)",
    _FLAGS,
)
_END = re.compile(r"^[ \t]*\*{3}[ \t]*END OF TH(?:E|IS) PROJECT GUTENBERG", _FLAGS)
_SOFT_END = re.compile(
    r"^[ \t]*(?:This is the )?End of (?:the |this )?Project Gutenberg(?:['’]s)?\b", _FLAGS
)
_HEADER = re.compile(
    r"for the use of anyone anywhere|^(?:title|author|release date|posting date|language"
    r"|character set encoding)\s*:|small print|\[?e(?:book|text) #",
    _FLAGS,
)
_LICENCE = re.compile(r"project gutenberg|small print|licen[cs]e", re.IGNORECASE)
_CREDITS = re.compile(
    r"\s*(?:(?:Text file |HTML version )?(?:Produced|Prepared|Transcribed)|E-?(?:text|book) "
    r"(?:was )?(?:produced|prepared|created)|This e(?:text|book) was (?:produced|prepared)) by\b"
    r"[^\n]*\n(?:[ \t]*[^\s][^\n]*\n)*",
    re.IGNORECASE,
)


def strip_boilerplate(pieces: Iterable[str]) -> Iterator[str]:
    """The text of `pieces` (LF line ends) without Gutenberg's header and licence, if any."""
    buffer = ""
    head_done = had_header = False
    for piece in pieces:
        buffer += piece
        if not head_done and len(buffer) >= WINDOW:
            buffer, had_header = strip_header(buffer)
            head_done = True
        if head_done and len(buffer) > WINDOW:
            yield buffer[:-WINDOW]
            buffer = buffer[-WINDOW:]
    if not head_done:
        buffer, had_header = strip_header(buffer)
    buffer, had_licence = strip_licence(buffer, had_header)
    if had_header or had_licence:
        buffer = buffer.rstrip() + "\n"
    if buffer:
        yield buffer


def strip_header(text: str) -> tuple[str, bool]:
    """(`text` from the beginning of the book, whether there was a header)."""
    window = text[:WINDOW]
    match = _START.search(window)
    if not match or not _is_header(window[: match.start()]):
        return text, False
    start = match.end()
    # The oldest books have a second marker: the end of the small print.
    while (match := _START.search(window, start)) and not _END.search(window, start, match.start()):
        start = match.end()
    if match := _CREDITS.match(text, start):
        start = match.end()
    return text[start:].lstrip(), True


def strip_licence(text: str, had_header: bool) -> tuple[str, bool]:
    """(`text` up to the end of the book, whether a licence followed)."""
    window_start = max(0, len(text) - WINDOW)
    end = _END.search(text, window_start)
    after = text[end.end() :].partition("\n")[2] if end else ""
    if end and (_LICENCE.search(after) or (had_header and not after.strip())):
        soft = _SOFT_END.search(text, max(window_start, end.start() - 600), end.start())
        return text[: (soft or end).start()], True
    soft = _SOFT_END.search(text, window_start)
    if soft and had_header:
        after = text[soft.end() :]
        if len(after) < 400 or _LICENCE.search(after):
            return text[: soft.start()], True
    return text, False


def _is_header(text: str) -> bool:
    return not text.strip() or bool(
        "gutenberg" in text.lower() and _HEADER.search(text) and text.count("\n") < 1000
    )
