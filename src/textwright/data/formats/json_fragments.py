"""Conversations in JSON that doesn't parse as a whole, or whose objects span several lines.

Parsing starts anew at each `{`, so one broken object doesn't lose the others of its list. A
position where parsing fails counts as one broken record, however many objects fail there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from textwright.data.formats.conversations import LISTS, is_conversation

_TURNS = re.compile(rf'"(?:{"|".join(LISTS)})"\s*:\s*\[\s*[{{\]]')


_MOST_WORK, _FREE_WORK = 20, 1 << 20
"""Broken JSON is parsed anew at each `{`: so many times its characters in all, and some more."""


def has_conversations(head: str) -> bool:
    """Whether the beginning of a file is JSON, valid or not, in which a list of turns begins."""
    return head.lstrip("\ufeff \t\r\n")[:1] in ("{", "[") and bool(_TURNS.search(head))


def find_conversations(text: str) -> Iterator[tuple[int, Any]]:
    """(line, record) of each conversation, at any depth.

    For a broken one the record is a `ValueError`, and the line where parsing failed.
    """
    decoder = json.JSONDecoder()
    position = line = 0
    failures: set[int] = set()
    work = 0
    while (start := text.find("{", position)) >= 0:
        line += text.count("\n", position, start)
        if work > _MOST_WORK * len(text) + _FREE_WORK:
            yield line + 1, ValueError("broken in too many places; what follows is left out")
            return
        try:
            record, end = decoder.raw_decode(text, start)
        except json.JSONDecodeError as error:
            work += error.pos - start
            if error.pos not in failures:
                failures.add(error.pos)
                yield line + 1 + text.count("\n", start, error.pos), ValueError("not JSON")
            end = start + 1
        except (RecursionError, ValueError):  # nested too deeply, or an int of too many digits
            yield line + 1, ValueError("not JSON")
            end = text.find("\n", start) + 1 or len(text)
        else:
            work += end - start
            if is_conversation(record):
                yield line + 1, record
            elif _TURNS.search(text, start, end):
                end = start + 1  # it contains some
        line += text.count("\n", start, end)
        position = end
