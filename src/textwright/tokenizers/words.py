"""`word`: the most frequent words and punctuation marks, in two forms.

`text`, for any corpus: a token includes the space before the word, so that decoding restores
spacing. `whitespace`, the form of the WikiText benchmarks (Merity et al., "Pointer Sentinel Mixture
Models", 2016): words are split at white space alone, and a line end is `<eos>`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers

from textwright.tokenizers.characters import normalizer
from textwright.tokenizers.splitting import split_chunks

PAD, BOS, EOS, UNK = "<pad>", "<bos>", "<eos>", "<unk>"

TEXT_SPECIALS = (PAD, BOS, EOS, UNK)
WHITESPACE_SPECIALS = (UNK, EOS)

_NO_SPACES = (
    "\u0e00-\u0fff"  # Thai, Lao, Tibetan
    "\u1000-\u109f"  # Burmese
    "\u1780-\u17ff"  # Khmer
    "\u2e80-\u30ff\u31f0-\u31ff"  # radicals, CJK marks, kana, bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
"""Scripts without spaces between words, as the inside of a character class: there, every letter
with its marks is a token. Written as characters, which all regex engines parse alike."""

_WORD = rf"(?:(?![{_NO_SPACES}])\p{{L}}\p{{M}}*)+"

PATTERN = "|".join(
    (
        rf" ?{_WORD}(?:['’]{_WORD})*",
        r" ?\p{L}\p{M}*",
        r" ?\p{N}\p{M}*",  # digits are tokens of their own, so that no number is unknown
        r" ?[^\s\p{L}\p{N}]\p{M}*",
        r"\s",
    )
)
"""A token of the `text` form. Every character belongs to one, so nothing is lost."""

_MAX_CHUNKS = 1 << 17
"""Distinct chunks that are counted before they are split into words."""

_LITERAL_EOS = r"(?<!\S)<eos>(?!\S)"


def text_pipeline(vocabulary: dict[str, int], *, lowercase: bool) -> tokenizers.Tokenizer:
    """The library's tokenizer of the `text` form.

    The special tokens are ordinary entries of the vocabulary that no text encodes to, for the
    pattern splits `<eos>`. `<unk>` decodes with a space before it, the others to nothing.
    """
    backend = tokenizers.Tokenizer(models.WordLevel(vocab=vocabulary, unk_token=UNK))
    backend.normalizer = normalizer(lowercase)
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(PATTERN), "isolated")
    textless = Regex(f"^(?:{PAD}|{BOS}|{EOS})$")
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace(textless, ""),
            decoders.Replace(Regex(f"^{UNK}$"), f" {UNK}"),
            decoders.Fuse(),
        ]
    )
    return backend


def whitespace_pipeline(vocabulary: dict[str, int], *, lowercase: bool) -> tokenizers.Tokenizer:
    """The library's tokenizer of the `whitespace` form.

    Decodes to the benchmark's layout: a space before each word, ` \\n` for `<eos>`. `<unk>` in the
    text is the benchmark's own and gets the id of `<unk>`; `<eos>` is an ordinary word.
    """
    backend = tokenizers.Tokenizer(models.WordLevel(vocab=vocabulary, unk_token=UNK))
    backend.normalizer = normalizers.Sequence(
        [
            normalizer(lowercase),
            normalizers.Replace(Regex(_LITERAL_EOS), "<eos >"),
            normalizers.Replace("\n", f" {EOS} "),
        ]
    )
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace(Regex(f"^{EOS}$"), "\n"),
            decoders.Replace(Regex("^"), " "),
            decoders.Fuse(),
        ]
    )
    return backend


def most_frequent(backend: tokenizers.Tokenizer, texts: Iterable[str]) -> list[str]:
    """The distinct words of `texts` as `backend` splits them, by frequency, ties by code point.

    Memory holds only distinct words; each of `texts` should be small.
    """
    words: Counter[str] = Counter()
    chunks: Counter[str] = Counter()
    for text in texts:
        chunks.update(split_chunks(text))
        if len(chunks) > _MAX_CHUNKS:
            _add_words(backend, chunks, words)
            chunks.clear()
    _add_words(backend, chunks, words)
    return sorted(words, key=lambda word: (-words[word], word))


def unknown_words(backend: tokenizers.Tokenizer, text: str) -> Counter[str]:
    """The count of each word of `text`, normalized, that `backend` reads as `<unk>`; and of the
    `<unk>` that are written there, where they are words."""
    unknown: Counter[str] = Counter()
    chunks = Counter(split_chunks(text))
    for chunk, count in chunks.items():
        normalized = backend.normalizer.normalize_str(chunk)
        for word, _ in backend.pre_tokenizer.pre_tokenize_str(normalized):
            if word == UNK or backend.token_to_id(word) is None:
                unknown[word] += count
    return unknown


def _add_words(backend: tokenizers.Tokenizer, chunks: Counter[str], words: Counter[str]) -> None:
    for chunk, count in chunks.items():
        normalized = backend.normalizer.normalize_str(chunk)
        for word, _ in backend.pre_tokenizer.pre_tokenize_str(normalized):
            words[word] += count
