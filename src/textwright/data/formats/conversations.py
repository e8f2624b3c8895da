"""Conversations of two speakers: the record formats in use, as (role, words).

    {"turns": [{"agent" or "role", "text"}]}            data sets of dialogues
    {"messages": [{"role", "content"}]}                 OpenAI
    {"conversations": [{"from", "value"}]}              ShareGPT
    {"instruction", "output"}, {"question", "answer"}…  a question and its answer
    NAME: words                                         a transcript; blank lines between them

Whoever speaks first is `user`, unless the names are known roles, and the other `assistant`. Empty
turns, conversations of fewer than two turns and records that can't be read are skipped; a warning
counts them and names their lines or numbers.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Literal, TypeAlias

from textwright.data.formats.lines import read_numbered
from textwright.data.formats.normalization import normalize
from textwright.errors import CorpusError, counted

Turn: TypeAlias = tuple[str, str]
"""Role (`system`, `user`, `assistant`) and words."""
Conversation: TypeAlias = list[Turn]

LISTS = ("turns", "messages", "conversations", "conversation", "dialog", "dialogue")
"""Fields that hold the turns of a record."""
PAIRS = (
    ("instruction", "output"),
    ("instruction", "response"),
    ("prompt", "completion"),
    ("prompt", "response"),
    ("question", "answer"),
    ("query", "response"),
    ("user", "assistant"),
)
"""Fields of a record that is a conversation of two turns."""
_ASIDE = ("input", "context")
"""Fields of such a record that belong to the question."""
_SPEAKERS = ("role", "agent", "from", "speaker", "name", "author", "sender")
_WORDS = ("content", "text", "value", "message", "utterance")

_ROLES = {
    "system": "system",
    "developer": "system",
    **dict.fromkeys(("user", "human", "prompter", "customer"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bot", "model", "ai"), "assistant"),
}
_MAX_NAMED = 20
"""Lines or records that a warning lists of each reason, at most."""


class SkippedRecords:
    """What was skipped in one file, by reason and position."""

    def __init__(self, label: str, unit: Literal["line", "record"]) -> None:
        """Count for the file `label`, whose positions are lines or records."""
        self.label, self.unit = label, unit
        self.broken: dict[str, list[int]] = {}
        self.short: list[int] = []
        self.alone: list[int] = []
        """Conversations in which only one side says something."""
        self.empty_turns: Counter[int] = Counter()
        self.no_text: Counter[int] = Counter()
        """Parts of turns that are no text: pictures, files, calls of tools."""

    def warnings(self) -> Iterator[str]:
        """One line for each reason that occurred."""
        count = sum(map(len, self.broken.values()))
        if count:
            reasons = (f"{why}: {self._listed(at)}" for why, at in self.broken.items())
            yield f"{self.label}: left out {counted(count, 'broken record')}; {'; '.join(reasons)}"
        if self.short:
            yield (
                f"{self.label}: left out {counted(len(self.short), 'conversation')} of fewer than "
                f"two turns: {self._listed(self.short)}"
            )
        if self.alone:
            yield (
                f"{self.label}: left out {counted(len(self.alone), 'conversation')} in which only "
                f"one side speaks: {self._listed(self.alone)}"
            )
        if self.empty_turns:
            yield (
                f"{self.label}: left out {counted(self.empty_turns.total(), 'empty turn')}: "
                f"{self._listed(list(self.empty_turns))}"
            )

        if self.no_text:
            yield (
                f"{self.label}: left out {counted(self.no_text.total(), 'part')} of turns that "
                f"hold no text (pictures, files, calls): {self._listed(list(self.no_text))}"
            )

    def _listed(self, positions: list[int]) -> str:
        more = len(positions) - _MAX_NAMED
        listed = ", ".join(map(str, positions[:_MAX_NAMED]))
        return f"{self.unit} {listed}" + (f" and {more:,} more" if more > 0 else "")


def parse_records(
    records: Iterable[tuple[int, Any]], skipped: SkippedRecords
) -> Iterator[Conversation]:
    """The conversations of parsed JSON records.

    Args:
        records: (position in the file, record); an exception as record says why it is broken.
        skipped: what is skipped is added to it.
    """
    for position, record in records:
        try:
            if isinstance(record, Exception):
                raise record
            others: list[Any] = []
            turns = [(name, _normalize_words(words)) for name, words in _turns(record, others)]
            conversation = _assign_roles([(name, words) for name, words in turns if words])
        except ValueError as problem:
            skipped.broken.setdefault(str(problem), []).append(position)
            continue
        if others:
            skipped.no_text[position] += len(others)
        if len(conversation) < len(turns):
            skipped.empty_turns[position] += len(turns) - len(conversation)
        speaking = [role for role, _ in conversation if role != "system"]
        if len(speaking) < 2:
            skipped.short.append(position)
        elif len(set(speaking)) < 2:
            skipped.alone.append(position)
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


def json_records(data: Any) -> Iterator[tuple[int, Any]]:
    """(number, record) of a parsed `.json`: a record, a list of them, or {"data": list}."""
    if isinstance(data, dict) and not is_conversation(data):
        lists = [value for value in data.values() if isinstance(value, list) and value]
        data = lists[0] if len(lists) == 1 else data
    yield from enumerate(data if isinstance(data, list) else [data], start=1)


def is_conversation(record: Any) -> bool:
    """Whether a parsed record has a list of turns, readable or not, or is a question and answer."""
    return isinstance(record, dict) and (
        any(isinstance(record.get(name), list) for name in LISTS) or _pair(record) is not None
    )


def _pair(record: Mapping[str, Any]) -> tuple[str, str] | None:
    """The fields of a question and its answer."""
    return next((pair for pair in PAIRS if all(isinstance(record.get(n), str) for n in pair)), None)


def _turns(record: Any, others: list[Any]) -> Iterator[tuple[str, str]]:
    """(speaker, words) of each turn; what is no text in them is appended to `others`.

    Raises:
        ValueError: a turn can't be read.
    """
    if not isinstance(record, dict):
        raise ValueError("not an object")
    if not any(isinstance(record.get(name), list) for name in LISTS) and (pair := _pair(record)):
        asides = [record[name] for name in _ASIDE if isinstance(record.get(name), str)]
        if isinstance(record.get("system"), str):
            yield "system", record["system"]
        yield "user", "\n\n".join(words for words in (record[pair[0]], *asides) if words.strip())
        yield "assistant", record[pair[1]]
        return
    turns = next((record[name] for name in LISTS if isinstance(record.get(name), list)), None)
    if turns is None:
        raise ValueError("no list of turns")
    for number, turn in enumerate(turns, start=1):
        if not isinstance(turn, dict):
            raise ValueError(f"turn {number} is no object with a speaker and words")
        if turn.get("type") == "service":  # in Telegram's files: who joined, what was pinned
            continue
        speaker = next((turn[name] for name in _SPEAKERS if name in turn), None)
        if isinstance(speaker, dict):  # in Discord's: an account
            speaker = speaker.get("name") or speaker.get("id")
        if isinstance(speaker, int) and not isinstance(speaker, bool):
            speaker = str(speaker)
        if not isinstance(speaker, str) or not speaker.strip():
            raise ValueError(f"turn {number} doesn't say whose it is")
        yield speaker.strip().casefold(), _words(turn, number, others)


def _words(turn: Mapping[str, Any], number: int, others: list[Any]) -> str:
    name = next((name for name in _WORDS if name in turn), None)
    words = "" if name is None else turn[name]
    if name is None and not (turn.get("tool_calls") or turn.get("function_call")):
        raise ValueError(f"turn {number} has no words")
    if isinstance(words, list):  # OpenAI's content parts, and strings between them
        parts = [_text_of_part(part) for part in words]
        others += [part for part in parts if part is None]
        words = "\n".join(part for part in parts if part is not None)
    if words is None:
        return ""
    if not isinstance(words, str):
        raise ValueError(f"the words of turn {number} are not text")
    return words


def _text_of_part(part: Any) -> str | None:
    """The text of one part of a turn: a string, {"text": "…"} or {"text": {"value": "…"}}."""
    if isinstance(part, dict):
        part = part.get("text")
    if isinstance(part, dict):
        part = part.get("value")
    return part if isinstance(part, str) else None


def _normalize_words(words: str) -> str:
    return "".join(normalize([words])).strip()


def _assign_roles(turns: list[Turn]) -> Conversation:
    """`turns` with roles for names.

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


def check_not_empty(count: int, labels: str) -> None:
    """Raise `CorpusError` where `count` conversations is none."""
    if not count:
        raise CorpusError(
            f"{labels} holds no usable conversation of at least two turns between two; the "
            "warnings say why, docs/conversations.md has the forms; or read it as running text "
            "(--set corpus.form=text)"
        )
