"""Training a tokenizer on a text, in bounded memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, TypeAlias

import tokenizers

from textwright.errors import TokenizerError
from textwright.tokenizers import bytepairs, characters, words
from textwright.tokenizers.chat import add_special_tokens, specials
from textwright.tokenizers.splitting import pieces
from textwright.tokenizers.tokenizer import KINDS, Kind, Tokenizer

WordForm: TypeAlias = Literal["text", "whitespace"]
Chunks: TypeAlias = Callable[[], Iterable[str]]

log = logging.getLogger("textwright")

MAX_WORDS = 10_000
MAX_MERGED = 4_096
"""Largest vocabularies where no size is requested."""

_CHARACTERS_PER_TOKEN = 200
"""Of the text, for `bpe`: a token should occur often enough to be learned."""

MAX_TYPES = 1 << 20
"""The largest vocabulary that a model takes (`configs.MAX_VOCAB_SIZE`)."""

_SAMPLES = {"word": 200_000_000, "bpe": 50_000_000}
"""Characters that words and pairs are counted in; of a longer text, evenly spaced pieces. More
would change the order of the rarest entries and little else."""

_PIECE = 1 << 15
"""Characters of a piece for the library, which takes 256 at once."""


def train_tokenizer(
    kind: str,
    part_chunks: Chunks,
    *,
    vocab_size: int | None = None,
    lowercase: bool = False,
    word_form: WordForm = "text",
    conversations: bool = False,
) -> Tokenizer:
    """Train a tokenizer on a text.

    Args:
        kind: `char`, `word` or `bpe`.
        part_chunks: returns the chunks of the text from the start, each time it is called; it is
            called twice. Chunks should end before white space, as those of a corpus do.
        vocab_size: number of token ids at most, special ones included; None takes all characters;
            at most 10,000 words (all, in the `whitespace` form); at most 4,096 byte pairs, by the
            text's length.
        lowercase: lower-case all text, now and whenever it encodes.
        word_form: for `word`; `whitespace` is that of the WikiText benchmarks.
        conversations: add the special tokens of conversations.

    Raises:
        TokenizerError: the text is empty, or `vocab_size` is too small for any.
    """
    if kind not in KINDS:
        raise TokenizerError(f"no tokenizer {kind!r}; there are {', '.join(KINDS)}")
    if kind == "char":
        return _characters(part_chunks, vocab_size, lowercase, conversations)
    total = sum(map(len, part_chunks()))
    if not total:
        raise TokenizerError("the text is empty: no tokenizer can be made from it; give some text")
    if kind == "word":
        sample = _sample(kind, part_chunks, total)
        return _words(sample, vocab_size, lowercase, word_form, conversations)
    sample = _sample(kind, part_chunks, total)
    return _byte_pairs(sample, total, vocab_size, lowercase, conversations)


def word_sample(part_chunks: Chunks) -> Iterator[str]:
    """The pieces of a text in which its words are counted."""
    return _sample("word", part_chunks, sum(map(len, part_chunks())))


def _sample(kind: str, part_chunks: Chunks, total: int) -> Iterator[str]:
    return _sample_evenly(part_chunks(), min(1.0, _SAMPLES[kind] / max(1, total)))


def _characters(
    part_chunks: Chunks, vocab_size: int | None, lowercase: bool, conversations: bool
) -> Tokenizer:
    if vocab_size is not None:
        raise TokenizerError(
            "the vocabulary of a char tokenizer is the characters of the text, so its size can't "
            "be set; leave the vocabulary size out, or take --tokenizer word or bpe"
        )
    alphabet = characters.distinct(part_chunks(), characters.normalizer(lowercase))
    if len(alphabet) < 2:
        raise TokenizerError(
            "the text is empty: no tokenizer can be made from it; give some text"
            if not alphabet
            else f"the text holds no character but {alphabet.pop()!r}: "
            "there is nothing to learn; give a text with more"
        )
    own = specials("char") if conversations else ()
    return _tokenizer(
        characters.build(alphabet, lowercase=lowercase, specials=own), "char", conversations
    )


def _words(
    sample: Iterator[str],
    vocab_size: int | None,
    lowercase: bool,
    form: WordForm,
    conversations: bool,
) -> Tokenizer:
    first: tuple[str, ...]
    pipeline, first, default = (
        (words.text_pipeline, words.TEXT_SPECIALS, MAX_WORDS)
        if form == "text"
        else (words.whitespace_pipeline, words.WHITESPACE_SPECIALS, MAX_TYPES)
    )
    if conversations:
        first = tuple(specials("word"))
    smallest = len(first) + 1
    if vocab_size is not None and vocab_size < smallest:
        raise TokenizerError(
            f"a word vocabulary of {vocab_size:,} is too small: {', '.join(first)} and one word "
            f"make {smallest}; take at least that many"
        )
    by_frequency = words.most_frequent(pipeline({}, lowercase=lowercase), sample)
    entries = [*first, *(word for word in by_frequency if word not in first)]
    if vocab_size is not None and vocab_size > len(entries):
        _say_smaller(vocab_size, len(entries))
    size = vocab_size or min(default, len(entries))
    vocabulary = {word: i for i, word in enumerate(entries[:size])}
    return _tokenizer(pipeline(vocabulary, lowercase=lowercase), "word", conversations)


def _byte_pairs(
    sample: Iterator[str],
    total: int,
    vocab_size: int | None,
    lowercase: bool,
    conversations: bool,
) -> Tokenizer:
    own = specials("bpe") if conversations else []
    smallest = bytepairs.BYTES + len(own)
    if vocab_size is not None and not smallest <= vocab_size <= MAX_TYPES:
        raise TokenizerError(
            f"a bpe vocabulary of {vocab_size:,} is impossible: the bytes alone are "
            f"{bytepairs.BYTES}"
            + (f", {len(own)} special tokens frame conversations" if own else "")
            + f", and {MAX_TYPES:,} is the most"
        )
    size = vocab_size or min(MAX_MERGED, max(2 * bytepairs.BYTES, total // _CHARACTERS_PER_TOKEN))
    backend = bytepairs.train(sample, vocab_size=size, lowercase=lowercase, specials=own)
    reached = backend.get_vocab_size()
    if vocab_size is not None and reached < vocab_size:
        _say_smaller(vocab_size, reached)
    return _tokenizer(backend, "bpe", conversations)


def _sample_evenly(chunks: Iterable[str], share: float) -> Iterator[str]:
    """Small pieces of `chunks`: all, or evenly spaced ones that make up a `share` of them."""
    due = 0.0  # characters
    for chunk in chunks:
        for piece in pieces(chunk, _PIECE):
            due += len(piece) * share
            if due >= len(piece) * 0.999_999:  # a share of 1 must keep all, in spite of rounding
                due -= len(piece)
                yield piece


def _say_smaller(requested: int, most: int) -> None:
    log.warning(
        "the text gives a vocabulary of %s, not of %s: that many are taken",
        f"{most:,}", f"{requested:,}",
    )  # fmt: skip


def _tokenizer(backend: tokenizers.Tokenizer, kind: Kind, conversations: bool) -> Tokenizer:
    file = backend.to_str(pretty=True)
    return Tokenizer(add_special_tokens(file, kind) if conversations else file, kind)
