"""Folding a character to the nearest form that a vocabulary has: “ to ", é to e, K to k.

Decompositions and cases are those of `unicodedata`; the tables have what Unicode doesn't decompose.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

_MAX_FORMS = 64
"""Forms that are tried for one character."""

_GROUPS = (
    ("—", ("--", "–", "―", "-")),
    ("―⸺⸻", ("—", "--", "–", "-")),
    ("–‒", ("-", "−", "—")),
    ("-", ("‐", "–", "−", "—")),
    ("‐‑−⁃", ("-", "–")),
    ('"', ("“", "”", "«", "»", "''")),
    ("“„‟", ('"', "«", "「", "『", "《", "''", "'")),
    ("”″〃", ('"', "»", "」", "』", "》", "''", "'")),
    ("«《「『", ("“", '"')),
    ("»》」』", ("”", '"')),
    ("'", ("’", "‘", "`")),
    ("‘‚‛‹ʻ", ("'", "’", "`")),
    ("’›′´ʹʼʽ`", ("'", "’", "‘")),
    ("、،", (",",)),
    ("。۔।", (".",)),
    (".", ("。",)),
    (",", ("，", "、")),
    ("؟⸮¿", ("?",)),
    ("؛", (";",)),
    ("¡", ("!",)),
    ("•·●∙", ("*", "-")),
    ("×", ("x",)),
    ("⁄∕÷", ("/",)),
    ("[{", ("(",)),
    ("]}", (")",)),
    ("\v\f\x85\u2028\u2029", ("\n",)),
    ("\t\u200b", (" ",)),
)
"""(characters, forms that each may be folded to, the nearest first)."""

_LETTERS = {
    "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O",
    "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ł": "l", "Ł": "L",
    "ħ": "h", "Ħ": "H", "ŧ": "t", "Ŧ": "T", "ı": "i", "ĸ": "k", "ŋ": "n", "Ŋ": "N",
    "ƒ": "f", "…": "...", "&": "and", "©": "(c)", "®": "(r)", "ς": "σ",
}  # fmt: skip

_FORMS = {character: forms for characters, forms in _GROUPS for character in characters}
_PLAIN_LETTERS = str.maketrans(_LETTERS)

_CURLY = {'"': ("“", "”"), "'": ("‘", "’"), "`": ("‘", "’")}
"""Straight quote → the curly ones that it may be folded to: (opening, closing)."""


def nearest_form(character: str, known: Callable[[str], bool], *, opening: bool) -> str | None:
    """The nearest form of `character` whose characters are all known, or None.

    A breadth-first search: forms one step away (by table, by decomposition, then to the other
    case), then two, and so on.

    Args:
        character: one that is not known.
        known: whether a character is.
        opening: whether a quotation opens at its position: at the start, or after white space.
    """
    queue = [character]
    tried = {character}
    for form in queue:  # it grows meanwhile
        if form != character and all(map(known, form)):
            return form
        # Of a longer form, replace the first character that is not known
        index = next(i for i, part in enumerate(form) if not known(part))
        for step in _steps(form[index], opening):
            new = form[:index] + step + form[index + 1 :]
            if new not in tried and len(tried) < _MAX_FORMS:
                tried.add(new)
                queue.append(new)
    return None


def _steps(character: str, opening: bool) -> Iterator[str]:
    if character in _CURLY:
        yield _CURLY[character][0 if opening else 1]
    yield from _FORMS.get(character, ())
    if unicodedata.category(character) == "Zs":
        yield " "
    digit = unicodedata.digit(character, None)
    if digit is not None:
        yield str(digit)
    yield plain(character)
    yield character.lower()
    yield character.upper()


def plain(text: str) -> str:
    """`text` without accents: its compatibility decomposition (NFKD) without combining marks.

    Text of which nothing visible would be left is unchanged: a mark alone, a spacing accent.
    """
    decomposed = unicodedata.normalize("NFKD", text.translate(_PLAIN_LETTERS))
    bare = "".join(part for part in decomposed if not unicodedata.combining(part))
    return bare if bare.strip() or text.isspace() else text


def folding_tables() -> dict[str, Any]:
    """The tables, for a prompt reader in another programming language.

    `forms`: a character → forms it may be folded to, the nearest first; `letters`: a character →
    its plain letters; `opens`: a straight quote → the opening and the closing one.
    """
    return {"forms": _FORMS, "letters": _LETTERS, "opens": _CURLY}
