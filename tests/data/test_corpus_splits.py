"""Where training text ends and validation text begins; what is kept of prepared text."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textwright.data import TextPart, open_corpus
from textwright.data.text import WHITESPACE, safe_cut
from textwright.errors import CorpusError, RequestError


def cached() -> list[Path]:
    return sorted(Path(os.environ["TEXTWRIGHT_CACHE"]).rglob("*.txt"))


@pytest.mark.parametrize("characters", [20, 100, 1_115_394 % 1000, 30, 70, 110_000])
@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.07, 1 / 3])
def test_split_is_exact(tmp_path: Path, characters: int, fraction: float) -> None:
    file = tmp_path / "text.txt"
    text = ("Wörter und wörter. " * (characters // 19 + 1))[:characters]
    file.write_text(text, encoding="utf-8")
    corpus = open_corpus([str(file)], validation_fraction=fraction)
    cut = int(characters * (1 - Fraction(str(fraction))))
    assert corpus.train.read() == text[:cut]
    assert corpus.validation.read() == text[cut:]
    assert (corpus.train.characters, corpus.validation.characters) == (cut, characters - cut)


def test_a_tenth_is_no_binary_fraction(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("a" * 100)
    assert int(100 * (1 - 0.9)) == 9
    assert open_corpus([str(file)], validation_fraction=0.9).train.characters == 10


def test_validation_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "novels"
    folder.mkdir()
    for name in ("one", "two", "three"):
        (folder / f"{name}.txt").write_text(f"{name} " * 10)
    corpus = open_corpus([str(folder)], validation=str(folder / "two.txt"))
    assert corpus.validation.read() == "two " * 10
    assert "two" not in corpus.train.read()  # what is validated on is not trained on
    assert corpus.train.read().split() == ["one"] * 10 + ["three"] * 10
    assert len(corpus.sources) == 3
    with pytest.raises(CorpusError, match="validation text itself"):
        open_corpus([str(folder / "two.txt")], validation=str(folder / "two.txt"))


@pytest.mark.parametrize("text", ["a", "abc", "abcdefghij"])
def test_a_text_too_short_to_split_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "short.txt"
    file.write_text(text)
    with pytest.raises(CorpusError, match=rf"{len(text)} characters?, too few"):
        open_corpus([str(file)])


@pytest.mark.parametrize("fraction", [0, 1, -0.5, float("nan")])
def test_fraction_out_of_range(text_file: Path, fraction: float) -> None:
    with pytest.raises(RequestError, match="between 0 and 1"):
        open_corpus([str(text_file)], validation_fraction=fraction)


def test_prepared_once_and_found_by_content(tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    for file in (first, second):
        file.write_bytes("Größe\r\n".encode() * 100)
    one = open_corpus([str(first)])
    (prepared,) = cached()
    changed = prepared.stat().st_mtime_ns
    other = open_corpus([str(second)], validation_fraction=0.2)
    assert cached() == [prepared] and prepared.stat().st_mtime_ns == changed
    assert one.sha256 == other.sha256
    first.write_bytes("Grösse\r\n".encode() * 100)
    assert open_corpus([str(first)]).sha256 != one.sha256


def test_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes("Größe\r\n".encode() * 100)
    text = open_corpus([str(file)]).train.read()
    (prepared,) = cached()
    prepared.write_bytes(prepared.read_bytes()[:-20])
    assert open_corpus([str(file)]).train.read() == text
    prepared.with_suffix(".json").write_text("{")
    assert open_corpus([str(file)]).train.read() == text


def test_plain_ascii_is_not_copied(text_file: Path) -> None:
    text = text_file.read_text(encoding="utf-8").encode("ascii", "ignore")
    text_file.write_bytes(text)
    corpus = open_corpus([str(text_file)])
    assert corpus.train.path == text_file
    assert cached() == []
    text_file.write_bytes(text.replace(b"\n", b"\r\n"))
    assert open_corpus([str(text_file)]).sha256 == corpus.sha256


def test_processes_at_once_share_a_cache(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes("Größe und Maß\r\n".encode() * 50_000)
    code = (  # forked of one that has imported what they need: they begin at once
        "import os, sys; from textwright.data import open_corpus\n"
        "children = []\n"
        "for _ in range(4):\n"
        "    children.append(os.fork())\n"
        "    if not children[-1]:\n"
        "        os.write(1, (open_corpus([sys.argv[1]]).sha256 + '\\n').encode()); os._exit(0)\n"
        "print([os.waitpid(child, 0)[1] for child in children])"
    )
    words = [sys.executable, "-c", code, file]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    *answers, ended = done.stdout.splitlines()
    assert ended == "[0, 0, 0, 0]"
    assert answers == 4 * [open_corpus([str(file)]).sha256]
    assert len(cached()) == 1
    assert not list(Path(os.environ["TEXTWRIGHT_CACHE"]).rglob("*.partial"))


_TEXT = st.text(alphabet="ab .\n\u3000é\u0301👨👩\u200d👍🏽🇨🇦中文\u094d\u0915", max_size=200)


@given(_TEXT, st.integers(1, 40))
def test_chunks_add_up_and_end_where_they_may(text: str, size: int) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        data = text.encode()
        file.write(data)
        file.flush()
        part = TextPart(Path(file.name), 0, len(data), len(text))
        chunks = list(part.chunks(size))
    assert "".join(chunks) == text
    assert all(chunks)


@given(_TEXT)
def test_boundary_is_safe(text: str) -> None:
    cut = safe_cut(text)
    assert 0 <= cut < max(1, len(text))
    if cut:
        before, after = text[cut - 1], text[cut]
        if after in WHITESPACE:
            assert before not in WHITESPACE
        else:
            assert before != "\u200d" and after not in "\u0301\u200d🏽🇨🇦\u094d"


def test_boundary_prefers_white_space() -> None:
    assert safe_cut("one two\n\n  thr") == len("one two")
    assert safe_cut("是非成败转头空") == 6
    assert safe_cut("e\u0301\u0323") == 0


def test_tiny_shakespeare(real_corpora: Path) -> None:
    corpus = open_corpus(None)
    assert (corpus.train.characters, corpus.validation.characters) == (1_003_854, 111_540)
    assert corpus.name == "shakespeare"
    assert corpus.sources[0].known_edition is True
    assert corpus.train.read()[-20:] + corpus.validation.read()[:20] in (
        (real_corpora / "tinyshakespeare.txt").read_text()
    )
