"""Text → token files: the tokenizer's own ids, whatever the size, made once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from textwright.data import TextPart, open_text
from textwright.data import prepare_tokens as prepare
from textwright.tokenizers import train_tokenizer


@pytest.fixture
def part(text_file: Path) -> TextPart:
    text = text_file.read_text(encoding="utf-8")
    text_file.write_text(text + "\nGröße, 中文 and 👍🏽.\n" + text, encoding="utf-8")
    return open_text([str(text_file)])


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
@pytest.mark.parametrize("lowercase", [False, True])
def test_ids_are_the_tokenizers_own(part: TextPart, kind: str, lowercase: bool) -> None:
    size = None if kind == "char" else 600
    tokenizer = train_tokenizer(kind, part.chunks, vocab_size=size, lowercase=lowercase)
    tokens = prepare(part, tokenizer)
    ids = tokens.array()
    assert ids.dtype == np.uint16 and not ids.flags.writeable
    assert ids.tolist() == tokenizer.encode(part.read())
    assert (tokens.tokens, tokens.characters, tokens.bytes) == (
        len(ids),
        part.characters,
        part.bytes,
    )
    assert tokens.unknown == {}
    assert tokens.counts(tokenizer.vocab_size).tolist() == [
        ids.tolist().count(token) for token in range(tokenizer.vocab_size)
    ]


def test_characters_without_an_id_are_counted(part: TextPart, tmp_path: Path) -> None:
    tokenizer = train_tokenizer("char", part.chunks)
    other = tmp_path / "other.txt"
    other.write_text("Ω and Ω, ~ é" + "a" * 50, encoding="utf-8")
    tokens = prepare(open_text([str(other)]), tokenizer)
    assert {"Ω": 2, "é": 1}.items() <= tokens.unknown.items()
    assert tokens.tokens == tokens.characters - sum(tokens.unknown.values())


def test_large_vocabulary_takes_uint32(tmp_path: Path) -> None:
    text = "".join(chr(point) for point in range(0x4E00, 0x9FFF)) + "".join(
        chr(point) for point in range(0x20000, 0x20000 + 60_000) if chr(point).isprintable()
    )
    file = tmp_path / "many.txt"
    file.write_text(text, encoding="utf-8")
    part = open_text([str(file)])
    tokenizer = train_tokenizer("char", part.chunks)
    ids = prepare(part, tokenizer).array()
    expected = np.uint32 if tokenizer.vocab_size > 1 << 16 else np.uint16
    assert ids.dtype == expected
    assert tokenizer.vocab_size > 1 << 15 and int(ids.max()) == tokenizer.vocab_size - 1


def test_made_once_for_the_same_text_and_tokenizer(part: TextPart) -> None:
    tokenizer = train_tokenizer("char", part.chunks)
    first = prepare(part, tokenizer)
    changed = first.path.stat().st_mtime_ns
    again = prepare(part, tokenizer)
    assert again == first and again.path.stat().st_mtime_ns == changed
    assert prepare(part, train_tokenizer("char", part.chunks, lowercase=True)).path != first.path
    shorter = TextPart(part.path, 0, 1000, 1000, part.sha256)
    assert prepare(shorter, tokenizer).path != first.path
    first.path.write_bytes(b"damaged")
    assert prepare(part, tokenizer).array().tolist() == tokenizer.encode(part.read())


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_full_disk_leaves_nothing(part: TextPart, tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from textwright.data import open_text, prepare_tokens\n"
        "from textwright.errors import TextwrightError\n"
        "from textwright.tokenizers import train_tokenizer\n"
        "part = open_text([sys.argv[1]]); tokenizer = train_tokenizer('char', part.chunks)\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try: prepare_tokens(part, tokenizer, Path(sys.argv[2]))\n"
        "except TextwrightError as error: print(error)\n"
    )
    command = [sys.executable, "-c", code, str(part.path), str(tmp_path / "full")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "can't be written" in result.stdout and result.stdout.count("\n") == 1
    assert [path for path in (tmp_path / "full").rglob("*") if path.is_file()] == []


MEMORY = r"""
import re, sys
from pathlib import Path
from textwright.data import open_corpus, prepare_tokens
from textwright.tokenizers import train_tokenizer
corpus = open_corpus([sys.argv[1]], cache=Path(sys.argv[2]))
tokenizer = train_tokenizer("char", corpus.train.chunks)
tokens = [prepare_tokens(part, tokenizer, Path(sys.argv[2])) for part in
          (corpus.train, corpus.validation)]
# Not getrusage, whose peak begins with that of the process which started this one.
status = Path("/proc/self/status").read_text()
print(sum(token.tokens for token in tokens), *re.findall(r"VmHWM:\s+(\d+)", status))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's own figure")
@pytest.mark.parametrize(
    ("megabytes", "line_end"),
    [(60, b"\n"), pytest.param(100, b"\r\n", marks=pytest.mark.slow)],
)
def test_memory_does_not_grow_with_the_text(
    tmp_path: Path, megabytes: int, line_end: bytes
) -> None:
    line = "It was the best of times, it was the wörst of times".encode() + line_end
    file = tmp_path / "large.txt"
    with file.open("wb") as large:
        for _ in range(megabytes):
            large.write(line * (1_000_000 // len(line)))
    command = [sys.executable, "-c", MEMORY, str(file), str(tmp_path / "cache")]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    tokens, kilobytes = map(int, output.split())
    lines = megabytes * (1_000_000 // len(line))
    assert tokens == lines * 52
    assert kilobytes < 120_000


def test_a_file_of_another_size_is_not_the_recorded_one(tmp_path: Path) -> None:
    from textwright.data.sources.cache import has_size

    (tmp_path / "file").write_bytes(b"1234")
    assert [has_size(tmp_path / "file", size) for size in (3, 4, 5)] == [False, True, False]
