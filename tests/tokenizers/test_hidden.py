"""What a tokenizer hides is charged, by codes that could be decoded."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

import textwright
from textwright.cli.app import app
from textwright.data import open_text, prepare_tokens
from textwright.evaluation import score
from textwright.tokenizers import train_tokenizer
from textwright.tokenizers.hidden import Capitals, SpellingModel, positions_bits


def test_words_are_spelled_by_a_probability_distribution() -> None:
    model = SpellingModel([" the", " then", "cat", "Ω"])
    context = ["", " t", " the", "ca", "zz"]
    one_byte = [chr(code) for code in range(256)]
    for before in context:
        known = sum(
            model._probability(c, before) for c in ["", *one_byte, *map(chr, range(768, 1024))]
        )
        assert 0.8 < known < 1, before  # the rest is for all other characters
    letters = "thecan"
    words = ["".join(w) for length in range(4) for w in itertools.product(letters, repeat=length)]
    assert sum(2 ** -model.word_bits(f" {word}") for word in words) < 1
    assert model.word_bits(" thet") < model.word_bits(" xqzj") < model.word_bits(" 你好")
    blocks = (2 ** -model.character_bits(chr(code)) for code in range(0, 0x110000, 256))
    assert 256 * sum(blocks) == pytest.approx(255 / 256)


def test_capitals_and_positions_cost_what_a_code_for_them_takes() -> None:
    capitals = Capitals()
    capitals.add("")
    assert capitals.bits() == 0
    bits, seen = 0.0, [0, 0]
    for letter in "aAaaAAAAbB":  # Krichevsky and Trofimov, letter by letter; one context each: ;
        capitals.add(f"; {letter}")
        large = letter.isupper()
        bits -= math.log2((seen[large] + 0.5) / (sum(seen) + 1))
        seen[large] += 1
    once = Capitals()
    once.add("; a")
    first = once.bits()  # of the first letter, which follows a line end, as it were
    assert first == pytest.approx(1)
    assert capitals.bits() == pytest.approx(bits)
    assert positions_bits(0, 100) == 0
    assert positions_bits(1, 99) == pytest.approx(math.log2(100) + math.log2(101))


@pytest.mark.parametrize(
    ("kind", "options", "least"),
    [("word", {"vocab_size": 20}, 3.0), ("word", {}, 0.1), ("char", {}, 0.0),
     ("bpe", {"lowercase": True}, 0.02), ("char", {"lowercase": True}, 0.02)],
)  # fmt: skip
def test_whoever_knows_every_token_pays_for_what_they_hide(
    kind: str, options: dict[str, int], least: float, text_file: Path, tmp_path: Path
) -> None:
    text = text_file.read_text(encoding="utf-8")
    learned = text[:36_000]
    tokenizer = train_tokenizer(kind, lambda: iter([learned]), **options)  # type: ignore[arg-type]
    file = tmp_path / "held_out.txt"
    file.write_text(text[36_000:], encoding="utf-8")
    part = open_text([str(file)])
    tokens = prepare_tokens(part, tokenizer, hidden=True)
    assert tokens.bits_per_char(0.0) >= least
    assert (tokens.hidden_bits == 0) == (tokens.unknown_share == 0 and not options)
    assert prepare_tokens(part, tokenizer, hidden=True) == tokens  # from the cache
    without = prepare_tokens(part, train_tokenizer("bpe", lambda: iter([learned])), hidden=True)
    assert without.hidden_bits == 0 and without.unknown_share == 0


def test_a_dialogue_of_words_pays_too(text_file: Path) -> None:
    text = text_file.read_text(encoding="utf-8")
    tokenizer = train_tokenizer("word", lambda: iter([text]), vocab_size=30, conversations=True)
    assert tokenizer.hidden_bits([" zounds indeed"]) > 2 * 20
    written = train_tokenizer(
        "word", lambda: iter(["the <unk> of the <unk>"]), word_form="whitespace"
    )
    assert written.hidden_bits(["the <unk> of"]) == 0  # it stands there
    assert written.hidden_bits(["the <unk> off"]) > 10


def test_a_small_vocabulary_is_shown_and_flatters_nobody(text_file: Path) -> None:
    small = ["model.hidden_size=16", "model.embedding_size=16", "model.block_size=32",
             "training.sample_tokens=8", "training.companion=off"]  # fmt: skip
    runs = {
        size: textwright.train(
            text_file, model="lstm", tokenizer="word", vocab_size=size, steps=12, changes=small,
            name=f"of-{size}",
        )
        for size in (20, 800)
    }  # fmt: skip
    few, many = (run.settings() for run in runs.values())
    assert few["result"]["val_loss"] < many["result"]["val_loss"]
    assert few["result"]["val_bits_per_char"] > many["result"]["val_bits_per_char"] + 0.5
    share = few["data"]["validation_unknown"]
    assert share > 0.4 > many["data"]["validation_unknown"] > 0
    run = runs[20]
    measured = score(run)
    assert measured.unknown == pytest.approx(share) == measured.unk_tokens / (measured.tokens + 1)
    assert measured.bits_per_char == pytest.approx(few["result"]["val_bits_per_char"], rel=1e-5)
    shown = f"{100 * share:.1f} %"
    for words in (
        ["eval", str(run.path)],
        ["runs", "list"],
        ["runs", "compare", "of-20", "of-800"],
    ):
        result = CliRunner().invoke(app, words)
        assert shown in result.stdout, (words, result.stdout)
    for file in (run.report_file, run.card_file):
        assert shown in file.read_text(encoding="utf-8"), file
