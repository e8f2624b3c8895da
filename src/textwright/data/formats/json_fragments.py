"""Conversations in JSON that can't be parsed as a whole, or that is spread over lines.

A list or an object in which something is broken still holds what isn't. Each JSON object is tried
where it begins; a place at which parsing stops is one broken record, however many objects that
have not ended yet stop there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from textwright.data.formats.conversations import LISTS, is_conversation

_TURNS = re.compile(rf'"(?:{"|".join(LISTS)})"\s*:\s*\[\s*[{{\]]')


def holds_conversations(head: str) -> bool:
    """Whether the beginning of a file is JSON, whole or not, in which a list of turns begins."""
    return head.lstrip("\ufeff \t\r\n")[:1] in ("{", "[") and bool(_TURNS.search(head))


def conversations_within(text: str) -> Iterator[tuple[int, Any]]:
    """(line, record) of each conversation, wherever in the objects it lies.

    What is broken is given as a `ValueError`, with the line where parsing stopped.
    """
    decoder = json.JSONDecoder()
    at = line = 0
    stops: set[int] = set()
    while (start := text.find("{", at)) >= 0:
        line += text.count("\n", at, start)
        at = start
        try:
            record, end = decoder.raw_decode(text, start)
        except json.JSONDecodeError as error:
            if error.pos not in stops:
                stops.add(error.pos)
                yield line + 1 + text.count("\n", start, error.pos), ValueError("not JSON")
            end = start + 1
        except (RecursionError, ValueError):  # nested too deep, or a number of too many digits
            yield line + 1, ValueError("not JSON")
            end = text.find("\n", start) + 1 or len(text)
        else:
            if is_conversation(record):
                yield line + 1, record
            elif _TURNS.search(text, start, end):
                end = start + 1  # they lie deeper
        line += text.count("\n", start, end)
        at = end
