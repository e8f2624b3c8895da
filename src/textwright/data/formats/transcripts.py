"""Conversations in plain text: transcripts, and chats as WhatsApp exports them.

Anna: words                                one turn a line, a blank line between conversations
31/12/2023, 21:45 - Anna: words            WhatsApp, Android; the date as the telephone has it
[31.12.23, 21:45:10] Anna: words           WhatsApp, iOS; more lines of a message have no date
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, BinaryIO

from textwright.data.formats.chat_exports import Chat, Message
from textwright.data.formats.lines import read_numbered

_TURN = re.compile(r"\s*([^\W\d_][\w .'’-]{0,39}?)\s*:(?:\s+(\S.*)|\s*)", re.DOTALL)
"""A name of at most 40 characters that begins with a letter, and words, if any."""

_MIN_TURNS = 4
_LINES_PER_STRAY = 50
"""Up to one line of so many may be no turn; its conversation is skipped with a warning."""


def looks_like_transcript(head: str, is_whole: bool) -> bool:
    """Whether a file is a transcript of two speakers, by its beginning.

    Nearly every line must be a turn or blank, and nearly every block of turns between two speakers;
    so a play, whose speeches have lines of their own, and a list of settings stay running text.

    Args:
        head: the beginning of the file.
        is_whole: whether that is the whole file; else the last line may be cut, and is ignored.
    """
    lines = head.splitlines()
    if not is_whole:
        lines = lines[:-1]
    blocks: list[list[str]] = [[]]
    strays = 0
    for line in lines:
        if not line.strip():
            blocks.append([])
        elif turn := _TURN.fullmatch(line):
            blocks[-1].append(turn[1].casefold())
        else:
            strays += 1
    if strays * _LINES_PER_STRAY > len(lines):
        return False
    blocks = [block for block in blocks if block]
    if not is_whole and len(blocks) > 1:
        blocks = blocks[:-1]
    between_two = sum(len(set(block)) == 2 for block in blocks)
    repeats_speaker = any(len(set(block)) < len(block) for block in blocks)
    return (
        sum(map(len, blocks)) >= _MIN_TURNS
        and between_two >= 0.9 * len(blocks)
        # A block with each name once may be a form; two blocks with the same names aren't
        and (repeats_speaker or len({frozenset(block) for block in blocks}) < len(blocks))
    )


def read_transcript(file: BinaryIO, encoding: str, label: str) -> Iterator[tuple[int, Any]]:
    """(line number, record) of each conversation: `{"turns": [{"role", "text"} …]}`."""
    turns: list[dict[str, str]] = []
    start = 0
    broken = False
    for number, line in read_numbered(file, encoding, label):
        if not line.strip():
            if turns:
                yield start, {"turns": turns}
            turns, broken = [], False
        elif turn := _TURN.fullmatch(line.rstrip("\r\n")):
            if not broken:
                start = start if turns else number
                turns.append({"role": turn[1], "text": turn[2] or ""})
        else:
            broken, turns = True, []
            yield number, ValueError("a line that is no `NAME: words`")
    if turns:
        yield start, {"turns": turns}


# WhatsApp

_LEAST_LINES = 3
_MARKS = "\u200e\u200f\ufeff\u202a\u202c\u2068\u2069"
_STAMP = re.compile(
    r"(\[)?(\d{1,4})\s?([./-])\s?(\d{1,2})\s?[./-]\s?(\d{1,4})\.?,?"  # the date
    r"([^\d\]]{1,12}?)(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?([^\d\]:]{0,8}?)"  # and the time
    r"(?(1)\]|\s[-–])\s(.*)",
    re.DOTALL,
)
_SPEAKER = re.compile(r"([^:\"“„«]{1,60}?):(?:\s(.*)|$)", re.DOTALL)
_AFTERNOON = re.compile(r"p\.?\s?m|下午|午後|오후|μ\.?μ|م", re.IGNORECASE)
_MORNING = re.compile(r"a\.?\s?m|上午|午前|오전|π\.?μ|ص", re.IGNORECASE)
_ATTACHED = re.compile(r"\S.*\.\w{2,4} \([^()]{3,40}\)|<[^<>]{5,80}>|null")
_EDITED = re.compile(r"\s*<[^<>]{8,60}>$")
_DELETED = re.compile(
    r"(this message was deleted|you deleted this message|diese nachricht wurde gelöscht|du hast "
    r"diese nachricht gelöscht|(se )?eliminaste este mensaje|se eliminó este mensaje|ce message a "
    r"été supprimé|vous avez supprimé ce message|questo messaggio è stato eliminato|hai eliminato "
    r"questo messaggio|(essa )?mensagem (foi )?apagada|você apagou (esta|essa) mensagem)\.?",
    re.IGNORECASE,
)


def looks_like_whatsapp(head: str) -> bool:
    """Whether a text begins as WhatsApp's exports do: every message with its date."""
    lines = [line for line in head.splitlines()[:200] if line.strip(_MARKS + " \t")]
    if len(lines) < _LEAST_LINES:
        return False
    stamped = [found for line in lines if (found := _stamp(line))]
    spoken = [found for found in stamped if _SPEAKER.fullmatch(found[11].lstrip(_MARKS))]
    return _stamp(lines[0]) is not None and len(spoken) >= max(_LEAST_LINES - 1, len(lines) / 10)


def _stamp(line: str) -> re.Match[str] | None:
    return _STAMP.fullmatch(line.lstrip(_MARKS).replace("\u200f", "").rstrip("\r\n"))


def read_whatsapp(file: BinaryIO, encoding: str, label: str) -> list[Chat]:
    """The chat of one `.txt`. Messages keep their lines; what is said by WhatsApp is left out."""
    raw: list[tuple[int, re.Match[str], list[str]]] = []
    for number, line in read_numbered(file, encoding, label):
        if found := _stamp(line):
            raw.append((number, found, [found[11]]))
        elif raw:
            raw[-1][2].append(line.rstrip("\r\n"))
    order = _date_order([(one[3], int(one[2]), int(one[4]), int(one[5])) for _, one, _ in raw])
    left_out: Counter[str] = Counter()
    messages: list[Message] = []
    time = 0.0
    for number, found, lines in raw:
        time = _time(found, order, time)
        spoken = _SPEAKER.fullmatch("\n".join(lines).lstrip(_MARKS))
        if spoken is None:  # who joined, that all is encrypted
            left_out["lines of WhatsApp's own"] += 1
            continue
        words = _whatsapp_words(spoken[2] or "", left_out)
        if words:
            speaker = spoken[1].strip(_MARKS + "~\u202f\u00a0 ")
            messages.append(Message(number, time, speaker, words))
    name = " ".join(PurePath(label).parts[-2:])
    name = name if "whatsapp" in name.casefold() else ""
    return [Chat(name, messages, left_out=left_out)]


def _whatsapp_words(text: str, left_out: Counter[str]) -> str:
    if text.startswith("\u200e") and "\n" not in text:  # iOS marks what it says itself
        left_out["pictures, files and remarks"] += 1
        return ""
    for mark in _MARKS:
        text = text.replace(mark, "")
    first, _, rest = text.partition("\n")
    if _ATTACHED.fullmatch(first.strip()):
        left_out["pictures, files and remarks"] += 1
        text = rest  # a caption
    text = _EDITED.sub("", text).strip()
    if _DELETED.fullmatch(text):
        left_out["deleted"] += 1
        return ""
    return text


def _date_order(dates: Sequence[tuple[str, int, int, int]]) -> tuple[int, int, int]:
    """Where year, month and day stand in a date, by all dates of a file.

    Where no day is above the twelfth, the order in which the file's dates seldomest go back.
    """
    if any(first > 31 for _, first, _, _ in dates):
        return 0, 1, 2
    if any(mark == "." for mark, *_ in dates) or any(first > 12 for _, first, _, _ in dates):
        return 2, 1, 0
    if any(second > 12 for _, _, second, _ in dates):
        return 2, 0, 1

    def goes_back(order: tuple[int, int, int]) -> int:
        keys = [tuple(date[1 + place] for place in order) for date in dates]
        return sum(later < earlier for earlier, later in itertools.pairwise(keys))

    return min([(2, 1, 0), (2, 0, 1)], key=goes_back)


def _time(found: re.Match[str], order: tuple[int, int, int], before: float) -> float:
    date = [int(part) for part in found.group(2, 4, 5)]
    year, month, day = (date[place] for place in order)
    hour, minute, second = (int(part or 0) for part in found.group(7, 8, 9))
    said = f"{found[6]} {found[10]}"
    if _AFTERNOON.search(said):
        hour = hour % 12 + 12
    elif _MORNING.search(said):
        hour %= 12
    try:
        return datetime(
            year + 2000 * (year < 100), month, day, hour, minute, second, tzinfo=UTC
        ).timestamp()
    except ValueError:  # a date that there isn't
        return before
