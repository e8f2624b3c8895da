"""The page's languages: a file of `web/words/` each, from English to its own words."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TypeAlias

WORDS = Path(__file__).parent / "web" / "words"

Words: TypeAlias = dict[str, str | dict[str, str]]
"""By the English, which is in the page's code; of a number's sentence a form for each plural."""


def languages() -> list[str]:
    """The languages besides English, as ISO 639-1 has them, in order."""
    return sorted(file.stem for file in WORDS.glob("*.js"))


@cache
def words(language: str) -> Words:
    """All words of a language. What stands between the file's outer braces is JSON."""
    text = (WORDS / f"{language}.js").read_text(encoding="utf-8")
    found: Words = json.loads(text[text.index("{") : text.rindex("}") + 1])
    return found


def words_of(script: str) -> dict[str, Words]:
    """Of each language the words that a script speaks."""
    return {
        language: {
            english: own
            for english, own in words(language).items()
            if json.dumps(english, ensure_ascii=False) in script
        }
        for language in languages()
    }
