"""`char`: one token a character; in the file a BPE without merges, encoded here by table lookup."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import tokenizers
from tokenizers import decoders, models, normalizers

_CODE_POINTS = 0x110000
_LATIN = 256

_UNKNOWN = 255
"""Marks unknown characters in a table of byte-sized ids."""

_UNSEEN = -(1 << 31)
_BY_LIBRARY = _UNSEEN + 1
"""Table entries: not looked up yet; to be normalized by the library."""

_COMPOSING_LETTERS = (
    range(0x1100, 0x1200),  # Hangul Jamo
    range(0xA960, 0xA980),  # Hangul Jamo Extended-A
    range(0xD7B0, 0xD800),  # Hangul Jamo Extended-B
    range(0x16D40, 0x16D80),  # Kirat Rai
)
"""Letters that compose with the one before; else only marks (category M) compose."""


def build(
    characters: Iterable[str], *, lowercase: bool, specials: Sequence[str] = ()
) -> tokenizers.Tokenizer:
    """The library's tokenizer: `specials` first, then `characters` in order of code point."""
    entries = (*specials, *sorted(characters))
    vocabulary = {character: i for i, character in enumerate(entries)}
    backend = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.normalizer = normalizer(lowercase)
    backend.decoder = decoders.Fuse()
    return backend


def normalizer(lowercase: bool) -> normalizers.Normalizer:
    """NFC, after lower-casing if requested; the reverse order would not always end in NFC."""
    if lowercase:
        return normalizers.Sequence([normalizers.Lowercase(), normalizers.NFC()])
    return normalizers.NFC()


def distinct(texts: Iterable[str], normalizer: normalizers.Normalizer) -> set[str]:
    """The distinct characters of `texts` after normalization."""
    normalized = NormalizedCodes(normalizer)
    latin: set[int] = set()
    others = np.zeros(_CODE_POINTS, np.bool_)
    for text in texts:
        codes = normalized(text)
        if isinstance(codes, bytes):
            latin |= set(codes.translate(None, bytes(latin)))
        else:
            others[codes] = True
    return {chr(code) for code in latin.union(np.flatnonzero(others).tolist())}


class NormalizedCodes:
    """The code points of normalized text, fast; equal to those of the library's normalizer.

    Lower-casing maps each character by itself, and so does NFC but for marks and the few letters
    that compose. So a table maps nearly all text, and the library normalizes composing characters
    with those before them. The table is filled from the library as characters occur, for its
    Unicode version may differ from Python's.
    """

    def __init__(self, normalizer: normalizers.Normalizer) -> None:
        """Normalize as `normalizer` does: NFC, maybe after lower-casing."""
        self._normalizer = normalizer
        # All of Latin-1 is NFC, and lower case of Latin-1 is Latin-1
        self._latin = normalizer.normalize_str(bytes(range(_LATIN)).decode("latin-1")).encode(
            "latin-1"
        )
        self._table: npt.NDArray[np.int32] | None = None

    def __call__(self, text: str) -> bytes | npt.NDArray[np.uint32]:
        """Code points of `text`: Latin-1 bytes where it has no others, else shape (characters,)."""
        try:
            return text.encode("latin-1").translate(self._latin)
        except UnicodeEncodeError:
            return self._normalize(code_points(text), text)

    def _normalize(self, codes: npt.NDArray[np.uint32], text: str) -> npt.NDArray[np.uint32]:
        if self._table is None:
            self._table = np.full(_CODE_POINTS, _UNSEEN, np.int32)
        mapped = self._table[codes]
        if mapped.min() == _UNSEEN:
            for code in set(codes[mapped == _UNSEEN].tolist()):
                self._table[code] = self._entry(chr(code))
            mapped = self._table[codes]
        if mapped.min() >= 0:
            return mapped.view(np.uint32)
        if mapped.min() > _BY_LIBRARY:
            composing = mapped < 0
            mapped[composing] = ~mapped[composing]
            composing[:-1] |= composing[1:]  # and the character before each run of them
            separately = mapped[composing].view(np.uint32)
            if self._normalizer.normalize_str(_text(codes[composing])) == _text(separately):
                return mapped.view(np.uint32)
        return code_points(self._normalizer.normalize_str(text))

    def _entry(self, character: str) -> int:
        """The entry of a character: its normalized code point; the complement (`~`) of that where
        it may compose with the one before; `_BY_LIBRARY` where a table can't map it."""
        result = self._normalizer.normalize_str(character)
        if unicodedata.category(character) == "Cn" or len(result) != 1:
            return _BY_LIBRARY
        composes = _composes(character) or _composes(result)
        return ~ord(result) if composes else ord(result)


class CharacterTable:
    """Ids of characters by table lookup, equal to those of the library's BPE without merges.

    Characters that the vocabulary lacks are left out.
    """

    def __init__(self, vocabulary: Mapping[str, int], normalizer: normalizers.Normalizer) -> None:
        """Of a `vocabulary` whose tokens are single characters."""
        self._normalized = NormalizedCodes(normalizer)
        self._ids = np.full(_CODE_POINTS, -1, np.int32)
        for character, token in vocabulary.items():
            self._ids[ord(character)] = token
        latin = self._ids[:_LATIN]
        self._latin_known = np.flatnonzero(latin >= 0).astype(np.uint8).tobytes()
        # The ids of Latin-1 fit a byte if the vocabulary is sorted: unless it was extended
        fits = latin.max() < _UNKNOWN
        self._latin_ids = latin.astype(np.uint8).tobytes() if fits else None

    def encode(self, text: str) -> npt.NDArray[np.uint32]:
        """The ids of `text`, shape (tokens,)."""
        codes = self._normalized(text)
        if isinstance(codes, bytes):
            if self._latin_ids is not None:
                data = codes.translate(self._latin_ids)
                if _UNKNOWN in data:
                    data = data.replace(bytes([_UNKNOWN]), b"")
                return np.frombuffer(data, np.uint8).astype(np.uint32)
            codes = np.frombuffer(codes, np.uint8).astype(np.uint32)
        ids = self._ids[codes]
        if ids.size and ids.min() < 0:
            ids = ids[ids >= 0]
        return ids.view(np.uint32)

    def unknown(self, text: str) -> Counter[str]:
        """The count of each character of `text` that `encode` leaves out."""
        codes = self._normalized(text)
        if isinstance(codes, bytes):
            return Counter(codes.translate(None, self._latin_known).decode("latin-1"))
        return Counter(_text(codes[self._ids[codes] < 0]))


def code_points(text: str) -> npt.NDArray[np.uint32]:
    """The code points of `text`, shape (characters,)."""
    return np.frombuffer(text.encode("utf-32-le"), "<u4").astype(np.uint32, copy=False)


def _text(codes: npt.NDArray[np.uint32]) -> str:
    return codes.astype("<u4", copy=False).tobytes().decode("utf-32-le")


def _composes(character: str) -> bool:
    code = ord(character)
    return unicodedata.category(character).startswith("M") or any(
        code in letters for letters in _COMPOSING_LETTERS
    )
