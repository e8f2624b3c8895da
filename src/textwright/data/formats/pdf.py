"""PDF as plain text: paragraphs instead of lines of print. Needs the `documents` extra.

A PDF knows where letters stand, not what they are. pypdf gives a page's lines; taken off are what
stands at the top or the foot of several pages alike (running heads, page numbers), and, where most
lines are as long as each other, lines become paragraphs again and words that were cut at a line's
end become whole. Of verse, tables and lists the lines stay.
"""

from __future__ import annotations

import importlib
import logging
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from textwright.data.formats.findings import Findings
from textwright.errors import CorpusError, MissingPackageError

MOST_CHARACTERS = 1 << 26
"""Of all pages together: a page's description may repeat itself without end."""

_EDGE = 2
"""Lines at the top of a page, and at its foot, that may be running heads or page numbers."""
_LEAST_PAGES = 3
"""On which a line stands at the edge, numbers aside, for a running head."""
_NUMBER = re.compile(r"\d+|\b[ivxlc]+\b")
_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
)
_CUT_WORD = re.compile(r"([^\W\d_]+)[-‐\u00ad]$")
_WORD = re.compile(r"[^\W\d_]+(?:[-‐][^\W\d_]+)*")
_SENTENCE_ENDS = re.compile(r"[.!?…:;。！？][\"'”’»)\]]*$|[—–][\"'”’»]?$")
_BULLET = re.compile(r"[•◦▪‣∙·–—*] ")


def read_pdf(file: BinaryIO, label: str, findings: Findings) -> Iterator[str]:
    """The text of a PDF, a blank line between paragraphs.

    Args:
        file: it can be sought in.
        label: its name in messages.
        findings: pages without text, and those that can't be read, are added to it.

    Raises:
        CorpusError: it is damaged, wants a password, or has no text but pictures of pages.
        MissingPackageError: the `documents` extra isn't installed.
    """
    pages = _pages(file, label, findings)
    if not any(pages):
        raise CorpusError(
            f"{label} has no text, only pictures of its pages: have a program for text recognition "
            "(OCR) read it, ocrmypdf for one, and give what that writes"
        )
    lines = [line for page in _without_running_heads(pages) for line in page]
    yield from _as_paragraphs(lines) if _is_prose(lines) else (f"{line}\n" for line in lines)


def _pypdf(label: str) -> Any:
    try:
        return importlib.import_module("pypdf")
    except ImportError as error:
        raise MissingPackageError(
            f'reading {label} needs an extra; pip install "textwright[documents]"'
        ) from error


def _pages(file: BinaryIO, label: str, findings: Findings) -> list[list[str]]:
    """The lines of each page."""
    pypdf = _pypdf(label)
    pages: list[list[str]] = []
    size = 0
    with _silent("pypdf"):
        try:
            reader = pypdf.PdfReader(file)
            _unlock(reader, pypdf, label)
            count = len(reader.pages)
        except CorpusError:
            raise
        except Exception as error:  # it raises dozens of types, KeyError and ValueError among them
            raise _damaged(label) from error
        for number in range(count):
            try:
                text = reader.pages[number].extract_text()
            except Exception:
                findings.leave_out("pages left out, for they can't be read", number + 1)
                continue
            size += len(text)
            if size > MOST_CHARACTERS:
                raise CorpusError(f"{label} has more text than a book can have; split it")
            if not text.strip():
                findings.leave_out("pages without text (empty, or pictures)", number + 1)
            lines = (" ".join(line.split()) for line in text.translate(_LIGATURES).split("\n"))
            pages.append([line for line in lines if line])
    if not pages:
        raise _damaged(label)
    return pages


def _unlock(reader: Any, pypdf: Any, label: str) -> None:
    """Open what is encrypted without a password, as where only printing is forbidden."""
    if not reader.is_encrypted:
        return
    try:
        opened = reader.decrypt("")
    except pypdf.errors.DependencyError as error:
        raise CorpusError(
            f"{label} is encrypted; pip install cryptography opens it, if it has no password"
        ) from error
    if not opened:
        raise CorpusError(f"{label} wants a password; save a copy without one, and give that")


def _damaged(label: str) -> CorpusError:
    return CorpusError(
        f"{label} is no readable PDF; it is damaged, or of another format; "
        "save it again, or as plain text"
    )


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """Keeps a library's remarks about a file that it could read all the same out of the log."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _without_running_heads(pages: list[list[str]]) -> Iterator[list[str]]:
    """`pages` without what stands at the edge of several, numbers aside."""
    alike = Counter(
        key for page in pages for key in {_key(line) for line in page[:_EDGE] + page[-_EDGE:]}
    )
    running = {key for key, count in alike.items() if count >= _LEAST_PAGES}
    for page in pages:
        first, last = 0, len(page)
        while first < min(_EDGE, last) and _key(page[first]) in running:
            first += 1
        while last > max(first, len(page) - _EDGE) and _key(page[last - 1]) in running:
            last -= 1
        yield page[first:last]


def _key(line: str) -> str:
    return _NUMBER.sub("#", line.casefold())


def _usual_length(lines: list[str]) -> int:
    """Characters that a full line has: nine of ten have at most so many."""
    lengths = sorted(map(len, lines))
    return lengths[len(lengths) * 9 // 10] if lengths else 0


def _is_prose(lines: list[str]) -> bool:
    """Whether most lines end where the column does, and don't begin anew as those of verse do."""
    usual = _usual_length(lines)
    full = sum(len(line) >= 0.8 * usual for line in lines)
    begun = sum(line[0].isupper() for line in lines)
    return usual >= 25 and full >= 0.5 * len(lines) and begun <= 0.6 * len(lines)


def _as_paragraphs(lines: list[str]) -> Iterator[str]:
    usual = _usual_length(lines)
    words = Counter(word.casefold() for line in lines for word in _WORD.findall(line))
    paragraph = ""
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        paragraph = _joined(paragraph, line, words)
        if _ends_paragraph(line, after, usual):
            yield f"{paragraph}\n\n"
            paragraph = ""


def _ends_paragraph(line: str, after: str, usual: int) -> bool:
    if not after or _BULLET.match(after):
        return True
    if len(line) < 0.8 * usual and _SENTENCE_ENDS.search(line):
        return True
    return len(line) < 0.6 * usual and not after[0].islower()  # a heading


def _joined(paragraph: str, line: str, words: Counter[str]) -> str:
    """A paragraph and its next line; a word that was cut is whole again.

    Its hyphen stays where the text has the word oftener with a hyphen than without, or where it
    has neither, but both of its parts as words.
    """
    if not paragraph:
        return line
    cut = _CUT_WORD.search(paragraph)
    rest = _WORD.match(line)
    if cut and rest and rest[0][0].islower():
        first, second = cut[1].casefold(), rest[0].casefold()
        joined, hyphened = words[first + second], words[f"{first}-{second}"]
        keeps = hyphened > joined if hyphened or joined else words[first] and words[second]
        keeps = bool(keeps) and not paragraph.endswith("\u00ad")
        return paragraph[:-1] + "-" * keeps + line
    space = "" if paragraph[-1] in "-‐—" or _is_cjk(paragraph[-1], line[0]) else " "
    return paragraph + space + line


def _is_cjk(*characters: str) -> bool:
    return all(0x2E80 <= ord(one) <= 0xFFEF or ord(one) >= 0x20000 for one in characters)
