"""A vocabulary in GPT-2's byte-level form, read as a program does that knows strings and merges."""

from __future__ import annotations

from itertools import pairwise

import pytest

from textwright.errors import RequestError
from textwright.publishing.byte_level import byte_level
from textwright.tokenizers import Tokenizer
from textwright.tokenizers.bytepairs import token_string


def read(text: str, tokens: list[str], merges: list[tuple[str, str]]) -> list[int]:
    """Merge the pair that `merges` has first, while there is one; then look up what is known."""
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    parts = list(token_string(text.encode("utf-8")))
    while pairs := [pair for pair in pairwise(parts) if pair in ranks]:
        first = min(pairs, key=ranks.__getitem__)
        place = list(pairwise(parts)).index(first)
        parts[place : place + 2] = ["".join(first)]
    known = {token: number for number, token in enumerate(tokens)}
    return [known[part] for part in parts if part in known]


def test_characters_of_many_bytes_are_a_token_each(tokenizers: dict[str, Tokenizer]) -> None:
    tokenizer = tokenizers["char"]
    tokens, merges = byte_level(tokenizer)
    text = "O Romeo, naïve 你好 🙂🙂 ïï\n"
    assert read(text, tokens, merges) == tokenizer.encode(text)
    assert read("a日b€", tokens, merges) == tokenizer.encode("ab"), "what it never saw is left out"


def test_byte_pairs_keep_their_merges(tokenizers: dict[str, Tokenizer]) -> None:
    tokenizer = tokenizers["bpe"]
    tokens, merges = byte_level(tokenizer)
    assert [read(word, tokens, merges) for word in (" times", " 你好")] == [
        tokenizer.encode(word) for word in (" times", " 你好")
    ]
    with pytest.raises(RequestError, match="word tokenizer"):
        byte_level(tokenizers["word"])
