"""Stop strings: found wherever they are cut, and no part of one is ever let through."""

import random

import pytest

from textwright.errors import RequestError
from textwright.generation.continuation import StopFilter


def filtered(pieces: list[str], stops: list[str]) -> tuple[str, bool]:
    passing = StopFilter(stops)
    text = ""
    for piece in pieces:
        text += passing.push(piece)
        if passing.stopped:
            return text, True
    return text + passing.flush(), False


def by_character(text: str, stops: list[str]) -> tuple[str, bool]:
    """The definition: read on until a stop string is complete; the longest is cut off."""
    for end in range(1, len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            return text[: end - max(map(len, complete))], True
    return text, False


def test_any_cut_gives_the_same() -> None:
    dice = random.Random(0)
    for _ in range(3_000):
        text = "".join(dice.choices("ab\n", k=dice.randint(0, 12)))
        stops = [
            "".join(dice.choices("ab\n", k=dice.randint(1, 4))) for _ in range(dice.randint(0, 3))
        ]
        pieces, start = [], 0
        while start < len(text):
            end = start + dice.randint(1, 5)
            pieces.append(text[start:end])
            start = end
        assert filtered(pieces, stops) == by_character(text, stops), (pieces, stops)


def test_what_can_be_no_stop_string_any_more_comes_at_once() -> None:
    passing = StopFilter(["\n\nEND"])
    assert [passing.push(piece) for piece in ("a", "\n", "\n", "E", "x")] == [
        "a",
        "",
        "",
        "",
        "\n\nEx",
    ]
    assert passing.push("\n\n") == ""
    assert passing.flush() == "\n\n"


def test_an_empty_stop_string_is_refused() -> None:
    with pytest.raises(RequestError, match="empty"):
        StopFilter(["a", ""])
