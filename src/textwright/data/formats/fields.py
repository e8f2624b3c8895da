"""Which field of a record, or column of a table, holds its text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from textwright.data.formats.findings import Findings

TEXT_FIELDS = (
    "text", "content", "contents", "body", "article", "document", "story", "passage", "paragraph",
    "sentence", "selftext", "message", "tweet", "post", "comment", "review", "lyrics", "poem",
    "quote", "joke", "abstract", "transcript", "utterance", "transcription", "caption", "lines",
    "line", "texte", "texto", "testo", "tekst", "inhalt", "nachricht", "contenu", "contenido",
    "mensaje", "description", "summary",
)  # fmt: skip
"""Names that fields of text have in use, the likeliest first; `review_body` counts as `body`."""

_RANKS = {name: rank for rank, name in enumerate(TEXT_FIELDS)}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+")
_MIN_PROSE = 15
"""Characters that the texts of a field have at least, on average, if its name says nothing."""
_MAX_NAMED = 20
_MOST_FIELDS = 100
"""Of an object that has fields; one of more has data in their names."""


class TextField:
    """Chooses the field of each record that holds its text.

    A name that was asked for decides; else, record by record, the likeliest name that is known for
    it; else the field whose values in the first records are the longest prose. Where no field of
    the records themselves has such a name, those of the objects in them count too: `meta.text`.
    """

    def __init__(self, wanted: str | None, records: Sequence[Any]) -> None:
        """Args: the field asked for, and the first records of the file."""
        self._wanted = wanted
        objects = [record for record in records if isinstance(record, dict)]
        names = {str(name) for one in objects for name, value in one.items() if as_text(value)}
        self._is_nested = (
            "." in wanted
            if wanted
            else bool(objects) and all(name_rank(name) is None for name in names)
        )
        if self._is_nested:
            records = [flattened(record) for record in records]
        self.guess = None if wanted else _longest_prose(records)
        """The field to take where no name is known."""
        self._orders: dict[tuple[str, ...], tuple[str, ...]] = {}
        self.used: Counter[str] = Counter()
        """How often each field was the one."""
        self._names: set[str] = set()

    def text(self, record: Any) -> str | None:
        """The text of a record: a string itself, or of an object's field; None if it has none."""
        if isinstance(record, str):
            return record
        if not isinstance(record, dict):
            return None
        if self._is_nested:
            record = flattened(record)
        for name in self._order(tuple(map(str, record))):
            text = as_text(record.get(name))
            if text:
                self.used[name] += 1
                return text
        return None

    def _order(self, names: tuple[str, ...]) -> tuple[str, ...]:
        order = self._orders.get(names)
        if order is None:
            if len(self._orders) > 1000:  # records that have their data in their names
                self._orders.clear()
            order = self._orders[names] = self.candidates(names)
            if len(self._names) < _MAX_NAMED:
                self._names.update(names)
        return order

    def candidates(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Of these fields, those that may hold the text, the likeliest first."""
        if self._wanted is not None:
            alike = [name for name in names if name.casefold() == self._wanted.casefold()]
            return (self._wanted,) if self._wanted in names else tuple(alike[:1])
        known = sorted((rank, name) for name in names if (rank := name_rank(name)) is not None)
        guess = [self.guess] if self.guess in names else []
        return (*(name for _, name in known), *(name for name in guess if name is not None))

    def describe(self, unit: str, findings: Findings) -> None:
        """Note which fields were read, and which not."""
        if not self.used:
            return
        read = " and ".join(f'"{name}" ({count:,})' for name, count in self.used.most_common())
        others = sorted(self._names - self.used.keys())
        rest = f"; not read: {', '.join(others[:8])}" if others else ""
        more = " …" if len(others) > 8 else ""
        chosen = "" if self._wanted or not self._is_guess() else ", which has the longest texts"
        findings.note(f"text from its {unit} {read}{chosen}{rest}{more}; --field NAME decides")

    def _is_guess(self) -> bool:
        return self.guess in self.used and name_rank(self.guess or "") is None


def name_rank(name: str) -> int | None:
    """How likely a field of this name is to hold text, 0 the likeliest; None for other names."""
    plain = re.sub(r"[\W_]+", "", name).casefold()
    if plain in _RANKS:
        return _RANKS[plain]
    words = _WORD.findall(name)
    last = words[-1].casefold() if words else ""  # review_body, fullText, Tweet Text
    return len(_RANKS) + _RANKS[last] if last in _RANKS and len(words) > 1 else None


def flattened(record: Any, depth: int = 4) -> Any:
    """A record with the fields of objects inside it beside its own, `meta.text` for instance; of
    objects in a list, all the texts of a field. Anything but an object as it is."""
    if not isinstance(record, dict) or len(record) > _MOST_FIELDS:
        return record
    flat: dict[str, Any] = {}
    for name, value in record.items():
        objects = value if isinstance(value, list) else [value]
        if depth and objects and all(isinstance(one, dict) for one in objects):
            for one in objects:
                for inner, its_value in flattened(one, depth - 1).items():
                    path = f"{name}.{inner}"
                    is_list = isinstance(value, list)
                    flat[path] = [*flat.get(path, []), *_parts(its_value)] if is_list else its_value
        else:
            flat[str(name)] = value
    return flat


def _parts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def as_text(value: Any) -> str | None:
    """A field's value as text: a string, or a list of them, one a line; None for others."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        return "\n".join(value)
    return None


def _longest_prose(records: Iterable[Any]) -> str | None:
    values: dict[str, list[str]] = {}
    for record in records:
        if isinstance(record, Mapping):
            for name, value in record.items():
                if text := as_text(value):
                    values.setdefault(name, []).append(text)
    lengths = {
        name: sum(map(len, texts)) / len(texts)
        for name, texts in values.items()
        if len(texts) > 1 and sum(" " in text.strip() for text in texts) > len(texts) / 3
    }
    best = max(lengths, key=lengths.__getitem__, default=None)
    return best if best is not None and lengths[best] >= _MIN_PROSE else None
