"""Project Gutenberg's header and licence, taken off a book.

Books carry `*** START OF THE PROJECT GUTENBERG EBOOK …` (older ones `THIS`, the oldest a "small
print") and an END marker, with a licence after it. Both are looked for where they stand, at the
two ends, and taken only where the surroundings look like Gutenberg's own: a text that quotes a
marker is left alone. `*** START: FULL LICENSE ***`, which follows the END, is no start.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

WINDOW = 1 << 16
"""Characters at each end where a marker may stand; the longest headers and licences have 20 K."""

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


def without_boilerplate(pieces: Iterable[str]) -> Iterator[str]:
    """The pieces of a text with LF line ends, less Gutenberg's header and licence if any."""
    held = ""
    head_seen = False
    found = False
    for piece in pieces:
        held += piece
        if not head_seen and len(held) >= WINDOW:
            held, found = without_header(held)
            head_seen = True
        if head_seen and len(held) > WINDOW:
            yield held[:-WINDOW]
            held = held[-WINDOW:]
    if not head_seen:
        held, found = without_header(held)
    held, ended = without_licence(held, found)
    if found or ended:
        held = held.rstrip() + "\n"
    if held:
        yield held


def without_header(text: str) -> tuple[str, bool]:
    """(`text` from where the book begins, whether there was a header)."""
    window = text[:WINDOW]
    match = _START.search(window)
    if not match or not _is_header(window[: match.start()]):
        return text, False
    begin = match.end()
    # The oldest books have a second marker: the end of the small print.
    while (again := _START.search(window, begin)) and not _END.search(window, begin, again.start()):
        begin = again.end()
    credits_line = _CREDITS.match(text, begin)
    if credits_line:
        begin = credits_line.end()
    return text[begin:].lstrip(), True


def without_licence(text: str, had_header: bool) -> tuple[str, bool]:
    """(`text` up to where the book ends, whether a licence followed)."""
    begin = max(0, len(text) - WINDOW)
    end = _END.search(text, begin)
    after = text[end.end() :].partition("\n")[2] if end else ""
    if end and (_LICENCE.search(after) or (had_header and not after.strip())):
        soft = _SOFT_END.search(text, max(begin, end.start() - 600), end.start())
        return text[: (soft or end).start()], True
    soft = _SOFT_END.search(text, begin)
    if soft and had_header:
        after = text[soft.end() :]
        if len(after) < 400 or _LICENCE.search(after):
            return text[: soft.start()], True
    return text, False


def _is_header(text: str) -> bool:
    return not text.strip() or bool(
        "gutenberg" in text.lower() and _HEADER.search(text) and text.count("\n") < 1000
    )
