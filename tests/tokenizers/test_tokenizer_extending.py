"""A tokenizer that gets what another text needs keeps the ids that it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from textwright.runs import Run
from textwright.tokenizers import Tokenizer, encode_new_tokens, extend_tokenizer, train_tokenizer

OLD = 'It was the best of times, it was the worst of times; "the age" of wisdom - the end.\n' * 9
NEW = "It was a Café: “the Worst” of cafés, it was — the Worst of 7 Monsters…\n" * 9
SETTINGS = {
    "char": {},
    "char-lower": {"lowercase": True},
    "word": {},
    "word-lower": {"lowercase": True},
    "word-whitespace": {"word_form": "whitespace"},
    "bpe": {},
    "bpe-lower": {"lowercase": True},
}


@pytest.fixture(params=SETTINGS)
def old(request: pytest.FixtureRequest) -> Tokenizer:
    kind = request.param.split("-")[0]
    return train_tokenizer(kind, lambda: iter([OLD]), **SETTINGS[request.param])


def test_old_ids_stay_and_new_text_is_read_whole(old: Tokenizer, tmp_path: Path) -> None:
    grown = extend_tokenizer(old, lambda: iter([NEW[:200], NEW[200:]]), vocab_size=10_000)
    assert grown.kind == old.kind and grown.lowercase == old.lowercase
    assert grown.encode(OLD) == old.encode(OLD)
    ids = grown.encode(NEW)
    assert grown.unk_id is None or grown.unk_id not in ids
    assert ids == grown.encode_array(NEW).tolist()
    if old.kind != "word" or old.pad_id is not None:  # else white space is the benchmark's
        assert grown.decode(ids) == (NEW.lower() if old.lowercase else NEW)
    assert (grown.vocab_size > old.vocab_size) == (old.kind != "bpe")
    assert (grown.pad_id, grown.eos_id, grown.suppress_tokens) == (
        old.pad_id, old.eos_id, old.suppress_tokens
    )  # fmt: skip
    run = Run(tmp_path)
    grown.save(run)
    assert Tokenizer.load(run).encode(NEW) == ids


def test_what_has_all_of_a_text_stays_as_it_is(old: Tokenizer) -> None:
    assert extend_tokenizer(old, lambda: iter([OLD])) is old


def test_characters_follow_in_order_and_words_by_frequency() -> None:
    char = train_tokenizer("char", lambda: iter(["cab"]))
    grown = extend_tokenizer(char, lambda: iter(["zebra yak"]))
    assert [grown.token_text(i) for i in range(grown.vocab_size)] == list("abc ekryz")
    word = train_tokenizer("word", lambda: iter(["one two"]))
    text = "one six six ten ten ten two"
    grown = extend_tokenizer(word, lambda: iter([text]), vocab_size=1000)
    assert [grown.token_text(i) for i in range(4, grown.vocab_size)] == [
        " two", "one", " ten", " six"
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["text", "whitespace"])
def test_words_are_added_only_up_to_the_size_that_is_asked_for(form: Any) -> None:
    old = train_tokenizer("word", lambda: iter([OLD]), word_form=form)
    text = "two two two three three four\n"
    assert extend_tokenizer(old, lambda: iter([text])) is old
    for asked in (1, old.vocab_size):
        assert extend_tokenizer(old, lambda: iter([text]), vocab_size=asked) is old
    grown = extend_tokenizer(old, lambda: iter([text]), vocab_size=old.vocab_size + 2)
    new = [grown.token_text(i).strip() for i in range(old.vocab_size, grown.vocab_size)]
    assert grown.vocab_size == old.vocab_size + 2 and "four" not in new and "three" in new


def test_a_conversation_needs_the_tokens_of_its_format_and_no_words() -> None:
    old = train_tokenizer("word", lambda: iter([OLD]))
    grown = extend_tokenizer(old, lambda: iter(["a new word"]), conversations=True)
    assert grown.chat is not None
    new = [grown.backend.id_to_token(i) for i in range(old.vocab_size, grown.vocab_size)]
    assert new == ["<system>", "<user>", "<assistant>"]


def test_more_ids_than_a_byte_holds() -> None:
    old = train_tokenizer("char", lambda: iter([chr(0x4E00 + i) for i in range(300)]))
    grown = extend_tokenizer(old, lambda: iter(["plain\nfolk"]))
    assert grown.decode(grown.encode_array("folk\n").tolist()) == "folk\n"
    assert grown.encode_array("folk").min() >= 300


def test_a_new_token_is_what_the_old_would_have_read() -> None:
    old = train_tokenizer("char", lambda: iter([OLD]))
    grown = extend_tokenizer(old, lambda: iter(["“é7—"]))
    texts = [old.decode(ids) for ids in encode_new_tokens(old, grown)]
    new = [grown.token_text(i) for i in range(old.vocab_size, grown.vocab_size)]
    assert dict(zip(new, texts, strict=True)) == {"“": '"', "é": "e", "7": "", "—": "--"}
    old = train_tokenizer("word", lambda: iter([OLD]))
    grown = extend_tokenizer(old, lambda: iter(["a Worst monster"]), vocab_size=1000)
    texts = [old.decode(ids) for ids in encode_new_tokens(old, grown)]
    new = [grown.token_text(i) for i in range(old.vocab_size, grown.vocab_size)]
    assert dict(zip(new, texts, strict=True)) == {"a": "", " Worst": " worst", " monster": ""}
