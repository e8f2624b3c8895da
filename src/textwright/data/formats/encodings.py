"""Detection of binary files and of text encodings, in one pass over the bytes.

A byte-order mark decides; else UTF-8, where the bytes are valid; else charset-normalizer, whose
ties go to Windows-1252, the encoding of most old Western text (and a superset of Latin-1's
printable characters).
"""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from charset_normalizer import from_bytes

from textwright.data.formats.gutenberg import WINDOW

BLOCK = 1 << 19
_SAMPLE = WINDOW
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\b\x1a\x1b"))
_MAGIC = {
    b"%PDF": "a PDF; save it as text, EPUB or DOCX",
    b"PK\x03\x04": "a ZIP archive; unpack it",
    b"\x1f\x8b": "compressed; unpack it, or end its name in .gz",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"{\\rtf": "RTF; save it as text, DOCX or HTML",
    b"\xd0\xcf\x11\xe0": "an old Word document; save it as DOCX",
}
_BOMS = [  # the longer first: UTF-32's begins like UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]


@dataclass(frozen=True)
class Inspection:
    """What is known of a file's bytes: either an `encoding`, or the `problem` with it."""

    sha256: str
    size: int
    """In bytes."""
    head: bytes
    """The first 64 KB."""
    encoding: str
    problem: str = ""
    """Why it holds no usable text, as a predicate of "it is"; empty otherwise."""
    clean: bool = False
    """ASCII with LF line ends, and not by Project Gutenberg: preparing would change nothing."""
    replaced: int = 0
    """Invalid sequences, which decode to U+FFFD."""


class _Utf8:
    """Whether bytes are UTF-8, or would be but for a few invalid sequences."""

    def __init__(self) -> None:
        self.decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self.valid = True
        self.good = 0
        self.bad = 0

    def feed(self, block: bytes, final: bool = False) -> None:
        if self.valid:
            try:
                self.decoder.decode(block, final)
                return
            except UnicodeDecodeError:
                self.valid = False
                self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text = self.decoder.decode(block, final)
        marks = text.count("\ufffd")
        self.bad += max(0, marks - block.count(b"\xef\xbf\xbd"))
        self.good += len(text) - marks - len(text.encode("ascii", "ignore"))

    def is_mostly_valid(self) -> bool:
        """More than 20 valid multi-byte sequences for each invalid one."""
        return self.valid or self.good > 20 * self.bad


class _ByteStats:
    """Hash, size, samples and properties of a file's bytes, from one pass."""

    def __init__(self, open_file: Callable[[], BinaryIO]) -> None:
        digest = hashlib.sha256()
        self.size = 0
        self.head = b""
        self.sample = bytearray()
        self.has_nul = False
        self.tail = b""
        self.blank = True
        self.ascii = True
        self.has_cr = False
        self.utf8 = _Utf8()
        with open_file() as file:
            while block := file.read(BLOCK):
                digest.update(block)
                self.size += len(block)
                self.head = self.head or block[:_SAMPLE]
                self.blank = self.blank and not block.strip()
                self.tail = (self.tail + block[-WINDOW:])[-WINDOW:]
                self.has_nul = self.has_nul or b"\0" in block
                self.has_cr = self.has_cr or b"\r" in block
                self.ascii = self.ascii and block.isascii()
                if not self.ascii and not self.has_nul:
                    self.utf8.feed(block)
                    if not self.utf8.valid and len(self.sample) < _SAMPLE:
                        self.sample += _non_ascii_lines(block, _SAMPLE - len(self.sample))
        self.utf8.feed(b"", final=True)
        self.sha256 = digest.hexdigest()

    def clean(self) -> bool:
        """See `Inspection.clean`."""
        ends = (self.head + self.tail).lower()
        return self.ascii and not self.has_cr and b"gutenberg" not in ends


def inspect(open_file: Callable[[], BinaryIO]) -> Inspection:
    """Read a file once (a second time where it isn't UTF-8), in bounded memory."""
    stats = _ByteStats(open_file)
    encoding, problem = _decide(stats)
    replaced = 0
    if encoding in ("utf-8", "utf-8-sig"):
        replaced = stats.utf8.bad
    elif encoding:
        replaced = _count_replaced(open_file, encoding)
    clean = encoding == "utf-8" and stats.clean()
    return Inspection(stats.sha256, stats.size, stats.head, encoding, problem, clean, replaced)


def _decide(stats: _ByteStats) -> tuple[str, str]:
    """(encoding, problem), one of them empty."""
    head = stats.head
    if stats.blank or head in (mark for mark, _ in _BOMS):
        return "", "empty"
    problem = next((what for start, what in _MAGIC.items() if head.startswith(start)), "")
    if problem:
        return "", problem
    encoding = next((name for mark, name in _BOMS if head.startswith(mark)), "")
    if encoding:
        pass
    elif stats.has_nul:
        encoding = _detect_utf16_or_utf32(head)
        problem = "binary (it holds NUL bytes)"
    elif len(head) - len(head.translate(None, _CONTROLS)) > len(head) // 100:
        problem = "binary (it holds control characters)"
    elif stats.utf8.is_mostly_valid():
        encoding = "utf-8"
    else:
        encoding = _detect_encoding(bytes(stats.sample) or head)
        problem = "binary, or text in no encoding that can be recognised"
    return encoding, "" if encoding else problem


def _non_ascii_lines(block: bytes, limit: int) -> bytes:
    """About `limit` bytes of the lines that aren't ASCII: no others tell encodings apart."""
    lines = bytearray()
    for line in block.splitlines(keepends=True):
        if not line.isascii():
            lines += line[:4096]
            if len(lines) >= limit:
                break
    return bytes(lines)


def _detect_utf16_or_utf32(head: bytes) -> str:
    """UTF-16 or UTF-32 without a byte-order mark, where it decodes to text; else empty."""
    head = head[: len(head) // 4 * 4]
    best = from_bytes(head).best()
    if best is None or not best.encoding.startswith(("utf_16", "utf_32")):
        return ""
    text = head.decode(best.encoding, "replace")
    read_error = sum(not (mark.isprintable() or mark.isspace()) for mark in text)
    # Pairs of ASCII bytes decode to rare Chinese, but never to spaces or full stops.
    separated = any(mark in text for mark in " \n。、，")
    return best.encoding if separated and read_error <= len(text) // 50 else ""


_COHERENCE_TOLERANCE = 0.04
"""Coherence that cp1252 may lack: Spanish lacks 0.03 in it, Turkish, which is cp1254, 0.05."""


def _detect_encoding(sample: bytes) -> str:
    matches = from_bytes(sample)
    best = matches.best()
    if best is None:
        return ""
    if "cp1252" in best.could_be_from_charset or best.encoding in ("latin_1", "ascii"):
        return "cp1252"
    for match in matches:
        # Equally plausible Western and Central European encodings come in the order of their
        # names; the more common one is the better guess.
        as_clean = match.encoding == "cp1252" and match.chaos <= best.chaos
        if as_clean and match.coherence >= best.coherence - _COHERENCE_TOLERANCE:
            return "cp1252"
    return best.encoding


def _count_replaced(open_file: Callable[[], BinaryIO], encoding: str) -> int:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    count = 0
    with open_file() as file:
        while block := file.read(BLOCK):
            count += decoder.decode(block).count("\ufffd")
    return count + decoder.decode(b"", final=True).count("\ufffd")
