"""Prompts with what the model never saw: folded, left out, named, or refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textwright.errors import TokenizerError
from textwright.tokenizers import Tokenizer, train_tokenizer

BOOK = (
    "The old king’s men did not know. “Go,” said Ann, and they went to the café.\n"
    "Don't stop -- go on; it was a well-known house (of 1812), by the sea.\n"
)
ASCII = 'The quick brown fox; it\'s "here" -- jumps, over 13 lazy dogs. Yes! No?\nzxcvbm (k)\n'


def train(kind: str, text: str, **options: Any) -> Tokenizer:
    options = {"vocab_size": None, "lowercase": False, **options}
    return train_tokenizer(kind, lambda: iter([text]), **options)


def reading(tokenizer: Tokenizer, prompt: str) -> tuple[str, list[str]]:
    ids, warnings = tokenizer.encode_prompt(prompt)
    return tokenizer.decode(ids), warnings


def test_a_known_prompt_is_read_as_it_stands() -> None:
    for kind in ("char", "word", "bpe"):
        tokenizer = train(kind, BOOK)
        assert tokenizer.encode_prompt(BOOK, strict=True) == (tokenizer.encode(BOOK), [])
        assert tokenizer.encode_prompt("") == ([], [])


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("“it’s”", '"it\'s"'),
        ("here — jumps", "here -- jumps"),
        ("1–3", "1-3"),
        ("lazy…", "lazy..."),
        ("café naïve", "cafe naive"),
        ("ÉLAN", "elan"),  # the text has no E, nor L, A
        ("Straße, œuvre, Łódź", "Strasse, oeuvre, lodz"),
        ("a\u00a0b\tc\u3000d", "a b c d"),
        ("ＱＵＩＣＫ", "quick"),
        ("ﬁx №3", "fix No3"),
        ("٣", "3"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("¿yes?", "?yes?"),
        ("x\u0302", "x"),
    ],
)
def test_char_reads_the_nearest_known_form(typed: str, read: str) -> None:
    text, _ = reading(train("char", ASCII), typed)
    assert text.lower() == read.lower()


def test_char_names_what_it_did_in_one_line() -> None:
    tokenizer = train("char", ASCII)
    text, warnings = reading(tokenizer, "“☃ is here”☃")
    assert text == '" is here"'
    assert warnings == [
        "read as a known form: '“' as '\"', '”' as '\"'; "
        "left out, never seen in training: '☃' (U+2603)"
    ]
    _, (long,) = reading(tokenizer, "".join(map(chr, range(0x4E00, 0x4E40))))
    assert "'一' (U+4E00)" in long and "and 56 more" in long and len(long) < 300


def test_straight_quotes_become_the_curly_ones_of_the_book() -> None:
    tokenizer = train("char", BOOK.replace("'", "’").replace("Go,”", "‘Go,’”"))
    assert reading(tokenizer, "\"Go,\" said Ann; 'it was the king's'")[0] == (
        "“Go,” said Ann; ‘it was the king’s’"
    )


def test_case_is_folded_where_only_the_other_is_known() -> None:
    assert reading(train("char", "abc é\n"), "ABÉ")[0] == "abé"
    assert reading(train("char", "ABC\n"), "abç")[0] == "ABC"


def test_lower_casing_is_no_news() -> None:
    assert reading(train("char", ASCII, lowercase=True), "THE FOX") == ("the fox", [])


def test_strict_is_a_clear_error() -> None:
    for kind, prompt in (("char", "☃"), ("char", "é"), ("word", "The snowman"), ("word", "GO")):
        with pytest.raises(TokenizerError, match=r"of this model lacks.*--strict") as caught:
            train(kind, ASCII).encode_prompt(prompt, strict=True)
        assert "\n" not in str(caught.value)


def test_word_tries_near_forms_and_names_the_rest() -> None:
    tokenizer = train("word", BOOK)
    assert reading(tokenizer, "the KING’S men") == (
        " the king’s men",
        ["read as a known form: 'KING’S' as 'king’s'"],
    )
    assert reading(tokenizer, "Ann went")[1] == []  # known only after a space
    assert reading(tokenizer, 'Cafe by the sea — "Go,"')[0] == "Cafe by the sea -- “Go,”".replace(
        "Cafe", " <unk>"
    )
    text, warnings = reading(tokenizer, "The zebra and the yak")
    assert text == "The <unk> and the <unk>"
    assert warnings == ["read as <unk>, not in the vocabulary: 'zebra', 'yak'"]
    assert reading(tokenizer, "Dön’t stop")[0] == "Don't stop"


def test_word_takes_an_unknown_word_apart_at_its_apostrophe() -> None:
    tokenizer = train("word", "the fox'\ns")
    assert reading(tokenizer, "the fox's") == ("the fox's", [])
    assert reading(tokenizer, "the cat's") == (
        "the <unk>'s",
        ["read as <unk>, not in the vocabulary: 'cat'"],
    )


def test_whitespace_form_takes_punctuation_off_words() -> None:
    tokenizer = train("word", " The cat 's hat , it sat . \n", word_form="whitespace")
    assert reading(tokenizer, "The cat's hat, it sat.") == (" The cat 's hat , it sat .", [])
    assert reading(tokenizer, "the dog, sat") == (
        " The <unk> , sat",
        ["read as a known form: 'the' as 'The'; read as <unk>, not in the vocabulary: 'dog'"],
    )


def test_surrogates_never_crash() -> None:
    for kind in ("char", "word", "bpe"):
        tokenizer = train(kind, BOOK)
        ids, warnings = tokenizer.encode_prompt("The\ud800 old")
        assert tokenizer.decode(ids) == "The old"
        assert warnings == ["left out, never seen in training: U+D800"]
        assert (
            tokenizer.encode("The\udfff old")
            == ids
            == tokenizer.encode_array("The\udfff old").tolist()
        )
    bpe = train("bpe", BOOK)
    assert reading(bpe, "\ud83d\ude00") == ("😀", [])  # two halves that belong together


@settings(max_examples=60)
@given(prompt=st.text(max_size=60))
@pytest.mark.parametrize("kind", ["char", "word", "whitespace", "bpe"])
def test_any_prompt_is_read(kind: str, prompt: str, known: dict[str, Tokenizer]) -> None:
    tokenizer = known[kind]
    ids, warnings = tokenizer.encode_prompt(prompt)
    assert all(0 <= token < tokenizer.vocab_size for token in ids)
    assert len(warnings) <= 1 and not any("\n" in warning for warning in warnings)
    assert (
        bool(warnings)
        or tokenizer.unk_id is None
        or tokenizer.unk_id not in ids
        or ("<unk>" in prompt)
    )


@pytest.fixture(scope="module")
def known() -> dict[str, Tokenizer]:
    return {
        "char": train("char", BOOK),
        "word": train("word", BOOK),
        "whitespace": train("word", BOOK, word_form="whitespace"),
        "bpe": train("bpe", BOOK),
    }
