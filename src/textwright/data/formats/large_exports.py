"""An exported chat that is larger than a JSON value may be: its messages are parsed one by one.

Of each message only what a conversation is made of is kept. What stands around the lists of
messages is small, and parsed as a whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_BEGINS = re.compile(r'"messages"\s*:\s*\[')
_LONGEST_BEGINNING = 64
"""Characters of what begins a list of messages, and may be cut in two."""
_MOST = 1 << 24
"""Characters of one message, and of all text outside the lists of messages."""
_KEPT = frozenset(
    ("id", "type", "date", "date_unixtime", "from", "from_id", "text", "forwarded_from", "via_bot",
     "author", "content", "timestamp")
)  # fmt: skip
_GAP = re.compile(r"[\s,]*")


def read_export(blocks: Iterator[str]) -> Any:
    """The parsed value, with what is kept of each message.

    Args:
        blocks: the decoded text, in pieces.

    Raises:
        ValueError: it is no JSON, or something in it is too long for an export.
    """
    around: list[str] = []
    lists: list[list[Any]] = []
    text, more, length = "", True, 0
    while more:
        block = next(blocks, None)
        more, text = block is not None, text + (block or "")
        while found := _BEGINS.search(text):
            around += text[: found.end() - 1], json.dumps(f"\0{len(lists)}")
            messages, text = _read_messages(text[found.end() :], blocks)
            lists.append(messages)
        kept = _LONGEST_BEGINNING if more else 0
        around.append(text[: max(0, len(text) - kept)])
        text = text[max(0, len(text) - kept) :]
        length += len(around[-1])
        if length > _MOST:
            raise ValueError("there is too much beside its messages")
    return _filled(json.loads("".join(around).removeprefix("\ufeff")), lists)


def _read_messages(text: str, blocks: Iterator[str]) -> tuple[list[Any], str]:
    """The messages of a list whose beginning was read, and the text after it."""
    decoder = json.JSONDecoder()
    messages: list[Any] = []
    at = 0
    while True:
        at = _match_end(text, at)
        if text[at : at + 1] == "]":
            return messages, text[at + 1 :]
        try:
            if text[at : at + 1] not in ("{", ""):
                raise ValueError("a message is no object")
            message, at = decoder.raw_decode(text, at)
            messages.append({key: value for key, value in message.items() if key in _KEPT})
        except json.JSONDecodeError:
            block = next(blocks, None)
            if block is None or len(text) - at > _MOST:
                raise ValueError("a message is broken or too long") from None
            text, at = text[at:] + block, 0


def _match_end(text: str, at: int) -> int:
    gap = _GAP.match(text, at)
    return gap.end() if gap else at


def _filled(value: Any, lists: list[list[Any]]) -> Any:
    """A value with the lists of messages in their places."""
    if isinstance(value, dict):
        place = value.get("messages")
        if isinstance(place, str) and place.startswith("\0"):
            value["messages"] = lists[int(place[1:])]
        return {
            key: one if key == "messages" else _filled(one, lists) for key, one in value.items()
        }
    return [_filled(one, lists) for one in value] if isinstance(value, list) else value
