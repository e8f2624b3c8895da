"""Chats as messengers export them, as conversations of you and one other.

    {"messages": [{"from": "Anna", …}]}        Telegram's result.json, of one chat or of all
    {"channel": …, "messages": [{"author": …}]}   DiscordChatExporter's JSON

Those of WhatsApp are plain text, which `transcripts` reads.

Messages of one side that follow each other are one turn; a pause of four hours begins another
conversation. The model speaks as the other, you are the user: who is who says the name of a chat
of two, the account that exported, or else who writes first. Pictures, calls, what was deleted,
forwarded or said by the program are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from textwright.errors import CorpusError, counted

PAUSE = 4 * 3600
"""Seconds without a message after which another conversation begins."""

_MOST_NAMED = 8


@dataclass(frozen=True)
class Message:
    """What somebody wrote at once."""

    position: int
    """Its line, or its number in its chat."""
    time: float
    """Seconds since 1970; only differences matter."""
    speaker: str
    words: str


@dataclass(frozen=True)
class Chat:
    """One exported chat."""

    name: str
    """What the export, or its file, is called: of two, often the other's name."""
    messages: Sequence[Message]
    me: str | None = None
    """Who exported it, where the export says so."""
    left_out: Counter[str] = field(default_factory=Counter)

    def speakers(self) -> Counter[str]:
        """How much each wrote, in messages."""
        return Counter(message.speaker for message in self.messages)


@dataclass(frozen=True)
class Exported:
    """The conversations of one file, and what there is to say about them."""

    records: list[tuple[int, dict[str, Any]]]
    """(line or number of its first message, `{"turns": [{"role", "text"}]}`)."""
    notes: list[str]


def conversations_of(chats: Sequence[Chat], label: str, assistant: str | None) -> Exported:
    """The chats of one file as conversations.

    Args:
        chats: of the file.
        label: its name in messages.
        assistant: whom the model is to speak as; None for the other of two.

    Raises:
        CorpusError: nobody is called so, or more than two write and none is named.
    """
    usable = [chat for chat in chats if len(chat.speakers()) > 1]
    everyone: Counter[str] = sum((chat.speakers() for chat in usable), Counter())
    name = None
    if assistant is not None:
        name = {one.casefold(): one for one in everyone}.get(assistant.strip().casefold())
        if name is None:
            raise CorpusError(
                f"{label}: nobody called {assistant!r} writes in it; there are {_listed(everyone)}"
            )
        usable = [chat for chat in usable if name in chat.speakers()]
    elif len(usable) == 1 and len(everyone) > 2:
        raise CorpusError(
            f"{label}: {len(everyone)} people write in it ({_listed(everyone)}); say whom the "
            "model should speak as: --assistant NAME, and all others are you"
        )
    elif len(usable) > 1:  # of a whole account: its chats of two, all of which it is in
        appears = Counter(one for chat in usable for one in chat.speakers())
        me = appears.most_common(1)[0][0]
        usable = [replace(chat, me=chat.me or me) for chat in usable if len(chat.speakers()) == 2]
    records: list[tuple[int, dict[str, Any]]] = []
    left_out: Counter[str] = sum((chat.left_out for chat in chats), Counter())
    voices: Counter[str] = Counter()
    for chat in usable:
        voice = name or _other(chat)
        voices[voice] += chat.speakers()[voice]
        records += _conversations(chat.messages, voice)
    notes = []
    if voices:
        missing = "; left out: " if left_out else ""
        missing += ", ".join(f"{count:,} {what}" for what, count in left_out.most_common())
        notes.append(
            f"{label}: {counted(len(records), 'conversation')} (a pause of four hours ends one); "
            f"the model speaks as {_listed(voices)}, you are the rest; --assistant NAME decides"
            f"{missing}"
        )
    return Exported(records, notes)


def _other(chat: Chat) -> str:
    """Of the two in a chat, the one who is not whoever exported it, as far as can be told."""
    first, second = list(chat.speakers())  # in the order of their first messages
    if chat.me in (first, second):
        return second if chat.me == first else first
    named = [one for one in (first, second) if one.casefold() in chat.name.casefold()]
    return named[0] if len(named) == 1 else second


def _listed(names: Counter[str]) -> str:
    listed = ", ".join(name for name, _ in names.most_common(_MOST_NAMED))
    more = len(names) - _MOST_NAMED
    return listed + (f" and {more:,} more" if more > 0 else "")


def _conversations(messages: Iterable[Message], voice: str) -> Iterator[tuple[int, dict[str, Any]]]:
    turns: list[dict[str, str]] = []
    start = 0
    before: float | None = None
    for message in messages:
        if before is not None and message.time - before > PAUSE and turns:
            yield start, {"turns": turns}
            turns = []
        before = message.time
        start = start if turns else message.position
        role = "assistant" if message.speaker == voice else "user"
        if turns and turns[-1]["role"] == role:
            turns[-1]["text"] += f"\n{message.words}"
        else:
            turns.append({"role": role, "text": message.words})
    if turns:
        yield start, {"turns": turns}


def as_text(chats: Iterable[Chat]) -> Iterator[str]:
    """The chats as running text: `NAME: words`, a blank line where a pause was."""
    for chat in chats:
        before: float | None = None
        for message in chat.messages:
            if before is not None and message.time - before > PAUSE:
                yield "\n"
            before = message.time
            yield f"{message.speaker}: {message.words}\n"
        yield "\n"


# Telegram and Discord


def json_chats(data: Any) -> list[Chat] | None:
    """The chats of a parsed `.json`; None where it is no export of Telegram's or Discord's."""
    if not isinstance(data, dict):
        return None
    chats = data.get("chats")
    if isinstance(chats, dict) and isinstance(chats.get("list"), list):  # a whole account
        about = data.get("personal_information")
        me = f"user{about.get('user_id')}" if isinstance(about, dict) else None
        listed = [chat for chat in chats["list"] if _is_telegram(chat)]
        return [_telegram(chat, me) for chat in listed] or None
    if _is_telegram(data):
        return [_telegram(data, None)]
    messages = data.get("messages")
    if isinstance(data.get("channel"), dict) and isinstance(messages, list) and messages:
        authors = [one.get("author") for one in messages if isinstance(one, dict)]
        if authors and all(isinstance(author, dict) for author in authors):
            return [_discord(data)]
    return None


def _is_telegram(chat: Any) -> bool:
    messages = chat.get("messages") if isinstance(chat, dict) else None
    return isinstance(messages, list) and any(
        isinstance(one, dict) and {"id", "type", "date"} <= one.keys() and "from_id" in one
        for one in messages[:100]
    )


def _telegram(chat: dict[str, Any], me: str | None) -> Chat:
    messages: list[Message] = []
    left_out: Counter[str] = Counter()
    mine = None
    for number, one in enumerate(chat["messages"], start=1):
        if not isinstance(one, dict) or one.get("type") != "message":
            left_out["remarks of Telegram's own"] += 1
            continue
        speaker = str(one.get("from") or one.get("from_id") or "")
        if me is not None and one.get("from_id") == me:
            mine = speaker
        if one.get("forwarded_from") or one.get("via_bot"):
            left_out["forwarded"] += 1
            continue
        if words := _telegram_words(one.get("text")):
            messages.append(Message(number, _unix_time(one, messages), speaker, words))
        else:
            left_out["without words"] += 1
    return Chat(str(chat.get("name") or ""), messages, mine, left_out)


def _telegram_words(text: Any) -> str:
    """A message's text: a string, or a list of strings and of {"type", "text"}."""
    parts = text if isinstance(text, list) else [text]
    parts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    return "".join(part for part in parts if isinstance(part, str)).strip()


def _unix_time(message: dict[str, Any], before: Sequence[Message]) -> float:
    try:
        if "date_unixtime" in message:
            return float(message["date_unixtime"])
        written = str(message.get("date") or message["timestamp"])
        time = datetime.fromisoformat(written)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, KeyError, TypeError, OverflowError):
        return before[-1].time if before else 0.0


def _discord(data: dict[str, Any]) -> Chat:
    messages: list[Message] = []
    left_out: Counter[str] = Counter()
    for number, one in enumerate(data["messages"], start=1):
        if not isinstance(one, dict) or one.get("type") not in ("Default", "Reply", None):
            left_out["remarks of Discord's own"] += 1
            continue
        author = one["author"]
        if author.get("isBot"):
            left_out["of bots"] += 1
            continue
        speaker = str(author.get("nickname") or author.get("name") or author.get("id") or "")
        words = one.get("content")
        if isinstance(words, str) and words.strip():
            messages.append(Message(number, _unix_time(one, messages), speaker, words.strip()))
        else:
            left_out["without words"] += 1
    channel = data["channel"]
    is_of_two = str(channel.get("type", "")).startswith("Direct")
    return Chat(str(channel.get("name") or "") if is_of_two else "", messages, left_out=left_out)
