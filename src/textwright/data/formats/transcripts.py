"""Plain transcripts: `NAME: words`, one turn a line, a blank line between two conversations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

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
