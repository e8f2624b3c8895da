"""Normalization: LF line ends, NFC, no byte-order marks or NULs, no lone surrogates."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

_MAX_PENDING = 1 << 16  # characters without a safe cut
_PIECE = 1 << 10  # characters that are composed at once


def normalize(pieces: Iterable[str]) -> Iterator[str]:
    """`pieces` of one text, normalized as the whole text would be, in about the same pieces.

    ASCII, which is NFC already, costs next to nothing.
    """
    pending = ""
    first = True
    for piece in pieces:
        if not piece:
            continue
        text = pending + (piece.removeprefix("\ufeff") if first else piece)
        first = False
        cut = _stable_prefix(text)
        if cut:
            yield _normalize_text(text[:cut])
        pending = text[cut:]
    if pending:
        yield _normalize_text(pending)


def _stable_prefix(text: str) -> int:
    """Length of the prefix of `text` whose normal form no continuation can change: up to the last
    character that neither composes with the one before it nor continues a CRLF."""
    if text.isascii():
        # The last may be a CR, or be followed by an accent; a CRLF stays whole.
        return max(0, len(text) - (2 if text.endswith("\r\n") else 1))
    for index in range(len(text) - 1, max(0, len(text) - _MAX_PENDING), -1):
        if _is_starter(text[index]):
            return index
    return len(text) if len(text) > _MAX_PENDING else 0


def _is_starter(character: str) -> bool:
    """Whether it never composes with the character before it: no mark, no Hangul vowel or final."""
    if character == "\n":
        return False
    point = ord(character)
    return point < 0x300 or not (
        0x1160 <= point <= 0x11FF
        or unicodedata.combining(character)
        or unicodedata.category(character).startswith("M")
        or 0xD800 <= point <= 0xDFFF
    )


def _normalize_text(text: str) -> str:
    for mark in ("\0", "\ufeff"):  # damage, and where files were joined
        if mark in text:
            text = text.replace(mark, "")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # a lone surrogate, which JSON can escape
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return "".join(_composed(text))


def _composed(text: str) -> Iterator[str]:
    """NFC in pieces: a run of marks takes time in the square of its length, so a longer one than
    a piece is cut."""
    start = 0
    while start < len(text):
        end = min(len(text), start + _PIECE)
        if end < len(text):
            end = next((i for i in range(end, start, -1) if _is_starter(text[i])), end)
        piece = text[start:end]
        yield (
            piece
            if unicodedata.is_normalized("NFC", piece)
            else unicodedata.normalize("NFC", piece)
        )
        start = end
