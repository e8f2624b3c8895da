"""Conversations between two: the forms that people have them in, as roles and words.

    {"turns": [{"agent" or "role", "text"}]}            data sets of dialogues
    {"messages": [{"role", "content"}]}                 OpenAI
    {"conversations": [{"from", "value"}]}              ShareGPT
    NAME: words                                         a transcript; a blank line between two

`user` is who speaks first, unless the names say otherwise, and `assistant` is the other; both are
learned alike. A turn without words and a conversation of fewer than two turns are left out, and
what can't be read is left out whole. All of it is counted, and named by its place in the file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Literal, TypeAlias

from textwright.data.formats.lines import read_numbered
from textwright.data.formats.normalization import normalised
from textwright.errors import CorpusError

Turn: TypeAlias = tuple[str, str]
"""Role (`system`, `user`, `assistant`) and words."""
Conversation: TypeAlias = list[Turn]

LISTS = ("turns", "messages", "conversations", "conversation", "dialog", "dialogue")
"""Fields that hold the turns of a record."""
_SPEAKERS = ("role", "agent", "from", "speaker", "name")
_WORDS = ("content", "text", "value", "message", "utterance")

_ROLES = {
    "system": "system",
    "developer": "system",
    **dict.fromkeys(("user", "human", "prompter", "customer"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bot", "model", "ai"), "assistant"),
}
_NAMED = 20
"""Places that a warning names of each sort, at most."""


class Losses:
    """What was left out of one file, and where."""

    def __init__(self, label: str, unit: Literal["line", "record"]) -> None:
        """Count for the file `label`, whose places are lines or records."""
        self.label, self.unit = label, unit
        self.broken: dict[str, list[int]] = {}
        self.short: list[int] = []
        self.empty_turns: Counter[int] = Counter()

    def warnings(self) -> Iterator[str]:
        """A line for each sort of loss; none where nothing was left out."""
        count = sum(map(len, self.broken.values()))
        if count:
            sorts = (f"{why}: {self._named(places)}" for why, places in self.broken.items())
            yield f"{self.label}: left out {count:,} broken records; {'; '.join(sorts)}"
        if self.short:
            yield (
                f"{self.label}: left out {len(self.short):,} conversations of fewer than two "
                f"turns: {self._named(self.short)}"
            )
        if self.empty_turns:
            yield (
                f"{self.label}: left out {self.empty_turns.total():,} empty turns: "
                f"{self._named(list(self.empty_turns))}"
            )

    def _named(self, places: list[int]) -> str:
        more = len(places) - _NAMED
        shown = ", ".join(map(str, places[:_NAMED]))
        return f"{self.unit} {shown}" + (f" and {more:,} more" if more > 0 else "")


def gather(records: Iterable[tuple[int, Any]], losses: Losses) -> Iterator[Conversation]:
    """The conversations of parsed records; an exception in place of one is why it is broken.

    Args:
        records: (place in the file, what is there).
        losses: takes note of what is left out.
    """
    for place, record in records:
        try:
            if isinstance(record, Exception):
                raise record
            turns = [(name, _one_form(words)) for name, words in _turns(record)]
            spoken = [(name, words) for name, words in turns if words]
            conversation = _with_roles(spoken)
        except ValueError as problem:
            losses.broken.setdefault(str(problem), []).append(place)
            continue
        if len(spoken) < len(turns):
            losses.empty_turns[place] += len(turns) - len(spoken)
        if sum(role != "system" for role, _ in conversation) < 2:
            losses.short.append(place)
        else:
            yield conversation


def read_json_lines(file: BinaryIO, encoding: str, label: str) -> Iterator[tuple[int, Any]]:
    """(line number, parsed line) of each line that isn't blank."""
    for number, line in read_numbered(file, encoding, label):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError):
            yield number, ValueError("not JSON")


def records_of(data: Any) -> Iterator[tuple[int, Any]]:
    """(number, record) of a parsed `.json`: a record, a list of them, or {"data": list}."""
    if isinstance(data, dict) and not is_conversation(data):
        lists = [value for value in data.values() if isinstance(value, list) and value]
        data = lists[0] if len(lists) == 1 else data
    yield from enumerate(data if isinstance(data, list) else [data], start=1)


def is_conversation(record: Any) -> bool:
    """Whether a parsed record is meant as a conversation, whole or broken."""
    return isinstance(record, dict) and any(isinstance(record.get(name), list) for name in LISTS)


def _turns(record: Any) -> Iterator[tuple[str, str]]:
    """(who, words) of each turn. Raises `ValueError` where a turn can't be read."""
    if not isinstance(record, dict):
        raise ValueError("not an object")
    listed = next((record[name] for name in LISTS if isinstance(record.get(name), list)), None)
    if listed is None:
        raise ValueError("no list of turns")
    for number, turn in enumerate(listed, start=1):
        if not isinstance(turn, dict):
            raise ValueError(f"turn {number} is not an object")
        who = next((turn[name] for name in _SPEAKERS if name in turn), None)
        if isinstance(who, int) and not isinstance(who, bool):
            who = str(who)
        if not isinstance(who, str) or not who.strip():
            raise ValueError(f"turn {number} doesn't say whose it is")
        yield who.strip().casefold(), _words(turn, number)


def _words(turn: Mapping[str, Any], number: int) -> str:
    name = next((name for name in _WORDS if name in turn), None)
    words = "" if name is None else turn[name]
    if name is None and not (turn.get("tool_calls") or turn.get("function_call")):
        raise ValueError(f"turn {number} has no words")
    if isinstance(words, list):  # OpenAI's parts
        parts = [part.get("text") for part in words if isinstance(part, dict)]
        words = "\n".join(part for part in parts if isinstance(part, str))
    if words is None:
        return ""
    if not isinstance(words, str):
        raise ValueError(f"the words of turn {number} are not text")
    return words


def _one_form(words: str) -> str:
    return "".join(normalised([words])).strip()


def _with_roles(turns: list[Turn]) -> Conversation:
    """Roles in place of names.

    Raises:
        ValueError: more than two speak.
    """
    roles: dict[str, str] = {}
    unnamed: list[str] = []
    for name, _ in turns:
        if name in _ROLES:
            roles[name] = _ROLES[name]
        elif name not in unnamed:
            unnamed.append(name)
    free = [role for role in ("user", "assistant") if role not in roles.values()]
    if len(unnamed) > len(free):
        raise ValueError("more than two speak")
    roles.update(zip(unnamed, free, strict=False))
    return [(roles[name], words) for name, words in turns]


def check_some(count: int, labels: str) -> None:
    """Raise `CorpusError` where nothing usable was found."""
    if not count:
        raise CorpusError(
            f"{labels} holds no usable conversation of at least two turns between two; the "
            "warnings say why, docs/conversations.md has the forms"
        )
