"""Stretches that stand in a text, beside the slowest way of finding them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from textwright.data import TextPart, open_corpus
from textwright.evaluation import copied_spans, find_copied_spans
from textwright.evaluation.substring_search import SubstringIndex


class InPieces(TextPart):
    """A text that is read in pieces of 97 characters, so that stretches lie across them."""

    def chunks(self, size: int = 0) -> Iterator[str]:
        text = self.path.read_text(encoding="utf-8")
        return (text[at : at + 97] for at in range(0, len(text), 97))


def outermost(passage: str, text: str, minimum: int) -> list[tuple[int, int]]:
    """The longest stretch from each place on, without those that lie in another."""
    found: list[tuple[int, int]] = []
    end = 0
    for start in range(len(passage)):
        length = 0
        while start + length < len(passage) and passage[start : start + length + 1] in text:
            length += 1
        if length >= minimum and start + length > end:
            end = start + length
            found.append((start, length))
    return found


@pytest.mark.parametrize("alphabet", ["ab", "abé\n", "aé漢🙂b", "abcdefgh \n"])
def test_it_finds_what_the_slowest_way_finds(
    alphabet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(alphabet)

    def letters(most: int) -> str:
        return "".join(rng.choice(alphabet) for _ in range(rng.randrange(most)))

    def piece(text: str) -> str:
        start = rng.randrange(len(text))
        return text[start : start + rng.randrange(120)] + letters(10)

    for trial in range(8):
        text = ("a" * 50 + "\n") * (trial % 3) + letters(2000) + "b"
        passages = ["".join(piece(text) for _ in range(rng.randrange(5))) for _ in range(3)]
        minimum = rng.choice([16, 17, 31, 32, 40, 63, 70])
        monkeypatch.setattr(copied_spans, "_CHUNK_BYTES", rng.choice([64, 1000, 1 << 22]))
        file = tmp_path / "text"
        file.write_text(text, encoding="utf-8", newline="")
        part = InPieces(file, 0, file.stat().st_size, len(text))
        found, complete = find_copied_spans(passages, part, minimum=minimum)
        assert complete
        for passage, copies in zip(passages, found, strict=True):
            wanted = outermost(passage, text, minimum)
            assert [(one.start, one.length) for one in copies.stretches] == wanted
            inside = {at for start, length in wanted for at in range(start, start + length)}
            assert (copies.copied, copies.characters) == (len(inside), len(passage))
            for one in copies.stretches:
                assert one.text == passage[one.start : one.start + one.length]
                assert one.offset == text.find(one.text)
                assert one.line == text[: one.offset].count("\n") + 1


def test_where_is_told_of_the_file_it_stands_in(tmp_path: Path) -> None:
    """One of several, with line ends and accents that are made one before."""
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_bytes("Nothing here.\r\nNor here, cafe\u0301.\r\n\r\n".encode())
    sentence = "The second text has a sentence that no other has."
    rest = "And so on, line after line.\n" * 40
    two.write_text(f"A first line.\nÉté.\n  {sentence}\n{rest}", encoding="utf-8")
    corpus = open_corpus([str(one), str(two)], cache=tmp_path / "cache")
    again = open_corpus([str(one), str(two)], cache=tmp_path / "cache")
    for opened in (corpus, again):
        (copies,), _ = find_copied_spans(
            [f"He said: {sentence}"], opened.train, minimum=30, origins=opened.origins
        )
        (stretch,) = copies.stretches
        assert stretch.text == f" {sentence}"
        assert (stretch.source, stretch.line, stretch.offset) == (str(two), 3, 20)


def test_capital_letters_may_not_matter(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("IT WAS the best OF times, it was the worst of times.", encoding="utf-8")
    part = TextPart(file, 0, file.stat().st_size, 52)
    passage = "it was THE BEST of times"
    for lower, share in ((False, 0.0), (True, 1.0)):
        (copies,), _ = find_copied_spans([passage], part, minimum=16, lower=lower)
        assert copies.share == share


def test_endless_repetition_is_told_and_does_not_take_for_ever(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text(" " * 400_000, encoding="utf-8")
    part = TextPart(file, 0, 400_000, 400_000)
    (copies,), complete = find_copied_spans([" " * 5000], part, minimum=40)
    assert not complete
    assert copies.share > 0


@pytest.mark.parametrize("minimum", [16, 30, 31, 62, 63, 100])
def test_the_shortest_stretch_is_found_wherever_it_lies(minimum: int) -> None:
    """Blocks of the text are compared, and a stretch may begin anywhere in one."""
    stretch = bytes(33 + number for number in range(62)) + b"~" * 38
    index = SubstringIndex([stretch[:minimum]], minimum)
    for offset in range(33):
        spans, complete = index.find(b" " * offset + stretch[:minimum] + b" " * 9)
        assert complete and spans.tolist() == [[0, minimum, offset]]
