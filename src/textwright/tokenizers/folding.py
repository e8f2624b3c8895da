"""The nearest known form of a character: “ as ", é as e, K as k.

Decompositions and cases come from `unicodedata`; the table has what Unicode does not decompose.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

_STEPS = 64
"""Forms looked at for one character, at most."""

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
"""Characters, and what each of them may be read as, the nearest first."""

_LETTERS = {
    "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O",
    "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ł": "l", "Ł": "L",
    "ħ": "h", "Ħ": "H", "ŧ": "t", "Ŧ": "T", "ı": "i", "ĸ": "k", "ŋ": "n", "Ŋ": "N",
    "ƒ": "f", "…": "...", "&": "and", "©": "(c)", "®": "(r)", "ς": "σ",
}  # fmt: skip

_FORMS = {character: forms for characters, forms in _GROUPS for character in characters}
_PLAIN_LETTERS = str.maketrans(_LETTERS)

_OPENS = {'"': ("“", "”"), "'": ("‘", "’"), "`": ("‘", "’")}
"""Straight quotes, and the curly ones that they are read as: opening, closing."""


def nearest_form(character: str, known: Callable[[str], bool], *, opening: bool) -> str | None:
    """What to read `character` as, or None.

    Forms are tried from the nearest to the farthest: one step (by table, by decomposition, then
    to the other case), then two, and so on.

    Args:
        character: one that is not known.
        known: whether a character is.
        opening: whether it stands where a quotation opens: at the start, or after white space.
    """
    waiting = [character]
    tried = {character}
    for form in waiting:  # grows as it is read
        if form != character and all(map(known, form)):
            return form
        # One character of a longer form at a time, the first that is not known
        place = next(i for i, part in enumerate(form) if not known(part))
        for step in _steps(form[place], opening):
            new = form[:place] + step + form[place + 1 :]
            if new not in tried and len(tried) < _STEPS:
                tried.add(new)
                waiting.append(new)
    return None


def _steps(character: str, opening: bool) -> Iterator[str]:
    if character in _OPENS:
        yield _OPENS[character][0 if opening else 1]
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
    """`text` without accents and the like: compatibility decomposition without the marks.

    What would leave nothing to see stays as it is: a mark alone, a spacing accent.
    """
    decomposed = unicodedata.normalize("NFKD", text.translate(_PLAIN_LETTERS))
    bare = "".join(part for part in decomposed if not unicodedata.combining(part))
    return bare if bare.strip() or text.isspace() else text


def folding_tables() -> dict[str, Any]:
    """What a reader of prompts in another language needs beside Unicode's own data.

    `forms`: a character → what it may be read as, the nearest first; `letters`: a character → its
    plain letters; `opens`: a straight quote → the opening and the closing one.
    """
    return {"forms": _FORMS, "letters": _LETTERS, "opens": _OPENS}
