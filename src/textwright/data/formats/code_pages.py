"""Which code page a text is in, where nothing says so: chardet's figures, and what it can't know.

chardet, which has models of the letter pairs of many languages, says how well each code page fits;
only those that people have files in are tried. Its figure is weighed by whether the text looks
like one: words of two scripts and symbols inside of words are what a wrong code page makes.
`benchmarks/code_pages.py` measures it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

_CODE_PAGES = (
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258",
    "cp874", "iso8859-1", "iso8859-2", "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-8",
    "iso8859-9", "iso8859-13", "iso8859-15", "koi8-r", "koi8-u", "cp850", "cp437", "cp852",
    "cp866", "cp857", "cp737", "mac-roman", "mac-cyrillic",
)  # fmt: skip
"""The code pages that people have files in, as chardet names them."""

_MULTIBYTE = ("cp932", "euc_jis_2004", "gb18030", "big5hkscs", "cp949", "johab")

_SUPERSETS = {"iso8859-1": "cp1252", "iso8859-9": "cp1254"}
"""What has the printable characters of the other, and more."""

Sureness = Literal["sure", "likely", "unsure"]

_READ = 1 << 12
"""Characters that are looked at one by one."""
_FIRST, _FIRST_MULTIBYTE = 1.2, 10.0
"""Weights of chardet's own first choice."""
_FEW_BYTES = 30
"""Of so short a sample letters tell little, and the most common code page is the better guess."""
_COMMON = 1.5
_ENGLISH = frozenset(b"the of and that was with his which they have had from were this".split())
"""Words that stand in English alone: what has them and a few accents is in a Western code page."""
_ENGLISH_SHARE = 0.1
_LOAN_LETTERS = frozenset("éèêëïçñöüàâôÉ£§°½–—‘’“”…•©®™\xa0·")
"""Beyond ASCII in English: accents of borrowed words, and signs."""
_RARE_LOAN_LETTERS = frozenset("áãäåæìíîòóøœùúû¼¾")
_MISPLACED = re.compile(r"[^\W\d_][‘“•£§°½¼¾]|[a-z]–[a-z]")
"""Such a sign after a letter is an accent of another code page."""
_WESTERN = {"cp1252", "iso8859-15", "cp850", "cp437", "mac_roman"}
_RUN = re.compile(rb"([\x80-\xff])\1{7,}")
_WORD = re.compile(r"[^\s\x00-\x40\x5b-\x60\x7b-\x7f]+")
_LINE = 60
"""Characters of the text that are shown."""


@dataclass(frozen=True)
class Guess:
    """A code page that was guessed from the text alone."""

    encoding: str
    sureness: Sureness
    other: str
    """The next best; empty if there is none."""
    line: str
    """A line of the text, as it is read."""

    def __str__(self) -> str:
        other = f", or {self.other}" if self.other and self.sureness != "sure" else ""
        return f'{self.encoding} ({self.sureness}{other}): "{self.line}"; --encoding NAME decides'


def guess_code_page(sample: bytes) -> Guess | None:
    """The likeliest code page of a sample, lines with bytes above 127; None where none fits."""
    sample = _RUN.sub(rb"\1\1\1", sample)  # a line of one letter is no evidence of anything
    ranked = _rank(sample)
    if not ranked:
        return None
    best, score = ranked[0]
    text = sample.decode(best, "replace")
    other, its_score = next(
        ((name, one) for name, one in ranked[1:] if sample.decode(name, "replace") != text),
        ("", 0.0),
    )
    has_evidence = len(set(sample) - set(range(128))) > 3 or len(sample) > 100
    if score > 2 * its_score and has_evidence:
        sureness: Sureness = "sure"
    else:
        sureness = "likely" if score > 1.2 * its_score and has_evidence else "unsure"
    return Guess(best, sureness, other, _shown(text))


def _rank(sample: bytes) -> list[tuple[str, float]]:
    """(code page, score) of each that fits, the best first."""
    import chardet

    if len(set(sample) - set(range(128))) < 3 and not re.search(rb"[A-Za-z]", sample):
        return [("cp1252", 0.0)]  # one letter over and over: too little to recognise a language
    known = (*_CODE_PAGES, *_MULTIBYTE)
    # Its own first choice has rules for pairs that are alike, and of the structure of multi-byte
    first = chardet.detect(sample, compat_names=False, include_encodings=known)["encoding"]
    found = chardet.detect_all(
        sample, ignore_threshold=True, compat_names=False, include_encodings=known
    )
    scores: dict[str, float] = {}
    is_english = _is_english(sample)
    for match in found:
        name = str(match["encoding"])
        if name not in known:
            continue
        codec = _SUPERSETS.get(name, name).replace("mac-", "mac_")
        text = sample.decode(codec, "replace")[:_READ]
        score = match["confidence"] * _plausibility(text) ** 2
        if is_english:
            beyond = {character for character in text if not character.isascii()}
            if codec in _WESTERN and not _MISPLACED.search(text):
                rare = beyond - _LOAN_LETTERS
                score *= 1 if rare - _RARE_LOAN_LETTERS else _COMMON**2 if rare else _COMMON**4
        if name == first:
            score *= _FIRST_MULTIBYTE if name in _MULTIBYTE else _FIRST
        if codec == "cp1252" and len(sample) <= _FEW_BYTES:
            score *= _COMMON
        scores[codec] = max(scores.get(codec, 0.0), score)
    return sorted(scores.items(), key=lambda item: -item[1])


def _is_english(sample: bytes) -> bool:
    words = re.findall(rb"[a-z]+", sample.lower())
    known = [word for word in words if word in _ENGLISH]
    return len(set(known)) > 1 and len(known) > _ENGLISH_SHARE * len(words)


def _plausibility(text: str) -> float:
    """The share of words with letters beyond ASCII that look like words."""
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    if not words:
        return 1.0
    return 1 - sum(_is_odd(word) for word in words) / len(words)


_QUOTES = "‘’“”„«»‹›'"


def _is_odd(word: str) -> bool:
    """Whether a word mixes scripts, or has symbols or a capital among its letters."""
    word = unicodedata.normalize("NFC", word).strip(_QUOTES + "–—…¿¡·•©®™€£§°º²³ª´`")
    if any(character >= "\u2e80" for character in word):
        return False  # Chinese, Japanese, Korean: no spaces, so no words that this knows
    scripts = {_script(character) for character in word if character.isalpha()}
    if len(scripts - {"other"}) > 1:
        return True
    for before, character, after in zip(word, word[1:], word[2:], strict=False):
        if before.isalpha() and after.isalpha() and not character.isalpha():
            category = unicodedata.category(character)
            if category[0] in "SC" or (
                category in ("Po", "No", "Ps", "Pe") and not character.isascii()
            ):
                return True
    return any(
        before.islower() and after.isupper() and not (before.isascii() and after.isascii())
        for before, after in pairwise(word)
    )


def _script(character: str) -> str:
    point = ord(character)
    for last, name in (
        (0x2AF, "latin"), (0x36F, "other"), (0x3FF, "greek"), (0x52F, "cyrillic"),
        (0x58F, "armenian"), (0x5FF, "hebrew"), (0x77F, "arabic"), (0xDFF, "other"),
        (0xE7F, "thai"), (0x1DFF, "other"), (0x1EFF, "latin"), (0x1FFF, "greek"),
    ):  # fmt: skip
        if point <= last:
            return name
    return "other"


def _shown(text: str) -> str:
    """The words around the first character beyond ASCII."""
    at = next((index for index, character in enumerate(text) if ord(character) > 127), 0)
    start = max(text.rfind("\n", 0, at) + 1, at - _LINE // 2)
    line = re.split(r"[\r\n]", text[start : start + _LINE], maxsplit=1)[0].strip()
    return "".join(character if character.isprintable() else "·" for character in line)


def guess_utf16(head: bytes) -> str:
    """UTF-16 or UTF-32 without a byte-order mark, where it decodes to text; else empty."""
    import chardet

    head = head[: len(head) // 4 * 4]
    names = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
    found = chardet.detect(
        head, compat_names=False, include_encodings=names, no_match_encoding=names[0]
    )
    if found["encoding"] not in names or found["confidence"] < 0.5:
        return ""
    text = head.decode(str(found["encoding"]), "replace")
    damage = sum(not (mark.isprintable() or mark.isspace()) for mark in text)
    # Pairs of ASCII bytes decode to rare Chinese, but never to spaces or full stops.
    separated = any(mark in text for mark in " \n。、，")
    return str(found["encoding"]) if separated and damage <= len(text) // 50 else ""
