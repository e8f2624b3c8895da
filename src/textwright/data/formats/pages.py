"""HTML, a file's or a book's, as plain text: read piece by piece, in time and memory that do not
grow with its tags. Needs the `documents` extra (lxml).
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO

from textwright.data.formats.encodings import Inspection, inspect

_BLOCK = 1 << 16
"""Bytes that are parsed at once: between two, the text so far is handed on and Ctrl-C is heard."""
_DECLARED = re.compile(
    rb"""<(?:\?xml\b[^>]*\bencoding|meta\b[^>]*\bcharset)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE
)
_DECLARED_WITHIN = 1 << 12
_SUPERSETS = {
    "ascii": "cp1252", "iso8859-1": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874",
    "tis-620": "cp874", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932",
    "euc_kr": "cp949", "big5": "big5hkscs",
}  # fmt: skip
"""What pages mean by a name, where that has more characters: the WHATWG's Encoding Standard."""

_SKIPPED = {"head", "script", "style", "template", "noscript", "svg", "math", "rt", "rp", "nav"}
_BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details",
    "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3",
    "h4", "h5", "h6", "header", "hr", "html", "li", "main", "ol", "p", "pre", "section",
    "summary", "table", "tbody", "tfoot", "thead", "title", "tr", "ul",
}  # fmt: skip
_PARAGRAPHS = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "hr", "table"}
_SPACES = re.compile(r"[ \t\n\r\f\u00a0]+")


def page_text(page: BinaryIO, encoding: str) -> Iterator[str]:
    """The text of a page in pieces: paragraphs with a blank line between, other blocks on lines.

    Args:
        page: its bytes.
        encoding: what they are in.
    """
    from lxml import etree

    layout = _Layout()
    parser = etree.HTMLParser(target=layout, encoding="utf-8", huge_tree=True)
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    block: bytes | None = None
    while block != b"":
        block = page.read(_BLOCK)
        text = decoder.decode(block, final=not block).replace("\0", "")
        # In one encoding, whatever the page says of itself; a lone half of a pair has no letter
        parser.feed(text.encode("utf-8", "replace"))
        yield layout.take()
    parser.close()
    yield layout.take() + "\n" * layout.has_words


def inspected_page(found: Inspection) -> Inspection:
    """What is known of a page's bytes, with the encoding that it declares, where they leave one."""
    if found.guess is None and not found.problem:
        return found
    declared = _declared_encoding(found.head)
    if not declared:
        return found
    return replace(found, encoding=declared, problem="", guess=None, replaced=0)


def encoding_of_bytes(page: bytes) -> str:
    """The encoding of a page that is in memory."""
    return inspected_page(inspect(lambda: io.BytesIO(page))).encoding or "cp1252"


def _declared_encoding(head: bytes) -> str:
    """The encoding that a page declares, as Python names it; empty where it declares none."""
    declared = _DECLARED.search(head[:_DECLARED_WITHIN])
    try:
        name = codecs.lookup(declared[1].decode("ascii")).name if declared else ""
        "".encode(name or "utf-8")  # hex and zip are codecs too, and none of text
    except (LookupError, UnicodeDecodeError):
        return ""
    return "" if name.startswith(("utf-16", "utf-32")) else _SUPERSETS.get(name, name)


class _Layout:
    """The text of a page, from a parser's events. White space and breaks are held back until words
    follow; breaks win."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._space = False
        self._breaks = 0
        self.has_words = False
        """Whether there was any text."""
        self._skipped = self._verbatim = 0
        """How many elements deep it is in what is no text, and in `pre`."""
        self._kept: list[str] = []
        """Of the `pre` that it is in."""

    def take(self) -> str:
        """What was written since it was last taken, without soft hyphens."""
        text = "".join(self._pieces).replace("\u00ad", "")
        self._pieces.clear()
        return text

    def start(self, tag: str, attributes: Any) -> None:
        if self._skipped or tag in _SKIPPED:
            self._skipped += 1
        elif tag == "br" and self._verbatim:
            self._kept.append("\n")
        elif tag == "br":
            self._breaks = min(self._breaks + 1, 2)
        elif tag == "pre" or self._verbatim:
            self._break_before(tag)
            self._verbatim += 1
        else:
            self._break_before(tag)

    def end(self, tag: str) -> None:
        if self._skipped:
            self._skipped -= 1
        elif self._verbatim and tag != "br":
            self._verbatim -= 1
            if not self._verbatim:
                self._end_verbatim()
                self._break_before(tag)
        elif tag != "br":
            self._break_before(tag)
            if tag in ("td", "th"):
                self._space = True

    def data(self, text: str) -> None:
        if self._verbatim and not self._skipped:
            self._kept.append(text)
        elif not self._skipped:
            text = _SPACES.sub(" ", text)
            words = text.strip(" ")
            self._space = self._space or text.startswith(" ")
            if words:
                self._write(words)
                self._space = text.endswith(" ")

    def close(self) -> None:
        self._end_verbatim()

    def _end_verbatim(self) -> None:
        kept, self._kept = "".join(self._kept).strip("\n"), []
        if kept:
            self._write(kept)

    def _write(self, text: str) -> None:
        if self.has_words:
            self._pieces.append("\n" * self._breaks or " " * self._space)
        self._pieces.append(text)
        self._space, self._breaks, self.has_words = False, 0, True

    def _break_before(self, tag: str) -> None:
        breaks = 2 if tag in _PARAGRAPHS else 1 if tag in _BLOCKS else 0
        self._breaks = max(self._breaks, breaks)
