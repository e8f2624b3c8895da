"""Detection of binary files and of text encodings, in one pass over the bytes.

A byte-order mark decides; else UTF-8, where the bytes are valid; else `code_pages` guesses.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from textwright.data.formats.code_pages import Guess, guess_code_page, guess_utf16
from textwright.data.formats.gutenberg import WINDOW

BLOCK = 1 << 19
_SAMPLE = WINDOW
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\b\x1a\x1b"))
_MAGIC = {
    b"%PDF": "a PDF; call it NAME.pdf",
    b"PK\x03\x04": "a ZIP archive; unpack it",
    b"\x1f\x8b": "compressed; unpack it, or end its name in .gz",
    b"BZh": "compressed; unpack it, or end its name in .bz2",
    b"\xfd7zXZ": "compressed; unpack it, or end its name in .xz",
    b"\x28\xb5\x2f\xfd": "compressed with Zstandard; unpack it",
    b"7z\xbc\xaf": "a 7-Zip archive; unpack it",
    b"\x1f\x9d": "compressed; unpack it",
    b"\xffWPC": "a WordPerfect document; save it as DOCX",
    b"AT&TFORM": "a scanned book; save its text",
    b"Rar!": "a RAR archive; unpack it",
    b"SQLite format 3": "a database; export its table as CSV",
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


_PRINTABLE = rb"[\t\n\r\x20-\x7e]"
_UTF8_RUN = re.compile(
    rb"(?:" + _PRINTABLE + rb"|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}"
    rb"|[\xf0-\xf4][\x80-\xbf]{3}){48}"
)
_UTF16_RUN = re.compile(rb"(?:" + _PRINTABLE + rb"\0){24}|(?:\0" + _PRINTABLE + rb"){24}")
_FEW_NULS = 1000
"""A text may have one NUL byte in so many, besides those at its end."""
_ESCAPE = re.compile(rb"\x1b[$(]|~\{")
_SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_LETTERS_IN_UTF8 = 3
"""A line of so many characters beyond ASCII is not UTF-8 by chance."""


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
    dropped: int = 0
    """NUL bytes, and byte-order marks inside the text, which are left out."""
    guess: Guess | None = None
    """Where neither a mark nor the bytes themselves decide the encoding."""


class _Utf8:
    """Whether bytes are UTF-8, or would be but for a few invalid sequences."""

    def __init__(self) -> None:
        self.decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self.valid = True
        self.good = 0
        self.bad = 0
        self.halves = 0
        """Of surrogate pairs, as Java and old databases write emoji: damage, but of UTF-8."""
        self.size = 0
        self.first_bad = 0

    def feed(self, block: bytes, final: bool = False) -> None:
        if self.valid:
            try:
                self.decoder.decode(block, final)
                self.size += len(block)
                return
            except UnicodeDecodeError as error:
                self.valid = False
                self.first_bad = self.size + error.start
                self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text = self.decoder.decode(block, final)
        marks = text.count("\ufffd")
        halves = len(_SURROGATE.findall(block))
        self.halves += halves
        self.bad += max(0, marks - block.count(b"\xef\xbf\xbd") - 3 * halves)
        self.good += len(text) - marks - len(text.encode("ascii", "ignore"))

    def is_mostly_valid(self) -> bool:
        """More than 20 valid multi-byte sequences for each invalid one."""
        return self.valid or self.good + self.halves > 20 * self.bad

    def is_half_valid(self, lines: bytes) -> bool:
        """Whether some of it is UTF-8 and some is not; `lines` are of those that aren't ASCII."""
        if self.good > self.bad / 2 and self.good > _LETTERS_IN_UTF8:
            return True
        sound = 0
        all_lines = lines.splitlines()
        for line in all_lines:
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError:
                continue
            sound += sum(not letter.isascii() for letter in text) >= _LETTERS_IN_UTF8
        return sound > max(1, len(all_lines) // 20)


class _ByteStats:
    """Hash, size, samples and properties of a file's bytes, from one pass."""

    def __init__(self, open_file: Callable[[], BinaryIO]) -> None:
        digest = hashlib.sha256()
        self.size = 0
        self.head = b""
        self.sample = bytearray()
        self.nuls = self.last_nuls = self.marks = 0
        self.utf8_run = self.utf16_run = -1
        self.escapes = bytearray()
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
                self._look_for_nuls(block)
                self.marks += block.count(codecs.BOM_UTF8)
                self.escapes += _lines_of_escapes(block, _SAMPLE - len(self.escapes))
                self.has_cr = self.has_cr or b"\r" in block
                self.ascii = self.ascii and block.isascii()
                if not self.ascii:
                    self.utf8.feed(block)
                    if not self.utf8.valid and len(self.sample) < _SAMPLE:
                        self.sample += _non_ascii_lines(block, _SAMPLE - len(self.sample))
        self.utf8.feed(b"", final=True)
        self.sha256 = digest.hexdigest()

    def _look_for_nuls(self, block: bytes) -> None:
        """Count them, and find the runs that tell a mix of UTF-16 and UTF-8."""
        nuls = block.count(0)
        self.nuls += nuls
        at_end = len(block) - len(block.rstrip(b"\0"))
        self.last_nuls = self.last_nuls + nuls if at_end == len(block) else at_end
        start = self.size - len(block)
        if nuls == len(block):
            return
        if (nuls or self.nuls or self.head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and (
            self.utf8_run < 0 and (run := _UTF8_RUN.search(block))
        ):
            self.utf8_run = start + run.start()
        if nuls and self.utf16_run < 0 and (run := _UTF16_RUN.search(block)):
            self.utf16_run = start + run.start()

    def has_few_nuls(self) -> bool:
        """Whether the NUL bytes are a damage of a text, not part of a program or picture."""
        return (self.nuls - self.last_nuls) * _FEW_NULS <= self.size

    def is_mixed(self) -> bool:
        """Whether it is UTF-16 in one place and UTF-8 in another."""
        is_wide = self.utf16_run >= 0 or self.head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        return is_wide and self.utf8_run >= 0

    def clean(self) -> bool:
        """See `Inspection.clean`."""
        ends = (self.head + self.tail).lower()
        return self.ascii and not self.has_cr and not self.nuls and b"gutenberg" not in ends


def inspect(open_file: Callable[[], BinaryIO], wanted: str | None = None) -> Inspection:
    """Read a file once (a second time where it isn't UTF-8), in bounded memory.

    Args:
        open_file: opens it.
        wanted: the encoding, if the user named it.
    """
    stats = _ByteStats(open_file)
    encoding, problem, guess = _decide(stats) if wanted is None else _as_wanted(stats, wanted)
    replaced, dropped = 0, stats.nuls
    if encoding in ("utf-8", "utf-8-sig"):
        replaced = stats.utf8.bad + 3 * stats.utf8.halves
        dropped += max(0, stats.marks - stats.head.startswith(codecs.BOM_UTF8))
    elif encoding:
        replaced, dropped = _count_replaced(open_file, encoding)
    clean = encoding == "utf-8" and stats.clean()
    return Inspection(
        stats.sha256, stats.size, stats.head, encoding, problem, clean, replaced, dropped, guess
    )


def _as_wanted(stats: _ByteStats, wanted: str) -> tuple[str, str, None]:
    if stats.blank:
        return "", "empty", None
    name = codecs.lookup(wanted).name
    has_mark = stats.head.startswith(codecs.BOM_UTF8)
    if name in ("utf-16", "utf-32") and not any(stats.head.startswith(mark) for mark, _ in _BOMS):
        name = guess_utf16(stats.head) or f"{name}-le"  # as Windows writes them
    return "utf-8-sig" if name == "utf-8" and has_mark else name, "", None


def _decide(stats: _ByteStats) -> tuple[str, str, Guess | None]:
    """(encoding, problem, guess): the encoding or the problem is empty."""
    if problem := _problem(stats):
        return "", problem, None
    if encoding := _certain_encoding(stats):
        return encoding, "", None
    if stats.utf8.is_half_valid(bytes(stats.sample)):
        return "", (
            f"UTF-8 in some places and, from byte {stats.utf8.first_bad:,} on, another encoding in "
            "others; save it in one, or --encoding utf-8 reads it and marks the rest as damaged"
        ), None  # fmt: skip
    guess = guess_code_page(bytes(stats.sample).replace(b"\0", b"") or stats.head)
    if guess is None:
        return "", "binary, or text in no encoding that can be recognised", None
    return guess.encoding, "", guess


def _problem(stats: _ByteStats) -> str:
    """Why there is certainly no text in it; empty otherwise."""
    head = stats.head
    if stats.blank or head in (mark for mark, _ in _BOMS) or stats.nuls == stats.size:
        return "empty"
    if problem := next((what for start, what in _MAGIC.items() if head.startswith(start)), ""):
        return problem
    if head[257:262] == b"ustar":
        return "a tar archive; unpack it"
    if stats.is_mixed():
        names = ["UTF-8", "UTF-16"][:: 1 if stats.utf8_run < stats.utf16_run else -1]
        at = max(stats.utf8_run, stats.utf16_run)
        return f"{names[0]} at first and, about byte {at:,}, {names[1]}; save it in one encoding"
    is_marked = any(head.startswith(mark) for mark, _ in _BOMS)
    return "" if is_marked else _binary(stats)


def _binary(stats: _ByteStats) -> str:
    """Why a file without a byte-order mark is no text; empty if it may be."""
    if stats.nuls and guess_utf16(stats.head):
        return ""
    if stats.nuls and not stats.has_few_nuls():
        return "binary (it holds NUL bytes)"
    if _is_ebcdic(stats.head):
        return "in an EBCDIC code page; --encoding cp037, cp500 or cp1047 reads it"
    text = stats.head.replace(b"\0", b"")
    controls = len(text) - len(text.translate(None, _CONTROLS))
    if controls > len(text) // 100 and not stats.escapes:
        return "binary (it holds control characters)"
    return ""


def _is_ebcdic(head: bytes) -> bool:
    """Whether spaces and letters stand where EBCDIC has them, and none where ASCII has its own."""
    letters = sum(map(head.count, b"\x81\x85\x89\x95\x96\x99\xa2\xa3"))  # a e i n o r s t
    is_ascii = head.count(b" ") + head.count(b"\n") > len(head) // 50
    return not is_ascii and head.count(b"@") > len(head) // 20 and letters > len(head) // 5


def _certain_encoding(stats: _ByteStats) -> str:
    """The encoding that a mark or the bytes themselves tell; empty where nothing does."""
    if encoding := next((name for mark, name in _BOMS if stats.head.startswith(mark)), ""):
        return encoding
    if stats.nuls and (encoding := guess_utf16(stats.head)):
        return encoding
    if stats.ascii and (encoding := _detect_iso2022(bytes(stats.escapes))):
        return encoding
    if stats.ascii and _is_utf7(stats.head):
        return "utf-7"
    return "utf-8" if stats.utf8.is_mostly_valid() else ""


def _non_ascii_lines(block: bytes, limit: int) -> bytes:
    """About `limit` bytes of the lines that aren't ASCII: no others tell encodings apart."""
    lines = bytearray()
    for line in block.splitlines(keepends=True):
        if not line.isascii():
            lines += line[:4096]
            if len(lines) >= limit:
                break
    return bytes(lines)


def _lines_of_escapes(block: bytes, limit: int) -> bytes:
    """At most `limit` bytes of the lines that hold an escape sequence."""
    lines = bytearray()
    end = 0
    while len(lines) < limit and (found := _ESCAPE.search(block, end)):
        begin = block.rfind(b"\n", end, found.start()) + 1 or end
        end = block.find(b"\n", found.end()) + 1 or len(block)
        lines += block[begin:end]
    return bytes(lines[:limit])


def _detect_iso2022(sample: bytes) -> str:
    """The 7-bit encoding of East Asia in which lines with escape sequences are."""
    for name in ("iso2022_jp_ext", "iso2022_kr", "hz"):
        try:
            text = codecs.getincrementaldecoder(name)("strict").decode(sample)
        except UnicodeDecodeError:
            continue
        if not text.isascii():
            return name
    return ""


def _is_utf7(head: bytes) -> bool:
    """Whether all that follows a `+` becomes letters; of a sum or a telephone number none does."""
    if b"+" not in head:
        return False
    try:
        text = codecs.getincrementaldecoder("utf-7")("strict").decode(head)
    except UnicodeDecodeError:
        return False
    others = [character for character in text if not character.isascii()]
    return len(others) > _LETTERS_IN_UTF8 and all(map(str.isprintable, others)) and (
        sum(map(str.isalpha, others)) > len(others) * 0.8
    )  # fmt: skip


def _count_replaced(open_file: Callable[[], BinaryIO], encoding: str) -> tuple[int, int]:
    """(invalid sequences, NULs and byte-order marks inside the text) of a file."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    replaced = dropped = 0
    first = True
    with open_file() as file:
        while block := file.read(BLOCK):
            text = decoder.decode(block)
            replaced += text.count("\ufffd")
            dropped += text.count("\0") + text.count("\ufeff", first)
            first = first and not text
    return replaced + decoder.decode(b"", final=True).count("\ufffd"), dropped
