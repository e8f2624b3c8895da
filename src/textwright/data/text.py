"""A part of a prepared text file, read in chunks that can be tokenized one by one."""

from __future__ import annotations

import codecs
import hashlib
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from textwright.errors import TextwrightError

CHUNK = 1 << 19
"""Bytes read at once: few enough for the processor's cache, and for malloc to reuse the memory;
with chunks of 4 MB, half of the time goes to page faults."""

# White_Space of Unicode, what \s means to the tokenizers library; str.isspace() has four more.
WHITESPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_JOINER = "\u200d"
_VIRAMA = 9  # canonical combining class


@dataclass(frozen=True)
class Origin:
    """One source of a prepared text, and its offset there."""

    address: str = ""
    """As the user named it."""
    characters: int = 0
    """Characters of the prepared text before it."""
    lines: int = 0
    """Line ends of the prepared text before it."""


@dataclass(frozen=True)
class TextPart:
    """Bytes `start` to `end` of a prepared text file: UTF-8, NFC, LF line ends, no BOM.

    `sha256` is that of the whole file, or empty if unknown; `fingerprint` the (size, mtime in ns)
    of a file of the user's, which must not change while it is used.
    """

    path: Path
    start: int
    end: int
    characters: int
    sha256: str = ""
    fingerprint: tuple[int, int] | None = None

    @property
    def bytes(self) -> int:
        """Length in bytes."""
        return self.end - self.start

    @property
    def text_bytes(self) -> int:
        """Bytes of the text itself, without any framing in the file."""
        return self.bytes

    def read(self) -> str:
        """The whole text; only for small parts."""
        return "".join(self.chunks())

    def chunks(self, size: int = CHUNK) -> Iterator[str]:
        """The text in chunks of about `size` bytes.

        A chunk ends before white space if there is any, so that tokenizing chunk by chunk gives
        the tokens of the whole; else between two characters that no combining sequence joins.
        Where neither is found in twice the size, it is cut anyway.

        Raises:
            TextwrightError: the file is gone, can't be read, or is damaged.
        """
        decoder = codecs.getincrementaldecoder("utf-8")("strict")
        pending = ""
        try:
            for block in _blocks(self, size):
                text = pending + decoder.decode(block)
                cut = safe_cut(text)
                if not cut and len(text) > 2 * size:
                    cut = len(text)
                if cut:
                    yield text[:cut]
                pending = text[cut:]
            pending += decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            raise TextwrightError(
                f"{self.path} is damaged ({error.reason}); delete it and try again"
            ) from error
        if pending:
            yield pending

    def content_key(self) -> str:
        """A key that equal texts share, of the file's hash or of the bytes'."""
        if self.sha256:
            return f"{self.sha256}:{self.start}:{self.end}"
        digest = hashlib.sha256()
        for block in _blocks(self, CHUNK):
            digest.update(block)
        return f"{digest.hexdigest()}:0:{self.bytes}"


def _blocks(part: TextPart, size: int) -> Iterator[bytes]:
    """The bytes of a part in blocks of at most `size`, cut anywhere.

    Read, not mapped, so that a large text doesn't count as memory of this process.
    """
    remaining = part.bytes
    try:
        with part.path.open("rb", buffering=0) as file:
            file.seek(part.start)
            while remaining > 0 and (block := file.read(min(size, remaining))):
                remaining -= len(block)
                yield block
            status = os.fstat(file.fileno())
    except OSError as error:
        raise TextwrightError(f"{part.path} can't be read ({error.strerror}); try again") from error
    if remaining or part.fingerprint not in (None, (status.st_size, status.st_mtime_ns)):
        raise TextwrightError(f"{part.path} changed while it was in use; start again")


def safe_cut(text: str) -> int:
    """The last index where `text` can be cut without changing its tokens; 0 if there is none."""
    space = max(text.rfind(" "), text.rfind("\n"))
    if space > 0 and (cut := len(text[:space].rstrip(WHITESPACE))):
        return cut
    for cut in range(len(text) - 1, max(0, len(text) - 256), -1):
        if _may_cut(text[cut - 1], text[cut]):
            return cut
    return 0


def _may_cut(before: str, after: str) -> bool:
    """Whether no combining or emoji sequence joins two characters.

    Simpler and stricter than the grapheme clusters of Unicode Annex 29: it forbids some cuts that
    would be safe (around flags, Hangul letters), never the other way.
    """
    if before == _JOINER or unicodedata.combining(before) == _VIRAMA:
        return False
    if after in WHITESPACE:
        return before not in WHITESPACE
    point = ord(after)
    is_continuation = (
        0x1160 <= point <= 0x11FF  # Hangul vowels and final consonants
        or 0x1F1E6 <= point <= 0x1F1FF  # flags are pairs of these
        or 0x1F3FB <= point <= 0x1F3FF  # skin tones
        or point in (0xFF9E, 0xFF9F)  # halfwidth voiced marks
    )
    return not is_continuation and unicodedata.category(after) not in ("Mn", "Mc", "Me", "Cf")
