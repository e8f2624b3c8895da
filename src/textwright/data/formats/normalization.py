"""Text in one form: LF line ends, NFC, no byte-order mark, nothing that UTF-8 can't hold."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

_LOOK_BACK = 1 << 16


def normalised(pieces: Iterable[str]) -> Iterator[str]:
    """`pieces` of one text, normalised as the whole text would be, in about the same pieces.

    ASCII pieces, which have one form only, pass almost for free.
    """
    held = ""
    first = True
    for piece in pieces:
        if not piece:
            continue
        text = held + (piece.removeprefix("\ufeff") if first else piece)
        first = False
        cut = _settled(text)
        if cut:
            yield _normalise(text[:cut])
        held = text[cut:]
    if held:
        yield _normalise(held)


def _settled(text: str) -> int:
    """Characters of `text` that nothing following can change: it ends before a character that
    neither composes with what stands before it nor continues a CRLF."""
    if text.isascii():
        # The last may be a CR, or be followed by an accent; a CRLF stays whole.
        return max(0, len(text) - (2 if text.endswith("\r\n") else 1))
    for index in range(len(text) - 1, max(0, len(text) - _LOOK_BACK), -1):
        if _starts_anew(text[index]):
            return index
    return len(text) if len(text) > _LOOK_BACK else 0


def _starts_anew(character: str) -> bool:
    """Whether this never changes what stands before it: no mark, no Hangul vowel or final."""
    if character == "\n":
        return False
    point = ord(character)
    return point < 0x300 or not (
        0x1160 <= point <= 0x11FF
        or unicodedata.combining(character)
        or unicodedata.category(character).startswith("M")
        or 0xD800 <= point <= 0xDFFF
    )


def _normalise(text: str) -> str:
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair, as JSON may spell it
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
    return text
