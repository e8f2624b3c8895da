"""Tokenizers in a run folder: as other readers load them, and what is said of damaged ones."""

from __future__ import annotations

import json
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import pytest
import tokenizers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from textwright import configs, runs
from textwright.errors import RunError
from textwright.tokenizers import Tokenizer, train_tokenizer

PROSE = topics["assignment"] + "“naïve” — ☃ <eos> 中文\n"

TEXT = (
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=100)
    | st.text(alphabet="ab AÉé\n'.- 1中<eos>pdunk\u0301", max_size=60)
    | st.lists(
        st.sampled_from(["<eos>", "<unk>", "<pad>", "<bos>", " ", "\n", "a", "the", "é"]),
        max_size=12,
    ).map("".join)
)


def train(kind: str, **options: Any) -> Tokenizer:
    options = {"vocab_size": None, "lowercase": False, **options}
    return train_tokenizer(kind, lambda: iter([PROSE]), **options)


MAKERS = {
    "char": ("char", {}),
    "char-lower": ("char", {"lowercase": True}),
    "word": ("word", {}),
    "word-whitespace": ("word", {"word_form": "whitespace"}),
    "bpe": ("bpe", {}),
}
MODELS: dict[str, configs.ModelConfig] = {
    "gpt": configs.GPTConfig(vocab_size=999, block_size=64, num_layers=1),
    "transformer": configs.TransformerConfig(vocab_size=999, block_size=64, num_layers=1),
}


@pytest.fixture(scope="module", params=MAKERS)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> runs.Run:
    kind, options = MAKERS[request.param]
    run = runs.Run(tmp_path_factory.mktemp("run"))
    train(kind, **options).save(run)
    return run


def test_loading_gives_the_same_tokenizer(saved: runs.Run, tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(saved)
    again = runs.Run(tmp_path)
    tokenizer.save(again)
    assert again.tokenizer_file.read_bytes() == saved.tokenizer_file.read_bytes()
    assert again.read_json(again.tokenizer_config_file) == saved.read_json(
        saved.tokenizer_config_file
    )
    assert Tokenizer.load(again).sha256 == tokenizer.sha256
    assert tokenizer.vocab_size == tokenizer.backend.get_vocab_size()


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(text=TEXT)
def test_the_library_gives_the_same_ids(saved: runs.Run, text: str) -> None:
    raw = tokenizers.Tokenizer.from_file(str(saved.tokenizer_file))
    ids = Tokenizer.load(saved).encode(text)
    assert raw.encode(text).ids == ids
    assert raw.decode(ids, skip_special_tokens=False) == Tokenizer.load(saved).decode(ids)


@pytest.mark.parametrize("family", [None, *MODELS])
def test_transformers_gives_the_same_ids(saved: runs.Run, family: str | None) -> None:
    if family:
        saved.write_json(saved.config_file, MODELS[family].to_json())
    stock = AutoTokenizer.from_pretrained(saved.path)
    tokenizer = Tokenizer.load(saved)

    @settings(max_examples=40)
    @given(text=TEXT)
    def same(text: str) -> None:
        ids = tokenizer.encode(text)
        assert stock(text)["input_ids"] == ids
        assert stock.decode(ids) == tokenizer.decode(ids)

    same()
    assert len(stock) == tokenizer.vocab_size
    assert stock.pad_token_id == tokenizer.pad_id
    assert stock.eos_token_id == tokenizer.eos_id
    assert stock.unk_token_id == tokenizer.unk_id


def test_the_kind_shows_without_our_config(saved: runs.Run) -> None:
    config = saved.tokenizer_config_file.read_bytes()
    kind = Tokenizer.load(saved).kind
    try:
        saved.tokenizer_config_file.unlink()
        assert Tokenizer.load(saved).kind == kind
    finally:
        saved.tokenizer_config_file.write_bytes(config)


def one_line(run: runs.Run) -> str:
    with pytest.raises(RunError) as caught:
        Tokenizer.load(run)
    message = str(caught.value)
    assert "\n" not in message and "tokenizer" in message
    return message


def test_damaged_files_are_one_clear_line(tmp_path: Path) -> None:
    run = runs.Run(tmp_path)
    one_line(run)
    train("char").save(run)
    whole = run.tokenizer_file.read_text(encoding="utf-8")
    damages = [whole[: len(whole) // 2], "", "[]", "{}", '{"model": {"type": "BPE"}}', "\x00\xff"]
    for damage in damages:
        run.tokenizer_file.write_text(damage, encoding="utf-8")
        one_line(run)
    run.tokenizer_file.write_bytes(b"\xff\xfe\x00")
    one_line(run)

    run.tokenizer_file.write_text(whole, encoding="utf-8")
    run.tokenizer_config_file.write_text("{", encoding="utf-8")
    one_line(run)


def test_files_that_do_not_belong_together_are_one_clear_line(tmp_path: Path) -> None:
    run = runs.Run(tmp_path)
    train("char").save(run)
    config = run.tokenizer_config_file.read_bytes()
    train("bpe").save(run)
    run.tokenizer_config_file.write_bytes(config)
    assert "not a char tokenizer, but bpe" in one_line(run)


def test_a_tokenizer_of_another_sort_is_refused(tmp_path: Path) -> None:
    run = runs.Run(tmp_path)
    unigram = tokenizers.Tokenizer(tokenizers.models.Unigram([("a", 0.0), ("b", 0.0)], 0))
    unigram.save(str(run.tokenizer_file))
    assert "char, word or bpe" in one_line(run)
    train("char").save(run)
    data = json.loads(run.tokenizer_file.read_text(encoding="utf-8"))
    data["model"]["vocab"] = {c: 2 * i for c, i in data["model"]["vocab"].items()}
    run.write_json(run.tokenizer_file, data)
    assert "gap" in one_line(run)
